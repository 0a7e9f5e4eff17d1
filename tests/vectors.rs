//! Suites of others, and properties, that names of images are held to.
//!
//! Every row of the files in `fixtures/image-references` either passes or stands in [`EXCEPTIONS`] with the reason why
//! not; an exception that would pass is an error too.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a suite that cannot be read is a failed test")]

use std::collections::BTreeMap;

use pratique::image::{Glob, InvalidReference, Pattern, Reference, TagPattern};
use proptest::prelude::*;

const SUITES: [(&str, &str); 2] = [
    ("distribution-reference.csv", include_str!("fixtures/image-references/distribution-reference.csv")),
    ("go-containerregistry.csv", include_str!("fixtures/image-references/go-containerregistry.csv")),
];

/// Rows that we read otherwise, and why that is right.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "d010",
        "sha512 is unsupported only in that test binary, which does not link the hash; containerd does, and takes it",
    ),
    ("d111", "a digest without a name may be the ID of an image on the node, which would run it without any registry"),
    ("g009", "strict validation of theirs wants the registry written; the kubelet does not"),
    ("g028", "strict validation of theirs wants registry and tag written; the kubelet does not"),
    ("g029", "strict validation of theirs wants the tag written; what a missing tag means is for the policy"),
];

/// One line of a suite. Empty: the upstream test does not say.
struct Row {
    id: String,
    parser: Parser,
    input: String,
    ok: bool,
    registry: String,
    repository: String,
    tag: String,
    digest: String,
    canonical: String,
}

/// Which function of theirs a row is about: what it leaves undone or does beyond us.
#[derive(Clone, Copy, PartialEq)]
enum Parser {
    /// No normalisation: the parts are as written.
    Plain,
    Normalized,
    /// Adds `latest` where neither tag nor digest stands, and drops the tag beside a digest.
    DockerRef,
    /// Takes digests and bare hex too; the canonical form alone is given.
    Any,
    /// Calls Docker Hub `index.docker.io` and adds `latest`.
    Ggcr,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (file, text) in SUITES {
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for record in reader.deserialize::<BTreeMap<String, String>>() {
            let mut record = record.unwrap_or_else(|error| panic!("{file}: {error}"));
            let mut take = |column: &str| record.remove(column).unwrap_or_else(|| panic!("{file}: no column {column}"));
            let parser = take("parser");
            rows.push(Row {
                id: take("id"),
                parser: match parser.split(' ').next() {
                    Some("distribution/reference.Parse") => Parser::Plain,
                    Some("distribution/reference.ParseNormalizedNamed") => Parser::Normalized,
                    Some("distribution/reference.ParseDockerRef") => Parser::DockerRef,
                    Some("distribution/reference.ParseAnyReference") => Parser::Any,
                    Some("go-containerregistry") => Parser::Ggcr,
                    _ => panic!("{file}: unknown parser {parser}"),
                },
                input: take("input"),
                ok: match take("expect").as_str() {
                    "ok" => true,
                    "error" => false,
                    other => panic!("{file}: expect is {other}"),
                },
                registry: take("registry"),
                repository: take("repository"),
                tag: take("tag"),
                digest: take("digest"),
                canonical: take("canonical"),
            });
        }
    }
    rows
}

/// `registry/repository[:tag][@digest]` as expected, in our normal form. Written without our parser on purpose.
fn expected_text(row: &Row) -> Option<String> {
    let written = if !row.canonical.is_empty() {
        row.canonical.clone()
    } else if !row.repository.is_empty() {
        let slash = if row.registry.is_empty() { "" } else { "/" };
        let tag = if row.tag.is_empty() { String::new() } else { format!(":{}", row.tag) };
        let digest = if row.digest.is_empty() { String::new() } else { format!("@{}", row.digest) };
        format!("{}{slash}{}{tag}{digest}", row.registry, row.repository)
    } else {
        return None;
    };
    let (first, rest) = written.split_once('/').unwrap_or(("", &written));
    let (registry, rest) = if first == "index.docker.io" {
        ("docker.io".to_owned(), rest.to_owned())
    } else if first == "localhost" || first.contains(['.', ':']) {
        (first.to_lowercase(), rest.to_owned())
    } else if first.chars().any(char::is_uppercase) {
        (first.to_uppercase(), rest.to_owned())
    } else {
        ("docker.io".to_owned(), written.clone())
    };
    let library = if registry == "docker.io" && !rest.contains('/') { "library/" } else { "" };
    Some(format!("{registry}/{library}{rest}"))
}

