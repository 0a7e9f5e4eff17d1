//! Overlays by server-side apply, as Flux has it: who applies another one takes away what only the first had, though the program
//! owns a field in it.

use super::ROLLED_OUT;
use crate::place::Place;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn one_overlay_takes_the_place_of_another_by_server_side_apply() {
    let place = Place::new().await;
    let bundled = "test $(kubectl get validatingwebhookconfiguration pratique -o yaml | grep -c caBundle:) = \
                   $(kubectl get validatingwebhookconfiguration pratique -o yaml | grep -c clientConfig:)";
    let asked = "kubectl run web --image=registry.invalid/web:latest --dry-run=server";
    for name in ["audit-only", "enforce", "audit-only"] {
        place.run(&format!("kubectl apply --server-side -k manifests/overlays/{name}\n{ROLLED_OUT}"));
        place.eventually(bundled, |outcome| outcome.code == Some(0)).await;
        place.eventually(asked, |outcome| (outcome.code != Some(0)) == (name == "enforce")).await;
    }
}
