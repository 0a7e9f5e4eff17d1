//! Images are signed and attested: every layout, every kind of signer, and what is told where something is missing.

use std::time::Duration;

use pratique_testkit::signer::{Key, Layer, Payload, PrivateSigstore, Signer, Statement, Version};
use pratique_testkit::{Answer, Directory, Image, Place, Registry, Setup, Webhook, pod, review};

mod attestations;
mod cost;
mod layouts;
mod outages;
mod peers;
mod platforms;
mod report;
mod trust;

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const RELEASE: &str = "https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1";

/// A policy of one rule for everything, in which whatever cannot be told refuses.
fn spec(demands: &str, authorities: &[String]) -> String {
    let authorities: String = authorities.iter().map(|authority| format!("- {authority}\n")).collect();
    format!(
        "unavailable: deny\nrules:\n- name: all\n  images: [\"**\"]\n{}\nauthorities:\n{authorities}",
        indented(demands)
    )
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// An authority of public keys, in JSON, which YAML reads as well.
fn keys(name: &str, keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| serde_json::json!({"pem": key.public_pem()})).collect();
    serde_json::json!({"name": name, "keys": keys}).to_string()
}

/// An authority of certificates of the root `private`.
fn keyless(name: &str, issuer: &str, subject: &str) -> String {
    serde_json::json!({"name": name, "keyless": {"issuer": issuer, "subject": subject}, "trust": "private"}).to_string()
}

/// With the trusted root of a private Sigstore under the name `private`; the folder holds its file.
fn trusting(setup: Setup, sigstore: &PrivateSigstore) -> (Setup, Directory) {
    let folder = Directory::new();
    folder.write("trusted_root.json", &sigstore.trusted_root_json());
    let path = folder.path().join("trusted_root.json");
    let root = pratique::config::TrustedRoot { name: "private".to_owned(), trusted_root: path, tuf: None };
    (setup.configure(move |config| config.trust.push(root)), folder)
}

/// An image of one platform that was pushed as `acme/web:v1`; its digest.
fn pushed(registry: &Registry) -> String {
    registry.push("acme/web", "v1", &Image::single())
}

fn payload(registry: &Registry, digest: &str) -> Payload {
    Payload::of(digest, &format!("{}/acme/web", registry.host()))
}

async fn ask(webhook: &Webhook, registry: &Registry) -> Answer {
    let image = format!("{}/acme/web:v1", registry.host());
    webhook.review(&review(&pod("web").container("web", &image))).await
}

fn reason(answer: &Answer) -> &str {
    let line = answer.message.lines().next().unwrap_or_default();
    line.split(": ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or(line)
}

/// A registry with the image, and a webhook with one demand: signed by this key. What is new is seen at once.
async fn signed_by(key: &Key) -> (Registry, String, Webhook) {
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let policy = spec("signatures: {authorities: [release]}", &[keys("release", &[key])]);
    let setup = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme");
    let webhook = setup.budget(|budget| budget.negative = Duration::ZERO).start().await;
    (registry, digest, webhook)
}

/// A simple-signing layer and a bundle of the same signer.
fn both(signer: &Signer, registry: &Registry, digest: &str) -> [(Layer, Place); 2] {
    [
        (signer.simple(&payload(registry, digest)), Place::SignatureTag),
        (signer.bundle(Version::V03, &Statement::signature_of(digest)), Place::Referrer),
    ]
}
