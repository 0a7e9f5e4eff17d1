//! The kinds of flaws of the conformance suite's cases; `tests/sigstore_vectors.rs` has their words.

use super::*;

#[test]
fn every_case_that_must_fail_has_its_own_kind_of_flaw() {
    use FlawKind::{CertificateExpired, Malformed, NotLogged, TimeUnproved};
    for (case, kind) in [
        ("bundle-empty-certificate-chain_fail", Malformed),
        ("bundle-invalid-base64-signature_fail", Malformed),
        ("bundle-negative-log-index_fail", NotLogged),
        ("bundle-with-root-cert_fail", Malformed),
        ("checkpoint-wrong-roothash_fail", NotLogged),
        ("dsse-mismatch-envelope_fail", NotLogged),
        ("inclusion-proof-corrupted-hash_fail", NotLogged),
        ("integrated-time-in-future_fail", CertificateExpired),
        ("intoto-log-entry-mismatch_fail", NotLogged),
        ("intoto-set-outside-signing-cert-validity_fail", CertificateExpired),
        ("invalid-checkpoint-signature_fail", NotLogged),
        ("invalid-inclusion-proof_fail", NotLogged),
        ("rekor2-checkpoint-missing-log-signature_fail", NotLogged),
        ("rekor2-checkpoint-missing-root-hash_fail", NotLogged),
        ("rekor2-checkpoint-no-matching-signature_fail", NotLogged),
        ("rekor2-dsse-mismatch-envelope_fail", NotLogged),
        ("rekor2-no-inclusion-proof_fail", NotLogged),
        ("rekor2-timestamp-outside-trust-root-tsa-validity_fail", TimeUnproved),
        ("rekor2-timestamp-payload-mismatch_fail", TimeUnproved),
        ("rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail", TimeUnproved),
        ("set-invalid-signature_fail", NotLogged),
        ("wrong-hashedrekord-cert-and-sig_fail", NotLogged),
    ] {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/signatures/sigstore-bundles")
            .join(case)
            .join("trusted_root.json");
        let mut roots = roots();
        if let Ok(json) = std::fs::read_to_string(root) {
            roots.by_name.insert(PUBLIC.into(), Arc::new(Root::from_json(&json).unwrap()));
        }
        let json = fixture(&format!("sigstore-bundles/{case}/bundle.sigstore.json"));
        let item = item(Layout::Unknown, Material::Bundle(json.into()));
        let digest = sha256("a0cfc71271d6e278e57cd332ff957c3f7043fdda354c4cbb190a30d56efa01bf");
        let signature = examine(&item, &digest, &keyless(&[PUBLIC]), &roots);
        assert_eq!(flawed(&signature).0, kind, "{case}: {:?}", signature.flaw);
    }
}

#[test]
fn what_is_of_no_use_keeps_its_flaw() {
    let gone = flaw(FlawKind::Missing, "the blob that it names is not there");
    let signature =
        run(&item(Layout::Bundle03, Material::Flawed(gone.clone())), &sha256(&"0".repeat(64)), &keyless(&[PUBLIC]));
    assert_eq!((signature.layout, signature.flaw), (Layout::Bundle03, Some(gone)));
    assert_eq!(signature.proofs, Vec::new());
}
