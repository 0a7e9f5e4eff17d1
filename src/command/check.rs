//! `pratique check`: the engine of the webhook on files and names, for CI.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use crate::admission::manifest::{self, ManifestObject};
use crate::admission::workload::Workloads;
use crate::args::{Check, CheckOutput};
use crate::config::Config;
use crate::decision::verdict::Outcome;
use crate::evidence::budget::{Budget, Deadline};
use crate::evidence::cluster::{self, Manifests};
use crate::evidence::scope::Namespaces;
use crate::policy::document::Mistake;
use crate::policy::{Bindings, Controllers, PolicyName};
use crate::request::Request;
use crate::review::{InForce, Review};

use super::report::{self, Judged, Lines};

mod lines;

/// Nobody waits behind `check` with a clock: long enough for the slowest registry, so that a pipeline ends.
const PATIENCE: Duration = Duration::from_mins(5);
/// What a digest is waited for that no demand depends on: long enough for a registry far away and its token service,
/// short enough where there is no network.
const BRIEFLY: Duration = Duration::from_secs(3);
/// A person at a terminal is told what goes on when an answer takes longer than this.
const PROGRESS_AFTER: Duration = Duration::from_millis(500);

/// Objects whose look-ups are under way together; what one registry bears at once is limited there.
const AT_ONCE: usize = 32;
/// Standard input longer than this is no manifest; the dump of a large cluster stays below it.
const STDIN_BYTES: u64 = 64 << 20;

/// Something to judge.
struct Item {
    source: String,
    kind: String,
    namespace: Option<String>,
    name: String,
    request: Request,
    lines: Lines,
}

pub(super) fn run(check: &Check) -> ExitCode {
    match judge_all(check) {
        Ok((judged, unreadable)) => {
            super::complain(&unreadable);
            super::print(&match check.output {
                CheckOutput::Text => report::as_text(&judged, std::io::stdout().is_terminal(), Timestamp::now()),
                CheckOutput::Json => report::as_json(&judged, !unreadable.is_empty()),
                CheckOutput::Sarif => report::as_sarif(&judged, &unreadable),
            });
            exit_code(&judged, !unreadable.is_empty())
        }
        Err(mistakes) => {
            super::complain(&mistakes);
            ExitCode::from(super::NO_ANSWER)
        }
    }
}

/// As the JSON says of what was judged; but a pipeline whose input could not be read has no answer, whatever the rest
/// of it came to.
fn exit_code(judged: &[Judged], unreadable: bool) -> ExitCode {
    ExitCode::from(match report::overall(judged, unreadable) {
        Outcome::Admitted => 0,
        Outcome::Refused if !unreadable => 1,
        Outcome::Refused | Outcome::Undetermined => super::NO_ANSWER,
    })
}

fn judge_all(check: &Check) -> Result<(Vec<Judged>, Vec<Mistake>), Vec<Mistake>> {
    let (config, manifests, warnings) = super::sources(&check.sources)?;
    // A slip in a pipeline: a policy may tolerate that reports cannot be read, and would admit everything.
    let nowhere = check.sources.scans.iter().filter(|path| !path.exists());
    let mistakes: Vec<Mistake> =
        nowhere.map(|path| Mistake::about(path.display(), "--scans names no file or folder that is there")).collect();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    super::warn(&warnings);
    let workloads = super::workloads(&config);
    let (items, unreadable) = if check.images.is_empty() {
        let (items, unreadable) = read_items(check, &workloads);
        if items.is_empty() && unreadable.is_empty() {
            super::warn(&[Mistake::about(
                "check",
                "nothing in the input brings images, so nothing was judged".to_owned(),
            )]);
        }
        (items, unreadable)
    } else {
        if check.output == CheckOutput::Sarif {
            let message = "images that are named here stand in no file, and a code-scanning page shows files: use -f";
            super::warn(&[Mistake::about("check", message)]);
        }
        (check.images.iter().map(|image| bare(image, check.namespace.as_deref())).collect(), Vec::new())
    };
    let review = engine(check, &config, manifests)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| vec![Mistake::about("check", format!("cannot start: {error}"))])?;
    let judged = runtime.block_on(async {
        tokio::spawn(Arc::clone(review.evidence().directories()).fill());
        judge(&review, items).await
    });
    Ok((judged, unreadable))
}

fn engine(check: &Check, config: &Config, mut manifests: Manifests) -> Result<Review, Vec<Mistake>> {
    let bindings = bindings(check, config)?;
    if check.policy.is_some() {
        // By that policy alone: no label may say otherwise.
        manifests.namespaces = Namespaces::default();
    }
    let policies = super::policies(&manifests, config, bindings, "settings").map_err(|mistakes| {
        let typed = |unknown: Mistake| match unknown.source.as_str() {
            "settings" => Mistake::about("--policy", unknown.message),
            _ => unknown,
        };
        if check.policy.is_some() { mistakes.into_iter().map(typed).collect() } else { mistakes }
    })?;
    let metrics = prometheus::Registry::new();
    let (world, warnings) = super::World::of(config, super::surroundings(), &metrics)?;
    super::warn(&warnings);
    let budget = Budget { briefly: BRIEFLY, ..Budget::default() };
    let in_force = InForce { policies, cluster: super::cluster_of(manifests, config) };
    let wired = super::review(config, &budget, in_force, super::nodes_of(config), None, world, &metrics);
    // Nothing is finished after a report: there is no log and no record for it.
    let (review, _unfinished, _metrics) = wired.map_err(|error| vec![Mistake::about("check", error.to_string())])?;
    Ok(review)
}

