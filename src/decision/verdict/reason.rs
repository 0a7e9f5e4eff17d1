//! Why something is refused: one table of stable codes, with what each is about and what to do.

/// The stable code of a refusal: in messages, annotations, JSON, logs and the metric label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    InternalError,
    ReviewUnreadable,
    PodSpecMissing,
    NamespaceUnknown,
    PolicyUnknown,
    RefusedByRule,
    ImageInvalid,
    ImageUnmatched,
    DigestMismatch,
    TagRepointed,
    RegistryBroken,
    RegistryForbidden,
    SignatureMismatch,
    SignatureUntrusted,
    SignatureInvalid,
    Unsigned,
    SignatureTooMany,
    AttestationMismatch,
    AttestationCondition,
    AttestationUntrusted,
    AttestationInvalid,
    AttestationUnreadable,
    AttestationWrongType,
    AttestationMissing,
    VulnerabilityRefused,
    Vulnerable,
    ReportFailed,
    ReportMissing,
    ReportStale,
    TagMutable,
    TagNotAllowed,
    DigestMissing,
    ImageNotFound,
    ImageInaccessible,
    RegistryUnavailable,
    ReportPending,
}

impl Reason {
    /// Every reason, worst first: the order of the enum, and the one in which refusals are told.
    pub const ALL: [Self; 36] = [
        Self::InternalError,
        Self::ReviewUnreadable,
        Self::PodSpecMissing,
        Self::NamespaceUnknown,
        Self::PolicyUnknown,
        Self::RefusedByRule,
        Self::ImageInvalid,
        Self::ImageUnmatched,
        Self::DigestMismatch,
        Self::TagRepointed,
        Self::RegistryBroken,
        Self::RegistryForbidden,
        Self::SignatureMismatch,
        Self::SignatureUntrusted,
        Self::SignatureInvalid,
        Self::Unsigned,
        Self::SignatureTooMany,
        Self::AttestationMismatch,
        Self::AttestationCondition,
        Self::AttestationUntrusted,
        Self::AttestationInvalid,
        Self::AttestationUnreadable,
        Self::AttestationWrongType,
        Self::AttestationMissing,
        Self::VulnerabilityRefused,
        Self::Vulnerable,
        Self::ReportFailed,
        Self::ReportMissing,
        Self::ReportStale,
        Self::TagMutable,
        Self::TagNotAllowed,
        Self::DigestMissing,
        Self::ImageNotFound,
        Self::ImageInaccessible,
        Self::RegistryUnavailable,
        Self::ReportPending,
    ];

    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TagMutable => "tag-mutable",
            Self::SignatureMismatch => "signature-mismatch",
            Self::SignatureUntrusted => "signature-untrusted",
            Self::SignatureInvalid => "signature-invalid",
            Self::Unsigned => "unsigned",
            Self::SignatureTooMany => "signature-too-many",
            Self::AttestationMismatch => "attestation-mismatch",
            Self::AttestationCondition => "attestation-condition",
            Self::AttestationUntrusted => "attestation-untrusted",
            Self::AttestationInvalid => "attestation-invalid",
            Self::AttestationUnreadable => "attestation-unreadable",
            Self::AttestationWrongType => "attestation-wrong-type",
            Self::AttestationMissing => "attestation-missing",
            Self::VulnerabilityRefused => "vulnerability-refused",
            Self::Vulnerable => "vulnerable",
            Self::ReportFailed => "report-failed",
            Self::ReportMissing => "report-missing",
            Self::ReportStale => "report-stale",
            Self::ReportPending => "report-pending",
            Self::TagNotAllowed => "tag-not-allowed",
            Self::TagRepointed => "tag-repointed",
            Self::DigestMismatch => "digest-mismatch",
            Self::ImageNotFound => "image-not-found",
            Self::ImageInaccessible => "image-inaccessible",
            Self::RegistryUnavailable => "registry-unavailable",
            Self::RegistryForbidden => "registry-forbidden",
            Self::RegistryBroken => "registry-broken",
            Self::DigestMissing => "digest-missing",
            Self::ImageInvalid => "image-invalid",
            Self::ImageUnmatched => "image-unmatched",
            Self::RefusedByRule => "refused-by-rule",
            Self::NamespaceUnknown => "namespace-unknown",
            Self::PolicyUnknown => "policy-unknown",
            Self::PodSpecMissing => "pod-spec-missing",
            Self::ReviewUnreadable => "review-unreadable",
            Self::InternalError => "internal-error",
        }
    }

    /// Which demand it belongs to: `check` of the JSON.
    #[must_use]
    pub fn check(self) -> &'static str {
        match self {
            Self::TagMutable | Self::TagNotAllowed | Self::TagRepointed => "tag",
            Self::DigestMissing | Self::DigestMismatch => "digest",
            Self::SignatureMismatch
            | Self::SignatureUntrusted
            | Self::SignatureInvalid
            | Self::Unsigned
            | Self::SignatureTooMany => "signature",
            Self::AttestationMismatch
            | Self::AttestationCondition
            | Self::AttestationUntrusted
            | Self::AttestationInvalid
            | Self::AttestationUnreadable
            | Self::AttestationWrongType
            | Self::AttestationMissing => "attestation",
            Self::VulnerabilityRefused
            | Self::Vulnerable
            | Self::ReportFailed
            | Self::ReportMissing
            | Self::ReportStale
            | Self::ReportPending => "scan",
            Self::ImageNotFound
            | Self::ImageInaccessible
            | Self::RegistryUnavailable
            | Self::RegistryForbidden
            | Self::RegistryBroken => "registry",
            Self::ImageInvalid => "image",
            Self::ImageUnmatched | Self::RefusedByRule => "rule",
            Self::NamespaceUnknown => "namespace",
            Self::PolicyUnknown => "policy",
            Self::PodSpecMissing | Self::ReviewUnreadable | Self::InternalError => "review",
        }
    }

    /// Whether trying again, with nothing changed, may help.
    #[must_use]
    pub fn retriable(self) -> bool {
        match self {
            Self::NamespaceUnknown | Self::RegistryUnavailable | Self::ReportPending => true,
            Self::InternalError
            | Self::TagMutable
            | Self::TagNotAllowed
            | Self::TagRepointed
            | Self::DigestMissing
            | Self::DigestMismatch
            | Self::ImageNotFound
            | Self::ImageInaccessible
            | Self::RegistryForbidden
            | Self::RegistryBroken
            | Self::ImageInvalid
            | Self::ImageUnmatched
            | Self::RefusedByRule
            | Self::PolicyUnknown
            | Self::PodSpecMissing
            | Self::ReviewUnreadable
            | Self::SignatureMismatch
            | Self::SignatureUntrusted
            | Self::SignatureInvalid
            | Self::Unsigned
            | Self::SignatureTooMany
            | Self::AttestationMismatch
            | Self::AttestationCondition
            | Self::AttestationUntrusted
            | Self::AttestationInvalid
            | Self::AttestationUnreadable
            | Self::AttestationWrongType
            | Self::AttestationMissing
            | Self::VulnerabilityRefused
            | Self::Vulnerable
            | Self::ReportFailed
            | Self::ReportMissing
            | Self::ReportStale => false,
        }
    }

    /// Whether it says "we could not tell" rather than "no".
    #[must_use]
    pub fn undetermined(self) -> bool {
        match self {
            Self::InternalError
            | Self::NamespaceUnknown
            | Self::PodSpecMissing
            | Self::ReviewUnreadable
            | Self::ImageInaccessible
            | Self::RegistryUnavailable
            | Self::RegistryForbidden
            | Self::RegistryBroken
            | Self::ReportPending
            | Self::SignatureTooMany => true,
            Self::TagMutable
            | Self::TagNotAllowed
            | Self::TagRepointed
            | Self::DigestMissing
            | Self::DigestMismatch
            | Self::ImageNotFound
            | Self::ImageInvalid
            | Self::ImageUnmatched
            | Self::RefusedByRule
            | Self::PolicyUnknown
            | Self::SignatureMismatch
            | Self::SignatureUntrusted
            | Self::SignatureInvalid
            | Self::Unsigned
            | Self::AttestationMismatch
            | Self::AttestationCondition
            | Self::AttestationUntrusted
            | Self::AttestationInvalid
            | Self::AttestationUnreadable
            | Self::AttestationWrongType
            | Self::AttestationMissing
            | Self::VulnerabilityRefused
            | Self::Vulnerable
            | Self::ReportFailed
            | Self::ReportMissing
            | Self::ReportStale => false,
        }
    }

    /// What it means and what to do, for the README.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::TagMutable => {
                "the tag is on the policy's `tags.deny` list (no tag counts as `latest`): pin a digest or use a release tag"
            }
            Self::TagNotAllowed => "the tag is not on the policy's `tags.allow` list: use one that is, or pin a digest",
            Self::DigestMissing => "the policy asks for `name@sha256:...`: pin the digest",
            Self::TagRepointed => {
                "the tag names another digest than the one that was admitted last (`tags.repointed`): find out who moved it, then pin the digest that you mean"
            }
            Self::DigestMismatch => {
                "the registry sent bytes that are not those of the digest: look at the registry, or at what stands between; never tolerated"
            }
            Self::ImageNotFound => "the registry has no such tag or digest (404): correct the name, or push the image",
            Self::ImageInaccessible => {
                "the registry answers 401 or 403 with the credentials that are for the image: correct the name, or give the pod a pull secret; the policy's `inaccessible` may admit it"
            }
            Self::RegistryUnavailable => {
                "the registry does not answer, or not in time (transport, 5xx, 429): try again; the policy's `unavailable` says what may run meanwhile"
            }
            Self::RegistryForbidden => {
                "our own rules for outgoing requests forbid to ask there (address, scheme, token service): name the host in `registries.hosts`, or its token service in `registries.realms`"
            }
            Self::RegistryBroken => {
                "the registry's answer breaks the protocol or a bound: look at the registry, or at what stands between; never tolerated"
            }
            Self::ImageInvalid => "the image is no valid reference, or missing: correct the name",
            Self::ImageUnmatched => {
                "no rule of the policy matches the image, and the policy denies those: add a rule or use an image that one matches"
            }
            Self::RefusedByRule => "a rule refuses the image outright; the message is the operator's",
            Self::NamespaceUnknown => {
                "the namespace is new, and the API server did not tell its labels in time: try again; nothing is let in by chance"
            }
            Self::PolicyUnknown => {
                "a namespace label or a default names a policy that does not exist or is invalid: correct the label or add the policy"
            }
            Self::PodSpecMissing => {
                "the kind must have a pod spec with containers and has none: correct the object, or the path in `workloads`"
            }
            Self::ReviewUnreadable => {
                "the review could not be understood (version, type, depth, count): look at who sent it"
            }
            Self::SignatureMismatch => {
                "one who is trusted signed, and not this: another image, or without the annotations or the docker-reference that the policy demands; sign this image as the policy says"
            }
            Self::SignatureUntrusted => {
                "there are signatures, and none by those whom the policy names (other key, other identity, not in the log): sign with the right key or identity, or correct the authority"
            }
            Self::SignatureInvalid => {
                "there are signatures, and who made them cannot be verified (expired certificate, forged or missing log entry, damaged payload): sign again"
            }
            Self::Unsigned => {
                "nothing that is there is a signature of the image: sign it (`cosign sign`), in the place where the policy looks"
            }
            Self::SignatureTooMany => {
                "more signatures and attestations than are tried, and what is demanded is not among the first: remove what nobody needs"
            }
            Self::AttestationMismatch => "the attestation is of another image: attest this one",
            Self::AttestationCondition => {
                "the attestation is there, and a field does not hold what the policy's `where` demands: the message shows both"
            }
            Self::AttestationUntrusted => {
                "the attestation is there, and not by those whom the policy names: attest with the right key or identity, or correct the authority"
            }
            Self::AttestationInvalid => {
                "the attestation is there, and who made it cannot be verified (expired certificate, forged or missing log entry): attest again"
            }
            Self::AttestationUnreadable => {
                "the attestation is there, and what it says is no in-toto statement: look at what makes it"
            }
            Self::AttestationWrongType => {
                "there are attestations, and none has the `predicateType` that the policy demands: attest with that type, or correct the policy"
            }
            Self::AttestationMissing => {
                "the image has no attestation of the demanded type: attest it (`cosign attest`)"
            }
            Self::VulnerabilityRefused => {
                "a scanner found what the policy refuses by its identifier (`vulnerabilities.refuse`): replace the package; no waiver helps"
            }
            Self::Vulnerable => {
                "a scanner found more at or above the threshold than the policy tolerates: update the packages that the message names, or have a waiver with an end written into the policy"
            }
            Self::ReportFailed => {
                "there is a scan report, and it cannot be used (truncated, nothing scanned, dated ahead, of another image): scan again; acted on as `missing` says"
            }
            Self::ReportMissing => {
                "no scan report speaks of this digest (or none of a scanner that is demanded): scan the image by its digest and put the report where the settings look, or attest it"
            }
            Self::ReportStale => "the scan is older than the policy's `maxAge`, or not dated: scan again",
            Self::ReportPending => {
                "whether there is a scan report is not known yet (the reports are still being read, or one is being written): try again"
            }
            Self::InternalError => "a fault of Pratique itself; the log has the details: please report it",
        }
    }
}
