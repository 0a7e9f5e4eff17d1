//! A real Prometheus at work, and promtool.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use pratique_testkit::real::{Running, built, steady_port};
use pratique_testkit::{Directory, Outcome, run};
use serde_json::Value;

/// Longer than any query of ours takes; only one that hangs meets it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// It scrapes and evaluates until it is dropped.
pub(super) struct Prometheus {
    port: u16,
    process: Running,
    _folder: Directory,
}

/// What `promtool` says about files in this folder.
pub(super) fn promtool(folder: &Directory, arguments: &[&str]) -> Outcome {
    let (promtool, folder) = (built("promtool"), folder.path().display().to_string());
    let all: Vec<&str> = ["-C", &folder, &promtool].into_iter().chain(arguments.iter().copied()).collect();
    run("env", &all)
}

impl Prometheus {
    /// By its configuration file; `rules.yaml` is beside it.
    pub(super) fn start(configuration: &str, rules: &str) -> Self {
        let folder = Directory::new();
        folder.write("prometheus.yaml", configuration);
        folder.write("rules.yaml", rules);
        let port = steady_port();
        let mut command = Command::new(built("prometheus"));
        command.arg(format!("--config.file={}", folder.file("prometheus.yaml")));
        command.arg(format!("--storage.tsdb.path={}", folder.file("data")));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg("--log.level=warn");
        let mut process = Running::start(&mut command);
        process.listens(port);
        Self { port, process, _folder: folder }
    }

    /// `data` of what its API answers to a path.
    pub(super) fn tells(&self, path: &str) -> Value {
        self.data(self.exchange("GET", path, ""))
    }

    /// The same to a query, with these fields.
    pub(super) fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        self.data(self.exchange("POST", path, &form.join("&")))
    }

    fn data(&self, (status, body): (u16, String)) -> Value {
        let mut answer: Value = serde_json::from_str(&body).unwrap_or_default();
        let well = status == 200 && answer["status"] == "success";
        assert!(well, "{status} {body}\n{}", self.process.log());
        answer["data"].take()
    }

    /// By HTTP/1.0, which is not chunked.
    fn exchange(&self, method: &str, path: &str, form: &str) -> (u16, String) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a stream takes a timeout");
        let head = format!("{method} /api/v1/{path} HTTP/1.0\r\nContent-Length: {}\r\n", form.len());
        write!(stream, "{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("HTTP has a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.expect("HTTP has a status"), body.to_owned())
    }
}

fn escaped(value: &str) -> String {
    let mut escaped = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(byte.into());
        } else {
            write!(escaped, "%{byte:02X}").expect("a String takes everything");
        }
    }
    escaped
}
