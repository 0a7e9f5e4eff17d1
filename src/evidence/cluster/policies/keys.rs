//! The public keys that policies have in Secrets of our own namespace: read one Secret at a time, and looked at again while
//! a policy names them.
//!
//! Of a Secret only the public keys that are named are kept: beside them it may hold their private halves. Promises: nothing
//! of a Secret is quoted, and a key that was read once stays known while the API server cannot be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::Instant;

use crate::evidence::signature::read_public_key;
use crate::fact::attached::PublicKey;
use crate::fact::{Fault, Trouble};
use crate::policy::document::wording::quoted;

use super::super::secrets::reading::{Question, READ, is_name};

/// A key that was changed works after this; the Secrets of a thousand policies are then some thirty questions a second.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// What could not be read is tried again so soon, and then half as often each time: who makes the Secret after the policy
/// waits for it.
const RETRY: Duration = Duration::from_secs(2);
/// The longest PEM that is read; RSA with 4096 bits has 800 characters.
const KEY_BYTES: usize = 64 << 10;

/// A Secret of our namespace, and a key in its data.
pub(super) type At = (String, String);

/// What a key is, or a clause that says why there is none.
pub(super) type Key = Result<PublicKey, String>;

/// The keys that policies name.
#[derive(Debug, Default)]
pub(super) struct Keys {
    secrets: BTreeMap<String, Looked>,
}

/// A Secret that is named.
#[derive(Debug)]
struct Looked {
    /// None: not read so far.
    keys: BTreeMap<String, Option<Key>>,
    due: Instant,
    failures: u32,
    reading: bool,
}

/// What became of reading a Secret: of each key that was asked for, or why nothing is known of any.
pub(super) struct Read {
    pub(super) secret: String,
    pub(super) keys: Result<BTreeMap<String, Key>, Trouble>,
}

impl Keys {
    /// None: it was not read so far.
    pub(super) fn get(&self, secret: &str, key: &str) -> Option<&Key> {
        self.secrets.get(secret)?.keys.get(key)?.as_ref()
    }

    /// These are named now, and no others: what is new is due at once.
    pub(super) fn named(&mut self, all: &BTreeSet<At>, now: Instant) {
        let is_named = |secret: &str, key: &str| all.contains(&(secret.to_owned(), key.to_owned()));
        self.secrets.retain(|secret, looked| {
            looked.keys.retain(|key, _| is_named(secret, key));
            !looked.keys.is_empty()
        });
        for (secret, key) in all {
            let new = || Looked { keys: BTreeMap::new(), due: now, failures: 0, reading: false };
            let looked = self.secrets.entry(secret.clone()).or_insert_with(new);
            if !looked.keys.contains_key(key) {
                looked.keys.insert(key.clone(), None);
                looked.due = now;
            }
        }
    }

    /// When the next Secret is to be read, if one is that is not being read.
    pub(super) fn next(&self) -> Option<Instant> {
        self.secrets.values().filter(|its| !its.reading).map(|its| its.due).min()
    }

    /// A Secret that is due, with the keys that are wanted of it; from now on it is being read.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(String, Vec<String>)> {
        let (name, looked) = self.secrets.iter_mut().find(|(_, its)| !its.reading && its.due <= now)?;
        looked.reading = true;
        Some((name.clone(), looked.keys.keys().cloned().collect()))
    }

    /// Takes what was read; true where a key is another than it was.
    pub(super) fn arrived(&mut self, read: Read, now: Instant) -> bool {
        let Read { secret, keys } = read;
        let Some(looked) = self.secrets.get_mut(&secret) else { return false };
        looked.reading = false;
        let mut changed = false;
        let mut well = keys.is_ok();
        for (key, known) in &mut looked.keys {
            let found = match &keys {
                Ok(found) => found.get(key).cloned(),
                // The watch says that the API server is away; what is known stays.
                Err(trouble) if trouble.fault.passes() && matches!(known, Some(Ok(_))) => continue,
                Err(trouble) => Some(Err(trouble.words.to_string())),
            };
            // Named since it was asked for.
            let Some(found) = found else {
                looked.due = now;
                continue;
            };
            well &= found.is_ok();
            changed |= known.as_ref() != Some(&found);
            *known = Some(found);
        }
        let unread = looked.keys.values().any(Option::is_none);
        looked.failures = if well { 0 } else { looked.failures.saturating_add(1) };
        if !unread {
            looked.due = now + if well { LOOK_AGAIN } else { after(looked.failures) };
        }
        changed
    }
}

/// How long after so many failures in a row it is tried again.
fn after(failures: u32) -> Duration {
    RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LOOK_AGAIN)
}

/// Asks for these keys of a Secret.
pub(super) async fn read(client: Client, namespace: &str, secret: String, keys: Vec<String>) -> Read {
    // What is no name would become a path of the API server.
    if !is_name(&secret) {
        let words = format!("{} is no name of a Secret", quoted(&secret));
        return Read { secret, keys: Err(Trouble::new(Fault::Broken, words)) };
    }
    let question = Question { verb: "get", resource: "secrets", namespace, name: Some(&secret) };
    let api: Api<Secret> = Api::namespaced(client, namespace);
    let answer = question.within(READ, api.get_opt(&secret)).await;
    let keys = answer.and_then(|found| match found {
        Some(found) => Ok(keys.into_iter().map(|key| (key.clone(), key_of(&found, &secret, &key))).collect()),
        None => Err(Trouble::new(Fault::Broken, missing(namespace, &secret))),
    });
    Read { secret, keys }
}

/// In which words it is told that there is no such Secret.
fn missing(namespace: &str, secret: &str) -> String {
    format!("there is no Secret {} in our namespace, {}: create it", quoted(secret), quoted(namespace))
}

fn key_of(found: &Secret, secret: &str, key: &str) -> Key {
    let Some(bytes) = found.data.as_ref().and_then(|data| data.get(key)) else {
        return Err(format!("Secret {} has no key {}", quoted(secret), quoted(key)));
    };
    let wrong = |why: &str| format!("key {} of Secret {}: {why}", quoted(key), quoted(secret));
    if bytes.0.len() > KEY_BYTES {
        return Err(wrong("it is longer than any public key"));
    }
    let text = std::str::from_utf8(&bytes.0).map_err(|_quotes| wrong("it is no text"))?;
    read_public_key(text).map_err(|why| wrong(&why))
}
