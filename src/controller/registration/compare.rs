//! What the live configuration lets through that the expected one does not, and what it makes fail. By meaning: whatever
//! an administrator has added beside what we ship is no weakness, and two webhooks of ours that share the namespaces between
//! them are as good as one for all.

use std::collections::BTreeSet;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};

use crate::policy::document::wording::quoted;

use super::super::Names;
use super::{Unlabelled, pair, rules, selectors};

pub(super) const CONFIGURATION: &str = "configuration";
pub(super) const WEBHOOK: &str = "webhook";
pub(super) const FAILURE_POLICY: &str = "failure-policy";
pub(super) const RESOURCES: &str = "resources";
pub(super) const SCOPE: &str = "scope";
pub(super) const MATCH_POLICY: &str = "match-policy";
pub(super) const NAMESPACE_SELECTOR: &str = "namespace-selector";
pub(super) const LOCK_OUT: &str = "lock-out";
pub(super) const OBJECT_SELECTOR: &str = "object-selector";
pub(super) const MATCH_CONDITIONS: &str = "match-conditions";
pub(super) const TIMEOUT: &str = "timeout";
pub(super) const CA_BUNDLE: &str = "ca-bundle";
pub(super) const SERVICE: &str = "service";
pub(super) const SIDE_EFFECTS: &str = "side-effects";
pub(super) const REVIEW_VERSIONS: &str = "review-versions";

/// Every label of the metric.
pub(super) const LABELS: [&str; 15] = [
    CONFIGURATION,
    WEBHOOK,
    FAILURE_POLICY,
    RESOURCES,
    SCOPE,
    MATCH_POLICY,
    NAMESPACE_SELECTOR,
    LOCK_OUT,
    OBJECT_SELECTOR,
    MATCH_CONDITIONS,
    TIMEOUT,
    CA_BUNDLE,
    SERVICE,
    SIDE_EFFECTS,
    REVIEW_VERSIONS,
];

/// In seconds. We answer 300 ms before the end, and below this an image that nobody asked for yet cannot be looked up.
const SHORTEST_TIMEOUT: i32 = 2;
/// For so long a replica that hangs may hold up every Pod, which is what the API server itself takes by default.
const LONGEST_TIMEOUT: i32 = 10;

/// Something that the live configuration lets through, or makes fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weakness {
    /// The metric label: a few fixed words such as `resources` or `failure-policy`.
    pub what: &'static str,
    /// What it is and what to do, for a person.
    pub words: String,
}

impl Weakness {
    pub(super) fn new(what: &'static str, words: String) -> Self {
        Self { what, words }
    }
}

/// What is weaker in `live` than in `expected`; none: there is no such configuration.
#[must_use]
pub fn weaknesses(
    expected: &ValidatingWebhookConfiguration,
    live: Option<&ValidatingWebhookConfiguration>,
    names: &Names,
    unlabelled: Unlabelled,
) -> Vec<Weakness> {
    let Some(live) = live else {
        let name = &names.webhook_configuration;
        let words = format!(
            "there is no ValidatingWebhookConfiguration {name}, so nothing is judged: apply the one that we ship"
        );
        return vec![Weakness::new(CONFIGURATION, words)];
    };
    let mut found = Vec::new();
    for expected in expected.webhooks.iter().flatten() {
        let live_of = |name: &str| live.webhooks.iter().flatten().find(|webhook| webhook.name == name);
        let of_this = live_of(&expected.name);
        let of_others = (expected.name == pair::IMAGES).then(|| live_of(pair::UNLABELLED)).flatten();
        let split = expected.name == pair::IMAGES && of_this.is_some_and(pair::is_for_labelled);
        match of_this {
            Some(live) if split => of_webhook(&pair::labelled(expected), live, names, &mut found),
            Some(live) => of_webhook(expected, live, names, &mut found),
            None => {
                let words = format!(
                    "the webhook {} is missing, so nothing is asked for it: apply the configuration that we ship",
                    expected.name
                );
                found.push(Weakness::new(WEBHOOK, words));
            }
        }
        match of_others {
            Some(live) => {
                of_webhook(&pair::unlabelled(expected, live), live, names, &mut found);
                let opens = split && unlabelled == Unlabelled::Enforced;
                found.extend(pair::opening(live).filter(|_| opens).map(|words| Weakness::new(FAILURE_POLICY, words)));
            }
            None if split => found.push(Weakness::new(NAMESPACE_SELECTOR, pair::missing())),
            None => {}
        }
    }
    found
}

