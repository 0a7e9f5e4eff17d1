//! Holds the map of `src/lib.rs`: which room may name which, what crates it may use, and that the pure rooms stay pure.
//!
//! It reads the sources as tokens, so comments, documentation and strings do not count, and `use crate::{a, b}`,
//! `super::super::a` and a path in the middle of an expression all do. It also finds files that no `mod` line
//! reaches: the compiler never sees those, and tests in them never run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Room, the rooms (or one module of a room) that it may name, the crates that it may use beside std. A room is a file
/// or folder directly under `src/`; its own modules go without saying. A pure room has no IO, no clock and nothing to
/// wait for. Test code is free in the third column and in being pure.
const TABLE: &str = "
    image pure    |                                       |
    request pure  | image                                 | jiff
    fact pure     | image                                 | jiff
    policy pure   | image request fact                    | jiff regex serde serde_json serde_saphyr
    decision pure | image request fact policy             | jiff
    evidence      | image request fact policy             | arc_swap aws_lc_rs base64 cvss fastrand futures_util httpdate hyper jiff moka \
                                                            prometheus k8s_openapi kube psl reqwest rpds ruzstd flate2 notify rustix rustls rustls_native_certs serde serde_json \
                                                            sigstore_crypto sigstore_trust_root sigstore_tuf sigstore_types \
                                                            sigstore_verify x509_parser \
                                                            serde_saphyr thiserror tokio tokio_rustls toml tracing
    admission     | image request decision::verdict       | jiff serde serde_json serde_saphyr thiserror
    observe       | request policy fact decision::verdict \
                    admission::encode                     | jiff prometheus tokio tracing tracing_subscriber
    config        | image policy                          | jiff serde serde_json serde_saphyr
    review        | image request fact policy decision    \
                    evidence admission observe config     | arc_swap futures_util jiff tokio tracing
    server        | image request fact policy decision    \
                    evidence admission observe config     \
                    review                                | arc_swap aws_lc_rs axum base64 hyper hyper_util jiff prometheus rcgen \
                                                            rustix rustls thiserror tokio tokio_rustls tower_service \
                                                            tracing x509_parser
    controller    | image request fact policy observe     \
                    config evidence::cluster server::tls  \
                    server::admin                         | arc_swap base64 futures_util jiff k8s_openapi kube \
                                                            prometheus rcgen rustls serde serde_json \
                                                            tokio tracing x509_parser
    args          | image policy config                   | clap
    command       | image request fact policy decision    \
                    evidence admission observe config     \
                    controller review server args         | arc_swap axum clap futures_util jiff prometheus rustls serde serde_json \
                                                            serde_saphyr tokio tracing k8s_openapi kube reqwest x509_parser
    lib           |                                       |
    main          | *                                     | clap rustls tokio tracing
";

/// A line of the table.
struct Room {
    name: &'static str,
    /// Rooms, or one module of a room.
    names: Vec<&'static str>,
    uses: Vec<&'static str>,
    pure: bool,
}

impl Room {
    /// Whether the table has an edge to this path below the crate root.
    fn may_name(&self, path: &[String]) -> bool {
        let Some(named) = path.first() else { return false };
        let part = path.get(1).map(|second| format!("{named}::{second}"));
        let allows = |name: &&str| *name == "*" || *name == named || part.as_deref() == Some(*name);
        named == self.name || self.names.iter().any(allows)
    }
}

fn table() -> Vec<Room> {
    let cell = |line: &'static str, at| -> Vec<&'static str> {
        line.split('|').nth(at).expect("a line of the table has three cells").split_whitespace().collect()
    };
    let room = |line: &'static str| {
        let head = cell(line, 0);
        Room { name: head[0], names: cell(line, 1), uses: cell(line, 2), pure: head.contains(&"pure") }
    };
    TABLE.trim().lines().map(room).collect()
}

/// What a pure room may not say, as the beginning of a path ...
const IMPURE_BEGINNINGS: &[&str] = &["std::env", "std::fs", "std::net", "std::process", "std::thread"];
/// ... except for those, which are data and connect to nothing ...
const PURE_ALL_THE_SAME: &[&str] =
    &["std::net::AddrParseError", "std::net::IpAddr", "std::net::Ipv4Addr", "std::net::Ipv6Addr"];
/// ... and as the end of one: time is an argument.
const IMPURE_ENDINGS: &[&str] = &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"];

