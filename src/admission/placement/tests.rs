use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::object::Object;
use super::super::workload::{PodSpecPath, Workloads};
use super::*;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// What a Pod with this spec says, as text and as a tree.
fn placed(spec: &Value) -> Placement {
    let path = PodSpecPath::new("spec");
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": spec});
    let text = pod.to_string();
    let of_text = Object::read(&mut serde_json::Deserializer::from_str(&text), Some(&path)).unwrap().placement();
    let of_tree = Object::read(&pod, Some(&path)).unwrap().placement();
    assert_eq!(of_text, of_tree);
    of_text
}

fn selecting(selector: &Value) -> Placement {
    placed(&json!({"nodeSelector": selector}))
}

fn affine(terms: &Value) -> Placement {
    placed(&json!({"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}}))
}

fn one(key: &str, operator: &str, values: &Value) -> Value {
    json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}])
}

/// The platforms of these that are allowed.
fn allowed(placement: &Placement) -> Vec<&'static str> {
    let platforms = ["linux/amd64", "linux/arm64", "windows/amd64"];
    let allows = |text: &&str| {
        let (os, architecture) = text.split_once('/').unwrap();
        let platform =
            crate::image::Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None };
        placement.allows(&platform)
    };
    platforms.into_iter().filter(allows).collect()
}

const ALL: [&str; 3] = ["linux/amd64", "linux/arm64", "windows/amd64"];

#[test]
fn a_node_selector_names_the_platform_by_the_new_labels_and_the_old() {
    assert_eq!(
        selecting(&json!({"kubernetes.io/os": "linux", "disk": "ssd"})),
        Placement { terms: vec![PlacementTerm { os: Some(vec!["linux".to_owned()]), architecture: None }] }
    );
    for prefix in ["", "beta."] {
        let (os, arch) = (format!("{prefix}kubernetes.io/os"), format!("{prefix}kubernetes.io/arch"));
        assert_eq!(allowed(&selecting(&json!({&os: "linux"}))), ["linux/amd64", "linux/arm64"]);
        assert_eq!(allowed(&selecting(&json!({&arch: "amd64"}))), ["linux/amd64", "windows/amd64"]);
        assert_eq!(allowed(&selecting(&json!({&os: "linux", &arch: "arm64"}))), ["linux/arm64"]);
    }
    let both = json!({"kubernetes.io/os": "linux", "beta.kubernetes.io/os": "windows"});
    assert_eq!(allowed(&selecting(&both)), [""; 0]);
}

