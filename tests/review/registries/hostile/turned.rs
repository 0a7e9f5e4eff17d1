//! A registry that was honest and turns hostile, and policies that tolerate as much as they can.

use pratique_testkit::Webhook;

use super::super::ask;
use super::*;

/// What shows that somebody lies, or that we must not ask.
fn never_tolerated() -> Vec<(Behaviour, &'static str)> {
    vec![
        (Behaviour::Html(200), "registry-broken"),
        (Behaviour::EndlessBody, "registry-broken"),
        (Behaviour::GzipBomb, "registry-broken"),
        (answer_with("application/json", "{}"), "registry-broken"),
        (Behaviour::redirect("https://169.254.169.254/"), "registry-forbidden"),
        (Behaviour::Challenge("Bearer realm=\"https://evil.example/\"".to_owned()), "registry-forbidden"),
        (Behaviour::LyingDigestHeader(pratique_testkit::DIGEST.to_owned()), "digest-mismatch"),
    ]
}

#[tokio::test]
async fn who_turns_hostile_is_no_longer_believed_by_what_he_said_before() {
    let mut all = never_tolerated();
    all.extend([
        (Behaviour::status(403), "image-inaccessible"),
        (Behaviour::BareUnauthorized, "image-inaccessible"),
        (Behaviour::status(404), "image-not-found"),
    ]);
    join_all(all.into_iter().map(async |(behaviour, reason)| {
        let registry = start(Open).await;
        registry.push("acme/web", "v1", &Image::single());
        let setup = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
        let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
        let image = named(&registry, "acme/web:v1");
        assert!(ask(&webhook, "shop", &image).await.allowed);
        // Endless or compressed, the answer to HEAD would be as true as ever.
        let truthful = matches!(behaviour, Behaviour::EndlessBody | Behaviour::GzipBomb);
        registry.on(Route::Any, behaviour);
        if truthful {
            registry.on(Route::ManifestHead, Behaviour::NoDigestHeader);
        }
        eventually(reason, async || {
            let answer = ask(&webhook, "shop", &image).await;
            assert_ne!(answer.annotations.get("basis").map(String::as_str), Some("LastKnownGood"), "{reason}");
            assert!(answer.allowed || answer.message.contains(reason), "{reason}: {answer:?}");
            !answer.allowed
        })
        .await;
        let answer = ask(&webhook, "shop", &image).await;
        assert_eq!((answer.allowed, answer.code, answer.retry_after), (false, Some(403), None), "{answer:?}");
    }))
    .await;
}

#[tokio::test]
async fn no_policy_tolerates_a_lie() {
    let lenient =
        "unavailable: admit\ninaccessible: admit\nrules:\n- {name: all, images: [\"**\"], tags: {repointed: deny}}";
    join_all(never_tolerated().into_iter().map(async |(behaviour, reason)| {
        let registry = start(Open).await;
        registry.push("acme/web", "v1", &Image::single());
        let webhook = Webhook::setup().registry(&registry).policy("lenient", lenient).enforce("lenient").start().await;
        registry.on(Route::Any, Behaviour::status(503));
        let answer = ask(&webhook, "shop", &named(&registry, "acme/web:v0")).await;
        assert_eq!(answer.annotations.get("basis").map(String::as_str), Some("UndeterminedButTolerated"), "{answer:?}");
        registry.on(Route::Any, behaviour);
        let answer = ask(&webhook, "shop", &named(&registry, "acme/web:v1")).await;
        assert!(!answer.allowed && answer.message.contains(reason), "{reason}: {answer:?}");
        assert_eq!((answer.code, answer.retry_after), (Some(403), None), "{reason}");
    }))
    .await;
}
