//! What we ship, installed in a real cluster as our own instructions say, with the real program at work under its own
//! service account: as many processes as there are replicas, behind one address.
//!
//! The objects of `manifests/base` are applied as they are, but for what no cluster without nodes can do: the Service is an
//! `ExternalName` of this machine, and the webhooks name the port of the forwarder that stands for it.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pratique_testkit::real::{Cluster, Forwarder, Probe, get, steady_port};
use pratique_testkit::{Outcome, PATIENCE, Process, eventually};
use tokio::sync::OnceCell;

/// The real program under test.
pub(crate) const PRATIQUE: &str = env!("CARGO_BIN_EXE_pratique");
const NAMESPACE: &str = "pratique-system";
/// Everything but the webhooks: what can be applied, and be ready, before the API server asks.
const WITHOUT_WEBHOOKS: &str = "app.kubernetes.io/component!=webhook";

/// What is to be installed.
pub(crate) struct Setup<'cluster> {
    cluster: &'cluster Cluster,
    /// The folder of `manifests` that is applied.
    shipped: &'static str,
    replicas: usize,
    settings: Option<String>,
    manifests: Vec<String>,
    environment: Vec<(String, String)>,
    probe: Probe,
}

/// It is at work until it is dropped.
pub(crate) struct Installed<'cluster> {
    cluster: &'cluster Cluster,
    forwarder: Forwarder,
    replicas: Mutex<Vec<Replica>>,
    kubeconfig: PathBuf,
    settings: PathBuf,
    environment: Vec<(String, String)>,
    probe: Probe,
}

struct Replica {
    process: Process,
    webhook: SocketAddr,
    admin: SocketAddr,
    /// Whether it was told to end: from then on it is no endpoint, whatever it says.
    leaving: bool,
}

impl<'cluster> Setup<'cluster> {
    pub(crate) fn replicas(self, replicas: usize) -> Self {
        Self { replicas, ..self }
    }

    /// An overlay such as `overlays/audit-only` in place of the base. The settings stay those of the base, unless others are
    /// given.
    pub(crate) fn shipped(self, folder: &'static str) -> Self {
        Self { shipped: folder, ..self }
    }

    /// A settings file in place of the shipped one.
    pub(crate) fn settings(self, settings: &str) -> Self {
        Self { settings: Some(settings.to_owned()), ..self }
    }

    /// Objects that are there before the program starts.
    pub(crate) fn manifest(mut self, yaml: &str) -> Self {
        self.manifests.push(yaml.to_owned());
        self
    }

    /// How the forwarder asks whether a replica is ready.
    pub(crate) fn probe(self, probe: Probe) -> Self {
        Self { probe, ..self }
    }

    /// Returns when all replicas are ready and the API server asks them.
    pub(crate) async fn start(self) -> Installed<'cluster> {
        let Self { cluster, shipped, replicas, settings, manifests, environment, probe } = self;
        let forwarder = Forwarder::new().await;
        let overlay = overlay(cluster, shipped, forwarder.port());
        let apply = |flags: &[&str]| {
            let folder = overlay.display().to_string();
            let all: Vec<&str> = ["apply", "-k", &folder].into_iter().chain(flags.iter().copied()).collect();
            done(&cluster.kubectl(&all));
        };
        // As manifests/base/kustomization.yaml says it is done.
        apply(&["-l", WITHOUT_WEBHOOKS]);
        done(&cluster.kubectl(&["wait", "--for=condition=Established", "crd/imagepolicies.pratique.dev"]));
        for manifest in &manifests {
            done(&cluster.kubectl_with_input(&["apply", "-f", "-"], manifest));
        }
        let file = overlay.join("settings.yaml");
        fs::write(&file, settings.unwrap_or_else(|| read(&base().join("settings/pratique.yaml")))).expect("it is ours");
        let installed = Installed {
            cluster,
            forwarder,
            replicas: Mutex::default(),
            kubeconfig: cluster.kubeconfig_for(NAMESPACE, "pratique").await,
            settings: file,
            environment,
            probe,
        };
        let started: Vec<usize> = (0..replicas).map(|_| installed.spawn_replica()).collect();
        for replica in started {
            installed.wait_until_ready(replica).await;
        }
        apply(&[]);
        installed.wait_until_asked().await;
        installed
    }
}

