//! What we ship in a cluster in which no replica of ours answers: what the API server does not even ask about goes on, and
//! everything can be applied, again and with every component.

use std::path::Path;

use base64::Engine as _;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use kube::api::{Patch, PatchParams};
use pratique_testkit::eventually;
use pratique_testkit::real::{Authority, Cluster};
use serde_json::json;

/// Of each kind that the webhook is asked about: where its image stands.
const KINDS: &[(&str, &str)] = &[
    ("pod", "/spec/containers/0/image"),
    ("deployment", "/spec/template/spec/containers/0/image"),
    ("replicaset", "/spec/template/spec/containers/0/image"),
    ("statefulset", "/spec/template/spec/containers/0/image"),
    ("daemonset", "/spec/template/spec/containers/0/image"),
    ("replicationcontroller", "/spec/template/spec/containers/0/image"),
    ("podtemplate", "/template/spec/containers/0/image"),
    ("cronjob", "/spec/jobTemplate/spec/template/spec/containers/0/image"),
];

const OBJECTS: &str = r#"
{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: none}}, spec: {containers: [{name: web, image: "a.example/web:1", resources: {requests: {cpu: 1m}}}]}}
---
{apiVersion: v1, kind: PodTemplate, metadata: {name: web}, template: {spec: {containers: [{name: web, image: "a.example/web:1"}]}}}
---
{apiVersion: v1, kind: ReplicationController, metadata: {name: web}, spec: {selector: {app: web}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "a.example/web:1"}]}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "a.example/web:1"}]}}}}
---
{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "a.example/web:1"}]}}}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "a.example/web:1"}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: web}, spec: {serviceName: web, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "a.example/web:1"}]}}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: web}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: web, image: "a.example/web:1"}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: web}, spec: {schedule: "* * * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: web, image: "a.example/web:1"}]}}}}}}
"#;

/// The API server says so where it asked us and nobody answered.
const ASKED: &str = "images.pratique.dev\": failed to call webhook";

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn what_changes_no_image_goes_on_while_no_replica_is_there() {
    let cluster = Cluster::start().await;
    cluster.namespace("shop", &[]).await;
    let kubectl = |line: &str| cluster.kubectl(&line.split_whitespace().collect::<Vec<_>>());
    let made = cluster.kubectl_with_input(&["create", "-n", "shop", "-f", "-"], OBJECTS);
    assert_eq!(made.code, Some(0), "{made:?}");
    let applied = kubectl("apply -k manifests/base");
    assert_eq!(applied.code, Some(0), "{applied:?}");
    eventually("the webhook is asked", async || {
        kubectl("run other --image=a.example/other:1 -n shop --dry-run=server").stderr.contains(ASKED)
    })
    .await;

    let goes = |line: String| {
        let outcome = kubectl(&line);
        assert_eq!(outcome.code, Some(0), "{line}: {outcome:?}");
    };
    let asked = |line: String| {
        let outcome = kubectl(&line);
        assert!(outcome.code == Some(1) && outcome.stderr.contains(ASKED), "{line}: {outcome:?}");
    };
    for (kind, image) in KINDS {
        goes(format!("label {kind} web -n shop changed=yes"));
        goes(format!(r#"patch {kind} web -n shop --type=merge -p {{"metadata":{{"finalizers":["a.example/b"]}}}}"#));
        goes(format!(r#"patch {kind} web -n shop --type=merge -p {{"metadata":{{"finalizers":null}}}}"#));
        asked(format!(
            r#"patch {kind} web -n shop --type=json -p [{{"op":"replace","path":"{image}","value":"a.example/web:2"}}]"#
        ));
    }
    // Its template never changes.
    goes("label job web -n shop changed=yes".to_owned());
    for kind in ["deployment", "replicaset", "statefulset", "replicationcontroller"] {
        goes(format!("scale {kind} web -n shop --replicas=2"));
        goes(format!(r#"patch {kind} web -n shop --type=merge -p {{"spec":{{"replicas":3}}}}"#));
    }
    let resources = r#"{"spec":{"containers":[{"name":"web","resources":{"requests":{"cpu":"2m"}}}]}}"#;
    goes(format!("patch pod web -n shop --subresource=resize -p {resources}"));
    goes(r#"patch pod web -n shop --subresource=status --type=merge -p {"status":{"message":"x"}}"#.to_owned());
    asked("debug web -n shop --image=a.example/debug:1".to_owned());
    goes("delete pod web -n shop --wait=false".to_owned());

    // What a cluster needs to come up is never asked about, and neither are we ourselves.
    goes("create serviceaccount default -n kube-system".to_owned());
    goes("run dns --image=a.example/dns:1 -n kube-system".to_owned());
    goes("rollout restart deployment/pratique -n pratique-system".to_owned());
    // A policy can be mended.
    let policy = cluster.kubectl(&["apply", "-f", "manifests/policies/baseline.yaml"]);
    assert_eq!(policy.code, Some(0), "{policy:?}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn applying_the_manifests_again_leaves_the_bundle_that_the_program_wrote() {
    let cluster = Cluster::start().await;
    let name = "pratique";
    let file = "manifests/base/validatingwebhookconfiguration.yaml";
    let api = Api::<ValidatingWebhookConfiguration>::all(cluster.client().await);
    let bundles = async || {
        let webhooks = api.get(name).await.expect("it is there").webhooks.expect("it has webhooks");
        webhooks.iter().filter(|webhook| webhook.client_config.ca_bundle.is_some()).count()
    };
    let bundle = base64::engine::general_purpose::STANDARD.encode(Authority::new().pem());
    let webhooks = ["images.pratique.dev", "policies.pratique.dev", "unlabelled.images.pratique.dev"]
        .map(|webhook| json!({"name": webhook, "clientConfig": {"caBundle": bundle}}));
    let patch = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name},
        "webhooks": webhooks,
    });
    for how in [&["apply", "-f", file][..], &["apply", "--server-side", "-f", file]] {
        assert_eq!(cluster.kubectl(how).code, Some(0));
        assert_eq!(bundles().await, 0);
        let parameters = PatchParams::apply("pratique-certificates").force();
        api.patch(name, &parameters, &Patch::Apply(&patch)).await.expect("the program may do this");
        assert_eq!(bundles().await, 3);
        for again in [&["apply", "-f", file][..], &["apply", "--server-side", "--force-conflicts", "-f", file]] {
            let applied = cluster.kubectl(again);
            assert_eq!((applied.code, bundles().await), (Some(0), 3), "{how:?}, {again:?}: {applied:?}");
        }
        // This does take it away: it says what the whole object is.
        assert_eq!((cluster.kubectl(&["replace", "-f", file]).code, bundles().await), (Some(0), 0));
        assert_eq!(cluster.kubectl(&["delete", "-f", file]).code, Some(0));
    }
}

const CERT_MANAGER: &str = r#"
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: issuers.cert-manager.io}, spec: {group: cert-manager.io, scope: Namespaced, names: {kind: Issuer, plural: issuers}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
---
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: certificates.cert-manager.io}, spec: {group: cert-manager.io, scope: Namespaced, names: {kind: Certificate, plural: certificates}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
"#;

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn the_base_can_be_applied_with_every_component() {
    let cluster = Cluster::start().await;
    assert_eq!(cluster.kubectl_with_input(&["apply", "-f", "-"], CERT_MANAGER).code, Some(0));
    eventually("cert-manager's kinds are served", async || {
        cluster.kubectl(&["get", "issuers,certificates", "-A"]).code == Some(0)
    })
    .await;
    let folder = cluster.folder().join("overlay");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let up = "../".repeat(folder.components().count() - 1);
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).strip_prefix("/").expect("it is absolute");
    let manifests = format!("{up}{}/manifests", package.display());
    let applied_with = |component: &str| {
        let overlay = format!("resources: [{manifests}/base]\ncomponents: [{manifests}/components/{component}]\n");
        std::fs::write(folder.join("kustomization.yaml"), overlay).expect("a file can be written");
        let applied = cluster.kubectl(&["apply", "-k", &folder.display().to_string()]);
        assert_eq!(applied.code, Some(0), "{component}: {applied:?}");
        let deployment = cluster.kubectl(&["get", "deployment", "pratique", "-n", "pratique-system", "-o", "json"]);
        deployment.json()["spec"]["template"]["spec"]["containers"][0].clone()
    };
    let of = |line: &str| cluster.kubectl(&line.split_whitespace().collect::<Vec<_>>()).stdout;
    for component in ["latest-floor", "pull-secrets-all", "vulnerability-reports"] {
        assert_eq!(applied_with(component)["env"].as_array().map(Vec::len), Some(2), "{component}");
    }
    let account = "auth can-i --as=system:serviceaccount:pratique-system:pratique";
    let lists = format!("{account} list secrets -A");
    eventually("the component has given its right", async || of(&lists).trim() == "yes").await;
    let reports = of("get clusterrole,clusterrolebinding pratique-vulnerability-reports -o name");
    assert_eq!(reports.lines().count(), 2, "{reports}");
    assert_eq!(of(&format!("{account} delete pods -A")).trim(), "no");
    for component in ["tls-files", "cert-manager"] {
        let container = applied_with(component);
        assert_eq!(container["env"].as_array().map(Vec::len), Some(4), "{component}");
        let mounts = container["volumeMounts"].as_array().expect("it has some");
        assert!(mounts.iter().any(|mount| mount["mountPath"] == "/certs"), "{component}");
        assert_eq!(container["args"], json!(["serve", "--config=/etc/pratique/pratique.yaml"]), "{component}");
    }
    let annotation = "jsonpath={.metadata.annotations.cert-manager\\.io/inject-ca-from}";
    assert_eq!(of(&format!("get validatingwebhookconfiguration pratique -o {annotation}")), "pratique-system/pratique");
}
