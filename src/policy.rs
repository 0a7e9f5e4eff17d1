//! What operators ask for, compiled so that it cannot be inconsistent.
//!
//! [`mod@file`] mirrors the YAML, [`compile`] turns it into a [`Policy`] and reports all mistakes at once, [`plan`] says
//! for one review which policy judges which container.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::image::{Pattern, TagPattern};

use scan::ScanDemand;
use trust::{AttestationDemand, Examination, SignatureDemand};

pub mod compile;
pub mod document;
pub mod file;
pub mod plan;
pub mod scan;
pub mod schema;
pub mod signed;
pub mod trust;

/// `metadata.name` of an ImagePolicy: a DNS label of at most 63 characters, so that it fits a namespace label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyName(Arc<str>);

/// The name of a rule within its policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(Arc<str>);

macro_rules! name {
    ($name:ident) => {
        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
    };
}
name!(PolicyName);
name!(RuleName);

impl std::borrow::Borrow<str> for PolicyName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One compiled `ImagePolicy`.
#[derive(Debug)]
pub struct Policy {
    pub name: PolicyName,
    /// What an image that no rule matches gets.
    pub unmatched: Unmatched,
    pub tolerance: Tolerance,
    /// The first rule whose images match decides.
    pub rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    Deny,
    Allow,
}

/// Outage or deadline, and nothing last known. Wrong hashes, broken answers and panics always deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    Deny,
    /// What was already admitted or runs in this namespace is admitted.
    Running,
    Admit,
}

/// The registry answers 401 or 403 to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inaccessible {
    Deny,
    Admit,
}

/// One entry of a policy.
#[derive(Debug)]
pub struct Rule {
    pub name: RuleName,
    /// Never empty.
    pub images: Vec<Pattern>,
    pub action: Action,
}

/// What a rule does with the images that it matches.
#[derive(Debug, Clone)]
pub enum Action {
    /// `admit: true`: nothing is asked of them.
    Admit,
    /// `refuse: "why"`: in the operator's words.
    Refuse(Arc<str>),
    Require(Arc<Demands>),
}

/// What a rule requires of an image. Never without a demand.
#[derive(Debug, Default)]
pub struct Demands {
    pub tags: Option<TagDemands>,
    pub signatures: Option<SignatureDemand>,
    pub attestations: Vec<AttestationDemand>,
    pub scan: Option<ScanDemand>,
    /// What attached to the image must be looked at: for signatures, attestations, and reports that must be attested.
    pub examination: Option<Arc<Examination>>,
}

/// `tags` of a rule. A digest makes the tag irrelevant; no tag counts as `latest`.
#[derive(Debug)]
pub struct TagDemands {
    pub deny: Vec<TagPattern>,
    /// Empty: every tag that is not denied.
    pub allow: Vec<TagPattern>,
    pub require_digest: bool,
    pub repointed: Repointed,
}

/// What follows when a tag names another digest than the one that is on record for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repointed {
    /// Then the digest must be known: who cannot tell it is refused.
    Deny,
    Warn,
    Allow,
}

/// What a policy says of evidence that cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    pub unavailable: Unavailable,
    pub inaccessible: Inaccessible,
}

/// How strongly a refusal is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    Enforce,
    Warn,
    Audit,
}

impl Mode {
    /// As in labels, metrics and JSON.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Audit => "audit",
        }
    }
}

/// What is done with objects that make Pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controllers {
    /// A refusal becomes a warning; the pods are judged when they come.
    Warn,
    Enforce,
    Ignore,
}

/// Everything in force at one moment: a review reads one of these from beginning to end.
#[derive(Debug)]
pub struct Policies {
    pub by_name: BTreeMap<PolicyName, Arc<Policy>>,
    pub bindings: Bindings,
}

/// Who is judged by what where no label says otherwise: the settings that name policies and namespaces.
#[derive(Debug, Clone)]
pub struct Bindings {
    /// Per mode the policy of namespaces without a label for it.
    pub enforce: Option<PolicyName>,
    pub warn: Option<PolicyName>,
    pub audit: Option<PolicyName>,
    /// Enforced everywhere on top; no label lowers it.
    pub floor: Option<PolicyName>,
    pub exempt_namespaces: BTreeSet<String>,
    pub controllers: Controllers,
    /// Every refusal becomes an audit record.
    pub dry_run: bool,
}

impl Policies {
    /// The settings that name a policy which does not exist, each with the name.
    #[must_use]
    pub fn unknown_bindings(&self) -> Vec<(String, PolicyName)> {
        let Bindings { enforce, warn, audit, floor, exempt_namespaces: _, controllers: _, dry_run: _ } = &self.bindings;
        let named =
            [("defaults.enforce", enforce), ("defaults.warn", warn), ("defaults.audit", audit), ("floor", floor)];
        let unknown = |name: &&PolicyName| !self.by_name.contains_key(name.as_str());
        let named = named.into_iter().filter_map(|(setting, name)| Some((setting, name.as_ref().filter(unknown)?)));
        named.map(|(setting, name)| (setting.to_owned(), name.clone())).collect()
    }
}
