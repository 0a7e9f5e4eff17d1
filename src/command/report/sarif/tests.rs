use serde_json::{Map, Value};

use super::super::Lines;
use super::super::tests::{denial, refused};
use super::*;
use crate::decision::verdict::Verdict;

/// The objects of the SARIF 2.1.0 schema that we write: what each must have, and what it may have, with the kind of object
/// that stands there (`*`: a list of them). The schema forbids everything else.
const SCHEMA_OBJECTS: &[(&str, &str, &str)] = &[
    ("log", "version runs", "$schema version runs:*run"),
    ("run", "tool", "tool:tool invocations:*invocation results:*result columnKind"),
    ("tool", "driver", "driver:toolComponent"),
    ("toolComponent", "name", "name version semanticVersion informationUri rules:*reportingDescriptor"),
    (
        "reportingDescriptor",
        "id",
        "id shortDescription:text fullDescription:text help:text helpUri defaultConfiguration:configuration properties:bag",
    ),
    ("text", "text", "text markdown"),
    ("configuration", "", "level"),
    ("invocation", "executionSuccessful", "executionSuccessful toolExecutionNotifications:*notification"),
    ("notification", "message", "level message:text locations:*location"),
    (
        "result",
        "message",
        "ruleId ruleIndex level message:text locations:*location partialFingerprints:bag properties:bag",
    ),
    ("location", "", "physicalLocation:physicalLocation logicalLocations:*logicalLocation"),
    ("physicalLocation", "artifactLocation", "artifactLocation:artifactLocation region:region"),
    ("artifactLocation", "", "uri"),
    ("region", "", "startLine"),
    ("logicalLocation", "", "name fullyQualifiedName kind"),
];

fn assert_is(kind: &str, value: &Value) {
    let object: &Map<String, Value> = value.as_object().unwrap_or_else(|| panic!("{kind} is an object, not {value}"));
    if kind == "bag" {
        return;
    }
    let (_, required, allowed) = SCHEMA_OBJECTS.iter().find(|(name, ..)| *name == kind).unwrap();
    for field in required.split_whitespace() {
        assert!(object.contains_key(field), "{kind} lacks {field}: {value:#}");
    }
    for (field, value) in object {
        let found = allowed.split_whitespace().map(|entry| entry.split_once(':').unwrap_or((entry, "")));
        let (_, inside) = found.clone().find(|(name, _)| name == field).unwrap_or_else(|| panic!("{kind} has {field}"));
        match inside.strip_prefix('*') {
            Some(inside) => value.as_array().unwrap().iter().for_each(|item| assert_is(inside, item)),
            None if inside.is_empty() => assert!(!value.is_object() && !value.is_null(), "{kind} {field}: {value}"),
            None => assert_is(inside, value),
        }
    }
}

/// The only run of the log, whose form is right.
fn run(judged: &[Judged], unreadable: &[Mistake]) -> Value {
    let log: Value = serde_json::from_str(&log(judged, unreadable, Path::new("/repo"))).unwrap();
    assert_is("log", &log);
    assert_eq!((&log["version"], &log["$schema"]), (&VERSION.into(), &SCHEMA.into()));
    let run = log["runs"][0].clone();
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    run
}

fn mutable(mode: Mode) -> Denial {
    denial(mode, Reason::TagMutable, "\"latest\" can change under you; pin a digest", false)
}

fn results(run: &Value) -> &Vec<Value> {
    run["results"].as_array().unwrap()
}

