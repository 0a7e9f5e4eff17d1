use super::*;
use crate::fact::{Fault, Seen, Source, Trouble};

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

fn platform(text: &str) -> Platform {
    let mut parts = text.split('/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let (os, architecture) = (next(), next());
    Platform { os, architecture, variant: parts.next() }
}

fn known(letter: char) -> Fact<Digest> {
    Fact::Known(Seen { value: digest(letter), at: Timestamp::UNIX_EPOCH, source: Source::Current })
}

/// A manifest `a` with configuration `c` in index `i`, for arm64, beside an amd64 one.
fn manifest() -> ScannedManifest {
    let index = InIndex { digest: digest('1'), sole_of_architecture: true, sole: false };
    ScannedManifest {
        digest: digest('a'),
        platform: Some(platform("linux/arm64/v8")),
        config: known('c'),
        index: Some(index),
        reports: None,
    }
}

fn subject(manifests: &str, config: Option<char>, of: Option<&str>) -> Subject {
    Subject {
        manifests: manifests.chars().map(digest).collect(),
        config: config.map(digest),
        platform: of.map(platform),
        names: Vec::new(),
    }
}

#[test]
fn a_report_speaks_of_a_manifest_by_its_digest_its_configuration_or_index_and_platform() {
    let manifest = manifest();
    for (about, speaks) in [
        (subject("a", None, None), Speaks::Yes),
        (subject("", Some('c'), None), Speaks::Yes),
        (subject("1", Some('c'), None), Speaks::Yes),
        (subject("1", None, Some("linux/arm64")), Speaks::Yes),
        (subject("1", None, Some("linux/aarch64/v8")), Speaks::Yes),
        (subject("1", None, Some("linux/arm64/v9")), Speaks::No),
        (subject("1", None, Some("linux/amd64")), Speaks::No),
        (subject("1", None, None), Speaks::PlatformUnknown),
        (subject("b", None, Some("linux/arm64")), Speaks::No),
        (subject("", None, Some("linux/arm64")), Speaks::No),
    ] {
        assert_eq!(manifest.is_spoken_of(&about), speaks, "{about:?}");
    }
}

#[test]
fn a_report_that_contradicts_itself_clears_nothing() {
    let manifest = manifest();
    // It was scanned as another image, whatever platform it states since somebody edited it.
    assert_eq!(manifest.is_spoken_of(&subject("1", Some('d'), Some("linux/arm64"))), Speaks::No);
    assert_eq!(manifest.is_spoken_of(&subject("a", Some('d'), None)), Speaks::No);
    // A store that calls an image by its manifest.
    assert_eq!(manifest.is_spoken_of(&subject("a", Some('a'), None)), Speaks::Yes);
}

#[test]
fn a_configuration_that_is_not_known_leaves_open_what_depends_on_it() {
    let trouble = Trouble::new(Fault::Outage, "out");
    let manifest = ScannedManifest { config: Fact::Unavailable(trouble), ..manifest() };
    assert_eq!(manifest.is_spoken_of(&subject("1", Some('c'), Some("linux/arm64"))), Speaks::Untold);
    assert_eq!(manifest.is_spoken_of(&subject("", Some('d'), None)), Speaks::Untold);
    assert_eq!(manifest.is_spoken_of(&subject("a", Some('c'), None)), Speaks::Yes);
    assert_eq!(manifest.is_spoken_of(&subject("b", None, None)), Speaks::No);
}

#[test]
fn of_two_variants_only_the_one_that_is_stated_is_meant() {
    let index = InIndex { digest: digest('1'), sole_of_architecture: false, sole: false };
    let of = Some(platform("linux/arm/v7"));
    let manifest = ScannedManifest { platform: of, index: Some(index), ..manifest() };
    assert_eq!(manifest.is_spoken_of(&subject("1", None, Some("linux/arm/v7"))), Speaks::Yes);
    assert_eq!(manifest.is_spoken_of(&subject("1", None, Some("linux/arm/v6"))), Speaks::No);
    assert_eq!(manifest.is_spoken_of(&subject("1", None, Some("linux/arm"))), Speaks::PlatformUnknown);
}

#[test]
fn an_index_of_one_image_is_that_image() {
    let index = InIndex { digest: digest('1'), sole_of_architecture: true, sole: true };
    let manifest = ScannedManifest { platform: None, index: Some(index), ..manifest() };
    assert_eq!(manifest.is_spoken_of(&subject("1", None, None)), Speaks::Yes);
}
