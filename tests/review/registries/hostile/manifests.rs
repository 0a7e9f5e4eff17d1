//! Manifests that are other bytes than was said, that two readers would read as two things, or that are no manifests.

use serde_json::{Value, json};

use super::*;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DIGEST: &str = pratique_testkit::DIGEST;

fn descriptor(digest: &str) -> Value {
    json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 2})
}

/// A sound image, of which one thing is changed.
fn image(pointer: &str, value: Value) -> String {
    let sound = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(DIGEST), "layers": []});
    changed(&sound, pointer, value)
}

/// A sound index with one entry, of which one thing is changed.
fn index(pointer: &str, value: Value) -> String {
    let mut entry = descriptor(DIGEST);
    entry["platform"] = json!({"os": "linux", "architecture": "amd64"});
    changed(&json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}), pointer, value)
}

fn changed(sound: &Value, pointer: &str, value: Value) -> String {
    pratique_testkit::Review::read(&sound.to_string()).set(pointer, value).to_string()
}

async fn broken(what: &str, content_type: &str, body: impl Into<Vec<u8>>, words: &str) -> Lie {
    let behaviour = answer_with(content_type, body);
    let arrange = |registry: &Registry| registry.on(Route::Manifest, behaviour);
    Lie::new(what, Open, arrange, "registry-broken", &format!("HOST sent a manifest {words}")).await
}

