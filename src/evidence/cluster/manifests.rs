//! Manifests, files that stand for what a cluster holds: `ImagePolicy` and `Namespace` objects, pull secrets and the service
//! accounts that name them.
//!
//! All or nothing: one mistake anywhere and nothing of it is put in force, with all mistakes told together.

use std::collections::hash_map::{self, DefaultHasher};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::Labels;
use crate::policy::compile::{self, Compiled};
use crate::policy::document::wording::quoted;
use crate::policy::document::{Entry, Mistake, Node, parse_documents};
use crate::policy::scan::waiver_warnings;
use crate::policy::trust::RootName;
use crate::policy::{Policy, PolicyName};

use super::super::scope::{LABELS, Namespaces, policy_labels};
use super::super::signature;
use super::pull_secrets::{self, Found, PullSecrets};
use super::{own_namespace, told};

use keys::Keys;
use scan_objects::ScanObjects;

pub(super) mod keys;
pub mod scan_objects;

/// A ConfigMap holds 1 MiB at most, a file of policies written by hand far less.
const FILE_BYTES: u64 = 8 << 20;
/// More files than this are a wrong directory (`/`, a checkout), not manifests.
const FILES: usize = 10_000;
/// Folders in folders beyond this are a loop of links.
const DEPTH: usize = 16;

/// What the manifests say, all of it valid.
#[derive(Debug)]
pub struct Manifests {
    /// With the built-in ones, unless the manifests have one of the same name.
    pub policies: BTreeMap<PolicyName, Arc<Policy>>,
    pub namespaces: Namespaces,
    pub pull_secrets: PullSecrets,
    /// What is valid and probably not meant.
    pub warnings: Vec<Mistake>,
    /// How many objects of the manifests are in force.
    pub objects: usize,
    /// Files beside the manifests that policies have their keys from; [`files`] does not list them.
    pub key_files: Vec<PathBuf>,
    /// The trusted roots that policies name, each with what to say if the settings have none of that name.
    pub roots: Vec<(RootName, Mistake)>,
    /// `VulnerabilityReport` objects, of whatever namespaces.
    pub reports: ScanObjects,
}

/// Reads files, and every `.yaml`, `.yml` and `.json` below directories; what starts with a dot is passed over, as
/// the kubelet's own entries in a mounted ConfigMap do.
pub fn read(paths: &[PathBuf]) -> Result<Manifests, Vec<Mistake>> {
    read_with(paths, Keys::of_namespace(own_namespace(), signature::read_public_key))
}

fn read_with(paths: &[PathBuf], keys: Keys) -> Result<Manifests, Vec<Mistake>> {
    let mut reading = Reading::with(keys);
    match files(paths) {
        Ok(files) => {
            for file in &files {
                reading.file(file);
            }
            reading.policies();
            reading.in_order_of(&files);
        }
        Err(mistakes) => reading.mistakes.extend(mistakes),
    }
    reading.finish()
}

/// A number that is another one when the files are others: names, sizes, times and identities, through links. The time
/// of change (`ctime`) is among them: it alone tells of permissions, and nobody can set it back.
#[must_use]
pub fn fingerprint(paths: &[PathBuf]) -> u64 {
    match files(paths) {
        Ok(files) => fingerprint_of(&files),
        Err(mistakes) => {
            let mut hasher = DefaultHasher::new();
            for mistake in mistakes {
                mistake.message.hash(&mut hasher);
            }
            hasher.finish()
        }
    }
}

/// The same of exactly these files, and of folders with everything in them, whatever it is called.
#[must_use]
pub fn fingerprint_of(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut left = FILES;
    for path in paths {
        look_at(path, DEPTH, &mut left, &mut hasher);
    }
    hasher.finish()
}

/// What the file is now, and if it is a folder, what is in it.
fn look_at(path: &Path, depth: usize, left: &mut usize, hasher: &mut DefaultHasher) {
    use std::os::unix::fs::MetadataExt;
    // A file that cannot be looked at is a change of its own; reading it says what is wrong.
    let metadata = std::fs::metadata(path).ok();
    let seen = metadata.as_ref().map(|its| (its.len(), its.ctime(), its.ctime_nsec(), its.ino()));
    (path, seen).hash(hasher);
    if !metadata.is_some_and(|its| its.is_dir()) || depth == 0 {
        return;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut children: Vec<PathBuf> = entries.map(|entry| entry.path()).take(*left).collect();
    *left -= children.len();
    children.sort();
    for child in children {
        look_at(&child, depth - 1, left, hasher);
    }
}

/// The manifest files among the paths, in a stable order.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<Mistake>> {
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for path in paths {
        let before = found.len();
        if let Err(mistake) = collect(path, true, DEPTH, &mut found) {
            mistakes.push(mistake);
        } else if found.len() == before {
            mistakes.push(mistake(path, "holds no .yaml, .yml or .json file"));
        }
    }
    if mistakes.is_empty() { Ok(found) } else { Err(mistakes) }
}

