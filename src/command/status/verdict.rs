//! What to think of what was found. Plain data in, lines out: nothing in here asks anybody.

pub(super) mod configuration;
pub(super) mod namespaces;
pub(super) mod objects;
pub(super) mod replicas;
pub(super) mod webhook;
