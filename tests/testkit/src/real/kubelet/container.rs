//! One container: its process, how it is probed, and what happens when it ends.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Container as Spec, Pod, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::task::AbortHandle;

use super::command::{self, Rewriting};
use super::pod::Local;
use super::{Surroundings, Workload, held};
use crate::real::cluster::steady_port;
use crate::real::get;
use crate::{PATIENCE, Process};

/// Readiness is asked for at least so often, whatever the Pod says: tests have no time.
const READINESS: Duration = Duration::from_millis(200);
/// What an answer of a busy machine may take.
const LATE: Duration = Duration::from_secs(5);
/// The first back-off; a kubelet begins with ten seconds.
const BACK_OFF: Duration = Duration::from_millis(250);
/// And the longest.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(5);

/// What a container has printed: what runs, after what has ended.
#[derive(Default)]
pub(super) struct Journal {
    ended: String,
    running: Option<Arc<Mutex<Process>>>,
}

impl Journal {
    pub(super) fn text(&self) -> String {
        let running = self.running.as_ref().map(|process| held(process).log());
        self.ended.clone() + &running.unwrap_or_default()
    }

    fn end(&mut self) {
        self.ended = self.text();
        self.running = None;
    }
}

pub(super) enum State {
    /// No program is known for it: it is said to run.
    Held,
    /// Not started yet, and why.
    Waiting(String),
    Running(Run),
    /// It has ended so, and is started again then.
    BackOff {
        code: i32,
        until: Instant,
    },
    /// For good.
    Ended {
        code: i32,
    },
}

/// A process, and what probes say of it.
pub(super) struct Run {
    process: Arc<Mutex<Process>>,
    ready: Arc<AtomicBool>,
    dead: Arc<AtomicBool>,
    probes: Vec<AbortHandle>,
    pub(super) since: jiff::Timestamp,
}

pub(super) struct Container {
    pub(super) spec: Spec,
    pub(super) state: State,
    pub(super) restarts: i32,
    workload: Option<Workload>,
    journal: String,
}

impl Container {
    pub(super) fn new(spec: &Spec, workloads: &[Workload], pod: &str) -> Self {
        let image = spec.image.clone().unwrap_or_default();
        let workload = workloads.iter().find(|workload| workload.runs(&image)).cloned();
        let state = if workload.is_some() { State::Waiting("ContainerCreating".to_owned()) } else { State::Held };
        let journal = format!("{pod}/{}", spec.name);
        Self { spec: spec.clone(), state, restarts: 0, workload, journal }
    }

