//! List, then watch from there on, again and again. What keeps [`super::follow`]'s promises.
//!
//! It stands on `Api::list` and `Api::watch`, and not on kube-runtime's `watcher`: that one tells neither of bookmarks nor
//! that a watch was taken up again, so that nobody could say when a loss is over; it waits without limit for a list and for
//! the beginning of a watch; and it logs every attempt that is forbidden.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, pin_mut};
use jiff::Timestamp;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Error, Resource};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::wording::{self, Asked};
use super::{Health, Presence, Sink};

/// Objects to a page: a page is in memory as a whole, twice while it is read, with all that is left out of the objects. Of
/// namespaces only metadata comes, and nodes are made by few.
pub(super) const PAGE: u32 = 200;
/// Of what many may make, up to the 1.5 MB that the API server takes of one object: 50 MB then, where all of them do it on
/// purpose.
pub(super) const PAGE_OF_LARGE: u32 = 16;
/// For so long the API server keeps a watch before it ends it in good order. A connection that has silently died is noticed
/// when that end does not come, so that this is nearly how long it takes; a watch begun anew costs one request.
pub(super) const WATCH: u32 = 50;
/// How much later than that the end may come.
pub(super) const LATE: Duration = Duration::from_secs(5);
/// A page, or the beginning of a watch, takes milliseconds; an API server with much to do takes seconds. One that takes
/// longer is as good as away.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// The pause after a first failure: a connection that broke off is made anew at once, but not by all replicas together.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: an API server that comes back is noticed within this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A watch that has held for so long is well, and the next failure is a first one.
const HELD: Duration = Duration::from_secs(10);
/// After so many attempts to go on from where it was, everything is listed anew: an API server that was set back to an
/// older state answers that its time has not come, for ever.
const ATTEMPTS_TO_GO_ON: u32 = 5;
/// How often a kind is looked for that the cluster does not have.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// So many different failures are logged until it works again; there are not so many.
const DIFFERENT_FAILURES: usize = 16;

/// One kind, and what becomes of it.
pub(super) struct Driver<K: Resource, S> {
    api: Api<K>,
    presence: Presence,
    health: Health,
    sink: S,
    group: String,
    resource: String,
    /// Failures since it last held.
    failures: u32,
    /// Attempts to go on from where it was, since a watch last began.
    attempts: u32,
    /// Failures of which the log has heard since it last worked.
    told: BTreeSet<String>,
}

/// How many objects of a kind make a page.
fn page_of(resource: &str) -> u32 {
    match resource {
        "namespaces" | "nodes" => PAGE,
        _ => PAGE_OF_LARGE,
    }
}

/// Where to go on.
enum Next {
    List,
    Watch(String),
}

/// It did not work.
struct Setback {
    why: String,
    /// The API server does not have this kind.
    missing: bool,
    /// Going on from where it was will not do.
    list_anew: bool,
}

/// What a watch came to.
struct Watched {
    /// Up to where it was followed.
    version: String,
    /// For how long it held.
    held: Duration,
    /// None: it ended in good order.
    setback: Option<Setback>,
}

