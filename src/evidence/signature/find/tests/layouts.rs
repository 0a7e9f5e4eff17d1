//! Every layout is found where it was put, by what it is.

use super::*;

/// What is attached everywhere at once, in its order.
const ALL: [(Layout, &str); 5] = [
    (Layout::SignatureTag, "payload a"),
    (Layout::AttestationTag, "envelope b"),
    (Layout::SimpleReferrer, "payload c"),
    (Layout::EnvelopeReferrer, "envelope d"),
    (Layout::Bundle03, "bundle e"),
];

fn attach_all(room: &Room, referring: Spot) {
    room.attach(Spot::SignatureTag, &[simple("a")]);
    room.attach(Spot::AttestationTag, &[envelope("b")]);
    for layer in [simple("c"), envelope("d"), bundle("e")] {
        room.attach(referring, &[layer]);
    }
}

#[tokio::test]
async fn all_places_are_looked_at_in_their_order() {
    let room = Room::new().await;
    attach_all(&room, Spot::Referrer);
    assert_whole(&room.find().await, &ALL);
    let room = Room::of(Registry::setup().page_size(1)).await;
    attach_all(&room, Spot::Referrer);
    assert_whole(&room.find().await, &ALL);
}

#[tokio::test]
async fn the_public_function_searches_the_same_and_can_be_sent() {
    fn sent<T: Send>(future: T) -> T {
        future
    }
    let room = Room::new().await;
    attach_all(&room, Spot::Referrer);
    let repository = Reference::parse(&format!("{}/{REPOSITORY}", room.registry.host())).unwrap();
    let (digest, asker) = (Digest::parse(&room.subject).unwrap(), Asker::anonymous());
    let ceilings = Ceilings::default();
    assert_whole(&sent(find(&room.registries, &repository, &digest, BOTH, &ceilings, &asker)).await, &ALL);
}

#[tokio::test]
async fn registries_without_an_api_are_read_by_the_fallback_tag_whatever_it_says_of_types() {
    for spot in [Spot::FallbackTag, Spot::UntypedFallbackTag] {
        for behaviour in Behaviour::no_referrers() {
            let room = Room::new().await;
            attach_all(&room, spot);
            room.registry.on(Route::Referrers, behaviour);
            assert_whole(&room.find().await, &ALL);
        }
    }
}

#[tokio::test]
async fn nothing_attached_is_nothing_and_no_doubt() {
    for setup in [Registry::setup(), Registry::setup().without_referrers()] {
        let room = Room::of(setup).await;
        assert_whole(&room.find().await, &[]);
        let asked = room.asked();
        let fallback = format!("manifests/{}", room.tag(""));
        assert_eq!(asked.len(), 4, "{asked:?}");
        assert_eq!(asked.last(), Some(&fallback));
    }
}

#[tokio::test]
async fn a_kind_that_is_not_asked_for_costs_no_request() {
    let room = Room::new().await;
    attach_all(&room, Spot::Referrer);
    for (signatures, attestations, expected) in
        [(true, false, [ALL[0], ALL[2], ALL[3], ALL[4]]), (false, true, [ALL[1], ALL[2], ALL[3], ALL[4]])]
    {
        room.registry.forget();
        let kinds = Kinds { signatures, attestations };
        let found = room.search(REPOSITORY, &room.subject, kinds, &Ceilings::default(), DEADLINE).await;
        assert_whole(&found, &expected);
        let tags = |suffix: &str| room.asked().iter().filter(|path| path.ends_with(suffix)).count();
        assert_eq!((tags(".sig"), tags(".att")), (usize::from(signatures), usize::from(attestations)));
    }
}

#[tokio::test]
async fn another_repository_is_searched_for_the_same_digest() {
    let room = Room::new().await;
    for (spot, layer) in
        [(Spot::SignatureTag, simple("a")), (Spot::AttestationTag, envelope("b")), (Spot::Referrer, bundle("e"))]
    {
        room.registry.attach_layers("team/signatures", &room.subject, spot, &[layer]);
    }
    let found = room.search("team/signatures", &room.subject, BOTH, &Ceilings::default(), DEADLINE).await;
    assert_whole(&found, &[ALL[0], ALL[1], ALL[4]]);
    assert_whole(&room.find().await, &[]);
}

#[tokio::test]
async fn annotations_are_handed_on_as_written() {
    let room = Room::new().await;
    let layer = [
        ("dev.cosignproject.cosign/signature", "the signature"),
        ("dev.sigstore.cosign/certificate", "the certificate"),
        ("dev.sigstore.cosign/chain", "the chain"),
        ("dev.sigstore.cosign/bundle", "the log"),
        ("dev.sigstore.cosign/rfc3161timestamp", "the timestamp"),
        ("predicateType", "another"),
    ]
    .into_iter()
    .fold(Layer::new(SIMPLE_SIGNING, "payload"), |layer, (key, value)| layer.annotated(key, value));
    room.attach(Spot::SignatureTag, &[layer]);
    let found = room.find().await;
    let [Item { material: Material::Simple { annotations, .. }, .. }] = &found.items[..] else { panic!("{found:?}") };
    let some = |text: &str| Some(text.to_owned());
    let expected = Annotations {
        signature: some("the signature"),
        certificate: some("the certificate"),
        chain: some("the chain"),
        log: some("the log"),
        timestamp: some("the timestamp"),
    };
    assert_eq!(*annotations, expected);
}

