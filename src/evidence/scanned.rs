//! What scanners say of an image: which manifests the pod could be given, what their configurations are called, and which
//! reports of directories and objects speak of them.
//!
//! Reports that scanners made of an image in a local store know no other digest than that of its configuration, and a
//! platform's manifest has to be fetched once to learn it. It never changes.

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::fact::report::{InIndex, Origin, Reports, Scanned, ScannedManifest};
use crate::fact::{Content, Fact, Fault, PlatformManifest, Resolved, Seen, Source, Trouble};
use crate::image::Digest;
use crate::policy::plan::{Scan, Wait, is_image};

use super::examined::{Unseen, few};
use super::scan::objects::Objects;
use super::{Evidence, Looking};

impl Evidence {
    /// None where no demand asks.
    pub(super) async fn scan(&self, looking: Looking<'_>, resolved: &Resolved, objects: &Objects) -> Option<Scanned> {
        let scan = looking.want.scan?;
        let mut manifests = match &resolved.content {
            Content::Image { config } => vec![alone(resolved, config.as_ref())],
            Content::Index(listed) => self.of_index(looking, scan, resolved, listed).await,
        };
        if scan.unattested {
            let reports = manifests.iter().map(|manifest| self.reports(looking, scan, manifest, objects));
            for (reports, manifest) in join_all(reports).await.into_iter().zip(&mut manifests) {
                manifest.reports.get_or_insert(reports);
            }
        }
        Some(Scanned { manifests, first_missed: self.store.first_missed(&resolved.digest) })
    }

    async fn of_index(
        &self,
        looking: Looking<'_>,
        scan: Scan,
        resolved: &Resolved,
        listed: &[PlatformManifest],
    ) -> Vec<ScannedManifest> {
        let candidates = match few(looking.nodes.scanned(listed)) {
            Ok(candidates) => candidates,
            Err(Unseen { first, trouble }) => {
                let unseen = Fact::Unavailable(trouble.clone());
                let reports = Some(Fact::Unavailable(trouble));
                let PlatformManifest { digest, platform } = first;
                return vec![ScannedManifest { digest, platform, config: unseen, index: None, reports }];
            }
        };
        let of_one = |manifest: PlatformManifest| async move {
            let index = Some(in_index(&resolved.digest, &manifest, listed));
            let config = self.config(looking, scan.wait, &manifest.digest).await;
            let PlatformManifest { platform, digest } = manifest;
            ScannedManifest { digest, platform, config, index, reports: None }
        };
        join_all(candidates.into_iter().map(of_one)).await
    }

    /// What the configuration of a manifest in an index is called.
    async fn config(&self, looking: Looking<'_>, wait: Wait, digest: &Digest) -> Fact<Digest> {
        let address = looking.want.reference.at(digest);
        match self.resolve(looking.want, address, looking.who.asker.clone(), wait, looking.patience).await {
            Fact::Known(Seen { value, at, source }) => match value.content {
                Content::Image { config: Some(config) } => Fact::Known(Seen { value: config, at, source }),
                Content::Image { config: None } => Fact::Absent(at),
                // A scanner that is given one looks at one image in it, and names the whole.
                Content::Index(_) => {
                    let words =
                        "it is an index within an index, of which no scan report can tell: push it as one index";
                    Fact::Unavailable(Trouble::new(Fault::Broken, words))
                }
            },
            Fact::Absent(at) => Fact::Absent(at),
            Fact::Unavailable(trouble) => Fact::Unavailable(trouble),
            Fact::Pending => Fact::Pending,
        }
    }

    async fn reports(
        &self,
        looking: Looking<'_>,
        scan: Scan,
        manifest: &ScannedManifest,
        objects: &Objects,
    ) -> Fact<Arc<Reports>> {
        let directories = &self.directories;
        let of_directories = match directories.at_hand(manifest) {
            Some(fact) => fact,
            None if scan.wait == Wait::AtHand => Fact::Pending,
            None => {
                let about = directories.about(manifest);
                looking.patience.within(scan.wait, about).await.unwrap_or_else(|| self.unread(scan.wait))
            }
        };
        with_objects(of_directories, objects.about(manifest), objects.trouble())
    }

