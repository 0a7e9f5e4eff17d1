//! What `kubectl logs` asks kubelets for, by way of the API server: the lines that a container has printed so far.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Shared, held};

/// Answers on a port of 127.0.0.1, with a certificate that nobody asks after.
pub(super) async fn serve(shared: &Arc<Shared>) -> u16 {
    crate::client::install_provider();
    let issued = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate can be made");
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key is one");
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let config = config.with_single_cert(vec![issued.cert.der().clone()], key).expect("they belong together");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(caller).await else { return };
                let answer = service_fn(async |request| Ok::<_, Infallible>(answer(&shared, &request)));
                let serving = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                // Whoever leaves early has what was wanted.
                let _ended = serving.await;
            });
        }
    });
    port
}

fn answer(shared: &Shared, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let found = path.strip_prefix("/containerLogs/").and_then(|name| Some(held(&shared.journals).get(name)?.text()));
    let (status, text) = match found {
        Some(log) => (200, tail(&log, request.uri().query().unwrap_or_default())),
        None => (404, "this kubelet has no log of that container\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("it is a status");
    response
}

/// The last lines, where only so many are asked for.
fn tail(log: &str, query: &str) -> String {
    let wanted = query.split('&').find_map(|pair| pair.strip_prefix("tailLines=")?.parse::<usize>().ok());
    let lines: Vec<&str> = log.lines().collect();
    let skipped = wanted.map_or(0, |wanted| lines.len().saturating_sub(wanted));
    lines[skipped..].iter().flat_map(|line| [*line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_of_the_last_lines_are_told_as_are_asked_for() {
        assert_eq!(tail("a\nb\nc\n", "follow=false&tailLines=2"), "b\nc\n");
        assert_eq!(tail("a\nb", ""), "a\nb\n");
        assert_eq!(tail("a", "tailLines=0"), "");
    }
}
