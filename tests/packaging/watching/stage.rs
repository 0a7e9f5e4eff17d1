//! Two real replicas in a real cluster, registries that can be told to fail, everybody who asks, and a real Prometheus that
//! finds the replicas as the documentation says.

use futures_util::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use pratique_testkit::real::Cluster;
use pratique_testkit::report::TrivyReport;
use pratique_testkit::signer::{Key, KeyKind};
use pratique_testkit::{Behaviour, Directory, Image, Outcome, Registry, Route, eventually};
use serde_json::{Value, json};

use super::installed::Installed;
use super::prometheus::Prometheus;
use super::shipped::{COMPONENT, documented, read};

/// Namespaces, and the policy that is enforced in each.
const NAMESPACES: [(&str, Option<&str>); 5] = [
    ("shop", Some("tags")),
    ("bank", Some("acme")),
    ("lab", Some("scanned")),
    ("vault", Some("signed")),
    ("play", None),
];
const REPLICAS: usize = 2;
const REPOSITORY: &str = "acme/web";

pub(super) struct Stage<'cluster> {
    pub(super) installed: Installed<'cluster>,
    pub(super) prometheus: Prometheus,
    cluster: &'cluster Cluster,
    client: Client,
    pub(super) good: Registry,
    /// Each fails in a way of its own once it is told to.
    pub(super) failing: Vec<(Registry, Behaviour)>,
    pub(super) gone: Registry,
    digest: String,
    /// Of an image that no report speaks of.
    unscanned: String,
    is_broken: bool,
    reports: Directory,
    round: usize,
    _hosts: Directory,
}

impl<'cluster> Stage<'cluster> {
    /// `rules`: the rules file that Prometheus evaluates.
    pub(super) async fn set(cluster: &'cluster Cluster, rules: &str) -> Self {
        let (hosts, reports) = (Directory::new(), Directory::new());
        let (good, gone) = (Registry::setup().token("operator", "-").start().await, Registry::setup().start().await);
        let mut failing = Vec::new();
        let redirected = Behaviour::redirect(format!("{}/nowhere", good.url()));
        let limited = Behaviour::TooManyRequests { retry_after: "1".to_owned() };
        for behaviour in [Behaviour::status(500), Behaviour::status(418), Behaviour::SlowHeaders, redirected, limited] {
            failing.push((Registry::setup().start().await, behaviour));
        }
        let image = Image::single();
        let mut digest = String::new();
        for registry in failing.iter().map(|(registry, _)| registry).chain([&good, &gone]) {
            registry.write_hosts(hosts.path());
            for tag in ["v1", "latest"] {
                digest = registry.push(REPOSITORY, tag, &image);
            }
        }
        let unscanned = good.push(REPOSITORY, "unscanned", &Image::single().label("unscanned"));
        let name = format!("{}/{REPOSITORY}:v1", good.host());
        reports.write("web.json", &TrivyReport::of(&name).manifest(&digest).text());
        let shipped = read("manifests/base/settings/pratique.yaml");
        let (hosts_at, reports_at) = (hosts.path().display(), reports.path().display());
        let settings =
            format!("{shipped}\nregistries: {{hosts: \"{hosts_at}\"}}\nscans: {{directories: [\"{reports_at}\"]}}\n");
        let setup = Installed::on(cluster).replicas(REPLICAS).settings(&settings);
        let installed =
            policies().iter().fold(setup, |setup, policy| setup.manifest(&policy.to_string())).start().await;
        for (namespace, enforced) in NAMESPACES {
            let labels: Vec<(&str, &str)> = enforced.iter().map(|policy| ("pratique.dev/enforce", *policy)).collect();
            cluster.namespace(namespace, &labels).await;
        }
        let client = client(cluster).await;
        published(cluster);
        let prometheus = Prometheus::start(&configuration(&installed), rules);
        Self {
            installed,
            prometheus,
            cluster,
            client,
            good,
            failing,
            gone,
            digest,
            unscanned,
            is_broken: false,
            reports,
            round: 0,
            _hosts: hosts,
        }
    }

