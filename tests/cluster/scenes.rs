//! What users see: our manifests in a real cluster, the real program behind them, and real `kubectl`.
//!
//! No registry is there: every refusal in here is one that needs none.

mod changes;
mod policies;
mod table;
mod texts;

use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;
use tokio::sync::OnceCell;

use crate::installed::Installed;

/// `tags` refuses what `baseline` refuses by its tag, and asks no registry; `floor` is for the settings below.
const POLICIES: &str = r#"
{apiVersion: pratique.dev/v1alpha1, kind: ImagePolicy, metadata: {name: tags}, spec: {rules: [{name: all, images: ["**"], tags: {deny: [latest]}}]}}
---
{apiVersion: pratique.dev/v1alpha1, kind: ImagePolicy, metadata: {name: floor}, spec: {unmatched: allow, rules: [{name: below, images: ["floor.example/**"], refuse: "below the floor"}]}}
"#;

/// A kind that is not Kubernetes' own.
const ROLLOUTS: &str = "
{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: rollouts.argoproj.io}, spec: {group: argoproj.io, scope: Namespaced, names: {kind: Rollout, plural: rollouts, singular: rollout}, versions: [{name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}}
";

/// What an administrator adds to the webhook configuration for it.
const RULE: &str = r#"[{"op": "add", "path": "/webhooks/0/rules/-", "value": {"apiGroups": ["argoproj.io"], "apiVersions": ["v1alpha1"], "resources": ["rollouts"], "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}},
    {"op": "add", "path": "/webhooks/2/rules/-", "value": {"apiGroups": ["argoproj.io"], "apiVersions": ["v1alpha1"], "resources": ["rollouts"], "operations": ["CREATE", "UPDATE"], "scope": "Namespaced"}}]"#;

/// Nothing by default, so that each namespace is what its labels say.
const SETTINGS: &str = "
listen: 0.0.0.0:8443
admin: 0.0.0.0:9090
defaults: {enforce: null, warn: null, audit: null}
floor: floor
exemptNamespaces: [kube-system, pratique-system, exempt]
workloads: [{group: argoproj.io, kind: Rollout, podSpec: spec.template.spec}]
";

/// In a cluster of our own: what we ship, with the settings and policies above.
async fn stage() -> &'static Installed<'static> {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    static STAGE: OnceCell<Installed<'static>> = OnceCell::const_new();
    let stage = async || {
        let cluster = CLUSTER.get_or_init(Cluster::with_controllers).await;
        let stage = Installed::on(cluster).settings(SETTINGS).manifest(POLICIES).manifest(ROLLOUTS).start().await;
        does(&stage, &format!("patch validatingwebhookconfiguration pratique --type=json -p '{RULE}'"));
        cluster.namespace("exempt", &[("pratique.dev/enforce", "tags")]).await;
        let asked = cluster.fresh_namespace("asked-rollout", &[("pratique.dev/warn", "tags")]).await;
        let rollout = format!(
            "{{apiVersion: argoproj.io/v1alpha1, kind: Rollout, metadata: {{name: a, namespace: {asked}}}, \
             spec: {{template: {{spec: {{containers: [{{name: web, image: 'nginx:latest'}}]}}}}}}}}"
        );
        eventually("Rollouts are asked about", async || {
            stage.create(&rollout, &["--dry-run=server"]).stderr.contains("Warning: ")
        })
        .await;
        stage
    };
    STAGE.get_or_init(stage).await
}

/// A kubectl command that succeeds, as one would type it; returns what it prints, warnings first.
fn does(installed: &Installed<'_>, line: &str) -> String {
    let outcome = kubectl(installed, line);
    assert_eq!(outcome.code, Some(0), "{line}: {outcome:?}");
    outcome.stderr + &outcome.stdout
}

/// The same, which fails; returns what it prints, errors first.
fn fails(installed: &Installed<'_>, line: &str) -> String {
    let outcome = kubectl(installed, line);
    assert_eq!(outcome.code, Some(1), "{line}: {outcome:?}");
    outcome.stderr + &outcome.stdout
}

/// Words are between spaces, or between single quotes.
fn kubectl(installed: &Installed<'_>, line: &str) -> pratique_testkit::Outcome {
    installed.cluster().kubectl(&words(line))
}

fn words(line: &str) -> Vec<&str> {
    let parts = line.split('\'').enumerate();
    parts
        .flat_map(|(index, part)| if index % 2 == 1 { vec![part] } else { part.split_whitespace().collect() })
        .collect()
}

/// A Pod of one container.
fn pod(namespace: &str, name: &str, image: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{containers: [{{name: web, image: \"{image}\"}}]}}}}"
    )
}

/// A Deployment of one replica with one container.
fn deployment(namespace: &str, name: &str, image: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{selector: {{matchLabels: {{app: {name}}}}}, template: {{metadata: {{labels: {{app: {name}}}}}, \
         spec: {{containers: [{{name: web, image: \"{image}\"}}]}}}}}}}}"
    )
}
