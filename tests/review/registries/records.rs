//! What a tag named when it was last admitted, and what follows when it names something else.

use std::time::Duration;

use pratique_testkit::{Image, Registry, Route, Webhook, eventually, pod, review};

use super::{MOVED_IS_REFUSED, ask, named};

#[tokio::test]
async fn a_tag_that_is_moved_after_its_admission_is_refused_with_the_digest_to_pin() {
    let registry = Registry::setup().start().await;
    let first = registry.push("acme/web", "v1", &Image::single());
    let setup = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
    let image = named(&registry, "acme/web:v1");
    assert!(ask(&webhook, "shop", &image).await.allowed);
    let second = registry.push("acme/web", "v1", &Image::single().label("another"));
    let answer = ask(&webhook, "shop", &image).await;
    assert!(answer.allowed, "what is known is answered while it is asked again: {answer:?}");
    let mut answer = answer;
    eventually("the registry has been asked again", async || {
        answer = ask(&webhook, "bank", &image).await;
        !answer.allowed
    })
    .await;
    assert_eq!(answer.code, Some(403));
    let (before, now) = (&first[..19], &second[..19]);
    assert!(answer.message.contains(&format!("\"v1\" was {before} when it was last admitted and is {now} now")));
    assert!(answer.message.contains(&second), "the digest to pin: {}", answer.message);
    assert!(ask(&webhook, "shop", &format!("{}@{second}", named(&registry, "acme/web"))).await.allowed);
    registry.point("acme/web", "v1", &first);
    eventually("the tag is moved back", async || ask(&webhook, "shop", &image).await.allowed).await;
}

#[tokio::test]
async fn by_default_a_moved_tag_only_warns_and_the_move_is_then_the_record() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    let policy = "rules:\n- {name: all, images: [\"**\"], tags: {deny: [latest]}}";
    let setup = Webhook::setup().registry(&registry).policy("acme", policy).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = Duration::from_millis(200)).start().await;
    let image = named(&registry, "acme/web:v1");
    let answer = ask(&webhook, "shop", &image).await;
    assert!(answer.allowed && answer.warnings.is_empty(), "{answer:?}");
    // Nothing waited for the digest, so it is recorded after the reply.
    eventually("it is resolved", async || registry.count(Route::Manifest) == 1).await;
    eventually("it is recorded", async || {
        let answer = ask(&webhook, "shop", &image).await;
        assert!(answer.allowed && answer.warnings.is_empty(), "{answer:?}");
        registry.count(Route::ManifestHead) > 1
    })
    .await;
    registry.push("acme/web", "v1", &Image::single().label("another"));
    let mut warned = None;
    eventually("it is seen that the tag was moved", async || {
        let answer = ask(&webhook, "shop", &image).await;
        assert!(answer.allowed);
        warned = answer.warnings.first().cloned().map(|warning| (warning, answer));
        warned.is_some()
    })
    .await;
    let (warning, answer) = warned.expect("it warned");
    assert!(warning.contains("tag-repointed: \"v1\" was sha256:"), "{warning}");
    assert_eq!(answer.annotations["basis"], "SoftenedToWarning");
    // Once it is admitted by what the registry says now, not by what it said a while ago.
    eventually("who was warned and admitted it accepted it", async || {
        let answer = ask(&webhook, "shop", &image).await;
        assert!(answer.allowed);
        answer.warnings.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_moved_tag_that_one_namespace_lets_in_stays_a_moved_one_where_it_is_refused() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    for lax in ["allow", "warn"] {
        let policy = format!("rules:\n- {{name: all, images: [\"**\"], tags: {{deny: [latest], repointed: {lax}}}}}");
        let setup = Webhook::setup().registry(&registry).policy("strict", MOVED_IS_REFUSED).policy("lax", &policy);
        let setup = setup.namespace("shop", &[("enforce", "strict")]).namespace("bank", &[("enforce", "lax")]);
        let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
        let image = named(&registry, "acme/web:v1");
        assert!(ask(&webhook, "shop", &image).await.allowed);
        registry.push("acme/web", "v1", &Image::single().label(lax));
        eventually("the move is seen", async || !ask(&webhook, "shop", &image).await.allowed).await;
        for _ in 0..3 {
            assert!(ask(&webhook, "bank", &image).await.allowed);
        }
        let answer = ask(&webhook, "shop", &image).await;
        assert!(answer.message.contains("tag-repointed"), "{lax}: {answer:?}");
    }
}

#[tokio::test]
async fn a_dry_run_and_a_refusal_leave_no_record() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    let setup = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
    let image = named(&registry, "acme/web:v1");
    let object = pod("web").container("web", &image);
    let dry_run = review(&object).dry_run();
    assert!(webhook.review(&dry_run).await.allowed);
    let with_another = object.clone().container("other", &named(&registry, "acme/absent:v1"));
    let refused = webhook.review(&review(&with_another)).await;
    assert!(!refused.allowed && refused.message.contains("image-not-found"), "{refused:?}");
    let second = registry.push("acme/web", "v1", &Image::single().label("another"));
    eventually("the move is seen", async || {
        let answer = webhook.review(&dry_run).await;
        assert!(answer.allowed, "nothing was on record: {answer:?}");
        answer.annotations["digests"].contains(&second)
    })
    .await;
    assert!(ask(&webhook, "shop", &image).await.allowed);
}
