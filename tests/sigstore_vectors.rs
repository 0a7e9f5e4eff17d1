//! Bundles of the Sigstore project's conformance suite and of others, verified as that suite asks; and each accepted one
//! with every part changed that its proof rests on.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a vector that cannot be read is a failed test")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pratique::evidence::signature::trust::{PUBLIC, Root, Trust};
use pratique::evidence::signature::{Artifact, Signatory, read_public_key, verify_bundle};
use pratique::fact::attached::PublicKey;
use pratique::image::Digest;
use serde_json::Value;

/// The suite's own signer.
const SUBJECT: &str = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";

/// Why each case that must fail does, in a part of our words.
const REASONS: &[(&str, &str)] = &[
    ("bundle-empty-certificate-chain_fail", "its bundle has no certificate where one belongs"),
    ("bundle-invalid-base64-signature_fail", "its signature is no base64"),
    ("bundle-negative-log-index_fail", "its log entry, or the checkpoint in it, cannot be read"),
    ("bundle-with-root-cert_fail", "its bundle brings a root certificate along"),
    ("checkpoint-wrong-roothash_fail", "its inclusion proof and its checkpoint contradict each other"),
    ("dsse-mismatch-envelope_fail", "its log entry is one of another signature, key or content"),
    ("inclusion-proof-corrupted-hash_fail", "its inclusion proof does not lead to the log's tree"),
    ("integrated-time-in-future_fail", "until 2026-05-07T15:28:10Z, and it was made at 2026-05-07T15:34:11Z"),
    ("intoto-log-entry-mismatch_fail", "its log entry is not of the form of its kind"),
    (
        "intoto-set-outside-signing-cert-validity_fail",
        "until 2023-02-01T00:10:00Z, and it was made at 2023-02-02T00:00:00Z",
    ),
    ("invalid-checkpoint-signature_fail", "the checkpoint of its log entry is not signed by a log"),
    ("invalid-inclusion-proof_fail", "its inclusion proof has no checkpoint"),
    ("managed-key-wrong-key_fail", "the public key is no point of its curve"),
    ("rekor2-checkpoint-missing-log-signature_fail", "its log entry, or the checkpoint in it, cannot be read"),
    ("rekor2-checkpoint-missing-root-hash_fail", "its log entry, or the checkpoint in it, cannot be read"),
    ("rekor2-checkpoint-no-matching-signature_fail", "the checkpoint of its log entry is not signed by a log"),
    ("rekor2-dsse-mismatch-envelope_fail", "its log entry is one of something else"),
    ("rekor2-no-inclusion-proof_fail", "neither a promise (SET) of the log nor an inclusion proof"),
    ("rekor2-timestamp-outside-trust-root-tsa-validity_fail", "its RFC 3161 timestamp says 2025-06-12T12:02:20Z"),
    ("rekor2-timestamp-payload-mismatch_fail", "its RFC 3161 timestamp is of another signature"),
    ("rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail", "by no timestamp authority of the trusted root"),
    ("set-invalid-signature_fail", "the log's promise (SET) of its entry is not signed by a log"),
    ("trust-root-tlog-missing-validity-start_fail", "missing field `start`"),
    ("wrong-hashedrekord-cert-and-sig_fail", "its log entry is one of another signature, key or content"),
    ("wrong-material_fail", "it is of another artifact, sha256:a0cfc71271d6"),
];

/// One bundle, and what it is verified with.
struct Case {
    name: String,
    bundle: Vec<u8>,
    artifact: Vec<u8>,
    by: By,
    root: Result<Arc<Root>, String>,
}

enum By {
    Key(Result<PublicKey, String>),
    Identity { issuer: String, subject: String },
}

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/signatures")
}

fn public() -> Arc<Root> {
    Trust::built_in().unwrap().in_force().by_name[PUBLIC].clone()
}

impl Case {
    fn of_suite(name: &str) -> Self {
        let suite = fixtures().join("sigstore-bundles");
        let text = |file: &str| fs::read_to_string(suite.join(name).join(file)).ok();
        let artifact = fs::read(suite.join(name).join("artifact")).or_else(|_| fs::read(suite.join("a.txt"))).unwrap();
        let identity = || By::Identity {
            issuer: text("issuer").unwrap_or_else(|| ISSUER.to_owned()),
            subject: text("identity").unwrap_or_else(|| SUBJECT.to_owned()),
        };
        Self {
            name: name.to_owned(),
            bundle: fs::read(suite.join(name).join("bundle.sigstore.json")).unwrap(),
            artifact,
            by: text("key.pub").map_or_else(identity, |pem| By::Key(read_public_key(&pem))),
            root: text("trusted_root.json").map_or_else(|| Ok(public()), |json| Root::from_json(&json).map(Arc::new)),
        }
    }

