//! What is in the way of something that is tried again and again: words for the administrator, said in the log when they
//! become others, and not at every try.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::request::printable;
use crate::server::tls::chain_of_causes;

/// For one call: an API server that needs longer is as good as away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of what an API server says, in a message.
const EXCERPT: usize = 300;

/// What is asked of the API server, in the words of RBAC.
#[derive(Debug, Clone, Copy)]
pub(in crate::controller) struct Asked<'a> {
    pub(in crate::controller) verb: &'static str,
    pub(in crate::controller) resource: &'static str,
    pub(in crate::controller) name: &'a str,
    /// `Role` or `ClusterRole`.
    pub(in crate::controller) role: &'static str,
}

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controller) struct Trouble {
    /// Two of one kind are the same news.
    pub(in crate::controller) kind: Kind,
    pub(in crate::controller) words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::controller) enum Kind {
    Away,
    Forbidden,
    Missing,
    /// Somebody else was first.
    Conflict,
    Refused,
    /// Not of the API server: what it holds is not as it must be.
    Unusable,
}

impl Trouble {
    pub(in crate::controller) fn is_conflict(&self) -> bool {
        self.kind == Kind::Conflict
    }

    pub(in crate::controller) fn away(words: String) -> Self {
        Self { kind: Kind::Away, words }
    }

    pub(in crate::controller) fn unusable(words: String) -> Self {
        Self { kind: Kind::Unusable, words }
    }
}

/// The answer, or in words why there is none.
pub(in crate::controller) async fn ask<T>(
    asked: Asked<'_>,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Trouble> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(answer) => answer.map_err(|error| trouble(asked, &error)),
        Err(_) => {
            let words = format!("the API server took longer than {PATIENCE:?} to {asked}");
            Err(Trouble { kind: Kind::Away, words })
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the library's list is long, and none of the others is an answer")]
fn trouble(asked: Asked<'_>, error: &kube::Error) -> Trouble {
    let (kind, words) = match error {
        kube::Error::Api(status) => {
            let said = printable(&status.message, EXCERPT);
            match status.code {
                401 | 403 => (
                    Kind::Forbidden,
                    format!(
                        "the API server does not let us {asked}: the {} of our service account must allow the verb {} on {}",
                        asked.role, asked.verb, asked.resource
                    ),
                ),
                404 => (Kind::Missing, format!("there is nothing to {asked}: {said}")),
                409 => (Kind::Conflict, format!("somebody else was first to {asked}; it is looked at again")),
                429 | 500.. => (Kind::Away, format!("the API server could not {asked}: {said}")),
                _ => (Kind::Refused, format!("the API server refused to {asked}: {said}")),
            }
        }
        // It would quote what it could not read.
        kube::Error::SerdeError(_) => (Kind::Refused, format!("the API server's answer cannot be read: {asked}")),
        error => {
            let why = printable(&chain_of_causes(error), EXCERPT);
            (Kind::Away, format!("the API server cannot be reached to {asked}: {why}"))
        }
    };
    Trouble { kind, words }
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.verb, self.resource, self.name)
    }
}

/// What the last try came to.
#[derive(Debug, Default)]
pub(in crate::controller) struct Told(Mutex<Option<Trouble>>);

impl Told {
    /// Says it in the log where it is news.
    pub(in crate::controller) fn tell<T>(&self, what: &'static str, outcome: Result<T, Trouble>) -> Option<T> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(value) => {
                if told.take().is_some() {
                    tracing::info!("{what}: in order again");
                }
                Some(value)
            }
            Err(trouble) => {
                if told.as_ref().is_none_or(|before| before.kind != trouble.kind) {
                    tracing::warn!(trouble = %trouble.words, "{what}: tried again until it works");
                }
                *told = Some(trouble);
                None
            }
        }
    }

    pub(in crate::controller) fn trouble(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
