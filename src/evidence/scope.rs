//! What is known of namespaces: the labels that name policies.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rpds::HashTrieMapSync;

use crate::fact::{Fact, Labels, Seen, Source};

use super::budget::Deadline;
use super::cluster::connection::Connection;

use live::Live;

mod live;

/// The labels of namespaces: of every one at one moment, or as a watch brings them.
#[derive(Debug, Default)]
pub struct Namespaces {
    by_name: ArcSwap<HashTrieMapSync<Arc<str>, Arc<Labels>>>,
    read: Option<Timestamp>,
    /// Where one that is not there may be asked for.
    live: Option<Live>,
}

impl Namespaces {
    /// From a complete reading at that time.
    #[must_use]
    pub fn new(by_name: HashMap<String, Labels>, read: Timestamp) -> Self {
        let by_name = by_name.into_iter().map(|(name, labels)| (name.into(), Arc::new(labels))).collect();
        Self { by_name: ArcSwap::from_pointee(by_name), read: Some(read), live: None }
    }

    /// Kept up by a watch; what it has not brought is asked of the API server.
    #[must_use]
    pub fn live(connection: Connection) -> Self {
        Self { live: Some(Live::new(connection)), ..Self::default() }
    }

    /// All of them, as a watch knows them now.
    pub(crate) fn replace(&self, by_name: HashTrieMapSync<Arc<str>, Arc<Labels>>) {
        let before = self.by_name.swap(Arc::new(by_name));
        if let Some(live) = &self.live {
            let now = self.by_name.load();
            live.forget(|name| now.contains_key(name) || before.contains_key(name));
        }
    }

    /// Whether the namespace says itself by which policy it is enforced. Without waiting.
    #[must_use]
    pub fn says_enforce(&self, namespace: &str) -> bool {
        self.by_name.load().get(namespace).is_some_and(|labels| labels.enforce.is_some())
    }

    /// Without waiting. Absent: there is no such namespace among those read.
    pub fn known(&self, namespace: &str, now: Timestamp) -> Fact<Labels> {
        let at = self.read.unwrap_or(now);
        match self.by_name.load().get(namespace) {
            Some(labels) => Fact::Known(Seen { value: Labels::clone(labels), at, source: Source::Current }),
            None => Fact::Absent(at),
        }
    }

    /// A watch may be behind by a moment, so that a namespace which it has not brought is asked of the API server, and
    /// waited for until the deadline; what cannot be told then is unavailable. Of manifests: as they are known.
    pub async fn labels(&self, namespace: &str, now: Timestamp, deadline: Deadline) -> Fact<Labels> {
        match (self.known(namespace, now), &self.live) {
            (Fact::Absent(_), Some(live)) => live.labels(namespace, deadline).await,
            (known, _) => known,
        }
    }
}

/// The labels that name policies.
pub const LABELS: [&str; 3] = ["pratique.dev/enforce", "pratique.dev/warn", "pratique.dev/audit"];

/// The labels among all of a namespace's that name policies.
#[must_use]
pub fn policy_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    let mut found = Labels::default();
    for (key, value) in labels {
        let [enforce, warn, audit] = LABELS;
        for (known, policy) in [(enforce, &mut found.enforce), (warn, &mut found.warn), (audit, &mut found.audit)] {
            if key == known {
                *policy = Some(value.to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_three_labels_that_name_policies_count_letter_by_letter() {
        let labels = policy_labels([
            ("pratique.dev/enforce", "acme"),
            ("pratique.dev/warn", ""),
            ("pratique.dev/audit ", "spaced"),
            ("pratique.dev/Enforce", "capital"),
            ("enforce", "bare"),
            ("pod-security.kubernetes.io/enforce", "restricted"),
        ]);
        let expected = Labels { enforce: Some("acme".to_owned()), warn: Some(String::new()), audit: None };
        assert_eq!(labels, expected);
    }

    #[test]
    fn a_namespace_has_its_own_labels_and_one_that_was_not_read_is_absent() {
        let (read, now) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        let labels = Labels { enforce: Some("acme".to_owned()), ..Labels::default() };
        let namespaces = Namespaces::new(HashMap::from([("shop".to_owned(), labels.clone())]), read);
        let seen = Seen { value: labels, at: read, source: Source::Current };
        assert_eq!(namespaces.known("shop", now), Fact::Known(seen));
        for other in ["bank", "Shop", "shop ", ""] {
            assert_eq!(namespaces.known(other, now), Fact::Absent(read), "{other:?}");
        }
        assert_eq!(Namespaces::default().known("shop", now), Fact::Absent(now));
    }
}
