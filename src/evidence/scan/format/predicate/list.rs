//! The findings that in-toto's `vulns` lists itself: an identifier, and severities by whatever method. No package.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::finding::push;
use super::super::json::{Text, each, field, fields_of};
use super::severity::{Rated, rated};
use crate::fact::report::{Finding, FindingsBuilder, Fix, Unusable};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Vulnerability<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    severity: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Rating<'a> {
    #[serde(borrow)]
    score: Option<&'a RawValue>,
}

pub(super) fn read(findings: &mut FindingsBuilder, list: &RawValue) -> Result<(), Unusable> {
    each(list, "result", |its: Vulnerability<'_>| {
        let Rated { severity, score } = its.severity.map(worst).transpose()?.unwrap_or_default();
        let finding = Finding {
            id: &its.id.0,
            aliases: "",
            severity,
            package: "",
            installed: "",
            fixed: "",
            fix: Fix::Unknown,
            fixed_since: None,
            score,
            suppressed: false,
        };
        push(findings, finding)
    })
}

/// The worst of them: nothing says whose counts. Version 0.1 has a list, and some wrote one rating by itself.
fn worst(raw: &RawValue) -> Result<Rated, Unusable> {
    if raw.get().starts_with('{') {
        let fields = fields_of(raw, "severity")?;
        return Ok(field::<Option<&RawValue>>(&fields, "score")?.map(rated).unwrap_or_default());
    }
    let mut worst = Rated::default();
    each(raw, "severity", |its: Rating<'_>| {
        let its = its.score.map(rated).unwrap_or_default();
        worst = Rated { severity: worst.severity.max(its.severity), score: worst.score.max(its.score) };
        Ok(())
    })?;
    Ok(worst)
}
