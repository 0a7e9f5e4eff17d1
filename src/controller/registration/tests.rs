use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MatchCondition, RuleWithOperations, ValidatingWebhook};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};

use super::*;

fn names() -> Names {
    Names {
        namespace: "guards".to_owned(),
        service: "images".to_owned(),
        webhook_configuration: "pratique".to_owned(),
        replica: "images-0".to_owned(),
    }
}

/// As it is in a cluster where everything is well.
fn live() -> ValidatingWebhookConfiguration {
    let mut live = expected::for_names(&names());
    for webhook in live.webhooks.iter_mut().flatten() {
        webhook.client_config.ca_bundle = Some(ByteString(b"-----BEGIN".to_vec()));
    }
    live
}

fn found(live: &ValidatingWebhookConfiguration) -> Vec<Weakness> {
    weaknesses(&expected(&names()), Some(live), &names(), Unlabelled::Free)
}

fn images(live: &mut ValidatingWebhookConfiguration) -> &mut ValidatingWebhook {
    live.webhooks.as_mut().unwrap().iter_mut().find(|webhook| webhook.name == "images.pratique.dev").unwrap()
}

fn policies(live: &mut ValidatingWebhookConfiguration) -> &mut ValidatingWebhook {
    live.webhooks.as_mut().unwrap().iter_mut().find(|webhook| webhook.name == "policies.pratique.dev").unwrap()
}

fn rules(live: &mut ValidatingWebhookConfiguration) -> &mut Vec<RuleWithOperations> {
    images(live).rules.as_mut().unwrap()
}

fn requirement(key: &str, operator: &str, values: &[&str]) -> LabelSelectorRequirement {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    LabelSelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values: Some(values) }
}

fn expressions(live: &mut ValidatingWebhookConfiguration) -> &mut Vec<LabelSelectorRequirement> {
    images(live).namespace_selector.as_mut().unwrap().match_expressions.as_mut().unwrap()
}

fn excluding(values: &[&str]) -> Vec<LabelSelectorRequirement> {
    vec![requirement("kubernetes.io/metadata.name", "NotIn", values)]
}

/// The live configuration with one change has this weakness and no other.
#[track_caller]
fn weak(change: impl FnOnce(&mut ValidatingWebhookConfiguration), what: &str, words: &str) {
    let mut live = live();
    change(&mut live);
    let found = found(&live);
    let [weakness] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(weakness.what, what);
    assert!(weakness.words.contains(words), "{}", weakness.words);
    assert!(compare::LABELS.contains(&what));
}

#[track_caller]
fn no_weakness(change: impl FnOnce(&mut ValidatingWebhookConfiguration)) {
    let mut live = live();
    change(&mut live);
    assert_eq!(found(&live), []);
}

#[test]
fn what_we_ship_is_no_weakness_under_other_names_and_nothing_at_all_is_one() {
    no_weakness(|_| {});
    let found = weaknesses(&expected(&names()), None, &names(), Unlabelled::Free);
    let words = "there is no ValidatingWebhookConfiguration pratique, so nothing is judged: apply the one that we ship";
    assert_eq!(found, [Weakness { what: "configuration", words: words.to_owned() }]);
}

#[test]
fn a_webhook_that_is_gone_or_has_another_failure_policy_is_found() {
    let gone = |name: &'static str| {
        move |live: &mut ValidatingWebhookConfiguration| {
            live.webhooks.as_mut().unwrap().retain(|webhook| webhook.name != name);
        }
    };
    weak(gone("images.pratique.dev"), "webhook", "the webhook images.pratique.dev is missing");
    weak(gone("policies.pratique.dev"), "webhook", "the webhook policies.pratique.dev is missing");
    weak(|live| live.webhooks.as_mut().unwrap()[0].name = "other".to_owned(), "webhook", "images.pratique.dev");
    let ignore = |live: &mut ValidatingWebhookConfiguration| images(live).failure_policy = Some("Ignore".to_owned());
    weak(ignore, "failure-policy", "images.pratique.dev: failurePolicy is `Ignore`, so that whatever cannot be asked");
    let fail = |live: &mut ValidatingWebhookConfiguration| policies(live).failure_policy = Some("Fail".to_owned());
    weak(fail, "failure-policy", "policies.pratique.dev: failurePolicy is Fail, so that nothing can be mended");
    no_weakness(|live| images(live).failure_policy = None);
}

