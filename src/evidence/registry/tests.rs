use std::time::Duration;

use pratique_testkit::Directory;

use super::client::Limits;
use super::credentials::{Candidate, Credential, Password};
use super::*;
use crate::fact::{Content, Fault, Trouble};
use crate::image::Algorithm;
use server::{Got, Send, Server, answer};

mod authentication;
mod hosts_in_order;
mod referring;
mod resolving;
mod server;

const OCI: &str = "content-type: application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "content-type: application/vnd.oci.image.index.v1+json";

/// Short waits, so that a test of a stall takes no ten seconds; long ones where the outcome does not hang on them.
fn limits() -> Limits {
    Limits { pause: Duration::from_millis(5), jitter: 5, ..Limits::default() }
}

/// Alone on loopback, over plain HTTP.
fn registries(limits: Limits, hosts: Option<&Directory>) -> Registries {
    let settings = Settings {
        hosts: hosts.map(|hosts| hosts.path().to_owned()),
        docker_config: None,
        providers: None,
        realms: BTreeMap::new(),
        concurrency: 16,
        surroundings: Surroundings::Alone,
    };
    Registries::within(limits, settings, &prometheus::Registry::new()).unwrap().0
}

fn image(authority: &str, rest: &str) -> Reference {
    Reference::parse(&format!("{authority}/{rest}")).unwrap()
}

/// A manifest of an image that differs by this text.
fn manifest_of(text: &str) -> Vec<u8> {
    let digest = manifest::hashed(text.as_bytes(), Algorithm::Sha256);
    let config = format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":2}}"#);
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[]}}"#).into_bytes()
}

fn index_of(digests: &[Digest]) -> Vec<u8> {
    let entries: Vec<String> =
        digests.iter().map(|digest| format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":2}}"#)).collect();
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(",")).into_bytes()
}

fn digest_of(bytes: &[u8]) -> Digest {
    manifest::hashed(bytes, Algorithm::Sha256)
}

fn known<T: std::fmt::Debug>(fact: Fact<T>) -> T {
    match fact {
        Fact::Known(seen) => seen.value,
        other => panic!("{other:?}"),
    }
}

fn trouble<T: std::fmt::Debug>(fact: Fact<T>) -> Trouble {
    match fact {
        Fact::Unavailable(trouble) => trouble,
        other => panic!("{other:?}"),
    }
}

/// Fault and words, with the server's address as `REGISTRY`.
fn told<T: std::fmt::Debug>(fact: Fact<T>, server: &Server) -> (Fault, String) {
    let Trouble { fault, words } = trouble(fact);
    (fault, words.replace(&server.authority, "REGISTRY"))
}

fn alice() -> Asker {
    asker(&[("alice", "hunter2")])
}

fn asker(users: &[(&str, &str)]) -> Asker {
    let candidate = |(name, password): &(&str, &str)| {
        Candidate::Credential(Credential::Basic { username: (*name).into(), password: Password::new(password) })
    };
    Asker::new(users.iter().map(candidate).collect())
}

/// A certificate for loopback, and the folder of `hosts.toml` that trusts it at this address.
struct Tls {
    config: Arc<rustls::ServerConfig>,
    certificate: String,
    hosts: Directory,
}

impl Tls {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self { config: Arc::new(config), certificate: made.cert.pem(), hosts: Directory::new() }
    }

    fn trust(&self, authority: &str, more: &str) {
        let folder = self.hosts.path().join(authority);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("ca.pem"), &self.certificate).unwrap();
        let text = format!("server = \"https://{authority}\"\nca = \"ca.pem\"\n{more}\n");
        std::fs::write(folder.join("hosts.toml"), text).unwrap();
    }

    async fn serve(&self, script: impl Fn(&Got, &str) -> Send + std::marker::Send + Sync + 'static) -> Server {
        let server = Server::start(Some(Arc::clone(&self.config)), script).await;
        self.trust(&server.authority, "");
        server
    }

    fn registries(&self) -> Registries {
        registries(limits(), Some(&self.hosts))
    }
}
