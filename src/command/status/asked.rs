//! What the API server says: each question waits for so long, reads so much, and its failure is words for a person.

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{ApiResource, DynamicObject, ListParams};

use crate::config::Config;
use crate::evidence::scope::policy_labels;
use crate::fact::Labels;
use crate::policy::file::API_VERSION;
use crate::request::printable;

use super::verdict::objects::Policy;

/// For one question, all pages of a list together: an API server that needs longer is as good as away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Policies are large: an answer of so many is below what an API server takes as one object, times this.
const POLICIES_A_PAGE: u32 = 50;
/// Of namespaces the metadata alone is sent.
const NAMESPACES_A_PAGE: u32 = 500;
/// What a list may have in all: four times what the largest clusters have namespaces.
const MOST: usize = 40_000;
/// Of what an API server says, in a message.
const TOLD: usize = 300;
/// What our Deployment is called, and in it the volume with the settings.
pub(super) const DEPLOYMENT: &str = "pratique";
const VOLUME: &str = "settings";
const FILE: &str = "pratique.yaml";

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unasked {
    /// There is no API server that answers.
    Away(String),
    /// It answers, and not this.
    Not(String),
}

impl Unasked {
    pub(super) fn words(self) -> String {
        match self {
            Self::Away(words) | Self::Not(words) => words,
        }
    }
}

/// A list, as far as it was read.
#[derive(Debug)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    /// There are more.
    pub(super) cut: bool,
}

pub(super) struct Api {
    client: Client,
    namespace: String,
}

impl Api {
    pub(super) fn new(client: Client, namespace: String) -> Self {
        Self { client, namespace }
    }

    /// Our Deployment.
    pub(super) async fn deployment(&self) -> Result<Option<Deployment>, Unasked> {
        let what = format!("get deployments.apps/{DEPLOYMENT} in {}", self.namespace);
        let api = kube::Api::<Deployment>::namespaced(self.client.clone(), &self.namespace);
        ask(&what, api.get_opt(DEPLOYMENT)).await
    }

    /// The settings that it mounts.
    pub(super) async fn settings(&self, deployment: Option<&Deployment>) -> Result<Box<Config>, Unasked> {
        let not = |words: &str| Unasked::Not(format!("{words}: name the settings file with --config"));
        let deployment = deployment.ok_or_else(|| not(&format!("there is no Deployment {DEPLOYMENT} there")))?;
        let pod = deployment.spec.template.spec.as_ref();
        let mut volumes = pod.and_then(|pod| pod.volumes.as_ref()).into_iter().flatten();
        let volume = volumes.find(|volume| volume.name == VOLUME).and_then(|volume| volume.config_map.as_ref());
        let name = volume.map(|volume| volume.name.clone());
        let name = name.ok_or_else(|| not("the Deployment names no ConfigMap with the settings"))?;
        let what = format!("get configmaps/{name} in {}", self.namespace);
        let api = kube::Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        let object = ask(&what, api.get_opt(&name)).await?;
        let text = object.and_then(|object| object.data).and_then(|mut data| data.remove(FILE));
        let text = text.ok_or_else(|| not(&format!("there is no {FILE} in the ConfigMap {name}")))?;
        match Config::parse(&text, &format!("ConfigMap {name}")) {
            Ok((config, _warnings)) => Ok(Box::new(config)),
            Err(mistakes) => {
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                let first = printable(&first, TOLD);
                Err(Unasked::Not(format!(
                    "this version of the program does not take them, and no replica of it starts with them ({first}): mend \
                     them, or use the version that runs there"
                )))
            }
        }
    }

    pub(super) async fn configuration(&self, name: &str) -> Result<Option<ValidatingWebhookConfiguration>, Unasked> {
        let what = format!("get validatingwebhookconfigurations/{name}");
        ask(&what, kube::Api::all(self.client.clone()).get_opt(name)).await
    }

