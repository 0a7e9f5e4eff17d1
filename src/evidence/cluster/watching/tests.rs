//! The driver against an API server that keeps to a script, with time that passes by itself.

use std::collections::BTreeSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::task::JoinHandle;

use super::driver::{ANSWER, LATE, LONGEST_PAUSE, LOOK_AGAIN, WATCH};
use super::*;

use script::{Reply, Script, bookmark, event, page};

pub(in crate::evidence) mod script;

/// Keeps names, and what it was told.
#[derive(Default)]
struct Names {
    listed: BTreeSet<String>,
    known: Arc<Mutex<BTreeSet<String>>>,
}

fn name(object: ConfigMap) -> String {
    object.metadata.name.expect("every object of the script has a name")
}

impl Sink<ConfigMap> for Names {
    fn restart(&mut self) {
        self.listed.clear();
    }

    fn list(&mut self, object: ConfigMap) {
        self.listed.insert(name(object));
    }

    fn complete(&mut self) {
        *self.known.lock().unwrap() = std::mem::take(&mut self.listed);
    }

    fn apply(&mut self, object: ConfigMap) {
        self.known.lock().unwrap().insert(name(object));
    }

    fn delete(&mut self, object: ConfigMap) {
        self.known.lock().unwrap().remove(&name(object));
    }

    fn len(&self) -> usize {
        self.known.lock().unwrap().len()
    }
}

