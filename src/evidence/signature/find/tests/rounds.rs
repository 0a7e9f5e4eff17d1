//! How often it waits for a registry, by the order of requests and by how many there were at once.

use super::*;

/// Enough for all requests of a round to be sent before the first is answered.
const LATENCY: Duration = Duration::from_millis(500);

#[tokio::test]
async fn five_signatures_under_a_tag_take_two_rounds() {
    let room = Room::of(Registry::setup().latency(LATENCY)).await;
    let layers: Vec<_> = (0..5).map(|number| simple(&number.to_string())).collect();
    room.attach(Spot::SignatureTag, &layers);
    assert_eq!(room.find().await.items.len(), 5);
    let mut asked = room.asked();
    assert_eq!(asked.len(), 4 + 5, "{asked:?}");
    assert_eq!(room.registry.most_at_once(), 5);
    asked[..4].sort();
    let first = [room.tag(""), room.tag(".att"), room.tag(".sig")].map(|tag| format!("manifests/{tag}"));
    assert_eq!(asked[..3], first);
    assert_eq!(asked[3], format!("referrers/{}", room.subject));
}

#[tokio::test]
async fn five_referrers_take_three_rounds() {
    let room = Room::of(Registry::setup().latency(LATENCY)).await;
    for number in 0..5 {
        room.attach(Spot::Referrer, &[bundle(&number.to_string())]);
    }
    assert_eq!(room.find().await.items.len(), 5);
    let asked = room.asked();
    assert_eq!(asked.len(), 4 + 5 + 5, "{asked:?}");
    assert!(asked[4..9].iter().all(|path| path.starts_with("manifests/sha256:")), "{asked:?}");
    assert!(asked[9..].iter().all(|path| path.starts_with("blobs/")), "{asked:?}");
    assert_eq!(room.registry.most_at_once(), 5);
}

#[tokio::test]
async fn blobs_of_a_tag_wait_for_no_list() {
    let room = Room::new().await;
    room.attach(Spot::SignatureTag, &[simple("a")]);
    room.registry.on(Route::Referrers, Behaviour::SlowHeaders);
    let finding = room.find();
    let blob = pratique_testkit::eventually("the blob is asked for", async || room.registry.count(Route::Blob) == 1);
    tokio::select! {
        found = finding => panic!("{found:?}"),
        () = blob => {}
    }
}
