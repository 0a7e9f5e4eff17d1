//! Callers who are slow, silent, many, or speak something else.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Reads until the other side closes; a reset is a close too.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_413_at_once_and_can_be_read_by_who_sends_on() {
    let served = Served::start(&quick()).await;
    let head =
        "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 20000000\r\n\r\n";
    let mut silent = served.caller(Protocol::Http1).tls().await.unwrap();
    silent.write_all(head.as_bytes()).await.unwrap();
    assert!(rest(&mut silent).await.starts_with("HTTP/1.1 413 "));

    let mut busy = served.caller(Protocol::Http1).tls().await.unwrap();
    busy.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..20 {
        // Once the answer and the close have arrived, a careless close would have reset the connection.
        tokio::time::sleep(Duration::from_millis(5)).await;
        busy.write_all(&vec![b'x'; 50_000]).await.unwrap();
    }
    assert!(rest(&mut busy).await.starts_with("HTTP/1.1 413 "));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let served = Served::start(&Bounds { body_time: Duration::from_millis(100), ..quick() }).await;
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        let answer = session.ask(with_body(Chunks { count: 3, end: false })).await.unwrap();
        assert_eq!(answer.status, 408, "{}", answer.body);
        let close = (protocol == Protocol::Http1).then_some("close");
        assert_eq!(answer.header("connection"), close);
    }
}

#[tokio::test]
async fn bodies_that_do_not_come_give_way_to_a_review_that_does() {
    for protocol in PROTOCOLS {
        let patience = Duration::from_millis(50);
        let served = Served::start(&Bounds { requests: 4, body_patience: patience, ..quick() }).await;
        let mut stalled = Vec::new();
        for _ in 0..4 {
            let mut session = served.connect(protocol).await;
            let silent = futures(session.send(with_body(Chunks { count: 3, end: false })));
            stalled.push((session, tokio::spawn(silent)));
        }
        // As soon as they had their patience, each of them may be told to go; until then nobody is let in.
        tokio::time::sleep(2 * patience).await;
        let mut session = served.connect(protocol).await;
        assert_eq!(session.post("12345").await.unwrap().status, 200);
        for (_session, answer) in stalled {
            assert_eq!(within(answer).await.unwrap().unwrap().status(), 408);
        }
    }
}

#[tokio::test]
async fn a_body_that_comes_later_than_the_caller_waits_is_408() {
    let served = Served::start(&quick()).await;
    let mut session = served.connect(Protocol::Http1).await;
    let mut request = with_body(Chunks { count: 3, end: false });
    *request.uri_mut() = "/validate?timeout=100ms".parse().unwrap();
    assert_eq!(session.ask(request).await.unwrap().status, 408);
}

#[tokio::test]
async fn slow_headers_are_cut_and_an_idle_connection_is_not() {
    let served = Served::start(&Bounds { head_time: Duration::from_millis(100), ..quick() }).await;
    let mut idle = served.connect(Protocol::Http1).await;
    let mut used = served.connect(Protocol::Http1).await;
    assert_eq!(used.post("12345").await.unwrap().status, 200);

    let mut slow = served.caller(Protocol::Http1).tls().await.unwrap();
    slow.write_all(b"POST /validate HTTP/1.1\r\n").await.unwrap();
    let drip = async {
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if slow.write_all(b"x: y\r\n").await.is_err() {
                break;
            }
        }
    };
    within(drip).await;

    assert_eq!(idle.post("12345").await.unwrap().status, 200);
    assert_eq!(used.post("12345").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_connection_that_stays_idle_is_closed_in_the_end() {
    let served = Served::start(&Bounds { idle_time: Duration::from_millis(100), ..quick() }).await;
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        assert_eq!(session.post("12345").await.unwrap().status, 200);
        until(async || session.is_closed()).await;
        // One that was never used at all is.
        let mut silent = served.caller(protocol).tls().await.unwrap();
        rest(&mut silent).await;
    }
}

#[tokio::test]
async fn a_review_in_hand_is_not_idle() {
    let served = Served::start(&Bounds { idle_time: Duration::from_millis(50), ..quick() }).await;
    for protocol in PROTOCOLS {
        served.release.send_replace(false);
        let mut session = served.connect(protocol).await;
        let answer = tokio::spawn(session.send(review("wait")));
        tokio::time::sleep(Duration::from_millis(200)).await;
        served.release.send_replace(true);
        assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 200);
    }
}

#[tokio::test]
async fn heads_beyond_the_limit_are_refused() {
    let served = Served::start(&quick()).await;
    for protocol in PROTOCOLS {
        let mut request = review("12345");
        request.headers_mut().insert("x-long", "x".repeat(20_000).parse().unwrap());
        let mut session = served.connect(protocol).await;
        assert_eq!(session.ask(request).await.unwrap().status, 431);
    }
}

#[tokio::test]
async fn rubbish_and_half_handshakes_disturb_nobody() {
    let served = Served::start(&Bounds { handshake_time: Duration::from_millis(200), ..quick() }).await;
    let mut open = Vec::new();
    for opening in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 0xff, 0xff], &[0x16, 3, 1], &[0xff; 4_000], b""] {
        let mut stream = TcpStream::connect(served.address()).await.unwrap();
        stream.write_all(opening).await.unwrap();
        open.push(stream);
    }
    drop(TcpStream::connect(served.address()).await.unwrap());
    let mut session = served.connect(Protocol::Http2).await;
    assert_eq!(session.post("12345").await.unwrap().status, 200);
    for mut stream in open {
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(session.post("12345").await.unwrap().status, 200);
}

#[tokio::test]
async fn rubbish_inside_tls_disturbs_nobody() {
    let served = Served::start(&quick()).await;
    let mut session = served.connect(Protocol::Http1).await;
    for protocol in PROTOCOLS {
        let mut stream = served.caller(protocol).tls().await.unwrap();
        stream.write_all(&[0xfe; 2_000]).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(!answer.contains("200"), "{answer}");
        assert_eq!(session.post("12345").await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_thousand_idle_connections_leave_room_for_reviews() {
    let served = Served::start(&quick()).await;
    let mut idle = Vec::new();
    for _ in 0..900 {
        idle.push(TcpStream::connect(served.address()).await.unwrap());
    }
    let mut sessions = Vec::new();
    for _ in 0..100 {
        sessions.push(served.connect(Protocol::Http1).await);
    }
    for protocol in PROTOCOLS {
        assert_eq!(served.connect(protocol).await.post("12345").await.unwrap().status, 200);
    }
    assert_eq!(sessions[0].post("12345").await.unwrap().status, 200);
}

#[tokio::test]
async fn above_the_limit_idle_strangers_give_way_and_known_callers_stay() {
    let served = Served::start(&Bounds { connections: 20, handshake_time: 3 * PATIENCE, ..quick() }).await;
    let mut known = served.connect(Protocol::Http1).await;
    assert_eq!(known.post("12345").await.unwrap().status, 200);
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(TcpStream::connect(served.address()).await.unwrap());
    }
    for protocol in PROTOCOLS {
        assert_eq!(served.connect(protocol).await.post("12345").await.unwrap().status, 200);
    }
    assert_eq!(known.post("12345").await.unwrap().status, 200);
    assert_eq!(rest(&mut strangers[0]).await, "");
}
