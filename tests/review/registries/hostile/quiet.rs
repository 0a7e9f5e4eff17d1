//! 429, with whatever stands in its `Retry-After`: the registry is left alone, neither for no time nor for ever.

use pratique_testkit::{Client, Webhook};

use super::super::ask;
use super::*;

async fn limited(retry_after: &str) -> (Registry, Webhook) {
    let registry = start(Open).await;
    registry.push("acme/web", "v1", &Image::single());
    registry.on(Route::Any, Behaviour::TooManyRequests { retry_after: retry_after.to_owned() });
    let webhook = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme").start().await;
    (registry, webhook)
}

async fn is_told_to_try_again(webhook: &Client, registry: &Registry, tag: &str) {
    let started = Instant::now();
    let answer = ask(webhook, "shop", &named(registry, &format!("acme/web:{tag}"))).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!((answer.allowed, answer.code, answer.retry_after), (false, Some(503), Some(1)), "{answer:?}");
    let words = format!("registry-unavailable, {} answered 429 Too Many Requests", registry.host());
    assert!(answer.message.contains(&words), "{}", answer.message);
}

#[tokio::test]
async fn for_an_absurdly_long_time_it_is_left_alone_for_a_minute() {
    for retry_after in ["999999999999", "99999999999999999999999999", "Sat, 06 Nov 2094 08:49:37 GMT", "8760h", "60"] {
        let (registry, webhook) = limited(retry_after).await;
        for round in 0..5 {
            is_told_to_try_again(&webhook, &registry, &format!("v{round}")).await;
        }
        assert_eq!(registry.count(Route::Any), 1, "{retry_after}: it is left alone");
    }
}

#[tokio::test]
async fn for_an_absurdly_short_time_or_for_nonsense_it_is_left_alone_for_a_second() {
    let values =
        ["35.852\u{b5}s", "0", "-5", "soon", "", "12ns", "Sun, 06 Nov 1994 08:49:37 GMT", "1e9", "0x10", "NaNs"];
    join_all(values.map(async |retry_after| {
        let (registry, webhook) = limited(retry_after).await;
        let started = Instant::now();
        for round in 0..10 {
            is_told_to_try_again(&webhook, &registry, &format!("v{round}")).await;
        }
        // One, and after every second one more.
        let most = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
        assert!(registry.count(Route::Any) <= most, "{retry_after}: {} times, not {most}", registry.count(Route::Any));
        registry.calm();
        pratique_testkit::eventually("it is asked again", async || {
            ask(&webhook, "shop", &named(&registry, "acme/web:v1")).await.allowed
        })
        .await;
    }))
    .await;
}
