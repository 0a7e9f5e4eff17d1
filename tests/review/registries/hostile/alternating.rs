//! A registry that says one thing now and another thing then: no digest is told that was not hashed from bytes,
//! and that the tag moves is noticed.

use pratique_testkit::{Protocol, Webhook};

use super::super::ask;
use super::*;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Two images, and a registry that takes turns with them: one, and as many times two.
async fn two_faced(route: Route, times_two: usize) -> (Registry, [Image; 2]) {
    let images = ["one", "two"].map(|label| Image::single().label(label));
    let registry = start(Open).await;
    registry.push("acme/web", "v1", &images[0]);
    let turn = |image: &Image| (OCI_MANIFEST.to_owned(), image.bytes());
    let turns = std::iter::once(&images[0]).chain(std::iter::repeat_n(&images[1], times_two)).map(turn).collect();
    registry.on(route, Behaviour::Alternate(turns));
    (registry, images)
}

/// Every digest in the text.
fn digests_in(text: &str) -> Vec<&str> {
    text.match_indices("sha256:").map(|(at, _)| text.get(at..at + 71).unwrap_or(&text[at..])).collect()
}

#[tokio::test]
async fn a_tag_that_alternates_a_thousand_times_is_noticed_and_never_told_as_what_it_is_not() {
    // Three, so that HEAD and GET, which take turns as well, do not always have the same one each.
    for (route, times_two) in [(Route::Any, 2), (Route::Manifest, 1), (Route::ManifestHead, 1)] {
        let (registry, images) = two_faced(route, times_two).await;
        if route == Route::Manifest {
            // Nothing is said without the bytes.
            registry.on(Route::ManifestHead, Behaviour::NoDigestHeader);
        }
        let setup = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme");
        let webhook = setup.budget(|budget| budget.tag_fresh = Duration::ZERO).start().await;
        let (image, digests) = (named(&registry, "acme/web:v1"), images.each_ref().map(Image::digest));
        let (mut admitted, mut refused) = (Vec::new(), 0);
        for _ in 0..1_000 {
            let answer = ask(&webhook, "shop", &image).await;
            let told = answer.annotations.get("digests").map(String::as_str).unwrap_or_default();
            if answer.allowed {
                let found = digests_in(told);
                assert_eq!(found.len(), 1, "{answer:?}");
                admitted.push(found[0].to_owned());
            } else {
                refused += 1;
                assert!(answer.first_line().contains("tag-repointed, "), "{answer:?}");
                assert_eq!((answer.code, answer.retry_after), (Some(403), None), "{answer:?}");
            }
            assert!(digests_in(told).iter().all(|told| digests.iter().any(|digest| digest == told)), "{answer:?}");
        }
        assert!(
            admitted.iter().all(|digest| *digest == admitted[0]),
            "{route:?}: what was admitted first is the record"
        );
        // Where only HEAD alternates, nothing was moved: what counts is hashed.
        assert_eq!(refused > 0, route != Route::ManifestHead, "{route:?}: {refused} refused");
        assert!(registry.count(Route::ManifestHead) > 10, "{route:?}: it was asked again and again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reviews_at_once_are_told_what_one_answer_said() {
    let (registry, images) = two_faced(Route::Any, 1).await;
    let webhook = Webhook::setup().registry(&registry).policy("acme", MOVED_IS_REFUSED).enforce("acme").start().await;
    let digests = images.each_ref().map(Image::digest);
    let image = named(&registry, "acme/web:v1");
    let client = webhook.client(Protocol::Http2);
    let answers = join_all((0..100).map(|_| ask(client, "shop", &image))).await;
    assert_eq!(registry.count(Route::Any), 1);
    for answer in answers {
        assert!(answer.allowed, "{answer:?}");
        assert_eq!(digests_in(&answer.annotations["digests"]), [&digests[0]], "the one that was sent");
    }
}