    /// Of other places; the artifact is known by its bytes, or else it is a digest.
    fn other(path: &str, artifact: &[u8], issuer: &str, subject: &str, root: Option<&str>) -> Self {
        let read = |path: &str| fs::read(fixtures().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        let root = root.map(|path| Root::from_json(&String::from_utf8(read(path)).unwrap()).map(Arc::new));
        Self {
            name: path.to_owned(),
            bundle: read(path),
            artifact: artifact.to_owned(),
            by: By::Identity { issuer: issuer.to_owned(), subject: subject.to_owned() },
            root: root.unwrap_or_else(|| Ok(public())),
        }
    }

    fn verify(&self, bundle: &[u8], artifact: Artifact<'_>) -> Result<(), String> {
        let root = self.root.clone()?;
        let by = match &self.by {
            By::Key(key) => Signatory::Key(key.as_ref().map_err(Clone::clone)?),
            By::Identity { issuer, subject } => Signatory::Identity { issuer, subject },
        };
        verify_bundle(bundle, artifact, by, root)
    }

    /// As a file, and as a digest.
    fn both(&self) -> [Result<(), String>; 2] {
        let digest = self.digest();
        [Artifact::Bytes(&self.artifact), Artifact::Digest(&digest)].map(|artifact| self.verify(&self.bundle, artifact))
    }

    fn digest(&self) -> Digest {
        // Of some of the other places the digest alone is known.
        match std::str::from_utf8(&self.artifact).ok().and_then(|text| Digest::parse(text).ok()) {
            Some(digest) => digest,
            None => Digest::parse(&format!("sha256:{}", hex(digest(&SHA256, &self.artifact).as_ref()))).unwrap(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn suite() -> Vec<String> {
    let folders = fs::read_dir(fixtures().join("sigstore-bundles")).unwrap().map(Result::unwrap);
    let folders = folders.filter(|entry| entry.path().join("bundle.sigstore.json").exists());
    let mut names: Vec<_> = folders.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn every_case_of_the_conformance_suite_comes_out_as_it_says_and_for_its_own_reason() {
    let names = suite();
    assert_eq!(names.len(), 36, "the public cases");
    for name in &names {
        let reason = REASONS.iter().find(|(case, _)| case == name).map(|(_, words)| *words);
        assert_eq!(name.ends_with("_fail"), reason.is_some(), "{name}");
        for outcome in Case::of_suite(name).both() {
            match reason {
                None => assert_eq!(outcome, Ok(()), "{name}"),
                Some(words) => {
                    let error = outcome.expect_err(name);
                    assert!(error.contains(words), "{name}: {error}");
                }
            }
        }
    }
    println!("{} cases, as files and as digests", names.len());
}

/// What Cosign, GitHub, npm and Sigstore's other clients made.
fn others() -> Vec<Case> {
    let blob = fs::read(fixtures().join("cosign/bundles/cosign-v3-blob.txt")).unwrap();
    let github = "https://github.com/login/oauth";
    vec![
        Case::other("cosign/bundles/cosign-v3-blob.sigstore.json", &blob, github, "w.vollprecht@gmail.com", None),
        Case::other(
            "cosign/bundles/oci-attestation.sigstore.json",
            b"sha256:732112270d7e59418a8c080b134b24cabd67d250d0d0147a97ed95ba5c280aa4",
            github,
            "cody@soyland.com",
            Some("cosign/bundles/trusted_root_pgi.json"),
        ),
    ]
}

#[test]
fn bundles_of_other_places_are_accepted_of_their_signers_alone() {
    for case in others() {
        assert_eq!(case.both().into_iter().find(Result::is_ok), Some(Ok(())), "{}: {:?}", case.name, case.both());
        let By::Identity { issuer, subject } = &case.by else { panic!("{}", case.name) };
        for (issuer, subject) in [(format!("{issuer}/"), subject.clone()), (issuer.clone(), format!("x{subject}"))] {
            let other =
                Case { by: By::Identity { issuer, subject }, ..Case::other(&case.name, &case.artifact, "", "", None) };
            let other = Case { root: case.root.clone(), ..other };
            assert_eq!(
                other.verify(&case.bundle, Artifact::Digest(&case.digest())),
                Err("it was made by somebody else".to_owned())
            );
        }
    }
}

/// Changes a part of a bundle; none if it has no such part.
type Change = (&'static str, fn(&mut Value) -> Option<()>);

fn flip(bundle: &mut Value, pointer: &str, byte: impl Fn(&[u8]) -> Option<usize>) -> Option<()> {
    let field = bundle.pointer_mut(pointer)?;
    let mut bytes = STANDARD.decode(field.as_str()?).ok()?;
    let at = byte(&bytes)?;
    *bytes.get_mut(at)? ^= 1;
    *field = STANDARD.encode(bytes).into();
    Some(())
}

fn middle(bytes: &[u8]) -> Option<usize> {
    (!bytes.is_empty()).then_some(bytes.len() / 2)
}

fn last(bytes: &[u8]) -> Option<usize> {
    bytes.len().checked_sub(1)
}

/// A letter of a text inside of the bytes.
fn within(text: &'static [u8]) -> impl Fn(&[u8]) -> Option<usize> {
    move |bytes| Some(bytes.windows(text.len()).position(|window| window == text)? + text.len() - 1)
}

fn certificate(bundle: &mut Value, byte: impl Fn(&[u8]) -> Option<usize>) -> Option<()> {
    let chain = "/verificationMaterial/x509CertificateChain/certificates/0/rawBytes";
    let alone = "/verificationMaterial/certificate/rawBytes";
    let pointer = if bundle.pointer(alone).is_some() { alone } else { chain };
    flip(bundle, pointer, byte)
}

fn add_one(bundle: &mut Value, pointer: &str) -> Option<()> {
    let field = bundle.pointer_mut(pointer)?;
    let number: u64 = field.as_str().map_or_else(|| field.as_u64(), |text| text.parse().ok())?;
    *field = (number + 1).to_string().into();
    Some(())
}

fn rekor_1(bundle: &Value) -> Option<()> {
    (bundle.pointer("/verificationMaterial/tlogEntries/0/integratedTime").is_some()).then_some(())
}

/// One line of the checkpoint: 0 the log's name, 1 the size of the tree, 2 its root, 4 the log's signature.
fn checkpoint(bundle: &mut Value, line: usize) -> Option<()> {
    let field = bundle.pointer_mut("/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope")?;
    let mut lines: Vec<String> = field.as_str()?.split('\n').map(str::to_owned).collect();
    let text = lines.get_mut(line)?;
    let at = if line < 3 { 0 } else { text.len() - 9 };
    let other = match text.as_bytes()[at] {
        b'1'..=b'8' => char::from(text.as_bytes()[at] + 1),
        b'A' => 'B',
        _ => 'A',
    };
    text.replace_range(at..=at, &other.to_string());
    *field = lines.join("\n").into();
    Some(())
}

fn payload(bundle: &mut Value, from: &str, to: &str) -> Option<()> {
    let field = bundle.pointer_mut("/dsseEnvelope/payload")?;
    let text = String::from_utf8(STANDARD.decode(field.as_str()?).ok()?).ok()?;
    let changed = text.replacen(from, to, 1);
    assert_ne!(text, changed, "nothing to change");
    *field = STANDARD.encode(changed).into();
    Some(())
}

fn stamp(bundle: &mut Value, byte: impl Fn(&[u8]) -> Option<usize>) -> Option<()> {
    flip(bundle, "/verificationMaterial/timestampVerificationData/rfc3161Timestamps/0/signedTimestamp", byte)
}

const CHANGES: &[Change] = &[
    ("digest", |b| flip(b, "/messageSignature/messageDigest/digest", middle)),
    ("signature byte", |b| {
        flip(b, "/messageSignature/signature", last).or_else(|| flip(b, "/dsseEnvelope/signatures/0/sig", last))
    }),
    ("payload byte", |b| flip(b, "/dsseEnvelope/payload", middle)),
    ("payload type", |b| {
        *b.pointer_mut("/dsseEnvelope/payloadType")? = "application/vnd.in-toto".into();
        Some(())
    }),
    ("predicate type", |b| payload(b, "\"predicateType\":", "\"predicateType\":\"https://example.com\",\"p\":")),
    ("subject digest", |b| payload(b, "\"sha256\":", "\"sha384\":")),
    ("certificate: its signature", |b| certificate(b, last)),
    ("certificate: its key", |b| {
        certificate(b, within(&[0x03, 0x42, 0x00, 0x04, 0])).or_else(|| {
            certificate(b, |bytes| Some(bytes.windows(4).position(|its| its == [0x03, 0x42, 0x00, 0x04])? + 8))
        })
    }),
    ("certificate: subject", |b| {
        certificate(b, within(b"extremely-dangerous-public"))
            .or_else(|| certificate(b, within(b"gmail")))
            .or_else(|| certificate(b, within(b"soyland")))
    }),
    ("certificate: issuer", |b| {
        certificate(b, within(b"https://token.actions")).or_else(|| certificate(b, within(b"https://github.com/login")))
    }),
    ("no log entry", |b| {
        *b.pointer_mut("/verificationMaterial/tlogEntries")? = Value::Array(Vec::new());
        Some(())
    }),
    ("log index", |b| add_one(b, "/verificationMaterial/tlogEntries/0/logIndex")),
    ("log id", |b| {
        rekor_1(b)?;
        flip(b, "/verificationMaterial/tlogEntries/0/logId/keyId", middle)
    }),
    ("integrated time", |b| {
        rekor_1(b)?;
        add_one(b, "/verificationMaterial/tlogEntries/0/integratedTime")
    }),
    ("log entry", |b| flip(b, "/verificationMaterial/tlogEntries/0/canonicalizedBody", middle)),
    ("promise (SET)", |b| flip(b, "/verificationMaterial/tlogEntries/0/inclusionPromise/signedEntryTimestamp", last)),
    ("inclusion proof: index", |b| {
        rekor_1(b)?;
        add_one(b, "/verificationMaterial/tlogEntries/0/inclusionProof/logIndex")
    }),
    ("inclusion proof: size", |b| {
        rekor_1(b)?;
        add_one(b, "/verificationMaterial/tlogEntries/0/inclusionProof/treeSize")
    }),
    ("inclusion proof: root", |b| {
        rekor_1(b)?;
        flip(b, "/verificationMaterial/tlogEntries/0/inclusionProof/rootHash", middle)
    }),
    ("inclusion proof: hash", |b| flip(b, "/verificationMaterial/tlogEntries/0/inclusionProof/hashes/0", middle)),
    ("checkpoint: log", |b| checkpoint(b, 0)),
    ("checkpoint: size", |b| checkpoint(b, 1)),
    ("checkpoint: root", |b| checkpoint(b, 2)),
    ("timestamp: its signature", |b| stamp(b, last)),
    ("timestamp: time", |b| {
        stamp(b, |bytes| Some(bytes.windows(4).position(|its| its == [0x18, 0x0f, b'2', b'0'])? + 10))
    }),
];

#[test]
fn nothing_that_a_proof_rests_on_can_be_changed() {
    let accepted = suite().into_iter().filter(|name| !name.ends_with("_fail")).map(|name| Case::of_suite(&name));
    let (mut count, mut still) = (0, Vec::new());
    for case in accepted.chain(others()) {
        let whole: Value = serde_json::from_slice(&case.bundle).unwrap();
        let known = Digest::parse(&String::from_utf8_lossy(&case.artifact)).is_err();
        let digest = case.digest();
        let artifact = || if known { Artifact::Bytes(&case.artifact) } else { Artifact::Digest(&digest) };
        assert_eq!(case.verify(&serde_json::to_vec(&whole).unwrap(), artifact()), Ok(()), "{}", case.name);
        let mut done = Vec::new();
        for (what, change) in CHANGES {
            let mut bundle = whole.clone();
            if change(&mut bundle).is_none() {
                continue;
            }
            assert_ne!(bundle, whole, "{}: {what}", case.name);
            done.push(*what);
            if case.verify(&serde_json::to_vec(&bundle).unwrap(), artifact()).is_ok() {
                still.push(format!("{}: {what}", case.name));
            }
        }
        println!("{}: {}", case.name, done.join(", "));
        count += done.len();
    }
    println!("{count} changes, {} still accepted", still.len());
    assert_eq!(still, Vec::<String>::new());
    assert!(count > 150, "only {count} changes");
}
