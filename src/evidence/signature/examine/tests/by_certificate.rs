//! Signatures by certificates, in every layout.

use super::*;

const GITHUB: &str = "https://github.com/login/oauth";
const LEGACY: &str =
    "cosign/legacy/manifests/sha256-31dc72a13a0c34b40eb95419d2b2fd67320c856baf3b72da518023ee8d370aee.sig.json";
const LEGACY_PAYLOAD: &str =
    "cosign/legacy/blobs/sha256-897d9e862b4599b723442f36ed7b4cfd1628bb7656643c56855988cac161d065.json";
const LEGACY_IMAGE: &str = "31dc72a13a0c34b40eb95419d2b2fd67320c856baf3b72da518023ee8d370aee";
const PHILIPP: &str = "https://github.com/login/oauth philipp.belitz@securesystems.de (public)";
const BLOB: &str = "cosign/bundles/cosign-v3-blob.sigstore.json";
const BLOB_DIGEST: &str = "e194b99df6639501325c5f44da79fe3a8efae6f239bd79443a19787e06fb1764";
const WOLF: &str = "https://github.com/login/oauth w.vollprecht@gmail.com (public)";
const NO_ENTRY: &str = "it has no entry of a transparency log";

fn legacy() -> Item {
    simple(&fixture(LEGACY_PAYLOAD), annotations(LEGACY))
}

fn slsa(version: &str, manifest: &str, blob: &str) -> Item {
    let folder = format!("cosign/slsa-oci-{version}/blobs/sha256");
    envelope(&fixture(&format!("{folder}/{blob}")), annotations(&format!("{folder}/{manifest}")))
}

fn slsa_new() -> Item {
    slsa(
        "v1.10.0",
        "31cc4fb663c8d34e2e6a0bd5f183d576c2811ee286e0998b4c2965e3b35a0d86",
        "20b16d5835eceaa7b9dbb7e4fdf4db52a8b9159c1416dd73e54cade07e838917",
    )
}

const SLSA_IMAGE: &str = "e0a0a765d690a5104331cfbac88ebbbf01736c1f87aaa3cd455c516a5ea586a5";

#[test]
fn a_simple_signature_of_2024_is_verified_with_certificate_and_promise() {
    let signature = run(&legacy(), &sha256(LEGACY_IMAGE), &keyless(&[PUBLIC]));
    assert_eq!(signers(&signature), [PHILIPP]);
    assert_eq!((signature.layout, &signature.flaw), (Layout::SignatureTag, &None));
    assert_eq!(signature.proofs[0].logged, Logged::Proved);
    assert_eq!(signature.proofs[0].made.unwrap().as_second(), 1_717_082_297);
    let reference = Some("index.docker.io/phbelitz/rekor-test".into());
    assert_eq!(signature.claim, Claim::Image { reference, annotations: BTreeMap::new() });
}

#[test]
fn a_signature_that_was_copied_from_another_image_says_so_and_who_made_it() {
    let signature = run(&legacy(), &sha256(BLOB_DIGEST), &keyless(&[PUBLIC]));
    assert_eq!(signers(&signature), [PHILIPP]);
    assert_eq!(signature.claim, Claim::Elsewhere { predicate_type: None, names: "sha256:31dc72a13a0c".into() });
    let signature = run(&slsa_new(), &sha256(BLOB_DIGEST), &keyless(&[PUBLIC]));
    assert_eq!(signature.proofs.len(), 1);
    let predicate_type = Some("https://slsa.dev/provenance/v0.2".into());
    assert_eq!(signature.claim, Claim::Elsewhere { predicate_type, names: "sha256:e0a0a765d690".into() });
    let signature = run(&bundle(&value(BLOB)), &sha256(LEGACY_IMAGE), &keyless(&[PUBLIC]));
    assert_eq!(signers(&signature), [WOLF]);
    assert_eq!(signature.claim, Claim::Elsewhere { predicate_type: None, names: "sha256:e194b99df663".into() });
}

