//! Why a signature does not verify, in fixed words: the verifier's own could quote what the signature's author chose.

use sigstore_verify::bundle::Error as ShapeError;
use sigstore_verify::{CertificateError, Error, TimestampError, TransparencyLogError};

use crate::fact::attached::{Flaw, FlawKind};

pub(in super::super) fn flaw(kind: FlawKind, words: &str) -> Flaw {
    Flaw { kind, words: words.into(), claimed: None }
}

/// What an error of the verifier means. `root` is the name of the trusted root, which the operator chose.
pub(super) fn meaning(error: &Error, root: &str) -> Flaw {
    use FlawKind::{CertificateUntrusted, Malformed, NotLogged, SignatureInvalid, Unsupported};
    match error {
        Error::SignatureInvalid(_) => flaw(SignatureInvalid, "its signature is not over what it says it signs"),
        // What the bundle signs is compared before; what is left is the log's entry.
        Error::ArtifactMismatch(_) => flaw(NotLogged, "its log entry is one of something else"),
        Error::Certificate(error) => certificate(error, root),
        Error::TransparencyLog(error) => log(error, root),
        Error::Timestamp(error) => timestamp(error, root),
        Error::Bundle(error) => shape(error),
        Error::InvalidBundle(_) | Error::Types(_) => flaw(Malformed, "its bundle contradicts itself or lacks a part"),
        Error::UnsupportedBundle(_) => {
            flaw(Unsupported, "its content or its log entry is of a kind that cannot be verified here")
        }
        Error::UnsupportedArtifact(_) => {
            flaw(Unsupported, "its kind of key signs bytes, and of an image only the digest is known")
        }
        Error::Crypto(_) => flaw(Unsupported, "its key is of a kind that cannot be verified with"),
        // No identity is asked of the verifier, and its root was read before.
        Error::IdentityMismatch { .. }
        | Error::IssuerMismatch { .. }
        | Error::InvalidTrustRoot(_)
        | Error::TrustRoot(_)
        | Error::TrustedCertificate(_)
        | Error::ArtifactRead(_) => flaw(CertificateUntrusted, "its certificate cannot be verified"),
        _ => flaw(Unsupported, "it cannot be verified here"),
    }
}

fn certificate(error: &CertificateError, root: &str) -> Flaw {
    use FlawKind::{CertificateExpired, CertificateUntrusted};
    match error {
        CertificateError::Malformed(_) => flaw(CertificateUntrusted, "its certificate cannot be read"),
        CertificateError::ChainInvalid(_) => {
            let words = format!(
                "its certificate is not one for signing that an authority of the trusted root \"{root}\" issued"
            );
            flaw(CertificateUntrusted, &words)
        }
        CertificateError::NoValidAuthority { time } => {
            let words =
                format!("no certificate authority of the trusted root \"{root}\" is good for signatures of {time}");
            flaw(CertificateUntrusted, &words)
        }
        CertificateError::NotYetValid { time, not_before } => {
            let words = format!("its certificate is valid from {not_before}, and it was made at {time}");
            flaw(CertificateExpired, &words)
        }
        CertificateError::Expired { time, not_after } => {
            let words = format!("its certificate was valid until {not_after}, and it was made at {time}");
            flaw(CertificateExpired, &words)
        }
        CertificateError::Sct(_) => {
            let words =
                format!("its certificate has no promise (SCT) of a certificate log of the trusted root \"{root}\"");
            flaw(CertificateUntrusted, &words)
        }
        _ => flaw(CertificateUntrusted, "its certificate cannot be verified"),
    }
}

