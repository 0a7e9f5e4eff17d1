//! What an API server is told of `ImagePolicy`: the `CustomResourceDefinition`, made from the types that read it.
//!
//! Promises: whatever our reader takes, the schema takes, within bounds that are larger than any policy in use; a default
//! says what our reader makes of silence, and nothing is defaulted where writing it would mean something else. Every object
//! preserves unknown fields: the API server would drop a misspelt demand in silence, and we must see it to refuse it.
//! Structural as in
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>.

use std::time::Duration;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::document::reader::{NonEmpty, Placed, Table};
use super::file::{KIND, Spec};

mod completed;

/// A type that can tell its schema in `OpenAPI` v3.
pub trait Described {
    fn schema() -> Value;
}

/// What `kubectl` calls the kind.
const PLURAL: &str = "imagepolicies";
const GROUP: &str = "pratique.dev";
const VERSION: &str = "v1alpha1";

/// The `CustomResourceDefinition` `imagepolicies.pratique.dev`.
#[must_use]
pub fn custom_resource_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{PLURAL}.{GROUP}"), "labels": {"app.kubernetes.io/name": "pratique"}},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": KIND,
                "listKind": format!("{KIND}List"),
                "plural": PLURAL,
                "singular": "imagepolicy",
                "shortNames": ["imgpol"],
                "categories": ["pratique", "security"],
            },
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": document()},
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns(),
            }],
        },
    })
}

/// What `kubectl get imgpol` shows; the reason with `-o wide`.
fn columns() -> Value {
    let condition = |kind: &str, what: &str| format!(r#".status.conditions[?(@.type=="{kind}")].{what}"#);
    json!([
        {"name": "Rules", "type": "integer", "jsonPath": ".status.rules", "description": "rules in force"},
        {"name": "Accepted", "type": "string", "jsonPath": condition("Accepted", "status"),
            "description": "whether the policy as it is written is in force"},
        {"name": "Ready", "type": "string", "jsonPath": condition("Ready", "status"),
            "description": "whether everything that it names can be had"},
        {"name": "Reason", "type": "string", "priority": 1, "jsonPath": condition("Accepted", "reason")},
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    ])
}

fn document() -> Value {
    let mut spec = Spec::schema();
    completed::complete(&mut spec);
    json!({
        "description": "What container images must be to run. Namespaces name policies by the labels pratique.dev/enforce, \
            pratique.dev/warn and pratique.dev/audit.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": status(),
        },
        "x-kubernetes-validations": [{
            "rule": "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
            "message": "namespace labels hold the name of a policy: use at most 63 letters, digits and `-`, without dots",
        }],
    })
}

/// Written by us alone, by merge patches: what is not of the last answer is gone.
fn status() -> Value {
    let texts = |description: &str| json!({"description": description, "type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"});
    json!({
        "description": "What became of the policy, written by Pratique.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
        "properties": {
            "observedGeneration": {
                "description": "The metadata.generation that the rest speaks of.", "type": "integer", "format": "int64",
            },
            "rules": {"description": "How many rules are in force.", "type": "integer", "format": "int32"},
            "errors": texts("What is wrong with it, so that it is not in force as it is written."),
            "warnings": texts("What is surely not meant."),
            "conditions": {
                "description": "Accepted: it is in force as it is written. Ready: everything that it names can be had.",
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": condition(),
            },
        },
    })
}

/// `metav1.Condition`, with its bounds.
fn condition() -> Value {
    json!({
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": {
                "type": "string", "maxLength": 316,
                "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
            },
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "reason": {
                "type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            },
            "message": {"type": "string", "maxLength": 32768},
        },
    })
}

/// The schema of a struct while its fields are told.
#[derive(Debug)]
pub struct Object {
    description: String,
    required: Vec<&'static str>,
    properties: Map<String, Value>,
}

impl Object {
    #[must_use]
    pub fn new(comment: &[&str]) -> Self {
        Self { description: sentence(comment), required: Vec::new(), properties: Map::new() }
    }

    #[must_use]
    pub fn required<T: Described>(mut self, key: &'static str, comment: &[&str]) -> Self {
        self.required.push(key);
        self.optional::<T>(key, comment)
    }

    /// Where a field says nothing of itself, its type does.
    #[must_use]
    pub fn optional<T: Described>(mut self, key: &'static str, comment: &[&str]) -> Self {
        let mut schema = T::schema();
        if let Some(schema) = schema.as_object_mut().filter(|_| !comment.is_empty()) {
            schema.insert("description".to_owned(), sentence(comment).into());
        }
        self.properties.insert(key.to_owned(), schema);
        self
    }

    #[must_use]
    pub fn schema(self) -> Value {
        let Self { description, required, properties } = self;
        let mut schema = json!({
            "description": description,
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            "properties": properties,
        });
        if let Some(schema) = schema.as_object_mut().filter(|_| !required.is_empty()) {
            schema.insert("required".to_owned(), json!(required));
        }
        schema
    }
}

/// The lines of a comment.
fn sentence(comment: &[&str]) -> String {
    comment.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The schema of an enum.
#[must_use]
pub fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// Characters of a text where nothing else is said: the longest in use, a public key of RSA 8192 in PEM, has some 1,500.
const MOST_CHARACTERS: u64 = 4096;
/// Items of a list and keys of a map where nothing else is said. An object has 1.5 MiB at most in etcd; with some 300 bytes
/// for a waiver this is most of that.
const MOST_ITEMS: u64 = 4096;

impl Described for String {
    fn schema() -> Value {
        json!({"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS})
    }
}

impl Described for bool {
    fn schema() -> Value {
        json!({"type": "boolean"})
    }
}

impl Described for u32 {
    fn schema() -> Value {
        json!({"type": "integer", "format": "int64", "minimum": 0, "maximum": Self::MAX})
    }
}

/// The greater units first, each once.
impl Described for Duration {
    fn schema() -> Value {
        json!({"type": "string", "minLength": 2, "maxLength": 64, "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"})
    }
}

impl Described for Date {
    fn schema() -> Value {
        json!({"type": "string", "format": "date"})
    }
}

impl<T: Described> Described for Placed<T> {
    fn schema() -> Value {
        T::schema()
    }
}

impl<T: Described> Described for Vec<T> {
    fn schema() -> Value {
        json!({"type": "array", "maxItems": MOST_ITEMS, "items": T::schema()})
    }
}

impl<T: Described> Described for Table<T> {
    fn schema() -> Value {
        json!({"type": "object", "maxProperties": MOST_ITEMS, "additionalProperties": T::schema()})
    }
}

impl<T: Described> Described for NonEmpty<T> {
    fn schema() -> Value {
        let mut schema = T::schema();
        let least = if schema["type"] == "array" { "minItems" } else { "minProperties" };
        schema[least] = json!(1);
        schema
    }
}

#[cfg(test)]
mod tests;