#[test]
fn every_room_keeps_to_the_table() {
    let sources = read_tree("src");
    assert!(!sources.is_empty(), "no source was found: is this run from the package's folder?");
    let external = dependencies(&read("Cargo.toml"));
    let found = violations(&sources, &external);
    assert!(found.is_empty(), "the map of src/lib.rs does not hold:\n  {}", found.join("\n  "));
}

#[test]
fn every_source_file_is_reached_by_a_mod_line() {
    let sources: Vec<_> = ["src", "tests", "benches", "examples"].into_iter().flat_map(read_tree).collect();
    let found = unreachable_files(&sources);
    assert!(found.is_empty(), "these are compiled by nobody:\n  {}", found.join("\n  "));
}

/// Everything in `sources` that the table does not allow, as `file:line: what`.
fn violations(sources: &[Source], external: &BTreeSet<String>) -> Vec<String> {
    let (rooms, mut found) = (table(), Vec::new());
    for source in sources {
        let file = source.path.trim_start_matches("src/");
        let name = file.split('/').next().unwrap_or(file).trim_end_matches(".rs");
        let Some(room) = rooms.iter().find(|room| room.name == name) else {
            found.push(format!("{file}:1: {name:?} is no room of the table in tests/layering.rs"));
            continue;
        };
        for path in Reading::of(source).paths {
            let mut complain = |what: String| found.push(format!("{file}:{}: {name} {what}", path.line));
            let head = path.segments.first().map_or("the crate root", String::as_str);
            // Test code may build what its room is given from other rooms.
            if path.inside && !path.test && !room.may_name(&path.segments) {
                complain(format!("names {head:?}"));
            } else if !path.inside && head == "pratique" && name != "main" {
                complain("names its own package: write crate".to_owned());
            } else if !path.inside && !path.test && external.contains(head) && !room.uses.contains(&head) {
                complain(format!("uses the crate {head:?}"));
            } else if room.pure && !path.test && is_impure(&path.segments) {
                complain(format!("is pure and says {:?}", path.segments.join("::")));
            }
        }
    }
    found
}

fn is_impure(path: &[String]) -> bool {
    let text = path.join("::");
    let begins = |beginning: &&str| text == **beginning || text.starts_with(&format!("{beginning}::"));
    let ends = |ending: &&str| text == **ending || text.ends_with(&format!("::{ending}"));
    text == "async"
        || IMPURE_ENDINGS.iter().any(ends)
        || IMPURE_BEGINNINGS.iter().any(begins) && !PURE_ALL_THE_SAME.iter().any(begins)
}

/// Files that no crate root reaches by `mod` lines, and `mod.rs` files, which this project does not have.
fn unreachable_files(sources: &[Source]) -> Vec<String> {
    let mut reached: BTreeSet<String> = sources.iter().map(|s| s.path.clone()).filter(|path| is_root(path)).collect();
    let mut open: Vec<String> = reached.iter().cloned().collect();
    while let Some(path) = open.pop() {
        let Some(source) = sources.iter().find(|source| source.path == path) else {
            continue;
        };
        let folder = match path.rsplit_once('/') {
            Some((folder, _)) if is_root(&path) => folder,
            _ => path.trim_end_matches(".rs"),
        };
        for module in Reading::of(source).declared {
            let file = format!("{folder}/{}.rs", module.join("/"));
            if reached.insert(file.clone()) {
                open.push(file);
            }
        }
    }
    let lost = |source: &&Source| !reached.contains(&source.path) || source.path.ends_with("/mod.rs");
    sources.iter().filter(lost).map(|source| source.path.clone()).collect()
}

/// Whether cargo compiles the file by itself: a crate root, a test, a bench or an example.
fn is_root(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        ["tests" | "benches" | "examples", rest @ ..] if rest.len() == 1 || rest.ends_with(&["main.rs"]) => true,
        parts => parts.ends_with(&["src", "lib.rs"]) || parts.ends_with(&["src", "main.rs"]),
    }
}

/// A path as written somewhere in a file.
struct Named {
    /// Resolved: without `crate`, `self` and `super`.
    segments: Vec<String>,
    /// Whether it began at the crate root or at the file's own module.
    inside: bool,
    line: usize,
    /// Whether it stands in test code.
    test: bool,
}

/// What one file names and declares.
#[derive(Default)]
struct Reading {
    paths: Vec<Named>,
    /// `mod a;`, below this file's module.
    declared: Vec<Vec<String>>,
}

/// An inline module that is open at some place of a file.
struct Open {
    name: String,
    depth: usize,
    test: bool,
}

