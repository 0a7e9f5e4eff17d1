//! The public keys that policies of manifests name: inline, in a file beside the policy, or in a Secret of our own
//! namespace.
//!
//! Secrets come before policies are compiled, and go when all of them are: beside a public key they may hold its private
//! half. Promises: nothing of a Secret or a key file is quoted or printed, and a Secret of another namespace is never
//! looked into.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::fact::attached::PublicKey;
use crate::policy::compile::KeyAt;
use crate::policy::document::wording::quoted;
use crate::policy::document::{Mistake, Node};

use super::super::NAMESPACE_VARIABLE;
use super::pull_secrets::{name, twice};
use super::read_bounded;

/// The longest public key that is read, RSA with 4096 bits, has 800 characters of PEM.
const KEY_BYTES: u64 = 64 << 10;

/// How PEM becomes a key; the error is a clause that never quotes it.
pub(super) type Parse = fn(&str) -> Result<PublicKey, String>;

/// Everything that policies can name keys in.
pub(super) struct Keys {
    namespace: String,
    parse: Parse,
    /// Secrets of our namespace as they are written, each with the file that it comes from. A tree does not print its
    /// texts.
    secrets: BTreeMap<String, (Node, String)>,
    /// Those that a policy names.
    used: RefCell<BTreeSet<String>>,
    /// Files that a policy names, there or not: what is not may come.
    files: RefCell<BTreeSet<PathBuf>>,
}

impl Keys {
    pub(super) fn of_namespace(namespace: String, parse: Parse) -> Self {
        Self { namespace, parse, secrets: BTreeMap::new(), used: RefCell::default(), files: RefCell::default() }
    }

    /// Takes a `v1 Secret`, if it is of our namespace; other people's are passed over, and so is one without a name,
    /// which nobody can name.
    pub(super) fn secret(&mut self, document: &Node, source: &str) -> Result<(), Mistake> {
        let Ok(named) = name(document, source, "Secret") else { return Ok(()) };
        if named.0 != self.namespace {
            return Ok(());
        }
        if let Some((_, first)) = self.secrets.get(&named.1) {
            return Err(twice(document, source, "Secret", &named, first));
        }
        self.secrets.insert(named.1, (document.clone(), source.to_owned()));
        Ok(())
    }

    /// Reads a key that the policy in this file names; the error is a clause without anything of the key.
    pub(super) fn read(&self, at: KeyAt<'_>, policy: &Path) -> Result<PublicKey, String> {
        match at {
            KeyAt::Pem(pem) => self.public(pem),
            KeyAt::File(path) => self.public(&self.file(path, policy)?),
            KeyAt::Secret { name, key } => self.public(&self.in_secret(name, key)?),
        }
    }

    fn public(&self, pem: &str) -> Result<PublicKey, String> {
        // Said first: whoever wrote it there has to act at once.
        if pem.contains("PRIVATE KEY") {
            return Err("a private key stands there: replace that key pair, and write only the public key".to_owned());
        }
        (self.parse)(pem)
    }

    /// Relative to the policy's own folder, wherever the program was started.
    fn file(&self, path: &str, policy: &Path) -> Result<String, String> {
        let path = policy.parent().unwrap_or(Path::new("")).join(path);
        let shown = quoted(&path.display().to_string());
        let cannot = |error: std::io::Error| format!("{shown} cannot be read: {error}");
        self.files.borrow_mut().insert(path.clone());
        // A pipe would be waited for.
        if !std::fs::metadata(&path).map_err(cannot)?.is_file() {
            return Err(format!("{shown} is no file"));
        }
        read_bounded(File::open(&path).map_err(cannot)?, KEY_BYTES).map_err(|why| format!("{shown} {why}"))
    }

    fn in_secret(&self, name: &str, key: &str) -> Result<String, String> {
        let Some((secret, _)) = self.secrets.get(name) else {
            return Err(format!(
                "the manifests have no Secret {} in our namespace, {} (the variable {NAMESPACE_VARIABLE} says which it is)",
                quoted(name),
                quoted(&self.namespace)
            ));
        };
        self.used.borrow_mut().insert(name.to_owned());
        let field = |map: &str| secret.field(map).and_then(|its| its.field(key)).filter(|its| !its.is_null());
        let text = |node: &Node| node.text().map(str::to_owned).ok_or_else(|| format!("{} is no text", quoted(key)));
        // As the API server: `stringData` overwrites `data`.
        let encoded = match (field("stringData"), field("data")) {
            (Some(node), _) => return text(node),
            (None, Some(node)) => text(node)?,
            (None, None) => return Err(format!("Secret {} has no key {}", quoted(name), quoted(key))),
        };
        // Line ends do not count, in Go's reader either.
        let plain: String = encoded.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        let bytes = BASE64.decode(plain).map_err(|_quotes| format!("{} is no base64", quoted(key)))?;
        String::from_utf8(bytes).map_err(|_quotes| format!("{} is no text in base64", quoted(key)))
    }

    /// How many Secrets policies read, and which files.
    pub(super) fn finish(self) -> (usize, Vec<PathBuf>) {
        (self.used.into_inner().len(), self.files.into_inner().into_iter().collect())
    }
}
