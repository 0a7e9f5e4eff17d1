use std::fs;
use std::path::Path;

use super::*;
use crate::fact::attached::{Fingerprint, PublicKey};
use crate::policy::compile::{KeyAt, compile};
use crate::policy::document::{Node, parse_documents};

const VALID: &[&str] = &["tests/fixtures/policies/valid", "manifests/policies"];
const INVALID: &[&str] = &["tests/fixtures/policies/invalid"];

/// Every policy below these folders, as a cluster would have it, each with its file.
fn policies(folders: &[&str]) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let is_policy = path.extension().is_some_and(|its| its == "yaml") && !path.ends_with("kustomization.yaml");
            if is_policy {
                let document = parse_documents(&fs::read_to_string(&path).unwrap()).unwrap().remove(0);
                found.push((path.display().to_string(), document.to_json()));
            }
        }
    }
    assert!(found.len() > 2);
    found
}

/// What our reader makes of it, whichever it is.
fn read(policy: &Value) -> String {
    let key = |at: KeyAt<'_>| {
        Ok(PublicKey { fingerprint: Fingerprint([0; 32]), spki: format!("{at:?}").into_bytes().into() })
    };
    format!("{:?}", compile(&Node::from_json(policy), "policy", &key))
}

fn spec() -> Value {
    custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
}

/// What an API server makes of a value: it adds what is not there and has a default.
fn defaulted(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(default) = schema.get("default").filter(|_| !fields.contains_key(name)) {
                    fields.insert(name.clone(), default.clone());
                }
                if let Some(field) = fields.get_mut(name) {
                    defaulted(schema, field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| defaulted(&schema["items"], item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every schema inside of one, with its path.
fn walk(path: &str, schema: &Value, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), schema, visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(schema) = schema.get(key) {
            walk(&format!("{path}{suffix}"), schema, visit);
        }
    }
}

#[test]
fn a_default_changes_nothing_of_what_our_reader_makes_of_a_policy() {
    let spec = spec();
    let mut added = 0;
    for (file, policy) in policies(VALID).into_iter().chain(policies(INVALID)) {
        let mut with_defaults = policy.clone();
        if let Some(written) = with_defaults.get_mut("spec") {
            defaulted(&spec, written);
        }
        added += usize::from(with_defaults != policy);
        assert_eq!(read(&with_defaults), read(&policy), "{file}");
    }
    assert!(added > 5, "{added} policies have got a default");
}

/// The least that each demand can say, one default at a time: what is written must not be a demand by itself.
#[test]
fn a_default_demands_nothing_and_warns_of_nothing() {
    let rules = json!([
        {"name": "a", "images": ["a.example/**"], "tags": {}},
        {"name": "b", "images": ["b.example/**"], "tags": {"deny": ["latest"]}},
        {"name": "c", "images": ["c.example/**"], "vulnerabilities": {"threshold": "high"}},
        {"name": "d", "images": ["d.example/**"], "signatures": {"authorities": ["x"]}},
    ]);
    let authorities = json!([{"name": "x", "keyless": {"issuer": "https://a.example", "subject": "b"}}]);
    let policy = |rules: &[Value]| {
        json!({
            "apiVersion": "pratique.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": "least"},
            "spec": {"rules": rules, "authorities": authorities},
        })
    };
    let rules = rules.as_array().unwrap();
    for rules in [&rules[..], &rules[1..]] {
        let before = policy(rules);
        let mut after = before.clone();
        defaulted(&spec(), &mut after["spec"]);
        assert_ne!(after, before);
        assert_eq!(read(&after), read(&before));
        assert_eq!(read(&after).starts_with("Ok"), rules.len() == 3, "a rule that demands nothing is a mistake");
    }
}

#[test]
fn everything_has_a_type_and_every_object_keeps_what_it_does_not_know() {
    let mut objects = 0;
    walk("spec", &spec(), &mut |path, schema| {
        assert!(schema["type"].is_string(), "{path}: not structural");
        if schema.get("properties").is_some() {
            objects += 1;
            assert_eq!(
                schema["x-kubernetes-preserve-unknown-fields"], true,
                "{path}: a typo would be dropped in silence"
            );
            let known = schema["properties"].as_object().unwrap();
            let required = schema["required"].as_array().into_iter().flatten();
            required.for_each(|name| assert!(known.contains_key(name.as_str().unwrap()), "{path}: {name}"));
        }
    });
    assert_eq!(objects, 14, "the structs of policy::file below spec");
}

#[test]
fn everything_is_bounded() {
    walk("spec", &spec(), &mut |path, schema| {
        let bound = match schema["type"].as_str().unwrap() {
            "array" => "maxItems",
            "string" if schema.get("enum").is_some() || schema.get("format").is_some() => return,
            "string" => "maxLength",
            "integer" => "maximum",
            "object" if schema.get("additionalProperties").is_some() => "maxProperties",
            _ => return,
        };
        assert!(schema[bound].is_u64(), "{path} has no {bound}");
    });
}

#[test]
fn fields_say_what_their_comments_say() {
    let spec = spec();
    assert_eq!(spec["properties"]["unmatched"]["description"], "An image that no rule matches. Default: deny.");
    let rule = &spec["properties"]["rules"]["items"];
    assert_eq!(rule["required"], json!(["name", "images"]));
    let demands = &rule["properties"]["vulnerabilities"];
    assert_eq!(
        demands["description"], "What the scan reports of an image must say.",
        "of the type, where the field has none"
    );
    let words = json!(["negligible", "low", "medium", "high", "critical"]);
    assert_eq!(demands["properties"]["threshold"]["enum"], words);
}

/// What a comment calls the default is the one that is written, where one is.
#[test]
fn comments_and_defaults_agree() {
    let mut seen = 0;
    walk("spec", &spec(), &mut |path, schema| {
        if let Some(default) = schema.get("default") {
            seen += 1;
            let word = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let description = schema["description"].as_str().unwrap();
            let told = format!("Default: {word}");
            assert!(description.contains(&told) || word == "ignore" || word == "ignored", "{path}: {description}");
        }
    });
    assert_eq!(seen, 12);
}
