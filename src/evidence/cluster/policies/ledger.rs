//! Each ImagePolicy of the cluster: what it says now, what of it is in force, and what it needs to be compiled again.
//!
//! Promises: what is invalid, or cannot be compiled yet, takes nothing away of the same object; what belongs to another
//! object of the same name is never kept.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use kube::{Resource as _, ResourceExt as _};
use serde_json::Value;

use crate::evidence::signature::{self, read_public_key};
use crate::fact::attached::PublicKey;
use crate::policy::compile::{self, Compiled, KeyAt};
use crate::policy::document::{Mistake, Node};
use crate::policy::scan::{WrittenWaiver, waiver_warnings};
use crate::policy::trust::RootName;
use crate::policy::{Policy, PolicyName};

use super::keys::{At, Key, Keys};
use super::object::{Document, ImagePolicy};
use super::{InForce, PolicyObject, PolicySet, Surroundings};

/// All of them by name, with the built-in ones behind them.
#[derive(Debug)]
pub(super) struct Ledger {
    entries: BTreeMap<Arc<str>, Entry>,
    surroundings: Surroundings,
    built_in: BTreeMap<PolicyName, Arc<Policy>>,
}

/// One object.
#[derive(Debug)]
struct Entry {
    uid: Arc<str>,
    generation: i64,
    status: Option<Value>,
    /// What was found in the last generation that could be looked at in full.
    told: Option<Told>,
    in_force: Option<Accepted>,
    /// As text, where keys decide what becomes of it: it is compiled again when one changes.
    again: Option<Box<str>>,
    /// The keys of Secrets that it names.
    keys: BTreeSet<At>,
}

#[derive(Debug)]
struct Told {
    generation: i64,
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
    waivers: Vec<WrittenWaiver>,
}

#[derive(Debug)]
struct Accepted {
    generation: i64,
    policy: Arc<Policy>,
}

/// What became of compiling a document.
pub(super) struct Outcome {
    pub(super) compiled: Result<Compiled, Vec<Mistake>>,
    /// The keys of Secrets that it names.
    pub(super) keys: BTreeSet<At>,
    /// One of them is not known so far.
    pub(super) unread: bool,
}

impl Ledger {
    pub(super) fn new(surroundings: Surroundings) -> Self {
        Self { entries: BTreeMap::new(), surroundings, built_in: built_in() }
    }

    /// An object is as it says.
    pub(super) fn take(&mut self, object: ImagePolicy, keys: &Keys) {
        let (name, uid): (Arc<str>, Arc<str>) = (object.name_any().into(), object.uid().unwrap_or_default().into());
        let generation = object.meta().generation.unwrap_or_default();
        let ImagePolicy { document, status, .. } = object;
        let new = || Entry::new(Arc::clone(&uid), generation);
        let entry = self.entries.entry(Arc::clone(&name)).or_insert_with(new);
        if entry.uid != uid {
            *entry = new();
        }
        entry.status = status;
        let looked_at = entry.told.is_some() || entry.again.is_some();
        // One without a generation is looked at each time.
        if looked_at && entry.generation == generation && generation > 0 {
            return;
        }
        entry.generation = generation;
        entry.compile(&name, &document, keys, &self.surroundings);
    }

    /// An object is gone, if it is still the one that is known.
    pub(super) fn forget(&mut self, object: &ImagePolicy) {
        let name = object.name_any();
        let uid = object.uid().unwrap_or_default();
        if self.entries.get(name.as_str()).is_some_and(|entry| *entry.uid == *uid) {
            self.entries.remove(name.as_str());
        }
    }

    /// None but these are there.
    pub(super) fn keep_only(&mut self, names: &BTreeSet<String>) {
        self.entries.retain(|name, _| names.contains(&**name));
    }

    /// Something was read of this Secret.
    pub(super) fn keys_changed(&mut self, secret: &str, keys: &Keys) {
        for (name, entry) in &mut self.entries {
            if entry.keys.iter().any(|(its, _)| its == secret) {
                entry.compile_again(name, keys, &self.surroundings);
            }
        }
    }

    /// The keys that policies name.
    pub(super) fn keys(&self) -> BTreeSet<At> {
        self.entries.values().flat_map(|entry| entry.keys.iter().cloned()).collect()
    }

    /// Whether one of them has never been looked at in full: its Secrets are being read.
    pub(super) fn waits(&self) -> bool {
        self.entries.values().any(|entry| entry.told.is_none())
    }

    /// All of it as it is now, when all were listed. One of which nothing is known so far is left out.
    pub(super) fn set(&self, now: Timestamp) -> PolicySet {
        let mut by_name = self.built_in.clone();
        // Whoever wrote a policy of that name means another than ours: while it cannot be used, who is to be judged by it is
        // refused, as for any other name.
        by_name.retain(|name, _| !self.entries.contains_key(name.as_str()));
        let in_force = self.entries.values().filter_map(|entry| entry.in_force.as_ref());
        by_name.extend(in_force.map(|its| (its.policy.name.clone(), Arc::clone(&its.policy))));
        let objects = self.entries.iter().filter_map(|(name, entry)| entry.object(name, now));
        PolicySet { listed: true, by_name, objects: objects.collect() }
    }
}

