//! What a report says of itself, bounded: digests, names, platform, time, scanner.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::report::{Defect, Scanner, ScannerKind, Subject, TooMuch, Unusable};
use crate::image::{Digest, Platform};

/// Digests of one report, and names; real ones have three. More are dropped and said.
const ENTRIES: usize = 64;
/// Bytes of a name, which people alone read, and of a version; what is longer is cut.
const NAME: usize = 512;
/// Bytes of an operating system's name and the like; what is longer is none.
const PLATFORM: usize = 64;

/// Gathers what a report is about.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) subject: Subject,
    /// What was dropped, one clause each.
    pub(super) notes: Vec<Box<str>>,
}

impl About {
    /// A digest of a registry: `name@sha256:...` or `sha256:...`. `field`: where it stands, for the note.
    pub(super) fn manifest(&mut self, text: &str, field: &'static str) {
        let Some(digest) = self.digest(text, field) else { return };
        if self.subject.manifests.contains(&digest) {
            return;
        }
        if self.subject.manifests.len() >= ENTRIES {
            return self.note(format!("more than {ENTRIES} digests: the others are not used"));
        }
        self.subject.manifests.push(digest);
    }

    /// The image ID.
    pub(super) fn config(&mut self, text: &str, field: &'static str) {
        self.subject.config = self.digest(text, field);
    }

    /// What the image is called, for people.
    pub(super) fn name(&mut self, name: &str) {
        let name = cut(name);
        let names = &mut self.subject.names;
        if !name.is_empty() && names.len() < ENTRIES && !names.iter().any(|other| &**other == name) {
            names.push(name.into());
        }
    }

    /// What it runs on, where both parts are stated.
    pub(super) fn platform(&mut self, os: &str, architecture: &str, variant: &str) {
        let bounded = |part: &str| Some(part.to_owned()).filter(|part| part.len() <= PLATFORM && !part.is_empty());
        if let (Some(os), Some(architecture)) = (bounded(os), bounded(architecture)) {
            self.subject.platform = Some(Platform { os, architecture, variant: bounded(variant) });
        }
    }

    /// A time in RFC 3339; none where it is Go's zero time or nothing. What is no time is said.
    pub(super) fn moment(&mut self, text: &str, field: &'static str) -> Option<Timestamp> {
        moment(text).unwrap_or_else(|NoTime| {
            self.note(format!("what stands in {field} is no time"));
            None
        })
    }

    /// Says what was dropped, once.
    pub(super) fn note(&mut self, words: impl Into<Box<str>>) {
        let words = words.into();
        if !self.notes.contains(&words) {
            self.notes.push(words);
        }
    }

    fn digest(&mut self, text: &str, field: &'static str) -> Option<Digest> {
        let digest = text.rsplit_once('@').map_or(text, |(_, digest)| digest);
        let parsed = Digest::parse(digest).ok();
        if parsed.is_none() {
            self.note(format!("what stands in {field} is no digest of an image"));
        }
        parsed
    }
}

/// A text that should be a time is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoTime;

/// A time in RFC 3339; none where it is nothing, or the year 1: Go's way to say nothing.
pub(super) fn moment(text: &str) -> Result<Option<Timestamp>, NoTime> {
    if text.is_empty() {
        return Ok(None);
    }
    // Go's nought in whatever offset it is written.
    let nought = "0001-01-03T00:00:00Z".parse().unwrap_or(Timestamp::MIN);
    let moment: Timestamp = text.parse().map_err(|_| NoTime)?;
    Ok(Some(moment).filter(|moment| *moment > nought))
}

/// A scanner by its name and version, as a report writes them.
pub(super) fn scanner(name: &str, version: &str) -> Scanner {
    let kind = ScannerKind::named(name);
    let name: Arc<str> = kind.map_or(cut(name), |kind| kind.label()).into();
    Scanner { kind, name, version: text(version), ..Scanner::default() }
}

/// A text for people, cut where it is too long; none where there is nothing in it.
pub(super) fn text(text: &str) -> Option<Box<str>> {
    Some(cut(text)).filter(|text| !text.is_empty()).map(Box::from)
}

/// A report that has more than is kept.
pub(super) fn too_much(TooMuch(words): TooMuch) -> Unusable {
    Unusable::new(Defect::BeyondBounds, words)
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(NAME)).unwrap_or(text)
}
