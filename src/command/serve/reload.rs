//! Files that are looked at again and again: what is new and valid comes into force in one step, and what is not leaves
//! the last good one there, and is said in the log, in `/readyz` and in a metric.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::policy::document::Mistake;
use crate::server::admin::PartStatus;

/// How often files are looked at. Polled, because a mounted ConfigMap or Secret is swapped by a link above the file,
/// which inotify on the file never reports; a few `stat` calls cost nothing.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why what is on disk is not in force; nothing where it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn set(&self, why: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Broken files never make a replica unready: the last good ones are in force, and every replica has the same.
    pub(super) fn status(&self) -> PartStatus {
        let trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone().map_or(PartStatus::Ready, PartStatus::Degraded)
    }
}

/// Some files, and what is done with them.
pub(super) struct Reload {
    /// `manifests`, in messages.
    pub(super) what: &'static str,
    pub(super) files: Watched,
    pub(super) fingerprint: Box<dyn Fn() -> u64 + Send>,
    /// Reads them and puts them in force, all or nothing.
    pub(super) load: Box<dyn FnMut() -> Result<(), Vec<Mistake>> + Send>,
    /// Sets the metric.
    pub(super) stale: Box<dyn Fn(bool) + Send>,
    pub(super) trouble: Trouble,
}

impl Reload {
    /// Until the process ends.
    pub(super) async fn watch(mut self) {
        let (trouble, what) = (self.trouble.clone(), self.what);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let look = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match look.await {
                Ok(reload) => self = reload,
                Err(error) => {
                    tracing::error!(%error, "looking at the {what} ended in a panic; they are no longer watched");
                    let told =
                        "the last good ones are in force, and no longer watched after a fault in Pratique: restart";
                    trouble.set(Some(told.to_owned()));
                    return;
                }
            }
        }
    }

    fn look(&mut self) {
        // Taken before reading: a file that changes meanwhile is read again next time.
        if !self.files.is_new((self.fingerprint)()) {
            return;
        }
        let what = self.what;
        match (self.load)() {
            Ok(()) => {
                self.settle(None);
                tracing::info!("new {what} in force");
            }
            Err(mistakes) => {
                for mistake in &mistakes {
                    tracing::error!(%mistake, "the {what} are invalid; the last good ones stay in force");
                }
                let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
                let more = mistakes.len().saturating_sub(1);
                let more = if more == 0 { String::new() } else { format!(" (and {more} more, see the log)") };
                self.settle(Some(format!("the last good ones are in force; {first}{more}")));
            }
        }
    }

    fn settle(&self, why: Option<String>) {
        (self.stale)(why.is_some());
        self.trouble.set(why);
    }
}

/// Fingerprints of the files.
pub(super) struct Watched {
    /// When they were read last.
    read: u64,
    /// At the last look, where that was another.
    changing: Option<u64>,
}

impl Watched {
    pub(super) fn since(read: u64) -> Self {
        Self { read, changing: None }
    }

    /// Whether there is something new to read: other files than were read, and the same at two looks in a row, since who
    /// writes file by file, or empties one before filling it, needs a moment.
    fn is_new(&mut self, now: u64) -> bool {
        let before = self.changing.take();
        if now == self.read {
            return false;
        }
        if before != Some(now) {
            self.changing = Some(now);
            return false;
        }
        self.read = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_again_when_two_looks_in_a_row_agree_on_what_is_new() {
        let mut files = Watched::since(1);
        let looks = [(1, false), (2, false), (3, false), (3, true), (3, false), (4, false), (3, false), (4, false)];
        for (look, is_new) in looks {
            assert_eq!(files.is_new(look), is_new, "{look}");
        }
        assert!(files.is_new(4));
    }
}
