//! Two webhooks that share the namespaces between them: `images.pratique.dev` for those with the label
//! `pratique.dev/enforce`, and `unlabelled.images.pratique.dev` for all others. The second may let in what cannot be asked, as
//! long as the settings enforce nothing by default: nothing would be refused there anyway. One webhook for all namespaces is
//! as good.

use k8s_openapi::api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

use crate::policy::document::wording::quoted;

/// Who asks about images: everywhere, or in namespaces with the label.
pub const IMAGES: &str = "images.pratique.dev";
/// Who asks in all other namespaces.
pub(super) const UNLABELLED: &str = "unlabelled.images.pratique.dev";
/// Which policy a namespace enforces. A namespace where it is empty has it too, and is refused everything.
const LABEL: &str = "pratique.dev/enforce";

/// Whether a webhook asks in namespaces with the label alone.
pub(super) fn is_for_labelled(live: &ValidatingWebhook) -> bool {
    let selector = live.namespace_selector.as_ref();
    let mut expressions = selector.and_then(|selector| selector.match_expressions.as_ref()).into_iter().flatten();
    expressions.any(|its| its.key == LABEL && its.operator == "Exists")
}

/// The two as one for all namespaces.
pub(super) fn together(mut configuration: ValidatingWebhookConfiguration) -> ValidatingWebhookConfiguration {
    let webhooks = configuration.webhooks.get_or_insert_default();
    webhooks.retain(|webhook| webhook.name != UNLABELLED);
    for images in webhooks.iter_mut().filter(|webhook| webhook.name == IMAGES) {
        let selector = images.namespace_selector.get_or_insert_default();
        selector.match_expressions.get_or_insert_default().retain(|its| its.key != LABEL);
    }
    configuration
}

/// Whether a webhook lets in, in namespaces without the label, what cannot be asked.
#[must_use]
pub fn opens(live: &ValidatingWebhook) -> bool {
    // The API server's own default is Fail.
    live.name == UNLABELLED && live.failure_policy.as_deref().is_some_and(|policy| policy != "Fail")
}

/// What is expected of `images` where it is for namespaces with the label.
pub(super) fn labelled(images: &ValidatingWebhook) -> ValidatingWebhook {
    by_label(images.clone(), "Exists")
}

/// What is expected of `unlabelled`: all that is expected of `images`, and either failure policy.
pub(super) fn unlabelled(images: &ValidatingWebhook, live: &ValidatingWebhook) -> ValidatingWebhook {
    let expected = by_label(images.clone(), "DoesNotExist");
    ValidatingWebhook { name: UNLABELLED.to_owned(), failure_policy: live.failure_policy.clone(), ..expected }
}

/// Where unlabelled namespaces are enforced too: what is wrong with letting in what cannot be asked.
pub(super) fn opening(live: &ValidatingWebhook) -> Option<String> {
    let failure_policy = live.failure_policy.as_deref().filter(|_| opens(live))?;
    Some(format!(
        "{UNLABELLED}: failurePolicy is {}, and by `defaults.enforce` or `floor` of the settings namespaces without the \
         label {LABEL} are enforced too: whatever runs there is let in unseen while no replica answers: apply \
         overlays/enforce, or set it to Fail",
        quoted(failure_policy)
    ))
}

/// What is wrong where there is but the first of the two.
pub(super) fn missing() -> String {
    format!(
        "{IMAGES}: namespaceSelector leaves out namespaces without the label {LABEL}, and the webhook {UNLABELLED}, which \
         asks about those, is missing, so that Pods there pass unseen, and nobody is even warned: apply the configuration \
         that we ship"
    )
}

fn by_label(mut webhook: ValidatingWebhook, operator: &str) -> ValidatingWebhook {
    let selector = webhook.namespace_selector.get_or_insert_default();
    let requirement = LabelSelectorRequirement { key: LABEL.to_owned(), operator: operator.to_owned(), values: None };
    selector.match_expressions.get_or_insert_default().push(requirement);
    webhook
}
