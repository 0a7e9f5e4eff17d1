//! Our own certificates on a real API server: the Secret that replicas share, the `caBundle` as a field of ours and nothing
//! else, and the Lease; with no more rights than they need. What happens in years is tried beside the code, at a clock of
//! its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kube::Client;
use pratique::controller::Names;
use pratique::controller::certificate::Keeper;
use pratique::controller::lease::{Leadership, contend};
use pratique::evidence::cluster::connection::Connection;
use pratique::server::admin::PartStatus;
use pratique::server::tls::{Identity, server_config};
use pratique_testkit::real::Cluster;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// A lease that is not renewed lasts 15 seconds, and two cores are shared.
const PATIENCE: Duration = Duration::from_secs(60);

/// A namespace of its own, with a webhook configuration that no object falls under.
struct Scene {
    cluster: &'static Cluster,
    names: Names,
}

impl Scene {
    async fn new() -> Self {
        let cluster = Cluster::shared().await;
        let namespace = cluster.fresh_namespace("certificates", &[]).await;
        let names = Names {
            webhook_configuration: namespace.clone(),
            namespace,
            service: "pratique".to_owned(),
            replica: "pratique-0".to_owned(),
        };
        Self { cluster, names }
    }

    fn replica(&self, replica: &str) -> Names {
        Names { replica: replica.to_owned(), ..self.names.clone() }
    }

    /// What stands in the manifest, as `kubectl apply` sends it.
    fn manifest(&self, annotations: &Value, webhooks: &[&str]) -> String {
        let webhook = |name: &&str| {
            json!({
                "name": name,
                "clientConfig": {"service": {"name": "pratique", "namespace": self.names.namespace, "path": "/validate"}},
                "rules": [{"apiGroups": ["none.invalid"], "apiVersions": ["v1"], "resources": ["nothings"], "operations": ["CREATE"]}],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            })
        };
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": self.names.webhook_configuration, "annotations": annotations},
            "webhooks": webhooks.iter().map(webhook).collect::<Vec<_>>(),
        })
        .to_string()
    }

    fn register(&self, annotations: &Value, webhooks: &[&str]) {
        let manifest = self.manifest(annotations, webhooks);
        let applied = self.cluster.kubectl_with_input(&["apply", "-f", "-"], &manifest);
        assert_eq!(applied.code, Some(0), "{applied:?}");
    }

    fn configuration(&self) -> Value {
        let name = &self.names.webhook_configuration;
        let arguments = ["get", "validatingwebhookconfiguration", name, "-o", "json", "--show-managed-fields"];
        self.cluster.kubectl(&arguments).json()
    }

    fn secret(&self) -> Value {
        self.cluster
            .kubectl(&["get", "secret", "pratique-certificates", "-n", &self.names.namespace, "-o", "json"])
            .json()
    }

    fn patch_secret(&self, patch: &Value) {
        let arguments = ["patch", "secret", "pratique-certificates", "-n", &self.names.namespace, "--type=merge", "-p"];
        let patched = self.cluster.kubectl(&[&arguments[..], &[patch.to_string().as_str()]].concat());
        assert_eq!(patched.code, Some(0), "{patched:?}");
    }

    async fn connection(&self) -> Connection {
        connection(self.cluster.kubeconfig()).await
    }

    /// One replica, whoever has the lease.
    async fn keeper(&self) -> (Arc<Keeper>, Arc<Identity>, Task) {
        let keeper = Arc::new(Keeper::new(self.connection().await, self.names.clone()));
        let identity = keeper.obtain().await;
        let task = Task(tokio::spawn(Arc::clone(&keeper).keep(Leadership::always())));
        (keeper, identity, task)
    }

    /// A handshake as an API server does it for this entry.
    fn is_believed(&self, identity: &Arc<Identity>, entry: usize) -> Result<(), String> {
        let configuration = self.configuration();
        let bundle = configuration["webhooks"][entry]["clientConfig"]["caBundle"].as_str().ok_or("no caBundle")?;
        shake_hands(identity, &decoded(bundle), &self.names.host())
    }
}

async fn connection(kubeconfig: &std::path::Path) -> Connection {
    // What the program does at its start.
    let _ = aws_lc_rs::default_provider().install_default();
    Connection::open(Some(kubeconfig)).await.expect("a kubeconfig that can be used")
}

/// Ends with the test.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn decoded(base64: &str) -> Vec<u8> {
    use base64::Engine;
    base64::prelude::BASE64_STANDARD.decode(base64).expect("base64")
}

