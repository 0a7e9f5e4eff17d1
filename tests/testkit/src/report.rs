//! Scan reports as the tools write them, without the tools: of Trivy 0.76, of Grype 0.110, and trivy-operator's objects.
//!
//! What is made here has the shape of real reports, with the fields that do not matter too; the same description is always
//! the same bytes, but for the time of the scan where none is given (an hour ago). What a report says may be a lie: it says
//! what it is told, and nothing here compares it with an image.
//!
//! ```
//! use pratique_testkit::report::{Finding, GrypeReport, TrivyReport};
//! use pratique_testkit::signer::{Key, KeyKind, Signer, Version};
//!
//! let digest = pratique_testkit::DIGEST;
//! let xz = Finding::new("CVE-2024-3094").severity("CRITICAL").package("xz", "5.6.0").fixed("5.6.2");
//! let report = TrivyReport::of("registry.test/acme/web:1.4.2").manifest(digest).finding(xz.clone());
//! assert!(String::from_utf8(report.json()).unwrap().contains("CVE-2024-3094"));
//!
//! // A clean one of Grype, whose findings were left out by a rule of its configuration:
//! let clean = GrypeReport::of("registry.test/acme/web:1.4.2").manifest(digest).suppressed(xz);
//!
//! // `cosign attest --type vuln`; `.attach(&registry, "acme/web", digest, Place::Referrer)` puts it on the image:
//! let layer = Signer::key(&Key::generate(KeyKind::P256)).bundle(Version::V03, &clean.attested(digest));
//! assert!(!layer.bytes.is_empty());
//! ```

mod attested;
mod finding;
mod grype;
mod operator;
mod scan;
mod trivy;

#[cfg(test)]
mod tests;

pub use attested::{COSIGN_VULN, IN_TOTO_VULNS, cosign_vuln, in_toto_vulns};
pub use finding::Finding;
pub use grype::GrypeReport;
pub use operator::OperatorReport;
pub use trivy::TrivyReport;

/// What the reports of all tools can be told alike.
macro_rules! told {
    ($name:ident) => {
        impl $name {
            /// Of an image of linux/amd64 that was asked for by this name, scanned an hour ago and found clean. It names
            /// no digest yet.
            pub fn of(name: &str) -> Self {
                Self { scan: super::scan::Scan::of(name), ..Self::default() }
            }

            /// Of one platform of what is pushed to `name` (`HOST/REPOSITORY:TAG`), with all digests that the tool says.
            pub fn of_image(name: &str, image: &crate::Image, platform: &str) -> Self {
                let scan = super::scan::Scan::of_image(name, image, platform);
                Self { scan, ..Self::default() }
            }

            /// The image was asked for by a tag that is an index of this digest.
            pub fn index(mut self, digest: &str) -> Self {
                self.scan.index = Some(digest.to_owned());
                self
            }

            /// The digest of the platform's own manifest, which is what was asked for where there is no index.
            pub fn manifest(mut self, digest: &str) -> Self {
                self.scan.manifest = Some(digest.to_owned());
                self
            }

            /// The digest of its configuration: the image ID.
            pub fn config(mut self, digest: &str) -> Self {
                self.scan.config = Some(digest.to_owned());
                self
            }

            /// `os/architecture`, with `/variant` where there is one; empty where the report is to say nothing.
            pub fn platform(mut self, platform: &str) -> Self {
                self.scan.platform = platform.to_owned();
                self
            }

            /// Another name of the image.
            pub fn name(mut self, name: &str) -> Self {
                self.scan.name = name.to_owned();
                self
            }

            /// When it was scanned: any text; RFC 3339 if it is to be right.
            pub fn scanned_at(mut self, time: &str) -> Self {
                self.scan.at = time.to_owned();
                self
            }

            /// One more finding.
            pub fn finding(mut self, finding: super::Finding) -> Self {
                self.scan.findings.push(finding);
                self
            }

            /// One more that the tool was told to leave out, and says so.
            pub fn suppressed(mut self, finding: super::Finding) -> Self {
                self.scan.suppressed.push(finding);
                self
            }

            /// There was nothing in the image that the tool knows: no distribution and no package.
            pub fn without_packages(mut self) -> Self {
                self.scan.packages = false;
                self
            }

            /// The report, as a file of the tool has it.
            #[must_use]
            pub fn json(&self) -> Vec<u8> {
                self.text().into_bytes()
            }

            /// The same as text, as [`Directory::write`](crate::Directory::write) takes it.
            #[must_use]
            pub fn text(&self) -> String {
                format!("{:#}\n", self.value())
            }

            /// What `cosign attest --type vuln` says of the image of this digest with this report within.
            pub fn attested(&self, digest: &str) -> crate::signer::Statement {
                let predicate = super::cosign_vuln(&self.value(), &self.scan.at);
                crate::signer::Statement::about(digest, super::COSIGN_VULN).v01().predicate(predicate)
            }
        }
    };
}
use told;
