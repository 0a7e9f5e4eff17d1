//! What `kubectl` prints, whole, with the settings that we ship.

use pratique_testkit::{DIGEST, eventually};

use super::{deployment, does, fails, pod};
use crate::installed::Installed;

/// A namespace in which `baseline` is enforced, and by default warned of too.
async fn shop() -> (&'static Installed<'static>, String) {
    let installed = Installed::shared().await;
    let shop = installed.cluster().fresh_namespace("shop", &[("pratique.dev/enforce", "baseline")]).await;
    (installed, shop)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_pod_that_is_refused() {
    let (installed, shop) = shop().await;
    let run = |image: &str| format!("run web --image={image} -n {shop} --restart=Never");
    assert_eq!(fails(installed, &run("nginx:latest")), REFUSED);
    assert_eq!(does(installed, &run(&format!("registry.invalid/web@{DIGEST}"))), "pod/web created\n");
    let two = pod(&shop, "two", "nginx")
        .replace("containers: [", "initContainers: [{name: migrate, image: 'ghcr.io/acme/db:latest'}], containers: [");
    assert_eq!(installed.rejects(&two, &[]), TWO_REFUSED);
    let later = fails(installed, &format!("set image pod/web web=nginx:latest -n {shop}"));
    let refused = REFUSED.strip_prefix("Error from server (Forbidden): ").expect("kubectl says so of a create");
    assert_eq!(later, format!("error: failed to patch image update to pod template: {refused}"));
}

const REFUSED: &str = "Error from server (Forbidden): admission webhook \"images.pratique.dev\" denied the request: nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest (policy baseline)
  containers[web] nginx:latest
    tag-mutable: \"latest\" can change under you; pin a digest
";
const TWO_REFUSED: &str = "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"images.pratique.dev\" denied the request: ghcr.io/acme/db:latest: tag-mutable, \"latest\" can change under you, pin a digest; and 1 more image (policy baseline)
  initContainers[migrate] ghcr.io/acme/db:latest
    tag-mutable: \"latest\" can change under you; pin a digest
  containers[web] nginx
    tag-mutable: no tag means \"latest\", which can change under you; pin a digest
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn an_ephemeral_container_that_is_refused() {
    let (installed, shop) = shop().await;
    does(installed, &format!("run web --image=registry.invalid/web@{DIGEST} -n {shop}"));
    let debug = fails(installed, &format!("debug web -n {shop} -c debugger --image=busybox"));
    assert_eq!(debug, DEBUG_REFUSED);
}

const DEBUG_REFUSED: &str = "Error from server (Forbidden): admission webhook \"images.pratique.dev\" denied the request: busybox: tag-mutable, no tag means \"latest\", which can change under you, pin a digest (policy baseline)
  ephemeralContainers[debugger] busybox
    tag-mutable: no tag means \"latest\", which can change under you; pin a digest
";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_deployment_that_is_warned_of_has_an_event_and_so_has_what_cannot_make_its_pods() {
    let (installed, shop) = shop().await;
    let made = installed.create(&deployment(&shop, "web", "nginx:latest"), &[]);
    assert_eq!((made.stderr.as_str(), made.stdout.as_str()), (WARNED, "deployment.apps/web created\n"));
    let columns = "-o 'custom-columns=K:.involvedObject.kind,R:.reason,M:.message' --no-headers";
    let events = |of: &str| {
        does(installed, &format!("get events -n {shop} --field-selector involvedObject.kind={of} {columns}"))
    };
    eventually("it has an Event", async || events("Deployment").contains("ImagesRefused")).await;
    let told = events("Deployment");
    let told: Vec<String> = told.lines().filter(|line| line.contains("ImagesRefused")).map(squeezed).collect();
    assert_eq!(told, [EVENT]);
    let listed = does(installed, &format!("events --for deployment/web -n {shop} --no-headers"));
    let listed: Vec<String> = listed.lines().filter(|line| line.contains("ImagesRefused")).map(squeezed).collect();
    assert!(listed.len() == 1 && listed[0].ends_with(LISTED), "{listed:?}");
    // The Pods are refused, and the ReplicaSet says so in our words, first line first.
    eventually("no Pod can be made", async || events("ReplicaSet").contains("FailedCreate")).await;
    let told = events("ReplicaSet");
    assert!(told.contains(FAILED_CREATE), "{told}");
    assert_eq!(does(installed, &format!("get pods -n {shop}")), format!("No resources found in {shop} namespace.\n"));
}

/// One space where a column ends.
fn squeezed(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

const WARNED: &str = "Warning: containers[web] nginx:latest: tag-mutable: \"latest\" can change under you; pin a digest (policy baseline)\n";
const EVENT: &str = "Deployment ImagesRefused nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest (policy baseline)";
const LISTED: &str = "Warning ImagesRefused Deployment/web nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest (policy baseline)";
const FAILED_CREATE: &str = "admission webhook \"images.pratique.dev\" denied the request: nginx:latest: tag-mutable, \"latest\" can change under you, pin a digest (policy baseline)";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_namespace_without_labels_is_warned_and_nothing_is_refused_there() {
    let installed = Installed::shared().await;
    let namespace = installed.cluster().fresh_namespace("unlabelled", &[]).await;
    let made = installed.create(&pod(&namespace, "web", "nginx:latest"), &[]);
    assert_eq!((made.stderr.as_str(), made.stdout.as_str()), (POD_WARNED, "pod/web created\n"));
    let system = installed.create(&pod("kube-system", "web", "nginx:latest"), &["--dry-run=server"]);
    assert_eq!((system.stderr.as_str(), system.stdout.as_str()), ("", "pod/web created (server dry run)\n"));
}

const POD_WARNED: &str = "Warning: containers[web] nginx:latest: tag-mutable: \"latest\" can change under you; pin a digest (policy baseline)\n";
