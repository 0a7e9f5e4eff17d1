//! `trivy image --format json`, as 0.76.0 writes it (schema 2).

use serde_json::{Value, json};

use super::scan::Scan;
use super::{Finding, told};
use crate::digest;

/// A report of Trivy. Where an index was asked for, Trivy says its digest and nowhere that of the platform's manifest.
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use]
pub struct TrivyReport {
    pub(super) scan: Scan,
    unlisted: bool,
    secrets_alone: bool,
}

told!(TrivyReport);

impl TrivyReport {
    /// With `--list-all-pkgs=false`, as before 0.70: packages are not listed.
    pub fn without_list(self) -> Self {
        Self { unlisted: true, ..self }
    }

    /// With `--scanners secret`: packages are listed, and no vulnerability was looked for. No report says so.
    pub fn secrets_alone(self) -> Self {
        Self { secrets_alone: true, ..self }
    }

    pub(super) fn value(&self) -> Value {
        let scan = &self.scan;
        let id = digest(format!("{} {}", scan.name, scan.at));
        let hex = |from: usize, to: usize| &id[7 + from..7 + to];
        let mut report = json!({
            "SchemaVersion": 2,
            "Trivy": {"Version": "0.76.0"},
            "ReportID": format!("{}-{}-7{}-b{}-{}", hex(0, 8), hex(8, 12), hex(13, 16), hex(17, 20), hex(20, 32)),
            "CreatedAt": scan.at,
            "ArtifactID": digest(format!("artifact {}", scan.name)),
            "ArtifactName": scan.name,
            "ArtifactType": "container_image",
            "Metadata": self.metadata(),
        });
        if scan.packages {
            report["Results"] = json!([self.result()]);
        }
        report
    }

    fn metadata(&self) -> Value {
        let scan = &self.scan;
        let (os, architecture) = scan.os_and_architecture();
        let mut layer = scan.layer();
        layer["Size"] = json!(10240);
        let mut metadata = json!({
            "Size": 10240,
            "DiffIDs": [scan.diff_id()],
            "Layers": [layer],
            "ImageConfig": {
                "architecture": architecture,
                "created": "2026-10-01T00:00:00Z",
                "history": [{"created": "2026-10-01T00:00:00Z", "created_by": "layer 0"}],
                "os": os,
                "rootfs": {"type": "layers", "diff_ids": [scan.diff_id()]},
                "config": {"Env": ["PATH=/usr/bin:/bin"], "Labels": {"org.opencontainers.image.title": "image"}},
            },
        });
        if let Some(variant) = scan.variant() {
            metadata["ImageConfig"]["variant"] = json!(variant);
        }
        if scan.packages {
            metadata["OS"] = json!({"Family": "alpine", "Name": "3.20.3"});
        }
        if let Some(config) = &scan.config {
            metadata["ImageID"] = json!(config);
        }
        // Neither where a layout on disk was scanned.
        if scan.asked().is_some() {
            metadata["RepoDigests"] = json!(scan.repo_digests());
            metadata["Reference"] = json!(scan.name);
            if !scan.name.contains('@') {
                metadata["RepoTags"] = json!([scan.name]);
            }
        }
        metadata
    }

    fn result(&self) -> Value {
        let scan = &self.scan;
        let mut result =
            json!({"Target": format!("{} (alpine 3.20.3)", scan.name), "Class": "os-pkgs", "Type": "alpine"});
        if !self.unlisted {
            let packages = scan.installed();
            result["Packages"] = packages.iter().map(|(name, version)| self.package(name, version)).collect();
        }
        if self.secrets_alone {
            return result;
        }
        if !scan.findings.is_empty() {
            result["Vulnerabilities"] = scan.findings.iter().map(|finding| self.vulnerability(finding)).collect();
        }
        if !scan.suppressed.is_empty() {
            let modified = |finding| {
                json!({
                    "Type": "vulnerability",
                    "Status": "ignored",
                    "Statement": "",
                    "Source": ".trivyignore",
                    "Finding": self.vulnerability(finding),
                })
            };
            result["ExperimentalModifiedFindings"] = scan.suppressed.iter().map(modified).collect();
        }
        result
    }

    fn package(&self, name: &str, version: &str) -> Value {
        json!({
            "ID": format!("{name}@{version}"),
            "Name": name,
            "Identifier": identifier(name, version),
            "Version": version,
            "Arch": "x86_64",
            "SrcName": name,
            "SrcVersion": version,
            "Licenses": ["MIT"],
            "Maintainer": "Example <dev@example.org>",
            "Layer": self.scan.layer(),
            "AnalyzedBy": "apk",
        })
    }

    fn vulnerability(&self, finding: &Finding) -> Value {
        let Finding { id, aliases, package, installed, fixed, will_not_be_fixed, score, .. } = finding;
        let severity = finding.severity.to_ascii_uppercase();
        let status = match (fixed, will_not_be_fixed) {
            (Some(_), _) => "fixed",
            (None, true) => "will_not_fix",
            (None, false) => "affected",
        };
        let mut all = json!({
            "VulnerabilityID": id,
            "PkgID": format!("{package}@{installed}"),
            "PkgName": package,
            "PkgIdentifier": identifier(package, installed),
            "InstalledVersion": installed,
            "Status": status,
            "Layer": self.scan.layer(),
            "PrimaryURL": format!("https://avd.aquasec.com/nvd/{}", id.to_ascii_lowercase()),
            "DataSource": {"ID": "alpine", "Name": "Alpine Secdb", "URL": "https://secdb.alpinelinux.org/"},
            "Fingerprint": digest(format!("{id} {package} {installed}")),
            "Title": format!("{id}: example advisory text"),
            "Description": "Written for tests.",
            "Severity": severity,
            "CweIDs": ["CWE-79"],
            "References": [format!("https://example.org/advisory/{id}")],
            "PublishedDate": "2026-01-01T00:00:00Z",
            "LastModifiedDate": "2026-04-01T12:00:00Z",
        });
        if let Some(fixed) = fixed {
            all["FixedVersion"] = json!(fixed);
        }
        if !aliases.is_empty() {
            all["VendorIDs"] = json!(aliases);
        }
        let levels = ["UNKNOWN", "LOW", "MEDIUM", "HIGH", "CRITICAL"];
        if let Some(level @ 1..) = levels.iter().position(|word| *word == severity) {
            all["SeveritySource"] = json!("nvd");
            all["VendorSeverity"] = json!({"nvd": level});
        }
        if let Some(score) = score {
            let vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
            all["CVSS"] = json!({"nvd": {"V3Vector": vector, "V3Score": score}});
        }
        all
    }
}

fn identifier(name: &str, version: &str) -> Value {
    let purl = format!("pkg:apk/alpine/{name}@{version}?arch=x86_64&distro=3.20.3");
    let uid = digest(&purl)[7..23].to_owned();
    json!({"PURL": purl, "UID": uid})
}
