//! Our webhook configuration as it is in a real API server, with all that it fills in, compared with what we expect.

use std::path::Path;
use std::sync::Arc;

use pratique::controller::Names;
use pratique::controller::registration::{Registration, Unlabelled};
use pratique::evidence::cluster::connection::Connection;
use pratique::server::admin::PartStatus;
use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;
use prometheus::Registry;

use crate::shipped;

fn names() -> Names {
    Names {
        namespace: "pratique-system".to_owned(),
        service: "pratique".to_owned(),
        webhook_configuration: "pratique".to_owned(),
        replica: "pratique-0".to_owned(),
    }
}

/// What the first look finds.
async fn looked(kubeconfig: &Path) -> PartStatus {
    let connection = Connection::open(Some(kubeconfig)).await.expect("a kubeconfig that can be used");
    let registration = Arc::new(Registration::new(&Registry::new()).expect("fresh collectors"));
    let unseen = registration.status();
    let watching = tokio::spawn(Arc::clone(&registration).watch(connection, names(), Unlabelled::Free));
    eventually("it was looked at", async || registration.status() != unseen).await;
    watching.abort();
    registration.status()
}

#[track_caller]
fn words(status: PartStatus) -> String {
    match status {
        PartStatus::Degraded(words) => words,
        PartStatus::Ready | PartStatus::NotReady(_) => panic!("{status:?}"),
    }
}

fn patch(cluster: &Cluster, patch: &str) {
    let patched = cluster.kubectl(&["patch", "validatingwebhookconfiguration/pratique", "--type=json", "-p", patch]);
    assert_eq!(patched.code, Some(0), "{patched:?}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn what_we_ship_is_in_order_once_it_is_trusted_and_what_is_taken_from_it_is_named() {
    let cluster = Cluster::start().await;
    let account = shipped::account(&cluster).await;
    let missing =
        "there is no ValidatingWebhookConfiguration pratique, so nothing is judged: apply the one that we ship";
    assert_eq!(words(looked(&account).await), missing);

    shipped::apply(&cluster, "validatingwebhookconfiguration.yaml");
    let untrusted = words(looked(&account).await);
    assert_eq!(untrusted.matches("caBundle is empty").count(), 3, "{untrusted}");
    assert_eq!(untrusted.matches("; ").count(), 2, "{untrusted}");
    let bundle =
        |index: u8| format!(r#"[{{"op":"add","path":"/webhooks/{index}/clientConfig/caBundle","value":"eA=="}}]"#);
    patch(&cluster, &bundle(0));
    patch(&cluster, &bundle(1));
    patch(&cluster, &bundle(2));
    assert_eq!(looked(&account).await, PartStatus::Ready);

    patch(&cluster, r#"[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Ignore"}]"#);
    patch(
        &cluster,
        r#"[{"op":"add","path":"/webhooks/0/namespaceSelector/matchExpressions/-","value":{"key":"skip","operator":"DoesNotExist"}}]"#,
    );
    patch(&cluster, r#"[{"op":"remove","path":"/webhooks/0/rules/1"}]"#);
    patch(&cluster, r#"[{"op":"replace","path":"/webhooks/0/rules/0/scope","value":"*"}]"#);
    let weakened = words(looked(&account).await);
    let named = [
        "failurePolicy is `Ignore`",
        "rules are without UPDATE pods/ephemeralcontainers, so",
        "namespaceSelector leaves out namespaces by `skip` `DoesNotExist`",
    ];
    assert!(named.iter().all(|words| weakened.contains(words)), "{weakened}");
    assert_eq!(weakened.matches("images.pratique.dev: ").count(), 3, "{weakened}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn without_the_right_to_look_it_says_which_right_that_is() {
    let cluster = Cluster::shared().await;
    let nobody = cluster.kubeconfig_as("jane", &[]);
    let words = words(looked(&nobody).await);
    let expected = "the webhook configuration cannot be read: the API server does not let us get \
                    validatingwebhookconfigurations.admissionregistration.k8s.io: give the ClusterRole of our service \
                    account that verb again (";
    assert!(words.starts_with(expected), "{words}");
}