    /// The reports were not read in time.
    fn unread(&self, wait: Wait) -> Fact<Arc<Reports>> {
        match wait {
            Wait::UntilDeadline => {
                let progress = self.directories.progress();
                let words = if progress.complete {
                    "the scan report of this image could not be read in time".to_owned()
                } else {
                    format!("the scan reports are still being read, {} of {} so far", progress.read, progress.seen)
                };
                Fact::Unavailable(Trouble::new(Fault::Deadline, words))
            }
            Wait::AtHand | Wait::Afterwards | Wait::Briefly => Fact::Pending,
        }
    }
}

fn alone(resolved: &Resolved, config: Option<&Digest>) -> ScannedManifest {
    let now = Timestamp::now();
    let config = config.map_or(Fact::Absent(now), |config| {
        Fact::Known(Seen { value: config.clone(), at: now, source: Source::Current })
    });
    ScannedManifest { digest: resolved.digest.clone(), platform: None, config, index: None, reports: None }
}

fn in_index(digest: &Digest, manifest: &PlatformManifest, listed: &[PlatformManifest]) -> InIndex {
    let mut others = listed.iter().filter(|other| other.digest != manifest.digest && is_image(other));
    let same = |other: &PlatformManifest| match (&other.platform, &manifest.platform) {
        (Some(other), Some(own)) => other.is_for_same_nodes(own),
        // It may be.
        (None, _) | (_, None) => true,
    };
    InIndex { digest: digest.clone(), sole_of_architecture: !others.clone().any(same), sole: others.next().is_none() }
}

/// Those of directories count before those of objects; where a directory cannot be told, neither can which counts. What is
/// found counts; what is not may be among the objects that were not read.
fn with_objects(
    of_directories: Fact<Arc<Reports>>,
    of_objects: Option<Reports>,
    unread: Option<&Trouble>,
) -> Fact<Arc<Reports>> {
    let Some(of_objects) = of_objects else {
        return match (of_directories, unread) {
            (Fact::Absent(_), Some(trouble)) => Fact::Unavailable(trouble.clone()),
            (told, _) => told,
        };
    };
    debug_assert!(of_objects.found.iter().all(|its| its.origin == Origin::Object), "objects of a cluster");
    match of_directories {
        Fact::Known(Seen { value, at, source }) => {
            let Reports { found, unusable } = of_objects;
            let found = value.found.iter().cloned().chain(found).collect();
            let unusable = value.unusable.iter().cloned().chain(unusable).collect();
            Fact::Known(Seen { value: Arc::new(Reports { found, unusable }), at, source })
        }
        Fact::Absent(at) => Fact::Known(Seen { value: Arc::new(of_objects), at, source: Source::Current }),
        Fact::Unavailable(trouble) => Fact::Unavailable(trouble),
        Fact::Pending => Fact::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Fact<Arc<Reports>> {
        Fact::Absent(Timestamp::UNIX_EPOCH)
    }

    fn trouble() -> Trouble {
        Trouble::new(Fault::Outage, "not read yet")
    }

    #[test]
    fn what_is_not_found_while_objects_are_unread_is_never_missing() {
        assert_eq!(with_objects(none(), None, Some(&trouble())), Fact::Unavailable(trouble()));
        assert_eq!(with_objects(none(), None, None), none());
    }

    #[test]
    fn what_is_found_counts_while_objects_are_unread() {
        let found = Reports { found: Vec::new(), unusable: Vec::new() };
        let of_objects = with_objects(none(), Some(found.clone()), Some(&trouble()));
        assert!(matches!(of_objects, Fact::Known(_)), "{of_objects:?}");
        let seen = Seen { value: Arc::new(found), at: Timestamp::UNIX_EPOCH, source: Source::Current };
        assert_eq!(with_objects(Fact::Known(seen.clone()), None, Some(&trouble())), Fact::Known(seen));
    }
}
