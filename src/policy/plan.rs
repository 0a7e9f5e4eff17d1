//! What one review needs: which policy judges which container in which mode, and what must be known for it. Pure.

use std::sync::Arc;

use crate::fact::{Fact, Fault, Labels, Scope, Trouble};
use crate::image::Reference;
use crate::request::{Container, Flaw, NoImages, PullSecrets, Request, Role, Subject};

use super::{
    Action, Controllers, Demands, Mode, Policies, Policy, PolicyName, Repointed, RuleName, Tolerance, Unmatched,
};

pub use examine::Examine;
pub use nodes::{Nodes, is_image};
pub use refusal::StaticRefusal;

mod examine;
mod nodes;
mod patience;
mod refusal;

/// One review, planned.
#[derive(Debug)]
pub struct Plan<'r> {
    pub request: &'r Request,
    pub standing: Standing<'r>,
    /// In the order of the containers, and for each in the order enforce, warn, audit.
    pub judgements: Vec<Judgement>,
    /// A mode is to be judged by a policy that does not exist.
    pub unknown: Vec<Unknown>,
    /// One for each distinct image of which something must be known.
    pub wants: Vec<Want<'r>>,
    /// Every refusal becomes an audit record.
    pub dry_run: bool,
    pub controllers: Controllers,
    /// The namespace could not be looked up, so that nobody knows who judges in it; the mode in which that is held against
    /// the object.
    pub namespace_unknown: Option<(Mode, Trouble)>,
    /// The namespace of the request, where it is known to exist: whoever asks may name any.
    pub namespace: Option<&'r str>,
    /// A default or the floor enforces in every namespace that does not say otherwise.
    pub enforces_everywhere: bool,
    pub nodes: Nodes,
    /// Somebody wants to read of everything that was found, and not of what counts alone.
    pub for_report: bool,
}

/// A policy that is named and does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    pub mode: Mode,
    /// As [`Judgement::softened`].
    pub softened: bool,
    /// As written.
    pub name: String,
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
    /// The policy enforces, and a controller is only warned of it, by the settings: its Pods are refused.
    pub softened: bool,
    pub policy: PolicyName,
    /// Index in the request's containers.
    pub container: usize,
    /// Index in the plan's wants.
    pub want: Option<usize>,
    /// Index in what the want examines; none where signatures do not matter.
    pub examine: Option<usize>,
    pub ruling: Ruling,
    /// What the demands of the rule have against the name alone, in the order in which it is told.
    pub refusals: Vec<StaticRefusal>,
    /// Its demand on scans is judged. Not where no report is kept anywhere, and none is demanded: then nothing is looked up.
    pub scans: bool,
    pub tolerance: Tolerance,
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
    pub reference: &'r Reference,
    /// Whose credentials are used.
    pub pull: &'r PullSecrets,
    /// How long the answer waits for the digest.
    pub resolve: Wait,
    /// How long it waits where there is a record to compare with; without one there is nothing to wait for.
    pub compare: Wait,
    /// What must be known of its signatures, once for each examination.
    pub examine: Vec<Examine>,
    /// What must be known of scans; none where no demand asks.
    pub scan: Option<Scan>,
}

/// What scanners say of an image must be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scan {
    pub wait: Wait,
    /// Of directories and objects: not where every demand wants them attested.
    pub unattested: bool,
}

/// For how long the answer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// Not at all, and nobody is asked: what is at hand.
    AtHand,
    /// Not at all: it is looked up, and what comes later is for log and records.
    Afterwards,
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
        namespace_unknown: None,
        namespace: matches!(scope.labels, Fact::Known(_)).then_some(request.namespace.as_str()),
        enforces_everywhere: bindings.enforce.is_some() || bindings.floor.is_some(),
        nodes: Nodes::of(scope, request),
        for_report: false,
    };
    if let (Standing::Judged(containers), Subject::Images { old, .. }) = (&plan.standing, &request.subject) {
        let (judges, unknown) = judges(policies, &scope.labels, request.role);
        plan.unknown = unknown;
        let mode = if is_softened(policies, request.role) { Mode::Warn } else { Mode::Enforce };
        plan.namespace_unknown = trouble(&scope.labels).map(|trouble| (mode, trouble));
        for (index, container) in containers.iter().enumerate() {
            if is_unchanged(container, containers, old) {
                continue;
            }
            let first = plan.judgements.len();
            plan.judgements.extend(judges.iter().map(|judge| judge.judge(index, container, scope.scans)));
            let refused = plan.undetermined_mode() == Some(Mode::Enforce);
            let of_image = plan.judgements.get_mut(first..).unwrap_or_default();
            if let Some(want) = want(request, container, of_image, refused) {
                let longest = want.resolve;
                let (index, want) = enter(&mut plan.wants, &want);
                for judgement in of_image {
                    judgement.want = Some(index);
                    judgement.examine = judgement.examine_in(want, longest);
                    judgement.scan_in(want, longest);
                }
            }
        }
    }
    plan
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
    softened: bool,
    policy: &'p Arc<Policy>,
}

