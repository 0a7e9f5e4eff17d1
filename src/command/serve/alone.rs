//! `serve` on manifests: the program is alone, whatever runs around it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::command;
use crate::config::Config;
use crate::evidence::cluster;
use crate::observe::metrics::Metrics;
use crate::policy::document::Mistake;
use crate::review::{InForce, Review};
use crate::server::tls::{CaBundle, Identity};

use super::reload::{Reload, Trouble, Watched};
use super::starting::{Starting, failed, warned};
use super::{Running, Settings};

/// The files with public keys that the manifests named when they were read last.
type KeyFiles = Arc<ArcSwap<Vec<PathBuf>>>;

pub(super) async fn start(settings: Settings, paths: Vec<PathBuf>) -> Result<Running, Vec<Mistake>> {
    let source = settings.source.clone();
    // Taken before reading: a file that changes meanwhile is read again.
    let key_files = Arc::new(ArcSwap::from_pointee(Vec::new()));
    let seen = fingerprint(&paths, &key_files);
    let (mut manifests, mut starting) = command::both(command::manifests(&paths), Starting::new(settings))?;
    let config = starting.config().clone();
    warned(&manifests.warnings, "the manifests");
    warned(&command::untrusted_reports(&manifests, &config), "the manifests");
    key_files.store(Arc::new(std::mem::take(&mut manifests.key_files)));
    let (identity, bundle) = identity(&config)?;
    let policies = command::policies(&manifests, &config, command::bindings(&config), &source)?;
    let in_force = InForce { policies, cluster: command::cluster_of(manifests, &config) };
    let trouble = Trouble::default();
    let shown = trouble.clone();
    starting.part("manifests", move || shown.status());
    let (review, metrics) = starting.review(in_force, command::nodes_of(&config), None)?;
    starting.reload(Reload {
        what: "manifests",
        files: Watched::since(seen),
        fingerprint: Box::new({
            let (paths, key_files) = (paths.clone(), Arc::clone(&key_files));
            move || fingerprint(&paths, &key_files)
        }),
        load: Box::new(loader(paths, key_files, config, source, Arc::clone(&review), metrics.clone())),
        stale: Box::new(move |stale| metrics.manifests_stale(stale)),
        trouble,
    });
    starting.certificate(Arc::new(Arc::clone(&identity).into()))?;
    let admin = starting.listen_to_operators().await?;
    let mut running = starting.listen(review, admin, identity, None).await?;
    running.authority = bundle.as_ref().map(|bundle| bundle.pem().to_owned());
    running.ca_bundle = bundle.as_ref().map(CaBundle::base64);
    Ok(running)
}

/// Of the manifests, of whatever else is in their folders (a key that a policy names may be missing there so far), and of
/// the keys that are elsewhere. Where they name other keys than before, it is another one: they are then read once more,
/// so that a key that changed while they were read is not missed.
fn fingerprint(manifests: &[PathBuf], key_files: &KeyFiles) -> u64 {
    let mut hasher = DefaultHasher::new();
    let of_keys = (cluster::fingerprint_of(manifests), cluster::fingerprint_of(&key_files.load()));
    (cluster::fingerprint(manifests), of_keys).hash(&mut hasher);
    hasher.finish()
}

/// Reads the manifests and puts them in force.
fn loader(
    paths: Vec<PathBuf>,
    key_files: KeyFiles,
    config: Config,
    source: String,
    review: Arc<Review>,
    metrics: Metrics,
) -> impl FnMut() -> Result<(), Vec<Mistake>> + Send {
    move || {
        let manifests = command::manifests(&paths)?;
        let policies = command::policies(&manifests, &config, command::bindings(&config), &source)?;
        warned(&manifests.warnings, "the manifests");
        warned(&command::untrusted_reports(&manifests, &config), "the manifests");
        key_files.store(Arc::new(manifests.key_files.clone()));
        metrics.policies(&policies);
        review.put_in_force(InForce { policies, cluster: command::cluster_of(manifests, &config) });
        Ok(())
    }
}

fn identity(config: &Config) -> Result<(Arc<Identity>, Option<CaBundle>), Vec<Mistake>> {
    if let Some(identity) = super::starting::identity_in_files(config)? {
        return Ok((identity, None));
    }
    let (identity, bundle) = Identity::self_made(&[]).map_err(|error| vec![failed("tls", &error)])?;
    Ok((Arc::new(identity), Some(bundle)))
}
