//! Whether live rules ask us of everything that ours do. A rule matches as the API server has it (k8s.io/apiserver
//! `pkg/admission/plugin/webhook/predicates/rules`): `*` stands for everything, but `*` as a resource for no subresource.

use k8s_openapi::api::admissionregistration::v1::{RuleWithOperations, ValidatingWebhook};

use super::compare::{RESOURCES, SCOPE};

/// Of so many it is said what they are.
const NAMED: usize = 6;

/// What of the expected rules the live ones do not cover: weakness and words.
pub(super) fn narrowed(expected: &ValidatingWebhook, live: &ValidatingWebhook) -> Vec<(&'static str, String)> {
    let live: Vec<&RuleWithOperations> = live.rules.iter().flatten().collect();
    let (mut missing, mut scoped) = (Vec::new(), Vec::new());
    for call in expected.rules.iter().flatten().flat_map(calls) {
        if live.iter().any(|rule| call.matched_by(rule) && call.in_scope_of(rule)) {
            continue;
        }
        let by_scope = live.iter().any(|rule| call.matched_by(rule));
        let list = if by_scope { &mut scoped } else { &mut missing };
        let told = call.told();
        if !list.contains(&told) {
            list.push(told);
        }
    }
    let mut found = Vec::new();
    if !missing.is_empty() {
        let words = format!("rules are without {}, so that they pass unseen: add them again", named(&missing));
        found.push((RESOURCES, words));
    }
    if !scoped.is_empty() {
        let words = format!("rules have another scope than {}, so that they pass unseen: set it again", named(&scoped));
        found.push((SCOPE, words));
    }
    found
}

fn named(list: &[String]) -> String {
    let named: Vec<&str> = list.iter().take(NAMED).map(String::as_str).collect();
    let more = list.len().saturating_sub(NAMED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", named.join(", "))
}

/// Something that the API server must ask of.
struct Call<'r> {
    group: &'r str,
    version: &'r str,
    resource: &'r str,
    operation: &'r str,
    scope: &'r str,
}

fn calls(rule: &RuleWithOperations) -> Vec<Call<'_>> {
    let scope = rule.scope.as_deref().unwrap_or("*");
    let mut calls = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for version in rule.api_versions.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for operation in rule.operations.iter().flatten() {
                    calls.push(Call { group, version, resource, operation, scope });
                }
            }
        }
    }
    calls
}

impl Call<'_> {
    fn matched_by(&self, rule: &RuleWithOperations) -> bool {
        let has = |list: &Option<Vec<String>>, value: &str| {
            list.iter().flatten().any(|listed| listed == "*" || listed == value)
        };
        has(&rule.api_groups, self.group)
            && has(&rule.api_versions, self.version)
            && has(&rule.operations, self.operation)
            && rule.resources.iter().flatten().any(|listed| covers(listed, self.resource))
    }

    fn in_scope_of(&self, rule: &RuleWithOperations) -> bool {
        let scope = rule.scope.as_deref().unwrap_or("*");
        scope == "*" || scope == self.scope
    }

    /// `UPDATE deployments.apps`
    fn told(&self) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{} {}{dot}{}", self.operation, self.resource, self.group)
    }
}

fn covers(listed: &str, resource: &str) -> bool {
    let (listed, listed_sub) = listed.split_once('/').unwrap_or((listed, ""));
    let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
    (listed == "*" || listed == resource) && (listed_sub == "*" || listed_sub == sub)
}
