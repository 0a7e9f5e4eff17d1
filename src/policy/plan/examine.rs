//! What has to be looked at of what is attached to an image: once for each examination, however many judgements ask.

use std::sync::Arc;

use crate::fact::attached::Attached;
use crate::fact::report::Scanned;
use crate::fact::{Fact, Facts};

use super::super::Demands;
use super::super::trust::Examination;
use super::{Judgement, Plan, Wait, Want};

/// What is attached to an image has to be looked at.
#[derive(Debug, Clone)]
pub struct Examine {
    pub examination: Arc<Examination>,
    /// They say when enough has been seen.
    pub demands: Vec<Arc<Demands>>,
    pub wait: Wait,
}

/// Of demands the same ones, not equal ones: those of one rule.
impl PartialEq for Examine {
    fn eq(&self, other: &Self) -> bool {
        let Self { examination, demands, wait } = self;
        let same = demands.iter().zip(&other.demands).all(|(one, other)| Arc::ptr_eq(one, other));
        *examination == other.examination && *wait == other.wait && demands.len() == other.demands.len() && same
    }
}

impl Eq for Examine {}

impl Want<'_> {
    pub(super) fn examine_patiently(&mut self) {
        for examine in self.examine.iter_mut().filter(|examine| examine.wait > Wait::AtHand) {
            examine.wait = Wait::UntilDeadline;
        }
        if let Some(scan) = self.scan.as_mut().filter(|scan| scan.wait > Wait::AtHand) {
            scan.wait = Wait::UntilDeadline;
        }
    }
}

impl Plan<'_> {
    /// Whether something attached to an image, which may be looked at, is still being looked at.
    #[must_use]
    pub fn leaves_open(&self, facts: &Facts) -> bool {
        let open = |fact: &Fact<Arc<Attached>>| matches!(fact, Fact::Pending);
        let scanned = self.wants.iter().zip(&facts.images).any(|(want, facts)| {
            let asked = want.scan.is_some_and(|scan| scan.wait > Wait::AtHand);
            asked && facts.scanned.as_ref().is_some_and(Scanned::is_open)
        });
        let asked =
            self.wants.iter().zip(&facts.images).flat_map(|(want, facts)| want.examine.iter().zip(&facts.examined));
        let attached = asked.filter(|(examine, _)| examine.wait > Wait::AtHand).any(|(_, examined)| {
            let platforms = examined.platforms.iter().flatten().map(|(_, fact)| fact);
            examined.own.iter().chain(platforms).any(open)
        });
        scanned || attached
    }
}

impl Judgement {
    /// The index of what this judgement needs examined, entered into its want; `longest`: what the want may wait.
    pub(super) fn examine_in(&self, want: &mut Want<'_>, longest: Wait) -> Option<usize> {
        let demands = self.ruling.demands().filter(|_| self.refusals.is_empty())?;
        let examination = demands.examination.as_ref()?;
        let patience = self.waits().min(longest);
        let index = want.examine.iter().position(|examine| examine.examination == *examination);
        let index = index.unwrap_or(want.examine.len());
        match want.examine.get_mut(index) {
            Some(examine) => {
                examine.wait = examine.wait.max(patience);
                if !examine.demands.iter().any(|its| Arc::ptr_eq(its, demands)) {
                    examine.demands.push(Arc::clone(demands));
                }
            }
            None => want.examine.push(Examine {
                examination: Arc::clone(examination),
                demands: vec![Arc::clone(demands)],
                wait: patience,
            }),
        }
        Some(index)
    }
}
