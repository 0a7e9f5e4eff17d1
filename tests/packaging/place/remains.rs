//! Everything in a cluster in which we are named, of whatever kind.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Place;

/// All objects, of all kinds that can be listed, that have `pratique` anywhere in them: name, namespace, labels, owners,
/// references, annotations or managers. As `Kind namespace/name`. Events are not among them: they end by themselves.
pub(crate) fn remains(place: &Place) -> BTreeSet<String> {
    let kinds = place.run("kubectl api-resources --verbs=list -o name");
    let kinds: Vec<&str> = kinds.lines().filter(|kind| !kind.is_empty()).collect();
    let listed = place.run(&format!("kubectl get {} -A -o json --show-managed-fields", kinds.join(",")));
    let listed: Value = serde_json::from_str(&listed).expect("kubectl prints JSON");
    let items = listed["items"].as_array().expect("it is a list");
    assert!(items.len() > 20, "a cluster has more objects than these: {items:?}");
    let lasting = items.iter().filter(|item| item["kind"] != "Event");
    lasting.filter(|item| item.to_string().contains("pratique")).map(name).collect()
}

fn name(item: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, metadata) = (text(&item["kind"]), &item["metadata"]);
    match metadata["namespace"].as_str() {
        Some(namespace) => format!("{kind} {namespace}/{}", text(&metadata["name"])),
        None => format!("{kind} {}", text(&metadata["name"])),
    }
}
