//! `ImagePolicy` objects as a watch brings them, compiled as they come.
//!
//! One that is invalid never replaces a valid one of the same name and uid: that stays in force, and the state says so.
//! A policy that is deleted is gone, and one that is made anew under its name is another. Public keys that policies name by
//! `secretRef` are read from our own namespace, one Secret at a time, and looked at again while a policy names them.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join;
use kube::Api;
use tokio::sync::watch;

use crate::policy::document::Mistake;
use crate::policy::{Policy, PolicyName};

use super::connection::Connection;
use super::watching::{self, Health, Presence};

use arriving::{Arriving, Inbox};
use keeping::Keeper;

pub use generations::Generations;

mod arriving;
mod generations;
mod keeping;
mod keys;
mod ledger;
mod lint;
mod object;

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
    /// It is invalid, and there was no valid one before: nothing, also where a built-in one has its name, and who is to be
    /// judged by it is refused.
    None,
}

/// What a document is checked against, beside itself.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The names of the trusted roots that the settings have, `public` among them.
    pub roots: Arc<[String]>,
}

impl PolicySet {
    /// The built-in policies alone: what is in force before anything of the cluster is known.
    #[must_use]
    pub fn built_in() -> Self {
        Self { listed: false, by_name: ledger::built_in(), objects: Vec::new() }
    }

    fn is_the_same_as(&self, other: &Self) -> bool {
        let policies = self.by_name.len() == other.by_name.len()
            && self.by_name.values().zip(other.by_name.values()).all(|(one, other)| Arc::ptr_eq(one, other));
        self.listed == other.listed && policies && self.objects == other.objects
    }
}

/// Keeps them up with the cluster, until the process ends; every change is a new set. The first one that is told has
/// everything that was listed, and the keys that it names, as far as they could be read within seconds; before it there are
/// the built-in policies, put there without telling.
pub async fn follow(
    connection: Connection,
    health: Health,
    surroundings: Surroundings,
    sets: watch::Sender<Arc<PolicySet>>,
) {
    sets.send_if_modified(|set| {
        if set.by_name.is_empty() {
            *set = Arc::new(PolicySet::built_in());
        }
        false
    });
    let inbox = Arc::new(Inbox::default());
    let watch =
        watching::follow(Api::all(connection.client()), Presence::Expected, health, Arriving::new(Arc::clone(&inbox)));
    let keeper = Keeper::new(connection, surroundings, sets);
    join(watch, keeper.run(&inbox)).await;
}

/// What is wrong with an ImagePolicy that somebody is about to write, and what to warn of. `object`: JSON as the API server
/// sends it. Secrets that it names are read; one that is not there (yet), or cannot be read, is a warning here.
pub async fn lint(
    connection: &Connection,
    surroundings: &Surroundings,
    object: &str,
) -> Result<Vec<Mistake>, Vec<Mistake>> {
    lint::lint(connection, surroundings, object).await
}

#[cfg(test)]
mod tests;
