//! A repository of one row, and what can be done to it.

use serde_json::{Value, json};

use crate::wire;
use crate::world::{Place, World};

/// Who signs, or should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// By its name in the world.
    Key(&'static str),
    /// An e-mail address.
    Mail(&'static str),
    /// The same address, at the other issuer: nobody signs so here.
    Namesake(&'static str),
    /// The release workflow of this repository, on GitHub, for the tag v1.
    Workflow(&'static str),
}

/// What it is written as, and who vouches for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A bundle, beside no service.
    Bundle,
    /// Simple signing or an envelope under a tag, beside no service.
    Tag,
    /// Simple signing as a referrer, beside no service.
    Referrer,
    /// A bundle with Rekor v2 and a timestamp.
    BundleLogged,
    /// A bundle with a timestamp alone.
    BundleTimed,
    /// A bundle with Rekor v1.
    BundleEntry,
    /// Under a tag with Rekor v1.
    TagEntry,
    /// Under a tag with a timestamp alone.
    TagTimed,
}

impl How {
    pub(crate) fn is_logged(self) -> bool {
        matches!(self, Self::BundleLogged | Self::BundleEntry | Self::TagEntry)
    }

    pub(crate) fn is_bundle(self) -> bool {
        matches!(self, Self::Bundle | Self::BundleLogged | Self::BundleTimed | Self::BundleEntry)
    }

    fn signing(self, world: &World) -> Vec<String> {
        let sigstore = &world.sigstore;
        let root = |file: &str| format!("--trusted-root={}", sigstore.file(file));
        let config = |file: String| format!("--signing-config={file}");
        let services = || vec!["--use-signing-config=false".to_owned(), format!("--fulcio-url={}", sigstore.fulcio)];
        let entries = || [services(), vec![root("root.json"), format!("--rekor-url={}", sigstore.entries)]].concat();
        let unlogged = || [services(), vec!["--tlog-upload=false".to_owned()]].concat();
        let mut flags = match self {
            Self::Bundle => vec![
                config(world.cosign.file("no-services.json")),
                format!("--trusted-root={}", world.cosign.file("no-root.json")),
            ],
            Self::BundleLogged => vec![config(sigstore.file("logged.json")), root("root.json")],
            Self::BundleTimed => vec![config(sigstore.file("timed.json")), root("root.json")],
            Self::BundleEntry | Self::TagEntry => entries(),
            Self::Tag | Self::Referrer => unlogged(),
            Self::TagTimed => [unlogged(), vec![format!("--timestamp-server-url={}", sigstore.timestamps)]].concat(),
        };
        if !self.is_bundle() {
            flags.push("--new-bundle-format=false".to_owned());
        }
        if self == Self::Referrer {
            flags.push("--registry-referrers-mode=oci-1-1".to_owned());
        }
        flags
    }

    /// With the trusted root of this name.
    pub(crate) fn verifying(self, world: &World, root: &str) -> Vec<String> {
        let mut flags = Vec::new();
        if matches!(self, Self::Bundle | Self::Tag | Self::Referrer) {
            flags.push(format!("--trusted-root={}", world.cosign.file("no-root.json")));
        } else {
            flags.push(format!("--trusted-root={}", world.sigstore.file(root)));
        }
        if !self.is_logged() {
            flags.push("--insecure-ignore-tlog".to_owned());
        }
        if matches!(self, Self::BundleTimed | Self::TagTimed) {
            flags.push("--use-signed-timestamps".to_owned());
        }
        if !self.is_bundle() {
            flags.push("--new-bundle-format=false".to_owned());
        }
        if self == Self::Referrer {
            flags.push("--experimental-oci11".to_owned());
        }
        flags
    }

    /// Variables for either.
    pub(crate) fn settings(self) -> &'static [&'static str] {
        if self == Self::Referrer { &["COSIGN_EXPERIMENTAL=1"] } else { &[] }
    }
}

/// One row's repository, with an image under `v1`.
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    /// `127.0.0.1:1234/acme/r7`.
    pub(crate) repository: String,
    pub(crate) digest: String,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(world: &'a World, place: Place, number: usize) -> Self {
        let repository = format!("{}/acme/r{number}", world.host(place));
        let scene = Self { world, repository, digest: world.image.digest.clone() };
        scene.push(&world.image.argument(), "v1");
        scene
    }

    /// Another image instead of the usual one.
    pub(crate) fn push(&self, layout: &str, tag: &str) {
        self.crane(&["push", layout, &format!("{}:{tag}", self.repository)]);
    }

    /// A name for files of this row.
    pub(crate) fn row(&self) -> String {
        self.repository.replace(['/', ':'], "-")
    }

    /// Its image's name, with the digest.
    pub(crate) fn image(&self) -> String {
        self.named(&self.digest)
    }

    pub(crate) fn named(&self, digest: &str) -> String {
        format!("{}@{digest}", self.repository)
    }

    /// A tag that a signature of the digest is kept under: with `.sig`, `.att`, or nothing.
    pub(crate) fn tag_of(&self, digest: &str, suffix: &str) -> String {
        format!("{}:{}{suffix}", self.repository, digest.replace(':', "-"))
    }

    /// The repository that signatures are kept in where that is another one.
    pub(crate) fn signatures(&self) -> String {
        format!("{}-signatures", self.repository)
    }

    pub(crate) fn crane(&self, arguments: &[&str]) -> String {
        self.world.client.crane(arguments)
    }

    pub(crate) fn sign(&self, who: Who, how: How, more: &[&str]) {
        self.sign_in(&[], &self.image(), who, how, more);
    }

    pub(crate) fn sign_in(&self, settings: &[&str], image: &str, who: Who, how: How, more: &[&str]) {
        self.write(settings, &["sign", "-y"], image, who, how, more);
    }

    pub(crate) fn attest(&self, who: Who, how: How, kind: &str) {
        self.attest_image(&self.image(), who, how, kind);
    }

    pub(crate) fn attest_image(&self, image: &str, who: Who, how: How, kind: &str) {
        let predicate = self.world.cosign.file("predicate.json");
        self.write(&[], &["attest", "-y"], image, who, how, &["--type", kind, "--predicate", &predicate]);
    }

    fn write(&self, settings: &[&str], command: &[&str], image: &str, who: Who, how: How, more: &[&str]) {
        let (world, issuers) = (self.world, &self.world.sigstore.issuers);
        let mut flags = how.signing(world);
        flags.push(match who {
            Who::Key(key) => format!("--key={}", world.key_file(key, "key")),
            Who::Mail(address) => self.token(&issuers.mail_token(address)),
            Who::Namesake(address) => panic!("{address} has another issuer"),
            Who::Workflow(repository) => self.token(&issuers.workflow_token(repository, "v1")),
        });
        flags.extend(more.iter().map(|&flag| flag.to_owned()));
        flags.push(image.to_owned());
        let settings = [settings, how.settings()].concat();
        world.cosign.succeeds_in(&settings, command, &flags);
    }

    /// A flag with a token, in a file of this row's.
    fn token(&self, token: &str) -> String {
        let name = format!("{}.token", self.row());
        self.world.cosign.write(&name, token);
        format!("--identity-token={}", self.world.cosign.file(&name))
    }

    /// A manifest, by tag or digest.
    pub(crate) fn manifest(&self, reference: &str) -> Value {
        let text = self.crane(&["manifest", reference]);
        serde_json::from_str(&text).expect("a manifest is JSON")
    }

    /// What refers to a digest: by the API, or where there is none by the fallback tag.
    pub(crate) fn referrers(&self, digest: &str) -> Value {
        let text = wire::get(&self.url(&format!("referrers/{digest}")));
        serde_json::from_str(&text).unwrap_or_else(|_| self.manifest(&self.tag_of(digest, "")))
    }

    /// Writes a manifest by hand.
    pub(crate) fn put(&self, reference: &str, manifest: &Value) {
        let media_type = manifest["mediaType"].as_str().expect("ours have it");
        self.http("PUT", &format!("manifests/{reference}"), media_type, manifest.to_string().as_bytes());
    }

    /// Writes a blob by hand; returns its descriptor.
    pub(crate) fn put_blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = pratique_testkit::digest(bytes);
        let head = self.http("POST", "blobs/uploads/", "", b"");
        let location = head.lines().find_map(|line| line.strip_prefix("Location: ")).expect("it says where");
        let upload = location.split_once("/blobs/").expect("in this repository").1;
        let separator = if upload.contains('?') { '&' } else { '?' };
        let upload = format!("blobs/{upload}{separator}digest={digest}");
        self.http("PUT", &upload, "application/octet-stream", bytes);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Takes a blob away, where the registry lets everybody do that.
    pub(crate) fn delete_blob(&self, digest: &str) {
        self.http("DELETE", &format!("blobs/{digest}"), "", b"");
    }

    /// The head of the answer, which must be a good one.
    fn http(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> String {
        let (head, said) = wire::ask(method, &self.url(path), media_type, body);
        let status = head.split(' ').nth(1).unwrap_or_default();
        assert!(status.starts_with('2'), "{method} {path}: {head}\n\n{said}");
        head
    }

    fn url(&self, path: &str) -> String {
        let (host, repository) = self.repository.split_once('/').expect("a repository is in a registry");
        format!("http://{host}/v2/{repository}/{path}")
    }
}
