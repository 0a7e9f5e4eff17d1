//! What we ship for a cluster agrees with itself, with Kubernetes' types and with our code.
//!
//! Every object is read with its k8s-openapi type and written again: what is lost on the way is a misspelt field, which
//! an API server would drop too, in silence.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy frees tests of these, but not what they call")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhook, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Namespace, PodSpec, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pratique::config::{Config, Defaults};
use pratique::controller::Names;
use pratique::evidence::cluster;
use pratique::policy::schema::custom_resource_definition;
use pratique::server::Bounds;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const SETTINGS: &str = "manifests/base/settings/pratique.yaml";
/// The same, but for what the component is for.
const SETTINGS_ENFORCING: &str = "manifests/components/enforce-baseline/settings/pratique.yaml";
const OBJECTS: &str = "examples/objects";
const DEFINITION: &str = "manifests/base/customresourcedefinition.yaml";
const CERTIFICATES: &str = "manifests/components/cert-manager/certificate.yaml";
/// What the chart has as kustomize has it, under the same names as under `manifests`: helm reads nothing outside of a chart.
const COPIES: &str = "manifests/chart/files";
/// Set to 1, the tests of what is written by them write it.
const WRITE: &str = "PRATIQUE_WRITE";

#[test]
fn the_definition_of_image_policies_is_what_our_types_say() {
    let written = definition();
    assert_eq!(
        documents(DEFINITION),
        [custom_resource_definition()],
        "{DEFINITION} is not of this code: run {WRITE}=1 cargo test --test manifests"
    );
    assert!(read(DEFINITION) == written, "{DEFINITION} was written by hand: run {WRITE}=1 cargo test --test manifests");
}

/// Helm would install what kustomize no longer has.
#[test]
fn the_copies_in_the_chart_are_what_they_are_copies_of() {
    definition();
    let copies = files(&package().join(COPIES));
    assert!(copies.len() > 10, "{copies:?}");
    for copy in copies {
        let copy = relative(&copy);
        let original = read(&copy.replace(COPIES, "manifests"));
        if writes() {
            fs::write(package().join(&copy), &original).unwrap();
        }
        assert!(read(&copy) == original, "{copy} is not up to date: run {WRITE}=1 cargo test --test manifests");
    }
}

/// Of the program, the chart, and what objects say that they are of.
#[test]
fn there_is_one_version() {
    let chart = documents("manifests/chart/Chart.yaml").remove(0);
    let base = documents("manifests/base/kustomization.yaml").remove(0);
    let said = [&chart["version"], &chart["appVersion"], &base["labels"][0]["pairs"]["app.kubernetes.io/version"]];
    assert_eq!(said, [env!("CARGO_PKG_VERSION"); 3]);
    let image = only_container(&pod()).image.unwrap();
    assert!(image.ends_with(&format!(":{}", env!("CARGO_PKG_VERSION"))), "{image}");
    let values = documents("manifests/chart/values.yaml").remove(0);
    assert!(image.starts_with(values["image"]["repository"].as_str().unwrap()), "{image}");
}

#[test]
fn every_object_is_understood_whole_by_its_type() {
    for (file, object) in shipped() {
        let read_again = match object["kind"].as_str() {
            Some("ClusterRole") => round_trip::<ClusterRole>(&object),
            Some("ClusterRoleBinding") => round_trip::<ClusterRoleBinding>(&object),
            Some("CustomResourceDefinition") => round_trip::<CustomResourceDefinition>(&object),
            // Patches, which lack what the type must have.
            Some("Deployment") if file.starts_with("manifests/components/") => continue,
            Some("ValidatingWebhookConfiguration") if file.starts_with("manifests/components/fail-closed") => continue,
            Some("ValidatingWebhookConfiguration") if file.starts_with("manifests/components/enforce-") => continue,
            Some("Deployment") => round_trip::<Deployment>(&object),
            Some("Namespace") => round_trip::<Namespace>(&object),
            Some("NetworkPolicy") => round_trip::<NetworkPolicy>(&object),
            Some("PodDisruptionBudget") => round_trip::<PodDisruptionBudget>(&object),
            Some("PriorityClass") => round_trip::<PriorityClass>(&object),
            Some("Role") => round_trip::<Role>(&object),
            Some("RoleBinding") => round_trip::<RoleBinding>(&object),
            Some("Service") => round_trip::<Service>(&object),
            Some("ServiceAccount") => round_trip::<ServiceAccount>(&object),
            Some("ValidatingAdmissionPolicy") => round_trip::<ValidatingAdmissionPolicy>(&object),
            Some("ValidatingAdmissionPolicyBinding") => round_trip::<ValidatingAdmissionPolicyBinding>(&object),
            Some("ValidatingWebhookConfiguration") => round_trip::<ValidatingWebhookConfiguration>(&object),
            Some("Certificate" | "Issuer") if file == CERTIFICATES => continue,
            // A real API server is asked about them, with the definitions of prometheus-operator: tests/packaging.
            Some("ServiceMonitor" | "PrometheusRule") if file.starts_with("manifests/components/monitoring/") => {
                continue;
            }
            other => panic!("{file}: kind {other:?} has no type in this test; add it"),
        };
        assert_eq!(numbers(read_again), numbers(object), "{file}: a field is misspelt, or stands in the wrong place");
    }
}