fn shake_hands(identity: &Arc<Identity>, bundle: &[u8], host: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle) {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    let client = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider knows the versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = ServerName::try_from(host.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), host).expect("a client");
    let mut server =
        ServerConnection::new(server_config(Arc::clone(identity), None).expect("a server")).expect("a server");
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).expect("memory");
        server.read_tls(&mut wire.as_slice()).expect("memory");
        server.process_new_packets().map_err(|error| error.to_string())?;
        let mut wire = Vec::new();
        server.write_tls(&mut wire).expect("memory");
        client.read_tls(&mut wire.as_slice()).expect("memory");
        client.process_new_packets().map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < PATIENCE, "still not so after {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn degraded(keeper: &Keeper) -> String {
    match keeper.status() {
        PartStatus::Degraded(words) => words,
        PartStatus::Ready | PartStatus::NotReady(_) => String::new(),
    }
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn two_replicas_that_start_at_once_share_one_certificate_that_both_webhooks_trust() {
    let scene = Scene::new().await;
    scene.register(&json!({}), &["images.pratique.dev", "other.example.com", "policies.pratique.dev"]);
    let ((first, one, _task), (second, other, _other_task)) = tokio::join!(scene.keeper(), scene.keeper());
    for entry in [0, 2] {
        until("both are believed", async || {
            scene.is_believed(&one, entry).is_ok() && scene.is_believed(&other, entry).is_ok()
        })
        .await;
    }
    let secret = scene.secret();
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let keys: Vec<_> = secret["data"].as_object().expect("data").keys().collect();
    assert_eq!(keys, ["ca.crt", "ca.key", "tls.crt", "tls.key"]);
    assert_eq!(scene.configuration()["webhooks"][0]["clientConfig"]["caBundle"], secret["data"]["ca.crt"]);
    assert_eq!(scene.is_believed(&one, 1), Err("no caBundle".to_owned()), "another's webhook is another's");
    until("both are ready", async || [&first, &second].iter().all(|keeper| keeper.status() == PartStatus::Ready)).await;
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn the_bundle_is_our_field_and_all_others_stay_whose_they_were() {
    let scene = Scene::new().await;
    scene.register(&json!({}), &["images.pratique.dev", "policies.pratique.dev"]);
    let before = scene.configuration();
    let (_keeper, identity, _task) = scene.keeper().await;
    until("it is believed", async || scene.is_believed(&identity, 1).is_ok()).await;
    let mut after = scene.configuration();
    let managers = |object: &Value, ours: bool| -> Vec<Value> {
        let all = object["metadata"]["managedFields"].as_array().expect("managed fields");
        all.iter().filter(|entry| (entry["manager"] == "pratique-certificates") == ours).cloned().collect()
    };
    assert_eq!(managers(&before, false), managers(&after, false));
    let entry = json!({".": {}, "f:clientConfig": {"f:caBundle": {}}, "f:name": {}});
    let ours = managers(&after, true);
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!(ours[0]["operation"], "Apply");
    assert_eq!(
        ours[0]["fieldsV1"],
        json!({"f:webhooks": {
            "k:{\"name\":\"images.pratique.dev\"}": entry,
            "k:{\"name\":\"policies.pratique.dev\"}": entry,
        }})
    );
    // Beside the bundle and the book about it, nothing is another.
    for entry in after["webhooks"].as_array_mut().expect("webhooks") {
        entry["clientConfig"].as_object_mut().expect("an object").remove("caBundle");
    }
    assert_eq!(before["webhooks"], after["webhooks"]);
    // Applying the file again leaves the bundle alone, and nothing is written where nothing differs.
    scene.register(&json!({}), &["images.pratique.dev", "policies.pratique.dev"]);
    assert_eq!(scene.is_believed(&identity, 0), Ok(()));
    let version = scene.configuration()["metadata"]["resourceVersion"].clone();
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(scene.configuration()["metadata"]["resourceVersion"], version);
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn an_emptied_or_foreign_bundle_comes_back_and_no_webhook_is_added_or_registered() {
    let scene = Scene::new().await;
    let (keeper, identity, _task) = scene.keeper().await;
    let name = &scene.names.webhook_configuration;
    let missing = format!("there is no ValidatingWebhookConfiguration {name}, so no API server calls us: apply it");
    until("it says that nobody calls us", async || degraded(&keeper) == missing).await;
    scene.register(&json!({}), &["images.pratique.dev", "policies.pratique.dev"]);
    until("the bundle lands", async || scene.is_believed(&identity, 0).is_ok()).await;
    until("all is well", async || keeper.status() == PartStatus::Ready).await;
    let bundle = "/webhooks/0/clientConfig/caBundle";
    let foreign = scene.cluster.kubectl(&[
        "config",
        "view",
        "--raw",
        "-o",
        "jsonpath={.clusters[0].cluster.certificate-authority-data}",
    ]);
    let foreign = if foreign.stdout.is_empty() { "Cg==".to_owned() } else { foreign.stdout };
    for patch in
        [json!([{"op": "remove", "path": bundle}]), json!([{"op": "replace", "path": bundle, "value": foreign}])]
    {
        let arguments = ["patch", "validatingwebhookconfiguration", name, "--type=json", "-p", &patch.to_string()];
        let patched = scene.cluster.kubectl(&arguments);
        assert_eq!(patched.code, Some(0), "{patched:?}");
        assert!(scene.is_believed(&identity, 0).is_err(), "{patch}");
        until("the bundle comes back", async || scene.is_believed(&identity, 0).is_ok()).await;
    }
    // Somebody takes a webhook away, then all of it.
    scene.register(&json!({}), &["images.pratique.dev"]);
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(scene.configuration()["webhooks"].as_array().map(Vec::len), Some(1));
    let deleted = scene.cluster.kubectl(&["delete", "validatingwebhookconfiguration", name]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    until("it says so", async || degraded(&keeper) == missing).await;
    let found = scene.cluster.kubectl(&["get", "validatingwebhookconfiguration", name]);
    assert!(found.stderr.contains("NotFound"), "{found:?}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn where_cert_manager_fills_in_the_bundle_we_do_not() {
    let scene = Scene::new().await;
    let webhooks = ["images.pratique.dev"];
    scene.register(&json!({"cert-manager.io/inject-ca-from": "pratique-system/pratique"}), &webhooks);
    let (keeper, identity, _task) = scene.keeper().await;
    let name = &scene.names.webhook_configuration;
    let words = format!(
        "cert-manager is told by an annotation of the ValidatingWebhookConfiguration {name} to fill in its caBundle, so we \
         leave it alone: take the annotation away, or mount cert-manager's certificate and name it with --tls-cert and \
         --tls-key"
    );
    until("it says so", async || degraded(&keeper) == words).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(scene.is_believed(&identity, 0), Err("no caBundle".to_owned()));
    scene.register(&json!({}), &webhooks);
    until("the bundle lands", async || scene.is_believed(&identity, 0).is_ok()).await;
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_spoilt_or_deleted_secret_takes_nothing_out_of_use_and_is_mended_by_two_who_both_think_they_lead() {
    let scene = Scene::new().await;
    scene.register(&json!({}), &["images.pratique.dev"]);
    let ((first, one, _task), (second, other, _other_task)) = tokio::join!(scene.keeper(), scene.keeper());
    until("both are believed", async || scene.is_believed(&one, 0).is_ok() && scene.is_believed(&other, 0).is_ok())
        .await;
    let whole = scene.secret()["data"].clone();
    for spoilt in [
        json!({"data": {"tls.key": "Cg=="}}),
        json!({"data": {"ca.crt": "bm8gUEVN"}}),
        json!({"data": {"ca.key": null}}),
        json!({"data": {"tls.crt": whole["ca.crt"]}}),
    ] {
        scene.patch_secret(&spoilt);
        until("it is whole again", async || {
            let data = scene.secret()["data"].clone();
            let keys = data.as_object().expect("data").len();
            let changed = spoilt["data"].as_object().expect("data").iter().all(|(key, value)| data[key] != *value);
            keys == 4 && changed && data["tls.crt"] == whole["tls.crt"]
        })
        .await;
        assert_eq!(scene.is_believed(&one, 0), Ok(()), "{spoilt}");
        assert_eq!(scene.is_believed(&other, 0), Ok(()), "{spoilt}");
    }
    let deleted = scene.cluster.kubectl(&["delete", "secret", "pratique-certificates", "-n", &scene.names.namespace]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    until("it comes back", async || {
        let found = scene.cluster.kubectl(&["get", "secret", "pratique-certificates", "-n", &scene.names.namespace]);
        found.code == Some(0)
    })
    .await;
    assert_eq!(scene.secret()["data"]["tls.crt"], whole["tls.crt"], "what is shown stays");
    assert_ne!(scene.secret()["data"]["ca.key"], whole["ca.key"], "and a new CA is on its way");
    assert_eq!(scene.is_believed(&one, 0), Ok(()));
    until("both are well", async || [&first, &second].iter().all(|keeper| keeper.status() == PartStatus::Ready)).await;
}

/// All that certificates and lease may do.
fn rules(scene: &Scene) -> String {
    let (namespace, name) = (&scene.names.namespace, &scene.names.webhook_configuration);
    let subject = json!([{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]);
    let role = |kind: &str, rules: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
               "metadata": {"name": name, "namespace": namespace}, "rules": rules})
    };
    let binding = |kind: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Binding"),
               "metadata": {"name": name, "namespace": namespace}, "subjects": subject,
               "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}})
    };
    let own = json!([
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["pratique-certificates"], "verbs": ["get", "update"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["pratique"], "verbs": ["get", "update"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    ]);
    let all = json!([
        {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"],
         "resourceNames": [name], "verbs": ["get", "patch"]},
    ]);
    let items = [role("Role", own), binding("Role"), role("ClusterRole", all), binding("ClusterRole")];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn it_waits_for_its_rights_in_words_and_needs_no_more_than_these() {
    let scene = Scene::new().await;
    scene.register(&json!({}), &["images.pratique.dev"]);
    let kubeconfig = scene.cluster.kubeconfig_for(&scene.names.namespace, "default").await;
    let connection = connection(&kubeconfig).await;
    let keeper = Arc::new(Keeper::new(connection.clone(), scene.names.clone()));
    let obtaining = tokio::spawn({
        let keeper = Arc::clone(&keeper);
        async move { keeper.obtain().await }
    });
    let name = &scene.names.webhook_configuration;
    let words = format!(
        "no API server trusts our certificate yet; the API server does not let us get secrets/pratique-certificates: the Role \
         of our service account must allow the verb get on secrets; the API server does not let us get \
         validatingwebhookconfigurations/{name}: the ClusterRole of our service account must allow the verb get on \
         validatingwebhookconfigurations"
    );
    until("it says what it needs", async || keeper.status() == PartStatus::NotReady(words.clone())).await;
    assert!(!obtaining.is_finished());
    let applied = scene.cluster.kubectl_with_input(&["apply", "-f", "-"], &rules(&scene));
    assert_eq!(applied.code, Some(0), "{applied:?}");
    let identity = obtaining.await.expect("it ends");
    let (leadership, contending) = contend(connection, &scene.names);
    let _lease = Task(tokio::spawn(contending));
    let _keeping = Task(tokio::spawn(Arc::clone(&keeper).keep(leadership)));
    until("it is believed", async || scene.is_believed(&identity, 0).is_ok()).await;
    scene.patch_secret(&json!({"data": {"tls.key": "Cg=="}}));
    until("the Secret is mended", async || scene.secret()["data"]["tls.key"] != "Cg==").await;
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn one_replica_holds_the_lease_and_another_takes_it_when_that_one_is_gone() {
    let scene = Scene::new().await;
    let client: Client = scene.cluster.client().await;
    let connection = scene.connection().await;
    let (first, contending) = contend(connection.clone(), &scene.replica("pratique-0"));
    let one = Task(tokio::spawn(contending));
    until("the first holds it", async || first.held()).await;
    let (mut second, contending) = contend(connection, &scene.replica("pratique-1"));
    let _other = Task(tokio::spawn(contending));
    let leases: kube::Api<k8s_openapi::api::coordination::v1::Lease> =
        kube::Api::namespaced(client, &scene.names.namespace);
    let holder = async || {
        let lease = leases.get_opt("pratique").await.expect("an answer");
        lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity)
    };
    // As long as a record lasts that nobody renews, and a little more.
    tokio::time::sleep(Duration::from_secs(19)).await;
    assert!(first.held() && !second.held());
    assert_eq!(holder().await.as_deref(), Some("pratique-0"));
    // One that was deleted is made again.
    leases.delete("pratique", &kube::api::DeleteParams::default()).await.expect("deleted");
    until("somebody holds it again", async || holder().await.is_some()).await;
    until("exactly one knows", async || {
        let holder = holder().await;
        first.held() == (holder.as_deref() == Some("pratique-0")) && first.held() != second.held()
    })
    .await;
    if first.held() {
        drop(one);
        tokio::time::timeout(PATIENCE, second.changed()).await.expect("it is gained");
        assert!(second.held());
        assert_eq!(holder().await.as_deref(), Some("pratique-1"));
        let lease = leases.get("pratique").await.expect("it is there");
        assert_eq!(lease.spec.and_then(|spec| spec.lease_transitions), Some(2));
    }
}
