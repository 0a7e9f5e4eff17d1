//! Names of images: a name as written, a content address, an operator's matcher. Pure; names no other room.
//!
//! What a node would pull is what is judged: [`Reference`] reads a name as containerd and the kubelet do, and refuses
//! what they could read in two ways. [`Pattern`] compares whole components of the normalised name, never a substring.

mod digest;
mod grammar;
mod pattern;
mod platform;
mod reference;

pub use digest::{Algorithm, Digest, InvalidDigest};
pub use pattern::{Glob, InvalidPattern, Pattern, TagPattern};
pub use platform::Platform;
pub use reference::{InvalidReference, Reference};
