//! What a client does on the wire: real TLS, real proxies, on loopback.

use std::io;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and a certificate of its.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, certificate }
    }

    fn issue(&self, name: &str) -> (Vec<CertificateDer<'static>>, rustls::pki_types::PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// A server over TLS for one name; `callers`: the authority of client certificates, which it then asks for.
async fn tls_server(authority: &Authority, name: &str, callers: Option<&Authority>) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match callers {
        Some(callers) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(callers.certificate.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = authority.issue(name);
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await?;
                stream.write_all(ANSWER).await?;
                stream.shutdown().await
            });
        }
    });
    address
}

/// A server without TLS that gives back the head of each request.
async fn plain_server(answer: &'static [u8]) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await?;
            request.truncate(length);
            let _ = seen.send(String::from_utf8_lossy(&request).into_owned());
            stream.write_all(answer).await?;
        }
        io::Result::Ok(())
    });
    (address, requests)
}

async fn asked(client: &reqwest::Client, url: &str) -> Result<String, reqwest::Error> {
    client.get(url).send().await?.text().await
}

#[tokio::test]
async fn a_certificate_is_believed_if_an_authority_given_signed_it_for_the_name() {
    let (authority, other) = (Authority::new(), Authority::new());
    let rules = rules(Surroundings::Alone, &[]);
    let trusting = |authority: &Authority| {
        let authorities = vec![authority.certificate.clone()];
        rules.client(TlsOptions { authorities, ..TlsOptions::default() }, false, None).unwrap()
    };
    let good = format!("https://{}/", tls_server(&authority, "127.0.0.1", None).await);
    let misnamed = format!("https://{}/", tls_server(&authority, "other.example", None).await);
    assert_eq!(asked(&trusting(&authority), &good).await.unwrap(), "ok");
    for (client, url, why) in [
        (
            trusting(&other),
            &good,
            "its certificate is signed by no authority that we trust: give `ca` for it in hosts.toml",
        ),
        (trusting(&authority), &misnamed, "its certificate is for another name"),
        (
            rules.default_client().clone(),
            &good,
            "no authority is known that could have signed a certificate: install the system's certificates \
             (ca-certificates), set SSL_CERT_FILE, or give `ca` in hosts.toml",
        ),
    ] {
        assert_eq!(distrust_in(&asked(&client, url).await.unwrap_err()), Some(why));
    }
    let anybody = rules.client(TlsOptions { skip_verify: true, ..TlsOptions::default() }, false, None).unwrap();
    for url in [&good, &misnamed] {
        assert_eq!(asked(&anybody, url).await.unwrap(), "ok");
    }
}

