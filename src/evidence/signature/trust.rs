//! Trusted roots of Sigstore, by name: the public good instance's is compiled in, others come from files.
//!
//! Nothing is fetched at the start. [`Trust::refresh`] looks for newer ones in the background, in TUF repositories
//! (<https://theupdateframework.github.io/specification/latest/>); no review waits for it, and whatever goes wrong
//! there, the last good root stays. What the operator writes into a file is in force at once, and until the
//! repository's next answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use sigstore_trust_root::{SigstoreInstance, TrustedRoot};
use sigstore_verify::Verifier;

use crate::policy::document::Mistake;
use crate::policy::trust::RootName;

use super::super::registry::outbound::Surroundings;
use files::Read;
use metrics::Metrics;
use update::{Follow, Outcome};

mod expiry;
mod files;
mod metrics;
mod period;
mod schedule;
#[cfg(test)]
mod tests;
mod update;

/// The name of the built-in root.
pub const PUBLIC: &str = "public";

/// What every media type of a `trusted_root.json` begins with. All lists in one may be absent, so that the file of
/// another kind would pass for a root that trusts nobody.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot";

/// Which roots there are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Beside the built-in one; no name twice.
    pub roots: Vec<Source>,
    /// Whether newer ones are looked for in the background.
    pub refresh: bool,
    pub surroundings: Surroundings,
}

/// Where a root comes from.
#[derive(Debug, Clone)]
pub struct Source {
    pub name: RootName,
    /// A `trusted_root.json`: what is in force from the start.
    pub trusted_root: PathBuf,
    pub repository: Option<Repository>,
}

/// A TUF repository that has newer ones as its target `trusted_root.json`.
#[derive(Debug, Clone)]
pub struct Repository {
    pub url: String,
    /// A `root.json` of TUF: whose word counts there.
    pub root: PathBuf,
}

impl Settings {
    /// The files that they name.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let files = |source: &Source| {
            let root = source.repository.as_ref().map(|repository| repository.root.clone());
            [Some(source.trusted_root.clone()), root].into_iter().flatten()
        };
        self.roots.iter().flat_map(files).collect()
    }
}

/// One trusted root, ready to verify with.
pub struct Root {
    pub(super) verifier: Verifier,
    /// It has logs of certificates, so a certificate needs the promise of one (SCT).
    pub(super) has_certificate_logs: bool,
    /// It has authorities of certificates, or transparency logs.
    vouches: bool,
    /// SHA-256 of what it holds, however that is written.
    content: [u8; 32],
    /// When nothing new can be verified any more.
    end: Option<Timestamp>,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("has_certificate_logs", &self.has_certificate_logs).finish_non_exhaustive()
    }
}

impl Root {
    /// Reads a `trusted_root.json`; the error is a clause.
    pub fn from_json(json: &str) -> Result<Self, String> {
        let root = TrustedRoot::from_json(json).map_err(|error| format!("is no trusted root: {error}"))?;
        if !root.media_type.starts_with(MEDIA_TYPE) {
            return Err("is no trusted root but JSON of another media type".to_owned());
        }
        let verifier =
            Verifier::new(&period::narrowed(&root)?).map_err(|error| format!("is no usable trusted root: {error}"))?;
        let content = serde_json::to_vec(&root).map_err(|error| format!("cannot be compared: {error}"))?;
        Ok(Self {
            verifier,
            has_certificate_logs: !root.ctlogs.is_empty(),
            vouches: !(root.certificate_authorities.is_empty() && root.tlogs.is_empty()),
            content: sha256([content.as_slice()]),
            end: expiry::of(&root),
        })
    }

    fn built_in() -> Result<Self, String> {
        Self::from_json(SigstoreInstance::PublicGood.embedded_trusted_root_json())
    }
}

/// All roots of one moment.
#[derive(Debug)]
pub struct Roots {
    pub by_name: BTreeMap<RootName, Arc<Root>>,
    /// Another one exactly when any root holds something else: facts are kept by it.
    pub generation: u64,
}

impl Roots {
    fn new(by_name: BTreeMap<RootName, Arc<Root>>) -> Self {
        let name = |name: &RootName| sha256([name.as_bytes()]);
        let parts: Vec<[u8; 32]> = by_name.iter().flat_map(|(key, root)| [name(key), root.content]).collect();
        let [first, second, third, fourth, fifth, sixth, seventh, eighth, ..] =
            sha256(parts.iter().map(<[u8; 32]>::as_slice));
        let generation = u64::from_be_bytes([first, second, third, fourth, fifth, sixth, seventh, eighth]);
        Self { by_name, generation }
    }
}