#[test]
fn kustomizations_list_every_file_and_only_files_that_exist() {
    let ours = files(&package().join("manifests")).into_iter().map(|file| relative(&file));
    let folders: Vec<_> = ours.filter_map(|file| file.strip_suffix("kustomization.yaml").map(str::to_owned)).collect();
    assert!(folders.len() > 10, "{folders:?}");
    for folder in folders {
        let kustomization = documents(&format!("{folder}kustomization.yaml")).remove(0);
        let mut listed = BTreeSet::new();
        for resources in [&kustomization["resources"]].into_iter().filter(|resources| !resources.is_null()) {
            listed.extend(strings(resources).into_iter().filter(|resource| !resource.starts_with("..")));
        }
        for generator in kustomization["configMapGenerator"].as_array().into_iter().flatten() {
            // `key=file`, or a file under its own name.
            let file = |listed: String| listed.rsplit('=').next().unwrap().to_owned();
            listed.extend(strings(&generator["files"]).into_iter().map(file));
        }
        let patches = kustomization["patches"].as_array().into_iter().flatten();
        listed.extend(patches.filter_map(|patch| patch["path"].as_str().map(str::to_owned)));
        let found = files(&package().join(&folder)).into_iter();
        let found = found.map(|file| relative(&file).trim_start_matches(&folder).to_owned());
        assert_eq!(listed, found.filter(|file| file != "kustomization.yaml").collect(), "{folder}");
    }
}

#[test]
fn the_settings_that_enforce_differ_in_that_alone() {
    let [mut shipped, enforcing] = [SETTINGS, SETTINGS_ENFORCING].map(|file| documents(file).remove(0));
    shipped["defaults"]["enforce"] = "baseline".into();
    assert_eq!(enforcing, shipped);
}

/// Else a namespace without the label is open in an outage, though its default enforces.
#[test]
fn where_the_default_enforces_both_webhooks_for_images_refuse() {
    let component = documents("manifests/components/enforce-baseline/kustomization.yaml").remove(0);
    assert_eq!(component["components"], serde_json::json!(["../fail-closed-where-enforced"]));
    let patch = documents("manifests/components/enforce-baseline/validatingwebhookconfiguration.yaml").remove(0);
    let policies =
        patch["webhooks"].as_array().unwrap().iter().map(|webhook| (&webhook["name"], &webhook["failurePolicy"]));
    let policies: Vec<_> = policies.map(|(name, policy)| (name.as_str().unwrap(), policy.as_str().unwrap())).collect();
    assert_eq!(policies, [("images.pratique.dev", "Fail"), ("unenforced.images.pratique.dev", "Fail")]);
}

/// What is asked where nothing is enforced is what is asked where it is.
#[test]
fn the_two_webhooks_for_images_differ_in_namespaces_and_failure_alone() {
    let patch =
        documents("manifests/components/fail-closed-where-enforced/validatingwebhookconfiguration.yaml").remove(0);
    let [enforced, unenforced] = patch["webhooks"].as_array().unwrap().as_slice() else { panic!("two: {patch}") };
    let whole = serde_json::to_value(webhook()).unwrap();
    assert_eq!(enforced["name"], whole["name"]);
    let expressions = |webhook: &Value| webhook["namespaceSelector"]["matchExpressions"].as_array().unwrap().clone();
    let with = |operator: &str| {
        let label = serde_json::json!({"key": "pratique.dev/enforce", "operator": operator});
        expressions(&whole).into_iter().chain([label]).collect::<Vec<_>>()
    };
    assert_eq!(expressions(enforced), with("Exists"));
    assert_eq!(expressions(unenforced), with("DoesNotExist"));
    let mut expected = whole.clone();
    expected["name"] = "unenforced.images.pratique.dev".into();
    expected["failurePolicy"] = "Ignore".into();
    expected["namespaceSelector"] = unenforced["namespaceSelector"].clone();
    let unenforced: ValidatingWebhook = serde_json::from_value(unenforced.clone()).unwrap();
    assert_eq!(serde_json::to_value(unenforced).unwrap(), expected);
}

