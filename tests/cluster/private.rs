//! Private images: what a namespace brings opens them for that namespace alone, is read again when it changes, and is told
//! to nobody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pratique_testkit::real::Cluster;
use pratique_testkit::{Directory, Image, Outcome, Registry, eventually};

use crate::installed::Installed;
use crate::reached::{judged, pod, policy, settings};

const FIRST: &str = "alice-has-this-password";
const SECOND: &str = "alice-has-that-password";

/// A pull secret, made or changed.
fn secret(cluster: &Cluster, namespace: &str, registry: &Registry, password: &str) {
    let server = format!("--docker-server={}", registry.host());
    let password = format!("--docker-password={password}");
    let create = ["create", "secret", "docker-registry", "pull", "-n", namespace, &server, "--docker-username=alice"];
    let written = cluster.kubectl(&[&create[..], &[&password, "--dry-run=client", "-o", "yaml"]].concat());
    done(&cluster.kubectl_with_input(&["apply", "-f", "-"], &written.stdout));
}

/// Its service account names that secret, whether or not there is one.
fn named(cluster: &Cluster, namespace: &str) {
    let patch = r#"{"imagePullSecrets": [{"name": "pull"}]}"#;
    done(&cluster.kubectl(&["patch", "serviceaccount", "default", "-n", namespace, "-p", patch]));
}

fn done(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn a_private_image_is_for_namespaces_alone_that_bring_what_opens_it_and_their_passwords_are_told_nobody() {
    let registry =
        Registry::setup().tls().token("operator", "not-used-here").user("alice", FIRST, &["acme"]).start().await;
    let hosts = Directory::new();
    for repository in ["acme/web", "acme/rotated", "acme/late"] {
        registry.push(repository, "v1", &Image::single().label(repository));
    }
    let image = |name: &str| format!("{}/{name}:v1", registry.host());
    let cluster = Cluster::with_controllers().await;
    let debugging = settings(hosts.path(), &[&registry]).replace("level: info", "level: debug");
    assert!(debugging.contains("level: debug"), "the shipped settings are not written as this test reads them");
    let installed = Installed::on(&cluster).settings(&debugging).manifest(&policy("deny")).start().await;
    let [shop, bank, late] = [judged(&cluster, "shop"), judged(&cluster, "bank"), judged(&cluster, "late")];
    let [shop, bank, late] = [shop.await, bank.await, late.await];
    named(&cluster, &shop);
    named(&cluster, &late);
    secret(&cluster, &shop, &registry, FIRST);

    eventually("the policy is in force for it", async || {
        installed.create(&pod(&bank, "web", &image("acme/web")), &["--dry-run=server"]).code == Some(1)
    })
    .await;
    installed.accepts(&pod(&shop, "web", &image("acme/web")));
    let asked = registry.requests().len();
    assert!(asked > 0);
    // All of it is known now, to both replicas in the end, and to this namespace it is not.
    for _ in 0..8 {
        let told = installed.rejects(&pod(&bank, "web", &image("acme/web")), &["image-inaccessible"]);
        assert!(!told.contains("sha256:"), "who may not see it does not learn its digest: {told}");
        installed.would_accept(&pod(&shop, "again", &image("acme/web")));
    }

    // Made after the Pod was refused: the next try is admitted.
    installed.rejects(&pod(&late, "web", &image("acme/late")), &["image-inaccessible"]);
    secret(&cluster, &late, &registry, FIRST);
    eventually("the late one is read", async || {
        installed.create(&pod(&late, "web", &image("acme/late")), &[]).code == Some(0)
    })
    .await;

    // The registry has another password, and soon the Secret too.
    registry.set_password("alice", SECOND);
    installed.rejects(&pod(&shop, "rotated", &image("acme/rotated")), &["image-inaccessible"]);
    secret(&cluster, &shop, &registry, SECOND);
    eventually("the rotated one is read", async || {
        installed.create(&pod(&shop, "rotated", &image("acme/rotated")), &[]).code == Some(0)
    })
    .await;
    installed.would_accept(&pod(&shop, "web-2", &image("acme/web")));
    installed.would_reject(&pod(&late, "rotated", &image("acme/rotated")), &["image-inaccessible"]);

    // A controller's refusal is told by an Event.
    let flag = format!("--image={}", image("acme/web"));
    done(&cluster.kubectl(&["create", "deployment", "web", &flag, "-n", &bank]));
    let events = || cluster.kubectl(&["get", "events.events.k8s.io", "-A", "-o", "json"]).stdout;
    eventually("it has an Event", async || events().contains("ImagesRefused")).await;
    told_nobody(&installed, &events());
}

/// Neither the passwords nor what is made of them for a Secret or a request.
fn told_nobody(installed: &Installed<'_>, events: &str) {
    let audited = installed.cluster().audited();
    assert!(audited.contains("images.pratique.dev/"), "the API server notes what we annotate:\n{audited}");
    let mut told = vec![("the audit log", audited), ("Events", events.to_owned())];
    let logs = [0, 1].map(|replica| installed.log(replica));
    assert!(logs.iter().any(|log| log.contains("image-inaccessible")), "refusals are in the log:\n{logs:#?}");
    told.extend(logs.map(|log| ("the log", log)));
    for replica in [0, 1] {
        for path in ["/metrics", "/readyz"] {
            told.push((path, installed.admin(replica, path).expect("it answers").1));
        }
    }
    for password in [FIRST, SECOND] {
        let forms = [password.to_owned(), STANDARD.encode(password), STANDARD.encode(format!("alice:{password}"))];
        for (place, text) in &told {
            assert!(forms.iter().all(|form| !text.contains(form.as_str())), "{place} tells it:\n{text}");
        }
    }
}
