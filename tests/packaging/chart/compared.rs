//! What helm renders, object by object, beside what kustomize makes of the overlay for the same choices.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Rendering, kustomized};

type Named = BTreeMap<String, Value>;

const AUDIT_ONLY: &str = "overlays/audit-only";
const HIGH_AVAILABILITY: &str = "
replicas: 3
topologySpread: hard
resources: {requests: {cpu: 250m, memory: 128Mi}}
networkPolicy: {enabled: true}
";
const SINGLE_NODE: &str = "
replicas: 1
topologySpread: none
resources: {requests: {cpu: 25m, memory: 32Mi}}
";
const MONITORING: &str = "
monitoring: {serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}
";
const FURTHER_RIGHTS: &str = "
latestFloor: {enabled: true}
pullSecretsAll: true
vulnerabilityReports: {enabled: true}
";

macro_rules! same_objects {
    ($($name:ident: $values:expr, $folders:expr;)+) => {
        $(
            #[test]
            #[ignore = "needs real programs: .ci/run packaging"]
            fn $name() {
                compare(Rendering::of($values).objects(), kustomized(&$folders));
            }
        )+
    };
}

same_objects! {
    the_values_as_they_are_make_the_overlay_audit_only: "", [AUDIT_ONLY];
    the_overlay_enforce: "{enforcement: enforce, networkPolicy: {enabled: true}}", ["overlays/enforce"];
    the_overlay_high_availability: HIGH_AVAILABILITY, ["overlays/high-availability"];
    the_overlay_single_node: SINGLE_NODE, ["overlays/single-node"];
    the_overlay_cert_manager: "certificates: {source: cert-manager}", ["overlays/cert-manager"];
    the_component_tls_files: "certificates: {source: secret}", [AUDIT_ONLY, "components/tls-files"];
    the_component_monitoring: MONITORING, [AUDIT_ONLY, "components/monitoring"];
    the_components_that_add_rights_and_a_floor: FURTHER_RIGHTS,
        [AUDIT_ONLY, "components/latest-floor", "components/pull-secrets-all", "components/vulnerability-reports"];
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn without_the_guard_its_four_objects_are_missing_and_no_other() {
    let guard = ["namespace-labels.pratique.dev", "objects.pratique.dev"];
    let is_guard = |object: &Value| guard.iter().any(|name| object["metadata"]["name"] == *name);
    let (guards, expected): (Vec<_>, Vec<_>) = kustomized(&[AUDIT_ONLY]).into_iter().partition(is_guard);
    assert_eq!(guards.len(), 4);
    compare(Rendering::of("guard: {enabled: false}").objects(), expected);
}

/// kustomize cannot do it: it knows nothing of expressions, selectors, names in certificates and commands in alerts.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn in_another_namespace_everything_is_of_that_namespace() {
    let values = [MONITORING, FURTHER_RIGHTS, "certificates: {source: cert-manager}\nnetworkPolicy: {enabled: true}"];
    let values = values.concat();
    let rendering = Rendering { namespace: "admission", ..Rendering::of(&values) };
    let text = rendering.text().unwrap_or_else(|error| panic!("{error}"));
    let left: Vec<&str> = text.lines().filter(|line| line.contains("pratique-system")).collect();
    assert!(left.is_empty(), "{left:?}");
    let components = ["monitoring", "network-policy", "latest-floor", "pull-secrets-all", "vulnerability-reports"];
    let components = components.map(|name| format!("components/{name}"));
    let folders: Vec<&str> =
        std::iter::once("overlays/cert-manager").chain(components.iter().map(String::as_str)).collect();
    let expected = kustomized(&folders).into_iter().map(|object| {
        serde_json::from_str(&object.to_string().replace("pratique-system", "admission")).expect("still JSON")
    });
    compare(rendering.objects(), expected.collect());
}

