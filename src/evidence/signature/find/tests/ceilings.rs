//! How much is tried, and what is said of the rest.

use super::super::layer::{Form, Layer as Inner};
use super::*;

fn ceilings(signatures: usize, bytes: usize, all_bytes: usize) -> Ceilings {
    Ceilings { signatures, bytes, all_bytes, ..Ceilings::default() }
}

const ROOMY: usize = 1 << 20;

fn layers(count: usize) -> Vec<Layer> {
    (0..count).map(|number| simple(&number.to_string())).collect()
}

#[test]
fn the_defaults_are_fifty_of_four_mebibytes_and_sixteen_together() {
    let Ceilings { signatures, bytes, all_bytes, .. } = Ceilings::default();
    assert_eq!((signatures, bytes, all_bytes), (50, 4 << 20, 16 << 20));
}

#[tokio::test]
async fn no_more_signatures_are_fetched_than_are_tried() {
    let room = Room::new().await;
    room.attach(Spot::SignatureTag, &layers(3));
    room.attach(Spot::AttestationTag, &[envelope("b")]);
    room.attach(Spot::Referrer, &[bundle("c"), bundle("d")]);
    for (most, items, untried) in [(6, 6, 0), (5, 5, 1), (3, 3, 3), (2, 2, 4), (0, 0, 5)] {
        room.registry.forget();
        let found = room.find_within(&ceilings(most, ROOMY, ROOMY)).await;
        assert_eq!((found.items.len(), found.untried, &found.unread), (items, untried, &None), "{most}");
        assert_eq!(room.registry.count(Route::Blob), items);
        if most == 5 {
            assert_eq!(short(&found)[4], (Layout::Bundle03, "bundle c".to_owned()), "the first are tried");
        }
    }
}

#[tokio::test]
async fn no_more_manifests_are_fetched_than_twice_that_and_what_is_said_to_be_a_signature_comes_first() {
    let room = Room::new().await;
    for number in 0..5 {
        room.registry.attach(REPOSITORY, &room.subject, "application/spdx+json", number.to_string());
    }
    room.attach(Spot::Referrer, &[bundle("e")]);
    room.registry.forget();
    let found = room.find_within(&ceilings(2, ROOMY, ROOMY)).await;
    assert_eq!(short(&found), [(Layout::Bundle03, "bundle e".to_owned())]);
    assert_eq!((found.untried, room.registry.count(Route::Manifest)), (2, 3 + 4));
}

#[tokio::test]
async fn a_layer_that_is_said_to_be_too_large_is_not_fetched() {
    let room = Room::new().await;
    let fits = Layer::new(SIMPLE_SIGNING, "12345678").annotated("dev.cosignproject.cosign/signature", "90");
    for layer in [
        Layer::new(SIMPLE_SIGNING, "123456789").annotated("dev.cosignproject.cosign/signature", "90"),
        Layer::new(SIMPLE_SIGNING, "12345678").annotated("dev.cosignproject.cosign/signature", "901"),
    ] {
        room.registry.remove(REPOSITORY, &room.tag(".sig"));
        room.attach(Spot::SignatureTag, &[layer, fits.clone()]);
        room.registry.forget();
        let found = room.find_within(&ceilings(50, 10, ROOMY)).await;
        assert_whole(&found, &[(Layout::SignatureTag, "BeyondBounds"), (Layout::SignatureTag, "12345678")]);
        assert_eq!(room.registry.count(Route::Blob), 1);
    }
}

#[tokio::test]
async fn a_layer_that_is_not_as_large_as_is_said_is_flawed() {
    for (says, kind) in [(3, "BeyondBounds"), (5, "Malformed"), (4, "text")] {
        let room = Room::new().await;
        let mut layer = room.blob(BUNDLE_V0_3, "text");
        layer["size"] = says.into();
        room.refer(&[layer], |_| {});
        assert_whole(&room.find().await, &[(Layout::Bundle03, kind)]);
    }
}

