//! Who is judged by what: the labels of namespaces, what counts without one, and who is exempt.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::Config;
use crate::evidence::scope::LABELS;
use crate::fact::Labels;
use crate::policy::document::wording::quoted;

use super::super::Settings;
use super::super::asked::Listed;
use super::super::line::{Line, few};

/// Policies that are named by a label and are not there, and get a line each.
const LINES: usize = 10;

/// `known`: every policy that there is; none: that cannot be told.
pub(in super::super) fn lines(
    listed: &Listed<(String, Labels)>,
    known: Option<&BTreeSet<String>>,
    settings: &Settings,
    own: &str,
) -> Vec<Line> {
    let mut lines = vec![counted(listed, settings)];
    if let Some(known) = known {
        lines.extend(unknown(&listed.items, known));
    }
    if listed.cut {
        lines.push(Line::warning("namespaces", format!("there are more than the {} looked at", listed.items.len())));
    }
    if let Some(config) = settings.known() {
        lines.extend(exempt(&listed.items, config, own));
    }
    lines
}

fn counted(listed: &Listed<(String, Labels)>, settings: &Settings) -> Line {
    let mut by_policy: BTreeMap<&str, usize> = BTreeMap::new();
    for policy in listed.items.iter().filter_map(|(_, labels)| labels.enforce.as_deref()) {
        *by_policy.entry(policy).or_default() += 1;
    }
    let labelled: usize = by_policy.values().sum();
    let told: Vec<String> =
        by_policy.iter().map(|(policy, count)| format!("{} enforced in {count}", quoted(policy))).collect();
    let told = if told.is_empty() { "no label enforces anything".to_owned() } else { few(&told) };
    let without = listed.items.len() - labelled;
    let default = match settings.known() {
        None => String::new(),
        Some(config) => {
            let name = |policy: &Option<crate::policy::PolicyName>| {
                policy.as_ref().map_or_else(|| "nothing".to_owned(), |name| quoted(name.as_str()))
            };
            let floor = config.floor.as_ref().map(|floor| format!(", and {} everywhere", quoted(floor.as_str())));
            format!(", which enforce {}{}", name(&config.defaults.enforce), floor.unwrap_or_default())
        }
    };
    Line::ok("namespaces", format!("{} in all: {told}; {without} without that label{default}", listed.items.len()))
}

/// Labels that name no policy, by label and name.
fn unknown(namespaces: &[(String, Labels)], known: &BTreeSet<String>) -> Vec<Line> {
    let mut found: BTreeMap<(usize, &str), Vec<String>> = BTreeMap::new();
    for (name, Labels { enforce, warn, audit }) in namespaces {
        for (mode, policy) in [enforce, warn, audit].into_iter().enumerate() {
            if let Some(policy) = policy.as_deref().filter(|policy| !known.contains(*policy)) {
                found.entry((mode, policy)).or_default().push(quoted(name));
            }
        }
    }
    let untold = found.len().saturating_sub(LINES);
    let mut lines: Vec<Line> = found
        .iter()
        .take(LINES)
        .map(|((mode, policy), names)| {
            let label = LABELS.get(*mode).copied().unwrap_or_default();
            let words =
                format!("the label {label} of {} names {}, and there is no such policy", few(names), quoted(policy));
            if *mode == 0 {
                Line::wrong(
                    "namespaces",
                    format!("{words}, so everything is refused there: add the policy, or change the label"),
                )
            } else {
                Line::warning("namespaces", format!("{words}: add the policy, or change the label"))
            }
        })
        .collect();
    if untold > 0 {
        lines.push(Line::warning("namespaces", format!("and {untold} more policies are named that are not there")));
    }
    lines
}

fn exempt(namespaces: &[(String, Labels)], config: &Config, own: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let names: Vec<String> = config.exempt_namespaces.iter().map(|name| quoted(name)).collect();
    let listed = if names.is_empty() { "none".to_owned() } else { few(&names) };
    lines.push(Line::ok("exempt", format!("nothing is judged in: {listed}")));
    if !config.exempt_namespaces.contains(own) {
        let words = format!(
            "our own namespace {} is not exempt: add it to `exemptNamespaces`, or a replica may have to wait for another to let \
             it start",
            quoted(own)
        );
        lines.push(Line::warning("exempt", words));
    }
    let labelled =
        namespaces.iter().filter(|(name, labels)| config.exempt_namespaces.contains(name) && labels.enforce.is_some());
    let labelled: Vec<String> = labelled.map(|(name, _)| quoted(name)).collect();
    if !labelled.is_empty() {
        let words = format!("{} has the label pratique.dev/enforce, which counts for nothing there", few(&labelled));
        lines.push(Line::warning("exempt", words));
    }
    lines
}

/// Settings that name policies which are not there.
pub(in super::super) fn bindings(config: &Config, known: &BTreeSet<String>) -> Vec<Line> {
    let modes = [
        ("floor", &config.floor),
        ("defaults.enforce", &config.defaults.enforce),
        ("defaults.warn", &config.defaults.warn),
        ("defaults.audit", &config.defaults.audit),
    ];
    let mut lines = Vec::new();
    for (setting, policy) in modes {
        let Some(policy) = policy.as_ref().filter(|policy| !known.contains(policy.as_str())) else { continue };
        let words = format!("`{setting}` names {}, and there is no such policy: add it", quoted(policy.as_str()));
        lines.push(if matches!(setting, "floor" | "defaults.enforce") {
            Line::wrong("settings", format!("{words}, since everything is refused meanwhile"))
        } else {
            Line::warning("settings", words)
        });
    }
    lines
}
