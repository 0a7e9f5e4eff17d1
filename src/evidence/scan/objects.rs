//! `VulnerabilityReport` objects of trivy-operator, in the namespaces that the settings name: who can write one there can
//! clear an image.
//!
//! All of them are in memory, findings and all: what the API server gave cannot be read again from a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use rpds::HashTrieMapSync;

use super::format;
use crate::fact::report::{
    Defect, Format, Origin, Outline, Report, Reports, ScannedManifest, Sourced, Speaks, Unusable,
};
use crate::fact::{Fact, Trouble};
use crate::image::Digest;
use crate::policy::scan::AHEAD;

#[cfg(test)]
mod tests;

/// The metric label of what can be used.
const USABLE: &str = "usable";

/// Objects of these, by the digests that they name. A clone shares them, and costs nothing.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    by_digest: HashTrieMapSync<Digest, HashTrieMapSync<Arc<str>, Arc<Object>>>,
    by_place: HashTrieMapSync<Arc<str>, Arc<Object>>,
    /// Why what is not here may be there all the same: not all of them were read yet.
    unread: Option<Trouble>,
    /// How many there are, and how many of them cannot be used.
    pub usable: usize,
    pub unusable: usize,
}

/// One of them.
#[derive(Debug)]
struct Object {
    /// `namespace/name`
    place: Arc<str>,
    report: Result<Arc<Report>, Unusable>,
}

/// What one object says, without the object: what it takes to have it among [`Objects`].
#[derive(Debug, Clone)]
pub struct Parsed(Result<Arc<Report>, Unusable>);

impl Parsed {
    /// Of JSON as the API server has it.
    #[must_use]
    pub fn of(json: &serde_json::Value) -> Self {
        Self(read(json).map(Arc::new))
    }
}

impl Object {
    fn outline(&self) -> Option<&Outline> {
        match &self.report {
            Ok(report) => Some(&report.outline),
            Err(unusable) => unusable.outline.as_deref(),
        }
    }

    fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.outline().into_iter().flat_map(|outline| outline.subject.digests())
    }
}

impl Objects {
    /// Takes one object, JSON as the API server has it, instead of what it had under this name. Who calls has checked the
    /// namespace; that of the cluster's own is empty.
    pub fn add(&mut self, namespace: &str, name: &str, json: &serde_json::Value) {
        self.put(namespace, name, Parsed::of(json));
    }

    /// The same of what was read already.
    pub fn put(&mut self, namespace: &str, name: &str, parsed: Parsed) {
        let place: Arc<str> = if namespace.is_empty() { name.into() } else { format!("{namespace}/{name}").into() };
        self.remove(&place);
        let object = Arc::new(Object { place: Arc::clone(&place), report: parsed.0 });
        match object.report {
            Ok(_) => self.usable += 1,
            Err(_) => self.unusable += 1,
        }
        for digest in object.digests() {
            let mut there = self.by_digest.get(digest).cloned().unwrap_or_default();
            there.insert_mut(Arc::clone(&place), Arc::clone(&object));
            self.by_digest.insert_mut(digest.clone(), there);
        }
        self.by_place.insert_mut(place, object);
    }

    /// Forgets what it had under this name.
    pub fn delete(&mut self, namespace: &str, name: &str) {
        self.remove(&format!("{namespace}/{name}"));
    }

    /// None at all, and that is all that there are known to be; `why`: not all of them were read yet.
    #[must_use]
    pub fn unread(why: Trouble) -> Self {
        Self { unread: Some(why), ..Self::default() }
    }

    /// From now on; none: all were read.
    pub fn set_unread(&mut self, why: Option<Trouble>) {
        self.unread = why;
    }

