//! What is attached to an image: looked at once, and once more where it was not enough.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::fact::attached::Attached;
use crate::fact::report::Scanned;
use crate::fact::{Content, Examined, Fact, Fault, PlatformManifest, Resolved, Trouble};
use crate::image::{Digest, Reference};
use crate::policy::plan::{Examine, Wait};
use crate::policy::trust::Examination;

use super::registry::credentials::Asker;
use super::{Evidence, Looking, late};

/// Manifests of one index that are looked at: for each there are as many requests as for an image, and an index of a
/// thousand takes no more to push than one of ten. Real ones have a dozen for all platforms that there are.
const PLATFORMS: usize = 32;

impl Evidence {
    /// What is attached to the image: to the digest itself, and where that is not enough, to the manifests of its index
    /// that the pod could run.
    pub(super) async fn examine(&self, looking: Looking<'_>, examine: &Examine, resolved: &Resolved) -> Examined {
        self.examine_at(looking, examine, resolved, None).await
    }

    /// Where what is there was not enough, it may be by now: only what is new is a reason to refuse.
    pub(super) async fn look_again(
        &self,
        looking: Looking<'_>,
        resolved: &Resolved,
        scanned: Option<&Scanned>,
        examined: &mut [Examined],
    ) {
        let (reference, now) = (looking.want.reference, Timestamp::now());
        let again = |(examine, examined): (_, _)| async move {
            let (examine, examined): (&Examine, &mut Examined) = (examine, examined);
            let enough = || examine.signed_enough(examined, scanned, resolved, reference, now);
            if examine.wait > Wait::AtHand && !enough() {
                *examined = self.examine_at(looking, examine, resolved, Some(self.budget.negative)).await;
            }
        };
        join_all(looking.want.examine.iter().zip(examined).map(again)).await;
    }

    async fn examine_at(
        &self,
        looking: Looking<'_>,
        examine: &Examine,
        resolved: &Resolved,
        oldest: Option<Duration>,
    ) -> Examined {
        let (examination, reference) = (&examine.examination, looking.want.reference);
        let kept = examination.repository.as_ref().unwrap_or(reference).repository_alone();
        let asker = match &examination.repository {
            None => looking.who.asker.clone(),
            Some(_) => self.registries.asker(&kept, &looking.who.keyrings),
        };
        let place = &Place { kept, asker, examination, how_long: examine.wait };
        let mut examined = Examined::default();
        if examine.demands.iter().any(|demands| demands.examines_own(resolved)) {
            examined.own = Some(self.attached(looking, place, &resolved.digest, oldest).await);
        }
        let Content::Index(manifests) = &resolved.content else { return examined };
        if examine.demands.iter().any(|demands| demands.examines_platforms())
            && !examine.signed_enough(&examined, None, resolved, reference, Timestamp::now())
        {
            let of_one = |manifest: PlatformManifest| async move {
                let attached = self.attached(looking, place, &manifest.digest, oldest).await;
                (manifest, attached)
            };
            examined.platforms = Some(match few(looking.nodes.candidates(manifests)) {
                Ok(candidates) => join_all(candidates.into_iter().map(of_one)).await,
                Err(Unseen { first, trouble }) => vec![(first, Fact::Unavailable(trouble))],
            });
        }
        examined
    }

    async fn attached(
        &self,
        looking: Looking<'_>,
        place: &Place<'_>,
        digest: &Digest,
        oldest: Option<Duration>,
    ) -> Fact<Arc<Attached>> {
        let Place { kept, asker, examination, how_long } = place;
        if *how_long == Wait::AtHand {
            return self.signatures.at_hand(kept, digest, asker, examination);
        }
        let get = self.signatures.attached(kept, digest, asker, examination, oldest);
        looking.patience.within(*how_long, get).await.unwrap_or_else(|| late(*how_long, looking.want.reference))
    }
}

/// Too many manifests to look at: the first of them, and why nothing is known of it.
#[derive(Debug)]
pub(super) struct Unseen {
    pub(super) first: PlatformManifest,
    pub(super) trouble: Trouble,
}

/// Of more than are looked at none is: that all of them are signed, or scanned, cannot be told, however long anybody waits.
pub(super) fn few(candidates: Vec<PlatformManifest>) -> Result<Vec<PlatformManifest>, Unseen> {
    let count = candidates.len();
    if count <= PLATFORMS {
        return Ok(candidates);
    }
    let words =
        format!("its index has {count} manifests that the pod could run, and no more than {PLATFORMS} are looked at");
    let first = candidates.into_iter().next().expect("there are more than a few");
    Err(Unseen { first, trouble: Trouble::new(Fault::Broken, words) })
}

/// Where signatures are looked for, by whom, and for how long.
struct Place<'a> {
    kept: Reference,
    asker: Asker,
    examination: &'a Arc<Examination>,
    how_long: Wait,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Platform;

    #[test]
    fn of_an_index_with_more_manifests_than_are_looked_at_none_is_and_waiting_does_not_help() {
        let manifest = PlatformManifest {
            platform: Some(Platform::default()),
            digest: Digest::parse(&format!("sha256:{}", "a".repeat(64))).unwrap(),
        };
        assert_eq!(few(vec![manifest.clone(); 32]).unwrap().len(), 32);
        let Unseen { first, trouble } = few(vec![manifest.clone(); 33]).unwrap_err();
        assert_eq!(first, manifest, "one is enough to refuse");
        assert!(!trouble.fault.passes());
    }
}