fn collect(path: &Path, named: bool, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Mistake> {
    let metadata = std::fs::metadata(path).map_err(|error| mistake(path, format!("cannot be read: {error}")))?;
    if metadata.is_dir() {
        let deeper =
            depth.checked_sub(1).ok_or_else(|| mistake(path, "is nested too deeply; is there a loop of links?"))?;
        let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(|error| mistake(path, format!("cannot be listed: {error}")))?;
        let mut children: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
        children.sort();
        return children
            .iter()
            .filter(|child| !is_hidden(child))
            .try_for_each(|child| collect(child, false, deeper, found));
    }
    // A pipe in a folder would be waited for; one that is named (`<(helm template ...)`) is meant.
    if !named && !metadata.is_file() {
        return Ok(());
    }
    // A file that is named is read whatever it is called.
    if named || path.extension().is_some_and(|its| its == "yaml" || its == "yml" || its == "json") {
        if found.len() == FILES {
            return Err(mistake(path, format!("is one of more than {FILES} files; name the folder of the manifests")));
        }
        found.push(path.to_owned());
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn mistake(path: &Path, message: impl Into<String>) -> Mistake {
    Mistake::about(path.display(), message)
}

/// The text of one file, within bounds; the message says what is wrong with it.
pub fn read_text(path: &Path) -> Result<String, Mistake> {
    let file = File::open(path).map_err(|error| mistake(path, format!("cannot be read: {error}")))?;
    read_bounded(file, FILE_BYTES).map_err(|why| mistake(path, why))
}

/// All of a text, or why not; never its beginning alone. Bounded while it is read: pipes and devices do not say how long
/// they are.
pub fn read_bounded(source: impl Read, limit: u64) -> Result<String, String> {
    let mut bytes = Vec::new();
    source.take(limit + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(format!("has more than {limit} bytes, and no more are read: split it"));
    }
    String::from_utf8(bytes).map_err(|error| format!("is no text in UTF-8: {error}"))
}

struct Reading {
    /// Documents that are policies, each with its file: compiled when all Secrets are known.
    waiting: Vec<(Node, PathBuf)>,
    keys: Keys,
    roots: Vec<(RootName, Mistake)>,
    /// Each with the file that it comes from.
    policies: BTreeMap<PolicyName, (Arc<Policy>, String)>,
    namespaces: HashMap<String, (Labels, String)>,
    pull: Found,
    /// Policies that labels name, each with what to say if there is none of that name.
    named: Vec<(String, Mistake)>,
    reports: ScanObjects,
    warnings: Vec<Mistake>,
    mistakes: Vec<Mistake>,
}

impl Reading {
    fn with(keys: Keys) -> Self {
        Self {
            waiting: Vec::new(),
            keys,
            roots: Vec::new(),
            policies: BTreeMap::new(),
            namespaces: HashMap::new(),
            pull: Found::default(),
            named: Vec::new(),
            reports: ScanObjects::default(),
            warnings: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    fn file(&mut self, path: &Path) {
        let source = path.display().to_string();
        let text = read_text(path).and_then(|text| match text.trim() {
            // What a writer leaves that has only begun: nothing of it may come into force.
            "" => Err(mistake(path, "is empty: write the objects, or remove the file")),
            _ => Ok(text),
        });
        match text.and_then(|text| parse_documents(&text).map_err(|wrong| wrong.in_source(&source))) {
            Ok(documents) => documents.iter().for_each(|document| self.document(document, path, &source)),
            Err(mistake) => self.mistakes.push(mistake),
        }
    }

    fn document(&mut self, document: &Node, path: &Path, source: &str) {
        let text = |key: &str| document.field(key).and_then(Node::text).unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        match (api_version, kind) {
            ("v1", "List") => {
                match document.field("items").and_then(Node::items) {
                    Some(items) => items.iter().for_each(|item| self.document(item, path, source)),
                    // What it was to hold would be gone without a word.
                    None => {
                        self.mistakes.push(told(document, source, "items", "a List needs a list of items".to_owned()));
                    }
                }
            }
            ("v1", "Namespace") => self.namespace(document, source),
            ("v1", "Secret") => self.secret(document, source),
            (scan_objects::VERSION, scan_objects::KIND) => {
                self.mistakes.extend(self.reports.add(document, source).err());
            }
            ("v1", "ServiceAccount") => self.mistakes.extend(self.pull.service_account(document, source).err()),
            // Whatever claims to be ours is read as a policy, so that a slip in version or kind is told.
            _ if kind == "ImagePolicy" || api_version.starts_with("pratique.dev/") => {
                self.waiting.push((document.clone(), path.to_owned()));
            }
            ("", _) | (_, "") => {
                self.wrong(document, source, "is no Kubernetes object: `apiVersion` or `kind` is missing");
            }
            _ => {
                let read = "ImagePolicy, Namespace, Secret, ServiceAccount and VulnerabilityReport";
                let message = format!("{kind} has no effect in this build: it reads {read}");
                self.warnings.push(told(document, source, "kind", message));
            }
        }
    }

    fn secret(&mut self, document: &Node, source: &str) {
        let taken = self.pull.secret(document, source).and_then(|warnings| {
            self.warnings.extend(warnings);
            self.keys.secret(document, source)
        });
        self.mistakes.extend(taken.err());
    }

    fn policies(&mut self) {
        for (document, path) in std::mem::take(&mut self.waiting) {
            self.policy(&document, &path);
        }
    }

    fn policy(&mut self, document: &Node, path: &Path) {
        let source = path.display().to_string();
        match compile::compile(document, &source, &|at| self.keys.read(at, path)) {
            Ok(Compiled { policy, warnings, roots, waivers }) => {
                self.warnings.extend(warnings);
                self.warnings.extend(waiver_warnings(&waivers, &source, Timestamp::now()));
                self.roots.extend(roots);
                let name = policy.name.clone();
                if let Some((_, first)) = self.policies.get(&name) {
                    let message = format!("policy {name} is there already, in {first}: keep one");
                    self.mistakes.push(told(document, &source, "metadata.name", message));
                } else {
                    self.policies.insert(name, (Arc::new(policy), source));
                }
            }
            Err(mistakes) => self.mistakes.extend(mistakes),
        }
    }

    /// Mistakes and warnings by file and line, whichever kind of object was read first.
    fn in_order_of(&mut self, files: &[PathBuf]) {
        let order: HashMap<String, usize> =
            files.iter().enumerate().map(|(index, file)| (file.display().to_string(), index)).collect();
        let place = |mistake: &Mistake| (order.get(&mistake.source).copied(), mistake.line);
        self.mistakes.sort_by_key(place);
        self.warnings.sort_by_key(place);
    }

    fn namespace(&mut self, document: &Node, source: &str) {
        let metadata = document.field("metadata");
        let Some(name) = metadata.and_then(|its| its.field("name")).and_then(Node::text).filter(|its| !its.is_empty())
        else {
            self.wrong(document, source, "a Namespace needs metadata.name");
            return;
        };
        let entries = match metadata.and_then(|its| its.field("labels")).filter(|labels| !labels.is_null()) {
            None => &[],
            Some(labels) => labels.entries().unwrap_or_else(|| {
                // Never a namespace without labels: one of them may enforce.
                self.mistakes.push(told(labels, source, "metadata.labels", "must be a map of text".to_owned()));
                &[]
            }),
        };
        for entry in entries.iter().filter(|entry| entry.key.starts_with("pratique.dev/")) {
            self.label(entry, source);
        }
        let labels = policy_labels(entries.iter().filter_map(|entry| Some((entry.key.as_str(), entry.node.text()?))));
        match self.namespaces.entry(name.to_owned()) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert((labels, source.to_owned()));
            }
            hash_map::Entry::Occupied(first) => {
                let message = format!("namespace {name} is there already, in {}: keep one", first.get().1);
                self.mistakes.push(told(document, source, "metadata.name", message));
            }
        }
    }

    /// A slip in one of our labels is told: whoever wrote it believes that it does something.
    fn label(&mut self, entry: &Entry, source: &str) {
        let say = |message: String| told(&entry.node, source, &format!("metadata.labels.{}", entry.key), message);
        match entry.node.text() {
            // The API server refuses it too.
            None => self.mistakes.push(say("must be text: quote it".to_owned())),
            Some(_) if !LABELS.contains(&entry.key.as_str()) => {
                self.warnings.push(say(format!("has no effect; there are {}", LABELS.join(", "))));
            }
            Some(policy) => {
                let unknown = format!("there is no policy {}: pods here will meet policy-unknown", quoted(policy));
                self.named.push((policy.to_owned(), say(unknown)));
            }
        }
    }

    fn wrong(&mut self, document: &Node, source: &str, message: &str) {
        self.mistakes.push(told(document, source, "", message.to_owned()));
    }

    fn finish(self) -> Result<Manifests, Vec<Mistake>> {
        let Self { waiting: _, keys, roots, policies, namespaces, pull, named, reports, mut warnings, mistakes } = self;
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let (secrets, key_files) = keys.finish();
        let objects = policies.len() + namespaces.len() + pull.len() + secrets + reports.len();
        let (pull_secrets, unknown) = pull.finish();
        warnings.extend(unknown);
        let mut all: BTreeMap<PolicyName, Arc<Policy>> =
            compile::built_in().into_iter().map(|policy| (policy.name.clone(), Arc::new(policy))).collect();
        all.extend(policies.into_iter().map(|(name, (policy, _))| (name, policy)));
        let unknown = named.into_iter().filter(|(name, _)| !all.contains_key(name.as_str()));
        warnings.extend(unknown.map(|(_, warning)| warning));
        let labels = namespaces.into_iter().map(|(name, (labels, _))| (name, labels)).collect();
        let namespaces = Namespaces::new(labels, Timestamp::now());
        Ok(Manifests { policies: all, namespaces, pull_secrets, warnings, objects, key_files, roots, reports })
    }
}

#[cfg(test)]
mod tests;
