//! The admission policies of `manifests/base` and of the component `latest-floor`, asked by real users: who may
//! label namespaces, who may touch what we run on, and what the floor under `latest` refuses while we are away.

use std::path::PathBuf;

use pratique::image::Reference;
use pratique::policy::Action;
use pratique::policy::compile::{KeyAt, compile};
use pratique::policy::document::parse_documents;
use pratique_testkit::real::Cluster;
use pratique_testkit::{Outcome, eventually};
use tokio::sync::OnceCell;

/// Everything but the webhook configuration, which refuses whatever it matches while there is no program.
const BUT_THE_WEBHOOK: &str = "--selector=app.kubernetes.io/component!=webhook";

const WEBHOOK: &str = "-f manifests/base/validatingwebhookconfiguration.yaml";

/// A user who may write everything that RBAC lets one write, and nothing of what the guards ask for; one who may also bind
/// `baseline`, one who may bind every policy, and one who may administer us.
const USERS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: writes}
rules:
- {apiGroups: ["", apps, batch, apiextensions.k8s.io, coordination.k8s.io, networking.k8s.io, policy], resources: ["*"], verbs: ["*"]}
- {apiGroups: [rbac.authorization.k8s.io, admissionregistration.k8s.io], resources: ["*"], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: binds-baseline}
rules: [{apiGroups: [pratique.dev], resources: [imagepolicies], resourceNames: [baseline], verbs: [bind]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: binds}
rules: [{apiGroups: [pratique.dev], resources: [imagepolicies], verbs: [bind]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: administers}
rules: [{apiGroups: [pratique.dev], resources: [imagepolicies], verbs: [administer]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: writes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: writes}
subjects:
- {kind: User, name: writer}
- {kind: User, name: team}
- {kind: User, name: binder}
- {kind: User, name: administrator}
- {kind: User, name: "system:serviceaccount:kube-system:replicaset-controller"}
- {kind: User, name: "system:serviceaccount:pratique-system:pratique"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: binds-baseline}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: binds-baseline}
subjects: [{kind: User, name: team}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: binds}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: binds}
subjects: [{kind: User, name: binder}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: administers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: administers}
subjects: [{kind: User, name: administrator}]
"#;

/// A cluster with the base in it, beside the webhook, and the floor; the guards are in force.
pub(crate) async fn installed() -> &'static Cluster {
    static INSTALLED: OnceCell<Cluster> = OnceCell::const_new();
    INSTALLED
        .get_or_init(async || {
            let cluster = Cluster::start().await;
            cluster.namespace("guarded", &[]).await;
            // Made before there was a floor.
            let old = pod(&containers("old:latest")).replace("name: web}, spec", "name: old}, spec");
            let made = cluster.kubectl_with_input(&["create", "-n", "guarded", "-f", "-"], &old);
            assert_eq!(made.code, Some(0), "{made:?}");
            for what in
                [["apply", "-k", "manifests/base"], ["apply", "-f", "manifests/components/latest-floor/policy.yaml"]]
            {
                let applied = cluster.kubectl(&[what[0], what[1], what[2], BUT_THE_WEBHOOK]);
                assert_eq!(applied.code, Some(0), "{applied:?}");
            }
            assert_eq!(cluster.kubectl_with_input(&["apply", "-f", "-"], USERS).code, Some(0));
            eventually("the definition is served", async || cluster.kubectl(&["get", "imgpol"]).code == Some(0)).await;
            let writer = cluster.kubeconfig_as("writer", &[]);
            let refuses = |arguments: &[&str], guard: &str| {
                let refused = cluster.kubectl_as(&writer, arguments);
                refused.code == Some(1) && refused.stderr.contains(guard)
            };
            eventually("the guards are in force", async || {
                refuses(
                    &["label", "ns", "guarded", "pratique.dev/warn=x", "--dry-run=server"],
                    "namespace-labels.pratique.dev",
                ) && refuses(
                    &["delete", "deploy", "pratique", "-n", "pratique-system", "--dry-run=server"],
                    "objects.pratique.dev",
                ) && refuses(
                    &["run", "x", "--image=x", "-n", "guarded", "--dry-run=server"],
                    "latest-floor.pratique.dev",
                )
            })
            .await;
            cluster
        })
        .await
}

