//! Challenges: who is shown a credential, and what becomes of a challenge that is none.

use super::*;

#[tokio::test]
async fn a_token_service_of_somebody_else_is_not_asked() {
    let stranger = Registry::setup().tls().start().await;
    let mut lies = Vec::new();
    for (realm, words) in [
        (
            "https://localhost:STRANGER/token",
            "HOST names localhost:STRANGER as its token service, a host of another domain",
        ),
        ("https://169.254.169.254/token", "HOST names 169.254.169.254 as its token service, a host of another domain"),
        ("https://127.0.0.2/token", "HOST names 127.0.0.2 as its token service, a host of another domain"),
        ("https://127.0.0.1.evil.example/token", "HOST names 127.0.0.1.evil.example as its token service"),
        ("http://HOST/token", "HOST names a token service that is asked over plain HTTP"),
        ("http://localhost:STRANGER/token", "HOST names a token service that is asked over plain HTTP"),
        ("https://user:word@HOST/token", "HOST names a token service whose URL has a user, password or fragment"),
        (
            "https://HOST@localhost:STRANGER/token",
            "HOST names a token service whose URL has a user, password or fragment",
        ),
        ("https://HOST/token#here", "HOST names a token service whose URL has a user, password or fragment"),
        ("file:///etc/passwd", "HOST names a token service that is no HTTP URL"),
        ("/token", "HOST names a token service that is no HTTP URL"),
        ("", "HOST names a token service that is no HTTP URL"),
    ] {
        let port = stranger.port().to_string();
        let (realm, words) = (realm.replace("STRANGER", &port), words.replace("STRANGER", &port));
        let arrange = |registry: &Registry| {
            let realm = realm.replace("HOST", registry.host());
            let challenge = format!("Bearer realm=\"{realm}\",service=\"registry\",scope=\"repository:acme/web:pull\"");
            registry.on(Route::Any, Behaviour::Challenge(challenge));
        };
        lies.push(Lie::new(&realm, Private, arrange, "registry-forbidden", &words).await.untrusted());
    }
    assert_refused(lies).await;
    assert_eq!(stranger.count(Route::Any), 0);
}

#[tokio::test]
async fn a_challenge_that_cannot_be_read_gets_no_credential() {
    let garbled = ("registry-broken", "HOST answered 401 with a WWW-Authenticate that cannot be read");
    let mut lies = Vec::new();
    let long = format!("Bearer realm=\"https://{}\"", "a".repeat(10_000));
    let many = "Basic, ".repeat(1_000);
    for challenge in [
        "Bearer",
        "Bearer service=\"registry\"",
        "Bearer realm=\"https://127.0.0.1",
        "Bearer realm=\"https://127.0.0.1/a\",realm=\"https://127.0.0.1/b\"",
        "realm=\"https://127.0.0.1/token\"",
        "<html>",
        "= = =",
        &long,
        &many,
    ] {
        lies.push(
            Lie::on(Private, Route::Manifest, Behaviour::Challenge(challenge.to_owned()), garbled).await.untrusted(),
        );
    }
    let refused = ("image-inaccessible", "HOST answered 401 Unauthorized");
    for challenge in ["", "Negotiate", "Digest realm=\"registry\", nonce=\"abc\"", "AWS4-HMAC-SHA256"] {
        lies.push(
            Lie::on(Private, Route::Manifest, Behaviour::Challenge(challenge.to_owned()), refused).await.untrusted(),
        );
    }
    lies.push(Lie::on(Private, Route::Manifest, Behaviour::BareUnauthorized, refused).await.untrusted());
    lies.push(Lie::on(Open, Route::Manifest, Behaviour::BareUnauthorized, refused).await);
    assert_refused(lies).await;
}

#[tokio::test]
async fn who_asks_for_a_credential_for_ever_is_asked_a_few_times() {
    for challenge in ["Bearer realm=\"https://HOST/token\",service=\"HOST\"", "Basic realm=\"registry\""] {
        let registry = start(Private).await;
        let challenge = challenge.replace("HOST", registry.host());
        registry.on(Route::Manifest, Behaviour::Challenge(challenge.clone()));
        let beside = Beside::these(&[&registry]).await;
        for round in 1..=3 {
            let answer = beside.ask(&named(&registry, "acme/web:v1"), 10).await;
            let words = format!(
                "image-inaccessible, {} answered 401 Unauthorized to the credential that is for it",
                registry.host()
            );
            assert!(!answer.allowed && answer.message.contains(&words), "{answer:?}");
            assert_eq!((answer.code, answer.retry_after), (Some(403), None));
            assert!(registry.count(Route::Any) <= 4 * round, "{challenge}: {}", registry.count(Route::Any));
            beside.assert_nothing_is_betrayed(&[&registry], &format!("{answer:?}")).await;
        }
    }
}