#[test]
fn everything_of_ours_is_in_our_namespace() {
    for (file, object) in shipped() {
        let namespace = object["metadata"]["namespace"].as_str();
        match object["kind"].as_str().unwrap() {
            "Namespace"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "CustomResourceDefinition"
            | "PriorityClass"
            | "ValidatingAdmissionPolicy"
            | "ValidatingAdmissionPolicyBinding"
            | "ValidatingWebhookConfiguration" => {
                assert_eq!(namespace, None, "{file}");
            }
            _ => assert_eq!(namespace, Some("pratique-system"), "{file}"),
        }
    }
}

/// What each is for stands beside it in the files.
#[test]
fn the_program_may_do_this_and_nothing_else() {
    let of = |rules: &[PolicyRule]| -> Vec<String> { rules.iter().map(told).collect() };
    let everywhere = object::<ClusterRole>("clusterrole.yaml");
    assert_eq!(
        of(&everywhere.rules.unwrap()),
        [
            "pratique.dev/imagepolicies: list watch",
            "pratique.dev/imagepolicies/status: patch",
            "/namespaces: get list watch",
            "/pods: list watch",
            "/nodes: list watch",
            "/secrets: get",
            "/serviceaccounts: get",
            "admissionregistration.k8s.io/validatingwebhookconfigurations [pratique]: get patch",
            "events.k8s.io/events: create patch",
        ]
    );
    let at_home = object::<Role>("role.yaml");
    assert_eq!(
        of(&at_home.rules.unwrap()),
        [
            "/secrets [pratique-certificates]: get update",
            "/secrets: create",
            "coordination.k8s.io/leases [pratique]: get update",
            "coordination.k8s.io/leases: create",
        ]
    );
    for (component, rules) in [
        ("vulnerability-reports", "aquasecurity.github.io/vulnerabilityreports: list watch"),
        ("pull-secrets-all", "/secrets: list"),
    ] {
        let role = documents(&format!("manifests/components/{component}/clusterrole.yaml")).remove(0);
        let role: ClusterRole = serde_json::from_value(role).unwrap();
        assert_eq!(of(&role.rules.unwrap()), [rules], "{component}");
    }
}

/// A comment above every rule says what breaks without it.
#[test]
fn every_right_is_accounted_for() {
    for file in [
        "base/clusterrole.yaml",
        "base/role.yaml",
        "components/vulnerability-reports/clusterrole.yaml",
        "components/pull-secrets-all/clusterrole.yaml",
    ] {
        let text = read(&format!("manifests/{file}"));
        let lines: Vec<&str> = text.lines().collect();
        let rules = lines.windows(2).filter(|pair| pair[1].starts_with("- apiGroups:"));
        let undocumented: Vec<&str> = rules.filter(|pair| !pair[0].starts_with('#')).map(|pair| pair[1]).collect();
        let allowed: &[&str] = if file == "base/role.yaml" { &["- apiGroups: [coordination.k8s.io]"] } else { &[] };
        assert_eq!(undocumented, allowed, "{file}");
    }
}

#[test]
fn the_rights_are_those_of_the_account_that_the_program_runs_as() {
    for (file, object) in shipped() {
        let kind = object["kind"].as_str().unwrap();
        if !["ClusterRoleBinding", "RoleBinding"].contains(&kind) || file.contains("cert-manager") {
            continue;
        }
        let binding: ClusterRoleBinding = serde_json::from_value({
            let mut object = object.clone();
            object["kind"] = "ClusterRoleBinding".into();
            object["apiVersion"] = "rbac.authorization.k8s.io/v1".into();
            object
        })
        .unwrap();
        assert_eq!(Some(&binding.role_ref.name), binding.metadata.name.as_ref(), "{file}");
        assert_eq!(format!("{}Binding", binding.role_ref.kind), kind, "{file}");
        let subjects = binding.subjects.unwrap();
        let [subject] = subjects.as_slice() else { panic!("{file}: {subjects:?}") };
        let subject = (subject.kind.as_str(), subject.name.as_str(), subject.namespace.as_deref());
        assert_eq!(subject, ("ServiceAccount", "pratique", Some("pratique-system")), "{file}");
    }
}

