//! `cosign attest --type vuln` of what Trivy wrote, by real cosign, judged by who attested it.

use std::process::Command;

use pratique_testkit::real::{Client, Running, built, run_in};
use pratique_testkit::{Directory, Outcome};
use serde_json::{Value, json};

use crate::PRATIQUE;
use crate::world::{World, layout};

/// Who attests, and somebody else.
const RELEASE: &str = "release";
const OTHER: &str = "other";

/// A registry that takes what cosign writes, with two images, and cosign with two keys beside no service.
struct Attested {
    world: World,
    cosign: Directory,
    host: String,
    _registry: Running,
}

impl Attested {
    async fn new() -> Self {
        let mut registry = Running::start(&mut Command::new(built("referrers-registry")));
        let host = format!("127.0.0.1:{}", registry.port("listening on 127.0.0.1:"));
        let all = Self { world: World::new().await, cosign: Directory::new(), host, _registry: registry };
        for image in ["api", "clean"] {
            Client::new().crane(&["push", &layout(image), &format!("{}:v1", all.name(image))]);
        }
        for key in [RELEASE, OTHER] {
            all.cosign(&["generate-key-pair", &format!("--output-key-prefix={}", all.cosign.file(key))]);
        }
        all.cosign(&["signing-config", "create", &format!("--out={}", all.cosign.file("services.json"))]);
        all.cosign(&["trusted-root", "create", &format!("--out={}", all.cosign.file("root.json"))]);
        all
    }

    fn name(&self, image: &str) -> String {
        format!("{}/acme/{image}", self.host)
    }

    fn pinned(&self, image: &str) -> String {
        let digest = crate::table::digest_of(image, "linux/amd64", "manifest").expect("the facts have it");
        format!("{}@{digest}", self.name(image))
    }

    /// The three lines of a CI job, but for the name of the key; the report is of `scanned`.
    fn attest(&self, image: &str, scanned: &str, layout: &[String]) {
        let predicate = self.cosign.path().join(format!("{scanned}.json"));
        let scan = ["--scanners", "vuln", "-f", "cosign-vuln", &format!("{}:v1", self.name(scanned))];
        assert_eq!(self.world.trivy(&predicate, &scan).code, Some(0));
        let key = format!("--key={}", self.cosign.file(&format!("{RELEASE}.key")));
        let predicate = predicate.display().to_string();
        let mut all = vec!["attest", "-y", "--type=vuln", "--predicate", &predicate, &key];
        all.extend(layout.iter().map(String::as_str));
        let pinned = self.pinned(image);
        all.push(&pinned);
        self.cosign(&all);
    }

    /// Flags for a bundle, which refers to the image.
    fn bundle(&self) -> [String; 2] {
        ["signing-config=services.json", "trusted-root=root.json"].map(|flag| {
            let (flag, file) = flag.split_once('=').expect("a flag and a file");
            format!("--{flag}={}", self.cosign.file(file))
        })
    }

    fn cosign(&self, arguments: &[&str]) {
        let home = self.cosign.path().display();
        let settings = [format!("HOME={home}"), format!("DOCKER_CONFIG={home}"), "COSIGN_PASSWORD=".to_owned()];
        let cosign = built("cosign");
        let outcome = run_in(&settings, &[&[cosign.as_str()], arguments].concat());
        assert_eq!(outcome.code, Some(0), "cosign {arguments:?}\n{}", outcome.stderr);
    }

    /// The reason that `check` tells first, and its JSON of the image; whom `key` belongs to is trusted.
    fn judged(&self, image: &str, key: &str, vulnerabilities: &Value) -> (String, Value) {
        let pem =
            std::fs::read_to_string(self.cosign.file(&format!("{key}.pub"))).expect("each key has its public one");
        let manifests = Directory::new();
        let mut vulnerabilities = vulnerabilities.clone();
        vulnerabilities["authorities"] = json!(["it"]);
        let rule = json!({"name": "all", "images": ["**"], "vulnerabilities": vulnerabilities});
        let authority = json!({"name": "it", "keys": [{"pem": pem}]});
        let policy = json!({"unavailable": "deny", "rules": [rule], "authorities": [authority]});
        manifests.policy("attested", &policy.to_string());
        let (folder, pinned) = (manifests.file(""), self.pinned(image));
        let command = [PRATIQUE, "check", "-o", "json", "--policy", "attested", "--manifests", &folder, &pinned];
        let outcome: Outcome = run_in(&[], &command);
        assert!(outcome.stdout.starts_with('{'), "{outcome:?}");
        let image = outcome.json()["objects"][0]["images"][0].clone();
        (image["denials"][0]["reason"].as_str().unwrap_or_default().to_owned(), image)
    }
}

#[tokio::test]
#[ignore = "needs real programs: .ci/run scanners"]
async fn an_attested_report_counts_if_somebody_who_is_trusted_attested_it_of_that_image() {
    let attested = Attested::new().await;
    let tag = ["use-signing-config", "tlog-upload", "new-bundle-format"].map(|flag| format!("--{flag}=false"));
    let (strict, lenient) =
        (json!({"threshold": "critical"}), json!({"threshold": "critical", "allow": {"critical": 2}}));
    let mut table = Vec::new();
    let mut expect = |how: &str, image: &str, key: &str, policy: &Value, reason: &str| {
        let (said, answer) = attested.judged(image, key, policy);
        table.push(format!("trivy, cosign attest | {how} | {image} | trusting {key} | {policy} | {said:?}"));
        assert_eq!(said, reason, "{table:#?}\n{answer:#}");
        answer
    };
    expect("nothing", "api", RELEASE, &lenient, "report-missing");
    attested.attest("api", "api", &attested.bundle());
    let answer = expect("bundle", "api", RELEASE, &lenient, "");
    assert_eq!(
        (&answer["reports"][0]["origin"], &answer["reports"][0]["scanner"]),
        (&json!("attestation"), &json!("trivy"))
    );
    assert_eq!(answer["reports"][0]["findings"]["total"], 20);
    expect("bundle", "api", RELEASE, &strict, "vulnerable");
    expect("bundle", "api", OTHER, &lenient, "report-missing");
    // What was scanned is not what it is attested of: of which nobody who is trusted made a report.
    attested.attest("clean", "api", &tag);
    expect("tag, of another image", "clean", RELEASE, &lenient, "report-failed");
    attested.attest("clean", "clean", &tag);
    expect("tag", "clean", RELEASE, &strict, "");
    println!("{}", table.join("\n"));
}