#[test]
fn provenance_of_2024_is_verified_and_its_fields_are_read() {
    let mut examination = keyless(&[PUBLIC]);
    let paths = BTreeSet::from(["builder.id".into(), "none".into()]);
    examination.predicates = BTreeMap::from([("https://slsa.dev/provenance/v0.2".into(), paths)]);
    let signature = run(&slsa_new(), &sha256(SLSA_IMAGE), &examination);
    let builder = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v1.10.0";
    assert_eq!(signers(&signature), [format!("https://token.actions.githubusercontent.com {builder} (public)")]);
    assert_eq!(signature.proofs[0].logged, Logged::Proved);
    assert_eq!(signature.proofs[0].made.unwrap().as_second(), 1_711_017_244);
    let Signer::Identity(identity) = &signature.proofs[0].signer else { panic!("an identity") };
    assert_eq!(identity.extensions["githubWorkflowRepository"], "slsa-framework/example-package");
    assert_eq!(identity.extensions["githubWorkflowRef"], "refs/tags/v13.0.30");
    assert_eq!(identity.extensions["sourceRepositoryURI"], "https://github.com/slsa-framework/example-package");
    use crate::fact::attached::Field;
    let fields = vec![("builder.id".into(), Field::Text(builder.into())), ("none".into(), Field::Missing)];
    assert_eq!(
        signature.claim,
        Claim::Statement { predicate_type: "https://slsa.dev/provenance/v0.2".into(), fields, report: None }
    );
}

#[test]
fn a_log_entry_of_an_old_kind_is_said_to_be_one() {
    let old = slsa(
        "v1.4.0",
        "738d456c898daf28d211c2e0b8ecf5dc67b9a1d631c99ef2c4b4669bcb7a0354",
        "784c5bd14237b9a979fd0251f01dcc7956f06da243ca1e9c52470c410e53c654",
    );
    let image = sha256("a74d89d8dd863ca5dae4a29e0feede81ddf59197849a80784af5a02ab7786925");
    let signature = run(&old, &image, &keyless(&[PUBLIC]));
    is_flawed(
        &signature,
        FlawKind::Unsupported,
        "its log entry is of the kind intoto 0.0.1, which cannot be verified here",
    );
    let (issuer, subject) = signature.flaw.unwrap().claimed.unwrap();
    assert_eq!(&*issuer, "https://token.actions.githubusercontent.com");
    assert!(subject.ends_with("generator_container_slsa3.yml@refs/tags/v1.4.0"), "{subject}");
    assert!(matches!(signature.claim, Claim::Statement { .. }));
}

#[test]
fn bundles_that_name_sha512_or_a_user_name_are_verified() {
    let npm = "sigstore-bundles/sigstore-go/sigstore.js@2.0.0-provenance.sigstore.json";
    let digest = Digest::parse("sha512:46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c").unwrap();
    let signature = run(&bundle(&value(npm)), &digest, &keyless(&[PUBLIC]));
    assert_eq!(signature.proofs.len(), 1, "{:?}", signature.flaw);
    assert!(matches!(signature.claim, Claim::Statement { .. }) && signature.layout == Layout::Bundle01);

    let user = value("sigstore-bundles/sigstore-go/othername.sigstore.json");
    let digest = sha256("bc103b4a84971ef6459b294a2b98568a2bfb72cded09d4acd1e16366a401f95b");
    let signature = run(&bundle(&user), &digest, &keyless(&[PUBLIC, "private"]));
    assert_eq!(signers(&signature), ["http://oidc.local:8080 foo!oidc.local (private)"]);
    assert_eq!(signature.layout, Layout::Bundle03);
}

