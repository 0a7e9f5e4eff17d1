//! Below HTTP: who answers with something else, with two lengths, or with a header that never ends.

use pratique_testkit::Webhook;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::ask;
use super::*;

/// Says this to everybody after a request, then `again` every so often for as long as somebody listens.
async fn says(first: impl Into<Vec<u8>>, again: &'static [u8], interval: Duration) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (port, first) = (listener.local_addr().unwrap().port(), first.into());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let first = first.clone();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let read = stream.read(&mut request).await;
                let mut sent = if read.is_ok() { stream.write_all(&first).await } else { Ok(()) };
                while !again.is_empty() && sent.is_ok() {
                    tokio::time::sleep(interval).await;
                    sent = stream.write_all(again).await;
                }
            });
        }
    });
    port
}

async fn is_told(port: u16, reasons: &[&str], timeout: u64, what: &str) {
    let setup = Webhook::setup().policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let server = format!("server = \"http://127.0.0.1:{port}\"\n");
    setup.hosts().write_in(&format!("127.0.0.1_{port}_"), "hosts.toml", &server);
    let webhook = setup.start().await;
    let image = format!("127.0.0.1:{port}/acme/web:v1");
    let started = Instant::now();
    let answer = webhook.review_within(&review(&pod("web").container("web", &image)), &format!("{timeout}s")).await;
    assert!(started.elapsed() < Duration::from_secs(timeout), "{what}: {:?}", started.elapsed());
    assert!(!answer.allowed && answer.message.contains(&format!("127.0.0.1:{port} ")), "{what}: {answer:?}");
    let told = reasons.iter().any(|reason| answer.first_line().contains(&format!("{reason}, ")));
    assert!(told, "{what}: {answer:?}");
    assert_eq!(answer.code == Some(503), answer.first_line().contains("registry-unavailable"), "{what}: {answer:?}");
    assert!(!ask(&webhook, "shop", &image).await.allowed, "{what}: nor the second time");
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    let body = String::from_utf8(Image::single().bytes()).unwrap();
    let length = body.len();
    let ok = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\n{body}");
    let two_lengths = ok(&format!("Content-Length: {length}\r\nContent-Length: {}\r\n", length + 1));
    let smuggled = ok(&format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"));
    let chunked = |size: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n{body}");
    let broken: &[&str] = &["registry-broken"];
    let either: &[&str] = &["registry-broken", "registry-unavailable"];
    for (what, first, reasons) in [
        ("ssh", "SSH-2.0-OpenSSH_9.6\r\n".to_owned(), broken),
        ("zeros", "\0".repeat(100), broken),
        ("two lengths", two_lengths, either),
        ("length and chunks", smuggled, either),
        ("negative length", ok("Content-Length: -1\r\n"), either),
        ("huge chunk", chunked("FFFFFFFFFFFFFFFF"), either),
        ("negative chunk", chunked("-1"), either),
        ("no status", "HTTP/1.1\r\n\r\n".to_owned(), broken),
        ("no such status", "HTTP/1.1 99999 OK\r\n\r\n".to_owned(), broken),
        ("a header without name", ok(": value\r\n"), broken),
        ("a header without end", format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20)), broken),
        ("nothing", String::new(), &["registry-unavailable"]),
    ] {
        is_told(says(first, b"", Duration::ZERO).await, reasons, 10, what).await;
    }
}

#[tokio::test]
async fn a_header_that_drips_or_never_comes_after_others_ends_with_the_review() {
    let unavailable: &[&str] = &["registry-unavailable"];
    join_all(
        [
            ("a status that drips", "HTTP/1.1 200 OK\r\nX: ", b"a".as_slice(), Duration::from_millis(20)),
            ("headers without end", "HTTP/1.1 200 OK\r\n", b"X: a\r\n", Duration::from_millis(100)),
            (
                "to be continued for ever",
                "HTTP/1.1 100 Continue\r\n\r\n",
                b"HTTP/1.1 100 Continue\r\n\r\n",
                Duration::from_millis(10),
            ),
            (
                "hints for ever",
                "HTTP/1.1 103 Early Hints\r\n\r\n",
                b"HTTP/1.1 103 Early Hints\r\n\r\n",
                Duration::from_millis(10),
            ),
        ]
        .map(async |(what, first, again, interval)| {
            is_told(says(first, again, interval).await, unavailable, 3, what).await;
        }),
    )
    .await;
}
