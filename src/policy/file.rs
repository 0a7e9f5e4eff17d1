//! `ImagePolicy` as it is written: `pratique.dev/v1alpha1`, field by field, nothing clever.
//!
//! The structs are the schema. What a field holds by itself (a word, a date, a number) is read here; what fields mean
//! together is checked by [`super::compile`]. A field that is not here is a mistake wherever it is written.

use std::time::Duration;

use jiff::civil::Date;

use crate::fact::report::{ScannerKind, Severity};

use super::document::reader::{Field, Ignored, NonEmpty, Placed, Table, Text, described, schema, words};
use super::scan::Response;
use super::{Inaccessible, Repointed, Unavailable, Unmatched};

/// The `apiVersion` that this build reads.
pub const API_VERSION: &str = "pratique.dev/v1alpha1";
/// The `kind` of a policy.
pub const KIND: &str = "ImagePolicy";

schema! {
    /// One document.
    Document {
        /// [`API_VERSION`].
        required api_version "apiVersion": Text,
        /// [`KIND`].
        required kind "kind": Text,
        required metadata "metadata": Metadata,
        required spec "spec": Spec,
        /// What a controller might write about the policy; none of ours.
        optional status "status": Ignored,
    }
}

schema! {
    /// `metadata`: the name; what tools and the API server add beside it means nothing to us.
    Metadata {
        /// A DNS label of at most 63 characters, since namespace labels hold it.
        required name "name": Text,
        optional labels "labels": Ignored,
        optional annotations "annotations": Ignored,
        optional creation_timestamp "creationTimestamp": Ignored,
        optional deletion_grace_period "deletionGracePeriodSeconds": Ignored,
        optional deletion_timestamp "deletionTimestamp": Ignored,
        optional finalizers "finalizers": Ignored,
        optional generate_name "generateName": Ignored,
        optional generation "generation": Ignored,
        optional managed_fields "managedFields": Ignored,
        optional owner_references "ownerReferences": Ignored,
        optional resource_version "resourceVersion": Ignored,
        optional self_link "selfLink": Ignored,
        optional uid "uid": Ignored,
    }
}

described! {
    /// What is demanded of images, and whom that trusts.
    Spec {
        /// An image that no rule matches. Default: deny.
        optional unmatched "unmatched": Unmatched,
        /// The registry cannot be reached in time and nothing last known helps. Default: running.
        optional unavailable "unavailable": Unavailable,
        /// The registry answers 401 or 403 to us. Default: deny.
        optional inaccessible "inaccessible": Inaccessible,
        /// The first rule whose images match decides.
        required rules "rules": NonEmpty<Vec<Placed<Rule>>>,
        /// Whom rules may trust, by name. Default: nobody.
        optional authorities "authorities": Vec<Placed<Authority>>,
    }
}

described! {
    /// Demands, or `admit: true`, or `refuse: "why"`.
    Rule {
        /// Unique within the policy; a DNS label.
        required name "name": Text,
        /// Patterns of normalised registry/repository, by component, anchored.
        required images "images": NonEmpty<Vec<Text>>,
        /// `true`: what the rule matches is admitted, nothing asked. `false` is a mistake.
        optional admit "admit": Placed<bool>,
        /// What the rule matches is refused, in these words.
        optional refuse "refuse": Text,
        optional tags "tags": Placed<Tags>,
        optional vulnerabilities "vulnerabilities": Placed<Vulnerabilities>,
        optional signatures "signatures": Placed<Signatures>,
        /// Each must be there.
        optional attestations "attestations": Placed<NonEmpty<Vec<Attestation>>>,
    }
}

described! {
    /// Demands on tags: of images that are not named by digest.
    Tags {
        /// Patterns of tags that are refused; no tag counts as `latest`. Default: none.
        optional deny "deny": NonEmpty<Vec<Text>>,
        /// Patterns, one of which the tag must match. Default: every tag that is not denied.
        optional allow "allow": NonEmpty<Vec<Text>>,
        /// Only digests will do. Default: false.
        optional require_digest "requireDigest": bool,
        /// The tag names another digest than the one recorded for it. Default: warn.
        optional repointed "repointed": Placed<Repointed>,
    }
}

