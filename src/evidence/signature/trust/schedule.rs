//! When repositories are asked: a while after the start, then once a day; after a failure sooner, and never often.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::policy::trust::RootName;

use super::Trust;
use super::update::Outcome;

/// After the start, for the first question: replicas that start together do not ask together, and who starts and ends
/// at once (a test, a crash in a loop) asks nobody.
const FIRST: (Duration, Duration) = (Duration::from_mins(2), Duration::from_mins(10));
/// Roots change a few times a year, and are announced weeks before they are used.
const DAILY: Duration = Duration::from_hours(24);
/// After the first failure; doubled with each further one, up to [`DAILY`].
const AFTER_FAILURE: Duration = Duration::from_mins(15);

impl Trust {
    /// Looks for newer roots until the process ends; over at once where nothing is to be looked for.
    pub async fn refresh(self: Arc<Self>) {
        let followed = self
            .kept()
            .iter()
            .filter(|(_, kept)| kept.follow.is_some())
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>();
        join_all(followed.iter().map(|name| self.keep_fresh(name))).await;
    }

    async fn keep_fresh(&self, name: &RootName) {
        tokio::time::sleep(between(FIRST)).await;
        let mut failures = 0;
        loop {
            failures = match self.refresh_once(name).await {
                Outcome::Replaced | Outcome::Unchanged => 0,
                Outcome::Unreachable | Outcome::Refused => failures + 1,
            };
            tokio::time::sleep(pause(failures)).await;
        }
    }

    /// Asks now. Whatever is wrong, the last good root stays.
    pub(super) async fn refresh_once(&self, name: &RootName) -> Outcome {
        let follow = self.kept().get(name).and_then(|kept| kept.follow.clone());
        let Some(follow) = follow else { return Outcome::Unchanged };
        let outcome = match follow.newest(self.settings.surroundings).await {
            Ok(root) => self.take(name, &follow, root),
            Err(failure) => {
                tracing::debug!(root = %name, why = failure.words, "no newer trusted root; the last good one stays");
                failure.outcome
            }
        };
        if outcome == Outcome::Replaced {
            tracing::info!(root = %name, "a newer trusted root is in force");
        }
        self.metrics.refreshed(name, outcome);
        outcome
    }
}

/// Up to a tenth longer than it must be, and never shorter.
fn pause(failures: u32) -> Duration {
    let least = match failures {
        0 => DAILY,
        1.. => AFTER_FAILURE.saturating_mul(1 << (failures - 1).min(10)).min(DAILY),
    };
    between((least, least + least / 10))
}

fn between((least, most): (Duration, Duration)) -> Duration {
    least + most.saturating_sub(least).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_from_a_quarter_of_an_hour_to_a_day() {
        for _ in 0..100 {
            for (failures, least) in [
                (0, DAILY),
                (1, AFTER_FAILURE),
                (2, AFTER_FAILURE * 2),
                (7, AFTER_FAILURE * 64),
                (8, DAILY),
                (u32::MAX, DAILY),
            ] {
                let pause = pause(failures);
                assert!(pause >= least && pause <= least + least / 10, "{failures}: {pause:?}");
            }
            assert!(between(FIRST) >= FIRST.0 && between(FIRST) <= FIRST.1);
        }
    }
}
