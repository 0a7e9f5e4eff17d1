//! Whose credentials are used, for what, and who learns what they open.

use pratique_testkit::{Directory, Image, Program, Registry, Route, Webhook, eventually, pod, review};
use serde_json::json;

use super::{MOVED_IS_REFUSED, ask, named, pull_secret};
use crate::PRATIQUE;

const ALICE: &str = "alice-has-this-password";
const BOB: &str = "bob-has-another-one";

async fn private_registry() -> Registry {
    let registry = Registry::setup()
        .tls()
        .token("operator", "not-used-here")
        .private("acme")
        .user("alice", ALICE, &["acme"])
        .user("bob", BOB, &["bobs"])
        .start()
        .await;
    registry.push("acme/web", "v1", &Image::single());
    registry
}

#[tokio::test]
async fn a_private_image_is_known_to_a_namespace_only_after_its_own_credential_was_accepted() {
    let registry = private_registry().await;
    let image = named(&registry, "acme/web:v1");
    let webhook = Webhook::setup()
        .policy("acme", MOVED_IS_REFUSED)
        .enforce("acme")
        .namespace("shop", &[])
        .namespace("bank", &[])
        .namespace("other", &[])
        .manifest("shop.yaml", &pull_secret("shop", "pull", registry.host(), "alice", ALICE))
        .manifest("bank.yaml", &pull_secret("bank", "pull", registry.host(), "bob", BOB))
        .manifest("other.yaml", &pull_secret("other", "pull", registry.host(), "alice", ALICE))
        .registry(&registry)
        .start()
        .await;
    let ask = async |namespace: &str, secrets: serde_json::Value| {
        let object = pod("web").container("web", &image);
        let review = review(&object).set("/request/object/spec/imagePullSecrets", secrets).in_namespace(namespace);
        webhook.review(&review).await
    };
    let pull = || json!([{"name": "pull"}]);
    let answer = ask("shop", pull()).await;
    assert!(answer.allowed, "{answer:?}");
    for (namespace, secrets) in
        [("bank", pull()), ("bank", json!([])), ("shop", json!([])), ("shop", json!([{"name": "gone"}]))]
    {
        let answer = ask(namespace, secrets.clone()).await;
        assert!(!answer.allowed, "{namespace} {secrets}");
        assert!(answer.message.contains("image-inaccessible"), "{namespace} {secrets}: {}", answer.message);
        assert!(!answer.message.contains("sha256:"), "who may not see the image does not learn its digest");
    }
    let before = registry.count(Route::Manifest);
    assert!(ask("other", pull()).await.allowed);
    assert_eq!(registry.count(Route::Manifest), before, "the same credential in another namespace opens the same");
}

#[tokio::test]
async fn the_secrets_of_the_service_account_count_and_none_where_they_are_switched_off() {
    for (pull_secrets, allowed) in [
        (pratique::config::PullSecrets::Named, true),
        (pratique::config::PullSecrets::All, true),
        (pratique::config::PullSecrets::None, false),
    ] {
        let registry = private_registry().await;
        let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: shop, name: default}\n\
                       imagePullSecrets: [{name: pull}]\n";
        let webhook = Webhook::setup()
            .policy("acme", MOVED_IS_REFUSED)
            .enforce("acme")
            .manifest("shop.yaml", &pull_secret("shop", "pull", registry.host(), "alice", ALICE))
            .manifest("account.yaml", account)
            .registry(&registry)
            .configure(|config| config.registries.pull_secrets = pull_secrets)
            .start()
            .await;
        let answer = ask(&webhook, "shop", &named(&registry, "acme/web:v1")).await;
        assert_eq!(answer.allowed, allowed, "{pull_secrets:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_secret_that_is_changed_is_used_at_once_and_one_that_is_broken_leaves_the_last_good_one() {
    let registry = private_registry().await;
    let account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: shop, name: default}\n\
                   imagePullSecrets: [{name: pull}]\n";
    let webhook = Webhook::setup()
        .policy("acme", MOVED_IS_REFUSED)
        .enforce("acme")
        .manifest("shop.yaml", &pull_secret("shop", "pull", registry.host(), "alice", "wrong"))
        .manifest("account.yaml", account)
        .registry(&registry)
        .start()
        .await;
    let image = named(&registry, "acme/web:v1");
    assert!(ask(&webhook, "shop", &image).await.message.contains("image-inaccessible"));
    webhook.manifests().write("shop.yaml", &pull_secret("shop", "pull", registry.host(), "alice", ALICE));
    eventually("the new secret is in force", async || ask(&webhook, "shop", &image).await.allowed).await;
    webhook.manifests().write("shop.yaml", &pull_secret("shop", "pull", registry.host(), "alice", "\"broken"));
    eventually("the mistake is told", async || webhook.metrics().await.contains("pratique_manifests_stale 1")).await;
    assert!(ask(&webhook, "shop", &image).await.allowed);
}

#[tokio::test]
async fn no_credential_is_ever_written_anywhere() {
    let (registry, folder, manifests) = (private_registry().await, Directory::new(), Directory::new());
    registry.write_hosts(folder.path());
    let settings = format!(
        "defaults: {{enforce: acme}}\nregistries: {{hosts: {}}}\nlog: {{level: trace}}\n",
        folder.path().display()
    );
    let config = Directory::new();
    config.write("settings.yaml", &settings);
    manifests.policy("acme", MOVED_IS_REFUSED);
    manifests.namespace("shop", &[]);
    manifests.write("alice.yaml", &pull_secret("shop", "alice", registry.host(), "alice", ALICE));
    manifests.write("bob.yaml", &pull_secret("shop", "bob", registry.host(), "bob", BOB));
    let program = Program::serve(PRATIQUE, &manifests, &["--config", &config.file("settings.yaml")]).await;
    let ask = async |name: &str, image: &str| {
        let object = pod("web").container("web", image);
        let secrets = json!([{"name": name}]);
        let review = review(&object).set("/request/object/spec/imagePullSecrets", secrets).in_namespace("shop");
        program.client().review(&review).await
    };
    let image = named(&registry, "acme/web:v1");
    let mut told = String::new();
    for (secret, name) in [("alice", &image), ("bob", &image), ("alice", &named(&registry, "acme/absent:v1"))] {
        told += &format!("{:?}", ask(secret, name).await);
    }
    registry.on(Route::Any, pratique_testkit::Behaviour::EchoAuthorization { status: 403 });
    told += &format!("{:?}", ask("alice", &named(&registry, "acme/echo:v1")).await);
    told += &program.log();
    told += &program.client().metrics().await;
    assert!(told.contains("image-inaccessible") && told.contains("pratique_registry_requests_total"), "{told}");
    let mut handed_in = registry.authorizations();
    assert!(
        handed_in.iter().any(|value| value.starts_with("Basic "))
            && handed_in.iter().any(|value| value.starts_with("Bearer "))
    );
    handed_in =
        handed_in.iter().filter_map(|value| value.split_once(' ')).map(|(_, secret)| secret.to_owned()).collect();
    handed_in.extend([ALICE.to_owned(), BOB.to_owned()]);
    for secret in handed_in {
        assert!(!told.contains(&secret), "a credential is told");
    }
}
