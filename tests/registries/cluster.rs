//! What a cluster's nodes and administrators have set up, and `pratique check` with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pratique_testkit::Directory;
use pratique_testkit::real::{PASSWORD, encoded, run_in};
use serde_json::{Value, json};

use crate::PRATIQUE;

/// Settings, policy, `hosts.toml` files and credentials.
pub(crate) struct Cluster {
    files: Directory,
    manifests: Directory,
}

/// What `check` says of one image.
pub(crate) struct Answer {
    code: Option<i32>,
    image: Value,
    stderr: String,
}

impl Cluster {
    /// A policy that demands of every image to have a digest, and that its tag has kept it; nothing else set up.
    pub(crate) fn new() -> Self {
        let (files, manifests) = (Directory::new(), Directory::new());
        fs::create_dir(files.path().join("hosts")).expect("a folder in our own folder can be made");
        files.write("docker.json", "{}");
        let settings = format!(
            "registries: {{hosts: \"{}\", dockerConfig: \"{}\"}}\n",
            files.file("hosts"),
            files.file("docker.json")
        );
        files.write("settings.yaml", &settings);
        manifests.policy("real", "rules:\n- name: all\n  images: [\"**\"]\n  tags: {repointed: deny}\n");
        Self { files, manifests }
    }

    /// containerd's `hosts.toml` for a registry.
    pub(crate) fn hosts(self, registry: &str, toml: &str) -> Self {
        let folder = self.files.path().join("hosts").join(registry);
        fs::create_dir_all(&folder).expect("a folder in our own folder can be made");
        fs::write(folder.join("hosts.toml"), toml).expect("and a file in it");
        self
    }

    /// Trusts an authority (PEM) on the registry itself.
    pub(crate) fn trusting(self, registry: &str, authority: &str) -> Self {
        let file = self.authority(registry, authority);
        self.hosts(registry, &format!("server = \"https://{registry}\"\nca = \"{file}\"\n"))
    }

    /// Trusts an authority (PEM) everywhere, as the system does, and no other.
    pub(crate) fn system(self, authority: &str) -> Self {
        self.files.write("system.crt", authority);
        self
    }

    /// Writes an authority (PEM) down; returns the path.
    pub(crate) fn authority(&self, registry: &str, authority: &str) -> String {
        let name = format!("{}.crt", registry.replace(':', "-"));
        self.files.write(&name, authority);
        self.files.file(&name)
    }

    pub(crate) fn docker_config(self, json: &str) -> Self {
        self.files.write("docker.json", json);
        self
    }

    /// A program that is found on the PATH: `docker-credential-<name>`, a shell script.
    pub(crate) fn helper(self, name: &str, script: &str) -> Self {
        let name = format!("docker-credential-{name}");
        self.files.write(&name, &format!("#!/bin/sh\n{script}"));
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.files.path().join(&name), executable).expect("our own file can be made executable");
        self
    }

    /// The text of a file of ours, or of one that a helper wrote beside itself; empty where there is none.
    pub(crate) fn written(&self, name: &str) -> String {
        fs::read_to_string(self.files.path().join(name)).unwrap_or_default()
    }

    /// A pull secret.
    pub(crate) fn secret(self, namespace: &str, name: &str, docker_config: &str) -> Self {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
            "metadata": {"namespace": namespace, "name": name},
            "data": {".dockerconfigjson": STANDARD.encode(docker_config)}});
        self.manifests.write(&format!("secret-{namespace}-{name}.json"), &secret.to_string());
        self
    }

    /// Judges a Pod with one image, and a pull secret where it names one.
    pub(crate) fn check_pod(&self, namespace: &str, image: &str, pull_secret: Option<&str>) -> Answer {
        let secrets: Vec<Value> = pull_secret.iter().map(|name| json!({"name": name})).collect();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": "web"},
            "spec": {"containers": [{"name": "web", "image": image}], "imagePullSecrets": secrets}});
        self.files.write("pod.json", &pod.to_string());
        self.judge(&["-f", &self.files.file("pod.json")]).pop().expect("an image has an answer")
    }

    /// Judges one image.
    pub(crate) fn check(&self, image: &str) -> Answer {
        self.check_all(&[image]).pop().expect("an image has an answer")
    }

    /// Judges images in one run.
    pub(crate) fn check_all(&self, images: &[&str]) -> Vec<Answer> {
        self.judge(images)
    }

    /// Whatever comes of it, it never tells a password.
    fn judge(&self, what: &[&str]) -> Vec<Answer> {
        let path = std::env::var("PATH").expect("there is a PATH");
        let mut settings = vec![format!("PATH={}:{path}", self.files.path().display())];
        if !self.written("system.crt").is_empty() {
            settings.push(format!("SSL_CERT_FILE={}", self.files.file("system.crt")));
        }
        let (config, manifests) = (self.files.file("settings.yaml"), self.manifests.path().display().to_string());
        let mut command = vec![PRATIQUE, "check", "-o", "json", "--config", &config, "--manifests", &manifests];
        command.extend(["--policy", "real"]);
        command.extend(what);
        let outcome = run_in(&settings, &command);
        for secret in [PASSWORD, &encoded(PASSWORD)] {
            assert!(
                !outcome.stdout.contains(secret) && !outcome.stderr.contains(secret),
                "it tells {secret}: {outcome:?}"
            );
        }
        let json = outcome.json();
        let objects = json["objects"].as_array().unwrap_or_else(|| panic!("no objects: {outcome:?}"));
        let images = objects.iter().flat_map(|object| object["images"].as_array().expect("an object has images"));
        images
            .map(|image| Answer { code: outcome.code, image: image.clone(), stderr: outcome.stderr.clone() })
            .collect()
    }
}

impl Answer {
    /// It is admitted, and has this digest.
    #[track_caller]
    pub(crate) fn is(&self, digest: &str) {
        let found = (&self.image["verdict"], &self.image["digest"], self.code);
        assert_eq!(found, (&Value::from("admitted"), &Value::from(digest), Some(0)), "{}", self.shown());
    }

    /// It is refused, for this reason alone; returns in which words.
    #[track_caller]
    pub(crate) fn is_refused(&self, reason: &str) -> &str {
        self.has_verdict("refused", 1);
        self.only_message(reason)
    }

    /// Nobody could tell, for this reason alone; returns in which words.
    #[track_caller]
    pub(crate) fn is_undetermined(&self, reason: &str) -> &str {
        self.has_verdict("undetermined", 2);
        self.only_message(reason)
    }

    /// It is not admitted, whatever the reason.
    #[track_caller]
    pub(crate) fn is_not_admitted(&self) {
        assert_eq!(self.image["digest"], Value::Null, "{}", self.shown());
        assert!(self.image["verdict"] != "admitted" && self.code != Some(0), "{}", self.shown());
    }

    #[track_caller]
    fn has_verdict(&self, verdict: &str, code: i32) {
        let found = (&self.image["verdict"], &self.image["digest"], self.code);
        assert_eq!(found, (&Value::from(verdict), &Value::Null, Some(code)), "{}", self.shown());
    }

    #[track_caller]
    fn only_message(&self, reason: &str) -> &str {
        let denials = self.image["denials"].as_array().expect("an image has denials");
        let reasons: Vec<&Value> = denials.iter().map(|denial| &denial["reason"]).collect();
        assert_eq!(reasons, [reason], "{}", self.shown());
        denials[0]["message"].as_str().expect("a denial has a message")
    }

    fn shown(&self) -> String {
        format!("{:#}\n{}", self.image, self.stderr)
    }
}
