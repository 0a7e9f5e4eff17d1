use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use prometheus::Registry;
use serde_json::{Value, json};

use super::*;
use crate::evidence::ScanSources;
use crate::evidence::budget::Budget;
use crate::evidence::cluster::nodes::Nodes;
use crate::evidence::cluster::pull_secrets::Usage;
use crate::evidence::registry::outbound::Surroundings;
use crate::evidence::registry::{self, Registries};
use crate::evidence::scope::{Namespaces, policy_labels};
use crate::fact::Fact;
use crate::image::{Digest, Pattern, Platform};
use crate::observe::metrics::Metrics;
use crate::policy::{
    Action, Bindings, Controllers, Demands, Inaccessible, Policy, Repointed, Rule, TagDemands, Tolerance, Unavailable,
    Unmatched,
};
use crate::request::{NoImages, Subject};

const UID: &str = "f3f36f4d-bc03-47a5-8347-bd0ef68c77d0";
const DIGEST: &str = "sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097";

/// Every image needs a digest, in the mode that `bind` chooses.
fn policies(bind: impl FnOnce(&mut Bindings)) -> Policies {
    let tags = TagDemands { deny: Vec::new(), allow: Vec::new(), require_digest: true, repointed: Repointed::Warn };
    let action = Action::Require(Arc::new(Demands { tags: Some(tags), ..Demands::default() }));
    let rules = vec![Rule { name: "all".into(), images: vec![Pattern::parse("**").unwrap()], action }];
    let tolerance = Tolerance { unavailable: Unavailable::Running, inaccessible: Inaccessible::Deny };
    let strict = Policy { name: "strict".into(), unmatched: Unmatched::Deny, tolerance, rules };
    let mut bindings = Bindings {
        enforce: None,
        warn: None,
        audit: None,
        floor: None,
        exempt_namespaces: BTreeSet::new(),
        controllers: Controllers::Warn,
        dry_run: false,
    };
    bind(&mut bindings);
    Policies { by_name: BTreeMap::from([(strict.name.clone(), Arc::new(strict))]), bindings }
}

fn enforcing() -> Policies {
    policies(|its| its.enforce = Some("strict".into()))
}

fn without_labels(policies: Policies) -> InForce {
    InForce { policies, cluster: Arc::default() }
}

/// A review at work, what it left, and what it counted.
struct Bench {
    review: Arc<Review>,
    unfinished: Unfinished,
    registry: Registry,
}

fn bench(policies: Policies) -> Bench {
    let registry = Registry::new();
    let settings = registry::Settings {
        hosts: None,
        docker_config: None,
        providers: None,
        realms: BTreeMap::new(),
        concurrency: 16,
        surroundings: Surroundings::Alone,
    };
    let (registries, _warnings) = Registries::new(settings, &registry).unwrap();
    let evidence = Evidence::new(
        Budget::default(),
        Arc::new(registries),
        Arc::new(crate::evidence::signature::trust::Trust::built_in().unwrap()),
        Usage::Named,
        Arc::new(Nodes::new(Arc::from([Platform::default()]))),
        ScanSources::default(),
        &registry,
    )
    .unwrap();
    let observe = Observe::new(Metrics::register(&registry).unwrap());
    let (review, unfinished) = Review::new(Workloads::default(), without_labels(policies), evidence, observe);
    Bench { review: Arc::new(review), unfinished, registry }
}

impl Bench {
    /// The value of the series whose labels have these values, in any order.
    fn counted(&self, name: &str, labels: &[&str]) -> u64 {
        let families = self.registry.gather();
        let series = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        let matching = series.filter(|series| {
            let values: BTreeSet<&str> = series.get_label().iter().map(|label| label.value()).collect();
            labels.iter().all(|label| values.contains(label))
        });
        // Whole numbers, which the wire has as floats.
        matching.map(|series| series.get_counter().get_value().to_string().parse::<u64>().unwrap()).sum()
    }

    async fn answer(&self, body: &[u8]) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        let reply = self.review.answer(body, deadline).await.unwrap();
        serde_json::from_slice::<Value>(&reply.body).unwrap()["response"].clone()
    }
}

fn body(image: &str) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "shop",
            "name": "web",
            "object": {"kind": "Pod", "spec": {"containers": [{"name": "web", "image": image}]}}
        }
    });
    review.to_string().into_bytes()
}

fn pinned() -> Vec<u8> {
    body(&format!("nginx@{DIGEST}"))
}

fn left(review: &Review, uid: &str, bytes: usize) {
    let request = Request { uid: uid.to_owned(), ..Request::about(Subject::Nothing(NoImages::Kind)) };
    review.leave_unfinished(request, true, bytes);
}

