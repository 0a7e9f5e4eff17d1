//! Pull secrets from the API server: each is read by name when a pod or its service account refers to it, and kept for a
//! while; none is ever listed, unless the settings say `pullSecrets: all`.
//!
//! Promises: nothing of a Secret is quoted or printed, and what one namespace brings is never used for another. A Secret
//! that is not there is none, as for the kubelet; one that could not be read is a trouble, which is told where the registry
//! then refuses.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::evidence::budget::Patience;
use crate::evidence::registry::credentials::Keyring;
use crate::evidence::store::{FactCache, Life, Lookups};
use crate::fact::{Fact, Fault, Trouble};
use crate::policy::plan::Wait;
use crate::request;

use super::connection::Connection;
use super::pull_secrets::{DEFAULT, Usage};

use held::{Account, Held, Others};
use reading::is_name;

mod asking;
mod held;
pub(super) mod reading;
#[cfg(test)]
pub(super) mod tests;

/// A Secret that was changed is used after this at the latest, and at once where a registry refuses the old one.
const FRESH: Duration = Duration::from_secs(60);
/// A Secret or an account that was not there is looked for again: who makes it after the Pod has the Pod running seconds
/// later.
const NEGATIVE: Duration = Duration::from_secs(2);
/// As facts about images are kept while their source is out: without its credential a private image's could not be used.
const LAST_KNOWN_GOOD: Duration = Duration::from_hours(7 * 24);
/// What was read so lately is not read again because a registry refused it: a wrong password must not make a question to the
/// API server of every review.
const LATELY: Duration = Duration::from_secs(1);
/// A review that is still under way may have used what was before a change that is so old: the longest budget there is.
const REVIEW: Duration = Duration::from_secs(30);
/// Memory for Secrets: the credentials of some ten thousand namespaces.
const SECRETS_BYTES: u64 = 16 << 20;
/// Memory for accounts, which hold names alone.
const ACCOUNTS_BYTES: u64 = 4 << 20;
/// Memory for whole namespaces, with `pullSecrets: all`.
const OTHERS_BYTES: u64 = 16 << 20;
/// Secrets that one pod or one account may name. Real ones name a handful, and each is a question to the API server.
const NAMED: usize = 32;

/// What a pod brings to pull with.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// In the order in which they are tried: those that the pod names, those of its service account, and with
    /// [`Usage::All`] the others of the namespace. None twice.
    pub keyrings: Vec<Arc<Keyring>>,
    /// Why a part of them could not be had.
    pub trouble: Option<Trouble>,
}

/// Namespace and name: nothing is kept that is not of one namespace.
type Place = (Box<str>, Box<str>);

/// A namespace as a whole.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Whole(Box<str>);

/// Secrets and service accounts by namespace and name, as they were read.
pub struct LiveSecrets {
    connection: Connection,
    secrets: FactCache<Place, Held>,
    accounts: FactCache<Place, Account>,
    /// All pull secrets of a namespace.
    others: FactCache<Whole, Others>,
}

/// Until when, and of which age, things are read.
#[derive(Clone, Copy)]
struct Reading<'a> {
    namespace: &'a str,
    wait: Wait,
    patience: Patience,
    /// What is older is read again, and waited for.
    oldest: Option<Duration>,
    now: Timestamp,
}

/// What a pod refers to, as it was read.
#[derive(Default)]
struct Collected {
    /// By name, none twice.
    secrets: Vec<(Box<str>, Held)>,
    names: BTreeSet<Box<str>>,
    trouble: Option<Trouble>,
}

