//! TLS: our certificate, who may call, and one rustls configuration for the whole life of the process.
//!
//! The configuration never changes; what changes is behind it ([`Identity`], [`ClientAuthentication`]), so that a new
//! certificate serves the next handshake and no connection notices. The cryptography is aws-lc-rs, handed in explicitly,
//! and no process-wide default is read.
//!
//! Files are watched by reading them every few seconds. A Secret's volume changes by a symlink that is swapped two levels
//! above the file, which inotify on the file never reports, and some file systems report nothing at all.

mod client;
mod files;
mod identity;
pub(crate) mod issue;
mod self_made;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::version::{TLS12, TLS13};

pub use client::ClientAuthentication;
pub use identity::Identity;
pub use self_made::CaBundle;

/// Why TLS cannot be offered, or new files are not taken over.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{} cannot be read; check the path, its mount and its permissions", .path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is larger than {limit} bytes; it must be PEM with certificates or a key, nothing else", .path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("{} holds no PEM certificate; it must begin with the server's certificate, then its intermediates", .path.display())]
    NoCertificate { path: PathBuf },
    #[error("{} holds a broken certificate ({why}); write it anew from where it was issued", .path.display())]
    BrokenCertificate { path: PathBuf, why: String },
    #[error("{} holds no PEM private key; it must be PKCS#8, SEC1 or PKCS#1 without a password", .path.display())]
    NoKey { path: PathBuf },
    #[error("{} is protected by a password; decrypt it first, for example with `openssl pkey`", .path.display())]
    EncryptedKey { path: PathBuf },
    #[error("{} holds a key that cannot be used ({why}); issue an ECDSA P-256 key", .path.display())]
    BrokenKey { path: PathBuf, why: String },
    #[error("the key in {} is not that of the certificate in {}; take both from one issue", .key.display(), .certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("the certificate in {} expired at {at}; renew it", .path.display())]
    Expired { path: PathBuf, at: Timestamp },
    #[error("the certificate in {} is valid only from {from} on; check the clock of this machine", .path.display())]
    NotYetValid { path: PathBuf, from: Timestamp },
    #[error("{} cannot tell who may call ({why}); it must hold the CA certificates that sign callers", .path.display())]
    BrokenAuthority { path: PathBuf, why: String },
    #[error("a client CA without client names would let nobody in; name the callers in tls.clientNames")]
    NoClientNames,
    #[error(
        "no certificate can be made for these names ({why}); give DNS names or IP addresses, or a certificate in files"
    )]
    NotMade { why: String },
    #[error("TLS cannot be configured")]
    Configuration(#[from] rustls::Error),
}

/// The configuration of the webhook's listener. With `client`, callers that it does not know never get past the handshake.
pub fn server_config(
    identity: Arc<Identity>,
    client: Option<Arc<ClientAuthentication>>,
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let builder = rustls::ServerConfig::builder_with_provider(provider()).with_protocol_versions(&[&TLS13, &TLS12])?;
    let builder = match client {
        Some(client) => builder.with_client_cert_verifier(client),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(identity);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // API servers do not resume sessions, and a resumed one would carry a caller past a check that has changed since.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// An error with its causes on one line, as the log and `/readyz` show it.
pub(crate) fn chain_of_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
