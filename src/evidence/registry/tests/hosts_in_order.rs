//! Mirrors before the registry, and what counts if they do not agree.

use super::*;

/// A registry and a mirror of it, over plain HTTP.
struct Pair {
    mirror: Server,
    origin: Server,
    hosts: Directory,
}

impl Pair {
    async fn new(mirror: Send, origin: Send, capabilities: &str) -> Self {
        let mirror = Server::start(None, move |_, _| mirror.clone()).await;
        let origin = Server::start(None, move |_, _| origin.clone()).await;
        let hosts = Directory::new();
        let folder = hosts.path().join(&origin.authority);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "server = \"http://{}\"\n[host.\"http://{}\"]\ncapabilities = [{capabilities}]\n",
            origin.authority, mirror.authority
        );
        std::fs::write(folder.join("hosts.toml"), text).unwrap();
        Self { mirror, origin, hosts }
    }

    async fn resolve(&self, rest: &str) -> Fact<Resolved> {
        let registries = registries(limits(), Some(&self.hosts));
        registries.resolve(&image(&self.origin.authority, rest), &Asker::anonymous(), None).await
    }

    fn told(&self, fact: Fact<Resolved>) -> (Fault, String) {
        let (fault, words) = told(fact, &self.origin);
        (fault, words.replace(&self.mirror.authority, "MIRROR"))
    }
}

const BOTH: &str = r#""pull", "resolve""#;

fn good() -> Send {
    answer(200, &[OCI], &manifest_of("a"))
}

#[tokio::test]
async fn the_first_that_has_it_decides() {
    let pair = Pair::new(good(), answer(500, &[], b""), BOTH).await;
    assert_eq!(known(pair.resolve("acme/app:v1").await).digest, digest_of(&manifest_of("a")));
    assert_eq!(pair.origin.got().len(), 0);
    let line = &pair.mirror.got()[0].line;
    assert!(line.starts_with("GET /v2/acme/app/manifests/v1?ns=127.0.0.1"), "{line}");
}

#[tokio::test]
async fn whatever_a_mirror_does_the_registry_is_asked() {
    for mirror in [
        answer(404, &[], b""),
        answer(403, &[], b""),
        answer(500, &[], b""),
        answer(200, &[OCI], b"garbage"),
        answer(429, &["retry-after: 60"], b""),
        answer(302, &["location: http://169.254.169.254/"], b""),
        Send::Close,
    ] {
        let pair = Pair::new(mirror, good(), BOTH).await;
        assert_eq!(known(pair.resolve("acme/app:v1").await).digest, digest_of(&manifest_of("a")));
    }
}

