//! The cluster that the other tests stand on is one.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{ObjectMeta, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use pratique_testkit::real::{Authority, Cluster, Forwarder, Probe, steady_port};
use pratique_testkit::{Directory, Outcome, Process, eventually};
use rcgen::CertificateParams;
use serde_json::json;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: registry.invalid/web:1}]}
";

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn it_is_the_version_that_we_build_and_a_pod_can_be_made_in_a_new_namespace() {
    let cluster = Cluster::shared().await;
    let version = cluster.client().await.apiserver_version().await.expect("it has a version");
    assert!(version.git_version.starts_with("v1.36."), "{version:?}");
    let namespace = cluster.fresh_namespace("pods", &[("pratique.dev/enforce", "baseline")]).await;
    let made = cluster.kubectl_with_input(&["create", "-n", &namespace, "-f", "-"], POD);
    assert_eq!((made.code, made.stdout.as_str()), (Some(0), "pod/web created\n"), "{made:?}");
    let labels = cluster.kubectl(&["get", "namespace", &namespace, "-o", "jsonpath={.metadata.labels}"]).json();
    assert_eq!(labels["pratique.dev/enforce"], "baseline");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_deployment_makes_pods_and_a_deleted_namespace_goes() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.fresh_namespace("deployment", &[]).await;
    let made = cluster.kubectl(&["create", "deployment", "web", "--image=registry.invalid/web:1", "-n", &namespace]);
    assert_eq!(made.code, Some(0), "{made:?}");
    eventually("the Deployment has a Pod", async || {
        let pods = cluster.kubectl(&["get", "pods", "-n", &namespace, "-o", "name"]);
        pods.stdout.starts_with("pod/web-")
    })
    .await;
    let deleted = cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    let namespaces = Api::<Namespace>::all(cluster.client().await);
    eventually("the namespace is gone", async || namespaces.get_opt(&namespace).await.is_ok_and(|left| left.is_none()))
        .await;
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_token_acts_as_its_service_account_and_a_user_has_the_rights_of_that_user() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.fresh_namespace("token", &[]).await;
    let token = cluster.kubeconfig_for(&namespace, "default").await;
    let who = cluster.kubectl_as(&token, &["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"]);
    assert_eq!(who.stdout, format!("system:serviceaccount:{namespace}:default"), "{who:?}");
    let refused = cluster.kubectl_as(&token, &["get", "secrets", "-n", &namespace]);
    assert!(refused.code == Some(1) && refused.stderr.contains("cannot list resource \"secrets\""), "{refused:?}");
    let user = cluster.kubeconfig_as("jane", &["auditors"]);
    let groups = cluster.kubectl_as(&user, &["auth", "whoami", "-o", "jsonpath={.status.userInfo.groups}"]);
    assert_eq!(groups.stdout, r#"["auditors","system:authenticated"]"#, "{groups:?}");
    let refused = cluster.kubectl_as(&user, &["get", "secrets", "-n", &namespace]);
    assert!(refused.code == Some(1) && refused.stderr.contains("User \"jane\" cannot list"), "{refused:?}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn an_api_server_that_comes_back_has_its_data_and_its_port() {
    let cluster = Cluster::start().await;
    cluster.namespace("kept", &[("is", "here")]).await;
    let server = cluster.server();
    cluster.stop_api_server();
    let away = cluster.kubectl(&["get", "namespaces"]);
    assert!(away.code == Some(1) && away.stderr.contains("refused"), "{away:?}");
    cluster.start_api_server().await;
    assert_eq!(cluster.server(), server);
    let kept = cluster.kubectl(&["get", "namespace", "kept", "-o", "jsonpath={.metadata.labels.is}"]);
    assert_eq!(kept.stdout, "here", "{kept:?}");
    let made = cluster.kubectl_with_input(&["create", "-n", "kept", "-f", "-"], POD);
    assert_eq!(made.code, Some(0), "{made:?}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn after_a_compaction_and_a_restart_an_old_watch_is_gone() {
    let cluster = Cluster::start().await;
    let old = config_map(&cluster.client().await, "old").await;
    config_map(&cluster.client().await, "new").await;
    assert_eq!(watched_from(&cluster, &old).await, "new");
    cluster.compact().await;
    cluster.stop_api_server();
    cluster.start_api_server().await;
    assert_eq!(watched_from(&cluster, &old).await, "410 Expired");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_webhook_of_a_service_is_asked_through_the_forwarder_and_its_backends_are_those_that_are_ready() {
    let cluster = Cluster::start().await;
    let (files, manifests) = (Directory::new(), Directory::new());
    manifests.namespace("default", &[("pratique.dev/enforce", "baseline")]);
    let authority = Authority::new();
    let names = CertificateParams::new(vec!["door.default.svc".to_owned()]).expect("it is a name");
    let (certificate, key) = authority.sign(&names);
    files.write("tls.crt", &certificate.pem());
    files.write("tls.key", &key.serialize_pem());
    let [(first, first_admin), (second, second_admin)] = [addresses(), addresses()];
    let serve = |(webhook, admin): (SocketAddr, SocketAddr)| {
        let addresses = [webhook.to_string(), admin.to_string()];
        let files = [files.file("tls.crt"), files.file("tls.key"), manifests.path().display().to_string()];
        let arguments = ["serve", "--listen", &addresses[0], "--admin", &addresses[1]].into_iter();
        let arguments = arguments.chain(["--tls-cert", &files[0], "--tls-key", &files[1], "--manifests", &files[2]]);
        Process::start(env!("CARGO_BIN_EXE_pratique"), &arguments.collect::<Vec<_>>(), &[])
    };
    let forwarder = Forwarder::new().await;
    forwarder.follow(vec![(first, first_admin), (second, second_admin)], Probe::default());
    door(&cluster, forwarder.port(), authority.pem());
    eventually("the webhook is in force", async || {
        let refused = dry_run(&cluster, "web:1");
        refused.code == Some(1) && refused.stderr.contains("failed calling webhook")
    })
    .await;
    assert!(forwarder.refused() > 0 && forwarder.connections().is_empty());

    let one = serve((first, first_admin));
    eventually("the first is ready", async || forwarder.ready() == [first]).await;
    let refused = dry_run(&cluster, "web:latest").stderr;
    assert!(refused.contains("admission webhook \"images.pratique.dev\" denied the request"), "{refused}");
    let _two = serve((second, second_admin));
    eventually("the second is ready too", async || forwarder.ready() == [first, second]).await;
    one.kill();
    eventually("the first is ready no longer", async || forwarder.ready() == [second]).await;
    let refused = dry_run(&cluster, "web:latest").stderr;
    assert!(refused.contains("denied the request"), "{refused}");
    let asked: BTreeSet<SocketAddr> = forwarder.connections().into_keys().collect();
    assert_eq!(asked, BTreeSet::from([first, second]));
}

fn addresses() -> (SocketAddr, SocketAddr) {
    let address = || SocketAddr::from(([127, 0, 0, 1], steady_port()));
    (address(), address())
}

/// A webhook for Pods, and a Service of that name on this machine.
fn door(cluster: &Cluster, port: u16, authority: &str) {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "door", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "localhost"}});
    let client = json!({"service": {"name": "door", "namespace": "default", "path": "/validate", "port": port},
        "caBundle": STANDARD.encode(authority)});
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]});
    let webhook = json!({"name": "images.pratique.dev", "clientConfig": client, "rules": [rule], "sideEffects": "None",
        "admissionReviewVersions": ["v1"]});
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": "door"},
        "kind": "ValidatingWebhookConfiguration", "webhooks": [webhook]});
    for object in [service, configuration] {
        let made = cluster.kubectl_with_input(&["create", "-f", "-"], &object.to_string());
        assert_eq!(made.code, Some(0), "{made:?}");
    }
}

