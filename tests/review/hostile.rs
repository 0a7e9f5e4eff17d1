//! Callers who mean harm, or are merely broken: they get nothing, and nobody else notices them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pratique_testkit::{Client, Directory, Program, Protocol, Webhook, pod, review};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{LATEST, PINNED, PRATIQUE};

/// The others must get their answers as if nobody else were there; generous, as the machine may be busy.
const PROMPTLY: Duration = Duration::from_secs(3);
const HEAD: &str = "POST /validate?timeout=10s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

async fn is_answered_promptly(client: &Client) {
    let started = Instant::now();
    assert!(client.review(&review(&pod("web").container("web", PINNED))).await.allowed);
    assert!(!client.review(&review(&pod("web").container("web", LATEST))).await.allowed);
    assert!(started.elapsed() < PROMPTLY, "two reviews took {:?}", started.elapsed());
}

/// Everything that the other side says until it hangs up; none: it does not.
async fn last_words(stream: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut words = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut words)).await;
    // A connection that is cut says what it said before.
    read.ok().map(|_cut_or_closed| String::from_utf8_lossy(&words).into_owned())
}

fn quick() -> pratique_testkit::Setup {
    Webhook::setup().enforce("pinned").bounds(|bounds| {
        bounds.handshake_time = Duration::from_millis(500);
        bounds.head_time = Duration::from_millis(500);
        bounds.body_time = Duration::from_millis(500);
        bounds.linger = Duration::from_millis(200);
    })
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let webhook = quick().start().await;
    let mut stream = webhook.connect(Protocol::Http1).await;
    let dripping = async {
        for byte in HEAD.bytes().cycle() {
            if stream.write_all(&[byte]).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let cut = tokio::time::timeout(Duration::from_secs(15), dripping).await;
    assert!(cut.is_ok(), "it may send for ever");
    is_answered_promptly(&webhook).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_a_timeout_and_never_an_answer() {
    let webhook = quick().start().await;
    let mut stream = webhook.connect(Protocol::Http1).await;
    let body = review(&pod("web").container("web", PINNED)).text();
    let head = format!("{HEAD}Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..body.len() / 2]).await.unwrap();
    is_answered_promptly(&webhook).await;
    let words = last_words(&mut stream).await.expect("it hangs up");
    assert!(words.starts_with("HTTP/1.1 408 ") && !words.contains("allowed"), "{words}");
}

#[tokio::test]
async fn half_a_review_of_a_caller_who_hangs_up_is_nothing() {
    let webhook = quick().start().await;
    for _ in 0..20 {
        let mut stream = webhook.connect(Protocol::Http1).await;
        let head = format!("{HEAD}Content-Length: 5000\r\n\r\n{{\"kind\":\"AdmissionReview\"");
        stream.write_all(head.as_bytes()).await.unwrap();
        drop(stream);
    }
    is_answered_promptly(&webhook).await;
}

#[tokio::test]
async fn two_lengths_or_a_length_and_chunks_are_not_two_requests() {
    let webhook = quick().start().await;
    let body = review(&pod("web").container("web", PINNED)).text();
    let length = body.len();
    for headers in [
        format!("Content-Length: 5\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        "Transfer-Encoding: identity, gzip\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: 18446744073709551616\r\n".to_owned(),
    ] {
        let mut stream = webhook.connect(Protocol::Http1).await;
        stream.write_all(format!("{HEAD}{headers}\r\n{body}").as_bytes()).await.unwrap();
        let words = last_words(&mut stream).await.expect("it hangs up");
        assert!(words.matches("HTTP/1.1 ").count() <= 1 && !words.contains("\"allowed\":true"), "{headers}{words}");
    }
    is_answered_promptly(&webhook).await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let webhook = quick().start().await;
    let mut stream = webhook.connect(Protocol::Http1).await;
    let endless = format!("{HEAD}X-Padding: {}\r\n\r\n", "a".repeat(1 << 20));
    // It may hang up before it has all.
    let _refused = stream.write_all(endless.as_bytes()).await;
    let words = last_words(&mut stream).await.expect("it hangs up");
    assert!(words.is_empty() || words.starts_with("HTTP/1.1 4"), "{words}");
    is_answered_promptly(&webhook).await;
}

#[tokio::test]
async fn rubbish_on_the_tls_port_gets_no_answer() {
    let webhook = quick().start().await;
    let random: Vec<u8> =
        (0_u32..4_096).map(|index| (index.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0]).collect();
    let record = [&[0x16, 0x03, 0x01, 0x40, 0x00][..], &[0xff; 16_384]].concat();
    for bytes in [random, record, vec![0; 100], b"\x16\x03\x01".to_vec(), b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()] {
        let mut stream = TcpStream::connect(webhook.webhook()).await.unwrap();
        // It may hang up at the first wrong byte.
        let _refused = stream.write_all(&bytes).await;
        let words = last_words(&mut stream).await.expect("it hangs up");
        assert!(!words.contains("HTTP"), "{words:?}");
    }
    is_answered_promptly(&webhook).await;
}

#[tokio::test]
async fn plain_http_on_the_tls_port_gets_no_review_answered() {
    let webhook = quick().start().await;
    let body = review(&pod("web").container("web", PINNED)).text();
    let mut stream = TcpStream::connect(webhook.webhook()).await.unwrap();
    let request = format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let words = last_words(&mut stream).await.expect("it hangs up");
    assert!(!words.contains("allowed"), "{words}");
}

#[tokio::test]
async fn the_admin_port_answers_no_review_and_no_tls() {
    let webhook = quick().start().await;
    let body = review(&pod("web").container("web", PINNED)).text();
    let mut stream = TcpStream::connect(webhook.admin()).await.unwrap();
    let request = format!("{HEAD}Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let words = last_words(&mut stream).await.expect("it hangs up");
    assert!(words.starts_with("HTTP/1.1 4") && !words.contains("allowed"), "{words}");
}

/// Sends a body of so many megabytes without saying how long it will be, as far as it is let.
async fn send_endless(client: &Client, megabytes: usize) -> String {
    let mut stream = client.connect(Protocol::Http1).await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, " ".repeat(1 << 16));
    let mut sent = stream.write_all(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await;
    for _ in 0..megabytes * 16 {
        if sent.is_err() {
            break;
        }
        sent = stream.write_all(chunk.as_bytes()).await;
    }
    last_words(&mut stream).await.expect("it hangs up")
}

fn shop() -> Directory {
    let manifests = Directory::new();
    manifests.write("pinned.yaml", pratique_testkit::PINNED_POLICY);
    manifests.namespace("shop", &[("pratique.dev/enforce", "pinned")]);
    manifests
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_hostile_callers_takes_bounded_memory_and_nobody_s_turn() {
    let program = Program::serve(PRATIQUE, &shop(), &[]).await;
    let client = program.client();
    is_answered_promptly(client).await;
    let before = program.memory();

    let mut idle = Vec::new();
    for _ in 0..1_000 {
        idle.push(client.connect(Protocol::Http1).await);
    }
    is_answered_promptly(client).await;
    let large = review(&pod("web").container("web", PINNED)).padded(20 << 20).text();
    for _ in 0..8 {
        assert_eq!(client.post(large.clone()).await.status, 413);
    }
    let callers = (0..16).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { send_endless(&client, 20).await })
    });
    let crowd: Vec<_> = callers.collect();
    is_answered_promptly(client).await;
    for caller in crowd {
        let words = caller.await.expect("a caller does not panic");
        assert!(!words.contains("allowed"), "{words}");
    }
    is_answered_promptly(client).await;

    let after = program.memory();
    // 64 MiB for large bodies, up to 64 kB for each of a thousand connections, and what the allocator keeps.
    let bound = before.peak + (192 << 20);
    assert!(after.peak < bound, "{} MiB at rest, {} MiB at most", before.resident >> 20, after.peak >> 20);
    drop(idle);
}

#[tokio::test]
async fn idle_strangers_do_not_keep_a_caller_out() {
    let webhook = quick().bounds(|bounds| bounds.connections = 32).start().await;
    let mut idle = Vec::new();
    for _ in 0..64 {
        idle.push(webhook.connect(Protocol::Http1).await);
    }
    is_answered_promptly(&webhook).await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_costs_no_answer() {
    let program = Program::serve(PRATIQUE, &shop(), &[]).await;
    program.stop_reading();
    // The line of the first decision is the last that is read.
    for _ in 0..4 {
        is_answered_promptly(program.client()).await;
    }
    assert_eq!(program.client().metric("pratique_panics_total").await, Some(0.0));
}

#[test]
fn a_standard_output_that_nobody_reads_ends_nothing() {
    let mut serve = Command::new(PRATIQUE);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]).env_clear();
    let mut program = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(program.stdout.take());
    let mut lines = BufReader::new(program.stderr.take().expect("standard error is piped")).lines();
    let ready = lines.next().expect("it says that it is ready").expect("in UTF-8");
    // The caBundle comes right after that line; a program that ends there needs less than this.
    std::thread::sleep(Duration::from_secs(1));
    let ended = program.try_wait().expect("the program can be looked at");
    program.kill().expect("our own child can be ended");
    let _reaped = program.wait();
    assert_eq!(ended, None, "{ready}");
}
