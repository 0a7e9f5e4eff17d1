//! Which files speak of a manifest, and which of them are asked. From the index alone, without a file.
//!
//! Of each scanner the newest, all of the same moment; what is dated ahead of our clock is kept beside it, for whoever
//! judges: a report from the future must not hide a real one. The order of files changes nothing.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::index::{By, Essentials, Index, Slot, State, Version, moment};
use crate::fact::Fact;
use crate::fact::report::{Defect, Format, Outline, Scanner, ScannedManifest, ScannerKind, Speaks, Subject, Unusable};
use crate::image::Digest;
use crate::policy::scan::AHEAD;

/// So long a half-written file is taken for one that is still being written.
pub(super) const SETTLES: Duration = Duration::from_mins(1);
/// Reports of one scanner and one moment, about one manifest; two copies of a file are two. More are not weighed: any of
/// those left out could be the worst.
const SAME_MOMENT: usize = 64;
/// Reports of one scanner that are dated ahead: one is enough to be told of them.
const DATED_AHEAD: usize = 4;
/// Unusable reports about one manifest, the newest; one is enough to be told.
const UNUSABLE: usize = 16;

/// What is asked of the files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// In order, each once.
    pub(super) found: Vec<Version>,
    pub(super) unusable: Vec<(Version, Unusable)>,
    /// There are more than are weighed.
    pub(super) too_many: bool,
    /// Something may be about the manifest: that depends on its configuration's digest.
    pub(super) untold: bool,
    /// A report is being rewritten, and what it said before is not in memory: until then it is waited for.
    pub(super) waits: Option<SystemTime>,
    /// When a report that is dated ahead no longer is.
    pub(super) until: Option<Timestamp>,
}

/// One that speaks of the manifest and can be used.
struct Candidate {
    scanned_at: i64,
    version: Version,
    waits: Option<SystemTime>,
}

/// The digests of a manifest by which reports name it, as keys.
struct Keys<'m> {
    own: u64,
    config: Option<(u64, &'m Digest)>,
    index: Option<(u64, &'m Digest)>,
}

impl Index {
    /// What is to be asked about a manifest.
    pub(super) fn choose(&self, manifest: &ScannedManifest, now: Timestamp) -> Choice {
        let config = match &manifest.config {
            Fact::Known(seen) => Some(&seen.value),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
        };
        let index = manifest.index.as_ref().map(|index| &index.digest);
        let keyed = |digest| (self.key(digest), digest);
        let keys = Keys { own: self.key(&manifest.digest), config: config.map(keyed), index: index.map(keyed) };
        let asked: Vec<u64> = [Some(keys.own), keys.config.map(|its| its.0), keys.index.map(|its| its.0)]
            .into_iter()
            .flatten()
            .collect();
        let mut choice = Choice { untold: config_is_not_told(manifest) && self.has_configs(), ..Choice::default() };
        let mut by_scanner: BTreeMap<(Option<ScannerKind>, &str), Vec<Candidate>> = BTreeMap::new();
        let mut unusable: Vec<(Reverse<i64>, Version, Unusable)> = Vec::new();
        for file in self.naming(&asked) {
            let Some(slot) = self.get(file) else { continue };
            let essentials = self.essentials(slot);
            let subject = subject(&essentials, manifest, &keys);
            let version = Index::version(file, slot);
            let speaks = manifest.is_spoken_of(&subject);
            let failed = match (speaks, self.state(file, slot, now)) {
                (Speaks::No, _) | (_, Standing::Unsettled) => continue,
                (Speaks::Untold, _) => {
                    choice.untold = true;
                    continue;
                }
                (Speaks::Yes, Standing::Usable { waits }) => {
                    let By { kind, name } = essentials.by;
                    let candidate = Candidate { scanned_at: slot.scanned_at, version, waits };
                    by_scanner.entry((*kind, name)).or_default().push(candidate);
                    continue;
                }
                (Speaks::PlatformUnknown, Standing::Usable { .. }) => platform_unknown(slot, &essentials, subject),
                (Speaks::Yes | Speaks::PlatformUnknown, Standing::Unusable(unusable)) => unusable,
            };
            unusable.push((Reverse(slot.scanned_at), version, failed));
        }
        for candidates in by_scanner.into_values() {
            choice.add_newest(candidates, now);
        }
        choice.found.sort_unstable();
        // What is newest first, and of the same moment in the order of paths: numbers of files are chance.
        let place = |version: &Version| self.get(version.file).map(|slot| (slot.root, Index::path(slot)));
        unusable.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| place(&a.1).cmp(&place(&b.1))));
        unusable.truncate(UNUSABLE);
        choice.unusable = unusable.into_iter().map(|(_, version, unusable)| (version, unusable)).collect();
        choice.found.sort_by(|a, b| place(a).cmp(&place(b)));
        choice
    }

    /// What a file is good for at this moment.
    fn state(&self, file: u32, slot: &Slot, now: Timestamp) -> Standing {
        match (slot.state, self.rewriting(file)) {
            (State::Unsettled, _) => Standing::Unsettled,
            (State::Unusable(defect), _) => Standing::Unusable(self.unusable(file, defect)),
            (State::Usable, Some(rewriting)) if rewriting.report.is_none() => {
                let until = rewriting.since + SETTLES;
                if until <= SystemTime::from(now) {
                    return Standing::Unusable(Unusable::clone(&rewriting.unusable));
                }
                Standing::Usable { waits: Some(until) }
            }
            (State::Usable, Some(_) | None) => Standing::Usable { waits: None },
        }
    }
}

