//! What could not be read is said, and takes nothing else away.

use super::*;

const MISSING: &str = "Missing";

/// Signatures under the tag and as a referrer.
async fn with_two() -> Room {
    let room = Room::new().await;
    room.attach(Spot::SignatureTag, &[simple("a")]);
    room.attach(Spot::Referrer, &[bundle("e")]);
    room
}

fn unavailable() -> Behaviour {
    Behaviour::status(503)
}

#[tokio::test]
async fn a_place_with_trouble_is_said_and_the_others_count() {
    let room = with_two().await;
    room.registry.on(Route::Referrers, unavailable());
    let found = room.find().await;
    assert_eq!(short(&found), [(Layout::SignatureTag, "payload a".to_owned())]);
    assert_eq!(room.told(&found), Some((Fault::Outage, "HOST answered 503 Service Unavailable".to_owned())));
    assert_eq!(found.untried, 0);
}

#[tokio::test]
async fn a_tag_with_trouble_does_not_hide_what_refers() {
    let room = with_two().await;
    room.registry.put_manifest(REPOSITORY, Some(&room.tag(".sig")), OCI_MANIFEST, "{");
    let found = room.find().await;
    assert_eq!(short(&found), [(Layout::Bundle03, "bundle e".to_owned())]);
    assert_eq!(room.told(&found).map(|(fault, _)| fault), Some(Fault::Broken));
}

#[tokio::test]
async fn blobs_with_trouble_are_not_items() {
    for (behaviour, fault) in [
        (unavailable(), Fault::Outage),
        (Behaviour::status(403), Fault::Refused),
        (Behaviour::redirect("http://169.254.169.254/"), Fault::Forbidden),
        (Behaviour::Status { code: 200, headers: Vec::new(), body: b"12345678".to_vec() }, Fault::Mismatch),
        (Behaviour::Html(206), Fault::Broken),
    ] {
        let room = with_two().await;
        room.registry.on(Route::Blob, behaviour);
        let found = room.find().await;
        assert_eq!((short(&found), room.told(&found).map(|(fault, _)| fault)), (Vec::new(), Some(fault)));
    }
}

#[tokio::test]
async fn a_manifest_with_trouble_is_said_and_the_others_count() {
    let room = with_two().await;
    room.refer(&[], |manifest| manifest["schemaVersion"] = 3.into());
    let found = room.find().await;
    let expected = [(Layout::SignatureTag, "payload a".to_owned()), (Layout::Bundle03, "bundle e".to_owned())];
    assert_eq!(short(&found), expected);
    let words = "HOST sent a manifest whose schemaVersion is not 2";
    assert_eq!(room.told(&found), Some((Fault::Broken, words.to_owned())));
}

#[tokio::test]
async fn what_is_listed_and_gone_is_missing() {
    let room = with_two().await;
    room.registry.remove(REPOSITORY, &pratique_testkit::digest("payload a"));
    assert_whole(&room.find().await, &[(Layout::SignatureTag, MISSING), (Layout::Bundle03, "bundle e")]);
    let digest = pratique_testkit::DIGEST;
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 2});
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]});
    room.registry.put_manifest(REPOSITORY, Some(&room.tag("")), OCI_INDEX, index.to_string());
    room.registry.on(Route::Referrers, Behaviour::status(404));
    assert_whole(&room.find().await, &[(Layout::SignatureTag, MISSING), (Layout::Unknown, MISSING)]);
}

#[tokio::test]
async fn a_tag_that_holds_something_else_is_malformed_once() {
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}).to_string();
    for (suffix, layout, other) in
        [(".sig", Layout::SignatureTag, envelope("x")), (".att", Layout::AttestationTag, simple("x"))]
    {
        let room = Room::new().await;
        let tag = room.tag(suffix);
        room.registry.push(REPOSITORY, &tag, &Image::single().label("another"));
        assert_whole(&room.find().await, &[(layout, "Malformed")]);
        room.registry.put_manifest(REPOSITORY, Some(&tag), OCI_INDEX, &index);
        assert_whole(&room.find().await, &[(layout, "Malformed")]);
        room.registry.remove(REPOSITORY, &tag);
        let spot = if suffix == ".sig" { Spot::SignatureTag } else { Spot::AttestationTag };
        room.attach(spot, &[other.clone(), other]);
        assert_whole(&room.find().await, &[(layout, "Malformed")]);
    }
}

#[tokio::test]
async fn what_is_late_is_said_and_what_came_counts() {
    let room = with_two().await;
    room.registry.on(Route::Referrers, Behaviour::SlowHeaders);
    let ceilings = Ceilings::default();
    let found = room.search(REPOSITORY, &room.subject, BOTH, &ceilings, Duration::from_secs(2)).await;
    assert_eq!(short(&found), [(Layout::SignatureTag, "payload a".to_owned())]);
    let words = "HOST did not send everything that is attached in time";
    assert_eq!(room.told(&found), Some((Fault::Deadline, words.to_owned())));
    room.registry.calm();
    room.registry.on(Route::Blob, Behaviour::SlowHeaders);
    let found = room.search(REPOSITORY, &room.subject, BOTH, &ceilings, Duration::from_secs(2)).await;
    assert_eq!((short(&found), found.unread.map(|trouble| trouble.fault)), (Vec::new(), Some(Fault::Deadline)));
}

#[test]
fn the_gravest_trouble_is_kept_and_what_may_pass_is_graver() {
    let order = [Fault::Refused, Fault::Broken, Fault::Forbidden, Fault::Mismatch, Fault::Deadline, Fault::Outage];
    let ceilings = Ceilings::default();
    for (at, fault) in order.into_iter().enumerate() {
        for (other_at, other) in order.into_iter().enumerate() {
            let mut gathered = Gathered::new(&ceilings);
            gathered.trouble(Trouble::new(fault, "first"));
            gathered.trouble(Trouble::new(other, "second"));
            let expected = if other_at > at { Trouble::new(other, "second") } else { Trouble::new(fault, "first") };
            assert_eq!(gathered.found().unread, Some(expected));
        }
    }
}
