//! What went wrong, as a fault and in our own words. Of what a server sent, nothing is repeated: it knows the credential
//! that it was given. An error code is said where it is one of the distribution specification's own.

use std::error::Error;
use std::fmt;
use std::io;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::evidence::registry::outbound::{distrust_in, forbidden_in};
use crate::fact::{Fault, Trouble};

use super::super::capacity::{Full, Health, Outcome, Shed};

/// Who is asked, in words. Only the registry has a name there: the other two are named by a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Party<'a> {
    Registry(&'a str),
    /// Where the registry redirects to.
    Redirected(&'a str),
    TokenService(&'a str),
}

impl<'a> Party<'a> {
    /// The registry on whose account the request is made.
    pub(in super::super) fn registry(self) -> &'a str {
        match self {
            Self::Registry(name) | Self::Redirected(name) | Self::TokenService(name) => name,
        }
    }
}

impl fmt::Display for Party<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(name) => f.write_str(name),
            Self::Redirected(name) => write!(f, "the host that {name} redirects to"),
            Self::TokenService(name) => write!(f, "the token service of {name}"),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    Manifest,
    Blob,
    Referrers,
    Token,
}

impl Kind {
    pub(in super::super) fn label(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Referrers => "referrers",
            Self::Token => "token",
        }
    }
}

/// With its article.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Manifest => "a manifest",
            Self::Blob => "a blob",
            Self::Referrers => "a list of referrers",
            Self::Token => "a token",
        })
    }
}

/// A number of bytes, as a person would say it.
pub(in super::super) struct Size(pub(in super::super) usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 20 && bytes % (1 << 20) == 0 => write!(f, "{} MiB", bytes >> 20),
            bytes if bytes >= 1 << 10 && bytes % (1 << 10) == 0 => write!(f, "{} KiB", bytes >> 10),
            bytes => write!(f, "{bytes} bytes"),
        }
    }
}

/// A request that came to nothing.
#[derive(Debug)]
pub(in super::super) struct Failed {
    pub(in super::super) trouble: Trouble,
    pub(in super::super) outcome: Outcome,
    pub(in super::super) health: Health,
    /// Whether once more, after a short pause, may help.
    pub(in super::super) again: bool,
}

impl Failed {
    pub(in super::super) fn broken(words: String) -> Self {
        Self::new(Fault::Broken, words, Outcome::Broken, Health::Well)
    }

    pub(in super::super) fn new(fault: Fault, words: String, outcome: Outcome, health: Health) -> Self {
        Self { trouble: Trouble::new(fault, words), outcome, health, again: false }
    }

    fn outage(words: String) -> Self {
        Self { again: true, ..Self::new(Fault::Outage, words, Outcome::Unreachable, Health::Outage) }
    }

    /// It is there, and we do not agree on TLS with the settings that this request has. Others may have better ones (a
    /// mirror that is asked by its own name has none), so it says nothing of the host.
    fn untrusted(words: String) -> Self {
        Self::new(Fault::Outage, words, Outcome::Unreachable, Health::Unknown)
    }

    /// Our clock ran out. `own`: that of the exchange, not what was left of a longer one.
    pub(in super::super) fn late(words: String, own: bool) -> Self {
        let health = if own { Health::Outage } else { Health::Unknown };
        Self::new(Fault::Deadline, words, Outcome::Timeout, health)
    }

    pub(in super::super) fn shed(party: Party<'_>, shed: Shed) -> Self {
        let words = match shed {
            Shed::Open(rest) => {
                format!("{party} did not answer several times in a row and is asked again in {} s", rest.as_secs() + 1)
            }
            Shed::Probed => {
                format!("{party} did not answer several times in a row, and one request is finding out whether it does")
            }
            Shed::Quiet(rest) => {
                format!("{party} answered 429 Too Many Requests and is asked again in {} s", rest.as_secs() + 1)
            }
            Shed::Crowded => format!("{party} answers so slowly that no further request was sent to it in time"),
        };
        let fault = if shed == Shed::Crowded { Fault::Deadline } else { Fault::Outage };
        Self::new(fault, words, Outcome::Shed, Health::Unknown)
    }

