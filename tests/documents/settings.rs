//! Settings: all of them are shown with their defaults, and what is shown elsewhere is taken.

use std::collections::BTreeSet;

use pratique::config::Config;

use crate::texts::{Block, blocks};

const PAGE: &str = "docs/settings.md";

/// What the program makes of a block, without a mistake or a warning.
fn taken(block: &Block) -> Config {
    let place = format!("{}:{}", block.document, block.line);
    let (config, warnings) = Config::parse(&block.text, &place)
        .unwrap_or_else(|mistakes| panic!("{place}: these settings are not valid: {mistakes:#?}"));
    assert!(warnings.is_empty(), "{place}: {warnings:?}");
    config
}

#[test]
fn the_settings_shown_are_the_defaults_without_exception() {
    let mut shown = BTreeSet::new();
    for block in blocks("yaml").into_iter().filter(|block| block.document == PAGE) {
        assert_eq!(taken(&block), Config::default(), "{PAGE}: a setting is shown with another value than its default");
        shown.extend(keys(&block.text));
    }
    let known = settings_of_the_program();
    let missing: Vec<&String> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "{PAGE}: the settings do not show {missing:?}; add them with their defaults");
}

#[test]
fn settings_that_are_shown_elsewhere_are_taken() {
    let mut shown = blocks("yaml");
    shown.retain(|block| block.text.starts_with("# pratique.yaml\n"));
    assert!(!shown.is_empty(), "the documents: show a part of pratique.yaml");
    for block in &shown {
        taken(block);
    }
}

/// Paths of everything in the settings shown: `tls`, `tls.key`.
fn keys(yaml: &str) -> BTreeSet<String> {
    let value: serde_json::Value = serde_saphyr::from_str(yaml).unwrap();
    let mut found = BTreeSet::new();
    for (key, value) in value.as_object().unwrap() {
        found.extend(value.as_object().into_iter().flatten().map(|(inner, _)| format!("{key}.{inner}")));
        found.insert(key.clone());
    }
    found
}

/// Paths of all settings, as the program lists them to someone who wrote one that it does not know.
fn settings_of_the_program() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for key in known_beside("{no-such-setting: 1}") {
        // Those that are no table say so, in other words.
        let inner = known_beside(&format!("{{{key}: {{no-such-setting: 1}}}}"));
        all.extend(inner.into_iter().map(|inner| format!("{key}.{inner}")));
        all.insert(key);
    }
    assert!(all.contains("tls.clientCA"), "an unknown setting is no longer answered with the known ones: {all:?}");
    all
}

fn known_beside(settings: &str) -> Vec<String> {
    let mistakes = Config::parse(settings, "test").unwrap_err();
    let list = mistakes.iter().find_map(|mistake| Some(mistake.message.split_once("known here: ")?.1.to_owned()));
    list.map_or_else(Vec::new, |list| list.split(", ").map(str::to_owned).collect())
}
