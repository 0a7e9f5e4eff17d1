//! Who somebody is to the API server, written as kubectl and every client read it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use super::parts::Files;

/// No test runs longer.
const HOUR: i64 = 3600;

/// Writes one for a `user` of the kubeconfig format (JSON is YAML), who may act as another.
pub(super) fn write(path: &Path, files: &Files, port: u16, user: &Value, impersonated: Option<(&str, &[&str])>) {
    let mut user = user.clone();
    if let Some((name, groups)) = impersonated {
        user["as"] = json!(name);
        user["as-groups"] = json!(groups);
    }
    let authority = STANDARD.encode(files.authority());
    let cluster = json!({"server": format!("https://127.0.0.1:{port}"), "certificate-authority-data": authority});
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    });
    fs::write(path, config.to_string()).expect("a file in our own folder can be written");
}

/// A token of a service account, as the kubelet asks for one.
pub(super) async fn token(client: Client, namespace: &str, service_account: &str) -> String {
    let spec = TokenRequestSpec { expiration_seconds: Some(HOUR), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let accounts = Api::<ServiceAccount>::namespaced(client, namespace);
    let issued = accounts.create_token_request(service_account, &PostParams::default(), &request).await;
    issued.expect("the service account is there").status.and_then(|status| status.token).expect("a token is issued")
}
