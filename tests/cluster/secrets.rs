//! Pull secrets read from a real API server, with the rights that we ship.

use std::path::Path;
use std::time::{Duration, Instant};

use pratique::evidence::budget::{Budget, Deadline, Patience};
use pratique::evidence::cluster::connection::Connection;
use pratique::evidence::cluster::pull_secrets::{PullSecrets, Usage};
use pratique::evidence::cluster::secrets::{Brought, LiveSecrets};
use pratique::evidence::registry::credentials::{Candidate, Credential};
use pratique::fact::Fault;
use pratique::policy::plan::Wait;
use pratique::request;
use pratique_testkit::eventually;
use pratique_testkit::real::Cluster;

const HOST: &str = "registry.example";

/// As the program asks, with the rights of this kubeconfig.
async fn live(kubeconfig: &Path) -> PullSecrets {
    let connection = Connection::open(Some(kubeconfig)).await.expect("a kubeconfig of ours");
    PullSecrets::live(LiveSecrets::new(connection))
}

fn patience() -> Patience {
    Deadline::at(Instant::now() + Duration::from_secs(20)).patience(&Budget::default())
}

fn asked(named: &[&str]) -> request::PullSecrets {
    request::PullSecrets { named: named.iter().map(|&name| name.to_owned()).collect(), service_account: String::new() }
}

async fn bring(secrets: &PullSecrets, usage: Usage, namespace: &str, named: &[&str]) -> Brought {
    secrets.brought(usage, namespace, &asked(named), Wait::UntilDeadline, patience()).await
}

/// Who we are to the registry, in order.
fn users(brought: &Brought) -> Vec<String> {
    let candidates = brought.keyrings.iter().flat_map(|keyring| keyring.matching(HOST, "app"));
    let user = |candidate| match candidate {
        Candidate::Credential(Credential::Basic { username, .. }) => username.to_string(),
        other @ (Candidate::Credential(_) | Candidate::Helper(_) | Candidate::Provider(_)) => panic!("{other:?}"),
    };
    candidates.map(user).collect()
}

fn words(brought: &Brought) -> String {
    brought.trouble.as_ref().map(|its| its.words.to_string()).unwrap_or_default()
}

fn pull_secret(cluster: &Cluster, namespace: &str, name: &str, user: &str) {
    let server = format!("--docker-server={HOST}");
    let user = format!("--docker-username={user}");
    let create = ["create", "secret", "docker-registry", name, "-n", namespace, &server, &user, "--docker-password=p"];
    let written = cluster.kubectl(&[&create[..], &["--dry-run=client", "-o", "yaml"]].concat());
    let applied = cluster.kubectl_with_input(&["apply", "-f", "-"], &written.stdout);
    assert_eq!(applied.code, Some(0), "{applied:?}");
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_secret_that_is_made_late_or_rotated_works_within_seconds_and_is_no_other_namespaces() {
    let cluster = Cluster::shared().await;
    let shop = cluster.fresh_namespace("pull", &[]).await;
    let bank = cluster.fresh_namespace("pull", &[]).await;
    let secrets = live(cluster.kubeconfig()).await;
    assert_eq!(users(&bring(&secrets, Usage::Named, &shop, &["late"]).await), Vec::<String>::new());
    pull_secret(cluster, &shop, "late", "first");
    eventually("the Secret is found", async || {
        users(&bring(&secrets, Usage::Named, &shop, &["late"]).await) == ["first"]
    })
    .await;
    for usage in [Usage::Named, Usage::All] {
        let elsewhere = bring(&secrets, usage, &bank, &["late"]).await;
        assert_eq!((users(&elsewhere), words(&elsewhere)), (vec![], String::new()));
    }
    pull_secret(cluster, &shop, "late", "second");
    // As after a registry's 401.
    eventually("the new one is read", async || {
        let again = secrets.again(Usage::Named, &shop, &asked(&["late"]), Wait::UntilDeadline, patience()).await;
        again.is_some_and(|again| users(&again) == ["second"])
    })
    .await;
    assert_eq!(users(&bring(&secrets, Usage::Named, &shop, &["late"]).await), ["second"]);
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn those_of_the_service_account_follow_and_with_all_the_rest_of_the_namespace() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.fresh_namespace("pull", &[]).await;
    for name in ["own", "account", "other"] {
        pull_secret(cluster, &namespace, name, name);
    }
    let opaque = cluster.kubectl(&["create", "secret", "generic", "opaque", "-n", &namespace, "--from-literal=a=b"]);
    assert_eq!(opaque.code, Some(0), "{opaque:?}");
    let patch = r#"{"imagePullSecrets": [{"name": "account"}, {"name": "gone"}]}"#;
    let patched = cluster.kubectl(&["patch", "serviceaccount", "default", "-n", &namespace, "-p", patch]);
    assert_eq!(patched.code, Some(0), "{patched:?}");
    let secrets = live(cluster.kubeconfig()).await;
    let named = bring(&secrets, Usage::Named, &namespace, &["own"]).await;
    assert_eq!((users(&named), words(&named)), (vec!["own".to_owned(), "account".to_owned()], String::new()));
    let all = bring(&secrets, Usage::All, &namespace, &["own"]).await;
    assert_eq!(users(&all), ["own", "account", "other"]);
    assert_eq!(users(&bring(&secrets, Usage::None, &namespace, &["own"]).await), Vec::<String>::new());
}

#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn without_the_right_to_get_secrets_it_says_so() {
    let cluster = Cluster::shared().await;
    let namespace = cluster.fresh_namespace("pull", &[]).await;
    pull_secret(cluster, &namespace, "own", "own");
    let secrets = live(&cluster.kubeconfig_for(&namespace, "default").await).await;
    let refused = bring(&secrets, Usage::Named, &namespace, &["own"]).await;
    let expected = format!(
        "secret `own` of namespace `{namespace}` may not be read: the API server answered 403 Forbidden; allow our service \
         account the verb get on secrets in namespace `{namespace}`, as the ClusterRole pratique does"
    );
    assert_eq!((users(&refused), words(&refused)), (vec![], expected));
    assert_eq!(refused.trouble.map(|its| its.fault), Some(Fault::Refused));
    let account = format!("--serviceaccount={namespace}:default");
    let get = ["create", "role", "reader", "-n", &namespace, "--verb=get", "--resource=secrets,serviceaccounts"];
    let bind = ["create", "rolebinding", "reader", "-n", &namespace, "--role=reader", &account];
    for command in [&get[..], &bind[..]] {
        let done = cluster.kubectl(command);
        assert_eq!(done.code, Some(0), "{done:?}");
    }
    eventually("the right works", async || {
        let brought = bring(&secrets, Usage::Named, &namespace, &["own"]).await;
        users(&brought) == ["own"] && words(&brought).is_empty()
    })
    .await;
    let all = words(&bring(&secrets, Usage::All, &namespace, &["own"]).await);
    assert!(all.contains(&format!("the verb list on secrets in namespace `{namespace}`")), "{all}");
}
