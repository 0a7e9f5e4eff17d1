//! Registries that lie, stall, overflow and lead astray: what they say never admits, the refusal names what they did,
//! and nobody learns a credential.
//!
//! A [`Lie`] is one registry of its own with one kind of misbehaviour. All lies of a test are told to one real program
//! with its log at its most talkative, side by side, and an honest registry is asked before and after them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pratique_testkit::{Answer, Behaviour, Directory, Image, Program, Registry, Route, eventually, pod, review};
use tokio::sync::Semaphore;

use super::{MOVED_IS_REFUSED, named, pull_secret};
use crate::PRATIQUE;

mod alternating;
mod answers;
mod bodies;
mod by_digest;
mod manifests;
mod memory;
mod places;
mod quiet;
mod realms;
mod redirects;
mod turned;
mod wire;

/// The user of every private registry here.
const ALICE: &str = "alice";
const PASSWORD: &str = "alice-has-this-password-here";
/// In the query of whatever a registry sends somebody to; never to be told either.
const QUERY: &str = "X-Signature=a-secret-in-a-query";
/// Lies that are told at once: as many of the largest answers fit into the memory for all registries.
const AT_ONCE: usize = 8;

/// Whom a registry lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Plain HTTP/1.1, for everybody.
    Open,
    /// TLS and h2, with a token that is had for a password.
    Private,
}

use Door::{Open, Private};

/// One registry that misbehaves, and what has to be said of it.
struct Lie {
    what: String,
    registry: Registry,
    /// Below the registry's host.
    image: String,
    /// `?timeout=`: short where the registry stalls.
    timeout: u64,
    reason: &'static str,
    /// In the message; `HOST` is the registry.
    words: String,
    /// Whether the registry, or its token service, is to see the credential.
    trusted: bool,
}

impl Lie {
    /// A registry with an honest image `acme/web:v1`, before `arrange` has it misbehave.
    async fn new(what: &str, door: Door, arrange: impl FnOnce(&Registry), reason: &'static str, words: &str) -> Self {
        let registry = start(door).await;
        registry.push("acme/web", "v1", &Image::single());
        arrange(&registry);
        Self {
            what: format!("{what} ({door:?})"),
            image: "acme/web:v1".to_owned(),
            timeout: 10,
            reason,
            words: words.to_owned(),
            trusted: door == Private,
            registry,
        }
    }

    /// One behaviour on one route.
    async fn on(door: Door, route: Route, behaviour: Behaviour, (reason, words): (&'static str, &str)) -> Self {
        let mut what = format!("{route:?}: {behaviour:?}");
        what.truncate(what.floor_char_boundary(120));
        Self::new(&what, door, |registry| registry.on(route, behaviour), reason, words).await
    }

    /// It stalls, and the review ends before it does.
    fn stalls(self) -> Self {
        Self { timeout: 3, ..self }
    }

    /// No credential is to be shown to anybody.
    fn untrusted(self) -> Self {
        Self { trusted: false, ..self }
    }

    /// What is wrong with the answer; nothing, if all is well.
    fn judge(&self, answer: &Answer, took: Duration) -> String {
        let mut wrong = String::new();
        let mut expect = |right: bool, what: &str| {
            if !right {
                let _infallible = write!(wrong, "; {what}");
            }
        };
        let first = answer.message.lines().next().unwrap_or_default();
        let again = self.reason == "registry-unavailable";
        let words = self.words.replace("HOST", self.registry.host());
        expect(!answer.allowed, "it is admitted");
        expect(first.contains(&format!("{}, ", self.reason)), "the reason is another");
        expect(answer.message.contains(&words), &format!("it does not say {words:?}"));
        expect(answer.code == Some(if again { 503 } else { 403 }), "the code is wrong");
        expect(answer.retry_after == again.then_some(1), "when to try again is wrong");
        expect(took < Duration::from_secs(self.timeout), "the deadline is missed");
        let saw = self.registry.authorizations();
        expect(self.trusted != saw.is_empty(), &format!("the credential was shown {} times", saw.len()));
        if wrong.is_empty() {
            wrong
        } else {
            format!("{}{wrong}\n    {} {}\n", self.what, took.as_millis(), answer.message)
        }
    }
}

async fn start(door: Door) -> Registry {
    match door {
        Open => Registry::setup().start().await,
        Private => Registry::setup().tls().token(ALICE, PASSWORD).private("acme").start().await,
    }
}

/// The real program beside registries, each with its authority and its pull secret in place.
struct Beside {
    program: Program,
    _folders: [Directory; 3],
}

impl Beside {
    async fn these(registries: &[&Registry]) -> Self {
        Self::these_in(registries, &[]).await
    }

