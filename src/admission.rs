//! The wire format: `admission.k8s.io/v1` AdmissionReview in and out, the objects that `check` reads, and the
//! review of a policy itself.

pub mod decode;
pub mod encode;
mod field;
pub mod manifest;
mod object;
mod placement;
pub mod policy_review;
mod shape;
mod wire;
pub mod workload;

/// The body of an answer.
#[derive(Debug)]
pub struct Reply {
    pub body: Vec<u8>,
}

/// No AdmissionReview with a uid: there is nobody to answer, and the caller gets HTTP 400 with this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);
