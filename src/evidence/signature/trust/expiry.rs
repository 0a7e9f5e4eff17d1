//! Until when a trusted root is good for new signatures.

use jiff::Timestamp;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::{DerCertificate, TimeRange};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Of each kind of party the last one to end counts, since new signatures can be made with it; of the kinds the first,
/// since a signature needs all of them. An authority ends with its period or with the first certificate of its chain.
pub(super) fn of(root: &TrustedRoot) -> Option<Timestamp> {
    let period = |period: Option<TimeRange>| period.and_then(|period| period.end);
    let authorities = root.certificate_authorities.iter().map(|authority| {
        let chain = authority.cert_chain.certificates.iter().map(|certificate| &certificate.raw_bytes);
        first(period(authority.valid_for), certificates(chain))
    });
    let stamps = root.timestamp_authorities.iter().map(|authority| {
        let chain = authority.cert_chain.certificates.iter().map(|certificate| &certificate.raw_bytes);
        first(period(authority.valid_for), certificates(chain))
    });
    let logs = root.tlogs.iter().map(|log| period(log.public_key.valid_for));
    let certificate_logs = root.ctlogs.iter().map(|log| period(log.public_key.valid_for));
    [last(authorities), last(logs), last(certificate_logs), last(stamps)].into_iter().flatten().min()
}

/// None where one has no end, and where there is none.
fn last(mut ends: impl Iterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    ends.try_fold(None, |latest: Option<Timestamp>, end| Some(latest.max(Some(end?)))).flatten()
}

fn first(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

fn certificates<'c>(chain: impl Iterator<Item = &'c DerCertificate>) -> Option<Timestamp> {
    let end = |der: &DerCertificate| {
        let (_, certificate) = X509Certificate::from_der(der.as_bytes()).ok()?;
        Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
    };
    chain.filter_map(end).min()
}
