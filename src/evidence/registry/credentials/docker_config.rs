//! Docker configs: `config.json`, and the Secrets of the types kubernetes.io/dockerconfigjson and dockercfg.
//!
//! Read as docker's `cli/config` reads them. A mistake anywhere and nothing of it is used; no mistake quotes the text.
//! What is not about credentials (`HttpHeaders`, `currentContext`, ...) is passed over.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::policy::document::Mistake;

use super::json::{Flaw, Json};
use super::pattern::Pattern;
use super::{Credential, Keyring, Password, helper};

/// A Secret holds at most 1 MiB, and no docker config is longer.
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Entries are looked through in every review, and nobody logs in to this many registries.
const MOST_ENTRIES: usize = 256;
/// Fields of an entry, and of the file beside its entries; docker knows six and some twenty.
const MOST_FIELDS: usize = 64;
/// The longest tokens that registries give (ECR, ACR) have some 4 kB; headers end at 8 to 16 kB.
const MOST_SECRET: usize = 16 << 10;

/// With and without padding: docker writes it, other tools and people do not always.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A whole file. Of a Secret only the keyring is ever used.
#[derive(Debug, Default)]
pub(super) struct DockerConfig {
    pub(super) keyring: Keyring,
    /// Helpers by the registry that they are for, as `Reference` names it.
    pub(super) helpers: BTreeMap<String, Box<str>>,
    /// The helper for every other registry.
    pub(super) store: Option<Box<str>>,
    pub(super) warnings: Vec<Mistake>,
}

/// One key of `auths`.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pattern: Pattern,
    credential: Credential,
}

impl Keyring {
    pub(super) fn new(mut logins: Vec<Login>) -> Self {
        logins.sort_by_key(|login| login.pattern.rank());
        Self { logins }
    }

    pub(super) fn credentials(&self, registry: &str, repository: &str) -> impl Iterator<Item = &Credential> {
        self.logins
            .iter()
            .filter(move |login| login.pattern.matches(registry, repository))
            .map(|login| &login.credential)
    }
}

impl Login {
    /// None where the key names no host.
    pub(super) fn new(key: &str, credential: Credential) -> Option<Self> {
        Some(Self { pattern: Pattern::parse(key)?, credential })
    }
}

/// A program name that is nothing but a name: no path, no option.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    // The longest name of a file, less the prefix.
    (1..=200).contains(&name.len()) && name.chars().all(plain) && !name.starts_with(['.', '-'])
}

/// Where a docker config comes from, and so what it may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A file of the operator: it may name programs.
    File,
    /// A Secret of a namespace: whoever may write one there must not run anything here.
    Secret,
    /// The old form of a Secret: `auths` without the name.
    LegacySecret,
}

/// Reads the operator's file. A helper that is not there is warned about: it may be installed later.
pub(super) fn load(path: &Path) -> Result<DockerConfig, Vec<Mistake>> {
    let wrong = |message: String| vec![Mistake::about(path.display(), message)];
    let file = File::open(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One byte more tells that there is more.
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_quotes| wrong("is no text in UTF-8".to_owned()))?;
    let mut config = read(&text, &path.display().to_string(), Origin::File)?;
    let mut names: Vec<&str> = config.helpers.values().chain(&config.store).map(|name| &**name).collect();
    names.sort_unstable();
    names.dedup();
    for name in names.into_iter().filter(|name| helper::find(name).is_none()) {
        let message = format!("{} is not on PATH: what it is for will have no credential", helper::program_name(name));
        config.warnings.push(Mistake::about(path.display(), message));
    }
    Ok(config)
}

pub(super) fn read(text: &str, source: &str, origin: Origin) -> Result<DockerConfig, Vec<Mistake>> {
    let mut reading = Reading { source, origin, mistakes: Vec::new(), read: DockerConfig::default() };
    if let Some(json) = reading.parse(text) {
        match origin {
            Origin::File | Origin::Secret => reading.file(&json),
            Origin::LegacySecret => reading.auths(&json, ""),
        }
    }
    if reading.mistakes.is_empty() { Ok(reading.read) } else { Err(reading.mistakes) }
}

struct Reading<'a> {
    source: &'a str,
    origin: Origin,
    mistakes: Vec<Mistake>,
    read: DockerConfig,
}