impl Reading {
    fn of(source: &Source) -> Self {
        let tokens = tokens(&source.text);
        let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        let (own, in_tests) = source.module();
        let mut reading = Self::default();
        let (mut open, mut depth, mut cfg_test, mut at) = (Vec::<Open>::new(), 0_usize, false, 0);
        while at < tokens.len() {
            let line = tokens[at].line;
            let test = in_tests || open.iter().any(|module| module.test);
            let below: Vec<_> = open.iter().map(|module| module.name.clone()).collect();
            let module = [own.as_slice(), below.as_slice()].concat();
            let mut found = Vec::new();
            match word(at) {
                "#" if (at..at + 7).map(word).eq(["#", "[", "cfg", "(", "test", ")", "]"]) => cfg_test = true,
                "mod" if word(at + 2) == "{" => {
                    open.push(Open { name: word(at + 1).to_owned(), depth, test: cfg_test });
                }
                "mod" if word(at + 2) == ";" => {
                    reading.declared.push([below.as_slice(), &[word(at + 1).to_owned()]].concat());
                }
                "{" => (depth, cfg_test) = (depth + 1, false),
                "}" => {
                    depth = depth.saturating_sub(1);
                    open.retain(|module| module.depth < depth);
                }
                ";" => cfg_test = false,
                "use" if word(at + 1) != "<" => {
                    at += 1;
                    use_tree(&tokens, &mut at, &[], &mut found);
                    at -= 1;
                }
                "async" => found.push((vec!["async".to_owned()], line)),
                first if is_word(first) && word(at + 1) == "::" && begins_path(&tokens, at) => {
                    let mut segments = vec![first.to_owned()];
                    while word(at + 1) == "::" && is_word(word(at + 2)) {
                        segments.push(word(at + 2).to_owned());
                        at += 2;
                    }
                    found.push((segments, line));
                }
                _ => {}
            }
            for (segments, line) in found {
                let (segments, inside) = resolve(segments, &module);
                reading.paths.push(Named { segments, inside, line, test });
            }
            at += 1;
        }
        reading
    }
}

/// Reads one tree of a `use`, from `at` up to what ends it, into all the paths that it stands for.
fn use_tree(tokens: &[Token], at: &mut usize, prefix: &[String], found: &mut Vec<(Vec<String>, usize)>) {
    let mut path = prefix.to_vec();
    let line = tokens.get(*at).map_or(0, |token| token.line);
    while let Some(token) = tokens.get(*at) {
        match token.text.as_str() {
            "::" => *at += 1,
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token.text != "}") {
                    use_tree(tokens, at, &path, found);
                    *at += usize::from(tokens.get(*at).is_some_and(|token| token.text == ","));
                }
                *at += 1;
                return;
            }
            "as" => *at += 2,
            word if is_word(word) || word == "*" => {
                let names_the_prefix = word == "self" && !path.is_empty();
                path.extend((!names_the_prefix).then(|| word.to_owned()));
                *at += 1;
            }
            _ => break,
        }
    }
    found.push((path, line));
}

/// Without `crate`, `self` and `super`; and whether there was one of these.
fn resolve(path: Vec<String>, module: &[String]) -> (Vec<String>, bool) {
    let mut base = match path.first().map(String::as_str) {
        Some("crate") => Vec::new(),
        Some("self" | "super") => module.to_vec(),
        _ => return (path, false),
    };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => drop(base.pop()),
            _ => base.push(segment),
        }
    }
    (base, true)
}