    /// A round of Pods, of which some are refused for what they are.
    pub(super) async fn traffic(&mut self) {
        self.round += 1;
        let good = format!("{}/{REPOSITORY}", self.good.host());
        let pinned = format!("{good}@{}", self.digest);
        let unscanned = format!("{good}@{}", self.unscanned);
        for (namespace, image) in [
            ("shop", &pinned),
            ("shop", &format!("{good}:latest")),
            ("bank", &format!("{good}:v1")),
            ("lab", &pinned),
            ("vault", &format!("{good}:v1")),
            ("play", &pinned),
            ("play", &format!("{good}:latest")),
            // As everywhere where nobody scans: it is audited, and refused nowhere.
            ("play", &unscanned),
        ] {
            self.ask(namespace, image).await;
        }
        if self.is_broken {
            self.ask("lab", &unscanned).await;
        }
        // Of each of the others an image that nobody has asked for before; of the one that says nothing now and then, since
        // whoever asks waits.
        let tag = if self.round == 1 { "v1".to_owned() } else { format!("t{}", self.round) };
        let answers = |behaviour: &Behaviour| !matches!(behaviour, Behaviour::SlowHeaders) || self.round % 4 == 1;
        let failing = self.failing.iter().filter(|(_, behaviour)| answers(behaviour)).map(|(registry, _)| registry);
        let others = failing.chain([&self.gone]);
        let images: Vec<String> = others.map(|its| format!("{}/{REPOSITORY}:{tag}", its.host())).collect();
        join_all(images.iter().map(|image| self.ask("bank", image))).await;
    }

    /// As a dry run: reviewed, and not made.
    async fn ask(&self, namespace: &str, image: &str) {
        let pod = json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": image}]}});
        let pod: Pod = serde_json::from_value(pod).expect("it is a Pod");
        let how = PostParams { dry_run: true, ..PostParams::default() };
        match Api::<Pod>::namespaced(self.client.clone(), namespace).create(&how, &pod).await {
            Ok(_) | Err(kube::Error::Api(_)) => {}
            Err(error) => panic!("no answer about {image} in {namespace}: {error}"),
        }
    }

    /// Everything that somebody is to be told of.
    pub(super) async fn break_everything(&mut self) {
        for (registry, behaviour) in &self.failing {
            registry.on(Route::Any, behaviour.clone());
        }
        self.gone.go_away();
        self.reports.write("half.json", "{\"SchemaVersion\": 2,");
        // Nobody looks at policies on their way in any more, and what cannot be asked is let in.
        let weaker = r#"[{"op": "remove", "path": "/webhooks/1"}, {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]"#;
        done(&self.cluster.kubectl(&[
            "patch",
            "validatingwebhookconfiguration",
            "pratique",
            "--type=json",
            "-p",
            weaker,
        ]));
        let nonsense = json!([{"name": "all", "images": ["https://ghcr.io/acme"], "admit": true}]);
        let ended = json!([{"id": "CVE-2024-6119", "until": "2026-01-31", "reason": "r", "owner": "o"}]);
        let waived =
            json!([{"name": "all", "images": ["**"], "vulnerabilities": {"threshold": "high", "ignore": ended}}]);
        for policy in [policy("tags", &nonsense), policy("new", &nonsense), policy("waived", &waived)] {
            eventually("the API server takes it unseen", async || {
                self.cluster.kubectl_with_input(&["apply", "-f", "-"], &policy.to_string()).code == Some(0)
            })
            .await;
        }
        self.is_broken = true;
    }

    /// What each replica prints now.
    pub(super) fn expositions(&self) -> Vec<String> {
        let exposition = |replica| self.installed.admin(replica, "/metrics").expect("it answers").1;
        (0..REPLICAS).map(exposition).collect()
    }
}

