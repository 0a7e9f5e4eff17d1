//! What pods bring, from an API server that is played.

use std::sync::LazyLock;
use std::time::Instant;

use jiff::SignedDuration;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::evidence::budget::{Budget, Deadline};

use played::Played;

pub(in super::super) mod played;

const HOSTS: [&str; 6] = ["a.example", "b.example", "c.example", "d.example", "new.example", "bank.example"];

fn asked(named: &[&str], account: &str) -> request::PullSecrets {
    let named = named.iter().map(|&name| name.to_owned()).collect();
    request::PullSecrets { named, service_account: account.to_owned() }
}

fn patience() -> Patience {
    static BUDGET: LazyLock<Budget> = LazyLock::new(Budget::default);
    Deadline::at(Instant::now() + Duration::from_secs(30)).patience(&BUDGET)
}

fn reading(namespace: &str, seconds_later: i64) -> Reading<'_> {
    let now = Timestamp::now() + SignedDuration::from_secs(seconds_later);
    Reading { namespace, wait: Wait::UntilDeadline, patience: patience(), oldest: None, now }
}

/// The hosts that the keyrings are for, in order.
fn hosts(brought: &Brought) -> Vec<&'static str> {
    let host = |keyring: &Arc<Keyring>| {
        let its = HOSTS.into_iter().find(|host| !keyring.matching(host, "x").is_empty());
        its.expect("a keyring is for one of the hosts")
    };
    brought.keyrings.iter().map(host).collect()
}

/// Namespace `shop`, as in the tests of `pull_secrets`, and `bank` beside it.
async fn shop() -> (Played, LiveSecrets) {
    let played = Played::start().await;
    for (namespace, name, host) in [
        ("shop", "a", "a.example"),
        ("shop", "b", "b.example"),
        ("shop", "c", "c.example"),
        ("bank", "b", "bank.example"),
    ] {
        played.pull_secret(namespace, name, host);
    }
    played.account("shop", "default", &["c"]);
    played.account("shop", "builder", &["a", "b", "gone"]);
    let live = LiveSecrets::new(played.connection().await);
    (played, live)
}

async fn bring(live: &LiveSecrets, usage: Usage, namespace: &str, named: &[&str], account: &str) -> Brought {
    live.brought(usage, namespace, &asked(named, account), Wait::UntilDeadline, patience()).await
}

fn words(brought: &Brought) -> Option<(Fault, &str)> {
    brought.trouble.as_ref().map(|its| (its.fault, &*its.words))
}

#[tokio::test]
async fn the_pods_own_come_first_and_then_those_of_its_service_account_and_each_is_asked_for_once() {
    let (played, live) = shop().await;
    let own = bring(&live, Usage::Named, "shop", &["b"], "").await;
    assert_eq!((hosts(&own), words(&own)), (vec!["b.example", "c.example"], None));
    let mut first = played.asked();
    first.sort();
    assert_eq!(first, ["shop/secrets/b", "shop/secrets/c", "shop/serviceaccounts/default"]);
    let builder = bring(&live, Usage::Named, "shop", &["b", "b", "gone"], "builder").await;
    assert_eq!((hosts(&builder), words(&builder)), (vec!["b.example", "a.example"], None));
    assert_eq!(hosts(&bring(&live, Usage::Named, "shop", &[], "other").await), Vec::<&str>::new());
    played.asked();
    bring(&live, Usage::Named, "shop", &["b", "b", "gone"], "builder").await;
    assert_eq!(played.asked(), Vec::<String>::new(), "all of it was at hand");
}

