//! What is asked of Pratique about one image, and what `check` and a webhook say: always the same.

use pratique::image::Platform;
use pratique_testkit::real::run_in;
use pratique_testkit::{Answer, Directory, Review, Webhook, pod, review};
use serde_json::{Value, json};

use crate::PRATIQUE;
use crate::world::World;

/// Which digest a pod names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// What the tag is: an index, where there is one.
    Top,
    /// The manifest of this platform.
    Manifest(&'static str),
}

/// One question, and the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) image: &'static str,
    pub(crate) named: Named,
    /// The architecture that the pod selects; none: nodes of both.
    pub(crate) architecture: Option<&'static str>,
    /// `vulnerabilities` of the rule.
    pub(crate) policy: &'static str,
    /// The reason of the refusal that is told first; empty: admitted.
    pub(crate) reason: &'static str,
}

impl Ask {
    pub(crate) fn of(image: &'static str, policy: &'static str, reason: &'static str) -> Self {
        Self { image, named: Named::Top, architecture: None, policy, reason }
    }

    pub(crate) fn on(self, architecture: &'static str) -> Self {
        Self { architecture: Some(architecture), ..self }
    }

    pub(crate) fn manifest(self, platform: &'static str) -> Self {
        Self { named: Named::Manifest(platform), ..self }
    }

    /// The image as a pod names it.
    fn name(self, world: &World) -> String {
        let digest = match self.named {
            Named::Top => crate::table::digest_of(self.image, "linux/amd64", "index")
                .or_else(|| crate::table::digest_of(self.image, "linux/amd64", "manifest")),
            Named::Manifest(platform) => crate::table::digest_of(self.image, platform, "manifest"),
        };
        format!("{}@{}", world.repository(self.image), digest.expect("the facts have every digest"))
    }

    /// None: both say what they should.
    pub(crate) async fn differs(self, world: &World, reports: &Directory) -> Option<String> {
        let (said, image) = self.check(world, reports);
        if said != self.reason {
            return Some(format!("check says {said:?}, not {:?}: {image:#}", self.reason));
        }
        let webhook = self.webhook(world, reports).await;
        let answer = self.review(world, &webhook).await;
        let said = reason(&answer);
        (said != self.reason).then(|| format!("the webhook says {said:?}, not {:?}: {answer:?}", self.reason))
    }

    /// The reason by `check`, and its JSON of the image.
    pub(crate) fn check(self, world: &World, reports: &Directory) -> (String, Value) {
        let (files, manifests) = (Directory::new(), Directory::new());
        files.write("settings.yaml", &json!({"platforms": PLATFORMS}).to_string());
        files.write("pod.json", &self.created(world)["request"]["object"].to_string());
        manifests.policy("scans", &spec(self.policy));
        let outcome = run_in(
            &[],
            &[
                &[PRATIQUE, "check", "-o", "json", "--policy", "scans", "--config", &files.file("settings.yaml")][..],
                &["--manifests", &manifests.file(""), "--scans", &reports.file(""), "-f", &files.file("pod.json")],
            ]
            .concat(),
        );
        assert!(outcome.stdout.starts_with('{'), "{outcome:?}");
        let image = outcome.json()["objects"][0]["images"][0].clone();
        let admitted = image["verdict"] == "admitted";
        assert_eq!(outcome.code == Some(0), admitted, "{image:#}");
        let said = image["denials"][0]["reason"].as_str().filter(|_| !admitted).unwrap_or_default();
        (said.to_owned(), image)
    }

    /// One that watches the folder.
    pub(crate) async fn webhook(self, world: &World, reports: &Directory) -> Webhook {
        let folder = reports.path().to_owned();
        let setup = Webhook::setup().registry(&world.registry).policy("scans", &spec(self.policy)).enforce("scans");
        let setup = setup.configure(move |config| {
            config.scans.directories.push(folder);
            config.platforms =
                ["amd64", "arm64"].map(|name| Platform { architecture: name.to_owned(), ..Platform::default() }).into();
        });
        setup.start().await
    }

    pub(crate) async fn review(self, world: &World, webhook: &Webhook) -> Answer {
        webhook.review(&self.created(world)).await
    }

    /// A pod is created with this image, on these nodes.
    fn created(self, world: &World) -> Review {
        let review = review(&pod("web").container("web", &self.name(world)));
        match self.architecture {
            None => review,
            Some(name) => review.set("/request/object/spec/nodeSelector", json!({"kubernetes.io/arch": name})),
        }
    }
}

/// Nodes of a pod that selects none.
const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// A policy of one rule, in which what cannot be told refuses.
fn spec(vulnerabilities: &str) -> String {
    format!("unavailable: deny\nrules:\n- name: all\n  images: [\"**\"]\n  vulnerabilities: {{{vulnerabilities}}}\n")
}

/// The reason of a refusal that is told first; empty where it is admitted.
pub(crate) fn reason(answer: &Answer) -> &str {
    if answer.allowed {
        return "";
    }
    let line = answer.first_line();
    line.split(": ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or(line)
}
