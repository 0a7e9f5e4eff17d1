//! Whether a verified signature is an authority's, and if not, why not.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::attached::{Fingerprint, Identity, Logged, Proof, Signer};

use super::{Authority, Keyless, Matcher, Mismatch, TrustedKey, Whom, shown, written};

impl Authority {
    /// Whether a proof is this authority's, at the time of judging. A signature whose time is not proved was made at
    /// the latest now, and counts as made now.
    pub fn accepts(&self, proof: &Proof, now: Timestamp) -> Result<(), Mismatch> {
        let Proof { signer, root, logged, made } = proof;
        if *root != self.root {
            return Err(Mismatch::OtherSigner);
        }
        match (&self.whom, signer) {
            (Whom::Keys(keys), Signer::Key(fingerprint)) => accepts_key(keys, fingerprint, *made, now)?,
            (Whom::Keyless(keyless), Signer::Identity(identity)) => keyless.accepts(identity, *made)?,
            (Whom::Keys(_), Signer::Identity(_)) | (Whom::Keyless(_), Signer::Key(_)) => {
                return Err(Mismatch::OtherSigner);
            }
        }
        match logged {
            Logged::Unproved(why) if self.log_required => Err(Mismatch::NotLogged(Arc::clone(why))),
            Logged::Proved | Logged::Unproved(_) => Ok(()),
        }
    }
}

/// The same key may be written twice, for two periods.
fn accepts_key(
    keys: &[TrustedKey],
    fingerprint: &Fingerprint,
    made: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Mismatch> {
    let mut same = keys.iter().filter(|trusted| trusted.key.fingerprint == *fingerprint).peekable();
    if same.peek().is_none() {
        return Err(Mismatch::OtherSigner);
    }
    let at = made.unwrap_or(now);
    if same.any(|trusted| trusted.counts_at(at)) { Ok(()) } else { Err(Mismatch::OutsideKeyPeriod { made }) }
}

impl TrustedKey {
    fn counts_at(&self, at: Timestamp) -> bool {
        self.not_before.is_none_or(|from| at >= from) && self.not_after.is_none_or(|to| at < to)
    }
}

impl Keyless {
    /// Issuer and subject both, and every extension that is asked for.
    fn accepts(&self, identity: &Identity, made: Option<Timestamp>) -> Result<(), Mismatch> {
        let Self { issuer, subject, extensions } = self;
        if !issuer.matches(&identity.issuer) {
            return Err(Mismatch::Issuer { expected: issuer.to_string(), found: identity.issuer.clone() });
        }
        if !subject.matches(&identity.subject) {
            return Err(Mismatch::Subject { expected: subject.to_string(), found: identity.subject.clone() });
        }
        for (&name, expected) in extensions {
            let found = identity.extensions.get(name);
            if found != Some(expected) {
                return Err(Mismatch::Extension { name, expected: expected.clone(), found: found.cloned() });
            }
        }
        // A certificate lives for minutes: without a proved time nobody knows that it was valid.
        if made.is_none() {
            return Err(Mismatch::NotLogged("neither a log nor a timestamp says when it was made".into()));
        }
        Ok(())
    }
}

impl Matcher {
    /// The whole text, never a part of it.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(text),
            Self::Expression(expression) => expression.is_match(text),
        }
    }
}

/// As the policy writes it.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Glob(glob) => glob.as_str(),
            Self::Expression(expression) => written(expression),
        })
    }
}

impl Mismatch {
    /// A clause about a signature: `issued to "X", not to "Y"`. Short and printable, whoever chose what is in it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::OtherSigner => "made by somebody else".to_owned(),
            Self::Issuer { expected, found } => {
                format!("vouched for by the issuer {}, not by {}", shown(found), shown(expected))
            }
            Self::Subject { expected, found } => format!("issued to {}, not to {}", shown(found), shown(expected)),
            Self::Extension { name, expected, found: Some(found) } => {
                format!("its {name} is {}, not {}", shown(found), shown(expected))
            }
            Self::Extension { name, expected, found: None } => {
                format!("its certificate has no {name}, and it must be {}", shown(expected))
            }
            // Whole seconds: nobody signs by the nanosecond.
            Self::OutsideKeyPeriod { made: Some(made) } => {
                format!("made at {}, outside of the time in which its key counts", made.strftime("%Y-%m-%dT%H:%M:%SZ"))
            }
            Self::OutsideKeyPeriod { made: None } => {
                "made at a time that nothing proves, and its key does not count now".to_owned()
            }
            Self::NotLogged(why) => format!("not proved by the transparency log: {}", printable_clause(why)),
        }
    }
}

/// A clause of another room, which may hold what a signer chose.
pub(super) fn printable_clause(words: &str) -> String {
    crate::request::printable(words, super::SHOWN_BYTES)
}
