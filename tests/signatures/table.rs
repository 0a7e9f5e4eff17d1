//! The rows, and how they are gone through.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::ask::{Ask, Said};
use crate::scene::Scene;
use crate::world::{Place, World};

/// Programs that run at the same time; each waits for others most of the time.
const WORKERS: usize = 3;

type Write = Box<dyn Fn(&mut Scene<'_>) + Send + Sync>;

/// What is written, what is asked, and what cosign and Pratique say to that.
pub(crate) struct Row {
    what: String,
    place: Place,
    write: Write,
    ask: Ask,
    /// None: it depends on the order in which it reads.
    cosign: Option<bool>,
    ours: Said,
    /// Why the two rightly differ; empty where they agree.
    why: &'static str,
}

impl Row {
    /// Both say yes.
    pub(crate) fn yes(
        what: impl Into<String>,
        ask: Ask,
        layout: &'static str,
        write: impl Fn(&mut Scene<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::new(what, ask, true, Said::Admitted(layout), write)
    }

    /// Both say no, we for this reason.
    pub(crate) fn no(
        what: impl Into<String>,
        ask: Ask,
        reason: &'static str,
        write: impl Fn(&mut Scene<'_>) + Send + Sync + 'static,
    ) -> Self {
        Self::new(what, ask, false, Said::Refused(reason), write)
    }

    fn new(
        what: impl Into<String>,
        ask: Ask,
        cosign: bool,
        ours: Said,
        write: impl Fn(&mut Scene<'_>) + Send + Sync + 'static,
    ) -> Self {
        let (write, cosign) = (Box::new(write), Some(cosign));
        Self { what: what.into(), place: Place::Registry, write, ask, cosign, ours, why: "" }
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// We say something else than cosign.
    pub(crate) fn but(mut self, ours: Said, why: &'static str) -> Self {
        (self.ours, self.why) = (ours, why);
        self
    }

    /// The same, and we say this.
    pub(crate) fn says(mut self, ours: Said) -> Self {
        self.ours = ours;
        self
    }

    /// And cosign says this; none: one thing or the other.
    pub(crate) fn cosign_says(&mut self, cosign: Option<bool>) {
        self.cosign = cosign;
    }

    /// None: as expected.
    fn differs(&self, world: &World, number: usize) -> Option<String> {
        let mut scene = Scene::new(world, self.place, number);
        let written = catch_unwind(AssertUnwindSafe(|| (self.write)(&mut scene)));
        if written.is_err() {
            return Some("could not be written, see above".to_owned());
        }
        let mut found = String::new();
        let (cosign, last) = self.ask.cosign(&scene);
        if self.cosign.is_some_and(|expected| expected != cosign) {
            let _written = write!(found, "\n  cosign says {cosign}: {last}");
        }
        match catch_unwind(AssertUnwindSafe(|| self.ask.pratique(&scene))) {
            Ok((said, _)) if said == self.ours => {}
            Ok((said, image)) => {
                let _written = write!(found, "\n  Pratique says {said:?}, not {:?}: {}", self.ours, shown(&image));
            }
            Err(_) => found.push_str("\n  Pratique gives no answer, see above"),
        }
        (!found.is_empty()).then_some(found)
    }

    fn line(&self) -> String {
        let Ask { what, who, how, .. } = self.ask;
        let cosign = self.cosign.map_or("either", |yes| if yes { "yes" } else { "no" });
        format!(
            "{} ({:?}) | {what:?} by {who:?} in {how:?} | {cosign} | {:?} | {}",
            self.what, self.place, self.ours, self.why
        )
    }
}

fn shown(image: &Value) -> String {
    format!("{:#}\n{:#}", image["denials"], image["signatures"])
}

/// Goes through all rows; panics with all that are not as they should be.
#[expect(clippy::print_stdout, reason = "the table is what people read of this test")]
pub(crate) fn check(world: &World, rows: &[Row]) {
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(row) = rows.get(number) else { break };
                    if let Some(difference) = row.differs(world, number) {
                        found.lock().expect("no row panics").push(format!("{number}: {}{difference}", row.line()));
                    }
                }
            });
        }
    });
    for (number, row) in rows.iter().enumerate() {
        let agree = row.cosign == Some(matches!(row.ours, Said::Admitted(_)));
        assert_eq!(agree, row.why.is_empty(), "a difference has a reason, and nothing else has: {}", row.line());
        println!("{number:3} | {}", row.line());
    }
    let found = found.into_inner().expect("no row panics");
    assert!(found.is_empty(), "{} of {} rows:\n{}", found.len(), rows.len(), found.join("\n"));
}
