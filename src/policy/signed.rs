//! Whether what was found attached to an image is enough: on its index, or on every manifest of it that a pod could run.
//!
//! One signed platform among several is not enough, and where there is no platform to run nothing is signed.

use jiff::Timestamp;

use crate::fact::attached::Attached;
use crate::fact::{Content, Examined, Fact, Resolved};
use crate::image::Reference;

use super::Demands;
use super::plan::Examine;
use super::trust::Signed;

impl Demands {
    /// Whether everything that is demanded of signatures and attestations is met by what was found.
    #[must_use]
    pub fn signed_enough(&self, examined: &Examined, resolved: &Resolved, image: &Reference, now: Timestamp) -> bool {
        let signatures = self.signatures.as_ref().is_none_or(|demand| {
            demand.signed.holds(examined, resolved, |attached| demand.met_by(attached, image, now))
        });
        let attested = || {
            let mut demands = self.attestations.iter();
            demands.all(|demand| Signed::Either.holds(examined, resolved, |attached| demand.met_by(attached, now)))
        };
        signatures && attested()
    }

    /// Whether what is attached to the digest itself could meet a demand.
    #[must_use]
    pub fn examines_own(&self, resolved: &Resolved) -> bool {
        let index = matches!(resolved.content, Content::Index(_));
        let only_platforms = |signed: Signed| index && signed == Signed::Platforms;
        let signatures = self.signatures.as_ref().is_some_and(|demand| !only_platforms(demand.signed));
        signatures || !self.attestations.is_empty()
    }

    /// Whether what is attached to the manifests of an index could.
    #[must_use]
    pub fn examines_platforms(&self) -> bool {
        let signatures = self.signatures.as_ref().is_some_and(|demand| demand.signed != Signed::Index);
        signatures || !self.attestations.is_empty()
    }
}

impl Examine {
    /// Whether everything that any of its demands asks for is met by what was found.
    #[must_use]
    pub fn signed_enough(&self, examined: &Examined, resolved: &Resolved, image: &Reference, now: Timestamp) -> bool {
        self.demands.iter().all(|demands| demands.signed_enough(examined, resolved, image, now))
    }
}

impl Signed {
    /// Whether the digests that have to be signed are, each by what is enough.
    #[must_use]
    pub fn holds(self, examined: &Examined, resolved: &Resolved, enough: impl Fn(&Attached) -> bool) -> bool {
        let known = |fact: &Fact<std::sync::Arc<Attached>>| match fact {
            Fact::Known(seen) => enough(&seen.value),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => false,
        };
        let own = || examined.own.as_ref().is_some_and(known);
        let platforms = || match (&resolved.content, &examined.platforms) {
            // An image of one platform is that platform.
            (Content::Image { .. }, _) => own(),
            (Content::Index(_), Some(platforms)) => {
                !platforms.is_empty() && platforms.iter().all(|(_, attached)| known(attached))
            }
            (Content::Index(_), None) => false,
        };
        match self {
            Self::Index => own(),
            Self::Platforms => platforms(),
            Self::Either => own() || platforms(),
        }
    }
}