#[tokio::test]
async fn the_type_of_a_layer_says_what_it_is_and_to_the_letter() {
    for (media_type, layout) in [
        ("application/vnd.dev.sigstore.bundle+json;version=0.1", Some(Layout::Bundle01)),
        ("application/vnd.dev.sigstore.bundle+json;version=0.2", Some(Layout::Bundle02)),
        ("application/vnd.dev.sigstore.bundle+json;version=0.3", Some(Layout::Bundle03)),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", Some(Layout::Bundle03)),
        ("application/vnd.dsse.envelope.v1+json", Some(Layout::EnvelopeReferrer)),
        ("application/vnd.dsse.envelope.v1+jsonx", None),
        ("application/vnd.cncf.notary.signature", None),
        ("application/spdx+json", None),
        ("application/vnd.oci.empty.v1+json", None),
        ("", None),
    ] {
        let room = Room::new().await;
        room.refer(&[room.blob(media_type, "x")], |manifest| {
            manifest["artifactType"] = "application/vnd.dev.sigstore.bundle.v0.3+json".into();
        });
        let expected: Vec<_> = layout.map(|layout| (layout, "x")).into_iter().collect();
        assert_whole(&room.find().await, &expected);
    }
}

#[tokio::test]
async fn what_is_no_signature_is_passed_over() {
    let room = Room::new().await;
    room.registry.attach(REPOSITORY, &room.subject, "application/spdx+json", "{}");
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [],
        "subject": {"mediaType": OCI_MANIFEST, "digest": room.subject, "size": 2},
    });
    room.registry.put_manifest(REPOSITORY, None, OCI_INDEX, index.to_string());
    room.refer(&[], |_| {});
    room.attach(Spot::Referrer, &[bundle("e")]);
    assert_whole(&room.find().await, &[(Layout::Bundle03, "bundle e")]);
}

#[tokio::test]
async fn a_manifest_that_names_another_subject_is_passed_over_and_one_that_names_none_is_not() {
    for (subject, found) in [(None, true), (Some("own"), true), (Some(pratique_testkit::DIGEST), false)] {
        let room = Room::new().await;
        let digest = room.refer(&[room.blob(BUNDLE_V0_3, "x")], |manifest| match subject {
            None => drop(manifest.as_object_mut().unwrap().remove("subject")),
            Some("own") => {}
            Some(other) => manifest["subject"]["digest"] = other.into(),
        });
        let index = json!({
            "schemaVersion": 2, "mediaType": OCI_INDEX,
            "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest, "size": 2}],
        });
        room.registry.put_manifest(REPOSITORY, Some(&room.tag("")), OCI_INDEX, index.to_string());
        room.registry.on(Route::Referrers, Behaviour::status(404));
        let expected = if found { &[(Layout::Bundle03, "x")][..] } else { &[] };
        assert_whole(&room.find().await, expected);
    }
}

#[tokio::test]
async fn several_signatures_of_one_payload_are_several_and_fetched_once() {
    let room = Room::new().await;
    let layer = |signature| simple("a").annotated("dev.sigstore.cosign/certificate", signature);
    room.attach(Spot::SignatureTag, &[layer("one"), layer("two")]);
    room.attach(Spot::Referrer, &[layer("three"), bundle("e")]);
    let found = room.find().await;
    assert_whole(
        &found,
        &[
            (Layout::SignatureTag, "payload a"),
            (Layout::SignatureTag, "payload a"),
            (Layout::SimpleReferrer, "payload a"),
            (Layout::Bundle03, "bundle e"),
        ],
    );
    assert_eq!(room.registry.count(Route::Blob), 2);
}

#[tokio::test]
async fn a_manifest_that_is_found_in_several_ways_counts_once() {
    let room = Room::new().await;
    let digest = room.refer(
        &[room.blob(SIMPLE_SIGNING, "x"), room.blob(BUNDLE_V0_3, "y")].map(|mut layer| {
            layer["annotations"] = json!({"dev.cosignproject.cosign/signature": "c2ln"});
            layer
        }),
        |_| {},
    );
    room.registry.point(REPOSITORY, &room.tag(".sig"), &digest);
    let entry = json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": 2});
    let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry, entry]});
    room.registry.put_manifest(REPOSITORY, Some(&room.tag("")), OCI_INDEX, index.to_string());
    let expected = [(Layout::SignatureTag, "x"), (Layout::Bundle03, "y")];
    assert_whole(&room.find().await, &expected);
    room.registry.on(Route::Referrers, Behaviour::status(404));
    room.registry.forget();
    assert_whole(&room.find().await, &expected);
    assert_eq!(room.registry.count(Route::Blob), 2);
    assert_eq!(room.asked().iter().filter(|path| path.ends_with(&digest)).count(), 1);
}

#[tokio::test]
async fn a_digest_of_another_algorithm_has_tags_of_its_own_as_far_as_they_can_be() {
    let room = Room::new().await;
    for (algorithm, length, tags) in [("sha256", 64, 3), ("sha384", 96, 3), ("sha512", 128, 1)] {
        room.registry.forget();
        let hex = "a".repeat(length);
        let digest = format!("{algorithm}:{hex}");
        assert_whole(&room.search(REPOSITORY, &digest, BOTH, &Ceilings::default(), DEADLINE).await, &[]);
        let asked = room.asked();
        assert_eq!(asked.iter().filter(|path| path.starts_with("manifests/")).count(), tags, "{asked:?}");
        assert_eq!(asked.contains(&format!("manifests/{algorithm}-{hex}.sig")), tags == 3);
    }
}
