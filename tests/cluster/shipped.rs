//! What we ship, applied as it is.

use std::path::PathBuf;

use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;

/// What `kubectl apply` prints of a file of `manifests/base`.
pub(crate) fn apply(cluster: &Cluster, file: &str) {
    let path = format!("{}/manifests/base/{file}", env!("CARGO_MANIFEST_DIR"));
    let applied = cluster.kubectl(&["apply", "-f", &path]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
}

/// The kind ImagePolicy; returns when the API server has it.
pub(crate) async fn definition(cluster: &Cluster) {
    apply(cluster, "customresourcedefinition.yaml");
    eventually("ImagePolicies can be listed", async || cluster.kubectl(&["get", "imgpol"]).code == Some(0)).await;
}

/// Our own service account with the rights that we ship, as a kubeconfig.
pub(crate) async fn account(cluster: &Cluster) -> PathBuf {
    apply(cluster, "namespace.yaml");
    apply(cluster, "serviceaccount.yaml");
    apply(cluster, "clusterrole.yaml");
    cluster.kubeconfig_for("pratique-system", "pratique").await
}