    /// Why reports that are not here may be there all the same.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.unread.as_ref()
    }

    fn remove(&mut self, place: &str) {
        let Some(object) = self.by_place.get(place).cloned() else { return };
        self.by_place.remove_mut(place);
        match object.report {
            Ok(_) => self.usable -= 1,
            Err(_) => self.unusable -= 1,
        }
        for digest in object.digests() {
            let Some(mut there) = self.by_digest.get(digest).cloned() else { continue };
            there.remove_mut(place);
            if there.is_empty() {
                self.by_digest.remove_mut(digest);
            } else {
                self.by_digest.insert_mut(digest.clone(), there);
            }
        }
    }

    /// How many there are, by what they are good for: `usable`, or the label of their defect.
    #[must_use]
    pub fn states(&self) -> BTreeMap<&'static str, usize> {
        let mut states = BTreeMap::from([(USABLE, 0)]);
        for object in self.by_place.values() {
            let state = object.report.as_ref().map_or_else(|unusable| unusable.defect.label(), |_| USABLE);
            *states.entry(state).or_default() += 1;
        }
        states
    }

    /// What there is about a manifest: of each scanner the newest. None: nothing.
    #[must_use]
    pub fn about(&self, manifest: &ScannedManifest) -> Option<Reports> {
        self.about_at(manifest, Timestamp::now())
    }

    fn about_at(&self, manifest: &ScannedManifest, now: Timestamp) -> Option<Reports> {
        let (mut usable, mut unusable) = (Vec::new(), Vec::new());
        for object in self.naming(manifest) {
            let Some(outline) = object.outline() else { continue };
            let speaks = manifest.is_spoken_of(&outline.subject);
            let place = Arc::clone(&object.place);
            match (&object.report, speaks) {
                (Ok(report), Speaks::Yes) => {
                    usable.push(Sourced { origin: Origin::Object, place, report: Arc::clone(report) });
                }
                (Err(its), Speaks::Yes | Speaks::PlatformUnknown | Speaks::Untold) => {
                    unusable.push((Origin::Object, place, its.clone()));
                }
                (Ok(report), Speaks::PlatformUnknown | Speaks::Untold) => {
                    let its = Unusable::new(Defect::PlatformUnknown, untold(speaks)).about(report.outline.clone());
                    unusable.push((Origin::Object, place, its));
                }
                (Ok(_) | Err(_), Speaks::No) => {}
            }
        }
        let found = newest(usable, now);
        (!found.is_empty() || !unusable.is_empty()).then_some(Reports { found, unusable })
    }

    /// Those that name one of its digests, in the order of their names.
    fn naming(&self, manifest: &ScannedManifest) -> Vec<&Arc<Object>> {
        let config = match &manifest.config {
            Fact::Known(seen) => Some(&seen.value),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
        };
        let index = manifest.index.as_ref().map(|index| &index.digest);
        let digests = [Some(&manifest.digest), config, index].into_iter().flatten();
        let mut objects: Vec<_> =
            digests.filter_map(|digest| self.by_digest.get(digest)).flat_map(|there| there.values()).collect();
        objects.sort_by(|one, other| one.place.cmp(&other.place));
        objects.dedup_by(|one, other| Arc::ptr_eq(one, other));
        objects
    }
}

/// Nothing else than a `VulnerabilityReport` is one here, whatever else could be read.
fn read(json: &serde_json::Value) -> Result<Report, Unusable> {
    let report = format::read(json.to_string().as_bytes())?;
    if report.outline.format == Format::TrivyOperator {
        return Ok(report);
    }
    Err(Unusable::new(Defect::NotAReport, "it is no object of trivy-operator"))
}

fn untold(speaks: Speaks) -> &'static str {
    match speaks {
        Speaks::Untold => "it names an image ID, and the image's manifest could not be read to compare that",
        Speaks::PlatformUnknown | Speaks::Yes | Speaks::No => {
            "it names the digest of an index and not which platform of it was scanned: let the pods name the digest of the \
             platform's manifest, or scan each platform by its own digest"
        }
    }
}

/// Of each scanner the newest, all of the same moment. What is dated ahead of our clock is kept beside it, for whoever
/// judges: it must not hide a real one.
fn newest(usable: Vec<Sourced>, now: Timestamp) -> Vec<Sourced> {
    let limit = now.checked_add(AHEAD).unwrap_or(Timestamp::MAX);
    let dated = |sourced: &Sourced| sourced.report.outline.scanned_at;
    let is_ahead = |sourced: &Sourced| dated(sourced).is_some_and(|moment| moment > limit);
    let by = |sourced: &Sourced| Arc::clone(&sourced.report.outline.scanner.name);
    let mut moments: BTreeMap<Arc<str>, Option<Timestamp>> = BTreeMap::new();
    for sourced in usable.iter().filter(|sourced| !is_ahead(sourced)) {
        let newest = moments.entry(by(sourced)).or_default();
        *newest = (*newest).max(dated(sourced));
    }
    let is_newest = |sourced: &Sourced| moments.get(&by(sourced)).is_some_and(|newest| *newest == dated(sourced));
    usable.into_iter().filter(|sourced| is_ahead(sourced) || is_newest(sourced)).collect()
}
