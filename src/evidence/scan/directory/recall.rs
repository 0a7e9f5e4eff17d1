//! What was answered about a manifest, kept while the index is the same: a warm question reads one entry, and looks
//! nothing up in the index.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use jiff::Timestamp;
use moka::sync::Cache;

use super::choose::{Choice, config_is_not_told};
use super::findings::{Loaded, weight};
use super::index::{Index, Version};
use super::{Directories, file, outage};
use crate::fact::report::{InIndex, Origin, Report, Reports, ScannedManifest, Sourced, Speaks, Unusable};
use crate::fact::{Fact, Fault, Seen, Source, Trouble};
use crate::image::{Digest, Platform};

/// How often a question is put anew because files changed while they were read for it.
const ATTEMPTS: usize = 16;

/// Bytes of reports, as they are in memory, that one answer is made of. The worst real report has some four million; more
/// than one stands there where several are of one moment.
const WEIGHED: usize = 48 << 20;

/// What can be said at once.
#[derive(Debug)]
pub(super) enum Selection {
    Ready(Fact<Arc<Reports>>),
    /// These are to be read first.
    Read(Vec<Version>),
    /// A report is being rewritten: until it has changed, or until then.
    Wait(SystemTime),
}

/// A question as it was asked.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    digest: Digest,
    platform: Option<Platform>,
    config: Option<Digest>,
    /// Whether its configuration is not known, and may be there.
    untold: bool,
    index: Option<InIndex>,
}

impl Asked {
    fn of(manifest: &ScannedManifest) -> Self {
        let ScannedManifest { digest, platform, config: _, index, reports: _ } = manifest;
        Self {
            digest: digest.clone(),
            platform: platform.clone(),
            config: config(manifest).cloned(),
            untold: config_is_not_told(manifest),
            index: index.clone(),
        }
    }

    fn is(&self, manifest: &ScannedManifest) -> bool {
        let Self { digest, platform, config: own, untold, index } = self;
        *digest == manifest.digest
            && own.as_ref() == config(manifest)
            && *untold == config_is_not_told(manifest)
            && *index == manifest.index
            && *platform == manifest.platform
    }
}

fn config(manifest: &ScannedManifest) -> Option<&Digest> {
    match &manifest.config {
        Fact::Known(seen) => Some(&seen.value),
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
    }
}

/// What was answered.
#[derive(Debug)]
struct Answer {
    asked: Asked,
    /// The files that it was made of, as they were.
    choice: Choice,
    /// The state of the index of which that is known.
    generation: AtomicU64,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Reports(Arc<Reports>),
    Nothing,
    /// It hangs on the digest of the configuration.
    Untold,
    TooMany,
}

/// Answers by manifest.
#[derive(Debug)]
pub(super) struct Recall {
    answers: Cache<u64, Arc<Answer>>,
    hashing: RandomState,
}

impl Recall {
    pub(super) fn new(bytes: u64) -> Self {
        let answers = Cache::builder().max_capacity(bytes).weigher(|_, answer: &Arc<Answer>| answer.weight()).build();
        Self { answers, hashing: RandomState::new() }
    }

    /// The same manifest by itself and in an index are two questions.
    fn key(&self, manifest: &ScannedManifest) -> u64 {
        let index = manifest.index.as_ref().map(|index| index.digest.as_str());
        self.hashing.hash_one((manifest.digest.as_str(), index))
    }

    /// A report that is part of any answer.
    pub(super) fn report(&self, version: Version) -> Option<Arc<Report>> {
        self.answers.iter().find_map(|(_, answer)| answer.report(version))
    }
}

impl Answer {
    fn report(&self, version: Version) -> Option<Arc<Report>> {
        let Outcome::Reports(reports) = &self.outcome else { return None };
        // Side by side, unless a hash misled: then it is read once more.
        let place = self.choice.found.iter().position(|found| *found == version)?;
        let same = self.choice.found.len() == reports.found.len();
        reports.found.get(place).filter(|_| same).map(|sourced| Arc::clone(&sourced.report))
    }

