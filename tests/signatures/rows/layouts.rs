//! Every layout that cosign writes, in every registry; annotations; media types; several signatures; indexes.

use crate::ask::{Ask, Said};
use crate::scene::{How, Scene, Who};
use crate::table::Row;
use crate::world::{OTHER, P256, Place};

const ME: Who = Who::Key(P256);

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for place in Place::ALL {
        for (how, layout) in FORMS {
            let write = move |scene: &mut Scene<'_>| scene.sign(ME, how, &[]);
            rows.push(Row::yes("signed", Ask::signature(ME, how), layout, write).at(place));
        }
        for (how, layout) in [(How::Bundle, "bundle-v0.3"), (How::Tag, "att-tag")] {
            let write = move |scene: &mut Scene<'_>| scene.attest(ME, how, "spdxjson");
            rows.push(Row::yes("attested", Ask::attestation("spdxjson", ME, how), layout, write).at(place));
        }
    }
    rows.extend(annotations());
    rows.extend(several());
    rows.extend(indexes());
    rows
}

const FORMS: [(How, &str); 3] =
    [(How::Bundle, "bundle-v0.3"), (How::Tag, "sig-tag"), (How::Referrer, "referrer-simple-signing")];

fn annotations() -> Vec<Row> {
    let mut rows = Vec::new();
    for (how, layout) in FORMS {
        let ask = |key, value| Ask { annotation: Some((key, value)), ..Ask::signature(ME, how) };
        let write = move |scene: &mut Scene<'_>| scene.sign(ME, how, &["-a", "env=prod", "-a", "team=shop"]);
        rows.push(Row::yes("annotated, and asked for it", ask("env", "prod"), layout, write));
        rows.push(Row::yes("annotated, and not asked for it", Ask::signature(ME, how), layout, write));
        rows.push(Row::no("annotated with another value", ask("env", "test"), "signature-mismatch", write));
        rows.push(Row::no("annotated with another name", ask("stage", "prod"), "signature-mismatch", write));
        let write = move |scene: &mut Scene<'_>| scene.sign(ME, how, &[]);
        rows.push(Row::no("not annotated", ask("env", "prod"), "signature-mismatch", write));
    }
    rows
}

fn several() -> Vec<Row> {
    let mut rows = Vec::new();
    for (how, layout) in FORMS {
        let write = move |scene: &mut Scene<'_>| {
            scene.sign(Who::Key(OTHER), how, &[]);
            scene.sign(ME, how, &["-a", "one=1"]);
            scene.sign(Who::Key(OTHER), how, &["-a", "two=2"]);
        };
        let mut row = Row::yes("signed between two strangers", Ask::signature(ME, how), layout, write);
        if how == How::Referrer {
            row = row.but(Said::Admitted(layout), "cosign reads no signatures where several manifests have them");
            row.cosign_says(None);
        }
        rows.push(row);
    }
    let write = |scene: &mut Scene<'_>| {
        let image = scene.image();
        scene.sign_in(&["COSIGN_DOCKER_MEDIA_TYPES=1"], &image, ME, How::Tag, &[]);
    };
    rows.push(Row::yes("with docker's media types", Ask::signature(ME, How::Tag), "sig-tag", write));
    for (how, layout) in FORMS {
        let write = move |scene: &mut Scene<'_>| {
            scene.push(&scene.world.docker_image.argument(), "v1");
            scene.digest.clone_from(&scene.world.docker_image.digest);
            scene.sign(ME, how, &[]);
        };
        rows.push(Row::yes("a docker image", Ask::signature(ME, how), layout, write));
    }
    rows
}

fn push_index(scene: &mut Scene<'_>) {
    scene.push(&scene.world.index.argument(), "v1");
    scene.digest.clone_from(&scene.world.index.digest);
}

fn indexes() -> Vec<Row> {
    const HERE: &str = "cosign looks at the digest that it is given alone";
    let mut rows = Vec::new();
    for (how, layout) in [(How::Bundle, "bundle-v0.3"), (How::Tag, "sig-tag")] {
        let ask = |signed| Ask { signed, ..Ask::signature(ME, how) };
        let index = move |scene: &mut Scene<'_>| {
            push_index(scene);
            scene.sign(ME, how, &[]);
        };
        let recursive = move |scene: &mut Scene<'_>| {
            push_index(scene);
            scene.sign(ME, how, &["--recursive"]);
        };
        // All of the platforms, or one of them, and not the index.
        let children = move |count: usize| {
            move |scene: &mut Scene<'_>| {
                push_index(scene);
                let index = scene.manifest(&scene.image());
                for entry in index["manifests"].as_array().expect("an index has entries").iter().take(count) {
                    let image = scene.named(entry["digest"].as_str().expect("with digests"));
                    scene.sign_in(&[], &image, ME, how, &[]);
                }
            }
        };
        rows.push(Row::yes("the index alone", ask("index"), layout, index));
        rows.push(Row::yes("the index alone", ask("either"), layout, index));
        let refused = Said::Refused("unsigned");
        rows.push(
            Row::yes("the index alone, and its platforms are asked for", ask("platforms"), layout, index)
                .but(refused, HERE),
        );
        for signed in ["index", "platforms", "either"] {
            rows.push(Row::yes("the index and its platforms", ask(signed), layout, recursive));
        }
        rows.push(Row::no("all platforms, and the index is asked for", ask("index"), "unsigned", children(2)));
        let admitted = Said::Admitted(layout);
        for signed in ["platforms", "either"] {
            rows.push(Row::no("all platforms", ask(signed), "", children(2)).but(admitted.clone(), HERE));
            rows.push(Row::no("one of two platforms", ask(signed), "unsigned", children(1)));
        }
    }
    rows
}