#[tokio::test]
async fn a_review_is_answered_counted_and_remembered() {
    let bench = bench(enforcing());
    let refused = bench.answer(&body("nginx:1")).await;
    assert_eq!((&refused["allowed"], &refused["uid"]), (&json!(false), &json!(UID)));
    assert_eq!(refused["status"]["code"], 403);
    assert_eq!(bench.counted("pratique_reviews_total", &["create", "refused"]), 1);
    assert_eq!(bench.counted("pratique_refusals_total", &["enforce", "strict", "digest-missing"]), 1);
    let admitted = bench.answer(&pinned()).await;
    assert_eq!(admitted["allowed"], true);
    assert_eq!(bench.counted("pratique_reviews_total", &["create", "admitted"]), 1);
    assert_eq!(bench.counted("pratique_cache_lookups_total", &["hit"]), 0);
    bench.answer(&pinned()).await;
    assert_eq!(bench.counted("pratique_cache_lookups_total", &["hit"]), 1);
}

#[tokio::test]
async fn nothing_is_remembered_of_a_dry_run_or_a_judgement_for_check() {
    let bench = bench(enforcing());
    let dry =
        String::from_utf8(pinned()).unwrap().replace("\"name\":\"web\",\"namespace\"", "\"dryRun\":true,\"namespace\"");
    assert!(dry.contains("dryRun"));
    bench.answer(dry.as_bytes()).await;
    let request = decode::decode(&pinned(), &Workloads::default()).unwrap();
    let deadline = Deadline::at(Instant::now() + Duration::from_secs(1));
    let verdict = bench.review.judge(&request, deadline).await;
    assert_eq!(verdict.images[0].admitted_since, None);
    assert_eq!(bench.counted("pratique_reviews_total", &["create"]), 1);
    bench.answer(&pinned()).await;
    assert_eq!(bench.counted("pratique_cache_lookups_total", &["hit"]), 0);
}

#[tokio::test]
async fn a_body_without_a_uid_is_malformed_and_not_counted() {
    let bench = bench(enforcing());
    let deadline = Instant::now() + Duration::from_secs(1);
    for body in [&b""[..], b"null", b"{}", b"\xff"] {
        bench.review.answer(body, deadline).await.unwrap_err();
    }
    assert_eq!(bench.counted("pratique_reviews_total", &[]), 0);
}

#[tokio::test]
async fn a_deadline_that_has_passed_is_still_answered_from_what_is_at_hand() {
    let bench = bench(enforcing());
    let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    let reply = bench.review.answer(&pinned(), past).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap()["response"]["allowed"], true);
}

#[tokio::test]
async fn a_panic_in_a_future_becomes_a_value_wherever_it_happens() {
    assert_eq!(unwinding(async { 7 }).await, Ok(7));
    assert_eq!(unwinding(async { panic!("at once") }).await, Err::<(), _>(Panicked("at once".to_owned())));
    let later = async {
        tokio::task::yield_now().await;
        panic!("after a while")
    };
    assert_eq!(unwinding(later).await, Err::<(), _>(Panicked("after a while".to_owned())));
}

#[tokio::test]
async fn a_review_that_panicked_is_refused_with_a_reason() {
    let bench = bench(enforcing());
    let reply = bench.review.answer_to_panic(&body("nginx:1"), &Panicked("a test".to_owned())).unwrap();
    let response = serde_json::from_slice::<Value>(&reply.body).unwrap()["response"].clone();
    let expected = json!({
        "uid": UID,
        "allowed": false,
        "status": {
            "status": "Failure",
            "message": "internal-error, a fault inside Pratique, see its log, nothing was judged\n  \
                        internal-error: a fault inside Pratique, see its log; nothing was judged",
            "reason": "Forbidden",
            "code": 403
        },
        "auditAnnotations": {
            "denied": "internal-error: a fault inside Pratique, see its log; nothing was judged (enforce)"
        }
    });
    assert_eq!(response, expected);
    assert_eq!(bench.counted("pratique_panics_total", &[]), 1);
    assert_eq!(bench.counted("pratique_reviews_total", &["unknown", "undetermined"]), 1);
    assert_eq!(bench.counted("pratique_refusals_total", &["enforce", "internal-error"]), 1);
    bench.review.answer_to_panic(b"{}", &Panicked("a test".to_owned())).unwrap_err();
}

