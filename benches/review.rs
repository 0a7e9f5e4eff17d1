//! A warm review in the handler, and over HTTPS beside a handler that reads the body and answers a constant.
//!
//! `cargo bench --bench review`, with `-- --assert` to fail where a figure of the design is missed. Tag
//! demands with the record of each tag, signatures and attestations of three images that were found at a registry and
//! verified before, log line included (written to /dev/null). The load comes from a second thread.

#![expect(clippy::print_stdout, reason = "the bench's result")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use jiff::Timestamp;
use pratique::admission::workload::Workloads;
use pratique::evidence::budget::Budget;
use pratique::evidence::cluster::Cluster;
use pratique::evidence::cluster::nodes::Nodes;
use pratique::evidence::cluster::pull_secrets::Usage;
use pratique::evidence::registry::outbound::Surroundings;
use pratique::evidence::registry::{self, Registries};
use pratique::evidence::scope::{Namespaces, policy_labels};
use pratique::evidence::signature;
use pratique::evidence::signature::trust::Trust;
use pratique::evidence::{Evidence, ScanSources};
use pratique::image::Platform;
use pratique::observe::metrics::Metrics;
use pratique::observe::{Observe, logging};
use pratique::policy::compile::KeyAt;
use pratique::policy::{Bindings, Controllers, Policies, compile, document};
use pratique::review::{InForce, Review};
use pratique::server::{Bounds, Drain, listen, router, tls};
use pratique_testkit::measure::{Sample, asserting, figure, ratio};
use pratique_testkit::report::{Finding, TrivyReport};
use pratique_testkit::signer::{Key, KeyKind, Payload, Signer, Statement, Version};
use pratique_testkit::{Directory, Image, Place};
use prometheus::Registry;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const POD: &str = include_str!("../tests/fixtures/reviews/captured-reviews/pod-create.json");
/// As the API server sends it with `timeoutSeconds: 5`.
const TARGET: &str = "/validate?timeout=5s";

/// A part of the bench by its name; whether it met its figures.
type Part = (&'static str, fn() -> bool);

fn main() {
    // Opened once, as standard error is.
    let log = Arc::new(File::options().write(true).open("/dev/null").expect("there is a /dev/null"));
    tracing::subscriber::set_global_default(logging::subscriber("info", logging::Format::Json, log))
        .expect("nobody else logs here");
    let parts: [Part; 3] = [("handler", in_handler), ("growth", growth), ("https", over_https)];
    // A word after `--` runs the part of that name alone.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let chosen = parts.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name));
    let met: Vec<bool> = chosen.map(|(_, part)| part()).collect();
    assert!(met.iter().all(|met| *met) || !asserting(), "a figure was missed");
}

/// A registry of this process with the images of the review; asked once, when the first review is cold.
struct Upstream {
    registry: pratique_testkit::Registry,
    /// Of the image that is named by it.
    digest: String,
    /// Who has signed and attested them all.
    key: Key,
    /// Of scan reports.
    scans: Directory,
}

impl Upstream {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let registry = runtime.block_on(pratique_testkit::Registry::setup().start());
        let image = Image::platforms(&["linux/amd64", "linux/arm64/v8"]);
        registry.push("acme/migrate", "v1.4.2", &image);
        registry.push("acme/shop", "v1.4.2", &image);
        let digest = registry.push("library/nginx", "1.29", &image);
        let key = Key::generate(KeyKind::P256);
        let signer = Signer::key(&key);
        let builder = serde_json::json!({"runDetails": {"builder": {"id": "https://builder.example"}}});
        for repository in ["acme/migrate", "acme/shop", "library/nginx"] {
            let payload = Payload::of(&digest, &format!("{}/{repository}", registry.host()));
            signer.simple(&payload).attach(&registry, repository, &digest, Place::SignatureTag);
            let statement = Statement::about(&digest, "https://slsa.dev/provenance/v1").predicate(builder.clone());
            signer.bundle(Version::V03, &statement).attach(&registry, repository, &digest, Place::Referrer);
        }
        let scans = Directory::new();
        let name = format!("{}/acme/shop:v1.4.2", registry.host());
        let found = |number| Finding::new(&format!("CVE-2026-{number:04}")).severity("LOW").package("zlib", "1.2");
        let report = TrivyReport::of_image(&name, &image, "linux/amd64");
        scans.write("shop.json", &(0..20).map(found).fold(report, TrivyReport::finding).text());
        Self { registry, digest, key, scans }
    }
}