#[test]
fn every_resource_and_operation_must_be_asked_about_by_some_rule() {
    weak(|live| drop(rules(live).remove(0)), "resources", "without CREATE pods, UPDATE pods, so");
    let no_update = |live: &mut ValidatingWebhookConfiguration| {
        for rule in rules(live).iter_mut() {
            rule.operations.as_mut().unwrap().retain(|operation| operation != "UPDATE");
        }
    };
    weak(no_update, "resources", "UPDATE pods, UPDATE pods/ephemeralcontainers, UPDATE replicationcontrollers");
    weak(no_update, "resources", " and 4 more, so that they pass unseen");
    let no_group =
        |live: &mut ValidatingWebhookConfiguration| rules(live)[3].api_groups = Some(vec!["extensions".to_owned()]);
    weak(no_group, "resources", "CREATE deployments.apps, UPDATE deployments.apps, CREATE replicasets.apps");
    let no_version =
        |live: &mut ValidatingWebhookConfiguration| rules(live)[4].api_versions = Some(vec!["v2".to_owned()]);
    weak(no_version, "resources", "CREATE jobs.batch");
    weak(|live| images(live).rules = None, "resources", "CREATE pods");
    let star = |resources: &'static str| {
        move |live: &mut ValidatingWebhookConfiguration| {
            let star = || Some(vec!["*".to_owned()]);
            *rules(live) = vec![RuleWithOperations {
                api_groups: star(),
                api_versions: star(),
                operations: star(),
                resources: Some(vec![resources.to_owned()]),
                scope: None,
            }];
        }
    };
    no_weakness(star("*/*"));
    weak(star("*"), "resources", "without UPDATE pods/ephemeralcontainers, so");
    weak(star("*/ephemeralcontainers"), "resources", "without CREATE pods, UPDATE pods, CREATE replicationcontrollers");
    no_weakness(|live| rules(live)[0].resources = Some(vec!["pods/*".to_owned()]));
    no_weakness(|live| {
        let kinds = |kind: &str| Some(vec![kind.to_owned()]);
        let mut rule = rules(live)[0].clone();
        (rule.api_groups, rule.api_versions, rule.resources) =
            (kinds("argoproj.io"), kinds("v1alpha1"), kinds("rollouts"));
        rules(live).push(rule);
    });
    no_weakness(|live| rules(live).iter_mut().for_each(|rule| rule.scope = Some("*".to_owned())));
    let cluster = |live: &mut ValidatingWebhookConfiguration| rules(live)[0].scope = Some("Cluster".to_owned());
    weak(cluster, "scope", "another scope than CREATE pods, UPDATE pods, so");
    weak(|live| images(live).match_policy = Some("Exact".to_owned()), "match-policy", "other versions of these kinds");
    no_weakness(|live| images(live).match_policy = None);
}

