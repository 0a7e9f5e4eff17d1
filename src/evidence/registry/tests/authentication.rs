//! Who learns which credential, and who never does. Over TLS, since over plain HTTP nobody does.

use super::*;

const ALICE: &str = "Basic YWxpY2U6aHVudGVyMg==";

/// Wants tokens of its own `/token`, and gives `secret` to whoever asks, as `token` says.
fn guarded(token: &'static str) -> impl Fn(&Got, &str) -> Send + std::marker::Send + Sync + 'static {
    move |got, authority| {
        if got.line.contains("/token") {
            return answer(200, &[], token.as_bytes());
        }
        if got.header("authorization") == Some("Bearer secret") {
            return answer(200, &[OCI], &manifest_of("a"));
        }
        let scope = "repository:other/app:pull,push";
        let challenge = format!(
            r#"www-authenticate: Bearer realm="https://{authority}/token",service="the service",scope="{scope}""#
        );
        answer(401, &[&challenge], b"")
    }
}

#[tokio::test]
async fn a_token_is_got_with_the_credential_and_our_own_scope_and_kept() {
    let tls = Tls::new();
    let server = tls.serve(guarded(r#"{"token":"secret","expires_in":300}"#)).await;
    let (registries, image) = (tls.registries(), image(&server.authority, "acme/app:v1"));
    known(registries.resolve(&image, &alice(), None).await);
    known(registries.resolve(&image, &alice(), None).await);
    let got = server.got();
    let lines: Vec<_> = got.iter().map(|got| got.line.as_str()).collect();
    let manifest = "GET /v2/acme/app/manifests/v1 HTTP/1.1";
    let token = "GET /token?service=the+service&scope=repository%3Aacme%2Fapp%3Apull HTTP/1.1";
    assert_eq!(lines, [manifest, token, manifest, manifest]);
    let headers: Vec<_> = got.iter().map(|got| got.header("authorization")).collect();
    assert_eq!(headers, [None, Some(ALICE), Some("Bearer secret"), Some("Bearer secret")]);
    known(registries.resolve(&image, &asker(&[("bob", "x")]), None).await);
    assert_eq!(server.count("GET", "/token"), 2, "another's token was used");
}

#[tokio::test]
async fn many_at_once_ask_for_one_token() {
    let tls = Tls::new();
    let server = tls.serve(guarded(r#"{"access_token":"secret","expires_in":300}"#)).await;
    let (registries, asker) = (tls.registries(), alice());
    let images: Vec<_> = (0..8).map(|number| image(&server.authority, &format!("acme/app:v{number}"))).collect();
    let all = images.iter().map(|image| registries.resolve(image, &asker, None));
    for fact in futures_util::future::join_all(all).await {
        known(fact);
    }
    assert_eq!(server.count("GET", "/token"), 1);
}

#[tokio::test]
async fn tokens_that_are_none_are_broken_answers() {
    let long = format!(r#"{{"token":"{}"}}"#, "a".repeat(17 << 10));
    let huge = format!(r#"{{"token":"{}"}}"#, "a".repeat(257 << 10));
    for (token, what) in [
        ("[]", "sent something that is no token answer"),
        ("{}", "sent an answer without a token"),
        (r#"{"token":"a b"}"#, "sent a token that no header can hold"),
        (r#"{"token":"a\r\nx: y"}"#, "sent a token that no header can hold"),
        (&*long, "sent a token that no header can hold"),
        (&*huge, "sent more than 256 KiB for a token"),
    ] {
        let tls = Tls::new();
        let server = tls.serve(guarded(token.to_owned().leak())).await;
        let fact = tls.registries().resolve(&image(&server.authority, "acme/app:v1"), &alice(), None).await;
        assert_eq!(told(fact, &server), (Fault::Broken, format!("the token service of REGISTRY {what}")));
    }
}

#[tokio::test]
async fn an_identity_token_is_posted_and_a_registry_token_presented() {
    let tls = Tls::new();
    let server = tls.serve(guarded(r#"{"access_token":"secret"}"#)).await;
    let image = image(&server.authority, "acme/app:v1");
    let one = |credential| Asker::new(vec![Candidate::Credential(credential)]);
    let identity = one(Credential::IdentityToken(Password::new("refresh me")));
    known(tls.registries().resolve(&image, &identity, None).await);
    let posted = server.got().into_iter().find(|got| got.is("POST", "/token")).unwrap();
    assert!(posted.body.ends_with("client_id=pratique&refresh_token=refresh+me"), "{}", posted.body);
    assert_eq!(posted.header("authorization"), None);
    let before = server.got().len();
    known(tls.registries().resolve(&image, &one(Credential::RegistryToken(Password::new("secret"))), None).await);
    assert_eq!(server.got().len(), before + 1);
    let fact = tls.registries().resolve(&image, &one(Credential::RegistryToken(Password::new("other"))), None).await;
    let words = "REGISTRY answered 401 Unauthorized to the credential that is for it";
    assert_eq!(told(fact, &server), (Fault::Refused, words.to_owned()));
}

#[tokio::test]
async fn a_foreign_realm_is_never_asked() {
    let thief = Server::start(None, |_, _| answer(200, &[], br#"{"token":"secret"}"#)).await;
    for realm in ["https://evil.example/token".to_owned(), format!("http://{}/token", thief.authority)] {
        let tls = Tls::new();
        let challenge = format!(r#"www-authenticate: Bearer realm="{realm}""#);
        let server = tls.serve(move |_, _| answer(401, &[&challenge], b"")).await;
        let fact = tls.registries().resolve(&image(&server.authority, "acme/app:v1"), &alice(), None).await;
        assert_eq!(trouble(fact).fault, Fault::Forbidden, "{realm}");
    }
    assert_eq!(thief.got().len(), 0);
}

#[tokio::test]
async fn basic_is_presented_where_it_is_asked_for_and_remembered() {
    let tls = Tls::new();
    let server = tls
        .serve(|got, _| match got.header("authorization") {
            Some(ALICE) => answer(200, &[OCI], &manifest_of("a")),
            _ => answer(401, &[r#"www-authenticate: Basic realm="x""#], b""),
        })
        .await;
    let (registries, image) = (tls.registries(), image(&server.authority, "acme/app:v1"));
    known(registries.resolve(&image, &alice(), None).await);
    known(registries.resolve(&image, &alice(), None).await);
    assert_eq!(server.got().len(), 3);
    let two = asker(&[("bob", "x"), ("alice", "hunter2")]);
    known(registries.resolve(&image, &two, None).await);
    let refused = registries.resolve(&image, &asker(&[("bob", "x"), ("carol", "y")]), None).await;
    let words = "REGISTRY answered 401 Unauthorized to the 2 credentials that are for it";
    assert_eq!(told(refused, &server), (Fault::Refused, words.to_owned()));
}

#[tokio::test]
async fn whoever_has_credentials_is_not_let_in_as_anybody() {
    let tls = Tls::new();
    let server = tls
        .serve(|got, authority| {
            let realm = format!(r#"www-authenticate: Bearer realm="https://{authority}/token""#);
            match (got.line.contains("/token"), got.header("authorization")) {
                (true, None) => answer(200, &[], br#"{"token":"anybody"}"#),
                (true, Some(_)) => answer(403, &[], br#"{"errors":[{"code":"DENIED"}]}"#),
                (false, Some("Bearer anybody")) => answer(200, &[OCI], &manifest_of("a")),
                (false, _) => answer(401, &[&realm], b""),
            }
        })
        .await;
    let (registries, image) = (tls.registries(), image(&server.authority, "acme/app:v1"));
    let words = "the token service of REGISTRY answered 403 Forbidden (DENIED) to the credential that is for it";
    let fact = registries.resolve(&image, &alice(), None).await;
    assert_eq!(told(fact, &server), (Fault::Refused, words.to_owned()));
    known(registries.resolve(&image, &Asker::anonymous(), None).await);
}

#[tokio::test]
async fn over_plain_http_no_credential_is_sent_and_it_is_said() {
    let server = Server::start(None, |_, _| answer(401, &[r#"www-authenticate: Basic realm="x""#], b"")).await;
    let fact = registries(limits(), None).resolve(&image(&server.authority, "acme/app:v1"), &alice(), None).await;
    let words = "REGISTRY answered 401 Unauthorized without a credential, as none is sent over plain HTTP";
    assert_eq!(told(fact, &server), (Fault::Refused, words.to_owned()));
    assert!(server.got().iter().all(|got| got.header("authorization").is_none()));
}

#[tokio::test]
async fn without_a_verified_certificate_no_credential_is_sent_and_it_is_said() {
    let tls = Tls::new();
    let server = tls.serve(|_, _| answer(401, &[r#"www-authenticate: Basic realm="x""#], b"")).await;
    tls.trust(&server.authority, "skip_verify = true");
    let fact = tls.registries().resolve(&image(&server.authority, "acme/app:v1"), &alice(), None).await;
    let why = "none is sent where certificates are not checked (skip_verify)";
    let words = format!("REGISTRY answered 401 Unauthorized without a credential, as {why}");
    assert_eq!(told(fact, &server), (Fault::Refused, words));
    assert!(server.got().iter().all(|got| got.header("authorization").is_none()));
}

#[tokio::test]
async fn garbage_in_place_of_a_challenge_is_broken() {
    let server = Server::start(None, |_, _| answer(401, &[r#"www-authenticate: Bearer realm="x"#], b"")).await;
    let anybody = Asker::anonymous();
    let fact = registries(limits(), None).resolve(&image(&server.authority, "acme/app:v1"), &anybody, None).await;
    let words = "REGISTRY answered 401 with a WWW-Authenticate that cannot be read";
    assert_eq!(told(fact, &server), (Fault::Broken, words.to_owned()));
}

#[tokio::test]
async fn a_redirect_takes_neither_credential_nor_header_along() {
    let digest = digest_of(b"config");
    let store = Server::start(None, |_, _| answer(200, &[], b"config")).await;
    let location = format!("location: http://{}/store", store.authority);
    // To plain HTTP from TLS is refused, so the store that is reached redirects within TLS.
    let tls = Tls::new();
    let server = tls
        .serve(move |got, authority| match (got.header("authorization"), got.line.contains("/away")) {
            (_, true) => answer(200, &[], b"config"),
            (Some(ALICE), false) if got.line.contains("/plain/") => answer(307, &[&location], b""),
            (Some(ALICE), false) => answer(307, &[&format!("location: https://{authority}/away")], b""),
            (_, false) => answer(401, &[r#"www-authenticate: Basic realm="x""#], b""),
        })
        .await;
    tls.trust(&server.authority, "[header]\nx-own = \"secret\"");
    let registries = tls.registries();
    let blob = registries.blob(&image(&server.authority, "acme/app"), &digest, 100, &alice()).await;
    assert_eq!(&*known(blob), b"config");
    let got = server.got();
    let last = got.last().unwrap();
    assert_eq!(last.line, "GET /away HTTP/1.1");
    assert_eq!((last.header("authorization"), last.header("x-own")), (None, None));
    assert_eq!(got[got.len() - 2].header("x-own"), Some("secret"));
    let down = registries.blob(&image(&server.authority, "plain/app"), &digest, 100, &alice()).await;
    assert_eq!(trouble(down).fault, Fault::Forbidden);
    assert_eq!(store.got().len(), 0);
}

#[tokio::test]
async fn redirects_are_bounded_and_go_nowhere_unless_they_say_where() {
    let server = Server::start(None, |got, authority| {
        if got.line.contains("/lost/") {
            answer(302, &[], b"")
        } else {
            answer(302, &[&format!("location: http://{authority}/again")], b"")
        }
    })
    .await;
    let (registries, anybody) = (registries(limits(), None), Asker::anonymous());
    let round = registries.resolve(&image(&server.authority, "acme/app:v1"), &anybody, None).await;
    assert_eq!(told(round, &server), (Fault::Broken, "REGISTRY redirects more than 5 times".to_owned()));
    assert_eq!(server.got().len(), 6);
    let lost = registries.resolve(&image(&server.authority, "lost/app:v1"), &anybody, None).await;
    assert_eq!(told(lost, &server), (Fault::Broken, "REGISTRY redirects without saying where".to_owned()));
}

#[tokio::test]
async fn a_host_that_was_redirected_to_learns_an_anonymous_token_only() {
    let other = Server::start(None, |got, authority| {
        let realm = format!(r#"www-authenticate: Bearer realm="http://{authority}/token""#);
        match (got.line.contains("/token"), got.header("authorization")) {
            (true, None) => answer(200, &[], br#"{"token":"anybody"}"#),
            (false, Some("Bearer anybody")) => answer(200, &[OCI], &manifest_of("a")),
            (false, None) => answer(401, &[&realm], b""),
            (_, Some(_)) => answer(500, &[], b""),
        }
    })
    .await;
    let location = format!("location: http://{}/v2/there/manifests/v1", other.authority);
    let server = Server::start(None, move |_, _| answer(307, &[&location], b"")).await;
    let fact = registries(limits(), None).resolve(&image(&server.authority, "acme/app:v1"), &alice(), None).await;
    assert_eq!(known(fact).digest, digest_of(&manifest_of("a")));
    assert_eq!(other.got().len(), 3);
}

#[tokio::test]
async fn what_a_server_sends_back_is_never_shown() {
    let echo = |got: &Got, authority: &str| {
        let said = got.header("authorization").unwrap_or("none").to_owned();
        if got.line.contains("/token") {
            answer(400, &[], said.as_bytes())
        } else {
            answer(
                401,
                &[&format!(r#"www-authenticate: Bearer realm="https://{authority}/token",error="{said}""#)],
                said.as_bytes(),
            )
        }
    };
    let tls = Tls::new();
    let server = tls.serve(echo).await;
    let fact = tls.registries().resolve(&image(&server.authority, "acme/app:v1"), &alice(), None).await;
    assert_eq!(server.count("GET", "/token"), 1);
    let words = "the token service of REGISTRY answered 400 Bad Request instead of a token";
    assert_eq!(told(fact, &server), (Fault::Broken, words.to_owned()));
}

/// Over TLS, with this docker config of the cluster.
fn with_docker_config(tls: &Tls, config: &str, metrics: &prometheus::Registry) -> Registries {
    let docker_config = tls.hosts.path().with_extension("json");
    std::fs::write(&docker_config, config).unwrap();
    let settings = Settings {
        hosts: Some(tls.hosts.path().to_owned()),
        docker_config: Some(docker_config.clone()),
        providers: None,
        realms: BTreeMap::new(),
        concurrency: 16,
        surroundings: Surroundings::Alone,
    };
    let registries = Registries::within(limits(), settings, metrics).unwrap().0;
    std::fs::remove_file(docker_config).unwrap();
    registries
}

#[tokio::test]
async fn a_helper_that_fails_makes_a_refusal_an_outage_and_stops_no_public_image() {
    let tls = Tls::new();
    let server = tls
        .serve(|got, _| {
            if got.line.contains("/public/") { answer(200, &[OCI], &manifest_of("a")) } else { answer(403, &[], b"") }
        })
        .await;
    let config = format!(r#"{{"credHelpers":{{"{}":"pratique-test-none"}}}}"#, server.authority);
    let registries = with_docker_config(&tls, &config, &prometheus::Registry::new());
    let (public, secret) = (image(&server.authority, "public/app:v1"), image(&server.authority, "acme/app:v1"));
    known(registries.resolve(&public, &registries.asker(&public, &[]), None).await);
    let (fault, words) = told(registries.resolve(&secret, &registries.asker(&secret, &[]), None).await, &server);
    let expected = "REGISTRY answered 403 Forbidden without a credential, and ";
    assert!(words.starts_with(expected) && words.contains("pratique-test-none"), "{words}");
    assert_eq!(fault, Fault::Outage);
}

#[tokio::test]
async fn the_clusters_credentials_come_after_the_pods_and_each_once() {
    let tls = Tls::new();
    let config = r#"{"auths":{"r.example":{"auth":"YWxpY2U6aHVudGVyMg=="}}}"#;
    let registries = with_docker_config(&tls, config, &prometheus::Registry::new());
    let of_pod = |auth: &str| {
        let text = format!(r#"{{"auths":{{"r.example":{{"auth":"{auth}"}}}}}}"#);
        Arc::new(Keyring::of_secret(&text, "a secret").unwrap().0)
    };
    let image = image("r.example", "acme/app:v1");
    let both = registries.asker(&image, &[of_pod("Ym9iOng="), of_pod("YWxpY2U6aHVudGVyMg==")]);
    assert_eq!(both, asker(&[("bob", "x"), ("alice", "hunter2")]));
    assert_eq!(registries.asker(&image, &[]), alice());
    let other = Reference::parse("other.example/acme/app:v1").unwrap();
    assert_eq!(registries.asker(&other, &[of_pod("Ym9iOng=")]), Asker::anonymous());
}

#[tokio::test]
async fn requests_are_counted_under_the_registry_that_answered() {
    let tls = Tls::new();
    let server = tls.serve(guarded(r#"{"token":"secret","expires_in":300}"#)).await;
    let metrics = prometheus::Registry::new();
    let registries = with_docker_config(&tls, "{}", &metrics);
    known(registries.resolve(&image(&server.authority, "acme/app:v1"), &alice(), None).await);
    let text = prometheus::TextEncoder::new().encode_to_string(&metrics.gather()).unwrap();
    let counted = |label: &str, outcome: &str, number: u32| {
        let line = format!(r#"pratique_registry_requests_total{{outcome="{outcome}",registry="{label}"}} {number}"#);
        assert!(text.contains(&line), "{line} in {text}");
    };
    counted("other", "challenged", 1);
    counted(&server.authority, "success", 2);
    assert!(text.contains("pratique_registry_request_duration_seconds_count"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("secret"), "{text}");
}

#[test]
fn a_pod_with_ten_thousand_logins_asks_with_a_few() {
    let logins = |keyring: usize| {
        let login = |login: usize| {
            let host = "*".repeat(login + 1);
            format!(r#""{host}.example": {{"username": "{keyring}-{login}", "password": "p"}}"#)
        };
        let logins: Vec<String> = (0..256).map(login).collect();
        Arc::new(Keyring::of_secret(&format!(r#"{{"auths": {{{}}}}}"#, logins.join(",")), "").unwrap().0)
    };
    let keyrings: Vec<_> = (0..40).map(logins).collect();
    let asker = registries(limits(), None).asker(&image("r.example", "acme/app:v1"), &keyrings);
    assert_eq!(asker.candidates().len(), OF_POD);
}
