//! Every behaviour does what it says, over both protocols where they differ.

use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

const APP: &str = "/v2/team/app/manifests/1";

/// A registry that behaves so on manifests.
async fn behaving(behaviour: Behaviour) -> (Registry, Image) {
    let (registry, image) = with_app().await;
    registry.on(Route::Manifest, behaviour);
    (registry, image)
}

/// Clients of HTTP/1.1 and of h2.
fn clients() -> [Client; 2] {
    [builder().http1_only().build().unwrap(), builder().http2_prior_knowledge().build().unwrap()]
}

/// Reads up to so many bytes of a body; whether it went on until then.
async fn read(mut response: Response, most: usize) -> (usize, bool) {
    let mut read = 0;
    while read < most {
        match response.chunk().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) | Err(_) => return (read, false),
        }
    }
    (read, true)
}

/// Everything that comes on the wire until the registry has nothing more to say.
async fn wire(registry: &Registry) -> String {
    let mut stream = TcpStream::connect(registry.host()).await.unwrap();
    let request = format!("GET {APP} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", registry.host());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ended = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_status_comes_with_its_headers_and_body() {
    let headers = vec![("X-One".to_owned(), "1".to_owned()), ("X-One".to_owned(), "2".to_owned())];
    let (registry, _) = behaving(Behaviour::Status { code: 503, headers, body: b"down".to_vec() }).await;
    let response = get(&registry, APP).await;
    assert_eq!((response.status().as_u16(), response.headers().get_all("x-one").iter().count()), (503, 2));
    assert_eq!(response.text().await.unwrap(), "down");
    registry.on(Route::Manifest, Behaviour::status(404));
    assert_eq!(json(get(&registry, APP).await).await["errors"][0]["code"], "UNKNOWN");
}

#[tokio::test]
async fn an_endless_body_has_no_end_and_no_length() {
    let (registry, image) = behaving(Behaviour::EndlessBody).await;
    for client in clients() {
        let response = client.get(registry.url() + APP).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.content_length()), (200, None));
        assert_eq!(header(response.headers(), "docker-content-digest"), Some(&*image.digest()));
        assert!(read(response, 8 << 20).await.1);
    }
}

#[tokio::test]
async fn a_long_body_is_as_long_as_it_says() {
    let (registry, image) = behaving(Behaviour::LongBody(5_000_001)).await;
    for client in clients() {
        let response = client.get(registry.url() + APP).send().await.unwrap();
        assert_eq!(response.content_length(), Some(5_000_001));
        let body = response.bytes().await.unwrap();
        assert_eq!(body.len(), 5_000_001);
        assert!(body.starts_with(&image.bytes()) && body.ends_with(b"  "));
    }
    registry.on(Route::Manifest, Behaviour::LongBody(1 << 30));
    let response = get(&registry, APP).await;
    assert_eq!(response.content_length(), Some(1 << 30));
    assert!(read(response, 8 << 20).await.1);
}

#[tokio::test]
async fn a_lying_length_is_not_the_bodys() {
    let (registry, _) = behaving(Behaviour::LyingLength { says: 20_000, sends: 50 }).await;
    for client in clients() {
        let response = client.get(registry.url() + APP).send().await.unwrap();
        assert_eq!(response.content_length(), Some(20_000));
        response.bytes().await.unwrap_err();
    }
    registry.on(Route::Manifest, Behaviour::LyingLength { says: 50, sends: 20_000 });
    let [http1, http2] = clients();
    let response = http1.get(registry.url() + APP).send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 50, "the rest is behind the answer");
    let response = http2.get(registry.url() + APP).send().await;
    assert!(response.is_err() || response.unwrap().bytes().await.is_err());
    let wire = wire(&registry).await;
    let (head, body) = wire.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-length: 50\r\n"), "{head}");
    assert_eq!(body.len(), 20_000);
}

#[tokio::test]
async fn slow_headers_never_come() {
    let (registry, _) = behaving(Behaviour::SlowHeaders).await;
    let request = client().get(registry.url() + APP).timeout(Duration::from_millis(500));
    assert!(request.send().await.unwrap_err().is_timeout());
    assert_eq!(registry.count(Route::Manifest), 1);
}

#[tokio::test]
async fn a_dripping_body_comes_byte_by_byte() {
    let (registry, image) = behaving(Behaviour::DrippingBody(Duration::from_millis(2))).await;
    let started = Instant::now();
    let response = get(&registry, APP).await;
    assert_eq!(response.content_length(), Some(image.bytes().len() as u64));
    assert_eq!(response.bytes().await.unwrap(), image.bytes());
    assert!(started.elapsed() >= Duration::from_millis(2) * u32::try_from(image.bytes().len()).unwrap());
}

