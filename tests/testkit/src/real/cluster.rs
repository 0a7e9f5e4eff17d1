//! A Kubernetes cluster without nodes: real etcd, kube-apiserver, where asked kube-controller-manager, and kubectl, from
//! the folder that `KUBEBUILDER_ASSETS` names, as envtest has it.
//!
//! Everything listens on 127.0.0.1 and is gone with the test process, also where that panics or is killed. Whoever calls
//! is authorised by RBAC, and Pods need a service account, as in any cluster; nothing is ever scheduled. All that is kept
//! here are processes and paths: clients are made on demand, for whatever runtime the test has.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{ObjectMeta, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::leash::Leash;
use crate::real::Running;
use crate::{Directory, Outcome, PATIENCE, eventually, run_with_input};

mod kubeconfig;
mod parts;

pub use parts::steady_port;
use parts::{Files, asset};

/// Certificates, data, kubeconfigs; and a port for each of those who listen.
#[derive(Debug)]
pub struct Cluster {
    files: Files,
    admin: PathBuf,
    etcd_port: u16,
    port: u16,
    has_controllers: bool,
    // In the order in which they are ended.
    controllers: Mutex<Option<Running>>,
    api_server: Mutex<Option<Running>>,
    etcd: Mutex<Running>,
    /// Where nobody drops us: a `static`.
    _leash: Leash,
    folder: Directory,
}

impl Cluster {
    /// etcd and kube-apiserver. A deleted namespace stays `Terminating` and Deployments make no Pods; the service account
    /// `default` is made with each namespace by [`Cluster::namespace`].
    pub async fn start() -> Self {
        Self::with(false, false).await
    }

    /// With kube-controller-manager.
    pub async fn with_controllers() -> Self {
        Self::with(true, false).await
    }

    /// With kube-controller-manager, and an API server that reaches Services, Pods and nodes through a socket alone, as
    /// behind Konnectivity: whoever listens at [`Cluster::network`] is their network. Until somebody does none is reached.
    pub async fn with_network() -> Self {
        Self::with(true, true).await
    }

