//! Timings for the benches: two things side by side in one run, told as percentiles and as their ratio.

use std::fmt;
use std::time::{Duration, Instant};

/// Durations of many runs of one thing, sorted.
#[derive(Debug, Clone)]
pub struct Sample(Vec<Duration>);

impl Sample {
    #[must_use]
    pub fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        Self(durations)
    }

    /// Times `runs` calls, after a tenth as many to warm up.
    pub fn of(runs: usize, mut call: impl FnMut()) -> Self {
        (0..runs / 10).for_each(|_| call());
        let timed = |_| {
            let start = Instant::now();
            call();
            start.elapsed()
        };
        Self::new((0..runs).map(timed).collect())
    }

    /// The duration that this share (per mille) of the runs did not exceed.
    #[must_use]
    pub fn per_mille(&self, share: usize) -> Duration {
        let last = self.0.len().saturating_sub(1);
        self.0.get(last * share / 1_000).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn p50(&self) -> Duration {
        self.per_mille(500)
    }

    #[must_use]
    pub fn p99(&self) -> Duration {
        self.per_mille(990)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:>9} p99 {:>9}", micros(self.p50()), micros(self.p99()))
    }
}

/// Microseconds with two digits.
#[must_use]
pub fn micros(duration: Duration) -> String {
    format!("{:.2} us", duration.as_secs_f64() * 1e6)
}

/// How many times as long the first took.
#[must_use]
pub fn ratio(of: Duration, to: Duration) -> f64 {
    of.as_secs_f64() / to.as_secs_f64()
}

/// Whether the bench was asked to fail where a figure is missed (`--assert`).
#[must_use]
pub fn asserting() -> bool {
    std::env::args().any(|argument| argument == "--assert")
}

/// Prints one figure beside what it is to reach, and says whether it does.
#[expect(clippy::print_stdout, reason = "the bench's result")]
pub fn figure(what: &str, measured: f64, unit: &str, to_reach: f64, at_most: bool) -> bool {
    let met = if at_most { measured <= to_reach } else { measured >= to_reach };
    let sign = if at_most { "<=" } else { ">=" };
    println!(
        "{what:<72} {measured:>9.2} {unit:<3} (to reach {sign} {to_reach}) {}",
        if met { "met" } else { "MISSED" }
    );
    met
}
