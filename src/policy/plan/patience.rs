//! The same plan for those who can wait longer than an API server does.

use crate::image::Reference;

use super::{Plan, Wait};

impl Plan<'_> {
    /// The same plan for work after the reply, when nobody waits: whatever is looked up may take its time.
    #[must_use]
    pub fn patiently(mut self) -> Self {
        for want in &mut self.wants {
            if want.resolve > Wait::AtHand {
                want.resolve = Wait::UntilDeadline;
            }
            want.examine_patiently();
        }
        self
    }

    /// The same plan for a report that somebody waits for: what a demand depends on may take its time, whatever the
    /// mode, and a digest that is only told is waited for briefly.
    #[must_use]
    pub fn for_a_report(mut self) -> Self {
        self.for_report = true;
        let demanded = |index: usize, reference: &Reference| {
            self.judgements.iter().any(|its| its.want == Some(index) && its.depends_on_digest(reference))
        };
        for (index, want) in self.wants.iter_mut().enumerate() {
            if want.resolve > Wait::AtHand {
                want.resolve = if demanded(index, want.reference) { Wait::UntilDeadline } else { Wait::Briefly };
            }
            want.examine_patiently();
        }
        self
    }
}