#[test]
fn the_real_provenance_bundles_are_verified() {
    for (path, hex, kind) in [
        (
            "slsa-v1/bcr-MODULE.bazel.intoto.jsonl",
            "06ce330900a7d6403bc8d88e5dfad6aeeb8ae40179f66bb89e69c8bf6f6b1a0b",
            Layout::Bundle03,
        ),
        (
            "slsa-v1/gha_container-based-v1.10.0-push-v14.sigstore.json",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            Layout::Bundle01,
        ),
    ] {
        let signature = run(&bundle(&value(&format!("attestations/{path}"))), &sha256(hex), &keyless(&[PUBLIC]));
        assert_eq!((signature.proofs.len(), signature.layout), (1, kind), "{path}: {:?}", signature.flaw);
        assert_eq!(signature.proofs[0].logged, Logged::Proved);
    }
}

#[test]
fn each_root_is_tried_and_one_that_is_not_there_proves_nothing() {
    let item = bundle(&value(BLOB));
    let digest = sha256(BLOB_DIGEST);
    assert_eq!(signers(&run(&item, &digest, &keyless(&["private", PUBLIC, "gone"]))), [WOLF]);
    let signature = run(&item, &digest, &keyless(&["gone"]));
    is_flawed(
        &signature,
        FlawKind::CertificateUntrusted,
        "there is no trusted root \"gone\" to verify its certificate with",
    );
    assert_eq!(signature.flaw.unwrap().claimed, Some((GITHUB.into(), "w.vollprecht@gmail.com".into())));
    is_flawed(&run(&item, &digest, &keyless(&[])), FlawKind::OtherKey, "keys alone are trusted");
    let stamp =
        "its RFC 3161 timestamp is of another signature, or by no timestamp authority of the trusted root \"private\"";
    is_flawed(&run(&item, &digest, &keyless(&["private"])), FlawKind::TimeUnproved, stamp);
}

#[test]
fn a_certificate_needs_the_promise_of_a_certificate_log_where_its_root_has_any() {
    let mut json = value("sigstore-bundles/production_trusted_root.json");
    let with = |json: &Value| {
        let root = Arc::new(Root::from_json(&json.to_string()).unwrap());
        let roots = Roots { by_name: BTreeMap::from([(PUBLIC.into(), root)]), generation: 0 };
        examine(&legacy(), &sha256(LEGACY_IMAGE), &keyless(&[PUBLIC]), &roots)
    };
    assert_eq!(signers(&with(&json)), [PHILIPP]);
    json["ctlogs"] = value("sigstore-bundles/sigstore-go/scaffolding-trusted-root.json")["ctlogs"].clone();
    let words = "its certificate has no promise (SCT) of a certificate log of the trusted root \"public\"";
    is_flawed(&with(&json), FlawKind::CertificateUntrusted, words);
    json["ctlogs"] = json!([]);
    assert_eq!(signers(&with(&json)), [PHILIPP]);
}

#[test]
fn a_certificate_of_another_authority_is_not_trusted() {
    let mut json = value("sigstore-bundles/production_trusted_root.json");
    // GitHub's own, which has issued since 2023.
    let other: Value = serde_json::from_str(sigstore_trust_root::SIGSTORE_GITHUB_TRUSTED_ROOT).unwrap();
    json["certificateAuthorities"] = other["certificateAuthorities"].clone();
    let roots = |json: &Value| {
        let root = Arc::new(Root::from_json(&json.to_string()).unwrap());
        Roots { by_name: BTreeMap::from([(PUBLIC.into(), root)]), generation: 0 }
    };
    let run = |json: &Value| examine(&legacy(), &sha256(LEGACY_IMAGE), &keyless(&[PUBLIC]), &roots(json));
    let words = "its certificate is not one for signing that an authority of the trusted root \"public\" issued";
    is_flawed(&run(&json), FlawKind::CertificateUntrusted, words);
    // It has issued since July 2024.
    let later = value("sigstore-bundles/sigstore-go/scaffolding-trusted-root.json");
    json["certificateAuthorities"] = later["certificateAuthorities"].clone();
    let words =
        "no certificate authority of the trusted root \"public\" is good for signatures of 2024-05-30T15:18:17Z";
    is_flawed(&run(&json), FlawKind::CertificateUntrusted, words);
}

