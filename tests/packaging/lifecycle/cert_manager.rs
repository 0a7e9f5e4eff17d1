//! The overlay with cert-manager, by cert-manager's own controllers and its own CA injector, each with the rights that the
//! guard leaves them.

use std::process::Command;

use pratique_testkit::real::{Running, built, provided};

use super::{ROLLED_OUT, Way, comes_and_goes};
use crate::place::Place;
use crate::place::load::Load;

/// What cert-manager may do, as far as its own manifests say more than our component does: everything, but nothing about
/// policies of ours. So the guard stops it unless the component lets it through.
const RIGHTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cert-manager}
rules:
- {apiGroups: ["", events.k8s.io, cert-manager.io, acme.cert-manager.io, coordination.k8s.io], resources: ["*"], verbs: ["*"]}
- {apiGroups: [admissionregistration.k8s.io, apiextensions.k8s.io, networking.k8s.io], resources: ["*"], verbs: ["*"]}
- {apiGroups: [certificates.k8s.io, apiregistration.k8s.io, flowcontrol.apiserver.k8s.io], resources: ["*"], verbs: ["*"]}
- {nonResourceURLs: ["*"], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cert-manager}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cert-manager}
subjects:
- {kind: ServiceAccount, namespace: cert-manager, name: cert-manager}
- {kind: ServiceAccount, namespace: cert-manager, name: cert-manager-cainjector}
"#;

/// They run until this is dropped.
struct CertManager {
    controllers: Running,
    injector: Running,
}

impl CertManager {
    async fn install(place: &Place) -> Self {
        let kinds = provided("cert-manager");
        place.run(&format!(
            "kubectl apply --server-side -f '{}'
            kubectl wait --for=condition=Established crd --all
            kubectl create namespace cert-manager
            kubectl -n cert-manager create serviceaccount cert-manager
            kubectl -n cert-manager create serviceaccount cert-manager-cainjector
            kubectl apply -f - <<'RIGHTS'\n{RIGHTS}RIGHTS",
            kinds.display()
        ));
        let controllers = Self::start(place, "controllers", "cert-manager").await;
        let injector = Self::start(place, "cainjector", "cert-manager-cainjector").await;
        Self { controllers, injector }
    }

    async fn start(place: &Place, part: &str, account: &str) -> Running {
        let kubeconfig = place.cluster().kubeconfig_for("cert-manager", account).await;
        let mut command = Command::new(built("cert-manager-controllers"));
        Running::start(command.arg(part).arg("--kubeconfig").arg(kubeconfig))
    }

    /// What they print, for who looks why something did not happen.
    fn account(&self) -> String {
        let last = |log: String| log.lines().rev().take(30).map(|line| format!("{line}\n")).collect::<String>();
        format!("controllers, from the end:\n{}injector:\n{}", last(self.controllers.log()), last(self.injector.log()))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn cert_manager_makes_the_certificate_and_its_injector_the_bundle_and_both_are_renewed_under_load() {
    let place = Place::new().await;
    let manager = CertManager::install(&place).await;
    let way = Way::overlay("cert-manager");
    place.run(&way.install);
    place.eventually("kubectl -n pratique-system get secret pratique-tls", |outcome| outcome.code == Some(0)).await;
    let rolled_out = place.shell(ROLLED_OUT);
    assert_eq!(rolled_out.code, Some(0), "{rolled_out:?}\n{}", manager.account());
    let authority = "kubectl -n pratique-system get secret pratique-tls -o jsonpath='{.data.ca\\.crt}'";
    let bundles =
        "kubectl get validatingwebhookconfiguration pratique -o jsonpath='{.webhooks[*].clientConfig.caBundle}'";
    let expected = vec![place.run(authority); 3].join(" ");
    place.eventually(bundles, |outcome| outcome.stdout == expected).await;
    let load = Load::start(&place).await;
    // Another name is another certificate, by the same CA.
    let shown = "kubectl -n pratique-system get secret pratique-tls -o jsonpath='{.data.tls\\.crt}'";
    let before = place.run(shown);
    place.run(
        "kubectl -n pratique-system patch certificate pratique --type=json \
            -p '[{\"op\": \"add\", \"path\": \"/spec/dnsNames/-\", \"value\": \"pratique.pratique-system\"}]'",
    );
    place.eventually(shown, |outcome| outcome.stdout != before).await;
    load.more(200).await;
    load.untroubled(&place, "with a renewed certificate").await;
    assert_eq!(place.run(bundles), expected, "the bundle is that of the CA, and that is the same");
}

/// The verb `administer` is what lets cert-manager write our Secret.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn without_the_rights_of_the_component_the_guard_stops_cert_manager() {
    let place = Place::new().await;
    place.run("kubectl apply -k manifests/overlays/audit-only");
    let manager = CertManager::install(&place).await;
    place.run(
        "kubectl -n pratique-system apply -f manifests/components/cert-manager/certificate.yaml
        kubectl -n pratique-system wait --for=condition=Ready issuer/pratique-selfsigned --timeout=60s",
    );
    let events = "kubectl -n pratique-system get events -o jsonpath='{.items[*].message}'";
    let told = |log: &str| log.contains("the verb \"administer\"") || log.contains("the verb \\\"administer\\\"");
    place.eventually(events, |outcome| told(&outcome.stdout) || told(&manager.controllers.log())).await;
    place.fails("kubectl -n pratique-system get secret pratique-ca", &["not found"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn cert_manager_comes_and_goes() {
    let place = Place::new().await;
    let _manager = CertManager::install(&place).await;
    comes_and_goes(&place, &Way::overlay("cert-manager")).await;
}
