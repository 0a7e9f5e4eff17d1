use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::SignedDuration;
use prometheus::Registry;

use super::records::RECORDS_SHARE;
use super::*;
use crate::evidence::budget::Budget;
use crate::fact::{Admitted, Guard, Recorded};
use crate::image::{Digest, Reference};

fn known(value: &str, at: Timestamp) -> Fact<String> {
    Fact::Known(Seen { value: value.to_owned(), at, source: Source::Current })
}

const NEGATIVE: Duration = Duration::from_secs(60);

/// Fresh for five minutes, last known good for an hour.
fn life<K>(_: &K) -> Life {
    Life { fresh: Duration::from_mins(5), last_known_good: Duration::from_hours(1), negative: NEGATIVE }
}

fn lookups() -> Lookups {
    store().lookups("test")
}

fn cache() -> Arc<FactCache<&'static str, String>> {
    Arc::new(FactCache::new(
        1 << 20,
        life,
        |key: &&'static str, _| key.len(),
        |value| value.starts_with("half").then_some(Fault::Outage),
        lookups(),
    ))
}

fn stale(value: &str, at: Timestamp) -> Fact<String> {
    Fact::Known(Seen { value: value.to_owned(), at, source: Source::Stale })
}

fn trouble(fault: Fault) -> Fact<String> {
    Fact::Unavailable(Trouble::new(fault, "as the test says"))
}

