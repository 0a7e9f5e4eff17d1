use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::ByteString;
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::DynamicObject;
use serde_json::json;

use super::called::{Answer, Call, Shown};
use super::canned::{Canned, Expected};
use super::verdict::objects::Policy;
use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn ours() -> Names {
    let ours = || "pratique".to_owned();
    Names { namespace: "guards".to_owned(), service: ours(), webhook_configuration: ours(), replica: String::new() }
}

fn settings(text: &str) -> Settings {
    let text = if text.is_empty() { "dryRun: false\n" } else { text };
    Settings::Known(Box::new(Config::parse(text, "settings").expect("they are in order").0))
}

fn unknown() -> Settings {
    Settings::Unknown("nobody said".to_owned())
}

/// As it is in a cluster where everything is well.
fn live() -> ValidatingWebhookConfiguration {
    let mut live = crate::controller::registration::expected(&ours());
    for webhook in live.webhooks.iter_mut().flatten() {
        webhook.client_config.ca_bundle = Some(ByteString(b"-----BEGIN".to_vec()));
    }
    live
}

/// The webhook for namespaces without the label beside the others.
fn split() -> ValidatingWebhookConfiguration {
    let mut split = live();
    let webhooks = split.webhooks.as_mut().expect("there are some");
    let mut unlabelled = webhooks[0].clone();
    let narrow = |webhook: &mut k8s_openapi::api::admissionregistration::v1::ValidatingWebhook, operator: &str| {
        let requirement = json!({"key": "pratique.dev/enforce", "operator": operator});
        let expressions = webhook.namespace_selector.as_mut().and_then(|selector| selector.match_expressions.as_mut());
        expressions.expect("there are some").push(serde_json::from_value(requirement).expect("a requirement"));
    };
    narrow(&mut webhooks[0], "Exists");
    narrow(&mut unlabelled, "DoesNotExist");
    unlabelled.name = "unlabelled.images.pratique.dev".to_owned();
    unlabelled.failure_policy = Some("Ignore".to_owned());
    webhooks.push(unlabelled);
    split
}

fn place(connect_to: Option<&str>) -> Place {
    Place::of(&live(), &ours(), connect_to)
}

/// Level and words of each.
fn told(lines: &[Line]) -> Vec<(Level, &str)> {
    lines.iter().map(|line| (line.level, line.words.as_str())).collect()
}

#[track_caller]
fn only(lines: &[Line], level: Level, words: &str) {
    let [line] = lines else { panic!("{lines:#?}") };
    assert_eq!(line.level, level, "{line:?}");
    assert!(line.words.contains(words), "{}", line.words);
}

#[test]
fn what_is_wrong_counts_more_than_what_could_not_be_looked_at_and_that_more_than_warnings() {
    let line = |level| match level {
        Level::Ok => Line::ok("a", "b".to_owned()),
        Level::Warning => Line::warning("longer", "w".to_owned()),
        Level::Unknown => Line::unknown("a", "u".to_owned()),
        Level::Wrong => Line::wrong("a", "x\u{1b}[31m\ny".to_owned()),
    };
    let worst = |levels: &[Level]| line::worst(&levels.iter().copied().map(line).collect::<Vec<_>>());
    assert_eq!(worst(&[Level::Wrong, Level::Unknown, Level::Ok]), Level::Wrong);
    assert_eq!(worst(&[Level::Warning, Level::Unknown, Level::Ok]), Level::Unknown);
    assert_eq!(worst(&[Level::Ok, Level::Warning]), Level::Warning);
    assert_eq!(worst(&[]), Level::Unknown, "nothing looked at is not well");
    let lines = [Level::Ok, Level::Warning, Level::Unknown, Level::Wrong].map(line);
    let expected = "ok       a       b\nwarning  longer  w\nunknown  a       u\nwrong    a       x\\u{1b}[31m\\ny\n\
                    1 thing is wrong, 1 warning\n";
    assert_eq!(line::text(&lines), expected);
    assert!(
        line::text(&lines[..3])
            .ends_with("nothing is known to be wrong, and not everything could be looked at, 1 warning\n")
    );
    assert!(line::text(&lines[..2]).ends_with("nothing is wrong, 1 warning\n"));
    let json: serde_json::Value = serde_json::from_str(&line::json(&lines[1..2])).expect("it is JSON");
    assert_eq!(json, json!({"verdict": "warning", "lines": [{"level": "warning", "about": "longer", "words": "w"}]}));
    assert!(Line::ok("a", "x".repeat(10_000)).words.len() < 1_100);
    assert_eq!(line::few(&["a", "b", "c", "d", "e", "f", "g", "h"]), "a, b, c, d, e, f and 2 more");
}

