//! What one review needs: which policy judges which container in which mode, and what must be known for it. Pure.

use std::sync::Arc;

use crate::fact::{Fact, Labels, Scope};
use crate::image::{Digest, Reference};
use crate::request::{Container, Flaw, NoImages, Request, Role, Subject};

use super::{Action, Controllers, Demands, Mode, Policies, Policy, PolicyName, RuleName, Unmatched};

/// One review, planned.
#[derive(Debug)]
pub struct Plan<'r> {
    pub request: &'r Request,
    pub standing: Standing<'r>,
    /// In the order of the containers, and for each in the order enforce, warn, audit.
    pub judgements: Vec<Judgement>,
    /// A mode is to be judged by a policy that does not exist; the name as written.
    pub unknown: Vec<(Mode, String)>,
    /// One for each distinct image of which something must be known.
    pub wants: Vec<Want<'r>>,
    /// Every refusal becomes an audit record.
    pub dry_run: bool,
    pub controllers: Controllers,
    /// The namespace could not be looked up, and was judged by the defaults and the floor.
    pub namespace_unknown: bool,
}

/// What kind of answer the review gets.
#[derive(Debug)]
pub enum Standing<'r> {
    /// The configuration exempts the namespace.
    Exempt,
    /// There is no image in it.
    Nothing(NoImages),
    /// `controllers: ignore`, and it is one.
    IgnoredController,
    /// An UPDATE that brings no image that was not there.
    Unchanged,
    Unreadable(&'r Flaw),
    /// By the judgements.
    Judged(&'r [Container]),
}

/// One container before one policy.
#[derive(Debug)]
pub struct Judgement {
    pub mode: Mode,
    pub policy: PolicyName,
    /// Index in the request's containers.
    pub container: usize,
    /// Index in the plan's wants.
    pub want: Option<usize>,
    pub ruling: Ruling,
}

/// What the policy says about the image's name.
#[derive(Debug)]
pub enum Ruling {
    /// There is no valid reference, so no rule can match it.
    InvalidReference,
    /// No rule matches.
    Unmatched(Unmatched),
    Rule {
        name: RuleName,
        action: Action,
    },
}

/// Something that must be known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want<'r> {
    pub namespace: &'r str,
    pub digest: &'r Digest,
    pub wait: Wait,
}

/// For how long the answer waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// Not at all: what is at hand.
    Never,
    /// Half a second: warnings and controllers.
    Briefly,
    UntilDeadline,
}

/// Plans one review against the policies in force.
#[must_use]
pub fn plan<'r>(policies: &Policies, scope: &Scope, request: &'r Request) -> Plan<'r> {
    let bindings = &policies.bindings;
    let mut plan = Plan {
        request,
        standing: standing(policies, request),
        judgements: Vec::new(),
        unknown: Vec::new(),
        wants: Vec::new(),
        dry_run: bindings.dry_run,
        controllers: bindings.controllers,
        namespace_unknown: matches!(scope.labels, Fact::Unavailable(_) | Fact::Pending),
    };
    if let (Standing::Judged(containers), Subject::Images { old, .. }) = (&plan.standing, &request.subject) {
        let (judges, unknown) = judges(policies, &scope.labels, request.role);
        plan.unknown = unknown;
        for (index, container) in containers.iter().enumerate() {
            if is_unchanged(container, containers, old) {
                continue;
            }
            let want = plan_want(&mut plan.wants, request, container);
            for judge in &judges {
                plan.judgements.push(judge.judge(index, container, want));
            }
        }
    }
    plan
}

impl Plan<'_> {
    /// The same plan for work after the reply, when nobody waits: every want may take its time.
    #[must_use]
    pub fn patiently(mut self) -> Self {
        for want in &mut self.wants {
            want.wait = Wait::UntilDeadline;
        }
        self
    }
}

fn standing<'r>(policies: &Policies, request: &'r Request) -> Standing<'r> {
    let bindings = &policies.bindings;
    let ignored = request.role == Role::Controller && bindings.controllers == Controllers::Ignore;
    match &request.subject {
        // Before anything else: an exempt namespace must stay usable whatever is wrong with its objects.
        _ if bindings.exempt_namespaces.contains(&request.namespace) => Standing::Exempt,
        Subject::Nothing(why) => Standing::Nothing(*why),
        Subject::Unreadable(Flaw::NoPodSpec { .. }) | Subject::Images { .. } if ignored => Standing::IgnoredController,
        Subject::Unreadable(flaw) => Standing::Unreadable(flaw),
        Subject::Images { containers, old } => {
            if containers.iter().all(|container| is_unchanged(container, containers, old)) {
                Standing::Unchanged
            } else {
                Standing::Judged(containers)
            }
        }
    }
}

