//! What a name stands for, and what servers do instead of telling it.

use super::*;

/// Asks a plain server for `acme/app:v1`.
async fn resolve(script: impl Fn(&Got, &str) -> Send + std::marker::Send + Sync + 'static) -> (Fact<Resolved>, Server) {
    resolve_within(limits(), script).await
}

async fn resolve_within(
    limits: Limits,
    script: impl Fn(&Got, &str) -> Send + std::marker::Send + Sync + 'static,
) -> (Fact<Resolved>, Server) {
    let server = Server::start(None, script).await;
    let registries = registries(limits, None);
    let fact = registries.resolve(&image(&server.authority, "acme/app:v1"), &Asker::anonymous(), None).await;
    (fact, server)
}

/// The trouble of a server that always answers so.
async fn troubled(sent: Send) -> (Fault, String) {
    let (fact, server) = resolve(move |_, _| sent.clone()).await;
    told(fact, &server)
}

/// What the manifest of an image says.
fn image_of(body: &[u8]) -> Resolved {
    let manifest: serde_json::Value = serde_json::from_slice(body).unwrap();
    let config = Digest::parse(manifest["config"]["digest"].as_str().unwrap()).unwrap();
    Resolved { digest: digest_of(body), content: Content::Image { config: Some(config) } }
}

#[tokio::test]
async fn a_tag_is_the_hash_of_the_bytes() {
    let body = manifest_of("a");
    let (fact, server) = resolve(move |_, _| answer(200, &[OCI], &manifest_of("a"))).await;
    assert_eq!(known(fact), image_of(&body));
    let got = &server.got()[0];
    assert_eq!(got.line, "GET /v2/acme/app/manifests/v1 HTTP/1.1");
    assert_eq!(got.header("accept"), Some(manifest::ACCEPT));
    assert_eq!((got.header("authorization"), got.header("accept-encoding")), (None, None));
}

#[tokio::test]
async fn a_digest_is_asked_for_as_such_and_must_be_that_of_the_bytes() {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let digest = manifest::hashed(&manifest_of("a"), algorithm);
        let good = Server::start(None, |_, _| answer(200, &[OCI], &manifest_of("a"))).await;
        let evil = Server::start(None, |_, _| answer(200, &[OCI], &manifest_of("b"))).await;
        let (registries, anybody) = (registries(limits(), None), Asker::anonymous());
        let name = format!("acme/app:v1@{digest}");
        let resolved = known(registries.resolve(&image(&good.authority, &name), &anybody, None).await);
        assert_eq!(resolved.digest, digest);
        assert_eq!(good.got()[0].line, format!("GET /v2/acme/app/manifests/{digest} HTTP/1.1"));
        let told = told(registries.resolve(&image(&evil.authority, &name), &anybody, None).await, &evil);
        let words = "REGISTRY sent other bytes than those of the digest that was asked for";
        assert_eq!(told, (Fault::Mismatch, words.to_owned()));
    }
}

#[tokio::test]
async fn a_digest_header_of_other_bytes_is_a_mismatch() {
    let header = format!("docker-content-digest: {}", digest_of(&manifest_of("a")));
    let (fact, _) = resolve({
        let header = header.clone();
        move |_, _| answer(200, &[OCI, &header], &manifest_of("a"))
    })
    .await;
    assert_eq!(known(fact).digest, digest_of(&manifest_of("a")));
    let expected = "REGISTRY sent a manifest with the Docker-Content-Digest of another";
    assert_eq!(troubled(answer(200, &[OCI, &header], &manifest_of("b"))).await, (Fault::Mismatch, expected.to_owned()));
    let expected = "REGISTRY sent a Docker-Content-Digest that is no digest";
    let garbage = answer(200, &[OCI, "docker-content-digest: sha256:x"], &manifest_of("b"));
    assert_eq!(troubled(garbage).await, (Fault::Broken, expected.to_owned()));
}

#[tokio::test]
async fn a_known_digest_is_confirmed_by_head_alone_and_another_is_fetched() {
    let body = manifest_of("a");
    let header = format!("docker-content-digest: {}", digest_of(&body));
    let server = Server::start(None, move |got, _| {
        let body = if got.is("HEAD", "") { Vec::new() } else { manifest_of("a") };
        answer(200, &[OCI, &header], &body)
    })
    .await;
    let (registries, image) = (registries(limits(), None), image(&server.authority, "acme/app:v1"));
    let now = image_of(&body);
    assert_eq!(known(registries.resolve(&image, &Asker::anonymous(), Some(&now)).await), now);
    assert_eq!((server.count("HEAD", ""), server.count("GET", "")), (1, 0));
    let old = Resolved { digest: digest_of(b"old"), content: Content::Image { config: None } };
    assert_eq!(known(registries.resolve(&image, &Asker::anonymous(), Some(&old)).await), now);
    assert_eq!((server.count("HEAD", ""), server.count("GET", "")), (2, 1));
}

