//! A real registry, running on a port of its own.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pratique_testkit::{Directory, PATIENCE};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::authority::Authority;
use crate::parts::built;
use crate::tokens::TokenService;

pub(crate) const USER: &str = "shop";
/// Opens the registries of these tests, which last a second, and nothing else.
pub(crate) const PASSWORD: &str = "throw-away";
/// [`USER`] and [`PASSWORD`] as htpasswd has them (bcrypt).
const HTPASSWD: &str = "shop:$2b$04$GhOdliwi/By1ke9UNFQaVeMx.KA4J9CdTEJoVnBfnEWb4ZaZrfgli\n";

/// Whose registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// CNCF Distribution 3.
    Registry,
    /// Distribution 2.8, as Debian packages it.
    DockerRegistry,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Registry, Self::DockerRegistry];

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Registry => Self::DockerRegistry,
            Self::DockerRegistry => Self::Registry,
        }
    }

    fn program(self) -> String {
        match self {
            Self::Registry => built("registry"),
            Self::DockerRegistry => "docker-registry".to_owned(),
        }
    }
}

/// How it is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Plain HTTP, for everybody.
    Open,
    /// Plain HTTP, for [`USER`] alone.
    PlainWithPassword,
    /// TLS by an authority of its own, for everybody.
    Tls,
    /// TLS, for [`USER`] alone.
    TlsWithPassword,
}

impl Door {
    fn is_tls(self) -> bool {
        match self {
            Self::Open | Self::PlainWithPassword => false,
            Self::Tls | Self::TlsWithPassword => true,
        }
    }

    fn asks_for_a_password(self) -> bool {
        match self {
            Self::Open | Self::Tls => false,
            Self::PlainWithPassword | Self::TlsWithPassword => true,
        }
    }
}

/// It runs until it is stopped or dropped, and forgets all that it had.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    authority: Option<String>,
    log: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    _files: Directory,
}

/// Where a registry was that is gone: nobody answers there for as long as this is held.
pub(crate) struct Gone {
    /// Every request of Pratique that it got, a line each.
    pub(crate) requests: String,
    _port: TcpSocket,
}

impl Server {
    pub(crate) fn open(kind: Kind) -> Self {
        Self::start(kind, Door::Open, None, "")
    }

    pub(crate) fn behind(kind: Kind, door: Door) -> Self {
        let authority = door.is_tls().then(Authority::new);
        Self::start(kind, door, authority.as_ref(), "")
    }

    /// A pull-through cache of another that is open.
    pub(crate) fn cache_of(kind: Kind, origin: &Self) -> Self {
        Self::start(kind, Door::Open, None, &format!("proxy: {{remoteurl: \"http://{}\"}}\n", origin.address))
    }

    /// TLS, for whoever has a token of the service.
    pub(crate) fn behind_tokens(kind: Kind, service: &TokenService) -> Self {
        Self::start(kind, Door::Tls, Some(service.authority()), &service.settings())
    }

    fn start(kind: Kind, door: Door, authority: Option<&Authority>, more: &str) -> Self {
        let files = Directory::new();
        let tls = authority.map(|authority| certificate(authority, &files)).unwrap_or_default();
        let auth = if door.asks_for_a_password() {
            files.write("htpasswd", HTPASSWD);
            format!("auth: {{htpasswd: {{realm: pratique, path: {}}}}}\n", files.file("htpasswd"))
        } else {
            String::new()
        };
        let storage = files.file("storage");
        let settings = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {storage}}}}}\n\
             http: {{addr: \"127.0.0.1:0\"{tls}}}\n{auth}{more}"
        );
        files.write("settings.yaml", &settings);
        let mut child = Command::new(kind.program())
            .args(["serve", &files.file("settings.yaml")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{kind:?} does not start: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            collect(child.stdout.take().expect("standard output is piped"), &log),
            collect(child.stderr.take().expect("standard error is piped"), &log),
        ];
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let authority = authority.map(|authority| authority.pem().to_owned());
        let mut server = Self { child, address, authority, log, readers, _files: files };
        let port = server.port();
        server.address.set_port(port);
        server
    }

    /// As its log says once it listens.
    fn port(&mut self) -> u16 {
        let started = Instant::now();
        loop {
            let log = self.log();
            let told = log.split_once("listening on 127.0.0.1:").map(|(_, rest)| rest);
            if let Some(end) = told.and_then(|rest| rest.find(|character: char| !character.is_ascii_digit())) {
                return told.and_then(|rest| rest[..end].parse().ok()).expect("a port is a number");
            }
            let exited = self.child.try_wait().expect("our own child can be looked at");
            assert!(exited.is_none() && started.elapsed() < PATIENCE, "it does not listen ({exited:?}):\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Host and port: the registry in the names of its images.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Who issued its certificate, in PEM.
    pub(crate) fn authority(&self) -> &str {
        self.authority.as_deref().expect("only one with TLS is asked")
    }

    /// A docker config with this password for it.
    pub(crate) fn docker_config(&self, password: &str) -> String {
        json!({"auths": {self.host(): {"auth": encoded(password)}}}).to_string()
    }

    /// Waits until the log tells that we were sent this manifest.
    #[track_caller]
    pub(crate) fn has_sent(&self, repository: &str, digest: &str) {
        let asked = format!("/v2/{repository}/manifests/{digest}");
        let started = Instant::now();
        while !ours(&self.log()).any(|line| line.contains(&asked) && line.contains("\" 200 ")) {
            assert!(started.elapsed() < PATIENCE, "{asked} was not sent:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends it, and keeps its port from everybody else.
    pub(crate) fn stop(mut self) -> Gone {
        self.end();
        for reader in self.readers.drain(..) {
            reader.join().expect("the reader does not panic");
        }
        let port = TcpSocket::new_v4().expect("there is a socket");
        port.set_reuseaddr(true).expect("a socket can be told so");
        port.bind(self.address).expect("the port of what has ended is free");
        let requests = ours(&self.log())
            .map(|line| {
                format!(
                    "{line}
"
                )
            })
            .collect();
        Gone { requests, _port: port }
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// The user and a password as HTTP's Basic and docker configs have them.
pub(crate) fn encoded(password: &str) -> String {
    STANDARD.encode(format!("{USER}:{password}"))
}

/// The requests of Pratique in a log, which name who asked.
fn ours(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains(" HTTP/") && line.contains("\"pratique/"))
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

/// Writes a certificate down; returns how the settings name it.
fn certificate(authority: &Authority, files: &Directory) -> String {
    let (issued, key) = authority.issue();
    files.write("tls.crt", &issued.pem());
    files.write("tls.key", &key.serialize_pem());
    format!(", tls: {{certificate: {}, key: {}}}", files.file("tls.crt"), files.file("tls.key"))
}