impl<K, S> Driver<K, S>
where
    K: Resource + Clone + fmt::Debug + DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
    S: Sink<K>,
{
    pub(super) fn new(api: Api<K>, presence: Presence, health: Health, sink: S) -> Self {
        let kind = K::DynamicType::default();
        let (group, resource) = (K::group(&kind).into_owned(), K::plural(&kind).into_owned());
        Self { api, presence, health, sink, group, resource, failures: 0, attempts: 0, told: BTreeSet::new() }
    }

    pub(super) async fn run(mut self) {
        let mut next = Next::List;
        loop {
            next = match next {
                Next::List => match self.list().await {
                    Ok(version) => Next::Watch(version),
                    Err(setback) => self.after(setback, Next::List).await,
                },
                Next::Watch(version) => self.watch_once(version).await,
            };
        }
    }

    /// All of them, page by page. The version from which on to watch.
    async fn list(&mut self) -> Result<String, Setback> {
        self.sink.restart();
        let mut page = ListParams::default().limit(page_of(&self.resource));
        loop {
            let answer = timeout(ANSWER, self.api.list(&page)).await.map_err(|_| self.no_answer("list"))?;
            let listed = answer.map_err(|error| self.setback("list", &error))?;
            for object in listed.items {
                self.sink.list(object);
            }
            let version = listed.metadata.resource_version.filter(|version| !version.is_empty());
            match (listed.metadata.continue_.filter(|token| !token.is_empty()), version) {
                (Some(token), _) => page = page.continue_token(&token),
                (None, Some(version)) => {
                    self.sink.complete();
                    self.works();
                    return Ok(version);
                }
                (None, None) => {
                    let why = format!("the API server does not say from when its {} are", self.asked("list"));
                    return Err(Setback { why, missing: false, list_anew: true });
                }
            }
        }
    }

    async fn watch_once(&mut self, version: String) -> Next {
        let Watched { version, held, setback } = self.watch(version).await;
        if held >= HELD {
            self.failures = 0;
        }
        match setback {
            Some(setback) => self.after(setback, Next::Watch(version)).await,
            None => {
                if held < HELD {
                    // Ended in good order, and soon: an API server that is about to leave, or that has no patience.
                    sleep(pause(self.failures)).await;
                }
                Next::Watch(version)
            }
        }
    }

    /// From this version on, until it ends.
    async fn watch(&mut self, mut version: String) -> Watched {
        let parameters = WatchParams::default().timeout(WATCH);
        let begun = match timeout(ANSWER, self.api.watch(&parameters, &version)).await {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(error)) => Err(self.setback("watch", &error)),
            Err(_) => Err(self.no_answer("watch")),
        };
        let events = match begun {
            Ok(events) => events,
            Err(setback) => return Watched { version, held: Duration::ZERO, setback: Some(setback) },
        };
        // The API server has taken it up from where we were: from here on everything that changes comes to us.
        self.works();
        let since = Instant::now();
        let end = since + Duration::from_secs(u64::from(WATCH)) + LATE;
        pin_mut!(events);
        let setback = loop {
            match timeout_at(end, events.next()).await {
                Ok(Some(Ok(event))) => match self.take(event, &mut version) {
                    Ok(()) => {}
                    Err(setback) => break Some(setback),
                },
                Ok(Some(Err(error))) => break Some(self.setback("watch", &error)),
                Ok(None) => break None,
                Err(_) => break Some(self.dead()),
            }
        };
        Watched { version, held: since.elapsed(), setback }
    }

    fn take(&mut self, event: WatchEvent<K>, version: &mut String) -> Result<(), Setback> {
        let at = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                let at = object.meta().resource_version.clone();
                self.sink.apply(object);
                at
            }
            WatchEvent::Deleted(object) => {
                let at = object.meta().resource_version.clone();
                self.sink.delete(object);
                at
            }
            WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(self.setback("watch", &Error::Api(status))),
        };
        // Without one we go on from an earlier one, and are told again what we know.
        if let Some(at) = at.filter(|at| !at.is_empty()) {
            *version = at;
        }
        self.health.counts(self.sink.len());
        Ok(())
    }

    fn works(&mut self) {
        self.health.counts(self.sink.len());
        self.told.clear();
        self.attempts = 0;
        if self.health.works() {
            tracing::info!(resource = self.resource, objects = self.sink.len(), "watch is up");
        }
    }

    /// Says it, and waits.
    async fn after(&mut self, setback: Setback, next: Next) -> Next {
        let Setback { why, missing, list_anew } = setback;
        if missing && self.presence == Presence::Optional {
            self.is_absent();
            sleep(LOOK_AGAIN).await;
            return Next::List;
        }
        if self.told.len() < DIFFERENT_FAILURES && self.told.insert(why.clone()) {
            tracing::warn!(resource = self.resource, "watch is lost: {why}");
        }
        self.health.fails(why, Timestamp::now());
        sleep(pause(self.failures)).await;
        self.failures = self.failures.saturating_add(1);
        self.attempts = self.attempts.saturating_add(1);
        if list_anew || missing || self.attempts >= ATTEMPTS_TO_GO_ON { Next::List } else { next }
    }

    /// What is not a kind of the cluster has no objects.
    fn is_absent(&mut self) {
        self.sink.restart();
        self.sink.complete();
        self.health.counts(self.sink.len());
        self.told.clear();
        self.failures = 0;
        if self.health.is_absent() {
            tracing::info!(resource = self.resource, "the cluster does not have this kind");
        }
    }

    fn asked(&self, verb: &'static str) -> Asked<'_> {
        Asked { verb, group: &self.group, resource: &self.resource }
    }

    fn setback(&self, verb: &'static str, error: &Error) -> Setback {
        let code = if let Error::Api(status) = error { Some(status.code) } else { None };
        // An object that cannot be read would be missed by going on behind it.
        let unreadable = wording::is_unreadable(error);
        Setback {
            why: wording::why(self.asked(verb), error),
            missing: code == Some(404),
            list_anew: code == Some(410) || unreadable,
        }
    }

    fn no_answer(&self, verb: &'static str) -> Setback {
        let (asked, seconds) = (self.asked(verb), ANSWER.as_secs());
        let why = format!("the API server has not answered within {seconds} s to {asked}");
        Setback { why, missing: false, list_anew: false }
    }

    fn dead(&self) -> Setback {
        let asked = self.asked("watch");
        let why = format!("nothing comes over the connection to the API server any more to {asked}: it is made anew");
        Setback { why, missing: false, list_anew: false }
    }
}

/// Twice as long after each failure; between half of that and all of it, so that replicas do not come together.
fn pause(failures: u32) -> Duration {
    let most = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE);
    let half = most / 2;
    half + half.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ_by_chance() {
        for (failures, most) in [(0, FIRST_PAUSE), (1, FIRST_PAUSE * 2), (3, FIRST_PAUSE * 8), (6, LONGEST_PAUSE)] {
            let pauses: Vec<Duration> = (0..50).map(|_| pause(failures)).collect();
            assert!(pauses.iter().all(|pause| *pause >= most / 2 && *pause <= most), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}: all alike");
        }
        assert!(pause(u32::MAX) <= LONGEST_PAUSE);
    }
}
