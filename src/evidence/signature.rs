//! Signatures: found in every layout that Cosign has left in registries, and verified completely.
//!
//! [`find`] fetches what is attached to a digest, [`examine`] says who made each of it for certain, [`trust`] holds the
//! trusted roots. The `sigstore-*` crates are named below this module alone. Nothing is trusted that was not verified here: neither
//! the media type of a descriptor, nor a key hint, nor an annotation. What cannot be verified is kept with its flaw, so
//! that people learn why it does not count.

mod bundle;
mod certificate;
mod examine;
mod find;
mod json;
mod key;
mod simple;
mod statement;
pub mod trust;

pub use examine::blob::{Artifact, Signatory, verify_bundle};
pub use examine::examine;
pub use key::read_public_key;
