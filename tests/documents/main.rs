//! What the documents say is so: their tables, command lines and files are held against the program itself.
//!
//! A failure says which document to change, or that the program lost what was promised there. README.md, docs/ and
//! certs/README.md are read as one text where a test looks for a marker, so that a table may move from one to another.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy frees tests of these, but not what they call")]

mod commands;
mod examples;
mod links;
mod said;
mod scans;
mod settings;
mod tables;
mod texts;
