//! Referrers, by the API and by the fallback tag.

use super::*;

fn subject() -> Digest {
    digest_of(b"subject")
}

fn digests(range: std::ops::Range<usize>) -> Vec<Digest> {
    range.map(|number| digest_of(number.to_string().as_bytes())).collect()
}

/// What a registry with these answers says; `api` for the API, `tag` for the fallback tag.
async fn referrers(
    api: impl Fn(&Got, &str) -> Send + std::marker::Send + Sync + 'static,
    tag: Send,
) -> (Fact<Vec<Descriptor>>, Server) {
    let fallback = format!("/manifests/sha256-{}", subject().hex());
    let server = Server::start(
        None,
        move |got, authority| if got.line.contains(&fallback) { tag.clone() } else { api(got, authority) },
    )
    .await;
    let image = image(&server.authority, "acme/app:v1");
    let fact = registries(limits(), None).referrers(&image, &subject(), &Asker::anonymous()).await;
    (fact, server)
}

fn named(descriptors: Vec<Descriptor>) -> Vec<Digest> {
    descriptors.into_iter().map(|descriptor| descriptor.digest).collect()
}

fn none() -> Send {
    answer(404, &[], b"")
}

fn list(range: std::ops::Range<usize>) -> Send {
    answer(200, &[INDEX], &index_of(&digests(range)))
}

#[tokio::test]
async fn the_api_is_paged_through() {
    let (fact, server) = referrers(
        |got, _| {
            if got.line.contains("page=2") {
                list(2..3)
            } else {
                let link = format!("link: </v2/acme/app/referrers/{}?page=2>; rel=\"next\"", subject());
                answer(200, &[INDEX, &link], &index_of(&digests(0..2)))
            }
        },
        none(),
    )
    .await;
    assert_eq!(named(known(fact)), digests(0..3));
    assert_eq!(server.got().len(), 2 + 1, "both pages, and the tag beside the first");
}

#[tokio::test]
async fn what_was_attached_before_there_was_an_api_stands_under_the_tag_alone() {
    let (fact, _) = referrers(|_, _| list(0..2), list(2..3)).await;
    assert_eq!(named(known(fact)), digests(0..3));
    let (fact, _) = referrers(|_, _| list(0..600), list(600..1_001)).await;
    assert_eq!(trouble(fact).fault, Fault::Broken);
}

#[tokio::test]
async fn without_an_api_the_fallback_tag_is_read() {
    for api in [
        none(),
        answer(405, &[], b""),
        answer(400, &[], b""),
        answer(501, &[], b""),
        answer(200, &["content-type: text/html"], b"<html>"),
        answer(303, &["location: https://nowhere.invalid/"], b""),
        answer(200, &[INDEX], &index_of(&[])),
    ] {
        let (fact, _) = referrers(move |_, _| api.clone(), list(0..2)).await;
        assert_eq!(named(known(fact)), digests(0..2));
    }
}

#[tokio::test]
async fn absent_only_if_both_say_so() {
    // `cosign copy` puts the image itself under the tag.
    let image = || answer(200, &[OCI], &manifest_of("a"));
    for (api, tag) in
        [(none(), none()), (list(0..0), none()), (list(0..0), list(0..0)), (none(), image()), (list(0..0), image())]
    {
        let (fact, _) = referrers(move |_, _| api.clone(), tag).await;
        assert!(matches!(fact, Fact::Absent(_)), "{fact:?}");
    }
}

#[tokio::test]
async fn a_fault_in_either_is_a_fault() {
    for (api, tag, fault) in [
        (answer(500, &[], b""), list(0..1), Fault::Outage),
        (answer(403, &[], b""), list(0..1), Fault::Refused),
        (answer(200, &[INDEX], b"{"), list(0..1), Fault::Broken),
        (answer(200, &[OCI], &manifest_of("a")), list(0..1), Fault::Broken),
        (none(), answer(503, &[], b""), Fault::Outage),
        (list(0..0), answer(403, &[], b""), Fault::Refused),
        (list(0..1), answer(503, &[], b""), Fault::Outage),
    ] {
        let (fact, _) = referrers(move |_, _| api.clone(), tag).await;
        assert_eq!(trouble(fact).fault, fault);
    }
}

#[tokio::test]
async fn counts_and_pages_are_bounded() {
    let (fact, _) = referrers(|_, _| list(0..1_000), none()).await;
    assert_eq!(known(fact).len(), 1_000);
    let page = std::sync::atomic::AtomicUsize::new(0);
    let (fact, server) = referrers(
        move |_, _| {
            let number = page.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
            let link = format!("link: <?page={number}>; rel=next");
            answer(200, &[INDEX, &link], &index_of(&digests(0..1)))
        },
        none(),
    )
    .await;
    let words = "REGISTRY pages a list of referrers more than 20 times";
    assert_eq!(told(fact, &server), (Fault::Broken, words.to_owned()));
    assert_eq!(server.got().len(), 20 + 1);
    let (fact, server) =
        referrers(|_, _| answer(200, &[INDEX, "link: <?more>; rel=next"], &index_of(&digests(0..600))), none()).await;
    assert_eq!(trouble(fact).fault, Fault::Broken);
    assert_eq!(server.got().len(), 2 + 1);
}

#[tokio::test]
async fn the_next_page_is_never_elsewhere() {
    let elsewhere = Server::start(None, |_, _| list(0..1)).await;
    let link = format!("link: <http://{}/v2/acme/app/referrers/x>; rel=next", elsewhere.authority);
    let (fact, server) = referrers(move |_, _| answer(200, &[INDEX, &link], &index_of(&digests(0..1))), none()).await;
    let words = "REGISTRY sent a next page of referrers that is not its own";
    assert_eq!(told(fact, &server), (Fault::Broken, words.to_owned()));
    assert_eq!(elsewhere.got().len(), 0);
}
