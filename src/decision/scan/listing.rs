//! Which report an image was judged by, for `check`, the log and the annotations.

use std::sync::Arc;

use crate::fact::report::{ScannedManifest, ScannerKind};
use crate::policy::scan::{Judged, JudgedReport};
use crate::request::printable;

use super::super::verdict::{ReportVerdict, ScanState};
use super::{Case, Doubt, words};

/// Bytes of a reason in a list.
const WHY: usize = 300;

pub(super) fn of(
    case: &Case<'_>,
    manifest: &ScannedManifest,
    judged: &Judged<'_>,
    doubt: Option<Doubt<'_>>,
    list: &mut Vec<ReportVerdict>,
) {
    list.extend(judged.reports.iter().map(|report| of_report(case, manifest, report)));
    if let Some(doubt) = doubt {
        let why = match doubt {
            Doubt::Registry(trouble) | Doubt::Reports(trouble) => printable(&trouble.words, WHY),
            Doubt::Pending => "it is still being looked up".to_owned(),
        };
        list.push(ReportVerdict { why: Some(why), ..none(manifest, ScanState::Pending, None) });
        return;
    }
    for (origin, place, unusable) in &judged.unusable {
        let why = format!("{}: {}", unusable.defect, printable(&unusable.words, WHY));
        let outline = unusable.outline.as_deref();
        list.push(ReportVerdict {
            origin: Some(*origin),
            place: Some(Arc::clone(place)),
            scanner: outline.map(|outline| Arc::clone(&outline.scanner.name)),
            scanner_version: outline.and_then(|outline| outline.scanner.version.as_deref().map(str::to_owned)),
            scanned_at: outline.and_then(|outline| outline.scanned_at),
            why: Some(why),
            ..none(manifest, ScanState::Failed, None)
        });
    }
    if judged.unusable.is_empty() && judged.is_missing() {
        let missing = |scanner| none(manifest, ScanState::Missing, scanner);
        if judged.lacking.is_empty() {
            list.push(missing(None));
        }
        list.extend(judged.lacking.iter().map(|scanner| missing(Some(*scanner))));
    }
}

fn none(manifest: &ScannedManifest, state: ScanState, scanner: Option<ScannerKind>) -> ReportVerdict {
    ReportVerdict {
        digest: manifest.digest.clone(),
        platform: manifest.platform.as_ref().map(|platform| printable(&platform.to_string(), 80)),
        state,
        origin: None,
        place: None,
        scanner: scanner.map(|scanner| scanner.label().into()),
        scanner_version: None,
        scanned_at: None,
        counts: None,
        waived: 0,
        why: None,
    }
}

fn of_report(case: &Case<'_>, manifest: &ScannedManifest, report: &JudgedReport<'_>) -> ReportVerdict {
    let outline = &report.sourced.report.outline;
    let state = if report.stale { ScanState::Stale } else { ScanState::Fresh };
    let why = match (&report.over, report.refused.is_empty(), report.stale) {
        (_, false, _) => Some(words::refused(manifest, report)),
        (Some(over), true, _) => Some(words::vulnerable(case, manifest, report, over)),
        (None, true, true) => Some(words::stale(case, manifest, report)),
        (None, true, false) => None,
    };
    ReportVerdict {
        origin: Some(report.sourced.origin),
        place: Some(Arc::clone(&report.sourced.place)),
        scanner: Some(Arc::clone(&outline.scanner.name)),
        scanner_version: outline.scanner.version.as_deref().map(str::to_owned),
        scanned_at: outline.scanned_at,
        counts: Some(report.sourced.report.findings.counts()),
        waived: report.waived,
        why,
        ..none(manifest, state, None)
    }
}