#[test]
fn who_can_set_a_label_must_not_leave_anything_out() {
    let also = |requirement: LabelSelectorRequirement| {
        move |live: &mut ValidatingWebhookConfiguration| expressions(live).push(requirement)
    };
    weak(also(requirement("team", "In", &["shop"])), "namespace-selector", "by `team` `In` `shop`, and Pods");
    weak(also(requirement("skip", "DoesNotExist", &[])), "namespace-selector", "by `skip` `DoesNotExist`, and Pods");
    weak(also(requirement("skip", "NotIn", &["yes"])), "namespace-selector", "by `skip` NotIn `yes`, and Pods");
    let more =
        |live: &mut ValidatingWebhookConfiguration| *expressions(live) = excluding(&["kube-system", "guards", "shop"]);
    weak(more, "namespace-selector", "by `kubernetes.io/metadata.name` NotIn `shop`, and Pods");
    weak(also(excluding(&["shop\u{1b}"]).remove(0)), "namespace-selector", r"NotIn `shop\u{1b}`");
    let labels = |live: &mut ValidatingWebhookConfiguration| {
        let selector = images(live).namespace_selector.as_mut().unwrap();
        selector.match_labels = Some([("a".to_owned(), "b".to_owned())].into());
    };
    weak(labels, "namespace-selector", "by `a=b`, and Pods");
    no_weakness(|live| *expressions(live) = excluding(&["guards"]));
    no_weakness(also(excluding(&["kube-system"]).remove(0)));

    let not_ours = |live: &mut ValidatingWebhookConfiguration| *expressions(live) = excluding(&["kube-system"]);
    weak(not_ours, "lock-out", "does not leave out our own namespace `guards`, so that our Pods cannot come back");
    weak(|live| images(live).namespace_selector = None, "lock-out", "`guards`");
    let object = |selector: LabelSelector| {
        move |live: &mut ValidatingWebhookConfiguration| images(live).object_selector = Some(selector)
    };
    let skip = vec![requirement("skip", "DoesNotExist", &[])];
    let skip = LabelSelector { match_expressions: Some(skip), ..LabelSelector::default() };
    weak(object(skip), "object-selector", "by `skip` `DoesNotExist`, which whoever writes an object can set");
    no_weakness(object(LabelSelector::default()));
}

#[test]
fn conditions_of_others_are_found_and_fewer_or_reformatted_ones_of_ours_are_not() {
    let condition = |expression: &str| MatchCondition { name: "x".to_owned(), expression: expression.to_owned() };
    let conditions =
        |live: &mut ValidatingWebhookConfiguration| images(live).match_conditions.clone().unwrap_or_default();
    let foreign = |live: &mut ValidatingWebhookConfiguration| {
        let mut all = conditions(live);
        all.extend([condition("request.userInfo.username != 'admin'"), condition("false")]);
        images(live).match_conditions = Some(all);
    };
    weak(foreign, "match-conditions", "matchConditions has `false` and 1 more, so that what does not meet it passes");
    no_weakness(|live| images(live).match_conditions = None);
    no_weakness(|live| {
        let reformatted =
            conditions(live).into_iter().map(|its| condition(&format!("\n  {}", its.expression.replace(' ', "\n "))));
        images(live).match_conditions = Some(reformatted.collect());
    });
}

#[test]
fn what_makes_calls_fail_or_go_elsewhere_is_found() {
    let timeout =
        |seconds| move |live: &mut ValidatingWebhookConfiguration| images(live).timeout_seconds = Some(seconds);
    weak(timeout(1), "timeout", "timeoutSeconds is 1, too short");
    weak(timeout(11), "timeout", "timeoutSeconds is 11, so long may a replica that hangs");
    for seconds in [2, 5, 10] {
        no_weakness(timeout(seconds));
    }
    weak(|live| images(live).client_config.ca_bundle = None, "ca-bundle", "caBundle is empty");
    weak(
        |live| policies(live).client_config.ca_bundle = Some(ByteString(Vec::new())),
        "ca-bundle",
        "policies.pratique.dev",
    );
    let url = |live: &mut ValidatingWebhookConfiguration| {
        let config = &mut images(live).client_config;
        (config.url, config.service) = (Some("https://elsewhere/validate".to_owned()), None);
    };
    weak(url, "service", "clientConfig.url is `https://elsewhere/validate`");
    fn service(
        live: &mut ValidatingWebhookConfiguration,
    ) -> &mut k8s_openapi::api::admissionregistration::v1::ServiceReference {
        images(live).client_config.service.as_mut().unwrap()
    }
    let words = "which is not us: set it to guards/images/validate";
    weak(|live| service(live).namespace = "shop".to_owned(), "service", words);
    weak(|live| service(live).name = "shop".to_owned(), "service", words);
    weak(|live| service(live).path = None, "service", "`guards/images/`, which is not us");
    weak(|live| service(live).path = Some("/validate/imagepolicies".to_owned()), "service", words);
    no_weakness(|live| service(live).port = Some(8443));
    weak(|live| images(live).side_effects = "Some".to_owned(), "side-effects", "`Some`");
    no_weakness(|live| images(live).side_effects = "None".to_owned());
    weak(|live| images(live).admission_review_versions = vec!["v2".to_owned()], "review-versions", "without v1");
}

