//! What a Fulcio certificate says of its holder.
//!
//! By [Fulcio's certificate specification](https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md)
//! and [its list of extensions](https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md): one subject alternative
//! name, the OIDC issuer in extension 8 or (older) 1, and what the issuer said of the build in the others. A certificate
//! that says less, or two things, names nobody. Whether it was issued by anybody we trust is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::fact::attached::{Flaw, FlawKind, Identity};
use crate::request::printable;

#[cfg(test)]
mod tests;

/// All of Fulcio's extensions stand under this arc.
const ARC: &str = "1.3.6.1.4.1.57264.1.";
/// The issuer, as bare bytes.
const ISSUER: u32 = 1;
/// The issuer, as `UTF8String`.
const ISSUER_AGAIN: u32 = 8;
/// The last of Fulcio's extensions that hold bare bytes; all later ones hold a `UTF8String`.
const LAST_BARE: u32 = 6;
/// A user name without a mail address, as `otherName`.
const USER_NAME: &str = "1.3.6.1.4.1.57264.1.7";
const NEITHER: &str = "its certificate's subject is neither a mail address, nor a URI, nor a user name";
/// Bytes of an unproved name in a message.
const SHOWN: usize = 300;

/// The extensions that policies may ask for: their name there, and their number under the arc.
const EXTENSIONS: [(&str, u32); 19] = [
    ("githubWorkflowTrigger", 2),
    ("githubWorkflowSHA", 3),
    ("githubWorkflowName", 4),
    ("githubWorkflowRepository", 5),
    ("githubWorkflowRef", 6),
    ("buildSignerURI", 9),
    ("buildSignerDigest", 10),
    ("runnerEnvironment", 11),
    ("sourceRepositoryURI", 12),
    ("sourceRepositoryDigest", 13),
    ("sourceRepositoryRef", 14),
    ("sourceRepositoryIdentifier", 15),
    ("sourceRepositoryOwnerURI", 16),
    ("sourceRepositoryOwnerIdentifier", 17),
    ("buildConfigURI", 18),
    ("buildConfigDigest", 19),
    ("buildTrigger", 20),
    ("runInvocationURI", 21),
    ("sourceRepositoryVisibilityAtSigning", 22),
];

/// Whom a certificate was issued to; the error is a clause.
fn read(der: &[u8]) -> Result<Identity, &'static str> {
    let certificate = parse(der).ok_or("its certificate cannot be read")?;
    let fulcio = fulcio(&certificate)?;
    let issuer = match (fulcio.get(&ISSUER_AGAIN), fulcio.get(&ISSUER)) {
        (Some(new), Some(old)) if new != old => return Err("its certificate names two issuers"),
        (Some(issuer), _) | (None, Some(issuer)) => issuer.clone(),
        (None, None) => return Err("its certificate names no issuer"),
    };
    let subject = subject(&certificate)?;
    if issuer.is_empty() || subject.is_empty() {
        return Err("its certificate names nobody");
    }
    let known = |(name, number): &(&'static str, u32)| Some((*name, fulcio.get(number)?.clone()));
    Ok(Identity { issuer, subject, extensions: EXTENSIONS.iter().filter_map(known).collect() })
}

/// Whom a certificate that was verified was issued to.
pub(super) fn identity(der: &[u8]) -> Result<Identity, Flaw> {
    read(der).map_err(|words| Flaw { kind: FlawKind::CertificateUntrusted, words: words.into(), claimed: None })
}

/// Issuer and subject as a certificate has them that nobody verified, for people.
pub(super) fn claimed(der: &[u8]) -> Option<(Arc<str>, Arc<str>)> {
    let identity = read(der).ok()?;
    let shown = |text: &str| Arc::from(printable(text, SHOWN));
    Some((shown(&identity.issuer), shown(&identity.subject)))
}

/// From when until when it is valid, both included.
pub(super) fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let validity = parse(der)?.validity().clone();
    let at = |seconds: i64| Timestamp::from_second(seconds).ok();
    Some((at(validity.not_before.timestamp())?, at(validity.not_after.timestamp())?))
}

/// Whether it names itself as its issuer: a root, which belongs into a trusted root and into no signature.
pub(super) fn is_root(der: &[u8]) -> bool {
    parse(der).is_some_and(|certificate| certificate.issuer().as_raw() == certificate.subject().as_raw())
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        Ok(_) | Err(_) => None,
    }
}

/// Fulcio's extensions by number.
fn fulcio(certificate: &X509Certificate<'_>) -> Result<BTreeMap<u32, String>, &'static str> {
    let mut found = BTreeMap::new();
    for extension in certificate.extensions() {
        let oid = extension.oid.to_id_string();
        let Some(number) = oid.strip_prefix(ARC).and_then(|number| number.parse().ok()) else { continue };
        if number != ISSUER && number != ISSUER_AGAIN && !EXTENSIONS.iter().any(|(_, known)| *known == number) {
            continue;
        }
        let text = if number <= LAST_BARE { Some(extension.value) } else { utf8_string(extension.value) };
        let text = text.and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.ok_or("its certificate has an extension of Fulcio's that cannot be read")?;
        if found.insert(number, text.to_owned()).is_some() {
            return Err("its certificate has an extension of Fulcio's twice");
        }
    }
    Ok(found)
}

fn subject(certificate: &X509Certificate<'_>) -> Result<String, &'static str> {
    let names = certificate.subject_alternative_name().map_err(|_| "its certificate's subject cannot be read")?;
    let names = names.as_ref().map_or(&[][..], |names| &names.value.general_names);
    let [name] = names else {
        return Err(if names.is_empty() {
            "its certificate names no subject"
        } else {
            "its certificate names several subjects"
        });
    };
    if let GeneralName::RFC822Name(name) | GeneralName::URI(name) = name {
        return Ok((*name).to_owned());
    }
    let GeneralName::OtherName(oid, value) = name else { return Err(NEITHER) };
    if oid.to_id_string() != USER_NAME {
        return Err(NEITHER);
    }
    let name = explicit(value).and_then(utf8_string).and_then(|name| std::str::from_utf8(name).ok());
    name.map(str::to_owned).ok_or("its certificate's subject cannot be read")
}

/// What a DER `UTF8String` holds that is all of the bytes.
fn utf8_string(der: &[u8]) -> Option<&[u8]> {
    content(0x0c, der)
}

/// What stands in `[0] EXPLICIT`.
fn explicit(der: &[u8]) -> Option<&[u8]> {
    content(0xa0, der)
}

fn content(tag: u8, der: &[u8]) -> Option<&[u8]> {
    let (found, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        // No name is longer than 64 KiB.
        _ => return None,
    };
    (*found == tag && rest.len() == length).then_some(rest)
}
