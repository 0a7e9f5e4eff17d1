//! One question to all hosts that may answer it, in their order, with all credentials that are for each.
//!
//! The first that has an answer decides. "There is none" is said only where every host that was asked said so.

use std::fmt::Write as _;
use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::fact::{Fact, Fault, Seen, Source, Trouble};
use crate::image::Reference;

use super::client::{Client, Session};
use super::credentials::{Asker, Candidate, Credential, Credentials};
use super::hosts::{Endpoint, Hosts};

/// Credentials presented to one host: a pull secret or two, the cluster's, and a plugin's; each costs two requests.
pub(super) const CREDENTIALS: usize = 16;
/// Hosts that a clause tells of; beyond it nobody reads on.
const TOLD: usize = 4;

/// What one host said.
#[derive(Debug)]
pub(super) enum Said<T> {
    Found(T),
    Absent,
}

/// What is asked of a host.
pub(super) trait Question: Sync {
    type Answer: Send;

    /// Whether it may be asked this: a host without `resolve` never turns a tag into a digest.
    fn may_ask(&self, endpoint: &Endpoint) -> bool;

    fn ask(&self, session: &Session<'_>) -> impl Future<Output = Result<Said<Self::Answer>, Trouble>> + Send;
}

/// A look-up: which image, and who wants to know.
pub(super) struct LookUp<'a> {
    pub(super) client: &'a Client,
    pub(super) hosts: Arc<Hosts>,
    pub(super) credentials: Arc<Credentials>,
    pub(super) image: &'a Reference,
    pub(super) asker: &'a Asker,
}

/// What was tried at one host, so far.
#[derive(Default)]
struct Tried {
    presented: usize,
    /// Why a helper or plugin gave nothing.
    failed: Vec<String>,
    refusal: Option<Trouble>,
}

impl LookUp<'_> {
    pub(super) async fn run<Q: Question>(&self, question: &Q) -> Fact<Q::Answer> {
        let at = Timestamp::now();
        let until = Instant::now() + self.client.limits().look_up;
        match timeout_at(until, self.walk(question, until)).await {
            Ok(Ok(Said::Found(value))) => Fact::Known(Seen { value, at, source: Source::Current }),
            Ok(Ok(Said::Absent)) => Fact::Absent(at),
            Ok(Err(trouble)) => Fact::Unavailable(trouble),
            Err(_) => {
                let words = format!("{} did not answer in time", self.image.registry());
                Fact::Unavailable(Trouble::new(Fault::Deadline, words))
            }
        }
    }

    async fn walk<Q: Question>(&self, question: &Q, until: Instant) -> Result<Said<Q::Answer>, Trouble> {
        let all = self.hosts.endpoints(self.image.registry(), &self.client.outbound);
        let endpoints: Vec<_> = all.iter().filter(|endpoint| question.may_ask(endpoint)).collect();
        let (mut troubles, mut absent) = (Vec::new(), Vec::new());
        for (index, endpoint) in endpoints.iter().enumerate() {
            let patient = index + 1 == endpoints.len();
            match self.at(endpoint, question, until, patient).await {
                Ok(Said::Found(value)) => return Ok(Said::Found(value)),
                Ok(Said::Absent) => absent.push(endpoint.authority()),
                Err(trouble) => troubles.push((endpoint.origin, trouble)),
            }
        }
        if endpoints.is_empty() {
            let words = format!("hosts.toml names no host that may be asked this of {}", self.image.registry());
            return Err(Trouble::new(Fault::Forbidden, words));
        }
        worst(troubles, &absent).map_or(Ok(Said::Absent), Err)
    }

    /// With each credential that is for this host, until one is let in.
    async fn at<Q: Question>(
        &self,
        endpoint: &Endpoint,
        question: &Q,
        until: Instant,
        patient: bool,
    ) -> Result<Said<Q::Answer>, Trouble> {
        let (registry, candidates) = self.candidates(endpoint);
        let carried = self.client.outbound.may_carry_credentials(endpoint, &endpoint.base);
        let mut tried = Tried::default();
        if carried {
            for candidate in &candidates {
                for again in [false, true] {
                    let credentials = tried.obtain(candidate, registry, self.image.repository()).await;
                    if credentials.is_empty() {
                        break;
                    }
                    for credential in credentials.iter().take(CREDENTIALS.saturating_sub(tried.presented)) {
                        tried.presented += 1;
                        match question.ask(&self.session(endpoint, Some(credential), until, patient)).await {
                            Err(trouble) if trouble.fault == Fault::Refused => tried.refusal = Some(trouble),
                            other => return other,
                        }
                    }
                    if again || !candidate.refused(registry, self.image.repository()) {
                        break;
                    }
                }
            }
        }
        if tried.presented > 0 {
            let to = match tried.presented {
                1 => "to the credential that is for it".to_owned(),
                number => format!("to the {number} credentials that are for it"),
            };
            return Err(tried.refused(&to, endpoint));
        }
        match question.ask(&self.session(endpoint, None, until, patient)).await {
            Err(trouble) if trouble.fault == Fault::Refused => {
                tried.refusal = Some(trouble);
                Err(tried.refused(without(endpoint, !candidates.is_empty() && !carried), endpoint))
            }
            other => other,
        }
    }

    fn session<'s>(
        &'s self,
        endpoint: &'s Endpoint,
        credential: Option<&'s Credential>,
        until: Instant,
        patient: bool,
    ) -> Session<'s> {
        let (registry, repository) = (self.image.registry(), self.image.repository());
        Session { client: self.client, registry, repository, endpoint, credential, until, patient }
    }

    /// A mirror has the cluster's own for that mirror; the registry's are the registry's alone.
    fn candidates<'e>(&'e self, endpoint: &'e Endpoint) -> (&'e str, Vec<Candidate>) {
        if endpoint.origin {
            return (self.image.registry(), self.asker.candidates().to_vec());
        }
        let mirror = endpoint.authority();
        (mirror, self.credentials.candidates(mirror, self.image.repository()))
    }
}