#[test]
fn a_configuration_is_well_weak_or_missing_and_depends_on_the_settings_only_where_it_lets_something_in() {
    let of = |live: &ValidatingWebhookConfiguration, settings: &Settings| {
        verdict::configuration::lines(Some(live), &ours(), settings)
    };
    let everywhere = "`pratique` asks about all that it must, and what cannot be asked is refused everywhere";
    assert_eq!(told(&of(&live(), &settings(""))), [(Level::Ok, everywhere)]);
    assert_eq!(told(&of(&live(), &settings("floor: baseline\n"))), [(Level::Ok, everywhere)]);
    assert_eq!(told(&of(&live(), &unknown())), [(Level::Ok, everywhere)]);
    only(&of(&split(), &settings("")), Level::Ok, "refused in namespaces with the label pratique.dev/enforce");
    only(&of(&split(), &settings("floor: baseline\n")), Level::Wrong, "unlabelled.images.pratique.dev: failurePolicy");
    let mut both = split();
    let unlabelled = both.webhooks.as_mut().and_then(|webhooks| webhooks.last_mut()).expect("there are some");
    unlabelled.failure_policy = Some("Fail".to_owned());
    for settings in [settings(""), settings("floor: baseline\n"), unknown()] {
        assert_eq!(told(&of(&both, &settings)), [(Level::Ok, everywhere)], "both of them refuse");
    }
    let lines = of(&split(), &unknown());
    assert_eq!(lines.iter().map(|line| line.level).collect::<Vec<_>>(), [Level::Ok, Level::Warning]);
    assert!(lines[1].words.contains("name them with --config"), "{lines:?}");
    let missing = verdict::configuration::lines(None, &ours(), &settings(""));
    only(&missing, Level::Wrong, "there is no ValidatingWebhookConfiguration pratique, so nothing is judged");
    let mut weak = live();
    weak.webhooks.as_mut().expect("there are some")[0].timeout_seconds = Some(30);
    only(&of(&weak, &settings("")), Level::Wrong, "images.pratique.dev: timeoutSeconds is 30");

    let version = |version: &str| {
        let mut live = live();
        let labels = live.metadata.labels.get_or_insert_default();
        labels.insert("app.kubernetes.io/version".to_owned(), version.to_owned());
        of(&live, &settings("")).remove(1)
    };
    assert_eq!(version(env!("CARGO_PKG_VERSION")).level, Level::Ok);
    let other = version("0.0.9");
    assert!(
        other.level == Level::Warning && other.words.starts_with("`0.0.9` is installed, and this program"),
        "{other:?}"
    );
    only(
        &verdict::configuration::settings(&settings("dryRun: true\n")),
        Level::Warning,
        "dryRun is true, so nothing is refused",
    );
    only(&verdict::configuration::settings(&unknown()), Level::Warning, "nobody said");
    assert_eq!(verdict::configuration::settings(&settings("")), []);
}

#[test]
fn what_cannot_be_reached_is_left_out_outside_unknown_inside_and_wrong_where_it_was_named() {
    let found =
        |connect_to, inside| verdict::webhook::not_found(&place(connect_to), "it does not resolve", inside, &ours());
    let outside = found(None, false);
    assert_eq!(outside.level, Level::Warning);
    let how = "run `kubectl -n guards port-forward service/pratique 8443:443` beside this, and add --connect-to 127.0.0.1:8443";
    assert!(outside.words.contains(how), "{outside:?}");
    let inside = found(None, true);
    assert!(inside.level == Level::Unknown && inside.words.contains("it does not resolve"), "{inside:?}");
    let named = found(Some("elsewhere:1"), false);
    assert!(named.level == Level::Wrong && named.words.contains("it does not resolve"), "{named:?}");
}

