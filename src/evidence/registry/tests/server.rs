//! A server on loopback that answers as a test says, byte for byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Got {
    /// `GET /v2/a/manifests/v1`
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn is(&self, method: &str, part: &str) -> bool {
        self.line.starts_with(method) && self.line.contains(part)
    }
}

/// What is sent back.
#[derive(Debug, Clone)]
pub(super) enum Send {
    Bytes(Vec<u8>),
    /// The bytes, and more of the same for ever.
    Endless(Vec<u8>),
    /// The bytes, and then nothing, with the connection open.
    Stall(Vec<u8>),
    /// The connection is closed without a word.
    Close,
}

/// An answer with these headers, each `name: value`, and a length.
pub(super) fn answer(status: u16, headers: &[&str], body: &[u8]) -> Send {
    let head: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let mut bytes =
        format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\nconnection: close\r\n{head}\r\n").into_bytes();
    bytes.extend_from_slice(body);
    Send::Bytes(bytes)
}

type Script = Arc<dyn Fn(&Got, &str) -> Send + std::marker::Send + Sync>;

/// Listens until the runtime ends.
#[derive(Clone)]
pub(super) struct Server {
    /// `127.0.0.1:4711`
    pub(super) authority: String,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Server {
    /// The script is told the request and the server's own authority.
    pub(super) async fn start(
        tls: Option<Arc<rustls::ServerConfig>>,
        script: impl Fn(&Got, &str) -> Send + std::marker::Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let server = Self { authority, got: Arc::default() };
        let (copy, script): (Self, Script) = (server.clone(), Arc::new(script));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (server, script, tls) = (copy.clone(), Arc::clone(&script), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => server.serve(stream, &script).await,
                        Some(tls) => {
                            if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                                server.serve(stream, &script).await;
                            }
                        }
                    }
                });
            }
        });
        server
    }

    pub(super) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// How many requests there were of this method with this in the path.
    pub(super) fn count(&self, method: &str, part: &str) -> usize {
        self.got().iter().filter(|got| got.is(method, part)).count()
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, script: &Script) {
        let Some(got) = read(&mut stream).await else { return };
        self.got.lock().unwrap().push(got.clone());
        match script(&got, &self.authority) {
            Send::Bytes(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
            }
            Send::Endless(bytes) => while stream.write_all(&bytes).await.is_ok() {},
            Send::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                std::future::pending::<()>().await;
            }
            Send::Close => {}
        }
    }
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Got> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&chunk[..length]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let line = lines.next()?.to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let got = Got { line, headers, body: body.to_owned() };
        let length = got.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if got.body.len() >= length {
            return Some(got);
        }
    }
}
