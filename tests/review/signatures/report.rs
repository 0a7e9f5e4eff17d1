//! What `check` tells of signatures, and the log.

use pratique_testkit::run;
use pratique_testkit::signer::{KeyKind, Wrong};
use serde_json::json;

use super::*;
use crate::PRATIQUE;

#[tokio::test(flavor = "multi_thread")]
async fn check_lists_every_signature_with_whose_it_is_and_why_it_does_not_count() {
    let (key, sigstore) = (Key::generate(KeyKind::P256), PrivateSigstore::new());
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let attach = |layer: Layer, place| layer.attach(&registry, "acme/web", &digest, place);
    attach(Signer::key(&key).simple(&payload(&registry, &digest)), Place::SignatureTag);
    let signer = |subject: &str| Signer::keyless(&sigstore, ISSUER, subject);
    attach(
        signer("https://github.com/evil/web").bundle(Version::V03, &Statement::signature_of(&digest)),
        Place::Referrer,
    );
    let forged = signer(RELEASE).but(Wrong::EntryOfAnotherArtifact);
    attach(forged.bundle(Version::V03, &Statement::signature_of(&digest)), Place::Referrer);
    let folder = Directory::new();
    folder.write("root.json", &sigstore.trusted_root_json());
    let root = folder.path().join("root.json");
    folder.write("config.yaml", &format!("trust: [{{name: private, trustedRoot: \"{}\"}}]\n", root.display()));
    let manifests = Directory::new();
    let authorities = [keys("ops", &[&key]), keyless("release", ISSUER, RELEASE)];
    manifests.policy("acme", &spec("signatures: {authorities: [ops, release]}", &authorities));
    let image = format!("{}/acme/web:v1", registry.host());
    let (config, manifests) = (folder.file("config.yaml"), manifests.path().display().to_string());
    let arguments = ["check", "--config", &config, "--manifests", &manifests, "--policy", "acme", "-o", "json", &image];
    let outcome = run(PRATIQUE, &arguments);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let json = outcome.json();
    let signatures = json["objects"][0]["images"][0]["signatures"].as_array().unwrap();
    let told = |layout: &str, subject: &serde_json::Value| {
        let its = |found: &&serde_json::Value| found["layout"] == layout && found["subject"] == *subject;
        signatures.iter().find(its).unwrap_or_else(|| panic!("{layout} {subject}: {json:#}"))
    };
    let by_key = told("sig-tag", &json!(null));
    assert_eq!(
        (&by_key["accepted"], &by_key["authority"], &by_key["why"]),
        (&json!(true), &json!("ops"), &json!(null))
    );
    assert_eq!(by_key["key"], format!("SHA256:{}", key.fingerprint()).replace("SHA256:SHA256:", "SHA256:"));
    let stranger = told("bundle-v0.3", &json!("https://github.com/evil/web"));
    assert_eq!((&stranger["accepted"], &stranger["authority"]), (&json!(false), &json!(null)));
    assert!(stranger["why"].as_str().unwrap().contains("issued to"), "{stranger}");
    assert!(stranger["integratedTime"].is_string(), "{stranger}");
    let forged = told("bundle-v0.3", &json!(RELEASE));
    assert_eq!(forged["accepted"], json!(false));
    assert!(forged["why"].as_str().unwrap().contains("log"), "{forged}");
}
