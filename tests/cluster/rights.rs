//! Each verb that we ask for in the roles that we ship is needed: without it something breaks that is told, in words that
//! name the verb and the resource.

use std::time::{Duration, Instant};

use pratique_testkit::real::Cluster;
use pratique_testkit::{Directory, Image, Outcome, PATIENCE, Registry, eventually};
use serde_json::{Value, json};

use crate::installed::Installed;
use crate::reached::{certificates, judged, pod, policy, settings};

const EVERYWHERE: &str = "clusterrole/pratique";
const AT_HOME: &str = "role/pratique";
/// The rules that let one read Secrets: that of our namespace stands in for the other where somebody takes it out.
const SECRETS: &[&str] = &[EVERYWHERE, AT_HOME];

/// A verb, and where it is told that it is missing.
struct Right {
    roles: &'static [&'static str],
    verb: &'static str,
    resource: &'static str,
    told: Told,
    /// All of these.
    words: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// In `/readyz`, as what keeps it from being ready.
    NotReady,
    /// In `/readyz`, as what keeps nothing from being ready.
    Degraded,
    /// In the log, once the replica with the lease has something to write there.
    Log(Work),
    /// To whoever makes a Pod of a private image.
    Private,
    /// To whoever makes a Deployment of one: the API server writes the secrets of a service account into Pods alone.
    PrivateTemplate,
    /// To whoever makes a Pod in a namespace that is new.
    Young,
}

/// What gives it something to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Policy,
    Deployment,
    NoLease,
    Lease,
    NoCertificates,
    SpoiltCertificates,
    NoBundle,
}

const fn everywhere(verb: &'static str, resource: &'static str, told: Told, words: &'static [&'static str]) -> Right {
    Right { roles: &[EVERYWHERE], verb, resource, told, words }
}

const fn at_home(verb: &'static str, resource: &'static str, told: Told, words: &'static [&'static str]) -> Right {
    Right { roles: &[AT_HOME], verb, resource, told, words }
}

const CONFIGURATIONS: &str = "validatingwebhookconfigurations";

#[rustfmt::skip]
const RIGHTS: &[Right] = &[
    everywhere("list", "imagepolicies", Told::NotReady, &["verb list on imagepolicies of the group pratique.dev"]),
    everywhere("watch", "imagepolicies", Told::Degraded, &["verb watch on imagepolicies of the group pratique.dev"]),
    everywhere("patch", "imagepolicies/status", Told::Log(Work::Policy), &["patch imagepolicies/status.pratique.dev"]),
    everywhere("get", "namespaces", Told::Young, &["verb get on namespaces"]),
    everywhere("list", "namespaces", Told::NotReady, &["verb list on namespaces"]),
    everywhere("watch", "namespaces", Told::Degraded, &["verb watch on namespaces"]),
    everywhere("list", "pods", Told::Degraded, &["verb list on pods"]),
    everywhere("watch", "pods", Told::Degraded, &["verb watch on pods"]),
    everywhere("list", "nodes", Told::Degraded, &["verb list on nodes"]),
    everywhere("watch", "nodes", Told::Degraded, &["verb watch on nodes"]),
    everywhere("get", "secrets", Told::Private, &["verb get on secrets"]),
    everywhere("get", "serviceaccounts", Told::PrivateTemplate, &["verb get on serviceaccounts"]),
    everywhere("get", CONFIGURATIONS, Told::Degraded, &["get validatingwebhookconfigurations", "verb get on validatingwebhookconfigurations"]),
    everywhere("patch", CONFIGURATIONS, Told::Log(Work::NoBundle), &["verb patch on validatingwebhookconfigurations"]),
    everywhere("create", "events", Told::Log(Work::Deployment), &["create events.events.k8s.io"]),
    everywhere("patch", "events", Told::Log(Work::Deployment), &["patch events.events.k8s.io"]),
    Right { roles: SECRETS, ..at_home("get", "secrets", Told::NotReady, &["verb get on secrets"]) },
    at_home("get", "leases", Told::Log(Work::Lease), &["verb get on leases.coordination.k8s.io"]),
    at_home("update", "leases", Told::Log(Work::Lease), &["verb update on leases.coordination.k8s.io"]),
    at_home("create", "leases", Told::Log(Work::NoLease), &["verb create on leases.coordination.k8s.io"]),
    // Last: whoever starts after these shows a certificate by a new CA, and waits until API servers have heard of it.
    at_home("update", "secrets", Told::Log(Work::SpoiltCertificates), &["verb update on secrets"]),
    at_home("create", "secrets", Told::Log(Work::NoCertificates), &["verb create on secrets"]),
];