#[tokio::test]
async fn no_credential_goes_over_plain_http_whoever_asks() {
    for challenge in ["Basic realm=\"registry\"", "Bearer realm=\"http://HOST/token\",service=\"HOST\""] {
        let registry = start(Open).await;
        registry.on(Route::Manifest, Behaviour::Challenge(challenge.replace("HOST", registry.host())));
        // An echo of nothing, or of whatever came.
        registry.on(Route::Token, Behaviour::EchoAuthorization { status: 401 });
        let beside = Beside::these(&[&registry]).await;
        let answer = beside.ask(&named(&registry, "acme/web:v1"), 10).await;
        assert!(!answer.allowed && answer.message.contains("image-inaccessible"), "{answer:?}");
        let words = "without a credential, as none is sent over plain HTTP";
        assert!(answer.message.contains(words), "{answer:?}");
        let seen = registry.authorizations();
        assert!(!seen.iter().any(|value| value.starts_with("Basic ")), "{challenge}");
        assert!(registry.requests().iter().all(|seen| !format!("{seen:?}").contains(PASSWORD)), "{challenge}");
    }
}

#[tokio::test]
async fn a_token_answer_that_is_none_is_told_as_that() {
    let huge = format!("{{\"token\":\"{}\"}}", "a".repeat(20 << 10));
    let mut lies = Vec::new();
    for (content_type, body, words) in [
        ("application/json", "", "sent something that is no token answer"),
        ("application/json", "[]", "sent something that is no token answer"),
        ("application/json", "[\"a\", \"b\", 3]", "sent something that is no token answer"),
        ("application/json", "{\"token\":\"a\",\"token\":\"b\"}", "sent something that is no token answer"),
        ("application/json", "{\"token\":\"a\",\"expires_in\":-1}", "sent something that is no token answer"),
        ("application/json", "{}", "sent an answer without a token"),
        ("application/json", "{\"token\":\"\"}", "sent an answer without a token"),
        ("application/json", "{\"token\":\"a\\r\\nX-Evil: yes\"}", "sent a token that no header can hold"),
        ("application/json", "{\"token\":\"\\u0000\"}", "sent a token that no header can hold"),
        ("application/json", &huge, "sent a token that no header can hold"),
        ("text/html", "<html>Sign in</html>", "answered with text/html instead of a token"),
    ] {
        let words = format!("the token service of HOST {words}");
        let behaviour = answer_with(content_type, body);
        lies.push(Lie::on(Private, Route::Token, behaviour, ("registry-broken", &words)).await);
    }
    for (code, reason, words) in [
        (401, "image-inaccessible", "the token service of HOST answered 401 Unauthorized"),
        (403, "image-inaccessible", "the token service of HOST answered 403 Forbidden"),
        (404, "registry-broken", "the token service of HOST answered 404 Not Found instead of a token"),
        (204, "registry-broken", "the token service of HOST answered 204 No Content instead of a token"),
        (500, "registry-unavailable", "the token service of HOST answered 500 Internal Server Error; try again"),
        (503, "registry-unavailable", "the token service of HOST answered 503 Service Unavailable; try again"),
    ] {
        lies.push(Lie::on(Private, Route::Token, Behaviour::status(code), (reason, words)).await);
    }
    let limited = Behaviour::TooManyRequests { retry_after: "999999999999".to_owned() };
    let words = "the token service of HOST answered 429 Too Many Requests";
    lies.push(Lie::on(Private, Route::Token, limited, ("registry-unavailable", words)).await);
    let words = "the token service of HOST answered 302 Found instead of a token";
    let redirect = Behaviour::Redirect { status: 302, to: format!("https://169.254.169.254/?{QUERY}") };
    lies.push(Lie::on(Private, Route::Token, redirect, ("registry-broken", words)).await);
    assert_refused(lies).await;
}