/// What kubectl does and prints for a user.
fn by(user: &(&Cluster, PathBuf), line: &str) -> Outcome {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    user.0.kubectl_as(&user.1, &arguments)
}

fn user<'c>(cluster: &'c Cluster, name: &str, groups: &[&str]) -> (&'c Cluster, PathBuf) {
    (cluster, cluster.kubeconfig_as(name, groups))
}

fn allows(user: &(&Cluster, PathBuf), line: &str) {
    let outcome = by(user, line);
    assert_eq!(outcome.code, Some(0), "{line}: {outcome:?}");
}

fn refuses(user: &(&Cluster, PathBuf), line: &str, words: &str) {
    let outcome = by(user, line);
    assert!(outcome.code == Some(1) && outcome.stderr.contains(words), "{line}: {outcome:?}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn labels_that_say_who_judges_are_for_those_who_may_bind_the_policies_that_they_name() {
    let cluster = installed().await;
    let shop = cluster.fresh_namespace("labels", &[]).await;
    let [writer, team, binder] = ["writer", "team", "binder"].map(|name| user(cluster, name, &[]));
    let root = user(cluster, "root", &["system:masters"]);
    let label = |labels: &str| format!("label namespace {shop} --overwrite {labels}");
    let forbidden = |mode: &str| {
        format!(
            "denied request: the label pratique.dev/{mode} says which policy judges the namespace: to set, change or remove it \
             you need the verb \"bind\" on imagepolicies.pratique.dev, for the policy that it names and for the one that it \
             named before"
        )
    };
    allows(&writer, &label("team=a pratique.example/enforce=x"));
    for mode in ["enforce", "warn", "audit"] {
        refuses(&writer, &label(&format!("pratique.dev/{mode}=baseline")), &forbidden(mode));
        allows(&team, &label(&format!("pratique.dev/{mode}=baseline")));
        refuses(&team, &label(&format!("pratique.dev/{mode}=lax")), &forbidden(mode));
        refuses(&writer, &label(&format!("pratique.dev/{mode}-")), &forbidden(mode));
        // What it cannot bind it cannot take away either.
        allows(&binder, &label(&format!("pratique.dev/{mode}=strict")));
        refuses(&team, &label(&format!("pratique.dev/{mode}=baseline")), &forbidden(mode));
        refuses(&team, &label(&format!("pratique.dev/{mode}-")), &forbidden(mode));
    }
    let others = "labels that begin with pratique.dev/ are Pratique's";
    refuses(&team, &label("pratique.dev/other=baseline"), others);
    allows(&binder, &label("pratique.dev/other=x"));
    refuses(&team, &label("pratique.dev/other-"), others);
    refuses(&team, &label("pratique.dev/other=y"), others);
    // What stays as it is is nobody's business.
    allows(&writer, &format!("annotate namespace {shop} a=b"));
    allows(&writer, &label("team=b"));
    allows(&root, &label("pratique.dev/enforce=a pratique.dev/warn- pratique.dev/audit=c pratique.dev/other=d"));
}

/// A subresource writes labels as well.
#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn no_way_around_the_guard_of_labels() {
    let cluster = installed().await;
    let shop = cluster.fresh_namespace("around", &[]).await;
    let (writer, team) = (user(cluster, "writer", &[]), user(cluster, "team", &[]));
    let words = "the label pratique.dev/enforce says which policy";
    let patch = r#"{"metadata":{"labels":{"pratique.dev/enforce":"lax"}}}"#;
    for subresource in ["", "--subresource=status"] {
        refuses(&writer, &format!("patch namespace {shop} {subresource} --type=merge -p {patch}"), words);
    }
    let finalize = format!(
        r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{shop}","labels":{{"pratique.dev/enforce":"lax"}}}}}}"#
    );
    let way = format!("/api/v1/namespaces/{shop}/finalize");
    let finalized = cluster.kubectl_as_with_input(&writer.1, &["replace", "--raw", &way, "-f", "-"], &finalize);
    assert!(finalized.stderr.contains(words), "{finalized:?}");
    for (who, named, code) in [(&writer, "baseline", Some(1)), (&team, "lax", Some(1)), (&team, "baseline", Some(0))] {
        let namespace = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {shop}-new, labels: {{pratique.dev/enforce: {named}}}}}}}"
        );
        let made = cluster.kubectl_as_with_input(&who.1, &["create", "-f", "-"], &namespace);
        assert_eq!(made.code, code, "{named}: {made:?}");
    }
    // Exempt, whatever its labels say, and never in the way of who mends the cluster.
    allows(&writer, "label namespace kube-system pratique.dev/enforce=x");
    allows(&writer, "label namespace kube-system pratique.dev/enforce-");
    // A namespace with labels can go like any other.
    allows(&writer, &format!("delete namespace {shop}-new --wait=false"));
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn what_we_run_on_is_for_administrators_the_cluster_itself_and_where_it_must_the_program() {
    let cluster = installed().await;
    let writer = user(cluster, "writer", &[]);
    let root = user(cluster, "root", &["system:masters"]);
    let administrator = user(cluster, "administrator", &[]);
    let words = "this is a part of Pratique, which decides about images for the whole cluster: to make, change or delete it you \
                 need the verb \"administer\" on imagepolicies.pratique.dev";
    let ours = "-n pratique-system --dry-run=server";
    let lines = [
        format!("scale deployment pratique --replicas=0 {ours}").replace(" --dry-run=server", ""),
        format!("set image deployment/pratique pratique=evil.example/x:1 {ours}"),
        format!("delete deployment pratique {ours}"),
        format!("delete service pratique {ours}"),
        format!("delete serviceaccount pratique {ours}"),
        format!("delete poddisruptionbudget pratique {ours}"),
        format!("delete rolebinding pratique {ours}"),
        format!("create role more --verb=get --resource=pods {ours}"),
        format!("create secret generic pratique-certificates {ours}"),
        format!("create secret generic keys {ours}"),
        format!("create configmap pratique-trust {ours}"),
        format!("create quota none --hard=pods=0 {ours}"),
        "create token pratique -n pratique-system".to_owned(),
        format!("create job evil --image=evil.example/x:1 {ours}"),
        format!("create deployment evil --image=evil.example/x:1 {ours}"),
        "delete customresourcedefinition imagepolicies.pratique.dev --dry-run=server".to_owned(),
        "delete clusterrole pratique --dry-run=server".to_owned(),
        "delete clusterrolebinding pratique --dry-run=server".to_owned(),
        "delete namespace pratique-system --dry-run=server".to_owned(),
        format!("create {WEBHOOK} --dry-run=server"),
    ];
    for line in &lines {
        refuses(&writer, line, words);
        // Not the scaling to nothing, which has no dry run.
        if line.contains("--dry-run") {
            allows(&administrator, line);
            allows(&root, line);
        }
    }
    let controllers = ["system:serviceaccounts:kube-system"];
    let controller = user(cluster, "system:serviceaccount:kube-system:replicaset-controller", &controllers);
    allows(&controller, &format!("delete deployment pratique {ours}"));
    allows(&controller, &format!("create configmap kube-root-ca.crt {ours}"));
    let program = user(cluster, "system:serviceaccount:pratique-system:pratique", &["system:serviceaccounts"]);
    let pair = "--type=kubernetes.io/tls --from-literal=tls.crt=x --from-literal=tls.key=x";
    allows(&program, &format!("create secret generic pratique-certificates {pair} {ours}"));
    // One of another type could be a token that never ends.
    refuses(&program, &format!("create secret generic pratique-certificates {ours}"), words);
    // For the caBundle.
    allows(&program, &format!("create {WEBHOOK} --dry-run=server"));
    refuses(&program, &format!("create secret generic other {ours}"), words);
    refuses(&program, &format!("delete deployment pratique {ours}"), words);
    refuses(&program, "delete customresourcedefinition imagepolicies.pratique.dev --dry-run=server", words);
    // A Pod in our namespace is judged by nobody.
    let (pod, ours) = (restricted_pod(), ["create", "--dry-run=server", "-n", "pratique-system", "-f", "-"]);
    let made = cluster.kubectl_as_with_input(&writer.1, &ours, &pod);
    assert!(made.stderr.contains(words), "{made:?}");
    assert_eq!(cluster.kubectl_as_with_input(&controller.1, &ours, &pod).code, Some(0));
}

