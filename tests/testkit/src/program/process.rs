//! A process of the real program with what it prints; killed when the test is over, however that ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::leash::Leash;

/// Bytes that a process holds in memory: now, and at most so far.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: u64,
    pub peak: u64,
}

/// It runs with the arguments and the variables that it was given, and nobody waits until it is ready.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    /// Whether nobody reads what it prints any more.
    deaf: Arc<AtomicBool>,
    leash: Option<Leash>,
}

impl Process {
    /// Starts it with none of the variables of this process but PATH.
    #[must_use]
    pub fn start(binary: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = super::command(binary, arguments);
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let leash = Some(Leash::on_process(child.id()));
        let log = Arc::new(Mutex::new(String::new()));
        let deaf = Arc::new(AtomicBool::new(false));
        collect(child.stderr.take().expect("standard error is piped"), &log, &deaf);
        collect(child.stdout.take().expect("standard output is piped"), &log, &deaf);
        Self { child, log, deaf, leash }
    }

    /// Everything that it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads one line more of what it prints, and closes the pipes.
    pub fn stop_reading(&self) {
        self.deaf.store(true, Ordering::Relaxed);
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// SIGSTOP: it keeps its connections and answers none of them.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a running process has an id");
        kill_process(id, signal).expect("our own child can be sent a signal");
    }

    /// How it ended; none: it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("the program can be looked at");
        if status.is_some() {
            // Its number may be another's from now on.
            self.leash = None;
        }
        status
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.exited().is_none()
    }

    /// Waits for its end; none: it runs on.
    pub async fn exited_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        loop {
            let status = self.exited();
            if status.is_some() || started.elapsed() > patience {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// As the kernel counts it.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux tells of processes");
        let bytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the field is there");
            let number = line.trim_start_matches(':').trim().trim_end_matches("kB").trim();
            number.parse::<u64>().expect("it is a number of kilobytes") << 10
        };
        Memory { resident: bytes("VmRSS"), peak: bytes("VmHWM") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        self.leash = None;
    }
}

fn collect(stream: impl std::io::Read + Send + 'static, log: &Arc<Mutex<String>>, deaf: &Arc<AtomicBool>) {
    let (log, deaf) = (Arc::clone(log), Arc::clone(deaf));
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
            if deaf.load(Ordering::Relaxed) {
                break;
            }
        }
    });
}
