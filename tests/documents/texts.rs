//! The documents as texts, and what of them tests look for.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

/// What readers have, by path from the root of the repository.
pub(crate) static DOCUMENTS: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let mut names = vec!["README.md".to_owned(), "certs/README.md".to_owned()];
    let docs = fs::read_dir(root().join("docs")).expect("docs is a folder of this repository");
    names.extend(docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap())));
    let texts = names.into_iter().filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "md"));
    texts.map(|name| (name.clone(), fs::read_to_string(root().join(name)).unwrap())).collect()
});

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A fenced block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) document: &'static str,
    /// Of its fence, from 1.
    pub(crate) line: usize,
    /// The line before it, which may say what it is for.
    pub(crate) mark: &'static str,
    pub(crate) text: String,
}

/// What stands in fenced blocks of this language.
pub(crate) fn blocks(language: &str) -> Vec<Block> {
    let fence = format!("```{language}");
    DOCUMENTS
        .iter()
        .flat_map(|(name, text)| blocks_of(name, text))
        .filter(|(its, _)| *its == fence)
        .map(|its| its.1)
        .collect()
}

/// With the fence that each begins with.
fn blocks_of(document: &'static str, text: &'static str) -> Vec<(&'static str, Block)> {
    let (mut blocks, mut inside, mut mark) = (Vec::<(&str, Block)>::new(), false, "");
    for (index, line) in text.lines().enumerate() {
        match (inside, line) {
            (false, line) if line.starts_with("```") => {
                inside = true;
                blocks.push((line, Block { document, line: index + 1, mark, text: String::new() }));
            }
            (true, "```") => inside = false,
            (true, line) => blocks.last_mut().unwrap().1.text.extend([line, "\n"]),
            (false, _) => {}
        }
        mark = line;
    }
    assert!(!inside, "{document}: the last fenced block has no end");
    blocks
}

/// The lines that are no code.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n```").step_by(2).flat_map(str::lines)
}

/// Rows between the markers of this name, without the head of the table.
pub(crate) fn table(name: &str) -> Vec<&'static str> {
    between(name).1.lines().filter(|line| line.starts_with('|')).skip(2).collect()
}

/// The text of the one fenced block between the markers.
pub(crate) fn fenced(name: &str) -> &'static str {
    let (document, text) = between(name);
    let text = text.trim().strip_prefix("```text\n").and_then(|text| text.strip_suffix("\n```"));
    text.unwrap_or_else(|| panic!("{document}: between the markers {name} stands one block of text and nothing else"))
}

/// What to do where a test shows two texts of which the second is right.
pub(crate) fn show_the_second(name: &str) -> String {
    format!("{}: show the second of these between the markers {name}", between(name).0)
}

/// The one document with these markers, and what stands between them.
fn between(name: &str) -> (&'static str, &'static str) {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (document, rest) = the_one_with(&begin);
    let text = rest.split_once(&end).unwrap_or_else(|| panic!("{document}: the marker {end:?} is missing")).0;
    (document, text)
}

/// The rows of the table whose head begins so.
pub(crate) fn lines_after(head: &str) -> Vec<&'static str> {
    let rows = the_one_with(head).1.lines().skip(2);
    rows.take_while(|line| line.starts_with('|')).collect()
}

/// The one document in which this stands, once, and what follows it there.
fn the_one_with(words: &str) -> (&'static str, &'static str) {
    let places =
        DOCUMENTS.iter().flat_map(|(name, text)| text.match_indices(words).map(move |its| (name, text, its.0)));
    let places: Vec<_> = places.collect();
    let [(name, text, at)] = places.as_slice() else {
        let places: Vec<_> = places.iter().map(|place| place.0).collect();
        panic!("the documents: {words:?} must stand in one place, and stands in {places:?}");
    };
    (name.as_str(), &text[at + words.len()..])
}

/// What stands between backticks.
pub(crate) fn words(text: &str) -> Vec<String> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter_map(|code| code.split(' ').next()).map(str::to_owned).collect()
}