/// Deleting a collection names nothing.
#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn what_is_not_ours_is_free_and_a_collection_takes_nothing_of_ours_with_it() {
    let cluster = installed().await;
    let writer = user(cluster, "writer", &[]);
    for line in [
        "create deployment web --image=a.example/web:1 -n guarded",
        "create secret generic pratique-certificates -n guarded",
        "create clusterrole pratique-like --verb=get --resource=pods",
        "delete clusterrole pratique-like",
    ] {
        allows(&writer, line);
    }
    refuses(&writer, "delete --raw /apis/apps/v1/namespaces/pratique-system/deployments", "this is a part of Pratique");
    refuses(
        &writer,
        "delete --raw /apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "this is a part of Pratique",
    );
    allows(&user(cluster, "root", &["system:masters"]), "get deployment pratique -n pratique-system");
    allows(&user(cluster, "root", &["system:masters"]), "get imgpol");
}

/// Why a comment in guard.yaml sends administrators to RBAC for these: it is asked about what else is of admission.
#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn no_policy_is_asked_about_policies_of_admission_themselves() {
    let cluster = installed().await;
    let probe = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: probe}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [admissionregistration.k8s.io], apiVersions: ["*"], resources: ["*"], operations: ["*"]}]
  matchConditions: [{name: matched, expression: "request.name == 'matched'"}]
  validations: [{expression: "false", message: "asked"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: probe}
spec: {policyName: probe, validationActions: [Deny]}
"#;
    let create = |text: &str| cluster.kubectl_with_input(&["create", "--dry-run=server", "-f", "-"], text);
    assert_eq!(cluster.kubectl_with_input(&["apply", "-f", "-"], probe).code, Some(0));
    let webhook = "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: matched}}";
    eventually("webhooks are asked about", async || create(webhook).stderr.contains("denied request: asked")).await;
    let itself = create(&probe.replace("name: probe}", "name: matched}"));
    assert_eq!(itself.code, Some(0), "{itself:?}");
    let gone = cluster.kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "probe"]);
    assert_eq!(gone.code, Some(0), "{gone:?}");
}