fn deployment(mut metadata_and_status: serde_json::Value, wanted: i32) -> Deployment {
    metadata_and_status["spec"] = json!({"replicas": wanted, "selector": {}, "template": {}});
    serde_json::from_value(metadata_and_status).expect("a Deployment")
}

#[test]
fn without_a_ready_replica_something_is_wrong_also_where_the_service_cannot_be_reached() {
    let counts = |ready: i32, updated: i32, all: i32| {
        let status =
            json!({"observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": updated, "replicas": all});
        json!({"metadata": {"generation": 2}, "status": status})
    };
    let of = |found: &Found| verdict::replicas::line(found, false, true, "guards").expect("a line");
    let found = |object, wanted| Ok(Some(deployment(object, wanted)));
    let line = of(&found(counts(2, 2, 2), 2));
    assert_eq!((line.level, line.words.as_str()), (Level::Ok, "2 of 2 ready"));
    let scaled = "the Deployment wants none, so nobody answers, and what must be asked about is refused: run `kubectl -n guards \
                  scale deployment/pratique --replicas=2`";
    only(&[of(&found(counts(0, 0, 0), 0))], Level::Wrong, scaled);
    only(&[of(&found(counts(0, 2, 2), 2))], Level::Wrong, "none of 2 is ready, so nobody answers");
    only(&[of(&found(json!({"metadata": {}}), 2))], Level::Wrong, "none of 2 is ready");
    only(
        &[of(&found(counts(1, 2, 2), 2))],
        Level::Warning,
        "1 of 2 ready: look at `kubectl -n guards get pods,events`",
    );

    // An old replica is at work, and a new one does not start.
    let mut rolling = counts(2, 1, 3);
    only(&[of(&found(rolling.clone(), 2))], Level::Warning, "2 of 2 ready, and a roll-out has not ended");
    rolling["status"]["conditions"] = json!([{"type": "Progressing", "status": "False"}]);
    only(&[of(&found(rolling, 2))], Level::Wrong, "a roll-out has not ended");
    only(&[of(&found(counts(2, 2, 3), 2))], Level::Warning, "a roll-out has not ended");
    let mut unseen = counts(2, 2, 2);
    unseen["metadata"]["generation"] = json!(3);
    only(&[of(&found(unseen, 2))], Level::Warning, "a roll-out has not ended");

    let answered = verdict::replicas::line(&found(counts(0, 2, 2), 2), true, true, "guards").expect("a line");
    only(&[answered], Level::Warning, "none of 2 is ready, so API servers reach nobody, unless another");

    let missing = Ok(None);
    only(&[of(&missing)], Level::Wrong, "there is no Deployment pratique in guards, so nobody answers from there");
    assert_eq!(verdict::replicas::line(&missing, true, true, "guards"), None, "somebody answers");
    let unasked = || Err("you may not".to_owned());
    only(&[of(&unasked())], Level::Warning, "not looked at: you may not");
    assert_eq!(verdict::replicas::line(&unasked(), true, true, "guards"), None, "the webhook itself was asked");
    assert_eq!(verdict::replicas::line(&unasked(), false, false, "guards"), None, "it was said of the settings");
}

#[test]
fn a_configuration_of_another_namespace_is_not_called_wrong_but_the_namespace_asked_for() {
    let of = |live: &ValidatingWebhookConfiguration| verdict::configuration::of_another_namespace(live, &ours());
    assert_eq!(of(&live()), None);
    let mut other = live();
    for webhook in other.webhooks.iter_mut().flatten() {
        webhook.client_config.service.as_mut().expect("a Service").namespace = "admission".to_owned();
    }
    let words = "`pratique` asks a Service in `admission`, and there is no Deployment pratique in guards, so nothing was \
                 looked at: add --namespace";
    only(&[of(&other).expect("a line")], Level::Unknown, words);
}