/// One root: what the file says, and what its repository said since.
#[derive(Debug)]
struct Kept {
    read: Read,
    newer: Option<Arc<Root>>,
    /// None where nothing is looked for.
    follow: Option<Arc<Follow>>,
}

impl Kept {
    fn new(read: Read) -> Self {
        let follow = read.follow();
        Self { read, newer: None, follow }
    }

    /// With what the files say now. A new word of the operator puts the repository's old ones out of force.
    fn after(self, read: Read) -> Self {
        let same_root = self.read.root.content == read.root.content;
        let same_repository = self.read.bootstrap == read.bootstrap;
        let (newer, follow) = match (same_repository, same_root) {
            (true, true) => (self.newer, self.follow),
            (true, false) => (None, self.follow),
            (false, _) => (None, read.follow()),
        };
        Self { read, newer, follow }
    }

    fn in_force(&self) -> &Arc<Root> {
        self.newer.as_ref().unwrap_or(&self.read.root)
    }
}

/// The roots in force.
#[derive(Debug)]
pub struct Trust {
    settings: Settings,
    in_force: ArcSwap<Roots>,
    kept: Mutex<BTreeMap<RootName, Kept>>,
    metrics: Metrics,
}

impl Trust {
    /// The built-in root alone, as it was when this was built.
    pub fn built_in() -> Result<Self, String> {
        let settings = Settings { roots: Vec::new(), refresh: false, surroundings: Surroundings::Cluster };
        let metrics = Metrics::new().map_err(|error| error.to_string())?;
        let read = BTreeMap::from([(PUBLIC.into(), Read::built_in(settings.refresh)?)]);
        Ok(Self::with(settings, metrics, read))
    }

    /// Reads all roots; every mistake with its file. With warnings.
    pub fn load(settings: Settings, metrics: &prometheus::Registry) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let registered = Metrics::new().and_then(|new| new.register(metrics));
        let metrics = registered.map_err(|error| vec![Mistake::about("metrics", error.to_string())])?;
        let (read, warnings) = files::read(&settings)?;
        Ok((Self::with(settings, metrics, read), warnings))
    }

    fn with(settings: Settings, metrics: Metrics, read: BTreeMap<RootName, Read>) -> Self {
        let kept: BTreeMap<RootName, Kept> = read.into_iter().map(|(name, read)| (name, Kept::new(read))).collect();
        for (name, kept) in &kept {
            if kept.follow.is_some() {
                metrics.count_from_zero(name);
            }
        }
        let trust = Self {
            settings,
            in_force: ArcSwap::from_pointee(Roots::new(BTreeMap::new())),
            kept: Mutex::default(),
            metrics,
        };
        *trust.kept() = kept;
        trust.publish(&trust.kept());
        trust
    }

    /// Reads again what [`Self::load`] read and puts it in force, all or nothing: on mistakes the last good one stays.
    pub fn reload(&self) -> Result<Vec<Mistake>, Vec<Mistake>> {
        let (read, warnings) = files::read(&self.settings)?;
        let mut kept = self.kept();
        let mut before = std::mem::take(&mut *kept);
        for (name, read) in read {
            let now = match before.remove(&name) {
                Some(before) => before.after(read),
                None => Kept::new(read),
            };
            kept.insert(name, now);
        }
        self.publish(&kept);
        Ok(warnings)
    }

    #[must_use]
    pub fn in_force(&self) -> Arc<Roots> {
        self.in_force.load_full()
    }

    /// The names that policies may use.
    #[must_use]
    pub fn names(&self) -> Vec<RootName> {
        self.in_force.load().by_name.keys().cloned().collect()
    }

    /// The files to watch.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.settings.files()
    }

    /// What a repository answered comes into force, unless its beginning was replaced while it was asked.
    fn take(&self, name: &RootName, asked: &Arc<Follow>, root: Root) -> Outcome {
        let mut all = self.kept();
        let still = |kept: &&mut Kept| kept.follow.as_ref().is_some_and(|follow| Arc::ptr_eq(follow, asked));
        let Some(kept) = all.get_mut(name).filter(still) else { return Outcome::Unchanged };
        let changed = kept.in_force().content != root.content;
        kept.newer = Some(Arc::new(root));
        self.publish(&all);
        if changed { Outcome::Replaced } else { Outcome::Unchanged }
    }

    fn publish(&self, kept: &BTreeMap<RootName, Kept>) {
        let roots = Roots::new(kept.iter().map(|(name, kept)| (name.clone(), Arc::clone(kept.in_force()))).collect());
        for (name, root) in &roots.by_name {
            self.metrics.ends(name, root.end);
        }
        self.in_force.store(Arc::new(roots));
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<RootName, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sha256<'b>(parts: impl IntoIterator<Item = &'b [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