#[tokio::test]
async fn a_redirect_leads_where_it_says() {
    let (registry, _) = behaving(Behaviour::redirect("http://169.254.169.254/")).await;
    let response = get(&registry, APP).await;
    assert_eq!(
        (response.status().as_u16(), header(response.headers(), "location")),
        (307, Some("http://169.254.169.254/"))
    );
}

#[tokio::test]
async fn wrong_bytes_read_the_same_and_hash_differently() {
    let (registry, image) = behaving(Behaviour::WrongBytes).await;
    let response = get(&registry, APP).await;
    assert_eq!(header(response.headers(), "docker-content-digest"), Some(&*image.digest()));
    let body = response.bytes().await.unwrap();
    assert_ne!(digest(&body), image.digest());
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    assert_eq!(read(&body), read(&image.bytes()));
}

#[tokio::test]
async fn the_digest_header_lies_or_is_missing() {
    let (registry, image) = behaving(Behaviour::LyingDigestHeader(crate::DIGEST.to_owned())).await;
    let response = get(&registry, APP).await;
    assert_eq!(header(response.headers(), "docker-content-digest"), Some(crate::DIGEST));
    assert_eq!(response.bytes().await.unwrap(), image.bytes());
    registry.on(Route::Manifest, Behaviour::NoDigestHeader);
    let response = get(&registry, APP).await;
    assert_eq!(header(response.headers(), "docker-content-digest"), None);
    assert_eq!(response.bytes().await.unwrap(), image.bytes());
}

#[tokio::test]
async fn manifests_alternate() {
    let manifests = ["{}", "[]", "{}"].map(|text| ("application/json".to_owned(), text.as_bytes().to_vec()));
    let (registry, _) = behaving(Behaviour::Alternate(manifests.to_vec())).await;
    for expected in ["{}", "[]", "{}", "{}", "[]"] {
        let response = get(&registry, APP).await;
        assert_eq!(header(response.headers(), "docker-content-digest"), Some(&*digest(expected)));
        assert_eq!(response.text().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_reset_comes_before_the_answer_or_in_the_middle_of_it() {
    let (registry, image) = behaving(Behaviour::Reset).await;
    for client in clients() {
        let error = client.get(registry.url() + APP).send().await.unwrap_err();
        assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
    }
    assert_eq!(wire(&registry).await, "");
    registry.on(Route::Manifest, Behaviour::ResetMidBody);
    for client in clients() {
        let response = client.get(registry.url() + APP).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap_err();
    }
    let wire = wire(&registry).await;
    let (_, body) = wire.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.as_bytes(), &image.bytes()[..image.bytes().len() / 2]);
}

#[tokio::test]
async fn a_gzip_bomb_is_small_on_the_wire() {
    let (registry, _) = behaving(Behaviour::GzipBomb).await;
    for client in clients() {
        let response = client.get(registry.url() + APP).send().await.unwrap();
        assert_eq!(header(response.headers(), "content-encoding"), Some("gzip"));
        let body = response.bytes().await.unwrap();
        assert_eq!(body.len(), Bomb::default().map(|piece| piece.len()).sum::<usize>());
    }
}

#[tokio::test]
async fn a_page_is_html() {
    let (registry, _) = behaving(Behaviour::Html(200)).await;
    let response = get(&registry, APP).await;
    assert_eq!(header(response.headers(), "content-type"), Some("text/html; charset=utf-8"));
    assert!(response.text().await.unwrap().starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn a_delay_only_delays() {
    let (registry, image) = behaving(Behaviour::Delay(Duration::from_millis(300))).await;
    let started = Instant::now();
    assert_eq!(get(&registry, APP).await.bytes().await.unwrap(), image.bytes());
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn the_next_ones_come_first_then_the_route_then_any() {
    let (registry, _) = with_app().await;
    registry.on(Route::Any, Behaviour::status(500));
    registry.on(Route::Manifest, Behaviour::status(501));
    registry.on_next(Route::Manifest, 2, Behaviour::status(502));
    registry.on_next(Route::Any, 1, Behaviour::status(503));
    let mut statuses = Vec::new();
    for path in [APP, APP, APP, APP, "/v2/", "/token", "/elsewhere"] {
        statuses.push(get(&registry, path).await.status().as_u16());
    }
    assert_eq!(statuses, [502, 502, 503, 501, 500, 500, 500]);
    registry.calm();
    assert_eq!(get(&registry, APP).await.status(), 200);
}

#[tokio::test]
async fn head_never_has_a_body_whatever_the_behaviour() {
    let (registry, _) = with_app().await;
    for behaviour in
        [Behaviour::EndlessBody, Behaviour::LongBody(1 << 30), Behaviour::GzipBomb, Behaviour::ResetMidBody]
    {
        registry.on(Route::ManifestHead, behaviour);
        for client in clients() {
            let response = client.head(registry.url() + APP).send().await.unwrap();
            assert_eq!((response.status().as_u16(), read(response, 1).await), (200, (0, false)));
        }
    }
}