fn shown(days: i64, believed: &[Result<(), &str>]) -> Shown {
    let believed = believed.iter().map(|its| ("images.pratique.dev".to_owned(), its.map_err(str::to_owned)));
    Shown { until: Ok(NOW + SignedDuration::from_hours(24 * days)), believed: believed.collect() }
}

fn call(shown: impl Into<Option<Shown>>, answer: Result<(u16, &str), &str>) -> Call {
    let took = Duration::from_millis(7);
    let answer = answer.map(|(status, body)| Answer { status, body: body.as_bytes().to_vec(), took });
    Call { shown: shown.into(), answer: answer.map_err(str::to_owned) }
}

#[test]
fn a_certificate_is_vouched_for_or_not_and_near_its_end_or_not() {
    let of = |shown: Option<Shown>| verdict::webhook::certificate(&call(shown, Err("x")), &place(None), NOW);
    let well = of(Some(shown(90, &[Ok(()), Ok(())])));
    only(
        &well,
        Level::Ok,
        "what is shown as pratique.guards.svc is vouched for by the caBundle, and good until 1970-04-01T",
    );
    only(
        &of(Some(shown(6, &[Ok(())]))),
        Level::Warning,
        "it is good until 1970-01-07T00:00:00Z only, and should have been renewed",
    );
    only(&of(Some(shown(7, &[Ok(())]))), Level::Ok, "good until");
    only(&of(Some(shown(0, &[Ok(())]))), Level::Wrong, "it has expired at 1970-01-01T00:00:00Z: renew it");
    let stranger = of(Some(shown(90, &[Ok(()), Err("none of the caBundle's CAs has signed it")])));
    let words = "the caBundle of images.pratique.dev does not vouch for what pratique.guards.svc:443 shows as \
                 pratique.guards.svc: none of the caBundle's CAs has signed it; API servers cannot ask it";
    only(&stranger, Level::Wrong, words);
    only(&of(Some(shown(90, &[]))), Level::Wrong, "there is no caBundle, so API servers trust nobody");
    let unreadable =
        Some(Shown { until: Err("it cannot be read".to_owned()), believed: vec![("a".to_owned(), Ok(()))] });
    only(&of(unreadable), Level::Wrong, "is no certificate that can be used: it cannot be read");
    assert_eq!(of(None), []);
}

fn answered(allowed: bool, warnings: &[&str]) -> String {
    let status = json!({"message": "image: tag-mutable\n  and more\u{1b}"});
    let status = if allowed { serde_json::Value::Null } else { status };
    json!({"response": {"uid": Canned::uid(), "allowed": allowed, "warnings": warnings, "status": status}}).to_string()
}

#[test]
fn an_answer_is_right_by_the_policy_that_is_in_force_where_it_was_asked() {
    let canned = |expected| Canned { namespace: "shop".to_owned(), expected };
    let of = |expected: Expected, allowed, warnings: &[&str]| {
        let canned = canned(expected);
        let body = answered(allowed, warnings);
        let call = call(shown(90, &[Ok(())]), Ok((200, &body)));
        verdict::webhook::answer(&canned, &call, &place(None), &settings("")).expect("a line")
    };
    let baseline = || "baseline".to_owned();
    let line = of(Expected::Answer, true, &[]);
    assert_eq!((line.level, line.words.as_str()), (Level::Ok, "it answers in 7 ms"));
    let line = of(Expected::Answer, false, &[]);
    let words = "it answers, and would refuse a Pod in our own namespace `shop`: image: tag-mutable: add it to";
    assert!(line.level == Level::Warning && line.words.starts_with(words), "{line:?}");
    assert_eq!(of(Expected::Refusal(baseline()), false, &[]).level, Level::Ok);
    let body = answered(false, &[]).replace("tag-mutable", "policy-unknown");
    let broken = call(shown(90, &[Ok(())]), Ok((200, &body)));
    let line = verdict::webhook::answer(&canned(Expected::Refusal(baseline())), &broken, &place(None), &settings(""));
    let line = line.expect("a line");
    let words = "is refused, and for another reason than its name: image: policy-unknown: see the logs";
    assert!(line.level == Level::Wrong && line.words.contains(words), "{line:?}");
    let line = of(Expected::Refusal(baseline()), true, &["warned"]);
    assert!(
        line.level == Level::Wrong && line.words.contains("which enforces baseline, an image tagged latest is let in")
    );
    assert_eq!(of(Expected::Warning(baseline()), true, &["warned"]).level, Level::Ok);
    assert_eq!(of(Expected::Warning(baseline()), false, &[]).level, Level::Ok);
    let line = of(Expected::Warning(baseline()), true, &[]);
    assert!(
        line.level == Level::Wrong && line.words.contains("nobody is warned of an image tagged latest"),
        "{line:?}"
    );

    let slow = Call {
        shown: None,
        answer: Ok(Answer { status: 200, body: answered(true, &[]).into_bytes(), took: Duration::from_millis(1_001) }),
    };
    let line = verdict::webhook::answer(&canned(Expected::Answer), &slow, &place(None), &settings(""));
    assert_eq!(line.expect("a line").level, Level::Warning);
}