#[tokio::test]
async fn more_bytes_than_a_ceiling_are_never_read() {
    for behaviour in [Behaviour::EndlessBody, Behaviour::LongBody(1 << 40)] {
        let room = Room::new().await;
        room.attach(Spot::Referrer, &[bundle("e")]);
        room.registry.on(Route::Blob, behaviour);
        assert_whole(&room.find().await, &[(Layout::Bundle03, "BeyondBounds")]);
    }
}

#[tokio::test]
async fn who_lies_about_the_length_of_a_payload_does_not_spoil_it_for_others() {
    let room = Room::new().await;
    room.attach(Spot::SignatureTag, &[simple("a")]);
    let mut layer = room.blob(SIMPLE_SIGNING, "payload a");
    layer["size"] = 1.into();
    room.refer(&[layer], |_| {});
    let expected = [(Layout::SignatureTag, "payload a"), (Layout::SimpleReferrer, "BeyondBounds")];
    assert_whole(&room.find().await, &expected);
}

#[tokio::test]
async fn what_does_not_fit_together_is_counted_and_not_fetched() {
    let room = Room::new().await;
    let layer = |bytes: &str, signature| {
        Layer::new(SIMPLE_SIGNING, bytes).annotated("dev.cosignproject.cosign/signature", signature)
    };
    // Three of 10 bytes, two of which are the same and fetched once, and one of 2.
    let all = [layer("12345678", "90"), layer("12345678", "91"), layer("abcdefgh", "ij"), layer("x", "y")];
    room.attach(Spot::SignatureTag, &all);
    for (most, items, untried) in
        [(32, &["12345678", "12345678", "abcdefgh", "x"][..], 0), (31, &["12345678", "12345678", "abcdefgh"], 1)]
    {
        room.registry.forget();
        let found = room.find_within(&ceilings(50, 100, most)).await;
        let texts: Vec<_> = short(&found).into_iter().map(|(_, text)| text).collect();
        assert_eq!(
            (&texts[..], found.untried),
            (&items.iter().map(ToString::to_string).collect::<Vec<_>>()[..], untried)
        );
        assert_eq!(room.registry.count(Route::Blob), items.len() - 1);
    }
    let found = room.find_within(&ceilings(50, 100, 14)).await;
    let texts: Vec<_> = short(&found).into_iter().map(|(_, text)| text).collect();
    assert_eq!((texts, found.untried), (["12345678", "x"].map(str::to_owned).into(), 2));
}

#[tokio::test]
async fn one_large_payload_under_many_signatures_is_not_read_for_each_of_them() {
    let room = Room::new().await;
    let large = "a".repeat(1 << 20);
    let one = |number: usize| {
        let signature = format!("{number:02}");
        Layer::new(SIMPLE_SIGNING, large.as_str()).annotated("dev.cosignproject.cosign/signature", &signature)
    };
    room.attach(Spot::SignatureTag, &(0..50).map(one).collect::<Vec<_>>());
    let found = room.find().await;
    assert_eq!((found.items.len(), found.untried, &found.unread), (15, 35, &None));
}

#[tokio::test]
async fn manifests_that_refer_and_tags_of_one_image_never_fill_what_its_registry_may_have_in_flight() {
    let room = Room::of(Registry::setup().latency(Duration::from_millis(200))).await;
    let padding = "a".repeat(3 << 20);
    for _ in 0..8 {
        room.refer(&[], |manifest| manifest["padding"] = padding.as_str().into());
    }
    room.attach(Spot::Referrer, &[bundle("e")]);
    assert_whole(&room.find().await, &[(Layout::Bundle03, "bundle e")]);
}

#[tokio::test]
async fn a_manifest_behind_a_tag_is_read_up_to_its_bound_and_that_is_no_outage() {
    let room = Room::new().await;
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "padding": "a".repeat(TAG_BYTES),
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": room.subject, "size": 2}, "layers": []});
    room.registry.put_manifest(REPOSITORY, Some(&room.tag(".sig")), OCI_MANIFEST, manifest.to_string());
    let found = room.find().await;
    let (fault, words) = room.told(&found).unwrap();
    assert_eq!((fault, words.as_str()), (Fault::Broken, "HOST sent more than 2 MiB for a manifest"));
}