fn without(endpoint: &Endpoint, withheld: bool) -> &'static str {
    match (withheld, endpoint.unverified) {
        (false, _) => "without a credential, as none is for it",
        (true, true) => "without a credential, as none is sent where certificates are not checked (skip_verify)",
        (true, false) => "without a credential, as none is sent over plain HTTP",
    }
}

impl Tried {
    async fn obtain(&mut self, candidate: &Candidate, registry: &str, repository: &str) -> Vec<Credential> {
        candidate.obtain(registry, repository).await.unwrap_or_else(|words| {
            if !self.failed.contains(&words) {
                self.failed.push(words);
            }
            Vec::new()
        })
    }

    /// Where a helper or plugin failed, it may be well in a moment, and with it all of this.
    fn refused(self, to: &str, endpoint: &Endpoint) -> Trouble {
        let refusal = self.refusal.map_or_else(|| format!("{} refused", endpoint.authority()).into(), |it| it.words);
        if self.failed.is_empty() {
            return Trouble::new(Fault::Refused, format!("{refusal} {to}"));
        }
        let to = if self.presented == 0 { "without a credential" } else { to };
        Trouble::new(Fault::Outage, format!("{refusal} {to}, and {}", self.failed.join(", and ")))
    }
}

/// The gravest trouble, and all hosts in words; none where there is none. What the registry itself shows to be wrong is
/// not talked away by a mirror; nor is its outage, since what it may say in a moment would have been the answer: a
/// mirror that lets nobody in must not take away what was known.
fn worst(troubles: Vec<(bool, Trouble)>, absent: &[&str]) -> Option<Trouble> {
    let weight = |(origin, trouble): &(bool, Trouble)| {
        let decisive = *origin && matches!(trouble.fault, Fault::Mismatch | Fault::Forbidden);
        let open = *origin && trouble.fault.passes();
        (decisive, trouble.fault == Fault::Mismatch, open, gravity(trouble.fault))
    };
    let mut troubles = troubles;
    troubles.sort_by_key(|trouble| std::cmp::Reverse(weight(trouble)));
    let fault = troubles.first()?.1.fault;
    let mut clauses: Vec<String> = troubles.into_iter().map(|(_, trouble)| trouble.words.to_string()).collect();
    clauses.extend(absent.iter().map(|host| format!("{host} has none")));
    let more = clauses.len().saturating_sub(TOLD);
    clauses.truncate(TOLD);
    let mut words = clauses.join("; ");
    if more > 0 {
        let _ = write!(words, "; and {more} more");
    }
    Some(Trouble::new(fault, words))
}

/// What shows that somebody lies before what shows that something is out of order.
fn gravity(fault: Fault) -> u8 {
    match fault {
        Fault::Mismatch => 5,
        Fault::Forbidden => 4,
        Fault::Broken => 3,
        Fault::Refused => 2,
        Fault::Outage => 1,
        Fault::Deadline => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(fault: Fault, words: &str) -> Trouble {
        Trouble::new(fault, words.to_owned())
    }

    #[test]
    fn the_gravest_trouble_is_told_first_with_all_hosts() {
        let troubles =
            vec![(false, trouble(Fault::Outage, "m is down")), (true, trouble(Fault::Refused, "r answered 403"))];
        let expected = trouble(Fault::Refused, "r answered 403; m is down; n has none");
        assert_eq!(worst(troubles, &["n"]), Some(expected));
        assert_eq!(worst(Vec::new(), &["n"]), None);
    }

    #[test]
    fn what_the_registry_itself_shows_stays() {
        let troubles =
            vec![(false, trouble(Fault::Mismatch, "m lies")), (true, trouble(Fault::Forbidden, "r leads away"))];
        assert_eq!(worst(troubles, &[]), Some(trouble(Fault::Forbidden, "r leads away; m lies")));
    }

    #[test]
    fn only_so_many_hosts_are_told_of() {
        let troubles = (0..7).map(|number| (false, trouble(Fault::Outage, &format!("h{number} is down")))).collect();
        let words = worst(troubles, &[]).unwrap().words;
        assert_eq!(&*words, "h0 is down; h1 is down; h2 is down; h3 is down; and 3 more");
    }
}
