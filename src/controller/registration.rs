//! Whether the API server asks us everything that it must ask: our live `ValidatingWebhookConfiguration`, compared with what
//! the program expects. What an administrator has weakened is said in the log, in `/readyz` and in a metric; nothing is put
//! right by us, and a replica does not become unready for it.
//!
//! What is expected is the file that we ship, under the names that this installation has. Other webhook configurations are
//! not looked at: they may ask us more, and take nothing away.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use prometheus::{IntGaugeVec, Opts, Registry};

use crate::config::Config;
use crate::evidence::cluster::connection::Connection;
use crate::server::admin::PartStatus;

use super::Names;
use super::failure::described;

pub use compare::{Weakness, weaknesses};
pub use pair::{IMAGES, opens};

use pair::UNLABELLED;

mod compare;
mod expected;
mod pair;
mod rules;
mod selectors;

/// Somebody who weakens it by mistake reads of it while still at work.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// And so often while something is weak: who mends it, or has just installed us, wants to see that it is well.
const MENDED_EVERY: Duration = Duration::from_secs(5);
/// The entries that call us.
pub const OURS: [&str; 3] = [IMAGES, UNLABELLED, "policies.pratique.dev"];
/// Less than until the next look.
const PATIENCE: Duration = Duration::from_secs(10);
/// The metric label of a configuration that could not be read.
const UNREADABLE: &str = "unreadable";

/// What namespaces that do not say themselves by which policy they are enforced are like, as the settings say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlabelled {
    /// `defaults.enforce` and `floor` are null: nothing is refused there.
    Free,
    /// One of them names a policy.
    Enforced,
}

impl Unlabelled {
    /// As these settings have it.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        match (&config.defaults.enforce, &config.floor) {
            (None, None) => Self::Free,
            (Some(_), _) | (_, Some(_)) => Self::Enforced,
        }
    }
}

/// What the last look found.
#[derive(Debug)]
pub struct Registration {
    found: ArcSwap<Result<Vec<Weakness>, String>>,
    weakened: IntGaugeVec,
}

impl Registration {
    /// Registers `pratique_webhook_configuration_weakened{what}`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "1 where our ValidatingWebhookConfiguration lets something through, or makes something fail";
        let weakened = IntGaugeVec::new(Opts::new("pratique_webhook_configuration_weakened", help), &["what"])?;
        registry.register(Box::new(weakened.clone()))?;
        for what in compare::LABELS.into_iter().chain([UNREADABLE]) {
            weakened.with_label_values(&[what]).set(0);
        }
        let found = ArcSwap::from_pointee(Err("it was not looked at yet".to_owned()));
        Ok(Self { found, weakened })
    }

    /// Looks again and again, until the process ends.
    pub async fn watch(self: Arc<Self>, connection: Connection, names: Names, unlabelled: Unlabelled) {
        let api = Api::<ValidatingWebhookConfiguration>::all(connection.client());
        let expected = expected(&names);
        loop {
            let live = match tokio::time::timeout(PATIENCE, api.get_opt(&names.webhook_configuration)).await {
                Ok(Ok(live)) => Ok(live),
                Ok(Err(error)) => {
                    let resource = "validatingwebhookconfigurations";
                    Err(described(&error, "get", resource, "admissionregistration.k8s.io").1)
                }
                Err(_) => Err(format!("the API server took longer than {PATIENCE:?}")),
            };
            self.look(live.map(|live| weaknesses(&expected, live.as_ref(), &names, unlabelled)));
            let well = self.status() == PartStatus::Ready;
            tokio::time::sleep(if well { LOOK_EVERY } else { MENDED_EVERY }).await;
        }
    }

    /// Takes over what a look found, and tells what is new of it.
    fn look(&self, found: Result<Vec<Weakness>, String>) {
        let before = self.found.swap(Arc::new(found));
        let found = self.found.load();
        let gauge = |what: &str, holds: bool| self.weakened.with_label_values(&[what]).set(i64::from(holds));
        gauge(UNREADABLE, found.is_err());
        if let Ok(weaknesses) = &**found {
            for what in compare::LABELS {
                gauge(what, weaknesses.iter().any(|weakness| weakness.what == what));
            }
        }
        tell(&before, &found);
    }

    /// For `/readyz`: never unready.
    #[must_use]
    pub fn status(&self) -> PartStatus {
        match &**self.found.load() {
            Ok(weaknesses) if weaknesses.is_empty() => PartStatus::Ready,
            Ok(weaknesses) => {
                let words: Vec<&str> = weaknesses.iter().map(|weakness| weakness.words.as_str()).collect();
                PartStatus::Degraded(words.join("; "))
            }
            Err(why) => PartStatus::Degraded(format!("the webhook configuration cannot be read: {why}")),
        }
    }
}

/// What is expected of the live configuration, under these names.
#[must_use]
pub fn expected(names: &Names) -> ValidatingWebhookConfiguration {
    expected::for_names(names)
}

/// Says each change once.
fn tell(before: &Result<Vec<Weakness>, String>, found: &Result<Vec<Weakness>, String>) {
    match (before, found) {
        (Err(before), Err(why)) if before == why => {}
        (_, Err(why)) => tracing::warn!(why, "the webhook configuration cannot be read, and is looked at again"),
        (before, Ok(found)) => {
            let before: &[Weakness] = before.as_ref().map_or(&[], Vec::as_slice);
            for Weakness { what, words } in found.iter().filter(|weakness| !before.contains(weakness)) {
                tracing::warn!(what, "the webhook configuration is weakened: {words}");
            }
            let mended = before.iter().filter(|was| !found.iter().any(|weakness| weakness.what == was.what));
            for Weakness { what, words } in mended {
                tracing::info!(what, "the webhook configuration is mended; it was: {words}");
            }
        }
    }
}

#[cfg(test)]
mod tests;