#[test]
fn a_refusal_is_a_result_on_the_line_of_its_image() {
    let mut judged = refused("deploy/my app.yaml", "nginx:latest", vec![mutable(Mode::Enforce)]);
    judged.lines = Lines { object: Some(2), images: vec![Some(7)] };
    let run = run(&[judged], &[]);
    let [result] = &**results(&run) else { panic!("{run:#}") };
    let text = "nginx:latest: \"latest\" can change under you; pin a digest (tag-mutable, policy acme).";
    assert_eq!((&result["message"]["text"], &result["level"]), (&text.into(), &"error".into()));
    let physical = &result["locations"][0]["physicalLocation"];
    assert_eq!(physical["artifactLocation"]["uri"], "deploy/my%20app.yaml");
    assert_eq!(physical["region"]["startLine"], 7);
    let logical = &result["locations"][0]["logicalLocations"];
    assert_eq!(logical[0]["name"], "containers[web]");
    assert_eq!(logical[0]["fullyQualifiedName"], "Pod/shop/web/spec.containers[0].image");
    assert_eq!(logical[1]["fullyQualifiedName"], "Pod/shop/web");
    let rule = &run["tool"]["driver"]["rules"][0];
    assert_eq!((&rule["id"], &rule["defaultConfiguration"]["level"]), (&"tag-mutable".into(), &"error".into()));
    assert!(rule["fullDescription"]["text"].as_str().unwrap().contains("pin a digest or use a release tag."));
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn each_mode_has_its_level_and_only_reasons_that_occur_are_rules() {
    let mut judged = refused("app.yaml", "nginx", vec![mutable(Mode::Enforce)]);
    judged.verdict = Verdict {
        warnings: vec![denial(Mode::Warn, Reason::DigestMissing, "pin it", false)],
        audit: vec![denial(Mode::Audit, Reason::Unsigned, "sign it", false)],
        ..judged.verdict
    };
    let run = run(&[judged], &[]);
    let levels: Vec<&Value> = results(&run).iter().map(|result| &result["level"]).collect();
    assert_eq!(levels, ["error", "warning", "note"]);
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let rules: Vec<&Value> = rules.iter().map(|rule| &rule["id"]).collect();
    assert_eq!(rules, ["unsigned", "tag-mutable", "digest-missing"]);
}

#[test]
fn what_cannot_be_told_is_a_result_and_what_cannot_be_read_makes_the_run_unsuccessful() {
    let undetermined = denial(Mode::Enforce, Reason::PodSpecMissing, "no pod spec", true);
    let mut judged = refused("app.yaml", "nginx", vec![undetermined]);
    judged.lines.object = Some(4);
    let told = run(std::slice::from_ref(&judged), &[]);
    let result = &results(&told)[0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"pod-spec-missing".into(), &"error".into()));
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 4);
    assert_eq!(result["locations"][0]["logicalLocations"].as_array().unwrap().len(), 1);
    assert_eq!(told["invocations"][0]["executionSuccessful"], true);

    let mistake = Mistake { line: Some(3), ..Mistake::about("/repo/b.yaml", "is no valid YAML") };
    let told = run(&[judged], &[mistake, Mistake::about("standard input", "cannot be read")]);
    let invocation = &told["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let notification = |index: usize| &invocation["toolExecutionNotifications"][index];
    assert_eq!((&notification(0)["level"], notification(1)["level"].as_str()), (&"error".into(), Some("error")));
    let place = |index: usize| &notification(index)["locations"][0]["physicalLocation"];
    assert_eq!((&place(0)["artifactLocation"]["uri"], &place(0)["region"]["startLine"]), (&"b.yaml".into(), &3.into()));
    assert_eq!(place(1)["artifactLocation"]["uri"], "stdin");
}

#[test]
fn nothing_judged_is_a_run_without_results() {
    let run = run(&[], &[]);
    assert!(results(&run).is_empty() && run["tool"]["driver"]["rules"].as_array().unwrap().is_empty());
}

#[test]
fn a_bare_image_has_no_place_in_a_file_and_standard_input_a_name() {
    let mut bare = refused("arguments", "nginx", vec![mutable(Mode::Enforce)]);
    bare.kind = "Image".to_owned();
    let piped = refused("-", "nginx", vec![mutable(Mode::Enforce)]);
    let run = run(&[bare, piped], &[]);
    let location = |index: usize| &results(&run)[index]["locations"][0];
    assert_eq!(location(0).get("physicalLocation"), None);
    assert_eq!(location(0)["logicalLocations"].as_array().unwrap().len(), 1);
    assert_eq!(location(1)["physicalLocation"]["artifactLocation"]["uri"], "stdin");
    assert_eq!(location(1)["physicalLocation"]["region"]["startLine"], 1);
}

