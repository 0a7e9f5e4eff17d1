//! What one replica knows and shows, and what it makes of each look at the Secret and the bundle: without an API server and
//! without a clock of its own, so that years of it can be tried.

use jiff::Timestamp;

use crate::server::tls::TlsError;
use crate::server::tls::issue::{Authority, Leaf};

use super::rotation::{MOST_AUTHORITIES, Seen, State, Subject, takes_over};

/// Looks for which a replica that starts leaves it to the others to bring back a Secret that is gone or spoilt, where there
/// may be others: the one with the lease still knows what it was, and needs one look.
const LEFT_TO_OTHERS: u32 = 4;
/// CAs of a bundle that stay trusted beside the first that we make: those of whoever answers there now.
const MOST_ADOPTED: usize = MOST_AUTHORITIES / 2;

/// One of several.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) subject: Subject,
    /// What the Secret was when it was whole.
    known: State,
    seen: Seen,
    pub(super) shown: Option<Leaf>,
    /// API servers were able to believe what is shown, once at least since the start; or could believe nobody else.
    believed: bool,
    /// Looks at a Secret of which nothing can be shown.
    waited: u32,
}

/// What a look at the Secret found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) state: &'a State,
    /// Nothing in it is unusable.
    pub(super) whole: bool,
}

impl Replica {
    pub(super) fn new(subject: Subject) -> Self {
        let (known, seen) = (State::default(), Seen::default());
        Self { subject, known, seen, shown: None, believed: false, waited: 0 }
    }

    /// A look at the bundle.
    pub(super) fn look(&mut self, now: Timestamp, trusted: &[Authority]) {
        self.seen.look(now, trusted);
        self.note_belief(now);
    }

    /// A look at the Secret. Returns the leaf that is to be shown from now on, where it is another.
    pub(super) fn take(&mut self, now: Timestamp, found: Option<Found<'_>>) -> Option<Leaf> {
        let Some(Found { state, whole }) = found else {
            self.waited = self.waited.saturating_add(1);
            return None;
        };
        if whole && state.leaf.is_some() {
            self.known = state.clone();
        }
        let leaf = match (&self.shown, &state.leaf) {
            (Some(shown), Some(leaf)) if takes_over(now, &self.subject.host, shown, state, &self.seen) => leaf.clone(),
            (None, Some(leaf)) => leaf.clone(),
            (None, None) => {
                self.waited = self.waited.saturating_add(1);
                return None;
            }
            (Some(_), _) => return None,
        };
        self.shown = Some(leaf.clone());
        self.waited = 0;
        self.note_belief(now);
        Some(leaf)
    }

    /// What the Secret is to be now.
    pub(super) fn due(&self, now: Timestamp, found: Option<Found<'_>>) -> Result<State, TlsError> {
        let state = match found {
            Some(Found { state, whole: true }) => state.clone(),
            Some(Found { state, whole: false }) => state.clone().mended(&self.known),
            None if self.known.leaf.is_some() => State::default().mended(&self.known),
            // Whoever answers there now is believed until its time is over.
            None => State { authorities: self.seen.trusted(MOST_ADOPTED), leaf: None },
        };
        state.advanced(now, &self.subject, &self.seen)
    }

    /// Whether a replica that has nothing to show makes something, lease or not: where API servers trust nobody yet, nobody
    /// is there to be waited for.
    pub(super) fn starts_anew(&self) -> bool {
        self.shown.is_none() && (self.seen.is_empty() || self.waited > LEFT_TO_OTHERS)
    }

    /// API servers believe others, and not yet us: this replica must not take the place of another.
    pub(super) fn is_not_believed_yet(&self) -> bool {
        self.shown.is_none() || !self.believed && !self.seen.is_empty()
    }

    fn note_belief(&mut self, now: Timestamp) {
        let host = &self.subject.host;
        // The first bundle of all is news to API servers, but nobody serves them better than we do: were every replica to wait
        // until it has settled, nobody at all would answer.
        let believed =
            |leaf| self.seen.is_settled(leaf, host, now) || self.seen.vouches_for_nobody_else(leaf, host, now);
        self.believed |= self.shown.as_ref().is_some_and(believed);
    }
}