    /// One with controllers for all the tests of a binary that stop nothing in it.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceCell<Cluster> = OnceCell::const_new();
        SHARED.get_or_init(Self::with_controllers).await
    }

    async fn with(has_controllers: bool, has_network: bool) -> Self {
        let folder = Directory::new();
        let leash = Leash::on_folder(folder.path());
        let (etcd_port, port) = (steady_port(), steady_port());
        let files = Files::write(&folder);
        if has_network {
            files.write_network();
        }
        let admin = folder.path().join("admin.kubeconfig");
        kubeconfig::write(&admin, &files, port, &files.admin(), None);
        let mut etcd = parts::etcd(&files, etcd_port);
        etcd.listens(etcd_port);
        let cluster = Self {
            files,
            admin,
            etcd_port,
            port,
            has_controllers,
            controllers: Mutex::new(None),
            api_server: Mutex::new(None),
            etcd: Mutex::new(etcd),
            _leash: leash,
            folder,
        };
        cluster.start_api_server().await;
        if has_controllers {
            *held(&cluster.controllers) = Some(parts::controllers(&cluster.files, &cluster.admin));
        }
        cluster.account_of("default").await;
        cluster
    }

    /// A client with all rights, for the runtime of whoever asks.
    pub async fn client(&self) -> Client {
        Self::client_of(&self.admin).await
    }

    /// A client as any kubeconfig says.
    pub async fn client_of(kubeconfig: &Path) -> Client {
        crate::client::install_provider();
        let read = Kubeconfig::read_from(kubeconfig).expect("our own kubeconfig can be read");
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("our own kubeconfig is in order")).expect("a client can be made")
    }

    /// What has all rights.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.admin
    }

    /// As a service account, by a token that is good for an hour.
    pub async fn kubeconfig_for(&self, namespace: &str, service_account: &str) -> PathBuf {
        let token = kubeconfig::token(self.client().await, namespace, service_account).await;
        self.written(&json!({"token": token}), None)
    }

    /// As a user whom the administrator impersonates, with the rights of that user and these groups alone.
    #[must_use]
    pub fn kubeconfig_as(&self, user: &str, groups: &[&str]) -> PathBuf {
        self.written(&self.files.admin(), Some((user, groups)))
    }

    fn written(&self, user: &Value, impersonated: Option<(&str, &[&str])>) -> PathBuf {
        let path = self.folder.path().join(fresh("user") + ".kubeconfig");
        kubeconfig::write(&path, &self.files, self.port, user, impersonated);
        path
    }

    /// What kubectl does and prints, with all rights.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Outcome {
        self.kubectl_with_input(arguments, "")
    }

    /// The same, with something to read: `-f -`.
    #[must_use]
    pub fn kubectl_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        self.kubectl_as_with_input(&self.admin, arguments, input)
    }

    /// As a kubeconfig says.
    #[must_use]
    pub fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Outcome {
        self.kubectl_as_with_input(kubeconfig, arguments, "")
    }

    /// As a kubeconfig says, with something to read.
    #[must_use]
    pub fn kubectl_as_with_input(&self, kubeconfig: &Path, arguments: &[&str], input: &str) -> Outcome {
        let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
        let cache = format!("--cache-dir={}", self.folder.file("kubectl-cache"));
        let mut all = vec![kubeconfig.as_str(), cache.as_str()];
        all.extend(arguments);
        run_with_input(&asset("kubectl"), &all, input)
    }

    /// Makes a namespace with labels such as `("pratique.dev/enforce", "baseline")`, in which Pods can be created.
    pub async fn namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let metadata = ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespaces = Api::<Namespace>::all(self.client().await);
        namespaces.create(&PostParams::default(), &namespace).await.expect("a namespace can be made");
        self.account_of(name).await;
    }

    /// The same under a name that nobody else has, which is returned.
    pub async fn fresh_namespace(&self, prefix: &str, labels: &[(&str, &str)]) -> String {
        let name = fresh(prefix);
        self.namespace(&name, labels).await;
        name
    }

    /// Waits for the service account that Pods have by default; without controllers makes it.
    async fn account_of(&self, namespace: &str) {
        let accounts = Api::<ServiceAccount>::namespaced(self.client().await, namespace);
        if !self.has_controllers {
            let metadata = ObjectMeta { name: Some("default".to_owned()), ..ObjectMeta::default() };
            let account = ServiceAccount { metadata, ..ServiceAccount::default() };
            accounts.create(&PostParams::default(), &account).await.expect("a service account can be made");
        }
        eventually("the namespace has a service account", async || {
            if let Some(controllers) = held(&self.controllers).as_mut() {
                assert!(controllers.exited().is_none(), "the controllers have ended:\n{}", controllers.log());
            }
            accounts.get_opt("default").await.is_ok_and(|found| found.is_some())
        })
        .await;
    }

    /// At once, as a crash does; what it has stored stays.
    pub fn stop_api_server(&self) {
        drop(held(&self.api_server).take());
    }

    /// At the port that it always had, with what was stored; returns when it answers.
    pub async fn start_api_server(&self) {
        // The last one, should it still run.
        self.stop_api_server();
        *held(&self.api_server) = Some(parts::api_server(&self.files, self.etcd_port, self.port));
        let started = Instant::now();
        let client = self.client().await;
        let ready = || hyper::Request::get("/readyz").body(Vec::new()).expect("a path makes a request");
        while client.request_text(ready()).await.is_err() {
            if let Some(api_server) = held(&self.api_server).as_mut() {
                let ended = api_server.exited();
                let late = started.elapsed() > PATIENCE * 3;
                assert!(ended.is_none() && !late, "it is not ready ({ended:?}):\n{}", api_server.log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Forgets every revision of etcd but the present one: who watches from an older one is told 410 Gone. The API server's
    /// own cache knows old revisions all the same, until it is started again.
    pub async fn compact(&self) {
        let key = json!({"key": "AA==", "range_end": "AA==", "count_only": true});
        let revision = self.etcd("kv/range", &key).await["header"]["revision"].clone();
        let compaction = json!({"revision": revision, "physical": true});
        self.etcd("kv/compaction", &compaction).await;
    }

    async fn etcd(&self, path: &str, body: &Value) -> Value {
        crate::client::install_provider();
        let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        let url = format!("http://127.0.0.1:{}/v3/{path}", self.etcd_port);
        let answer = http.post(url).body(body.to_string()).send().await.expect("etcd answers");
        let (status, text) = (answer.status(), answer.text().await.expect("etcd ends its answer"));
        assert!(status.is_success(), "{path}: {status}: {text}\n{}", held(&self.etcd).log());
        serde_json::from_str(&text).expect("etcd answers in JSON")
    }

    /// The URL of the API server.
    #[must_use]
    pub fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// What the API server has printed since it was started last.
    #[must_use]
    pub fn api_server_log(&self) -> String {
        held(&self.api_server).as_ref().map(Running::log).unwrap_or_default()
    }

    /// The audit log: of each Pod that was to be made an event in JSON, with what webhooks have annotated.
    #[must_use]
    pub fn audited(&self) -> String {
        self.files.audited()
    }

    /// The socket at which the API server asks for connections (`CONNECT host:port HTTP/1.1`), where it is so started.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.files.network()
    }

    /// A folder that is gone with the cluster.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// A name that no other object of this run has.
fn fresh(prefix: &str) -> String {
    static SERIAL: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    format!("{prefix}-{}", SERIAL.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
}

/// A test that panicked while it held the lock says so by itself.
fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
