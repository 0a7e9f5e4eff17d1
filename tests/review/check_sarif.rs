//! `pratique check -o sarif`: what a code-scanning page is given. Its form is tested beside the code.

use pratique_testkit::{Directory, Outcome, run, run_with_input};
use serde_json::Value;

use crate::{LATEST, PINNED, PINNED_POLICY, PRATIQUE};

/// Judged by `pinned`.
fn sarif(arguments: &[&str]) -> Outcome {
    let mut all = vec!["check", "--manifests", PINNED_POLICY, "--policy", "pinned", "-o", "sarif"];
    all.extend(arguments);
    run(PRATIQUE, &all)
}

fn pod(image: &str) -> String {
    format!(
        "# one\n---\nkind: Pod\napiVersion: v1\nmetadata: {{name: web}}\nspec:\n  containers:\n  - name: a\n    image: {image}\n"
    )
}

/// The only run of the log.
fn run_of(outcome: &Outcome) -> Value {
    let log = outcome.json();
    assert_eq!((&log["version"], log["runs"].as_array().map(Vec::len)), (&"2.1.0".into(), Some(1)), "{log:#}");
    log["runs"][0].clone()
}

#[test]
fn the_exit_status_and_the_run_tell_refused_admitted_and_unreadable_apart() {
    let folder = Directory::new();
    folder.write("refused \u{e9}.yaml", &pod(LATEST));
    folder.write("admitted.yaml", &pod(PINNED));
    folder.write("broken.yaml", "kind: [");
    folder.write("no-spec.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n");
    for (file, code, reason, successful) in [
        ("refused \u{e9}.yaml", 1, Some("digest-missing"), true),
        ("admitted.yaml", 0, None, true),
        ("no-spec.yaml", 2, Some("pod-spec-missing"), true),
        ("broken.yaml", 2, None, false),
    ] {
        let outcome = sarif(&["-f", &folder.file(file)]);
        let run = run_of(&outcome);
        let results = run["results"].as_array().unwrap();
        assert_eq!(outcome.code, Some(code), "{file}: {outcome:?}");
        assert_eq!(results.first().and_then(|result| result["ruleId"].as_str()), reason, "{file}: {run:#}");
        assert_eq!(run["invocations"][0]["executionSuccessful"], successful, "{file}");
    }
}

#[test]
fn a_refusal_stands_on_the_line_of_its_image() {
    let folder = Directory::new();
    folder.write("a b.yaml", &pod(LATEST));
    let place = |run: &Value| run["results"][0]["locations"][0]["physicalLocation"].clone();
    let named = place(&run_of(&sarif(&["-f", &folder.file("a b.yaml")])));
    let uri = named["artifactLocation"]["uri"].as_str().unwrap();
    assert!(uri.starts_with("file:///") && uri.ends_with("/a%20b.yaml"), "{uri}");
    assert_eq!(named["region"]["startLine"], 9);
    let piped = run_with_input(
        PRATIQUE,
        &["check", "--manifests", PINNED_POLICY, "--policy", "pinned", "-o", "sarif", "-f", "-"],
        &pod(LATEST),
    );
    let piped = place(&run_of(&piped));
    assert_eq!((&piped["artifactLocation"]["uri"], &piped["region"]["startLine"]), (&"stdin".into(), &9.into()));
}

#[test]
fn every_published_manifest_has_the_right_line_for_every_image() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pods");
    let policies = Directory::new();
    policies.policy("none", "rules:\n- name: all\n  images: [\"**\"]\n  refuse: here\n");
    let (manifests, folder) = (policies.path().display().to_string(), folder.display().to_string());
    let arguments = ["check", "--manifests", &manifests, "--policy", "none", "-o", "sarif", "-f", &folder];
    let run = run_of(&run(PRATIQUE, &arguments));
    let results = run["results"].as_array().unwrap();
    assert!(results.len() > 150, "{}", results.len());
    for result in results.iter().filter(|result| result["ruleId"] == "refused-by-rule") {
        let place = &result["locations"][0]["physicalLocation"];
        let file = place["artifactLocation"]["uri"].as_str().unwrap();
        let text = std::fs::read_to_string(file.strip_prefix("file://").unwrap_or(file)).unwrap();
        let number = usize::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap();
        let line = text.lines().nth(number - 1).unwrap();
        let image = result["properties"]["image"].as_str().unwrap();
        assert!(line.contains(image), "{file}:{number} is {line:?} and not {image}");
    }
}

#[test]
fn images_that_are_named_are_results_without_a_file_and_that_is_said() {
    let outcome = sarif(&[LATEST]);
    let run = run_of(&outcome);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(run["results"][0]["locations"][0].get("physicalLocation"), None, "{run:#}");
    assert!(outcome.stderr.contains("stand in no file"), "{outcome:?}");
}