#[tokio::test]
async fn under_dry_run_a_panic_is_admitted_and_recorded_for_the_audit() {
    let bench = bench(policies(|its| its.dry_run = true));
    let reply = bench.review.answer_to_panic(&body("nginx:1"), &Panicked("a test".to_owned())).unwrap();
    let response = serde_json::from_slice::<Value>(&reply.body).unwrap()["response"].clone();
    assert_eq!((&response["allowed"], &response["auditAnnotations"]["basis"]), (&json!(true), &json!("DryRun")));
    assert!(response["auditAnnotations"]["audited"].as_str().unwrap().starts_with("internal-error: "));
    assert_eq!(bench.counted("pratique_panics_total", &[]), 1);
    assert_eq!(bench.counted("pratique_reviews_total", &["unknown", "admitted"]), 1);
    assert_eq!(bench.counted("pratique_reviews_total", &["refused"]), 0);
}

#[tokio::test]
async fn under_dry_run_nothing_is_refused() {
    let bench = bench(policies(|its| (its.enforce, its.dry_run) = (Some("strict".into()), true)));
    let unreadable =
        String::from_utf8(body("nginx")).unwrap().replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    for body in [body("nginx:1"), body(""), unreadable.into_bytes()] {
        let response = bench.answer(&body).await;
        assert_eq!((&response["allowed"], &response["auditAnnotations"]["basis"]), (&json!(true), &json!("DryRun")));
        assert!(response["auditAnnotations"]["audited"].is_string());
    }
}

#[tokio::test]
async fn what_waits_after_replies_is_bounded_and_what_is_dropped_is_counted() {
    let mut bench = bench(enforcing());
    for count in 0..UNFINISHED + 3 {
        left(&bench.review, &count.to_string(), 8_000);
    }
    assert_eq!(bench.counted("pratique_background_reviews_total", &["dropped"]), 3);
    let mut kept = 0;
    while bench.unfinished.0.try_recv().is_ok() {
        kept += 1;
    }
    assert_eq!(kept, UNFINISHED);
}

#[tokio::test]
async fn what_waits_after_replies_is_bounded_in_bytes_too_and_makes_room_when_it_is_done() {
    let mut bench = bench(enforcing());
    for count in 0..20 {
        left(&bench.review, &count.to_string(), 3 << 20);
    }
    let kept = UNFINISHED_KIB / (3 << 10);
    assert_eq!(bench.counted("pratique_background_reviews_total", &["dropped"]), u64::try_from(20 - kept).unwrap());
    drop(bench.unfinished.0.try_recv().unwrap());
    left(&bench.review, "one more", 3 << 20);
    assert_eq!(bench.unfinished.0.len(), kept);
}

#[tokio::test]
async fn what_was_left_is_finished_in_its_turn_and_counted_beside_the_reviews() {
    let Bench { review, unfinished, registry } = bench(enforcing());
    for count in 0..20 {
        left(&review, &count.to_string(), 8_000);
    }
    let finishing = tokio::spawn({
        let review = Arc::clone(&review);
        async move { review.finish(unfinished).await }
    });
    let bench = Bench { review, unfinished: Unfinished(mpsc::channel(1).1), registry };
    while bench.counted("pratique_background_reviews_total", &["finished"]) < 20 {
        tokio::task::yield_now().await;
    }
    left(&bench.review, "one more", 8_000);
    while bench.counted("pratique_background_reviews_total", &["finished"]) < 21 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.counted("pratique_reviews_total", &[]), 0);
    assert!(!finishing.is_finished());
    finishing.abort();
}

#[tokio::test]
async fn a_registry_that_says_nothing_does_not_hold_up_what_others_left() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = silent.local_addr().unwrap();
    let Bench { review, unfinished, registry } = bench(enforcing());
    let mut lax = policies(|its| its.audit = Some("lax".into()));
    let tags = TagDemands { deny: Vec::new(), allow: Vec::new(), require_digest: false, repointed: Repointed::Deny };
    let action = Action::Require(Arc::new(Demands { tags: Some(tags), ..Demands::default() }));
    let rules = vec![Rule { name: "all".into(), images: vec![Pattern::parse("**").unwrap()], action }];
    let tolerance = Tolerance { unavailable: Unavailable::Running, inaccessible: Inaccessible::Deny };
    let policy = Policy { name: "lax".into(), unmatched: Unmatched::Deny, tolerance, rules };
    lax.by_name.insert("lax".into(), Arc::new(policy));
    review.put_in_force(without_labels(lax));
    for number in 0..200 {
        let body = body(&format!("{authority}/acme/app:v{number}"));
        assert!(review.answer(&body, Instant::now() + Duration::from_secs(10)).await.is_ok());
    }
    left(&review, "of another registry", 8_000);
    let finishing = tokio::spawn({
        let review = Arc::clone(&review);
        async move { review.finish(unfinished).await }
    });
    let bench = Bench { review, unfinished: Unfinished(mpsc::channel(1).1), registry };
    while bench.counted("pratique_background_reviews_total", &["finished"]) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.counted("pratique_registry_requests_total", &["timeout"]), 0, "it waited for the silent one");
    finishing.abort();
}

