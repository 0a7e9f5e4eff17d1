//! `VulnerabilityReport` and `ClusterVulnerabilityReport` of trivy-operator.

use serde_json::{Value, json};

use super::Finding;
use super::scan::Scan;

/// An object of trivy-operator about one container's image. JSON is YAML, so it is a manifest as it is.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct OperatorReport {
    scan: Scan,
    name: String,
    namespace: Option<String>,
}

impl OperatorReport {
    /// A `VulnerabilityReport` of this namespace and name about an image (`HOST/REPOSITORY:TAG`), clean, of an hour ago.
    pub fn of(image: &str, namespace: &str, name: &str) -> Self {
        Self { scan: Scan::of(image), name: name.to_owned(), namespace: Some(namespace.to_owned()) }
    }

    /// A `ClusterVulnerabilityReport`.
    pub fn of_cluster(image: &str, name: &str) -> Self {
        Self { scan: Scan::of(image), name: name.to_owned(), namespace: None }
    }

    /// `report.artifact.digest`: of what the kubelet pulled, an index or a manifest.
    pub fn digest(mut self, digest: &str) -> Self {
        self.scan.manifest = Some(digest.to_owned());
        self
    }

    /// `report.updateTimestamp`: any text.
    pub fn scanned_at(mut self, time: &str) -> Self {
        time.clone_into(&mut self.scan.at);
        self
    }

    /// One more finding.
    pub fn finding(mut self, finding: Finding) -> Self {
        self.scan.findings.push(finding);
        self
    }

    /// The object, for a file of `--manifests`.
    #[must_use]
    pub fn yaml(&self) -> String {
        format!("{:#}\n", self.value())
    }

    fn value(&self) -> Value {
        let kind = if self.namespace.is_some() { "VulnerabilityReport" } else { "ClusterVulnerabilityReport" };
        let mut metadata = json!({
            "annotations": {"trivy-operator.aquasecurity.github.io/report-ttl": "24h0m0s"},
            "creationTimestamp": self.scan.at,
            "generation": 1,
            "labels": {
                "resource-spec-hash": "fc85b485f",
                "trivy-operator.container.name": "app",
                "trivy-operator.resource.kind": "ReplicaSet",
                "trivy-operator.resource.name": "app-965685897",
            },
            "name": self.name,
            "resourceVersion": "1293",
            "uid": "b21503db-3075-4bb5-a259-aa33dbbaef4c",
        });
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
            metadata["labels"]["trivy-operator.resource.namespace"] = json!(namespace);
        }
        json!({"apiVersion": "aquasecurity.github.io/v1alpha1", "kind": kind, "metadata": metadata, "report": self.report()})
    }

    fn report(&self) -> Value {
        let scan = &self.scan;
        let (server, path) = scan.repository().split_once('/').unwrap_or(("index.docker.io", scan.repository()));
        let mut artifact = json!({"repository": path});
        let tag = scan.name.strip_prefix(scan.repository()).and_then(|rest| rest.strip_prefix(':'));
        if let Some(tag) = tag {
            artifact["tag"] = json!(tag.split('@').next());
        }
        if let Some(digest) = &scan.manifest {
            artifact["digest"] = json!(digest);
        }
        let count = |word: &str| scan.findings.iter().filter(|its| its.severity.eq_ignore_ascii_case(word)).count();
        json!({
            "artifact": artifact,
            "os": {"family": "alpine", "name": "3.20.3"},
            "registry": {"server": server},
            "scanner": {"name": "Trivy", "vendor": "Aqua Security", "version": "0.76.0"},
            "summary": {
                "criticalCount": count("critical"),
                "highCount": count("high"),
                "mediumCount": count("medium"),
                "lowCount": count("low"),
                "noneCount": 0,
                "unknownCount": count("unknown"),
            },
            "updateTimestamp": scan.at,
            "vulnerabilities": scan.findings.iter().map(vulnerability).collect::<Vec<_>>(),
        })
    }
}

fn vulnerability(finding: &Finding) -> Value {
    let mut all = json!({
        "vulnerabilityID": finding.id,
        "resource": finding.package,
        "installedVersion": finding.installed,
        "fixedVersion": finding.fixed.as_deref().unwrap_or_default(),
        "severity": finding.severity.to_ascii_uppercase(),
        "title": format!("{}: example advisory text", finding.id),
        "primaryLink": format!("https://avd.aquasec.com/nvd/{}", finding.id.to_ascii_lowercase()),
        "links": [],
        "target": "",
    });
    if let Some(score) = finding.score {
        all["score"] = json!(score);
    }
    all
}
