//! Manifests that change while the program runs, and manifests that it does not start with.

use pratique_testkit::{Client, Directory, Program, Webhook, eventually, pod, review};

use crate::{LATEST, PINNED, PRATIQUE, TAGGED};

const NO_LATEST: &str = "rules:\n- name: all\n  images: [\"**\"]\n  tags: {deny: [latest]}\n";
const DIGESTS: &str = "rules:\n- name: all\n  images: [\"**\"]\n  tags: {requireDigest: true}\n";
const BROKEN: &str = "rules:\n- name: all\n  images: [\"**\"]\n  tgas: {deny: [latest]}\n";

async fn admits(client: &Client, image: &str) -> bool {
    client.review(&review(&pod("web").container("web", image))).await.allowed
}

async fn is_stale(client: &Client) -> bool {
    client.metric("pratique_manifests_stale").await == Some(1.0)
}

async fn acme() -> Webhook {
    Webhook::setup().policy("acme", NO_LATEST).namespace("shop", &[("enforce", "acme")]).start().await
}

#[tokio::test]
async fn a_policy_that_is_replaced_is_in_force_without_a_restart() {
    let webhook = acme().await;
    assert!(admits(&webhook, TAGGED).await && !admits(&webhook, LATEST).await);
    webhook.manifests().policy("acme", DIGESTS);
    eventually("the new policy refuses tags", async || !admits(&webhook, TAGGED).await).await;
    assert!(admits(&webhook, PINNED).await);
}

#[tokio::test]
async fn a_namespace_that_gets_a_label_is_judged_by_it() {
    let webhook = Webhook::setup().namespace("shop", &[]).start().await;
    assert!(admits(&webhook, LATEST).await);
    webhook.manifests().namespace("shop", &[("pratique.dev/enforce", "baseline")]);
    eventually("the label refuses latest", async || !admits(&webhook, LATEST).await).await;
    webhook.manifests().remove("namespace-shop.yaml");
    eventually("without the namespace the defaults judge", async || admits(&webhook, LATEST).await).await;
}

#[tokio::test]
async fn a_policy_that_goes_away_leaves_labels_that_name_nothing() {
    let webhook = acme().await;
    assert!(admits(&webhook, TAGGED).await);
    webhook.manifests().remove("policy-acme.yaml");
    eventually("a label without its policy refuses", async || !admits(&webhook, TAGGED).await).await;
    let answer = webhook.review(&review(&pod("web").container("web", PINNED))).await;
    assert!(answer.message.contains("policy-unknown"), "{answer:?}");
}

#[tokio::test]
async fn broken_manifests_leave_the_last_good_ones_in_force_and_are_told_of() {
    let webhook = acme().await;
    assert!(!is_stale(&webhook).await);
    webhook.manifests().policy("acme", BROKEN);
    // A change beside the mistake: nothing of it may come into force.
    webhook.manifests().namespace("shop", &[]);
    eventually("the metric says so", async || is_stale(&webhook).await).await;
    assert!(admits(&webhook, TAGGED).await && !admits(&webhook, LATEST).await, "the last good set is in force");
    let ready = webhook.get("/readyz").await;
    assert_eq!(ready.status, 200, "every replica has the same files: {}", ready.text());
    assert!(ready.text().contains("policy-acme.yaml"), "{}", ready.text());

    webhook.manifests().policy("acme", DIGESTS);
    eventually("it recovers", async || !is_stale(&webhook).await).await;
    assert!(admits(&webhook, LATEST).await, "the label went away as well, and now that counts");
    assert!(!webhook.get("/readyz").await.text().contains("policy-acme.yaml"));
}

#[tokio::test]
async fn a_broken_policy_keeps_nobody_waiting() {
    let webhook = acme().await;
    for round in 0..10 {
        webhook.manifests().policy("acme", if round % 2 == 0 { BROKEN } else { NO_LATEST });
        assert!(admits(&webhook, TAGGED).await && !admits(&webhook, LATEST).await, "round {round}");
    }
}

#[tokio::test]
async fn the_log_names_every_mistake_of_broken_manifests() {
    let manifests = Directory::new();
    manifests.policy("acme", NO_LATEST);
    let program = Program::serve(PRATIQUE, &manifests, &[]).await;
    manifests.policy("acme", BROKEN);
    manifests.write("other.yaml", "kind: [");
    eventually("the log says so", async || {
        let log = program.log();
        log.contains("policy-acme.yaml") && log.contains("tgas") && log.contains("other.yaml")
    })
    .await;
}

#[tokio::test]
async fn a_folder_with_mistakes_does_not_start_and_all_of_them_are_told() {
    let mistakes = Webhook::setup()
        .policy("good", NO_LATEST)
        .policy("misspelt", BROKEN)
        .policy("empty", "rules: []")
        .manifest("broken.yaml", "kind: ImagePolicy\n  name: [")
        .policy("unchecked", "rules:\n- name: all\n  images: [\"**\"]\n  signatures: {authorities: [nobody]}\n")
        .try_start()
        .await
        .expect_err("it must not start");
    for file in ["policy-misspelt.yaml", "policy-empty.yaml", "broken.yaml", "policy-unchecked.yaml"] {
        assert!(mistakes.iter().any(|mistake| mistake.contains(file)), "{file}: {mistakes:#?}");
    }
    assert!(!mistakes.iter().any(|mistake| mistake.contains("policy-good.yaml")), "{mistakes:#?}");
    assert!(mistakes.iter().any(|mistake| mistake.contains("spec.rules[0].tgas")), "with the path: {mistakes:#?}");
}

#[tokio::test]
async fn two_policies_of_one_name_are_a_mistake_and_one_of_a_built_in_name_replaces_it() {
    let twice = Webhook::setup().policy("acme", NO_LATEST).manifest(
        "again.yaml",
        "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: acme}\n\
         spec: {rules: [{name: all, images: [\"**\"], admit: true}]}\n",
    );
    let mistakes = twice.try_start().await.expect_err("it must not start");
    assert!(mistakes.iter().any(|mistake| mistake.contains("acme")), "{mistakes:#?}");
    let webhook = Webhook::setup().policy("baseline", DIGESTS).enforce("baseline").start().await;
    assert!(!admits(&webhook, TAGGED).await, "our own baseline is in force");
}

#[tokio::test]
async fn settings_that_name_no_policy_do_not_start() {
    for setup in
        [Webhook::setup().enforce("no-such"), Webhook::setup().floor("no-such"), Webhook::setup().warn("no-such")]
    {
        let mistakes = setup.try_start().await.expect_err("it must not start");
        assert!(mistakes.iter().any(|mistake| mistake.contains("no-such")), "{mistakes:#?}");
    }
}
