//! A registry in this process that the program in the cluster reaches, and who asks for its images.

use std::path::Path;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Api, Client, Config};
use pratique_testkit::Registry;
use pratique_testkit::real::Cluster;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;

/// The shipped settings, with what says how these registries are reached.
pub(crate) fn settings(hosts: &Path, registries: &[&Registry]) -> String {
    for registry in registries {
        registry.write_hosts(hosts);
    }
    let shipped = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/base/settings/pratique.yaml"));
    format!("{shipped}\nregistries: {{hosts: \"{}\"}}\n", hosts.display())
}

/// The policy `acme`: a tag names what it named. Whether it does, only the registry knows.
pub(crate) fn policy(unavailable: &str) -> String {
    format!(
        "apiVersion: pratique.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: acme}}\nspec:\n  \
         unavailable: {unavailable}\n  rules:\n  - {{name: all, images: [\"**\"], tags: {{repointed: deny}}}}\n"
    )
}

/// The Secret with our certificates as it is after some hours: a replica that starts is ready at once, and does not wait until
/// API servers have heard of a new CA.
pub(crate) fn certificates() -> String {
    let hours = |count: u64| Duration::from_secs(count * 3600);
    let (key, leaf_key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("another"));
    let mut authority = CertificateParams::default();
    authority.distinguished_name.push(DnType::CommonName, "Pratique CA of some hours ago");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let mut leaf = CertificateParams::new(vec!["pratique.pratique-system.svc".to_owned()]).expect("it is a name");
    leaf.use_authority_key_identifier_extension = true;
    for (params, days) in [(&mut authority, 365), (&mut leaf, 90)] {
        params.not_before = (SystemTime::now() - hours(5)).into();
        params.not_after = (SystemTime::now() + hours(24 * days)).into();
    }
    let authorities = authority.self_signed(&key).expect("it signs itself").pem();
    let keys = key.serialize_pem();
    let certificate = leaf.signed_by(&leaf_key, &Issuer::new(authority, key)).expect("it signs others").pem();
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "pratique-certificates", "namespace": "pratique-system"},
        "stringData": {"ca.crt": authorities, "ca.key": keys, "tls.crt": certificate, "tls.key": leaf_key.serialize_pem()}})
    .to_string()
}

/// A namespace that is judged by it.
pub(crate) async fn judged(cluster: &Cluster, prefix: &str) -> String {
    cluster.fresh_namespace(prefix, &[("pratique.dev/enforce", "acme")]).await
}

pub(crate) fn pod(namespace: &str, name: &str, image: &str) -> String {
    let container = json!({"name": "web", "image": image});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container]}})
    .to_string()
}

/// As its kubelet says what it runs: `repository`, without a tag, at this digest.
pub(crate) fn runs(cluster: &Cluster, namespace: &str, name: &str, repository: &str, digest: &str) {
    let status = json!({"name": "web", "image": format!("{repository}:v1"), "imageID": format!("{repository}@{digest}"),
        "ready": true, "restartCount": 0});
    let patch = json!({"status": {"phase": "Running", "containerStatuses": [status]}}).to_string();
    let patched = cluster.kubectl(&["patch", "pod", name, "-n", namespace, "--subresource=status", "-p", &patch]);
    assert_eq!(patched.code, Some(0), "{patched:?}");
}

/// What the API server answers to a Pod, as a dry run and once: kubectl tries again what may pass by itself.
pub(crate) async fn answer(cluster: &Cluster, namespace: &str, pod: &str) -> Result<(), Box<Status>> {
    let pod: Pod = serde_json::from_str(pod).expect("it is a Pod");
    let read = Kubeconfig::read_from(cluster.kubeconfig()).expect("our own kubeconfig can be read");
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let mut config = config.expect("our own kubeconfig is in order");
    // kube's client would try again too.
    config.default_retry = false;
    let api = Api::<Pod>::namespaced(Client::try_from(config).expect("a client can be made"), namespace);
    match api.create(&PostParams { dry_run: true, ..PostParams::default() }, &pod).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(status),
        Err(error) => panic!("no answer: {error}"),
    }
}
