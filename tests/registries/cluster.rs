//! What a cluster's nodes and administrators have set up, and `pratique check` with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pratique_testkit::Directory;
use serde_json::Value;

use crate::PRATIQUE;
use crate::parts::run_in;
use crate::server::{PASSWORD, encoded};

/// Settings, policy, `hosts.toml` files and credentials.
pub struct Cluster {
    files: Directory,
    manifests: Directory,
}

/// What `check` says of one image.
#[derive(Debug)]
pub struct Answer {
    code: Option<i32>,
    image: Value,
    stderr: String,
}

impl Cluster {
    /// A policy that demands of every image to have a digest, and that its tag has kept it; nothing else set up.
    pub fn new() -> Self {
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
    pub fn hosts(self, registry: &str, toml: &str) -> Self {
        let folder = self.files.path().join("hosts").join(registry);
        fs::create_dir_all(&folder).expect("a folder in our own folder can be made");
        fs::write(folder.join("hosts.toml"), toml).expect("and a file in it");
        self
    }

    /// Trusts an authority (PEM) on the registry itself.
    pub fn trusting(self, registry: &str, authority: &str) -> Self {
        let file = self.authority(registry, authority);
        self.hosts(registry, &format!("server = \"https://{registry}\"\nca = \"{file}\"\n"))
    }

    /// Writes an authority (PEM) down; returns the path.
    pub fn authority(&self, registry: &str, authority: &str) -> String {
        let name = format!("{}.crt", registry.replace(':', "-"));
        self.files.write(&name, authority);
        self.files.file(&name)
    }

    pub fn docker_config(self, json: &str) -> Self {
        self.files.write("docker.json", json);
        self
    }

    /// A program that is found on the PATH: `docker-credential-<name>`, a shell script.
    pub fn helper(self, name: &str, script: &str) -> Self {
        let name = format!("docker-credential-{name}");
        self.files.write(&name, &format!("#!/bin/sh\n{script}"));
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.files.path().join(&name), executable).expect("our own file can be made executable");
        self
    }

    /// The text of a file that a helper wrote beside itself; empty where it did not.
    pub fn written(&self, name: &str) -> String {
        fs::read_to_string(self.files.path().join(name)).unwrap_or_default()
    }

    /// Judges one image.
    pub fn check(&self, image: &str) -> Answer {
        let [answer] = <[Answer; 1]>::try_from(self.check_all(&[image])).expect("one image has one answer");
        answer
    }

    /// Judges images in one run. Whatever comes of it, it never tells a password.
    pub fn check_all(&self, images: &[&str]) -> Vec<Answer> {
        let path = std::env::var("PATH").expect("there is a PATH");
        let settings = format!("PATH={}:{path}", self.files.path().display());
        let (config, manifests) = (self.files.file("settings.yaml"), self.manifests.path().display().to_string());
        let mut command = vec![PRATIQUE, "check", "-o", "json", "--config", &config, "--manifests", &manifests];
        command.extend(["--policy", "real"]);
        command.extend(images);
        let outcome = run_in(&[settings], &command);
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
    pub fn is(&self, digest: &str) {
        assert_eq!(self.image["verdict"], "admitted", "{self:?}");
        assert_eq!((&self.image["digest"], self.code), (&Value::from(digest), Some(0)), "{self:?}");
    }

    /// It is not admitted, for this reason alone, and nothing is said of a digest.
    #[track_caller]
    pub fn is_refused(&self, verdict: &str, reason: &str) -> &str {
        let denials = self.image["denials"].as_array().unwrap_or_else(|| panic!("no denials: {self:?}"));
        let reasons: Vec<&Value> = denials.iter().map(|denial| &denial["reason"]).collect();
        assert_eq!((reasons, &self.image["verdict"]), (vec![&Value::from(reason)], &Value::from(verdict)), "{self:?}");
        assert_eq!(self.code, Some(if verdict == "refused" { 1 } else { 2 }), "{self:?}");
        denials[0]["message"].as_str().expect("a denial has a message")
    }

    pub fn is_not_admitted(&self) -> bool {
        self.image["verdict"] != "admitted" && self.code != Some(0)
    }
}