#[test]
fn without_a_log_an_rfc_3161_timestamp_must_hold() {
    let mut unlogged = value(BLOB);
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    let digest = sha256(BLOB_DIGEST);
    let signature = run(&bundle(&unlogged), &digest, &keyless(&[PUBLIC]));
    assert_eq!(signers(&signature), [WOLF]);
    assert_eq!(signature.proofs[0].logged, Logged::Unproved(NO_ENTRY.into()));
    assert!(signature.proofs[0].made.is_some());
    let mut broken = unlogged.clone();
    let stamp = broken
        .pointer_mut("/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp")
        .unwrap();
    let mut bytes = STANDARD.decode(stamp.as_str().unwrap()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    *stamp = STANDARD.encode(bytes).into();
    is_flawed(
        &run(&bundle(&broken), &digest, &keyless(&[PUBLIC])),
        FlawKind::TimeUnproved,
        "its RFC 3161 timestamp is of another",
    );
    unlogged["verificationMaterial"]["timestampVerificationData"] = json!({});
    is_flawed(
        &run(&bundle(&unlogged), &digest, &keyless(&[PUBLIC])),
        FlawKind::TimeUnproved,
        "nothing proves when it was made",
    );
}

#[test]
fn an_entry_that_nothing_stands_for_is_not_passed_over() {
    let digest = sha256(BLOB_DIGEST);
    let mut one = value(BLOB);
    let entry = one["verificationMaterial"]["tlogEntries"][0].clone();
    let mut bare = entry.clone();
    bare.as_object_mut().unwrap().retain(|name, _| name != "inclusionPromise" && name != "inclusionProof");
    one["verificationMaterial"]["tlogEntries"] = json!([entry, bare]);
    let words = "its log entry has neither a promise (SET) of the log nor an inclusion proof";
    is_flawed(&run(&bundle(&one), &digest, &keyless(&[PUBLIC])), FlawKind::NotLogged, words);
}

/// What `cosign sign` of v2 would have written with this signature.
fn as_layer(path: &str, log: bool, timestamp: bool) -> Annotations {
    let its = value(path);
    let material = &its["verificationMaterial"];
    let entry = &material["tlogEntries"][0];
    let number = |name: &str| entry[name].as_str().unwrap().parse::<i64>().unwrap();
    let log_id = STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap();
    let log_id: String = log_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let written = json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {"body": entry["canonicalizedBody"], "integratedTime": number("integratedTime"), "logIndex": number("logIndex"), "logID": log_id},
    });
    let stamp = json!({"SignedRFC3161Timestamp": material["timestampVerificationData"]["rfc3161Timestamps"][0]["signedTimestamp"]});
    Annotations {
        signature: its["messageSignature"]["signature"].as_str().map(str::to_owned),
        certificate: Some(format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            material["certificate"]["rawBytes"].as_str().unwrap()
        )),
        chain: None,
        log: log.then(|| written.to_string()),
        timestamp: timestamp.then(|| stamp.to_string()),
    }
}

#[test]
fn the_old_layouts_are_verified_with_a_promise_a_timestamp_or_both_and_never_with_neither() {
    let payload = fixture("cosign/bundles/cosign-v3-blob.txt");
    for (log, timestamp, logged) in
        [(true, false, Logged::Proved), (true, true, Logged::Proved), (false, true, Logged::Unproved(NO_ENTRY.into()))]
    {
        let item = simple(&payload, as_layer(BLOB, log, timestamp));
        let signature = run(&item, &sha256(BLOB_DIGEST), &keyless(&[PUBLIC]));
        assert_eq!(signers(&signature), [WOLF], "{:?}", signature.flaw);
        assert_eq!(signature.proofs[0].logged, logged);
        // A signature that holds, of a payload that says nothing.
        assert_eq!(signature.claim, Claim::Unreadable("it is no JSON, or nested too deeply".into()));
    }
    let item = simple(&payload, as_layer(BLOB, false, false));
    is_flawed(
        &run(&item, &sha256(BLOB_DIGEST), &keyless(&[PUBLIC])),
        FlawKind::TimeUnproved,
        "nothing proves when it was made",
    );
}

