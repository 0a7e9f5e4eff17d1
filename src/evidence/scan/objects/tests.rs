//! Objects that speak of a manifest, and which of them count.

use serde_json::{Value, json};

use super::*;
use crate::fact::report::InIndex;
use crate::fact::{Fault, Seen, Source, Trouble};
use crate::image::Platform;

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

/// A manifest `a` with configuration `c` in index `1`, beside others.
fn manifest() -> ScannedManifest {
    ScannedManifest {
        digest: digest('a'),
        platform: Some(Platform { os: "linux".to_owned(), architecture: "arm64".to_owned(), variant: None }),
        config: Fact::Known(Seen { value: digest('c'), at: Timestamp::UNIX_EPOCH, source: Source::Current }),
        index: Some(InIndex { digest: digest('1'), sole_of_architecture: true, sole: false }),
        reports: None,
    }
}

fn object(of: char, day: u8, scanner: &str) -> Value {
    json!({
        "apiVersion": "aquasecurity.github.io/v1alpha1", "kind": "VulnerabilityReport",
        "report": {
            "artifact": {"repository": "acme/web", "digest": digest(of).as_str()},
            "scanner": {"name": scanner, "version": "0.76.0"},
            "updateTimestamp": format!("2026-11-{day:02}T00:00:00Z"),
            "summary": {"criticalCount": 0}, "vulnerabilities": [],
        },
    })
}

fn objects(of: &[(&str, Value)]) -> Objects {
    let mut objects = Objects::default();
    for (name, object) in of {
        objects.add("trivy", name, object);
    }
    objects
}

fn about(objects: &Objects, manifest: &ScannedManifest) -> Option<(Vec<String>, Vec<(String, Defect)>)> {
    let Reports { found, unusable } = objects.about_at(manifest, "2026-11-20T00:00:00Z".parse().unwrap())?;
    assert!(found.iter().all(|its| its.origin == Origin::Object));
    let unusable = unusable.iter().map(|(_, place, its)| (place.to_string(), its.defect)).collect();
    Some((found.iter().map(|its| its.place.to_string()).collect(), unusable))
}

#[test]
fn of_each_scanner_the_newest_speaks_and_all_of_the_same_moment() {
    let mut all = vec![
        ("old", object('a', 1, "Trivy")),
        ("new", object('a', 2, "Trivy")),
        ("same", object('a', 2, "trivy")),
        ("clair", object('a', 1, "Clair")),
        ("other", object('b', 3, "Trivy")),
    ];
    let expected = ["trivy/clair", "trivy/new", "trivy/same"].map(str::to_owned).to_vec();
    for _ in 0..all.len() {
        all.rotate_left(1);
        assert_eq!(about(&objects(&all), &manifest()), Some((expected.clone(), vec![])));
    }
    assert_eq!((objects(&all).usable, objects(&all).unusable), (5, 0));
    assert_eq!(about(&objects(&all[..0]), &manifest()), None);
    assert_eq!(about(&objects(&[("other", object('b', 3, "Trivy"))]), &manifest()), None);
}

#[test]
fn what_is_dated_ahead_hides_no_real_one() {
    let all = objects(&[("ahead", object('a', 21, "Trivy")), ("real", object('a', 1, "Trivy"))]);
    assert_eq!(about(&all, &manifest()).unwrap().0, ["trivy/ahead", "trivy/real"]);
}

#[test]
fn an_undated_one_is_older_than_any_other() {
    let mut undated = object('a', 1, "Trivy");
    undated["report"]["updateTimestamp"] = Value::Null;
    let all = objects(&[("dated", object('a', 1, "Trivy")), ("undated", undated.clone())]);
    assert_eq!(about(&all, &manifest()).unwrap().0, ["trivy/dated"]);
    assert_eq!(about(&objects(&[("undated", undated)]), &manifest()).unwrap().0, ["trivy/undated"]);
}

#[test]
fn the_last_one_of_a_name_is_the_one_that_there_is() {
    let mut all = objects(&[("one", object('a', 2, "Trivy")), ("one", object('b', 1, "Trivy"))]);
    assert_eq!((about(&all, &manifest()), all.usable, all.by_digest.size()), (None, 1, 1));
    all.add("trivy", "one", &json!({"apiVersion": "v1", "kind": "Pod"}));
    assert_eq!((all.usable, all.unusable, all.by_digest.size()), (0, 1, 0));
    all.add("elsewhere", "one", &object('a', 1, "Trivy"));
    all.add("", "one", &object('a', 1, "Trivy"));
    assert_eq!(about(&all, &manifest()).unwrap().0, ["elsewhere/one", "one"]);
    assert_eq!((all.usable, all.unusable), (2, 1));
}

#[test]
fn what_failed_is_told_of_the_manifest_its_configuration_and_its_index() {
    let failed = |of: char| {
        let mut object = object(of, 1, "Trivy");
        object["report"]["vulnerabilities"] = json!({});
        object
    };
    for of in ['a', 'c', '1'] {
        let all = objects(&[("failed", failed(of)), ("good", object('a', 1, "Trivy"))]);
        let expected = (vec!["trivy/good".to_owned()], vec![("trivy/failed".to_owned(), Defect::Malformed)]);
        // An object has one digest, and writes it as a manifest's: that of a configuration is no manifest's.
        let expected = if of == 'c' { (expected.0, vec![]) } else { expected };
        assert_eq!(about(&all, &manifest()), Some(expected), "{of}");
    }
    assert_eq!(about(&objects(&[("failed", failed('b'))]), &manifest()), None);
}

#[test]
fn of_an_index_it_is_not_known_which_platform_was_scanned_unless_there_is_one() {
    let all = objects(&[("index", object('1', 1, "Trivy"))]);
    let expected = vec![("trivy/index".to_owned(), Defect::PlatformUnknown)];
    assert_eq!(about(&all, &manifest()), Some((vec![], expected)));
    let mut alone = manifest();
    alone.index.as_mut().unwrap().sole = true;
    assert_eq!(about(&all, &alone).unwrap().0, ["trivy/index"]);
}

#[test]
fn a_configuration_that_cannot_be_read_leaves_what_names_the_manifest() {
    let all = objects(&[("own", object('a', 1, "Trivy"))]);
    let unread = Fact::Unavailable(Trouble::new(Fault::Outage, "the registry does not answer"));
    assert_eq!(about(&all, &ScannedManifest { config: unread, ..manifest() }).unwrap().0, ["trivy/own"]);
}

#[test]
fn nothing_else_than_an_object_of_the_operator_counts() {
    let trivy = json!({"SchemaVersion": 2, "ArtifactName": "x", "Metadata": {"RepoDigests": [format!("x@{}", digest('a'))]},
        "Results": [{"Target": "x", "Class": "os-pkgs", "Type": "alpine"}]});
    let all = objects(&[("own", trivy)]);
    assert_eq!((about(&all, &manifest()), all.usable, all.unusable), (None, 0, 1));
}
