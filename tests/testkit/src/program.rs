//! The real program, as its users run it: exit codes, signals, output, memory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::client::{Client, Protocol};
use crate::directory::Directory;

/// What a command left.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status; none where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// Standard output as one JSON document.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON on stdout ({error}): {self:?}"))
    }
}

/// Runs a command to its end.
#[must_use]
pub fn run(binary: &str, arguments: &[&str]) -> Outcome {
    run_with_input(binary, arguments, "")
}

/// Runs a command with something on its standard input.
#[must_use]
pub fn run_with_input(binary: &str, arguments: &[&str], input: &str) -> Outcome {
    let mut child = command(binary, arguments).stdin(Stdio::piped()).spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("standard input is piped");
    let input = input.to_owned();
    // The program may end without having read all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().expect("the program ends");
    writer.join().expect("the writer does not panic");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The first line that a command prints on its standard output; the command is ended then.
pub async fn first_line_of(binary: &str, arguments: &[&str]) -> String {
    let mut child = command(binary, arguments).stdin(Stdio::null()).spawn().expect("the program starts");
    let stdout = child.stdout.take().expect("standard output is piped");
    let read = tokio::task::spawn_blocking(move || BufReader::new(stdout).lines().next());
    let line = tokio::time::timeout(crate::PATIENCE, read).await;
    child.kill().expect("our own child can be ended");
    // Reaped; how it ended does not matter.
    let _status = child.wait();
    let line = line.expect("it prints within patience").expect("reading does not panic");
    line.expect("it prints a line").expect("of UTF-8")
}

/// With none of the settings that this process may have.
fn command(binary: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    let kept = std::env::vars_os().filter(|(key, _)| key == "PATH" || key == "TMPDIR");
    // No test asks a registry outside of this machine, whatever its images are called; loopback needs no proxy.
    let nowhere = format!("http://{}", crate::NOBODY);
    let kept = kept.chain(["HTTP_PROXY", "HTTPS_PROXY"].map(|key| (key.into(), nowhere.clone().into())));
    command.env_clear().envs(kept).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Bytes that a process holds in memory: now, and at most so far.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: u64,
    pub peak: u64,
}

/// `pratique serve`, running; killed when the test is over.
#[derive(Debug)]
pub struct Program {
    child: Child,
    client: Client,
    log: Arc<Mutex<String>>,
    /// Whether nobody reads what it prints any more.
    deaf: Arc<AtomicBool>,
    _files: Directory,
}

impl Program {
    /// Starts it on `manifests` with further arguments, and waits until it is ready.
    pub async fn serve(binary: &str, manifests: &Directory, arguments: &[&str]) -> Self {
        Self::serve_in(binary, manifests, arguments, &[]).await
    }

    /// The same with variables of its environment.
    pub async fn serve_in(
        binary: &str,
        manifests: &Directory,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let files = Directory::new();
        let authority = write_certificate(&files);
        let (webhook, admin) = (free_address(), free_address());
        let mut all = vec!["serve".to_owned(), "--manifests".to_owned(), manifests.path().display().to_string()];
        all.extend(["--listen".to_owned(), webhook.to_string(), "--admin".to_owned(), admin.to_string()]);
        all.extend(["--tls-cert".to_owned(), files.file("tls.crt"), "--tls-key".to_owned(), files.file("tls.key")]);
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let mut command = command(binary, &all);
        command.envs(environment.iter().copied()).stdin(Stdio::null());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let deaf = Arc::new(AtomicBool::new(false));
        collect(child.stderr.take().expect("standard error is piped"), &log, &deaf);
        collect(child.stdout.take().expect("standard output is piped"), &log, &deaf);
        let client = Client::new(webhook, admin, &authority, Protocol::Http1);
        let mut program = Self { child, client, log, deaf, _files: files };
        program.wait_until_ready().await;
        program
    }

    async fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while !self.client.admin_get("/readyz").await.is_ok_and(|raw| raw.status == 200) {
            let exited = self.child.try_wait().expect("the program can be looked at");
            assert_eq!(exited, None, "it ended before it was ready:\n{}", self.log());
            assert!(started.elapsed() < crate::PATIENCE, "it is still not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
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
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a running process has an id");
        kill_process(id, Signal::TERM).expect("our own child can be told to end");
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the program can be looked at").is_none()
    }

    /// Waits for its end; none: it runs on.
    pub async fn exited_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        loop {
            let status = self.child.try_wait().expect("the program can be looked at");
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

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
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

/// A port that was free a moment ago.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a bound listener has an address")
}

/// `tls.crt` and `tls.key` for 127.0.0.1; returns what to trust.
fn write_certificate(files: &Directory) -> String {
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
    files.write("tls.crt", &issued.cert.pem());
    files.write("tls.key", &issued.signing_key.serialize_pem());
    issued.cert.pem()
}