/// Per mode the label's policy if there is one, else the default; the floor on top. A label that names no policy
/// there is, or a default that does, is returned as unknown.
fn judges<'p>(policies: &'p Policies, labels: &Fact<Labels>, role: Role) -> (Vec<Judge<'p>>, Vec<Unknown>) {
    let none = Labels::default();
    let labels = match labels {
        Fact::Known(seen) => &seen.value,
        // Judged by the defaults and the floor. Where it is not that manifests do not name it, it is refused beside that.
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => &none,
    };
    let bindings = &policies.bindings;
    let named = [
        (Mode::Enforce, None, &bindings.floor),
        (Mode::Enforce, labels.enforce.as_deref(), &bindings.enforce),
        (Mode::Warn, labels.warn.as_deref(), &bindings.warn),
        (Mode::Audit, labels.audit.as_deref(), &bindings.audit),
    ];
    let soft = is_softened(policies, role);
    let (mut judges, mut unknown): (Vec<Judge<'_>>, Vec<Unknown>) = (Vec::new(), Vec::new());
    for (mode, label, default) in named {
        let Some(name) = label.or_else(|| default.as_ref().map(PolicyName::as_str)) else { continue };
        let softened = soft && mode == Mode::Enforce;
        let mode = if softened { Mode::Warn } else { mode };
        match policies.by_name.get(name) {
            Some(policy) => {
                // The same policy twice in one mode would say everything twice. Those that enforce come first.
                if !judges.iter().any(|other| other.mode == mode && Arc::ptr_eq(other.policy, policy)) {
                    judges.push(Judge { mode, softened, policy });
                }
            }
            None => unknown.push(Unknown { mode, softened, name: name.to_owned() }),
        }
    }
    (judges, unknown)
}

fn is_softened(policies: &Policies, role: Role) -> bool {
    role == Role::Controller && policies.bindings.controllers == Controllers::Warn
}

/// Why the labels of a namespace are not known.
fn trouble(labels: &Fact<Labels>) -> Option<Trouble> {
    match labels {
        Fact::Known(_) | Fact::Absent(_) => None,
        Fact::Unavailable(trouble) => Some(trouble.clone()),
        Fact::Pending => Some(Trouble::new(Fault::Deadline, "the API server has not answered in time")),
    }
}

impl Plan<'_> {
    /// The strictest mode in which it cannot be told who judges.
    #[must_use]
    pub fn undetermined_mode(&self) -> Option<Mode> {
        let namespace = self.namespace_unknown.iter().map(|(mode, _)| *mode);
        self.unknown.iter().map(|unknown| unknown.mode).chain(namespace).min()
    }
}