/// Whether the word at `at` is the first of its path: not a field, a method or a later segment.
fn begins_path(tokens: &[Token], at: usize) -> bool {
    let back = |by: usize| at.checked_sub(by).map_or("", |at| tokens[at].text.as_str());
    match back(1) {
        "." => false,
        "::" => !is_word(back(2)) && back(2) != ">",
        _ => true,
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

struct Token {
    text: String,
    line: usize,
}

/// The words and marks of a source; comments, strings, characters, lifetimes and numbers are left out.
fn tokens(text: &str) -> Vec<Token> {
    let (mut rest, mut line, mut found) = (text, 1, Vec::new());
    while let Some(first) = rest.chars().next() {
        let (length, kept) = next_token(rest, first);
        let (token, after) = rest.split_at(length.min(rest.len()));
        if kept {
            found.push(Token { text: token.trim_start_matches("r#").to_owned(), line });
        }
        line += token.matches('\n').count();
        rest = after;
    }
    found
}

/// How many bytes the token at the beginning of `rest` has, and whether it is code.
fn next_token(rest: &str, first: char) -> (usize, bool) {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let unprefixed = rest.trim_start_matches(['b', 'c']);
    let raw = unprefixed.strip_prefix('r').map(|after| after.trim_start_matches('#'));
    if rest.starts_with("//") {
        (rest.find('\n').unwrap_or(rest.len()), false)
    } else if rest.starts_with("/*") {
        (block_comment(rest), false)
    } else if let Some(body) = raw.filter(|body| body.starts_with('"')) {
        let opened = rest.len() - body.len() + 1;
        let hashes = unprefixed.len() - 1 - body.len();
        let close = format!("\"{}", "#".repeat(hashes));
        (rest[opened..].find(&close).map_or(rest.len(), |at| opened + at + close.len()), false)
    } else if rest.len() - unprefixed.len() < 2 && unprefixed.starts_with('"') {
        (rest.len() - unprefixed.len() + quoted(unprefixed, '"'), false)
    } else if first == '\'' {
        let mut after = rest[1..].chars();
        let is_char = after.next() == Some('\\') || after.next() == Some('\'');
        (if is_char { quoted(rest, '\'') } else { 1 + word(&rest[1..]) }, false)
    } else if let Some(name) = rest.strip_prefix("r#") {
        (2 + word(name), true)
    } else if first.is_alphanumeric() || first == '_' {
        (word(rest), is_word(rest))
    } else if rest.starts_with("::") {
        (2, true)
    } else {
        (first.len_utf8(), !first.is_whitespace())
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest.as_bytes().get(at..at + 2) {
            Some(b"/*") => (depth, at) = (depth + 1, at + 2),
            Some(b"*/") => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// Length of a literal from its opening quote to its closing one.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A file, by its path from the package's folder.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module that the file is, below its crate's root, and whether it is a file of tests.
    fn module(&self) -> (Vec<String>, bool) {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        let module: Vec<_> = inside.split('/').filter(|part| !["lib", "main"].contains(part)).collect();
        (module.iter().map(|part| (*part).to_owned()).collect(), module.contains(&"tests"))
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of this package can be read")
}

/// Every `.rs` file below a folder of the package; none if there is no such folder.
fn read_tree(folder: &str) -> Vec<Source> {
    let Ok(entries) = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)) else {
        return Vec::new();
    };
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("a folder entry can be read").file_name().into_string()).collect();
    names.sort();
    let mut sources = Vec::new();
    for name in names {
        let path = format!("{folder}/{}", name.expect("file names are UTF-8"));
        if path.strip_suffix(".rs").is_some() {
            sources.push(Source { text: read(&path), path });
        } else if !path.ends_with("/target") {
            sources.extend(read_tree(&path));
        }
    }
    sources
}

/// The crates of `[dependencies]`, as they are written in code.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let table = manifest.split("\n[dependencies]\n").nth(1).unwrap_or("").split("\n[").next().unwrap_or("");
    let names = table.lines().filter_map(|line| line.split(['=', '.', ' ']).next());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(|name| name.replace('-', "_")).collect()
}

// The checker itself: each of these is a source that must, or must not, be complained about.

fn complaints(path: &str, text: &str) -> Vec<String> {
    let external = ["serde", "tokio"].map(str::to_owned).into();
    violations(&[Source { path: format!("src/{path}"), text: text.to_owned() }], &external)
}

#[test]
fn a_forbidden_edge_is_found_and_printed_with_its_place() {
    assert_eq!(
        complaints("decision/scan.rs", "//! A check.\n\nuse crate::fact::Fact;\nuse crate::evidence::Store;\n"),
        ["decision/scan.rs:4: decision names \"evidence\""]
    );
    assert_eq!(complaints("decision/scan.rs", "//! A check.\n\nuse crate::fact::Fact;\n"), [""; 0]);
}

#[test]
fn a_room_is_found_however_it_is_named() {
    let expected = ["policy/plan.rs:1: policy names \"admission\""];
    for text in [
        "use crate::{image::Digest, admission::{Reply, Malformed as M}};",
        "use super::super::admission;",
        "fn plan() -> Option<crate::admission::Reply> { None }",
        "mod inner { use super::super::super::admission::*; }",
    ] {
        assert_eq!(complaints("policy/plan.rs", text).first().map(String::as_str), Some(expected[0]), "{text}");
    }
    assert_eq!(complaints("policy.rs", "#[cfg(test)] mod tests { use crate::admission::Reply; }"), [""; 0]);
    assert_eq!(complaints("policy.rs", "use super::admission;"), ["policy.rs:1: policy names \"admission\""]);
    assert_eq!(complaints("policy.rs", "use crate::*;"), ["policy.rs:1: policy names \"*\""]);
    assert_eq!(complaints("policy.rs", "use crate::Digest;"), ["policy.rs:1: policy names \"Digest\""]);
    assert_eq!(complaints("policy.rs", "use crate as root;"), ["policy.rs:1: policy names \"the crate root\""]);
}

#[test]
fn one_module_of_a_room_is_an_edge_of_its_own() {
    assert_eq!(complaints("admission/encode.rs", "use crate::decision::verdict::Verdict;"), [""; 0]);
    for text in ["use crate::decision::decide;", "use crate::decision::{self};", "use crate::decision::{verdict, tag};"]
    {
        assert_eq!(complaints("admission/encode.rs", text), ["admission/encode.rs:1: admission names \"decision\""]);
    }
}

#[test]
fn comments_strings_and_own_modules_are_no_edges() {
    let text = r##"
        //! See [`crate::evidence`].
        /* crate::evidence /* nested crate::evidence */ crate::evidence */
        use super::{digest, Digest};
        use self::reference::Reference;
        const A: &str = "crate::evidence \" crate::evidence";
        const B: &str = r#"crate::evidence " crate::evidence"#;
        const C: &[u8] = b"crate::evidence";
        fn d<'a>(c: &'a char) -> bool { *c == '"' || *c == '\'' || *c == 'x' /* " */ }
        fn e(tokio: Digest) -> u8 { tokio.serde.first() }
    "##;
    assert_eq!(complaints("image/pattern.rs", text), [""; 0]);
}