/// The program finds its objects under the names that the settings and the downward API tell.
#[test]
fn our_objects_have_the_names_that_the_program_looks_for() {
    let service = object::<Service>("service.yaml").metadata;
    let configuration = object::<ValidatingWebhookConfiguration>("validatingwebhookconfiguration.yaml").metadata;
    let names = Names {
        namespace: service.namespace.unwrap(),
        service: service.name.unwrap(),
        webhook_configuration: configuration.name.unwrap(),
        replica: "any".to_owned(),
    };
    assert_eq!((names.service.as_str(), names.webhook_configuration.as_str()), ("pratique", "pratique"));
    let home = documents("manifests/base/role.yaml").remove(0);
    assert_eq!(home["rules"][0]["resourceNames"][0], names.secret().as_str());
    assert_eq!(home["rules"][2]["resourceNames"][0], names.lease().as_str());
    let guard = read("manifests/base/guard.yaml");
    for told in [
        format!("request.name == '{}'", names.secret()),
        format!("in ['leases', 'validatingwebhookconfigurations'] && request.name == '{}'", names.lease()),
        format!("system:serviceaccount:{}:pratique", names.namespace),
    ] {
        assert!(guard.contains(&told), "the guard does not let the program do what it must: {told}");
    }
    let variables = only_container(&pod()).env.unwrap().into_iter();
    let variables: BTreeMap<_, _> =
        variables.map(|variable| (variable.name, variable.value_from.unwrap().field_ref.unwrap().field_path)).collect();
    let of = |name: &str| variables[name].as_str();
    assert_eq!((of("POD_NAMESPACE"), of("POD_NAME")), ("metadata.namespace", "metadata.name"));
}

#[test]
fn the_webhook_is_asked_about_pods_and_their_makers_and_nothing_else() {
    let rules = webhooks().remove(0).rules.unwrap();
    let rules: Vec<_> = rules
        .iter()
        .flat_map(|rule| {
            assert_eq!(rule.scope.as_deref(), Some("Namespaced"));
            assert_eq!(rule.api_versions, Some(vec!["v1".to_owned()]));
            let group = rule.api_groups.as_ref().unwrap().join("+");
            let operations = rule.operations.as_ref().unwrap().join(" ");
            let resources = rule.resources.clone().unwrap();
            resources.into_iter().map(move |resource| format!("{group}/{resource}: {operations}"))
        })
        .collect();
    assert_eq!(
        rules,
        [
            "/pods: CREATE UPDATE",
            "/pods/ephemeralcontainers: UPDATE",
            "/replicationcontrollers: CREATE UPDATE",
            "/podtemplates: CREATE UPDATE",
            "apps/deployments: CREATE UPDATE",
            "apps/replicasets: CREATE UPDATE",
            "apps/statefulsets: CREATE UPDATE",
            "apps/daemonsets: CREATE UPDATE",
            "batch/jobs: CREATE UPDATE",
            "batch/cronjobs: CREATE UPDATE",
        ]
    );
}

#[test]
fn the_webhook_fails_closed_and_cannot_lock_the_cluster() {
    let webhook = webhook();
    assert_eq!(webhook.name, "images.pratique.dev");
    assert_eq!(webhook.failure_policy.as_deref(), Some("Fail"));
    assert_eq!(webhook.match_policy.as_deref(), Some("Equivalent"));
    assert_eq!(webhook.side_effects, "NoneOnDryRun");
    assert_eq!(webhook.admission_review_versions, ["v1"]);
    let timeout = webhook.timeout_seconds.unwrap();
    let cap = Bounds::default().timeout_cap;
    assert!(Duration::from_secs(timeout.try_into().unwrap()) <= cap, "we answer within {cap:?} at most");
    assert!((3..=10).contains(&timeout), "{timeout} s: below 3 nothing is found out, above 10 users give up");
    assert_eq!(webhook.object_selector, None, "users label objects, and would opt out by it");
    let conditions: Vec<_> =
        webhook.match_conditions.unwrap().into_iter().map(|condition| condition.expression).collect();
    assert_eq!(conditions.len(), 4);
    for condition in conditions {
        assert!(
            condition.starts_with("request.operation != 'UPDATE' || "),
            "what is new is always asked about: {condition}"
        );
        assert!(!condition.contains("namespaceObject"), "it may not be there: {condition}");
    }

    let selector = webhook.namespace_selector.unwrap();
    assert_eq!(selector.match_labels, None);
    let expressions = selector.match_expressions.unwrap();
    let [expression] = expressions.as_slice() else { panic!("one expression, not {expressions:?}") };
    assert_eq!(expression.key, "kubernetes.io/metadata.name", "the one label of a namespace that nobody can change");
    assert_eq!(expression.operator, "NotIn");
    let settings = documents(SETTINGS).remove(0);
    let exempt: BTreeSet<_> = expression.values.clone().unwrap().into_iter().collect();
    assert_eq!(exempt, strings(&settings["exemptNamespaces"]), "who is not asked about is exempt, and the reverse");
}