described! {
    /// What the scan reports of an image must say.
    Vulnerabilities {
        /// Findings of this severity or above are refused.
        required threshold "threshold": Placed<Severity>,
        /// Findings of unknown severity: ignored, or counted as if at the threshold. Default: ignore.
        optional unknown "unknown": Counted,
        /// So many findings of a severity are tolerated. Default: none.
        optional allow "allow": NonEmpty<Tolerated>,
        /// Only findings that have a fix count. Default: false.
        optional fixable "fixable": bool,
        /// A finding counts only once its fix is so old, where dates are known. Default: at once.
        optional fixable_for "fixableFor": Placed<Duration>,
        /// Waivers.
        optional ignore "ignore": Vec<Waiver>,
        /// Identifiers that are refused whatever the threshold says.
        optional refuse "refuse": Vec<Text>,
        /// How old a scan (not its file) may be. Default: any age.
        optional max_age "maxAge": Placed<Duration>,
        /// No usable report. Default: deny.
        optional missing "missing": Placed<Response>,
        /// So long after the first review that named the digest, a missing report only warns. Default: not at all.
        optional missing_grace "missingGrace": Placed<Duration>,
        /// A report older than `maxAge`. Default: deny.
        optional stale "stale": Placed<Response>,
        /// A digest already admitted or running in the namespace: softens threshold and stale, never `refuse`.
        /// Default: warn.
        optional running "running": Placed<Response>,
        /// And only so long after the first review that would have refused it. Default: without end.
        optional running_for "runningFor": Placed<Duration>,
        /// Each of these must have reported. Default: any one.
        optional scanners "scanners": NonEmpty<Vec<Placed<ScannerKind>>>,
        /// Findings that the scanner was told to leave out, where its report still has them. Default: ignore.
        optional suppressed "suppressed": Counted,
        /// Only reports that one of these attested count. Default: every report.
        optional authorities "authorities": NonEmpty<Vec<Text>>,
    }
}

/// Whether a class of findings counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Ignore,
    Count,
}

described! {
    /// Findings tolerated, by severity.
    Tolerated {
        optional negligible "negligible": Placed<u32>,
        optional low "low": Placed<u32>,
        optional medium "medium": Placed<u32>,
        optional high "high": Placed<u32>,
        optional critical "critical": Placed<u32>,
    }
}

described! {
    /// An exception that somebody answers for and that ends.
    Waiver {
        /// The finding, such as CVE-2025-1234 or GHSA-xxxx-xxxx-xxxx.
        required id "id": Text,
        /// The last day on which it holds, UTC.
        required until "until": Placed<Date>,
        /// Why it is acceptable.
        required reason "reason": Text,
        /// Who answers for it.
        required owner "owner": Text,
        /// Only in this package. Default: in all.
        optional package "package": Text,
        /// Only in these images of the rule. Default: in all.
        optional images "images": NonEmpty<Vec<Text>>,
    }
}

described! {
    /// Who must have signed an image.
    Signatures {
        /// Names from `spec.authorities`.
        required authorities "authorities": NonEmpty<Vec<Text>>,
        /// How many of them, each by a signer of its own. Default: 1.
        optional threshold "threshold": Placed<u32>,
        /// What must be signed. Default: either.
        optional signed "signed": Signed,
        /// The repository that holds the signatures. Default: the image's own.
        optional repository "repository": Text,
        /// Whether the docker-reference inside of the payload must name the image's repository. Default: ignored.
        optional identity "identity": Identity,
        /// What the signed payload must be annotated with. Default: nothing.
        optional annotations "annotations": NonEmpty<Table<Text>>,
    }
}

/// What of a multi-platform image must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    Index,
    /// Every platform that the pod can run on.
    Platforms,
    Either,
}

/// What is made of the docker-reference inside of a signed payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    Ignored,
    Required,
}

described! {
    /// A signed statement that must be there.
    Attestation {
        /// Exact: `https://slsa.dev/provenance/v1`.
        required predicate_type "predicateType": Text,
        /// Names from `spec.authorities`, one of which must have signed it.
        required authorities "authorities": NonEmpty<Vec<Text>>,
        /// What its fields must hold. Default: anything.
        optional conditions "where": NonEmpty<Vec<Placed<Condition>>>,
    }
}

described! {
    /// A field of the predicate, and exactly one of `equals`, `matches` and `in`.
    Condition {
        /// With dots: `runDetails.builder.id`.
        required path "path": Text,
        /// The whole value.
        optional equals "equals": Text,
        /// A regular expression for the whole value.
        optional matches "matches": Text,
        /// One of these, as a whole.
        optional one_of "in": NonEmpty<Vec<Text>>,
    }
}

described! {
    /// Somebody to trust, by exactly one of `keyless` and `keys`.
    Authority {
        /// Unique within the policy; a DNS label.
        required name "name": Text,
        /// By certificates that say who signed.
        optional keyless "keyless": Placed<Keyless>,
        /// By public keys, several for rotation.
        optional keys "keys": NonEmpty<Vec<Placed<Key>>>,
        /// The trusted root, by its name in the settings. Default: public.
        optional trust "trust": Text,
        /// Whether a transparency log must prove the signature. Default: required for keyless, optional for keys.
        optional log "log": Log,
    }
}

/// Whether an entry of a transparency log must prove a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    Required,
    Optional,
}

described! {
    /// One of `issuer` and `issuerRegExp`, and one of `subject` and `subjectRegExp`.
    Keyless {
        /// `*` does not cross "/", `**` does.
        optional issuer "issuer": Text,
        /// Matches the issuer as a whole.
        optional issuer_expression "issuerRegExp": Text,
        /// `*` does not cross "/", `**` does.
        optional subject "subject": Text,
        /// Matches the subject as a whole.
        optional subject_expression "subjectRegExp": Text,
        /// Exact values of the certificate's further fields. Default: none asked.
        optional extensions "extensions": NonEmpty<Extensions>,
    }
}