fn log(error: &TransparencyLogError, root: &str) -> Flaw {
    let words = match error {
        TransparencyLogError::UnknownLog { .. } => {
            return flaw(FlawKind::NotLogged, &format!("its transparency log is none of the trusted root \"{root}\""));
        }
        TransparencyLogError::InclusionProof(_) => "its inclusion proof does not lead to the log's tree",
        TransparencyLogError::Checkpoint(_) => {
            return flaw(
                FlawKind::NotLogged,
                &format!(
                    "the checkpoint of its log entry is not signed by a log of the trusted root \"{root}\", or is of another tree"
                ),
            );
        }
        TransparencyLogError::InclusionPromise(_) => {
            return flaw(
                FlawKind::NotLogged,
                &format!("the log's promise (SET) of its entry is not signed by a log of the trusted root \"{root}\""),
            );
        }
        TransparencyLogError::EntryMismatch(_) => "its log entry is one of another signature, key or content",
        TransparencyLogError::IntegratedTime(_) => {
            "the log's time of its entry is yet to come, or outside of its certificate's validity"
        }
        TransparencyLogError::MalformedEntry(_) => "its log entry is not of the form of its kind",
        _ => "its log entry cannot be verified",
    };
    flaw(FlawKind::NotLogged, words)
}

fn timestamp(error: &TimestampError, root: &str) -> Flaw {
    let words = match error {
        TimestampError::Invalid(_) => {
            format!(
                "its RFC 3161 timestamp is of another signature, or by no timestamp authority of the trusted root \"{root}\""
            )
        }
        TimestampError::OutsideAuthorityValidity { time } => {
            format!(
                "its RFC 3161 timestamp says {time}, for which its authority in the trusted root \"{root}\" is not good"
            )
        }
        TimestampError::NoVerifiedTimestamp(_) => {
            "nothing proves when it was made: it has neither a log's promise (SET) nor an RFC 3161 timestamp".to_owned()
        }
        _ => "its time cannot be verified".to_owned(),
    };
    flaw(FlawKind::TimeUnproved, &words)
}

fn shape(error: &ShapeError) -> Flaw {
    use FlawKind::{Malformed, NotLogged, TimeUnproved, Unsupported};
    match error {
        ShapeError::MissingInclusionPromise(_) => {
            flaw(NotLogged, "its log entry has no promise (SET) of the log, as its version must")
        }
        ShapeError::MissingInclusionProof(_) => {
            flaw(NotLogged, "its log entry has no inclusion proof, as its version must")
        }
        ShapeError::MissingCheckpoint => flaw(NotLogged, "its inclusion proof has no checkpoint"),
        ShapeError::LogIndexOutOfRange { .. } | ShapeError::CheckpointRootMismatch => {
            flaw(NotLogged, "its inclusion proof and its checkpoint contradict each other")
        }
        ShapeError::MissingSigningTimeEvidence | ShapeError::MissingTimestamp => {
            flaw(TimeUnproved, "nothing proves when it was made: it has neither a log entry nor an RFC 3161 timestamp")
        }
        ShapeError::CertificateChainNotAllowed(_) => {
            flaw(Malformed, "its bundle has a chain of certificates, and version 0.3 has one")
        }
        ShapeError::UnsupportedMediaType(_) | ShapeError::UnsupportedVerificationMaterial => {
            flaw(Unsupported, "its bundle is of a kind that cannot be verified here")
        }
        _ => flaw(Malformed, "its bundle has not the form of its version"),
    }
}

/// The one that came furthest: with several roots, all but one know nothing of a signature.
pub(super) fn furthest(flaws: Vec<Flaw>) -> Option<Flaw> {
    let rank = |flaw: &Flaw| match flaw.kind {
        FlawKind::SignatureInvalid => 0,
        FlawKind::CertificateExpired => 1,
        FlawKind::Unsupported => 2,
        FlawKind::NotLogged => 3,
        FlawKind::TimeUnproved => 4,
        FlawKind::CertificateUntrusted => 5,
        FlawKind::Malformed => 6,
        FlawKind::OtherKey => 7,
        FlawKind::BeyondBounds | FlawKind::Missing => 8,
    };
    flaws.into_iter().min_by_key(rank)
}