/// Of the first result.
fn fingerprint(judged: Judged) -> String {
    let run = run(&[judged], &[]);
    results(&run)[0]["partialFingerprints"]["pratiqueImage/v1"].as_str().unwrap().to_owned()
}

#[test]
fn a_fingerprint_stays_when_lines_tags_and_counts_move_and_changes_with_what_it_is_about() {
    let of = |image: &str, reason, message: &str| {
        refused("app.yaml", image, vec![denial(Mode::Enforce, reason, message, false)])
    };
    let first = || of("nginx:1.27", Reason::Vulnerable, "2 critical");
    let same = fingerprint(first());
    assert_eq!(same.len(), 16);
    let mut moved = first();
    moved.lines = Lines { object: Some(80), images: vec![Some(99)] };
    assert_eq!(fingerprint(moved), same);
    assert_eq!(fingerprint(of("docker.io/library/nginx:1.28", Reason::Vulnerable, "3 critical")), same);
    let mut renamed = first();
    renamed.name = "api".to_owned();
    let mut elsewhere = first();
    elsewhere.namespace = Some("lax".to_owned());
    for other in [
        of("redis:1.27", Reason::Vulnerable, "2 critical"),
        of("nginx:1.27", Reason::ReportStale, "2 critical"),
        renamed,
        elsewhere,
    ] {
        assert_ne!(fingerprint(other), same);
    }
}

#[test]
fn results_of_one_identity_in_one_file_are_numbered() {
    let twice = || refused("a.yaml", "nginx", vec![mutable(Mode::Enforce), mutable(Mode::Enforce)]);
    let other = refused("b.yaml", "nginx", vec![mutable(Mode::Enforce)]);
    let run = run(&[twice(), other], &[]);
    let hash = |index: usize| results(&run)[index]["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
    let ends: Vec<&str> = (0..3).map(|index| hash(index).rsplit_once(':').unwrap().1).collect();
    assert_eq!(ends, ["1", "2", "1"]);
}

#[test]
fn foreign_words_make_no_links_and_no_lines_and_end() {
    let image = format!("nginx\u{1b}[0m\n[click](https://evil.example){}", "x".repeat(10_000));
    let long = "y".repeat(10_000);
    let run = run(&[refused("a.yaml", &image, vec![denial(Mode::Enforce, Reason::Vulnerable, &long, false)])], &[]);
    let text = results(&run)[0]["message"]["text"].as_str().unwrap();
    assert!(!text.contains("](") && !text.contains(['\n', '\u{1b}']) && text.len() < MESSAGE_BYTES + 100, "{text}");
}

#[test]
fn of_more_results_than_a_page_takes_the_gravest_stay() {
    let many = |mode, count| vec![mutable(mode); count];
    let mut judged = refused("a.yaml", "nginx", many(Mode::Enforce, 1));
    judged.verdict = Verdict { warnings: many(Mode::Warn, RESULTS), ..judged.verdict };
    let last = refused("b.yaml", "nginx", many(Mode::Enforce, 1));
    let run = run(&[judged, last], &[]);
    let results = results(&run);
    let errors = results.iter().filter(|result| result["level"] == "error").count();
    assert_eq!((results.len(), errors), (RESULTS, 2));
    let notification = &run["invocations"][0]["toolExecutionNotifications"][0];
    assert_eq!(notification["message"]["text"], "2 results are left out, the lightest.");
    assert_eq!(
        (&notification["level"], &run["invocations"][0]["executionSuccessful"]),
        (&"warning".into(), &true.into())
    );
}
