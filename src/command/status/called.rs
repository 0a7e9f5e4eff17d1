//! The webhook itself, asked as the API server asks it: by the name of the Service, over TLS that the caBundle must vouch for.
//!
//! A server that the caBundle does not vouch for is sent nothing.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::controller::Names;
use crate::controller::registration::{IMAGES, OURS};
use crate::request::printable;

use super::asked::innermost;
use super::canned::Canned;

/// For the whole of a question, and for the name of the Service.
const PATIENCE: Duration = Duration::from_secs(10);
/// An answer has a message of 4 KiB, as much of warnings, and an annotation.
const MOST_ANSWERED: usize = 64 << 10;
/// Of a caBundle: ours has at most 8 certificates of less than 1 KiB.
const MOST_BUNDLE: usize = 64 << 10;
/// CAs of a bundle that are looked at.
const MOST_AUTHORITIES: usize = 32;
/// Of what others say, in a message.
const TOLD: usize = 300;
/// Where API servers find a webhook that names no port.
const HTTPS: u16 = 443;

/// Where the webhook is, and whom the API server would trust there.
#[derive(Debug)]
pub(super) struct Place {
    /// What the certificate must be for.
    pub(super) host: String,
    pub(super) port: u16,
    /// The caBundle of each of our entries that has one, by the entry's name.
    pub(super) bundles: Vec<(String, Vec<u8>)>,
    /// Asked there instead.
    pub(super) connect_to: Option<String>,
    path: String,
}

impl Place {
    /// As the live configuration says it, of our own Service.
    pub(super) fn of(live: &ValidatingWebhookConfiguration, names: &Names, connect_to: Option<&str>) -> Self {
        let entries = live.webhooks.iter().flatten().filter(|entry| OURS.contains(&entry.name.as_str()));
        let mut bundles: Vec<(String, Vec<u8>)> = Vec::new();
        for entry in entries.clone() {
            if let Some(bundle) = entry.client_config.ca_bundle.as_ref().filter(|bundle| !bundle.0.is_empty()) {
                bundles.push((entry.name.clone(), bundle.0.clone()));
            }
        }
        let service = entries.into_iter().find(|entry| entry.name == IMAGES);
        let service = service.and_then(|entry| entry.client_config.service.as_ref());
        let port = service.and_then(|service| service.port).and_then(|port| u16::try_from(port).ok()).unwrap_or(HTTPS);
        let path = "/validate?timeout=5s".to_owned();
        Self { host: names.host(), port, bundles, connect_to: connect_to.map(str::to_owned), path }
    }

    /// Who is asked, in words.
    pub(super) fn told(&self) -> String {
        match &self.connect_to {
            Some(other) => printable(other, TOLD),
            None => format!("{}:{}", self.host, self.port),
        }
    }
}

/// What was shown by whoever answers there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// The end of the certificate, or why it cannot be read.
    pub(super) until: Result<Timestamp, String>,
    /// Entry by entry: why its caBundle does not vouch for it.
    pub(super) believed: Vec<(String, Result<(), String>)>,
}

/// What came of one review.
#[derive(Debug)]
pub(super) struct Call {
    /// None: nobody showed a certificate.
    pub(super) shown: Option<Shown>,
    /// The error: there was no answer, in words.
    pub(super) answer: Result<Answer, String>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    pub(super) took: Duration,
}

pub(super) struct Webhook {
    client: reqwest::Client,
    url: String,
    witness: Arc<Witness>,
}

impl Webhook {
    /// The error: where it is cannot be told.
    pub(super) async fn find(place: &Place) -> Result<Self, String> {
        let told = place.told();
        let where_to = place.connect_to.clone().unwrap_or_else(|| format!("{}:{}", place.host, place.port));
        let addresses = match tokio::time::timeout(PATIENCE, tokio::net::lookup_host(where_to)).await {
            Ok(Ok(addresses)) => addresses.collect::<Vec<SocketAddr>>(),
            Ok(Err(error)) => return Err(format!("{told} does not resolve ({error})")),
            Err(_) => return Err(format!("{told} does not resolve within {PATIENCE:?}")),
        };
        let Some(first) = addresses.first() else { return Err(format!("{told} has no address")) };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let witness = Arc::new(Witness { bundles: place.bundles.clone(), provider, seen: Mutex::default() });
        // The port of a URL has the last word, so it is that of the addresses.
        let url = format!("https://{}:{}{}", place.host, first.port(), place.path);
        let client = client(place, &addresses, &witness).map_err(|why| format!("{told} cannot be asked ({why})"))?;
        Ok(Self { client, url, witness })
    }

