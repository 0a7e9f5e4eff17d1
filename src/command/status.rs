//! `pratique status`: whether everything in a cluster is as it should be, one line for each thing looked at.
//!
//! It asks the API server, and the webhook itself as the API server does, and changes nothing. What was found is plain data;
//! what to think of it is decided in [`verdict`] alone. What cannot be looked at is said, and is never taken to be well.

use std::collections::BTreeSet;
use std::process::ExitCode;

use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;

use crate::args::{Output, Status};
use crate::config::Config;
use crate::controller::Names;
use crate::evidence::cluster::own_namespace;
use crate::evidence::registry::outbound::Surroundings;
use crate::fact::Labels;
use crate::policy::document::Mistake;

use asked::{Api, Listed, Unasked};
use called::{Place, Webhook};
use line::{Level, Line};

mod asked;
mod called;
mod canned;
mod connect;
mod line;
mod verdict;

/// The exit status where something is wrong.
const WRONG: u8 = 1;

/// What the settings of the cluster are.
#[derive(Debug)]
enum Settings {
    Known(Box<Config>),
    /// Why nobody can tell here.
    Unknown(String),
}

impl Settings {
    fn known(&self) -> Option<&Config> {
        match self {
            Self::Known(config) => Some(config),
            Self::Unknown(_) => None,
        }
    }
}

pub(super) fn run(status: &Status) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            super::complain(&[Mistake::about("status", format!("cannot start: {error}"))]);
            return ExitCode::from(super::NO_ANSWER);
        }
    };
    let lines = match runtime.block_on(look(status)) {
        Ok(lines) => lines,
        Err(mistakes) => {
            super::complain(&mistakes);
            return ExitCode::from(super::NO_ANSWER);
        }
    };
    super::print(&match status.output {
        Output::Text => line::text(&lines),
        Output::Json => line::json(&lines),
    });
    ExitCode::from(match line::worst(&lines) {
        Level::Ok | Level::Warning => 0,
        Level::Wrong => WRONG,
        Level::Unknown => super::NO_ANSWER,
    })
}

/// Looks at everything, one after the other. The error: nothing can be looked at.
async fn look(status: &Status) -> Result<Vec<Line>, Vec<Mistake>> {
    let given = match &status.config {
        Some(path) => Some(super::settings(Some(path))?.0),
        None => None,
    };
    let client = connect::open(status.kubeconfig.as_deref()).await.map_err(|mistake| vec![mistake])?;
    let namespace = status.namespace.clone().unwrap_or_else(own_namespace);
    let api = Api::new(client, namespace.clone());
    // Whoever does not answer once is not asked again and again.
    let away = |words: String| Ok(vec![Line::unknown("API server", words)]);
    let deployment = match api.deployment().await {
        Err(Unasked::Away(words)) => return away(words),
        Err(Unasked::Not(words)) => Err(words),
        Ok(deployment) => Ok(deployment),
    };
    let settings = match settings(given, &api, &deployment).await {
        Ok(settings) => settings,
        Err(words) => return away(words),
    };
    let names = names(status, namespace, settings.known());
    let live = match api.configuration(&names.webhook_configuration).await {
        Err(Unasked::Away(words)) => return away(words),
        Err(Unasked::Not(words)) => Err(words),
        Ok(live) => Ok(live),
    };
    if let (Ok(Some(live)), Ok(None)) = (&live, &deployment)
        && let Some(line) = verdict::configuration::of_another_namespace(live, &names)
    {
        return Ok(vec![line]);
    }
    let mut lines = verdict::configuration::settings(&settings);
    match &live {
        Ok(live) => lines.extend(verdict::configuration::lines(live.as_ref(), &names, &settings)),
        Err(words) => lines.push(Line::unknown("configuration", words.clone())),
    }
    let policies = api.policies().await;
    let namespaces = api.namespaces().await;
    let asked = webhook(status, &names, &settings, live.ok().flatten().as_ref(), &policies, &namespaces).await;
    let answered = asked.iter().any(|line| line.about == "webhook" && line.level == Level::Ok);
    lines.extend(verdict::replicas::line(&deployment, answered, settings.known().is_some(), &names.namespace));
    lines.extend(asked);
    lines.extend(objects(&settings, &names, policies, namespaces));
    lines.push(match api.lease(&names.lease()).await {
        Ok(record) => verdict::objects::lease(record.as_ref(), Timestamp::now()),
        Err(unasked) => Line::warning("lease", format!("not looked at: {}", unasked.words())),
    });
    Ok(lines)
}