impl Judge<'_> {
    fn judge(&self, index: usize, container: &Container, kept: bool) -> Judgement {
        let (ruling, refusals) = match &container.reference {
            Ok(reference) => {
                let ruling = self.policy.ruling(reference);
                let refusals = ruling.demands().map_or_else(Vec::new, |demands| demands.refuses_statically(reference));
                (ruling, refusals)
            }
            Err(_) => (Ruling::InvalidReference, Vec::new()),
        };
        let scans =
            ruling.demands().and_then(|demands| demands.scan.as_ref()).is_some_and(|its| kept || its.needs_a_report());
        let (mode, softened) = (self.mode, self.softened);
        let (policy, tolerance) = (self.policy.name.clone(), self.policy.tolerance);
        let (container, want, examine) = (index, None, None);
        Judgement { mode, softened, policy, container, want, examine, ruling, refusals, scans, tolerance }
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

/// What must be known of one container's image; none where it has no name to look up.
///
/// What is refused for its name alone needs no look-up, nor does what nothing is demanded of. Everything else
/// is resolved, so that records and log say what was admitted, whether or not the answer waits for it.
fn want<'r>(request: &'r Request, container: &'r Container, judged: &[Judgement], refused: bool) -> Option<Want<'r>> {
    let Request { namespace, pull, .. } = request;
    let reference = container.reference.as_ref().ok()?;
    let (resolve, compare) = (Wait::AtHand, Wait::AtHand);
    let mut want = Want { namespace, reference, pull, resolve, compare, examine: Vec::new(), scan: None };
    let refused = refused || judged.iter().any(|judgement| judgement.refuses_enforced());
    if !refused {
        for judgement in judged {
            let (resolve, compare) = judgement.needs(reference);
            want.resolve = want.resolve.max(resolve);
            want.compare = want.compare.max(compare);
        }
    }
    if request.role == Role::Controller {
        want.resolve = want.resolve.min(Wait::Briefly);
        want.compare = want.compare.min(Wait::Briefly);
    }
    Some(want)
}

/// The want among them with its index, joined with one for the same image.
fn enter<'w, 'r>(wants: &'w mut Vec<Want<'r>>, want: &Want<'r>) -> (usize, &'w mut Want<'r>) {
    let index = wants.iter().position(|other| other.reference == want.reference).unwrap_or(wants.len());
    if index == wants.len() {
        wants.push(want.clone());
    }
    let entered = wants.get_mut(index).expect("it was there or has just been pushed");
    entered.resolve = entered.resolve.max(want.resolve);
    entered.compare = entered.compare.max(want.compare);
    (index, entered)
}

impl Ruling {
    /// What the rule requires; none where it requires nothing, or nothing could be met.
    #[must_use]
    pub fn demands(&self) -> Option<&Arc<Demands>> {
        match self {
            Self::Rule { name: _, action: Action::Require(demands) } => Some(demands),
            Self::Rule { name: _, action: Action::Admit | Action::Refuse(_) }
            | Self::InvalidReference
            | Self::Unmatched(_) => None,
        }
    }
}

impl Judgement {
    /// Whether an enforcing policy refuses the image for its name alone.
    fn refuses_enforced(&self) -> bool {
        let refuses = match &self.ruling {
            Ruling::InvalidReference | Ruling::Unmatched(Unmatched::Deny) => true,
            Ruling::Unmatched(Unmatched::Allow) => false,
            Ruling::Rule { name: _, action } => match action {
                Action::Admit => false,
                Action::Refuse(_) => true,
                Action::Require(_) => !self.refusals.is_empty(),
            },
        };
        self.mode == Mode::Enforce && refuses
    }

    /// Whether the digest decides about the image, once its name alone did not.
    fn depends_on_digest(&self, reference: &Reference) -> bool {
        let depends =
            |demands: &Arc<Demands>| demands.compares(reference) == Repointed::Deny || self.looks_closer(demands);
        self.refusals.is_empty() && self.ruling.demands().is_some_and(depends)
    }

    /// What a record of this judgement is called: `policy/rule`.
    #[must_use]
    pub fn by(&self) -> String {
        match &self.ruling {
            Ruling::Rule { name, action: _ } => format!("{}/{name}", self.policy),
            Ruling::InvalidReference | Ruling::Unmatched(_) => format!("{}/", self.policy),
        }
    }

    /// Enters into its want what this judgement needs of scans; `longest`: what the want may wait.
    fn scan_in(&self, want: &mut Want<'_>, longest: Wait) {
        let Some(demands) = self.ruling.demands().filter(|_| self.refusals.is_empty()) else { return };
        let Some(demand) = demands.scan.as_ref().filter(|_| self.scans) else { return };
        let scan = want.scan.get_or_insert(Scan { wait: Wait::AtHand, unattested: false });
        scan.wait = scan.wait.max(self.waits().min(longest));
        scan.unattested |= demand.authorities.is_empty();
    }

    /// Whether the digest must be known to judge these demands of its rule.
    #[must_use]
    pub fn looks_closer(&self, demands: &Demands) -> bool {
        demands.examination.is_some() || self.scans
    }

    fn waits(&self) -> Wait {
        match self.mode {
            Mode::Enforce => Wait::UntilDeadline,
            Mode::Warn => Wait::Briefly,
            Mode::Audit => Wait::Afterwards,
        }
    }

    /// How long this judgement waits for the digest, and how long where there is a record to compare it with.
    fn needs(&self, reference: &Reference) -> (Wait, Wait) {
        let waits = self.waits();
        let Some(demands) = self.ruling.demands().filter(|_| self.refusals.is_empty()) else {
            return (Wait::AtHand, Wait::AtHand);
        };
        let (resolve, compare) = match demands.compares(reference) {
            Repointed::Deny => (waits, Wait::AtHand),
            // It warns at most, so it waits as warnings do.
            Repointed::Warn => (Wait::Afterwards, waits.min(Wait::Briefly)),
            Repointed::Allow => (Wait::Afterwards, Wait::AtHand),
        };
        // What is signed and what was scanned is known by the digest alone.
        if self.looks_closer(demands) { (waits, compare) } else { (resolve, compare) }
    }
}

#[cfg(test)]
mod tests;
