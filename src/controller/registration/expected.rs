//! The configuration that we ship, under the names of this installation.
//!
//! It has two webhooks for images, with and without the label of a namespace. What is expected of them is said here once, for
//! all namespaces; [`super::pair`] says how the two share them.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;

use crate::policy::document::parse_documents;

use super::super::Names;
use super::pair;

const SHIPPED: &str = include_str!("../../../manifests/base/validatingwebhookconfiguration.yaml");
/// The namespace that the shipped file speaks of.
const SHIPPED_NAMESPACE: &str = "pratique-system";

/// What is expected of the live configuration.
pub(super) fn for_names(names: &Names) -> ValidatingWebhookConfiguration {
    let mut expected = shipped();
    for webhook in expected.webhooks.iter_mut().flatten() {
        if let Some(service) = &mut webhook.client_config.service {
            service.name.clone_from(&names.service);
            service.namespace.clone_from(&names.namespace);
        }
        let selector = webhook.namespace_selector.as_mut();
        let expressions = selector.and_then(|selector| selector.match_expressions.as_mut());
        let values = expressions.into_iter().flatten().filter_map(|expression| expression.values.as_mut());
        for namespace in values.flatten().filter(|value| *value == SHIPPED_NAMESPACE) {
            namespace.clone_from(&names.namespace);
        }
    }
    expected
}

fn shipped() -> ValidatingWebhookConfiguration {
    let documents = parse_documents(SHIPPED).expect("a test reads the shipped file");
    let document = documents.first().expect("a test reads the shipped file");
    let shipped = serde_json::from_value(document.to_json()).expect("a test reads the shipped file");
    pair::together(shipped)
}
