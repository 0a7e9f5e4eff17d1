//! Wherever a client has put a signature, it is found.

use pratique_testkit::Route;
use pratique_testkit::signer::KeyKind;

use super::*;

#[tokio::test]
async fn a_signature_is_found_wherever_clients_put_it() {
    let key = Key::generate(KeyKind::P256);
    let places = [Place::SignatureTag, Place::Referrer, Place::FallbackTag, Place::UntypedFallbackTag];
    for place in places {
        let (registry, digest, webhook) = signed_by(&key).await;
        assert_eq!(reason(&ask(&webhook, &registry).await), "unsigned", "{place:?}");
        let layer = Signer::key(&key).simple(&payload(&registry, &digest));
        layer.attach(&registry, "acme/web", &digest, place);
        pratique_testkit::eventually("what is new is seen", async || ask(&webhook, &registry).await.allowed).await;
    }
    for place in [Place::Referrer, Place::FallbackTag, Place::UntypedFallbackTag] {
        let (registry, digest, webhook) = signed_by(&key).await;
        let bundle = Signer::key(&key).bundle(Version::V03, &Statement::signature_of(&digest));
        bundle.attach(&registry, "acme/web", &digest, place);
        let answer = ask(&webhook, &registry).await;
        assert!(answer.allowed, "{place:?}: {}", answer.message);
    }
}

#[tokio::test]
async fn registries_without_the_referrers_api_are_understood_however_they_say_so() {
    let key = Key::generate(KeyKind::P256);
    for behaviour in pratique_testkit::Behaviour::no_referrers() {
        let (registry, digest, webhook) = signed_by(&key).await;
        let bundle = Signer::key(&key).bundle(Version::V03, &Statement::signature_of(&digest));
        bundle.attach(&registry, "acme/web", &digest, Place::UntypedFallbackTag);
        registry.on(Route::Referrers, behaviour.clone());
        let answer = ask(&webhook, &registry).await;
        assert!(answer.allowed, "{behaviour:?}: {}", answer.message);
    }
}

#[tokio::test]
async fn one_of_several_signatures_in_one_manifest_is_enough_in_any_order() {
    let (key, other) = (Key::generate(KeyKind::P256), Key::generate(KeyKind::Ed25519));
    for order in [[&key, &other], [&other, &key]] {
        let (registry, digest, webhook) = signed_by(&key).await;
        for key in order {
            let layer = Signer::key(key).simple(&payload(&registry, &digest));
            layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
        }
        let answer = ask(&webhook, &registry).await;
        assert!(answer.allowed, "{}", answer.message);
    }
}

#[tokio::test]
async fn signatures_are_looked_for_where_the_rule_says_and_nowhere_else() {
    let key = Key::generate(KeyKind::P256);
    let registry = Registry::setup().start().await;
    let digest = pushed(&registry);
    let demand = format!("signatures: {{authorities: [release], repository: \"{}/acme/signatures\"}}", registry.host());
    let policy = spec(&demand, &[keys("release", &[&key])]);
    let setup = Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme");
    let webhook = setup.budget(|budget| budget.negative = Duration::ZERO).start().await;
    let layer = Signer::key(&key).simple(&payload(&registry, &digest));
    layer.attach(&registry, "acme/web", &digest, Place::SignatureTag);
    assert_eq!(reason(&ask(&webhook, &registry).await), "unsigned");
    layer.attach(&registry, "acme/signatures", &digest, Place::SignatureTag);
    pratique_testkit::eventually("it is where it belongs", async || ask(&webhook, &registry).await.allowed).await;
}

#[tokio::test]
async fn every_bundle_and_simple_signing_of_the_keyless_is_verified() {
    let sigstore = PrivateSigstore::new();
    let registry = Registry::setup().start().await;
    let policy = spec("signatures: {authorities: [release]}", &[keyless("release", ISSUER, RELEASE)]);
    let (setup, _root) =
        trusting(Webhook::setup().registry(&registry).policy("acme", &policy).enforce("acme"), &sigstore);
    let webhook = setup.start().await;
    let signer = Signer::keyless(&sigstore, ISSUER, RELEASE);
    let image = |name: &str| registry.push(name, "v1", &Image::single().label(name));
    let mut asked = Vec::new();
    let digest = image("acme/simple");
    let reference = format!("{}/acme/simple", registry.host());
    signer.simple(&Payload::of(&digest, &reference)).attach(&registry, "acme/simple", &digest, Place::SignatureTag);
    asked.push("acme/simple".to_owned());
    for (index, version) in Version::ALL.into_iter().enumerate() {
        let name = format!("acme/bundle-{index}");
        let digest = image(&name);
        let bundle = signer.bundle(version, &Statement::signature_of(&digest));
        bundle.attach(&registry, &name, &digest, Place::Referrer);
        asked.push(name);
    }
    for name in asked {
        let named = format!("{}/{name}:v1", registry.host());
        let answer = webhook.review(&review(&pod("web").container("web", &named))).await;
        assert!(answer.allowed, "{name}: {}", answer.message);
    }
}

#[tokio::test]
async fn keys_of_every_kind_sign() {
    for kind in KeyKind::ALL {
        let key = Key::generate(kind);
        for index in 0..2 {
            let (registry, digest, webhook) = signed_by(&key).await;
            let (layer, place) = both(&Signer::key(&key), &registry, &digest).into_iter().nth(index).unwrap();
            layer.attach(&registry, "acme/web", &digest, place);
            let answer = ask(&webhook, &registry).await;
            assert!(answer.allowed, "{kind:?} {place:?}: {}", answer.message);
        }
    }
}