enum Standing {
    Usable { waits: Option<SystemTime> },
    Unusable(Unusable),
    Unsettled,
}

impl Choice {
    /// The newest of one scanner.
    fn add_newest(&mut self, mut candidates: Vec<Candidate>, now: Timestamp) {
        let limit = moment(now.checked_add(AHEAD).ok());
        let (mut ahead, current): (Vec<_>, Vec<_>) =
            candidates.drain(..).partition(|candidate| candidate.scanned_at > limit);
        let newest = current.iter().map(|candidate| candidate.scanned_at).max();
        let mut chosen: Vec<_> = current.into_iter().filter(|its| Some(its.scanned_at) == newest).collect();
        self.too_many |= chosen.len() > SAME_MOMENT;
        chosen.truncate(SAME_MOMENT);
        ahead.sort_by_key(|candidate| candidate.scanned_at);
        ahead.truncate(DATED_AHEAD);
        if let Some(first) = ahead.first() {
            let arrives = Timestamp::from_nanosecond(i128::from(first.scanned_at)).ok();
            let arrives = arrives.and_then(|at| at.checked_sub(AHEAD).ok()).unwrap_or(Timestamp::MAX);
            self.until = Some(self.until.map_or(arrives, |until| until.min(arrives)));
        }
        for Candidate { scanned_at: _, version, waits } in chosen.into_iter().chain(ahead) {
            self.found.push(version);
            self.waits = match (self.waits, waits) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
    }
}

/// Whether the digest of its configuration is not known, and may be there.
pub(super) fn config_is_not_told(manifest: &ScannedManifest) -> bool {
    match manifest.config {
        Fact::Known(_) | Fact::Absent(_) => false,
        Fact::Unavailable(_) | Fact::Pending => true,
    }
}

/// The subject of a report as far as it matters to a manifest: its digests are those of the manifest or others.
fn subject(essentials: &Essentials<'_>, manifest: &ScannedManifest, keys: &Keys<'_>) -> Subject {
    let known = |key: &u64| match key {
        key if *key == keys.own => Some(manifest.digest.clone()),
        key => [keys.config, keys.index].into_iter().flatten().find(|(of, _)| of == key).map(|its| its.1.clone()),
    };
    let manifests = essentials.manifests.iter().filter_map(known).collect();
    let config = essentials.config.as_ref().and_then(|config| known(config).or_else(other));
    Subject { manifests, config, platform: essentials.platform.cloned(), names: Vec::new() }
}

/// A digest that no content has.
fn other() -> Option<Digest> {
    Digest::parse(&format!("sha512:{}", "0".repeat(128))).ok()
}

fn platform_unknown(slot: &Slot, essentials: &Essentials<'_>, subject: Subject) -> Unusable {
    let words = "it names the index of the image, and does not say which platform of it was scanned: scan by the digest of \
                 the platform's own manifest";
    let By { kind, name } = essentials.by;
    let scanned_at = Timestamp::from_nanosecond(i128::from(slot.scanned_at)).ok();
    let scanner = Scanner { kind: *kind, name: name.clone(), ..Scanner::default() };
    let unusable = Unusable::new(Defect::PlatformUnknown, words);
    let format = slot.format.unwrap_or(Format::Trivy);
    unusable.about(Outline { format, scanner, scanned_at, subject, notes: Vec::new() })
}
