//! What an object is, by its fields.

use std::borrow::Cow;

use super::Fields;
use super::json::Text;

/// What it is; of what is no report, what it is and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Trivy,
    Grype,
    Operator,
    Harbor,
    Predicate,
    Other(&'static str),
}

impl Kind {
    pub(super) fn of(fields: &Fields<'_>) -> Self {
        let has = |field: &str| fields.contains_key(field);
        let says = |field: &str| text(fields, field);
        if has("apiVersion") && has("kind") {
            return Self::of_object(&says("apiVersion"), &says("kind"));
        }
        if let Some(kind) = Self::of_attestation(fields) {
            return kind;
        }
        if let Some(words) = other(fields) {
            return Self::Other(words);
        }
        if has("SchemaVersion") && ["Results", "Metadata", "ArtifactName", "ArtifactType"].into_iter().any(has) {
            return Self::Trivy;
        }
        if has("matches") {
            return Self::Grype;
        }
        let is_mime = |name: &Cow<'_, str>| name.starts_with("application/vnd.");
        if has("vulnerabilities") && has("scanner") && has("generated_at")
            || !fields.is_empty() && fields.keys().all(is_mime)
        {
            return Self::Harbor;
        }
        Self::Other(
            "of none of the forms that are read: Trivy's and Grype's own JSON, a report of Harbor's scanners, a \
             VulnerabilityReport of trivy-operator, or an attestation of one of these",
        )
    }

    fn of_object(api_version: &str, kind: &str) -> Self {
        let of_operator = api_version.starts_with("aquasecurity.github.io/");
        match kind {
            "VulnerabilityReport" | "ClusterVulnerabilityReport" if of_operator => Self::Operator,
            "ConfigAuditReport" | "ClusterConfigAuditReport" => {
                Self::Other("a report on configuration: vulnerabilities are in objects of kind VulnerabilityReport")
            }
            "ExposedSecretReport" => {
                Self::Other("a report on secrets: vulnerabilities are in objects of kind VulnerabilityReport")
            }
            "SbomReport" | "ClusterSbomReport" => {
                Self::Other("an SBOM, which lists packages: vulnerabilities are in objects of kind VulnerabilityReport")
            }
            "List" | "VulnerabilityReportList" | "ClusterVulnerabilityReportList" => {
                Self::Other("a list of objects: give each of them a file of its own")
            }
            _ => Self::Other("an object of Kubernetes that is no VulnerabilityReport"),
        }
    }

    fn of_attestation(fields: &Fields<'_>) -> Option<Self> {
        let has = |field: &str| fields.contains_key(field);
        if has("dsseEnvelope") || has("messageSignature") {
            return Some(Self::Other("a Sigstore bundle: attach it to the image, where its signature is verified"));
        }
        let statement = has("_type") && has("predicateType");
        let envelope = has("payloadType") && has("payload");
        let predicate = has("scanner") && has("metadata") && !has("vulnerabilities");
        (statement || envelope || predicate).then_some(Self::Predicate)
    }
}

/// What is known to be something else, and what to do about it.
fn other(fields: &Fields<'_>) -> Option<&'static str> {
    let has = |field: &str| fields.contains_key(field);
    let says = |field: &str| text(fields, field);
    let context = says("@context");
    Some(match () {
        () if has("bomFormat") || has("specVersion") && has("components") => {
            "an SBOM (CycloneDX), which lists packages: have the scanner write its own JSON (trivy --format json, grype -o json)"
        }
        () if has("spdxVersion") || has("SPDXID") || context.contains("spdx.org") => {
            "an SBOM (SPDX), which lists packages and no findings: have the scanner write its own JSON (trivy --format json, grype -o json)"
        }
        () if has("artifacts") && has("artifactRelationships") => {
            "an SBOM (Syft), which lists packages and no findings: scan it with grype -o json"
        }
        () if has("runs") && (has("version") || has("$schema")) => {
            "SARIF, which has no time and no digest that can be relied on: have the scanner write its own JSON (trivy --format json, grype -o json)"
        }
        () if has("statements") && (context.contains("openvex") || has("author")) => {
            "a VEX document: give it to the scanner (trivy --vex, grype --vex)"
        }
        () if has("ClusterName") => {
            "Trivy's summary of a cluster, which names no digests: scan the images (trivy image --format json)"
        }
        () if has("event_data") => "a notification of Harbor, which has no findings: fetch the report itself",
        () if has("Results") && !has("SchemaVersion") => {
            "like a report of Trivy, without its SchemaVersion: have Trivy write it anew (trivy image --format json)"
        }
        () => return None,
    })
}

/// A field that is a short text; else an empty one.
fn text<'a>(fields: &Fields<'a>, field: &str) -> Cow<'a, str> {
    let read = |raw: &&'a serde_json::value::RawValue| serde_json::from_str::<Text<'a>>(raw.get()).ok();
    fields.get(field).and_then(read).unwrap_or_default().0
}