/// Both are changed only in what [`unlike_kustomize`] and [`unlike_helm`] name.
fn compare(helm: Vec<Value>, kustomize: Vec<Value>) {
    let expected = named(kustomize.into_iter().filter_map(unlike_helm));
    let made = named(helm.into_iter().filter_map(|object| unlike_kustomize(object, &expected)));
    assert_eq!(made.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert!(made.len() > 10, "{:?}", made.keys());
    let differences: Vec<String> =
        made.iter().filter_map(|(name, its)| difference(name, its, &expected[name])).collect();
    assert!(differences.is_empty(), "helm, and kustomize:\n{}", differences.join("\n"));
}

/// What kustomize has and helm cannot have.
fn unlike_helm(mut object: Value) -> Option<Value> {
    match object["kind"].as_str() {
        // The namespace of a release is there before the release is; NOTES say what labels it needs.
        Some("Namespace") => return None,
        // A hash in the name makes a change of the content a roll-out; helm has the annotation checksum/settings for it.
        Some("ConfigMap") => without_hash(&mut object["metadata"]["name"]),
        Some("Deployment") => {
            let volumes = object["spec"]["template"]["spec"]["volumes"].as_array_mut().expect("volumes");
            let settings =
                volumes.iter_mut().find(|volume| volume["name"] == "settings").expect("one for the settings");
            without_hash(&mut settings["configMap"]["name"]);
        }
        _ => {}
    }
    Some(told_alike(object))
}

/// What helm has and kustomize cannot have. `expected`: of kustomize, by name.
fn unlike_kustomize(mut object: Value, expected: &Named) -> Option<Value> {
    // `helm test` makes it, and takes it away again.
    if object["metadata"]["annotations"]["helm.sh/hook"] == "test" {
        return None;
    }
    let key = key(&object);
    let labels = expected.get(&key).map(|object| object["metadata"]["labels"].clone());
    let metadata = fields(&mut object["metadata"]);
    let mine = fields(metadata.get_mut("labels").expect("each object has labels"));
    // Whose it is, for helm and for who looks; kustomize has no such thing, and labels nothing of cert-manager's, and with
    // the version only the base.
    for (label, value) in [
        ("app.kubernetes.io/instance", "pratique".to_owned()),
        ("app.kubernetes.io/managed-by", "Helm".to_owned()),
        ("helm.sh/chart", format!("pratique-{}", env!("CARGO_PKG_VERSION"))),
        ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION").to_owned()),
        ("app.kubernetes.io/name", "pratique".to_owned()),
    ] {
        assert_eq!(mine.get(label), Some(&Value::from(value)), "{key}: {label}");
        if labels.as_ref().is_none_or(|labels| labels.get(label).is_none()) {
            mine.remove(label);
        }
    }
    drop_if_empty(metadata, "labels");
    // With the definition go all policies, so `helm uninstall` leaves it.
    if object["kind"] == "CustomResourceDefinition" {
        let kept = take_annotation(&mut object["metadata"], "helm.sh/resource-policy");
        assert_eq!(kept, "keep", "{key}");
    }
    // See the name of the ConfigMap above.
    if object["kind"] == "Deployment" {
        let checksum = take_annotation(&mut object["spec"]["template"]["metadata"], "checksum/settings");
        assert_eq!(checksum.as_str().map(str::len), Some(64), "{checksum}");
    }
    Some(told_alike(object))
}

/// What both may say in their own way.
fn told_alike(mut object: Value) -> Value {
    // helm writes the settings without the comments, and in another order.
    if let Some(text) = object.pointer_mut("/data/pratique.yaml") {
        *text = serde_saphyr::from_str(text.as_str().expect("a file")).expect("settings are YAML");
    }
    // What a patch adds kustomize writes first. Their order means nothing: no variable names another.
    for list in ["/volumes", "/containers/0/env", "/containers/0/volumeMounts"] {
        if let Some(Value::Array(list)) = object.pointer_mut(&format!("/spec/template/spec{list}")) {
            list.sort_by_key(|item| item["name"].to_string());
        }
    }
    object
}

fn take_annotation(metadata: &mut Value, name: &str) -> Value {
    let metadata = fields(metadata);
    let annotations = fields(metadata.get_mut("annotations").expect("it has annotations"));
    let taken = annotations.remove(name).unwrap_or_default();
    drop_if_empty(metadata, "annotations");
    taken
}

fn drop_if_empty(object: &mut Map<String, Value>, name: &str) {
    if object.get(name).is_some_and(|its| its.as_object().is_some_and(Map::is_empty)) {
        object.remove(name);
    }
}

fn without_hash(name: &mut Value) {
    if name.as_str().is_some_and(|name| name.starts_with("pratique-settings-")) {
        *name = "pratique-settings".into();
    }
}

fn fields(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("an object")
}

fn named(objects: impl Iterator<Item = Value>) -> Named {
    objects.map(|object| (key(&object), object)).collect()
}

fn key(object: &Value) -> String {
    let metadata = &object["metadata"];
    format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]).replace('"', "")
}

/// Where the two differ first.
fn difference(path: &str, made: &Value, expected: &Value) -> Option<String> {
    match (made, expected) {
        (Value::Object(made), Value::Object(expected)) => {
            let keys: std::collections::BTreeSet<_> = made.keys().chain(expected.keys()).collect();
            let of = |its: &Map<String, Value>, key: &str| its.get(key).cloned().unwrap_or("(nothing)".into());
            keys.into_iter().find_map(|key| difference(&format!("{path}.{key}"), &of(made, key), &of(expected, key)))
        }
        (Value::Array(made), Value::Array(expected)) if made.len() == expected.len() => {
            let pairs = made.iter().zip(expected).enumerate();
            pairs
                .into_iter()
                .find_map(|(index, (made, expected))| difference(&format!("{path}[{index}]"), made, expected))
        }
        _ => (made != expected).then(|| format!("{path}: {made} and {expected}")),
    }
}
