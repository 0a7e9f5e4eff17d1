//! Registries that ask for tokens of a service of their own, as most of the large ones do: the registries are real, and
//! the service is the least that they accept (the Docker registry v2 token authentication, tokens signed with ES256).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use pratique_testkit::Directory;
use pratique_testkit::real::{Authority, Client, Format, Kind, Layout, PASSWORD, Server, encoded};
use reqwest::Url;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::cluster::Cluster;

const SERVICE: &str = "registry.test";
const ISSUER: &str = "tokens.test";
/// No client here sends a longer head.
const HEAD: usize = 16 << 10;

/// It answers until it is dropped.
pub(crate) struct TokenService {
    address: SocketAddr,
    authority: Authority,
    asked: Arc<Mutex<Vec<String>>>,
    files: Directory,
    _runtime: Runtime,
}

/// What signs the tokens.
struct Signer {
    key: EcdsaKeyPair,
    /// In base64, for the header of a token.
    certificate: String,
}

impl TokenService {
    pub(crate) fn new() -> Self {
        let (authority, files) = (Authority::new(), Directory::new());
        files.write("authority.crt", authority.pem());
        let (certificate, key) = authority.issue();
        let acceptor = acceptor(&authority);
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der());
        let signer = Signer { key: key.expect("its own key"), certificate: STANDARD.encode(certificate.der()) };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        runtime.spawn(serve(listener, acceptor, Arc::new(signer), Arc::clone(&asked)));
        Self { address, authority, asked, files, _runtime: runtime }
    }

    /// Who issued its certificate, and those of the registries that it is for.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The settings of a registry that takes its tokens.
    pub(crate) fn settings(&self) -> String {
        format!(
            "auth: {{token: {{realm: \"https://{}/token\", service: {SERVICE}, issuer: {ISSUER}, rootcertbundle: {}}}}}\n",
            self.address,
            self.files.file("authority.crt")
        )
    }

    /// The scopes that were asked for since the last time, each with `anonymous`, `right` or `wrong` before it.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn acceptor(authority: &Authority) -> TlsAcceptor {
    let (certificate, key) = authority.issue();
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("the provider has them").with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.der().clone()], key).expect("our own certificate");
    TlsAcceptor::from(Arc::new(config))
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, signer: Arc<Signer>, asked: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, signer, asked) = (acceptor.clone(), Arc::clone(&signer), Arc::clone(&asked));
        tokio::spawn(async move {
            // A caller that goes away has no answer.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let head = head(&mut stream).await;
            let (status, body) = answer(&head, &signer, &asked);
            let response = format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _gone = stream.write_all(response.as_bytes()).await;
            let _gone = stream.shutdown().await;
        });
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD {
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => head.extend_from_slice(&piece[..count]),
            Ok(0) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Status and body. Whoever has no password has a token too, which opens nothing.
fn answer(head: &str, signer: &Signer, asked: &Mutex<Vec<String>>) -> (&'static str, String) {
    let Some(target) = head.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()) else {
        return ("405 Method Not Allowed", "{}".to_owned());
    };
    let url = Url::parse("https://127.0.0.1").and_then(|base| base.join(target)).expect("a client sends a target");
    let scopes: Vec<String> =
        url.query_pairs().filter(|(key, _)| key == "scope").map(|(_, value)| value.into_owned()).collect();
    let presented = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then_some(value)
    });
    let who = match presented {
        None => "anonymous",
        Some(value) if value == format!("Basic {}", encoded(PASSWORD)) => "right",
        Some(_) => "wrong",
    };
    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.push(format!("{who} {}", scopes.join(" ")));
    if who == "wrong" || url.path() != "/token" {
        return ("401 Unauthorized", json!({"details": "incorrect username or password"}).to_string());
    }
    let access: Vec<Value> =
        if who == "right" { scopes.iter().filter_map(|scope| access(scope)).collect() } else { Vec::new() };
    let token = signer.token(&access);
    ("200 OK", json!({"token": token, "access_token": token, "expires_in": 300}).to_string())
}

/// `repository:acme/shop:pull,push` as a token grants it.
fn access(scope: &str) -> Option<Value> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
}

impl Signer {
    fn token(&self, access: &[Value]) -> String {
        let now = Timestamp::now().as_second();
        let head = json!({"typ": "JWT", "alg": "ES256", "x5c": [self.certificate]});
        let claims = json!({"iss": ISSUER, "sub": "", "aud": SERVICE, "nbf": now - 60, "iat": now, "exp": now + 300,
            "jti": now.to_string(), "access": access});
        let signed = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("our own key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[test]
#[ignore = "needs real registries: .ci/run registries"]
fn a_token_for_the_password_opens_one_repository_and_is_used_for_all_of_its_images() {
    for kind in Kind::ALL {
        let service = TokenService::new();
        let server = Server::behind_tokens(kind, service.authority(), &service.settings());
        let client = Client::known(&server.docker_config(PASSWORD), server.authority());
        let layouts = [Layout::image(Format::Oci, "token"), Layout::index(Format::Oci, "token")];
        let names = ["v1", "v2"].map(|tag| format!("{}/acme/shop:{tag}", server.host()));
        for (name, layout) in names.iter().zip(&layouts) {
            // crane asks no token service at an address of this machine.
            client.skopeo_push(layout.path(), name, &["--all"]);
        }
        let other = format!("{}/acme/other:v1", server.host());
        client.skopeo_push(layouts[0].path(), &other, &[]);
        let _pushed = service.asked();

        let cluster = || {
            Cluster::new().system(server.authority()).hosts(&server.host(), &format!("server = \"{}\"\n", server.url()))
        };
        let known = cluster().docker_config(&server.docker_config(PASSWORD));
        let answers = known.check_all(&[&names[0], &names[1]]);
        for (answer, layout) in answers.iter().zip(&layouts) {
            answer.is(&layout.digest);
        }
        assert_eq!(service.asked(), ["right repository:acme/shop:pull"], "{kind:?}");
        let answers = known.check_all(&[&names[0], &other]);
        answers[0].is(&layouts[0].digest);
        answers[1].is(&layouts[0].digest);
        let mut asked = service.asked();
        asked.sort();
        assert_eq!(asked, ["right repository:acme/other:pull", "right repository:acme/shop:pull"], "{kind:?}");

        // A missing image, for whoever may read the repository.
        known.check(&format!("{}/acme/shop:none", server.host())).is_refused("image-not-found");
        let _asked = service.asked();
        cluster().check(&names[0]).is_undetermined("image-inaccessible");
        assert_eq!(service.asked(), ["anonymous repository:acme/shop:pull"], "{kind:?}");
        // The authority that hosts.toml gives for the registry counts for its token service too.
        let private = Cluster::new().trusting(&server.host(), server.authority());
        private.docker_config(&server.docker_config(PASSWORD)).check(&names[0]).is(&layouts[0].digest);
        assert_eq!(service.asked(), ["right repository:acme/shop:pull"], "{kind:?}");
        let wrong = cluster().docker_config(&server.docker_config("wrong"));
        wrong.check(&names[0]).is_undetermined("image-inaccessible");
    }
}
