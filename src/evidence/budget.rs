//! How long and how much one review may cost: every limit of this room, with its reason.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::policy::plan::Wait;

/// The limits of one review.
#[derive(Debug, Clone)]
pub struct Budget {
    /// What warnings and controllers still wait for: long enough for a registry nearby, short enough that nobody
    /// notices a warning.
    pub briefly: Duration,
    /// What is not known in time is finished after the reply, within this: the longest `timeoutSeconds` there is.
    pub background: Duration,
    /// Bytes of memory for what is remembered.
    pub memory: u64,
    /// A tag is asked for again after this: what a push changes is seen within a minute, and no registry is asked more
    /// often for it.
    pub tag_fresh: Duration,
    /// A digest never names anything else, but access to it can be taken away.
    pub digest_fresh: Duration,
    /// How long what is not there, or not enough, is believed: a signature or a report may be pushed at any moment.
    pub negative: Duration,
    /// How long an answer is used while its source is out.
    pub last_known_good: Duration,
    /// A record is forgotten so long after its last use (design: 30 days).
    pub records: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            briefly: Duration::from_millis(500),
            background: Duration::from_secs(30),
            memory: 64 << 20,
            tag_fresh: Duration::from_secs(60),
            digest_fresh: Duration::from_mins(10),
            negative: Duration::from_secs(60),
            last_known_good: Duration::from_hours(7 * 24),
            records: Duration::from_hours(30 * 24),
        }
    }
}

/// When the answer must be on its way; read once, in the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    #[must_use]
    pub fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// Until when to wait, so that `spared` is left.
    #[must_use]
    pub fn sparing(self, spared: Duration) -> Instant {
        self.0.checked_sub(spared).unwrap_or(self.0)
    }

    /// The patience of a review that begins to look things up now: several waits after each other are still brief.
    #[must_use]
    pub fn patience(self, budget: &Budget) -> Patience {
        Patience { brief: self.0.min(Instant::now() + budget.briefly), until: self.0 }
    }
}

/// Until when things are waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    brief: Instant,
    until: Instant,
}

impl Patience {
    /// Until when a want may be waited for; none: not at all.
    fn allows(self, wait: Wait) -> Option<Instant> {
        match wait {
            Wait::AtHand | Wait::Afterwards => None,
            Wait::Briefly => Some(self.brief),
            Wait::UntilDeadline => Some(self.until),
        }
    }

    /// What the future comes to in time. It is asked once even where nothing may be waited for, so that what is at
    /// hand is never missed.
    pub async fn within<T>(self, wait: Wait, future: impl Future<Output = T>) -> Option<T> {
        match self.allows(wait) {
            Some(until) => tokio::time::timeout_at(until.into(), future).await.ok(),
            None => {
                let mut future = std::pin::pin!(future);
                std::future::poll_fn(|context| match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
                    std::task::Poll::Pending => std::task::Poll::Ready(None),
                })
                .await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn after(duration: Duration) -> &'static str {
        tokio::time::sleep(duration).await;
        "known"
    }

    #[tokio::test(start_paused = true)]
    async fn an_enforced_want_waits_until_the_deadline_and_no_longer() {
        let patience = Deadline::at(Instant::now() + 4 * SECOND).patience(&Budget::default());
        assert_eq!(patience.within(Wait::UntilDeadline, after(3 * SECOND)).await, Some("known"));
        assert_eq!(patience.within(Wait::UntilDeadline, after(5 * SECOND)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_warning_waits_half_a_second_at_most() {
        let patience = Deadline::at(Instant::now() + 60 * SECOND).patience(&Budget::default());
        assert_eq!(patience.within(Wait::Briefly, after(SECOND / 4)).await, Some("known"));
        assert_eq!(patience.within(Wait::Briefly, after(SECOND)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn two_brief_waits_are_no_longer_than_one() {
        let patience = Deadline::at(Instant::now() + 60 * SECOND).patience(&Budget::default());
        assert_eq!(patience.within(Wait::Briefly, after(SECOND * 2 / 5)).await, Some("known"));
        assert_eq!(patience.within(Wait::Briefly, after(SECOND * 2 / 5)).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_audit_waits_not_at_all_and_still_takes_what_is_at_hand() {
        let patience = Deadline::at(Instant::now() + SECOND).patience(&Budget::default());
        assert_eq!(patience.within(Wait::Afterwards, after(Duration::from_millis(1))).await, None);
        assert_eq!(patience.within(Wait::Afterwards, std::future::ready("known")).await, Some("known"));
    }
}