described! {
    /// Further fields of the certificate, by Fulcio's names.
    Extensions {
        optional github_workflow_trigger "githubWorkflowTrigger": Text,
        optional github_workflow_sha "githubWorkflowSHA": Text,
        optional github_workflow_name "githubWorkflowName": Text,
        optional github_workflow_repository "githubWorkflowRepository": Text,
        optional github_workflow_ref "githubWorkflowRef": Text,
        optional build_signer_uri "buildSignerURI": Text,
        optional build_signer_digest "buildSignerDigest": Text,
        optional runner_environment "runnerEnvironment": Text,
        optional source_repository_uri "sourceRepositoryURI": Text,
        optional source_repository_digest "sourceRepositoryDigest": Text,
        optional source_repository_ref "sourceRepositoryRef": Text,
        optional source_repository_identifier "sourceRepositoryIdentifier": Text,
        optional source_repository_owner_uri "sourceRepositoryOwnerURI": Text,
        optional source_repository_owner_identifier "sourceRepositoryOwnerIdentifier": Text,
        optional build_config_uri "buildConfigURI": Text,
        optional build_config_digest "buildConfigDigest": Text,
        optional build_trigger "buildTrigger": Text,
        optional run_invocation_uri "runInvocationURI": Text,
        optional source_repository_visibility "sourceRepositoryVisibilityAtSigning": Text,
    }
}

impl Extensions {
    /// Each by the name that users type, which is Fulcio's.
    pub fn by_name(&self) -> [(&'static str, &Field<Text>); 19] {
        let Self {
            github_workflow_trigger,
            github_workflow_sha,
            github_workflow_name,
            github_workflow_repository,
            github_workflow_ref,
            build_signer_uri,
            build_signer_digest,
            runner_environment,
            source_repository_uri,
            source_repository_digest,
            source_repository_ref,
            source_repository_identifier,
            source_repository_owner_uri,
            source_repository_owner_identifier,
            build_config_uri,
            build_config_digest,
            build_trigger,
            run_invocation_uri,
            source_repository_visibility,
        } = self;
        [
            ("githubWorkflowTrigger", github_workflow_trigger),
            ("githubWorkflowSHA", github_workflow_sha),
            ("githubWorkflowName", github_workflow_name),
            ("githubWorkflowRepository", github_workflow_repository),
            ("githubWorkflowRef", github_workflow_ref),
            ("buildSignerURI", build_signer_uri),
            ("buildSignerDigest", build_signer_digest),
            ("runnerEnvironment", runner_environment),
            ("sourceRepositoryURI", source_repository_uri),
            ("sourceRepositoryDigest", source_repository_digest),
            ("sourceRepositoryRef", source_repository_ref),
            ("sourceRepositoryIdentifier", source_repository_identifier),
            ("sourceRepositoryOwnerURI", source_repository_owner_uri),
            ("sourceRepositoryOwnerIdentifier", source_repository_owner_identifier),
            ("buildConfigURI", build_config_uri),
            ("buildConfigDigest", build_config_digest),
            ("buildTrigger", build_trigger),
            ("runInvocationURI", run_invocation_uri),
            ("sourceRepositoryVisibilityAtSigning", source_repository_visibility),
        ]
    }
}

described! {
    /// A public key: exactly one of `pem`, `secretRef` and `file`.
    Key {
        /// The public key itself.
        optional pem "pem": Text,
        /// In a Secret of our own namespace.
        optional secret_ref "secretRef": SecretKey,
        /// Beside the policy; only in what `--manifests` reads.
        optional file "file": Text,
        /// Signatures made before this day, UTC, do not count. Default: all count.
        optional not_before "notBefore": Date,
        /// Nor those made on this day or later; after `notBefore`.
        optional not_after "notAfter": Placed<Date>,
    }
}

described! {
    /// A key of a Secret in Pratique's own namespace.
    SecretKey {
        required name "name": Text,
        required key "key": Text,
    }
}

words! { Unmatched { "deny" => Unmatched::Deny, "allow" => Unmatched::Allow, } }
words! {
    Unavailable {
        "deny" => Unavailable::Deny,
        "running" => Unavailable::Running,
        "admit" => Unavailable::Admit,
    }
}
words! { Inaccessible { "deny" => Inaccessible::Deny, "admit" => Inaccessible::Admit, } }
words! { Repointed { "deny" => Repointed::Deny, "warn" => Repointed::Warn, "allow" => Repointed::Allow, } }
words! {
    Severity {
        "negligible" => Severity::Negligible,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        "critical" => Severity::Critical,
    }
}
words! { Response { "deny" => Response::Deny, "warn" => Response::Warn, "allow" => Response::Allow, } }
words! { Counted { "ignore" => Counted::Ignore, "count" => Counted::Count, } }
words! { ScannerKind { "trivy" => ScannerKind::Trivy, "grype" => ScannerKind::Grype, } }
words! { Signed { "index" => Signed::Index, "platforms" => Signed::Platforms, "either" => Signed::Either, } }
words! { Identity { "ignored" => Identity::Ignored, "required" => Identity::Required, } }
words! { Log { "required" => Log::Required, "optional" => Log::Optional, } }
