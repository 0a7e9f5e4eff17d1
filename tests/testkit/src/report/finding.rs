//! A finding, before a tool words it.

/// One vulnerability in one package: of severity `HIGH`, in `xz` 5.6.0, without a fix, until it is told otherwise.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Finding {
    pub(super) id: String,
    pub(super) aliases: Vec<String>,
    pub(super) severity: String,
    pub(super) package: String,
    pub(super) installed: String,
    pub(super) fixed: Option<String>,
    pub(super) fixed_on: Option<String>,
    pub(super) will_not_be_fixed: bool,
    pub(super) score: Option<f64>,
}

impl Finding {
    /// `CVE-2026-0001`, or any other text.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            aliases: Vec::new(),
            severity: "HIGH".to_owned(),
            package: "xz".to_owned(),
            installed: "5.6.0".to_owned(),
            fixed: None,
            fixed_on: None,
            will_not_be_fixed: false,
            score: None,
        }
    }

    /// One more identifier of the same.
    pub fn alias(mut self, id: &str) -> Self {
        self.aliases.push(id.to_owned());
        self
    }

    /// In any case: each tool writes it in its own.
    pub fn severity(self, severity: &str) -> Self {
        Self { severity: severity.to_owned(), ..self }
    }

    /// Where it is, and in which version.
    pub fn package(self, name: &str, installed: &str) -> Self {
        Self { package: name.to_owned(), installed: installed.to_owned(), ..self }
    }

    /// There is a fix, in this version.
    pub fn fixed(self, version: &str) -> Self {
        Self { fixed: Some(version.to_owned()), ..self }
    }

    /// The day since which there is the fix (`2026-02-11`), which Grype alone says.
    pub fn fixed_on(self, day: &str) -> Self {
        Self { fixed_on: Some(day.to_owned()), ..self }
    }

    /// The distribution says that it will not fix it.
    pub fn will_not_be_fixed(self) -> Self {
        Self { will_not_be_fixed: true, ..self }
    }

    /// A CVSS base score, by NVD.
    pub fn score(self, score: f64) -> Self {
        Self { score: Some(score), ..self }
    }
}
