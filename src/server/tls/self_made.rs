//! A certificate of our own, for trying out and for clusters without an issuer.
//!
//! A CA signs one leaf, and its key is dropped at once, so that the bundle can never vouch for anybody else.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};

use crate::server::tls::TlsError;
use crate::server::tls::files::Pair;
use crate::server::tls::issue::Authority;

/// The names that the shipped manifests and a local trial use.
const NAMES: [&str; 5] =
    ["pratique.pratique-system.svc", "pratique.pratique-system.svc.cluster.local", "localhost", "127.0.0.1", "::1"];

/// How long both are valid: they come and go together, and a Pod that is a year old has missed a year of fixes.
const LIFETIME: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The certificate of the CA: what an API server needs to believe us. Public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaBundle(String);

impl CaBundle {
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// As `clientConfig.caBundle` wants it: base64 over PEM.
    #[must_use]
    pub fn base64(&self) -> String {
        BASE64_STANDARD.encode(&self.0)
    }
}

pub(super) fn self_made(names: &[String]) -> Result<(Arc<Pair>, CaBundle), TlsError> {
    let mut all = NAMES.map(str::to_owned).to_vec();
    all.extend(names.iter().filter(|name| !NAMES.contains(&name.as_str())).cloned());
    let now = Timestamp::now();
    let authority = Authority::make(now, LIFETIME)?;
    let leaf = authority.issue(&all, now, now + LIFETIME)?;
    Ok((Arc::clone(leaf.pair()), CaBundle(authority.pem())))
}
