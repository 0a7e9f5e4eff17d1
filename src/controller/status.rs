//! `status` of policies: the conditions `Accepted` and `Ready`, `observedGeneration`, the number of rules in force and
//! the list of what is wrong, written by the replica that holds the lease, and only where it would be another.
//!
//! Written by server-side apply on the `status` subresource, as [`MANAGER`]: what others have in a status stays theirs. Few
//! at once and at a measured pace, so that a thousand policies at the start are no burden. What cannot be written is tried
//! again, later each time, and said once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::evidence::cluster::connection::Connection;
use crate::evidence::cluster::policies::{PolicyObject, PolicySet};

use super::failure::{Failures, described};
use super::lease::Leadership;

mod words;

/// The owner of what we write, beside others who may write a status.
pub const MANAGER: &str = "pratique-status";
/// Writes in flight: an API server has hundreds of seats, and nobody waits for this.
const AT_ONCE: usize = 4;
/// From one write to the next: a thousand policies take twenty seconds.
const PACE: Duration = Duration::from_millis(20);
/// A write that takes longer is tried again later.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure, doubled with each one that follows.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Until the process ends.
pub async fn write(connection: Connection, mut sets: watch::Receiver<Arc<PolicySet>>, mut leadership: Leadership) {
    let api = Api::<DynamicObject>::all_with(connection.client(), &resource());
    let (mut written, mut failures, mut pause) = (Written::default(), Failures::default(), FIRST_PAUSE);
    loop {
        while !leadership.held() {
            // Another wrote meanwhile, or nobody: what the watch brings is what is there.
            written = Written::default();
            leadership.changed().await;
        }
        let set = Arc::clone(&sets.borrow_and_update());
        let failed = pass(&api, &set, &mut written, &sets, &leadership).await;
        if failed.is_empty() {
            if failures.mended() {
                tracing::info!("the status of ImagePolicies is written again");
            }
            pause = FIRST_PAUSE;
            tokio::select! {
                changed = sets.changed() => if changed.is_err() {
                    // Whoever told of policies ended, and nothing will change any more.
                    std::future::pending::<()>().await;
                },
                () = leadership.changed() => {}
            }
        } else {
            for (kind, words) in failed {
                if failures.first(kind) {
                    tracing::warn!(
                        why = words,
                        "the status of ImagePolicies cannot be written, and is tried again; said once"
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = leadership.changed() => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn resource() -> ApiResource {
    ApiResource {
        group: "pratique.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: crate::policy::file::API_VERSION.to_owned(),
        kind: "ImagePolicy".to_owned(),
        plural: "imagepolicies".to_owned(),
    }
}

/// What was written by us and may not have come back by the watch yet, by uid.
#[derive(Debug, Default)]
struct Written(HashMap<Arc<str>, Entry>);

#[derive(Debug)]
struct Entry {
    /// What the watch had then.
    seen: Option<Value>,
    status: Value,
}

impl Written {
    /// The status as it is, as far as we know: what the watch has, unless it has not changed since we wrote.
    fn known<'a>(&'a self, object: &'a PolicyObject) -> Option<&'a Value> {
        match self.0.get(&object.uid) {
            Some(entry) if entry.seen == object.status => Some(&entry.status),
            Some(_) | None => object.status.as_ref(),
        }
    }

    fn enter(&mut self, object: &PolicyObject, status: Value) {
        self.0.insert(Arc::clone(&object.uid), Entry { seen: object.status.clone(), status });
    }

    fn keep(&mut self, set: &PolicySet) {
        let there: HashSet<&str> = set.objects.iter().map(|object| &*object.uid).collect();
        self.0.retain(|uid, _| there.contains(&**uid));
    }
}

/// Writes what is another, until all are written or there is a newer set. Returns the kinds of failure.
async fn pass(
    api: &Api<DynamicObject>,
    set: &PolicySet,
    written: &mut Written,
    sets: &watch::Receiver<Arc<PolicySet>>,
    leadership: &Leadership,
) -> HashMap<&'static str, String> {
    written.keep(set);
    let due = due(set, written, Timestamp::now());
    let begin = Instant::now();
    let mut failed = HashMap::new();
    let paced = futures_util::stream::iter(due.into_iter().zip(0_u32..)).map(|((object, status), index)| async move {
        tokio::time::sleep_until(begin + PACE * index).await;
        // What is written of an older set would be written anew at once.
        if sets.has_changed().unwrap_or(false) || !leadership.held() {
            return None;
        }
        let outcome = apply(api, &object, &status).await;
        Some((object, status, outcome))
    });
    let mut paced = paced.buffer_unordered(AT_ONCE);
    while let Some(done) = paced.next().await {
        match done {
            None | Some((_, _, Ok(false))) => {}
            Some((object, status, Ok(true))) => written.enter(&object, status),
            Some((_, _, Err((kind, words)))) => {
                failed.entry(kind).or_insert(words);
            }
        }
    }
    failed
}

/// Those whose status would be another, with what it should be. Owned, since the compiler cannot tell that a stream of
/// futures over references may change threads.
fn due(set: &PolicySet, written: &Written, now: Timestamp) -> Vec<(PolicyObject, Value)> {
    let mut due = Vec::new();
    for object in &set.objects {
        let rules = set.by_name.get(&*object.name).map_or(0, |policy| policy.rules.len());
        let known = written.known(object);
        let status = words::status(object, rules, known, now);
        if known.map(words::ours) != Some(words::ours(&status)) {
            due.push((object.clone(), status));
        }
    }
    due
}

/// Whether it was written. A policy that is gone, or changed meanwhile, needs no status of what it was: the watch brings
/// what is there now, and then its status is put right, as is that of one that was made anew under its name.
async fn apply(
    api: &Api<DynamicObject>,
    object: &PolicyObject,
    status: &Value,
) -> Result<bool, (&'static str, String)> {
    let patch = json!({
        "apiVersion": crate::policy::file::API_VERSION,
        "kind": "ImagePolicy",
        "metadata": { "name": &*object.name },
        "status": status,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    let patch = Patch::Apply(&patch);
    match tokio::time::timeout(PATIENCE, api.patch_status(&object.name, &parameters, &patch)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Ok(false),
        Ok(Err(error)) => Err(described(&error, "patch", "imagepolicies/status", "pratique.dev")),
        Err(_) => Err(("late", format!("the API server took longer than {PATIENCE:?}"))),
    }
}

#[cfg(test)]
mod tests;
