//! When a host is left alone: after outages in a row, and while it asks for quiet. Pure: the clock is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Outages in a row before a host is left alone: one lost connection is weather, five are not.
const OUTAGES: u32 = 5;
/// The first pause: short, since a restart of a registry takes seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: whoever deploys after an outage should not wait for us.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether a host may be asked.
#[derive(Debug, Default)]
pub(in super::super) struct Breaker {
    outages: u32,
    open: Option<Open>,
    probing: bool,
    quiet: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    until: Instant,
    pause: Duration,
}

/// Why a request is not sent at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Shed {
    /// It failed again and again, and is asked again after this.
    Open(Duration),
    /// It failed again and again, and one request is finding out whether it is well.
    Probed,
    /// It answered 429 and is asked again after this.
    Quiet(Duration),
    /// All places were taken for as long as there was time.
    Crowded,
}

/// What a request that may go is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Pass {
    Ordinary,
    /// The one that finds out whether the host is well again.
    Probe,
}

impl Breaker {
    /// What [`Self::admit`] would say, without taking the place of the probe.
    pub(in super::super) fn peek(&self, now: Instant) -> Result<Pass, Shed> {
        if let Some(rest) =
            self.quiet.and_then(|until| until.checked_duration_since(now)).filter(|rest| !rest.is_zero())
        {
            return Err(Shed::Quiet(rest));
        }
        match self.open {
            None => Ok(Pass::Ordinary),
            Some(open) if now < open.until => Err(Shed::Open(open.until - now)),
            Some(_) if self.probing => Err(Shed::Probed),
            Some(_) => Ok(Pass::Probe),
        }
    }

    pub(in super::super) fn admit(&mut self, now: Instant) -> Result<Pass, Shed> {
        let pass = self.peek(now)?;
        self.probing |= pass == Pass::Probe;
        Ok(pass)
    }

    /// It answered. True where it had been left alone until now.
    pub(in super::super) fn answered(&mut self) -> bool {
        self.outages = 0;
        self.probing = false;
        self.open.take().is_some()
    }

    /// It did not. For how long it is left alone from now on, if that is news.
    pub(in super::super) fn failed(&mut self, pass: Pass, now: Instant) -> Option<Duration> {
        self.outages = self.outages.saturating_add(1);
        let pause = match (self.open, pass) {
            (Some(open), Pass::Probe) => (open.pause * 2).min(LONGEST_PAUSE),
            // Sent before it was left alone: no news.
            (Some(_), Pass::Ordinary) => return None,
            (None, Pass::Probe | Pass::Ordinary) if self.outages < OUTAGES => return None,
            (None, Pass::Probe | Pass::Ordinary) => FIRST_PAUSE,
        };
        self.probing = false;
        self.open = Some(Open { until: now + pause, pause });
        Some(pause)
    }

    /// The request was given up before it came to anything.
    pub(in super::super) fn abandoned(&mut self, pass: Pass) {
        if pass == Pass::Probe {
            self.probing = false;
        }
    }

    /// It asks for quiet until then.
    pub(in super::super) fn quiet(&mut self, until: Instant) {
        self.quiet = Some(self.quiet.map_or(until, |known| known.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A breaker after so many outages in a row, all at this time.
    fn after(outages: u32, now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..outages {
            breaker.failed(Pass::Ordinary, now);
        }
        breaker
    }

    #[test]
    fn the_fifth_outage_in_a_row_opens_and_the_fourth_does_not() {
        let now = Instant::now();
        assert_eq!(after(4, now).admit(now), Ok(Pass::Ordinary));
        assert_eq!(after(5, now).admit(now), Err(Shed::Open(SECOND)));
    }

    #[test]
    fn an_answer_between_outages_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = after(4, now);
        assert!(!breaker.answered());
        assert_eq!(breaker.failed(Pass::Ordinary, now), None);
        assert_eq!(breaker.admit(now), Ok(Pass::Ordinary));
    }

    #[test]
    fn after_the_pause_one_request_at_a_time_finds_out() {
        let now = Instant::now();
        let mut breaker = after(5, now);
        assert_eq!(breaker.admit(now + SECOND), Ok(Pass::Probe));
        assert_eq!(breaker.admit(now + SECOND), Err(Shed::Probed));
        breaker.abandoned(Pass::Probe);
        assert_eq!(breaker.admit(now + SECOND), Ok(Pass::Probe));
        assert!(breaker.answered());
        assert_eq!(breaker.admit(now + SECOND), Ok(Pass::Ordinary));
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_half_a_minute() {
        let mut now = Instant::now();
        let mut breaker = after(5, now);
        for pause in [2, 4, 8, 16, 30, 30] {
            now += LONGEST_PAUSE;
            assert_eq!(breaker.admit(now), Ok(Pass::Probe));
            assert_eq!(breaker.failed(Pass::Probe, now), Some(pause * SECOND));
            assert_eq!(breaker.admit(now), Err(Shed::Open(pause * SECOND)));
        }
    }

    #[test]
    fn a_straggler_does_not_lengthen_the_pause() {
        let now = Instant::now();
        let mut breaker = after(5, now);
        assert_eq!(breaker.failed(Pass::Ordinary, now), None);
        assert_eq!(breaker.admit(now), Err(Shed::Open(SECOND)));
    }

    #[test]
    fn quiet_is_kept_and_a_shorter_wish_does_not_shorten_it() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.quiet(now + 5 * SECOND);
        breaker.quiet(now + SECOND);
        assert_eq!(breaker.admit(now + SECOND), Err(Shed::Quiet(4 * SECOND)));
        assert_eq!(breaker.admit(now + 5 * SECOND), Ok(Pass::Ordinary));
    }
}
