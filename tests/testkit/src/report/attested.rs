//! Predicates of in-toto statements that carry a report.

use serde_json::{Value, json};

/// Of `cosign attest --type vuln`.
pub const COSIGN_VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";
/// The in-toto attestation framework's own, in its newest version.
pub const IN_TOTO_VULNS: &str = "https://in-toto.io/attestation/vulns/v0.2";

/// The predicate that `trivy image --format cosign-vuln` writes, with any report as its result.
#[must_use]
pub fn cosign_vuln(report: &Value, finished: &str) -> Value {
    json!({
        "invocation": {"parameters": null, "uri": "", "event_id": "", "builder.id": ""},
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy@0.76.0",
            "version": "0.76.0",
            "db": {"uri": "", "version": ""},
            "result": report,
        },
        "metadata": {"scanStartedOn": finished, "scanFinishedOn": finished},
    })
}

/// A predicate of the type [`IN_TOTO_VULNS`], whose `scanner.result` is a list of identifiers and severities (a report
/// wherever somebody put one there).
#[must_use]
pub fn in_toto_vulns(result: &Value, finished: &str) -> Value {
    json!({
        "scanner": {"uri": "pkg:github/aquasecurity/trivy@0.76.0", "version": "0.76.0", "db": {}, "result": result},
        "metadata": {"scanStartedOn": finished, "scanFinishedOn": finished},
    })
}
