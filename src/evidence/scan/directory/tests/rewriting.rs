//! Files that are written while they are read.

use std::io::Write;

use super::*;

const LATER: &str = "2026-01-02T12:00:00Z";

#[expect(clippy::unnecessary_wraps, reason = "what it is compared with is one")]
fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

#[tokio::test]
async fn a_rescan_in_progress_never_hides_the_report_before_it() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    let path = folder.path().join("a.json");
    let text = trivy(1, LATER);
    let mut file = fs::File::create(&path).unwrap();
    for piece in text.as_bytes().chunks(64) {
        directories.look_around(false).await;
        assert_eq!(dated(&directories, 1).await, at(NOON));
        file.write_all(piece).unwrap();
    }
    directories.look_around(false).await;
    assert_eq!(dated(&directories, 1).await, at(LATER));
}

#[tokio::test]
async fn what_was_in_memory_stays_in_force_however_long_the_rewriting_takes() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let (directories, registry) = over(vec![folder.path().to_owned()]);
    Arc::clone(&directories).fill().await;
    fs::write(folder.path().join("a.json"), "").unwrap();
    age(&folder.path().join("a.json"), Duration::from_secs(600));
    directories.look_around(false).await;
    directories.settle().await;
    assert_eq!(dated(&directories, 1).await, at(NOON));
    assert_eq!(metric(&registry, "usable"), 1.0);
}

#[tokio::test]
async fn what_was_not_in_memory_is_waited_for_while_the_file_is_young_and_has_failed_when_it_is_not() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let (directories, registry) = over_with(vec![folder.path().to_owned()], 0);
    Arc::clone(&directories).fill().await;
    directories.findings.run_pending();
    let path = folder.path().join("a.json");
    fs::write(&path, "{").unwrap();
    directories.look_around(false).await;
    assert_eq!(directories.at_hand(&manifest(1)), None);
    let asking = tokio::spawn({
        let directories = Arc::clone(&directories);
        async move { dated(&directories, 1).await }
    });
    tokio::task::yield_now().await;
    fs::write(&path, trivy(1, LATER)).unwrap();
    directories.look_around(false).await;
    assert_eq!(asking.await.unwrap(), at(LATER));
    directories.findings.run_pending();
    fs::write(&path, "{").unwrap();
    age(&path, Duration::from_secs(61));
    directories.look_around(false).await;
    assert_eq!(metric(&registry, "truncated"), 1.0);
    assert_eq!(metric(&registry, "usable"), 0.0);
}

#[tokio::test]
async fn a_new_half_written_file_has_not_failed_before_it_is_a_minute_old() {
    let folder = Directory::new();
    let (directories, registry) = over(vec![folder.path().to_owned()]);
    let path = folder.path().join("a.json");
    fs::write(&path, "{").unwrap();
    directories.look_around(false).await;
    assert_eq!(metric(&registry, "truncated"), 0.0);
    assert!(directories.settle().await.is_some());
    age(&path, Duration::from_secs(61));
    directories.look_around(false).await;
    assert_eq!(metric(&registry, "truncated"), 1.0);
    assert_eq!(directories.settle().await, None);
}

#[tokio::test]
async fn where_nobody_looks_again_a_half_written_file_has_failed() {
    let folder = Directory::new();
    fs::write(folder.path().join("a.json"), "{").unwrap();
    let (directories, registry) = over(vec![folder.path().to_owned()]);
    Arc::clone(&directories).fill().await;
    assert_eq!(metric(&registry, "truncated"), 1.0);
}

#[tokio::test]
async fn what_is_no_report_replaces_a_report() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    fs::write(folder.path().join("a.json"), json!({"bomFormat": "CycloneDX", "specVersion": "1.6"}).to_string())
        .unwrap();
    directories.look_around(false).await;
    assert_eq!(asked(&directories, 1).await, (0, vec![]));
}

#[tokio::test]
async fn a_file_that_was_moved_is_found_at_its_new_place() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    fs::rename(folder.path().join("a.json"), folder.path().join("b.json")).unwrap();
    directories.look_around(false).await;
    let Fact::Known(seen) = directories.about(&manifest(1)).await else { panic!() };
    assert_eq!(seen.value.found.len(), 1);
    assert!(seen.value.found[0].place.ends_with("b.json"));
}

#[tokio::test]
async fn files_that_are_as_they_were_are_not_read_again() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    age(&folder.path().join("a.json"), Duration::from_secs(60));
    let directories = filled(&folder).await;
    let before = directories.generation.load(Ordering::Acquire);
    directories.look_around(false).await;
    assert_eq!(directories.generation.load(Ordering::Acquire), before);
}

#[tokio::test]
async fn a_file_that_was_read_just_after_it_was_written_is_read_once_more() {
    let folder = Directory::new();
    folder.write("a.json", &trivy(1, NOON));
    let directories = filled(&folder).await;
    let before = directories.generation.load(Ordering::Acquire);
    directories.look_around(false).await;
    assert!(directories.generation.load(Ordering::Acquire) > before);
}
