//! Where something is refused: namespaces, in bounded number. A namespace has its own label only after
//! something was refused in it, or would have been, and only if it exists: who calls cannot make labels by inventing names.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use prometheus::{IntCounterVec, Opts, Registry};

use crate::policy::Mode;

/// Namespaces with a label of their own in each mode: more than anybody reads, few enough for a series each and replica.
/// Each mode has its own, so that what is only recorded, in a cluster that is new to us, takes no place from what is refused.
const NAMESPACES: usize = 100;

/// The longest name of a namespace, as the API server has it (RFC 1123): nothing longer becomes a label.
const LONGEST: usize = 63;

/// The label of all others.
const OTHER: &str = "other";

#[derive(Debug)]
pub(super) struct Namespaces {
    refusals: IntCounterVec,
    enforce: Places,
    warn: Places,
    audit: Places,
}

/// Those of one mode that have a label of their own.
#[derive(Debug, Default)]
struct Places(RwLock<HashSet<Box<str>>>);

impl Namespaces {
    /// `resource_namespace`, since `namespace` is what Prometheus calls the one that we run in.
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Demands not met, by the namespace of the object: the first 100 of each mode by name, then other";
        let options = Opts::new("pratique_namespace_refusals_total", help);
        let refusals = IntCounterVec::new(options, &["resource_namespace", "mode"])?;
        registry.register(Box::new(refusals.clone()))?;
        Ok(Self { refusals, enforce: Places::default(), warn: Places::default(), audit: Places::default() })
    }

    /// None: there is no such namespace, as far as is known.
    pub(super) fn refused(&self, namespace: Option<&str>, mode: Mode) {
        let places = match mode {
            Mode::Enforce => &self.enforce,
            Mode::Warn => &self.warn,
            Mode::Audit => &self.audit,
        };
        let label = namespace.filter(|namespace| places.have(namespace)).unwrap_or(OTHER);
        self.refusals.with_label_values(&[label, mode.label()]).inc();
    }
}

impl Places {
    /// Whether it has its own, which it gets if there is one left.
    fn have(&self, namespace: &str) -> bool {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(namespace) {
            return true;
        }
        if namespace.is_empty() || namespace.len() > LONGEST {
            return false;
        }
        let mut named = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if named.len() < NAMESPACES {
            named.insert(namespace.into());
        }
        named.contains(namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_of(namespaces: &Namespaces, namespace: &str, mode: Mode) -> u64 {
        namespaces.refusals.with_label_values(&[namespace, mode.label()]).get()
    }

    #[test]
    fn the_first_hundred_of_a_mode_have_labels_and_no_more() {
        let namespaces = Namespaces::register(&Registry::new()).unwrap();
        for _ in 0..2 {
            for number in 0..150 {
                namespaces.refused(Some(&format!("team-{number}")), Mode::Audit);
            }
        }
        namespaces.refused(Some("team-149"), Mode::Enforce);
        assert_eq!(count_of(&namespaces, "team-99", Mode::Audit), 2);
        assert_eq!(count_of(&namespaces, OTHER, Mode::Audit), 100);
        assert_eq!(count_of(&namespaces, "team-149", Mode::Enforce), 1, "each mode has places of its own");
    }

    #[test]
    fn what_is_no_namespace_that_is_known_takes_no_place() {
        let namespaces = Namespaces::register(&Registry::new()).unwrap();
        for namespace in [None, Some(""), Some("a".repeat(LONGEST + 1).as_str())] {
            namespaces.refused(namespace, Mode::Enforce);
        }
        namespaces.refused(Some("a".repeat(LONGEST).as_str()), Mode::Enforce);
        assert_eq!(count_of(&namespaces, OTHER, Mode::Enforce), 3);
        assert_eq!(count_of(&namespaces, &"a".repeat(LONGEST), Mode::Enforce), 1);
    }
}
