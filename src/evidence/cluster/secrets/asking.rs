//! What the API server is asked for Secrets and service accounts, each once at a time.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use crate::evidence::store::FactCache;
use crate::fact::{Fact, Fault, Seen, Source, Trouble};
use crate::policy::document::wording::quoted;
use crate::policy::plan::Wait;

use super::super::pull_secrets::Form;
use super::held::{Account, Held, Others};
use super::reading::{Question, READ, is_name};
use super::{LiveSecrets, Reading, Whole};

/// Secrets in one page: one may have a megabyte, most have a kilobyte.
const PAGE: u32 = 50;
/// Pull secrets of one type that are used of a namespace. Each is tried on the registry.
const MOST: usize = 200;
/// For as long as the pages of a namespace take: they are read after the reply, and used by the next review.
const LIST: Duration = Duration::from_secs(10);

impl LiveSecrets {
    pub(super) async fn secret(&self, name: &str, reading: Reading<'_>) -> Fact<Held> {
        let Reading { namespace, .. } = reading;
        let place = (namespace.into(), name.into());
        let before = self.secrets.at_hand(&place, reading.now).and_then(known);
        let (connection, question) = (self.connection.clone(), place.clone());
        let look_up = move || async move {
            let (namespace, name): (Box<str>, Box<str>) = question;
            let api: Api<Secret> = Api::namespaced(connection.client(), &namespace);
            let question = Question { verb: "get", resource: "secrets", namespace: &namespace, name: Some(&name) };
            let found = question.within(READ, api.get_opt(&name)).await;
            fact(found, |secret| Held::of(&secret, &namespace, before.as_ref(), Timestamp::now()))
        };
        let what = || format!("pull secret {} of namespace {}", quoted(name), quoted(namespace));
        ask(&self.secrets, place, reading, look_up, what).await
    }

    pub(super) async fn account(&self, name: &str, reading: Reading<'_>) -> Fact<Account> {
        let Reading { namespace, now, .. } = reading;
        if !is_name(name) {
            return Fact::Absent(now);
        }
        let place = (namespace.into(), name.into());
        let (connection, question) = (self.connection.clone(), place.clone());
        let look_up = move || async move {
            let (namespace, name): (Box<str>, Box<str>) = question;
            let api: Api<ServiceAccount> = Api::namespaced(connection.client(), &namespace);
            let question =
                Question { verb: "get", resource: "serviceaccounts", namespace: &namespace, name: Some(&name) };
            fact(question.within(READ, api.get_opt(&name)).await, |account| Account::of(&account))
        };
        let what = || format!("service account {} of namespace {}", quoted(name), quoted(namespace));
        ask(&self.accounts, place, reading, look_up, what).await
    }

    pub(super) async fn others(&self, reading: Reading<'_>) -> Fact<Others> {
        let Reading { namespace, .. } = reading;
        let place = Whole(namespace.into());
        let before = self.others.at_hand(&place, reading.now).and_then(known);
        let (connection, question) = (self.connection.clone(), place.clone());
        let look_up = move || async move {
            let Whole(namespace) = question;
            let api: Api<Secret> = Api::namespaced(connection.client(), &namespace);
            let question = Question { verb: "list", resource: "secrets", namespace: &namespace, name: None };
            let listed = question.within(LIST, list(&api, &namespace, before.as_ref())).await;
            fact(listed.map(Some), |others| others)
        };
        let what = || format!("the pull secrets of namespace {}", quoted(namespace));
        ask(&self.others, place, reading, look_up, what).await
    }
}

/// What is at hand, else what it comes to for as long as may be waited.
async fn ask<K, T, F>(
    cache: &FactCache<K, T>,
    key: K,
    reading: Reading<'_>,
    look_up: impl FnOnce() -> F,
    what: impl FnOnce() -> String,
) -> Fact<T>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Fact<T>> + Send + 'static,
{
    let Reading { namespace: _, wait, patience, oldest, now } = reading;
    let known = if wait == Wait::AtHand {
        cache.at_hand(&key, now)
    } else if let Some(fact) = cache.fresh(&key, now, oldest) {
        Some(fact)
    } else {
        patience.within(wait, cache.get(key, now, oldest, |_| look_up())).await
    };
    known.unwrap_or_else(|| {
        let words = format!("{} could not be read in time", what());
        Fact::Unavailable(Trouble::new(Fault::Deadline, words))
    })
}

fn fact<A, T>(answer: Result<Option<A>, Trouble>, read: impl FnOnce(A) -> T) -> Fact<T> {
    let at = Timestamp::now();
    match answer {
        Ok(Some(found)) => Fact::Known(Seen { value: read(found), at, source: Source::Current }),
        Ok(None) => Fact::Absent(at),
        Err(trouble) => Fact::Unavailable(trouble),
    }
}

fn known<T>(fact: Fact<T>) -> Option<T> {
    match fact {
        Fact::Known(seen) => Some(seen.value),
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
    }
}

/// The pull secrets of a namespace, of one type after the other, so that no other Secret is ever sent.
async fn list(api: &Api<Secret>, namespace: &str, before: Option<&Others>) -> Result<Others, kube::Error> {
    let before: BTreeMap<&str, &Held> =
        before.iter().flat_map(|its| its.secrets.iter()).map(|(name, held)| (&**name, held)).collect();
    let (mut found, mut left_out) = (BTreeMap::<Box<str>, Held>::new(), false);
    for kind in Form::TYPES {
        let mut parameters = ListParams::default().fields(&format!("type={kind}")).limit(PAGE);
        let mut of_kind = 0;
        loop {
            let page = api.list(&parameters).await?;
            for secret in &page.items {
                let name = secret.name_any();
                let held = Held::of(secret, namespace, before.get(name.as_str()).copied(), Timestamp::now());
                found.insert(name.into(), held);
                of_kind += 1;
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(_) if of_kind >= MOST => {
                    left_out = true;
                    break;
                }
                Some(token) => parameters = parameters.continue_token(&token),
                None => break,
            }
        }
    }
    let trouble = left_out.then(|| {
        let words = format!("namespace {} has more than {MOST} pull secrets, and no more are used", quoted(namespace));
        Trouble::new(Fault::Broken, words)
    });
    Ok(Others { secrets: found.into_iter().collect(), trouble })
}
