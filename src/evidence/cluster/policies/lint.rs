//! What is to be said of an ImagePolicy before it is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;

use crate::fact::attached::{Fingerprint, PublicKey};
use crate::policy::compile::Compiled;
use crate::policy::document::Mistake;
use crate::policy::scan::waiver_warnings;

use super::super::connection::Connection;
use super::keys::{self, At, Key};
use super::object::Document;
use super::{Surroundings, ledger};

/// Secrets that are read for one policy. Whoever writes it waits, and the API server for five seconds at most.
const SECRETS: usize = 4;
/// All of them within the time for one.
const AT_ONCE: usize = 32;

pub(super) async fn lint(
    connection: &Connection,
    surroundings: &Surroundings,
    object: &str,
) -> Result<Vec<Mistake>, Vec<Mistake>> {
    let broken = |error: serde_json::Error| {
        let message = format!("is no JSON, in line {} column {}", error.line(), error.column());
        vec![Mistake::about("ImagePolicy", message)]
    };
    let (document, _status) = Document::of(serde_json::from_str(object).map_err(broken)?);
    let strangers = Strangers::default();
    let first = ledger::compile(&document, surroundings, &|_, _| Some(Ok(strangers.key())));
    let read = read(connection, first.keys.iter()).await;
    let with_keys = ledger::compile(&document, surroundings, &|secret, key| {
        let known = read.keys.get(&(secret.to_owned(), key.to_owned())).cloned();
        Some(known.unwrap_or_else(|| Ok(strangers.key())))
    });
    let Compiled { policy, warnings, roots: _, waivers } = with_keys.compiled?;
    let source = ledger::source(policy.name.as_str());
    let unread = read.unread.into_iter().map(|words| Mistake {
        source: source.clone(),
        line: None,
        path: "spec.authorities".to_owned(),
        message: format!("{words}; until it can be read, this policy is not in force"),
    });
    let unread: Vec<Mistake> = unread.collect();
    let waived = waiver_warnings(&waivers, &source, Timestamp::now());
    Ok(unread.into_iter().chain(warnings).chain(waived).collect())
}

/// What is known of keys, and in words what is not.
struct Known {
    keys: BTreeMap<At, Key>,
    unread: Vec<String>,
}

async fn read(connection: &Connection, named: impl Iterator<Item = &At>) -> Known {
    let mut by_secret: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (secret, key) in named {
        by_secret.entry(secret.clone()).or_default().push(key.clone());
    }
    let mut known = Known { keys: BTreeMap::new(), unread: Vec::new() };
    if by_secret.len() > SECRETS {
        known.unread.push(format!("only {SECRETS} of its {} Secrets were looked at", by_secret.len()));
    }
    let asked = by_secret.into_iter().take(SECRETS);
    let reads = asked.map(|(secret, its)| keys::read(connection.client(), connection.namespace(), secret, its));
    let reads: Vec<keys::Read> = stream::iter(reads).buffered(AT_ONCE).collect().await;
    for keys::Read { secret, keys } in reads {
        match keys {
            Ok(found) => known.keys.extend(found.into_iter().map(|(key, its)| ((secret.clone(), key), its))),
            Err(trouble) => known.unread.push(trouble.words.to_string()),
        }
    }
    known
}

/// Keys that stand for those that are not known, each another, so that everything else is looked at. They verify nothing,
/// and nothing that is compiled with them is put in force.
#[derive(Default)]
struct Strangers(AtomicU64);

impl Strangers {
    fn key(&self) -> PublicKey {
        let mut fingerprint = [0; 32];
        for (to, from) in fingerprint.iter_mut().zip(self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes()) {
            *to = from;
        }
        PublicKey { fingerprint: Fingerprint(fingerprint), spki: [].into() }
    }
}
