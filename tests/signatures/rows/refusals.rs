//! What nobody takes: nothing, others' signatures, signatures of others, and what is not all there.

use serde_json::{Value, json};

use crate::ask::{Ask, Said};
use crate::scene::{How, Scene, Who};
use crate::table::Row;
use crate::world::{OTHER, P256, Place};

const ME: Who = Who::Key(P256);
const STRANGER: Who = Who::Key(OTHER);

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for how in [How::Bundle, How::Tag, How::Referrer] {
        let ask = Ask::signature(ME, how);
        rows.push(Row::no("nothing", ask, "unsigned", |_| {}));
        let stranger = move |scene: &mut Scene<'_>| scene.sign(STRANGER, how, &[]);
        rows.push(Row::no("another key", ask, "signature-untrusted", stranger));
        if how != How::Referrer {
            let ask = Ask { logged: Some(true), ..ask };
            let write = move |scene: &mut Scene<'_>| scene.sign(ME, how, &[]);
            rows.push(Row::no("a log is asked for", ask, "signature-untrusted", write));
        }
    }
    rows.push(Row::no("copied from another image", Ask::signature(ME, How::Tag), "signature-mismatch", |scene| {
        copy_tag(scene, ".sig", |scene, image| scene.sign_in(&[], image, ME, How::Tag, &[]));
    }));
    let ask = Ask::attestation("vuln", ME, How::Tag);
    rows.push(Row::no("copied from another image", ask, "attestation-mismatch", |scene| {
        copy_tag(scene, ".att", |scene, image| scene.attest_image(image, ME, How::Tag, "vuln"));
    }));
    let ask = Ask::attestation("vuln", ME, How::Bundle);
    for place in [Place::Registry, Place::Referrers] {
        rows.push(
            Row::no("copied from another image", Ask::signature(ME, How::Bundle), "signature-mismatch", |scene| {
                copy_referrer(scene, |scene, image| scene.sign_in(&[], image, ME, How::Bundle, &[]));
            })
            .at(place),
        );
        rows.push(
            Row::no("copied from another image", ask, "attestation-mismatch", |scene| {
                copy_referrer(scene, |scene, image| scene.attest_image(image, ME, How::Bundle, "vuln"));
            })
            .at(place),
        );
    }
    rows.extend(broken());
    rows
}

/// Pushes another image, signs that, and gives the signature the name of this one's.
fn copy_tag(scene: &Scene<'_>, suffix: &str, sign: fn(&Scene<'_>, &str)) {
    let other = &scene.world.other_image;
    scene.push(&other.argument(), "other");
    sign(scene, &scene.named(&other.digest));
    scene.crane(&["copy", &scene.tag_of(&other.digest, suffix), &scene.tag_of(&scene.digest, suffix)]);
}

/// The same for what refers to an image: the bundle, in a manifest with this image as its subject.
fn copy_referrer(scene: &Scene<'_>, sign: fn(&Scene<'_>, &str)) {
    let other = &scene.world.other_image;
    scene.push(&other.argument(), "other");
    sign(scene, &scene.named(&other.digest));
    let mut manifest = scene.manifest(&scene.named(&referrer(scene, &other.digest)));
    let size = scene.crane(&["manifest", &scene.image()]).len();
    manifest["subject"]["digest"] = json!(scene.digest);
    manifest["subject"]["size"] = json!(size);
    refer(scene, &manifest);
}

/// The digest of what refers to a digest first.
fn referrer(scene: &Scene<'_>, digest: &str) -> String {
    let list = scene.referrers(digest);
    list["manifests"][0]["digest"].as_str().expect("something refers to it").to_owned()
}

/// Writes a manifest that refers to the image, and the fallback tag.
fn refer(scene: &Scene<'_>, manifest: &Value) {
    let text = manifest.to_string();
    let digest = pratique_testkit::digest(text.as_bytes());
    scene.put(&digest, manifest);
    let entry = json!({"mediaType": manifest["mediaType"], "digest": digest, "size": text.len(),
        "artifactType": manifest["artifactType"]});
    let index =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]});
    scene.put(&scene.digest.replace(':', "-"), &index);
}

fn broken() -> Vec<Row> {
    let mut rows = Vec::new();
    for how in [How::Tag, How::Bundle] {
        // The registry has lost what the manifest names.
        let write = move |scene: &mut Scene<'_>| {
            scene.sign(ME, how, &[]);
            let reference = if how.is_bundle() {
                scene.named(&referrer(scene, &scene.digest))
            } else {
                scene.tag_of(&scene.digest, ".sig")
            };
            let manifest = scene.manifest(&reference);
            scene.delete_blob(manifest["layers"][0]["digest"].as_str().expect("it has a layer"));
        };
        let row = Row::no("its payload is gone", Ask::signature(ME, how), "", write).at(Place::Referrers);
        rows.push(row.says(Said::Refused("signature-invalid")));
        // One byte of the signed text is another.
        let write = move |scene: &mut Scene<'_>| {
            scene.sign(ME, how, &["-a", "env=prod"]);
            change(scene, how);
        };
        let row = Row::no("its payload is another", Ask::signature(ME, how), "", write);
        rows.push(row.says(Said::Refused("signature-untrusted")));
    }
    rows
}

/// Writes the payload or bundle anew with another annotation.
fn change(scene: &Scene<'_>, how: How) {
    let reference = if how.is_bundle() {
        scene.named(&referrer(scene, &scene.digest))
    } else {
        scene.tag_of(&scene.digest, ".sig")
    };
    let mut manifest = scene.manifest(&reference);
    let layer = &manifest["layers"][0];
    let blob = scene.named(layer["digest"].as_str().expect("it has a layer"));
    let text = scene.crane(&["blob", &blob]);
    let changed = if how.is_bundle() { change_bundle(&text) } else { text.replace("prod", "test") };
    assert_ne!(changed, text, "it had the annotation");
    let media_type = layer["mediaType"].as_str().expect("a layer has a type").to_owned();
    let descriptor = scene.put_blob(&media_type, changed.as_bytes());
    for field in ["digest", "size"] {
        manifest["layers"][0][field] = descriptor[field].clone();
    }
    if how.is_bundle() {
        refer(scene, &manifest);
    } else {
        scene.put(reference.rsplit(':').next().expect("a tag"), &manifest);
    }
}

fn change_bundle(text: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let mut bundle: Value = serde_json::from_str(text).expect("a bundle is JSON");
    let payload = bundle["dsseEnvelope"]["payload"].as_str().expect("with a payload");
    let payload = String::from_utf8(STANDARD.decode(payload).expect("in base64")).expect("of text");
    bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(payload.replace("prod", "test")));
    bundle.to_string()
}
