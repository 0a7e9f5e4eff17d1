//! A caller: sends what an API server sends, or what it never would.

use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Certificate, Method, StatusCode, Version};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::answer::Answer;
use crate::wire;

/// Longer than any deadline of the webhook; only a hanging test meets it.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// What API servers speak to webhooks behind a Service.
    Http1,
    /// What they speak to a URL on a loopback address.
    Http2,
}

/// An answer below the level of reviews.
#[derive(Debug, Clone)]
pub struct Raw {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Raw {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether it admits, by whatever reader: any `allowed` anywhere that is not plainly false counts.
    #[must_use]
    pub fn admits(&self) -> bool {
        let parsed = serde_json::from_slice::<Value>(&self.body);
        let allowed = parsed.is_ok_and(|answer| answer["response"]["allowed"] == true);
        allowed || self.text().replace(' ', "").contains("\"allowed\":true")
    }
}

/// Calls one webhook.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    webhook: SocketAddr,
    admin: SocketAddr,
    authority: String,
}

impl Client {
    /// For a webhook whose certificate was issued by `authority`, in PEM.
    #[must_use]
    pub fn new(webhook: SocketAddr, admin: SocketAddr, authority: &str, protocol: Protocol) -> Self {
        install_provider();
        let certificate = Certificate::from_pem(authority.as_bytes()).expect("the authority is PEM");
        let builder = reqwest::Client::builder().tls_certs_only([certificate]).no_proxy().timeout(TIMEOUT);
        let builder = match protocol {
            Protocol::Http1 => builder.http1_only(),
            Protocol::Http2 => builder.http2_prior_knowledge(),
        };
        let http = builder.build().expect("a client can be made");
        Self { http, webhook, admin, authority: authority.to_owned() }
    }

    #[must_use]
    pub fn webhook(&self) -> SocketAddr {
        self.webhook
    }

    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Sends a review as an API server does, and reads the answer as strictly.
    pub async fn review(&self, review: &Value) -> Answer {
        self.review_within(review, "10s").await
    }

    /// The same with another `timeoutSeconds`.
    pub async fn review_within(&self, review: &Value, timeout: &str) -> Answer {
        let request = self.request(Method::POST, &format!("/validate?timeout={timeout}"));
        let body = wire::text(review) + "\n";
        let raw = self.send(request.header(CONTENT_TYPE, "application/json").body(body)).await;
        assert_eq!(raw.status, StatusCode::OK, "{}", raw.text());
        assert_eq!(raw.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes), Some(&b"application/json"[..]));
        Answer::read(review, &raw.body)
    }

    /// Sends any body as an API server would.
    pub async fn post(&self, body: impl Into<reqwest::Body>) -> Raw {
        let request = self.request(Method::POST, "/validate?timeout=10s");
        self.send(request.header(CONTENT_TYPE, "application/json").body(body)).await
    }

    /// A request to the webhook that is still to be completed.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("https://{}{path}", self.webhook))
            .header(ACCEPT, "application/json, */*")
            .header(USER_AGENT, "kube-apiserver-admission")
    }

    /// Sends a request; panics where no answer comes.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Raw {
        self.try_send(request).await.expect("the webhook answers")
    }

    /// Sends a request that may be cut off.
    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Raw> {
        let response = request.send().await?;
        let (status, version, headers) = (response.status(), response.version(), response.headers().clone());
        let body = response.bytes().await?.to_vec();
        Ok(Raw { status, version, headers, body })
    }

    /// Reads from the operator's listener, on a connection of its own.
    pub async fn admin_get(&self, path: &str) -> reqwest::Result<Raw> {
        let http = reqwest::Client::builder().http1_only().no_proxy().timeout(TIMEOUT).pool_max_idle_per_host(0);
        let url = format!("http://{}{path}", self.admin);
        self.try_send(http.build()?.get(url)).await
    }

    /// The same for whoever knows that it answers.
    pub async fn get(&self, path: &str) -> Raw {
        self.admin_get(path).await.expect("the admin listener answers")
    }

    /// Everything that the metrics say.
    pub async fn metrics(&self) -> String {
        self.get("/metrics").await.text()
    }

    /// The value of one metric with exactly these labels, as written: `name{a="b"}`. None: it is not there.
    pub async fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics().await;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned));
        line.map(|value| value.parse().expect("a metric is a number"))
    }

    /// A TLS connection on which anything can be written.
    pub async fn connect(&self, protocol: Protocol) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authority.as_bytes()) {
            roots.add(certificate.expect("the authority is PEM")).expect("and a certificate");
        }
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let stream = TcpStream::connect(self.webhook).await.expect("the webhook listens");
        let name = ServerName::from(self.webhook.ip());
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("the handshake succeeds")
    }
}

/// The cryptography of every client of the process.
pub(crate) fn install_provider() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Somebody else may have installed the same one.
        let _earlier = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}
