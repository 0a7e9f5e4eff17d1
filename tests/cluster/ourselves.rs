//! What we ask of others we keep ourselves: the Pods of our own Deployment are admitted under our own policy `restricted` and
//! under Pod Security `restricted`, and none that differs in one thing is. And who may touch their priority class.

use std::path::PathBuf;

use pratique::policy::document::parse_documents;
use pratique_testkit::real::Cluster;
use pratique_testkit::report::TrivyReport;
use pratique_testkit::{Directory, Image, Outcome, Registry, eventually};
use serde_json::{Value, json};

use crate::guards;
use crate::installed::Installed;
use crate::reached::settings;

/// Everything that is asked of anybody, asked by us and by the API server itself.
const LABELS: [(&str, &str); 3] = [
    ("pratique.dev/enforce", "restricted"),
    ("pod-security.kubernetes.io/enforce", "restricted"),
    ("pod-security.kubernetes.io/enforce-version", "latest"),
];

/// Our Deployment as a folder of `manifests` has it, with this image, in that namespace.
fn deployment(cluster: &Cluster, folder: &str, namespace: &str, image: &str) -> Value {
    let folder = format!("{}/manifests/{folder}", env!("CARGO_MANIFEST_DIR"));
    let rendered = cluster.kubectl(&["kustomize", &folder]);
    assert_eq!(rendered.code, Some(0), "{rendered:?}");
    let documents = parse_documents(&rendered.stdout).expect("kustomize writes YAML");
    let objects = documents.iter().map(pratique::policy::document::Node::to_json);
    let mut ours = objects.filter(|object| object["kind"] == "Deployment");
    let mut deployment = ours.next().expect("there is a Deployment");
    assert!(ours.next().is_none(), "there is one");
    deployment["metadata"]["namespace"] = json!(namespace);
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array_mut().expect("it has containers");
    assert_eq!(containers.len(), 1, "the image of each must be named");
    containers[0]["image"] = json!(image);
    deployment
}

