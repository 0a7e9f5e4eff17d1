//! Registries that attach to an image whatever hurts: nothing of it admits, each refusal says what is wrong, nothing
//! that a stranger wrote gets out unescaped, no credential is told, and the process lives on within its memory.
//!
//! An [`Attack`] is one private repository. All attacks of a test are asked for of one real program with its
//! log at its most talkative; an image that is signed well is admitted before and after them.

use std::fmt::Write as _;
use std::time::Instant;

use futures_util::future::join_all;
use pratique_testkit::signer::KeyKind;
use pratique_testkit::{Program, run};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::*;
use crate::PRATIQUE;

mod behaviours;
mod bounds;
mod memory;
mod words;

const ALICE: &str = "alice";
const PASSWORD: &str = "alice-has-this-password-here";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
/// `?timeout=`, in seconds.
const TIMEOUT: u64 = 10;
/// Attacks that are made at once: as many of the largest answers fit into the memory for one registry.
const AT_ONCE: usize = 2;

/// Who is trusted: a key, and who has certificates of a private Sigstore.
struct World {
    key: Key,
    sigstore: PrivateSigstore,
}

impl World {
    fn new() -> Self {
        Self { key: Key::generate(KeyKind::P256), sigstore: PrivateSigstore::new() }
    }

    fn signer(&self) -> Signer {
        Signer::key(&self.key)
    }

    async fn registry() -> Registry {
        Registry::setup().tls().token(ALICE, PASSWORD).private("acme").start().await
    }

    /// The real program with a policy for signatures and one for attestations.
    async fn beside(&self, registries: &[&Registry], environment: &[(&str, &str)]) -> Beside {
        let (files, manifests) = (Directory::new(), Directory::new());
        let mut account =
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: NS, name: default}\nimagePullSecrets:\n"
                .to_owned();
        for registry in registries {
            registry.write_hosts(files.path());
            let name = format!("pull-{}", registry.port());
            writeln!(account, "- {{name: {name}}}").unwrap();
            let login = json!({"auths": {registry.host(): {"username": ALICE, "password": PASSWORD}}}).to_string();
            for namespace in ["signed", "attested"] {
                let metadata = json!({"namespace": namespace, "name": name});
                let data = json!({".dockerconfigjson": login});
                let kind = "kubernetes.io/dockerconfigjson";
                let secret = json!({
                    "apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "stringData": data
                });
                manifests.write(&format!("{namespace}-{name}.yaml"), &secret.to_string());
            }
        }
        let authorities = [keys("ours", &[&self.key]), keyless("release", ISSUER, RELEASE)];
        let attested = format!("attestations:\n- {{predicateType: \"{PROVENANCE}\", authorities: [ours, release]}}");
        for (namespace, demand) in
            [("signed", "signatures: {authorities: [ours, release]}"), ("attested", attested.as_str())]
        {
            manifests.policy(namespace, &spec(demand, &authorities));
            manifests.namespace(namespace, &[("pratique.dev/enforce", namespace)]);
            manifests.write(&format!("account-{namespace}.yaml"), &account.replace("NS", namespace));
        }
        files.write("root.json", &self.sigstore.trusted_root_json());
        let settings = json!({
            "registries": {"hosts": files.path()},
            "trust": [{"name": "private", "trustedRoot": files.file("root.json")}],
            "log": {"level": "trace"},
        });
        files.write("settings.yaml", &settings.to_string());
        let arguments = ["--config", &files.file("settings.yaml")];
        let program = Program::serve_in(PRATIQUE, &manifests, &arguments, environment).await;
        Beside { program, files, manifests }
    }
}

struct Beside {
    program: Program,
    files: Directory,
    manifests: Directory,
}

impl Beside {
    async fn ask(&self, namespace: &str, image: &str) -> Answer {
        let review = review(&pod("web").container("web", image)).in_namespace(namespace);
        self.program.client().review_within(&review, &format!("{TIMEOUT}s")).await
    }

    /// An image of its own that is signed and attested well is admitted.
    async fn assert_lives(&self, world: &World, registry: &Registry, name: &str) {
        let repository = format!("acme/{name}");
        let digest = registry.push(&repository, "v1", &Image::single().label(name));
        let bundle = world.signer().bundle(Version::V03, &Statement::signature_of(&digest));
        bundle.attach(registry, &repository, &digest, Place::Referrer);
        let attestation = world.signer().envelope(&Statement::about(&digest, PROVENANCE));
        attestation.attach(registry, &repository, &digest, Place::AttestationTag);
        for namespace in ["signed", "attested"] {
            let answer = self.ask(namespace, &format!("{}/{repository}:v1", registry.host())).await;
            assert!(answer.allowed, "{name} {namespace}: {}", answer.message);
        }
        assert_eq!(self.program.client().metric("pratique_panics_total").await, Some(0.0));
    }

