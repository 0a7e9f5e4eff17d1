//! Fresh, stale, missing, failed and pending, told apart wherever they are told.

use super::*;

const OLD: &str = "2026-01-01T00:00:00Z";

#[tokio::test]
async fn a_stale_report_is_told_as_stale_and_the_policy_says_what_follows() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().scanned_at(OLD).text());
    let webhook = scene.webhook("threshold: high, maxAge: 72h, stale: deny").await;
    let answer = scene.ask(&webhook).await;
    assert_eq!((reason(&answer), answer.code), ("report-stale", Some(403)));
    assert_eq!(answer.annotations["reports"], "spec.containers[0].image=stale");
    let lenient = scene.webhook("threshold: high, maxAge: 72h, stale: warn").await;
    let answer = scene.ask(&lenient).await;
    assert!(answer.allowed && answer.warnings.len() == 1, "{answer:?}");
    assert!(answer.warnings[0].contains("report-stale: scanned "), "{:?}", answer.warnings);
    let indifferent = scene.webhook("threshold: high").await;
    assert!(scene.ask(&indifferent).await.allowed);
}

#[tokio::test]
async fn the_age_is_that_of_the_scan_and_not_of_the_file() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().text());
    let path = scene.folder.path().join("web.json");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let webhook = scene.webhook("threshold: high, maxAge: 72h").await;
    assert!(scene.ask(&webhook).await.allowed);
}

#[tokio::test]
async fn a_report_of_nothing_is_failed_and_never_clean() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().without_packages().text());
    let webhook = scene.webhook("threshold: high").await;
    let answer = scene.ask(&webhook).await;
    assert_eq!(reason(&answer), "report-failed");
    assert!(answer.message.contains("nothing-scanned"), "{}", answer.message);
    assert_eq!(answer.annotations["reports"], "spec.containers[0].image=failed");
    let lenient = scene.webhook("threshold: high, missing: warn").await;
    let answer = scene.ask(&lenient).await;
    assert!(answer.allowed && answer.warnings[0].contains("report-failed"), "{answer:?}");
}

#[tokio::test]
async fn a_report_from_the_future_is_failed_and_hides_no_real_one() {
    let scene = Scene::new().await;
    let ahead = scene.trivy().scanned_at("2999-01-01T00:00:00Z");
    scene.folder.write("ahead.json", &ahead.text());
    let webhook = scene.webhook("threshold: high").await;
    let answer = scene.ask(&webhook).await;
    assert_eq!(reason(&answer), "report-failed");
    assert!(answer.message.contains("future"), "{}", answer.message);
    scene.folder.write("web.json", &scene.trivy().finding(grave()).text());
    scene.becomes(&webhook, "vulnerable").await;
}

#[tokio::test]
async fn a_missing_report_only_warns_within_its_grace() {
    let scene = Scene::new().await;
    let webhook = scene.webhook("threshold: high, missing: deny, missingGrace: 10m").await;
    let answer = scene.ask(&webhook).await;
    assert!(answer.allowed, "{}", answer.message);
    assert!(answer.warnings[0].contains("report-missing"), "{:?}", answer.warnings);
    let over = scene.webhook("threshold: high, missing: deny, missingGrace: 1s").await;
    assert!(scene.ask(&over).await.allowed);
    scene.becomes(&over, "report-missing").await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_doubt_and_not_a_missing_report() {
    let scene = Scene::new().await;
    let nowhere = scene.folder.path().join("not-mounted");
    let policy = spec("threshold: high, missing: allow");
    let setup = Webhook::setup().registry(&scene.registry).policy("acme", &policy).enforce("acme");
    let webhook = setup.configure(move |config| config.scans.directories.push(nowhere)).start().await;
    let answer = scene.ask(&webhook).await;
    assert_eq!((reason(&answer), answer.code, answer.retry_after), ("report-pending", Some(503), Some(1)));
    assert!(webhook.get("/readyz").await.text().contains("[!] scans: degraded: "));
    std::fs::create_dir(scene.folder.path().join("not-mounted")).unwrap();
    eventually("the folder is there", async || scene.ask(&webhook).await.allowed).await;
}

#[tokio::test]
async fn what_is_asked_before_all_reports_are_read_waits_and_is_not_called_missing() {
    let scene = Scene::new().await;
    for number in 0..2_000 {
        let other = format!("sha256:{number:064x}");
        scene.folder.write(&format!("{number}.json"), &TrivyReport::of("acme/other").manifest(&other).text());
    }
    scene.folder.write("zz.json", &scene.trivy().text());
    let webhook = scene.webhook("threshold: high").await;
    let answer = scene.ask(&webhook).await;
    assert!(answer.allowed, "{}", answer.message);
}

#[tokio::test]
async fn a_report_that_is_being_written_again_never_hides_the_one_before() {
    let scene = Scene::new().await;
    let text = scene.trivy().finding(low()).text();
    scene.folder.write("web.json", &text);
    let webhook = scene.webhook("threshold: high").await;
    assert!(scene.ask(&webhook).await.allowed);
    let path = scene.folder.path().join("web.json");
    for part in [0, 1, text.len() / 2, text.len() - 3] {
        std::fs::write(&path, &text[..part]).unwrap();
        for _ in 0..20 {
            let answer = scene.ask(&webhook).await;
            assert!(answer.allowed, "{part}: {}", answer.message);
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    std::fs::write(&path, scene.trivy().finding(grave()).text()).unwrap();
    scene.becomes(&webhook, "vulnerable").await;
}