/// A look-up that counts itself, takes its time and says what it is told to.
fn slow(calls: &Arc<AtomicUsize>, fact: Fact<String>) -> impl Future<Output = Fact<String>> + Send + 'static {
    calls.fetch_add(1, Ordering::SeqCst);
    async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        fact
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_at_once_are_one_look_up() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let waiters: Vec<_> = (0..500)
        .map(|_| {
            let (cache, calls) = (Arc::clone(&cache), Arc::clone(&calls));
            tokio::spawn(async move { cache.get("nginx", now, None, |_| slow(&calls, known("digest", now))).await })
        })
        .collect();
    for waiter in waiters {
        assert_eq!(waiter.await.unwrap(), known("digest", now));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_does_not_cancel_the_look_up() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let get = cache.get("nginx", now, None, |_| slow(&calls, known("digest", now)));
    assert!(tokio::time::timeout(Duration::from_millis(1), get).await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(cache.at_hand(&"nginx", now), Some(known("digest", now)));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_reaches_those_who_wait_and_is_never_kept() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    for _ in 0..2 {
        let fact = cache.get("nginx", now, None, |_| slow(&calls, trouble(Fault::Outage))).await;
        assert_eq!(fact, trouble(Fault::Outage));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_look_up_is_a_fault_and_the_next_one_flies_again() {
    let (cache, now) = (cache(), Timestamp::now());
    let fact = cache.get("nginx", now, None, |_| async { panic!("a hostile registry") }).await;
    let Fact::Unavailable(Trouble { fault: Fault::Broken, .. }) = fact else { panic!("{fact:?}") };
    assert_eq!(cache.get("nginx", now, None, |_| async move { known("digest", now) }).await, known("digest", now));
}

#[tokio::test]
async fn there_is_none_is_believed_for_a_minute_and_a_known_fact_until_it_is_too_old() {
    let (cache, now) = (cache(), Timestamp::now());
    let later = |seconds| now + SignedDuration::from_secs(seconds);
    let absent = cache.get("unsigned", now, None, |_| async move { Fact::Absent(now) }).await;
    assert_eq!(absent, Fact::Absent(now));
    assert_eq!(cache.at_hand(&"unsigned", later(59)), Some(Fact::Absent(now)));
    assert_eq!(cache.at_hand(&"unsigned", later(60)), None);
    let fact = cache.get("signed", now, None, |_| async move { known("key", now) }).await;
    assert_eq!(cache.at_hand(&"signed", later(299)), Some(fact));
    assert_eq!(cache.at_hand(&"signed", later(300)), Some(stale("key", now)));
    assert_eq!(cache.at_hand(&"signed", later(3_599)), Some(stale("key", now)));
    assert_eq!(cache.at_hand(&"signed", later(3_600)), None);
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_nothing_fresh_for_longer() {
    let (cache, now, calls) = (cache(), Timestamp::now(), AtomicUsize::new(0));
    let (hour, minutes) = (SignedDuration::from_hours(1), SignedDuration::from_mins(10));
    let absent = cache.get("unsigned", now, None, |_| async move { Fact::Absent(now) }).await;
    assert_eq!(absent, Fact::Absent(now));
    let _fact = cache.get("signed", now, None, |_| async move { known("key", now) }).await;
    assert_eq!(cache.at_hand(&"unsigned", now - hour), None);
    assert_eq!(cache.at_hand(&"signed", now - hour), None);
    let fact = cache
        .get("signed", now - minutes, None, |_| {
            calls.fetch_add(1, Ordering::SeqCst);
            async move { known("key", now) }
        })
        .await;
    assert_eq!((fact, calls.into_inner()), (stale("key", now), 1), "it is asked again");
}

#[tokio::test(start_paused = true)]
async fn look_ups_under_way_are_bounded_and_what_is_known_is_answered_all_the_same() {
    let (cache, now) =
        (FactCache::<usize, String>::new(1 << 20, life, |_, _| 0, |_| None, lookups()), Timestamp::now());
    let _fact = cache.get(0, now, None, |_| async move { known("digest", now) }).await;
    for key in 1..=FLIGHTS {
        let get = cache.get(key, now, None, |_| std::future::pending());
        assert!(tokio::time::timeout(Duration::from_millis(1), get).await.is_err(), "{key} is looked up");
    }
    let later = now + SignedDuration::from_mins(6);
    assert_eq!(cache.get(0, later, None, |_| async { panic!("no room") }).await, stale("digest", now));
    let fact = cache.get(FLIGHTS + 1, now, None, |_| async { panic!("no room") }).await;
    let words = "more than 4096 images are being looked up at once";
    assert_eq!(fact, Fact::Unavailable(Trouble::new(Fault::Outage, words)));
}

#[tokio::test]
async fn memory_is_bounded_in_bytes() {
    let cache: FactCache<usize, String> =
        FactCache::new(100_000, life, |_, value: Option<&String>| value.map_or(0, String::len), |_| None, lookups());
    let now = Timestamp::now();
    for key in 0..1_000 {
        let _fact = cache.get(key, now, None, |_| async move { known(&"x".repeat(1_000), now) }).await;
    }
    cache.shared.kept.run_pending_tasks();
    assert!(cache.shared.kept.weighted_size() <= 100_000, "{}", cache.shared.kept.weighted_size());
    assert!(cache.shared.kept.entry_count() > 50, "{}", cache.shared.kept.entry_count());
}

fn store() -> Store {
    Store::new(&Budget::default(), &Registry::new()).unwrap()
}

fn digest(letter: &str) -> Digest {
    Digest::parse(&format!("sha256:{}", letter.repeat(64))).unwrap()
}

#[test]
fn an_admission_is_remembered_for_its_namespace_and_digest_alone_with_its_first_time() {
    let (store, now) = (store(), Timestamp::now());
    store.record_admitted("shop", &digest("a"), None, now);
    store.record_admitted("shop", &digest("a"), None, now + SignedDuration::from_hours(1));
    let Fact::Known(seen) = store.admitted("shop", &digest("a"), now) else { panic!("it is known") };
    assert_eq!(seen.value, Admitted { judged: None, ..Admitted::nothing(now) });
    assert_eq!(store.admitted("shop", &digest("b"), now), Fact::Absent(now));
    assert_eq!(store.admitted("bank", &digest("a"), now), Fact::Absent(now));
}

#[test]
fn look_ups_are_counted_by_kind_and_outcome() {
    let (registry, now) = (Registry::new(), Timestamp::now());
    let store = Store::new(&Budget::default(), &registry).unwrap();
    let _miss = store.admitted("shop", &digest("a"), now);
    store.record_admitted("shop", &digest("a"), None, now);
    let _hit = store.admitted("shop", &digest("a"), now);
    let _hit = store.admitted("shop", &digest("a"), now);
    let counted = |outcome| store.counters.with_label_values(&["admitted", outcome]).get();
    assert_eq!((counted("miss"), counted("hit")), (1, 2));
    assert_eq!(registry.gather()[0].name(), "pratique_cache_lookups_total");
}

#[test]
fn records_are_bounded_in_bytes() {
    let budget = Budget { memory: 400_000, ..Budget::default() };
    let (store, now) = (Store::new(&budget, &Registry::new()).unwrap(), Timestamp::now());
    for namespace in 0..10_000 {
        store.record_admitted(&format!("namespace-{namespace}"), &digest("a"), None, now);
    }
    store.admitted.run_pending_tasks();
    let (size, count) = (store.admitted.weighted_size(), store.admitted.entry_count());
    assert!(size <= budget.memory / RECORDS_SHARE / 2 && count > 100, "{count} in {size} bytes");
}

#[test]
fn a_record_that_nobody_uses_is_forgotten() {
    let budget = Budget { records: Duration::from_millis(20), ..Budget::default() };
    let (store, now) = (Store::new(&budget, &Registry::new()).unwrap(), Timestamp::now());
    store.record_admitted("shop", &digest("a"), None, now);
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(store.admitted("shop", &digest("a"), now), Fact::Absent(now));
}

#[tokio::test(start_paused = true)]
async fn different_keys_fly_side_by_side() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let started = tokio::time::Instant::now();
    let (one, other) = tokio::join!(
        cache.get("nginx", now, None, |_| slow(&calls, known("one", now))),
        cache.get("envoy", now, None, |_| slow(&calls, known("other", now))),
    );
    assert_eq!((one, other), (known("one", now), known("other", now)));
    assert_eq!((calls.load(Ordering::SeqCst), started.elapsed()), (2, Duration::from_millis(50)));
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_is_no_longer_fresh_is_answered_at_once_while_it_is_asked_again() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let later = now + SignedDuration::from_secs(300);
    let first = cache.get("nginx", now, None, |_| slow(&calls, known("old", now))).await;
    assert_eq!(cache.get("nginx", now, None, |_| slow(&calls, known("new", now))).await, first);
    assert_eq!(calls.load(Ordering::SeqCst), 1, "a fresh fact is not asked again");
    let told = Arc::new(Mutex::new(None));
    for _ in 0..3 {
        let told = Arc::clone(&told);
        let look_up = |value: Option<String>| {
            *told.lock().unwrap() = value;
            slow(&calls, known("new", later))
        };
        assert_eq!(cache.get("nginx", later, None, look_up).await, stale("old", now));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2, "a stale one is asked again once at a time");
    assert_eq!(told.lock().unwrap().as_deref(), Some("old"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(cache.at_hand(&"nginx", later), Some(known("new", later)));
}

#[tokio::test(start_paused = true)]
async fn while_its_source_is_out_a_fact_is_last_known_and_no_longer_than_allowed() {
    for fault in [Fault::Outage, Fault::Deadline] {
        let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
        let at = |seconds| now + SignedDuration::from_secs(seconds);
        let _first = cache.get("nginx", now, None, |_| slow(&calls, known("digest", now))).await;
        let _stale = cache.get("nginx", at(300), None, |_| slow(&calls, trouble(fault))).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let last = Seen { value: "digest".to_owned(), at: now, source: Source::LastKnown(fault) };
        assert_eq!(cache.at_hand(&"nginx", at(3_599)), Some(Fact::Known(last.clone())));
        let again = cache.get("nginx", at(3_599), None, |_| slow(&calls, known("digest", at(3_599)))).await;
        assert_eq!(again, Fact::Known(last));
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(cache.at_hand(&"nginx", at(3_599)), Some(known("digest", at(3_599))), "the source is back");
    }
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let _first = cache.get("nginx", now, None, |_| slow(&calls, known("digest", now))).await;
    let too_old = now + SignedDuration::from_secs(3_600);
    assert_eq!(
        cache.get("nginx", too_old, None, |_| slow(&calls, trouble(Fault::Outage))).await,
        trouble(Fault::Outage)
    );
}

#[tokio::test(start_paused = true)]
async fn a_source_that_no_longer_stands_by_its_word_takes_the_fact_away() {
    for fault in [Fault::Refused, Fault::Forbidden, Fault::Mismatch, Fault::Broken] {
        let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
        let stale = now + SignedDuration::from_secs(300);
        let _first = cache.get("nginx", now, None, |_| slow(&calls, known("digest", now))).await;
        let _stale = cache.get("nginx", stale, None, |_| slow(&calls, trouble(fault))).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(cache.at_hand(&"nginx", stale), None, "{fault:?}");
        assert_eq!(cache.get("nginx", stale, None, |_| slow(&calls, trouble(fault))).await, trouble(fault));
    }
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let stale = now + SignedDuration::from_secs(300);
    let _first = cache.get("nginx", now, None, |_| slow(&calls, known("digest", now))).await;
    let _stale = cache.get("nginx", stale, None, |_| slow(&calls, Fact::Absent(stale))).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(cache.at_hand(&"nginx", stale), Some(Fact::Absent(stale)));
}

#[test]
fn the_last_admission_of_a_tag_is_the_one_on_record() {
    let (store, now) = (store(), Timestamp::now());
    let address = |text: &str| Reference::parse(text).unwrap().address();
    store.record_tag(&address("nginx"), &Recorded { digest: digest("a"), guard: Guard::Warns }, now);
    store.record_tag(&address("nginx:latest"), &Recorded { digest: digest("b"), guard: Guard::Warns }, now);
    let Fact::Known(seen) = store.recorded(&address("docker.io/library/nginx:latest"), now) else {
        panic!("it is known")
    };
    assert_eq!(seen.value.digest, digest("b"));
    assert_eq!(store.recorded(&address("nginx:1"), now), Fact::Absent(now));
    assert_eq!(store.recorded(&address("ghcr.io/library/nginx"), now), Fact::Absent(now));
}

#[test]
fn who_minds_a_moved_tag_less_takes_no_record_from_who_minds_it_more() {
    use Guard::{Nothing, Refuses, Warns};
    let (store, now) = (store(), Timestamp::now());
    let address = Reference::parse("nginx:1").unwrap().address();
    for (letter, guard, recorded) in [
        ("a", Nothing, "a"),
        ("b", Nothing, "b"),
        ("c", Warns, "c"),
        ("d", Nothing, "c"),
        ("d", Warns, "d"),
        ("d", Refuses, "d"),
        // That it still names the same makes the record no weaker.
        ("d", Nothing, "d"),
        ("e", Warns, "d"),
        ("f", Refuses, "f"),
    ] {
        store.record_tag(&address, &Recorded { digest: digest(letter), guard }, now);
        let Fact::Known(seen) = store.recorded(&address, now) else { panic!("it is known") };
        assert_eq!(seen.value.digest, digest(recorded), "{letter} {guard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_look_up_leaves_pending_is_not_kept() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    assert_eq!(cache.get("nginx", now, None, |_| slow(&calls, Fact::Pending)).await, Fact::Pending);
    assert_eq!(cache.at_hand(&"nginx", now), None);
}

#[tokio::test(start_paused = true)]
async fn a_fact_too_large_to_keep_still_reaches_everyone_who_waits() {
    let cache: FactCache<&str, String> = FactCache::new(1_000, life, |_, _| 10_000, |_| None, lookups());
    let (calls, now) = (Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let get = || cache.get("nginx", now, None, |_| slow(&calls, known("digest", now)));
    let (one, other) = tokio::join!(get(), get());
    assert_eq!((one, other), (known("digest", now), known("digest", now)));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    cache.shared.kept.run_pending_tasks();
    assert_eq!(cache.shared.kept.entry_count(), 0);
}

#[tokio::test]
async fn no_flight_is_left_on_the_board() {
    let (cache, now) = (cache(), Timestamp::now());
    let _known = cache.get("kept", now, None, |_| async move { known("digest", now) }).await;
    let _fault = cache.get("fault", now, None, |_| async { trouble(Fault::Deadline) }).await;
    let _panic = cache.get("panic", now, None, |_| async { panic!("in the look-up") }).await;
    let never_flown = tokio::spawn({
        let cache = Arc::clone(&cache);
        async move {
            let early = |_| -> std::future::Ready<Fact<String>> { panic!("before the look-up") };
            let _fact = cache.get("early", now, None, early).await;
        }
    });
    never_flown.await.unwrap_err();
    assert!(cache.shared.flights.lock().unwrap().is_empty());
    assert_eq!(cache.get("early", now, None, |_| async move { known("digest", now) }).await, known("digest", now));
}

#[tokio::test]
async fn a_value_with_a_gap_reaches_those_who_wait_and_is_not_kept() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    assert_eq!(cache.get("nginx", now, None, |_| slow(&calls, known("half", now))).await, known("half", now));
    assert_eq!(cache.at_hand(&"nginx", now), None);
    let _whole = cache.get("nginx", now, None, |_| slow(&calls, known("whole", now))).await;
    let _half = cache.get("nginx", now, Some(Duration::ZERO), |_| slow(&calls, known("half", now))).await;
    let Some(Fact::Known(seen)) = cache.at_hand(&"nginx", now) else { panic!("it was known") };
    assert_eq!((seen.value.as_str(), seen.source), ("whole", Source::LastKnown(Fault::Outage)));
}

#[tokio::test]
async fn what_is_older_than_somebody_wants_is_asked_again_and_waited_for() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    let _first = cache.get("nginx", now, None, |_| slow(&calls, known("old", now))).await;
    let later = now + Duration::from_secs(30);
    let oldest = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(cache.get("nginx", later, oldest(31), |_| slow(&calls, known("new", later))).await, known("old", now));
    assert_eq!(cache.get("nginx", later, oldest(30), |_| slow(&calls, known("new", later))).await, known("new", later));
}
