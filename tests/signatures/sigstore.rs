//! A private Sigstore on 127.0.0.1: real Fulcio, real Rekor v2 (rekor-tiles) and a real timestamp authority; the OIDC
//! issuers, the log of certificates and Rekor v1 are stand-ins, because the real ones need the world or a database.

mod authority;
mod certificate_log;
mod entry_log;
mod issuer;
mod key;
mod service;

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pratique_testkit::Directory;
use pratique_testkit::real::{Running, built, free_port};
use rcgen::KeyPair;

use crate::cosign::Cosign;
use crate::wire::get;
use authority::Authority;
use certificate_log::CertificateLog;
use entry_log::EntryLog;
use issuer::Issuers;
use key::Key;

/// What Rekor's checkpoints are signed as: the host of its URL.
const HOST: &str = "127.0.0.1";

/// It runs until it is dropped.
pub(crate) struct Sigstore {
    pub(crate) issuers: Issuers,
    pub(crate) fulcio: String,
    /// Rekor v1.
    pub(crate) entries: String,
    pub(crate) timestamps: String,
    authority: Authority,
    certificates: CertificateLog,
    files: Directory,
    _programs: Vec<Running>,
}

impl Sigstore {
    pub(crate) fn new(cosign: &Cosign) -> Self {
        let (issuers, certificates, entries) = (Issuers::new(), CertificateLog::new(), EntryLog::new());
        let files = Directory::new();
        let authority = Authority::new(&files);
        let (fulcio, fulcio_url) = fulcio(&files, &issuers, &certificates);
        let (rekor, rekor_url) = rekor(&files);
        let (timestamps, timestamps_url) = timestamps(&files);
        files.write("certificates.pub", &certificates.key.public_pem());
        files.write("entries.pub", &entries.key.public_pem());
        let log = certificates.url.clone();
        let programs = vec![fulcio, rekor, timestamps];
        let sigstore = Self {
            issuers,
            fulcio: fulcio_url,
            entries: entries.url.clone(),
            timestamps: timestamps_url,
            authority,
            certificates,
            files,
            _programs: programs,
        };
        let logs = [(rekor_url.as_str(), "rekor.pub"), (&entries.url, "entries.pub")];
        let ended = format!(",end-time={}", ago(1));
        sigstore.write_root(cosign, "root.json", "certificates.pub", &log, &logs, "");
        sigstore.write_root(cosign, "ended.json", "certificates.pub", &log, &logs, &ended);
        sigstore.write_root(cosign, "promises.json", "entries.pub", &log, &logs, "");
        let swapped = [(rekor_url.as_str(), "stranger.pub"), (&entries.url, "certificates.pub")];
        sigstore.files.write("stranger.pub", &Key::new().public_pem());
        sigstore.write_root(cosign, "logs.json", "certificates.pub", &log, &swapped, "");
        sigstore.write_settings(cosign, "logged.json", Some(&rekor_url));
        sigstore.write_settings(cosign, "timed.json", None);
        sigstore
    }

    /// The path of one of its files: `root.json`, or roots that must not do: `ended.json` (its certificate authority
    /// is over), `promises.json` (another log of certificates) and `logs.json` (other logs of entries); `logged.json`
    /// and `timed.json` are what cosign signs with.
    pub(crate) fn file(&self, name: &str) -> String {
        self.files.file(name)
    }

    /// A certificate of ten minutes for a mail address, which began so long ago and is promised; in PEM, and with it a
    /// key of an imported pair's.
    pub(crate) fn certificate(&self, mail: &str, private_key: &str, ago: Duration) -> String {
        let pair = KeyPair::from_pem(private_key).expect("an imported key");
        self.authority.issue(&self.certificates.key, (&self.issuers.mail(), mail), &pair, ago)
    }