#[test]
fn who_does_not_answer_or_is_somebody_else_is_wrong_and_what_was_said_of_the_certificate_is_not_said_twice() {
    let canned = Canned::answered("guards");
    let of = |call: &Call, settings: &Settings| verdict::webhook::answer(&canned, call, &place(None), settings);
    let refused = of(&call(None, Err("connection refused")), &settings("")).expect("a line");
    let words = "nobody answers at pratique.guards.svc:443 (connection refused): look at `kubectl -n guards get pods`";
    assert!(refused.level == Level::Wrong && refused.words.starts_with(words), "{refused:?}");
    let client_ca = settings("tls: {certificate: a, key: b, clientCA: c, clientNames: [kube-apiserver]}\n");
    let demanding = of(&call(shown(90, &[Ok(())]), Err("certificate required")), &client_ca).expect("a line");
    assert!(demanding.level == Level::Warning && demanding.words.contains("tls.clientCA"), "{demanding:?}");
    let nobody = of(&call(None, Err("connection refused")), &client_ca).expect("a line");
    assert!(
        nobody.level == Level::Wrong && nobody.words.starts_with(words),
        "who is not there demands nothing: {nobody:?}"
    );
    assert_eq!(of(&call(shown(90, &[Err("x")]), Err("untrusted")), &settings("")), None);
    assert_eq!(of(&call(shown(90, &[]), Err("untrusted")), &settings("")), None);
    let other = answered(true, &[]).replace(&Canned::uid(), "another");
    let denied = answered(false, &[]);
    for (status, body, words) in [
        (200, "{}", "the answer is no review"),
        (200, "nginx\u{1b}", "the answer is no review"),
        (404, "nothing\u{1b} here\n", r"it answers 404 (nothing\u{1b} here)"),
        (500, denied.as_str(), "it answers 500 ("),
        (200, other.as_str(), "it answers another review"),
    ] {
        let line = of(&call(shown(90, &[Ok(())]), Ok((status, body))), &settings("")).expect("a line");
        assert!(line.level == Level::Wrong && line.words.contains(words), "{line:?}");
        assert!(line.words.starts_with("what answers at pratique.guards.svc:443 is not Pratique: "), "{line:?}");
    }
}

fn policy(status: &serde_json::Value) -> Policy {
    let object = json!({"apiVersion": "pratique.dev/v1alpha1", "kind": "ImagePolicy",
        "metadata": {"name": "acme", "generation": 3}, "spec": {}, "status": status});
    Policy::of(&serde_json::from_value::<DynamicObject>(object).expect("an object"))
}

fn status(observed: i64, accepted: &str, ready: &str) -> serde_json::Value {
    let condition =
        |kind: &str, holds: &str| json!({"type": kind, "status": holds, "message": format!("why {kind}\u{1b}")});
    json!({"observedGeneration": observed, "conditions": [condition("Accepted", accepted), condition("Ready", ready)]})
}

