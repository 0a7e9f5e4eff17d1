//! Whether what was found attached to an image is enough: on its index, or on every manifest of it that a pod could run.
//!
//! One signed platform among several is not enough, and where there is no platform to run nothing is signed.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::attached::{Attached, Claim, Signature};
use crate::fact::report::{Defect, Origin, Scanned, ScannedManifest, Sourced, Speaks, Unusable};
use crate::fact::{Content, Examined, Fact, Resolved};
use crate::image::Reference;

use super::Demands;
use super::plan::Examine;
use super::scan::ScanDemand;
use super::trust::{Authority, Signed};

/// Why what is attested does not count.
const PLATFORM_UNKNOWN: &str =
    "it names the index and not which platform of it was scanned; scan each platform by its own digest";
const OTHER_IMAGE: &str =
    "it is attested of this image, and the report in it is of another one; attest the report of this image";

impl Demands {
    /// Whether everything that is demanded of signatures and attestations is met by what was found.
    #[must_use]
    pub fn signed_enough(
        &self,
        examined: &Examined,
        scanned: Option<&Scanned>,
        resolved: &Resolved,
        image: &Reference,
        now: Timestamp,
    ) -> bool {
        let signatures = self.signatures.as_ref().is_none_or(|demand| {
            demand.signed.holds(examined, resolved, |attached| demand.met_by(attached, image, now))
        });
        let attested = || {
            let mut demands = self.attestations.iter();
            demands.all(|demand| Signed::Either.holds(examined, resolved, |attached| demand.met_by(attached, now)))
        };
        let scan = self.scan.as_ref().filter(|demand| !demand.authorities.is_empty());
        let reported = |demand: &ScanDemand| {
            scanned.is_some_and(|scanned| {
                scanned.manifests.iter().all(|manifest| {
                    let found = demand.attested(examined, manifest, now);
                    demand.judge(&found.usable(), &found.unusable(), image, now).is_clear()
                })
            })
        };
        signatures && attested() && scan.is_none_or(reported)
    }

    /// Reports count only where somebody attested them.
    fn wants_attested_reports(&self) -> bool {
        self.scan.as_ref().is_some_and(|demand| !demand.authorities.is_empty())
    }

    /// Whether what is attached to the digest itself could meet a demand.
    #[must_use]
    pub fn examines_own(&self, resolved: &Resolved) -> bool {
        let index = matches!(resolved.content, Content::Index(_));
        let only_platforms = |signed: Signed| index && signed == Signed::Platforms;
        let signatures = self.signatures.as_ref().is_some_and(|demand| !only_platforms(demand.signed));
        signatures || !self.attestations.is_empty() || self.wants_attested_reports()
    }

    /// Whether what is attached to the manifests of an index could.
    #[must_use]
    pub fn examines_platforms(&self) -> bool {
        let signatures = self.signatures.as_ref().is_some_and(|demand| demand.signed != Signed::Index);
        signatures || !self.attestations.is_empty() || self.wants_attested_reports()
    }
}

impl Examine {
    /// Whether everything that any of its demands asks for is met by what was found.
    #[must_use]
    pub fn signed_enough(
        &self,
        examined: &Examined,
        scanned: Option<&Scanned>,
        resolved: &Resolved,
        image: &Reference,
        now: Timestamp,
    ) -> bool {
        self.demands.iter().all(|demands| demands.signed_enough(examined, scanned, resolved, image, now))
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

/// Attested reports about one manifest.
#[derive(Debug, Default)]
pub struct AttestedReports {
    found: Vec<Sourced>,
    unusable: Vec<(Origin, Arc<str>, Unusable)>,
    /// One may be about it, and that depends on what is not known of the manifest.
    pub untold: bool,
}

impl AttestedReports {
    #[must_use]
    pub fn usable(&self) -> Vec<&Sourced> {
        self.found.iter().collect()
    }

    #[must_use]
    pub fn unusable(&self) -> Vec<&(Origin, Arc<str>, Unusable)> {
        self.unusable.iter().collect()
    }
}

impl ScanDemand {
    /// The reports that one of the authorities attested, of the image or of the manifest, and that speak of the manifest.
    #[must_use]
    pub fn attested(&self, examined: &Examined, manifest: &ScannedManifest, now: Timestamp) -> AttestedReports {
        let own = examined.own.iter();
        let platforms = examined.platforms.iter().flatten();
        let of_platform = platforms.filter(|(its, _)| its.digest == manifest.digest).map(|(_, attached)| attached);
        let mut reports = AttestedReports::default();
        for fact in own.chain(of_platform) {
            if let Fact::Known(seen) = fact {
                seen.value.signatures.iter().for_each(|its| self.take(its, manifest, now, &mut reports));
            }
        }
        reports
    }

    fn take(&self, signature: &Signature, manifest: &ScannedManifest, now: Timestamp, into: &mut AttestedReports) {
        let Claim::Statement { report: Some(report), .. } = &signature.claim else { return };
        let accepts =
            |authority: &&Arc<Authority>| signature.proofs.iter().any(|proof| authority.accepts(proof, now).is_ok());
        let Some(authority) = self.authorities.iter().find(accepts) else { return };
        let (origin, place) = (Origin::Attestation, Arc::clone(&authority.name));
        let refused = |defect, words: &str| (origin, Arc::clone(&authority.name), Unusable::new(defect, words));
        let report = match report {
            Ok(report) => report,
            Err(unusable) => {
                into.unusable.push((origin, place, Unusable::clone(unusable)));
                return;
            }
        };
        match manifest.is_spoken_of(&report.outline.subject) {
            Speaks::Yes => into.found.push(Sourced { origin, place, report: Arc::clone(report) }),
            Speaks::Untold => into.untold = true,
            Speaks::PlatformUnknown => into.unusable.push(refused(Defect::PlatformUnknown, PLATFORM_UNKNOWN)),
            // On an index there are reports of its other images: only what is attested of this one alone is wrong.
            Speaks::No if manifest.index.is_none() => into.unusable.push(refused(Defect::OtherImage, OTHER_IMAGE)),
            Speaks::No => {}
        }
    }
}