#[tokio::test]
async fn a_mirror_that_may_not_resolve_is_asked_for_digests_alone() {
    let pair = Pair::new(good(), good(), r#""pull""#).await;
    known(pair.resolve("acme/app:v1").await);
    assert_eq!((pair.mirror.got().len(), pair.origin.got().len()), (0, 1));
    known(pair.resolve(&format!("acme/app@{}", digest_of(&manifest_of("a")))).await);
    assert_eq!((pair.mirror.got().len(), pair.origin.got().len()), (1, 1));
}

#[tokio::test]
async fn absent_only_if_all_say_so() {
    let none = || answer(404, &[], b"");
    let fact = Pair::new(none(), none(), BOTH).await.resolve("acme/app:v1").await;
    assert!(matches!(fact, Fact::Absent(_)), "{fact:?}");
    let pair = Pair::new(answer(503, &[], b""), none(), BOTH).await;
    let words = "MIRROR answered 503 Service Unavailable; REGISTRY has none";
    assert_eq!(pair.told(pair.resolve("acme/app:v1").await), (Fault::Outage, words.to_owned()));
}

#[tokio::test]
async fn wrong_bytes_outweigh_an_outage() {
    let pair = Pair::new(answer(200, &[OCI], &manifest_of("b")), answer(500, &[], b""), BOTH).await;
    let told = pair.told(pair.resolve(&format!("acme/app@{}", digest_of(&manifest_of("a")))).await);
    let words = "MIRROR sent other bytes than those of the digest that was asked for; REGISTRY answered 500 Internal Server Error";
    assert_eq!(told, (Fault::Mismatch, words.to_owned()));
}

#[tokio::test]
async fn an_outage_of_the_registry_stays_one_whatever_else_a_mirror_says() {
    for (mirror, words) in [
        (answer(403, &[], b""), "answered 403 Forbidden without a credential, as none is for it"),
        (
            answer(200, &["content-type: text/html"], b"<html>"),
            "answered with text/html instead of a manifest; is this a registry?",
        ),
    ] {
        let pair = Pair::new(mirror, answer(503, &[], b""), BOTH).await;
        let told = pair.told(pair.resolve("acme/app:v1").await);
        let words = format!("REGISTRY answered 503 Service Unavailable; MIRROR {words}");
        assert_eq!(told, (Fault::Outage, words));
    }
}

#[tokio::test]
async fn the_registrys_credentials_are_not_for_a_mirror() {
    let tls = Tls::new();
    let wants = |_: &Got, _: &str| answer(401, &[r#"www-authenticate: Basic realm="x""#], b"");
    let (mirror, origin) = (tls.serve(wants).await, tls.serve(wants).await);
    tls.trust(&origin.authority, &format!("[host.\"https://{}\"]\nca = \"ca.pem\"", mirror.authority));
    let fact = tls.registries().resolve(&image(&origin.authority, "acme/app:v1"), &alice(), None).await;
    assert_eq!(trouble(fact).fault, Fault::Refused);
    assert!(mirror.got().iter().all(|got| got.header("authorization").is_none()));
    assert_eq!(mirror.got().len(), 1);
    assert!(origin.got().iter().any(|got| got.header("authorization").is_some()));
}

#[tokio::test]
async fn a_reload_is_all_or_nothing() {
    let pair = Pair::new(good(), good(), BOTH).await;
    let registries = registries(limits(), Some(&pair.hosts));
    let file = pair.hosts.path().join(&pair.origin.authority).join("hosts.toml");
    std::fs::write(&file, "server = 7").unwrap();
    let mistakes = registries.reload().unwrap_err();
    assert!(mistakes[0].to_string().contains("hosts.toml"), "{mistakes:?}");
    let image = image(&pair.origin.authority, "acme/app:v1");
    known(registries.resolve(&image, &Asker::anonymous(), None).await);
    assert_eq!((pair.mirror.got().len(), pair.origin.got().len()), (1, 0));
    std::fs::write(&file, format!("server = \"http://{}\"", pair.origin.authority)).unwrap();
    assert_eq!(registries.reload(), Ok(Vec::new()));
    known(registries.resolve(&image, &Asker::anonymous(), None).await);
    assert_eq!((pair.mirror.got().len(), pair.origin.got().len()), (1, 1));
    assert_eq!(registries.settings.files(), [pair.hosts.path().to_owned()]);
}

/// Asked more often than a host may fail before it is left alone.
const OFTEN: usize = 6;

#[tokio::test]
async fn a_registry_cannot_have_another_one_left_alone_by_redirecting_to_it() {
    let honest = Tls::new();
    let victim = honest.serve(|got, _| if got.line.contains("evil") { answer(500, &[], b"") } else { good() }).await;
    let location = format!("location: https://{}/v2/evil", victim.authority);
    let evil = honest.serve(move |_, _| answer(307, &[&location], b"")).await;
    let registries = honest.registries();
    for _ in 0..OFTEN {
        let fact = registries.resolve(&image(&evil.authority, "a/b:v1"), &Asker::anonymous(), None).await;
        assert_eq!(trouble(fact).fault, Fault::Outage);
    }
    assert!(victim.count("GET", "evil") >= 5, "it was led there");
    known(registries.resolve(&image(&victim.authority, "acme/app:v1"), &Asker::anonymous(), None).await);
}

#[tokio::test]
async fn a_mirror_is_not_left_alone_because_its_certificate_is_not_trusted_under_another_registrys_settings() {
    let tls = Tls::new();
    let mirror = Server::start(Some(Arc::clone(&tls.config)), |_, _| good()).await;
    tls.trust("r.example", &format!("[host.\"https://{}\"]\nca = \"ca.pem\"", mirror.authority));
    // By its own name the mirror is asked with the system's authorities alone.
    let own = tls.hosts.path().join(&mirror.authority);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("hosts.toml"), format!("server = \"https://{}\"", mirror.authority)).unwrap();
    let registries = tls.registries();
    for _ in 0..OFTEN {
        let fact = registries.resolve(&image(&mirror.authority, "a/b:v1"), &Asker::anonymous(), None).await;
        assert_eq!(trouble(fact).fault, Fault::Outage);
    }
    known(registries.resolve(&image("r.example", "acme/app:v1"), &Asker::anonymous(), None).await);
}

#[tokio::test]
async fn a_mirror_that_may_not_resolve_is_not_asked_what_stands_behind_a_tag() {
    for (capabilities, asked) in [(r#""pull""#, 0), (BOTH, 1)] {
        let pair = Pair::new(answer(404, &[], b""), good(), capabilities).await;
        let registries = registries(limits(), Some(&pair.hosts));
        let fact = registries
            .tagged(&image(&pair.origin.authority, "acme/app"), "x.sig", usize::MAX, &Asker::anonymous())
            .await;
        assert_eq!(known(fact).digest, digest_of(&manifest_of("a")));
        assert_eq!((pair.mirror.got().len(), pair.origin.got().len()), (asked, 1));
    }
}