impl<'cluster> Installed<'cluster> {
    /// Two replicas with the shipped settings, unless something else is said.
    pub(crate) fn on(cluster: &'cluster Cluster) -> Setup<'cluster> {
        let (manifests, environment) = (Vec::new(), Vec::new());
        let (shipped, probe) = ("base", Probe::default());
        Setup { cluster, shipped, replicas: 2, settings: None, manifests, environment, probe }
    }

    /// In the cluster that tests share, for those that stop nothing and change no settings.
    pub(crate) async fn shared() -> &'static Installed<'static> {
        static SHARED: OnceCell<Installed<'static>> = OnceCell::const_new();
        SHARED.get_or_init(async || Installed::on(Cluster::shared().await).start().await).await
    }

    pub(crate) fn cluster(&self) -> &'cluster Cluster {
        self.cluster
    }

    pub(crate) fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    /// Creates it, without a warning.
    pub(crate) fn accepts(&self, yaml: &str) {
        accepted(&self.create(yaml, &[]));
    }

    /// The same as a dry run: nothing is created.
    pub(crate) fn would_accept(&self, yaml: &str) {
        accepted(&self.create(yaml, &["--dry-run=server"]));
    }

    /// It is not created, and what kubectl prints, which is returned, has these words.
    pub(crate) fn rejects(&self, yaml: &str, words: &[&str]) -> String {
        rejected(self.create(yaml, &[]), words)
    }

    /// The same as a dry run.
    pub(crate) fn would_reject(&self, yaml: &str, words: &[&str]) -> String {
        rejected(self.create(yaml, &["--dry-run=server"]), words)
    }

    /// `kubectl create -f -`
    pub(crate) fn create(&self, yaml: &str, flags: &[&str]) -> Outcome {
        let all: Vec<&str> = ["create", "-f", "-"].into_iter().chain(flags.iter().copied()).collect();
        self.cluster.kubectl_with_input(&all, yaml)
    }

    /// One more, which gets reviews once it says that it is ready; returns its number.
    pub(crate) async fn start_replica(&self) -> usize {
        let replica = self.spawn_replica();
        self.wait_until_ready(replica).await;
        replica
    }