#[tokio::test]
async fn the_authorities_of_the_system_are_trusted_beside_those_given() {
    let (system, given) = (Authority::new(), Authority::new());
    let proxies = Proxies::read(|_| None).unwrap();
    let trust = Trust::of(std::slice::from_ref(&system.certificate));
    let rules = Outbound::assemble(Surroundings::Alone, BTreeMap::new(), trust, proxies).unwrap();
    let url = format!("https://{}/", tls_server(&system, "127.0.0.1", None).await);
    let authorities = vec![given.certificate.clone()];
    let client = rules.client(TlsOptions { authorities, ..TlsOptions::default() }, false, None).unwrap();
    assert_eq!(asked(&client, &url).await.unwrap(), "ok");
    assert_eq!(asked(rules.default_client(), &url).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_asks_for_one() {
    let (authority, callers) = (Authority::new(), Authority::new());
    let rules = rules(Surroundings::Alone, &[]);
    let url = format!("https://{}/", tls_server(&authority, "127.0.0.1", Some(&callers)).await);
    let client = |client| {
        let authorities = vec![authority.certificate.clone()];
        rules.client(TlsOptions { authorities, client, skip_verify: false }, false, None).unwrap()
    };
    assert_eq!(asked(&client(Some(callers.issue("us"))), &url).await.unwrap(), "ok");
    asked(&client(None), &url).await.unwrap_err();
    asked(&client(Some(authority.issue("us"))), &url).await.unwrap_err();
    let (chain, _) = callers.issue("us");
    let (_, foreign) = callers.issue("us");
    let tls = TlsOptions { client: Some((chain, foreign)), ..TlsOptions::default() };
    let refused = rules.client(tls, false, None).unwrap_err();
    assert!(refused.starts_with("the client certificate cannot be used with its key"), "{refused}");
}

#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_refused_in_a_cluster_unless_it_is_named() {
    let (address, _requests) = plain_server(ANSWER).await;
    let url = format!("http://localhost:{}/", address.port());
    let cluster = rules(Surroundings::Cluster, &[]);
    let refused = asked(cluster.default_client(), &url).await.unwrap_err();
    let words = forbidden_in(&refused).expect("refused by our own rules").0;
    assert!(words.starts_with("localhost resolves to ") && words.contains(", a loopback address, "), "{words}");
    for (named, host, answered) in
        [(true, None, true), (false, None, false), (false, Some("LOCALHOST"), true), (false, Some("other"), false)]
    {
        let client = match host {
            Some(host) => cluster.client_to(Some(host), TlsOptions::default(), None).unwrap(),
            None => cluster.client(TlsOptions::default(), named, None).unwrap(),
        };
        let outcome = asked(&client, &url).await;
        assert_eq!(outcome.as_ref().err().and_then(forbidden_in).is_none(), answered, "{named} {host:?} {outcome:?}");
    }
    assert_eq!(asked(rules(Surroundings::Alone, &[]).default_client(), &url).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_failure_that_no_rule_is_the_cause_of_is_not_said_to_be_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let error =
        asked(rules(Surroundings::Alone, &[]).default_client(), &format!("http://{closed}/")).await.unwrap_err();
    assert_eq!((forbidden_in(&error), distrust_in(&error)), (None, None));
}

#[tokio::test]
async fn a_client_follows_nothing_decompresses_nothing_and_says_who_it_is() {
    let answer = b"HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok";
    let (address, mut requests) = plain_server(answer).await;
    let client = rules(Surroundings::Alone, &[]).default_client().clone();
    let response = client.get(format!("http://{address}/a")).send().await.unwrap();
    assert_eq!(response.status(), 302);
    assert_eq!(response.text().await.unwrap(), "ok");
    let request = requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(request.contains(concat!("user-agent: pratique/", env!("CARGO_PKG_VERSION"), "\r\n")), "{request}");
    assert!(!request.contains("accept-encoding") && !request.contains("referer"), "{request}");
}

#[tokio::test]
async fn requests_go_through_the_proxy_of_the_environment_and_never_those_to_loopback() {
    let (proxy, mut through) = plain_server(ANSWER).await;
    let (direct, _requests) = plain_server(ANSWER).await;
    let proxies = Proxies::read(|name| match name {
        // By name: it resolves to loopback, and is the operator's own word.
        "HTTP_PROXY" => Some(format!("http://user:pass@localhost:{}", proxy.port())),
        "no_proxy" => Some("*.inside.example, [::2]".to_owned()),
        _ => None,
    });
    let rules = Outbound::assemble(Surroundings::Cluster, BTreeMap::new(), Trust::of(&[]), proxies.unwrap()).unwrap();
    let client = rules.client(TlsOptions::default(), true, None).unwrap();
    assert_eq!(asked(rules.default_client(), "http://r.example/v2/").await.unwrap(), "ok");
    assert!(through.recv().await.unwrap().starts_with("GET http://r.example/v2/ HTTP/1.1\r\n"));
    for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
        let outcome = asked(&client, &format!("http://{host}:{}/", direct.port())).await;
        assert!(outcome.is_ok(), "{host} {outcome:?}");
    }
    // Not found, since nobody has this name; had it gone to the proxy, it would have been answered.
    asked(&client, "http://r.inside.example/").await.unwrap_err();
    assert!(through.try_recv().is_err());
    assert!(!format!("{rules:?}").contains("pass"), "the proxy's password is printed");
}

#[test]
fn a_proxy_that_cannot_be_used_is_an_error_and_not_none() {
    for (name, written) in [
        ("HTTPS_PROXY", "socks5://user:secret@proxy.example:1080"),
        ("HTTP_PROXY", "http://"),
        ("ALL_PROXY", "http://proxy example"),
        ("https_proxy", "proxy.example:port"),
    ] {
        let refused = Proxies::read(|asked| (asked == name).then(|| written.to_owned())).unwrap_err();
        let name = name.to_ascii_uppercase();
        assert_eq!(
            refused,
            format!("{name} is no http:// or https:// URL of a proxy: correct it or remove it from the environment")
        );
    }
    Proxies::read(|name| (name == "HTTPS_PROXY").then(|| "proxy.example:3128".to_owned())).unwrap();
    Proxies::read(|_| Some(" ".to_owned())).unwrap();
}
