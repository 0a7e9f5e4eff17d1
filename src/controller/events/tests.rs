use std::time::Duration;

use jiff::Timestamp;

use super::series::TooMany;
use super::*;
use crate::observe::notice::Notice;

fn notice(name: &str, message: &str) -> Notice {
    Notice {
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        uid: "7a".to_owned(),
        reason: "tag-mutable",
        message: message.to_owned(),
    }
}

fn time() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Series of a process that starts now.
struct Clock {
    series: Series,
    now: Instant,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { series: Series::new("pratique".to_owned(), "pratique-0".to_owned(), now), now }
    }

    fn after(&mut self, seconds: u64) -> &mut Self {
        self.now += Duration::from_secs(seconds);
        self
    }

    fn say(&mut self, notice: &Notice) -> Result<Option<Said>, TooMany> {
        self.series.next(notice, self.now, time())
    }

    fn is_new(&mut self, notice: &Notice) -> bool {
        matches!(self.say(notice), Ok(Some(Said::New(_))))
    }
}

#[test]
fn an_event_says_of_which_object_what_was_refused() {
    let Ok(Some(Said::New(event))) = Clock::start().say(&notice("web", "nginx:latest: no")) else { panic!("new") };
    let expected = serde_json::json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "web.18b9b2fb0b420000", "namespace": "shop"},
        "eventTime": "2026-11-20T12:00:00.000000Z",
        "type": "Warning",
        "reason": "ImagesRefused",
        "action": "Admission",
        "note": "nginx:latest: no",
        "regarding": {
            "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "web", "uid": "7a",
        },
        "reportingController": "pratique",
        "reportingInstance": "pratique-0",
    });
    let mut written = serde_json::to_value(&event).unwrap();
    let name = format!("web.{:x}", time().as_nanosecond());
    assert_eq!(written["metadata"]["name"], serde_json::json!(name));
    written["metadata"]["name"] = expected["metadata"]["name"].clone();
    assert_eq!(written, expected);
}

#[test]
fn its_name_is_one_that_an_api_server_takes_however_long_the_object_is_called() {
    let name_of = |name: &str| match Clock::start().say(&notice(name, "m")) {
        Ok(Some(Said::New(event))) => event.metadata.name.unwrap(),
        other => panic!("{other:?}"),
    };
    let long = name_of(&format!("{}.{}", "a".repeat(235), "b".repeat(17)));
    assert!(long.len() <= 253 && long.starts_with(&"a".repeat(235)) && !long.contains(".."), "{long}");
    assert!(name_of("web-").starts_with("web.1"));
}

#[test]
fn what_is_said_again_is_counted_in_a_series_and_not_written_each_time() {
    let mut clock = Clock::start();
    let web = notice("web", "m");
    assert!(clock.is_new(&web));
    assert_eq!(clock.after(1).say(&web), Ok(None));
    assert_eq!(clock.after(8).say(&web), Ok(None));
    let Ok(Some(Said::Again { series, .. })) = clock.after(1).say(&web) else { panic!("again") };
    assert_eq!(series.count, 4);
    // Within the window of what was said last, not first.
    let Ok(Some(Said::Again { series, .. })) = clock.after(359).say(&web) else { panic!("again") };
    assert_eq!(series.count, 5);
    assert!(clock.after(360).is_new(&web), "the series is over");
    clock.series.forget(&web);
    assert!(clock.is_new(&web), "what could not be written begins anew");
}

#[test]
fn other_objects_and_other_messages_are_other_events_and_few_of_one_object() {
    let mut clock = Clock::start();
    assert!(clock.is_new(&notice("web", "m")));
    assert!(clock.is_new(&notice("db", "m")));
    assert!(clock.is_new(&Notice { uid: "7b".to_owned(), ..notice("web", "m") }));
    assert!(clock.is_new(&Notice { namespace: "bank".to_owned(), ..notice("web", "m") }));
    for message in ["2", "3", "4"] {
        assert!(clock.is_new(&notice("web", message)));
    }
    assert_eq!(clock.say(&notice("web", "5")), Err(TooMany));
    assert!(clock.is_new(&notice("db", "5")));
}

#[test]
fn there_are_so_many_at_once_and_then_so_many_a_second() {
    let mut clock = Clock::start();
    let told = |clock: &mut Clock, from: usize| {
        (from..from + 100).filter(|index| clock.is_new(&notice(&format!("d{index}"), "m"))).count()
    };
    assert_eq!(told(&mut clock, 0), 25);
    assert_eq!(told(clock.after(3), 100), 6);
    assert_eq!(told(clock.after(3600), 200), 25);
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut clock = Clock::start();
    for index in 0..5_000 {
        clock.after(1);
        let _ = clock.say(&notice(&format!("d{index}"), "m"));
    }
    assert_eq!(clock.series.remembered(), 360, "those of the window alone");
}

#[test]
fn every_reason_for_silence_is_a_label_from_the_start() {
    let registry = Registry::new();
    let untold = Untold::new(&registry).unwrap();
    untold.add(Why::Rate, 2);
    let family = registry.gather().remove(0);
    let counted = |metric: &prometheus::proto::Metric| {
        (metric.get_label()[0].value().to_owned(), metric.get_counter().get_value())
    };
    let counts: Vec<_> = family.get_metric().iter().map(counted).collect();
    assert_eq!(counts, [("failed".to_owned(), 0.0), ("rate".to_owned(), 2.0), ("waiting".to_owned(), 0.0)]);
}
