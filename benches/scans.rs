//! What it costs to index a folder of scan reports, to look at it again, and to ask for one that is known.
//!
//! `cargo bench --bench scans`, with `-- --full` for 100,000 reports instead of 10,000, and `--assert` to fail where a
//! figure of the design is missed. Each is a report of Trivy with 20 findings and three digests, in a file that is named
//! by its digest. They are written anew for each run, into the temporary directory.

#![expect(clippy::print_stdout, reason = "the bench's result")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use pratique::evidence::budget::Budget;
use pratique::evidence::scan::directory::Directories;
use pratique::evidence::store::Store;
use pratique::fact::report::ScannedManifest;
use pratique::fact::{Fact, Seen, Source};
use pratique::image::Digest;
use pratique_testkit::Directory;
use pratique_testkit::measure::{Sample, asserting, figure};
use serde_json::json;

const RUNS: usize = 100_000;
const FINDINGS: usize = 20;
/// What findings and answers may take.
const CACHE: u64 = 64 << 20;
/// So many are asked for in turn.
const ASKED: usize = 20_000;
/// So many are in one folder.
const IN_FOLDER: usize = 1_000;

fn main() {
    let full = std::env::args().any(|argument| argument == "--full");
    let count = if full { 100_000 } else { 10_000 };
    let folder = Directory::new();
    (0..count).for_each(|number| write(&folder, number));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let memory = Memory::here();
    // No room for findings: what stays is the index.
    let without = directories(&folder, 0);
    let took = timed(|| runtime.block_on(Arc::clone(&without).fill()));
    let bytes = memory.more() / amount(count);
    assert_eq!(without.progress().read, count);
    println!("{:<44} {:>9.2} s", format!("indexing {count} reports"), took.as_secs_f64());
    let mut met = figure("indexing one report", took.as_secs_f64() * 1e6 / amount(count), "us", 500.0, true);
    met &= figure("memory of the index, each report", bytes, "B", 300.0, true);
    let again = timed(|| runtime.block_on(Arc::clone(&without).fill()));
    met &= figure("looking at one unchanged file", again.as_secs_f64() * 1e6 / amount(count), "us", 20.0, true);

    drop(without);

    let full = directories(&folder, CACHE);
    runtime.block_on(Arc::clone(&full).fill());
    let (known, absent) = (manifest(count / 2), manifest(count + 1));
    assert!(matches!(runtime.block_on(full.about(&known)), Fact::Known(_)));
    assert!(matches!(runtime.block_on(full.about(&absent)), Fact::Absent(_)));
    let warm = Sample::of(RUNS, || drop(black_box(full.at_hand(&known))));
    println!("{:<44} {warm}", "a report that is known");
    met &= figure("a report that is known, p50", warm.p50().as_secs_f64() * 1e9, "ns", 1_000.0, true);
    let warm = Sample::of(RUNS, || drop(black_box(full.at_hand(&absent))));
    println!("{:<44} {warm}", "one that is not there");
    // Until the answers fill their half of the cache as well.
    let asked = (0..count.min(ASKED))
        .filter(|number| matches!(runtime.block_on(full.about(&manifest(*number))), Fact::Known(_)));
    assert_eq!(asked.count(), count.min(ASKED));
    let process = Memory::here().0 / f64::from(1 << 20);
    met &= figure("the process with index and cache", process, "MiB", 128.0, true);
    met &= figure("the process at its most", Memory::most().0 / f64::from(1 << 20), "MiB", 128.0, true);
    drop((full, folder));
    met &= of_one_image(&runtime, count / 5);
    assert!(met || !asserting(), "a figure was missed");
}

