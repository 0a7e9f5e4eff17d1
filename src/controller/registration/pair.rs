//! Two webhooks in place of one, as the component `fail-closed-where-enforced` has it: `images.pratique.dev` for namespaces
//! with the label `pratique.dev/enforce`, and `unenforced.images.pratique.dev` for all others, which may let in what cannot be
//! asked, since nothing is refused there: as long as the settings enforce nothing by default.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhook;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

use crate::policy::document::wording::quoted;

/// Who asks about images: everywhere, or in namespaces with the label.
pub const IMAGES: &str = "images.pratique.dev";
/// Who asks in all other namespaces.
pub const UNENFORCED: &str = "unenforced.images.pratique.dev";
/// Which policy a namespace enforces. A namespace where it is empty has it too, and is refused everything.
const LABEL: &str = "pratique.dev/enforce";

/// Whether a webhook asks in namespaces with the label alone.
pub(super) fn is_for_labelled(live: &ValidatingWebhook) -> bool {
    let selector = live.namespace_selector.as_ref();
    let mut expressions = selector.and_then(|selector| selector.match_expressions.as_ref()).into_iter().flatten();
    expressions.any(|its| its.key == LABEL && its.operator == "Exists")
}

/// What is expected of `images` where it is for namespaces with the label.
pub(super) fn labelled(images: &ValidatingWebhook) -> ValidatingWebhook {
    by_label(images.clone(), "Exists")
}

/// What is expected of `unenforced`: all that is expected of `images`, and either failure policy.
pub(super) fn unlabelled(images: &ValidatingWebhook, live: &ValidatingWebhook) -> ValidatingWebhook {
    let expected = by_label(images.clone(), "DoesNotExist");
    ValidatingWebhook { name: UNENFORCED.to_owned(), failure_policy: live.failure_policy.clone(), ..expected }
}

/// Where unlabelled namespaces are enforced too: what is wrong with letting in what cannot be asked.
pub(super) fn opening(live: &ValidatingWebhook) -> Option<String> {
    // The API server's own default is Fail.
    let failure_policy = live.failure_policy.as_deref().filter(|policy| *policy != "Fail")?;
    Some(format!(
        "{UNENFORCED}: failurePolicy is {}, and by `defaults.enforce` or `floor` of the settings namespaces without the \
         label {LABEL} are enforced too: whatever runs there is let in unseen while no replica answers: apply \
         overlays/enforce, or set it to Fail",
        quoted(failure_policy)
    ))
}

/// What is wrong where there is but the first of the two.
pub(super) fn missing() -> String {
    format!(
        "{IMAGES}: namespaceSelector leaves out namespaces without the label {LABEL}, and the webhook {UNENFORCED}, which \
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
