//! `ImagePolicies` of a real API server, as the program follows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use pratique::evidence::cluster::connection::Connection;
use pratique::evidence::cluster::policies::{self, InForce, PolicyObject, PolicySet, Surroundings};
use pratique::evidence::cluster::watching::Watches;
use pratique::policy::Action;
use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What of a thousand changes is told: they are written within seconds, and a set is told every second at most while they
/// come.
const FEW: usize = 100;
const LOOKED_AT_AGAIN: Duration = Duration::from_secs(90);

struct Followed {
    cluster: Cluster,
    sets: watch::Receiver<Arc<PolicySet>>,
    told: Arc<AtomicUsize>,
}

/// A cluster with our CRD and our namespace, and its policies followed.
async fn followed() -> Followed {
    let cluster = Cluster::start().await;
    let definition = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/base/customresourcedefinition.yaml");
    let applied = cluster.kubectl(&["apply", "-f", definition]);
    assert_eq!(applied.code, Some(0), "{applied:?}");
    cluster.namespace("pratique-system", &[]).await;
    eventually("the kind is served", async || cluster.kubectl(&["get", "imagepolicies"]).code == Some(0)).await;
    let connection = Connection::open(Some(cluster.kubeconfig())).await.expect("a kubeconfig of ours");
    let watches = Watches::new(&prometheus::Registry::new()).expect("a registry of its own");
    let (sender, sets) = watch::channel(Arc::default());
    let surroundings = Surroundings { roots: Arc::new([]) };
    tokio::spawn(policies::follow(connection, watches.enter("imagepolicies"), surroundings, sender));
    let (mut heard, told) = (sets.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&told);
    tokio::spawn(async move {
        while heard.changed().await.is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    Followed { cluster, sets, told }
}

impl Followed {
    fn apply(&self, policy: &Value) {
        let applied = self.cluster.kubectl_with_input(&["apply", "-f", "-"], &policy.to_string());
        assert_eq!(applied.code, Some(0), "{applied:?}");
    }

    fn object(&self, name: &str) -> Option<PolicyObject> {
        self.sets.borrow().objects.iter().find(|its| &*its.name == name).cloned()
    }

    async fn becomes(&self, name: &str, generation: i64, in_force: InForce) {
        eventually(&format!("{name} is {in_force:?} at {generation}"), async || {
            self.object(name).is_some_and(|its| its.generation == generation && its.in_force == in_force)
        })
        .await;
    }

    /// Why the policy of this name refuses what it matches.
    fn why(&self, name: &str) -> Option<String> {
        let set = self.sets.borrow();
        match &set.by_name.get(name)?.rules.first()?.action {
            Action::Refuse(why) => Some(why.to_string()),
            Action::Admit | Action::Require(_) => None,
        }
    }
}

/// Secrets are looked at again every half a minute.
async fn looked_at_again(what: &str, done: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < LOOKED_AT_AGAIN, "still not so: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn policy(name: &str, rule: &Value) -> Value {
    json!({"apiVersion": "pratique.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": name},
        "spec": {"rules": [rule]}})
}

fn refusing(name: &str, why: &str) -> Value {
    policy(name, &json!({"name": "all", "images": ["**"], "refuse": why}))
}

/// Nothing but a slip, which the schema lets pass so that we see it.
fn invalid(name: &str) -> Value {
    policy(name, &json!({"name": "all", "images": ["**"], "refuse": "second", "tagz": {}}))
}

fn signed(name: &str, secret: &str) -> Value {
    let mut signed = policy(name, &json!({"name": "all", "images": ["**"], "signatures": {"authorities": ["ops"]}}));
    signed["spec"]["authorities"] =
        json!([{"name": "ops", "keys": [{"secretRef": {"name": secret, "key": "cosign.pub"}}]}]);
    signed
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn an_invalid_policy_never_replaces_a_valid_one_and_one_that_is_made_anew_is_another() {
    let followed = followed().await;
    eventually("all were listed", async || followed.sets.borrow().listed).await;
    assert!(followed.sets.borrow().by_name.contains_key("baseline"));
    followed.apply(&refusing("acme", "first"));
    followed.becomes("acme", 1, InForce::This { rules: 1 }).await;
    followed.apply(&invalid("acme"));
    followed.becomes("acme", 2, InForce::Earlier { generation: 1, rules: 1 }).await;
    assert_eq!(followed.why("acme").as_deref(), Some("first"));
    let mistakes = followed.object("acme").expect("it is there").mistakes;
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert_eq!(mistakes[0].path, "spec.rules[0].tagz");
    let deleted = followed.cluster.kubectl(&["delete", "imgpol", "acme"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    eventually("it is gone", async || followed.object("acme").is_none() && followed.why("acme").is_none()).await;
    followed.apply(&invalid("acme"));
    followed.becomes("acme", 1, InForce::None).await;
    assert!(!followed.sets.borrow().by_name.contains_key("acme"));
    followed.apply(&refusing("baseline", "our own"));
    followed.becomes("baseline", 1, InForce::This { rules: 1 }).await;
    assert_eq!(followed.why("baseline").as_deref(), Some("our own"));
    assert_eq!(followed.cluster.kubectl(&["delete", "imgpol", "baseline"]).code, Some(0));
    eventually("the built-in one is back", async || followed.why("baseline").is_none()).await;
    assert!(followed.sets.borrow().by_name.contains_key("baseline"));
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_key_in_a_secret_is_waited_for_and_a_rotated_one_is_taken() {
    let followed = followed().await;
    followed.apply(&signed("acme", "keys"));
    followed.becomes("acme", 1, InForce::None).await;
    let mistake = followed.object("acme").expect("it is there").mistakes.remove(0);
    assert!(mistake.message.contains("there is no Secret `keys` in our namespace, `pratique-system`"), "{mistake}");
    let keys = [
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfP3PnyBhyjDseHcAJMoUEz5O8KqDdR8MzBSOQ2bzctmFfoQ3oBbPzc2Hm9igv61eJHUOvLHnrwZo6smMTU4IuQ==",
        "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=",
    ];
    let secret = |key: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys", "namespace": "pratique-system"},
            "stringData": {"cosign.pub": format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n")}})
    };
    followed.apply(&secret(keys[0]));
    followed.becomes("acme", 1, InForce::This { rules: 1 }).await;
    let first = Arc::clone(&followed.sets.borrow().by_name["acme"]);
    followed.apply(&secret(keys[1]));
    looked_at_again("the new key is in force", async || !Arc::ptr_eq(&first, &followed.sets.borrow().by_name["acme"]))
        .await;
    let deleted = followed.cluster.kubectl(&["delete", "secret", "keys", "-n", "pratique-system"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    looked_at_again("that it is gone is told", async || {
        followed.object("acme").is_some_and(|its| !its.mistakes.is_empty())
    })
    .await;
    assert_eq!(followed.object("acme").map(|its| its.in_force), Some(InForce::This { rules: 1 }), "and stays in force");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_thousand_policies_come_into_force_in_few_steps() {
    let followed = followed().await;
    let kind = GroupVersionKind::gvk("pratique.dev", "v1alpha1", "ImagePolicy");
    let api: Api<DynamicObject> =
        Api::all_with(followed.cluster.client().await, &ApiResource::from_gvk_with_plural(&kind, "imagepolicies"));
    let policies = (0..1_000).map(|number| {
        let policy = refusing(&format!("p{number}"), "one of many");
        serde_json::from_value::<DynamicObject>(policy).expect("an object")
    });
    let (before, started) = (followed.told.load(Ordering::Relaxed), Instant::now());
    let made = futures_util::stream::iter(policies).map(|policy| {
        let api = api.clone();
        async move { api.create(&PostParams::default(), &policy).await.expect("it is made") }
    });
    let made: Vec<DynamicObject> = made.buffer_unordered(16).collect().await;
    let written = started.elapsed();
    eventually("all are in force", async || followed.sets.borrow().objects.len() == made.len()).await;
    let set = Arc::clone(&followed.sets.borrow());
    assert!(set.objects.iter().all(|its| its.in_force == InForce::This { rules: 1 }));
    let sets = followed.told.load(Ordering::Relaxed) - before;
    println!("1,000 policies written in {written:?}, in force after {:?}, in {sets} sets", started.elapsed());
    assert!(sets < FEW, "{sets} sets");
}