#[tokio::test]
async fn all_are_those_of_the_namespace_with_the_named_ones_first_and_no_other_secret_is_sent() {
    let (played, live) = shop().await;
    played.secret("shop", "password", "Opaque", &[("password", "hunter2")]);
    let legacy = r#"{"d.example": {"username": "u", "password": "p"}}"#;
    played.secret("shop", "d", "kubernetes.io/dockercfg", &[(".dockercfg", legacy)]);
    let all = bring(&live, Usage::All, "shop", &["b"], "").await;
    assert_eq!((hosts(&all), words(&all)), (vec!["b.example", "c.example", "a.example", "d.example"], None));
    let listed: Vec<String> = played.asked().into_iter().filter(|its| its.contains('?')).collect();
    assert_eq!(
        listed,
        ["shop/secrets?type=kubernetes.io/dockerconfigjson", "shop/secrets?type=kubernetes.io/dockercfg"]
    );
    assert_eq!(hosts(&bring(&live, Usage::All, "bank", &[], "").await), ["bank.example"]);
    assert!(bring(&live, Usage::None, "shop", &["a"], "builder").await.keyrings.is_empty());
}

#[tokio::test]
async fn a_namespace_is_listed_in_pages_and_to_a_bound_that_is_told() {
    let played = Played::start().await;
    for number in 0..260 {
        played.pull_secret("many", &format!("s{number:03}"), "a.example");
    }
    let live = LiveSecrets::new(played.connection().await);
    let all = bring(&live, Usage::All, "many", &[], "").await;
    assert_eq!(all.keyrings.len(), 200);
    assert_eq!(
        words(&all),
        Some((Fault::Broken, "namespace `many` has more than 200 pull secrets, and no more are used"))
    );
}

#[tokio::test]
async fn a_secret_of_another_type_is_no_pull_secret() {
    let (played, live) = shop().await;
    let config = r#"{"auths": {"a.example": {"username": "u", "password": "p"}}}"#;
    played.secret("shop", "opaque", "Opaque", &[(".dockerconfigjson", config)]);
    let brought = bring(&live, Usage::Named, "shop", &["opaque", "b"], "none").await;
    assert_eq!((hosts(&brought), words(&brought)), (vec!["b.example"], None));
}

