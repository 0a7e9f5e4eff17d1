//! AdmissionReviews as a real API server sends them.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::object::Object;
use crate::wire;

/// A review being made. It is used as the [`Value`] that it holds.
#[derive(Debug, Clone)]
pub struct Review {
    value: Value,
}

/// The review of an object's creation, with a uid of its own.
pub fn review(object: &Object) -> Review {
    static SERIAL: AtomicU32 = AtomicU32::new(1);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let body = object.value();
    let value = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": format!("f3f36f4d-bc03-47a5-8347-{serial:012x}"),
            "kind": object.group_version_kind(),
            "resource": object.group_version_resource(),
            "requestKind": object.group_version_kind(),
            "requestResource": object.group_version_resource(),
            "name": body["metadata"]["name"],
            "namespace": body["metadata"]["namespace"],
            "operation": "CREATE",
            "userInfo": {
                "username": "admin",
                "groups": ["system:masters", "system:authenticated"],
                "extra": {"authentication.kubernetes.io/credential-id": ["X509SHA256=337223b2a8502f38c71ed7a3699ebcbe"]},
            },
            "object": body,
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-create"},
        },
    });
    Review { value }
}

impl Review {
    /// From the text of a body.
    #[must_use]
    pub fn read(text: &str) -> Self {
        Self { value: serde_json::from_str(text).expect("the text of a review is JSON") }
    }

    /// The change of `old` into the object of the review.
    #[must_use]
    pub fn update_of(self, old: &Object) -> Self {
        self.set("/request/oldObject", old.value())
            .set("/request/operation", json!("UPDATE"))
            .set("/request/options/kind", json!("UpdateOptions"))
    }

    /// Another operation. DELETE comes with the object as `oldObject` alone, as API servers send it.
    #[must_use]
    pub fn operation(self, operation: &str) -> Self {
        let review = self.set("/request/operation", json!(operation));
        if operation != "DELETE" {
            return review;
        }
        let object = review.value["request"]["object"].clone();
        review.set("/request/object", Value::Null).set("/request/oldObject", object)
    }

    #[must_use]
    pub fn sub_resource(self, name: &str) -> Self {
        self.set("/request/subResource", json!(name)).set("/request/requestSubResource", json!(name))
    }

    /// `kubectl --dry-run=server`.
    #[must_use]
    pub fn dry_run(self) -> Self {
        self.set("/request/dryRun", json!(true)).set("/request/options/dryRun", json!(["All"]))
    }

    /// The same in another namespace.
    #[must_use]
    pub fn in_namespace(self, namespace: &str) -> Self {
        let mut review = self.set("/request/namespace", json!(namespace));
        for side in ["object", "oldObject"] {
            if let Some(metadata) = review.value["request"][side].get_mut("metadata") {
                metadata["namespace"] = json!(namespace);
            }
        }
        review
    }

    /// Grown with fields that nobody reads until the text has at least so many bytes: real reviews have 2 to 11 kB.
    #[must_use]
    pub fn padded(self, bytes: usize) -> Self {
        let missing = bytes.saturating_sub(self.text().len());
        let lines: Vec<String> = (0..missing.div_ceil(64)).map(|line| format!("{line:064}")).collect();
        self.set("/request/object/metadata/annotations/example.com~1padding", json!(lines.concat()))
    }

    /// One field changed or added; fields on the way are made.
    #[must_use]
    pub fn set(mut self, pointer: &str, new: Value) -> Self {
        let mut place = &mut self.value;
        for field in pointer.split('/').skip(1) {
            let field = field.replace("~1", "/");
            place = match field.parse::<usize>() {
                Ok(index) if place.is_array() => &mut place[index],
                Ok(_) | Err(_) => &mut place[field],
            };
        }
        *place = new;
        self
    }

    /// One field less.
    #[must_use]
    pub fn without(mut self, pointer: &str) -> Self {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer begins with a slash");
        let parent = self.value.pointer_mut(parent).and_then(Value::as_object_mut).expect("the parent is an object");
        assert!(parent.remove(field).is_some(), "{pointer} is not there");
        self
    }

    /// The body, byte for byte as an API server would write it.
    #[must_use]
    pub fn text(&self) -> String {
        wire::text(&self.value) + "\n"
    }
}

impl Deref for Review {
    type Target = Value;
    fn deref(&self) -> &Value {
        &self.value
    }
}
