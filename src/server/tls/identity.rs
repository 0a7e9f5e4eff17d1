//! Who we are to callers: a certificate and its key, which may change under way.
//!
//! A new pair takes over only when it could serve; otherwise the old one stays, and the log and `/readyz` say why.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::server::admin::PartStatus;
use crate::server::tls::files::{Contents, Files, Pair};
use crate::server::tls::self_made::{CaBundle, self_made};
use crate::server::tls::{TlsError, chain_of_causes};

/// When an end that comes near is worth a warning: a week before, and for short-lived certificates the last tenth.
const WARNING: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The certificate that the server shows.
pub struct Identity {
    current: ArcSwap<Pair>,
    origin: Origin,
}

enum Origin {
    SelfMade,
    /// Somebody else looks after it, and hands in what is new.
    Shared,
    Files {
        files: Files,
        seen: Mutex<Seen>,
    },
}

/// What the last look at the files found.
struct Seen {
    /// None if they could not be read.
    contents: Option<Contents>,
    /// Why the files are not what is served.
    trouble: Option<String>,
}

impl Identity {
    /// The pair in two PEM files, valid now.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned() };
        let contents = files.read()?;
        let pair = files.pair(&contents, Timestamp::now())?;
        let seen = Mutex::new(Seen { contents: Some(contents), trouble: None });
        Ok(Self { current: ArcSwap::from_pointee(pair), origin: Origin::Files { files, seen } })
    }

    /// A new CA and a leaf for our usual names and `names`; the bundle is what API servers need to believe it.
    pub fn self_made(names: &[String]) -> Result<(Self, CaBundle), TlsError> {
        let (pair, bundle) = self_made(names)?;
        Ok((Self { current: ArcSwap::new(pair), origin: Origin::SelfMade }, bundle))
    }

    /// A pair that all replicas share, until [`Identity::replace`] hands in the next.
    pub(crate) fn shared(pair: Arc<Pair>) -> Self {
        Self { current: ArcSwap::new(pair), origin: Origin::Shared }
    }

    /// Serves the next handshake; no connection notices.
    pub(crate) fn replace(&self, pair: Arc<Pair>) {
        self.current.store(pair);
    }

    /// When the certificate ends, or an intermediate before it.
    pub fn expiry(&self) -> Timestamp {
        self.current.load().expiry
    }

    #[cfg(test)]
    pub(crate) fn leaf(&self) -> Vec<u8> {
        self.current.load().key.cert[0].to_vec()
    }

    /// For `/readyz`.
    pub fn status(&self, now: Timestamp) -> PartStatus {
        let current = self.current.load();
        let (from, at) = (current.not_before, current.expiry);
        let remedy = match &self.origin {
            Origin::SelfMade => "restart to make a new one",
            Origin::Shared => {
                "the replica that holds the lease renews it in time: look what its /readyz and its log say of the certificate"
            }
            Origin::Files { .. } => "renew it",
        };
        if now >= at {
            return PartStatus::NotReady(format!("expired at {at}; {remedy}"));
        }
        if let Origin::Files { seen, .. } = &self.origin
            && let Some(trouble) = &seen.lock().unwrap_or_else(PoisonError::into_inner).trouble
        {
            return PartStatus::Degraded(format!("the old one is kept until {at}: {trouble}"));
        }
        if now + WARNING.min(from.duration_until(at) / 10) >= at {
            return PartStatus::Degraded(format!("expires at {at}; {remedy}"));
        }
        PartStatus::Ready
    }

    /// Looks at the files again and again, and takes over what is new and valid. Never returns; a pair that is
    /// not from files is then left alone.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let identity = Arc::clone(&self);
            // Reading files may block for long on a bad disk or mount.
            if let Err(error) = tokio::task::spawn_blocking(move || identity.look(Timestamp::now())).await {
                tracing::error!(%error, "looking at the certificate files ended in a panic; please report it as a bug");
            }
        }
    }

    fn look(&self, now: Timestamp) {
        let Origin::Files { files, seen } = &self.origin else {
            return;
        };
        // Before the lock, which `status` wants too: a read may hang.
        let contents = files.read();
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = match contents {
            // Looked at before, and it was no good: it may have been the clock, so that is tried again.
            Ok(contents) if seen.contents.as_ref() == Some(&contents) && seen.trouble.is_none() => return,
            Ok(contents) => {
                let pair = files.pair(&contents, now);
                seen.contents = Some(contents);
                pair
            }
            Err(error) => {
                seen.contents = None;
                Err(error)
            }
        };
        match taken {
            Ok(pair) => {
                tracing::info!(expires = %pair.expiry, path = %files.certificate.display(), "new certificate in use");
                self.current.store(Arc::new(pair));
                seen.trouble = None;
            }
            Err(error) => {
                let trouble = chain_of_causes(&error);
                // Said once, not at every look.
                if seen.trouble.as_ref() != Some(&trouble) {
                    tracing::error!(%trouble, "the new certificate is not usable and the old one is kept");
                }
                seen.trouble = Some(trouble);
            }
        }
    }
}

impl ResolvesServerCert for Identity {
    /// One certificate whatever name is asked for: API servers know us by several names and by address.
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

/// Without the key, and without what stands in the files.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("expiry", &self.expiry()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tls::issue::{Authority, Leaf};

    fn leaf(now: Timestamp) -> Leaf {
        let authority = Authority::make(now, SignedDuration::from_hours(365 * 24)).unwrap();
        authority.issue(&["pratique.test".to_owned()], now, now + SignedDuration::from_hours(90 * 24)).unwrap()
    }

    #[test]
    fn a_shared_pair_is_replaced_by_the_next_and_says_who_renews_it() {
        let now = Timestamp::now();
        let (first, second) = (leaf(now), leaf(now + SignedDuration::from_hours(60 * 24)));
        let identity = Identity::shared(Arc::clone(first.pair()));
        let words = "the replica that holds the lease renews it in time: look what its /readyz and its log say of the certificate";
        let day_before = first.until() - SignedDuration::from_hours(24);
        assert_eq!(identity.status(now), PartStatus::Ready);
        let expires = format!("expires at {}; {words}", first.until());
        assert_eq!(identity.status(day_before), PartStatus::Degraded(expires));
        let over = format!("expired at {}; {words}", first.until());
        assert_eq!(identity.status(first.until()), PartStatus::NotReady(over));
        identity.replace(Arc::clone(second.pair()));
        assert_eq!(identity.status(first.until()), PartStatus::Ready);
        assert_eq!(identity.expiry(), second.until());
    }
}
