//! What all rows of the table share: programs that run, keys, and images.

use std::collections::BTreeMap;
use std::process::Command;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pratique_testkit::real::{Client, Format, Kind, Layout, Running, Server, built};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use crate::cosign::Cosign;
use crate::sigstore::Sigstore;

/// Whose registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// CNCF Distribution 3, without referrers API.
    Registry,
    /// Distribution 2.8, as Debian packages it, without referrers API.
    DockerRegistry,
    /// go-containerregistry's, with the referrers API. Its lists state the type of a manifest's configuration as the
    /// manifest's `artifactType`.
    Referrers,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::Registry, Self::DockerRegistry, Self::Referrers];
}

/// What is attested, of whatever type: cosign reads the fields that it knows.
const PREDICATE: &str = r#"{"buildDefinition": {"buildType": "https://acme.example/build"},
    "runDetails": {"builder": {"id": "https://acme.example/builder"}}}"#;

/// The keys, by the names of their files.
pub(crate) const P256: &str = "p256";
pub(crate) const OTHER: &str = "other";
pub(crate) const P384: &str = "p384";
pub(crate) const RSA_2048: &str = "rsa2048";
pub(crate) const RSA_4096: &str = "rsa4096";
pub(crate) const ED25519: &str = "ed25519";

pub(crate) struct World {
    pub(crate) cosign: Cosign,
    pub(crate) sigstore: Sigstore,
    pub(crate) client: Client,
    pub(crate) image: Layout,
    pub(crate) other_image: Layout,
    pub(crate) docker_image: Layout,
    pub(crate) index: Layout,
    hosts: BTreeMap<Place, String>,
    _servers: Vec<Server>,
    _referrers: Running,
}

impl World {
    pub(crate) fn new() -> Self {
        let cosign = Cosign::new();
        make_keys(&cosign);
        cosign.write("predicate.json", PREDICATE);
        let sigstore = Sigstore::new(&cosign);
        let servers = vec![Server::open(Kind::Registry), Server::open(Kind::DockerRegistry)];
        let mut referrers = Running::start(&mut Command::new(built("referrers-registry")));
        let host = format!("127.0.0.1:{}", referrers.port("listening on 127.0.0.1:"));
        let hosts = [
            (Place::Registry, servers[0].host()),
            (Place::DockerRegistry, servers[1].host()),
            (Place::Referrers, host),
        ];
        Self {
            cosign,
            sigstore,
            client: Client::new(),
            image: Layout::image(Format::Oci, "shop"),
            other_image: Layout::image(Format::Oci, "another"),
            docker_image: Layout::image(Format::Docker, "shop"),
            index: Layout::index(Format::Oci, "shop"),
            hosts: hosts.into(),
            _servers: servers,
            _referrers: referrers,
        }
    }

    /// Host and port of a registry.
    pub(crate) fn host(&self, place: Place) -> &str {
        &self.hosts[&place]
    }

    /// A key's file: `.key` as cosign has it, `.pub`, or `.pem` for the private key that was imported.
    pub(crate) fn key_file(&self, key: &str, kind: &str) -> String {
        self.cosign.file(&format!("{key}.{kind}"))
    }

    /// A public key.
    pub(crate) fn public_key(&self, key: &str) -> String {
        std::fs::read_to_string(self.key_file(key, "pub")).expect("each key has its public one")
    }
}

/// One by cosign itself, the others imported.
fn make_keys(cosign: &Cosign) {
    let prefix = |key: &str| format!("--output-key-prefix={}", cosign.file(key));
    cosign.succeeds(&["generate-key-pair"], &[prefix(P256)]);
    let curves = [(OTHER, &PKCS_ECDSA_P256_SHA256), (P384, &PKCS_ECDSA_P384_SHA384), (ED25519, &PKCS_ED25519)];
    let mut keys: Vec<(&str, String)> = curves
        .map(|(name, kind)| (name, KeyPair::generate_for(kind).expect("a key can be made").serialize_pem()))
        .into();
    keys.extend([(RSA_2048, KeySize::Rsa2048), (RSA_4096, KeySize::Rsa4096)].map(|(name, size)| (name, rsa(size))));
    for (name, pem) in keys {
        let file = format!("{name}.pem");
        cosign.write(&file, &pem);
        cosign.succeeds(&["import-key-pair"], &[format!("--key={}", cosign.file(&file)), prefix(name)]);
    }
}

fn rsa(size: KeySize) -> String {
    let pair = RsaKeyPair::generate(size).expect("a key can be made");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("and written");
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
}
