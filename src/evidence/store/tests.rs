use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn known(value: &str, at: Timestamp) -> Fact<String> {
    Fact::Known(Seen { value: value.to_owned(), at, source: Source::Current })
}

fn cache() -> Arc<FactCache<&'static str, String>> {
    Arc::new(FactCache::new(1 << 20, Duration::from_mins(5), |key: &&'static str, _| key.len()))
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
            tokio::spawn(async move { cache.get("nginx", now, || slow(&calls, known("digest", now))).await })
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
    let get = cache.get("nginx", now, || slow(&calls, known("digest", now)));
    assert!(tokio::time::timeout(Duration::from_millis(1), get).await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(cache.at_hand(&"nginx", now), Some(known("digest", now)));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fault_reaches_those_who_wait_and_is_never_kept() {
    let (cache, calls, now) = (cache(), Arc::new(AtomicUsize::new(0)), Timestamp::now());
    for _ in 0..2 {
        let fact = cache.get("nginx", now, || slow(&calls, Fact::Unavailable(Fault::Outage))).await;
        assert_eq!(fact, Fact::Unavailable(Fault::Outage));
    }
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_look_up_is_a_fault_and_the_next_one_flies_again() {
    let (cache, now) = (cache(), Timestamp::now());
    let fact = cache.get("nginx", now, || async { panic!("a hostile registry") }).await;
    assert_eq!(fact, Fact::Unavailable(Fault::Broken));
    assert_eq!(cache.get("nginx", now, || async move { known("digest", now) }).await, known("digest", now));
}

#[tokio::test]
async fn there_is_none_is_believed_for_a_minute_and_a_known_fact_while_it_is_fresh() {
    let (cache, now) = (cache(), Timestamp::now());
    let later = |seconds| now + SignedDuration::from_secs(seconds);
    let absent = cache.get("unsigned", now, || async move { Fact::Absent(now) }).await;
    assert_eq!(absent, Fact::Absent(now));
    assert_eq!(cache.at_hand(&"unsigned", later(59)), Some(Fact::Absent(now)));
    assert_eq!(cache.at_hand(&"unsigned", later(60)), None);
    let fact = cache.get("signed", now, || async move { known("key", now) }).await;
    assert_eq!(cache.at_hand(&"signed", later(299)), Some(fact));
    assert_eq!(cache.at_hand(&"signed", later(300)), None);
}

#[tokio::test]
async fn memory_is_bounded_in_bytes() {
    let cache: FactCache<usize, String> =
        FactCache::new(100_000, Duration::from_mins(5), |_, fact: &Fact<String>| match fact {
            Fact::Known(seen) => seen.value.len(),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => 0,
        });
    let now = Timestamp::now();
    for key in 0..1_000 {
        let _fact = cache.get(key, now, || async move { known(&"x".repeat(1_000), now) }).await;
    }
    cache.kept.run_pending_tasks();
    assert!(cache.kept.weighted_size() <= 100_000, "{}", cache.kept.weighted_size());
    assert!(cache.kept.entry_count() > 50, "{}", cache.kept.entry_count());
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
    store.record_admitted("shop", &digest("a"), now);
    store.record_admitted("shop", &digest("a"), now + SignedDuration::from_hours(1));
    let Fact::Known(seen) = store.admitted("shop", &digest("a"), now) else { panic!("it is known") };
    assert_eq!(seen.value, Admitted { first: now });
    assert_eq!(store.admitted("shop", &digest("b"), now), Fact::Absent(now));
    assert_eq!(store.admitted("bank", &digest("a"), now), Fact::Absent(now));
}