/// An 8 kB review of three images that every demand of this build lets pass.
fn body(upstream: &Upstream) -> String {
    let (host, digest) = (upstream.registry.host(), &upstream.digest);
    let mut review: serde_json::Value = serde_json::from_str(POD).expect("a captured review is JSON");
    let pod = &mut review["request"]["object"];
    pod["spec"]["initContainers"][0]["image"] = format!("{host}/acme/migrate:v1.4.2").into();
    pod["spec"]["containers"] = serde_json::json!([
        {"name": "web", "image": format!("{host}/acme/shop:v1.4.2")},
        {"name": "proxy", "image": format!("{host}/library/nginx:1.29@{digest}")},
    ]);
    if let Some(init) = pod["spec"]["initContainers"].as_array_mut() {
        init.truncate(1);
    }
    let padding = 8_000_usize.saturating_sub(review.to_string().len() + 40);
    review["request"]["object"]["metadata"]["annotations"]["padding"] = "x".repeat(padding).into();
    review.to_string()
}

/// A review process with so many policies and namespaces; all three modes judge, by scan reports too or without.
fn review(upstream: &Upstream, policies: usize, namespaces: usize, scans: bool) -> Review {
    let demand =
        if scans { "vulnerabilities: {threshold: high, fixable: true, maxAge: 72h, scanners: [trivy]}" } else { "" };
    let key = serde_json::json!(upstream.key.public_pem());
    let read_key = |at: KeyAt<'_>| match at {
        KeyAt::Pem(pem) => signature::read_public_key(pem),
        KeyAt::File(_) | KeyAt::Secret { .. } => Err("is not in the bench".to_owned()),
    };
    let policy = |name: &str| {
        let text = format!(
            "apiVersion: pratique.dev/v1alpha1
kind: ImagePolicy
metadata: {{name: {name}}}
spec:
  rules:
  - name: acme
    images: [\"ghcr.io/acme/**\", \"127.0.0.1:*/**\"]
    tags: {{deny: [latest, main, \"dev-*\"], allow: [\"v*\", \"1.*\"], repointed: deny}}
    signatures: {{authorities: [release]}}
    {demand}
    attestations:
    - predicateType: https://slsa.dev/provenance/v1
      authorities: [release]
      where: [{{path: runDetails.builder.id, equals: \"https://builder.example\"}}]
  authorities:
  - {{name: release, keys: [{{pem: {key}}}]}}
"
        );
        let documents = document::parse_documents(&text).expect("the policy is YAML");
        let compiled = compile::compile(&documents[0], "bench", &read_key).expect("the policy is valid");
        (compiled.policy.name.clone(), Arc::new(compiled.policy))
    };
    let bindings = Bindings {
        enforce: None,
        warn: Some("p1".into()),
        audit: Some("p2".into()),
        floor: Some("p3".into()),
        exempt_namespaces: BTreeSet::from(["kube-system".to_owned()]),
        controllers: Controllers::Warn,
        dry_run: false,
    };
    let by_name = (0..policies).map(|index| policy(&format!("p{index}"))).collect();
    let registry = Registry::new();
    let settings = registry::Settings {
        hosts: None,
        docker_config: None,
        providers: None,
        realms: BTreeMap::new(),
        concurrency: 16,
        surroundings: Surroundings::Alone,
    };
    let (registries, _warnings) = Registries::new(settings, &registry).expect("no settings are no mistake");
    // Warm means that nobody is asked.
    let budget = Budget { tag_fresh: Duration::from_hours(1), ..Budget::default() };
    let trust = Arc::new(Trust::built_in().expect("it is part of the program"));
    let nodes = Arc::new(Nodes::new(Arc::from([Platform::default()])));
    let paths = if scans { vec![upstream.scans.path().to_owned()] } else { Vec::new() };
    let scans = ScanSources { paths, objects: false };
    let evidence = Evidence::new(budget, Arc::new(registries), trust, Usage::Named, nodes, scans, &registry);
    let evidence = evidence.expect("fresh collectors");
    let labels = || policy_labels([("pratique.dev/enforce", "p0")]);
    let mut named: HashMap<_, _> = (0..namespaces).map(|index| (format!("namespace-{index}"), labels())).collect();
    named.insert("shop".to_owned(), labels());
    let namespaces = Namespaces::new(named, Timestamp::now());
    let observe = Observe::new(Metrics::register(&registry).expect("fresh collectors"));
    let cluster = Cluster { namespaces: Arc::new(namespaces), ..Cluster::default() };
    let in_force = InForce { policies: Policies { by_name, bindings }, cluster: Arc::new(cluster) };
    Review::new(Workloads::default(), in_force, evidence, observe).0
}

fn timed(review: &Review, body: &str) -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let deadline = || Instant::now() + Duration::from_secs(5);
        Arc::clone(review.evidence().directories()).fill().await;
        let answer = review.answer(body.as_bytes(), deadline()).await.expect("the review has a uid");
        assert!(String::from_utf8_lossy(&answer.body).contains("\"allowed\":true"), "the warm review is admitted");
        let mut durations = Vec::new();
        for _ in 0..20_000 {
            let start = Instant::now();
            std::hint::black_box(review.answer(body.as_bytes(), deadline()).await).expect("the review has a uid");
            durations.push(start.elapsed());
        }
        Sample::new(durations.split_off(2_000))
    })
}

/// With all reports read.
fn scanned(review: Review) -> Review {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(Arc::clone(review.evidence().directories()).fill());
    review
}

fn in_handler() -> bool {
    let upstream = Upstream::start();
    let body = body(&upstream);
    let without = timed(&review(&upstream, 10, 10, false), &body);
    let sample = timed(&review(&upstream, 10, 10, true), &body);
    println!("in the handler, without a demand on scans: {without}");
    println!("in the handler, {} bytes, 3 images, 4 judgements each: {sample}", body.len());
    let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
    let on_top = (micros(sample.p50()) - micros(without.p50())) / 3.0;
    let on_top = figure("a judged report of 20 findings on top, per image, p50", on_top, "us", 1.0, true);
    let p50 = figure("warm decision in the handler, p50", micros(sample.p50()), "us", 15.0, true);
    figure("warm decision in the handler, p99", micros(sample.p99()), "us", 60.0, true) && p50 && on_top
}

fn growth() -> bool {
    let upstream = Upstream::start();
    let body = body(&upstream);
    let (few, many) = (review(&upstream, 10, 10, true), review(&upstream, 1_000, 10_000, true));
    let few = timed(&few, &body);
    let many = timed(&many, &body);
    figure("10 -> 1,000 policies and 10,000 namespaces, p50", ratio(many.p50(), few.p50()), "x", 1.2, true)
}

/// A server on its own thread with one worker, as on one core.
struct Server {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

fn serve(identity: &Arc<tls::Identity>, app: Router) -> Server {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let config = tls::server_config(Arc::clone(identity), None).expect("a TLS configuration");
    let running = runtime
        .block_on(listen((Ipv4Addr::LOCALHOST, 0).into(), app, Some(config), &Bounds::default(), Drain::default()))
        .expect("a free port");
    let address = running.address();
    // The runtime keeps it; dropping it would cut the connections.
    runtime.spawn(async move {
        let _running = running;
        std::future::pending::<()>().await;
    });
    Server { address, _runtime: runtime }
}

fn over_https() -> bool {
    let (identity, authority) = tls::Identity::self_made(&[]).expect("a certificate");
    let identity = Arc::new(identity);
    let constant = post(|_body: Bytes| async {
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"0","allowed":true}}"#
    });
    let upstream = Upstream::start();
    let nothing = serve(&identity, Router::new().route("/validate", constant));
    let ours = serve(
        &identity,
        router(
            Arc::new(scanned(review(&upstream, 10, 10, true))),
            &Bounds::default(),
            Drain::default(),
            &Registry::new(),
        )
        .expect("fresh collectors"),
    );
    let client = Client::new(authority.pem());
    let body = Bytes::from(body(&upstream));
    let mut ratios = (Vec::new(), Vec::new());
    let (mut slow, mut last) = (Vec::new(), None);
    // Turn about, so that what else the machine does falls on both.
    for _ in 0..7 {
        let (empty, full) = (client.load(&nothing, &body, 8, 4_000), client.load(&ours, &body, 8, 4_000));
        ratios.0.push(ratio(full.sample.p50(), empty.sample.p50()));
        slow.push(full.sample.p99().as_secs_f64() * 1e3);
        let (empty_many, full_many) = (client.load(&nothing, &body, 32, 8_000), client.load(&ours, &body, 32, 8_000));
        ratios.1.push(full_many.per_second / empty_many.per_second);
        last = Some((empty, full, empty_many, full_many));
    }
    if let Some((empty, full, empty_many, full_many)) = last {
        println!("HTTP/1.1, 8 connections, constant answer: {} {:>9.0}/s", empty.sample, empty.per_second);
        println!("HTTP/1.1, 8 connections, Pratique:        {} {:>9.0}/s", full.sample, full.per_second);
        println!(
            "HTTP/1.1, 32 connections: constant answer {:.0}/s, Pratique {:.0}/s",
            empty_many.per_second, full_many.per_second
        );
    }
    let one = (client.load(&nothing, &body, 1, 2_000), client.load(&ours, &body, 1, 2_000));
    println!("HTTP/1.1, 1 connection: constant answer {}, Pratique {}", one.0.sample, one.1.sample);
    let streams = (client.load_http2(&nothing, &body, 8, 4_000), client.load_http2(&ours, &body, 8, 4_000));
    println!("HTTP/2, 1 connection, 8 streams: constant answer {}, Pratique {}", streams.0.sample, streams.1.sample);
    println!(
        "p50 over HTTPS, 1 connection, to a constant answer: {:.2} x",
        ratio(one.1.sample.p50(), one.0.sample.p50())
    );
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let met = [
        figure("p50 over HTTPS, 8 connections, to a constant answer", median(ratios.0), "x", 1.3, true),
        figure("p99 over HTTPS, 8 connections", median(slow), "ms", 1.0, true),
        figure("throughput, 32 connections, to a constant answer", median(ratios.1), "x", 0.35, false),
    ];
    met.iter().all(|met| *met)
}

struct Client {
    runtime: tokio::runtime::Runtime,
    tls: rustls::ClientConfig,
}

/// What one load came to.
struct Load {
    sample: Sample,
    per_second: f64,
}

impl Client {
    fn new(authority: &str) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority.as_bytes()) {
            roots.add(certificate.expect("PEM")).expect("a certificate");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, tls: config }
    }

    /// So many requests over so many connections, each keeping one in flight.
    fn load(&self, server: &Server, body: &Bytes, connections: usize, requests: usize) -> Load {
        self.runtime.block_on(async {
            let mut senders = Vec::new();
            for _ in 0..connections {
                senders.push(self.connect(server.address).await);
            }
            let start = Instant::now();
            let each = requests / connections;
            let tasks: Vec<_> =
                senders.into_iter().map(|sender| tokio::spawn(requests_of(sender, body.clone(), each))).collect();
            Load::of(tasks, start).await
        })
    }

    /// The same over so many streams of one HTTP/2 connection, as API servers do on a loopback address.
    fn load_http2(&self, server: &Server, body: &Bytes, streams: usize, requests: usize) -> Load {
        self.runtime.block_on(async {
            let stream = self.dial(server.address, b"h2").await;
            let io = TokioIo::new(stream);
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
            tokio::spawn(connection);
            let start = Instant::now();
            let each = requests / streams;
            let tasks = (0..streams).map(|_| tokio::spawn(streams_of(sender.clone(), body.clone(), each)));
            Load::of(tasks.collect(), start).await
        })
    }

    async fn connect(&self, address: SocketAddr) -> http1::SendRequest<Full<Bytes>> {
        let io = TokioIo::new(self.dial(address, b"http/1.1").await);
        let (sender, connection) = http1::handshake(io).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        sender
    }

    async fn dial(&self, address: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP option");
        let mut config = self.tls.clone();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS")
    }
}