/// So that one can be mended while we are away.
#[test]
fn policies_are_looked_at_on_their_way_in_and_never_held_up() {
    let [_, webhook] = webhooks().try_into().unwrap();
    assert_eq!(webhook.name, "policies.pratique.dev");
    assert_eq!(webhook.failure_policy.as_deref(), Some("Ignore"));
    assert_eq!(webhook.side_effects, "None");
    let target = webhook.client_config.service.unwrap();
    assert_eq!((target.name.as_str(), target.path.as_deref()), ("pratique", Some("/validate/imagepolicies")));
    let rules = webhook.rules.unwrap();
    let [rule] = rules.as_slice() else { panic!("{rules:?}") };
    let definition = custom_resource_definition();
    let of = |list: &Option<Vec<String>>| list.clone().unwrap().join(" ");
    assert_eq!(of(&rule.api_groups), definition["spec"]["group"].as_str().unwrap());
    assert_eq!(of(&rule.api_versions), definition["spec"]["versions"][0]["name"].as_str().unwrap());
    assert_eq!(of(&rule.resources), definition["spec"]["names"]["plural"].as_str().unwrap());
    assert_eq!((of(&rule.operations).as_str(), rule.scope.as_deref()), ("CREATE UPDATE", Some("Cluster")));
}

#[test]
fn the_api_server_reaches_the_pods() {
    let (service, pod) = (object::<Service>("service.yaml"), pod());
    let client = webhook().client_config;
    let target = client.service.unwrap();
    assert_eq!(Some(&target.name), service.metadata.name.as_ref());
    assert_eq!(Some(&target.namespace), service.metadata.namespace.as_ref());
    assert_eq!(target.path.as_deref(), Some("/validate"));
    for webhook in webhooks() {
        assert_eq!(webhook.client_config.ca_bundle, None, "others write it, and applying this must not undo that");
        assert_eq!(webhook.timeout_seconds, Some(5));
    }

    let service = service.spec.unwrap();
    let ports = service.ports.unwrap();
    assert_eq!((ports.len(), Some(ports[0].port)), (1, target.port));
    let Some(IntOrString::String(named)) = &ports[0].target_port else { panic!("the port of the pod is named") };
    assert_eq!(container(&pod, named), 8443);

    let deployment = object::<Deployment>("deployment.yaml").spec;
    let labels = deployment.template.metadata.unwrap().labels;
    assert_eq!(service.selector, labels);
    assert_eq!(deployment.selector.match_labels, labels);
    let budget = object::<PodDisruptionBudget>("poddisruptionbudget.yaml").spec.unwrap();
    assert_eq!(budget.selector.unwrap().match_labels, labels);
}

#[test]
fn a_rollout_has_no_gap() {
    let deployment = object::<Deployment>("deployment.yaml").spec;
    assert!(deployment.replicas >= Some(2));
    let rolling = deployment.strategy.unwrap().rolling_update.unwrap();
    assert_eq!(rolling.max_unavailable, Some(IntOrString::Int(0)));
    let grace = pod().termination_grace_period_seconds.unwrap();
    let bounds = Bounds::default();
    let drain = bounds.settle + bounds.grace;
    let killed = Duration::from_secs(grace.try_into().unwrap());
    assert!(killed > drain, "the kubelet kills after {killed:?}, and the drain takes up to {drain:?}");
    let budget = object::<PodDisruptionBudget>("poddisruptionbudget.yaml").spec.unwrap();
    assert_eq!(budget.max_unavailable, Some(IntOrString::Int(1)));
}

#[test]
fn the_pod_can_do_next_to_nothing() {
    let pod = pod();
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(pod.enable_service_links, Some(false), "Kubernetes would set PRATIQUE_PORT and the like");
    assert_eq!(pod.host_network, None);
    let security = pod.security_context.clone().unwrap();
    assert_eq!(security.run_as_non_root, Some(true));
    assert_eq!((security.run_as_user, security.run_as_group), (Some(65532), Some(65532)));
    assert_eq!(security.seccomp_profile.unwrap().type_, "RuntimeDefault");
    let security = only_container(&pod).security_context.unwrap();
    assert_eq!(security.allow_privilege_escalation, Some(false));
    assert_eq!(security.read_only_root_filesystem, Some(true));
    assert_eq!(security.privileged, None);
    assert_eq!(security.capabilities.unwrap().drop, Some(vec!["ALL".to_owned()]));
    let account = object::<ServiceAccount>("serviceaccount.yaml");
    assert_eq!(account.metadata.name, pod.service_account_name);
    assert_eq!(account.automount_service_account_token, Some(false));
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("\nUSER 65532:65532\n"), "the image runs as the user of the pod");
    assert!(dockerfile.contains("\nEXPOSE 8443 9090\n"), "the image has the ports of the pod");

    let namespace = object::<Namespace>("namespace.yaml").metadata;
    let enforced = &namespace.labels.unwrap()["pod-security.kubernetes.io/enforce"];
    assert_eq!((namespace.name.as_deref(), enforced.as_str()), (Some("pratique-system"), "restricted"));
}

