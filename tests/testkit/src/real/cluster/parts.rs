//! The programs of a cluster, and what each is told.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use serde_json::{Value, json};

use crate::Directory;
use crate::real::{Authority, Running};

/// A folder with `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl`.
const FOLDER: &str = "KUBEBUILDER_ASSETS";

/// The path of one of them.
pub(super) fn asset(name: &str) -> String {
    let Some(folder) = std::env::var_os(FOLDER) else {
        panic!("{FOLDER} is not set: run these by .ci/run cluster");
    };
    let path = PathBuf::from(folder).join(name);
    assert!(path.is_file(), "{} is not there: tests/real-parts/build.sh cluster makes it", path.display());
    path.display().to_string()
}

/// A port of 127.0.0.1 that is free, and stays so while nobody listens there: outside of those that the kernel gives to
/// outgoing connections (from 32768 on, on Linux).
#[must_use]
pub fn steady_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Each process starts somewhere else.
    let start = std::process::id().wrapping_mul(97);
    let mut candidates = std::iter::repeat_with(|| {
        let offset = start.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % 12_000;
        u16::try_from(20_000 + offset).expect("it is below 32000")
    });
    let free = candidates.by_ref().take(12_000).find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    free.expect("one of so many is free")
}

/// Who makes a Pod, and what webhooks note beside that.
const AUDITED: &str = "apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, verbs: [create], resources: [{group: '', resources: [pods]}]}
- {level: None}
";

/// How the API server reaches what is in the cluster, where that is said.
const EGRESS: &str = "egress.yaml";

/// Where certificates, keys and data are.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// One authority for servers and clients, and the key that signs the tokens of service accounts.
    pub(super) fn write(folder: &Directory) -> Self {
        let authority = Authority::new();
        folder.write("ca.crt", authority.pem());
        let names = ["127.0.0.1", "localhost", "kubernetes.default.svc"].map(str::to_owned).to_vec();
        let mut serving = CertificateParams::new(names).expect("these are names");
        serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let mut admin = CertificateParams::new(Vec::new()).expect("no names are well-formed");
        admin.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        admin.distinguished_name.push(DnType::CommonName, "administrator");
        // RBAC never asks about this group.
        admin.distinguished_name.push(DnType::OrganizationName, "system:masters");
        for (name, params) in [("serving", &serving), ("admin", &admin)] {
            let (certificate, key) = authority.sign(params);
            folder.write(&format!("{name}.crt"), &certificate.pem());
            folder.write(&format!("{name}.key"), &key.serialize_pem());
        }
        let tokens = KeyPair::generate().expect("a key can be made");
        folder.write("tokens.key", &tokens.serialize_pem());
        folder.write("tokens.pub", &tokens.public_key_pem());
        folder.write("audit.yaml", AUDITED);
        Self { folder: folder.path().to_owned() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.join(name)).expect("our own files can be read")
    }

    /// What the API server has noted of the Pods that were to be made, as JSON, a line each.
    pub(super) fn audited(&self) -> String {
        fs::read_to_string(self.folder.join("audit.log")).expect("the API server notes something")
    }

    /// The API server is to reach Services, Pods and nodes by a socket.
    pub(super) fn write_network(&self) {
        let transport = json!({"uds": {"udsName": self.network().display().to_string()}});
        let connection = json!({"proxyProtocol": "HTTPConnect", "transport": transport});
        let config = json!({
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{"name": "cluster", "connection": connection}],
        });
        fs::write(self.folder.join(EGRESS), config.to_string()).expect("a file in our own folder can be written");
    }

    pub(super) fn network(&self) -> PathBuf {
        self.folder.join("network.sock")
    }

    /// PEM.
    pub(super) fn authority(&self) -> Vec<u8> {
        self.read("ca.crt")
    }

    /// The administrator as a `user` of a kubeconfig.
    pub(super) fn admin(&self) -> Value {
        let (certificate, key) = (STANDARD.encode(self.read("admin.crt")), STANDARD.encode(self.read("admin.key")));
        json!({"client-certificate-data": certificate, "client-key-data": key})
    }
}

pub(super) fn etcd(files: &Files, port: u16) -> Running {
    let url = format!("http://127.0.0.1:{port}");
    start(
        "etcd",
        [
            ("data-dir", files.path("etcd")),
            ("listen-client-urls", url.clone()),
            ("advertise-client-urls", url),
            // It has no peers, and wants to listen for them.
            ("listen-peer-urls", "http://127.0.0.1:0".to_owned()),
            ("log-level", "warn".to_owned()),
            // Nothing needs to outlive the machine.
            ("unsafe-no-fsync", "true".to_owned()),
        ],
    )
}

pub(super) fn api_server(files: &Files, etcd_port: u16, port: u16) -> Running {
    let network = files.folder.join(EGRESS).exists();
    let network = network.then(|| ("egress-selector-config-file", files.path(EGRESS)));
    start(
        "kube-apiserver",
        network.into_iter().chain([
            ("etcd-servers", format!("http://127.0.0.1:{etcd_port}")),
            ("bind-address", "127.0.0.1".to_owned()),
            ("advertise-address", "127.0.0.1".to_owned()),
            ("secure-port", port.to_string()),
            // A loopback address is refused as an endpoint.
            ("endpoint-reconciler-type", "none".to_owned()),
            ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
            ("authorization-mode", "RBAC".to_owned()),
            ("audit-policy-file", files.path("audit.yaml")),
            ("audit-log-path", files.path("audit.log")),
            ("allow-privileged", "true".to_owned()),
            ("client-ca-file", files.path("ca.crt")),
            ("tls-cert-file", files.path("serving.crt")),
            ("tls-private-key-file", files.path("serving.key")),
            ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
            ("service-account-key-file", files.path("tokens.pub")),
            ("service-account-signing-key-file", files.path("tokens.key")),
            // The controllers ask for these; nobody is an aggregated API server here.
            ("requestheader-client-ca-file", files.path("ca.crt")),
            ("requestheader-allowed-names", "nobody".to_owned()),
            ("requestheader-username-headers", "X-Remote-User".to_owned()),
            ("requestheader-group-headers", "X-Remote-Group".to_owned()),
            ("requestheader-extra-headers-prefix", "X-Remote-Extra-".to_owned()),
        ]),
    )
}

pub(super) fn controllers(files: &Files, kubeconfig: &Path) -> Running {
    let kubeconfig = kubeconfig.display().to_string();
    start(
        "kube-controller-manager",
        [
            ("kubeconfig", kubeconfig.clone()),
            ("authentication-kubeconfig", kubeconfig.clone()),
            ("authorization-kubeconfig", kubeconfig),
            ("bind-address", "127.0.0.1".to_owned()),
            ("secure-port", steady_port().to_string()),
            ("tls-cert-file", files.path("serving.crt")),
            ("tls-private-key-file", files.path("serving.key")),
            ("leader-elect", "false".to_owned()),
            ("root-ca-file", files.path("ca.crt")),
            ("service-account-private-key-file", files.path("tokens.key")),
            // Thousands of namespaces get their service accounts in seconds, not in minutes.
            ("kube-api-qps", "500".to_owned()),
            ("kube-api-burst", "1000".to_owned()),
        ],
    )
}

fn start(name: &str, settings: impl IntoIterator<Item = (&'static str, String)>) -> Running {
    let mut command = Command::new(asset(name));
    // None of the settings that this process may have: etcd reads ETCD_*.
    command.env_clear().args(settings.into_iter().map(|(key, value)| format!("--{key}={value}")));
    Running::start(&mut command)
}