/// As we ship it, with what the component `fail-closed-where-enforced` changes.
fn split() -> ValidatingWebhookConfiguration {
    let text = include_str!("../../../manifests/base/validatingwebhookconfiguration.yaml");
    let documents = crate::policy::document::parse_documents(text).unwrap();
    let shipped = documents.first().unwrap().to_json()["webhooks"].clone();
    let shipped = shipped
        .to_string()
        .replace("pratique-system", "guards")
        .replace(r#"{"name":"pratique","namespace":"guards""#, r#"{"name":"images","namespace":"guards""#);
    let mut webhooks: Vec<ValidatingWebhook> = serde_json::from_str(&shipped).unwrap();
    for webhook in &mut webhooks {
        webhook.client_config.ca_bundle = Some(ByteString(b"-----BEGIN".to_vec()));
    }
    let mut split = ValidatingWebhookConfiguration { webhooks: Some(webhooks), ..live() };
    assert_eq!(found_with(&split, Unlabelled::Enforced), [], "as it is shipped it fails closed everywhere");
    unlabelled(&mut split).failure_policy = Some("Ignore".to_owned());
    split
}

fn unlabelled(live: &mut ValidatingWebhookConfiguration) -> &mut ValidatingWebhook {
    live.webhooks.as_mut().unwrap().iter_mut().find(|webhook| webhook.name.starts_with("unlabelled.")).unwrap()
}

fn unlabelled_expressions(live: &mut ValidatingWebhookConfiguration) -> &mut Vec<LabelSelectorRequirement> {
    unlabelled(live).namespace_selector.as_mut().unwrap().match_expressions.as_mut().unwrap()
}

fn found_with(live: &ValidatingWebhookConfiguration, unlabelled: Unlabelled) -> Vec<Weakness> {
    weaknesses(&expected(&names()), Some(live), &names(), unlabelled)
}

/// The two webhooks with one change have this weakness and no other.
#[track_caller]
fn pair_is_weak(change: impl FnOnce(&mut ValidatingWebhookConfiguration), what: &str, words: &str) {
    let mut live = split();
    change(&mut live);
    let found = found(&live);
    let [weakness] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(weakness.what, what);
    assert!(weakness.words.contains(words), "{}", weakness.words);
}

#[track_caller]
fn pair_is_well(change: impl FnOnce(&mut ValidatingWebhookConfiguration)) {
    let mut live = split();
    change(&mut live);
    assert_eq!(found(&live), []);
}

#[test]
fn two_webhooks_that_share_the_namespaces_are_as_good_as_one_for_all() {
    pair_is_well(|_| {});
    pair_is_well(|live| unlabelled(live).failure_policy = Some("Fail".to_owned()));
    pair_is_well(|live| unlabelled(live).failure_policy = None);
    // Asked twice is no less.
    pair_is_well(|live| unlabelled_expressions(live).retain(|its| its.operator != "DoesNotExist"));
    pair_is_well(|live| expressions(live).retain(|its| its.operator != "Exists"));
    let gone = |live: &mut ValidatingWebhookConfiguration| {
        live.webhooks.as_mut().unwrap().retain(|webhook| !webhook.name.starts_with("unlabelled."));
    };
    let words = "images.pratique.dev: namespaceSelector leaves out namespaces without the label pratique.dev/enforce, and the \
                 webhook unlabelled.images.pratique.dev, which asks about those, is missing";
    pair_is_weak(gone, "namespace-selector", words);
    let images_gone = |live: &mut ValidatingWebhookConfiguration| {
        live.webhooks.as_mut().unwrap().retain(|webhook| webhook.name != "images.pratique.dev");
    };
    pair_is_weak(images_gone, "webhook", "the webhook images.pratique.dev is missing");
}

#[test]
fn letting_in_what_cannot_be_asked_is_weak_where_namespaces_without_a_label_are_enforced() {
    let of = |settings: &str| Unlabelled::of(&Config::parse(settings, "settings").unwrap().0);
    let default = of("defaults: {enforce: baseline}\n");
    assert_eq!([default, of("floor: baseline\n")], [Unlabelled::Enforced; 2]);
    assert_eq!([of("floor: null\n"), of("defaults: {enforce: null, warn: restricted}\n")], [Unlabelled::Free; 2]);

    let mut live = split();
    let found = found_with(&live, default);
    let [Weakness { what: "failure-policy", words }] = found.as_slice() else { panic!("{found:#?}") };
    let said = "unlabelled.images.pratique.dev: failurePolicy is `Ignore`, and by `defaults.enforce` or `floor` of the settings \
                namespaces without the label pratique.dev/enforce are enforced too: whatever runs there is let in unseen \
                while no replica answers: apply overlays/enforce, or set it to Fail";
    assert_eq!(words, said);
    for policy in [Some("Fail".to_owned()), None] {
        unlabelled(&mut live).failure_policy = policy;
        assert_eq!(found_with(&live, default), []);
    }
    // Where the first of them asks everywhere, it is the one that refuses.
    unlabelled(&mut live).failure_policy = Some("Ignore".to_owned());
    expressions(&mut live).retain(|its| its.operator != "Exists");
    assert_eq!(found_with(&live, default), []);
    assert_eq!(found_with(&self::live(), default), []);
}

#[test]
fn no_other_label_shares_the_namespaces_and_each_of_the_two_is_compared_in_full() {
    let exists = |key: &'static str| {
        move |live: &mut ValidatingWebhookConfiguration| {
            expressions(live).retain(|its| its.operator != "Exists");
            expressions(live).push(requirement(key, "Exists", &[]));
        }
    };
    pair_is_weak(
        exists("team"),
        "namespace-selector",
        "images.pratique.dev: namespaceSelector leaves out namespaces by `team`",
    );
    pair_is_weak(exists("pratique.dev/warn"), "namespace-selector", "by `pratique.dev/warn` `Exists`");
    let values = |live: &mut ValidatingWebhookConfiguration| {
        expressions(live).push(requirement("pratique.dev/enforce", "In", &["baseline"]));
    };
    pair_is_weak(values, "namespace-selector", "by `pratique.dev/enforce` `In` `baseline`");
    let also = |live: &mut ValidatingWebhookConfiguration| {
        unlabelled_expressions(live).push(requirement("skip", "DoesNotExist", &[]));
    };
    let words = "unlabelled.images.pratique.dev: namespaceSelector leaves out namespaces by `skip` `DoesNotExist`";
    pair_is_weak(also, "namespace-selector", words);
    let both = |live: &mut ValidatingWebhookConfiguration| {
        for its in unlabelled_expressions(live).iter_mut().filter(|its| its.operator == "DoesNotExist") {
            its.operator = "Exists".to_owned();
        }
    };
    pair_is_weak(
        both,
        "namespace-selector",
        "unlabelled.images.pratique.dev: namespaceSelector leaves out namespaces by `prati",
    );
    let ours = |live: &mut ValidatingWebhookConfiguration| {
        unlabelled_expressions(live).retain(|its| its.operator != "NotIn");
    };
    pair_is_weak(
        ours,
        "lock-out",
        "unlabelled.images.pratique.dev: namespaceSelector does not leave out our own namespace",
    );
    let rules = |live: &mut ValidatingWebhookConfiguration| drop(unlabelled(live).rules.as_mut().unwrap().remove(1));
    pair_is_weak(
        rules,
        "resources",
        "unlabelled.images.pratique.dev: rules are without UPDATE pods/ephemeralcontainers",
    );
    let scope = |live: &mut ValidatingWebhookConfiguration| {
        unlabelled(live).rules.as_mut().unwrap()[0].scope = Some("Cluster".to_owned());
    };
    pair_is_weak(scope, "scope", "unlabelled.images.pratique.dev");
    pair_is_weak(|live| unlabelled(live).match_policy = Some("Exact".to_owned()), "match-policy", "unlabelled.");
    pair_is_weak(|live| unlabelled(live).timeout_seconds = Some(1), "timeout", "unlabelled.");
    pair_is_weak(|live| unlabelled(live).client_config.ca_bundle = None, "ca-bundle", "unlabelled.");
    pair_is_weak(|live| unlabelled(live).side_effects = "Some".to_owned(), "side-effects", "unlabelled.");
    let elsewhere = |live: &mut ValidatingWebhookConfiguration| {
        unlabelled(live).client_config.service.as_mut().unwrap().name = "shop".to_owned();
    };
    pair_is_weak(elsewhere, "service", "unlabelled.");
    let condition = |live: &mut ValidatingWebhookConfiguration| {
        let condition = MatchCondition { name: "x".to_owned(), expression: "false".to_owned() };
        unlabelled(live).match_conditions.as_mut().unwrap().push(condition);
    };
    pair_is_weak(condition, "match-conditions", "unlabelled.");
    let objects = |live: &mut ValidatingWebhookConfiguration| {
        let skip = Some(vec![requirement("skip", "DoesNotExist", &[])]);
        unlabelled(live).object_selector = Some(LabelSelector { match_expressions: skip, ..LabelSelector::default() });
    };
    pair_is_weak(objects, "object-selector", "unlabelled.");
    pair_is_weak(
        |live| images(live).failure_policy = Some("Ignore".to_owned()),
        "failure-policy",
        "images.pratique.dev: failure",
    );
}

