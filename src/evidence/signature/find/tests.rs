use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use pratique_testkit::{
    BUNDLE_V0_3, Behaviour, DSSE_ENVELOPE, Image, Layer, Place as Spot, Registry, RegistrySetup, Route, SIMPLE_SIGNING,
};
use serde_json::{Value, json};

use super::*;
use crate::evidence::registry::Settings;
use crate::evidence::registry::outbound::Surroundings;

mod ceilings;
mod faults;
mod layouts;
mod rounds;

const REPOSITORY: &str = "team/app";
const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const BOTH: Kinds = Kinds { signatures: true, attestations: true };

/// A registry with an image, and what finds what is attached to it.
struct Room {
    registry: Registry,
    registries: Registries,
    subject: String,
    numbers: AtomicUsize,
}

impl Room {
    async fn new() -> Self {
        Self::of(Registry::setup()).await
    }

    async fn of(setup: RegistrySetup) -> Self {
        let registry = setup.start().await;
        let subject = registry.push(REPOSITORY, "1", &Image::single());
        let settings = Settings {
            hosts: None,
            docker_config: None,
            providers: None,
            realms: BTreeMap::new(),
            concurrency: 16,
            surroundings: Surroundings::Alone,
        };
        let (registries, _) = Registries::new(settings, &prometheus::Registry::new()).unwrap();
        Self { registry, registries, subject, numbers: AtomicUsize::new(0) }
    }

    fn attach(&self, spot: Spot, layers: &[Layer]) -> String {
        self.registry.attach_layers(REPOSITORY, &self.subject, spot, layers)
    }

    /// A manifest that refers to the subject of a test's own making: `change` makes it something else.
    fn refer(&self, layers: &[Value], change: impl FnOnce(&mut Value)) -> String {
        let empty = self.registry.put_blob(REPOSITORY, b"{}");
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            // Only what is listed counts, and nothing that is put here lists itself twice.
            "annotations": {"number": self.numbers.fetch_add(1, Ordering::Relaxed).to_string()},
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2},
            "layers": layers,
            "subject": {"mediaType": OCI_MANIFEST, "digest": self.subject, "size": 2},
        });
        change(&mut manifest);
        self.registry.put_manifest(REPOSITORY, None, OCI_MANIFEST, manifest.to_string())
    }

    /// The descriptor of a blob that is there.
    fn blob(&self, media_type: &str, bytes: &str) -> Value {
        let digest = self.registry.put_blob(REPOSITORY, bytes);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    fn tag(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.subject.replace(':', "-"))
    }

    async fn find(&self) -> Found {
        self.find_within(&Ceilings::default()).await
    }

    async fn find_within(&self, ceilings: &Ceilings) -> Found {
        self.search(REPOSITORY, &self.subject, BOTH, ceilings, DEADLINE).await
    }

    async fn search(
        &self,
        repository: &str,
        digest: &str,
        kinds: Kinds,
        ceilings: &Ceilings,
        deadline: Duration,
    ) -> Found {
        let repository = Reference::parse(&format!("{}/{repository}:other", self.registry.host())).unwrap();
        let (digest, asker) = (Digest::parse(digest).unwrap(), Asker::anonymous());
        let place = Where { registries: &self.registries, repository: &repository, digest: &digest, asker: &asker };
        Search::new(place, ceilings).run(kinds, deadline).await
    }

    /// Fault and words, with the registry's address as `HOST`.
    fn told(&self, found: &Found) -> Option<(Fault, String)> {
        let told = |trouble: &Trouble| (trouble.fault, trouble.words.replace(self.registry.host(), "HOST"));
        found.unread.as_ref().map(told)
    }

    /// Paths of manifests, blobs and lists that were asked for, in their order and shortened.
    fn asked(&self) -> Vec<String> {
        self.registry.requests().into_iter().map(|seen| seen.path.replace("/v2/team/app/", "")).collect()
    }
}

/// A payload with a signature that differs by this text.
fn simple(text: &str) -> Layer {
    Layer::new(SIMPLE_SIGNING, format!("payload {text}")).annotated("dev.cosignproject.cosign/signature", text)
}

fn envelope(text: &str) -> Layer {
    Layer::new(DSSE_ENVELOPE, format!("envelope {text}"))
}

fn bundle(text: &str) -> Layer {
    Layer::new(BUNDLE_V0_3, format!("bundle {text}"))
}

/// What was found, in short: layout, and the bytes or the kind of the flaw.
fn short(found: &Found) -> Vec<(Layout, String)> {
    let text = |bytes: &Arc<[u8]>| String::from_utf8_lossy(bytes).into_owned();
    let short = |item: &Item| {
        let what = match &item.material {
            Material::Simple { payload, annotations } => {
                assert!(annotations.signature.is_some());
                text(payload)
            }
            Material::Envelope { envelope, .. } => text(envelope),
            Material::Bundle(bundle) => text(bundle),
            Material::Flawed(flaw) => format!("{:?}", flaw.kind),
        };
        (item.layout, what)
    };
    found.items.iter().map(short).collect()
}

/// Nothing else than this was found, and nothing is in doubt.
#[track_caller]
fn assert_whole(found: &Found, expected: &[(Layout, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(layout, text)| (*layout, (*text).to_owned())).collect();
    assert_eq!((short(found), &found.unread, found.untried), (expected, &None, 0));
}
