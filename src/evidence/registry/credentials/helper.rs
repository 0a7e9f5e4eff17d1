//! Docker credential helpers: `docker-credential-<name> get`, the server on stdin, JSON on stdout.
//!
//! The protocol is that of [docker-credential-helpers](https://github.com/docker/docker-credential-helpers). It has no
//! duration, and docker asks each time; here an answer is kept for five minutes.

use std::hash::{Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::Credential;
use super::answers::{Answer, Answers};
use super::docker_config::{basic, token};
use super::process::{self, Output, Program};

/// Far less than any token lives (ACR's three hours, GAR's one), and a helper is not run in each review.
const KEPT: Duration = Duration::from_secs(5 * 60);
/// What a helper says, and exits with 1, where it has none (`credentials.NewErrCredentialsNotFound`).
const NOT_FOUND: &[u8] = b"credentials not found";
/// What docker calls Docker Hub when it asks a helper.
const DOCKER_HUB_SERVER: &str = "https://index.docker.io/v1/";
/// The user of an answer that holds no password but an identity token.
const TOKEN_USER: &str = "<token>";

/// What the helpers of one docker config answered, by helper and server.
pub(super) type HelperAnswers = Answers<(Box<str>, Box<str>), Option<Credential>>;

/// A docker credential helper and the server that it is asked about.
#[derive(Debug)]
pub struct Helper {
    /// `ecr-login` of `docker-credential-ecr-login`: a plain name.
    name: Box<str>,
    server: Box<str>,
    answers: Arc<HelperAnswers>,
}

impl PartialEq for Helper {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.server == other.server
    }
}

impl Eq for Helper {}

impl Hash for Helper {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.server.hash(state);
    }
}

impl Helper {
    pub(super) fn new(name: &str, registry: &str, answers: &Arc<HelperAnswers>) -> Self {
        let server = if registry == "docker.io" { DOCKER_HUB_SERVER } else { registry };
        Self { name: name.into(), server: server.into(), answers: Arc::clone(answers) }
    }

    fn key(&self) -> (Box<str>, Box<str>) {
        (self.name.clone(), self.server.clone())
    }

    pub(super) async fn obtain(&self) -> Result<Vec<Credential>, String> {
        let key = self.key();
        let run = || {
            let (name, server) = key.clone();
            async move {
                let value = ask(&name, &server).await?;
                Ok(Answer { value, key: (name, server), keep: KEPT })
            }
        };
        match self.answers.obtain(std::slice::from_ref(&key), &key, run).await {
            Ok(credential) => Ok(credential.into_iter().collect()),
            Err(why) => Err(format!("the credential helper {} {why}", program_name(&self.name))),
        }
    }

    pub(super) fn refused(&self) -> bool {
        self.answers.refused(std::slice::from_ref(&self.key()))
    }
}

pub(super) fn program_name(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// The helper's program, in the folders of PATH.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let program = program_name(name);
    let folders = std::env::var_os("PATH")?;
    // A relative folder would be one of wherever we happen to run.
    let mut files = std::env::split_paths(&folders).filter(|folder| folder.is_absolute()).map(|its| its.join(&program));
    files.find(|file| is_executable(file))
}

pub(super) fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|its| its.is_file() && its.permissions().mode() & 0o111 != 0)
}

async fn ask(name: &str, server: &str) -> Result<Option<Credential>, String> {
    let path = find(name).ok_or("is not on PATH")?;
    let program = Program {
        path: &path,
        arguments: &["get"],
        environment: Vec::new(),
        input: format!("{server}\n").into_bytes(),
    };
    read(&process::run(program, process::TIME_LIMIT).await?)
}

/// As helpers answer; what else they say is not repeated.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

fn read(output: &Output) -> Result<Option<Credential>, String> {
    if !output.status.success() {
        if output.status.code() == Some(1) && output.text.trim_ascii().starts_with(NOT_FOUND) {
            return Ok(None);
        }
        return Err(format!("failed with {}", process::ending(output.status)));
    }
    let Response { username, secret } =
        serde_json::from_slice(&output.text).map_err(|_quotes| "answered what is no credential")?;
    if username == TOKEN_USER {
        return if secret.is_empty() {
            Ok(None)
        } else {
            Ok(Some(Credential::IdentityToken(token(&secret).map_err(|why| format!("answered what {why}"))?)))
        };
    }
    basic(&username, &secret).map_err(|why| format!("answered a credential that {why}"))
}
