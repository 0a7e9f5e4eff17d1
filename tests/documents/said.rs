//! What users see: refusals, each made to happen.

use pratique::config::TrustedRoot;
use pratique_testkit::signer::{Layer, PrivateSigstore, Signer, Statement, Version};
use pratique_testkit::{Client, Directory, Image, Place, Registry, Review, Webhook, eventually, pod, review};

use crate::texts::{blocks, fenced, show_the_second};

const POD: &str = include_str!("../fixtures/reviews/captured-reviews/pod-create.json");

#[tokio::test]
async fn the_refusal_on_the_first_screen_is_what_the_program_says() {
    let webhook = Webhook::setup().enforce("pinned").start().await;
    let answer = webhook.review(&Review::read(POD).in_namespace("prod")).await;
    assert_eq!(fenced("refusal"), answer.as_kubectl(), "{}", show_the_second("refusal"));
}

/// What stands behind `denied the request: `, with `registry.example` for the registry on loopback.
pub(crate) async fn denied(webhook: &Client, registry: &Registry, image: &str) -> String {
    let image = image.replace("registry.example", registry.host());
    let answer = webhook.review(&review(&pod("web").container("web", &image))).await;
    let line = answer.message.lines().next().unwrap_or_default();
    line.replace(registry.host(), "registry.example")
}

#[tokio::test]
async fn what_users_see_of_registries_is_what_the_program_says() {
    let (open, closed) = (Registry::setup().start().await, Registry::setup().basic("shop", "throw-away").start().await);
    open.push("acme/web", "1.0", &Image::single());
    let policy = "unavailable: deny\nrules:\n- {name: all, images: [\"**\"], tags: {repointed: deny}}";
    let setup = Webhook::setup().registry(&open).registry(&closed).policy("acme", policy).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = std::time::Duration::ZERO).start().await;
    let web = "registry.example/acme/web:1.0";
    assert_eq!(denied(&webhook, &open, web).await, "", "it is admitted, and so on record");
    open.push("acme/web", "1.0", &Image::single().label("another"));
    let mut moved = String::new();
    eventually("the registry has been asked again", async || {
        moved = denied(&webhook, &open, web).await;
        !moved.is_empty()
    })
    .await;
    let absent = denied(&webhook, &open, "registry.example/acme/web:2.0").await;
    let inaccessible = denied(&webhook, &closed, web).await;
    open.go_away();
    let unavailable = denied(&webhook, &open, "registry.example/acme/api:1.0").await;
    let said = [absent, inaccessible, unavailable, moved].join("\n");
    assert_eq!(fenced("registries"), said, "{}", show_the_second("registries"));
}

const ISSUER: &str = "https://token.actions.githubusercontent.com";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The policy of the documents whose rules are for this name, of images on this registry.
pub(crate) fn policy_shown(name: &str, registry: &Registry) -> String {
    let named = format!("metadata: {{name: {name}}}");
    let shown = blocks("yaml").into_iter().map(|block| block.text).find(|text| text.contains(&named));
    let shown = shown.unwrap_or_else(|| panic!("the documents: show a policy {name}"));
    let (_, spec) = shown.split_once("spec:\n").unwrap();
    let spec: String = spec.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    // There is no public Sigstore here: the one of the test takes its place.
    spec.replace("ghcr.io/", &format!("{}/", registry.host())).replace("  keyless:", "  trust: private\n  keyless:")
}

#[tokio::test]
async fn what_users_see_of_signatures_is_what_the_program_says() {
    let (registry, sigstore, folder) = (Registry::setup().start().await, PrivateSigstore::new(), Directory::new());
    folder.write("trusted_root.json", &sigstore.trusted_root_json());
    let trusted_root = folder.path().join("trusted_root.json");
    let root = TrustedRoot { name: "private".to_owned(), trusted_root, tuf: None };
    let setup = Webhook::setup().registry(&registry).configure(|config| config.trust.push(root)).enforce("acme");
    let setup = setup.policy("acme", &policy_shown("signed-by-pipeline", &registry));
    let webhook = setup.budget(|budget| budget.negative = std::time::Duration::ZERO).start().await;
    let digest = registry.push("acme/web", "v1", &Image::single());
    let workflow = |repository: &str| {
        let subject = format!("https://github.com/{repository}/.github/workflows/release.yaml@refs/tags/v1");
        // `runnerEnvironment` and `buildTrigger`.
        Signer::keyless(&sigstore, ISSUER, &subject).extension(11, "github-hosted").extension(20, "push")
    };
    let sign = |signer: &Signer| signer.bundle(Version::V03, &Statement::signature_of(&digest));
    let attest = |builder: &str| {
        let predicate = serde_json::json!({
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {"workflow": {"repository": "https://github.com/acme/web"}},
            },
            "runDetails": {"builder": {"id": builder}},
        });
        workflow("acme/web").bundle(Version::V03, &Statement::about(&digest, PROVENANCE).predicate(predicate))
    };
    let attach = |layer: &Layer| drop(layer.attach(&registry, "acme/web", &digest, Place::Referrer));
    let web = "registry.example/acme/web:v1";
    attach(&attest("https://github.com/acme/web/.github/workflows/nightly.yaml@refs/heads/main"));
    let unsigned = denied(&webhook, &registry, web).await;
    attach(&sign(&workflow("evil/web")));
    let stranger = denied(&webhook, &registry, web).await;
    attach(&sign(&workflow("acme/web")));
    let condition = denied(&webhook, &registry, web).await;
    attach(&attest("https://github.com/acme/web/.github/workflows/release.yaml@refs/tags/v1"));
    assert_eq!(denied(&webhook, &registry, web).await, "", "the policy that is shown admits what its workflow made");
    let said = [unsigned, stranger, condition].join("\n");
    assert_eq!(fenced("signatures"), said, "{}", show_the_second("signatures"));
}
