//! Objects of several namespaces as one.

use serde_json::json;

use super::*;
use crate::fact::report::ScannedManifest;
use crate::fact::{Fact, Seen, Source};
use crate::image::Digest;

fn digest(letter: char) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
}

/// As an item of a list, which need not say what it is.
fn report(namespace: &str, name: &str, of: char) -> VulnerabilityReport {
    let object = json!({
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": "7", "labels": {"a": "b"}},
        "report": {
            "artifact": {"repository": "acme/web", "digest": digest(of).as_str()},
            "scanner": {"name": "Trivy", "version": "0.76.0"},
            "updateTimestamp": "2026-11-01T00:00:00Z",
            "summary": {"criticalCount": 0}, "vulnerabilities": [],
        },
    });
    serde_json::from_value(object).unwrap()
}

/// The places of what is known of an image with this digest.
fn found(objects: &ArcSwap<Objects>, of: char) -> Vec<String> {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let config = Fact::Known(Seen { value: digest('f'), at, source: Source::Current });
    let manifest = ScannedManifest { digest: digest(of), platform: None, config, index: None, reports: None };
    let about = objects.load().about(&manifest);
    about.iter().flat_map(|its| &its.found).map(|its| its.place.to_string()).collect()
}

fn together(namespaces: &[&str]) -> (Arc<Together>, Arc<ArcSwap<Objects>>) {
    let objects: Arc<ArcSwap<Objects>> = Arc::default();
    let namespaces = namespaces.iter().map(|&name| name.to_owned()).collect();
    (Arc::new(Together::new(namespaces, Arc::clone(&objects))), objects)
}

fn list(sink: &mut OfNamespace, objects: Vec<VulnerabilityReport>) {
    sink.restart();
    for object in objects {
        sink.list(object);
    }
    sink.complete();
}

#[test]
fn until_every_namespace_was_listed_it_is_said_what_is_not_known_and_what_is_found_counts() {
    let (together, objects) = together(&["scans", "trivy"]);
    let words = |objects: &ArcSwap<Objects>| objects.load().trouble().map(|its| (its.fault, its.words.to_string()));
    let expected = |names: &str| {
        let words = format!(
            "the scan reports of namespace {names} have not been read from the API server so far (/readyz says why)"
        );
        Some((Fault::Outage, words))
    };
    assert_eq!(words(&objects), expected("`scans` and 1 more"));
    let mut scans = OfNamespace::new("scans", &together);
    let mut trivy = OfNamespace::new("trivy", &together);
    list(&mut scans, vec![report("scans", "web", 'a')]);
    assert_eq!((words(&objects), found(&objects, 'a')), (expected("`trivy`"), vec!["scans/web".to_owned()]));
    trivy.restart();
    trivy.list(report("trivy", "web", 'b'));
    assert_eq!((words(&objects), found(&objects, 'b')), (expected("`trivy`"), vec![]), "not all of it was listed");
    trivy.complete();
    assert_eq!((words(&objects), found(&objects, 'b')), (None, vec!["trivy/web".to_owned()]));
    assert_eq!((scans.len(), trivy.len()), (2, 2));
}

#[test]
fn a_namespace_that_is_listed_anew_changes_in_one_step_and_no_other_does() {
    let (together, objects) = together(&["scans", "trivy"]);
    let (mut scans, mut trivy) = (OfNamespace::new("scans", &together), OfNamespace::new("trivy", &together));
    list(&mut scans, vec![report("scans", "old", 'a'), report("scans", "kept", 'b')]);
    list(&mut trivy, vec![report("trivy", "old", 'a')]);
    scans.restart();
    scans.list(report("scans", "kept", 'b'));
    scans.list(report("scans", "new", 'c'));
    assert_eq!(found(&objects, 'a'), ["scans/old", "trivy/old"], "what was known stays until all are listed");
    assert!(found(&objects, 'c').is_empty());
    scans.complete();
    assert_eq!(found(&objects, 'a'), ["trivy/old"]);
    assert_eq!(
        (found(&objects, 'b'), found(&objects, 'c')),
        (vec!["scans/kept".to_owned()], vec!["scans/new".to_owned()])
    );
}

#[test]
fn an_object_of_another_namespace_never_gets_in() {
    let (together, objects) = together(&["scans"]);
    let mut scans = OfNamespace::new("scans", &together);
    list(&mut scans, vec![report("mallory", "web", 'a'), report("scans", "web", 'b')]);
    scans.apply(report("mallory", "web", 'a'));
    assert!(found(&objects, 'a').is_empty());
    scans.delete(report("mallory", "web", 'b'));
    assert_eq!(found(&objects, 'b'), ["scans/web"]);
}

#[test]
fn what_is_changed_and_deleted_is_so_at_once_and_who_reads_has_one_moment() {
    let (together, objects) = together(&["scans"]);
    let mut scans = OfNamespace::new("scans", &together);
    list(&mut scans, vec![report("scans", "web", 'a')]);
    let reader = ArcSwap::new(objects.load_full());
    scans.apply(report("scans", "web", 'b'));
    assert_eq!((found(&objects, 'a'), found(&objects, 'b')), (vec![], vec!["scans/web".to_owned()]));
    scans.delete(report("scans", "web", 'b'));
    assert!(found(&objects, 'b').is_empty() && scans.len() == 0);
    assert_eq!(found(&reader, 'a'), ["scans/web"]);
}
