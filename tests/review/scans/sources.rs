//! Files of every kind in a folder, and files that try to do harm.

use super::*;

#[tokio::test]
async fn compressed_reports_and_reports_in_folders_count() {
    for name in ["web.json.gz", "web.json.zst", "team/a/web.json"] {
        let scene = Scene::new().await;
        let text = scene.trivy().text();
        let path = scene.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, packed(name, text.as_bytes())).unwrap();
        let webhook = scene.webhook("threshold: high").await;
        let answer = scene.ask(&webhook).await;
        assert!(answer.allowed, "{name}: {}", answer.message);
    }
}

fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    let extension = std::path::Path::new(name).extension().and_then(|its| its.to_str());
    if extension == Some("gz") {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        return encoder.finish().unwrap();
    }
    if extension == Some("zst") {
        return ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
    }
    bytes.to_vec()
}

#[tokio::test]
async fn a_file_that_replaces_another_counts_at_once() {
    let scene = Scene::new().await;
    scene.folder.write("web.json", &scene.trivy().finding(grave()).text());
    let webhook = scene.webhook("threshold: high").await;
    assert_eq!(reason(&scene.ask(&webhook).await), "vulnerable");
    scene.folder.write(".web.json.part", &scene.trivy().text());
    std::fs::rename(scene.folder.path().join(".web.json.part"), scene.folder.path().join("web.json")).unwrap();
    scene.becomes(&webhook, "").await;
}

#[tokio::test]
async fn files_that_do_harm_leave_the_others_alone() {
    let scene = Scene::new().await;
    let outside = Directory::new();
    outside.write("web.json", &scene.trivy().finding(grave()).text());
    let at = |name: &str| scene.folder.path().join(name);
    std::os::unix::fs::symlink(outside.path().join("web.json"), at("link.json")).unwrap();
    std::os::unix::fs::symlink(scene.folder.path(), at("loop")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(at("pipe.json")).status().unwrap();
    assert!(pipe.success());
    std::fs::File::create(at("huge.json")).unwrap().set_len(2 << 30).unwrap();
    std::fs::write(at("deep.json"), "[".repeat(1 << 20)).unwrap();
    std::fs::write(at("bomb.json.gz"), packed("x.gz", &vec![b' '; 100 << 20])).unwrap();
    std::fs::write(at("nul.json"), "{\"SchemaVersion\":2,\u{0}").unwrap();
    scene.folder.write("web.json", &scene.trivy().text());
    let webhook = scene.webhook("threshold: high").await;
    let answer = scene.ask(&webhook).await;
    assert!(answer.allowed, "{}", answer.message);
    let metrics = webhook.get("/metrics").await.text();
    assert!(metrics.contains("pratique_scan_reports{source=\"directory\",state=\"usable\"} 1"), "{metrics}");
    assert!(metrics.contains("pratique_scan_reports{source=\"directory\",state=\"beyond-bounds\"} "), "{metrics}");
}