#[tokio::test]
async fn what_came_takes_memory_that_all_share_until_it_is_verified() {
    let room = Room::new().await;
    room.attach(Spot::Referrer, &[bundle(&"a".repeat(3 * UNIT))]);
    let together = Arc::new(Semaphore::new(4));
    let ceilings = Ceilings { together: Arc::clone(&together), ..Ceilings::default() };
    let found = room.find_within(&ceilings).await;
    assert_eq!((found.items.len(), &found.unread, together.available_permits()), (1, &None, 0));
    let full = room.find_within(&ceilings).await;
    assert_eq!((full.items.len(), full.unread.map(|trouble| trouble.fault)), (0, Some(Fault::Outage)));
    drop(found);
    assert_eq!(together.available_permits(), 4);
    assert_eq!(room.find_within(&ceilings).await.items.len(), 1);
}

#[tokio::test]
async fn flaws_are_bounded_and_take_no_place_from_signatures() {
    let room = Room::new().await;
    let large = |number: usize| envelope(&format!("{number} of more bytes than are read"));
    for number in 0..4 {
        room.attach(Spot::Referrer, &[large(number)]);
    }
    room.attach(Spot::Referrer, &[bundle("e"), bundle("f")]);
    let found = room.find_within(&ceilings(3, 20, ROOMY)).await;
    let kinds: Vec<_> = short(&found).into_iter().map(|(_, text)| text).collect();
    assert_eq!(kinds, ["BeyondBounds", "BeyondBounds", "BeyondBounds", "bundle e", "bundle f"]);
    assert_eq!((found.untried, found.unread), (1, None));
}

#[tokio::test]
async fn large_ones_wait_for_each_other_so_that_one_registry_may_have_them_all_in_flight() {
    let room = Room::of(Registry::setup().latency(Duration::from_millis(200))).await;
    let large = |letter: &str| Layer::new(DSSE_ENVELOPE, letter.repeat(3 << 20));
    room.attach(Spot::AttestationTag, &["a", "b", "c", "d", "e"].map(large));
    let found = room.find().await;
    assert_eq!((found.items.len(), found.untried, found.unread), (5, 0, None));
    // Those of the first round: then there is one blob at a time.
    assert_eq!(room.registry.most_at_once(), 4);
}

#[tokio::test]
async fn what_tags_hold_is_tried_first_even_where_it_comes_last() {
    let room = Room::new().await;
    room.attach(Spot::SignatureTag, &[simple("a")]);
    room.attach(Spot::Referrer, &[bundle("e")]);
    room.registry.on_next(Route::Manifest, 2, Behaviour::Delay(Duration::from_secs(1)));
    let found = room.find_within(&ceilings(1, ROOMY, ROOMY)).await;
    assert_eq!(short(&found), [(Layout::SignatureTag, "payload a".to_owned())]);
    assert_eq!((found.untried, room.registry.count(Route::Blob)), (1, 1));
}

#[test]
fn what_waits_for_its_turn_is_bounded_as_well() {
    let ceilings = ceilings(2, 100, 10);
    let mut gathered = Gathered::new(&ceilings);
    let digest = Digest::parse(pratique_testkit::DIGEST).unwrap();
    let layers = |lengths: &[usize]| Layers {
        layers: lengths
            .iter()
            .map(|length| Inner {
                position: 0,
                layout: Layout::Bundle03,
                form: Form::Bundle,
                content: Content { digest: digest.clone(), size: 1 },
                annotations: Annotations { log: Some("x".repeat(*length)), ..Annotations::default() },
            })
            .collect(),
        ..Layers::none(digest.clone())
    };
    let mut kept = |lengths: &[usize]| gathered.hold(layers(lengths)).layers.len();
    assert_eq!([kept(&[1, 1, 1]), kept(&[5, 4]), kept(&[1, 0])], [2, 1, 2]);
    assert_eq!(gathered.found().untried, 1 + 1);
}
