//! The facts beside the fixtures: what others found out about each file, without our code.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// A file and the facts about it.
pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) facts: Value,
}

/// Every file of a folder under `tests/fixtures` with its row of the table; none of either may be without the other.
pub(crate) fn fixtures(folder: &str, table: &str) -> Vec<Fixture> {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let table = fs::read_to_string(fixtures.join(table)).expect("the table is there");
    let mut rows: BTreeMap<String, Value> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let (name, facts) = line.split_once('\t').expect("name, tab, facts");
        let facts = serde_json::from_str(facts).expect("facts are JSON");
        assert!(rows.insert(name.to_owned(), facts).is_none(), "{name} has two rows");
    }
    let entries = fs::read_dir(fixtures.join(folder)).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    files.retain(|path| !matches!(path.extension().and_then(|its| its.to_str()), Some("tsv" | "md")));
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name").to_owned();
        let facts = rows.remove(&name).unwrap_or_else(|| panic!("{name} has no facts"));
        let bytes = fs::read(&path).expect("it can be read");
        Fixture { name, path, bytes, facts }
    };
    let found: Vec<Fixture> = files.into_iter().map(read).collect();
    assert!(rows.is_empty(), "facts about files that are not there: {:?}", rows.keys());
    found
}

/// All reviews: published ones, then captured ones.
pub(crate) fn reviews() -> Vec<Fixture> {
    let mut all = fixtures("reviews/admissionreviews", "reviews/admissionreviews.tsv");
    all.extend(fixtures("reviews/captured-reviews", "reviews/captured-reviews.tsv"));
    all
}
