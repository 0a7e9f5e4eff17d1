//! Hostile reports before the program as it is shipped: bounded memory, a reason for each, and no other report hurt.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use pratique_testkit::{Program, run};
use serde_json::Value;

use super::*;
use crate::PRATIQUE;

/// Of a finding that is as short as one can be, so that there are as many as there can be.
const SHORT: &str = r#"{"VulnerabilityID":"C","PkgName":"p"},"#;
const BEGINNING: &str = r#"{"SchemaVersion":2,"Results":[{"Class":"os-pkgs","Vulnerabilities":["#;

/// A file of so many bytes of which none was written.
fn sparse(path: &Path, bytes: u64) {
    File::create(path).and_then(|file| file.set_len(bytes)).expect("a sparse file can be made");
}

/// One member of a gzip file; several in a row are one text.
fn gzip(text: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text).expect("memory takes it");
    packed.finish().expect("memory takes it")
}

/// A zstd frame that is two gigabytes: blocks of one byte and how often it stands there (RFC 8878, 3.1.1.2.2).
fn zstd_bomb() -> Vec<u8> {
    // Magic, no content size, a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for block in 0..16_384_u32 {
        let header = (128 << 10) << 3 | 1 << 1 | u32::from(block == 16_383);
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

/// Everything that is no report, and what it is called; `outside`: a report that is not of this folder.
fn fill(folder: &Path, outside: &Path, good: &str) -> Vec<(&'static str, &'static str)> {
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("the folder takes it");
    sparse(&folder.join("two-gigabytes.json"), 2 << 30);
    // Fifty million of them, packed: what is read of them ends long before.
    let many = [gzip(BEGINNING.as_bytes()), gzip(SHORT.repeat(50_000).as_bytes()).repeat(1_000)];
    write("findings.json.gz", &many.concat());
    // As many as there is room for in a file that is read.
    write("many.json", format!("{BEGINNING}{}]}}]}}", SHORT.repeat(800_000).trim_end_matches(',')).as_bytes());
    write("deep.json", format!("{{\"SchemaVersion\":2,\"Results\":{}", "[".repeat(20 << 20)).as_bytes());
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    write("nested.json", format!("{{\"SchemaVersion\":2,\"Metadata\":{nested},\"Results\":[]}}").as_bytes());
    write("twice.json", good.replacen('{', "{\"Results\": [],", 1).as_bytes());
    write("numbers.json", good.replacen("\"Severity\": \"CRITICAL\"", "\"Severity\": 9.8", 1).as_bytes());
    write("nul.json", good.replace("xz", "x\0z").as_bytes());
    write("zeros.json", &[0; 4_096]);
    write("bomb.json.gz", &gzip(&vec![b' '; 16 << 20]).repeat(128));
    write("bomb.json.zst", &zstd_bomb());
    symlink(outside, folder.join("outside.json")).expect("a link can be made");
    symlink("/dev/zero", folder.join("device.json")).expect("a link can be made");
    symlink("loop.json", folder.join("loop.json")).expect("a link can be made");
    fs::create_dir(folder.join("folder.json")).expect("a folder can be made");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.join("fifo.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a pipe can be made");
    vec![
        ("bomb.json.gz", "beyond-bounds"),
        ("bomb.json.zst", "beyond-bounds"),
        ("deep.json", "truncated"),
        ("device.json", "unreadable"),
        ("fifo.json", "unreadable"),
        ("findings.json.gz", "beyond-bounds"),
        ("loop.json", "unreadable"),
        ("many.json", "beyond-bounds"),
        ("nested.json", "malformed"),
        ("nul.json", "malformed"),
        ("numbers.json", "malformed"),
        ("outside.json", "unreadable"),
        ("twice.json", "malformed"),
        ("two-gigabytes.json", "beyond-bounds"),
        ("zeros.json", "malformed"),
    ]
}

/// A report of it that is written to without end, for as long as this lives.
struct Growing(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Growing {
    fn at(path: &Path) -> Self {
        let mut file = File::create(path).expect("the folder takes it");
        file.write_all(BEGINNING.as_bytes()).expect("the folder takes it");
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let writer = std::thread::spawn(move || {
            // Not for ever, whatever happens: a disk is not to be filled.
            for _ in 0..4_000 {
                if told.load(Ordering::Relaxed) || file.write_all(SHORT.repeat(100).as_bytes()).is_err() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        });
        Self(over, Some(writer))
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(writer) = self.1.take() {
            writer.join().expect("the writer does not panic");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_reports_take_bounded_memory_and_hide_no_other() {
    let scene = Scene::new().await;
    let (folder, elsewhere) = (scene.folder.path(), Directory::new());
    elsewhere.write("report.json", &scene.trivy().text());
    let expected = fill(folder, &elsewhere.path().join("report.json"), &scene.trivy().finding(grave()).text());
    scene.folder.write("web.json", &scene.trivy().finding(low()).text());
    let growing = Growing::at(&folder.join("growing.json"));

    let manifests = Directory::new();
    manifests.policy("acme", &spec("threshold: high, running: deny"));
    manifests.namespace("shop", &[("pratique.dev/enforce", "acme")]);
    let scans = folder.display().to_string();
    let mut program = Program::serve(PRATIQUE, &manifests, &["--scans", &scans]).await;
    let asked = || async { program.client().post(review(&scene.pod()).text()).await };
    eventually("the good report counts", async || asked().await.text().contains("\"allowed\":true")).await;
    // What is in memory is what is used: the two readers and one large file, with what an allocator keeps of them.
    let memory = program.memory();
    assert!(memory.peak < 224 << 20, "{} MiB, {} MiB at most", memory.resident >> 20, memory.peak >> 20);
    let metrics = program.client().admin_get("/metrics").await.expect("it answers").text();
    assert!(metrics.contains("pratique_scan_reports{source=\"directory\",state=\"usable\"} 1"), "{metrics}");
    assert!(metrics.contains("pratique_panics_total 0"), "{metrics}");
    assert!(program.is_running());
    drop(growing);
    fs::remove_file(folder.join("growing.json")).expect("it is there");

    let outcome = run(PRATIQUE, &["scans", "-o", "json", &scans]);
    let entries: Vec<Value> = serde_json::from_value(outcome.json()).expect("a list");
    let name = |entry: &Value| entry["source"].as_str().and_then(|its| its.rsplit('/').next()).map(str::to_owned);
    let mut told: Vec<(String, String)> = entries
        .iter()
        .filter(|entry| !entry["error"].is_null())
        .map(|entry| (name(entry).unwrap_or_default(), entry["error"].as_str().unwrap_or_default().to_owned()))
        .collect();
    told.sort();
    let expected: Vec<_> = expected.into_iter().map(|(name, error)| (name.to_owned(), error.to_owned())).collect();
    assert_eq!((outcome.code, told), (Some(1), expected));
    let usable: Vec<_> = entries.iter().filter(|entry| entry["error"].is_null()).filter_map(name).collect();
    assert_eq!(usable, ["web.json"]);
    for entry in entries.iter().filter(|entry| !entry["error"].is_null()) {
        let message = entry["message"].as_str().expect("each has its reason");
        assert!(!message.is_empty() && message.len() < 400 && !message.contains('\0'), "{entry}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_reports_of_one_image_and_moment_take_bounded_memory() {
    let scene = Scene::new().await;
    let wordy = Finding::new("CVE-2024-3094").severity("LOW").package("xz", "5.6.0");
    let wordy = (0..15).fold(wordy, |finding, number| finding.alias(&format!("{number:0250}")));
    let report = scene.trivy().scanned_at("2026-01-02T00:00:00Z").finding(wordy).text();
    // The one finding stands there as often as there is room for.
    let value: Value = serde_json::from_str(&report).expect("our own JSON");
    let finding = value["Results"][0]["Vulnerabilities"][0].to_string();
    let times = (19 << 20) / (finding.len() + 1);
    let mut large = value.clone();
    large["Results"][0]["Vulnerabilities"] = Value::String("HERE".to_owned());
    let list = format!("[{}]", vec![finding; times].join(","));
    let packed = gzip(large.to_string().replace("\"HERE\"", &list).as_bytes());
    for number in 0..16 {
        fs::write(scene.folder.path().join(format!("{number}.json.gz")), &packed).expect("the folder takes it");
    }
    let manifests = Directory::new();
    manifests.policy("acme", &spec("threshold: high"));
    manifests.namespace("shop", &[("pratique.dev/enforce", "acme")]);
    let scans = scene.folder.path().display().to_string();
    let program = Program::serve(PRATIQUE, &manifests, &["--scans", &scans]).await;
    eventually("it is judged", async || {
        let answer = program.client().review(&review(&scene.pod())).await;
        answer.message.contains("larger than are weighed together")
    })
    .await;
    let memory = program.memory();
    assert!(memory.peak < 288 << 20, "{} MiB, {} MiB at most", memory.resident >> 20, memory.peak >> 20);
}
