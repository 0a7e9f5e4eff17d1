//! `values.schema.json` refuses what is misspelt and what is of another type, wherever it stands.

use serde_json::{Map, Value, json};

use super::{Rendering, chart_file};

/// Deeper the schema does not go.
const DEEPEST: usize = 6;

/// A place in the values that the schema says something about.
struct Place {
    /// `/webhook/extraRules/0/scope`
    pointer: String,
    depth: usize,
    schema: Value,
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn a_misspelt_value_is_refused_at_every_level_and_named() {
    let places = places();
    let closed: Vec<&Place> =
        places.iter().filter(|place| place.schema["additionalProperties"] == Value::Bool(false)).collect();
    assert!(closed.len() > 30, "{}", closed.len());
    let mut values = json!({});
    for place in &closed {
        set(&mut values, &format!("{}/misspelt", place.pointer), &json!(1));
    }
    let refused = refusal(&values);
    for Place { pointer, .. } in closed {
        let said = format!("- at '{pointer}': additional properties 'misspelt' not allowed");
        assert!(refused.contains(&said), "{said}\n{refused}");
    }
}

/// An object that takes any key is Kubernetes' own, or is named by its writer.
#[test]
fn only_what_is_not_ours_is_left_open() {
    let open: Vec<String> = places()
        .into_iter()
        .filter(|place| place.schema["type"] == "object" && place.schema["additionalProperties"] != Value::Bool(false))
        .map(|place| place.pointer)
        .collect();
    let expected = [
        // What a chart that has this one as a part gives to all its parts.
        "/global",
        "/affinity",
        "/env/0",
        "/extraVolumeMounts/0",
        "/extraVolumes/0",
        "/monitoring/dashboard/annotations",
        "/monitoring/dashboard/labels",
        "/monitoring/prometheusRule/labels",
        "/monitoring/serviceMonitor/labels",
        "/networkPolicy/extraEgress/0",
        "/nodeSelector",
        "/podAnnotations",
        "/podLabels",
        // The CustomResourceDefinition says what is in it, and the program what is wrong with it.
        "/policies/0/spec",
        "/resources",
        "/serviceAccount/annotations",
        "/settings/registries/realms",
        "/tolerations/0",
    ];
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut open: Vec<&str> = open.iter().map(String::as_str).collect();
    open.sort_unstable();
    assert_eq!(open, expected);
}

/// 3.5 is no text, no word, no count, no switch, no list and no map.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn a_value_of_another_type_is_refused_at_every_level_and_named() {
    let places = places();
    for depth in 1..=DEEPEST {
        let mut values = json!({});
        let here: Vec<&Place> = places.iter().filter(|place| place.depth == depth).collect();
        for place in &here {
            set(&mut values, &place.pointer, &json!(3.5));
        }
        let refused = if here.is_empty() { String::new() } else { refusal(&values) };
        for Place { pointer, .. } in here {
            assert!(refused.contains(&format!("- at '{pointer}': ")), "{pointer} may be 3.5\n{refused}");
        }
    }
    assert!(places.iter().all(|place| place.depth <= DEEPEST));
}