    fn weight(&self) -> u32 {
        let Outcome::Reports(reports) = &self.outcome else { return weight(size_of::<Self>() + 3 * DIGEST) };
        let found = reports.found.iter().map(|its| its.report.weight() + its.place.len() + size_of::<Sourced>());
        let failed = |(_, place, unusable): &(Origin, Arc<str>, Unusable)| {
            place.len() + unusable.words.len() + size_of::<(Origin, Arc<str>, Unusable)>()
        };
        let unusable: usize = reports.unusable.iter().map(failed).sum();
        weight(size_of::<Self>() + 3 * DIGEST + found.sum::<usize>() + unusable)
    }
}

/// Bytes of a digest's text and of what counts its owners.
const DIGEST: usize = 96;

impl Directories {
    /// What there is about a manifest, of what is in memory and of `loaded`.
    pub(super) fn select(
        &self,
        manifest: &ScannedManifest,
        loaded: &[(Version, Arc<Report>)],
        now: Timestamp,
    ) -> Selection {
        let key = self.recall.key(manifest);
        let known = self.recall.answers.get(&key).filter(|answer| answer.asked.is(manifest));
        if let Some(answer) = &known {
            let current = answer.generation.load(Ordering::Acquire) == self.generation.load(Ordering::Acquire);
            if current && answer.choice.until.is_none_or(|until| now < until) {
                return Selection::Ready(self.fact(answer, manifest, now));
            }
        }
        let index = self.index();
        let generation = self.generation.load(Ordering::Acquire);
        let choice = index.choose(manifest, now);
        if let Some(answer) = known.as_ref().filter(|answer| answer.choice == choice) {
            answer.generation.store(generation, Ordering::Release);
            return Selection::Ready(self.fact(answer, manifest, now));
        }
        let in_memory = |version: &Version| {
            let loaded = loaded.iter().find(|(of, _)| of == version).map(|(_, report)| Arc::clone(report));
            let pinned = || index.rewriting(version.file).and_then(|its| its.report.clone());
            let answered = || known.as_ref().and_then(|answer| answer.report(*version));
            loaded.or_else(pinned).or_else(answered).or_else(|| self.findings.get(*version))
        };
        let (mut reports, mut lacking) = (Vec::new(), Vec::new());
        for version in &choice.found {
            match in_memory(version) {
                Some(report) => reports.push((*version, report)),
                None => lacking.push(*version),
            }
        }
        if let Some(until) = choice.waits {
            return Selection::Wait(until);
        }
        if !lacking.is_empty() && !choice.too_many {
            return Selection::Read(lacking);
        }
        let outcome = self.outcome(&index, manifest, &choice, reports);
        drop(index);
        let asked = Asked::of(manifest);
        let answer = Arc::new(Answer { asked, choice, generation: AtomicU64::new(generation), outcome });
        self.recall.answers.insert(key, Arc::clone(&answer));
        Selection::Ready(self.fact(&answer, manifest, now))
    }

    fn outcome(
        &self,
        index: &Index,
        manifest: &ScannedManifest,
        choice: &Choice,
        reports: Vec<(Version, Arc<Report>)>,
    ) -> Outcome {
        if choice.too_many {
            return Outcome::TooMany;
        }
        let place = |version: Version| {
            let slot = index.get(version.file);
            slot.map_or_else(Arc::default, |slot| self.place(slot.root, Index::path(slot)))
        };
        // The index knows digests by their hashes alone.
        let speaks = |report: &Report| manifest.is_spoken_of(&report.outline.subject) == Speaks::Yes;
        let sourced = |(version, report)| Sourced { origin: Origin::Directory, place: place(version), report };
        let found: Vec<_> = reports.into_iter().filter(|(_, report)| speaks(report)).map(sourced).collect();
        let failed = |(version, unusable): &(Version, Unusable)| (Origin::Directory, place(*version), unusable.clone());
        let unusable: Vec<_> = choice.unusable.iter().map(failed).collect();
        match (found.is_empty(), unusable.is_empty(), choice.untold) {
            (true, _, true) => Outcome::Untold,
            (true, true, false) => Outcome::Nothing,
            (false, _, _) | (true, false, false) => Outcome::Reports(Arc::new(Reports { found, unusable })),
        }
    }