#[tokio::test]
async fn a_broken_docker_config_is_told_without_its_text_and_takes_no_other_away() {
    let (played, live) = shop().await;
    played.secret("shop", "broken", "kubernetes.io/dockerconfigjson", &[(".dockerconfigjson", r#"{"auths": hunter2"#)]);
    let brought = bring(&live, Usage::Named, "shop", &["broken", "b"], "none").await;
    assert_eq!(hosts(&brought), ["b.example"]);
    let (fault, words) = words(&brought).unwrap();
    assert_eq!(fault, Fault::Broken);
    let beginning = "pull secret `broken` of namespace `shop` is broken: .dockerconfigjson: ";
    assert!(words.starts_with(beginning) && !words.contains("hunter2"), "{words}");
    played.asked();
    bring(&live, Usage::Named, "shop", &["broken", "b"], "none").await;
    assert_eq!(played.asked(), Vec::<String>::new(), "it is not read for every review");
}

#[tokio::test]
async fn what_may_not_be_read_says_which_right_is_missing() {
    let (played, live) = shop().await;
    played.answer("shop/secrets", 403);
    let secrets = bring(&live, Usage::Named, "shop", &["b"], "none").await;
    let expected = "secret `b` of namespace `shop` may not be read: the API server answered 403 Forbidden; allow our \
                    service account the verb get on secrets in namespace `shop`, as the ClusterRole pratique does";
    assert_eq!((hosts(&secrets), words(&secrets)), (vec![], Some((Fault::Refused, expected))));
    played.answer_well();
    played.answer("shop/serviceaccounts", 403);
    let accounts = bring(&live, Usage::Named, "shop", &["b"], "builder").await;
    let expected = "service account `builder` of namespace `shop` may not be read: the API server answered 403 Forbidden; \
                    allow our service account the verb get on serviceaccounts in namespace `shop`, as the ClusterRole \
                    pratique does";
    assert_eq!((hosts(&accounts), words(&accounts)), (vec!["b.example"], Some((Fault::Refused, expected))));
    played.answer_well();
    played.answer("bank/secrets?", 403);
    let all = bring(&live, Usage::All, "bank", &["b"], "none").await;
    let (_, words) = words(&all).unwrap();
    assert!(
        hosts(&all) == ["bank.example"] && words.contains("the verb list on secrets in namespace `bank`"),
        "{words}"
    );
}

#[tokio::test]
async fn a_secret_that_comes_late_is_found_when_its_absence_is_no_longer_believed() {
    let (played, live) = shop().await;
    assert!(bring(&live, Usage::Named, "shop", &["late"], "none").await.keyrings.is_empty());
    played.pull_secret("shop", "late", "new.example");
    let found = live.collect(Usage::Named, &asked(&["late"], "none"), reading("shop", 3)).await.brought();
    assert_eq!(hosts(&found), ["new.example"]);
}

#[tokio::test]
async fn what_was_read_is_used_while_the_api_server_is_away() {
    let (played, live) = shop().await;
    bring(&live, Usage::Named, "shop", &["b"], "").await;
    played.answer("shop", 500);
    for _ in 0..2 {
        let later = live.collect(Usage::Named, &asked(&["b"], ""), reading("shop", 61)).await.brought();
        assert_eq!((hosts(&later), words(&later)), (vec!["b.example", "c.example"], None));
    }
    let unknown = bring(&live, Usage::Named, "shop", &["a"], "").await;
    let expected = "secret `a` of namespace `shop` could not be read: the API server answered 500";
    assert_eq!((hosts(&unknown), words(&unknown)), (vec!["c.example"], Some((Fault::Outage, expected))));
}

#[tokio::test]
async fn what_is_at_hand_is_answered_without_asking_anybody() {
    let (played, live) = shop().await;
    let at_hand = async |live: &LiveSecrets| {
        live.brought(Usage::Named, "shop", &asked(&["b"], ""), Wait::AtHand, patience()).await
    };
    let nothing = at_hand(&live).await;
    let expected = "pull secret `b` of namespace `shop` could not be read in time";
    assert_eq!((hosts(&nothing), words(&nothing)), (vec![], Some((Fault::Deadline, expected))));
    assert!(live.again(Usage::Named, "shop", &asked(&["b"], ""), Wait::AtHand, patience()).await.is_none());
    assert_eq!(played.asked(), Vec::<String>::new());
    bring(&live, Usage::Named, "shop", &["b"], "").await;
    played.asked();
    assert_eq!(hosts(&at_hand(&live).await), ["b.example", "c.example"]);
    assert_eq!(played.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_rotated_secret_is_read_again_when_the_registry_refuses_the_old_one() {
    let (played, live) = shop().await;
    bring(&live, Usage::Named, "shop", &["b"], "none").await;
    played.pull_secret("shop", "b", "new.example");
    let again = live.read_again(Usage::Named, &asked(&["b"], "none"), reading("shop", 5)).await;
    assert_eq!(hosts(&again.unwrap()), ["new.example"]);
}

#[tokio::test]
async fn a_refresh_that_came_in_between_is_told_too() {
    let (played, live) = shop().await;
    bring(&live, Usage::Named, "shop", &["b"], "none").await;
    played.pull_secret("shop", "b", "new.example");
    // A review is answered with what is stale, and it is read meanwhile.
    let stale = live.collect(Usage::Named, &asked(&["b"], "none"), reading("shop", 61)).await.brought();
    assert_eq!(hosts(&stale), ["b.example"]);
    pratique_testkit::eventually("it was read meanwhile", async || {
        hosts(&bring(&live, Usage::Named, "shop", &["b"], "none").await) == ["new.example"]
    })
    .await;
    played.asked();
    let again = live.again(Usage::Named, "shop", &asked(&["b"], "none"), Wait::UntilDeadline, patience()).await;
    assert_eq!(hosts(&again.unwrap()), ["new.example"]);
    assert_eq!(played.asked(), Vec::<String>::new(), "it was read a moment ago");
}

#[tokio::test]
async fn what_is_as_it_was_is_no_reason_to_ask_the_registry_again() {
    let (played, live) = shop().await;
    bring(&live, Usage::Named, "shop", &["b"], "").await;
    played.asked();
    let again = live.read_again(Usage::Named, &asked(&["b"], ""), reading("shop", 40)).await;
    assert!(again.is_none());
    assert_eq!(played.asked().len(), 3, "two Secrets and the account were looked at");
    played.answer("shop/secrets", 500);
    let again = live.read_again(Usage::Named, &asked(&["b"], ""), reading("shop", 50)).await.unwrap();
    assert_eq!(hosts(&again), ["b.example", "c.example"], "what could not be read is as it was");
    assert_eq!(words(&again).unwrap().0, Fault::Outage);
}

#[tokio::test]
async fn names_that_are_paths_are_nobodys_and_ask_for_nothing() {
    let (played, live) = shop().await;
    for name in ["../../bank/secrets/b", "..", "b/../../../bank/secrets/b", "b?x=", ""] {
        let brought = bring(&live, Usage::Named, "shop", &[name], "../../bank/serviceaccounts/default").await;
        assert_eq!((hosts(&brought), words(&brought)), (vec![], None), "{name:?}");
    }
    let elsewhere = bring(&live, Usage::All, "shop/../bank", &["b"], "").await;
    assert_eq!((hosts(&elsewhere), words(&elsewhere)), (vec![], None));
    assert_eq!(played.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_pod_that_names_many_has_the_first_and_is_told() {
    let (played, live) = shop().await;
    let names: Vec<String> = (0..1_000).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = ["b"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let brought = bring(&live, Usage::Named, "shop", &names, "none").await;
    assert_eq!(hosts(&brought), ["b.example"]);
    assert_eq!(words(&brought), Some((Fault::Broken, "more than 32 pull secrets are named, and no more are used")));
    assert_eq!(played.asked().len(), 32 + 1, "and the account");
}

#[test]
fn nothing_of_a_secret_is_printed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (_played, live) = shop().await;
        let brought = bring(&live, Usage::Named, "shop", &["b"], "").await;
        let printed = format!("{live:?} {brought:?}");
        assert!(printed.contains("LiveSecrets") && !printed.contains("hunter2"), "{printed}");
    });
}

const NAMESPACES: [&str; 3] = ["one", "two", "three"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// R-25: whoever asks for whatever in one namespace, in whatever order, is given nothing of another.
#[test]
fn no_namespace_is_given_what_another_brings() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let ask = || {
        let names = proptest::collection::vec(0..NAMES.len(), 0..4);
        (0..NAMESPACES.len(), names, 0..NAMES.len(), proptest::bool::ANY, proptest::bool::ANY)
    };
    let there = proptest::collection::btree_set((0..NAMESPACES.len(), 0..NAMES.len()), 0..8);
    let strategy = (there, proptest::collection::vec(ask(), 1..12));
    let mut runner = TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&strategy, |(there, asks)| {
        runtime.block_on(async {
            let played = Played::start().await;
            for (namespace, name) in &there {
                let (namespace, name) = (NAMESPACES[*namespace], NAMES[*name]);
                played.pull_secret(namespace, name, &format!("{namespace}-{name}.example"));
                played.account(namespace, name, &NAMES);
            }
            let live = LiveSecrets::new(played.connection().await);
            for (namespace, names, account, all, again) in asks {
                let usage = if all { Usage::All } else { Usage::Named };
                let names: Vec<&str> = names.iter().map(|name| NAMES[*name]).collect();
                let asked = asked(&names, NAMES[account]);
                let its = NAMESPACES[namespace];
                let brought = if again {
                    let read = Reading { oldest: None, ..reading(its, 2) };
                    live.read_again(usage, &asked, read).await.unwrap_or_default()
                } else {
                    live.brought(usage, its, &asked, Wait::UntilDeadline, patience()).await
                };
                for other in NAMESPACES.into_iter().filter(|other| *other != its) {
                    let strange = NAMES.into_iter().map(|name| format!("{other}-{name}.example"));
                    for host in strange {
                        let found = brought.keyrings.iter().any(|keyring| !keyring.matching(&host, "x").is_empty());
                        prop_assert!(!found, "{its} was given {host}");
                    }
                }
            }
            Ok(())
        })
    });
    checked.unwrap();
}