/// As the cluster would, but for what a cluster softens: a controller is judged like the pods that it will make, and a
/// dry run refuses.
fn bindings(check: &Check, config: &Config) -> Result<Bindings, Vec<Mistake>> {
    let cluster = Bindings { controllers: Controllers::Enforce, dry_run: false, ..super::bindings(config) };
    if let Some(policy) = &check.policy {
        return Ok(Bindings {
            enforce: Some(PolicyName::from(policy.as_str())),
            warn: None,
            audit: None,
            floor: None,
            exempt_namespaces: std::collections::BTreeSet::new(),
            ..cluster
        });
    }
    if check.images.is_empty() {
        return Ok(cluster);
    }
    let enforce = cluster.enforce.clone().or_else(|| cluster.warn.clone());
    if enforce.is_none() && cluster.floor.is_none() {
        let message =
            "the settings name no policy for bare images (defaults.enforce, defaults.warn, floor); add --policy";
        return Err(vec![Mistake::about("check", message.to_owned())]);
    }
    Ok(Bindings { enforce, warn: None, audit: None, ..cluster })
}

fn bare(image: &str, namespace: Option<&str>) -> Item {
    let mut request = manifest::bare_image(image);
    request.namespace = namespace.unwrap_or_default().to_owned();
    Item {
        source: "arguments".to_owned(),
        kind: "Image".to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
        name: image.to_owned(),
        request,
        lines: Lines::default(),
    }
}

/// Everything that can be read is judged, and everything that cannot is told.
fn read_items(check: &Check, workloads: &Workloads) -> (Vec<Item>, Vec<Mistake>) {
    let (mut items, mut unreadable) = (Vec::new(), Vec::new());
    for text in check.filename.iter().flat_map(|path| texts(path)) {
        let read = text.and_then(|(source, text)| match manifest::read(&text, workloads) {
            Ok(objects) => Ok((source, lines(check, &text, objects))),
            Err(message) => Err(Mistake::about(&source, message)),
        });
        match read {
            Ok((source, objects)) => {
                items.extend(objects.into_iter().map(|(object, lines)| item(object, lines, &source, check)));
            }
            Err(mistake) => unreadable.push(mistake),
        }
    }
    (items, unreadable)
}

/// Each object with its lines, where those are shown.
fn lines(check: &Check, text: &str, objects: Vec<ManifestObject>) -> Vec<(ManifestObject, Lines)> {
    let lines = match check.output {
        CheckOutput::Text | CheckOutput::Json => vec![Lines::default(); objects.len()],
        CheckOutput::Sarif => lines::find(text, &objects),
    };
    objects.into_iter().zip(lines).collect()
}

fn item(object: ManifestObject, lines: Lines, source: &str, check: &Check) -> Item {
    let ManifestObject { kind, namespace, name, mut request, place: _ } = object;
    let namespace = namespace.or_else(|| check.namespace.clone()).unwrap_or_else(|| "default".to_owned());
    request.namespace.clone_from(&namespace);
    Item { source: source.to_owned(), kind, namespace: Some(namespace), name, request, lines }
}

/// The texts behind one `-f`, each with its name.
fn texts(path: &Path) -> Vec<Result<(String, String), Mistake>> {
    if path == Path::new("-") {
        let text = cluster::read_bounded(std::io::stdin(), STDIN_BYTES);
        return vec![text.map(|text| ("-".to_owned(), text)).map_err(|why| Mistake::about("standard input", why))];
    }
    match cluster::files(&[PathBuf::from(path)]) {
        Ok(files) => files.iter().map(|file| Ok((file.display().to_string(), cluster::read_text(file)?))).collect(),
        Err(mistakes) => mistakes.into_iter().map(Err).collect(),
    }
}

async fn judge(review: &Review, items: Vec<Item>) -> Vec<Judged> {
    let (mut progress, total) = (Progress::new(), items.len());
    let mut judged = Vec::with_capacity(total);
    let one = |item: Item| async move {
        let Item { source, kind, namespace, name, request, lines } = item;
        let verdict = review.judge(&request, Deadline::at(Instant::now() + PATIENCE)).await;
        Judged { source, kind, namespace, name, request, verdict, lines }
    };
    // In the order of the input, though they wait for registries side by side.
    let mut side_by_side = stream::iter(items).map(one).buffered(AT_ONCE);
    loop {
        match tokio::time::timeout(PROGRESS_AFTER, side_by_side.next()).await {
            Ok(Some(one)) => judged.push(one),
            Ok(None) => break,
            Err(_still_waiting) => {}
        }
        progress.show(judged.len(), total);
    }
    progress.end();
    judged
}

/// One line on a terminal that counts, and is gone at the end.
struct Progress {
    started: Instant,
    terminal: bool,
    shown: bool,
}

impl Progress {
    fn new() -> Self {
        Self { started: Instant::now(), terminal: std::io::stderr().is_terminal(), shown: false }
    }

    #[expect(clippy::print_stderr, reason = "progress for a person, beside the result")]
    fn show(&mut self, done: usize, total: usize) {
        if self.terminal && self.started.elapsed() > PROGRESS_AFTER {
            self.shown = true;
            eprint!("\r{done} of {total} objects judged");
        }
    }

    #[expect(clippy::print_stderr, reason = "progress for a person, beside the result")]
    fn end(self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}
