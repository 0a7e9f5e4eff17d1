//! Placeholder until merged.
use crate::evidence::registry::credentials::Keyring;
use std::sync::Arc;
#[derive(Debug, Default)]
pub struct PullSecrets {}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    None,
    Named,
    All,
}
impl PullSecrets {
    pub fn of(&self, _usage: Usage, _namespace: &str, _asked: &crate::request::PullSecrets) -> Vec<Arc<Keyring>> {
        Vec::new()
    }
}
