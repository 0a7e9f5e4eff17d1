//! JSON with its keys in the order in which Go writes the structs of an AdmissionReview.
//!
//! The order matters to whoever reads without a tree: `uid` comes before the object, `kind` before `request`.

use serde_json::{Map, Value};

/// The text of a review as the API server would write it, without the closing newline.
pub(crate) fn text(review: &Value) -> String {
    let mut text = String::new();
    write(&mut text, review, "");
    text
}

/// Keys that come first, in this order; the rest follow by name.
fn first_keys(parent: &str) -> &'static [&'static str] {
    match parent {
        "" => &["kind", "apiVersion", "request"],
        "request" => &[
            "uid",
            "kind",
            "resource",
            "subResource",
            "requestKind",
            "requestResource",
            "requestSubResource",
            "name",
            "namespace",
            "operation",
            "userInfo",
            "object",
            "oldObject",
            "dryRun",
            "options",
        ],
        "object" | "oldObject" => &["kind", "apiVersion", "metadata", "spec", "status"],
        "kind" | "resource" | "requestKind" | "requestResource" => &["group", "version"],
        "metadata" => &["name", "generateName", "namespace", "uid", "generation", "creationTimestamp", "labels"],
        "containers" | "initContainers" | "ephemeralContainers" | "volumes" => &["name", "image"],
        _ => &[],
    }
}

fn write(text: &mut String, value: &Value, parent: &str) {
    match value {
        Value::Object(fields) => write_fields(text, fields, parent),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { "," });
                write(text, item, parent);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}

fn write_fields(text: &mut String, fields: &Map<String, Value>, parent: &str) {
    let first = first_keys(parent);
    let mut keys: Vec<&String> = fields.keys().collect();
    keys.sort_by_key(|key| (first.iter().position(|its| its == key).unwrap_or(first.len()), *key));
    text.push('{');
    for (index, key) in keys.into_iter().enumerate() {
        text.push_str(if index == 0 { "" } else { "," });
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        write(text, &fields[key], key);
    }
    text.push('}');
}
