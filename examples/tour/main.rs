//! The quick start: `cargo run --example tour`.
//!
//! Starts the webhook in this process with three namespaces that ask different things of it, sends it AdmissionReviews as a
//! real API server sent them, and shows what the person at the other end would see. Then a registry in this process holds
//! images that are signed, and such that are not, images that were scanned, and such that were not, has one of its tags
//! moved, and goes away. It needs no cluster and no network, and ends with an error where an answer is not what it should be.

use std::time::Duration;

use pratique::config::TrustedRoot;
use pratique_testkit::signer::{PrivateSigstore, Signer, Statement, Version};
use pratique_testkit::{Answer, Directory, Image, Place, Registry, Review, Webhook, eventually, pod, review};

mod scans;

/// One scene: what somebody does, the review that the API server makes of it, and what must come of it.
struct Scene {
    title: &'static str,
    command: &'static str,
    review: &'static str,
    namespace: &'static str,
    outcome: Outcome,
}

/// What must be so; each with a word that must be seen.
enum Outcome {
    Admitted,
    Refused(&'static str),
    Warned(&'static str),
    Audited(&'static str),
}

const PINNED: &str = "rules:\n- {name: all, images: [\"**\"], tags: {requireDigest: true}}";
const TEAM: &str = "rules:\n- {name: all, images: [\"**\"], tags: {deny: [latest], repointed: deny}}";

/// Who vouches for the workflows, and which of them releases.
const ISSUER: &str = "https://token.actions.githubusercontent.com";
const RELEASE: &str = "https://github.com/acme/shop/.github/workflows/release.yaml@refs/tags/*";
const SIGNED: &str = "\
rules:
- {name: own, images: [\"**\"], signatures: {authorities: [release]}}
authorities:
- name: release
  keyless: {issuer: \"ISSUER\", subject: \"SUBJECT\"}
  trust: private";

const SCENES: [Scene; 8] = [
    Scene {
        title: "A pod whose image is named by its digest",
        command: "kubectl create -n prod -f pinned.yaml",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/pod-create-generatename.json"),
        namespace: "prod",
        outcome: Outcome::Admitted,
    },
    Scene {
        title: "A pod of four images, of which one is named by its digest and three are named by tags",
        command: "kubectl apply -n prod -f web.yaml",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/pod-create.json"),
        namespace: "prod",
        outcome: Outcome::Refused("and 2 more images"),
    },
    Scene {
        title: "An image that is mounted as a volume is an image too",
        command: "kubectl apply -n prod -f image-volume.yaml",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/pod-create-image-volume.json"),
        namespace: "prod",
        outcome: Outcome::Refused("volumes[model] ghcr.io/acme/model:v3"),
    },
    Scene {
        title: "A pod that is there already changes its label: its images stay, so it is left alone",
        command: "kubectl apply -n prod -f web.yaml    # with another label",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/pod-update-label.json"),
        namespace: "prod",
        outcome: Outcome::Admitted,
    },
    Scene {
        title: "A debugging container slipped into that pod: it alone is judged",
        command: "kubectl debug -n prod web --image=busybox:1.36",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/pod-update-ephemeralcontainers.json"),
        namespace: "prod",
        outcome: Outcome::Refused("ephemeralContainers["),
    },
    Scene {
        title: "A Deployment makes pods later: it is told now, and its pods are refused when they come",
        command: "kubectl create deployment web -n prod --image=nginx",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/deployment-create.json"),
        namespace: "prod",
        outcome: Outcome::Warned("nginx"),
    },
    Scene {
        title: "No tag means `latest`, whatever that is today: a namespace that only warns says so",
        command: "kubectl run imp -n dev --image=busybox --dry-run=server",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/pod-create-dryrun-impersonated.json"),
        namespace: "dev",
        outcome: Outcome::Warned("tag-mutable"),
    },
    Scene {
        title: "The same pod where nobody is to be bothered yet: only the audit log knows",
        command: "kubectl run imp -n legacy --image=busybox --dry-run=server",
        review: include_str!("../../tests/fixtures/reviews/captured-reviews/pod-create-dryrun-impersonated.json"),
        namespace: "legacy",
        outcome: Outcome::Audited("digest-missing"),
    },
];

#[tokio::main]
async fn main() -> Result<(), String> {
    let registry = Registry::setup().start().await;
    let (sigstore, folder, reports) = (PrivateSigstore::new(), Directory::new(), Directory::new());
    folder.write("trusted_root.json", &sigstore.trusted_root_json());
    let trusted_root = folder.path().join("trusted_root.json");
    let private = TrustedRoot { name: "private".to_owned(), trusted_root, tuf: None };
    let scanned = reports.path().to_owned();
    let webhook = Webhook::setup()
        .registry(&registry)
        .configure(|config| config.trust.push(private))
        .configure(|config| config.scans.directories.push(scanned))
        .policy("signed", &SIGNED.replace("ISSUER", ISSUER).replace("SUBJECT", RELEASE))
        .namespace("shop", &[("enforce", "signed")])
        .policy("scanned", scans::POLICY)
        .namespace("bank", &[("enforce", "scanned")])
        .policy("team", TEAM)
        .namespace("team", &[("enforce", "team")])
        // A minute otherwise, and nobody wants to wait here.
        .budget(|budget| budget.tag_fresh = Duration::ZERO)
        .policy("pinned", PINNED)
        .namespace("prod", &[("enforce", "pinned")])
        .namespace("dev", &[("warn", "baseline")])
        .namespace("legacy", &[("audit", "restricted")])
        .start()
        .await;
    say("Three namespaces, labelled as Pod Security does it; `baseline` and `restricted` are built in:");
    say("  prod    pratique.dev/enforce=pinned       every image by its digest, or it is refused");
    say("  dev     pratique.dev/warn=baseline        `latest` earns a warning");
    say("  legacy  pratique.dev/audit=restricted     seen in the audit log alone");
    let mut wrong = Vec::new();
    for (index, scene) in SCENES.iter().enumerate() {
        let review = Review::read(scene.review).in_namespace(scene.namespace);
        let answer = webhook.review(&review).await;
        show(index + 1, scene, &answer);
        if !scene.outcome.is(&answer) {
            wrong.push(scene.title);
        }
    }
    wrong.extend(signature_scenes(&webhook, &registry, &sigstore, SCENES.len()).await);
    let before = SCENES.len() + SIGNATURE_SCENES;
    wrong.extend(scans::scenes(&webhook, &registry, &reports, before).await);
    wrong.extend(registry_scenes(&webhook, &registry, before + scans::COUNT).await);
    say("\nTry next: `pratique check --policy restricted nginx:1.27`, the same judgement in CI,");
    say(
        "and `pratique serve --manifests manifests/policies`, the webhook itself; the README has the way to a cluster.",
    );
    if wrong.is_empty() { Ok(()) } else { Err(format!("not as it should be: {}", wrong.join("; "))) }
}

/// How many there are.
const SIGNATURE_SCENES: usize = 3;

/// Three images that differ in who signed them, seen from a namespace that asks for the signature of one workflow.
async fn signature_scenes(
    webhook: &Webhook,
    registry: &Registry,
    sigstore: &PrivateSigstore,
    before: usize,
) -> Vec<&'static str> {
    say(&format!(
        "\nA registry at {}, and a namespace `shop` that asks for a signature (keyless, private",
        registry.host()
    ));
    say("Sigstore) by the workflow that releases:");
    say(&format!("  {RELEASE}"));
    let scenes: [(_, _, Option<&str>, Option<&str>); SIGNATURE_SCENES] = [
        (
            "An image that its release workflow signed, as `cosign sign` does it",
            "web",
            Some("https://github.com/acme/shop/.github/workflows/release.yaml@refs/tags/v1"),
            None,
        ),
        ("An image that nobody signed", "new", None, Some("unsigned")),
        (
            "An image that is signed, with a valid certificate and in the log, by the same workflow in somebody's fork",
            "fork",
            Some("https://github.com/mallory/shop/.github/workflows/release.yaml@refs/tags/v1"),
            Some("signature-untrusted"),
        ),
    ];
    let mut wrong = Vec::new();
    for (index, (title, name, signer, refused)) in scenes.into_iter().enumerate() {
        let repository = format!("shop/{name}");
        let digest = registry.push(&repository, "v1", &Image::single().label(name));
        if let Some(subject) = signer {
            let bundle =
                Signer::keyless(sigstore, ISSUER, subject).bundle(Version::V03, &Statement::signature_of(&digest));
            bundle.attach(registry, &repository, &digest, Place::Referrer);
        }
        let image = format!("{}/{repository}:v1", registry.host());
        let answer = webhook.review(&review(&pod(name).container(name, &image)).in_namespace("shop")).await;
        tell(before + index + 1, title, &format!("kubectl run {name} -n shop --image={image}"), &answer);
        let right = match refused {
            Some(reason) => !answer.allowed && answer.message.contains(reason),
            None => answer.allowed && annotation(&answer, "basis") == "EveryDemandMet",
        };
        if !right {
            wrong.push(title);
        }
    }
    wrong
}

/// What happens to one tag in a registry, seen from a namespace that does not let tags move.
async fn registry_scenes(webhook: &Webhook, registry: &Registry, number: usize) -> Vec<&'static str> {
    say("\nThe same registry, and a namespace `team` that refuses a tag which was moved since it was admitted:");
    let image = format!("{}/team/shop:v1", registry.host());
    let asked = review(&pod("shop").container("shop", &image)).in_namespace("team");
    let mut wrong = Vec::new();
    let mut expect = |title, right: bool| {
        if !right {
            wrong.push(title);
        }
    };

    let title = "A multi-platform image by its tag: the tag is resolved to a digest that is hashed here, and recorded";
    let first = registry.push("team/shop", "v1", &Image::platforms(&["linux/amd64", "linux/arm64"]));
    let answer = webhook.review(&asked).await;
    tell(number + 1, title, &format!("kubectl run shop -n team --image={image}"), &answer);
    say(&format!("   audit log: images.pratique.dev/digests: {}", annotation(&answer, "digests")));
    expect(title, answer.allowed && annotation(&answer, "digests").contains(&first));

    let title = "Somebody pushes another image to the same tag";
    registry.push("team/shop", "v1", &Image::single().label("not what was admitted"));
    let answer = refusal(webhook, &asked).await;
    tell(number + 2, title, &format!("kubectl run shop -n team --image={image}"), &answer);
    expect(title, answer.message.contains("tag-repointed"));

    let title = "It is moved back, and then the registry is gone: what is known is still admitted, and the audit log says on what";
    registry.point("team/shop", "v1", &first);
    eventually("the tag is seen to be back", async || webhook.review(&asked).await.allowed).await;
    registry.go_away();
    let mut answer = webhook.review(&asked).await;
    eventually("the registry is seen to be gone", async || {
        answer = webhook.review(&asked).await;
        annotation(&answer, "basis") == "LastKnownGood"
    })
    .await;
    tell(number + 3, title, &format!("kubectl run shop -n team --image={image}"), &answer);
    say(&format!("   audit log: images.pratique.dev/basis: {}", annotation(&answer, "basis")));
    expect(title, answer.allowed);

    let title =
        "An image that nobody has seen yet has to wait for the registry: kubectl itself tries again when it reads 503";
    let new = format!("{}/team/new:v1", registry.host());
    let answer = webhook.review(&review(&pod("new").container("new", &new)).in_namespace("team")).await;
    tell(number + 4, title, &format!("kubectl run new -n team --image={new}"), &answer);
    expect(title, answer.code == Some(503) && answer.retry_after == Some(1));
    wrong
}

/// What is known is answered while it is asked again, so a change is seen a moment later.
async fn refusal(webhook: &Webhook, asked: &Review) -> Answer {
    let mut answer = webhook.review(asked).await;
    eventually("the change is seen", async || {
        answer = webhook.review(asked).await;
        !answer.allowed
    })
    .await;
    answer
}

fn annotation<'a>(answer: &'a Answer, key: &str) -> &'a str {
    answer.annotations.get(key).map_or("", String::as_str)
}

impl Outcome {
    fn is(&self, answer: &Answer) -> bool {
        let told = |word: &str| answer.warnings.iter().any(|warning| warning.contains(word));
        let recorded = |word: &str| answer.annotations.get("audited").is_some_and(|entry| entry.contains(word));
        let quiet = answer.warnings.is_empty();
        match self {
            Self::Admitted => answer.allowed && quiet,
            Self::Refused(word) => !answer.allowed && answer.message.contains(word),
            Self::Warned(word) => answer.allowed && told(word),
            Self::Audited(word) => answer.allowed && quiet && recorded(word),
        }
    }
}

fn show(number: usize, scene: &Scene, answer: &Answer) {
    tell(number, scene.title, scene.command, answer);
    if matches!(scene.outcome, Outcome::Audited(_)) {
        for (key, value) in &answer.annotations {
            say(&format!("   audit log: images.pratique.dev/{key}: {value}"));
        }
    }
}

fn tell(number: usize, title: &str, command: &str, answer: &Answer) {
    say(&format!("\n{number}. {title}\n   $ {command}"));
    for line in answer.as_kubectl().lines() {
        say(&format!("   {line}"));
    }
}

#[expect(clippy::print_stdout, reason = "showing is what a tour is for")]
fn say(line: &str) {
    println!("{line}");
}
