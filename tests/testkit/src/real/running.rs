//! A program that runs in the background until it is dropped or this process is gone, and what it prints.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::leash::Leash;

/// How often something that happens by itself is looked at.
const PAUSE: Duration = Duration::from_millis(20);

/// It runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    leash: Option<Leash>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let leash = Some(Leash::on_process(child.id()));
        let log = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("standard output is piped"), &log),
            collect(child.stderr.take().expect("standard error is piped"), &log),
        ];
        Self { child, log, readers, leash }
    }

    /// Waits until the log tells where it listens: the port after `words`.
    pub fn port(&mut self, words: &str) -> u16 {
        self.until(|log| {
            let told = log.split_once(words)?.1;
            let end = told.find(|character: char| !character.is_ascii_digit())?;
            told[..end].parse().ok()
        })
    }

    /// Waits until it listens on a port of 127.0.0.1 that it was told.
    pub fn listens(&mut self, port: u16) {
        self.until(|_| std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok());
    }

    /// Looks at the log until there is an answer; the program must not end before.
    fn until<T>(&mut self, mut answer: impl FnMut(&str) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            let log = self.log();
            if let Some(found) = answer(&log) {
                return found;
            }
            let exited = self.exited();
            assert!(exited.is_none() && started.elapsed() < PATIENCE, "it is not ready ({exited:?}):\n{log}");
            std::thread::sleep(PAUSE);
        }
    }

    /// How it ended by itself; none: it runs.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("our own child can be looked at");
        if status.is_some() {
            // Its number may be another's from now on.
            self.leash = None;
        }
        status
    }

    /// Everything that it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it; returns all that it had printed.
    pub fn stop(&mut self) -> String {
        self.end();
        for reader in self.readers.drain(..) {
            reader.join().expect("the reader does not panic");
        }
        self.log()
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        self.leash = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn collect(stream: impl Read + Send + 'static, log: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(&line);
            log.push('\n');
        }
    })
}

/// A port of 127.0.0.1 that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