fn weakened(registry: &Registry) -> Vec<String> {
    let family =
        registry.gather().into_iter().find(|family| family.name() == "pratique_webhook_configuration_weakened");
    let family = family.unwrap();
    assert_eq!(family.get_metric().len(), compare::LABELS.len() + 1);
    let held = family.get_metric().iter().filter(|metric| metric.get_gauge().get_value() > 0.5);
    held.map(|metric| metric.get_label()[0].value().to_owned()).collect()
}

#[test]
fn what_is_found_is_in_readyz_and_in_the_metric_until_it_is_mended() {
    let registry = Registry::new();
    let registration = Registration::new(&registry).unwrap();
    let degraded = |words: &str| PartStatus::Degraded(words.to_owned());
    assert_eq!(registration.status(), degraded("the webhook configuration cannot be read: it was not looked at yet"));
    assert_eq!(weakened(&registry), [""; 0]);

    let weakness = |what, words: &str| Weakness { what, words: words.to_owned() };
    registration.look(Ok(vec![weakness("scope", "one"), weakness("resources", "two")]));
    assert_eq!(registration.status(), degraded("one; two"));
    assert_eq!(weakened(&registry), ["resources", "scope"]);

    // Not a word that it is well.
    registration.look(Err("forbidden".to_owned()));
    assert_eq!(registration.status(), degraded("the webhook configuration cannot be read: forbidden"));
    assert_eq!(weakened(&registry), ["resources", "scope", "unreadable"]);

    registration.look(Ok(Vec::new()));
    assert_eq!(registration.status(), PartStatus::Ready);
    assert_eq!(weakened(&registry), [""; 0]);
}
