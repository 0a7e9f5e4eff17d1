//! When the certificate authorities of a trusted root issue: within their period there, and no longer than every
//! certificate of their chain is valid.
//!
//! The verifier takes each certificate of a chain for an anchor, the intermediate ones too, and looks at no validity of
//! anchors: what an intermediate certificate issued that had expired would be accepted (cosign CVE-2026-24122). So their
//! periods are narrowed before it sees them.

use jiff::Timestamp;
use sigstore_trust_root::TrustedRoot;
use sigstore_types::TimeRange;

use super::super::certificate;

/// The same root for the verifier. An authority that was never good is none; the error is a clause.
pub(super) fn narrowed(root: &TrustedRoot) -> Result<TrustedRoot, String> {
    let mut root = root.clone();
    let mut kept = Vec::with_capacity(root.certificate_authorities.len());
    for mut authority in std::mem::take(&mut root.certificate_authorities) {
        let given = authority.valid_for.unwrap_or_else(|| TimeRange::new(Timestamp::MIN, None));
        let (mut start, mut end) = (given.start, given.end.unwrap_or(Timestamp::MAX));
        for certificate in &authority.cert_chain.certificates {
            let (from, until) = certificate::validity(certificate.raw_bytes.as_bytes())
                .ok_or("has a certificate authority with a certificate that cannot be read")?;
            (start, end) = (start.max(from), end.min(until));
        }
        // A period that ends before it begins is a mistake that the verifier refuses.
        if given.end.is_some_and(|end| end < given.start) {
            kept.push(authority);
        } else if start <= end {
            authority.valid_for = Some(TimeRange::new(start, Some(end)));
            kept.push(authority);
        }
    }
    root.certificate_authorities = kept;
    Ok(root)
}