impl Entry {
    fn new(uid: Arc<str>, generation: i64) -> Self {
        Self { uid, generation, status: None, told: None, in_force: None, again: None, keys: BTreeSet::new() }
    }

    fn compile(&mut self, name: &str, document: &Document, keys: &Keys, surroundings: &Surroundings) {
        let outcome = compile(document, surroundings, &|secret, key| keys.get(secret, key).cloned());
        self.again = (!outcome.keys.is_empty()).then(|| document.0.to_string().into());
        self.finish(name, outcome);
    }

    fn compile_again(&mut self, name: &str, keys: &Keys, surroundings: &Surroundings) {
        let document = self.again.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let Some(document) = document.map(Document) else { return };
        self.finish(name, compile(&document, surroundings, &|secret, key| keys.get(secret, key).cloned()));
    }

    fn finish(&mut self, name: &str, outcome: Outcome) {
        let Outcome { compiled, keys, unread } = outcome;
        self.keys = keys;
        // What is to be said of it depends on what is being read.
        if unread {
            return;
        }
        let generation = self.generation;
        let (mistakes, warnings, waivers) = match compiled {
            Ok(Compiled { policy, warnings, roots: _, waivers }) => {
                self.in_force = Some(Accepted { generation, policy: Arc::new(policy) });
                (Vec::new(), warnings, waivers)
            }
            Err(mistakes) => (mistakes, Vec::new(), Vec::new()),
        };
        if let Some(first) = mistakes.first() {
            let more = mistakes.len() - 1;
            tracing::warn!(policy = name, generation, mistake = %first, more, "an ImagePolicy is invalid");
        } else {
            tracing::info!(policy = name, generation, "an ImagePolicy is in force");
        }
        self.told = Some(Told { generation, mistakes, warnings, waivers });
    }

    fn object(&self, name: &Arc<str>, now: Timestamp) -> Option<PolicyObject> {
        let Told { generation, mistakes, warnings, waivers } = self.told.as_ref()?;
        let in_force = match &self.in_force {
            None => InForce::None,
            Some(Accepted { generation: its, policy }) if its == generation => {
                InForce::This { rules: policy.rules.len() }
            }
            Some(Accepted { generation, policy }) => {
                InForce::Earlier { generation: *generation, rules: policy.rules.len() }
            }
        };
        let mut warnings = warnings.clone();
        warnings.extend(waiver_warnings(waivers, &source(name), now));
        Some(PolicyObject {
            name: Arc::clone(name),
            uid: Arc::clone(&self.uid),
            generation: *generation,
            mistakes: mistakes.clone(),
            warnings,
            in_force,
            status: self.status.clone(),
        })
    }
}

/// Those that are part of the program.
pub(super) fn built_in() -> BTreeMap<PolicyName, Arc<Policy>> {
    compile::built_in().into_iter().map(|policy| (policy.name.clone(), Arc::new(policy))).collect()
}

/// What mistakes in a policy say that they are of.
pub(super) fn source(name: &str) -> String {
    format!("ImagePolicy {}", crate::policy::document::wording::excerpt(name))
}

/// Compiles one document with these keys; none: it is not known so far.
pub(super) fn compile(
    document: &Document,
    surroundings: &Surroundings,
    key_of: &dyn Fn(&str, &str) -> Option<Key>,
) -> Outcome {
    let (named, unread) = (RefCell::new(BTreeSet::new()), Cell::new(false));
    let read = |at: KeyAt<'_>| -> Result<PublicKey, String> {
        match at {
            KeyAt::Pem(pem) => read_public_key(pem),
            KeyAt::File(_) => Err("a cluster has no files: use pem or secretRef".to_owned()),
            KeyAt::Secret { name, key } => {
                named.borrow_mut().insert((name.to_owned(), key.to_owned()));
                key_of(name, key).unwrap_or_else(|| {
                    unread.set(true);
                    Err("it is being read".to_owned())
                })
            }
        }
    };
    let node = Node::from_json(&document.0);
    let name = node.field("metadata").and_then(|its| its.field("name")).and_then(Node::text).unwrap_or_default();
    // One document must not take down what keeps up with all of them.
    let compiling = AssertUnwindSafe(|| compile::compile(&node, &source(name), &read));
    let compiled = catch_unwind(compiling).unwrap_or_else(|_panic| {
        let message = "a fault inside Pratique, see its log; please report it with the policy".to_owned();
        Err(vec![Mistake::about(source(name), message)])
    });
    let compiled = compiled.and_then(|compiled| {
        let unrooted = unrooted(&compiled, surroundings);
        if unrooted.is_empty() { Ok(compiled) } else { Err(unrooted) }
    });
    Outcome { compiled, keys: named.into_inner(), unread: unread.get() }
}

/// Where it names trusted roots that the settings do not have.
fn unrooted(compiled: &Compiled, surroundings: &Surroundings) -> Vec<Mistake> {
    let known = |name: &str| name == signature::trust::PUBLIC || surroundings.roots.iter().any(|root| root == name);
    let unknown = |(name, _): &&(RootName, Mistake)| !known(name);
    compiled.roots.iter().filter(unknown).map(|(_, mistake)| mistake.clone()).collect()
}
