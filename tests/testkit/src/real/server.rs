//! A real registry, running on a port of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{Directory, PATIENCE};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::net::TcpSocket;

use super::authority::Authority;
use super::parts::built;
use super::running::Running;

pub const USER: &str = "shop";
/// Opens the registries of these tests, which last a second, and nothing else.
pub const PASSWORD: &str = "throw-away";
/// [`USER`] and [`PASSWORD`] as htpasswd has them (bcrypt).
const HTPASSWD: &str = "shop:$2b$04$GhOdliwi/By1ke9UNFQaVeMx.KA4J9CdTEJoVnBfnEWb4ZaZrfgli\n";

/// Whose registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CNCF Distribution 3.
    Registry,
    /// Distribution 2.8, as Debian packages it.
    DockerRegistry,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Registry, Self::DockerRegistry];

    #[must_use]
    pub fn other(self) -> Self {
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
pub enum Door {
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
pub struct Server {
    running: Running,
    address: SocketAddr,
    authority: Option<String>,
    _files: Directory,
}

/// Where a registry was that is gone: nobody answers there for as long as this is held.
pub struct Gone {
    /// Every request of Pratique that it got, a line each.
    pub requests: String,
    _port: TcpSocket,
}

impl Server {
    pub fn open(kind: Kind) -> Self {
        Self::start(kind, Door::Open, None, "")
    }

    pub fn behind(kind: Kind, door: Door) -> Self {
        let authority = door.is_tls().then(Authority::new);
        Self::start(kind, door, authority.as_ref(), "")
    }

    /// A pull-through cache of another that is open.
    pub fn cache_of(kind: Kind, origin: &Self) -> Self {
        Self::start(kind, Door::Open, None, &format!("proxy: {{remoteurl: \"http://{}\"}}\n", origin.address))
    }

    /// TLS, for whoever has a token of the service in the settings.
    pub fn behind_tokens(kind: Kind, authority: &Authority, settings: &str) -> Self {
        Self::start(kind, Door::Tls, Some(authority), settings)
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
        let mut running = Running::start(Command::new(kind.program()).args(["serve", &files.file("settings.yaml")]));
        let port = running.port("listening on 127.0.0.1:");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let authority = authority.map(|authority| authority.pem().to_owned());
        Self { running, address, authority, _files: files }
    }

    /// Host and port: the registry in the names of its images.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn url(&self) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Who issued its certificate, in PEM.
    pub fn authority(&self) -> &str {
        self.authority.as_deref().expect("only one with TLS is asked")
    }

    /// A docker config with this password for it.
    pub fn docker_config(&self, password: &str) -> String {
        json!({"auths": {self.host(): {"auth": encoded(password)}}}).to_string()
    }

    /// Waits until the log tells that we were sent this manifest.
    #[track_caller]
    pub fn has_sent(&self, repository: &str, digest: &str) {
        let asked = format!("/v2/{repository}/manifests/{digest}");
        let started = Instant::now();
        while !ours(&self.running.log()).any(|line| line.contains(&asked) && line.contains("\" 200 ")) {
            assert!(started.elapsed() < PATIENCE, "{asked} was not sent:\n{}", self.running.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it, and keeps its port from everybody else.
    pub fn stop(mut self) -> Gone {
        let log = self.running.stop();
        let port = TcpSocket::new_v4().expect("there is a socket");
        port.set_reuseaddr(true).expect("a socket can be told so");
        port.bind(self.address).expect("the port of what has ended is free");
        let requests = ours(&log).flat_map(|line| [line, "\n"]).collect();
        Gone { requests, _port: port }
    }
}

/// The user and a password as HTTP's Basic and docker configs have them.
pub fn encoded(password: &str) -> String {
    STANDARD.encode(format!("{USER}:{password}"))
}

/// The requests of Pratique in a log, which name who asked.
fn ours(log: &str) -> impl Iterator<Item = &str> {
    log.lines().filter(|line| line.contains(" HTTP/") && line.contains("\"pratique/"))
}

/// Writes a certificate down; returns how the settings name it.
fn certificate(authority: &Authority, files: &Directory) -> String {
    let (issued, key) = authority.issue();
    files.write("tls.crt", &issued.pem());
    files.write("tls.key", &key.serialize_pem());
    format!(", tls: {{certificate: {}, key: {}}}", files.file("tls.crt"), files.file("tls.key"))
}
