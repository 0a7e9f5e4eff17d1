//! What is signed: payloads of simple signing, and in-toto statements.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The predicate type of image signatures in bundles, as Cosign v3 writes them.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

const IN_TOTO: &str = "application/vnd.in-toto+json";

/// A payload of simple signing: `cosign sign` before bundles.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Payload(Vec<u8>);

impl Payload {
    /// That this digest (`sha256:...`) is `reference`.
    pub fn of(digest: &str, reference: &str) -> Self {
        Self::annotated(digest, reference, &[])
    }

    /// With `cosign sign -a key=value`.
    pub fn annotated(digest: &str, reference: &str, annotations: &[(&str, &str)]) -> Self {
        let annotations: BTreeMap<&str, &str> = annotations.iter().copied().collect();
        let optional = if annotations.is_empty() { Value::Null } else { json!(annotations) };
        Self::of_type("cosign container image signature", digest, reference, &optional)
    }

    /// Of another `critical.type`, or with something else under `optional`.
    pub fn of_type(r#type: &str, digest: &str, reference: &str, optional: &Value) -> Self {
        let critical = json!({
            "identity": {"docker-reference": reference},
            "image": {"docker-manifest-digest": digest},
            "type": r#type,
        });
        Self::raw(json!({"critical": critical, "optional": optional}).to_string())
    }

    /// Any bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// An in-toto statement: `cosign attest`, and `cosign sign` with bundles.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Statement {
    fields: Map<String, Value>,
    raw: Option<Vec<u8>>,
    payload_type: String,
}

impl Statement {
    /// In-toto v1, about this digest (`sha256:...`), with an empty predicate.
    pub fn about(digest: &str, predicate_type: &str) -> Self {
        let mut fields = Map::new();
        fields.insert("_type".into(), json!("https://in-toto.io/Statement/v1"));
        fields.insert("subject".into(), json!([]));
        fields.insert("predicateType".into(), json!(predicate_type));
        fields.insert("predicate".into(), json!({}));
        Self { fields, raw: None, payload_type: IN_TOTO.to_owned() }.subject("registry.test/image", digest)
    }

    /// That this digest is signed, as Cosign v3 says it.
    pub fn signature_of(digest: &str) -> Self {
        Self::about(digest, COSIGN_SIGN)
    }

    /// Those bytes as the payload.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { fields: Map::new(), raw: Some(bytes.into()), payload_type: IN_TOTO.to_owned() }
    }

    /// As in-toto v0.1, which Cosign wrote up to v2.
    pub fn v01(self) -> Self {
        self.field("_type", json!("https://in-toto.io/Statement/v0.1"))
    }

    pub fn predicate(self, predicate: Value) -> Self {
        self.field("predicate", predicate)
    }

    /// One more subject; `algorithm:HEX`.
    pub fn subject(mut self, name: &str, digest: &str) -> Self {
        let (algorithm, hex) = digest.split_once(':').expect("a digest has an algorithm");
        let subjects = self.fields["subject"].as_array_mut().expect("a list");
        subjects.push(json!({"name": name, "digest": {algorithm: hex}}));
        self
    }

    /// Sets any field of the statement.
    pub fn field(mut self, name: &str, value: Value) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// Of the envelope; by default `application/vnd.in-toto+json`.
    pub fn payload_type(self, payload_type: &str) -> Self {
        Self { payload_type: payload_type.to_owned(), ..self }
    }

    pub(super) fn envelope_type(&self) -> &str {
        &self.payload_type
    }

    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.raw.clone().unwrap_or_else(|| Value::Object(self.fields.clone()).to_string().into_bytes())
    }

    /// What DSSE signs: `DSSEv1 LENGTH TYPE LENGTH BODY`.
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        let body = self.bytes();
        let mut all = format!("DSSEv1 {} {} {} ", self.payload_type.len(), self.payload_type, body.len()).into_bytes();
        all.extend(body);
        all
    }
}
