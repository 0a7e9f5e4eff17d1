//! Which namespaces and objects the live configuration leaves out, requirement by requirement: who sets a label could
//! else be the one who decides what is judged.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhook;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use crate::policy::document::wording::quoted;

use super::compare::{LOCK_OUT, NAMESPACE_SELECTOR, OBJECT_SELECTOR};

/// The label of a namespace that nobody can change: its name.
const NAME: &str = "kubernetes.io/metadata.name";
/// Of so many it is said what they are.
const NAMED: usize = 6;

/// What the live selectors leave out beyond the expected ones: weakness and words.
pub(super) fn narrowed(
    expected: &ValidatingWebhook,
    live: &ValidatingWebhook,
    own: &str,
) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    let none = LabelSelector::default();
    let expected_selector = expected.namespace_selector.as_ref().unwrap_or(&none);
    let live_selector = live.namespace_selector.as_ref().unwrap_or(&none);
    let left_out = narrowings(expected_selector, live_selector);
    if !left_out.is_empty() {
        let words = format!(
            "namespaceSelector leaves out namespaces by {}, and Pods there pass unseen: take it out, and exempt \
             namespaces in the settings",
            left_out.join(" and ")
        );
        found.push((NAMESPACE_SELECTOR, words));
    }
    let leaves_out = |selector: &LabelSelector| excludes(selector, own);
    if leaves_out(expected_selector) && !leaves_out(live_selector) {
        let words = format!(
            "namespaceSelector does not leave out our own namespace {}, so that our Pods cannot come back once all are \
             gone: add it to the values of NotIn on {NAME}",
            quoted(own)
        );
        found.push((LOCK_OUT, words));
    }
    let objects = live.object_selector.as_ref().unwrap_or(&none);
    let expected_objects = expected.object_selector.as_ref().unwrap_or(&none);
    let left_out = narrowings(expected_objects, objects);
    if !left_out.is_empty() {
        let words = format!(
            "objectSelector leaves out objects by {}, which whoever writes an object can set: take it out",
            left_out.join(" and ")
        );
        found.push((OBJECT_SELECTOR, words));
    }
    found
}

/// The requirements that leave out more than the expected ones do.
fn narrowings(expected: &LabelSelector, live: &LabelSelector) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in live.match_labels.iter().flatten() {
        let same = expected.match_labels.iter().flatten().any(|its| its == (key, value));
        if !same {
            found.push(quoted(&format!("{key}={value}")));
        }
    }
    for requirement in live.match_expressions.iter().flatten() {
        found.extend(narrowing(expected, requirement));
    }
    found
}

/// What a requirement leaves out that the expected ones do not, in words. `NotIn` of fewer values leaves out less.
fn narrowing(expected: &LabelSelector, live: &LabelSelectorRequirement) -> Option<String> {
    let ours = expected.match_expressions.iter().flatten();
    let ours: Vec<_> = ours.filter(|its| its.key == live.key && its.operator == live.operator).collect();
    let values = |requirement: &LabelSelectorRequirement| -> BTreeSet<String> {
        requirement.values.iter().flatten().cloned().collect()
    };
    if live.operator == "NotIn" {
        let excluded: BTreeSet<String> = ours.into_iter().flat_map(values).collect();
        let live_values = values(live);
        let more: Vec<&String> = live_values.difference(&excluded).collect();
        return (!more.is_empty()).then(|| format!("{} NotIn {}", quoted(&live.key), list(&more)));
    }
    if ours.iter().any(|its| values(its) == values(live)) {
        return None;
    }
    let values = values(live);
    let told = if values.is_empty() { String::new() } else { format!(" {}", list(&values.iter().collect::<Vec<_>>())) };
    Some(format!("{} {}{told}", quoted(&live.key), quoted(&live.operator)))
}

fn list(values: &[&String]) -> String {
    let named: Vec<String> = values.iter().take(NAMED).map(|value| quoted(value)).collect();
    let more = values.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", named.join(", "))
}

/// Whether the namespace of this name is left out by its name, the only label that is sure.
fn excludes(selector: &LabelSelector, namespace: &str) -> bool {
    let labels = selector.match_labels.iter().flatten();
    let by_label = labels.filter(|(key, _)| *key == NAME).any(|(_, value)| value != namespace);
    let expressions = selector.match_expressions.iter().flatten().filter(|its| its.key == NAME);
    let by_expression = |its: &LabelSelectorRequirement| {
        let listed = its.values.iter().flatten().any(|value| value == namespace);
        match its.operator.as_str() {
            "NotIn" => listed,
            "In" => !listed,
            "DoesNotExist" => true,
            _ => false,
        }
    };
    by_label || expressions.into_iter().any(by_expression)
}