impl Load {
    async fn of(tasks: Vec<JoinHandle<Vec<Duration>>>, start: Instant) -> Self {
        let mut durations = Vec::new();
        for task in tasks {
            durations.extend(task.await.expect("the load runs to its end"));
        }
        let count = u32::try_from(durations.len()).expect("a load is small");
        Self { per_second: f64::from(count) / start.elapsed().as_secs_f64(), sample: Sample::new(durations) }
    }
}

async fn requests_of(mut sender: http1::SendRequest<Full<Bytes>>, body: Bytes, count: usize) -> Vec<Duration> {
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        sender.ready().await.expect("the connection is kept");
        finish(sender.send_request(request(&body, TARGET)).await).await;
        durations.push(start.elapsed());
    }
    durations
}

async fn streams_of(mut sender: http2::SendRequest<Full<Bytes>>, body: Bytes, count: usize) -> Vec<Duration> {
    let target = format!("https://localhost{TARGET}");
    let mut durations = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        sender.ready().await.expect("the connection is kept");
        finish(sender.send_request(request(&body, &target)).await).await;
        durations.push(start.elapsed());
    }
    durations
}

fn request(body: &Bytes, target: &str) -> hyper::Request<Full<Bytes>> {
    let request = hyper::Request::post(target).header("content-type", "application/json");
    // HTTP/2 has the host in its target.
    let request = if target.starts_with('/') { request.header("host", "localhost") } else { request };
    request.body(Full::new(body.clone())).expect("a request")
}

async fn finish(answer: hyper::Result<hyper::Response<hyper::body::Incoming>>) {
    let answer = answer.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.into_body().collect().await.expect("a whole answer");
}