    pub(in super::super) fn full(party: Party<'_>, full: Full) -> Self {
        let words = match full {
            Full::Registry => format!("answers of {party} take all the memory that one registry may have, try again"),
            Full::All => {
                format!("the answer of {party} was dropped, as answers of registries take all their memory, try again")
            }
        };
        Self::new(Fault::Outage, words, Outcome::Shed, Health::Unknown)
    }

    /// No answer, or one that broke off.
    pub(in super::super) fn transport(party: Party<'_>, error: &reqwest::Error) -> Self {
        if let Some(forbidden) = forbidden_in(error) {
            let words = match party {
                Party::Registry(_) => forbidden.0,
                // The name is a server's, and the words may hold it.
                Party::Redirected(_) | Party::TokenService(_) => {
                    format!("{party} has an address that no request is sent to")
                }
            };
            return Self::new(Fault::Forbidden, words, Outcome::Forbidden, Health::Unknown);
        }
        if let Some(why) = distrust_in(error) {
            return Self::untrusted(format!("{party} is not trusted: {why}"));
        }
        if let Some(error) = find::<rustls::Error>(error) {
            let words = if let rustls::Error::InvalidMessage(_) = error {
                format!("{party} does not speak TLS: if it is meant to be asked over plain HTTP, say so in hosts.toml")
            } else if let rustls::Error::AlertReceived(_) = error {
                format!("{party} refused the TLS connection")
            } else {
                format!("{party} and this program could not agree on TLS")
            };
            return Self::untrusted(words);
        }
        if let Some(error) = find::<hyper::Error>(error).filter(|error| error.is_parse()) {
            let words = if error.is_parse_too_large() {
                format!("{party} sent more header than is read")
            } else {
                format!("{party} answered with something that is not HTTP")
            };
            return Self::broken(words);
        }
        Self::outage(match find::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => format!("no connection to {party}: connection refused"),
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted) => {
                format!("{party} broke the connection off")
            }
            Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                format!("no connection to {party}: no route to it")
            }
            Some(io::ErrorKind::TimedOut) => format!("no connection to {party}: it did not answer in time"),
            Some(_) | None if error.is_timeout() => format!("no connection to {party}: it did not answer in time"),
            Some(_) | None if error.is_connect() => {
                format!("no connection to {party}: its name was not resolved, or nothing answers there")
            }
            Some(_) | None => format!("{party} broke its answer off"),
        })
    }
}

/// The first cause of this type. An `io::Error` hides its own from `source`.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// `503 Service Unavailable`, and the code where it is one that the specification has.
pub(in super::super) struct Answered<'a>(pub(in super::super) StatusCode, pub(in super::super) &'a [u8]);

impl fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_u16())?;
        if let Some(reason) = self.0.canonical_reason() {
            write!(f, " {reason}")?;
        }
        match error_code(self.1) {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

/// OCI distribution specification 1.1, "Error Codes".
const CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

#[derive(Deserialize)]
struct Errors {
    errors: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    code: String,
}

fn error_code(body: &[u8]) -> Option<&'static str> {
    let errors: Errors = serde_json::from_slice(body).ok()?;
    let code = errors.errors.into_iter().next()?.code;
    CODES.into_iter().find(|known| *known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_of_the_specification_is_said_and_no_other_text_ever() {
        let say = |body: &str| Answered(StatusCode::FORBIDDEN, body.as_bytes()).to_string();
        assert_eq!(say(r#"{"errors":[{"code":"DENIED","message":"hunter2"}]}"#), "403 Forbidden (DENIED)");
        assert_eq!(say(r#"{"errors":[{"code":"hunter2","message":"hunter2"}]}"#), "403 Forbidden");
        assert_eq!(say(r#"{"errors":[]}"#), "403 Forbidden");
        assert_eq!(say("<html>hunter2"), "403 Forbidden");
        assert_eq!(Answered(StatusCode::from_u16(599).unwrap(), b"").to_string(), "599");
    }

    #[test]
    fn sizes_are_said_in_whole_units() {
        assert_eq!(Size(4 << 20).to_string(), "4 MiB");
        assert_eq!(Size(256 << 10).to_string(), "256 KiB");
        assert_eq!(Size(1_000).to_string(), "1000 bytes");
    }
}