/// A watch of `configmaps` that follows the script.
struct Followed {
    script: Script,
    health: Health,
    known: Arc<Mutex<BTreeSet<String>>>,
    registry: prometheus::Registry,
    states: Arc<Mutex<Vec<WatchState>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Followed {
    fn by(replies: Vec<Reply>) -> Self {
        Self::with(Presence::Expected, replies)
    }

    fn with(presence: Presence, replies: Vec<Reply>) -> Self {
        let (script, registry) = (Script::of(replies), prometheus::Registry::new());
        let health = Watches::new(&registry).expect("the registry is empty").enter("configmaps");
        let sink = Names::default();
        let (known, states) = (Arc::clone(&sink.known), Arc::new(Mutex::new(Vec::new())));
        let (mut seen, all) = (health.state.subscribe(), Arc::clone(&states));
        let watched = tokio::spawn(async move {
            while seen.changed().await.is_ok() {
                let state = seen.borrow_and_update().clone();
                all.lock().unwrap().push(state);
            }
        });
        let api: Api<ConfigMap> = Api::all(script.client());
        let driven = tokio::spawn(follow(api, presence, health.clone(), sink));
        Self { script, health, known, registry, states, tasks: [watched, driven] }
    }

    fn known(&self) -> Vec<String> {
        self.known.lock().unwrap().iter().cloned().collect()
    }

    /// Until the script is at its end, and what came of it is there.
    async fn ends(&self) {
        self.script.is_over().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// In short: why, where something is in the way.
    fn states(&self) -> Vec<String> {
        let short = |state: &WatchState| match state {
            WatchState::Starting(why) => format!("starting: {}", why.as_deref().unwrap_or_default()),
            WatchState::Current => "current".to_owned(),
            WatchState::Lost { why, .. } => format!("lost: {why}"),
            WatchState::Absent => "absent".to_owned(),
        };
        self.states.lock().unwrap().iter().map(short).collect()
    }

    fn metric(&self, family: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|it| it.name() == family).expect("there is such a metric");
        let metric = &family.get_metric()[0];
        assert_eq!(metric.get_label()[0].value(), "configmaps");
        metric.get_gauge().get_value() + metric.get_counter().get_value()
    }
}

const AWAY: &str = "the API server cannot be reached to watch configmaps";

#[tokio::test(start_paused = true)]
async fn it_lists_in_pages_and_then_follows_changes_from_there() {
    let changes = [event("ADDED", "c", "11"), event("DELETED", "a", "12"), event("MODIFIED", "b", "13")];
    let followed = Followed::by(vec![page(&["a"], "", "more"), page(&["b"], "10", ""), Reply::events(&changes)]);
    followed.ends().await;
    assert_eq!(followed.known(), ["b", "c"]);
    assert_eq!(followed.states(), ["current"]);
    assert_eq!(
        followed.script.asked(),
        [
            "/api/v1/configmaps?&limit=16",
            "/api/v1/configmaps?&limit=16&continue=more",
            "/api/v1/configmaps?&watch=true&timeoutSeconds=50&allowWatchBookmarks=true&resourceVersion=10",
        ]
    );
    let metrics = ["pratique_watch_up", "pratique_watch_failures_total", "pratique_watched_objects"];
    assert_eq!(metrics.map(|name| followed.metric(name)), [1.0, 0.0, 2.0]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_in_good_order_goes_on_from_the_last_bookmark_and_nothing_is_lost() {
    let followed = Followed::by(vec![
        page(&["a"], "10", ""),
        Reply::events(&[bookmark("20")]).after(Duration::from_secs(u64::from(WATCH))).closes(),
        Reply::events(&[event("ADDED", "b", "21")]).closes(),
        Reply::events(&[]),
    ]);
    followed.ends().await;
    assert_eq!((followed.known().join(" "), followed.states().join(" ")), ("a b".to_owned(), "current".to_owned()));
    let versions: Vec<String> =
        followed.script.asked()[1..].iter().map(|asked| asked[asked.len() - 2..].to_owned()).collect();
    assert_eq!(versions, ["10", "20", "21"]);
    assert_eq!(followed.metric("pratique_watch_failures_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_forbidden_is_named_with_the_role_that_lacks_it() {
    let followed =
        Followed::by(vec![Reply::Status(403), page(&["a"], "10", ""), Reply::Status(403), Reply::events(&[])]);
    followed.ends().await;
    let words = |verb| {
        format!(
            "the API server forbids us to {verb} configmaps: give the ClusterRole pratique the verb {verb} on configmaps \
             of the core group, and bind it to our service account"
        )
    };
    let expected = [
        format!("starting: {}", words("list")),
        "current".to_owned(),
        format!("lost: {}", words("watch")),
        "current".to_owned(),
    ];
    assert_eq!(followed.states(), expected);
    assert_eq!(followed.metric("pratique_watch_failures_total"), 2.0);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_loses_nothing_and_the_loss_is_over_when_a_watch_begins_without_any_event() {
    let followed = Followed::by(vec![
        page(&["a"], "10", ""),
        Reply::events(&[event("ADDED", "b", "11")]).closes(),
        Reply::Away,
        Reply::Away,
        Reply::events(&[]),
    ]);
    followed.ends().await;
    assert_eq!(followed.states(), ["current".to_owned(), format!("lost: {AWAY}"), "current".to_owned()]);
    assert_eq!(followed.known(), ["a", "b"]);
    assert!(followed.script.asked().iter().skip(2).all(|asked| asked.ends_with("resourceVersion=11")));
}

#[tokio::test(start_paused = true)]
async fn a_loss_lasts_since_its_beginning_while_its_reason_changes() {
    let followed = Followed::by(vec![page(&["a"], "10", ""), Reply::Away, Reply::Status(503)]);
    followed.ends().await;
    let states = followed.states.lock().unwrap().clone();
    let [WatchState::Current, WatchState::Lost { since: first, .. }, WatchState::Lost { since, why }] = &states[..]
    else {
        panic!("{states:?}")
    };
    assert_eq!((since, why.as_str()), (first, "the API server answered 503 to watch configmaps"));
    assert_eq!(followed.metric("pratique_watch_up"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn after_410_everything_is_listed_anew_and_what_was_known_stays_until_then() {
    for gone in [Reply::Status(410), Reply::events(&[script::error(410)])] {
        let followed = Followed::by(vec![
            page(&["a", "b"], "10", ""),
            gone,
            page(&["b"], "", "more"),
            page(&["c"], "30", "").held_back(),
            Reply::events(&[]),
        ]);
        followed.script.is_held_back().await;
        assert_eq!(followed.known(), ["a", "b"]);
        assert_eq!(followed.metric("pratique_watch_up"), 0.0);
        followed.script.release();
        followed.ends().await;
        assert_eq!(followed.known(), ["b", "c"]);
        let lost = "lost: what we knew is too old to watch configmaps from there on, and is listed anew (410 Gone)";
        assert_eq!(followed.states(), ["current", lost, "current"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_in_silence_is_noticed_within_a_minute() {
    let started = tokio::time::Instant::now();
    let followed = Followed::by(vec![page(&["a"], "10", ""), Reply::events(&[]), Reply::events(&[])]);
    let mut states = followed.health.state.subscribe();
    states.wait_for(|state| matches!(state, WatchState::Lost { .. })).await.expect("the health is ours");
    let noticed = started.elapsed();
    assert!(noticed <= Duration::from_secs(u64::from(WATCH)) + LATE + Duration::from_secs(1), "{noticed:?}");
    assert!(noticed <= Duration::from_mins(1), "{noticed:?}");
    followed.ends().await;
    let dead =
        "lost: nothing comes over the connection to the API server any more to watch configmaps: it is made anew";
    assert_eq!(followed.states(), ["current", dead, "current"]);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_not_waited_for_without_limit() {
    let started = tokio::time::Instant::now();
    let followed = Followed::by(vec![Reply::Hang, page(&["a"], "10", ""), Reply::Hang, Reply::events(&[])]);
    followed.ends().await;
    let words = |verb| format!("the API server has not answered within 30 s to {verb} configmaps");
    let (list, watch) = (format!("starting: {}", words("list")), format!("lost: {}", words("watch")));
    assert_eq!(followed.states(), [list, "current".to_owned(), watch, "current".to_owned()]);
    assert!(started.elapsed() < 2 * (ANSWER + Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_off_is_made_anew() {
    let followed = Followed::by(vec![
        page(&["a"], "10", ""),
        Reply::events(&[event("ADDED", "b", "11")]).breaks(),
        Reply::events(&[]),
    ]);
    followed.ends().await;
    let broken = "lost: the connection to the API server broke off during watch configmaps";
    assert_eq!(followed.states(), ["current", broken, "current"]);
    assert_eq!(followed.known(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_is_not_passed_over() {
    let followed = Followed::by(vec![
        page(&["a"], "10", ""),
        Reply::events(&[r#"{"type":"ADDED","object":{"metadata":{"name":7}}}"#.to_owned(), event("ADDED", "c", "12")]),
        page(&["a", "b", "c"], "13", ""),
        Reply::events(&[]),
    ]);
    followed.ends().await;
    let unread = "lost: the API server answered watch configmaps with something that cannot be read as that";
    assert_eq!(followed.states(), ["current", unread, "current"]);
    assert_eq!(followed.known(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_was_set_back_is_listed_anew_after_some_attempts_to_go_on() {
    let mut replies = vec![page(&["a"], "1000", "")];
    replies.extend((0..5).map(|_| Reply::Status(504)));
    replies.extend([page(&["b"], "10", ""), Reply::events(&[])]);
    let followed = Followed::by(replies);
    followed.ends().await;
    assert_eq!(followed.known(), ["b"]);
    assert_eq!(followed.states().last().map(String::as_str), Some("current"));
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_be_missing_is_absent_until_it_comes_and_when_it_goes() {
    let started = tokio::time::Instant::now();
    let followed = Followed::with(
        Presence::Optional,
        vec![
            Reply::Status(404),
            Reply::Status(404),
            page(&["a"], "10", ""),
            Reply::Status(404),
            page(&["b"], "20", "").held_back(),
            Reply::events(&[]),
        ],
    );
    followed.health.listed().await;
    assert_eq!((followed.health.state(), followed.metric("pratique_watch_up")), (WatchState::Absent, 1.0));
    followed.script.is_held_back().await;
    assert_eq!(followed.known(), [""; 0], "a kind that is gone has no objects");
    followed.script.release();
    followed.ends().await;
    assert!(started.elapsed() >= 3 * LOOK_AGAIN && started.elapsed() < 4 * LOOK_AGAIN, "{:?}", started.elapsed());
    assert_eq!(followed.known(), ["b"]);
    assert_eq!(followed.states(), ["absent", "current", "absent", "current"]);
    assert_eq!(followed.metric("pratique_watch_failures_total"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_must_be_there_and_is_missing_is_a_loss() {
    let followed = Followed::by(vec![Reply::Status(404)]);
    followed.ends().await;
    let missing = "starting: the API server has nothing to list configmaps: install its CustomResourceDefinition (404)";
    assert_eq!(followed.states(), [missing]);
    let listed = tokio::time::timeout(Duration::from_hours(1), followed.health.listed()).await;
    assert!(listed.is_err(), "not listed yet");
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_asked_without_pause_and_noticed_to_be_over_in_time() {
    let started = tokio::time::Instant::now();
    let mut replies: Vec<Reply> = (0..40).map(|_| Reply::Away).collect();
    replies.push(page(&["a"], "10", ""));
    let followed = Followed::by(replies);
    followed.health.listed().await;
    // 0.5 s, 1 s, 2 s ... 30 s: half to all of each.
    let most = 40 * LONGEST_PAUSE;
    assert!(started.elapsed() > most / 4 && started.elapsed() < most, "{:?}", started.elapsed());
}

#[test]
fn a_resource_with_several_watches_is_up_when_all_are() {
    let registry = prometheus::Registry::new();
    let watches = Watches::new(&registry).expect("the registry is empty");
    let [one, other] = [(); 2].map(|()| watches.enter("vulnerabilityreports"));
    let metrics = || {
        let up = watches.metrics.up.with_label_values(&["vulnerabilityreports"]).get();
        (up, watches.metrics.objects.with_label_values(&["vulnerabilityreports"]).get())
    };
    assert_eq!(metrics(), (0, 0));
    assert!(one.works() && !one.works(), "only the first is news");
    one.counts(3);
    assert_eq!(metrics(), (0, 3));
    other.is_absent();
    other.counts(4);
    assert_eq!(metrics(), (1, 7));
    one.fails("why".to_owned(), Timestamp::UNIX_EPOCH);
    one.counts(2);
    assert_eq!(metrics(), (0, 6));
    let lost = WatchState::Lost { since: Timestamp::UNIX_EPOCH, why: "why".to_owned() };
    assert_eq!(watches.states(), [("vulnerabilityreports", lost), ("vulnerabilityreports", WatchState::Absent)]);
}

#[tokio::test(start_paused = true)]
async fn the_log_hears_of_a_loss_once_and_of_its_end() {
    let log = script::Log::default();
    let _listening = tracing::subscriber::set_default(log.subscriber());
    let followed = Followed::by(vec![
        Reply::Status(403),
        Reply::Status(403),
        Reply::Status(403),
        page(&["a"], "10", ""),
        Reply::Away,
        Reply::Away,
        Reply::Away,
        Reply::events(&[]).after(Duration::from_secs(20)).closes(),
        Reply::events(&[]),
    ]);
    followed.ends().await;
    let lines = log.lines();
    let said: Vec<&str> = lines.iter().map(|line| if line.contains("watch is up") { "up" } else { "lost" }).collect();
    assert_eq!(said, ["lost", "up", "lost", "up"], "{lines:#?}");
}
