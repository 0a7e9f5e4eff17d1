//! When which certificate is made, shown and dropped, without an API server and without a clock of its own.
//!
//! Every replica can compute the [`next`] step; the one that holds the lease writes it. A new CA is first in the bundle,
//! then signs what is shown, and stays there until nothing that it signed is valid any more: a replica that has not read
//! the Secret for weeks is still believed.

use jiff::{SignedDuration, Timestamp};

use crate::server::tls::TlsError;
use crate::server::tls::issue::{Authority, Leaf};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Short enough that renewal is nothing rare, long enough that a third of it is a month in which we may be away.
pub(super) const LEAF: SignedDuration = SignedDuration::from_hours(90 * 24);
pub(super) const AUTHORITY: SignedDuration = SignedDuration::from_hours(365 * 24);
/// From a CA in the bundle to a leaf by it. API servers take a changed bundle over within a second or so, and replicas look
/// every few seconds; this is for the one whose watch hangs.
pub(super) const PROPAGATION: SignedDuration = SignedDuration::from_mins(10);
/// The same where a leaf is already there, by a CA that was not in the bundle: API servers were measured to need 0.1 s.
pub(super) const SETTLE: SignedDuration = SignedDuration::from_secs(30);
/// So near to its end a leaf is replaced by any CA that is in the bundle, however short.
const URGENT: SignedDuration = DAY;
/// What a new leaf must at least last longer than the old one, lest one be made at every look.
const GAIN: SignedDuration = DAY;
/// From a CA to the end of whatever its forerunners signed: they sign until it is in force, at most so long as we may be
/// away, and leaves last as they do.
const RETIRED: SignedDuration = SignedDuration::from_hours((90 + 30) * 24);
/// CAs at once: two in a rotation; more only where somebody deletes the Secret again and again.
pub(super) const MOST_AUTHORITIES: usize = 8;
/// Steps that one look may take; making everything needs two.
const STEPS: usize = 4;

/// What the Secret holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    /// All that are to be trusted, the oldest first; the last one is to issue.
    pub(super) authorities: Vec<Authority>,
    pub(super) leaf: Option<Leaf>,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Wait,
    AddAuthority,
    /// By the CA at this place.
    Issue(usize),
    /// The CA at this place.
    Drop(usize),
}

/// Since when which CA was in the bundle at every look.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Vec<(Authority, Timestamp)>);

/// Whom certificates are for.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// As API servers call us.
    pub(super) host: String,
    /// This, and what people call us.
    pub(super) names: Vec<String>,
}

impl Subject {
    pub(super) fn new(host: String) -> Self {
        let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let names = [host.clone(), format!("{host}.cluster.local")].into_iter().chain(local).collect();
        Self { host, names }
    }
}

impl Seen {
    /// One look at the live bundle.
    pub(super) fn look(&mut self, now: Timestamp, live: &[Authority]) {
        let since = |authority: &Authority| self.since(authority).unwrap_or(now).min(now);
        self.0 = live.iter().map(|authority| (authority.clone(), since(authority))).collect();
    }

    fn since(&self, authority: &Authority) -> Option<Timestamp> {
        self.0.iter().find(|(known, _)| known == authority).map(|(_, since)| *since)
    }