    fn fact(&self, answer: &Answer, manifest: &ScannedManifest, now: Timestamp) -> Fact<Arc<Reports>> {
        let doubt = || self.doubt.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        match &answer.outcome {
            Outcome::Reports(reports) => match doubt().filter(|_| reports.found.is_empty()) {
                Some(trouble) => Fact::Unavailable(trouble),
                None => Fact::Known(Seen { value: Arc::clone(reports), at: now, source: Source::Current }),
            },
            Outcome::Nothing => doubt().map_or(Fact::Absent(now), Fact::Unavailable),
            Outcome::Untold => match &manifest.config {
                Fact::Unavailable(trouble) => Fact::Unavailable(trouble.clone()),
                Fact::Known(_) | Fact::Absent(_) | Fact::Pending => Fact::Pending,
            },
            Outcome::TooMany => {
                let words = "there are more scan reports of one moment about it than are weighed: remove the copies";
                Fact::Unavailable(Trouble::new(Fault::Broken, words))
            }
        }
    }

    /// What there is about a manifest, of a complete index; reads what it takes.
    pub(super) async fn recalled(&self, manifest: &ScannedManifest) -> Fact<Arc<Reports>> {
        let mut loaded: Vec<(Version, Arc<Report>)> = Vec::new();
        let (mut attempts, mut hit) = (0, true);
        loop {
            let mut changes = self.changes.subscribe();
            match self.select(manifest, &loaded, Timestamp::now()) {
                Selection::Ready(fact) => {
                    self.lookups.count(hit);
                    return fact;
                }
                Selection::Wait(until) => {
                    let left = until.duration_since(SystemTime::now()).unwrap_or_default();
                    // It is no matter which of the two it was.
                    let _changed = tokio::time::timeout(left, changes.changed()).await;
                }
                Selection::Read(versions) => {
                    (attempts, hit) = (attempts + 1, false);
                    if attempts > ATTEMPTS {
                        return Fact::Unavailable(outage("its scan reports change whenever they are read"));
                    }
                    for version in versions {
                        let weight: usize = loaded.iter().map(|(_, report)| report.weight()).sum();
                        if weight > WEIGHED {
                            let words = "the scan reports of one moment about it are larger than are weighed together: remove the \
                                         copies";
                            return Fact::Unavailable(Trouble::new(Fault::Broken, words));
                        }
                        match self.load(version).await {
                            Loaded::Report(report) => loaded.push((version, report)),
                            Loaded::Changed => {}
                            Loaded::Trouble(words) => return Fact::Unavailable(outage(words)),
                        }
                    }
                }
            }
        }
    }

    /// Reads a file for its findings, once for all who ask. One that is not what it was is looked at anew.
    async fn load(&self, version: Version) -> Loaded {
        let known = {
            let index = self.index();
            let slot = index.get(version.file).filter(|slot| Index::version(version.file, slot) == version);
            slot.map(|slot| (slot.root, Index::path(slot).to_owned(), index.expects(slot)))
        };
        let Some((root, path, expected)) = known else { return Loaded::Changed };
        let (full, readers) = (super::joined(self.root(root), &path), Arc::clone(&self.readers));
        let (given, below) = (self.root(root).to_owned(), !path.as_os_str().is_empty());
        let place = self.place(root, &path);
        let load = move || async move {
            // It is never closed.
            let Ok(permit) = readers.acquire_owned().await else { return Loaded::Changed };
            let read = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                file::read_of(&given, below, &full)
            });
            match read.await {
                Ok(file::Outcome::Read { stamp, report }) if expected(&stamp) => match *report {
                    Ok(report) => Loaded::Report(Arc::new(report)),
                    Err(_) => Loaded::Changed,
                },
                Ok(file::Outcome::Trouble(kind)) => Loaded::Trouble(format!("{place} cannot be read: {kind}").into()),
                Ok(file::Outcome::Read { .. } | file::Outcome::Changed { .. } | file::Outcome::Gone) => Loaded::Changed,
                Err(_) => Loaded::Trouble("a fault inside Pratique, see its log".into()),
            }
        };
        let loaded = self.findings.load(version, load).await;
        let loaded = loaded.unwrap_or_else(|| Loaded::Trouble("a fault inside Pratique, see its log".into()));
        if matches!(loaded, Loaded::Changed)
            && let Some(own) = self.own.upgrade()
        {
            own.look_at(vec![(root, path)], Some(version)).await;
        }
        loaded
    }
}
