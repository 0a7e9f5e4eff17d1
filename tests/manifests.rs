//! What we ship for a cluster agrees with itself, with Kubernetes' types and with our code.
//!
//! Every object is read with its k8s-openapi type and written again: what is lost on the way is a misspelt field, which
//! an API server would drop too, in silence.

#![expect(clippy::unwrap_used, clippy::panic, reason = "clippy frees tests of these, but not what they call")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, Namespace, PodSpec, Service, ServiceAccount};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use pratique::config::{Config, Defaults};
use pratique::evidence::cluster;
use pratique::server::Bounds;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

const SETTINGS: &str = "manifests/base/settings/pratique.yaml";
const OBJECTS: &str = "manifests/base/objects";

#[test]
fn every_object_is_understood_whole_by_its_type() {
    for (file, object) in base() {
        let read_again = match object["kind"].as_str() {
            Some("Deployment") => round_trip::<Deployment>(&object),
            Some("Namespace") => round_trip::<Namespace>(&object),
            Some("PodDisruptionBudget") => round_trip::<PodDisruptionBudget>(&object),
            Some("Service") => round_trip::<Service>(&object),
            Some("ServiceAccount") => round_trip::<ServiceAccount>(&object),
            Some("ValidatingWebhookConfiguration") => round_trip::<ValidatingWebhookConfiguration>(&object),
            other => panic!("{file}: kind {other:?} has no type in this test; add it"),
        };
        assert_eq!(read_again, object, "{file}: a field is misspelt, or stands in the wrong place");
    }
}

#[test]
fn kustomization_lists_every_file_and_only_files_that_exist() {
    let kustomization = documents("manifests/base/kustomization.yaml").remove(0);
    let mut listed = strings(&kustomization["resources"]);
    for generator in kustomization["configMapGenerator"].as_array().unwrap() {
        listed.extend(strings(&generator["files"]));
    }
    let found = files(&package().join("manifests/base")).into_iter();
    let found = found.map(|file| relative(&file).trim_start_matches("manifests/base/").to_owned());
    assert_eq!(listed, found.filter(|file| file != "kustomization.yaml").collect());
}

#[test]
fn everything_of_ours_is_in_our_namespace() {
    for (file, object) in base() {
        let namespace = object["metadata"]["namespace"].as_str();
        match object["kind"].as_str().unwrap() {
            "Namespace" | "ValidatingWebhookConfiguration" => assert_eq!(namespace, None, "{file}"),
            _ => assert_eq!(namespace, Some("pratique-system"), "{file}"),
        }
    }
}

#[test]
fn the_webhook_is_asked_about_pods_and_their_makers_and_nothing_else() {
    let rules = webhook().rules.unwrap();
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
    assert_eq!(webhook.match_conditions, None);

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

#[test]
fn the_api_server_reaches_the_pods() {
    let (service, pod) = (object::<Service>("service.yaml"), pod());
    let client = webhook().client_config;
    let target = client.service.unwrap();
    assert_eq!(Some(&target.name), service.metadata.name.as_ref());
    assert_eq!(Some(&target.namespace), service.metadata.namespace.as_ref());
    assert_eq!(target.path.as_deref(), Some("/validate"));
    assert_eq!(
        client.ca_bundle, None,
        "it comes from the overlay or from cert-manager, and applying this must not undo that"
    );

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
    let certificate = ["certificate", "key"].map(|key| settings["tls"][key].as_str().unwrap());
    let paths = arguments[1..].iter().map(|argument| argument.split_once('=').unwrap().1);
    for path in paths.chain(certificate) {
        let held = mounts.iter().any(|mount| Path::new(path).starts_with(&mount.mount_path));
        assert!(held, "{path} is in no volume");
    }
    let tls = mounts.iter().find(|mount| mount.name == "tls").unwrap();
    assert_eq!(tls.sub_path, None, "a subPath never sees a renewed certificate");
}

#[test]
fn pull_secrets_come_beside_the_manifests_and_the_docker_config_from_secrets_that_need_not_be_there() {
    let volumes = pod().volumes.unwrap();
    let of = |name: &str| volumes.iter().find(|volume| volume.name == name).unwrap();
    let sources = of("manifests").projected.clone().unwrap().sources.unwrap();
    let secret = sources.iter().find_map(|source| source.secret.clone()).unwrap();
    assert_eq!((secret.name.as_str(), secret.optional), ("pratique-pull-secrets", Some(true)));
    let docker = of("docker-config").secret.clone().unwrap();
    assert_eq!((docker.secret_name.as_deref(), docker.optional), (Some("pratique-docker-config"), Some(true)));

    let readme = read("README.md");
    for name in [secret.name, docker.secret_name.unwrap()] {
        assert!(readme.contains(&name), "README.md does not say how to make {name}");
    }
    let mounts = only_container(&pod()).volume_mounts.unwrap();
    let path = &mounts.iter().find(|mount| mount.name == "docker-config").unwrap().mount_path;
    let setting = format!("dockerConfig: {path}/.dockerconfigjson");
    assert!(read(SETTINGS).contains(&setting) && readme.contains(&setting), "{setting}");
    for mode in [of("manifests").projected.clone().unwrap().default_mode, docker.default_mode] {
        assert_eq!(mode, Some(0o440), "our group may read, nobody else");
    }
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
    assert_eq!(manifests.objects, base().iter().filter(|(file, _)| file.starts_with(OBJECTS)).count());
    let Defaults { enforce, warn, audit } = config.defaults;
    let mut named: Vec<String> =
        [enforce, warn, audit, config.floor].iter().flatten().map(ToString::to_string).collect();
    for (_, object) in base().iter().filter(|(_, object)| object["kind"] == "Namespace") {
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
    let objects = documents("certs/cert-manager.yaml");
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

    let secret = pod().volumes.unwrap().into_iter().find(|volume| volume.name == "tls").unwrap().secret.unwrap();
    assert_eq!(leaf["spec"]["secretName"].as_str(), secret.secret_name.as_deref());
    let service = webhook().client_config.service.unwrap();
    assert!(strings(&leaf["spec"]["dnsNames"]).contains(&format!("{}.{}.svc", service.name, service.namespace)));
    let annotations =
        object::<ValidatingWebhookConfiguration>("validatingwebhookconfiguration.yaml").metadata.annotations;
    let named = format!("pratique-system/{}", leaf["metadata"]["name"].as_str().unwrap());
    assert_eq!(annotations.unwrap()["cert-manager.io/inject-ca-from"], named);
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

fn round_trip<T: DeserializeOwned + Serialize>(object: &Value) -> Value {
    serde_json::to_value(serde_json::from_value::<T>(object.clone()).unwrap()).unwrap()
}

/// Every object of the base, and of the files that are mounted, each with its file.
fn base() -> Vec<(String, Value)> {
    let is_object = |file: &String| !file.ends_with("/kustomization.yaml") && file != SETTINGS;
    let paths = files(&package().join("manifests/base")).into_iter().map(|file| relative(&file)).filter(is_object);
    paths.flat_map(|file| documents(&file).into_iter().map(move |object| (file.clone(), object))).collect()
}

fn object<T: DeserializeOwned>(file: &str) -> T {
    serde_json::from_value(documents(&format!("manifests/base/{file}")).remove(0)).unwrap()
}

fn webhook() -> ValidatingWebhook {
    let configuration = object::<ValidatingWebhookConfiguration>("validatingwebhookconfiguration.yaml");
    let mut webhooks = configuration.webhooks.unwrap();
    assert_eq!(webhooks.len(), 1);
    webhooks.remove(0)
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
