//! The chart: installed, asked, tested by itself, upgraded, rolled back, uninstalled, and installed again over what remained.

use std::collections::BTreeSet;

use super::overlays::{earlier, unpack};
use super::{ROLLED_OUT, Way, judges, settles, taken_away};
use crate::place::Place;
use crate::place::load::Load;

const INSTALL: &str = "helm install pratique manifests/chart --namespace pratique-system --create-namespace";
const TRUSTED: &str =
    "kubectl wait --for=jsonpath='{.webhooks[0].clientConfig.caBundle}' validatingwebhookconfiguration/pratique";
/// What stands in every namespace, and is named by it.
const OF_THE_NAMESPACE: [&str; 3] = [
    "Namespace pratique-system",
    "ConfigMap pratique-system/kube-root-ca.crt",
    "ServiceAccount pratique-system/default",
];
/// Policies with their kind, what the program has made itself, and the policy that the test has made.
const KEPT: [&str; 5] = [
    "CustomResourceDefinition imagepolicies.pratique.dev",
    "APIService v1alpha1.pratique.dev",
    "ImagePolicy acme",
    "Secret pratique-system/pratique-certificates",
    "Lease pratique-system/pratique",
];
const POLICY: &str = "kubectl apply -f - <<'EOF'
apiVersion: pratique.dev/v1alpha1
kind: ImagePolicy
metadata: {name: acme}
spec: {rules: [{name: own, images: ['ghcr.io/acme/**'], tags: {requireDigest: true}}]}
EOF
kubectl wait --for=condition=Ready imagepolicy/acme";

fn chart() -> Way {
    Way {
        name: "chart",
        install: INSTALL.to_owned(),
        uninstall: "helm -n pratique-system uninstall pratique --wait".to_owned(),
        enforces: false,
        leaves: [&OF_THE_NAMESPACE[..], &KEPT[..]].concat(),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn the_chart_comes_and_goes_and_comes_again_over_what_it_left() {
    let place = Place::new().await;
    place.run(
        "kubectl create namespace pratique-system
        helm template pratique manifests/chart -n pratique-system --kube-version 1.36 | kubectl apply --dry-run=server -f -
        kubectl delete namespace pratique-system",
    );
    let way = chart();
    place.run(&format!("{}\n{ROLLED_OUT}\n{TRUSTED}", way.install));
    judges(&place, way.enforces).await;
    tests_itself(&place).await;
    place.run(POLICY);
    let bundle = "kubectl get secret pratique-certificates -n pratique-system -o jsonpath='{.data.ca\\.crt}'";
    let before = place.run(bundle);
    taken_away(&place, &way).await;
    // Over what remained: the same policies, and a CA that API servers knew before.
    place
        .run(&format!("{}\n{ROLLED_OUT}\n{TRUSTED}\nkubectl wait --for=condition=Ready imagepolicy/acme", way.install));
    assert_eq!(place.run(bundle), before, "there is another CA");
    place
        .eventually("kubectl -n strict run again --image=registry.invalid/web:latest --dry-run=server", |outcome| {
            outcome.stderr.contains("denied the request") && outcome.stderr.contains("tag-mutable")
        })
        .await;
    // All of it, as the notes of the chart say.
    place.run(&format!(
        "{}
        kubectl delete crd imagepolicies.pratique.dev
        kubectl delete namespace pratique-system",
        way.uninstall
    ));
    settles(&place, &BTreeSet::from(["Namespace strict".to_owned()])).await;
}

/// By `pratique status` in a Pod; and the test fails where something is wrong.
async fn tests_itself(place: &Place) {
    // A little after the caBundle was written everybody knows it.
    place.eventually("helm -n pratique-system test pratique --logs", |outcome| outcome.code == Some(0)).await;
    let weak = "kubectl patch validatingwebhookconfiguration pratique --type=json \
                -p '[{\"op\": \"replace\", \"path\": \"/webhooks/0/failurePolicy\", \"value\": \"Ignore\"}]'";
    place.run(weak);
    place.fails("helm -n pratique-system test pratique --logs", &[]);
    place.run(&weak.replace("Ignore", "Fail"));
    place.run("helm -n pratique-system test pratique --logs");
}

/// From the chart of an older commit, where there is one that has it; else from this one with another image.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn the_chart_is_upgraded_and_rolled_back_without_a_lost_call() {
    let place = Place::new().await;
    let older = unpack(&place, earlier("manifests/chart"));
    place.run(&format!(
        "helm install pratique older/manifests/chart -n pratique-system --create-namespace --set image.tag=0.0.9
        {ROLLED_OUT}\n{TRUSTED}"
    ));
    place.run(POLICY);
    let load = Load::start(&place).await;
    load.more(50).await;
    // Without it helm takes the values of before, and with them the image.
    let upgrade = "helm -n pratique-system upgrade pratique manifests/chart --reset-values";
    place.run(&format!("{upgrade}\n{ROLLED_OUT}"));
    // One value is the whole step, and the step back.
    let asked = "kubectl run web --image=registry.invalid/web:latest --dry-run=server";
    place.run(&format!("{upgrade} --set enforcement=enforce\n{ROLLED_OUT}"));
    place.eventually(asked, |outcome| outcome.stderr.contains("denied the request")).await;
    place.run(&format!("{upgrade}\n{ROLLED_OUT}"));
    place.eventually(asked, |outcome| outcome.code == Some(0)).await;
    place.run(&format!("helm -n pratique-system rollback pratique 1\n{ROLLED_OUT}"));
    let image =
        "kubectl -n pratique-system get deployment pratique -o jsonpath='{.spec.template.spec.containers[0].image}'";
    assert!(place.run(image).ends_with(":0.0.9"));
    place.run("kubectl get imagepolicy acme");
    load.untroubled(&place, &format!("the chart, from {older} and back")).await;
}
