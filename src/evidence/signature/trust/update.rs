//! One question to a TUF repository: which trusted root is the newest.
//!
//! The library verifies (signatures, thresholds, versions, expiry, hashes); what is fetched, from where, how much of it
//! and what is remembered is said here. What was verified once is remembered in memory, so that no later answer can be
//! older; after a restart the beginning is again the `root.json` that was given.

use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{StatusCode, Url};
use sigstore_tuf::transport::FetchFuture;
use sigstore_tuf::{Error, MetadataStore, Repository, Updater, UpdaterConfig};

use crate::request::printable;

use super::super::super::registry::outbound::{Outbound, Surroundings, TlsOptions, forbidden_in};
use super::Root;
use super::files::Bootstrap;

/// What Sigstore calls it in every TUF repository.
const TARGET: &str = "trusted_root.json";

/// One file, from a repository on the other side of the world.
const REQUEST: Duration = Duration::from_secs(30);
/// The whole question: a handful of files, and up to 32 roots after years without an answer.
const QUESTION: Duration = Duration::from_mins(5);
/// The public good instance's largest metadata has some 20 kB.
const METADATA_BYTES: u64 = 512 << 10;
/// As a file's.
const TARGET_BYTES: u64 = 1 << 20;
/// Words of the library may repeat what the repository says.
const WORDS: usize = 300;

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Replaced,
    Unchanged,
    /// No answer, or none that is a file of TUF.
    Unreachable,
    /// What it has does not verify, or is of no use.
    Refused,
}

impl Outcome {
    pub(super) const ALL: [Self; 4] = [Self::Replaced, Self::Unchanged, Self::Unreachable, Self::Refused];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Unchanged => "unchanged",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

/// Why there is no answer that counts.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) outcome: Outcome,
    pub(super) words: String,
}

impl Failure {
    fn refused(words: &str) -> Self {
        Self { outcome: Outcome::Refused, words: printable(words, WORDS) }
    }

    fn unreachable(words: &str) -> Self {
        Self { outcome: Outcome::Unreachable, words: printable(words, WORDS) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut words = error.to_string();
        if let Some(source) = error.source() {
            words = format!("{words}: {source}");
        }
        if matches!(error, Error::Transport { .. }) { Self::unreachable(&words) } else { Self::refused(&words) }
    }
}

/// A repository, and what it said so far.
#[derive(Debug)]
pub(super) struct Follow {
    bootstrap: Bootstrap,
    memory: Arc<Memory>,
}

impl Follow {
    pub(super) fn new(bootstrap: Bootstrap) -> Self {
        Self { bootstrap, memory: Arc::default() }
    }

    /// The newest root there.
    pub(super) async fn newest(&self, surroundings: Surroundings) -> Result<Root, Failure> {
        let ask = tokio::time::timeout(QUESTION, self.ask(surroundings));
        let json = ask.await.map_err(|_| Failure::unreachable("the answer takes too long"))??;
        let json = String::from_utf8(json).map_err(|_| Failure::refused("its trusted root is no text in UTF-8"))?;
        let root = Root::from_json(&json).map_err(|why| Failure::refused(&format!("its trusted root {why}")))?;
        if root.vouches {
            Ok(root)
        } else {
            Err(Failure::refused("its trusted root has neither certificate authorities nor transparency logs"))
        }
    }

    async fn ask(&self, surroundings: Surroundings) -> Result<Vec<u8>, Failure> {
        let Bootstrap { url, named, root } = &self.bootstrap;
        let (base, named) = (url.clone(), *named);
        // The system's certificates are read, which may have changed since the last time.
        let website = tokio::task::spawn_blocking(move || Website::new(base, named, surroundings)).await;
        let website = website.map_err(|_| Failure::unreachable("no HTTP client could be made"))?;
        let website = website.map_err(|why| Failure::unreachable(&why))?;
        let now = Timestamp::now();
        let mut updater = Updater::new(website, root)?.with_config(bounds()).with_store(Arc::clone(&self.memory));
        updater.refresh(now).await?;
        Ok(updater.get_target(TARGET, now).await?)
    }
}

fn bounds() -> UpdaterConfig {
    let mut bounds = UpdaterConfig::default();
    bounds.root_max_length = METADATA_BYTES;
    bounds.timestamp_max_length = METADATA_BYTES;
    bounds.snapshot_max_length = METADATA_BYTES;
    bounds.targets_max_length = METADATA_BYTES;
    bounds.target_max_length = TARGET_BYTES;
    bounds
}

/// The files of a repository over HTTP.
struct Website {
    base: Url,
    client: reqwest::Client,
}

impl Website {
    fn new(base: Url, named: bool, surroundings: Surroundings) -> Result<Self, String> {
        let outbound = Outbound::new(surroundings, BTreeMap::new())?;
        outbound.permits(&base, named).map_err(|forbidden| forbidden.to_string())?;
        let client = outbound.client(TlsOptions::default(), named, None)?;
        Ok(Self { base, client })
    }

    /// At most so many bytes, bounded while they are read; `None` where there is no such file.
    async fn get(&self, path: String, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let url = self.base.join(&path).ok().filter(|url| url.as_str().starts_with(self.base.as_str()));
        let url = url.ok_or_else(|| Error::Malformed("a file's name leads out of the repository".to_owned()))?;
        let sent = self.client.get(url).timeout(REQUEST).send().await;
        let mut answer = sent.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        // Stores of objects say 403 where there is nothing.
        if matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN) {
            return Ok(None);
        }
        if !status.is_success() {
            return Err(Error::transport(format!("the answer is {status}")));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            bytes.extend_from_slice(&chunk);
            if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
                return Err(Error::IntegrityMismatch(format!("a file has more than {most} bytes")));
            }
        }
        Ok(Some(bytes))
    }
}

fn unreachable(error: &reqwest::Error) -> Error {
    if let Some(forbidden) = forbidden_in(error) {
        return Error::transport(forbidden.to_string());
    }
    let words = match (error.is_timeout(), error.is_connect()) {
        (true, _) => "no answer in time",
        (false, true) => "no connection",
        (false, false) => "the connection ended early",
    };
    Error::transport(words)
}

impl Repository for Website {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.get(name.to_owned(), max_length))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.get(format!("targets/{path}"), max_length))
    }
}

/// What was verified, by the names of files; verified again whenever it is used.
#[derive(Default)]
struct Memory(Mutex<HashMap<String, Vec<u8>>>);

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl MetadataStore for Memory {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }

    /// But for the copies by version (`7.snapshot.json`), which are never asked for again, and one more with each change.
    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), bytes.to_vec());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_name_of_a_file_leads_out_of_the_repository() {
        let base = Url::parse("http://127.0.0.1:1/tuf/").unwrap();
        let website = Website::new(base, true, Surroundings::Cluster).unwrap();
        for name in ["https://other.test/x", "//other.test/x", "../x", "/x", "targets/../../x"] {
            let error = website.get(name.to_owned(), 1).await.unwrap_err();
            assert_eq!(error.to_string(), "malformed metadata: a file's name leads out of the repository", "{name}");
        }
        let error = website.get("targets/x".to_owned(), 1).await.unwrap_err();
        assert_eq!(error.to_string(), "transport error: no connection", "inside it is asked for");
    }
}
