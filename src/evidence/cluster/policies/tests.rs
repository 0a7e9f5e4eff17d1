//! Policies as a watch brings them, with keys from an API server that is played.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::secrets::tests::played::Played;
use super::super::watching::Sink as _;
use super::keys::{Keys, Read};
use super::ledger::Ledger;
use super::object::ImagePolicy;
use super::*;
use crate::fact::{Fault, Trouble};
use crate::policy::Action;

const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfP3PnyBhyjDseHcAJMoUEz5O8KqD
dR8MzBSOQ2bzctmFfoQ3oBbPzc2Hm9igv61eJHUOvLHnrwZo6smMTU4IuQ==
-----END PUBLIC KEY-----
";

fn surroundings() -> Surroundings {
    Surroundings { roots: Arc::new(["private".to_owned()]) }
}

fn object(name: &str, uid: &str, generation: i64, spec: &Value) -> ImagePolicy {
    let metadata = json!({"name": name, "uid": uid, "generation": generation, "resourceVersion": "1"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

fn refuses(why: &str) -> Value {
    json!({"rules": [{"name": "all", "images": ["**"], "refuse": why}]})
}

fn invalid() -> Value {
    json!({"rules": [{"name": "all", "images": ["**"]}]})
}

/// It trusts a key in a Secret.
fn signed(secret: &str) -> Value {
    json!({
        "rules": [{"name": "all", "images": ["**"], "signatures": {"authorities": ["ops"]}}],
        "authorities": [{"name": "ops", "keys": [{"secretRef": {"name": secret, "key": "cosign.pub"}}]}],
    })
}

fn ledger(objects: Vec<ImagePolicy>) -> (Ledger, Keys) {
    let (mut ledger, keys) = (Ledger::new(surroundings()), Keys::default());
    for object in objects {
        ledger.take(object, &keys);
    }
    (ledger, keys)
}

/// Why the policy of this name refuses what it matches; none: there is no such policy.
fn why(set: &PolicySet, name: &str) -> Option<String> {
    let rule = set.by_name.get(name)?.rules.first()?;
    match &rule.action {
        Action::Refuse(why) => Some(why.to_string()),
        Action::Admit | Action::Require(_) => Some("something else".to_owned()),
    }
}

fn state(set: &PolicySet, name: &str) -> Option<(i64, InForce, Vec<String>)> {
    let its = set.objects.iter().find(|its| &*its.name == name)?;
    Some((its.generation, its.in_force, its.mistakes.iter().map(ToString::to_string).collect()))
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn no_demand() -> Vec<String> {
    let (invalid, _) = ledger(vec![object("acme", "x", 1, &invalid())]);
    let (_, _, mistakes) = state(&invalid.set(now()), "acme").unwrap();
    assert!(mistakes.len() == 1 && mistakes[0].starts_with("ImagePolicy acme: spec.rules[0]"), "{mistakes:?}");
    mistakes
}

#[test]
fn an_invalid_generation_never_replaces_a_valid_one_of_the_same_object() {
    let (mut ledger, keys) = ledger(vec![object("acme", "u", 1, &refuses("first"))]);
    assert_eq!(state(&ledger.set(now()), "acme"), Some((1, InForce::This { rules: 1 }, vec![])));
    ledger.take(object("acme", "u", 2, &invalid()), &keys);
    let set = ledger.set(now());
    assert_eq!(why(&set, "acme").as_deref(), Some("first"));
    assert_eq!(state(&set, "acme"), Some((2, InForce::Earlier { generation: 1, rules: 1 }, no_demand())));
    ledger.take(object("acme", "u", 3, &refuses("third")), &keys);
    let set = ledger.set(now());
    assert_eq!(
        (why(&set, "acme").as_deref(), state(&set, "acme")),
        (Some("third"), Some((3, InForce::This { rules: 1 }, vec![])))
    );
}

#[test]
fn a_policy_that_is_made_anew_under_its_name_has_nothing_of_the_old_one() {
    let (mut ledger, keys) = ledger(vec![object("acme", "old", 1, &refuses("old"))]);
    ledger.take(object("acme", "new", 1, &invalid()), &keys);
    let set = ledger.set(now());
    assert_eq!((why(&set, "acme"), state(&set, "acme")), (None, Some((1, InForce::None, no_demand()))));
    // Word of the old one's end comes late.
    ledger.forget(&object("acme", "old", 1, &refuses("old")));
    assert!(state(&ledger.set(now()), "acme").is_some());
    ledger.forget(&object("acme", "new", 1, &invalid()));
    assert_eq!(state(&ledger.set(now()), "acme"), None);
}

#[test]
fn a_deleted_policy_is_gone_and_a_built_in_one_comes_back() {
    let (mut ledger, keys) =
        ledger(vec![object("baseline", "u", 1, &refuses("own")), object("acme", "v", 1, &refuses("acme"))]);
    assert_eq!(why(&ledger.set(now()), "baseline").as_deref(), Some("own"));
    ledger.forget(&object("baseline", "u", 1, &refuses("own")));
    ledger.keep_only(&BTreeSet::new());
    let set = ledger.set(now());
    assert_eq!((why(&set, "baseline").as_deref(), why(&set, "acme")), (Some("something else"), None));
    ledger.take(object("baseline", "w", 1, &invalid()), &keys);
    let set = ledger.set(now());
    assert!(!set.by_name.contains_key("baseline"), "whoever wrote it meant another than the built-in one");
    assert_eq!(state(&set, "baseline").unwrap().1, InForce::None);
}

#[test]
fn a_root_that_the_settings_do_not_have_and_a_file_are_mistakes() {
    let trusting = |root: &str| {
        json!({
            "rules": [{"name": "all", "images": ["**"], "signatures": {"authorities": ["ops"]}}],
            "authorities": [{"name": "ops", "trust": root,
                "keyless": {"issuer": "https://issuer.example", "subject": "https://acme.example/ci"}}],
        })
    };
    let mut with_file = signed("keys");
    with_file["authorities"][0]["keys"] = json!([{"file": "ops.pub"}]);
    let (ledger, _) = ledger(vec![
        object("public", "1", 1, &trusting("public")),
        object("private", "2", 1, &trusting("private")),
        object("other", "3", 1, &trusting("other")),
        object("file", "4", 1, &with_file),
    ]);
    let set = ledger.set(now());
    let mistakes = |name: &str| state(&set, name).unwrap().2;
    assert_eq!((mistakes("public"), mistakes("private")), (vec![], vec![]));
    let unknown =
        "ImagePolicy other: spec.authorities[0].trust: the settings have no trusted root `other`: add it to `trust`";
    assert_eq!(mistakes("other"), [unknown]);
    let file = "ImagePolicy file: spec.authorities[0].keys[0].file: only policies of --manifests have files beside them; use \
                pem or secretRef";
    assert_eq!(mistakes("file"), [file]);
}

#[test]
fn what_the_api_server_adds_is_fine_and_a_field_that_we_do_not_know_is_not() {
    let mut own = json!({"apiVersion": "pratique.dev/v1alpha1", "kind": "ImagePolicy",
        "metadata": {"name": "acme", "uid": "u", "generation": 1, "selfLink": "x", "ofTomorrow": {}},
        "spec": refuses("why"), "status": {"anything": true}});
    let (first, _) = ledger(vec![serde_json::from_value(own.clone()).unwrap()]);
    let set = first.set(now());
    assert_eq!(state(&set, "acme"), Some((1, InForce::This { rules: 1 }, vec![])));
    assert_eq!(set.objects[0].status, Some(json!({"anything": true})));
    own["spec"]["unmatchd"] = "allow".into();
    let (second, _) = ledger(vec![serde_json::from_value(own).unwrap()]);
    let (_, in_force, mistakes) = state(&second.set(now()), "acme").unwrap();
    assert!(in_force == InForce::None && mistakes[0].contains("unmatchd"), "{mistakes:?}");
}

#[test]
fn a_status_that_is_written_back_compiles_nothing_again() {
    let (mut ledger, keys) = ledger(vec![object("acme", "u", 1, &refuses("why"))]);
    let before = ledger.set(now());
    let mut written = object("acme", "u", 1, &refuses("why"));
    written.status = Some(json!({"observedGeneration": 1}));
    ledger.take(written, &keys);
    let after = ledger.set(now());
    assert!(Arc::ptr_eq(&before.by_name["acme"], &after.by_name["acme"]));
    assert_eq!(after.objects[0].status, Some(json!({"observedGeneration": 1})));
}

fn found(secret: &str, key: &str) -> Read {
    let key = crate::evidence::signature::read_public_key(key);
    Read { secret: secret.to_owned(), keys: Ok([("cosign.pub".to_owned(), key)].into()) }
}

fn failed(secret: &str, fault: Fault, words: &str) -> Read {
    Read { secret: secret.to_owned(), keys: Err(Trouble::new(fault, words)) }
}

#[test]
fn a_policy_waits_for_its_secret_and_what_is_in_force_is_never_taken_away() {
    let (mut ledger, mut keys) = ledger(vec![object("acme", "u", 1, &signed("keys"))]);
    let start = Instant::now();
    assert!(ledger.waits() && state(&ledger.set(now()), "acme").is_none(), "nothing is said of it before");
    keys.named(&ledger.keys(), start);
    let asked = keys.take_due(start);
    assert_eq!(asked, Some(("keys".to_owned(), vec!["cosign.pub".to_owned()])));
    assert_eq!((keys.take_due(start), keys.next()), (None, None), "it is being read");
    let mut arrive = |ledger: &mut Ledger, read: Read, at: Instant| {
        let secret = read.secret.clone();
        keys.take_due(at);
        let changed = keys.arrived(read, at);
        if changed {
            ledger.keys_changed(&secret, &keys);
        }
        (changed, keys.next().unwrap() - at)
    };
    let seconds = Duration::from_secs;
    assert_eq!(arrive(&mut ledger, failed("keys", Fault::Refused, "403"), start), (true, seconds(2)), "tried soon");
    let refused = "ImagePolicy acme: spec.authorities[0].keys[0].secretRef.name: gives no public key: 403";
    assert_eq!(state(&ledger.set(now()), "acme"), Some((1, InForce::None, vec![refused.to_owned()])));
    assert_eq!(
        arrive(&mut ledger, failed("keys", Fault::Refused, "403"), start),
        (false, seconds(4)),
        "and less often"
    );
    assert_eq!(arrive(&mut ledger, found("keys", KEY), start), (true, seconds(30)));
    assert_eq!(state(&ledger.set(now()), "acme"), Some((1, InForce::This { rules: 1 }, vec![])));
    assert_eq!(arrive(&mut ledger, failed("keys", Fault::Outage, "away"), start), (false, seconds(2)));
    assert_eq!(
        state(&ledger.set(now()), "acme"),
        Some((1, InForce::This { rules: 1 }, vec![])),
        "the watch tells that"
    );
    let before = ledger.set(now());
    assert_eq!(arrive(&mut ledger, failed("keys", Fault::Broken, "gone"), start), (true, seconds(4)));
    let set = ledger.set(now());
    let gone = "ImagePolicy acme: spec.authorities[0].keys[0].secretRef.name: gives no public key: gone";
    assert_eq!(state(&set, "acme"), Some((1, InForce::This { rules: 1 }, vec![gone.to_owned()])));
    assert!(Arc::ptr_eq(&before.by_name["acme"], &set.by_name["acme"]));
}

#[test]
fn a_secret_that_no_policy_names_is_forgotten_and_one_key_more_is_read_at_once() {
    let (mut keys, start) = (Keys::default(), Instant::now());
    let at = |secret: &str, key: &str| (secret.to_owned(), key.to_owned());
    keys.named(&BTreeSet::from([at("keys", "cosign.pub")]), start);
    keys.take_due(start);
    // Named while it is read.
    keys.named(&BTreeSet::from([at("keys", "cosign.pub"), at("keys", "next.pub")]), start);
    assert!(keys.arrived(found("keys", KEY), start));
    assert_eq!((keys.get("keys", "next.pub").is_none(), keys.next()), (true, Some(start)));
    keys.named(&BTreeSet::new(), start);
    assert_eq!((keys.get("keys", "cosign.pub").is_none(), keys.next()), (true, None));
}

/// A keeper on its own, without a watch.
async fn keeper(played: &Played) -> (Arriving, watch::Receiver<Arc<PolicySet>>, tokio::task::JoinHandle<()>) {
    let (sender, sets) = watch::channel(Arc::default());
    let inbox = Arc::new(Inbox::default());
    let keeper = Keeper::new(played.connection().await, surroundings(), sender);
    let arriving = Arriving::new(Arc::clone(&inbox));
    let task = tokio::spawn(async move { keeper.run(&inbox).await });
    (arriving, sets, task)
}

#[tokio::test]
async fn a_thousand_policies_make_few_sets_and_the_first_has_all_of_them_with_their_keys() {
    let played = Played::start().await;
    for secret in 0..20 {
        played.secret(
            "pratique-system",
            &format!("keys-{secret}"),
            "Opaque",
            &[("cosign.pub", KEY), ("cosign.key", "hunter2")],
        );
    }
    let (mut arriving, mut sets, task) = keeper(&played).await;
    arriving.restart();
    for number in 0..1_000 {
        let spec = if number < 200 { signed(&format!("keys-{}", number % 20)) } else { refuses("why") };
        arriving.list(object(&format!("p{number:03}"), "u", 1, &spec));
    }
    arriving.complete();
    assert_eq!(arriving.len(), 1_000);
    sets.changed().await.unwrap();
    let set = Arc::clone(&sets.borrow_and_update());
    assert_eq!((set.listed, set.objects.len(), set.by_name.len()), (true, 1_000, 1_002));
    assert!(set.objects.iter().all(|its| its.in_force == InForce::This { rules: 1 }));
    assert_eq!(played.asked().len(), 20, "each Secret once");
    for number in 0..1_000 {
        arriving.apply(object(&format!("p{number:03}"), "u", 2, &refuses("again")));
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let mut told = 0;
    while !sets.borrow_and_update().objects.iter().all(|its| its.generation == 2) {
        sets.changed().await.unwrap();
        told += 1;
    }
    assert!(told <= 20, "{told} sets for 1,000 changes");
    task.abort();
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_says_why_and_its_policy_comes_into_force_when_it_can() {
    let played = Played::start().await;
    let (mut arriving, mut sets, task) = keeper(&played).await;
    arriving.restart();
    arriving.list(object("acme", "u", 1, &signed("keys")));
    arriving.list(object("other", "u", 1, &refuses("why")));
    arriving.complete();
    sets.changed().await.unwrap();
    let set = Arc::clone(&sets.borrow_and_update());
    let missing = "ImagePolicy acme: spec.authorities[0].keys[0].secretRef.name: gives no public key: there is no Secret \
                   `keys` in our namespace, `pratique-system`: create it";
    assert_eq!(state(&set, "acme"), Some((1, InForce::None, vec![missing.to_owned()])));
    assert_eq!(why(&set, "other").as_deref(), Some("why"));
    played.secret("pratique-system", "keys", "Opaque", &[("cosign.pub", KEY)]);
    sets.changed().await.unwrap();
    assert_eq!(state(&sets.borrow_and_update(), "acme"), Some((1, InForce::This { rules: 1 }, vec![])));
    task.abort();
}

#[tokio::test]
async fn the_first_set_waits_for_secrets_that_take_their_time() {
    let played = Played::start().await;
    played.secret("pratique-system", "keys", "Opaque", &[("cosign.pub", KEY)]);
    played.pause(Duration::from_millis(700));
    let (mut arriving, mut sets, task) = keeper(&played).await;
    arriving.restart();
    arriving.list(object("acme", "u", 1, &signed("keys")));
    arriving.complete();
    sets.changed().await.unwrap();
    assert_eq!(state(&sets.borrow_and_update(), "acme"), Some((1, InForce::This { rules: 1 }, vec![])));
    task.abort();
}

fn policy(spec: &Value) -> String {
    json!({"apiVersion": "pratique.dev/v1alpha1", "kind": "ImagePolicy", "spec": spec, "status": {"written": true},
        "metadata": {"name": "acme", "labels": {"a": "b"}, "managedFields": [], "uid": "u"}})
    .to_string()
}

async fn linted(played: &Played, spec: &Value) -> Result<Vec<String>, Vec<String>> {
    let texts = |mistakes: Vec<Mistake>| mistakes.iter().map(ToString::to_string).collect();
    let found = lint(&played.connection().await, &surroundings(), &policy(spec)).await;
    found.map(texts).map_err(texts)
}

#[tokio::test]
async fn what_is_about_to_be_written_is_refused_for_what_would_not_come_into_force() {
    let played = Played::start().await;
    assert_eq!(linted(&played, &refuses("why")).await, Ok(vec![]));
    assert_eq!(linted(&played, &invalid()).await, Err(no_demand()));
    let broken = lint(&played.connection().await, &surroundings(), "{").await;
    assert_eq!(broken, Err(vec![Mistake::about("ImagePolicy", "is no JSON, in line 1 column 1")]));
}

#[tokio::test]
async fn a_secret_that_is_not_there_yet_is_a_warning_and_hides_no_mistake() {
    let played = Played::start().await;
    let missing = "ImagePolicy acme: spec.authorities: there is no Secret `keys` in our namespace, `pratique-system`: create \
                   it; until it can be read, this policy is not in force";
    assert_eq!(linted(&played, &signed("keys")).await, Ok(vec![missing.to_owned()]));
    let mut wrong = signed("keys");
    wrong["rules"][0]["signatures"]["threshold"] = 2.into();
    let mistakes = linted(&played, &wrong).await.unwrap_err();
    assert!(mistakes.iter().all(|its| its.starts_with("ImagePolicy acme: spec.rules[0].signatures")), "{mistakes:?}");
    played.secret("pratique-system", "keys", "Opaque", &[("cosign.pub", KEY)]);
    assert_eq!(linted(&played, &signed("keys")).await, Ok(vec![]));
    played.secret("pratique-system", "keys", "Opaque", &[("cosign.pub", "hunter2")]);
    let mistakes = linted(&played, &signed("keys")).await.unwrap_err();
    assert!(mistakes.len() == 1 && !mistakes[0].contains("hunter2"), "{mistakes:?}");
    played.answer("pratique-system", 403);
    let warnings = linted(&played, &signed("keys")).await.unwrap();
    assert!(warnings.len() == 1 && warnings[0].contains("the verb get on secrets"), "{warnings:?}");
}
