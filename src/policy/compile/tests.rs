use std::fs;
use std::path::{Path, PathBuf};

use super::super::document::{Entry, Value};
use super::super::{Action, Demands, Repointed, TagDemands};
use super::*;
use crate::fact::attached::Fingerprint;

mod signed;
mod vulnerabilities;

fn compile(node: &Node, source: &str) -> Result<Compiled, Vec<Mistake>> {
    super::compile(node, source, &any_key)
}

/// Whatever is written gives a key of its own, and the same the same.
#[expect(clippy::unnecessary_wraps, reason = "as the readers of real keys")]
fn any_key(at: KeyAt<'_>) -> Result<PublicKey, String> {
    let text = format!("{at:?}");
    let mut fingerprint = [0; 32];
    for (index, byte) in text.bytes().enumerate() {
        let slot: &mut u8 = &mut fingerprint[index % 32];
        *slot = slot.rotate_left(3) ^ byte;
    }
    Ok(PublicKey { fingerprint: Fingerprint(fingerprint), spki: text.into_bytes().into() })
}

fn fixtures(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    assert!(!paths.is_empty());
    paths.iter().map(|path| (path.to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())).collect()
}

fn valid() -> Vec<(String, String)> {
    let mut files = fixtures("tests/fixtures/policies/valid");
    files.extend(fixtures("manifests/policies"));
    files
}

