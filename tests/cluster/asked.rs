//! `pratique status` in a real cluster: all is well, and then one thing after the other is not.

use std::path::Path;

use pratique_testkit::real::Cluster;
use pratique_testkit::{NOBODY, Outcome, eventually, run};

use crate::installed::{Installed, PRATIQUE};

/// Whoever asks, how the webhook is reached.
fn ask(kubeconfig: &Path, flags: &[&str]) -> Outcome {
    let kubeconfig = kubeconfig.display().to_string();
    let all: Vec<&str> = ["status", "--kubeconfig", &kubeconfig].into_iter().chain(flags.iter().copied()).collect();
    run(PRATIQUE, &all)
}

/// Its exit status, and that it says a line of this level about that with these words.
#[track_caller]
fn says(outcome: &Outcome, code: i32, level: &str, about: &str, words: &str) {
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    let said = |line: &str| {
        line.strip_prefix(level).is_some_and(|rest| rest.trim_start().starts_with(about)) && line.contains(words)
    };
    assert!(outcome.stdout.lines().any(said), "there is no {level} {about} {words:?} in:\n{}", outcome.stdout);
}

/// How many lines are of these levels.
fn count(outcome: &Outcome, level: &str) -> usize {
    outcome.stdout.lines().filter(|line| line.split_whitespace().next() == Some(level)).count()
}

fn does(cluster: &Cluster, line: &[&str]) -> String {
    let outcome = cluster.kubectl(line);
    assert_eq!(outcome.code, Some(0), "{line:?}: {outcome:?}");
    outcome.stdout
}

fn patch(cluster: &Cluster, patch: &str) {
    does(cluster, &["patch", "validatingwebhookconfiguration/pratique", "--type=json", "-p", patch]);
}

