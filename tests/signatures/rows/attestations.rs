//! Attestations of each type, and what is taken for one.

use crate::ask::{Ask, Said};
use crate::scene::{How, Scene, Who};
use crate::table::Row;
use crate::world::{OTHER, P256};

const ME: Who = Who::Key(P256);
/// By cosign's names; the last is its own.
const KINDS: [&str; 8] = [
    "slsaprovenance1",
    "slsaprovenance02",
    "spdxjson",
    "cyclonedx",
    "vuln",
    "openvex",
    "custom",
    "https://acme.example/reviewed/v1",
];

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (how, layout) in [(How::Bundle, "bundle-v0.3"), (How::Tag, "att-tag")] {
        for kind in KINDS {
            let write = move |scene: &mut Scene<'_>| scene.attest(ME, how, kind);
            rows.push(Row::yes(kind, Ask::attestation(kind, ME, how), layout, write));
        }
        let both = move |scene: &mut Scene<'_>| {
            scene.attest(Who::Key(OTHER), how, "vuln");
            scene.attest(ME, how, "spdxjson");
            scene.attest(ME, how, "cyclonedx");
        };
        for kind in ["spdxjson", "cyclonedx"] {
            rows.push(Row::yes("among others", Ask::attestation(kind, ME, how), layout, both));
        }
        let ask = |kind| Ask::attestation(kind, ME, how);
        rows.push(Row::no("of this type by another key", ask("vuln"), "attestation-untrusted", both));
        rows.push(Row::no("of other types alone", ask("slsaprovenance1"), "attestation-wrong-type", both));
        let provenance = move |scene: &mut Scene<'_>| scene.attest(ME, how, "slsaprovenance1");
        let by = |builder| Ask { builder: Some(builder), ..ask("slsaprovenance1") };
        rows.push(Row::yes("built by this one", by("https://acme.example/builder"), layout, provenance));
        let reason = "attestation-condition";
        rows.push(Row::no("built by another", by("https://acme.example/builder/2"), reason, provenance));
        rows.push(Row::no("none", ask("vuln"), "attestation-missing", |_| {}));
        let signed = move |scene: &mut Scene<'_>| scene.sign(ME, how, &[]);
        rows.push(Row::no("a signature alone", ask("vuln"), "attestation-missing", signed));
    }
    rows.push(attestation_for_signature(How::Tag));
    let row = attestation_for_signature(How::Bundle);
    let why = "cosign takes any statement in a bundle for a signature of the image";
    let mut row = row.but(Said::Refused("unsigned"), why);
    row.cosign_says(Some(true));
    rows.push(row);
    rows
}

fn attestation_for_signature(how: How) -> Row {
    let write = move |scene: &mut Scene<'_>| scene.attest(ME, how, "spdxjson");
    Row::no("an attestation, and a signature is asked for", Ask::signature(ME, how), "unsigned", write)
}
