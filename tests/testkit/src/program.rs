//! The real program, as its users run it: exit codes, signals, output, memory.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::{Deref, DerefMut};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Client, Protocol};
use crate::directory::Directory;

mod process;

pub use process::{Memory, Process};

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

/// `pratique serve`, running; killed when the test is over.
#[derive(Debug)]
pub struct Program {
    process: Process,
    client: Client,
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
        let process = Process::start(binary, &all, environment);
        let client = Client::new(webhook, admin, &authority, Protocol::Http1);
        let mut program = Self { process, client, _files: files };
        program.wait_until_ready().await;
        program
    }

    async fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while !self.client.admin_get("/readyz").await.is_ok_and(|raw| raw.status == 200) {
            assert_eq!(self.exited(), None, "it ended before it was ready:\n{}", self.log());
            assert!(started.elapsed() < crate::PATIENCE, "it is still not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Deref for Program {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Program {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
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