#[test]
fn a_statement_that_cannot_be_read_is_by_somebody_all_the_same_where_the_log_allows_it() {
    let folder = "sigstore-bundles/rekor2-dsse-happy-path";
    let json = fixture(&format!("{folder}/bundle.sigstore.json"));
    let root = Root::from_json(&text(&format!("{folder}/trusted_root.json"))).unwrap();
    let roots = Roots { by_name: BTreeMap::from([("staging".into(), Arc::new(root))]), generation: 0 };
    let (_, read) = bundle::read(&json).unwrap();
    let SignatureContent::DsseEnvelope(dsse) = &read.bundle.content else { panic!("an envelope") };
    let (proofs, flaw) = keyless::proofs(&read, &Content::of_envelope(dsse, None), &keyless(&["staging"]), &roots);
    assert_eq!((proofs.len(), flaw), (1, None));
    assert_eq!(proofs[0].logged, Logged::Proved);
}

#[test]
fn a_bare_public_key_is_no_certificate_ghsa_fx35_mq7g_6g98() {
    use super::by_key::{pem, signed, statement};
    let (key, sealed) = signed(&statement());
    let mut examination = keys(&[&key]);
    examination.roots = BTreeSet::from([PUBLIC.into()]);
    let mut confused = sealed.clone();
    confused["verificationMaterial"] = json!({"certificate": {"rawBytes": STANDARD.encode(&key.spki)}});
    let digest = sha256(super::by_key::HEX);
    // With the key it would verify, were it not in the certificate's place.
    assert_eq!(run(&bundle(&sealed), &digest, &examination).proofs.len(), 1);
    is_flawed(
        &run(&bundle(&confused), &digest, &examination),
        FlawKind::TimeUnproved,
        "nothing proves when it was made",
    );
    confused["verificationMaterial"]["tlogEntries"] = value(BLOB)["verificationMaterial"]["tlogEntries"].clone();
    is_flawed(
        &run(&bundle(&confused), &digest, &examination),
        FlawKind::CertificateUntrusted,
        "its certificate cannot be read",
    );
    let mut layer = as_layer(BLOB, true, false);
    layer.certificate = Some(pem(&key.spki));
    let item = simple(&fixture("cosign/bundles/cosign-v3-blob.txt"), layer);
    is_flawed(&run(&item, &digest, &examination), FlawKind::CertificateUntrusted, "its certificate cannot be read");
}

#[test]
fn the_key_of_a_certificate_is_not_a_key_that_a_bundle_is_tried_with() {
    let its = value(BLOB);
    let der = STANDARD.decode(its["verificationMaterial"]["certificate"]["rawBytes"].as_str().unwrap()).unwrap();
    let key = sigstore_crypto::parse_certificate_info(&sigstore_types::DerCertificate::new(der)).unwrap().public_key;
    let key = read_public_key(&key.to_pem()).unwrap();
    is_flawed(&run(&bundle(&its), &sha256(BLOB_DIGEST), &keys(&[&key])), FlawKind::OtherKey, "keys alone are trusted");
    // As `cosign verify --key` does, the layouts before bundles are.
    let item = simple(&fixture("cosign/bundles/cosign-v3-blob.txt"), as_layer(BLOB, true, false));
    let signature = run(&item, &sha256(BLOB_DIGEST), &keys(&[&key]));
    assert_eq!(signers(&signature), [format!("{} (public)", key.fingerprint)]);
    let words = "its log entry is not of the form of its kind";
    assert_eq!(signature.proofs[0].logged, Logged::Unproved(words.into()), "the entry is of the certificate");
}