    /// One more, not waited for.
    pub(crate) fn spawn_replica(&self) -> usize {
        let mut replicas = self.replicas();
        let number = replicas.len();
        let [webhook, admin] = [steady_port(), steady_port()].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let (kubeconfig, settings) = (self.kubeconfig.display().to_string(), self.settings.display().to_string());
        let addresses = [webhook.to_string(), admin.to_string()];
        let arguments = ["serve", "--kubeconfig", &kubeconfig, "--config", &settings];
        let arguments = arguments.into_iter().chain(["--listen", &addresses[0], "--admin", &addresses[1]]);
        let name = format!("pratique-{number}");
        // For registries as everywhere in tests: nobody answers there. kube's client would take HTTPS_PROXY for itself.
        let mut environment = vec![("HTTPS_PROXY", ""), ("ALL_PROXY", "http://127.0.0.1:1")];
        environment.extend([("POD_NAMESPACE", NAMESPACE), ("POD_NAME", name.as_str())]);
        environment.extend(self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let process = Process::start(PRATIQUE, &arguments.collect::<Vec<_>>(), &environment);
        replicas.push(Replica { process, webhook, admin, leaving: false });
        self.endpoints(&replicas);
        number
    }

    /// Until the replica is ready and the forwarder knows it.
    pub(crate) async fn wait_until_ready(&self, replica: usize) {
        let webhook = self.webhook(replica);
        let started = Instant::now();
        while !self.forwarder.ready().contains(&webhook) {
            let exited = self.replicas()[replica].process.exited();
            let why = || format!("{exited:?} {:?}\n{}", self.admin(replica, "/readyz"), self.log(replica));
            assert!(exited.is_none() && started.elapsed() < PATIENCE * 3, "replica {replica} is not ready: {}", why());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Until the API server asks us: a new configuration and a new caBundle are in force after a moment.
    async fn wait_until_asked(&self) {
        let namespace = self.cluster.fresh_namespace("asked", &[]).await;
        let pod = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: asked, namespace: {namespace}}}, spec: ")
            + "{containers: [{name: asked, image: registry.invalid/asked:1}]}}";
        eventually("the API server asks a replica", async || {
            let created = self.create(&pod, &["--dry-run=server"]);
            assert!(!created.stderr.contains("denied the request"), "nothing is refused there: {created:?}");
            created.code == Some(0) && self.reviews() > 0
        })
        .await;
    }

    /// How many reviews were answered by those replicas that can be asked.
    pub(crate) fn reviews(&self) -> u64 {
        let of = |replica| {
            let (_, metrics) = self.admin(replica, "/metrics")?;
            let counted = metrics.lines().filter(|line| line.starts_with("pratique_reviews_total{"));
            Some(counted.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum::<u64>())
        };
        let count = self.replicas().len();
        (0..count).filter_map(of).sum()
    }

    /// What a replica answers to operators: `/readyz`, `/metrics`.
    pub(crate) fn admin(&self, replica: usize, path: &str) -> Option<(u16, String)> {
        let admin = self.replicas()[replica].admin;
        get(admin, path, Duration::from_secs(2))
    }

    /// Where a replica answers reviews.
    pub(crate) fn webhook(&self, replica: usize) -> SocketAddr {
        self.replicas()[replica].webhook
    }

    /// Everything that a replica has printed.
    pub(crate) fn log(&self, replica: usize) -> String {
        self.replicas()[replica].process.log()
    }

    /// SIGKILL; the forwarder learns of it by its probes.
    pub(crate) fn kill(&self, replica: usize) {
        self.replicas()[replica].process.kill();
    }

    /// SIGTERM, as when its Pod is deleted: from the same moment, for who follows probes, it is no endpoint any more.
    pub(crate) fn terminate(&self, replica: usize) {
        let mut replicas = self.replicas();
        replicas[replica].process.terminate();
        replicas[replica].leaving = true;
        self.endpoints(&replicas);
    }

    /// SIGTERM alone: whoever keeps the endpoints has not heard of it, and learns by its probes.
    pub(crate) fn terminate_unannounced(&self, replica: usize) {
        self.replicas()[replica].process.terminate();
    }

    /// SIGSTOP
    pub(crate) fn freeze(&self, replica: usize) {
        self.replicas()[replica].process.freeze();
    }

    /// SIGCONT
    pub(crate) fn thaw(&self, replica: usize) {
        self.replicas()[replica].process.thaw();
    }

    /// Waits for the end of a replica; returns its exit status, none where a signal ended it.
    pub(crate) async fn ended(&self, replica: usize) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.replicas()[replica].process.exited() {
                return status.code();
            }
            assert!(started.elapsed() < PATIENCE * 2, "replica {replica} runs on:\n{}", self.log(replica));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn endpoints(&self, replicas: &[Replica]) {
        let staying = replicas.iter().filter(|replica| !replica.leaving);
        self.forwarder.follow(staying.map(|replica| (replica.webhook, replica.admin)).collect(), self.probe);
    }

    fn replicas(&self) -> MutexGuard<'_, Vec<Replica>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A folder that `kubectl apply -k` takes: what we ship, and the two differences.
fn overlay(cluster: &Cluster, shipped: &str, port: u16) -> PathBuf {
    let folder = cluster.folder().join(format!("installed-{port}"));
    let (ours, overlay) = (folder.join("manifests"), folder.join("overlay"));
    for part in ["base", "components", "overlays"] {
        copy(&manifests().join(part), &ours.join(part));
    }
    fs::create_dir_all(&overlay).expect("a folder in our own can be made");
    let rendered = cluster.kubectl(&["kustomize", &ours.join(shipped).display().to_string()]);
    done(&rendered);
    let webhooks = rendered.stdout.matches("\n  clientConfig:\n").count();
    assert!(webhooks > 0, "the webhook configuration is not written as this test reads it");
    let mut text =
        format!("resources: [../manifests/{shipped}]\npatches:\n- target: {{kind: Service, name: pratique}}\n");
    text += "  patch: |-\n    - {op: replace, path: /spec, value: {type: ExternalName, externalName: localhost}}\n";
    text += "- target: {kind: ValidatingWebhookConfiguration, name: pratique}\n  patch: |-\n";
    for webhook in 0..webhooks {
        let path = format!("/webhooks/{webhook}/clientConfig/service/port");
        writeln!(text, "    - {{op: replace, path: {path}, value: {port}}}").expect("a string takes everything");
    }
    fs::write(overlay.join("kustomization.yaml"), text).expect("a file in our own folder can be written");
    overlay
}

fn base() -> PathBuf {
    manifests().join("base")
}

fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder in our own can be made");
    for entry in fs::read_dir(from).expect("our manifests can be read") {
        let entry = entry.expect("and listed");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("and copied");
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("what we ship can be read")
}

fn done(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
}

fn accepted(outcome: &Outcome) {
    done(outcome);
    assert!(!outcome.stderr.contains("Warning:"), "it is accepted with a warning:\n{}", outcome.stderr);
}

fn rejected(outcome: Outcome, words: &[&str]) -> String {
    assert_eq!(outcome.code, Some(1), "it is not rejected: {outcome:?}");
    assert!(!outcome.stderr.contains("failed calling webhook"), "nobody answered:\n{}", outcome.stderr);
    has(outcome.stderr, words)
}

fn has(text: String, words: &[&str]) -> String {
    for word in words {
        assert!(text.contains(word), "there is no {word:?} in:\n{text}");
    }
    text
}
