//! What can be wrong with a signature.

/// The one thing that is wrong; all others are as they must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// The signature is of other bytes, by the right key; and so is it in the log.
    Signature,
    /// The signature was made with another key than the certificate's, or than the given one.
    OtherKey,
    /// The certificate is of another CA, whose names are the same.
    OtherAuthority,
    NotForCodeSigning,
    /// The certificate has no promise of a certificate log (SCT).
    NoCertificateLog,
    /// It has one, of another log.
    OtherCertificateLog,
    /// Logged after the certificate had ended.
    LoggedTooLate,
    /// Logged before the certificate began.
    LoggedTooEarly,
    /// A valid entry of the right log, for a signature of something else by the same signer (CVE-2022-36056).
    EntryOfAnotherArtifact,
    /// A valid entry of the right log, for a signature of the same by somebody else.
    EntryOfAnotherSigner,
    /// Everything of the log is signed by a log that the trusted root does not have.
    OtherLog,
    /// The promise (SET) is signed by another key, in the right log's name.
    PromiseOfOtherKey,
    /// The time beside the promise is not the promised one.
    TimeChanged,
    /// The checkpoint is signed by another key, with the right log's hint.
    CheckpointOfOtherKey,
    /// The path does not lead to the root hash.
    ProofInvalid,
    /// The entry has no promise. Wrong where only that proves it: in annotations and bundles v0.1.
    NoPromise,
    /// The entry has no proof of inclusion. Wrong in bundles from v0.2 on.
    NoProof,
    /// There is no entry at all. Wrong for the keyless; with a key where the log is required.
    NotLogged,
    /// The RFC 3161 timestamp is of another signature. This and the next two: only with [`Signer::stamped`](super::Signer::stamped).
    StampOfAnother,
    /// It is of an authority that the trusted root does not have.
    StampOfOtherAuthority,
    /// It was made after the certificate had ended.
    StampedTooLate,
}

impl Wrong {
    /// Of timestamps.
    pub const STAMPS: [Self; 3] = [Self::StampOfAnother, Self::StampOfOtherAuthority, Self::StampedTooLate];

    /// But for those of timestamps.
    pub const ALL: [Self; 18] = [
        Self::Signature,
        Self::OtherKey,
        Self::OtherAuthority,
        Self::NotForCodeSigning,
        Self::NoCertificateLog,
        Self::OtherCertificateLog,
        Self::LoggedTooLate,
        Self::LoggedTooEarly,
        Self::EntryOfAnotherArtifact,
        Self::EntryOfAnotherSigner,
        Self::OtherLog,
        Self::PromiseOfOtherKey,
        Self::TimeChanged,
        Self::CheckpointOfOtherKey,
        Self::ProofInvalid,
        Self::NoPromise,
        Self::NoProof,
        Self::NotLogged,
    ];
}