impl LiveSecrets {
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        let life = Life { fresh: FRESH, last_known_good: LAST_KNOWN_GOOD, negative: NEGATIVE };
        let of_place = |(namespace, name): &Place| namespace.len() + name.len();
        Self {
            connection,
            secrets: FactCache::new(
                SECRETS_BYTES,
                move |_| life,
                move |place, held: Option<&Held>| of_place(place) + held.map_or(0, Held::weight),
                |_| None,
                Lookups::unseen(),
            ),
            accounts: FactCache::new(
                ACCOUNTS_BYTES,
                move |_| life,
                move |place, account: Option<&Account>| of_place(place) + account.map_or(0, Account::weight),
                |_| None,
                Lookups::unseen(),
            ),
            others: FactCache::new(
                OTHERS_BYTES,
                move |_| life,
                |Whole(namespace), others: Option<&Others>| namespace.len() + others.map_or(0, Others::weight),
                |_| None,
                Lookups::unseen(),
            ),
        }
    }

    /// Reads what is not known, for as long as `wait` says.
    pub async fn brought(
        &self,
        usage: Usage,
        namespace: &str,
        asked: &request::PullSecrets,
        wait: Wait,
        patience: Patience,
    ) -> Brought {
        let reading = Reading { namespace, wait, patience, oldest: None, now: Timestamp::now() };
        self.collect(usage, asked, reading).await.brought()
    }

    /// A registry refused what they hold: reads again those that were read more than a moment ago. None: they are what they
    /// were all along. Some where they may be others than they were when this review began, as far as can be told.
    pub async fn again(
        &self,
        usage: Usage,
        namespace: &str,
        asked: &request::PullSecrets,
        wait: Wait,
        patience: Patience,
    ) -> Option<Brought> {
        if wait == Wait::AtHand {
            return None;
        }
        let reading = Reading { namespace, wait, patience, oldest: None, now: Timestamp::now() };
        self.read_again(usage, asked, reading).await
    }

    async fn read_again(&self, usage: Usage, asked: &request::PullSecrets, reading: Reading<'_>) -> Option<Brought> {
        let before = self.collect(usage, asked, Reading { wait: Wait::AtHand, ..reading }).await;
        let after = self.collect(usage, asked, Reading { oldest: Some(LATELY), ..reading }).await;
        let after = after.or_else_of(&before);
        let same = after.is_the_same_as(&before) && !after.changed_since(reading.now) && after.trouble.is_none();
        (!same).then(|| after.brought())
    }

    async fn collect(&self, usage: Usage, asked: &request::PullSecrets, reading: Reading<'_>) -> Collected {
        let everything = match usage {
            Usage::None => return Collected::default(),
            Usage::Named => false,
            Usage::All => true,
        };
        let mut collected = Collected::default();
        // Nothing can be there, and it must not become a path.
        if !is_name(reading.namespace) {
            return collected;
        }
        let account = if asked.service_account.is_empty() { DEFAULT } else { &asked.service_account };
        let names = asked.named.iter().map(String::as_str);
        let others = async { if everything { Some(self.others(reading).await) } else { None } };
        let (account, own, others) =
            futures_util::future::join3(self.account(account, reading), self.secrets(names, reading), others).await;
        collected.add_all(own);
        match account {
            Fact::Known(seen) => {
                let names = seen.value.secrets.iter().map(|name| &**name);
                let names: Vec<&str> = names.filter(|name| !collected.names.contains(*name)).collect();
                let of_account = self.secrets(names.into_iter(), reading).await;
                collected.add_all(of_account);
                collected.trouble_unless(seen.value.trouble.as_ref());
            }
            Fact::Unavailable(trouble) => collected.trouble_unless(Some(&trouble)),
            Fact::Absent(_) | Fact::Pending => {}
        }
        match others {
            Some(Fact::Known(seen)) => {
                for (name, held) in seen.value.secrets.iter() {
                    collected.add(name, held);
                }
                collected.trouble_unless(seen.value.trouble.as_ref());
            }
            Some(Fact::Unavailable(trouble)) => collected.trouble_unless(Some(&trouble)),
            Some(Fact::Absent(_) | Fact::Pending) | None => {}
        }
        collected
    }

    /// Each by its name, side by side.
    async fn secrets<'n>(&self, names: impl Iterator<Item = &'n str>, reading: Reading<'_>) -> Named<'n> {
        let mut once = BTreeSet::new();
        let names: Vec<&str> = names.filter(|name| once.insert(*name)).collect();
        let trouble = (names.len() > NAMED).then(|| {
            let words = format!("more than {NAMED} pull secrets are named, and no more are used");
            Trouble::new(Fault::Broken, words)
        });
        // What cannot be a name is no Secret's.
        let names: Vec<&str> = names.into_iter().take(NAMED).filter(|name| is_name(name)).collect();
        let facts = join_all(names.iter().map(|name| self.secret(name, reading))).await;
        Named { found: names.into_iter().zip(facts).collect(), trouble }
    }
}

/// What became of names.
struct Named<'n> {
    found: Vec<(&'n str, Fact<Held>)>,
    trouble: Option<Trouble>,
}

impl Collected {
    fn add_all(&mut self, named: Named<'_>) {
        for (name, fact) in named.found {
            match fact {
                Fact::Known(seen) => self.add(name, &seen.value),
                Fact::Unavailable(trouble) => self.trouble_unless(Some(&trouble)),
                Fact::Absent(_) | Fact::Pending => {}
            }
        }
        self.trouble_unless(named.trouble.as_ref());
    }

    fn add(&mut self, name: &str, held: &Held) {
        if self.names.insert(name.into()) {
            self.secrets.push((name.into(), held.clone()));
        }
    }

    /// The first one is told.
    fn trouble_unless(&mut self, trouble: Option<&Trouble>) {
        if self.trouble.is_none() {
            self.trouble = trouble.cloned();
        }
    }

    /// What could not be read again is as it was.
    fn or_else_of(mut self, before: &Self) -> Self {
        if self.trouble.is_some() {
            let kept = before.secrets.iter().filter(|(name, _)| !self.names.contains(name)).cloned();
            let kept: Vec<_> = kept.collect();
            self.secrets.extend(kept);
        }
        self
    }

    fn is_the_same_as(&self, before: &Self) -> bool {
        let same = |((name, held), (its, before)): (&(Box<str>, Held), &(Box<str>, Held))| {
            name == its && held.is_the_same_as(before)
        };
        self.secrets.len() == before.secrets.len() && self.secrets.iter().zip(&before.secrets).all(same)
    }

    /// A refresh may have come between what the registry refused and now.
    fn changed_since(&self, now: Timestamp) -> bool {
        self.secrets.iter().any(|(_, held)| now.duration_since(held.since).unsigned_abs() < REVIEW)
    }

    fn brought(self) -> Brought {
        let Self { secrets, names: _, mut trouble } = self;
        let mut keyrings = Vec::new();
        for (_, held) in secrets {
            match held.keyring {
                Ok(Some(keyring)) => keyrings.push(keyring),
                Ok(None) => {}
                Err(broken) => trouble = trouble.or(Some(Trouble::new(Fault::Broken, broken))),
            }
        }
        Brought { keyrings, trouble }
    }
}

/// Without anything that it holds.
impl fmt::Debug for LiveSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSecrets").finish_non_exhaustive()
    }
}