    /// No credential, and nothing that a terminal obeys, in the log or in this text.
    fn assert_nothing_gets_out(&self, registries: &[&Registry], told: &str) {
        let told = format!("{told}\n{}", self.program.log());
        let seen: Vec<String> = registries.iter().flat_map(|registry| registry.authorizations()).collect();
        for secret in seen.iter().filter_map(|value| value.split_once(' ')).map(|(_, secret)| secret).chain([PASSWORD])
        {
            assert!(!told.contains(secret), "a secret is told");
        }
        assert_harmless(&told);
    }
}

/// No control characters but the ends of lines, and no letters that turn a line around.
fn assert_harmless(told: &str) {
    let harms = |letter: &char| {
        (letter.is_control() && *letter != '\n') || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some((at, letter)) = told.char_indices().find(|(_, letter)| harms(letter)) {
        let from = told.floor_char_boundary(at.saturating_sub(200));
        panic!("{letter:?} gets out: {:?}", &told[from..told.ceil_char_boundary(at + 50)]);
    }
}

/// Something attached to an image of its own, and what has to be said of it.
struct Attack {
    what: String,
    namespace: &'static str,
    reason: &'static str,
    words: &'static str,
    layers: Vec<(pratique_testkit::Layer, Place)>,
}

impl Attack {
    fn new(what: &str, namespace: &'static str, (reason, words): (&'static str, &'static str)) -> Self {
        Self { what: what.to_owned(), namespace, reason, words, layers: Vec::new() }
    }

    fn with(mut self, layer: &Layer, place: Place) -> Self {
        self.layers.push((layer.into(), place));
        self
    }

    fn raw(mut self, media_type: &str, bytes: impl AsRef<[u8]>, place: Place) -> Self {
        self.layers.push((pratique_testkit::Layer::new(media_type, bytes), place));
        self
    }
}

/// Makes an attack on an image's digest.
type Made<'a> = Box<dyn Fn(&str) -> Attack + 'a>;

/// All at once; each is refused for its own reason, in time, and the program lives on.
async fn assert_refused(world: &World, attacks: &[Made<'_>]) {
    let registry = World::registry().await;
    let beside = world.beside(&[&registry], &[]).await;
    beside.assert_lives(world, &registry, "before").await;
    let attacks = attacks.iter().enumerate().map(|(number, made)| {
        let repository = format!("acme/attack-{number}");
        let digest = registry.push(&repository, "v1", &Image::single().label(&repository));
        let attack = made(&digest);
        let (referring, tagged): (Vec<_>, Vec<_>) =
            attack.layers.iter().partition(|(_, place)| *place == Place::Referrer);
        for (layer, place) in referring {
            registry.attach_layers(&repository, &digest, *place, std::slice::from_ref(layer));
        }
        if let Some((_, place)) = tagged.first() {
            let layers: Vec<_> = tagged.iter().map(|(layer, _)| layer.clone()).collect();
            registry.attach_layers(&repository, &digest, *place, &layers);
        }
        (format!("{}/{repository}:v1", registry.host()), attack)
    });
    let attacks: Vec<(String, Attack)> = attacks.collect();
    let places = Semaphore::new(AT_ONCE);
    let answers = join_all(attacks.iter().map(async |(image, attack)| {
        let _place = places.acquire().await.unwrap();
        let started = Instant::now();
        (beside.ask(attack.namespace, image).await, started.elapsed())
    }))
    .await;
    let mut wrong = String::new();
    for ((_, attack), (answer, took)) in attacks.iter().zip(&answers) {
        let right = !answer.allowed && reason(answer) == attack.reason && answer.message.contains(attack.words);
        if !right || took.as_secs() >= TIMEOUT {
            writeln!(wrong, "{}: {took:?} {:?} {}", attack.what, attack.reason, answer.message).unwrap();
        }
        assert_harmless(&format!("{}\n{}\n{:?}", answer.message, answer.warnings.join("\n"), answer.annotations));
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    beside.assert_lives(world, &registry, "after").await;
    beside.assert_nothing_gets_out(&[&registry], &format!("{answers:?}"));
    assert!(registry.requests().iter().all(|request| !format!("{request:?}").contains("..")), "a path is led astray");
}

/// The same bundle with something else in its JSON.
fn changed(layer: Layer, change: impl FnOnce(&mut Value)) -> Layer {
    let mut bundle: Value = serde_json::from_slice(&layer.bytes).unwrap();
    change(&mut bundle);
    Layer { bytes: bundle.to_string().into_bytes(), ..layer }
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}
