//! Names of images: a name as written, a content address, an operator's matcher. Pure; names no other room.

mod digest;
mod pattern;
mod reference;

pub use digest::{Algorithm, Digest, InvalidDigest};
pub use pattern::{Glob, InvalidPattern, Pattern, TagPattern};
pub use reference::{InvalidReference, Reference};