/// Reports that all name one image, as a folder has them that nobody clears: each costs the same however many there are.
fn of_one_image(runtime: &tokio::runtime::Runtime, count: usize) -> bool {
    let folder = Directory::new();
    let name = |number: usize| format!("{number}.json");
    for number in 0..count {
        let at = Timestamp::UNIX_EPOCH + Duration::from_secs(u64::try_from(number).expect("a small number"));
        let report = json!({"SchemaVersion": 2, "CreatedAt": at.to_string(), "ArtifactName": "app", "ArtifactType": "container_image",
            "Metadata": {"RepoDigests": [format!("registry.example/team/app@{}", digest(0))]},
            "Results": [{"Target": "app (debian 12)", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": []}]});
        folder.write(&name(number), &report.to_string());
    }
    let directories = directories(&folder, CACHE);
    runtime.block_on(Arc::clone(&directories).fill());
    let question = timed(|| assert!(matches!(runtime.block_on(directories.about(&manifest(0))), Fact::Known(_))));
    let question = question.as_secs_f64() * 1e6 / amount(count);
    let mut met = figure("a first question, each report of the image", question, "us", 1.0, true);
    (0..count).for_each(|number| folder.remove(&name(number)));
    let removed = timed(|| runtime.block_on(Arc::clone(&directories).fill()));
    let removed = removed.as_secs_f64() * 1e6 / amount(count);
    met &= figure("forgetting one of many reports of an image", removed, "us", 20.0, true);
    met
}

fn directories(folder: &Directory, bytes: u64) -> Arc<Directories> {
    let metrics = prometheus::Registry::new();
    let store = Store::new(&Budget::default(), &metrics).expect("a store");
    let paths = vec![folder.path().to_owned()];
    Directories::new(paths, bytes, store.lookups("scan"), &metrics).expect("an empty index")
}

fn digest(of: usize) -> Digest {
    Digest::parse(&format!("sha256:{of:064x}")).expect("a digest")
}

/// Its own digest, that of its configuration, and that of its index.
fn digests(number: usize) -> [Digest; 3] {
    [0, 1, 2].map(|which| digest(number * 3 + which))
}

fn write(folder: &Directory, number: usize) {
    let [own, config, index] = digests(number);
    let finding = |which: usize| {
        json!({"VulnerabilityID": format!("CVE-2026-{which:05}"), "PkgName": format!("package-{}", which / 2),
               "InstalledVersion": "1.2.3-4", "FixedVersion": "1.2.3-5", "Severity": "MEDIUM", "Status": "fixed",
               "Title": "a title of some length, as real ones have", "PrimaryURL": "https://avd.example/nvd/cve",
               "Description": "A description, of which nothing is kept. ".repeat(8)})
    };
    let findings: Vec<_> = (0..FINDINGS).map(finding).collect();
    let names = [&own, &index].map(|digest| format!("registry.example/team/app@{digest}"));
    let report = json!({"SchemaVersion": 2, "CreatedAt": "2026-01-01T12:00:00Z", "ArtifactName": "registry.example/team/app",
        "ArtifactType": "container_image",
        "Metadata": {"ImageID": config.as_str(), "RepoDigests": names, "ImageConfig": {"architecture": "amd64", "os": "linux"}},
        "Results": [{"Target": "app (debian 12)", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": findings}]});
    let (below, name) = (format!("{:03}", number / IN_FOLDER), format!("sha256-{}.json", own.hex()));
    folder.write_in(&below, &name, &report.to_string());
    // As reports are: not written a moment ago.
    let file = std::fs::File::options().write(true).open(folder.path().join(below).join(name)).expect("our own file");
    file.set_modified(SystemTime::now() - Duration::from_secs(3_600)).expect("its time can be set");
}

fn manifest(number: usize) -> ScannedManifest {
    let [digest, config, _] = digests(number);
    let config = Fact::Known(Seen { value: config, at: Timestamp::UNIX_EPOCH, source: Source::Current });
    ScannedManifest { digest, platform: None, config, index: None, reports: None }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn amount(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("a small number"))
}

/// Resident bytes of this process, at some moment.
struct Memory(f64);

impl Memory {
    fn here() -> Self {
        let text = std::fs::read_to_string("/proc/self/statm").expect("a Linux system");
        let pages: u32 =
            text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).expect("a number of pages");
        Self(f64::from(pages) * 4_096.0)
    }

    /// The most that there ever were.
    fn most() -> Self {
        let text = std::fs::read_to_string("/proc/self/status").expect("a Linux system");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes: Option<u32> = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        Self(f64::from(kilobytes.expect("a number of kilobytes")) * 1_024.0)
    }

    /// How many more there are now.
    fn more(&self) -> f64 {
        Self::here().0 - self.0
    }
}
