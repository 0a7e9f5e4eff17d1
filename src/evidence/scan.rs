//! Scan reports: read in whatever form a scanner wrote them, from wherever people already put them.
//!
//! [`format`] reads bytes, [`directory`] watches folders, [`objects`] holds those of a cluster. What is attested comes
//! with the signatures (`evidence::signature`). Reports are untrusted input: bounded before they are read, never logged,
//! and one that cannot be used never hides another. What a report is about, digests alone say.

pub mod directory;
pub mod file;
pub mod format;
pub mod objects;