#[test]
fn every_file_that_the_program_reads_is_mounted() {
    let pod = pod();
    let container = only_container(&pod);
    let mounts = container.volume_mounts.unwrap();
    let volumes: BTreeSet<_> = pod.volumes.unwrap().into_iter().map(|volume| volume.name).collect();
    let mounted: BTreeSet<_> = mounts.iter().map(|mount| mount.name.clone()).collect();
    assert_eq!(mounted, volumes, "every volume is mounted, and every mount has its volume");
    assert!(mounts.iter().all(|mount| mount.read_only == Some(true)));

    let arguments = container.args.unwrap();
    assert_eq!(arguments[0], "serve");
    let settings = documents(SETTINGS).remove(0);
    assert_eq!(settings["tls"], Value::Null, "the program makes its certificates itself");
    assert_eq!(arguments[1..], ["--config=/etc/pratique/pratique.yaml"], "with --manifests it would be alone");
    let settings = mounts.iter().find(|mount| mount.name == "settings").unwrap();
    assert_eq!(settings.mount_path, "/etc/pratique/pratique.yaml");
}

/// Where kube's client looks for it.
#[test]
fn the_token_lives_for_an_hour() {
    let mounts = only_container(&pod()).volume_mounts.unwrap();
    let mount = mounts.iter().find(|mount| mount.name == "api-access").unwrap();
    assert_eq!(mount.mount_path, "/var/run/secrets/kubernetes.io/serviceaccount");
    let volume = pod().volumes.unwrap().into_iter().find(|volume| volume.name == "api-access").unwrap();
    let projected = volume.projected.unwrap();
    assert_eq!(projected.default_mode, Some(0o440), "our group may read, nobody else");
    let sources = projected.sources.unwrap();
    let token = sources.iter().find_map(|source| source.service_account_token.clone()).unwrap();
    assert_eq!((token.path.as_str(), token.expiration_seconds, token.audience), ("token", Some(3600), None));
    let authority = sources.iter().find_map(|source| source.config_map.clone()).unwrap();
    assert_eq!((authority.name.as_str(), authority.items.unwrap()[0].path.as_str()), ("kube-root-ca.crt", "ca.crt"));
    let namespace = sources.iter().find_map(|source| source.downward_api.clone()).unwrap();
    assert_eq!(namespace.items.unwrap()[0].path, "namespace");
}