/// One that asks once: kube's would try again what is refused for want of an answer.
async fn client(cluster: &Cluster) -> Client {
    // It also makes the provider of TLS known.
    let _other = cluster.client().await;
    let read = Kubeconfig::read_from(cluster.kubeconfig()).expect("our own kubeconfig can be read");
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let mut config = config.expect("our own kubeconfig is in order");
    config.default_retry = false;
    Client::try_from(config).expect("a client can be made")
}

fn policies() -> Vec<Value> {
    let all = json!(["**"]);
    let key = Key::generate(KeyKind::P256).public_pem();
    let mut signed =
        policy("signed", &json!([{"name": "all", "images": all, "signatures": {"authorities": ["release"]}}]));
    signed["spec"]["authorities"] = json!([{"name": "release", "keys": [{"pem": key}]}]);
    let scans = json!({"threshold": "high", "maxAge": "72h", "missing": "deny"});
    vec![
        policy("tags", &json!([{"name": "all", "images": all, "tags": {"deny": ["latest"]}}])),
        policy("acme", &json!([{"name": "all", "images": all, "tags": {"repointed": "deny"}}])),
        policy("scanned", &json!([{"name": "all", "images": all, "vulnerabilities": scans}])),
        signed,
    ]
}

fn policy(name: &str, rules: &Value) -> Value {
    json!({"apiVersion": "pratique.dev/v1alpha1", "kind": "ImagePolicy", "metadata": {"name": name},
        "spec": {"unavailable": "deny", "rules": rules}})
}

/// Our Service for scrapes, with the replicas behind it as the controllers would enter their Pods. An API server takes no
/// loopback address there, so that Prometheus is told below where they are.
fn published(cluster: &Cluster) {
    done(&cluster.kubectl(&["apply", "-f", &format!("{}/{COMPONENT}/service.yaml", env!("CARGO_MANIFEST_DIR"))]));
    let endpoint = |replica| {
        json!({"addresses": [format!("10.0.0.{}", replica + 1)], "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "namespace": "pratique-system", "name": format!("pratique-{replica}")}})
    };
    let endpoints: Vec<Value> = (0..REPLICAS).map(endpoint).collect();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "pratique-metrics-test", "namespace": "pratique-system",
            "labels": {"kubernetes.io/service-name": "pratique-metrics"}},
        "endpoints": endpoints, "ports": [{"name": "admin", "port": 9090, "protocol": "TCP"}]});
    done(&cluster.kubectl_with_input(&["create", "-f", "-"], &slice.to_string()));
}

/// The scrape configuration of the documentation, with the way to the API server and to the replicas that a Prometheus in the
/// cluster needs not be told, and samples a second apart.
fn configuration(installed: &Installed<'_>) -> String {
    let mut configuration: Value = serde_saphyr::from_str(&documented("<!-- scrape -->")).expect("it is YAML");
    let job = &mut configuration["scrape_configs"][0];
    job["scrape_interval"] = json!("1s");
    job["scrape_timeout"] = json!("1s");
    job["kubernetes_sd_configs"][0]["kubeconfig_file"] = json!(installed.cluster().kubeconfig().display().to_string());
    let relabelled = job["relabel_configs"].as_array_mut().expect("it has some");
    for replica in 0..REPLICAS {
        let (pod, admin) = (format!("pratique-{replica}"), admin(installed, replica));
        relabelled
            .push(json!({"source_labels": ["pod"], "regex": pod, "target_label": "__address__", "replacement": admin}));
    }
    configuration["global"] = json!({"evaluation_interval": "1s"});
    configuration["rule_files"] = json!(["rules.yaml"]);
    configuration.to_string()
}

/// Where a replica answers operators, as it says itself.
fn admin(installed: &Installed<'_>, replica: usize) -> String {
    let log = installed.log(replica);
    let told = log.split_once("\"admin\":\"").and_then(|(_, rest)| rest.split_once('"'));
    told.unwrap_or_else(|| panic!("replica {replica} does not say where it listens:\n{log}")).0.to_owned()
}

fn done(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.stdout, outcome.stderr);
}
