//! What is said once in the values, and must be so in several objects.

use serde_json::Value;

use super::{Rendering, kustomized, objects};

const IMAGES: [&str; 2] = ["images.pratique.dev", "unlabelled.images.pratique.dev"];

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn exempt_namespaces_are_exempt_wherever_somebody_asks() {
    let values = "{webhook: {extraExemptNamespaces: [calico-system, kube-system]}, latestFloor: {enabled: true}}";
    let expected = serde_json::json!(["kube-system", "pratique-system", "calico-system"]);
    let rendered = rendered(values);
    for name in IMAGES {
        assert_eq!(webhook(&rendered, name)["namespaceSelector"]["matchExpressions"][0]["values"], expected, "{name}");
    }
    let floor = of(&rendered, "ValidatingAdmissionPolicy", "latest-floor.pratique.dev");
    let selector = &floor["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"];
    assert_eq!(selector[0]["values"], expected);
    let settings = of(&rendered, "ConfigMap", "pratique-settings")["data"]["pratique.yaml"].as_str().expect("a file");
    let settings: Value = serde_saphyr::from_str(settings).expect("YAML");
    assert_eq!(settings["exemptNamespaces"], expected);
}

#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn what_is_said_of_webhooks_is_said_of_each() {
    let values = "
settings: {workloads: [{group: argoproj.io, kind: Rollout, podSpec: spec.template.spec}]}
webhook:
  timeoutSeconds: 9
  extraRules:
  - {apiGroups: [argoproj.io], apiVersions: [v1alpha1], resources: [rollouts], operations: [CREATE], scope: Namespaced}
certificates: {source: secret, caBundle: '-----BEGIN CERTIFICATE----- MA== -----END CERTIFICATE-----'}
";
    let rendered = rendered(values);
    let configuration = of(&rendered, "ValidatingWebhookConfiguration", "pratique");
    let webhooks = configuration["webhooks"].as_array().expect("webhooks");
    assert_eq!(webhooks.len(), 3);
    for webhook in webhooks {
        assert_eq!(webhook["timeoutSeconds"], 9, "{}", webhook["name"]);
        let bundle = webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default();
        assert!(bundle.starts_with("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"), "{}: {bundle}", webhook["name"]);
    }
    for name in IMAGES {
        let rules = webhook(&rendered, name)["rules"].as_array().expect("rules");
        assert_eq!(rules.last().expect("rules")["apiGroups"][0], "argoproj.io", "{name}");
    }
    let policies = webhook(&rendered, "policies.pratique.dev")["rules"].as_array().expect("rules");
    assert_eq!(policies.len(), 1, "it is asked about policies alone");
}

/// It has the same rights, so it gets the same walls; and no call that is meant for a replica.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn the_pod_of_helm_test_is_as_hard_as_a_replica_and_is_none() {
    let rendered = rendered("");
    let pod = of(&rendered, "Pod", "pratique-status");
    let service = of(&rendered, "Service", "pratique");
    let deployment = of(&rendered, "Deployment", "pratique");
    let replica = &deployment["spec"]["template"]["spec"];
    let selected = service["spec"]["selector"].as_object().expect("a selector");
    assert_eq!(selected.len(), 1);
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]);
    for (label, value) in selected {
        assert_ne!(&pod["metadata"]["labels"][label], value, "API servers would call it");
    }
    let spec = &pod["spec"];
    for same in ["serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "securityContext"] {
        assert_eq!((same, &spec[same]), (same, &replica[same]));
    }
    let (container, of_replica) = (&spec["containers"][0], &replica["containers"][0]);
    for same in ["image", "imagePullPolicy", "env", "securityContext"] {
        assert_eq!((same, &container[same]), (same, &of_replica[same]));
    }
    for (list, all) in
        [(&container["volumeMounts"], &of_replica["volumeMounts"]), (&spec["volumes"], &replica["volumes"])]
    {
        for item in list.as_array().expect("a list") {
            assert!(all.as_array().expect("a list").contains(item), "{item}");
        }
    }
    assert_eq!(spec["restartPolicy"], "Never");
    assert_eq!(container["args"], serde_json::json!(["status", "--config=/etc/pratique/pratique.yaml"]));
    let hook = &pod["metadata"]["annotations"];
    assert_eq!(hook["helm.sh/hook"], "test");
    assert_eq!(hook["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded");
}

/// Only a change of the settings changes the annotation: a chart that is released anew replaces no Pod for it.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn a_change_of_the_settings_is_a_rollout_and_one_of_labels_is_none() {
    let template = |values: &str| of(&rendered(values), "Deployment", "pratique")["spec"]["template"].clone();
    let before = template("");
    assert_ne!(template("settings: {log: {level: debug}}"), before);
    assert_ne!(template("enforcement: enforce"), before);
    assert_ne!(template("webhook: {extraExemptNamespaces: [calico-system]}"), before);
    assert_eq!(template("{webhook: {timeoutSeconds: 9}, guard: {enabled: false}, replicas: 4}"), before);
}

/// A node with a taint takes none of ours; were it to count, another replica could wait for it.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn nodes_that_take_no_replica_do_not_count_where_replicas_must_be_spread() {
    let spread = |objects: &[Value]| {
        of(objects, "Deployment", "pratique")["spec"]["template"]["spec"]["topologySpreadConstraints"].clone()
    };
    for objects in [rendered("topologySpread: hard"), kustomized(&["overlays/high-availability"])] {
        let spread = spread(&objects);
        let hard: Vec<&Value> = spread.as_array().expect("a list").iter().collect();
        let hard = hard.into_iter().filter(|its| its["whenUnsatisfiable"] == "DoNotSchedule").collect::<Vec<_>>();
        let [hard] = hard.as_slice() else { panic!("one: {spread}") };
        assert_eq!(
            (&hard["topologyKey"], &hard["nodeTaintsPolicy"]),
            (&"kubernetes.io/hostname".into(), &"Honor".into())
        );
    }
}

/// It asks as API servers do; where only these are let in, it would else say that nobody answers.
#[test]
#[ignore = "needs real programs: .ci/run packaging"]
fn the_pod_of_helm_test_is_let_in_where_api_servers_are() {
    let objects = rendered("networkPolicy: {enabled: true, apiServerCIDRs: [10.0.0.0/28]}");
    let callers = &of(&objects, "NetworkPolicy", "pratique")["spec"]["ingress"][0]["from"];
    let pod = &of(&objects, "Pod", "pratique-status")["metadata"]["labels"]["app.kubernetes.io/name"];
    let expected = serde_json::json!([
        {"ipBlock": {"cidr": "10.0.0.0/28"}},
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": pod}}},
    ]);
    assert_eq!(callers, &expected);
}

fn rendered(values: &str) -> Vec<Value> {
    objects(&Rendering::of(values).text().unwrap_or_else(|error| panic!("{values}: {error}")))
}

fn of<'objects>(objects: &'objects [Value], kind: &str, name: &str) -> &'objects Value {
    let found = objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn webhook<'objects>(objects: &'objects [Value], name: &str) -> &'objects Value {
    let configuration = of(objects, "ValidatingWebhookConfiguration", "pratique");
    let webhooks = configuration["webhooks"].as_array().expect("webhooks");
    webhooks.iter().find(|webhook| webhook["name"] == name).unwrap_or_else(|| panic!("no {name}"))
}
