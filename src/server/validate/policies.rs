//! `POST /validate/imagepolicies`: policies are linted on the way in, so that whoever writes one reads its mistakes at once.
//!
//! It stands beside the reviews of Pods and takes no room from them. Its webhook has `failurePolicy: Ignore`, and what is
//! not told in time passes with a warning: whether a policy is in force is decided by the watch, which reads it again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::routing::MethodRouter;

use crate::admission::policy_review::{self, Mistakes, Opinion, PolicyReview, Question, Warnings};
use crate::admission::{Malformed, Reply};
use crate::policy::document::Mistake;
use crate::server::Bounds;

pub(super) const PATH: &str = "/validate/imagepolicies";

/// Policies that are looked at together: people and deployment tools write them, one at a time.
const REQUESTS: usize = 16;
/// Bytes of bodies above the free ones: two of the largest.
const BODY_POOL: usize = 14 << 20;

/// What a linter will say of an object, which is JSON: what to warn of, or what is wrong.
pub type Linting = Pin<Box<dyn Future<Output = Result<Vec<Mistake>, Vec<Mistake>>> + Send>>;

/// A linter of policies.
pub type Lint = Arc<dyn Fn(String) -> Linting + Send + Sync>;

/// With bounds of its own.
pub(super) fn desk(lint: Lint, bounds: &Bounds) -> MethodRouter {
    let bounds = Bounds { requests: REQUESTS, body_pool: BODY_POOL, ..bounds.clone() };
    let answer = move |body: Vec<u8>, deadline| {
        let lint = Arc::clone(&lint);
        async move { answer(&lint, &body, deadline).await }
    };
    super::desk(answer, &bounds)
}

async fn answer(lint: &Lint, body: &[u8], deadline: Instant) -> Result<Reply, Malformed> {
    let PolicyReview { uid, question } = policy_review::decode(body)?;
    let opinion = match question {
        Question::Unchanged => Ok(Warnings::default()),
        Question::Unanswerable(why) => Err(Mistakes(vec![why])),
        Question::Lint(object) => match tokio::time::timeout_at(deadline.into(), lint(object)).await {
            Ok(said) => opinion(said),
            Err(_) => {
                let words = "pratique: the policy could not be checked in time; see its status";
                Ok(Warnings(vec![words.to_owned()]))
            }
        },
    };
    if let Err(Mistakes(lines)) = &opinion {
        let first = lines.first().map_or("", String::as_str);
        tracing::info!(uid, mistakes = lines.len(), first, "an ImagePolicy was refused on its way in");
    }
    Ok(policy_review::encode(&uid, &opinion))
}

fn opinion(said: Result<Vec<Mistake>, Vec<Mistake>>) -> Opinion {
    let lines = |list: Vec<Mistake>| list.iter().map(line).collect();
    match said {
        Ok(warnings) => Ok(Warnings(lines(warnings))),
        Err(mistakes) => Err(Mistakes(lines(mistakes))),
    }
}

/// `path: message`: kubectl says already which object it is about, and JSON has no lines.
fn line(Mistake { source: _, line: _, path, message }: &Mistake) -> String {
    if path.is_empty() { message.clone() } else { format!("{path}: {message}") }
}

#[cfg(test)]
mod tests;