#[test]
fn a_policy_is_well_only_where_its_status_says_so_of_the_generation_that_is_there() {
    let of = |status| verdict::objects::policies(&Listed { items: vec![policy(&status)], cut: false });
    only(&of(status(3, "True", "True")), Level::Ok, "1 of 1 in force as written, beside those that are built in");
    let second = |status, level, words: &str| {
        let lines = of(status);
        only(&lines[1..], level, words);
        assert!(lines[0].words.starts_with("0 of 1 in force"), "{lines:?}");
    };
    let wrong = r"`acme` is not accepted: why Accepted\u{1b}; why Ready\u{1b}";
    second(status(3, "False", "False"), Level::Wrong, wrong);
    second(status(3, "False", "True"), Level::Wrong, r"`acme` is not accepted: why Accepted\u{1b}");
    second(status(3, "True", "False"), Level::Wrong, r"`acme` is not ready: why Ready\u{1b}");
    second(status(3, "True", "Unknown"), Level::Wrong, "`acme` is not ready");
    second(status(2, "True", "True"), Level::Warning, "the status of `acme` is of an earlier generation");
    second(json!({"observedGeneration": 3}), Level::Warning, "`acme` has no status yet");
    second(serde_json::Value::Null, Level::Warning, "`acme` has no status yet");
    let none = Listed { items: Vec::new(), cut: false };
    only(
        &verdict::objects::policies(&none),
        Level::Ok,
        "no ImagePolicy is there; baseline and restricted are built in",
    );
    let many = Listed { items: vec![policy(&status(3, "False", "True")); 30], cut: true };
    let lines = verdict::objects::policies(&many);
    assert_eq!(lines.len(), 13, "{lines:#?}");
    assert!(
        lines[11].words.starts_with("and 20 more: see") && lines[12].words.starts_with("there are more than the 30")
    );
    assert_eq!(verdict::objects::no_kind().level, Level::Wrong);
}

fn labelled(name: &str, enforce: Option<&str>, warn: Option<&str>) -> (String, Labels) {
    let own = |label: Option<&str>| label.map(str::to_owned);
    (name.to_owned(), Labels { enforce: own(enforce), warn: own(warn), audit: None })
}

#[test]
fn labels_are_counted_and_those_that_name_no_policy_are_told() {
    let known = ["baseline", "restricted"].map(str::to_owned).into();
    let of = |items: Vec<_>, settings: &str| {
        let settings = self::settings(&format!("exemptNamespaces: [guards]\n{settings}"));
        verdict::namespaces::lines(&Listed { items, cut: false }, Some(&known), &settings, "guards")
    };
    let lines = of(vec![labelled("a", Some("baseline"), None), labelled("b", None, Some("baseline"))], "");
    let counted = "2 in all: `baseline` enforced in 1; 1 without that label, which enforce nothing";
    assert_eq!(told(&lines), [(Level::Ok, counted), (Level::Ok, "nothing is judged in: `guards`")]);
    let lines = of(Vec::new(), "floor: baseline\ndefaults: {enforce: restricted}\n");
    assert!(lines[0].words.ends_with("which enforce `restricted`, and `baseline` everywhere"), "{lines:?}");

    let lines = of(vec![labelled("a", Some("strict"), None), labelled("b", Some("strict"), Some(""))], "");
    let enforced = "the label pratique.dev/enforce of `a`, `b` names `strict`, and there is no such policy, so everything is \
                    refused there: add the policy, or change the label";
    assert_eq!((lines[1].level, lines[1].words.as_str()), (Level::Wrong, enforced));
    assert!(
        lines[2].level == Level::Warning && lines[2].words.contains("pratique.dev/warn of `b` names ``"),
        "{lines:?}"
    );

    let listed = || Listed { items: vec![labelled("guards", Some("strict"), None)], cut: true };
    // Where policies could not be listed, no label is called wrong.
    let lines = verdict::namespaces::lines(&listed(), None, &settings("exemptNamespaces: []\n"), "guards");
    assert!(lines.iter().all(|line| line.level < Level::Unknown), "{lines:?}");
    assert!(lines[1].words.starts_with("there are more than the 1 looked at"), "{lines:?}");
    assert!(lines[3].words.starts_with("our own namespace `guards` is not exempt"), "{lines:?}");
    let lines = of(vec![labelled("guards", Some("baseline"), None)], "");
    assert!(lines[2].words.contains("has the label pratique.dev/enforce, which counts for nothing there"), "{lines:?}");

    let bound = |text: &str| {
        let Settings::Known(config) = settings(text) else { panic!("known") };
        verdict::namespaces::bindings(&config, &known)
    };
    only(&bound("floor: strict\n"), Level::Wrong, "`floor` names `strict`, and there is no such policy");
    only(&bound("defaults: {enforce: strict}\n"), Level::Wrong, "`defaults.enforce` names `strict`");
    only(&bound("defaults: {warn: strict}\n"), Level::Warning, "`defaults.warn` names `strict`");
    assert_eq!(bound("floor: baseline\n"), []);
}

