//! What is known of namespaces: the labels that name policies.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::fact::{Fact, Labels, Seen, Source};

/// The labels of every namespace at one moment.
#[derive(Debug, Default)]
pub struct Namespaces {
    by_name: HashMap<String, Labels>,
    read: Option<Timestamp>,
}

impl Namespaces {
    /// From a complete reading at that time.
    #[must_use]
    pub fn new(by_name: HashMap<String, Labels>, read: Timestamp) -> Self {
        Self { by_name, read: Some(read) }
    }

    /// Absent: there is no such namespace among those read.
    pub fn labels(&self, namespace: &str, now: Timestamp) -> Fact<Labels> {
        let at = self.read.unwrap_or(now);
        match self.by_name.get(namespace) {
            Some(labels) => Fact::Known(Seen { value: labels.clone(), at, source: Source::Current }),
            None => Fact::Absent(at),
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
        assert_eq!(namespaces.labels("shop", now), Fact::Known(seen));
        for other in ["bank", "Shop", "shop ", ""] {
            assert_eq!(namespaces.labels(other, now), Fact::Absent(read), "{other:?}");
        }
        assert_eq!(Namespaces::default().labels("shop", now), Fact::Absent(now));
    }
}