fn node(text: &str) -> Node {
    let mut documents = parse_documents(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

fn mistakes(text: &str) -> Vec<String> {
    told(&compile(&node(text), "").unwrap_err())
}

fn told(mistakes: &[Mistake]) -> Vec<String> {
    let line = |line: Option<u64>| line.map_or("-".to_owned(), |line| line.to_string());
    mistakes.iter().map(|m| format!("{}: {}: {}", line(m.line), m.path, m.message)).collect()
}

/// A policy with these rules, each a line of YAML's flow style.
fn with_rules(rules: &[&str]) -> String {
    let rules: Vec<String> = rules.iter().map(|rule| format!("  - {{{rule}}}\n")).collect();
    let head = "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: test}\nspec:\n  rules:\n";
    format!("{head}{}", rules.concat())
}

#[test]
fn every_valid_file_compiles_without_warnings() {
    for (path, text) in valid() {
        let compiled = compile(&node(&text), &path).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
        assert_eq!(compiled.warnings, [], "{path}");
    }
}

/// `EXPECT=write` writes what is found, to be read before it is committed.
#[test]
fn every_invalid_file_has_exactly_its_mistakes() {
    for (path, text) in fixtures("tests/fixtures/policies/invalid") {
        let found = mistakes(&text).join("\n") + "\n";
        let expected = Path::new(&path).with_extension("expected");
        if std::env::var_os("EXPECT").is_some_and(|value| value == "write") {
            fs::write(&expected, &found).unwrap();
        }
        assert_eq!(found, fs::read_to_string(&expected).unwrap(), "{path}");
    }
}

#[test]
fn a_policy_is_what_its_file_says() {
    let text = valid().into_iter().find(|(path, _)| path.ends_with("valid/tags.yaml")).unwrap().1;
    let policy = compile(&node(&text), "").unwrap().policy;
    assert_eq!(policy.name.as_str(), "tags");
    let doubt = (policy.unmatched, policy.tolerance.unavailable, policy.tolerance.inaccessible);
    assert_eq!(doubt, (Unmatched::Allow, Unavailable::Deny, Inaccessible::Admit));
    let names: Vec<&str> = policy.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["acme", "pinned", "mirror", "old"]);
    let images: Vec<&str> = policy.rules[0].images.iter().map(crate::image::Pattern::as_str).collect();
    assert_eq!(images, ["ghcr.io/acme/**", "registry.example:5000/acme/*"]);
    let tags = |index: usize| match &policy.rules[index].action {
        Action::Require(demands) => demands.tags.as_ref().unwrap(),
        Action::Admit | Action::Refuse(_) => panic!("rule {index} demands nothing"),
    };
    let texts =
        |patterns: &[crate::image::TagPattern]| patterns.iter().map(|p| p.as_str().to_owned()).collect::<Vec<_>>();
    assert_eq!(texts(&tags(0).deny), ["latest", "main", "dev-*", "nightly*"]);
    assert_eq!(texts(&tags(0).allow), ["v*.*.*"]);
    assert!(!tags(0).require_digest);
    assert!(tags(1).require_digest && tags(1).deny.is_empty() && tags(1).allow.is_empty());
    assert!(matches!(policy.rules[2].action, Action::Admit));
    let Action::Refuse(why) = &policy.rules[3].action else { panic!("refuses") };
    assert_eq!(&**why, "old.example is switched off on 1 May; use mirror.example");
}

#[test]
fn what_is_not_written_is_strict() {
    let policy =
        compile(&node(&with_rules(&["name: a, images: [\"**\"], tags: {deny: [latest]}"])), "").unwrap().policy;
    let doubt = (policy.unmatched, policy.tolerance.unavailable, policy.tolerance.inaccessible);
    assert_eq!(doubt, (Unmatched::Deny, Unavailable::Running, Inaccessible::Deny));
}

#[test]
fn the_built_in_policies_are_baseline_and_restricted() {
    let policies = built_in();
    let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    assert_eq!(names, ["baseline", "restricted"]);
    let doubt = |policy: &Policy| (policy.unmatched, policy.tolerance.unavailable, policy.tolerance.inaccessible);
    assert_eq!(doubt(&policies[0]), (Unmatched::Deny, Unavailable::Admit, Inaccessible::Admit));
    assert_eq!(doubt(&policies[1]), (Unmatched::Deny, Unavailable::Running, Inaccessible::Deny));
    for policy in &policies {
        assert!(matches!(policy.rules[0].action, Action::Require(_)));
    }
}

#[test]
fn what_surely_was_not_meant_is_a_warning() {
    let text = with_rules(&[
        "name: a, images: [\"a.example/**\"], tags: {deny: [latest, main], allow: [main]}",
        "name: b, images: [\"b.example/**\"], admit: true",
        "name: c, images: [\"b.example/**\", \"a.example/**\"], admit: true",
        "name: d, images: [\"**\"], admit: true",
        "name: e, images: [\"e.example/**\"], admit: true",
    ]);
    let text = format!("{text}  authorities:\n  - {{name: x, keyless: {{issuer: \"**\", subjectRegExp: \".*\"}}}}\n");
    let compiled = compile(&node(&text), "").unwrap();
    assert_eq!(
        told(&compiled.warnings),
        [
            "6: spec.rules[0].tags.allow[0]: `main` is denied as well, and what is denied is never allowed",
            "8: spec.rules[2]: never decides: an earlier rule matches all of its images; move it up or remove it",
            "10: spec.rules[4]: never decides: an earlier rule matches all of its images; move it up or remove it",
            "12: spec.authorities[0].keyless.issuer: matches everybody: name whom you trust",
            "12: spec.authorities[0].keyless.subjectRegExp: matches everybody: name whom you trust",
            "12: spec.authorities[0].name: has no effect: no rule names this authority",
        ]
    );
}

#[test]
fn what_a_cluster_holds_compiles_to_the_same_but_has_no_files() {
    for (path, text) in valid().into_iter().filter(|(path, _)| !path.ends_with("trusting.yaml")) {
        let json = Node::from_json(&node(&text).to_json());
        let (file, cluster) = (compile(&node(&text), "").unwrap(), compile(&json, "").unwrap());
        assert_eq!(format!("{:?}", file.policy), format!("{:?}", cluster.policy), "{path}");
    }
    let text = valid().into_iter().find(|(path, _)| path.ends_with("trusting.yaml")).unwrap().1;
    let found = compile(&Node::from_json(&node(&text).to_json()), "").unwrap_err();
    assert_eq!(
        told(&found),
        [
            "-: spec.authorities[2].keys[2].file: only policies of --manifests have files beside them; use pem or secretRef"
        ]
    );
}

#[test]
fn a_private_key_is_never_repeated_in_its_mistake() {
    let (_, text) = fixtures("tests/fixtures/policies/invalid")
        .into_iter()
        .find(|(path, _)| path.ends_with("authorities.yaml"))
        .unwrap();
    assert!(!mistakes(&text).join("\n").contains("MIGH"));
}

/// Changes one node of a document: every way to do it, each with its path.
fn variants(node: &Node, path: &str, change: &dyn Fn(&Node) -> Vec<(String, Node)>) -> Vec<(String, Node)> {
    let here = change(node).into_iter().map(|(leaf, changed)| (format!("{path}{leaf}"), changed));
    let mut all: Vec<(String, Node)> = here.collect();
    match &node.value {
        Value::Map(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                for (path, changed) in variants(&entry.node, &path, change) {
                    let mut entries = entries.clone();
                    entries[index].node = changed;
                    all.push((path, Node { value: Value::Map(entries), ..*node }));
                }
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                for (path, changed) in variants(item, &format!("{path}[{index}]"), change) {
                    let mut items = items.clone();
                    items[index] = changed;
                    all.push((path, Node { value: Value::List(items), ..*node }));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
    all
}

/// Maps whose keys are not ours.
fn is_free(path: &str) -> bool {
    ["metadata.labels", "metadata.annotations", "metadata.managedFields", "status"]
        .iter()
        .any(|free| path.starts_with(free))
        || path.contains(".signatures.annotations")
}

#[test]
fn a_key_too_many_in_any_map_is_exactly_one_mistake_at_its_path() {
    let bogus = |node: &Node| {
        let Value::Map(entries) = &node.value else {
            return Vec::new();
        };
        let mut entries = entries.clone();
        let value = Node { line: Some(1), value: Value::Text("x".to_owned()) };
        entries.push(Entry { key: "zzzzzzzz".to_owned(), line: Some(1), node: value });
        vec![(".zzzzzzzz".to_owned(), Node { value: Value::Map(entries), ..*node })]
    };
    let mut tried = 0;
    for (file, text) in valid() {
        let node = node(&text);
        let before = compile(&node, "").err().unwrap_or_default().len();
        for (path, changed) in variants(&node, "", &bogus) {
            let found = compile(&changed, "").err().unwrap_or_default();
            let path = path.trim_start_matches('.');
            if is_free(path) {
                assert_eq!(found.len(), before, "{file}: {path}");
                continue;
            }
            tried += 1;
            assert_eq!(found.len(), before + 1, "{file}: {path}: {found:#?}");
            let new = found.iter().find(|mistake| mistake.message.starts_with("unknown field")).unwrap();
            assert_eq!(new.path, path, "{file}");
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_value_of_the_wrong_kind_is_exactly_one_mistake_at_its_path() {
    let number = |node: &Node| {
        let number = serde_json::Number::from_f64(1.5).unwrap();
        vec![(String::new(), Node { value: Value::Number(number), ..*node })]
    };
    for (file, text) in valid() {
        for (path, changed) in variants(&node(&text), "", &number) {
            if is_free(&path) || IGNORED.contains(&path.as_str()) {
                continue;
            }
            let found = compile(&changed, "").err().unwrap_or_default();
            assert_eq!(found.len(), 1, "{file}: {path}: {found:#?}");
            assert_eq!(found[0].path, path, "{file}: {found:#?}");
            assert!(found[0].message.contains("found the number 1.5"), "{file}: {found:#?}");
        }
    }
}

/// What the API server writes, and we do not read.
const IGNORED: [&str; 4] =
    ["metadata.creationTimestamp", "metadata.generation", "metadata.resourceVersion", "metadata.uid"];

/// whatever is taken away or emptied, no rule comes to demand nothing that did not say so, and no doubt that
/// was answered with a refusal is answered with less than the default.
#[test]
fn taking_anything_away_never_makes_a_policy_that_demands_nothing() {
    let less = |node: &Node| {
        let same = |value| Node { value, ..*node };
        let mut all: Vec<(String, Node)> = vec![(" = null".to_owned(), same(Value::Null))];
        if let Value::Map(entries) = &node.value {
            all.push((" = {}".to_owned(), same(Value::Map(Vec::new()))));
            for index in 0..entries.len() {
                let mut entries = entries.clone();
                let removed = entries.remove(index).key;
                all.push((format!(" without {removed}"), same(Value::Map(entries))));
            }
        }
        if let Value::List(items) = &node.value {
            all.push((" = []".to_owned(), same(Value::List(Vec::new()))));
            for index in 0..items.len() {
                let mut items = items.clone();
                items.remove(index);
                all.push((format!(" without [{index}]"), same(Value::List(items))));
            }
        }
        if let Value::Text(_) = &node.value {
            all.push((" = ''".to_owned(), same(Value::Text(String::new()))));
        }
        all
    };
    let mut compiled = 0;
    for (file, text) in valid() {
        let node = node(&text);
        let before = compile(&node, "").unwrap().policy;
        for (change, changed) in variants(&node, "", &less) {
            let Ok(Compiled { policy: after, .. }) = compile(&changed, "") else {
                continue;
            };
            compiled += 1;
            assert!(after.unmatched == before.unmatched || after.unmatched == Unmatched::Deny, "{file}: {change}");
            assert!(!after.rules.is_empty(), "{file}: {change}");
            for rule in &after.rules {
                let same = before.rules.iter().find(|earlier| earlier.name == rule.name).unwrap();
                assert!(!rule.images.is_empty(), "{file}: {change}");
                match (&rule.action, &same.action) {
                    (Action::Admit, Action::Admit) | (Action::Refuse(_), Action::Refuse(_)) => {}
                    (Action::Require(demands), Action::Require(_)) => {
                        assert!(demands_something(demands), "{file}: {change}");
                    }
                    (now, then) => panic!("{file}: {change}: {then:?} became {now:?}"),
                }
            }
        }
    }
    assert!(compiled > 30, "{compiled}");
}

/// Each demand that there is asks for something, and there is one.
fn demands_something(demands: &Demands) -> bool {
    let Demands { tags, signatures, attestations, scan, examination } = demands;
    let tags_ask = tags.as_ref().is_none_or(|tags| {
        let TagDemands { deny, allow, require_digest, repointed } = tags;
        !deny.is_empty() || !allow.is_empty() || *require_digest || *repointed != Repointed::Allow
    });
    let signed = signatures.as_ref().is_none_or(|its| !its.authorities.is_empty() && its.threshold > 0);
    let attested = attestations.iter().all(|its| !its.authorities.is_empty());
    let attested_scan = scan.as_ref().is_some_and(|scan| !scan.authorities.is_empty());
    let examined = signatures.is_some() || !attestations.is_empty() || attested_scan;
    let any = tags.is_some() || scan.is_some() || examined;
    tags_ask && signed && attested && any && examined == examination.is_some()
}