/// What we make of the input, in the words of the row's parser.
fn our_text(parser: Parser, reference: &Reference) -> String {
    let text = reference.to_string();
    let name_and_tag = text.split_once('@').map_or(text.as_str(), |(before, _)| before);
    match (parser, reference.tag(), reference.digest()) {
        (Parser::DockerRef | Parser::Ggcr, None, None) => format!("{text}:latest"),
        (Parser::DockerRef, Some(tag), Some(digest)) => {
            let name = name_and_tag.strip_suffix(&format!(":{tag}")).unwrap();
            format!("{name}@{digest}")
        }
        _ => text,
    }
}

/// Each column that the row fills in, one by one, where its parser and ours do the same to it.
fn check_columns(row: &Row, reference: &Reference) -> Result<(), String> {
    let written_tag = reference.tag().unwrap_or("");
    let tag = match row.parser {
        Parser::DockerRef if reference.digest().is_some() => "",
        Parser::DockerRef | Parser::Ggcr if reference.tag().is_none() => "latest",
        Parser::Plain | Parser::Normalized | Parser::DockerRef | Parser::Any | Parser::Ggcr => written_tag,
    };
    let digest = reference.digest().map_or("", |digest| digest.as_str());
    let stated = !row.repository.is_empty();
    if stated && tag != row.tag {
        return Err(format!("tag {tag:?}, and {:?} is expected", row.tag));
    }
    if stated && digest != row.digest {
        return Err(format!("digest {digest:?}, and {:?} is expected", row.digest));
    }
    if stated && row.parser == Parser::Normalized {
        if reference.registry() != row.registry.to_lowercase() {
            return Err(format!("registry {:?}, and {:?} is expected", reference.registry(), row.registry));
        }
        if reference.repository() != row.repository {
            return Err(format!("repository {:?}, and {:?} is expected", reference.repository(), row.repository));
        }
    }
    Ok(())
}

fn check(row: &Row) -> Result<(), String> {
    let read = Reference::parse(&row.input);
    match (row.ok, read) {
        (false, Err(_)) => Ok(()),
        (false, Ok(reference)) => Err(format!("read as {reference}, and an error is expected")),
        (true, Err(flaw)) => Err(format!("refused: {flaw}")),
        (true, Ok(reference)) => {
            check_columns(row, &reference)?;
            let (ours, theirs) = (our_text(row.parser, &reference), expected_text(row));
            match theirs {
                Some(theirs) if theirs != ours => Err(format!("read as {ours}, and {theirs} is expected")),
                Some(_) | None => Ok(()),
            }
        }
    }
}

