//! An OCI registry in this process, honest until it is told otherwise.
//!
//! It speaks the pull side of the OCI distribution specification 1.1 over real TCP on 127.0.0.1, plain or TLS, HTTP/1.1
//! and h2, with Basic or token authentication. It shares no code with the client that it is there to test. Lies, bombs
//! and silence are streamed: none takes more than a few hundred kilobytes here. It runs on a thread of its own, with
//! real time, so that a paused or busy test runtime does not hold it up; it ends with the test.
//!
//! Access is judged first and a [`Behaviour`] is what whoever may pass meets instead of the answer; only challenges and
//! the echo come before that.

mod access;
mod answer;
mod attached;
mod authority;
mod behaviour;
mod bomb;
mod flow;
mod hostile;
mod image;
mod layout;
mod ledger;
mod referrers;
mod route;
mod server;
mod setup;
mod store;
mod wire;

#[cfg(test)]
mod tests;

pub use attached::{BUNDLE_V0_3, DSSE_ENVELOPE, Layer, Place, SIMPLE_SIGNING};
pub use behaviour::Behaviour;
pub use image::Image;
pub use ledger::Seen;
pub use route::Route;
pub use setup::RegistrySetup;
pub use store::digest;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;

use crate::PATIENCE;
use authority::Authority;
use server::{Server, State};

/// A registry at work.
#[derive(Debug)]
pub struct Registry {
    state: Arc<State>,
    server: Mutex<Option<Server>>,
    port: u16,
}

impl Registry {
    /// Plain HTTP, open to all, with the referrers API, empty.
    pub fn setup() -> RegistrySetup {
        RegistrySetup::default()
    }

    /// `127.0.0.1:41234`: the registry part of an image's name.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.state.host
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// With its scheme, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        self.state.url()
    }

    /// The certificate of its CA in PEM; none over plain HTTP.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.state.authority.as_deref().map(Authority::certificate)
    }

    /// Certificate and key in PEM of a client that it lets in; none where it asks for no certificate.
    #[must_use]
    pub fn client_identity(&self) -> Option<(&str, &str)> {
        self.state.client.as_ref().map(|(certificate, key)| (certificate.as_str(), key.as_str()))
    }

    /// A containerd `hosts.toml` for it. Its files are named relative to its folder: `ca.crt`, `client.crt`, `client.key`.
    #[must_use]
    pub fn hosts_toml(&self) -> String {
        format!("server = \"{}\"\n{}", self.url(), self.trust_lines(""))
    }

    fn trust_lines(&self, indent: &str) -> String {
        let mut lines = String::new();
        if self.authority().is_some() {
            writeln!(lines, "{indent}ca = \"ca.crt\"").expect("a String takes everything");
        }
        if self.client_identity().is_some() {
            writeln!(lines, "{indent}client = [[\"client.crt\", \"client.key\"]]").expect("a String takes everything");
        }
        lines
    }

    /// Writes `<folder>/<host>_<port>_/hosts.toml` with the files that it names; returns that inner folder.
    pub fn write_hosts(&self, folder: &Path) -> PathBuf {
        self.write_folder(folder, &self.state.host, &self.hosts_toml())
    }

    /// The same as a mirror of another registry, which stays the `server`: pulls and resolves.
    pub fn write_mirror(&self, folder: &Path, of: &str) -> PathBuf {
        let trust = self.trust_lines("  ");
        let text = format!(
            "server = \"https://{of}\"\n\n[host.\"{}\"]\n  capabilities = [\"pull\", \"resolve\"]\n{trust}",
            self.url()
        );
        self.write_folder(folder, of, &text)
    }

    fn write_folder(&self, folder: &Path, registry: &str, hosts: &str) -> PathBuf {
        let name = registry.split_once(':').map_or(registry.to_owned(), |(host, port)| format!("{host}_{port}_"));
        let folder = folder.join(name);
        fs::create_dir_all(&folder).expect("a folder of hosts can be made");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("and written to");
        write("hosts.toml", hosts);
        if let Some(certificate) = self.authority() {
            write("ca.crt", certificate);
        }
        if let Some((certificate, key)) = self.client_identity() {
            write("client.crt", certificate);
            write("client.key", key);
        }
        folder
    }
}

/// What it holds.
impl Registry {
    /// Puts an image there with all its parts; the digest is that of its manifest or index.
    pub fn push(&self, repository: &str, tag: &str, image: &Image) -> String {
        let built = image.build();
        let mut store = self.state.store();
        for blob in built.blobs {
            store.put_blob(repository, blob);
        }
        for (media_type, bytes) in built.children {
            store.put_manifest(repository, &media_type, bytes);
        }
        let (media_type, bytes) = built.top;
        let digest = store.put_manifest(repository, &media_type, bytes);
        store.point(repository, tag, &digest);
        digest
    }

