//! Plain HTTP with whoever listens on this machine; what it answers is read as a text.

use std::io::{Read, Write};
use std::net::TcpStream;

/// One request; returns head and body of the answer, with single line feeds.
pub(crate) fn ask(method: &str, url: &str, media_type: &str, body: &[u8]) -> (String, String) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a URL has a path");
    let mut stream = TcpStream::connect(host).expect("it listens");
    let head = format!(
        "{method} /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("it takes a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("with a head and a body");
    (head.replace('\r', ""), body.to_owned())
}

/// The body of what is at a URL.
pub(crate) fn get(url: &str) -> String {
    ask("GET", url, "", b"").1
}