#[tokio::test]
async fn other_bytes_than_those_of_the_digest_that_is_said_are_never_believed() {
    let digest = Image::single().digest();
    let other = Image::single().label("another").digest();
    let mut lies = Vec::new();
    for door in [Open, Private] {
        let words = ("digest-mismatch", "HOST sent a manifest with the Docker-Content-Digest of another");
        lies.push(Lie::on(door, Route::Manifest, Behaviour::WrongBytes, words).await);
        lies.push(Lie::on(door, Route::Manifest, Behaviour::LyingDigestHeader(other.clone()), words).await);
    }
    for garbage in ["sha256:../../x", "sha256:", "md5:00", "", "sha256:AA", &digest.to_uppercase()] {
        let words = ("registry-broken", "HOST sent a Docker-Content-Digest that is no digest");
        let lying = Behaviour::LyingDigestHeader(garbage.to_owned());
        lies.push(Lie::on(Open, Route::Manifest, lying, words).await);
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn the_word_of_a_head_is_never_enough_for_a_new_digest() {
    let registry = start(Open).await;
    registry.push("acme/web", "v1", &Image::single());
    let setup = pratique_testkit::Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
    let image = named(&registry, "acme/web:v1");
    assert!(super::super::ask(&webhook, "shop", &image).await.allowed);
    registry.on(Route::ManifestHead, Behaviour::LyingDigestHeader(DIGEST.to_owned()));
    pratique_testkit::eventually("it is fetched, as HEAD said that it was moved", async || {
        let answer = super::super::ask(&webhook, "shop", &image).await;
        assert!(answer.allowed && answer.annotations["digests"].contains(&Image::single().digest()), "{answer:?}");
        registry.count(Route::Manifest) >= 3
    })
    .await;
}

#[tokio::test]
async fn a_manifest_that_can_be_read_as_two_things_is_none() {
    let both = image("/manifests", json!([descriptor(DIGEST)]));
    let twice = image("/x", json!(0)).replacen("\"layers\"", "\"layers\":[],\"layers\"", 1);
    let capitals = image("/Layers", json!([]));
    let schema_1 = json!({"schemaVersion": 1, "name": "acme/web", "tag": "v1", "fsLayers": [], "history": []});
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let contradicts = "whose mediaType is not its Content-Type";
    let legacy = "of Docker's schema 1, which containerd does not run any more: push the image again";
    let sound = image("/annotations", json!({}));
    let image_of_entries = "that is an index and an image at once";
    assert_refused(vec![
        broken("image as index", OCI_INDEX, sound.clone(), contradicts).await,
        broken("image as docker's", DOCKER_MANIFEST, sound.clone(), contradicts).await,
        broken("index as image", OCI_MANIFEST, index("/annotations", json!({})), contradicts).await,
        broken("says of itself that it is an index", OCI_MANIFEST, image("/mediaType", json!(OCI_INDEX)), contradicts)
            .await,
        broken("both", OCI_MANIFEST, both.clone(), image_of_entries).await,
        broken("both, of no type", "", both, image_of_entries).await,
        broken("index with layers", OCI_INDEX, index("/layers", json!([])), image_of_entries).await,
        broken("schema 1", signed, schema_1.to_string(), legacy).await,
        broken("schema 1 in disguise", "application/json", schema_1.to_string(), legacy).await,
        broken("schema 3", OCI_MANIFEST, image("/schemaVersion", json!(3)), "whose schemaVersion is not 2").await,
        broken("a key twice", OCI_MANIFEST, twice, "that has a key twice, of which nodes read another").await,
        broken("capitals", OCI_MANIFEST, capitals, "that has a key in other capitals").await,
        broken("another type", "application/zip", sound.clone(), contradicts).await,
        broken("a type of nobody", "", image("/mediaType", json!("application/zip")), "of a type that is neither")
            .await,
    ])
    .await;
}

#[tokio::test]
async fn a_manifest_that_is_none_or_too_much_of_one_is_told_as_that() {
    let deep = |open: &str| format!("{{\"schemaVersion\":2,\"x\":{}", open.repeat(200_000));
    let form = "that is not of the form that the OCI image specification has";
    let entries = |count: usize, entry: &str| {
        format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"{OCI_INDEX}\",\"manifests\":[{}]}}",
            vec![entry; count].join(",")
        )
    };
    let entry = descriptor(DIGEST).to_string();
    let named =
        |count: usize| (0..count).map(|number| (number.to_string(), json!(""))).collect::<serde_json::Map<_, _>>();
    let mut noted = descriptor(DIGEST);
    noted["annotations"] = Value::Object(named(100));
    let mut lies = vec![
        broken("deep lists", OCI_MANIFEST, deep("["), "that is no JSON").await,
        broken("deep objects", OCI_MANIFEST, deep("{\"a\":"), "that is no JSON").await,
        broken("deep manifests", OCI_INDEX, format!("{{\"manifests\":{}", "[".repeat(200_000)), "that").await,
        broken("wide, of nothing", OCI_INDEX, entries(100_000, "{}"), "that lists more than 1000 descriptors").await,
        broken("wide", OCI_INDEX, entries(25_000, &entry), "that lists more than 1000 descriptors").await,
        broken(
            "wide layers",
            OCI_MANIFEST,
            image("/layers", json!(vec![descriptor(DIGEST); 1_001])),
            "that lists more than 1000 descriptors",
        )
        .await,
        broken(
            "annotations",
            OCI_MANIFEST,
            image("/annotations", Value::Object(named(257))),
            "that has more than 256 annotations",
        )
        .await,
        broken(
            "all annotations",
            OCI_INDEX,
            index("/manifests", json!(vec![noted; 101])),
            "that has more than 10000 annotations in all",
        )
        .await,
        broken("nothing", OCI_MANIFEST, "", "that is no JSON").await,
        broken("not UTF-8", OCI_MANIFEST, b"{\"schemaVersion\":2,\"mediaType\":\"\xff\"}".to_vec(), "that").await,
        broken("null", OCI_MANIFEST, "null", "that").await,
        broken("a list", OCI_MANIFEST, "[2]", "that has a list where an object belongs").await,
        broken("two documents", OCI_MANIFEST, image("/x", json!(0)).repeat(2), "that is no JSON").await,
        broken("no config", OCI_MANIFEST, "{\"schemaVersion\":2}", "").await,
        broken("negative size", OCI_MANIFEST, image("/config/size", json!(-1)), form).await,
        broken("absurd size", OCI_MANIFEST, image("/config/size", json!(1e99)), form).await,
        broken("null list", OCI_INDEX, index("/manifests/0", Value::Null), form).await,
    ];
    let last = lies.len() - 4;
    lies[last].words = "HOST sent an image manifest without config".to_owned();
    let wider = answer_with(OCI_INDEX, entries(100_000, &entry));
    let too_long = ("registry-broken", "HOST sent more than 4 MiB for a manifest");
    lies.push(Lie::on(Open, Route::Manifest, wider, too_long).await);
    assert_refused(lies).await;
}

#[tokio::test]
async fn garbage_in_a_descriptor_leads_nowhere() {
    let mut lies = Vec::new();
    let none = "with a descriptor whose digest is none";
    for digest in
        ["sha256:../../x", "../../v2/other/manifests/latest", "", "sha256:%2e%2e", "latest", &DIGEST.to_uppercase()]
    {
        for body in [index("/manifests/0/digest", json!(digest)), image("/config/digest", json!(digest))] {
            lies.push(broken(digest, "", body, none).await);
        }
    }
    for platform in [
        json!({"os": "linux\n", "architecture": "amd64"}),
        json!({"os": "l".repeat(100), "architecture": "amd64"}),
        json!({"os": "linux", "architecture": "amd64", "variant": "\u{202e}"}),
        json!({"os": "\u{1b}[31m", "architecture": "amd64"}),
    ] {
        let mut lie = broken(&platform.to_string(), "", index("/manifests/0/platform", platform), "").await;
        lie.words = "HOST sent an index with a platform that is none".to_owned();
        lies.push(lie);
    }
    for platform in [json!([]), json!("linux/amd64"), json!({"os": 1, "architecture": 2}), json!({"os": "linux"})] {
        lies.push(broken(&platform.to_string(), "", index("/manifests/0/platform", platform), "that").await);
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn an_index_in_an_index_is_not_followed() {
    let registry = start(Open).await;
    let inner = registry.put_manifest("acme/web", None, OCI_INDEX, index("/annotations", json!({})));
    let mut entry = descriptor(&inner);
    entry["mediaType"] = json!(OCI_INDEX);
    let outer = registry.put_manifest("acme/web", Some("v1"), OCI_INDEX, index("/manifests/0", entry));
    let beside = Beside::these(&[&registry]).await;
    let answer = beside.ask(&named(&registry, "acme/web:v1"), 10).await;
    assert!(answer.allowed && answer.annotations["digests"].contains(&outer), "{answer:?}");
    assert_eq!(registry.count(Route::Any), 1);
}