#[test]
fn nothing_that_a_proof_of_the_old_layouts_rests_on_can_be_changed() {
    type Change = (&'static str, fn(&mut Vec<u8>, &mut Annotations));
    fn in_log(annotations: &mut Annotations, change: impl Fn(&mut Value)) {
        let mut log: Value = serde_json::from_str(annotations.log.as_ref().unwrap()).unwrap();
        change(&mut log);
        annotations.log = Some(log.to_string());
    }
    fn flip(value: &mut Value) {
        let mut bytes = STANDARD.decode(value.as_str().unwrap()).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        *value = STANDARD.encode(bytes).into();
    }
    let changes: &[Change] = &[
        ("payload byte", |payload, _| {
            let at = payload.len() / 2;
            payload[at] ^= 1;
        }),
        ("signature byte", |_, its| {
            if let Some(signature) = its.signature.as_mut().filter(|signature| !signature.is_empty()) {
                let mut value = Value::from(signature.as_str());
                flip(&mut value);
                *signature = value.as_str().unwrap().to_owned();
            } else {
                its.log = None;
            }
        }),
        ("certificate", |_, its| {
            its.certificate =
                its.certificate.as_ref().map(|pem| pem.replacen("AgI", "AgM", 1).replacen("MII", "MIJ", 1));
        }),
        ("another certificate", |_, its| its.certificate = as_layer(BLOB, false, false).certificate),
        ("no log entry", |_, its| its.log = None),
        ("promise (SET)", |_, its| in_log(its, |log| flip(&mut log["SignedEntryTimestamp"]))),
        ("log entry", |_, its| in_log(its, |log| flip(&mut log["Payload"]["body"]))),
        ("integrated time", |_, its| {
            in_log(its, |log| {
                let time = &mut log["Payload"]["integratedTime"];
                *time = (time.as_i64().unwrap() + 1).into();
            });
        }),
        ("log index", |_, its| in_log(its, |log| log["Payload"]["logIndex"] = 1.into())),
        ("log id", |_, its| in_log(its, |log| log["Payload"]["logID"] = "00".repeat(32).into())),
        ("another's entry", |_, its| its.log = as_layer(BLOB, true, false).log),
    ];
    let (mut count, mut still) = (0, Vec::new());
    for (item, digest) in [(legacy(), sha256(LEGACY_IMAGE)), (slsa_new(), sha256(SLSA_IMAGE))] {
        assert_eq!(run(&item, &digest, &keyless(&[PUBLIC])).proofs.len(), 1);
        for (what, change) in changes {
            let other = match &item.material {
                Material::Simple { payload, annotations } => {
                    let (mut payload, mut annotations) = (payload.to_vec(), annotations.clone());
                    change(&mut payload, &mut annotations);
                    simple(&payload, annotations)
                }
                Material::Envelope { envelope: dsse, annotations } => {
                    let mut dsse: Value = serde_json::from_slice(dsse).unwrap();
                    let (mut payload, mut annotations) =
                        (STANDARD.decode(dsse["payload"].as_str().unwrap()).unwrap(), annotations.clone());
                    change(&mut payload, &mut annotations);
                    dsse["payload"] = STANDARD.encode(payload).into();
                    envelope(dsse.to_string().as_bytes(), annotations)
                }
                Material::Bundle(_) | Material::Flawed(_) => unreachable!(),
            };
            count += 1;
            if !run(&other, &digest, &keyless(&[PUBLIC])).proofs.is_empty() {
                still.push(format!("{:?}: {what}", item.layout));
            }
        }
    }
    println!("{count} changes, {} still accepted", still.len());
    assert_eq!((count, still), (22, Vec::new()));
}
