//! The real programs, and how they are called.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Directory, Outcome, run};

/// A folder with what `tests/real-parts/build.sh` built.
const FOLDER: &str = "PRATIQUE_REAL_PARTS";

/// The program of `tests/real-parts/<name>`, in the version that its `go.mod` or its `requirements.txt` names.
pub fn built(name: &str) -> String {
    let path = provided(name);
    assert!(path.is_file(), "{} is not there: tests/real-parts/build.sh makes it", path.display());
    path.display().to_string()
}

/// The program or the folder of that name and version, as it was provided.
pub fn provided(name: &str) -> PathBuf {
    let Some(folder) = std::env::var_os(FOLDER) else {
        panic!("{FOLDER} is not set: run these by .ci/run registries, signatures, scanners or packaging");
    };
    let path = PathBuf::from(folder).join(format!("{name}-{}", version(name)));
    assert!(path.exists(), "{} is not there: tests/real-parts/build.sh makes it", path.display());
    path
}

fn version(name: &str) -> String {
    let part = Path::new(env!("CARGO_MANIFEST_DIR")).join("../real-parts").join(name);
    let Ok(module) = fs::read_to_string(part.join("go.mod")) else {
        let wheel = fs::read_to_string(part.join("requirements.txt")).expect("each part has a go.mod or a wheel");
        let required = wheel.lines().find_map(|line| line.split_once(' ')?.0.split_once("=="));
        return required.expect("it requires one version").1.to_owned();
    };
    let required = module.lines().find_map(|line| line.strip_prefix("require ")?.split_once(" v"));
    required.expect("it requires the program in a line of its own").1.to_owned()
}

/// One call of crane or skopeo, at home in a folder of its own: no configuration of whoever runs the tests.
pub struct Client {
    home: Directory,
    authority: Option<String>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// For registries that speak plain HTTP.
    #[must_use]
    pub fn new() -> Self {
        Self { home: Directory::new(), authority: None }
    }

    /// The same, with credentials (a docker config).
    pub fn plain(docker_config: &str) -> Self {
        let client = Self::new();
        client.home.write("config.json", docker_config);
        client
    }

    /// With credentials (a docker config) and trust in an authority (PEM).
    pub fn known(docker_config: &str, authority: &str) -> Self {
        let client = Self { home: Directory::new(), authority: Some(authority.to_owned()) };
        client.home.write("config.json", docker_config);
        client.home.write("ca.crt", authority);
        client
    }

    /// What crane prints.
    pub fn crane(&self, arguments: &[&str]) -> String {
        let crane = built("crane");
        let mut all = vec![crane.as_str()];
        all.extend(arguments);
        self.call(&all)
    }

    /// What skopeo prints. It is told in flags whom to trust.
    pub fn skopeo(&self, command: &str, arguments: &[&str]) -> String {
        let mut all = vec!["skopeo", "--insecure-policy", command];
        all.extend(arguments);
        self.call(&all)
    }

    /// Copies an image that is in `layout` to a registry by skopeo.
    pub fn skopeo_push(&self, layout: &Path, target: &str, flags: &[&str]) {
        let (from, to) = (format!("oci:{}:image", layout.display()), format!("docker://{target}"));
        let trust = self.skopeo_trust("dest-");
        let mut all: Vec<&str> = trust.iter().map(String::as_str).collect();
        all.extend(flags);
        all.extend([from.as_str(), to.as_str()]);
        self.skopeo("copy", &all);
    }

    /// The digest that skopeo says an image has.
    pub fn skopeo_digest(&self, target: &str) -> String {
        let from = format!("docker://{target}");
        let trust = self.skopeo_trust("");
        let mut all: Vec<&str> = trust.iter().map(String::as_str).collect();
        all.extend(["--format", "{{.Digest}}", from.as_str()]);
        self.skopeo("inspect", &all)
    }

    fn skopeo_trust(&self, prefix: &str) -> Vec<String> {
        match self.authority {
            None => vec![format!("--{prefix}tls-verify=false")],
            Some(_) => vec![
                format!("--{prefix}cert-dir={}", self.home.path().display()),
                format!("--{}authfile={}", prefix, self.home.file("config.json")),
            ],
        }
    }

    fn call(&self, command: &[&str]) -> String {
        let home = self.home.path().display();
        let mut settings = vec![format!("HOME={home}"), format!("DOCKER_CONFIG={home}")];
        if self.authority.is_some() {
            settings.push(format!("SSL_CERT_FILE={}", self.home.file("ca.crt")));
        }
        let Outcome { code, stdout, stderr } = run_in(&settings, command);
        assert_eq!(code, Some(0), "{command:?}\n{stderr}");
        stdout.trim().to_owned()
    }
}

/// Runs a command with these variables (`NAME=value`) and no others but PATH.
pub fn run_in(settings: &[String], command: &[&str]) -> Outcome {
    let mut all: Vec<&str> = settings.iter().map(String::as_str).collect();
    all.extend(command);
    run("env", &all)
}