/// Whether the container (kind and name) keeps, byte for byte, the image string that it had. A name that is
/// used twice says nothing about which is which, so both are judged.
fn is_unchanged(container: &Container, containers: &[Container], old: &[Container]) -> bool {
    let same = |other: &&Container| other.path.kind == container.path.kind && other.name == container.name;
    let mut before = old.iter().filter(same);
    match (before.next(), before.next()) {
        (Some(was), None) => was.written == container.written && containers.iter().filter(same).count() == 1,
        (None, _) | (Some(_), Some(_)) => false,
    }
}

/// A policy that judges in a mode.
struct Judge<'p> {
    mode: Mode,
    policy: &'p Arc<Policy>,
}

/// Per mode the label's policy if there is one, else the default; the floor on top. A label that names no policy
/// there is, or a default that does, is returned as unknown.
fn judges<'p>(policies: &'p Policies, labels: &Fact<Labels>, role: Role) -> (Vec<Judge<'p>>, Vec<(Mode, String)>) {
    let none = Labels::default();
    let labels = match labels {
        Fact::Known(seen) => &seen.value,
        // Judged by the defaults and the floor, never passed.
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => &none,
    };
    let bindings = &policies.bindings;
    let named = [
        (Mode::Enforce, None, &bindings.floor),
        (Mode::Enforce, labels.enforce.as_deref(), &bindings.enforce),
        (Mode::Warn, labels.warn.as_deref(), &bindings.warn),
        (Mode::Audit, labels.audit.as_deref(), &bindings.audit),
    ];
    let softened = role == Role::Controller && bindings.controllers == Controllers::Warn;
    let (mut judges, mut unknown): (Vec<Judge<'_>>, Vec<(Mode, String)>) = (Vec::new(), Vec::new());
    for (mode, label, default) in named {
        let Some(name) = label.or_else(|| default.as_ref().map(PolicyName::as_str)) else { continue };
        let mode = if softened && mode == Mode::Enforce { Mode::Warn } else { mode };
        match policies.by_name.get(name) {
            Some(policy) => {
                // The same policy twice in one mode would say everything twice.
                if !judges.iter().any(|other| other.mode == mode && Arc::ptr_eq(other.policy, policy)) {
                    judges.push(Judge { mode, policy });
                }
            }
            None => unknown.push((mode, name.to_owned())),
        }
    }
    (judges, unknown)
}

impl Judge<'_> {
    fn judge(&self, index: usize, container: &Container, want: Option<usize>) -> Judgement {
        let ruling = match &container.reference {
            Ok(reference) => self.policy.ruling(reference),
            Err(_) => Ruling::InvalidReference,
        };
        Judgement { mode: self.mode, policy: self.policy.name.clone(), container: index, want, ruling }
    }
}

impl Policy {
    /// The first rule whose images match decides.
    fn ruling(&self, reference: &Reference) -> Ruling {
        let matching = self.rules.iter().find(|rule| rule.images.iter().any(|pattern| pattern.matches(reference)));
        match matching {
            Some(rule) => Ruling::Rule { name: rule.name.clone(), action: rule.action.clone() },
            None => Ruling::Unmatched(self.unmatched),
        }
    }
}

/// A written digest is content-addressed, so what the namespace had of it is worth knowing; nothing waits for it, as
/// no demand of this build depends on it.
fn plan_want<'r>(wants: &mut Vec<Want<'r>>, request: &'r Request, container: &'r Container) -> Option<usize> {
    let digest = container.reference.as_ref().ok()?.digest()?;
    if let Some(index) = wants.iter().position(|want| want.digest == digest) {
        return Some(index);
    }
    wants.push(Want { namespace: &request.namespace, digest, wait: Wait::Never });
    Some(wants.len() - 1)
}

/// A demand that fails whatever anybody could look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaticRefusal {
    /// The tag is denied; `missing`: none was written, and none means `latest`.
    TagDenied { missing: bool },
    /// The tag is not among those allowed.
    TagNotAllowed { missing: bool },
    /// `requireDigest`, and there is none.
    NoDigest,
}

impl Demands {
    /// The demands that need no look-up, in the order in which they are told.
    #[must_use]
    pub fn refuses_statically(&self, reference: &Reference) -> Vec<StaticRefusal> {
        let Self { tags } = self;
        let (Some(tags), None) = (tags, reference.digest()) else {
            return Vec::new();
        };
        let (tag, missing) = reference.tag().map_or(("latest", true), |tag| (tag, false));
        let mut refusals = Vec::new();
        if tags.deny.iter().any(|pattern| pattern.matches(tag)) {
            refusals.push(StaticRefusal::TagDenied { missing });
        } else if !tags.allow.is_empty() && !tags.allow.iter().any(|pattern| pattern.matches(tag)) {
            refusals.push(StaticRefusal::TagNotAllowed { missing });
        }
        if tags.require_digest {
            refusals.push(StaticRefusal::NoDigest);
        }
        refusals
    }
}

#[cfg(test)]
mod tests;
