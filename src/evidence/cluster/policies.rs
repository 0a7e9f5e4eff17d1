//! ImagePolicies as a watch brings them, compiled as they come.
//!
//! One that is invalid never replaces a valid one of the same name and uid: that stays in force, and the state says so.
//! A policy that is deleted is gone, and one that is made anew under its name is another. Public keys that policies name by
//! `secretRef` are read from our own namespace, one Secret at a time, and looked at again while a policy names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::policy::document::Mistake;
use crate::policy::{Policy, PolicyName};

use super::connection::Connection;
use super::watching::Health;

/// What is in force, and how each object of the cluster fares.
#[derive(Debug, Default)]
pub struct PolicySet {
    /// The cluster's own are all among them: they were listed.
    pub listed: bool,
    /// With the built-in ones, unless the cluster has a valid one of the same name.
    pub by_name: BTreeMap<PolicyName, Arc<Policy>>,
    /// One for each object, in the order of their names.
    pub objects: Vec<PolicyObject>,
}

/// One ImagePolicy of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyObject {
    pub name: Arc<str>,
    pub uid: Arc<str>,
    /// `metadata.generation` that this is about.
    pub generation: i64,
    /// Of the generation: what is wrong with it; empty: it is accepted.
    pub mistakes: Vec<Mistake>,
    pub warnings: Vec<Mistake>,
    pub in_force: InForce,
    /// `status` as it is in the cluster, so that it is written only where it would be another.
    pub status: Option<serde_json::Value>,
}

/// What judges under the name of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    /// This generation, with so many rules.
    This { rules: usize },
    /// It is invalid, and the last valid generation of it is kept.
    Earlier { generation: i64, rules: usize },
    /// It is invalid, and there was no valid one before: the built-in one of its name where there is one, else nothing, and
    /// who is to be judged by it is refused.
    None,
}

/// What a document is checked against, beside itself.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The names of the trusted roots that the settings have, `public` among them.
    pub roots: Arc<[String]>,
}

/// Keeps them up with the cluster, until the process ends; every change is a new set.
pub async fn follow(
    _connection: Connection,
    _health: Health,
    _surroundings: Surroundings,
    _sets: watch::Sender<Arc<PolicySet>>,
) {
    todo!("policies")
}

/// What is wrong with an ImagePolicy that somebody is about to write, and what to warn of. `object`: JSON as the API server
/// sends it. Secrets that it names are read; one that is not there (yet) is a warning here.
pub async fn lint(
    _connection: &Connection,
    _surroundings: &Surroundings,
    _object: &str,
) -> Result<Vec<Mistake>, Vec<Mistake>> {
    todo!("policies")
}
