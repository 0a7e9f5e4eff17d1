//! Folders that are filled, asked and changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use pratique_testkit::{Directory, eventually};
use serde_json::json;

use super::*;
use crate::evidence::budget::Budget;
use crate::evidence::store::Store;
use crate::fact::report::{Defect, InIndex};
use crate::fact::{Seen, Source};
use crate::image::{Digest, Platform};

mod choosing;
mod following;
mod hostile;
mod packed;
mod rewriting;

const ROOM: u64 = 16 << 20;
const NOON: &str = "2026-01-01T12:00:00Z";

fn digest(of: u64) -> Digest {
    Digest::parse(&format!("sha256:{of:064x}")).unwrap()
}

/// A report of Trivy about the manifest of this number, whose configuration has the number after a thousand more.
fn trivy(of: u64, at: &str) -> String {
    let finding = json!({"VulnerabilityID": "CVE-2026-0001", "PkgName": "xz", "InstalledVersion": "5.6.0",
                         "FixedVersion": "5.6.2", "Severity": "CRITICAL"});
    let image = format!("registry.example/app@{}", digest(of));
    json!({"SchemaVersion": 2, "CreatedAt": at, "ArtifactName": image, "ArtifactType": "container_image",
           "Metadata": {"ImageID": digest(of + 1_000).as_str(), "RepoDigests": [image],
                        "ImageConfig": {"architecture": "amd64", "os": "linux"}},
           "Results": [{"Target": "app (debian 12)", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": [finding]}]})
    .to_string()
}

/// The manifest that [`trivy`] speaks of.
fn manifest(of: u64) -> ScannedManifest {
    let config = Fact::Known(Seen { value: digest(of + 1_000), at: Timestamp::now(), source: Source::Current });
    ScannedManifest { digest: digest(of), platform: None, config, index: None, reports: None }
}

fn over(paths: Vec<PathBuf>) -> (Arc<Directories>, prometheus::Registry) {
    over_with(paths, ROOM)
}

fn over_with(paths: Vec<PathBuf>, bytes: u64) -> (Arc<Directories>, prometheus::Registry) {
    let registry = prometheus::Registry::new();
    let store = Store::new(&Budget::default(), &registry).unwrap();
    (Directories::new(paths, bytes, store.lookups("scan"), &registry).unwrap(), registry)
}

async fn filled(folder: &Directory) -> Arc<Directories> {
    let (directories, _) = over(vec![folder.path().to_owned()]);
    Arc::clone(&directories).fill().await;
    directories
}

/// How many reports are found about a manifest, and the defects of what is unusable.
async fn asked(directories: &Directories, of: u64) -> (usize, Vec<Defect>) {
    match directories.about(&manifest(of)).await {
        Fact::Known(seen) => told(&seen.value),
        Fact::Absent(_) => (0, Vec::new()),
        other @ (Fact::Unavailable(_) | Fact::Pending) => panic!("{other:?}"),
    }
}

fn told(reports: &Reports) -> (usize, Vec<Defect>) {
    (reports.found.len(), reports.unusable.iter().map(|(_, _, unusable)| unusable.defect).collect())
}

/// The one report about a manifest: when the scan was.
async fn dated(directories: &Directories, of: u64) -> Option<Timestamp> {
    let Fact::Known(seen) = directories.about(&manifest(of)).await else { return None };
    let [sourced] = seen.value.found.as_slice() else { return None };
    sourced.report.outline.scanned_at
}

fn metric(registry: &prometheus::Registry, state: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "pratique_scan_reports").unwrap();
    let has = |metric: &&prometheus::proto::Metric, name: &str, value: &str| {
        metric.get_label().iter().any(|label| label.name() == name && label.value() == value)
    };
    let of = |metric: &&prometheus::proto::Metric| has(metric, "state", state) && has(metric, "source", "directory");
    family.get_metric().iter().find(of).unwrap().get_gauge().get_value()
}

/// As if it had been written so long ago.
fn age(path: &Path, by: Duration) {
    fs::File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

#[tokio::test]
async fn without_folders_everything_is_absent_and_complete() {
    let (directories, _) = over(Vec::new());
    assert!(directories.is_empty() && directories.progress().complete);
    assert!(matches!(directories.at_hand(&manifest(1)), Some(Fact::Absent(_))));
    assert!(matches!(directories.about(&manifest(1)).await, Fact::Absent(_)));
}

#[tokio::test]
async fn a_report_is_found_by_the_digest_of_the_manifest_or_of_its_configuration() {
    let folder = Directory::new();
    folder.write_in("team/app", "scan.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    let Fact::Known(seen) = directories.about(&manifest(1)).await else { panic!() };
    let [sourced] = seen.value.found.as_slice() else { panic!("{seen:?}") };
    assert_eq!(sourced.origin, Origin::Directory);
    assert_eq!(*sourced.place, *folder.path().join("team/app/scan.json").display().to_string());
    assert_eq!(sourced.report.findings.len(), 1);
    let by_config = ScannedManifest { digest: digest(77), ..manifest(1) };
    assert!(matches!(directories.about(&by_config).await, Fact::Known(_)));
    assert!(matches!(directories.about(&manifest(2)).await, Fact::Absent(_)));
    let progress = directories.progress();
    assert_eq!(progress, Progress { complete: true, read: 1, seen: 1, trouble: None });
}

#[tokio::test]
async fn a_root_may_be_a_file_of_any_name_and_a_link() {
    let folder = Directory::new();
    folder.write("report.txt", &trivy(1, NOON));
    symlink(folder.path().join("report.txt"), folder.path().join("link")).unwrap();
    let (directories, _) = over(vec![folder.path().join("link")]);
    Arc::clone(&directories).fill().await;
    assert_eq!(asked(&directories, 1).await, (1, vec![]));
}

#[tokio::test]
async fn other_names_and_those_with_a_dot_are_passed_over_and_a_mounted_config_map_works() {
    let folder = Directory::new();
    folder.write("note.txt", "no report");
    folder.write_in("..2026", "report.json", &trivy(1, NOON));
    folder.write_in(".hidden", "report.json", &trivy(2, NOON));
    symlink("..2026", folder.path().join("..data")).unwrap();
    symlink("..data/report.json", folder.path().join("report.json")).unwrap();
    let directories = filled(&folder).await;
    assert_eq!(asked(&directories, 1).await, (1, vec![]));
    assert_eq!(asked(&directories, 2).await, (0, vec![]));
    assert_eq!(directories.progress().seen, 1);
}

#[tokio::test]
async fn nothing_is_at_hand_before_the_index_is_complete_and_what_is_asked_waits() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let (directories, _) = over(vec![folder.path().to_owned()]);
    assert_eq!(directories.at_hand(&manifest(1)), None);
    assert!(!directories.progress().complete);
    let asking = tokio::spawn({
        let directories = Arc::clone(&directories);
        async move { asked(&directories, 1).await }
    });
    tokio::task::yield_now().await;
    Arc::clone(&directories).fill().await;
    assert_eq!(asking.await.unwrap(), (1, vec![]));
}

#[tokio::test]
async fn what_is_not_in_memory_is_read_again_from_the_file() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    // No room for anything.
    let (directories, _) = over_with(vec![folder.path().to_owned()], 0);
    Arc::clone(&directories).fill().await;
    directories.findings.run_pending();
    assert_eq!(directories.at_hand(&manifest(1)), None);
    assert_eq!(asked(&directories, 1).await, (1, vec![]));
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_indexed_is_told_as_it_is_now() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let (directories, _) = over_with(vec![folder.path().to_owned()], 0);
    Arc::clone(&directories).fill().await;
    directories.findings.run_pending();
    folder.write("a.json", &trivy(2, NOON));
    assert_eq!(asked(&directories, 1).await, (0, vec![]));
    assert_eq!(asked(&directories, 2).await, (1, vec![]));
    folder.remove("a.json");
    directories.findings.run_pending();
    Arc::clone(&directories).look_around(false).await;
    assert_eq!(asked(&directories, 2).await, (0, vec![]));
}

#[tokio::test]
async fn a_report_that_the_index_takes_for_another_by_its_hash_is_not_about_the_manifest() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    let chosen = directories.index().choose(&manifest(1), Timestamp::now()).found;
    let report = crate::evidence::scan::format::read(trivy(2, NOON).as_bytes()).unwrap();
    let selected = directories.select(&manifest(1), &[(chosen[0], Arc::new(report))], Timestamp::now());
    assert!(matches!(selected, Selection::Ready(Fact::Absent(_))), "{selected:?}");
}

#[tokio::test]
async fn a_warm_question_has_the_same_answer_and_is_one() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    age(&folder.path().join("a.json"), Duration::from_secs(60));
    let directories = filled(&folder).await;
    let Fact::Known(first) = directories.about(&manifest(1)).await else { panic!() };
    let Some(Fact::Known(second)) = directories.at_hand(&manifest(1)) else { panic!() };
    assert!(Arc::ptr_eq(&first.value, &second.value));
    // Another file changes nothing of it.
    folder.write("b.json", &trivy(2, NOON));
    directories.look_around(false).await;
    let Some(Fact::Known(third)) = directories.at_hand(&manifest(1)) else { panic!() };
    assert!(Arc::ptr_eq(&first.value, &third.value));
}

#[tokio::test]
async fn five_hundred_who_ask_for_one_digest_read_the_file_once() {
    let loads = Arc::new(AtomicUsize::new(0));
    let findings = Findings::new(0);
    let version = index::Version { file: 1, version: 1 };
    let ask = || {
        let loads = Arc::clone(&loads);
        findings.load(version, move || async move {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            findings::Loaded::Changed
        })
    };
    let asked = futures_util::future::join_all((0..500).map(|_| ask())).await;
    assert!(asked.iter().all(|loaded| matches!(loaded, Some(findings::Loaded::Changed))));
    assert_eq!(loads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_folder_that_cannot_be_looked_at_is_doubt_and_the_others_answer() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let lost = folder.path().join("lost");
    let (directories, _) = over(vec![lost.clone(), folder.path().to_owned()]);
    Arc::clone(&directories).fill().await;
    assert_eq!(asked(&directories, 1).await, (1, vec![]));
    let Fact::Unavailable(trouble) = directories.about(&manifest(2)).await else { panic!() };
    let words = format!("{}: it is not there: create it, or correct the path", lost.display());
    assert_eq!(trouble, outage(format!("not all scan reports can be looked at ({words})")));
    assert_eq!(directories.progress().trouble, Some(words));
    assert!(directories.progress().complete);
    fs::create_dir(&lost).unwrap();
    directories.look_around(false).await;
    assert_eq!(asked(&directories, 2).await, (0, vec![]));
    assert_eq!(directories.progress().trouble, None);
}

#[tokio::test]
async fn a_folder_that_is_away_for_a_moment_takes_no_report_with_it() {
    let folder = Directory::new();
    folder.write_in("scans", "a.json", &trivy(1, NOON));
    let scans = folder.path().join("scans");
    let (directories, _) = over(vec![scans.clone()]);
    Arc::clone(&directories).fill().await;
    fs::rename(&scans, folder.path().join("away")).unwrap();
    directories.look_around(false).await;
    assert_eq!(asked(&directories, 1).await, (1, vec![]));
    assert!(matches!(directories.about(&manifest(2)).await, Fact::Unavailable(_)));
}

#[tokio::test]
async fn metrics_follow_the_index() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    folder.write("b.json", "[]");
    let (directories, registry) = over(vec![folder.path().to_owned()]);
    assert_eq!((metric(&registry, "usable"), metric(&registry, "not-a-report")), (0.0, 0.0));
    Arc::clone(&directories).fill().await;
    assert_eq!((metric(&registry, "usable"), metric(&registry, "not-a-report")), (1.0, 1.0));
    folder.remove("b.json");
    directories.look_around(false).await;
    assert_eq!((metric(&registry, "usable"), metric(&registry, "not-a-report")), (1.0, 0.0));
}

#[test]
fn each_origin_has_its_part_of_one_metric() {
    let registry = prometheus::Registry::new();
    let directories = super::super::reports_gauge(&registry, Origin::Directory).unwrap();
    let objects = super::super::reports_gauge(&registry, Origin::Object).unwrap();
    directories.with_label_values(&["usable"]).set(2);
    objects.with_label_values(&["usable"]).set(3);
    assert_eq!(metric(&registry, "usable"), 2.0);
    assert_eq!(registry.gather().len(), 1);
}