const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/base/settings/pratique.yaml");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn status_finds_nothing_wrong_in_what_we_ship_and_then_each_thing_that_is() {
    let cluster = Cluster::start().await;
    let installed = Installed::on(&cluster).shipped("overlays/audit-only").start().await;
    let forwarded = format!("127.0.0.1:{}", installed.forwarder().port());
    let forwarded = ["--connect-to", forwarded.as_str()];
    let asked = || ask(cluster.kubeconfig(), &forwarded);
    cluster.namespace("shop", &[("pratique.dev/enforce", "baseline")]).await;
    eventually("the replicas know the namespace", async || {
        let refusal = asked();
        refusal.code == Some(0) && refusal.stdout.contains("is refused\n")
    })
    .await;

    let well = asked();
    // There are no nodes here: what answers is no Pod of the Deployment.
    assert_eq!(well.stdout.lines().last(), Some("nothing is wrong, 1 warning"), "{well:?}");
    says(
        &well,
        0,
        "warning",
        "replicas",
        "none of 2 is ready, so API servers reach nobody, unless another than its Pods",
    );
    for (about, words) in [
        ("version", env!("CARGO_PKG_VERSION")),
        ("configuration", "what cannot be asked is refused in namespaces with the label pratique.dev/enforce"),
        (
            "certificate",
            "what is shown as pratique.pratique-system.svc is vouched for by the caBundle, and good until 20",
        ),
        ("webhook", "it answers in "),
        ("refusal", "in `shop`, which enforces baseline, an image tagged latest is refused"),
        ("policies", "no ImagePolicy is there; baseline and restricted are built in"),
        ("namespaces", "`baseline` enforced in 1; "),
        ("exempt", "nothing is judged in: `kube-system`, `pratique-system`"),
        ("lease", "held by `pratique-"),
    ] {
        says(&well, 0, "ok", about, words);
    }
    let json = ask(cluster.kubeconfig(), &[&forwarded[..], &["-o", "json"]].concat()).json();
    assert_eq!(json["verdict"], "warning", "{json}");

    // As a Pod under our own account, with the settings mounted; and without them, as far as it goes.
    let account = cluster.kubeconfig_for("pratique-system", "pratique").await;
    let mounted = ask(&account, &[&forwarded[..], &["--config", SETTINGS]].concat());
    assert_eq!((mounted.code, count(&mounted, "ok")), (Some(0), count(&well, "ok")), "{mounted:?}");
    let without = ask(&account, &forwarded);
    says(&without, 0, "warning", "settings", "does not let you get deployments.apps/pratique in pratique-system");
    says(&without, 0, "warning", "configuration", "neither `defaults.enforce` nor `floor`: name them with --config");

    let away = ask(cluster.kubeconfig(), &[]);
    let how = "port-forward service/pratique 8443:";
    says(&away, 1, "warning", "webhook", how);
    says(
        &away,
        1,
        "wrong",
        "replicas",
        "none of 2 is ready, so nobody answers, and what must be asked about is refused",
    );
    says(
        &ask(cluster.kubeconfig(), &["--connect-to", NOBODY]),
        1,
        "wrong",
        "webhook",
        "nobody answers at 127.0.0.1:1 (",
    );
    let stranger = ask(&cluster.kubeconfig_as("jane", &[]), &forwarded);
    let words = "the API server does not let you get validatingwebhookconfigurations/pratique";
    says(&stranger, 2, "unknown", "configuration", words);
    says(&stranger, 2, "unknown", "policies", "does not let you list imagepolicies.pratique.dev");
    says(&stranger, 2, "unknown", "namespaces", "does not let you list namespaces");
    assert_eq!(count(&stranger, "wrong"), 0, "{stranger:?}");

    // With a floor what the overlay ships is a way past it.
    let floor = cluster.folder().join("floor.yaml");
    std::fs::write(&floor, "floor: baseline\n").expect("a file in a folder of ours");
    let floor = ask(cluster.kubeconfig(), &[&forwarded[..], &["--config", &floor.display().to_string()]].concat());
    says(&floor, 1, "wrong", "configuration", "unlabelled.images.pratique.dev: failurePolicy is `Ignore`, and by");

    cluster.namespace("bank", &[("pratique.dev/enforce", "strict")]).await;
    says(
        &asked(),
        1,
        "wrong",
        "namespaces",
        "pratique.dev/enforce of `bank` names `strict`, and there is no such policy",
    );
    does(&cluster, &["label", "namespace", "bank", "pratique.dev/enforce-", "pratique.dev/warn=strict"]);
    says(
        &asked(),
        0,
        "warning",
        "namespaces",
        "pratique.dev/warn of `bank` names `strict`, and there is no such policy",
    );
    does(&cluster, &["label", "namespace", "bank", "pratique.dev/warn-"]);

    patch(&cluster, r#"[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 30}]"#);
    says(&asked(), 1, "wrong", "configuration", "timeoutSeconds is 30");
    patch(&cluster, r#"[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 5}]"#);
    let mended = asked();
    assert_eq!(mended.code, Some(0), "{mended:?}");

    // Somebody else fills in the bundle, so that we leave it alone, and it is that of another CA.
    does(&cluster, &["annotate", "validatingwebhookconfiguration", "pratique", "cert-manager.io/inject-ca-from=a/b"]);
    let other = "jsonpath={.clusters[0].cluster.certificate-authority-data}";
    let other = does(&cluster, &["config", "view", "--raw", "-o", other]);
    assert!(!other.is_empty(), "the kubeconfig has a CA in it");
    let of = |webhook: usize, bundle: &str| {
        format!(r#"[{{"op": "replace", "path": "/webhooks/{webhook}/clientConfig/caBundle", "value": "{bundle}"}}]"#)
    };
    let ours = "jsonpath={.webhooks[0].clientConfig.caBundle}";
    let ours = does(&cluster, &["get", "validatingwebhookconfiguration", "pratique", "-o", ours]);
    eventually("the bundle stays as we write it", async || {
        patch(&cluster, &of(1, &other));
        patch(&cluster, &of(2, &other));
        patch(&cluster, &of(0, &other));
        let stranger = asked();
        // Three bundles, and no Pod of the Deployment.
        stranger.code == Some(1) && count(&stranger, "wrong") == 4
    })
    .await;
    let words = "does not vouch for what 127.0.0.1:";
    says(&asked(), 1, "wrong", "certificate", words);
    says(&asked(), 1, "wrong", "certificate", "none of the caBundle's CAs has signed it");

    // Nobody is asked about policies now, so that one slips in that is wrong.
    let broken = "{apiVersion: pratique.dev/v1alpha1, kind: ImagePolicy, metadata: {name: broken}, spec: {rules: [{name: a, \
                  images: ['**'], admit: true, tag: {deny: [latest]}}]}}";
    eventually("the API server goes by the new bundle", async || {
        cluster.kubectl_with_input(&["create", "-f", "-"], broken).code == Some(0)
    })
    .await;
    for webhook in 0..3 {
        patch(&cluster, &of(webhook, &ours));
    }
    eventually("a replica has written what became of it", async || asked().stdout.contains("`broken` is not accepted"))
        .await;
    let wrong = asked();
    says(&wrong, 1, "wrong", "policies", "`broken` is not accepted: ");
    says(&wrong, 1, "ok", "policies", "0 of 1 in force as written");
    // The forwarder may still be finding out that API servers have been sent away.
    eventually("nothing else is wrong", async || count(&asked(), "wrong") == 1).await;
    does(&cluster, &["delete", "imgpol", "broken"]);
    eventually("nothing is wrong", async || asked().code == Some(0)).await;

    does(&cluster, &["delete", "validatingwebhookconfiguration", "pratique"]);
    let words = "there is no ValidatingWebhookConfiguration pratique, so nothing is judged";
    says(&asked(), 1, "wrong", "configuration", words);

    drop(installed);
    cluster.stop_api_server();
    says(&asked(), 2, "unknown", "API server", "the API server cannot be reached (");
}