/// Image strings, and whether the floor refuses each: all that it refuses `tags: {deny: [latest]}` refuses too, and it lets
/// pass only what that admits or what is no name of an image.
const IMAGES: &[(&str, bool)] = &[
    ("nginx", true),
    ("nginx:latest", true),
    ("nginx:1.27", false),
    ("nginx:Latest", false),
    ("nginx:latest-alpine", false),
    ("docker.io/library/nginx", true),
    ("a.example:5000/nginx", true),
    ("a.example:5000/nginx:latest", true),
    ("a.example:5000/nginx:1", false),
    ("a.example:5000/team/nginx", true),
    ("A.EXAMPLE/nginx", true),
    ("localhost/nginx", true),
    ("localhost:5000/nginx", true),
    ("localhost:5000", false),
    ("[::1]:5000/nginx", true),
    ("[::1]:5000/nginx:1", false),
    ("a.example/latest", true),
    ("a.example/latest:1", false),
    ("latest", true),
    ("nginx@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ("nginx:latest@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    // No names of images, which we refuse as such.
    ("nginx:", false),
    ("nginx@sha256:abc", false),
    ("Nginx:latest", true),
    ("https://a.example/nginx", true),
];

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn the_floor_refuses_what_our_policy_against_latest_refuses_of_what_is_named_right() {
    let cluster = installed().await;
    let text = "{apiVersion: pratique.dev/v1alpha1, kind: ImagePolicy, metadata: {name: floor}, spec: {rules: [{name: all, images: ['**'], tags: {deny: [latest]}}]}}";
    let policy = parse_documents(text).expect("it is YAML").remove(0);
    let policy = compile(&policy, "", &|_: KeyAt<'_>| Err("no keys".to_owned())).expect("it is a policy").policy;
    let Action::Require(demands) = &policy.rules[0].action else { panic!("{policy:?}") };
    for (image, refused) in IMAGES {
        let made = cluster
            .kubectl_with_input(&["create", "--dry-run=server", "-n", "guarded", "-f", "-"], &pod(&containers(image)));
        let floor = made
            .stderr
            .contains(&format!("denied request: {image}: \"latest\", written or left out, can change under you"));
        assert_eq!((floor, made.code == Some(1)), (*refused, *refused), "{image}: {made:?}");
        match Reference::parse(image) {
            Ok(reference) => assert_eq!(*refused, !demands.refuses_statically(&reference).is_empty(), "{image}"),
            Err(_) => assert!(
                ["nginx:", "nginx@sha256:abc", "Nginx:latest", "https://a.example/nginx"].contains(image),
                "{image}"
            ),
        }
    }
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn the_floor_sees_every_image_of_a_pod_warns_of_controllers_and_leaves_alone_what_was_there() {
    let cluster = installed().await;
    let create =
        |object: &str| cluster.kubectl_with_input(&["create", "--dry-run=server", "-n", "guarded", "-f", "-"], object);
    let right = containers("a.example/b:1");
    for (spec, code) in [
        (right.clone(), Some(0)),
        (format!("{right}, initContainers: [{{name: i, image: a.example/i}}]"), Some(1)),
        (format!("{right}, volumes: [{{name: v, image: {{reference: \"a.example/v:latest\"}}}}]"), Some(1)),
        (format!("{right}, volumes: [{{name: v, emptyDir: {{}}}}]"), Some(0)),
    ] {
        let made = create(&pod(&spec));
        assert_eq!(made.code, code, "{spec}: {made:?}");
    }
    let template = format!("{{metadata: {{labels: {{app: web}}}}, spec: {{{}}}}}", containers("web"));
    let job = format!("{{metadata: {{}}, spec: {{{}, restartPolicy: Never}}}}", containers("web"));
    let selected = format!("selector: {{matchLabels: {{app: web}}}}, template: {template}");
    for (kind, body) in [
        ("apps/v1, kind: Deployment", format!("spec: {{{selected}}}")),
        ("apps/v1, kind: ReplicaSet", format!("spec: {{{selected}}}")),
        ("apps/v1, kind: DaemonSet", format!("spec: {{{selected}}}")),
        ("apps/v1, kind: StatefulSet", format!("spec: {{serviceName: web, {selected}}}")),
        ("v1, kind: ReplicationController", format!("spec: {{selector: {{app: web}}, template: {template}}}")),
        ("v1, kind: PodTemplate", format!("template: {template}")),
        ("batch/v1, kind: Job", format!("spec: {{template: {job}}}")),
        (
            "batch/v1, kind: CronJob",
            format!("spec: {{schedule: \"* * * * *\", jobTemplate: {{spec: {{template: {job}}}}}}}"),
        ),
    ] {
        let made = create(&format!("{{apiVersion: {kind}, metadata: {{name: web}}, {body}}}"));
        let warned = made
            .stderr
            .contains("Warning: Validation failed for ValidatingAdmissionPolicy 'latest-floor.pratique.dev'");
        assert_eq!((made.code, warned), (Some(0), true), "{kind}: {made:?}");
    }
    // What was there stays, and is not made worse.
    let labelled = cluster.kubectl(&["label", "pod", "old", "-n", "guarded", "a=b"]);
    assert_eq!(labelled.code, Some(0), "{labelled:?}");
    let changed = cluster.kubectl(&["set", "image", "pod/old", "-n", "guarded", "web=new:latest"]);
    assert!(changed.stderr.contains("new:latest: \"latest\""), "{changed:?}");
    let debugged = cluster.kubectl(&["debug", "old", "-n", "guarded", "--image=busybox"]);
    assert!(debugged.stderr.contains("busybox: \"latest\""), "{debugged:?}");
}

fn containers(image: &str) -> String {
    format!("containers: [{{name: web, image: \"{image}\"}}]")
}

fn pod(spec: &str) -> String {
    format!("{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{{spec}}}}}")
}

/// As our namespace asks of Pods.
fn restricted_pod() -> String {
    let security = "securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1, seccompProfile: {type: RuntimeDefault}, capabilities: {drop: [ALL]}}";
    pod(&format!("serviceAccountName: pratique, containers: [{{name: web, image: \"evil.example/x:1\", {security}}}]"))
}
