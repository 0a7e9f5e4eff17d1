//! Signatures that are kept elsewhere, and images that are moved with them.

use crate::ask::{Ask, Said};
use crate::scene::{How, Scene, Who};
use crate::table::Row;
use crate::world::{P256, Place};

const ME: Who = Who::Key(P256);

pub(super) fn rows() -> Vec<Row> {
    let mut rows = identities();
    for (how, layout) in [(How::Bundle, "bundle-v0.3"), (How::Tag, "sig-tag")] {
        let apart = move |scene: &mut Scene<'_>| {
            let repository = format!("COSIGN_REPOSITORY={}", scene.signatures());
            scene.sign_in(&[&repository], &scene.image(), ME, how, &[]);
        };
        let ask = Ask { apart: true, ..Ask::signature(ME, how) };
        for place in [Place::Registry, Place::Referrers] {
            rows.push(Row::yes("in a repository of their own", ask, layout, apart).at(place));
        }
        rows.push(Row::no("elsewhere than is looked", Ask::signature(ME, how), "unsigned", apart));
        let beside = move |scene: &mut Scene<'_>| scene.sign(ME, how, &[]);
        rows.push(Row::no("beside the image, and not where is looked", ask, "unsigned", beside));
        for (from, to) in [
            (Place::Registry, Place::Registry),
            (Place::Registry, Place::Referrers),
            (Place::Referrers, Place::DockerRegistry),
        ] {
            let write = move |scene: &mut Scene<'_>| {
                let origin = signed_elsewhere(scene, from, how);
                let target = format!("{}:v1", scene.repository);
                scene.world.cosign.succeeds(&["copy", "--force", &origin, &target], &[]);
            };
            let what = format!("copied by cosign from {from:?}");
            // `cosign copy` leaves bundles behind.
            let row = if how.is_bundle() {
                Row::no(what, Ask::signature(ME, how), "unsigned", write)
            } else {
                Row::yes(what, Ask::signature(ME, how), layout, write)
            };
            rows.push(row.at(to));
        }
        // It puts the image itself under the fallback tag; of an index, that lists what refers to nothing.
        let write = move |scene: &mut Scene<'_>| {
            scene.digest.clone_from(&scene.world.index.digest);
            let origin = signed_elsewhere(scene, Place::Registry, how);
            let target = format!("{}:v1", scene.repository);
            scene.world.cosign.succeeds(&["copy", "--force", &origin, &target], &[]);
        };
        let row = if how.is_bundle() {
            Row::no("an index, copied by cosign", Ask::signature(ME, how), "unsigned", write)
        } else {
            Row::yes("an index, copied by cosign", Ask::signature(ME, how), layout, write)
        };
        rows.push(row);
        let write = move |scene: &mut Scene<'_>| {
            let origin = signed_elsewhere(scene, Place::Registry, how);
            scene.crane(&["copy", &origin, &format!("{}:v1", scene.repository)]);
        };
        rows.push(Row::no("the image was copied without them", Ask::signature(ME, how), "unsigned", write));
    }
    rows
}

/// The docker-reference inside of the payload, where the policy asks for it.
fn identities() -> Vec<Row> {
    const ALONE: &str = "cosign looks at the digest alone";
    const NAMELESS: &str = "a bundle names no repository, and this policy wants one named";
    let ask = |how| Ask { identity: true, ..Ask::signature(ME, how) };
    let here = |how| move |scene: &mut Scene<'_>| scene.sign(ME, how, &[]);
    let mismatch = Said::Refused("signature-mismatch");
    let copied = |scene: &mut Scene<'_>| {
        let origin = signed_elsewhere(scene, Place::Registry, How::Tag);
        let target = format!("{}:v1", scene.repository);
        scene.world.cosign.succeeds(&["copy", "--force", &origin, &target], &[]);
    };
    vec![
        Row::yes("names this repository", ask(How::Tag), "sig-tag", here(How::Tag)),
        Row::yes("names this repository", ask(How::Referrer), "referrer-simple-signing", here(How::Referrer)),
        Row::yes("names another repository", ask(How::Tag), "", copied).but(mismatch.clone(), ALONE),
        Row::yes("names no repository", ask(How::Bundle), "", here(How::Bundle)).but(mismatch, NAMELESS),
    ]
}

/// Signs the image in another repository; returns its name there.
fn signed_elsewhere(scene: &Scene<'_>, place: Place, how: How) -> String {
    let name = scene.repository.rsplit('/').next().unwrap_or_default();
    let repository = format!("{}/origin/{name}", scene.world.host(place));
    let layouts = [&scene.world.image, &scene.world.index];
    let layout = layouts.into_iter().find(|layout| layout.digest == scene.digest).expect("it is one of them");
    scene.crane(&["push", &layout.argument(), &format!("{repository}:v1")]);
    let image = format!("{repository}@{}", scene.digest);
    scene.sign_in(&[], &image, ME, how, &[]);
    image
}
