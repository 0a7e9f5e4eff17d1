//! Going away without losing a request.

use super::*;

#[tokio::test]
async fn what_is_in_flight_is_answered_and_says_close_on_http1_alone() {
    for protocol in PROTOCOLS {
        let served = Served::start(&quick()).await;
        let mut session = served.connect(protocol).await;
        let answer = tokio::spawn(session.send(review("wait")));
        served.until_waiting(1).await;
        let (address, release, drain) = (served.address(), served.release.clone(), served.drain.clone());

        let drained = tokio::spawn(served.running.drain());
        // The door is closed while the review still waits.
        until(async || TcpStream::connect(address).await.is_err()).await;
        assert!(drain.started() && !drained.is_finished());
        release.send_replace(true);
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        let close = answer.headers().get("connection").map(|value| value.to_str().unwrap());
        assert_eq!(close, (protocol == Protocol::Http1).then_some("close"));
        assert_eq!(read(answer).await.unwrap().body, "4");
        assert_eq!(within(drained).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn http2_callers_get_goaway_while_their_stream_goes_on() {
    let served = Served::start(&quick()).await;
    let mut session = served.connect(Protocol::Http2).await;
    let answer = tokio::spawn(session.send(review("wait")));
    served.until_waiting(1).await;
    let release = served.release.clone();
    let drained = tokio::spawn(served.running.drain());
    until(async || session.post("12345").await.is_err()).await;
    assert!(!answer.is_finished());
    release.send_replace(true);
    assert_eq!(answer.await.unwrap().unwrap().status().as_u16(), 200);
    assert_eq!(within(drained).await.unwrap(), 0);
}

#[tokio::test]
async fn while_it_settles_new_connections_are_still_answered() {
    let served = Served::start(&Bounds { settle: PATIENCE, ..Bounds::default() }).await;
    served.drain.start();
    let caller = served.caller(Protocol::Http1);
    let mut idle = served.connect(Protocol::Http1).await;
    let drained = tokio::spawn(served.running.drain());
    let answer = caller.connect().await.unwrap().post("12345").await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // A connection from before is told as well, and then closed.
    let answer = idle.post("12345").await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    until(async || idle.is_closed()).await;
    let answer = caller.connect().await.unwrap().ask(Request::get("/x").body(review("").into_body()).unwrap()).await;
    assert_eq!(answer.unwrap().header("connection"), Some("close"), "on refusals too");
    drained.abort();
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_drain_up() {
    let served = Served::start(&Bounds { linger: Duration::from_millis(100), ..quick() }).await;
    let mut sessions = Vec::new();
    for protocol in PROTOCOLS {
        let mut session = served.connect(protocol).await;
        assert_eq!(session.post("12345").await.unwrap().status, 200);
        sessions.push(session);
        sessions.push(served.connect(protocol).await);
    }
    assert_eq!(within(served.running.drain()).await, 0);
}

#[tokio::test]
async fn a_connection_made_just_before_the_door_closes_is_answered() {
    let served = Served::start(&quick()).await;
    for protocol in PROTOCOLS {
        let served = Served::start(&quick()).await;
        let (mut session, address) = (served.connect(protocol).await, served.address());
        let drained = tokio::spawn(served.running.drain());
        until(async || TcpStream::connect(address).await.is_err()).await;
        assert_eq!(session.post("12345").await.unwrap().status, 200, "{protocol:?}");
        assert_eq!(within(drained).await.unwrap(), 0);
    }
    drop(served);
}

#[tokio::test]
async fn when_the_grace_is_over_the_rest_is_cut_and_counted() {
    let served = Served::start(&Bounds { grace: Duration::from_millis(100), ..quick() }).await;
    let mut session = served.connect(Protocol::Http1).await;
    let mut other = served.connect(Protocol::Http2).await;
    let answers = [session.send(review("wait")), other.send(review("wait"))].map(tokio::spawn);
    served.until_waiting(2).await;
    assert_eq!(within(served.running.drain()).await, 2);
    for answer in answers {
        let error = answer.await.unwrap().unwrap_err();
        assert!(!error.is_timeout(), "cut, not left hanging: {error}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let served = Served::start(&quick()).await;
    let router = axum::Router::new();
    let error = listen(served.address(), router, None, &Bounds::admin(), Drain::default()).await.unwrap_err();
    assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&served.address().to_string()));
}
