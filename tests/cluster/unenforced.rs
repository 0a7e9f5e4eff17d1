//! `overlays/audit-only`: two webhooks share the namespaces. Nothing is refused without a label, whatever happens to us, and
//! with it nothing passes unseen.

use pratique_testkit::real::Cluster;
use pratique_testkit::{Outcome, eventually};

use crate::installed::Installed;

fn pod(namespace: &str, name: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, \
         spec: {{containers: [{{name: web, image: 'registry.invalid/web:latest'}}]}}}}"
    )
}

/// What stands behind a part of `/readyz`.
fn registration(installed: &Installed<'_>) -> String {
    let (_, text) = installed.admin(0, "/readyz").expect("it answers");
    text.lines().find(|line| line.contains("registration")).unwrap_or(&text).to_owned()
}

fn weakened(installed: &Installed<'_>) -> Vec<String> {
    let (_, metrics) = installed.admin(0, "/metrics").expect("it answers");
    let weak = |line: &&str| line.starts_with("pratique_webhook_configuration_weakened{") && line.ends_with(" 1");
    metrics.lines().filter(weak).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn without_a_label_nothing_is_refused_whatever_happens_and_with_one_nothing_passes_unseen() {
    let cluster = Cluster::start().await;
    let installed = Installed::on(&cluster).shipped("overlays/audit-only").replicas(1).start().await;
    let bundles = "jsonpath={range .webhooks[*]}{.name} {.failurePolicy} {.clientConfig.caBundle}{'\\n'}{end}";
    let webhooks = cluster.kubectl(&["get", "validatingwebhookconfiguration", "pratique", "-o", bundles]).stdout;
    let webhooks: Vec<Vec<&str>> = webhooks.lines().map(|line| line.split(' ').collect()).collect();
    let mut names: Vec<[&str; 2]> = webhooks.iter().map(|words| [words[0], words[1]]).collect();
    names.sort_unstable();
    let expected = [
        ["images.pratique.dev", "Fail"],
        ["policies.pratique.dev", "Ignore"],
        ["unenforced.images.pratique.dev", "Ignore"],
    ];
    assert_eq!(names, expected);
    assert!(webhooks.iter().all(|words| words[2].len() > 100 && words[2] == webhooks[0][2]), "{webhooks:?}");
    eventually("nothing is weakened", async || weakened(&installed).is_empty()).await;
    eventually("the look at it says so", async || !registration(&installed).contains("degraded")).await;

    cluster.namespace("free", &[]).await;
    cluster.namespace("shop", &[("pratique.dev/enforce", "baseline")]).await;
    eventually("the label is known", async || {
        installed.create(&pod("shop", "a"), &["--dry-run=server"]).stderr.contains("tag-mutable")
    })
    .await;
    installed.would_reject(&pod("shop", "a"), &["images.pratique.dev", "tag-mutable"]);
    let warned = installed.create(&pod("free", "a"), &["--dry-run=server"]);
    assert_eq!(warned.code, Some(0), "{warned:?}");
    assert!(warned.stderr.contains("Warning: ") && warned.stderr.contains("(policy baseline)"), "{warned:?}");

    installed.kill(0);
    let admitted = installed.create(&pod("free", "b"), &[]);
    assert_eq!(admitted.code, Some(0), "{admitted:?}");
    let refused = installed.create(&pod("shop", "b"), &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("failed calling webhook \"images.pratique.dev\""), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn with_a_floor_the_program_says_what_is_weak_about_it() {
    let cluster = Cluster::start().await;
    let settings = "floor: baseline\nexemptNamespaces: [kube-system, pratique-system]\nlog: {level: info, format: json}\n\
                    defaults: {enforce: null, warn: null, audit: null}\n";
    let policy = "{apiVersion: pratique.dev/v1alpha1, kind: ImagePolicy, metadata: {name: open}, spec: {rules: [{name: a, \
                  images: ['**'], admit: true}]}}";
    let settings = settings.replace("floor: baseline", "floor: open");
    let installed =
        Installed::on(&cluster).shipped("overlays/audit-only").manifest(policy).settings(&settings).replicas(1);
    let installed = installed.start().await;
    let expected = ["pratique_webhook_configuration_weakened{what=\"failure-policy\"} 1"];
    eventually("the weakness is counted", async || weakened(&installed) == expected).await;
    let words = "unenforced.images.pratique.dev: failurePolicy is `Ignore`, and by `defaults.enforce` or `floor`";
    assert!(registration(&installed).contains(words), "{}", registration(&installed));
    assert!(installed.log(0).contains("apply overlays/enforce, or set it to Fail"));
}

/// Whoever applies the base alone later does not keep the second webhook, although its caBundle is ours.
#[tokio::test]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn with_the_base_alone_the_second_webhook_goes_away_again() {
    let cluster = Cluster::start().await;
    let done = |outcome: Outcome| {
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        outcome.stdout
    };
    let shipped = |folder: &str| {
        let folder = format!("{}/manifests/{folder}", env!("CARGO_MANIFEST_DIR"));
        let rendered = done(cluster.kubectl(&["kustomize", &folder]));
        let kind = "kind: ValidatingWebhookConfiguration\n";
        rendered.split("\n---\n").find(|document| document.contains(kind)).expect("it is there").to_owned()
    };
    let names = || {
        let names = "jsonpath={.webhooks[*].name}";
        let named = done(cluster.kubectl(&["get", "validatingwebhookconfiguration", "pratique", "-o", names]));
        let mut names: Vec<String> = named.split(' ').map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    done(cluster.kubectl_with_input(&["apply", "-f", "-"], &shipped("overlays/audit-only")));
    let both = ["images.pratique.dev", "policies.pratique.dev", "unenforced.images.pratique.dev"];
    assert_eq!(names(), both);
    let entries = both.map(|name| format!("{{name: {name}, clientConfig: {{caBundle: eA==}}}}")).join(", ");
    let bundle = format!(
        "{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {{name: pratique}}, \
         webhooks: [{entries}]}}"
    );
    // As the program does it.
    let ours = ["apply", "--server-side", "--field-manager=pratique-certificates", "-f", "-"];
    done(cluster.kubectl_with_input(&ours, &bundle));
    done(cluster.kubectl_with_input(&["apply", "-f", "-"], &shipped("base")));
    assert_eq!(names(), both[..2]);
}