/// What all the lines of the table share.
struct Stage<'cluster> {
    cluster: &'cluster Cluster,
    installed: Installed<'cluster>,
    registry: Registry,
    /// Who brings a pull secret by the service account, and who by the Pod.
    shop: String,
    serial: usize,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn without_any_verb_of_ours_something_breaks_and_the_words_name_it() {
    let (registry, hosts) = (Registry::setup().tls().basic("alice", "a-password").start().await, Directory::new());
    let cluster = Cluster::with_controllers().await;
    let settings = settings(hosts.path(), &[&registry]);
    let setup = Installed::on(&cluster).replicas(1).settings(&settings).manifest(&certificates());
    let installed = setup.manifest(&policy("deny")).start().await;
    let shop = judged(&cluster, "shop").await;
    let patch = r#"{"imagePullSecrets": [{"name": "pull"}]}"#;
    done(&cluster.kubectl(&["patch", "serviceaccount", "default", "-n", &shop, "-p", patch]));
    let server = format!("--docker-server={}", registry.host());
    let create = ["create", "secret", "docker-registry", "pull", "-n", &shop, &server, "--docker-username=alice"];
    done(&cluster.kubectl(&[&create[..], &["--docker-password=a-password"]].concat()));
    let mut stage = Stage { cluster: &cluster, installed, registry, shop, serial: 0 };
    every_verb_is_in_the_table(&cluster);
    let mut running = 0;
    let mut wrong = Vec::new();
    for right in RIGHTS {
        stage.installed.kill(running);
        stage.installed.ended(running).await;
        let started = Instant::now();
        let whole = stage.without(right).await;
        running = stage.installed.spawn_replica();
        if let Err(why) = stage.look(running, right).await {
            let why = format!("{} {} of {:?}: {why}", right.verb, right.resource, right.roles);
            println!("WRONG {why}\n{}", stage.installed.log(running));
            wrong.push(why);
        }
        stage.give_back(right, whole).await;
        println!("{} {}: {:?} after {:.1?}", right.verb, right.resource, right.told, started.elapsed());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Of every rule of both roles, and no other.
fn every_verb_is_in_the_table(cluster: &Cluster) {
    let mut shipped = Vec::new();
    for role in [EVERYWHERE, AT_HOME] {
        for rule in rules(&object(cluster, role)) {
            for resource in texts(&rule["resources"]) {
                shipped.extend(texts(&rule["verbs"]).into_iter().map(|verb| (role, verb, resource.clone())));
            }
        }
    }
    let line = |right: &Right| (right.roles[right.roles.len() - 1], right.verb.to_owned(), right.resource.to_owned());
    let mut table: Vec<_> = RIGHTS.iter().map(line).collect();
    shipped.sort();
    table.sort();
    assert_eq!(table, shipped);
}

impl Stage<'_> {
    /// Takes the verb out of the roles, and returns those as they were; the API server acts on it.
    async fn without(&self, right: &Right) -> Vec<Value> {
        let whole: Vec<Value> = right.roles.iter().map(|role| object(self.cluster, role)).collect();
        for role in &whole {
            let mut role = role.clone();
            let rules = role["rules"].as_array_mut().expect("it has rules");
            for rule in rules.iter_mut().filter(|rule| texts(&rule["resources"]) == [right.resource]) {
                let verbs = rule["verbs"].as_array_mut().expect("it has verbs");
                // The watch would tell of a new namespace before anybody could make a Pod there.
                verbs.retain(|verb| verb != right.verb && (right.told != Told::Young || verb != "watch"));
            }
            rules.retain(|rule| !texts(&rule["verbs"]).is_empty());
            self.replace(role);
        }
        eventually("the right is gone", async || !self.may(right)).await;
        whole
    }

    async fn give_back(&self, right: &Right, whole: Vec<Value>) {
        for role in whole {
            self.replace(role);
        }
        eventually("the right is back", async || self.may(right)).await;
    }

    fn replace(&self, mut role: Value) {
        if let Some(metadata) = role["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        done(&self.cluster.kubectl_with_input(&["replace", "-f", "-"], &role.to_string()));
    }

    /// Whether the API server lets us.
    fn may(&self, right: &Right) -> bool {
        let (resource, subresource) = right.resource.split_once('/').unwrap_or((right.resource, ""));
        let group = match resource {
            "imagepolicies" => ".pratique.dev",
            "leases" => ".coordination.k8s.io",
            "events" => ".events.k8s.io",
            CONFIGURATIONS => ".admissionregistration.k8s.io",
            _ => "",
        };
        let name = match (resource, right.verb) {
            (_, "create" | "list" | "watch") => "",
            ("secrets", _) if right.roles.contains(&AT_HOME) => "/pratique-certificates",
            ("leases" | CONFIGURATIONS, _) => "/pratique",
            _any => "",
        };
        let what = format!("{resource}{group}{name}");
        let subresource = format!("--subresource={subresource}");
        let at_home = right.roles.contains(&AT_HOME);
        let place = if at_home { ["-n", "pratique-system"] } else { ["-n", "default"] };
        let us = "--as=system:serviceaccount:pratique-system:pratique";
        let asked = ["auth", "can-i", right.verb, &what, &subresource, us];
        self.cluster.kubectl(&[&asked[..], &place[..]].concat()).stdout.trim() == "yes"
    }

    /// What the replica that was started without it does, as the table says.
    async fn look(&mut self, replica: usize, right: &Right) -> Result<(), String> {
        self.serial += 1;
        match right.told {
            Told::NotReady => self.readyz(replica, "[-] ", right.words).await,
            Told::Degraded => self.readyz(replica, "[!] ", right.words).await,
            Told::Log(work) => self.log(replica, work, right.words).await,
            Told::Private | Told::PrivateTemplate => {
                self.installed.wait_until_ready(replica).await;
                let repository = format!("acme/private-{}", self.serial);
                self.registry.push(&repository, "v1", &Image::single().label(&repository));
                let image = format!("{}/{repository}:v1", self.registry.host());
                let object = match right.told {
                    Told::PrivateTemplate => deployment(&self.shop, "private", &image).to_string(),
                    Told::Private | Told::NotReady | Told::Degraded | Told::Log(_) | Told::Young => {
                        pod(&self.shop, "web", &image)
                    }
                };
                until(|| self.dry(&object).stderr, |said| right.words.iter().all(|words| said.contains(words))).await
            }
            Told::Young => {
                self.installed.wait_until_ready(replica).await;
                let namespace = judged(self.cluster, "young").await;
                let pod = pod(&namespace, "web", "registry.invalid/web:1");
                until(|| self.dry(&pod).stderr, |said| right.words.iter().all(|words| said.contains(words))).await
            }
        }
    }

    async fn readyz(&self, replica: usize, sign: &str, words: &[&str]) -> Result<(), String> {
        let said = || self.installed.admin(replica, "/readyz").unwrap_or_default().1;
        let tells = |line: &str| line.starts_with(sign) && words.iter().all(|words| line.contains(words));
        until(said, |text| text.lines().any(tells)).await
    }

    fn dry(&self, pod: &str) -> Outcome {
        self.installed.create(pod, &["--dry-run=server"])
    }

    async fn log(&self, replica: usize, work: Work, words: &[&str]) -> Result<(), String> {
        let delete = |what: &str| {
            done(&self.cluster.kubectl(&["delete", what, "-n", "pratique-system", "--ignore-not-found"]));
        };
        let patch = |what: &str, kind: &str, patch: &Value| {
            let (kind, patch) = (format!("--type={kind}"), patch.to_string());
            done(&self.cluster.kubectl(&["patch", what, "-n", "pratique-system", &kind, "-p", &patch]));
        };
        // Whoever had it was killed, and nobody is to wait until it runs out.
        match work {
            Work::Lease => patch("lease/pratique", "merge", &json!({"spec": {"holderIdentity": ""}})),
            Work::NoLease
            | Work::NoCertificates
            | Work::SpoiltCertificates
            | Work::NoBundle
            | Work::Policy
            | Work::Deployment => delete("lease/pratique"),
        }
        match work {
            Work::NoLease | Work::Lease => {}
            Work::NoCertificates => delete("secret/pratique-certificates"),
            Work::SpoiltCertificates => {
                patch("secret/pratique-certificates", "merge", &json!({"data": {"ca.key": null}}));
            }
            Work::NoBundle => {
                let bundle = "/webhooks/0/clientConfig/caBundle";
                let what = format!("{CONFIGURATIONS}/pratique");
                patch(&what, "json", &json!([{"op": "remove", "path": bundle}]));
            }
            Work::Policy => {
                let another = policy("deny").replace("name: acme", &format!("name: acme-{}", self.serial));
                self.installed.wait_until_ready(replica).await;
                done(&self.cluster.kubectl_with_input(&["create", "-f", "-"], &another));
            }
            Work::Deployment => self.installed.wait_until_ready(replica).await,
        }
        // One image after the other, since what stays as it was is not judged.
        let images = ["one", "another"].map(|name| format!("{}/acme/no-{name}:v1", self.registry.host()));
        let name = format!("web-{}", self.serial);
        let mut images = images.iter().cycle();
        let said = || {
            if work == Work::Deployment {
                let image = images.next().expect("they go round and round");
                let deployment = deployment(&self.shop, &name, image);
                let applied = self.cluster.kubectl_with_input(&["apply", "-f", "-"], &deployment.to_string());
                // The bundle that another right was tried on may not be back yet.
                let unasked = applied.stderr.contains("failed calling webhook");
                assert!(applied.code == Some(0) || unasked, "{applied:?}");
            }
            self.installed.log(replica)
        };
        until(said, |log| words.iter().all(|words| log.contains(words))).await
    }
}

/// Without `ReplicaSets`, each of which would have Events of its own: there are only so many of these in a second.
fn deployment(namespace: &str, name: &str, image: &str) -> Value {
    let spec = json!({"containers": [{"name": "web", "image": image}]});
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": spec});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace},
        "spec": {"paused": true, "selector": {"matchLabels": {"app": "web"}}, "template": template}})
}

async fn until<T: std::fmt::Debug>(mut said: impl FnMut() -> T, enough: impl Fn(&T) -> bool) -> Result<(), String> {
    let started = Instant::now();
    loop {
        let now = said();
        if enough(&now) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(format!("{now:?}"));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn object(cluster: &Cluster, role: &str) -> Value {
    let found = cluster.kubectl(&["get", role, "-n", "pratique-system", "-o", "json"]);
    done(&found);
    found.json()
}

fn rules(role: &Value) -> Vec<Value> {
    role["rules"].as_array().cloned().expect("it has rules")
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

fn done(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}
