//! Trusted roots and the beginnings of TUF repositories, read from files: bounded, and all mistakes at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use sigstore_tuf::TrustedMetadataSet;

use crate::policy::document::Mistake;
use crate::policy::trust::RootName;

use super::update::Follow;
use super::{PUBLIC, Repository, Root, Settings, Source};

/// The TUF repository of the public good instance, and its root of version 16, from sigstore/root-signing
/// (Apache-2.0): only the beginning of the chain that leads to the newest one, so that it may have expired.
const PUBLIC_GOOD_URL: &str = "https://tuf-repo-cdn.sigstore.dev";
const PUBLIC_GOOD_ROOT: &[u8] = include_bytes!("public_good_tuf_root.json");

/// The public good instance's has 7 kB, and its `root.json` 6 kB.
const MOST_BYTES: u64 = 1 << 20;

/// What is known of one root without asking anybody.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) root: Arc<Root>,
    /// None where nothing is looked for.
    pub(super) bootstrap: Option<Bootstrap>,
}

/// Where a TUF repository is, and whose word counts there.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bootstrap {
    pub(super) url: Url,
    /// The operator wrote the URL.
    pub(super) named: bool,
    pub(super) root: Arc<[u8]>,
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Read {
    pub(super) fn built_in(refresh: bool) -> Result<Self, String> {
        let bootstrap = || {
            let url = Url::parse(PUBLIC_GOOD_URL).map_err(|error| error.to_string())?;
            Ok::<_, String>(Bootstrap { url: folder(url), named: false, root: PUBLIC_GOOD_ROOT.into() })
        };
        let bootstrap = refresh.then(bootstrap).transpose()?;
        Ok(Self { root: Arc::new(Root::built_in()?), bootstrap })
    }

    /// A new memory of the repository.
    pub(super) fn follow(&self) -> Option<Arc<Follow>> {
        self.bootstrap.clone().map(|bootstrap| Arc::new(Follow::new(bootstrap)))
    }
}

/// The built-in root and those of files. With warnings.
pub(super) fn read(settings: &Settings) -> Result<(BTreeMap<RootName, Read>, Vec<Mistake>), Vec<Mistake>> {
    let Settings { roots, refresh, surroundings: _ } = settings;
    let (mut all, mut mistakes, mut warnings) = (BTreeMap::new(), Vec::new(), Vec::new());
    match Read::built_in(*refresh) {
        Ok(read) => drop(all.insert(PUBLIC.into(), read)),
        Err(why) => mistakes.push(Mistake::about(PUBLIC, why)),
    }
    for source in roots {
        let Source { name, trusted_root, repository } = source;
        let root = text(trusted_root).and_then(|json| Root::from_json(&json));
        let root = root.map_err(|why| mistakes.push(Mistake::about(trusted_root.display(), why)));
        // Read and judged even if it is not to be used, so that switching it on later holds no surprise.
        let bootstrap = repository.as_ref().map(bootstrap).transpose();
        let bootstrap = bootstrap.map_err(|mistake| mistakes.push(mistake));
        let (Ok(root), Ok(bootstrap)) = (root, bootstrap) else { continue };
        if !root.vouches {
            let message = "has neither certificate authorities nor transparency logs: it proves nobody's identity and \
                           no log entry, so that only keys with `log: optional` can be verified with it";
            warnings.push(Mistake::about(trusted_root.display(), message));
        }
        let bootstrap = bootstrap.filter(|_| *refresh);
        all.insert(name.clone(), Read { root: Arc::new(root), bootstrap });
    }
    if mistakes.is_empty() { Ok((all, warnings)) } else { Err(mistakes) }
}

fn bootstrap(repository: &Repository) -> Result<Bootstrap, Mistake> {
    let Repository { url, root } = repository;
    let about = |why: String| Mistake::about(root.display(), why);
    let url = Url::parse(url).ok().filter(Url::has_host);
    let url = url.ok_or_else(|| Mistake::about("trust", "a TUF repository has no URL such as https://tuf.example"))?;
    let json = text(root).map_err(about)?;
    TrustedMetadataSet::from_root(json.as_bytes()).map_err(|error| about(format!("is no root of TUF: {error}")))?;
    Ok(Bootstrap { url: folder(url), named: true, root: json.into_bytes().into() })
}

/// Names of files are joined to a folder, which ends in a slash.
fn folder(mut url: Url) -> Url {
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

fn text(path: &Path) -> Result<String, String> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: io::Error| format!("cannot be read: {error}"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(format!("has more than {MOST_BYTES} bytes, which no file of this kind needs"));
    }
    String::from_utf8(bytes).map_err(|error| format!("is no text in UTF-8: {error}"))
}
