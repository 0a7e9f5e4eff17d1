//! What is answered, and with which status.

use axum::http::{HeaderValue, Method};

use super::*;

#[tokio::test]
async fn a_review_is_answered_as_json_over_both_protocols() {
    let served = Served::start(&quick()).await;
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        for _ in 0..3 {
            let answer = session.post("12345").await.unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, "5"));
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("connection"), None);
            assert_eq!(answer.header("content-encoding"), None);
        }
    }
}

#[tokio::test]
async fn every_other_request_has_its_status_and_says_what_to_do() {
    let served = Served::start(&quick()).await;
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        let mut refused = async |change: fn(&mut Request<Sent>), status: u16, words: &str| {
            let mut request = review("12345");
            change(&mut request);
            let answer = session.ask(request).await.unwrap();
            assert_eq!(answer.status, status, "{words}");
            assert!(answer.body.contains(words), "{} lacks {words}", answer.body);
            assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
            answer
        };
        let other_path =
            |request: &mut Request<Sent>| *request.uri_mut() = "https://pratique/validate/x".parse().unwrap();
        refused(other_path, 404, "POST /validate").await;
        let get = |request: &mut Request<Sent>| *request.method_mut() = Method::GET;
        let options = |request: &mut Request<Sent>| *request.method_mut() = Method::OPTIONS;
        let methods: [fn(&mut Request<Sent>); 2] = [get, options];
        for method in methods {
            let answer = refused(method, 405, "POST /validate").await;
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        let yaml = |request: &mut Request<Sent>| {
            request.headers_mut().insert("content-type", HeaderValue::from_static("application/yaml"));
        };
        refused(yaml, 415, "application/json").await;
        refused(|request| drop(request.headers_mut().remove("content-type")), 415, "missing").await;
        let packed = |request: &mut Request<Sent>| {
            request.headers_mut().insert("content-encoding", HeaderValue::from_static("gzip"));
        };
        refused(packed, 415, "compressed").await;
        refused(|request| *request = review("malformed"), 400, "no uid").await;
        assert_eq!(session.post("12345").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_charset_and_capitals_do_not_make_it_another_content_type() {
    let served = Served::start(&quick()).await;
    let mut session = served.connect(Protocol::Http1).await;
    let mut request = review("12345");
    request.headers_mut().insert("content-type", HeaderValue::from_static("Application/JSON; charset=UTF-8"));
    assert_eq!(session.ask(request).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_byte_more_is_413() {
    let served = Served::start(&Bounds { body: 100_000, ..quick() }).await;
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        assert_eq!(session.post(&"x".repeat(100_000)).await.unwrap().body, "100000");
        let answer = session.post(&"x".repeat(100_001)).await.unwrap();
        assert_eq!(answer.status, 413);
        assert!(answer.body.contains("larger than 100000 bytes"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_413_once_it_is_too_long() {
    let served = Served::start(&Bounds { body: 100_000, ..quick() }).await;
    for protocol in PROTOCOLS {
        for (bytes, status) in [(100_000, 200), (110_000, 413)] {
            let mut session = served.connect(protocol).await;
            let body = Chunks { count: bytes / 1_000, end: true };
            assert_eq!(session.ask(with_body(body)).await.unwrap().status, status, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn twenty_mebibytes_are_refused_in_words_although_they_are_still_coming() {
    let served = Served::start(&quick()).await;
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        assert_eq!(session.post(&"x".repeat(20 << 20)).await.unwrap().status, 413);
    }
}

#[tokio::test]
async fn a_panic_is_a_500_of_that_request_and_of_no_other() {
    let served = Served::start(&quick()).await;
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        let answer = session.post("panic").await.unwrap();
        assert_eq!(answer.status, 500);
        assert!(!answer.body.contains("asked for it"), "internals stay in the log: {}", answer.body);
        assert_eq!(session.post("12345").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_review_that_never_answers_gives_its_place_back() {
    let served = Served::start(&Bounds { requests: 1, timeout: Duration::from_millis(50), ..quick() }).await;
    let mut session = served.connect(Protocol::Http1).await;
    let mut hang = review("hang");
    *hang.uri_mut() = "/validate".parse().unwrap();
    let answer = session.ask(hang).await.unwrap();
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("no answer after 50ms"), "{}", answer.body);
    assert_eq!(session.post("12345").await.unwrap().status, 200);
}

#[tokio::test]
async fn the_deadline_is_the_callers_timeout_less_the_margin() {
    let served = Served::start(&quick()).await;
    let mut session = served.connect(Protocol::Http1).await;
    for (uri, most) in [
        ("/validate?timeout=3s", 2_700),
        ("/validate?timeout=500ms", 250),
        ("/validate?timeout=soon", 9_700),
        ("/validate", 9_700),
        ("/validate?timeout=1h", 29_700),
    ] {
        let mut request = review("deadline");
        *request.uri_mut() = uri.parse().unwrap();
        let left: u64 = session.ask(request).await.unwrap().body.parse().unwrap();
        assert!(left <= most && left + 200 > most, "{uri}: {left} of {most}");
    }
}

#[tokio::test]
async fn more_requests_than_there_is_room_for_are_asked_to_come_again() {
    for protocol in PROTOCOLS {
        let served = Served::start(&Bounds { requests: 2, ..quick() }).await;
        let mut sessions = [served.connect(protocol).await, served.connect(protocol).await];
        let held = sessions.each_mut().map(|session| tokio::spawn(session.send(review("wait"))));
        served.until_waiting(2).await;
        let mut third = served.connect(protocol).await;
        let answer = third.post("12345").await.unwrap();
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")));
        served.release.send_replace(true);
        for held in held {
            assert_eq!(held.await.unwrap().unwrap().status().as_u16(), 200);
        }
        assert_eq!(third.post("12345").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_thousand_streams_fit_into_one_connection() {
    let served = Served::start(&quick()).await;
    let mut session = served.connect(Protocol::Http2).await;
    assert_eq!(session.post("12345").await.unwrap().status, 200);
    let answers: Vec<_> = (0..1_000).map(|_| tokio::spawn(session.send(review("wait")))).collect();
    served.until_waiting(1_000).await;
    served.release.send_replace(true);
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 200);
    }
}
