//! Builders, a client and the webhook under test.

pub mod measure;