    /// Moves a tag, or makes it. Panics where the repository has no such manifest.
    pub fn point(&self, repository: &str, tag: &str, digest: &str) {
        self.state.store().point(repository, tag, digest);
    }

    /// Any bytes as a manifest. A `subject` in them makes it a referrer, as a push does.
    pub fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        bytes: impl AsRef<[u8]>,
    ) -> String {
        let mut store = self.state.store();
        let digest = store.put_manifest(repository, media_type, Bytes::copy_from_slice(bytes.as_ref()));
        if let Some(tag) = tag {
            store.point(repository, tag, &digest);
        }
        digest
    }

    pub fn put_blob(&self, repository: &str, bytes: impl AsRef<[u8]>) -> String {
        self.state.store().put_blob(repository, Bytes::copy_from_slice(bytes.as_ref()))
    }

    /// A referrer: an artifact manifest with these bytes as its one layer, of the artifact's type. Returns its digest.
    pub fn attach(&self, repository: &str, subject: &str, artifact_type: &str, bytes: impl AsRef<[u8]>) -> String {
        let bytes = bytes.as_ref();
        let empty = self.put_blob(repository, b"{}");
        let layer = self.put_blob(repository, bytes);
        let subject = self.state.store().descriptor(repository, subject);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": image::OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
            "layers": [{"mediaType": artifact_type, "digest": layer, "size": bytes.len()}],
            "subject": subject,
        });
        self.put_manifest(repository, None, image::OCI_MANIFEST, manifest.to_string())
    }

    /// Takes a tag, a manifest or a blob away: from now on there is none.
    pub fn remove(&self, repository: &str, reference: &str) {
        self.state.store().remove(repository, reference);
    }

    /// A bearer token that is good for pulling from this repository.
    #[must_use]
    pub fn issue(&self, repository: &str) -> String {
        self.state.access.issue(vec![repository.to_owned()])
    }

    /// Who is called so has this password from now on, and no token that was handed out is good any longer.
    pub fn set_password(&self, user: &str, password: &str) {
        self.state.access.set_password(user, password);
    }

    /// No token that was handed out is good any longer.
    pub fn revoke_tokens(&self) {
        self.state.access.revoke_tokens();
    }
}

/// How it behaves.
impl Registry {
    /// Every request of this route meets this, until [`Self::calm`] or another `on` for the same route.
    pub fn on(&self, route: Route, behaviour: Behaviour) {
        self.state.behaviours().on(route, behaviour);
    }

    /// The next `times` requests of this route meet this; before what `on` said, in the order of the calls.
    pub fn on_next(&self, route: Route, times: usize, behaviour: Behaviour) {
        self.state.behaviours().on_next(route, times, behaviour);
    }

    /// Honest again, whatever was said.
    pub fn calm(&self) {
        self.state.behaviours().calm();
    }

    /// Closes the listener and every connection, before it returns.
    pub fn go_away(&self) {
        *self.server() = None;
    }

    /// Listens again on the same port, with the same content.
    pub async fn come_back(&self) {
        if self.server().is_some() {
            return;
        }
        let started = Instant::now();
        let listener = loop {
            match Server::bind(self.port) {
                Ok((listener, _)) => break listener,
                // Somebody's outgoing connection may have the port for a moment.
                Err(error) => assert!(started.elapsed() < PATIENCE, "port {} is taken: {error}", self.port),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        *self.server() = Some(Server::start(listener, &self.state));
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().expect("no panic while it is held")
    }
}

/// What it saw.
impl Registry {
    /// Since the start or the last [`Self::forget`], in the order in which they came.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        self.state.ledger().requests()
    }

    /// How many requests of this route; of all for [`Route::Any`].
    #[must_use]
    pub fn count(&self, route: Route) -> usize {
        self.state.ledger().count(route)
    }

    /// Starts counting anew, requests and their peak. The authorizations stay.
    pub fn forget(&self) {
        self.state.ledger().forget();
    }

    /// The peak of requests that were not yet answered to the last byte.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.state.ledger().most_at_once()
    }

    /// Every different `Authorization` that ever came, in the order of their first coming.
    #[must_use]
    pub fn authorizations(&self) -> Vec<String> {
        self.state.ledger().authorizations()
    }
}
