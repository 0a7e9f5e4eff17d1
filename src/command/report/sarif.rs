//! `check -o sarif`: [SARIF 2.1.0][spec] as code-scanning pages take it: what is held against an image is a result on the
//! image's line in its manifest.
//!
//! Promises: one document with one run, whatever was judged; what could not be read makes the run unsuccessful, so that no
//! page shows it as clean. What GitHub asks for beyond the specification is [written down there][github].
//!
//! [spec]: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
//! [github]: https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Serialize;

use crate::decision::verdict::{Denial, Reason};
use crate::image::Reference;
use crate::policy::document::Mistake;
use crate::policy::{Mode, PolicyName};
use crate::request::{Container, printable};

use super::{Judged, TITLE_BYTES, denials, images};

use uri::uri_of;

mod uri;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
const VERSION: &str = "2.1.0";
/// GitHub takes no more results of one run.
const RESULTS: usize = 25_000;
/// Notifications of what could not be read; the rest is counted.
const NOTIFICATIONS: usize = 1_000;
/// The longest message. Ours are shorter: it is what a policy's author or a registry may add.
const MESSAGE_BYTES: usize = 4_000;
/// What is read from standard input has no file; pages want a name.
const STDIN: &str = "stdin";

#[derive(Serialize)]
struct Log<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    version: &'static str,
    runs: [Run<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Run<'a> {
    tool: Tool,
    invocations: [Invocation; 1],
    results: Vec<Found<'a>>,
    column_kind: &'static str,
}

#[derive(Serialize)]
struct Tool {
    driver: Driver,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Driver {
    name: &'static str,
    version: &'static str,
    semantic_version: &'static str,
    information_uri: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    id: &'static str,
    short_description: Message,
    full_description: Message,
    help: Message,
    help_uri: String,
    default_configuration: Configuration,
    properties: Properties,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct Properties {
    tags: [&'static str; 2],
}

#[derive(Serialize)]
struct Message {
    text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification>,
}

#[derive(Serialize)]
struct Notification {
    level: &'static str,
    message: Message,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Location>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: [Location; 1],
    partial_fingerprints: BTreeMap<&'static str, String>,
    properties: Details<'a>,
}

/// What the JSON of `check` says beside.
#[derive(Serialize)]
struct Details<'a> {
    mode: &'static str,
    policy: Option<&'a str>,
    image: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<PhysicalLocation>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}

#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation {
    name: String,
    fully_qualified_name: String,
    kind: &'static str,
}

/// One thing that is held against one image, or against a whole object.
struct Held<'a> {
    object: &'a Judged,
    denial: &'a Denial,
    /// None: the whole object.
    container: Option<&'a Container>,
    line: Option<u64>,
}

pub(in crate::command) fn as_sarif(judged: &[Judged], unreadable: &[Mistake]) -> String {
    // One that has gone has no relative paths either.
    let here = std::env::current_dir().unwrap_or_default();
    log(judged, unreadable, &here)
}

fn log(judged: &[Judged], unreadable: &[Mistake], here: &Path) -> String {
    let mut held: Vec<Held<'_>> = judged.iter().flat_map(held_against).collect();
    let left_out = held.len().saturating_sub(RESULTS);
    if left_out > 0 {
        held.sort_by_key(|held| held.denial.mode);
        held.truncate(RESULTS);
    }
    let rules: Vec<Reason> =
        Reason::ALL.into_iter().filter(|reason| held.iter().any(|held| held.denial.reason == *reason)).collect();
    let mut seen = HashMap::new();
    let results = held.iter().map(|held| result(held, &rules, here, &mut seen)).collect();
    let run = Run {
        tool: Tool { driver: driver(&rules) },
        invocations: [invocation(unreadable, left_out, here)],
        results,
        column_kind: "unicodeCodePoints",
    };
    let log = Log { schema: SCHEMA, version: VERSION, runs: [run] };
    serde_json::to_string_pretty(&log).expect("strings and lists always become JSON") + "\n"
}

/// Everything that is held against an object, image by image.
fn held_against(object: &Judged) -> Vec<Held<'_>> {
    let whole = denials(&object.verdict, None).into_iter();
    let mut held: Vec<Held<'_>> =
        whole.map(|denial| Held { object, denial, container: None, line: object.lines.object }).collect();
    for (index, (container, image)) in images(object).into_iter().enumerate() {
        let line = object.lines.images.get(index).copied().flatten();
        let against = image.map_or_else(Vec::new, |image| denials(&object.verdict, Some(image.container)));
        held.extend(against.into_iter().map(|denial| Held { object, denial, container: Some(container), line }));
    }
    held
}

fn driver(rules: &[Reason]) -> Driver {
    Driver {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        semantic_version: env!("CARGO_PKG_VERSION"),
        information_uri: env!("CARGO_PKG_REPOSITORY"),
        rules: rules.iter().map(|reason| rule(*reason)).collect(),
    }
}

fn rule(reason: Reason) -> Rule {
    let meaning = reason.meaning();
    // Before the colon stands what it is, after it what to do.
    let short = meaning.split_once(": ").map_or(meaning, |(what, _)| what);
    Rule {
        id: reason.code(),
        short_description: Message { text: sentence(short) },
        full_description: Message { text: sentence(meaning) },
        help: Message { text: sentence(meaning) },
        help_uri: concat!(env!("CARGO_PKG_REPOSITORY"), "#reasons").to_owned(),
        default_configuration: Configuration { level: level(Mode::Enforce) },
        properties: Properties { tags: ["security", reason.check()] },
    }
}

fn level(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "error",
        Mode::Warn => "warning",
        Mode::Audit => "note",
    }
}