#[test]
fn certificates_of_others_reach_the_program_as_files_that_may_change() {
    let patch = documents("manifests/components/tls-files/deployment.yaml").remove(0);
    let pod = &patch["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["name"].as_str(), Some(only_container(&self::pod()).name.as_str()));
    let mount = &container["volumeMounts"][0];
    assert_eq!(
        (&mount["name"], mount.get("subPath")),
        (&pod["volumes"][0]["name"], None),
        "a subPath is never renewed"
    );
    assert_eq!(pod["volumes"][0]["secret"]["defaultMode"], 0o440);
    let variables = container["env"].as_array().unwrap().iter();
    let variables: Vec<_> =
        variables.map(|its| (its["name"].as_str().unwrap(), its["value"].as_str().unwrap())).collect();
    assert_eq!(variables, [("PRATIQUE_TLS_CERT", "/certs/tls.crt"), ("PRATIQUE_TLS_KEY", "/certs/tls.key")]);
    let arguments = read("src/args.rs");
    assert!(variables.iter().all(|(name, _)| arguments.contains(&format!("env = \"{name}\""))));
}

#[test]
fn the_docker_config_comes_from_a_secret_that_need_not_be_there() {
    let volumes = pod().volumes.unwrap();
    let docker = volumes.iter().find(|volume| volume.name == "docker-config").unwrap().secret.clone().unwrap();
    assert_eq!((docker.secret_name.as_deref(), docker.optional), (Some("pratique-docker-config"), Some(true)));
    assert_eq!(docker.default_mode, Some(0o440), "our group may read, nobody else");
    let page = read("docs/registries.md");
    assert!(page.contains("pratique-docker-config"), "docs/registries.md does not say how to make it");
    let mounts = only_container(&pod()).volume_mounts.unwrap();
    let path = &mounts.iter().find(|mount| mount.name == "docker-config").unwrap().mount_path;
    let setting = format!("dockerConfig: {path}/.dockerconfigjson");
    assert!(read(SETTINGS).contains(&setting) && page.contains(&setting), "{setting}");
}

#[test]
fn the_settings_file_is_one_that_the_program_takes_without_complaint() {
    let (config, mistakes) = Config::parse(&read(SETTINGS), SETTINGS).expect("the shipped settings are valid");
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let pod = pod();
    assert_eq!(container(&pod, "webhook"), i32::from(config.listen.port()));
    assert_eq!(container(&pod, "admin"), i32::from(config.admin.port()));
    assert_eq!((config.listen.port(), config.admin.port()), (8443, 9090));
    let probed = only_container(&pod);
    for (probe, path) in [(probed.readiness_probe, "/readyz"), (probed.liveness_probe, "/healthz")] {
        let get = probe.unwrap().http_get.unwrap();
        assert_eq!((get.path.as_deref(), get.port), (Some(path), IntOrString::String("admin".to_owned())));
    }
}

/// What `pratique lint` says of the two.
#[test]
fn the_settings_and_the_objects_are_in_force_together() {
    let (config, _) = Config::parse(&read(SETTINGS), SETTINGS).unwrap();
    let manifests = cluster::read(&[package().join(OBJECTS)]).expect("the shipped objects are valid");
    assert!(manifests.warnings.is_empty(), "{:?}", manifests.warnings);
    let objects: Vec<_> = files(&package().join(OBJECTS)).iter().flat_map(|file| documents(&relative(file))).collect();
    assert_eq!(manifests.objects, objects.len());
    let Defaults { enforce, warn, audit } = config.defaults;
    let mut named: Vec<String> =
        [enforce, warn, audit, config.floor].iter().flatten().map(ToString::to_string).collect();
    for object in objects.iter().filter(|object| object["kind"] == "Namespace") {
        let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
        let ours = labels.filter(|(key, _)| key.starts_with("pratique.dev/"));
        named.extend(ours.map(|(_, policy)| policy.as_str().unwrap().to_owned()));
    }
    assert!(named.len() > 2, "{named:?}");
    for name in named {
        assert!(manifests.policies.contains_key(name.as_str()), "{name} is the name of no policy");
    }
}

#[test]
fn cert_manager_makes_the_secret_that_the_pod_mounts_and_the_bundle_of_the_webhook() {
    let objects = documents(CERTIFICATES);
    let kinds: Vec<_> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Issuer", "Certificate", "Issuer", "Certificate"]);
    assert!(objects.iter().all(|object| object["apiVersion"] == "cert-manager.io/v1"));
    assert!(objects.iter().all(|object| object["metadata"]["namespace"] == "pratique-system"));
    let [selfsigned, authority, issuer, leaf] = objects.as_slice() else { panic!("four objects") };
    assert_eq!(authority["spec"]["issuerRef"]["name"], selfsigned["metadata"]["name"]);
    assert_eq!(authority["spec"]["isCA"], true);
    assert_eq!(issuer["spec"]["ca"]["secretName"], authority["spec"]["secretName"]);
    assert_eq!(leaf["spec"]["issuerRef"]["name"], issuer["metadata"]["name"]);
    assert_eq!(leaf["spec"]["privateKey"]["algorithm"], "ECDSA");

    let patch = documents("manifests/components/tls-files/deployment.yaml").remove(0);
    assert_eq!(leaf["spec"]["secretName"], patch["spec"]["template"]["spec"]["volumes"][0]["secret"]["secretName"]);
    let service = webhook().client_config.service.unwrap();
    assert!(strings(&leaf["spec"]["dnsNames"]).contains(&format!("{}.{}.svc", service.name, service.namespace)));
    let patch = documents("manifests/components/cert-manager/validatingwebhookconfiguration.yaml").remove(0);
    let annotations = |object: &Value| object["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].clone();
    assert_eq!(annotations(&patch), format!("pratique-system/{}", leaf["metadata"]["name"].as_str().unwrap()));
    let base = documents("manifests/base/validatingwebhookconfiguration.yaml").remove(0);
    assert_eq!(annotations(&base), Value::Null, "without the component nobody but the program writes the bundle");
}

#[test]
fn no_private_key_is_in_the_repository() {
    let mut seen = 0;
    for file in files(package()) {
        seen += 1;
        let text = fs::read(&file).unwrap();
        for (number, line) in String::from_utf8_lossy(&text).lines().enumerate() {
            let line = line.trim();
            let is_key = line.starts_with("-----BEGIN") && line.ends_with("PRIVATE KEY-----");
            assert!(!is_key, "{}:{}: a private key; make keys when they are needed", relative(&file), number + 1);
        }
    }
    assert!(seen > 20, "{seen} files are not the repository");
}

fn writes() -> bool {
    std::env::var(WRITE).is_ok_and(|value| value == "1")
}

/// The text of the definition, after it was written, should it be: before anybody copies it.
fn definition() -> &'static str {
    static WRITTEN: LazyLock<String> = LazyLock::new(|| {
        let yaml = serde_saphyr::to_string(&custom_resource_definition()).unwrap();
        let written = format!(
            "# Written from src/policy/file.rs and src/policy/schema.rs, not by hand: {WRITE}=1 cargo test --test manifests\n{yaml}"
        );
        if writes() {
            fs::write(package().join(DEFINITION), &written).unwrap();
        }
        written
    });
    &WRITTEN
}

/// Every number as the same kind of number: the types hold bounds of schemas as floating point.
fn numbers(mut value: Value) -> Value {
    match &mut value {
        Value::Number(number) => value = number.as_f64().into(),
        Value::Array(items) => items.iter_mut().for_each(|item| *item = numbers(item.take())),
        Value::Object(fields) => fields.values_mut().for_each(|field| *field = numbers(field.take())),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
    value
}

fn round_trip<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
}

/// As `group/resource [names]: verbs`.
fn told(rule: &PolicyRule) -> String {
    let PolicyRule { api_groups, non_resource_urls, resource_names, resources, verbs } = rule;
    assert_eq!(*non_resource_urls, None);
    let names = resource_names.as_ref().map(|names| format!(" [{}]", names.join(" "))).unwrap_or_default();
    let (groups, resources) = (api_groups.as_ref().unwrap().join("+"), resources.as_ref().unwrap().join("+"));
    format!("{groups}/{resources}{names}: {}", verbs.join(" "))
}

/// Every object that we ship, each with its file.
fn shipped() -> Vec<(String, Value)> {
    let is_object = |file: &String| {
        let name = Path::new(file);
        let of_kubernetes =
            name.extension().is_some_and(|kind| kind == "yaml") && !name.ends_with("kustomization.yaml");
        of_kubernetes && ![SETTINGS, SETTINGS_ENFORCING].contains(&file.as_str())
    };
    let folders =
        ["manifests/base", "manifests/components"].into_iter().flat_map(|folder| files(&package().join(folder)));
    let paths = folders.map(|file| relative(&file)).filter(is_object);
    paths.flat_map(|file| documents(&file).into_iter().map(move |object| (file.clone(), object))).collect()
}

fn object<T: DeserializeOwned>(file: &str) -> T {
    serde_json::from_value(documents(&format!("manifests/base/{file}")).remove(0)).unwrap()
}

/// The one that is asked about images.
fn webhook() -> ValidatingWebhook {
    webhooks().remove(0)
}

/// It, and the one that is asked about policies.
fn webhooks() -> Vec<ValidatingWebhook> {
    let configuration = object::<ValidatingWebhookConfiguration>("validatingwebhookconfiguration.yaml");
    let webhooks = configuration.webhooks.unwrap();
    assert_eq!(webhooks.len(), 2);
    webhooks
}

fn pod() -> PodSpec {
    object::<Deployment>("deployment.yaml").spec.template.spec.unwrap()
}

fn only_container(pod: &PodSpec) -> Container {
    let [container] = pod.containers.as_slice() else { panic!("one container") };
    container.clone()
}

/// The number of a named port of the container.
fn container(pod: &PodSpec, port: &str) -> i32 {
    let ports = only_container(pod).ports.unwrap();
    ports.into_iter().find(|found| found.name.as_deref() == Some(port)).unwrap().container_port
}

fn strings(list: &Value) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn documents(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn read(file: &str) -> String {
    fs::read_to_string(package().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn relative(file: &Path) -> String {
    file.strip_prefix(package()).unwrap().to_str().unwrap().to_owned()
}

/// Every file below a folder, in order, without what git ignores.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let ignored = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        ["target", ".git", "issued"].contains(&name) || path.extension().is_some_and(|extension| extension == "key")
    };
    entries.retain(|path| !ignored(path));
    entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
