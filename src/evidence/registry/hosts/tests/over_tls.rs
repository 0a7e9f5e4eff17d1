//! A registry with TLS of its own, as hosts.toml and docker's layout have us trust it.

use std::net::SocketAddr;

use rcgen::{BasicConstraints, IsCa, Issuer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and what it issued, in PEM.
struct Issued {
    authority: String,
    certificate: String,
    key: String,
}

fn issue(name: &str) -> Issued {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap().pem();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &Issuer::from_params(&params, &authority_key)).unwrap().pem();
    Issued { authority, certificate, key: key.serialize_pem() }
}

/// Answers "ok" to callers that have a certificate of this authority.
async fn registry(server: &Issued, callers: &Issued) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(callers.authority.as_bytes()).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let _ = stream.read(&mut [0; 4096]).await?;
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").await?;
                stream.shutdown().await
            });
        }
    });
    address
}

async fn answered(folder: &Folder, registry: SocketAddr) -> bool {
    let outbound = outbound(Surroundings::Cluster);
    let (hosts, warnings) = Hosts::load(Some(&folder.0), &outbound).unwrap();
    assert_eq!(warnings, []);
    let endpoints = hosts.endpoints(&registry.to_string(), &outbound);
    let [endpoint] = &endpoints[..] else { panic!("{endpoints:?}") };
    assert_eq!(outbound.permits(&endpoint.base, endpoint.named), Ok(()));
    assert_eq!(endpoint.base.scheme(), "https");
    endpoint.http.get(endpoint.base.clone()).send().await.is_ok()
}

#[tokio::test]
async fn a_registry_with_its_own_authority_and_client_certificates_is_asked_as_its_folder_says() {
    let (server, misnamed, callers) = (issue("127.0.0.1"), issue("other.example"), issue("us"));
    let (good, other) = (registry(&server, &callers).await, registry(&misnamed, &callers).await);
    let both = format!("{}{}", callers.certificate, callers.key);
    let folder = |address: SocketAddr, toml: &str| {
        let folder = Folder::new();
        for (name, contents) in [
            ("ca.pem", &server.authority),
            ("client.pem", &both),
            ("cert.pem", &callers.certificate),
            ("key.pem", &callers.key),
        ] {
            folder.write(&format!("127.0.0.1_{}_/{name}", address.port()), contents);
        }
        folder.write(&format!("127.0.0.1_{}_/hosts.toml", address.port()), toml);
        folder
    };
    for (address, toml, expected) in [
        (good, "ca = \"ca.pem\"\nclient = \"client.pem\"\n", true),
        (good, "ca = [\"ca.pem\"]\nclient = [\"client.pem\"]\n", true),
        (good, "ca = \"ca.pem\"\nclient = [[\"cert.pem\", \"key.pem\"]]\n", true),
        (good, "ca = \"ca.pem\"\nclient = [[\"client.pem\", \"\"]]\n", true),
        (good, "skip_verify = true\nclient = \"client.pem\"\n", true),
        (other, "skip_verify = true\nclient = \"client.pem\"\n", true),
        (good, "client = \"client.pem\"\n", false),
        (good, "ca = \"ca.pem\"\n", false),
        (good, "ca = \"client.pem\"\nclient = \"client.pem\"\n", false),
        (good, "ca = \"ca.pem\"\nclient = \"client.pem\"\nskip_verify = false\n", true),
        (other, "ca = \"ca.pem\"\nclient = \"client.pem\"\n", false),
    ] {
        assert_eq!(answered(&folder(address, toml), address).await, expected, "{address} {toml}");
    }
}

#[tokio::test]
async fn a_folder_as_docker_lays_it_out_says_the_same() {
    let (server, callers) = (issue("127.0.0.1"), issue("us"));
    let address = registry(&server, &callers).await;
    let name = |file: &str| format!("{address}/{file}");
    let folder = Folder::new();
    for (file, contents) in
        [("ca.crt", &server.authority), ("client.cert", &callers.certificate), ("client.key", &callers.key)]
    {
        folder.write(&name(file), contents);
    }
    assert!(answered(&folder, address).await);
    // An empty hosts.toml is none.
    folder.write(&name("hosts.toml"), "");
    assert!(answered(&folder, address).await);
    fs::remove_file(folder.0.join(name("ca.crt"))).unwrap();
    assert!(!answered(&folder, address).await);
    folder.write(&name("ca.crt"), &server.authority);
    folder.write(&name("hosts.toml"), "# no settings");
    let outbound = outbound(Surroundings::Cluster);
    let (hosts, _) = Hosts::load(Some(&folder.0), &outbound).unwrap();
    // Whatever docker's layout says: there is a hosts.toml, and it says nothing.
    assert_eq!(lines(&hosts.endpoints(&address.to_string(), &outbound)), [format!("http://{address}/v2 origin named")]);
}