fn invocation(unreadable: &[Mistake], left_out: usize, here: &Path) -> Invocation {
    let told = |mistake: &Mistake| Notification {
        level: "error",
        message: message(&mistake.to_string()),
        locations: place_of(mistake, here).into_iter().collect(),
    };
    let mut notifications: Vec<Notification> = unreadable.iter().take(NOTIFICATIONS).map(told).collect();
    let further = unreadable.len().saturating_sub(NOTIFICATIONS);
    for (count, what) in [(further, "further inputs cannot be read"), (left_out, "results are left out, the lightest")]
    {
        if count > 0 {
            let level = if count == left_out { "warning" } else { "error" };
            let message = message(&format!("{count} {what}"));
            notifications.push(Notification { level, message, locations: Vec::new() });
        }
    }
    Invocation { execution_successful: unreadable.is_empty(), tool_execution_notifications: notifications }
}

/// The file that could not be read.
fn place_of(mistake: &Mistake, here: &Path) -> Option<Location> {
    let uri = match mistake.source.as_str() {
        "" => return None,
        "standard input" => STDIN.to_owned(),
        source => uri_of(source, here),
    };
    let region = Region { start_line: mistake.line.unwrap_or(1) };
    let physical = PhysicalLocation { artifact_location: ArtifactLocation { uri }, region };
    Some(Location { physical_location: Some(physical), logical_locations: Vec::new() })
}

fn result<'a>(
    held: &Held<'a>,
    rules: &[Reason],
    here: &Path,
    seen: &mut HashMap<(String, String), usize>,
) -> Found<'a> {
    let Held { object, denial, container, line } = held;
    let bare = object.kind == "Image";
    let physical = (!bare).then(|| PhysicalLocation {
        artifact_location: ArtifactLocation {
            uri: if object.source == "-" { STDIN.to_owned() } else { uri_of(&object.source, here) },
        },
        // Pages want a line; without one it is the file that is meant.
        region: Region { start_line: line.unwrap_or(1) },
    });
    let identity = identity(object, *container, denial.reason);
    let times = seen.entry((object.source.clone(), identity.clone())).or_default();
    *times += 1;
    // The second is the one that GitHub goes by: the same hash and how often it has come in this file.
    let partial_fingerprints = BTreeMap::from([
        ("pratiqueImage/v1", identity.clone()),
        ("primaryLocationLineHash", format!("{identity}:{times}")),
    ]);
    Found {
        rule_id: denial.reason.code(),
        rule_index: rules.iter().position(|reason| *reason == denial.reason).unwrap_or_default(),
        level: level(denial.mode),
        message: message(&words(held)),
        locations: [Location { physical_location: physical, logical_locations: logical(object, *container) }],
        partial_fingerprints,
        properties: Details {
            mode: denial.mode.label(),
            policy: denial.policy.as_ref().map(PolicyName::as_str),
            image: container.map(|container| printable(&container.written, TITLE_BYTES)),
        },
    }
}

/// `nginx:latest: "latest" can change under you; pin a digest (tag-mutable, policy acme)`
fn words(held: &Held<'_>) -> String {
    let Held { object, denial, container, line: _ } = held;
    let what = container.map_or_else(|| qualified(object), |container| container.written.clone());
    let policy = denial.policy.as_ref().map(|policy| format!(", policy {policy}")).unwrap_or_default();
    format!("{}: {} ({}{policy})", printable(&what, TITLE_BYTES), denial.message, denial.reason.code())
}

/// The object, and in it the container.
fn logical(object: &Judged, container: Option<&Container>) -> Vec<LogicalLocation> {
    let qualified = qualified(object);
    let fit = |text: &str| printable(text, TITLE_BYTES);
    let whole = LogicalLocation {
        name: fit(if object.name.is_empty() { &object.kind } else { &object.name }),
        fully_qualified_name: fit(&qualified),
        kind: "object",
    };
    let Some(container) = container.filter(|_| object.kind != "Image") else { return vec![whole] };
    let path = container.path.to_string();
    let image = LogicalLocation {
        name: fit(&container.title()),
        fully_qualified_name: format!("{}/{}", fit(&qualified), fit(&path)),
        kind: "member",
    };
    vec![image, whole]
}

/// `Deployment/shop/web`
fn qualified(object: &Judged) -> String {
    let namespace = object.namespace.as_ref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{}/{namespace}{}", object.kind, object.name)
}

/// What stays the same when lines move, tags are raised and counts change: object, container, reason, repository.
fn identity(object: &Judged, container: Option<&Container>, reason: Reason) -> String {
    let repository = |reference: &Reference| format!("{}/{}", reference.registry(), reference.repository());
    let (title, image) = container.map_or_else(Default::default, |container| {
        let image = container.reference.as_ref().map_or_else(|_invalid| container.written.clone(), repository);
        (container.title(), image)
    });
    // A bare image is named by what it is.
    let object = if object.kind == "Image" { object.kind.clone() } else { qualified(object) };
    format!("{:016x}", hash(&[&object, &title, reason.code(), &image]))
}

/// FNV-1a of 64 bits: the same in every build, unlike the hashes of the standard library. It tells results apart and proves
/// nothing.
fn hash(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Foreign words are in it: none may become a link, which is written `[text](target)`. It begins with a name, which stays as
/// it is.
fn message(text: &str) -> Message {
    Message { text: ended(&printable(&text.replace("](", "] ("), MESSAGE_BYTES)) }
}

/// As pages show it: with a capital letter and a full stop.
fn sentence(clause: &str) -> String {
    let mut characters = clause.chars();
    match characters.next() {
        Some(first) => ended(&format!("{}{}", first.to_ascii_uppercase(), characters.as_str())),
        None => String::new(),
    }
}

fn ended(text: &str) -> String {
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{text}{stop}")
}

#[cfg(test)]
mod tests;