    fn write_root(
        &self,
        cosign: &Cosign,
        name: &str,
        promises: &str,
        certificates: &str,
        logs: &[(&str, &str)],
        end: &str,
    ) {
        let (start, file) = (ago(24), |name: &str| self.files.file(name));
        let mut flags = vec![
            format!("--out={}", file(name)),
            format!("--fulcio=url={},certificate-chain={},start-time={start}{end}", self.fulcio, file("authority.pem")),
            format!("--ctfe=url={certificates},public-key={},start-time={start}", file(promises)),
            format!("--tsa=url={},certificate-chain={},start-time={start}", self.timestamps, file("timestamps.pem")),
        ];
        for (url, key) in logs {
            flags.push(format!("--rekor=url={url},public-key={},start-time={start},origin={HOST}", file(key)));
        }
        cosign.succeeds(&["trusted-root", "create"], &flags);
    }

    fn write_settings(&self, cosign: &Cosign, name: &str, log: Option<&str>) {
        let start = ago(24);
        let service = |kind: &str, url: &str, version: u8| {
            format!("--{kind}=url={url},api-version={version},start-time={start},operator=test")
        };
        let mut flags = vec![
            format!("--out={}", self.files.file(name)),
            service("fulcio", &self.fulcio, 1),
            service("oidc-provider", &self.issuers.mail(), 1),
            service("tsa", &self.timestamps, 1),
            "--tsa-config=ANY".to_owned(),
        ];
        if let Some(url) = log {
            flags.extend([service("rekor", url, 2), "--rekor-config=ANY".to_owned()]);
        }
        cosign.succeeds(&["signing-config", "create"], &flags);
    }
}

/// So many hours before now.
fn ago(hours: i64) -> String {
    let time = Timestamp::now() - SignedDuration::from_hours(hours);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn fulcio(files: &Directory, issuers: &Issuers, certificates: &CertificateLog) -> (Running, String) {
    files.write("fulcio.yaml", &issuers.settings());
    let (port, calls, metrics) = (free_port().to_string(), free_port().to_string(), free_port().to_string());
    let mut command = Command::new(built("fulcio"));
    command.args(["serve", "--host", HOST, "--port", &port, "--grpc-host", HOST, "--grpc-port", &calls]);
    // It counts its calls for every address of the machine: there is no setting for that, and on one port for both of
    // its protocols, where it keeps to its host, this version does not start.
    command.args(["--metrics-port", &metrics, "--legacy-unix-domain-socket", &files.file("fulcio.socket")]);
    command.args(["--ca", "fileca", "--fileca-watch=false", "--fileca-key-passwd", ""]);
    command.args(["--fileca-cert", &files.file("authority.pem"), "--fileca-key", &files.file("authority.key")]);
    command.args(["--ct-log-url", &certificates.url, "--config-path", &files.file("fulcio.yaml")]);
    start(command, &port)
}

fn rekor(files: &Directory) -> (Running, String) {
    let key = Key::new();
    files.write("rekor.key", &key.pair().serialize_pem());
    files.write("rekor.pub", &key.public_pem());
    let (port, calls, metrics) = (free_port().to_string(), free_port().to_string(), free_port().to_string());
    let mut command = Command::new(built("rekor-server"));
    command.args(["serve", "--hostname", HOST, "--http-address", HOST, "--http-port", &port]);
    command.args(["--grpc-address", HOST, "--grpc-port", &calls, "--http-metrics-port", &metrics]);
    command.args(["--storage-dir", &files.file("entries"), "--signer-filepath", &files.file("rekor.key")]);
    // An entry is answered once a checkpoint covers it.
    command.args(["--batch-max-age", "10ms", "--checkpoint-interval", "100ms"]);
    start(command, &port)
}

fn timestamps(files: &Directory) -> (Running, String) {
    let port = free_port().to_string();
    let mut command = Command::new(built("timestamp-authority"));
    command.arg(&port);
    let (running, url) = start(command, &port);
    let url = format!("{url}/api/v1/timestamp");
    files.write("timestamps.pem", &get(&format!("{url}/certchain")));
    (running, url)
}

fn start(mut command: Command, port: &str) -> (Running, String) {
    let mut running = Running::start(&mut command);
    running.listens(port.parse().expect("a port is a number"));
    (running, format!("http://{}:{port}", Ipv4Addr::LOCALHOST))
}
