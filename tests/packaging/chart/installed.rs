//! The chart and a real API server: what it takes, what an upgrade leaves alone, and what becomes of a second release.
//!
//! Nothing runs in this cluster; the program itself is installed in `lifecycle.rs`.

use pratique_testkit::real::{Cluster, built};
use pratique_testkit::{Directory, Outcome, eventually};
use serde_json::Value;

use super::{Rendering, chart, helm, package};

/// Everything that can be switched on together.
const EVERYTHING: &str = "
certificates: {source: cert-manager}
networkPolicy: {enabled: true, apiServerCIDRs: [10.0.0.0/28]}
latestFloor: {enabled: true}
pullSecretsAll: true
vulnerabilityReports: {enabled: true}
monitoring: {serviceMonitor: {enabled: true}, prometheusRule: {enabled: true}, dashboard: {enabled: true}}
topologySpread: hard
webhook: {extraExemptNamespaces: [calico-system], timeoutSeconds: 10}
policies:
- name: acme
  spec: {rules: [{name: own, images: ['ghcr.io/acme/**'], tags: {requireDigest: true}}]}
";

/// `helm` with the rights of an administrator.
struct Release<'cluster> {
    cluster: &'cluster Cluster,
    home: Directory,
}

impl<'cluster> Release<'cluster> {
    fn on(cluster: &'cluster Cluster) -> Self {
        Self { cluster, home: Directory::new() }
    }

    fn call(&self, arguments: &[&str]) -> Outcome {
        let kubeconfig = self.cluster.kubeconfig().display().to_string();
        helm(&self.home, &[arguments, &["--kubeconfig", &kubeconfig]].concat())
    }

