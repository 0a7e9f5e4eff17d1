//! Which Events are written: a new one, one more in its series, or none, because there would be too many.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use tokio::time::Instant;

use crate::observe::notice::Notice;

/// What is said again within this time continues a series, as client-go and kube have it.
const WINDOW: Duration = Duration::from_secs(6 * 60);
/// A series is brought up to date so often at most; what is said meanwhile is in the next count.
const SERIES_EVERY: Duration = Duration::from_secs(10);
/// Different messages about one object within [`WINDOW`]: somebody who tries images gets an answer in the reply.
const PER_OBJECT: usize = 4;
/// Over all objects: a busy cluster's API server has thousands of writes a second, and etcd keeps Events for an hour.
const A_SECOND: f64 = 2.0;
/// A release of many Deployments at once.
const BURST: f64 = 25.0;
/// What is remembered: more than come within [`WINDOW`] at that rate.
const REMEMBERED: usize = 1_024;
/// Names of objects have 253 bytes at most, and an Event's own ends with a dot and 16 digits.
const NAME_BYTES: usize = 253 - 17;

const REASON: &str = "ImagesRefused";
const ACTION: &str = "Admission";

/// All series of one process.
#[derive(Debug)]
pub(super) struct Series {
    controller: String,
    instance: String,
    by_key: HashMap<Key, Known>,
    tokens: f64,
    filled: Instant,
}

/// Which Events are the same: about one object, with one message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    object: u64,
    message: u64,
}

#[derive(Debug)]
struct Known {
    event: String,
    count: i32,
    /// When it was said last, written or not.
    said: Instant,
    written: Instant,
}

/// There would be too many Events, of this object or in all.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// What is to be written.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    New(Box<Event>),
    Again { name: String, series: EventSeries },
}

impl Said {
    /// What it takes of RBAC.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::New(_) => "create",
            Self::Again { .. } => "patch",
        }
    }
}

impl Series {
    pub(super) fn new(controller: String, instance: String, now: Instant) -> Self {
        Self { controller, instance, by_key: HashMap::new(), tokens: BURST, filled: now }
    }

    /// What is to be written of this; none where the series says it already.
    pub(super) fn next(&mut self, notice: &Notice, now: Instant, time: Timestamp) -> Result<Option<Said>, TooMany> {
        self.by_key.retain(|_, known| now.duration_since(known.said) < WINDOW);
        let key = Key::of(notice);
        if let Some(known) = self.by_key.get_mut(&key) {
            (known.count, known.said) = (known.count.saturating_add(1), now);
            if now.duration_since(known.written) < SERIES_EVERY {
                return Ok(None);
            }
        } else {
            let of_object = self.by_key.keys().filter(|other| other.object == key.object).count();
            if of_object >= PER_OBJECT || self.by_key.len() >= REMEMBERED {
                return Err(TooMany);
            }
        }
        if !self.token(now) {
            return Err(TooMany);
        }
        if let Some(known) = self.by_key.get_mut(&key) {
            known.written = now;
            let series = EventSeries { count: known.count, last_observed_time: MicroTime(time) };
            return Ok(Some(Said::Again { name: known.event.clone(), series }));
        }
        let event = self.event(notice, time);
        let name = event.metadata.name.clone().unwrap_or_default();
        self.by_key.insert(key, Known { event: name, count: 1, said: now, written: now });
        Ok(Some(Said::New(Box::new(event))))
    }

    /// It could not be written: what is said next of it is new.
    pub(super) fn forget(&mut self, notice: &Notice) {
        self.by_key.remove(&Key::of(notice));
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.by_key.len()
    }

    fn token(&mut self, now: Instant) -> bool {
        let since = now.duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + since * A_SECOND).min(BURST);
        self.filled = now;
        let one = self.tokens >= 1.0;
        if one {
            self.tokens -= 1.0;
        }
        one
    }

    fn event(&self, notice: &Notice, time: Timestamp) -> Event {
        let Notice { api_version, kind, namespace, name, uid, reason: _, message } = notice;
        let regarding = ObjectReference {
            api_version: Some(api_version.clone()),
            kind: Some(kind.clone()),
            namespace: (!namespace.is_empty()).then(|| namespace.clone()),
            name: Some(name.clone()),
            uid: (!uid.is_empty()).then(|| uid.clone()),
            ..ObjectReference::default()
        };
        Event {
            metadata: ObjectMeta {
                namespace: Some(place(namespace).to_owned()),
                name: Some(event_name(name, time)),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(time)),
            type_: Some("Warning".to_owned()),
            reason: Some(REASON.to_owned()),
            action: Some(ACTION.to_owned()),
            note: Some(message.clone()),
            regarding: Some(regarding),
            reporting_controller: Some(self.controller.clone()),
            reporting_instance: Some(self.instance.clone()),
            ..Event::default()
        }
    }
}

impl Key {
    fn of(notice: &Notice) -> Self {
        let Notice { api_version, kind, namespace, name, uid, reason, message } = notice;
        let hash = |parts: &[&str]| {
            let mut hasher = DefaultHasher::new();
            parts.hash(&mut hasher);
            hasher.finish()
        };
        Self { object: hash(&[api_version, kind, namespace, name, uid]), message: hash(&[reason, message]) }
    }
}

/// The namespace of an Event about an object of this one; of what has none it is `default`.
pub(super) fn place(namespace: &str) -> &str {
    if namespace.is_empty() { "default" } else { namespace }
}

/// As client-go and kubelets call them: the object and the time.
fn event_name(object: &str, time: Timestamp) -> String {
    let name = object.get(..object.floor_char_boundary(NAME_BYTES)).unwrap_or_default();
    // A name that is still to be made up ends with a dash, and one that is cut anywhere.
    let name = name.trim_end_matches(['-', '.']);
    format!("{name}.{:x}", time.as_nanosecond())
}
