//! What an API server has against us, in words that say what to do, and each kind of it once.

use std::collections::HashSet;

use crate::request::printable;

/// How much of an API server's own words is told.
const TOLD_BYTES: usize = 300;

/// The kinds of failure that were said already; there are few.
#[derive(Debug, Default)]
pub(super) struct Failures(HashSet<&'static str>);

impl Failures {
    /// Whether this kind was not said yet.
    pub(super) fn first(&mut self, kind: &'static str) -> bool {
        self.0.insert(kind)
    }

    /// Whether there was any; all of them may be said again.
    pub(super) fn mended(&mut self) -> bool {
        !std::mem::take(&mut self.0).is_empty()
    }
}

/// A kind of few words, and a clause. `verb` and `resource` are what RBAC calls what was tried.
pub(super) fn described(error: &kube::Error, verb: &str, resource: &str, group: &str) -> (&'static str, String) {
    let kube::Error::Api(status) = error else {
        let words = printable(&causes(error), TOLD_BYTES);
        return ("unreachable", format!("the API server cannot be asked: {words}"));
    };
    let told = printable(&status.message, TOLD_BYTES);
    // RBAC's own words; admission refuses with the same code.
    if status.is_forbidden() && status.message.contains("cannot ") {
        let words = format!(
            "the API server does not let us {verb} {resource}.{group}: give the ClusterRole of our service account that \
             verb again ({told})"
        );
        return ("forbidden", words);
    }
    let kind = if (400..500).contains(&status.code) { "refused" } else { "failed" };
    (kind, format!("the API server answers {} to {verb} {resource}: {told}", status.code))
}

/// An error and its causes; kube's own words alone hide them.
fn causes(error: &kube::Error) -> String {
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let told = inner.to_string();
        if !words.contains(&told) {
            words.push_str(": ");
            words.push_str(&told);
        }
        cause = inner.source();
    }
    words
}
