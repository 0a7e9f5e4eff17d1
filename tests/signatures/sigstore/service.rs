//! The least of an HTTP server that a stand-in needs: one answer for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

/// The largest body that a client here sends, an attestation with its certificate, is far below.
const BODY: u64 = 4 << 20;
/// Everybody here is on this machine; one that hangs must not hold a thread for ever.
const SILENCE: Duration = Duration::from_secs(20);

/// What was asked.
pub(super) struct Request {
    pub(super) path: String,
    pub(super) body: Vec<u8>,
}

/// What is answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The header `ETag`.
    pub(super) tag: String,
    pub(super) json: Value,
}

/// Answers on a port of 127.0.0.1 as long as the tests run; returns its URL, which the maker of answers is told too.
/// No answer: there is no such thing.
pub(super) fn serve<A>(answer: impl FnOnce(&str) -> A) -> String
where
    A: Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
    let answer = Arc::new(answer(&url));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let answer = Arc::clone(&answer);
            // A caller that goes away has no answer.
            std::thread::spawn(move || drop(exchange(stream, &*answer)));
        }
    });
    url
}

fn exchange(stream: TcpStream, answer: &impl Fn(&Request) -> Option<Answer>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.by_ref().take(u64::min(length, BODY)).read_to_end(&mut body)?;
    let missing = || Answer { status: 404, tag: String::new(), json: Value::Null };
    let Answer { status, tag, json } = answer(&Request { path, body }).unwrap_or_else(missing);
    let text = json.to_string();
    write!(
        reader.into_inner(),
        "HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nETag: {tag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}
