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

/// The labels among all of a namespace's that name policies.
#[must_use]
pub fn policy_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Labels {
    let mut found = Labels::default();
    for (key, value) in labels {
        match key {
            "pratique.dev/enforce" => found.enforce = Some(value.to_owned()),
            "pratique.dev/warn" => found.warn = Some(value.to_owned()),
            "pratique.dev/audit" => found.audit = Some(value.to_owned()),
            _ => {}
        }
    }
    found
}