#[test]
fn of_an_affinity_terms_are_alternatives_and_expressions_hold_together() {
    assert_eq!(allowed(&affine(&one("kubernetes.io/arch", "In", &json!(["arm64"])))), ["linux/arm64"]);
    assert_eq!(allowed(&affine(&one("kubernetes.io/arch", "In", &json!(["arm64", "amd64"])))), ALL);
    let either = json!([
        {"matchExpressions": [{"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}]},
        {"matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]},
    ]);
    assert_eq!(allowed(&affine(&either)), ["linux/arm64", "windows/amd64"]);
    let together = json!([{"matchExpressions": [
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux", "windows"]},
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux", "darwin"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
        {"key": "zone", "operator": "In", "values": ["a"]},
    ]}]);
    assert_eq!(allowed(&affine(&together)), ["linux/amd64"]);
}

#[test]
fn selector_and_affinity_hold_together() {
    let spec = |os: &str| {
        json!({
            "nodeSelector": {"kubernetes.io/os": os},
            "affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": one("kubernetes.io/arch", "In", &json!(["amd64"]))}}},
        })
    };
    assert_eq!(allowed(&placed(&spec("linux"))), ["linux/amd64"]);
    assert_eq!(allowed(&placed(&spec("windows"))), ["windows/amd64"]);
}

#[test]
fn what_contradicts_itself_leaves_no_platform() {
    let spec = json!({
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": one("kubernetes.io/arch", "In", &json!(["amd64"]))}}},
    });
    assert_eq!(allowed(&placed(&spec)), [""; 0]);
    assert_ne!(placed(&spec), Placement::default());
}

#[test]
fn an_empty_term_matches_no_node_and_is_no_alternative() {
    let arm = json!({"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]});
    for empty in [json!({}), json!({"matchExpressions": []}), json!({"matchExpressions": null, "matchFields": []})] {
        assert_eq!(allowed(&affine(&json!([empty]))), [""; 0], "{empty}");
        assert_eq!(allowed(&affine(&json!([empty, arm]))), ["linux/arm64"], "{empty}");
    }
    // By the node's name: it may be of any platform.
    let by_name = json!({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]});
    assert_eq!(affine(&json!([by_name, arm])), Placement::default());
}

#[test]
fn other_operators_other_labels_and_what_is_only_preferred_constrain_nothing() {
    for operator in ["NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "in", ""] {
        assert_eq!(affine(&one("kubernetes.io/arch", operator, &json!(["arm64"]))), Placement::default(), "{operator}");
    }
    for key in ["kubernetes.io/hostname", "kubernetes.io/Arch", "arch", "xkubernetes.io/arch", ""] {
        assert_eq!(affine(&one(key, "In", &json!(["arm64"]))), Placement::default(), "{key}");
        assert_eq!(selecting(&json!({key: "arm64"})), Placement::default(), "{key}");
    }
    let preferred = json!([{"weight": 1, "preference": one("kubernetes.io/arch", "In", &json!(["arm64"]))[0]}]);
    let spec = json!({"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}});
    assert_eq!(placed(&spec), Placement::default());
}

#[test]
fn what_cannot_be_read_widens_and_never_narrows() {
    let expression = one("kubernetes.io/arch", "In", &json!(["arm64"]));
    for wrong in
        [json!(null), json!(true), json!(1), json!(-1), json!(1.5), json!("x"), json!([]), json!([1]), json!({})]
    {
        assert_eq!(selecting(&wrong), Placement::default(), "{wrong}");
        if !wrong.is_string() {
            assert_eq!(selecting(&json!({"kubernetes.io/arch": wrong})), Placement::default(), "{wrong}");
        }
        for spec in [
            json!({"affinity": wrong}),
            json!({"affinity": {"nodeAffinity": wrong}}),
            json!({"affinity": {"nodeAffinity": {REQUIRED: wrong}}}),
        ] {
            assert_eq!(placed(&spec), Placement::default(), "{spec}");
        }
        assert_eq!(affine(&wrong), Placement::default(), "{wrong}");
        assert_eq!(affine(&one("kubernetes.io/arch", "In", &wrong)), Placement::default(), "{wrong}");
        assert_eq!(
            affine(&one("kubernetes.io/arch", "In", &json!(["arm64", wrong]))) == Placement::default(),
            !wrong.is_string(),
            "{wrong}"
        );
        if wrong != json!({}) {
            assert_eq!(affine(&json!([wrong, expression[0]])), Placement::default(), "{wrong}");
        }
        if ![json!(null), json!([])].contains(&wrong) {
            assert_eq!(affine(&json!([{"matchExpressions": wrong}])), Placement::default(), "{wrong}");
            assert_eq!(affine(&json!([{"matchFields": wrong}])), Placement::default(), "{wrong}");
        }
    }
}

#[test]
fn beyond_the_bounds_nothing_is_constrained() {
    let arm = &one("kubernetes.io/arch", "In", &json!(["arm64"]))[0];
    let terms = |count: usize| affine(&Value::from(vec![arm.clone(); count]));
    assert_eq!(terms(TERMS).terms.len(), TERMS);
    assert_eq!(terms(TERMS + 1), Placement::default());
    let values = |count: usize| affine(&one("kubernetes.io/arch", "In", &Value::from(vec!["arm64"; count])));
    assert_eq!(allowed(&values(VALUES)), ["linux/arm64"]);
    assert_eq!(values(VALUES + 1), Placement::default());
    let expressions = |before: usize| {
        let mut all = vec![json!({"key": "zone", "operator": "Exists"}); before];
        all.push(arm["matchExpressions"][0].clone());
        affine(&json!([{"matchExpressions": all}]))
    };
    assert_eq!(allowed(&expressions(EXPRESSIONS - 1)), ["linux/arm64"]);
    assert_eq!(expressions(EXPRESSIONS), Placement::default());
}

#[test]
fn a_key_that_stands_twice_is_an_error_at_every_level() {
    let term = r#"{"matchExpressions": [{"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]}]}"#;
    let under = |inner: &str| format!(r#"{{"affinity": {{"nodeAffinity": {inner}}}}}"#);
    let of_term = |inner: &str| under(&format!(r#"{{"{REQUIRED}": {{"nodeSelectorTerms": [{inner}]}}}}"#));
    let of_expression = |inner: &str| of_term(&format!(r#"{{"matchExpressions": [{{{inner}}}]}}"#));
    for (spec, key) in [
        (
            r#"{"nodeSelector": {"kubernetes.io/arch": "arm64", "kubernetes.io/arch": "amd64"}}"#.to_owned(),
            "kubernetes.io/arch",
        ),
        (r#"{"affinity": {"nodeAffinity": {}, "nodeAffinity": {}}}"#.to_owned(), "nodeAffinity"),
        (under(&format!(r#"{{"{REQUIRED}": {{}}, "{REQUIRED}": null}}"#)), REQUIRED),
        (
            under(&format!(r#"{{"{REQUIRED}": {{"nodeSelectorTerms": [{term}], "nodeSelectorTerms": []}}}}"#)),
            "nodeSelectorTerms",
        ),
        (of_term(r#"{"matchExpressions": [], "matchExpressions": []}"#), "matchExpressions"),
        (of_term(r#"{"matchFields": [], "matchFields": []}"#), "matchFields"),
        (of_expression(r#""key": "a", "key": "a""#), "key"),
        (of_expression(r#""operator": "In", "operator": "In""#), "operator"),
        (of_expression(r#""values": [], "values": []"#), "values"),
    ] {
        let text = format!(r#"{{"spec": {spec}}}"#);
        let path = PodSpecPath::new("spec");
        let read = Object::read(&mut serde_json::Deserializer::from_str(&text), Some(&path));
        let error = read.err().unwrap().to_string();
        assert!(error.starts_with(&format!("the key `{key}` stands twice in one object")), "{spec}: {error}");
    }
}

/// What the first controller in a file that others published says.
fn published(file: &str) -> Vec<Placement> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pods").join(file);
    let objects = super::super::manifest::read(&std::fs::read_to_string(path).unwrap(), &Workloads::default()).unwrap();
    objects.into_iter().map(|object| object.request.placement).collect()
}

#[test]
fn manifests_that_others_published_say_where_they_run() {
    let linux = Placement { terms: vec![PlacementTerm { os: Some(vec!["linux".to_owned()]), architecture: None }] };
    for file in [
        "minikube__integration-testdata-kube-flannel.yaml",
        "kube-prometheus__manifests-grafana-deployment.yaml",
        "kube-prometheus__manifests-nodeExporter-daemonset.yaml",
    ] {
        assert_eq!(published(file), std::slice::from_ref(&linux), "{file}");
    }
    let argo = published("argo-cd__manifests-namespace-install.yaml");
    assert!(argo.len() > 5 && argo.iter().all(|placement| *placement == linux));
    // Every field that Kubernetes has, with nonsense in it.
    for file in ["api__testdata-HEAD-core.v1.Pod.json", "api__testdata-HEAD-batch.v1.CronJob.json"] {
        assert_eq!(published(file), [Placement::default()], "{file}");
    }
}

const WORDS: &[&str] = &["kubernetes.io/arch", "In", "arm64", "nodeSelectorTerms", "matchExpressions", "x"];
const KEYS: &[&str] = &[
    "nodeAffinity",
    REQUIRED,
    "nodeSelectorTerms",
    "matchExpressions",
    "matchFields",
    "key",
    "operator",
    "values",
    "kubernetes.io/os",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(WORDS).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 48, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(KEYS), inner, 0..4)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn no_shape_of_the_two_fields_makes_a_pod_unreadable(selector in any_json(), affinity in any_json()) {
        let spec = json!({"nodeSelector": selector, "affinity": affinity});
        prop_assert!(placed(&spec).terms.len() <= TERMS);
    }
}