/// Those that were given, or else those of the cluster. The error: there is no API server that answers.
async fn settings(given: Option<Config>, api: &Api, deployment: &Found) -> Result<Settings, String> {
    let deployment = match (given, deployment) {
        (Some(config), _) => return Ok(Settings::Known(Box::new(config))),
        (None, Err(words)) => return Ok(Settings::Unknown(words.clone())),
        (None, Ok(deployment)) => deployment,
    };
    match api.settings(deployment.as_ref()).await {
        Err(Unasked::Away(words)) => Err(words),
        Err(Unasked::Not(words)) => Ok(Settings::Unknown(words)),
        Ok(config) => Ok(Settings::Known(config)),
    }
}

fn names(status: &Status, namespace: String, settings: Option<&Config>) -> Names {
    let cluster = settings.map(|config| config.cluster.clone()).unwrap_or_default();
    Names {
        namespace,
        service: cluster.service,
        webhook_configuration: status.webhook_configuration.clone().unwrap_or(cluster.webhook_configuration),
        // We are none.
        replica: String::new(),
    }
}

/// Our Deployment. The error: why it could not be looked at.
type Found = Result<Option<Deployment>, String>;
type Policies = Result<Option<Listed<verdict::objects::Policy>>, Unasked>;
type Namespaces = Result<Listed<(String, Labels)>, Unasked>;

/// The webhook itself: its certificate and its answers.
async fn webhook(
    status: &Status,
    names: &Names,
    settings: &Settings,
    live: Option<&ValidatingWebhookConfiguration>,
    policies: &Policies,
    namespaces: &Namespaces,
) -> Vec<Line> {
    let Some(live) = live else {
        let words = "not asked: the webhook configuration says how, and could not be read";
        return vec![Line::warning("webhook", words.to_owned())];
    };
    let place = Place::of(live, names, status.connect_to.as_deref());
    let webhook = match Webhook::find(&place).await {
        Ok(webhook) => webhook,
        Err(why) => {
            let inside = super::surroundings() == Surroundings::Cluster;
            return vec![verdict::webhook::not_found(&place, &why, inside, names)];
        }
    };
    let mine = canned::Canned::answered(&names.namespace);
    let call = webhook.ask(&mine).await;
    let mut lines = verdict::webhook::certificate(&call, &place, Timestamp::now());
    let answered = call.answer.is_ok();
    lines.extend(verdict::webhook::answer(&mine, &call, &place, settings));
    let (Ok(Some(policies)), Ok(namespaces), true) = (policies, namespaces, answered) else { return lines };
    let objects: BTreeSet<&str> = policies.items.iter().map(|policy| policy.name.as_str()).collect();
    match canned::Canned::judged(settings.known(), &namespaces.items, &objects) {
        Some(other) => {
            let call = webhook.ask(&other).await;
            lines.extend(verdict::webhook::answer(&other, &call, &place, settings));
        }
        None => lines.push(verdict::webhook::nothing_to_refuse()),
    }
    lines
}

/// Policies, and the namespaces that name them.
fn objects(settings: &Settings, names: &Names, policies: Policies, namespaces: Namespaces) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut known: Option<BTreeSet<String>> = built_in();
    match policies {
        Ok(Some(listed)) => {
            lines.extend(verdict::objects::policies(&listed));
            let there = listed.items.into_iter().map(|policy| policy.name);
            known = known.filter(|_| !listed.cut).map(|known| known.into_iter().chain(there).collect());
        }
        Ok(None) => {
            lines.push(verdict::objects::no_kind());
            known = None;
        }
        Err(unasked) => {
            lines.push(Line::unknown("policies", unasked.words()));
            known = None;
        }
    }
    if let (Some(config), Some(known)) = (settings.known(), &known) {
        lines.extend(verdict::namespaces::bindings(config, known));
    }
    match namespaces {
        Ok(listed) => lines.extend(verdict::namespaces::lines(&listed, known.as_ref(), settings, &names.namespace)),
        Err(unasked) => lines.push(Line::unknown("namespaces", unasked.words())),
    }
    lines
}

/// The policies that need no object.
fn built_in() -> Option<BTreeSet<String>> {
    let manifests = super::manifests(&[]).ok()?;
    Some(manifests.policies.keys().map(|name| name.as_str().to_owned()).collect())
}

#[cfg(test)]
mod tests;
