//! A cluster with nodes on which our Pods really run, and a shell in a copy of our repository: what a reader has.
//!
//! Nothing of what is installed is changed for it: Services and Pods are reached through the API server's own network
//! ([`Cluster::with_network`], [`Kubelet`]). What the shell finds on its PATH are kubectl, helm, the built `pratique` and
//! whatever the machine has; its home is empty.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pratique_testkit::real::{Cluster, Kubelet, Workload, built, run_in};
use pratique_testkit::{Directory, Outcome, PATIENCE};

pub(crate) mod load;
pub(crate) mod remains;

/// The real program under test.
const PRATIQUE: &str = env!("CARGO_BIN_EXE_pratique");
/// Where manifests and chart say that it is to be had.
const IMAGE: &str = "ghcr.io/pratique-dev/pratique";
/// What a reader has of our repository, where it is there.
const COPIED: [&str; 7] = ["manifests", "certs", "examples", "docs", "README.md", "CHANGELOG.md", "Cargo.toml"];
/// No command of ours takes so long, also beside everything else on a busy machine.
const SECONDS: &str = "300";
/// How often what happens by itself is looked at.
const PAUSE: Duration = Duration::from_millis(200);
/// Enough that replicas can be spread, and that one of them can be drained.
const NODES: usize = 3;

/// It is there until it is dropped.
pub(crate) struct Place {
    // Ended before the cluster is.
    kubelet: Kubelet,
    cluster: Cluster,
    folder: Directory,
}

impl Place {
    /// An empty cluster, whose namespace `default` can have Pods.
    pub(crate) async fn new() -> Self {
        let cluster = Cluster::with_network().await;
        let serving = ["--kubeconfig", "{kubeconfig}", "--listen", "{port:webhook}", "--admin", "{port:admin}"];
        let asking = ["--kubeconfig", "{kubeconfig}", "--connect-to", "{service:pratique-system/pratique:443}"];
        let workload = Workload::new(IMAGE, PRATIQUE).appends("serve", &serving).appends("status", &asking);
        let kubelet = Kubelet::start(&cluster, NODES, vec![workload]).await;
        let folder = Directory::new();
        let place = Self { kubelet, cluster, folder };
        place.furnish();
        place
    }

    fn furnish(&self) {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in COPIED.iter().filter(|name| ours.join(name).exists()) {
            copy(&ours.join(name), &self.repository().join(name));
        }
        let programs = self.folder.path().join("bin");
        fs::create_dir_all(&programs).expect("a folder in our own can be made");
        fs::create_dir_all(self.folder.path().join("home/.kube")).expect("and in it another");
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").expect("the cluster runs, so its programs are there");
        for (name, path) in [
            ("kubectl", PathBuf::from(assets).join("kubectl")),
            ("helm", PathBuf::from(built("helm"))),
            ("pratique", PathBuf::from(PRATIQUE)),
        ] {
            symlink(path, programs.join(name)).expect("a link in our own folder can be made");
        }
        let kubeconfig = self.folder.path().join("home/.kube/config");
        fs::copy(self.cluster.kubeconfig(), kubeconfig).expect("a kubeconfig can be copied");
    }

    /// Runs a script of bash in the copy of our repository, as the administrator of the cluster, to its end or to its first
    /// command that fails.
    pub(crate) fn shell(&self, script: &str) -> Outcome {
        self.shell_in(&self.repository(), script)
    }

    fn shell_in(&self, folder: &Path, script: &str) -> Outcome {
        let at = self.folder.path().display();
        let path = format!("PATH={at}/bin:{}", std::env::var("PATH").unwrap_or_default());
        let settings = [path, format!("HOME={at}/home"), "LC_ALL=C.UTF-8".to_owned()];
        let script = format!("cd '{}'\n{script}", folder.display());
        // A group of its own, so that what it leaves in the background ends with it.
        run_in(&settings, &["timeout", "--kill-after=5", SECONDS, "bash", "-euo", "pipefail", "-c", &script])
    }

    /// The same, and every command must succeed; returns what was printed on standard output.
    pub(crate) fn run(&self, script: &str) -> String {
        let outcome = self.shell(script);
        assert_eq!(
            outcome.code,
            Some(0),
            "{script}\n{}\n{}\n{}",
            outcome.stdout,
            outcome.stderr,
            self.kubelet.account()
        );
        outcome.stdout
    }

    /// The same, and it must fail and say these words; returns what was printed on standard error.
    pub(crate) fn fails(&self, script: &str, words: &[&str]) -> String {
        let outcome = self.shell(script);
        assert_ne!(outcome.code, Some(0), "it does not fail: {script}\n{outcome:?}\n{}", self.account());
        for word in words {
            assert!(outcome.stderr.contains(word), "{script}\nthere is no {word:?} in:\n{}", outcome.stderr);
        }
        outcome.stderr
    }

    /// Runs it again and again until what it leaves is as wanted, for what happens by itself.
    pub(crate) async fn eventually(&self, script: &str, wanted: impl Fn(&Outcome) -> bool) {
        let started = Instant::now();
        loop {
            let outcome = tokio::task::block_in_place(|| self.shell(script));
            if wanted(&outcome) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "it stays so: {script}\n{outcome:?}\n{}", self.account());
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What to print when something has failed.
    pub(crate) fn account(&self) -> String {
        let log = self.cluster.api_server_log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("webhook")).collect();
        format!("{}\n--- API server\n{}", self.kubelet.account(), lines[lines.len().saturating_sub(10)..].join("\n"))
    }

    /// Where the shell is.
    pub(crate) fn repository(&self) -> PathBuf {
        self.folder.path().join("pratique")
    }

    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn kubelet(&self) -> &Kubelet {
        &self.kubelet
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        let _bytes = fs::copy(from, to).expect("what we ship can be copied");
        return;
    }
    fs::create_dir_all(to).expect("a folder in our own can be made");
    for entry in fs::read_dir(from).expect("what we ship can be read") {
        let entry = entry.expect("and listed");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}