fn dry_run(cluster: &Cluster, image: &str) -> Outcome {
    let image = format!("--image=registry.invalid/{image}");
    cluster.kubectl(&["run", "web", &image, "--dry-run=server", "--restart=Never"])
}

/// Makes one; returns the version of it.
async fn config_map(client: &Client, name: &str) -> String {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let map = ConfigMap { metadata, ..ConfigMap::default() };
    let made = Api::<ConfigMap>::namespaced(client.clone(), "default").create(&PostParams::default(), &map).await;
    made.expect("it can be made").metadata.resource_version.expect("it has a version")
}

/// The first thing that a watch from a version on tells.
async fn watched_from(cluster: &Cluster, version: &str) -> String {
    let maps = Api::<ConfigMap>::namespaced(cluster.client().await, "default");
    let stream = match maps.watch(&WatchParams::default().timeout(20), version).await {
        Ok(stream) => stream,
        Err(kube::Error::Api(status)) => return format!("{} {}", status.code, status.reason),
        Err(error) => panic!("no watch: {error}"),
    };
    match Box::pin(stream).next().await.expect("it tells something") {
        Ok(WatchEvent::Added(map)) => map.metadata.name.expect("it has a name"),
        Ok(WatchEvent::Error(status)) => format!("{} {}", status.code, status.reason),
        other => panic!("neither an object nor its end: {other:?}"),
    }
}
