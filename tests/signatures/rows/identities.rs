//! Certificates of the private Sigstore, and keys whose signatures its logs know.

use std::time::Duration;

use crate::ask::{Ask, Said};
use crate::scene::{How, Scene, Who};
use crate::table::Row;
use crate::world::{OTHER, P256, Place};

const ME: Who = Who::Mail("release@acme.example");
const STRANGER: Who = Who::Mail("release@acme.example.org");
const WORKFLOW: Who = Who::Workflow("acme/shop");
const FORK: Who = Who::Workflow("mallory/shop");

/// How certificates are used, with the layouts of signatures and of attestations.
const FORMS: [(How, &str, &str); 5] = [
    (How::BundleLogged, "bundle-v0.3", "bundle-v0.3"),
    (How::BundleTimed, "bundle-v0.3", "bundle-v0.3"),
    (How::BundleEntry, "bundle-v0.3", "bundle-v0.3"),
    (How::TagEntry, "sig-tag", "att-tag"),
    (How::TagTimed, "sig-tag", "att-tag"),
];

const STAMPED: &str = "cosign has the signature in an envelope stamped, and looks for a stamp of the whole envelope";

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (how, layout, attested) in FORMS {
        for who in [ME, WORKFLOW] {
            let write = move |scene: &mut Scene<'_>| scene.sign(who, how, &[]);
            rows.push(Row::yes("signed", Ask::signature(who, how), layout, write));
        }
        let write = move |scene: &mut Scene<'_>| scene.sign(ME, how, &[]);
        let untrusted = "signature-untrusted";
        rows.push(Row::no("another subject", Ask::signature(STRANGER, how), untrusted, write));
        rows.push(Row::no("another issuer and subject", Ask::signature(WORKFLOW, how), untrusted, write));
        let namesake = Ask::signature(Who::Namesake("release@acme.example"), how);
        rows.push(Row::no("another issuer", namesake, untrusted, write));
        rows.push(Row::no("a key is asked for", Ask::signature(Who::Key(P256), how), untrusted, write));
        for (what, root) in [
            ("an authority that is over", "ended.json"),
            ("the promise of another log of certificates", "promises.json"),
        ] {
            rows.push(Row::no(what, Ask { root, ..Ask::signature(ME, how) }, "signature-invalid", write));
        }
        if how.is_logged() {
            let ask = Ask { root: "logs.json", ..Ask::signature(ME, how) };
            rows.push(Row::no("entries of another log", ask, "signature-invalid", write));
        }
        let write = move |scene: &mut Scene<'_>| scene.attest(WORKFLOW, how, "slsaprovenance1");
        let ask = |kind, who| Ask::attestation(kind, who, how);
        let mut row = Row::yes("attested", ask("slsaprovenance1", WORKFLOW), attested, write);
        if how == How::TagTimed {
            row = row.but(Said::Admitted(attested), STAMPED);
            row.cosign_says(Some(false));
        }
        rows.push(row);
        rows.push(Row::no("attested by a fork", ask("slsaprovenance1", FORK), "attestation-untrusted", write));
        rows.push(Row::no("attested something else", ask("vuln", WORKFLOW), "attestation-wrong-type", write));
    }
    rows.extend(extensions());
    rows.extend(keys());
    rows.extend(certificates());
    rows
}

fn extensions() -> Vec<Row> {
    let (how, write) = (How::BundleLogged, |scene: &mut Scene<'_>| scene.sign(WORKFLOW, How::BundleLogged, &[]));
    let ask = |name| Ask { workflow: Some(name), ..Ask::signature(WORKFLOW, how) };
    vec![
        Row::yes("of this repository", ask("acme/shop"), "bundle-v0.3", write).at(Place::Referrers),
        Row::no("of another repository", ask("acme/tools"), "signature-untrusted", write).at(Place::Referrers),
    ]
}

/// Keys with a log, demanded or not.
fn keys() -> Vec<Row> {
    let me = Who::Key(P256);
    let mut rows = Vec::new();
    for (how, layout) in
        [(How::BundleLogged, "bundle-v0.3"), (How::BundleEntry, "bundle-v0.3"), (How::TagEntry, "sig-tag")]
    {
        let write = move |scene: &mut Scene<'_>| scene.sign(me, how, &[]);
        rows.push(Row::yes("signed and logged", Ask::signature(me, how), layout, write));
        let ask = Ask { root: "logs.json", ..Ask::signature(me, how) };
        rows.push(Row::no("signed and logged by another log", ask, "signature-untrusted", write));
    }
    rows
}

/// Certificates that Fulcio did not issue a moment ago, each with a timestamp of now.
fn certificates() -> Vec<Row> {
    let written = |minutes: u64| {
        move |scene: &mut Scene<'_>| {
            let world = scene.world;
            let key = std::fs::read_to_string(world.key_file(OTHER, "pem")).expect("an imported key has it");
            let certificate =
                world.sigstore.certificate("release@acme.example", &key, Duration::from_secs(minutes * 60));
            let file = format!("{minutes}.certificate");
            world.cosign.write(&file, &certificate);
            let certificate = format!("--certificate={}", world.cosign.file(&file));
            let chain = format!("--certificate-chain={}", world.sigstore.file("authority.pem"));
            scene.sign(Who::Key(OTHER), How::TagTimed, &[&certificate, &chain]);
        }
    };
    let ask = Ask::signature(ME, How::TagTimed);
    vec![
        Row::yes("a certificate that is good", ask, "sig-tag", written(1)),
        Row::no("a certificate that had expired", ask, "signature-invalid", written(60)),
    ]
}