    fn in_force(&self, authority: &Authority, now: Timestamp) -> bool {
        self.since(authority).is_some_and(|since| since + PROPAGATION <= now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that were in the bundle at the last look, up to a number of them.
    pub(super) fn trusted(&self, most: usize) -> Vec<Authority> {
        self.0.iter().take(most).map(|(authority, _)| authority.clone()).collect()
    }

    /// Whether the live bundle vouches for the leaf.
    pub(super) fn vouches(&self, leaf: &Leaf, host: &str, now: Timestamp) -> bool {
        leaf.is_believed(self.0.iter().map(|(authority, _)| authority), host, now)
    }

    /// The same, and API servers had time to notice: a CA of some age is no news to them, though it may be to us.
    pub(super) fn is_settled(&self, leaf: &Leaf, host: &str, now: Timestamp) -> bool {
        let settled = |(authority, since): &&(Authority, Timestamp)| {
            *since + SETTLE <= now || authority.made() + PROPAGATION <= now
        };
        leaf.is_believed(self.0.iter().filter(settled).map(|(authority, _)| authority), host, now)
    }

    /// Whether the live bundle vouches for the leaf and for nobody whom it does not come from: then there is no other to be
    /// believed in its place.
    pub(super) fn vouches_for_nobody_else(&self, leaf: &Leaf, host: &str, now: Timestamp) -> bool {
        !self.is_empty() && self.0.iter().all(|(authority, _)| leaf.is_believed([authority], host, now))
    }
}

impl State {
    /// Which of our CAs signed the leaf, where it can be shown now.
    fn issuer(&self, host: &str, now: Timestamp) -> Option<usize> {
        let leaf = self.leaf.as_ref()?;
        self.authorities.iter().rposition(|authority| leaf.is_believed([authority], host, now))
    }

    /// When nothing by this CA is valid any more.
    fn end(&self, at: usize) -> Option<Timestamp> {
        let (authority, newest) = (self.authorities.get(at)?, self.authorities.last()?);
        let last = at + 1 == self.authorities.len();
        Some(if last { authority.until() } else { authority.until().min(newest.made() + RETIRED) })
    }

    /// With what was known before, where this was spoilt: its CAs stay trusted but issue nothing more, and its leaf serves.
    pub(super) fn mended(mut self, known: &Self) -> Self {
        for authority in known.authorities.iter().rev() {
            if !self.authorities.contains(authority) {
                let mut authority = authority.clone();
                authority.forget_key();
                self.authorities.insert(0, authority);
            }
        }
        self.leaf = self.leaf.or_else(|| known.leaf.clone());
        self
    }

    /// After all steps that are due now.
    pub(super) fn advanced(mut self, now: Timestamp, subject: &Subject, seen: &Seen) -> Result<Self, TlsError> {
        for _ in 0..STEPS {
            let step = next(now, &subject.host, &self, seen);
            if step == Step::Wait {
                break;
            }
            self.take(step, now, subject)?;
        }
        Ok(self)
    }

    fn take(&mut self, step: Step, now: Timestamp, subject: &Subject) -> Result<(), TlsError> {
        match step {
            Step::Wait => {}
            Step::AddAuthority => {
                let issuer = self.issuer(&subject.host, now);
                while self.authorities.len() >= MOST_AUTHORITIES {
                    // The oldest, unless it vouches for what is shown.
                    self.authorities.remove(usize::from(issuer == Some(0)));
                }
                self.authorities.push(Authority::make(now, AUTHORITY)?);
            }
            Step::Issue(at) => {
                let until = self.end(at).unwrap_or(now).min(now + LEAF);
                let Some(authority) = self.authorities.get(at) else { return Ok(()) };
                self.leaf = Some(authority.issue(&subject.names, now, until)?);
                // Whoever comes before the issuer is trusted for what it signed, and signs nothing more.
                self.authorities.iter_mut().take(at).for_each(Authority::forget_key);
            }
            Step::Drop(at) => drop(self.authorities.remove(at)),
        }
        Ok(())
    }
}

/// What is due at this moment.
pub(super) fn next(now: Timestamp, host: &str, state: &State, seen: &Seen) -> Step {
    let issuer = state.issuer(host, now);
    let ended = |at: &usize| Some(*at) != issuer && state.end(*at).is_none_or(|end| end <= now);
    if let Some(at) = (0..state.authorities.len()).find(ended) {
        return Step::Drop(at);
    }
    if let Some(at) = issuer_of_the_next(now, state, issuer, seen) {
        return Step::Issue(at);
    }
    let due = |authority: &Authority| {
        let (from, until) = (authority.made(), authority.until());
        !may_issue(authority, now) || from + from.duration_until(until) * 2 / 3 <= now
    };
    if state.authorities.last().is_none_or(due) { Step::AddAuthority } else { Step::Wait }
}

/// Which CA is to sign a new leaf now, if one is due.
fn issuer_of_the_next(now: Timestamp, state: &State, issuer: Option<usize>, seen: &Seen) -> Option<usize> {
    let newest_of = |fits: &dyn Fn(&Authority) -> bool| {
        state.authorities.iter().rposition(|authority| may_issue(authority, now) && fits(authority))
    };
    let in_force = newest_of(&|authority| seen.in_force(authority, now));
    let (Some(leaf), Some(issuer)) = (&state.leaf, issuer) else {
        // Nothing can be shown: the best of what there is.
        let in_bundle = || newest_of(&|authority| seen.since(authority).is_some());
        return in_force.or_else(in_bundle).or_else(|| newest_of(&|_| true));
    };
    let gains = |at: &usize| state.end(*at).is_some_and(|end| end.min(now + LEAF) >= leaf.until() + GAIN);
    let age_of_renewal = leaf.made() + leaf.made().duration_until(leaf.until()) * 2 / 3;
    if leaf.until() <= now + URGENT {
        in_force.or_else(|| newest_of(&|authority| seen.since(authority).is_some())).filter(gains)
    } else if age_of_renewal <= now {
        in_force.filter(gains)
    } else {
        in_force.filter(|at| *at > issuer)
    }
}

fn may_issue(authority: &Authority, now: Timestamp) -> bool {
    authority.can_issue() && authority.made() - crate::server::tls::issue::BACKDATED <= now && now < authority.until()
}

/// Whether a replica that shows one leaf goes over to that of the Secret.
pub(super) fn takes_over(now: Timestamp, host: &str, shown: &Leaf, state: &State, seen: &Seen) -> bool {
    let Some(offered) = &state.leaf else { return false };
    if shown == offered || !offered.is_valid(now) {
        return false;
    }
    let one_issuer = || {
        let vouches = |authority: &Authority| {
            offered.is_believed([authority], host, now) && shown.is_believed([authority], host, now)
        };
        state.authorities.iter().any(vouches)
    };
    !shown.is_valid(now)
        || one_issuer()
        || seen.is_settled(offered, host, now)
        || seen.vouches(offered, host, now) && !seen.vouches(shown, host, now)
        // Nobody can tell us what API servers trust; what ends is surely of no use.
        || seen.is_empty() && shown.until() <= now + URGENT
}

#[cfg(test)]
mod tests;
