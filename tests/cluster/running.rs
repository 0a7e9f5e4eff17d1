//! What replicas without any memory know of a cluster by its Pods, and what tries again by itself what they cannot tell yet.

use std::time::{Duration, Instant};

use pratique_testkit::real::Cluster;
use pratique_testkit::{Behaviour, Directory, Image, Registry, Route, eventually};
use serde_json::json;

use crate::installed::Installed;
use crate::reached::{answer, certificates, judged, pod, policy, runs, settings};

/// Longer than the `timeoutSeconds` of our webhook, and less than what a look-up may take after the reply.
const LONGER_THAN_A_REVIEW: Duration = Duration::from_secs(7);

/// All replicas are killed, and as many started that know nothing.
async fn all_anew(installed: &Installed<'_>) {
    for replica in [0, 1] {
        installed.kill(replica);
        assert_eq!(installed.ended(replica).await, None);
    }
    for _ in [0, 1] {
        installed.start_replica().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn while_the_registry_is_away_what_runs_in_a_namespace_is_made_anew_there_by_replicas_that_know_nothing() {
    let (registry, hosts) = (Registry::setup().start().await, Directory::new());
    let digest = registry.push("acme/web", "v1", &Image::single());
    registry.push("acme/new", "v1", &Image::single().label("new"));
    let repository = format!("{}/acme/web", registry.host());
    let (image, new) = (format!("{repository}:v1"), format!("{}/acme/new:v1", registry.host()));
    let cluster = Cluster::start().await;
    let settings = settings(hosts.path(), &[&registry]);
    let setup = Installed::on(&cluster).settings(&settings).manifest(&policy("running")).manifest(&certificates());
    let installed = setup.start().await;
    let (shop, bank) = (judged(&cluster, "shop").await, judged(&cluster, "bank").await);
    installed.accepts(&pod(&shop, "web", &image));
    runs(&cluster, &shop, "web", &repository, &digest);
    registry.go_away();
    all_anew(&installed).await;
    eventually("it is let in by what runs", async || {
        answer(&cluster, &shop, &pod(&shop, "anew", &image)).await.is_ok()
    })
    .await;
    let made = installed.create(&pod(&shop, "anew", &image), &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    for (namespace, image) in [(&bank, &image), (&shop, &new)] {
        for _ in 0..6 {
            let refused = answer(&cluster, namespace, &pod(namespace, "another", image)).await;
            let refused = refused.expect_err("nobody knows it there");
            let after = refused.details.as_ref().map(|details| details.retry_after_seconds);
            assert_eq!((refused.code, after), (503, Some(1)), "{refused:?}");
            assert!(refused.message.contains("registry-unavailable"), "{refused:?}");
        }
    }
    registry.come_back().await;
    eventually("the new one is let in", async || answer(&cluster, &shop, &pod(&shop, "new", &new)).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_tag_that_was_moved_is_noticed_by_its_pods_after_all_replicas_were_replaced() {
    let (registry, hosts) = (Registry::setup().start().await, Directory::new());
    let first = registry.push("acme/web", "v1", &Image::single());
    let repository = format!("{}/acme/web", registry.host());
    let image = format!("{repository}:v1");
    let cluster = Cluster::start().await;
    let settings = settings(hosts.path(), &[&registry]);
    let setup = Installed::on(&cluster).settings(&settings).manifest(&policy("deny")).manifest(&certificates());
    let installed = setup.start().await;
    let shop = judged(&cluster, "shop").await;
    installed.accepts(&pod(&shop, "web", &image));
    runs(&cluster, &shop, "web", &repository, &first);
    let second = registry.push("acme/web", "v1", &Image::single().label("second"));
    all_anew(&installed).await;
    let told = installed.rejects(&pod(&shop, "anew", &image), &["tag-repointed", &first[..19], &second]);
    assert!(told.contains("403") || told.contains("Forbidden") || told.contains("denied the request"), "{told}");
    installed.would_accept(&pod(&shop, "anew", &format!("{repository}@{second}")));
    // Nothing names the tag otherwise any more.
    let deleted = cluster.kubectl(&["delete", "pod", "web", "-n", &shop, "--force", "--grace-period=0"]);
    assert_eq!(deleted.code, Some(0), "{deleted:?}");
    eventually("what the tag names now is let in", async || {
        answer(&cluster, &shop, &pod(&shop, "anew", &image)).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn what_takes_longer_than_a_review_may_is_made_in_the_end_by_kubectl_and_by_controllers_by_themselves() {
    let (registry, hosts) = (Registry::setup().start().await, Directory::new());
    registry.push("acme/slow", "v1", &Image::single());
    registry.push("acme/slower", "v1", &Image::single().label("slower"));
    let image = |name: &str| format!("{}/{name}:v1", registry.host());
    let cluster = Cluster::with_controllers().await;
    let settings = settings(hosts.path(), &[&registry]);
    let setup = Installed::on(&cluster).settings(&settings).manifest(&policy("deny")).manifest(&certificates());
    let installed = setup.start().await;
    let shop = judged(&cluster, "shop").await;
    let before = installed.reviews();
    registry.on_next(Route::Any, 2, Behaviour::Delay(LONGER_THAN_A_REVIEW));
    let started = Instant::now();
    installed.accepts(&pod(&shop, "slow", &image("acme/slow")));
    assert!(started.elapsed() >= LONGER_THAN_A_REVIEW, "{:?}", started.elapsed());
    assert!(installed.reviews() >= before + 2, "it was asked again");

    registry.on_next(Route::Any, 2, Behaviour::Delay(LONGER_THAN_A_REVIEW));
    let template = json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image("acme/slower")}]}});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": shop},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}});
    let made = installed.create(&set.to_string(), &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let started = Instant::now();
    let pods = || cluster.kubectl(&["get", "pods", "-n", &shop, "-l", "app=web", "-o", "name"]).stdout;
    while !pods().starts_with("pod/web-") {
        assert!(started.elapsed() < Duration::from_secs(60), "the ReplicaSet has no Pod");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(registry.requests().iter().any(|seen| format!("{seen:?}").contains("acme/slower")));
}