fn of_webhook(expected: &ValidatingWebhook, live: &ValidatingWebhook, names: &Names, found: &mut Vec<Weakness>) {
    let name = &expected.name;
    let mut say = |what, words: String| found.push(Weakness::new(what, format!("{name}: {words}")));
    if let Some(words) = failure_policy(expected, live) {
        say(FAILURE_POLICY, words);
    }
    for (what, words) in rules::narrowed(expected, live) {
        say(what, words);
    }
    // The API server's own default is Equivalent.
    if live.match_policy.as_deref() == Some("Exact") && expected.match_policy.as_deref() != Some("Exact") {
        let words = "matchPolicy is Exact, so that other versions of these kinds pass unseen: set it to Equivalent";
        say(MATCH_POLICY, words.to_owned());
    }
    for (what, words) in selectors::narrowed(expected, live, &names.namespace) {
        say(what, words);
    }
    if let Some(words) = match_conditions(expected, live) {
        say(MATCH_CONDITIONS, words);
    }
    match live.timeout_seconds.unwrap_or(LONGEST_TIMEOUT) {
        short if short < SHORTEST_TIMEOUT => say(
            TIMEOUT,
            format!(
                "timeoutSeconds is {short}, too short to look up an image that is not known yet, so that it is refused \
                 at first: set it to 5"
            ),
        ),
        long if long > LONGEST_TIMEOUT => say(
            TIMEOUT,
            format!(
                "timeoutSeconds is {long}, so long may a replica that hangs hold up whoever creates a Pod: set it to 5"
            ),
        ),
        _ => {}
    }
    if live.client_config.ca_bundle.as_ref().is_none_or(|bundle| bundle.0.is_empty()) {
        let words = "caBundle is empty, so that API servers trust nobody here and every call fails: it is filled in by \
                     the replica that holds the lease, by cert-manager, or by hand";
        say(CA_BUNDLE, words.to_owned());
    }
    if let Some(words) = address(&expected.client_config, &live.client_config) {
        say(SERVICE, words);
    }
    if !matches!(live.side_effects.as_str(), "None" | "NoneOnDryRun") {
        let words = format!(
            "sideEffects is {}, so that the API server fails every dry run: set it to NoneOnDryRun",
            quoted(&live.side_effects)
        );
        say(SIDE_EFFECTS, words);
    }
    if !live.admission_review_versions.iter().any(|version| version == "v1") {
        let words = "admissionReviewVersions is without v1, the only one that is understood here: add it";
        say(REVIEW_VERSIONS, words.to_owned());
    }
}

fn failure_policy(expected: &ValidatingWebhook, live: &ValidatingWebhook) -> Option<String> {
    // The API server's own default is Fail.
    let word = |webhook: &ValidatingWebhook| webhook.failure_policy.clone().unwrap_or_else(|| "Fail".to_owned());
    match (word(expected).as_str(), word(live).as_str()) {
        ("Fail", "Fail") => None,
        ("Fail", other) => Some(format!(
            "failurePolicy is {}, so that whatever cannot be asked here is let in unseen: set it to Fail",
            quoted(other)
        )),
        (_, "Fail") => Some(
            "failurePolicy is Fail, so that nothing can be mended while no replica answers: set it to Ignore"
                .to_owned(),
        ),
        _ => None,
    }
}

/// Conditions that are not ours can only ask us less.
fn match_conditions(expected: &ValidatingWebhook, live: &ValidatingWebhook) -> Option<String> {
    let expressions = |webhook: &ValidatingWebhook| -> BTreeSet<String> {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        webhook.match_conditions.iter().flatten().map(|condition| words(&condition.expression)).collect()
    };
    let ours = expressions(expected);
    let foreign = expressions(live);
    let foreign: Vec<String> = foreign.difference(&ours).map(|expression| quoted(expression)).collect();
    let first = foreign.first()?;
    let more = if foreign.len() > 1 { format!(" and {} more", foreign.len() - 1) } else { String::new() };
    Some(format!("matchConditions has {first}{more}, so that what does not meet it passes unseen: take it out"))
}

fn address(expected: &WebhookClientConfig, live: &WebhookClientConfig) -> Option<String> {
    if let Some(url) = &live.url {
        return Some(format!("clientConfig.url is {}, which may not be us: name our Service instead", quoted(url)));
    }
    let told = |config: &WebhookClientConfig| {
        let service = config.service.as_ref()?;
        let path = service.path.as_deref().unwrap_or("/");
        Some(format!("{}/{}{path}", service.namespace, service.name))
    };
    let (expected, live) = (told(expected)?, told(live).unwrap_or_default());
    (expected != live)
        .then(|| format!("clientConfig.service is {}, which is not us: set it to {expected}", quoted(&live)))
}
