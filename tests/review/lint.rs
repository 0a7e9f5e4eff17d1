//! `pratique lint`: every mistake at once.

use pratique_testkit::{Directory, run};

use crate::PRATIQUE;

const GOOD: &str = "rules:\n- name: all\n  images: [\"**\"]\n  tags: {deny: [latest]}\n";

fn mistaken() -> Directory {
    let directory = Directory::new();
    directory.policy("good", GOOD);
    directory.policy("misspelt", "rules:\n- name: all\n  images: [\"**\"]\n  tags: {denny: [latest]}\n");
    directory.policy("pattern", "rules:\n- name: all\n  images: [\"ghcr.io/a**b\"]\n  tags: {deny: [latest]}\n");
    directory.policy("later", "rules:\n- name: all\n  images: [\"**\"]\n  vulnerabilities: {threshold: severe}\n");
    directory.write("syntax.yaml", "apiVersion: pratique.dev/v1alpha1\nkind: [\n");
    directory
}

#[test]
fn policies_without_a_mistake_pass() {
    let directory = Directory::new();
    directory.policy("good", GOOD);
    directory.namespace("shop", &[("pratique.dev/enforce", "good")]);
    let outcome = run(PRATIQUE, &["lint", "--manifests", &directory.path().display().to_string()]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn the_built_in_policies_pass() {
    let outcome = run(PRATIQUE, &["lint"]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn every_mistake_of_every_file_is_told_with_its_place() {
    let directory = mistaken();
    let outcome = run(PRATIQUE, &["lint", "--manifests", &directory.path().display().to_string()]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for told in [
        "policy-misspelt.yaml",
        "spec.rules[0].tags.denny",
        "policy-pattern.yaml",
        "spec.rules[0].images[0]",
        "policy-later.yaml",
        "spec.rules[0].vulnerabilities.threshold",
        "syntax.yaml",
    ] {
        assert!(outcome.stdout.contains(told), "{told}: {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("policy-good.yaml"), "{}", outcome.stdout);
}

#[test]
fn a_waiver_that_has_ended_is_a_warning_where_its_end_is_written_and_no_mistake() {
    let directory = Directory::new();
    let waiver = "{id: CVE-2025-1234, until: 2025-11-01, reason: r, owner: platform@acme.example}";
    let demand = format!("vulnerabilities:\n    threshold: high\n    ignore:\n    - {waiver}\n");
    directory.policy("waiving", &format!("rules:\n- name: all\n  images: [\"**\"]\n  {demand}"));
    let outcome = run(PRATIQUE, &["lint", "-o", "json", "--manifests", &directory.path().display().to_string()]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let answer = outcome.json();
    let [warning] = answer["warnings"].as_array().expect("warnings").as_slice() else { panic!("one: {answer}") };
    assert_eq!(warning["path"], "spec.rules[0].vulnerabilities.ignore[0].until");
    assert_eq!(
        warning["message"],
        "the waiver of CVE-2025-1234 ended on 2025-11-01 and has no effect (owner platform@acme.example)"
    );
    assert!(warning["line"].is_u64() && warning["source"].as_str().is_some_and(|its| its.ends_with("waiving.yaml")));
}

#[test]
fn the_json_lists_the_same_mistakes() {
    let directory = mistaken();
    let outcome = run(PRATIQUE, &["lint", "-o", "json", "--manifests", &directory.path().display().to_string()]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let answer = outcome.json();
    assert_eq!(answer["valid"], false);
    let mistakes = answer["mistakes"].as_array().expect("mistakes");
    let misspelt = mistakes.iter().find(|mistake| mistake["path"] == "spec.rules[0].tags.denny").expect("it is listed");
    assert!(misspelt["source"].as_str().is_some_and(|source| source.ends_with("policy-misspelt.yaml")), "{misspelt}");
    assert_eq!(misspelt["line"], 8, "{misspelt}");
    assert!(
        misspelt["message"].as_str().is_some_and(|message| message.contains("deny")),
        "it says what was meant: {misspelt}"
    );
}

#[test]
fn settings_are_linted_too() {
    let directory = Directory::new();
    directory.write("good.yaml", "defaults: {enforce: baseline, warn: null}\nexemptNamespaces: [kube-system]\n");
    directory.write("bad.yaml", "defualts: {enforce: baseline}\ncontrollers: maybe\nlisten: nowhere\n");
    assert_eq!(run(PRATIQUE, &["lint", "--config", &directory.file("good.yaml")]).code, Some(0));
    let outcome = run(PRATIQUE, &["lint", "--config", &directory.file("bad.yaml")]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for told in ["defualts", "controllers", "listen"] {
        assert!(outcome.stdout.contains(told), "{told}: {}", outcome.stdout);
    }
}

#[test]
fn what_registries_need_is_linted_beside_the_manifests_and_neither_hides_the_other() {
    let directory = mistaken();
    let settings = Directory::new();
    settings.write("docker.json", "{\"auths\": []}");
    let docker = settings.file("docker.json");
    settings.write("settings.yaml", &format!("defaults: {{warn: gone}}\nregistries: {{dockerConfig: {docker}}}\n"));
    let outcome =
        run(PRATIQUE, &["lint", "--config", &settings.file("settings.yaml"), "--manifests", &directory.file("")]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for told in ["policy-misspelt.yaml", &format!("{docker}:1: auths")] {
        assert!(outcome.stdout.contains(told), "{told}: {}", outcome.stdout);
    }
    let outcome = run(PRATIQUE, &["lint", "--config", &settings.file("settings.yaml")]);
    for told in ["defaults.warn", &format!("{docker}:1: auths")] {
        assert!(outcome.stdout.contains(told), "{told}: {}", outcome.stdout);
    }
}
