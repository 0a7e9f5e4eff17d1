//! The webhook configuration, and the settings that it has to fit.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;

use crate::controller::Names;
use crate::controller::registration::{IMAGES, Unlabelled, expected, opens, weaknesses};
use crate::policy::document::wording::quoted;

use super::super::Settings;
use super::super::asked::DEPLOYMENT;
use super::super::line::Line;

/// What says in each of our objects from which version it is.
const VERSION: &str = "app.kubernetes.io/version";
const OURS: &str = env!("CARGO_PKG_VERSION");

/// What is known of the settings, where that is worth a line.
pub(in super::super) fn settings(settings: &Settings) -> Vec<Line> {
    match settings {
        Settings::Known(config) if config.dry_run => {
            let words = "dryRun is true, so nothing is refused anywhere, whatever labels say: take it out once you have seen \
                         enough";
            vec![Line::warning("settings", words.to_owned())]
        }
        Settings::Known(_) => Vec::new(),
        Settings::Unknown(why) => {
            let words = format!("not looked at, so defaults, floor and exempt namespaces are not known here: {why}");
            vec![Line::warning("settings", words)]
        }
    }
}

/// Where it asks a Service of another namespace than the one looked at, which has no Deployment of ours: what would be said of
/// it, and to do, would be wrong.
pub(in super::super) fn of_another_namespace(live: &ValidatingWebhookConfiguration, names: &Names) -> Option<Line> {
    let entry = live.webhooks.iter().flatten().find(|webhook| webhook.name == IMAGES)?;
    let other = &entry.client_config.service.as_ref()?.namespace;
    if *other == names.namespace {
        return None;
    }
    let (name, other) = (quoted(&names.webhook_configuration), quoted(other));
    let words = format!(
        "{name} asks a Service in {other}, and there is no Deployment {DEPLOYMENT} in {}, so nothing was looked at: add \
         --namespace with the one where Pratique is installed",
        names.namespace
    );
    Some(Line::unknown("namespace", words))
}

/// Whether it is there and asks everything.
pub(in super::super) fn lines(
    live: Option<&ValidatingWebhookConfiguration>,
    names: &Names,
    settings: &Settings,
) -> Vec<Line> {
    // What cannot be known is said below.
    let unlabelled = settings.known().map_or(Unlabelled::Free, Unlabelled::of);
    let weaknesses = weaknesses(&expected(names), live, names, unlabelled);
    let mut lines: Vec<Line> =
        weaknesses.into_iter().map(|weakness| Line::wrong("configuration", weakness.words)).collect();
    let Some(live) = live else { return lines };
    let opens = live.webhooks.iter().flatten().any(opens);
    if lines.is_empty() {
        let refused = if opens { "in namespaces with the label pratique.dev/enforce" } else { "everywhere" };
        let name = quoted(&names.webhook_configuration);
        let words = format!("{name} asks about all that it must, and what cannot be asked is refused {refused}");
        lines.push(Line::ok("configuration", words));
    }
    if opens && settings.known().is_none() {
        let words = "it lets in what cannot be asked where there is no label, which is well only where the settings have \
                     neither `defaults.enforce` nor `floor`: name them with --config";
        lines.push(Line::warning("configuration", words.to_owned()));
    }
    let version = live.metadata.labels.as_ref().and_then(|labels| labels.get(VERSION));
    match version.map(String::as_str) {
        Some(OURS) => lines.push(Line::ok("version", format!("{OURS} is installed, and this program is the same"))),
        Some(other) => {
            let words = format!(
                "{} is installed, and this program, which compares it with what {OURS} needs, is not: use the same version",
                quoted(other)
            );
            lines.push(Line::warning("version", words));
        }
        None => {}
    }
    lines
}