    /// None: the API server does not know the kind.
    pub(super) async fn policies(&self) -> Result<Option<Listed<Policy>>, Unasked> {
        let resource = ApiResource {
            group: "pratique.dev".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: API_VERSION.to_owned(),
            kind: "ImagePolicy".to_owned(),
            plural: "imagepolicies".to_owned(),
        };
        let api = kube::Api::<DynamicObject>::all_with(self.client.clone(), &resource);
        let pages = async {
            let mut listed = Listed { items: Vec::new(), cut: false };
            let mut params = ListParams::default().limit(POLICIES_A_PAGE);
            loop {
                let page = api.list(&params).await?;
                listed.items.extend(page.items.iter().map(Policy::of));
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) if listed.items.len() < MOST => params = params.continue_token(&token),
                    token => return Ok(Listed { cut: token.is_some(), ..listed }),
                }
            }
        };
        let absent = |error: &kube::Error| matches!(error, kube::Error::Api(status) if status.code == 404);
        let pages = async {
            match pages.await {
                Err(error) if absent(&error) => Ok(None),
                other => other.map(Some),
            }
        };
        ask("list imagepolicies.pratique.dev", pages).await
    }

    /// All of them with the labels that name policies.
    pub(super) async fn namespaces(&self) -> Result<Listed<(String, Labels)>, Unasked> {
        let api = kube::Api::<Namespace>::all(self.client.clone());
        let pages = async {
            let mut listed = Listed { items: Vec::new(), cut: false };
            let mut params = ListParams::default().limit(NAMESPACES_A_PAGE);
            loop {
                let page = api.list_metadata(&params).await?;
                for object in page.items {
                    let labels = object.metadata.labels.unwrap_or_default();
                    let labels = policy_labels(labels.iter().map(|(key, value)| (key.as_str(), value.as_str())));
                    listed.items.extend(object.metadata.name.map(|name| (name, labels)));
                }
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) if listed.items.len() < MOST => params = params.continue_token(&token),
                    token => return Ok(Listed { cut: token.is_some(), ..listed }),
                }
            }
        };
        ask("list namespaces", pages).await
    }

    /// Who holds the lease; none: nobody ever did.
    pub(super) async fn lease(&self, name: &str) -> Result<Option<LeaseSpec>, Unasked> {
        let what = format!("get leases.coordination.k8s.io/{name} in {}", self.namespace);
        let api = kube::Api::<Lease>::namespaced(self.client.clone(), &self.namespace);
        Ok(ask(&what, api.get_opt(name)).await?.and_then(|lease| lease.spec))
    }
}

async fn ask<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> Result<T, Unasked> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|error| unasked(what, &error)),
        Err(_) => Err(Unasked::Away(format!("the API server took longer than {PATIENCE:?} to {what}"))),
    }
}

fn unasked(what: &str, error: &kube::Error) -> Unasked {
    let kube::Error::Api(status) = error else {
        if matches!(error, kube::Error::SerdeError(_)) {
            // It would quote what it could not read.
            return Unasked::Not(format!("the API server's answer cannot be read: {what}"));
        }
        if of_credentials(error) {
            let words = "the credentials of the kubeconfig cannot be had: look at them with `kubectl version`";
            return Unasked::Away(words.to_owned());
        }
        let why = printable(&innermost(error), TOLD);
        return Unasked::Away(format!("the API server cannot be reached ({why}): look at it with `kubectl version`"));
    };
    let said = printable(&status.message, TOLD);
    Unasked::Not(match status.code {
        401 => format!("the API server does not know us, log in again: it was to {what} ({said})"),
        403 => format!("the API server does not let you {what}: somebody who may has to look ({said})"),
        code => format!("the API server answers {code} to {what}: {said}"),
    })
}

/// The last cause: those around it say only that there is one.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

/// What a plugin for credentials has printed is nobody's to see.
fn of_credentials(error: &kube::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<kube::client::AuthError>() {
            return true;
        }
        cause = inner.source();
    }
    matches!(error, kube::Error::Auth(_))
}