#[test]
fn crates_beyond_the_list_are_found_outside_test_code() {
    assert_eq!(complaints("image.rs", "use serde::Serialize;"), ["image.rs:1: image uses the crate \"serde\""]);
    assert_eq!(
        complaints("image.rs", "fn f() {\n ::tokio::spawn(g()); }"),
        ["image.rs:2: image uses the crate \"tokio\""]
    );
    assert_eq!(complaints("policy/file.rs", "use serde::Serialize;"), [""; 0]);
    assert_eq!(complaints("image.rs", "#[cfg(test)]\nmod tests {\n use serde::Serialize;\n}"), [""; 0]);
    assert_eq!(complaints("image/tests.rs", "use serde::Serialize;"), [""; 0]);
    assert_eq!(complaints("image.rs", "#[cfg(test)]\nmod tests { }\nuse serde::Serialize;").len(), 1);
    assert_eq!(complaints("review.rs", "use pratique::image;").len(), 1);
    assert_eq!(complaints("main.rs", "use pratique::image;"), [""; 0]);
    assert_eq!(complaints("utils.rs", "").len(), 1);
}

#[test]
fn pure_rooms_neither_wait_nor_look_at_the_world() {
    for text in [
        "async fn f() {}",
        "use std::{fmt, fs};",
        "use std::net::TcpStream;",
        "fn f() { std::env::var(NAME); }",
        "fn f() { Timestamp::now(); }",
        "fn f() { std::time::SystemTime::now(); }",
    ] {
        assert_eq!(complaints("decision/tag.rs", text).len(), 1, "{text}");
        assert_eq!(complaints("evidence/store.rs", text), [""; 0], "{text}");
    }
    assert_eq!(complaints("image.rs", "use std::net::{IpAddr, Ipv6Addr};\nfn now(t: Timestamp) {}"), [""; 0]);
}

#[test]
fn a_file_without_a_mod_line_is_found() {
    let file = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let sources = [
        file("src/lib.rs", "pub mod image; mod inner { mod deep; }"),
        file("src/image.rs", "mod digest; // mod lost;"),
        file("src/image/digest.rs", "#[cfg(test)] mod tests;"),
        file("src/image/digest/tests.rs", ""),
        file("src/inner/deep.rs", ""),
        file("src/image/lost.rs", ""),
        file("tests/review/main.rs", "mod tags;"),
        file("tests/review/tags.rs", ""),
        file("tests/review/server.rs", ""),
        file("tests/testkit/src/lib.rs", ""),
    ];
    assert_eq!(unreachable_files(&sources), ["src/image/lost.rs", "tests/review/server.rs"]);
}