    pub(super) async fn ask(&self, canned: &Canned) -> Call {
        let started = Instant::now();
        let answer = match tokio::time::timeout(PATIENCE, self.send(canned)).await {
            Ok(Ok((status, body))) => Ok(Answer { status, body, took: started.elapsed() }),
            Ok(Err(why)) => Err(why),
            Err(_) => Err(format!("there was no answer within {PATIENCE:?}")),
        };
        Call { shown: self.witness.seen.lock().unwrap_or_else(PoisonError::into_inner).clone(), answer }
    }

    async fn send(&self, canned: &Canned) -> Result<(u16, Vec<u8>), String> {
        let told = |error: reqwest::Error| printable(&innermost(&error.without_url()), TOLD);
        let request = self.client.post(&self.url).header("content-type", "application/json").body(canned.review());
        let mut response = request.send().await.map_err(told)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(told)? {
            if chunk.len() > MOST_ANSWERED - body.len() {
                return Err(format!("the answer is larger than {MOST_ANSWERED} bytes, which none of ours is"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
    }
}

fn client(place: &Place, addresses: &[SocketAddr], witness: &Arc<Witness>) -> Result<reqwest::Client, String> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::clone(&witness.provider));
    let tls = tls.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let verifier: Arc<dyn ServerCertVerifier> = Arc::<Witness>::clone(witness);
    let tls = tls.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .resolve_to_addrs(&place.host, addresses)
        .user_agent(concat!("pratique-status/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // It is in the cluster, or forwarded to here.
        .no_proxy()
        .connect_timeout(PATIENCE);
    builder.build().map_err(|error| error.to_string())
}

/// Goes on only where every caBundle vouches for the server, and remembers what was shown.
struct Witness {
    bundles: Vec<(String, Vec<u8>)>,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Option<Shown>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let vouched = |bundle: &[u8]| vouched(&self.provider, bundle, leaf, rest, host, now);
        let believed = self.bundles.iter().map(|(entry, bundle)| (entry.clone(), vouched(bundle)));
        let shown = Shown { until: until(leaf), believed: believed.collect() };
        let all = !shown.believed.is_empty() && shown.believed.iter().all(|(_, believed)| believed.is_ok());
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        if all {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("bundles", &self.bundles.len()).finish_non_exhaustive()
    }
}

/// Whether an API server with this caBundle goes on, or in words why not.
fn vouched(
    provider: &Arc<CryptoProvider>,
    bundle: &[u8],
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    host: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), String> {
    if bundle.len() > MOST_BUNDLE {
        return Err(format!("the caBundle is larger than {MOST_BUNDLE} bytes"));
    }
    let mut roots = RootCertStore::empty();
    let mut out_of_time = 0_usize;
    for certificate in CertificateDer::pem_slice_iter(bundle).take(MOST_AUTHORITIES).filter_map(Result::ok) {
        // Verifiers in Go want the CA itself to be valid too; those in Rust do not look.
        if in_time(&certificate, now) {
            let _unusable = roots.add(certificate);
        } else {
            out_of_time += 1;
        }
    }
    if roots.is_empty() && out_of_time > 0 {
        return Err("no certificate in the caBundle is in its time".to_owned());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    let verifier = verifier.map_err(|_| "the caBundle holds no certificate that can be read".to_owned())?;
    verifier.verify_server_cert(leaf, rest, host, &[], now).map(drop).map_err(|error| words(&error))
}

/// One that cannot be read is for the verifier to refuse.
fn in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return true };
    let Ok(now) = i64::try_from(now.as_secs()) else { return false };
    parsed.validity().not_before.timestamp() <= now && now < parsed.validity().not_after.timestamp()
}

fn words(error: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(why) = error else { return printable(&error.to_string(), TOLD) };
    if matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature) {
        "none of the caBundle's CAs has signed it".to_owned()
    } else if matches!(why, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        "it has expired".to_owned()
    } else if matches!(why, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        "it is not valid yet".to_owned()
    } else if matches!(why, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        "it is not for that name".to_owned()
    } else {
        printable(&why.to_string(), TOLD)
    }
}

fn until(leaf: &CertificateDer<'_>) -> Result<Timestamp, String> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| "it cannot be read".to_owned())?;
    Timestamp::from_second(parsed.validity().not_after.timestamp()).map_err(|_| "its end is no time".to_owned())
}

#[cfg(test)]
mod tests;
