//! The operator's listener.

use std::sync::atomic::{AtomicBool, Ordering};

use http_body_util::Empty;
use prometheus::{IntGauge, Registry};

use super::*;
use crate::server::admin::{Part, PartStatus, Refresh, router};

async fn ask(address: SocketAddr, method: &str, path: &str) -> Answer {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::builder().method(method).uri(path).header("host", "x").body(Empty::<Bytes>::new());
    read(within(sender.send_request(request.unwrap())).await.unwrap()).await.unwrap()
}

fn part(name: &'static str, status: impl Fn() -> PartStatus + Send + Sync + 'static) -> Part {
    Part { name, status: Box::new(status) }
}

async fn listening(parts: Vec<Part>, registry: Registry, refresh: Vec<Refresh>, drain: &Drain) -> Running {
    let router = router(parts, registry, refresh, drain.clone()).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listen(address, router, None, &Bounds::admin(), Drain::default()).await.unwrap()
}

#[tokio::test]
async fn readiness_names_every_part_and_what_is_wrong_with_it() {
    let expired = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&expired);
    let parts = vec![
        part("policies", || PartStatus::Degraded("the last good ones are kept:\nacme.yaml: line 3".to_owned())),
        part("certificate", move || {
            if seen.load(Ordering::SeqCst) {
                PartStatus::NotReady("expired at noon".to_owned())
            } else {
                PartStatus::Ready
            }
        }),
    ];
    let drain = Drain::default();
    let admin = listening(parts, Registry::new(), Vec::new(), &drain).await;
    let policies = "[!] policies: degraded: the last good ones are kept: acme.yaml: line 3\n";

    let answer = ask(admin.address(), "GET", "/readyz").await;
    assert_eq!((answer.status, answer.body), (200, format!("{policies}[+] certificate: ready\nready\n")));

    expired.store(true, Ordering::SeqCst);
    let answer = ask(admin.address(), "GET", "/readyz").await;
    assert_eq!((answer.status, answer.body), (503, format!("{policies}[-] certificate: expired at noon\nnot ready\n")));

    expired.store(false, Ordering::SeqCst);
    drain.start();
    let answer = ask(admin.address(), "GET", "/readyz").await;
    let draining = format!("{policies}[+] certificate: ready\n[-] server: draining\nnot ready\n");
    assert_eq!((answer.status, answer.body), (503, draining));
    assert_eq!(ask(admin.address(), "GET", "/healthz").await.status, 200);
}

#[tokio::test]
async fn metrics_say_of_every_part_which_of_the_three_states_it_is_in() {
    let expired = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&expired);
    let parts = vec![
        part("policies", || PartStatus::Degraded("the last good ones are kept".to_owned())),
        part("certificate", move || {
            let expired = seen.load(Ordering::SeqCst);
            if expired { PartStatus::NotReady("expired at noon".to_owned()) } else { PartStatus::Ready }
        }),
    ];
    let drain = Drain::default();
    let admin = listening(parts, Registry::new(), Vec::new(), &drain).await;
    let shown = async || {
        let text = ask(admin.address(), "GET", "/metrics").await.body;
        let lines = text.lines().filter(|line| line.starts_with("pratique_read"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = |state_of_certificate: &str, ready: u8| {
        let of = |part: &'static str, is: &str| {
            let holds = |state: &str| u8::from(state == is);
            let line = |state| format!("pratique_readiness_part{{part=\"{part}\",state=\"{state}\"}} {}", holds(state));
            ["degraded", "not-ready", "ready"].map(line)
        };
        let parts = [of("certificate", state_of_certificate), of("policies", "degraded")].concat();
        parts.into_iter().chain([format!("pratique_ready {ready}")]).collect::<Vec<_>>()
    };
    assert_eq!(shown().await, lines("not-ready", 0));
    expired.store(false, Ordering::SeqCst);
    assert_eq!(shown().await, lines("ready", 1));
    drain.start();
    assert_eq!(shown().await, lines("ready", 0));
}

#[tokio::test]
async fn metrics_are_brought_up_to_date_before_they_are_shown() {
    let registry = Registry::new();
    let gauge = IntGauge::new("pratique_things", "Things.").unwrap();
    registry.register(Box::new(gauge.clone())).unwrap();
    let admin = listening(Vec::new(), registry, vec![Box::new(move || gauge.inc())], &Drain::default()).await;
    for looks in 1..3 {
        let answer = ask(admin.address(), "GET", "/metrics").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4"));
        assert!(answer.body.contains(&format!("pratique_things {looks}\n")), "{}", answer.body);
    }
}

#[tokio::test]
async fn it_answers_get_and_nothing_else() {
    let broken = vec![part("broken", || panic!("a part that panics"))];
    let admin = listening(broken, Registry::new(), Vec::new(), &Drain::default()).await;
    assert_eq!(ask(admin.address(), "GET", "/healthz").await.body, "ok\n");
    for path in ["/healthz", "/readyz", "/metrics", "/"] {
        let answer = ask(admin.address(), "POST", path).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{path}");
    }
    let answer = ask(admin.address(), "GET", "/validate").await;
    assert_eq!((answer.status, answer.body.contains("/readyz")), (404, true));
    assert_eq!(ask(admin.address(), "GET", "/readyz").await.status, 500);
    assert_eq!(ask(admin.address(), "GET", "/healthz").await.status, 200);
}