    /// What it prints; it succeeds.
    fn done(&self, arguments: &[&str]) -> String {
        let Outcome { code, stdout, stderr } = self.call(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
        stdout
    }

    fn install(&self, name: &str, namespace: &str, flags: &[&str]) -> Outcome {
        let chart = chart();
        self.call(&[&["install", name, &chart, "--namespace", namespace, "--create-namespace"], flags].concat())
    }

    fn upgrade(&self, flags: &[&str]) -> String {
        let chart = chart();
        self.done(&[&["upgrade", "pratique", &chart, "--namespace", "pratique-system"], flags].concat())
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn a_real_api_server_takes_every_object() {
    let cluster = Cluster::start().await;
    definitions(&cluster).await;
    // As NOTES ask for it: what Pod Security has to say is a warning, or a refusal of the Pod of `helm test`.
    let restricted =
        [("pod-security.kubernetes.io/enforce", "restricted"), ("pod-security.kubernetes.io/warn", "restricted")];
    cluster.namespace("pratique-system", &restricted).await;
    cluster.namespace("of-the-host", &[("pod-security.kubernetes.io/enforce", "privileged")]).await;
    // The Pod of `helm test` is refused without it, and it is not there after a dry run.
    for namespace in ["pratique-system", "of-the-host"] {
        let account = Rendering { namespace, ..Rendering::of("") }.objects();
        let account =
            account.iter().find(|object| object["kind"] == "ServiceAccount").expect("there is one").to_string();
        let applied = cluster.kubectl_with_input(&["apply", "--server-side", "-f", "-"], &account);
        assert_eq!(applied.code, Some(0), "{applied:?}");
    }
    for (namespace, values) in [
        ("pratique-system", ""),
        ("pratique-system", "{enforcement: enforce, replicas: 1}"),
        ("pratique-system", EVERYTHING),
        ("of-the-host", "hostNetwork: true"),
    ] {
        let kinds = &["pratique.dev/v1alpha1/ImagePolicy"];
        let text = Rendering { values, namespace, kinds }.text().unwrap_or_else(|error| panic!("{error}"));
        let apply = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"];
        let applied = cluster.kubectl_with_input(&apply, &text);
        assert_eq!((applied.code, applied.stderr.as_str()), (Some(0), ""), "{values}");
        let (made, taken) = (super::objects(&text).len(), applied.stdout.lines().count());
        assert_eq!(made, taken, "{}", applied.stdout);
    }
}

/// Whoever wrote a bundle, helm merges what it rendered before and now into what is there, and it rendered none.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn upgrades_leave_alone_what_the_program_wrote_and_uninstalling_leaves_the_policies() {
    let cluster = Cluster::start().await;
    let release = Release::on(&cluster);
    let installed = release.install("pratique", "pratique-system", &[]);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    eventually("ImagePolicies can be listed", async || cluster.kubectl(&["get", "imgpol"]).code == Some(0)).await;
    write_as_the_program_does(&cluster);
    applied(
        &cluster,
        "ImagePolicy",
        "pratique.dev/v1alpha1",
        "own",
        "spec: {rules: [{name: all, images: ['**'], admit: true}]}",
    );
    let names = |bundles: &[(String, bool)]| bundles.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let before = bundles(&cluster);
    assert!(before.len() == 3 && before.iter().all(|(_, has)| *has), "{before:?}");

    release.upgrade(&["--set", "replicas=3,settings.log.level=debug,webhook.timeoutSeconds=7"]);
    assert_eq!(bundles(&cluster), before, "an upgrade");
    assert_eq!(webhook_timeouts(&cluster), [7, 7, 7]);
    release.done(&["rollback", "pratique", "1", "--namespace", "pratique-system"]);
    assert_eq!(bundles(&cluster), before, "a rollback");
    assert_eq!(webhook_timeouts(&cluster), [5, 5, 5]);
    release.upgrade(&["--set", "enforcement=enforce"]);
    assert_eq!(bundles(&cluster), before, "to enforce");

    release.upgrade(&[
        "--set-json",
        r#"policies=[{"name":"acme","spec":{"rules":[{"name":"all","images":["**"],"admit":true}]}}]"#,
    ]);
    assert_eq!(listed(&cluster, "imgpol"), ["acme", "own"], "with the second release the kind is there");

    release.done(&["rollback", "pratique", "1", "--namespace", "pratique-system"]);
    assert_eq!(listed(&cluster, "imgpol"), ["acme", "own"], "a namespace may name one that was not there before");

    let configuration = ["validatingwebhookconfiguration", "pratique"];
    assert_eq!(cluster.kubectl(&[&["delete"], &configuration[..]].concat()).code, Some(0));
    release.upgrade(&["--reset-then-reuse-values"]);
    assert_eq!(names(&bundles(&cluster)), names(&before), "what was deleted at night is back, with nothing changed");

    release.done(&["uninstall", "pratique", "--namespace", "pratique-system"]);
    assert_eq!(listed(&cluster, "imgpol"), ["acme", "own"], "no namespace is left without the policy that it names");
    assert!(listed(&cluster, "secrets").contains(&"pratique-certificates".to_owned()));
    let left = ["clusterroles", "clusterrolebindings", "priorityclasses", "validatingwebhookconfigurations"];
    let left = [&left[..], &["validatingadmissionpolicies", "validatingadmissionpolicybindings"]].concat();
    for kind in left {
        let of_ours = listed(&cluster, kind).into_iter().filter(|name| name.contains("pratique"));
        assert_eq!(of_ours.collect::<Vec<_>>(), Vec::<String>::new(), "{kind}");
    }
    let again = release.install("pratique", "pratique-system", &[]);
    assert_eq!(again.code, Some(0), "it takes up the definition that it left: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn there_is_one_release_in_a_namespace_of_its_own_and_its_notes_say_what_is_missing() {
    let cluster = Cluster::start().await;
    let release = Release::on(&cluster);
    let refused = release.install("pratique", "default", &[]).stderr;
    assert!(refused.contains("the namespace default is for others"), "{refused}");

    let notes = release.install("pratique", "admission", &["--set", "policies[0].name=a,policies[0].spec.rules=null"]);
    assert_eq!(notes.code, Some(0), "{notes:?}");
    let notes = notes.stdout;
    let label = "    kubectl label --overwrite namespace admission pod-security.kubernetes.io/enforce=restricted \
                 pod-security.kubernetes.io/warn=restricted pod-security.kubernetes.io/audit=restricted";
    for said in [
        "release pratique, in the namespace admission: 2 replica(s), enforcement: audit-only",
        "WARNING: The image is named by a tag",
        "WARNING: The namespace does not say what its Pods may do",
        label,
        "WARNING: The 1 ImagePolicies of the value `policies` are not there yet",
        "helm -n admission test pratique\n",
        "kubectl label namespace NAMESPACE pratique.dev/enforce=baseline",
        "helm -n admission uninstall pratique",
    ] {
        assert!(notes.contains(said), "{said}\n{notes}");
    }
    let command: Vec<&str> = label.split_whitespace().skip(1).collect();
    assert_eq!(cluster.kubectl(&command).code, Some(0));
    let digest = "image.digest=sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097";
    let chart = chart();
    let upgraded = release.done(&[
        "upgrade",
        "pratique",
        &chart,
        "--namespace",
        "admission",
        "--set",
        digest,
        "--set",
        "enforcement=enforce",
    ]);
    assert!(!upgraded.contains("WARNING"), "{upgraded}");
    assert!(upgraded.contains("else by baseline") && upgraded.contains("--set enforcement=audit-only"), "{upgraded}");

    let upgrade = ["upgrade", "pratique", &chart, "--namespace", "admission"];
    let on_the_host = release.done(&[&upgrade[..], &["--set", "hostNetwork=true"]].concat());
    assert!(on_the_host.contains("pod-security.kubernetes.io/enforce=privileged"), "{on_the_host}");

    for (name, namespace) in [("another", "elsewhere"), ("another", "admission"), ("pratique", "elsewhere")] {
        let refused = release.install(name, namespace, &[]).stderr;
        let words = "Pratique is in this cluster already, as the release pratique in the namespace admission";
        assert!(refused.contains(words), "{name} in {namespace}: {refused}");
    }
}

/// Selectors and names are the same, so nothing is made anew.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn what_kubectl_installed_can_be_taken_over() {
    let cluster = Cluster::start().await;
    let release = Release::on(&cluster);
    let overlay = package().join("manifests/overlays/audit-only").display().to_string();
    let applied = cluster.kubectl(&["apply", "-k", &overlay]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let identity = ["get", "-n", "pratique-system", "deployment/pratique", "service/pratique", "-o"];
    let identity = || cluster.kubectl(&[&identity[..], &["jsonpath={.items[*].metadata.uid}"]].concat()).stdout;
    let before = identity();
    let refused = release.install("pratique", "pratique-system", &[]);
    assert!(refused.stderr.contains("cannot be imported into the current release"), "{refused:?}");
    let taken = release.install("pratique", "pratique-system", &["--take-ownership"]);
    assert_eq!(taken.code, Some(0), "{taken:?}");
    assert_eq!(identity(), before);
    let settings = listed(&cluster, "configmaps").into_iter().filter(|name| name.starts_with("pratique-settings"));
    assert_eq!(settings.count(), 2, "kustomize's, with the hash in its name, is left, and no longer read");
}

/// With the kinds of others, and our own.
async fn definitions(cluster: &Cluster) {
    let parts = std::path::Path::new(&built("helm")).parent().expect("a folder").to_owned();
    let files = [
        parts.join("prometheus-operator-0.85.0/monitoring.coreos.com_servicemonitors.yaml"),
        parts.join("prometheus-operator-0.85.0/monitoring.coreos.com_prometheusrules.yaml"),
        parts.join("cert-manager-1.21.2/cert-manager.io_issuers.yaml"),
        parts.join("cert-manager-1.21.2/cert-manager.io_certificates.yaml"),
        package().join("manifests/base/customresourcedefinition.yaml"),
    ];
    for file in files {
        let applied = cluster.kubectl(&["apply", "--server-side", "-f", &file.display().to_string()]);
        assert_eq!(applied.code, Some(0), "{applied:?}");
    }
    for kind in ["servicemonitors", "prometheusrules", "issuers", "certificates", "imgpol"] {
        eventually(kind, async || cluster.kubectl(&["get", kind, "-A"]).code == Some(0)).await;
    }
}

/// Its Secret, and the bundle by server-side apply, as its own field manager.
fn write_as_the_program_does(cluster: &Cluster) {
    let secret =
        ["create", "secret", "generic", "pratique-certificates", "-n", "pratique-system", "--from-literal=a=b"];
    assert_eq!(cluster.kubectl(&secret).code, Some(0));
    let webhooks: String = bundles(cluster)
        .iter()
        .map(|(name, _)| format!("- {{name: {name}, clientConfig: {{caBundle: {BUNDLE}}}}}\n"))
        .collect();
    let yaml = format!(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\n\
         metadata: {{name: pratique}}\nwebhooks:\n{webhooks}"
    );
    let apply = ["apply", "--server-side", "--field-manager=pratique-certificates", "-f", "-"];
    let applied = cluster.kubectl_with_input(&apply, &yaml);
    assert_eq!(applied.code, Some(0), "{applied:?}");
}

/// An empty file of certificates is one that API servers take.
const BUNDLE: &str = "Cg==";

/// Each webhook by name, and whether it has the bundle.
fn bundles(cluster: &Cluster) -> Vec<(String, bool)> {
    let webhooks = webhooks(cluster);
    let mut bundles: Vec<_> = webhooks
        .iter()
        .map(|webhook| {
            (webhook["name"].as_str().unwrap_or_default().to_owned(), webhook["clientConfig"]["caBundle"] == BUNDLE)
        })
        .collect();
    bundles.sort();
    bundles
}

fn webhook_timeouts(cluster: &Cluster) -> Vec<u64> {
    webhooks(cluster).iter().filter_map(|webhook| webhook["timeoutSeconds"].as_u64()).collect()
}

fn webhooks(cluster: &Cluster) -> Vec<Value> {
    let found = cluster.kubectl(&["get", "validatingwebhookconfiguration", "pratique", "-o", "json"]);
    let found: Value = serde_json::from_str(&found.stdout).unwrap_or_else(|error| panic!("{error}: {found:?}"));
    found["webhooks"].as_array().expect("webhooks").clone()
}

fn applied(cluster: &Cluster, kind: &str, version: &str, name: &str, rest: &str) {
    let yaml = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n{rest}\n");
    let applied = cluster.kubectl_with_input(&["apply", "-f", "-"], &yaml);
    assert_eq!(applied.code, Some(0), "{applied:?}");
}

/// By name, wherever they are.
fn listed(cluster: &Cluster, kind: &str) -> Vec<String> {
    let found = cluster.kubectl(&["get", kind, "-A", "-o", "jsonpath={.items[*].metadata.name}"]);
    assert_eq!(found.code, Some(0), "{found:?}");
    let mut names: Vec<String> = found.stdout.split_whitespace().map(str::to_owned).collect();
    names.sort();
    names
}