#[test]
fn every_row_of_the_suites_passes_or_has_its_exception() {
    let failures: Vec<String> = rows()
        .iter()
        .filter(|row| !EXCEPTIONS.iter().any(|(id, _)| *id == row.id))
        .filter_map(|row| check(row).err().map(|error| format!("{} {:?}: {error}", row.id, row.input)))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn no_exception_is_stale_unknown_or_without_a_reason() {
    let rows = rows();
    for (id, reason) in EXCEPTIONS {
        let row = rows.iter().find(|row| row.id == *id).unwrap_or_else(|| panic!("no row {id}"));
        assert!(check(row).is_err(), "{id} passes: remove it from the exceptions");
        assert!(reason.len() > 20, "{id}: why?");
        assert_eq!(EXCEPTIONS.iter().filter(|(other, _)| other == id).count(), 1, "{id} is listed twice");
    }
}

#[test]
fn the_suites_have_146_rows_of_which_141_pass() {
    let rows = rows();
    let passing = rows.iter().filter(|row| check(row).is_ok()).count();
    let read = rows.iter().filter(|row| row.ok && expected_text(row).is_some()).count();
    assert_eq!((rows.len(), passing, EXCEPTIONS.len()), (146, 141, 5));
    // Rows that say what is read, not only that something is.
    assert_eq!(read, 67);
}

/// Names that are mostly valid: parts put together by the grammar, each with a chance to be wrong.
fn name() -> impl Strategy<Value = String> {
    let registry = prop_oneof![
        3 => Just(String::new()),
        4 => "[a-z0-9]{1,8}(\\.[a-z0-9-]{1,8}){1,3}(:[0-9]{1,5})?/",
        1 => "(localhost|LOCALHOST|docker\\.io|Index\\.Docker\\.io)(:443)?/",
        1 => "(registry-1\\.docker\\.io|registry\\.hub\\.docker\\.com)(:443)?/",
        1 => "[A-Za-z0-9]{1,8}(:[1-9][0-9]{0,3})?/",
        1 => "\\[[0-9a-fA-F:]{2,12}\\](:[1-9][0-9]{0,3})?/",
    ];
    let repository = "[a-z0-9]{1,6}([._/-][a-z0-9]{1,6}){0,4}";
    let tag = prop_oneof![2 => Just(String::new()), 3 => ":[A-Za-z0-9_.-]{1,20}"];
    let digest = prop_oneof![
        3 => Just(String::new()),
        2 => "@sha256:[0-9a-f]{64}",
        1 => "@sha512:[0-9a-f]{128}",
        1 => "@sha(256|384):[0-9a-fA-F]{60,100}",
    ];
    (registry, repository, tag, digest)
        .prop_map(|(registry, repository, tag, digest)| registry + &repository + &tag + &digest)
}

/// The canonical `registry/repository` of a reference, as an operator would copy it into a policy.
fn canonical_name(reference: &Reference) -> String {
    let text = reference.to_string();
    text[..reference.name().len()].to_owned()
}

fn config() -> ProptestConfig {
    // Nothing is written beside the sources; a failure prints its input.
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_is_read_prints_as_what_reads_the_same(text in name()) {
        if let Ok(reference) = Reference::parse(&text) {
            let printed = reference.to_string();
            let again = Reference::parse(&printed);
            prop_assert_eq!(again.as_ref(), Ok(&reference), "{} printed as {}", text, printed);
            prop_assert_eq!(again.unwrap().to_string(), printed);
            prop_assert_eq!(reference.name(), format!("{}/{}", reference.registry(), reference.repository()));
            prop_assert_eq!(reference.registry(), reference.registry().to_lowercase());
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,60}", bytes in proptest::collection::vec(any::<char>(), 0..40)) {
        for text in [text, bytes.into_iter().collect()] {
            if let Ok(reference) = Reference::parse(&text) {
                prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
            }
            let _ = Pattern::parse(&text).map_err(|flaw| flaw.to_string());
            let _ = TagPattern::parse(&text).map_err(|flaw| flaw.to_string());
            let _ = Glob::parse(&text).map_err(|flaw| flaw.to_string());
            let _ = pratique::image::Digest::parse(&text).map_err(|flaw| flaw.to_string());
        }
    }

    #[test]
    fn texts_of_the_grammars_own_characters_read_the_same_again(text in "[a-cA-B0-2/:@._*\\[\\]-]{0,24}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(Reference::parse(&reference.to_string()), Ok(reference));
        }
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(Pattern::parse(pattern.as_str()), Ok(pattern));
        }
    }

    #[test]
    fn a_blank_or_a_foreign_character_in_any_place_is_what_the_error_names(
        text in name(), at in any::<prop::sample::Index>(), character in any::<char>()
    ) {
        let at = at.index(text.len());
        let changed = format!("{}{character}{}", &text[..at], &text[at + 1..]);
        if !character.is_ascii_graphic() {
            prop_assert_eq!(Reference::parse(&changed), Err(InvalidReference::Character(character)));
        }
    }

    #[test]
    fn a_name_is_matched_by_itself_and_by_what_is_above_it(text in name()) {
        if let Ok(reference) = Reference::parse(&text) {
            let name = canonical_name(&reference);
            let (registry, _) = name.split_once('/').unwrap();
            let (above, _) = name.rsplit_once('/').unwrap();
            let all = "**".to_owned();
            for pattern in [name.clone(), format!("{name}/**"), format!("{registry}/**"), format!("{above}/**"), all] {
                let pattern = Pattern::parse(&pattern).unwrap();
                prop_assert!(pattern.matches(&reference), "{} on {}", pattern, text);
            }
            let longer = Pattern::parse(&format!("{name}/*")).unwrap();
            prop_assert!(!longer.matches(&reference), "{} on {}", longer, text);
        }
    }

    #[test]
    fn a_pattern_says_how_it_is_read(
        text in "([a-z*]{1,4}\\.[a-z*]{1,3}(:5000|:\\*)?/)?([a-z*]{1,4}/){0,3}[a-z*-]{1,5}"
    ) {
        if let Ok(pattern) = Pattern::parse(&text) {
            let again = Pattern::parse(pattern.as_str());
            prop_assert_eq!(again.as_ref().map(Pattern::as_str), Ok(pattern.as_str()));
            prop_assert_eq!(again, Ok(pattern));
        }
    }

    /// Against matchers that try everything, on an alphabet so small that much matches.
    #[test]
    fn matching_agrees_with_trying_everything(
        pattern in "r\\.io(/(\\*\\*|\\*|a|b|a\\*|\\*b|a\\*b\\*a)){1,6}", name in "(/(a|b|ab|aba|abba)){1,7}",
        tag_pattern in "[ab*]{1,8}", tag in "[ab]{0,10}",
        glob in "[ab*/]{1,9}", identity in "[ab/]{0,12}"
    ) {
        let reference = Reference::parse(&format!("r.io{name}")).unwrap();
        let expected = components_fit(
            &pattern.split('/').collect::<Vec<_>>(), &reference.name().split('/').collect::<Vec<_>>(),
        );
        let matched = Pattern::parse(&pattern).unwrap().matches(&reference);
        prop_assert_eq!(matched, expected, "{} on {}", pattern, reference);
        if let Ok(compiled) = TagPattern::parse(&tag_pattern) {
            prop_assert_eq!(compiled.matches(&tag), text_fits(tag_pattern.as_bytes(), tag.as_bytes(), true));
        }
        if let Ok(compiled) = Glob::parse(&glob) {
            let expected = text_fits(glob.as_bytes(), identity.as_bytes(), false);
            prop_assert_eq!(compiled.matches(&identity), expected, "{} on {}", glob, identity);
        }
    }
}

fn components_fit(pattern: &[&str], name: &[&str]) -> bool {
    match (pattern, name) {
        ([], rest) => rest.is_empty(),
        (["**", after @ ..], rest) => (0..=rest.len()).any(|taken| components_fit(after, &rest[taken..])),
        ([first, after @ ..], [head, tail @ ..]) => {
            text_fits(first.as_bytes(), head.as_bytes(), false) && components_fit(after, tail)
        }
        (_, []) => false,
    }
}

/// `*` crosses "/" if it may, `**` always.
fn text_fits(pattern: &[u8], text: &[u8], crosses: bool) -> bool {
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        ([b'*', b'*', after @ ..], rest) => (0..=rest.len()).any(|taken| text_fits(after, &rest[taken..], crosses)),
        ([b'*', after @ ..], rest) => (0..=rest.len())
            .take_while(|taken| crosses || !rest[..*taken].contains(&b'/'))
            .any(|taken| text_fits(after, &rest[taken..], crosses)),
        ([first, after @ ..], [head, tail @ ..]) => first == head && text_fits(after, tail, crosses),
        (_, []) => false,
    }
}