#[test]
fn the_lease_is_held_lost_or_nobodys() {
    let record = |holder: &str, seconds: i64| LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        renew_time: Some(MicroTime(NOW - SignedDuration::from_secs(seconds))),
        ..LeaseSpec::default()
    };
    let of = |record: Option<&LeaseSpec>| verdict::objects::lease(record, NOW);
    let held = of(Some(&record("pratique-0\u{1b}", 2)));
    assert_eq!((held.level, held.words.as_str()), (Level::Ok, r"held by `pratique-0\u{1b}`, renewed 2 s ago"));
    assert_eq!(of(Some(&record("pratique-0", -5))).words, "held by `pratique-0`, renewed 0 s ago");
    assert_eq!(of(Some(&record("pratique-0", 61))).level, Level::Warning);
    for nobody in [None, Some(&record("", 2)), Some(&LeaseSpec::default())] {
        assert!(of(nobody).words.starts_with("no replica holds it; status is not written"), "{nobody:?}");
        assert_eq!(of(nobody).level, Level::Warning);
    }
}

#[test]
fn a_refusal_is_tried_where_a_built_in_policy_refuses_and_nobody_has_written_another() {
    let namespaces = [
        labelled("exempt", Some("baseline"), None),
        labelled("plain", None, None),
        labelled("own", Some("acme"), None),
        labelled("shop", Some("restricted"), None),
    ];
    let choose = |text: &str, count: usize, objects: &[&str]| {
        let settings = self::settings(&format!("exemptNamespaces: [exempt]\n{text}"));
        let objects = objects.iter().copied().collect();
        Canned::judged(settings.known(), &namespaces[..count], &objects).map(|its| (its.namespace, its.expected))
    };
    let refusal = |namespace: &str, policy: &str| Some((namespace.to_owned(), Expected::Refusal(policy.to_owned())));
    let warning = |namespace: &str, policy: &str| Some((namespace.to_owned(), Expected::Warning(policy.to_owned())));
    assert_eq!(choose("", 4, &[]), refusal("shop", "restricted"));
    assert_eq!(choose("defaults: {enforce: baseline}\n", 4, &[]), refusal("plain", "baseline"));
    assert_eq!(choose("", 4, &["restricted"]), warning("plain", "baseline"));
    assert_eq!(choose("dryRun: true\n", 4, &[]), warning("plain", "baseline"));
    assert_eq!(choose("defaults: {warn: null}\n", 3, &[]), None);
    assert_eq!(choose("", 4, &["restricted", "baseline"]), None);
    let review: serde_json::Value = serde_json::from_slice(&Canned::answered("guards").review()).expect("it is JSON");
    assert_eq!(review["request"]["dryRun"], true, "it is not remembered as something that runs");
    assert_eq!(review["request"]["namespace"], "guards");
    let unlabelled = Canned::judged(None, &namespaces[1..3], &BTreeSet::new());
    assert_eq!(unlabelled, None, "without the settings nothing is known of what has no label");
}
