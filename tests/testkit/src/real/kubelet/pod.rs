//! One Pod on a node, from its binding to its end.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Value, json};

use super::command::{Rewriting, TOKEN_FOLDER};
use super::container::Container;
use super::status;
use super::volumes::Volumes;
use super::{Shared, Surroundings};

/// How often what volumes hold is looked at again; a kubelet takes up to a minute.
const REFRESH: Duration = Duration::from_secs(1);
/// What a Pod that says nothing gets.
const GRACE_SECONDS: i64 = 30;

pub(super) struct Local {
    pub(super) ip: String,
    pub(super) folder: PathBuf,
    namespace: String,
    pod: String,
    uid: String,
    containers: Vec<Container>,
    volumes: Option<Volumes>,
    paths: Rewriting,
    refreshed: Option<Instant>,
    /// Since when it is to end.
    ending: Option<Instant>,
    started: jiff::Timestamp,
    /// Whether it was ready when that was looked at last, and since when.
    ready: (bool, jiff::Timestamp),
    reported: Option<Value>,
    shared: Arc<Shared>,
}

impl Local {
    pub(super) fn new(around: &Surroundings, pod: &Pod) -> Self {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let (namespace, name, uid) = (text(&pod.metadata.namespace), text(&pod.metadata.name), text(&pod.metadata.uid));
        let (ip, folder, now) = (fresh_ip(), around.folder.join(&uid), jiff::Timestamp::now());
        let specs = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
        let full = format!("{namespace}/{name}");
        let containers = specs.iter().map(|spec| Container::new(spec, &around.workloads, &full)).collect();
        let paths = Rewriting::new(&folder.join("root"), specs);
        let volumes = Some(Volumes::new(&folder.join("volumes"), &ip));
        Self {
            ip,
            folder,
            namespace,
            pod: name,
            uid,
            containers,
            volumes,
            paths,
            refreshed: None,
            ending: None,
            started: now,
            ready: (false, now),
            reported: None,
            shared: Arc::clone(&around.shared),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.namespace, self.pod)
    }

    /// One step: whatever is to be done now, and what there is to say about it.
    pub(super) async fn advance(&mut self, around: &Surroundings, pod: &Pod) -> Result<(), String> {
        let policy = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
        let over = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let over = matches!(over, Some("Succeeded" | "Failed"));
        if pod.metadata.deletion_timestamp.is_some() {
            return self.end(around, pod).await;
        }
        if over {
            return Ok(());
        }
        for container in &mut self.containers {
            container.observe(around, policy);
        }
        let prepared = self.prepare(around, pod).await;
        if prepared.is_ok() {
            self.start(around, pod).await;
        }
        self.report(around).await?;
        prepared
    }

    /// The folder with everything in it, again and again: volumes change.
    async fn prepare(&mut self, around: &Surroundings, pod: &Pod) -> Result<(), String> {
        let fresh = self.refreshed.is_some_and(|refreshed| refreshed.elapsed() < REFRESH);
        if fresh || !self.containers.iter().any(Container::is_ours) {
            return Ok(());
        }
        let Some(volumes) = &mut self.volumes else { return Ok(()) };
        volumes.refresh(&around.client, pod, &self.paths).await?;
        if self.refreshed.is_none() {
            for container in self.containers.iter().filter(|container| container.is_ours()) {
                volumes.mount(&container.spec, &self.paths).map_err(|error| error.to_string())?;
            }
            let kubeconfig = self.kubeconfig(&around.server).to_string();
            fs::write(self.folder.join("kubeconfig"), kubeconfig).map_err(|error| error.to_string())?;
        }
        self.refreshed = Some(Instant::now());
        Ok(())
    }

    /// What the token is good for, and as it is read again when it changes.
    fn kubeconfig(&self, server: &str) -> Value {
        let mounted = |name: &str| self.paths.place(TOKEN_FOLDER).join(name).display().to_string();
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "own", "cluster": {"server": server, "certificate-authority": mounted("ca.crt")}}],
            "users": [{"name": "own", "user": {"tokenFile": mounted("token")}}],
            "contexts": [{"name": "own", "context": {"cluster": "own", "user": "own", "namespace": self.namespace}}],
            "current-context": "own",
        })
    }

    async fn start(&mut self, around: &Surroundings, pod: &Pod) {
        let paths = self.paths.clone();
        let mut containers = std::mem::take(&mut self.containers);
        for container in &mut containers {
            container.start(around, self, pod, &paths).await;
        }
        self.containers = containers;
    }

    /// SIGTERM, time to end, SIGKILL; and then the Pod is gone.
    async fn end(&mut self, around: &Surroundings, pod: &Pod) -> Result<(), String> {
        for container in &mut self.containers {
            // Nothing is started again.
            container.observe(around, "Never");
        }
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(GRACE_SECONDS);
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or_default());
        if self.containers.iter().any(Container::runs) {
            match self.ending {
                None => {
                    self.ending = Some(Instant::now());
                    self.containers.iter().for_each(Container::terminate);
                }
                Some(since) if since.elapsed() > grace => {
                    around.shared.complain(format!("{}: does not end within {grace:?}", self.name()));
                    self.containers.iter().for_each(Container::kill);
                }
                Some(_) => {}
            }
            return self.report(around).await;
        }
        let preconditions = Preconditions { uid: Some(self.uid.clone()), resource_version: None };
        let now = DeleteParams::default().grace_period(0).preconditions(preconditions);
        let deleted = Api::<Pod>::namespaced(around.client.clone(), &self.namespace).delete(&self.pod, &now).await;
        deleted.map(drop).or_else(unless_gone)
    }

    async fn report(&mut self, around: &Surroundings) -> Result<(), String> {
        let ready = self.containers.iter().all(Container::is_ready);
        if ready != self.ready.0 {
            self.ready = (ready, jiff::Timestamp::now());
        }
        let status = status::of(&self.containers, &self.ip, self.started, self.ready);
        if self.reported.as_ref() == Some(&status) {
            return Ok(());
        }
        let pods = Api::<Pod>::namespaced(around.client.clone(), &self.namespace);
        let patch = Patch::Merge(json!({"metadata": {"uid": self.uid}, "status": status}));
        pods.patch_status(&self.pod, &PatchParams::default(), &patch).await.map(drop).or_else(unless_gone)?;
        self.reported = Some(status);
        Ok(())
    }
}

impl Drop for Local {
    /// Deleted by force, or all is over: nobody waits for the processes.
    fn drop(&mut self) {
        for container in &self.containers {
            container.kill();
            container.forget(&self.shared);
        }
        self.shared.network.forget(&self.ip);
    }
}

/// Gone, or another of the same name.
fn unless_gone(error: kube::Error) -> Result<(), String> {
    match error {
        kube::Error::Api(status) if status.code == 404 || status.code == 409 => Ok(()),
        other => Err(other.to_string()),
    }
}

/// Of a network of the cluster's own, in which nothing of this machine is.
fn fresh_ip() -> String {
    static SERIAL: AtomicU32 = AtomicU32::new(1);
    let number = SERIAL.fetch_add(1, Ordering::Relaxed);
    format!("10.244.{}.{}", number / 250 % 250, number % 250 + 1)
}