impl Reading<'_> {
    fn told(&self, path: &str, line: u64, message: impl Into<String>) -> Mistake {
        Mistake { source: self.source.to_owned(), line: Some(line), path: path.to_owned(), message: message.into() }
    }

    fn wrong(&mut self, path: &str, flaw: Flaw) {
        let mistake = self.told(path, flaw.line, flaw.words);
        self.mistakes.push(mistake);
    }

    /// The value, or a mistake more.
    fn ok<T>(&mut self, path: &str, read: Result<T, Flaw>) -> Option<T> {
        read.map_err(|flaw| self.wrong(path, flaw)).ok()
    }

    fn parse<'t>(&mut self, text: &'t str) -> Option<Json<'t>> {
        if text.len() > MOST_BYTES {
            let message = format!("has more than {MOST_BYTES} bytes, and no docker config has");
            self.mistakes.push(Mistake::about(self.source, message));
            return None;
        }
        self.ok("", Json::parse(text))
    }

    fn file(&mut self, json: &Json<'_>) {
        let Some(fields) = self.ok("", json.fields(MOST_FIELDS)) else { return };
        for (key, json) in fields.iter().filter(|(_, json)| !json.is_null()) {
            match (key.as_str(), self.origin) {
                ("auths", _) => self.auths(json, "auths"),
                ("credHelpers" | "credsStore", Origin::Secret | Origin::LegacySecret) => {
                    self.warn(key, json, "has no effect: a Secret runs no program here, and only `auths` of it counts");
                }
                ("credHelpers", Origin::File) => self.helpers(json),
                ("credsStore", Origin::File) => self.read.store = self.helper(json, key),
                _ => {}
            }
        }
    }

    fn warn(&mut self, path: &str, json: &Json<'_>, words: &str) {
        let warning = self.told(path, json.line(), words);
        self.read.warnings.push(warning);
    }

    fn auths(&mut self, json: &Json<'_>, path: &str) {
        let Some(entries) = self.ok(path, json.fields(MOST_ENTRIES)) else { return };
        let mut logins = Vec::new();
        for (index, (key, json)) in entries.iter().enumerate() {
            // By its number: a key could hold a password (`https://user:word@host`).
            let path = format!("{path}[{index}]");
            let Some(credential) = self.entry(json, &path) else { continue };
            match Login::new(key, credential) {
                Some(login) => logins.push(login),
                None => self.warn(&path, json, "its key names no host, so it is never used"),
            }
        }
        self.read.keyring = Keyring::new(logins);
    }

    /// None where there is nothing to present, or a mistake.
    fn entry(&mut self, json: &Json<'_>, path: &str) -> Option<Credential> {
        if json.is_null() {
            return None;
        }
        let mut parts = Parts::default();
        for (key, json) in self.ok(path, json.fields(MOST_FIELDS))? {
            let part = match key.as_str() {
                "auth" => &mut parts.auth,
                "username" => &mut parts.username,
                "password" => &mut parts.password,
                "identitytoken" => &mut parts.identity_token,
                "registrytoken" => &mut parts.registry_token,
                _ => continue,
            };
            *part = self.ok(&format!("{path}.{key}"), json.text())?;
        }
        match parts.credential() {
            Ok(credential) => credential,
            Err((field, words)) => {
                self.wrong(&format!("{path}.{field}"), Flaw { line: json.line(), words: words.to_owned() });
                None
            }
        }
    }

    fn helpers(&mut self, json: &Json<'_>) {
        let Some(entries) = self.ok("credHelpers", json.fields(MOST_ENTRIES)) else { return };
        for (index, (key, json)) in entries.iter().enumerate() {
            let path = format!("credHelpers[{index}]");
            let Some(name) = self.helper(json, &path) else { continue };
            match Pattern::parse(key).and_then(|pattern| pattern.exact_registry()) {
                Some(registry) => drop(self.read.helpers.insert(registry, name)),
                None => self.warn(&path, json, "its key is no host alone, so it is never used"),
            }
        }
    }

    /// None for an empty name, which is none, or a mistake.
    fn helper(&mut self, json: &Json<'_>, path: &str) -> Option<Box<str>> {
        let name = self.ok(path, json.text())?;
        if name.is_empty() {
            return None;
        }
        if !is_plain_name(&name) {
            let words = "must be the end of a program's name, as `ecr-login` of `docker-credential-ecr-login`: letters, digits, `.`, `_` and `-`";
            self.wrong(path, Flaw { line: json.line(), words: words.to_owned() });
            return None;
        }
        Some(name.into())
    }
}

/// An entry as written.
#[derive(Default)]
struct Parts {
    auth: String,
    username: String,
    password: String,
    identity_token: String,
    registry_token: String,
}

impl Parts {
    /// The strongest that is there, as docker presents it. The error: which field is wrong, and how.
    fn credential(self) -> Result<Option<Credential>, (&'static str, &'static str)> {
        let Self { auth, username, password, identity_token, registry_token } = self;
        if !registry_token.is_empty() {
            return token(&registry_token)
                .map(Credential::RegistryToken)
                .map(Some)
                .map_err(|why| ("registrytoken", why));
        }
        if !identity_token.is_empty() {
            return token(&identity_token)
                .map(Credential::IdentityToken)
                .map(Some)
                .map_err(|why| ("identitytoken", why));
        }
        if auth.is_empty() {
            return basic(&username, &password).map_err(|why| ("password", why));
        }
        let decoded = BASE64.decode(auth.trim()).map_err(|_quotes| ("auth", "is no base64"))?;
        let decoded = String::from_utf8(decoded).map_err(|_quotes| ("auth", "is no text in base64"))?;
        let (username, password) = decoded.split_once(':').ok_or(("auth", "is not `user:password` in base64"))?;
        // Docker's own writers once padded it.
        basic(username, password.trim_matches('\0')).map_err(|why| ("auth", why))
    }
}

/// User and password; none where both are empty.
pub(super) fn basic(username: &str, password: &str) -> Result<Option<Credential>, &'static str> {
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    if username.len() > MOST_SECRET || password.len() > MOST_SECRET {
        return Err("is too long");
    }
    // What stands before the first colon is the user (RFC 7617), so one in it would shift into the password.
    if username.contains(':') {
        return Err("has a colon in its user name, which HTTP cannot say");
    }
    Ok(Some(Credential::Basic { username: username.into(), password: Password::new(password) }))
}

/// What goes into a header or a form as it is.
pub(super) fn token(text: &str) -> Result<Password, &'static str> {
    if text.len() > MOST_SECRET {
        return Err("is too long");
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("is no token: it has characters that no header can hold");
    }
    Ok(Password::new(text))
}