    async fn these_in(registries: &[&Registry], environment: &[(&str, &str)]) -> Self {
        let (hosts, config, manifests) = (Directory::new(), Directory::new(), Directory::new());
        let mut account =
            "apiVersion: v1\nkind: ServiceAccount\nmetadata: {namespace: shop, name: default}\nimagePullSecrets:\n"
                .to_owned();
        for registry in registries {
            registry.write_hosts(hosts.path());
            let name = format!("pull-{}", registry.port());
            manifests.write(&format!("{name}.yaml"), &pull_secret("shop", &name, registry.host(), ALICE, PASSWORD));
            writeln!(account, "- {{name: {name}}}").unwrap();
        }
        manifests.write("account.yaml", &account);
        manifests.policy("acme", MOVED_IS_REFUSED);
        manifests.namespace("shop", &[]);
        let settings = format!(
            "defaults: {{enforce: acme}}\nregistries: {{hosts: {}}}\nlog: {{level: trace}}\n",
            hosts.path().display()
        );
        config.write("settings.yaml", &settings);
        let arguments = ["--config", &config.file("settings.yaml")];
        let program = Program::serve_in(PRATIQUE, &manifests, &arguments, environment).await;
        Self { program, _folders: [hosts, config, manifests] }
    }

    async fn ask(&self, image: &str, seconds: u64) -> Answer {
        let review = review(&pod("web").container("web", image)).in_namespace("shop");
        self.program.client().review_within(&review, &format!("{seconds}s")).await
    }

    /// Panics where the credential, or what was had for it, is in the log, in the metrics or in these answers.
    async fn assert_nothing_is_betrayed(&self, registries: &[&Registry], answers: &str) {
        let is_there = async || {
            let log = self.program.log();
            log.contains("pratique::decision") && log.contains("registry request")
        };
        eventually("the log is there", is_there).await;
        let told = format!("{answers}{}{}", self.program.log(), self.program.client().metrics().await);
        let seen: Vec<String> = registries.iter().flat_map(|registry| registry.authorizations()).collect();
        let secrets = seen.iter().filter_map(|value| value.split_once(' ')).map(|(_, secret)| secret);
        for secret in secrets.chain([PASSWORD, QUERY]) {
            assert!(!told.contains(secret), "a secret is told");
        }
    }
}

/// Every lie is refused as it should be, all of them at once; honest registries are believed before and after.
async fn assert_refused(lies: Vec<Lie>) {
    let honest = [start(Open).await, start(Private).await];
    let registries: Vec<&Registry> = lies.iter().map(|lie| &lie.registry).chain(&honest).collect();
    let beside = Beside::these(&registries).await;
    let assert_believed = async |tag: &str| {
        for registry in &honest {
            registry.push("acme/web", tag, &Image::single().label(tag));
            let answer = beside.ask(&named(registry, &format!("acme/web:{tag}")), 10).await;
            assert!(answer.allowed, "an honest registry: {answer:?}");
        }
    };
    assert_believed("before").await;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let answers = join_all(lies.iter().map(async |lie| {
        let _place = places.acquire().await.unwrap();
        let started = Instant::now();
        let answer = beside.ask(&named(&lie.registry, &lie.image), lie.timeout).await;
        (answer, started.elapsed())
    }))
    .await;
    let wrong: String = lies.iter().zip(&answers).map(|(lie, (answer, took))| lie.judge(answer, *took)).collect();
    assert!(wrong.is_empty(), "\n{wrong}");
    assert_believed("after").await;
    assert_eq!(beside.program.client().metric("pratique_panics_total").await, Some(0.0));
    beside.assert_nothing_is_betrayed(&registries, &format!("{answers:?}")).await;
}

/// 200 with any body.
fn answer_with(content_type: &str, body: impl Into<Vec<u8>>) -> Behaviour {
    let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
    Behaviour::Status { code: 200, headers, body: body.into() }
}