/// A Pod as the Deployment would make it.
fn pod(deployment: &Value, name: &str) -> Value {
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    pod["metadata"]["namespace"] = deployment["metadata"]["namespace"].clone();
    pod
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn our_own_pods_are_admitted_under_restricted_of_ours_and_of_kubernetes_and_none_that_differs_in_one_thing() {
    let (registry, hosts, reports) = (Registry::setup().start().await, Directory::new(), Directory::new());
    let (ours, other) = (Image::single(), Image::single().label("nobody scanned it"));
    let digest = registry.push("pratique", "0.1.0", &ours);
    let unscanned = registry.push("pratique", "next", &other);
    let repository = format!("{}/pratique", registry.host());
    let report = TrivyReport::of_image(&format!("{repository}:0.1.0"), &ours, "linux/amd64");
    reports.write("pratique.json", &report.text());
    let image = format!("{repository}@{digest}");
    let cluster = Cluster::with_controllers().await;
    let setup = Installed::on(&cluster).shipped("overlays/audit-only").settings(&settings(hosts.path(), &[&registry]));
    let installed = setup.variable("PRATIQUE_SCANS", &reports.path().display().to_string()).replicas(1).start().await;

    for folder in ["base", "overlays/high-availability", "overlays/single-node"] {
        let namespace = cluster.fresh_namespace("ourselves", &LABELS).await;
        let made = cluster.kubectl(&["create", "serviceaccount", "pratique", "-n", &namespace]);
        assert_eq!(made.code, Some(0), "{made:?}");
        let deployment = deployment(&cluster, folder, &namespace, &image);
        eventually("the label is known", async || {
            let mut tagged = pod(&deployment, "tagged");
            tagged["spec"]["containers"][0]["image"] = json!(format!("{repository}:0.1.0"));
            installed.create(&tagged.to_string(), &["--dry-run=server"]).code == Some(1)
        })
        .await;
        installed.accepts(&pod(&deployment, "alone").to_string());
        installed.accepts(&deployment.to_string());
        let wanted = deployment["spec"]["replicas"].as_u64().expect("it says how many");
        let pods = || {
            let of_ours = ["get", "pods", "-n", &namespace, "-l", "app.kubernetes.io/name=pratique,pod-template-hash"];
            cluster.kubectl(&[&of_ours[..], &["-o", "name"]].concat()).stdout.lines().count()
        };
        eventually("the controllers make as many Pods as there are replicas", async || {
            u64::try_from(pods()).is_ok_and(|made| made == wanted)
        })
        .await;
        differs(&installed, &deployment, &repository, &unscanned);
    }
}

/// One thing after the other is not as it is in our Deployment.
fn differs(installed: &Installed<'_>, deployment: &Value, repository: &str, unscanned: &str) {
    let rejected = |change: &dyn Fn(&mut Value), words: &[&str]| {
        let mut changed = pod(deployment, "changed");
        change(&mut changed["spec"]);
        installed.would_reject(&changed.to_string(), words)
    };
    installed.would_accept(&pod(deployment, "unchanged").to_string());
    let image = |image: String| move |spec: &mut Value| spec["containers"][0]["image"] = json!(image);
    rejected(&image(format!("{repository}:0.1.0")), &["digest-missing", "(policy restricted)"]);
    rejected(&image(format!("{repository}@{unscanned}")), &["report-missing", "(policy restricted)"]);
    let by_kubernetes = "violates PodSecurity \"restricted:latest\": ";
    let privileged = |spec: &mut Value| {
        let context = &mut spec["containers"][0]["securityContext"];
        context["privileged"] = json!(true);
        // Kubernetes lets nobody say that a privileged container may not escalate.
        context["allowPrivilegeEscalation"] = json!(true);
    };
    rejected(&privileged, &[by_kubernetes, "must not set securityContext.privileged=true"]);
    let host = |spec: &mut Value| {
        let volumes = spec["volumes"].as_array_mut().expect("there are volumes");
        volumes.push(json!({"name": "host", "hostPath": {"path": "/"}}));
    };
    rejected(&host, &[by_kubernetes, "volume \"host\" uses restricted volume type \"hostPath\""]);
    rejected(&|spec| spec["securityContext"]["runAsUser"] = json!(0), &[by_kubernetes, "must not set runAsUser=0"]);
}

/// May write priority classes, as far as RBAC goes; the second may administer us too.
const USERS: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: ranks}
rules: [{apiGroups: [scheduling.k8s.io], resources: [priorityclasses], verbs: ['*']}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ranks}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ranks}
subjects: [{kind: User, name: ranker}, {kind: User, name: administrator}]
";

fn by(cluster: &Cluster, user: &(PathBuf, &str), line: &str) -> Outcome {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    cluster.kubectl_as(&user.0, &arguments)
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn our_priority_class_is_for_administrators_and_those_of_others_are_free() {
    let cluster = guards::installed().await;
    assert_eq!(cluster.kubectl_with_input(&["apply", "-f", "-"], USERS).code, Some(0));
    let [ranker, administrator] = ["ranker", "administrator"].map(|name| (cluster.kubeconfig_as(name, &[]), name));
    eventually("the rights are in force", async || by(cluster, &ranker, "get priorityclass pratique").code == Some(0))
        .await;
    let words = "this is a part of Pratique, which decides about images for the whole cluster: to make, change or delete it you \
                 need the verb \"administer\" on imagepolicies.pratique.dev";
    for line in [
        "delete priorityclass pratique --dry-run=server",
        "label priorityclass pratique a=b --dry-run=server",
        "annotate priorityclass pratique a=b --dry-run=server",
        "patch priorityclass pratique --type=merge -p {\"description\":\"x\"} --dry-run=server",
    ] {
        let refused = by(cluster, &ranker, line);
        assert!(refused.code == Some(1) && refused.stderr.contains(words), "{line}: {refused:?}");
        let allowed = by(cluster, &administrator, line);
        assert_eq!(allowed.code, Some(0), "{line}: {allowed:?}");
    }
    // A collection names nothing.
    let all = by(cluster, &ranker, "delete priorityclass -l app.kubernetes.io/name=pratique --dry-run=server");
    assert!(all.code == Some(1) && all.stderr.contains(words), "{all:?}");
    for line in ["create priorityclass pratique-like --value=1", "delete priorityclass pratique-like"] {
        let free = by(cluster, &ranker, line);
        assert_eq!(free.code, Some(0), "{line}: {free:?}");
    }
}
