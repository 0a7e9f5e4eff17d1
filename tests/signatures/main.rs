//! Real cosign against real registries.
#![expect(clippy::panic, reason = "a test fails by panicking, in its helpers too")]
mod cosign;
mod sigstore;

#[test]
#[ignore = "x"]
fn try_it() {
    let cosign = cosign::Cosign::new();
    let sigstore = sigstore::Sigstore::new(&cosign);
    println!("{}", std::fs::read_to_string(sigstore.file("root.json")).unwrap());
    println!("{}", std::fs::read_to_string(sigstore.file("logged.json")).unwrap());
    println!("{}", sigstore.issuers.mail_token("a@b.example"));
    println!("{}", sigstore.issuers.workflow_token("acme/shop", "v1"));
    println!("fulcio {} entries {} dir {}", sigstore.fulcio, sigstore.entries, sigstore.file(""));
    std::thread::sleep(std::time::Duration::from_secs(std::env::var("STAY").map_or(0, |s| s.parse().unwrap())));
}