#[tokio::test]
async fn a_panic_after_a_reply_is_counted_and_is_no_review_of_its_own() {
    let bench = bench(enforcing());
    bench.review.observe.record_unfinished_panic("1", "a test");
    assert_eq!(bench.counted("pratique_panics_total", &[]), 1);
    assert_eq!(bench.counted("pratique_background_reviews_total", &["failed"]), 1);
    assert_eq!(bench.counted("pratique_reviews_total", &[]), 0);
    assert_eq!(bench.counted("pratique_refusals_total", &[]), 0);
}

#[tokio::test]
async fn policies_are_exchanged_in_one_step() {
    let bench = bench(enforcing());
    assert_eq!(bench.answer(&body("nginx:1")).await["allowed"], false);
    bench.review.put_in_force(without_labels(policies(|its| its.warn = Some("strict".into()))));
    let response = bench.answer(&body("nginx:1")).await;
    assert_eq!((&response["allowed"], response["warnings"].as_array().unwrap().len()), (&json!(true), 1));
    bench.review.put_in_force(without_labels(enforcing()));
    assert_eq!(bench.answer(&body("nginx:1")).await["allowed"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_reads_the_old_policies_or_the_new_ones_and_never_some_of_each() {
    // Under either, exactly one of enforce and warn speaks.
    let bench = bench(enforcing());
    let exchanging = tokio::spawn({
        let review = Arc::clone(&bench.review);
        async move {
            for turn in 0..2_000 {
                let enforce = turn % 2 == 0;
                review.put_in_force(without_labels(policies(|its| {
                    let bound = if enforce { &mut its.enforce } else { &mut its.warn };
                    *bound = Some("strict".into());
                })));
                tokio::task::yield_now().await;
            }
        }
    });
    while !exchanging.is_finished() {
        let response = bench.answer(&body("nginx:1")).await;
        assert_eq!(response["allowed"] == true, response["warnings"].is_array(), "{response}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_and_the_policy_that_it_names_come_and_go_together() {
    // The policy is there exactly when the label names it, so it is never unknown.
    let in_force = |labelled: bool| {
        let mut policies = policies(|_| ());
        if !labelled {
            policies.by_name.clear();
        }
        let labels = policy_labels(labelled.then_some(("pratique.dev/enforce", "strict")));
        let namespaces = HashMap::from([("shop".to_owned(), labels)]);
        let namespaces = Namespaces::new(namespaces, Timestamp::UNIX_EPOCH);
        InForce { policies, cluster: Arc::new(Cluster { namespaces: Arc::new(namespaces), ..Cluster::default() }) }
    };
    let bench = bench(policies(|_| ()));
    bench.review.put_in_force(in_force(true));
    let exchanging = tokio::spawn({
        let review = Arc::clone(&bench.review);
        async move {
            for turn in 0..5_000 {
                review.put_in_force(in_force(turn % 2 == 0));
                tokio::task::yield_now().await;
            }
        }
    });
    let mut seen = [false; 2];
    while !exchanging.is_finished() {
        let response = bench.answer(&body("nginx:1")).await;
        seen[usize::from(response["allowed"] == true)] = true;
        assert!(!response.to_string().contains("policy-unknown"), "{response}");
        tokio::task::yield_now().await;
    }
    assert_eq!(seen, [true, true], "both were in force");
}

#[tokio::test]
async fn what_an_admission_showed_is_a_fact_of_the_next_review_in_that_namespace() {
    let bench = bench(enforcing());
    bench.answer(&pinned()).await;
    let mut request = decode::decode(&pinned(), &Workloads::default()).unwrap();
    let deadline = Deadline::at(Instant::now() + Duration::from_secs(1));
    let since = bench.review.judge(&request, deadline).await.images[0].admitted_since;
    assert!(since.is_some_and(|since| since <= Timestamp::now()));
    "bank".clone_into(&mut request.namespace);
    assert_eq!(bench.review.judge(&request, deadline).await.images[0].admitted_since, None);
    let digest = Digest::parse(DIGEST).unwrap();
    let policies = enforcing();
    let scope = bench.review.evidence().scope(&Namespaces::default(), &request, deadline).await;
    let plan = plan::plan(&policies, &scope, &request);
    let facts = bench.review.evidence().gather(&plan, &Cluster::default(), deadline).await;
    assert!(matches!(facts.images[0].admitted, Fact::Absent(_)), "{digest} in {}", request.namespace);
}
