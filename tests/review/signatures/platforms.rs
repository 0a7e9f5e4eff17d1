//! Images of several platforms: the index is signed, or every platform that the pod can run on.

use pratique_testkit::signer::KeyKind;
use serde_json::json;

use super::*;

/// A webhook whose nodes are of these platforms, an index of amd64, arm64 and what a builder attests beside them.
async fn scene(key: &Key, signed: &str, nodes: &[&str]) -> (Registry, Image, Webhook) {
    let registry = Registry::setup().start().await;
    let image = Image::platforms(&["linux/amd64", "linux/arm64"]).attested();
    registry.push("acme/web", "v1", &image);
    let policy = spec(&format!("signatures: {{authorities: [release], signed: {signed}}}"), &[keys("release", &[key])]);
    let platforms = nodes.iter().map(|node| {
        let (os, architecture) = node.split_once('/').unwrap();
        pratique::image::Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None }
    });
    let platforms: Vec<_> = platforms.collect();
    let setup = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme");
    let webhook = setup.configure(|config| config.platforms = platforms).start().await;
    (registry, image, webhook)
}

fn sign(key: &Key, registry: &Registry, digest: &str) {
    let layer = Signer::key(key).simple(&payload(registry, digest));
    layer.attach(registry, "acme/web", digest, Place::SignatureTag);
}

#[tokio::test]
async fn the_index_or_every_platform_as_the_rule_says() {
    let key = Key::generate(KeyKind::P256);
    const BOTH: [&str; 2] = ["linux/amd64", "linux/arm64"];
    for (signed, on_index, on_children, nodes, admitted) in [
        ("either", true, 0, BOTH.as_slice(), true),
        ("either", false, 2, &BOTH, true),
        ("either", false, 1, &BOTH, false),
        ("either", false, 1, &["linux/amd64"], true),
        ("index", true, 0, &BOTH, true),
        ("index", false, 2, &BOTH, false),
        ("platforms", true, 0, &BOTH, false),
        ("platforms", true, 1, &BOTH, false),
        ("platforms", false, 2, &BOTH, true),
        // Nobody said what the nodes are.
        ("either", false, 2, &[], true),
        ("either", false, 1, &[], false),
        // The nodes run what the index has nothing for.
        ("platforms", true, 2, &["linux/s390x"], false),
        ("either", false, 2, &["windows/amd64"], false),
    ] {
        let (registry, image, webhook) = scene(&key, signed, nodes).await;
        if on_index {
            sign(&key, &registry, &image.digest());
        }
        for (_, digest) in
            image.children().iter().filter(|(platform, _)| BOTH.contains(&platform.as_str())).take(on_children)
        {
            sign(&key, &registry, digest);
        }
        let answer = ask(&webhook, &registry).await;
        assert_eq!(answer.allowed, admitted, "{signed} {on_index} {on_children} {nodes:?}: {}", answer.message);
        if !admitted {
            assert_eq!(reason(&answer), "unsigned");
        }
    }
}

#[tokio::test]
async fn a_pod_that_can_only_run_on_one_platform_needs_only_that_one_signed() {
    let key = Key::generate(KeyKind::P256);
    let (registry, image, webhook) = scene(&key, "platforms", &["linux/amd64", "linux/arm64"]).await;
    let (_, amd64) = image.children().into_iter().find(|(platform, _)| platform == "linux/amd64").unwrap();
    sign(&key, &registry, &amd64);
    let named = format!("{}/acme/web:v1", registry.host());
    let ask = async |selector: serde_json::Value| {
        let object = review(&pod("web").container("web", &named));
        webhook.review(&object.set("/request/object/spec/nodeSelector", selector)).await.allowed
    };
    assert!(!ask(json!({})).await);
    assert!(ask(json!({"kubernetes.io/arch": "amd64"})).await);
    assert!(!ask(json!({"kubernetes.io/arch": "arm64"})).await);
    // On no node that we know of: then on whatever there is.
    assert!(!ask(json!({"kubernetes.io/arch": "riscv64"})).await);
}
