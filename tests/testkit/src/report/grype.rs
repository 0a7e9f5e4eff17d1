//! `grype -o json`, as 0.110.0 writes it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::scan::Scan;
use super::{Finding, told};
use crate::digest;

/// A report of Grype, which names index, manifest and configuration, each where it is known.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct GrypeReport {
    pub(super) scan: Scan,
    only_fixed: bool,
    built: Option<String>,
}

told!(GrypeReport);

impl GrypeReport {
    /// With `--only-fixed`: the configuration in the report says so. What has no fix belongs to the suppressed then.
    pub fn only_fixed(self) -> Self {
        Self { only_fixed: true, ..self }
    }

    /// When its database was built; else at the time of the scan.
    pub fn database_built(self, time: &str) -> Self {
        Self { built: Some(time.to_owned()), ..self }
    }

    pub(super) fn value(&self) -> Value {
        let scan = &self.scan;
        let matches = |findings: &[Finding]| findings.iter().map(|finding| self.found(finding)).collect::<Vec<_>>();
        let distro = if scan.packages {
            json!({"name": "alpine", "version": "3.20.3", "idLike": []})
        } else {
            json!({"name": "", "version": "", "idLike": null})
        };
        let mut report = json!({
            "matches": matches(&scan.findings),
            "source": {"type": "image", "target": self.target()},
            "distro": distro,
            "descriptor": self.descriptor(),
        });
        if !scan.suppressed.is_empty() {
            let mut ignored = matches(&scan.suppressed);
            for (entry, finding) in ignored.iter_mut().zip(&scan.suppressed) {
                entry["appliedIgnoreRules"] = if self.only_fixed {
                    json!([{"namespace": "", "fix-state": entry["vulnerability"]["fix"]["state"]}])
                } else {
                    json!([{"vulnerability": finding.id, "reason": "accepted", "namespace": "", "fix-state": ""}])
                };
            }
            report["ignoredMatches"] = json!(ignored);
        }
        report
    }

    fn target(&self) -> Value {
        let scan = &self.scan;
        let (os, architecture) = scan.os_and_architecture();
        let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        json!({
            "userInput": scan.name,
            "imageID": scan.config.as_deref().unwrap_or_default(),
            "manifestDigest": scan.manifest.as_deref().unwrap_or_default(),
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "tags": [],
            "imageSize": 2290,
            "layers": [{"mediaType": layer_type, "digest": scan.diff_id(), "size": 2118}],
            "manifest": BASE64_STANDARD.encode(r#"{"schemaVersion":2}"#),
            "config": BASE64_STANDARD.encode(json!({"architecture": architecture, "os": os}).to_string()),
            "repoDigests": scan.repo_digests(),
            "architecture": architecture,
            "os": os,
            "labels": {"org.opencontainers.image.title": "image"},
        })
    }

    fn descriptor(&self) -> Value {
        let built = self.built.as_ref().unwrap_or(&self.scan.at);
        json!({
            "name": "grype",
            "version": "0.110.0",
            "configuration": {
                "output": ["json"],
                "file": "",
                "only-fixed": self.only_fixed,
                "only-notfixed": false,
                "ignore-wontfix": "",
                "platform": "",
                "search": {"scope": "squashed", "unindexed-archives": false, "indexed-archives": true},
                "ignore": [],
                "exclude": [],
                "fail-on-severity": "",
                "registry": {"insecure-skip-tls-verify": false, "insecure-use-http": false, "ca-cert": ""},
                "show-suppressed": false,
                "by-cve": false,
                "vex-documents": [],
                "db": {"cache-dir": "grypedb", "auto-update": false, "max-allowed-built-age": 432_000_000_000_000_u64},
            },
            "db": {
                "status": {
                    "schemaVersion": "v6.1.4",
                    "from": "made for tests",
                    "built": built,
                    "path": "grypedb/6/vulnerability.db",
                    "valid": true,
                },
                "providers": {"alpine": {"captured": built, "input": "xxh64:0000000000000000"}},
            },
            "timestamp": self.scan.at,
        })
    }

    fn found(&self, finding: &Finding) -> Value {
        let Finding { id, aliases, package, installed, score, .. } = finding;
        let severity = capitalised(&finding.severity);
        let related = aliases.iter().map(|alias| {
            json!({
                "id": alias,
                "dataSource": format!("https://nvd.nist.gov/vuln/detail/{alias}"),
                "namespace": "nvd:cpe",
                "severity": severity,
                "urls": [],
                "cvss": [],
            })
        });
        let cvss = score.iter().map(|score| {
            json!({
                "source": "nvd@nist.gov",
                "type": "Primary",
                "version": "3.1",
                "vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                "metrics": {"baseScore": score, "exploitabilityScore": 3.9, "impactScore": 5.9},
                "vendorMetadata": {},
            })
        });
        json!({
            "vulnerability": {
                "id": id,
                "dataSource": format!("https://example.org/alpine/{id}"),
                "namespace": "alpine:distro:alpine:3.20",
                "severity": severity,
                "urls": [],
                "cvss": cvss.collect::<Vec<_>>(),
                "fix": fix(finding),
                "advisories": [],
                "risk": 0.5,
            },
            "relatedVulnerabilities": related.collect::<Vec<_>>(),
            "matchDetails": [{
                "type": "exact-direct-match",
                "matcher": "apk-matcher",
                "searchedBy": {"distro": {"type": "alpine", "version": "3.20.3"}, "package": {"name": package, "version": installed}},
                "found": {"vulnerabilityID": id, "versionConstraint": "< 999 (apk)"},
            }],
            "artifact": {
                "id": &digest(format!("{package} {installed}"))[7..23],
                "name": package,
                "version": installed,
                "type": "apk",
                "locations": [{"path": "/lib/apk/db/installed", "layerID": self.scan.diff_id()}],
                "language": "",
                "licenses": ["MIT"],
                "cpes": [],
                "purl": format!("pkg:apk/alpine/{package}@{installed}?arch=x86_64&distro=alpine-3.20.3"),
                "upstreams": [],
            },
        })
    }
}

fn fix(finding: &Finding) -> Value {
    match &finding.fixed {
        None if finding.will_not_be_fixed => json!({"versions": [], "state": "wont-fix"}),
        None => json!({"versions": [], "state": "not-fixed"}),
        Some(version) => {
            let mut fix = json!({"versions": [version], "state": "fixed"});
            if let Some(day) = &finding.fixed_on {
                fix["available"] = json!([{"version": version, "date": day, "kind": "first-observed"}]);
            }
            fix
        }
    }
}

/// `HIGH` as `High`.
fn capitalised(word: &str) -> String {
    let word = word.to_ascii_lowercase();
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