/// Each is what somebody would write by mistake, and what helm says of it.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn a_value_of_the_right_type_that_cannot_be_meant_is_refused() {
    for (values, said) in [
        ("image: {digest: 'sha256:abc'}", "at '/image/digest': 'sha256:abc' does not match pattern"),
        ("image: {repository: 'ghcr.io/acme/pratique '}", "at '/image/repository'"),
        ("image: {tag: 'a b'}", "at '/image/tag'"),
        ("replicas: 0", "at '/replicas': minimum: got 0, want 1"),
        ("enforcement: audit", "at '/enforcement': value must be one of 'audit-only', 'enforce'"),
        ("settings: {controllers: refuse}", "at '/settings/controllers': value must be one of"),
        ("settings: {listen: '8443'}", "at '/settings/listen'"),
        ("settings: {listen: null}", "at '/settings': missing property 'listen'"),
        ("settings: {defaults: {warn: Baseline}}", "at '/settings/defaults/warn'"),
        ("settings: {platforms: [amd64]}", "at '/settings/platforms/0'"),
        ("settings: {cache: {lastKnownGood: 7}}", "at '/settings/cache/lastKnownGood'"),
        ("settings: {cache: {lastKnownGood: 1w}}", "at '/settings/cache/lastKnownGood'"),
        ("settings: {trust: [{name: public, trustedRoot: /a}]}", "at '/settings/trust/0/name'"),
        ("settings: {registries: {concurrency: 0}}", "at '/settings/registries/concurrency': minimum"),
        // What the chart itself writes.
        ("settings: {exemptNamespaces: []}", "at '/settings': additional properties 'exemptNamespaces' not allowed"),
        ("settings: {tls: {certificate: /a}}", "at '/settings/tls': additional properties 'certificate' not allowed"),
        ("settings: {cluster: {service: web}}", "at '/settings/cluster': additional properties 'service' not allowed"),
        ("certificates: {caBundle: LS0t}", "at '/certificates/caBundle'"),
        ("certificates: {issuerRef: {kind: ClusterIssuer}}", "at '/certificates/issuerRef': missing property 'name'"),
        ("webhook: {timeoutSeconds: 1}", "at '/webhook/timeoutSeconds': minimum: got 1, want 2"),
        ("webhook: {timeoutSeconds: 30}", "at '/webhook/timeoutSeconds': maximum: got 30, want 10"),
        ("webhook: {extraExemptNamespaces: ['kube-*']}", "at '/webhook/extraExemptNamespaces/0'"),
        // Every object of the cluster would be asked about, Leases and Nodes included.
        ("webhook: {extraRules: [{apiGroups: ['*']}]}", "at '/webhook/extraRules/0/apiGroups/0'"),
        ("webhook: {extraRules: [{resources: ['*']}]}", "at '/webhook/extraRules/0/resources/0'"),
        ("webhook: {extraRules: [{apiGroups: [apps]}]}", "at '/webhook/extraRules/0/apiGroups/0': 'not' failed"),
        ("networkPolicy: {apiServerCIDRs: [10.0.0.1]}", "at '/networkPolicy/apiServerCIDRs/0'"),
        ("podDisruptionBudget: {maxUnavailable: 0}", "at '/podDisruptionBudget/maxUnavailable': minimum"),
        ("podDisruptionBudget: {maxUnavailable: 0%}", "at '/podDisruptionBudget/maxUnavailable'"),
        ("monitoring: {serviceMonitor: {interval: 5s}}", "at '/monitoring/serviceMonitor/interval'"),
        ("policies: [{name: a.b, spec: {}}]", "at '/policies/0/name'"),
        ("policies: [{name: acme}]", "at '/policies/0': missing property 'spec'"),
        // These would win over the settings, or make the replica somebody else.
        ("env: [{name: PRATIQUE_MANIFESTS, value: /a}]", "at '/env/0/name': 'not' failed"),
        ("env: [{name: POD_NAME, value: a}]", "at '/env/0/name': 'not' failed"),
        // The Deployment would not find its Pods.
        ("podLabels: {app.kubernetes.io/name: web}", "invalid propertyName 'app.kubernetes.io/name'"),
    ] {
        let refused = Rendering::of(values).text().expect_err(values);
        assert!(refused.contains(said), "{values}: {refused}");
    }
}

fn refusal(values: &Value) -> String {
    Rendering::of(&values.to_string()).text().expect_err("it is refused")
}

/// Every place below the root, and the root.
fn places() -> Vec<Place> {
    let mut found = Vec::new();
    visit(&chart_file("values.schema.json"), String::new(), 0, &mut found);
    found
}

fn visit(schema: &Value, pointer: String, depth: usize, found: &mut Vec<Place>) {
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        visit(schema, format!("{pointer}/{name}"), depth + 1, found);
    }
    if schema["items"].is_object() {
        visit(&schema["items"], format!("{pointer}/0"), depth + 1, found);
    }
    found.push(Place { pointer, depth, schema: schema.clone() });
}

/// Writes a value at a pointer, with all that is above it; `0` is the one element of a list.
fn set(values: &mut Value, pointer: &str, value: &Value) {
    let mut place = values;
    let mut parts = pointer.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        place = match place {
            Value::Array(list) => {
                if list.is_empty() {
                    list.push(Value::Null);
                }
                &mut list[0]
            }
            Value::Object(fields) => fields.entry(part).or_insert(Value::Null),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => panic!("{pointer} is in no map"),
        };
        if let Some(next) = parts.peek()
            && place.is_null()
        {
            *place = if *next == "0" { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        }
    }
    *place = value.clone();
}
