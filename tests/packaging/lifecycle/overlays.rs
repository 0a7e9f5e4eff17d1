//! Each overlay by the commands that it shows: in an empty cluster, from one to another, and from an older version.

use std::path::Path;
use std::process::Command;

use super::{ROLLED_OUT, Way, comes_and_goes};
use crate::place::Place;
use crate::place::load::Load;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn audit_only_comes_and_goes() {
    overlay("audit-only").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn enforce_comes_and_goes() {
    overlay("enforce").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn high_availability_comes_and_goes() {
    overlay("high-availability").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn single_node_comes_and_goes() {
    overlay("single-node").await;
}

async fn overlay(name: &'static str) {
    let place = Place::new().await;
    passes_a_dry_run(&place, name);
    comes_and_goes(&place, &Way::overlay(name)).await;
}

/// The API server takes every object. It looks for the namespace of those that are in one, which a dry run does not make; so it
/// is made before.
fn passes_a_dry_run(place: &Place, name: &str) {
    let printed = place.run(&format!(
        "kubectl create namespace pratique-system
        kubectl apply -k manifests/overlays/{name} --dry-run=server
        kubectl delete namespace pratique-system"
    ));
    let (taken, rendered) = (printed.matches("(server dry run)").count(), rendered(place, name));
    assert_eq!(taken, rendered, "{printed}");
}

fn rendered(place: &Place, name: &str) -> usize {
    let objects = place.run(&format!("kubectl kustomize manifests/overlays/{name}"));
    objects.lines().filter(|line| line.starts_with("kind: ")).count()
}

/// What it needs of cert-manager are its kinds of objects; certificates by it are another matter.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn cert_manager_passes_a_dry_run() {
    let place = Place::new().await;
    let kinds = pratique_testkit::real::provided("cert-manager");
    place.run(&format!(
        "kubectl apply --server-side -f '{}'
        kubectl wait --for=condition=Established crd --all",
        kinds.display()
    ));
    passes_a_dry_run(&place, "cert-manager");
}

/// By one command each, while Pods are made all the time.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn one_overlay_takes_the_place_of_another_without_a_lost_call() {
    let place = Place::new().await;
    place.run(&format!("{}\n{ROLLED_OUT}", Way::overlay("audit-only").install));
    let load = Load::start(&place).await;
    load.more(50).await;
    let asked = "kubectl run web --image=registry.invalid/web:latest --dry-run=server";
    for name in ["enforce", "audit-only", "high-availability", "audit-only"] {
        place.run(&format!("kubectl apply -k manifests/overlays/{name}\n{ROLLED_OUT}"));
        // A replica that ends answers for some seconds more those who still hold a connection to it, by its own settings.
        place.eventually(asked, |outcome| (outcome.code != Some(0)) == (name == "enforce")).await;
    }
    load.untroubled(&place, "from one overlay to another").await;
}

/// As Flux does it always, and Argo CD where it is told to: what somebody else owns a field of, such as our caBundle, does
/// not go away with the manifest that had it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn server_side_apply_brings_one_overlay_and_puts_another_in_its_place() {
    let place = Place::new().await;
    let apply = |name: &str| format!("kubectl apply --server-side -k manifests/overlays/{name}\n{ROLLED_OUT}");
    place.run(&apply("audit-only"));
    let bundles =
        "kubectl get validatingwebhookconfiguration pratique -o jsonpath='{.webhooks[*].clientConfig.caBundle}'";
    place.eventually(bundles, |outcome| outcome.stdout.split(' ').count() == 3).await;
    let load = Load::start(&place).await;
    let asked = "kubectl run web --image=registry.invalid/web:latest --dry-run=server";
    for name in ["enforce", "high-availability", "audit-only"] {
        place.run(&apply(name));
        place.eventually(asked, |outcome| (outcome.code != Some(0)) == (name == "enforce")).await;
        assert_eq!(place.run(bundles).split(' ').count(), 3, "{name}");
    }
    load.untroubled(&place, "by server-side apply").await;
}

/// From the manifests of an older commit, where there is one that has overlays; else from these with another image.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs real programs: .ci/run packaging"]
async fn an_older_version_is_upgraded_and_comes_back_without_a_lost_call() {
    let place = Place::new().await;
    let older = older(&place);
    place.run(&format!("kubectl apply -k older/manifests/overlays/audit-only\n{ROLLED_OUT}"));
    let load = Load::start(&place).await;
    load.more(50).await;
    place.run(&format!("kubectl apply -k manifests/overlays/audit-only\n{ROLLED_OUT}"));
    load.more(50).await;
    place.run(&format!("kubectl apply -k older/manifests/overlays/audit-only\n{ROLLED_OUT}"));
    load.untroubled(&place, &format!("from {older} and back")).await;
}

/// Writes `older/manifests` with an image of its own, so that Pods are replaced whatever else is the same; returns what it is.
fn older(place: &Place) -> String {
    let older = unpack(place, earlier("manifests/overlays"));
    place.run(
        "sed -i 's|\\(image: ghcr.io/pratique-dev/pratique\\)[:@].*|\\1:0.0.9|' older/manifests/base/deployment.yaml
        grep -q pratique:0.0.9 older/manifests/base/deployment.yaml",
    );
    older
}

/// Writes `older/manifests`, of a commit or as they are now; returns what it is.
pub(super) fn unpack(place: &Place, commit: Option<String>) -> String {
    if let Some(commit) = &commit {
        let ours = env!("CARGO_MANIFEST_DIR");
        place.run(&format!("mkdir older; git -C '{ours}' archive {commit} manifests | tar -x -C older"));
    } else {
        place.run("mkdir older; cp -R manifests older/");
    }
    commit.unwrap_or_else(|| "these manifests with another image".to_owned())
}

/// The newest commit before this one that has a folder, and has something else in `manifests` than this one. None where
/// there is no history, as in a shallow clone.
pub(super) fn earlier(folder: &str) -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(Path::new(env!("CARGO_MANIFEST_DIR"))).args(arguments);
        let output = command.output().ok().filter(|output| output.status.success())?;
        String::from_utf8(output.stdout).ok()
    };
    let commits = git(&["log", "--format=%H", "HEAD~1", "--", "manifests"])?;
    let commits = commits.lines().filter(|commit| git(&["diff", "--quiet", commit, "--", "manifests"]).is_none());
    commits.map(str::to_owned).find(|commit| git(&["cat-file", "-e", &format!("{commit}:{folder}")]).is_some())
}