    pub(super) fn is_ready(&self) -> bool {
        match &self.state {
            State::Held => true,
            State::Running(run) => run.ready.load(Ordering::Relaxed),
            State::Waiting(_) | State::BackOff { .. } | State::Ended { .. } => false,
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.workload.is_some()
    }

    /// Whether a process is there.
    pub(super) fn runs(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    pub(super) fn terminate(&self) {
        if let State::Running(run) = &self.state {
            held(&run.process).terminate();
        }
    }

    pub(super) fn kill(&self) {
        if let State::Running(run) = &self.state {
            held(&run.process).kill();
        }
    }

    /// Takes note of what has happened: an end, or that nobody answers.
    pub(super) fn observe(&mut self, around: &Surroundings, policy: &str) {
        let State::Running(run) = &self.state else { return };
        if run.dead.swap(false, Ordering::Relaxed) {
            around.shared.complain(format!("{}: does not answer its liveness probe", self.journal));
            held(&run.process).kill();
        }
        let Some(status) = held(&run.process).exited() else { return };
        // A shell's way to say that a signal ended it.
        let code = status.code().unwrap_or(137);
        held(&around.shared.journals).entry(self.journal.clone()).or_default().end();
        let again = policy == "Always" || (policy == "OnFailure" && code != 0);
        self.state = if again {
            let pause = (BACK_OFF * 2_u32.pow(self.restarts.clamp(0, 5).unsigned_abs())).min(LONGEST_BACK_OFF);
            State::BackOff { code, until: Instant::now() + pause }
        } else {
            State::Ended { code }
        };
    }

    /// Starts it, where it is time to.
    pub(super) async fn start(&mut self, around: &Surroundings, local: &Local, pod: &Pod, paths: &Rewriting) {
        let Some(workload) = &self.workload else { return };
        match &self.state {
            State::Waiting(_) => {}
            State::BackOff { until, .. } if *until <= Instant::now() => self.restarts += 1,
            State::BackOff { .. } | State::Held | State::Running(_) | State::Ended { .. } => return,
        }
        let environment = command::environment(&around.client, pod, &local.ip, &self.spec, paths).await;
        let started = environment.and_then(|environment| {
            let ports = ports(&self.spec);
            let arguments = command::arguments(&self.spec, &environment, paths);
            let appended = appended(around, workload, &arguments, &ports, &local.folder)?;
            Ok(self.launch(around, workload, &local.ip, (&[arguments, appended].concat(), &environment), &ports))
        });
        match started {
            Ok(run) => self.state = State::Running(run),
            Err(why) => self.state = State::Waiting(why),
        }
    }

    fn launch(
        &self,
        around: &Surroundings,
        workload: &Workload,
        ip: &str,
        (arguments, environment): (&[String], &[(String, String)]),
        ports: &[(String, u16, SocketAddr)],
    ) -> Run {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // Nobody answers there, for registries as everywhere in tests; kube's client would take HTTPS_PROXY for itself.
        let mut all = vec![("HTTPS_PROXY", ""), ("ALL_PROXY", "http://127.0.0.1:1")];
        let given = environment.iter().chain(&workload.environment);
        all.extend(given.map(|(name, value)| (name.as_str(), value.as_str())));
        let process = Arc::new(Mutex::new(Process::start(&workload.binary, &arguments, &all)));
        for (_, port, address) in ports {
            around.shared.network.forward(ip, *port, *address);
        }
        held(&around.shared.journals).entry(self.journal.clone()).or_default().running = Some(Arc::clone(&process));
        let (ready, dead) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let mut probes = Vec::new();
        match self.spec.readiness_probe.as_ref().and_then(|probe| Some((probe, target(probe, ports)?))) {
            Some((probe, at)) => probes.push(watch_readiness(probe, at, &ready)),
            None => ready.store(true, Ordering::Relaxed),
        }
        if let Some((probe, at)) =
            self.spec.liveness_probe.as_ref().and_then(|probe| Some((probe, target(probe, ports)?)))
        {
            probes.push(watch_liveness(probe, at, &dead));
        }
        Run { process, ready, dead, probes, since: jiff::Timestamp::now() }
    }

    /// It is nobody's any more.
    pub(super) fn forget(&self, around: &super::Shared) {
        if self.is_ours() {
            held(&around.journals).entry(self.journal.clone()).or_default().end();
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for probe in &self.probes {
            probe.abort();
        }
    }
}

/// The ports of a container by name and number, and where they are really listened at.
fn ports(spec: &Spec) -> Vec<(String, u16, SocketAddr)> {
    let ports = spec.ports.iter().flatten();
    let numbered = ports.filter_map(|port| {
        let number = u16::try_from(port.container_port).ok()?;
        Some((port.name.clone().unwrap_or_default(), number, SocketAddr::from(([127, 0, 0, 1], steady_port()))))
    });
    numbered.collect()
}

/// The further arguments of a workload, with what they name in place.
fn appended(
    around: &Surroundings,
    workload: &Workload,
    given: &[String],
    ports: &[(String, u16, SocketAddr)],
    folder: &Path,
) -> Result<Vec<String>, String> {
    let fitting = workload.appended.iter().filter(|(subcommand, _)| given.first() == Some(subcommand));
    let mut arguments = Vec::new();
    for argument in fitting.flat_map(|(_, arguments)| arguments) {
        let mut text = argument.replace("{kubeconfig}", &folder.join("kubeconfig").display().to_string());
        for (name, _, address) in ports {
            text = text.replace(&format!("{{port:{name}}}"), &address.to_string());
        }
        if let Some((before, named)) = text.split_once("{service:") {
            let named = named.split_once('}').and_then(|(named, after)| Some((named.split_once('/')?, after)));
            let split = named.and_then(|((namespace, rest), after)| Some((namespace, rest.split_once(':')?, after)));
            let (namespace, (service, port), after) = split.ok_or_else(|| format!("{argument}: names no Service"))?;
            let port = port.parse().map_err(|_| format!("{argument}: names no port"))?;
            text = format!("{before}127.0.0.1:{}{after}", around.shared.network.door(namespace, service, port));
        }
        arguments.push(text);
    }
    Ok(arguments)
}

/// Where a probe asks, and for what; none: in a way that is not known here.
fn target(probe: &Probe, ports: &[(String, u16, SocketAddr)]) -> Option<(SocketAddr, String)> {
    let asked = probe.http_get.as_ref()?;
    let (_, _, address) = ports.iter().find(|(name, number, _)| match &asked.port {
        IntOrString::String(port) => port == name,
        IntOrString::Int(port) => i32::from(*number) == *port,
    })?;
    Some((*address, asked.path.clone().unwrap_or_else(|| "/".to_owned())))
}

async fn answers((address, path): &(SocketAddr, String), timeout: Duration) -> bool {
    let (address, path) = (*address, path.clone());
    let asked = tokio::task::spawn_blocking(move || get(address, &path, timeout)).await;
    matches!(asked, Ok(Some((200..=399, _))))
}

fn seconds(given: Option<i32>, otherwise: u64) -> Duration {
    Duration::from_secs(given.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(otherwise))
}

fn watch_readiness(probe: &Probe, at: (SocketAddr, String), ready: &Arc<AtomicBool>) -> AbortHandle {
    let (period, threshold) = (seconds(probe.period_seconds, 10).min(READINESS), probe.failure_threshold.unwrap_or(3));
    let ready = Arc::clone(ready);
    let watching = async move {
        let mut failed = 0;
        loop {
            let answers = answers(&at, LATE).await;
            failed = if answers { 0 } else { failed + 1 };
            if answers || failed >= threshold {
                ready.store(answers, Ordering::Relaxed);
            }
            tokio::time::sleep(period).await;
        }
    };
    tokio::spawn(watching).abort_handle()
}

/// As the Pod says: it is about the program that hangs, and nothing waits for it.
fn watch_liveness(probe: &Probe, at: (SocketAddr, String), dead: &Arc<AtomicBool>) -> AbortHandle {
    let (period, timeout) = (seconds(probe.period_seconds, 10), seconds(probe.timeout_seconds, 1).max(LATE));
    let (threshold, dead) = (probe.failure_threshold.unwrap_or(3), Arc::clone(dead));
    let watching = async move {
        let started = Instant::now();
        let mut failed = 0;
        loop {
            tokio::time::sleep(period).await;
            failed = if answers(&at, timeout).await { 0 } else { failed + 1 };
            // A busy machine is no reason to restart what has just been started.
            if failed >= threshold && started.elapsed() > PATIENCE {
                dead.store(true, Ordering::Relaxed);
            }
        }
    };
    tokio::spawn(watching).abort_handle()
}