#[tokio::test]
async fn not_found_is_absent_and_nothing_else_is() {
    let (fact, _) = resolve(|_, _| answer(404, &[], br#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#)).await;
    assert!(matches!(fact, Fact::Absent(_)), "{fact:?}");
    for (status, fault, reason) in [
        (400, Fault::Broken, "400 Bad Request instead of a manifest"),
        (206, Fault::Broken, "206 Partial Content instead of a manifest"),
        (304, Fault::Broken, "304 Not Modified instead of a manifest"),
        (403, Fault::Refused, "403 Forbidden without a credential, as none is for it"),
        (401, Fault::Refused, "401 Unauthorized without a credential, as none is for it"),
        (500, Fault::Outage, "500 Internal Server Error"),
        (501, Fault::Outage, "501 Not Implemented"),
        (503, Fault::Outage, "503 Service Unavailable"),
    ] {
        let expected = (fault, format!("REGISTRY answered {reason}"));
        assert_eq!(troubled(answer(status, &[], b"hunter2")).await, expected);
    }
}

#[tokio::test]
async fn a_page_for_people_is_no_manifest() {
    let expected = "REGISTRY answered with text/html instead of a manifest; is this a registry?";
    let page = answer(200, &["content-type: text/html; charset=utf-8"], b"<html>");
    assert_eq!(troubled(page).await, (Fault::Broken, expected.to_owned()));
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_read_and_while_it_is() {
    let expected = (Fault::Broken, "REGISTRY sent more than 4 MiB for a manifest".to_owned());
    let announced = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".to_vec();
    assert_eq!(troubled(Send::Stall(announced)).await, expected);
    let first = std::sync::atomic::AtomicBool::new(true);
    let (fact, server) = resolve(move |_, _| {
        assert!(first.swap(false, std::sync::atomic::Ordering::AcqRel), "asked again");
        let mut bytes = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        bytes.resize(1 << 20, b' ');
        Send::Endless(bytes)
    })
    .await;
    assert_eq!(told(fact, &server), expected);
}

#[tokio::test]
async fn compressed_answers_are_refused() {
    let expected = "REGISTRY sent a compressed answer, which was not asked for";
    let sent = answer(200, &[OCI, "content-encoding: gzip"], &manifest_of("a"));
    assert_eq!(troubled(sent).await, (Fault::Broken, expected.to_owned()));
}

#[tokio::test]
async fn stalls_end_by_our_clock() {
    let limits = Limits { header_wait: Duration::from_millis(200), exchange: Duration::from_millis(400), ..limits() };
    let (fact, server) = resolve_within(limits.clone(), |_, _| Send::Stall(Vec::new())).await;
    assert_eq!(told(fact, &server), (Fault::Deadline, "REGISTRY did not begin to answer in time".to_owned()));
    let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec();
    let (fact, server) = resolve_within(limits.clone(), move |_, _| Send::Stall(begun.clone())).await;
    assert_eq!(told(fact, &server), (Fault::Deadline, "REGISTRY did not finish its answer in time".to_owned()));
    let limits = Limits { look_up: Duration::from_millis(100), ..limits };
    let (fact, _) = resolve_within(limits, |_, _| Send::Stall(Vec::new())).await;
    assert_eq!(trouble(fact).fault, Fault::Deadline);
}

#[tokio::test]
async fn a_lost_connection_is_tried_once_more() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let (fact, server) = resolve(move |_, _| {
        let lost = first.swap(false, std::sync::atomic::Ordering::AcqRel);
        if lost { Send::Close } else { answer(200, &[OCI], &manifest_of("a")) }
    })
    .await;
    known(fact);
    assert_eq!(server.got().len(), 2);
    let (fact, server) = resolve(|_, _| Send::Close).await;
    assert_eq!(told(fact, &server), (Fault::Outage, "REGISTRY broke its answer off".to_owned()));
    assert_eq!(server.got().len(), 2);
    assert_eq!(troubled(Send::Bytes(b"SSH-2.0-OpenSSH\r\n\r\n".to_vec())).await.0, Fault::Broken);
}

#[tokio::test]
async fn nobody_there_is_an_outage_in_words() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    drop(listener);
    let fact = registries(limits(), None).resolve(&image(&authority, "a/b"), &Asker::anonymous(), None).await;
    let expected = Trouble::new(Fault::Outage, format!("no connection to {authority}: connection refused"));
    assert_eq!(trouble(fact), expected);
}

#[tokio::test]
async fn a_limited_request_waits_once_and_others_are_not_sent() {
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::start(None, move |_, _| {
        let limited = first.swap(false, std::sync::atomic::Ordering::AcqRel);
        if limited { answer(429, &["retry-after: 35.852us"], b"") } else { answer(200, &[OCI], &manifest_of("a")) }
    })
    .await;
    let (registries, image) = (registries(limits(), None), image(&server.authority, "acme/app:v1"));
    let anybody = Asker::anonymous();
    let waiting = registries.resolve(&image, &anybody, None);
    let others = async {
        while server.got().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        registries.resolve(&image, &anybody, None).await
    };
    // The second waits for no turn of its own: it is asked for nothing while it is quiet.
    let (waited, other) = tokio::join!(waiting, others);
    known(waited);
    let words = "REGISTRY answered 429 Too Many Requests and is asked again in 1 s";
    assert_eq!(told(other, &server), (Fault::Outage, words.to_owned()));
    assert_eq!(server.got().len(), 2);
}

#[tokio::test]
async fn an_absurd_retry_after_is_not_waited_for() {
    let (fact, server) = resolve(|_, _| answer(429, &["retry-after: 31536000"], b"")).await;
    let words = "REGISTRY answered 429 Too Many Requests: asked again in 60 s";
    assert_eq!(told(fact, &server), (Fault::Outage, words.to_owned()));
    assert_eq!(server.got().len(), 1);
}

#[tokio::test]
async fn a_registry_that_is_down_is_left_alone() {
    let server = Server::start(None, |_, _| answer(500, &[], b"")).await;
    let (registries, image) = (registries(limits(), None), image(&server.authority, "acme/app:v1"));
    for _ in 0..3 {
        let _ = registries.resolve(&image, &Asker::anonymous(), None).await;
    }
    let before = server.got().len();
    let told = told(registries.resolve(&image, &Asker::anonymous(), None).await, &server);
    let words = "REGISTRY did not answer several times in a row and is asked again in 1 s";
    assert_eq!((told, server.got().len()), ((Fault::Outage, words.to_owned()), before));
    assert_eq!(before, 5);
}

#[tokio::test]
async fn a_blob_is_hashed_and_bounded() {
    let digest = digest_of(b"config");
    let server = Server::start(None, |got, _| {
        if got.line.contains("acme") { answer(200, &[], b"config") } else { answer(200, &[], b"other") }
    })
    .await;
    let (registries, anybody) = (registries(limits(), None), Asker::anonymous());
    let acme = image(&server.authority, "acme/app:v1");
    assert_eq!(&*known(registries.blob(&acme, &digest, 6, &anybody).await), b"config");
    assert_eq!(server.got()[0].line, format!("GET /v2/acme/app/blobs/{digest} HTTP/1.1"));
    let words = "REGISTRY sent more than 5 bytes for a blob";
    assert_eq!(told(registries.blob(&acme, &digest, 5, &anybody).await, &server), (Fault::Broken, words.to_owned()));
    let evil = registries.blob(&image(&server.authority, "evil/app"), &digest, 6, &anybody).await;
    assert_eq!(told(evil, &server).0, Fault::Mismatch);
}

#[tokio::test]
async fn a_blob_that_is_larger_than_somebody_else_said_is_a_finding_unless_another_host_knows_better() {
    let digest = digest_of(b"config");
    let larger = |body: &'static [u8]| Server::start(None, move |_, _| answer(200, &[], body));
    let (small, large, other) = (larger(b"config").await, larger(b"config of more").await, larger(b"gifnoc").await);
    let folder = Directory::new();
    let mirrored = |name: &str, of: &Server| {
        let inner = folder.path().join(&of.authority);
        std::fs::create_dir_all(&inner).unwrap();
        let text =
            format!("server = \"http://{}\"\n[host.\"http://{name}\"]\ncapabilities = [\"pull\"]\n", of.authority);
        std::fs::write(inner.join("hosts.toml"), text).unwrap();
    };
    mirrored(&large.authority, &small);
    mirrored(&other.authority, &large);
    let (registries, anybody) = (registries(limits(), Some(&folder)), Asker::anonymous());
    let ask = async |of: &Server, most| {
        registries.blob_up_to(&image(&of.authority, "acme/app"), &digest, most, &anybody).await
    };
    assert_eq!(known(ask(&small, 6).await), Blob::Whole(b"config"[..].into()), "after a mirror that has more");
    assert_eq!(known(ask(&other, 5).await), Blob::Larger);
    assert_eq!(trouble(ask(&other, 6).await).fault, Fault::Mismatch);
    assert_eq!(trouble(ask(&large, 6).await).fault, Fault::Mismatch, "what shows that somebody lies is said");
}

#[tokio::test]
async fn a_manifest_behind_a_tag_is_hashed_and_read() {
    let server = Server::start(None, |got, _| {
        if got.is("GET", "/v2/acme/app/manifests/x.sig") {
            answer(200, &[OCI], &manifest_of("a"))
        } else {
            answer(404, &[], b"")
        }
    })
    .await;
    let (registries, anybody) = (registries(limits(), None), Asker::anonymous());
    let acme = image(&server.authority, "acme/app:v1");
    assert_eq!(
        known(registries.tagged(&acme, "x.sig", usize::MAX, &anybody).await).digest,
        digest_of(&manifest_of("a"))
    );
    assert!(matches!(registries.tagged(&acme, "x.att", usize::MAX, &anybody).await, Fact::Absent(_)));
    assert_eq!(server.got().len(), 2);
}
