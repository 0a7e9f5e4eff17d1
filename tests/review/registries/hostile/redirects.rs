//! Redirects: to where no request goes, in circles, to nonsense, and to another host that is to learn nothing.

use super::*;

#[tokio::test]
async fn a_redirect_to_where_no_request_goes_is_not_followed() {
    let mut lies = Vec::new();
    for (to, why) in [
        ("https://169.254.169.254/latest/meta-data/", "a link-local address"),
        ("https://2852039166/latest/", "a link-local address"),
        ("https://0xa9fea9fe/latest/", "a link-local address"),
        ("https://0251.0376.0251.0376/latest/", "a link-local address"),
        ("https://[::ffff:169.254.169.254]/latest/", "a link-local address"),
        ("https://[64:ff9b::a9fe:a9fe]/latest/", "a link-local address"),
        ("https://[fe80::1]/latest/", "a link-local address"),
        ("//169.254.169.254/latest/", "a link-local address"),
        ("https://metadata.google.internal/computeMetadata/v1/", "the metadata service of a cloud"),
        ("https://METADATA.google.internal./computeMetadata/v1/", "the metadata service of a cloud"),
        ("https://[fd00:ec2::254]/latest/", "the metadata service of a cloud"),
        ("https://168.63.129.16/", "the metadata service of a cloud"),
        ("https://0.0.0.0/v2/", "an address of no host"),
        ("https://224.0.0.1/v2/", "a multicast or broadcast address"),
    ] {
        let words = format!("127.0.0.1 redirects to {why}, where no request is sent");
        let redirect = Behaviour::redirect(format!("{to}?{QUERY}"));
        let door = if to.starts_with("//") { Private } else { Open };
        lies.push(Lie::on(door, Route::Manifest, redirect.clone(), ("registry-forbidden", &words)).await);
        if lies.len() == 1 {
            lies.push(Lie::on(Private, Route::Manifest, redirect, ("registry-forbidden", &words)).await);
        }
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn a_redirect_that_gives_up_tls_or_is_no_url_is_not_followed() {
    let mut lies = Vec::new();
    for (door, to, reason, words) in [
        (
            Private,
            "http://HOST/v2/acme/web/manifests/v1",
            "registry-forbidden",
            "127.0.0.1 redirects from https to plain http",
        ),
        (Private, "http://169.254.169.254/", "registry-forbidden", "127.0.0.1 redirects from https to plain http"),
        (Open, "http://localhost/", "registry-forbidden", "127.0.0.1 redirects to another host over plain HTTP"),
        (Open, "https://user:word@HOST/", "registry-forbidden", "127.0.0.1 redirects to a URL with a user or password"),
        (Open, "https://[", "registry-forbidden", "127.0.0.1 redirects to something that is no URL"),
        (Open, "file:///etc/passwd", "registry-forbidden", "127.0.0.1 redirects to something that is no HTTP URL"),
        (Open, "ftp://HOST/", "registry-forbidden", "127.0.0.1 redirects to something that is no HTTP URL"),
        (Open, "javascript:alert(1)", "registry-forbidden", "127.0.0.1 redirects to something that is no HTTP URL"),
    ] {
        let arrange = |registry: &Registry| {
            let to = format!("{}?{QUERY}", to.replace("HOST", registry.host()));
            registry.on(Route::Manifest, Behaviour::redirect(to));
        };
        lies.push(Lie::new(to, door, arrange, reason, words).await);
    }
    for status in [301, 302, 303, 307, 308] {
        let nowhere = Behaviour::Status { code: status, headers: Vec::new(), body: Vec::new() };
        let words = ("registry-broken", "HOST redirects without saying where");
        lies.push(Lie::on(Open, Route::Manifest, nowhere, words).await);
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn a_redirect_in_a_circle_is_given_up() {
    let (first, second) = (start(Open).await, start(Open).await);
    let to = |registry: &Registry| Behaviour::redirect(format!("{}/v2/acme/web/manifests/v1?{QUERY}", registry.url()));
    first.on(Route::Manifest, to(&second));
    second.on(Route::Manifest, to(&first));
    let beside = Beside::these(&[&first, &second]).await;
    let answer = beside.ask(&named(&first, "acme/web:v1"), 10).await;
    assert_eq!((answer.allowed, answer.code), (false, Some(403)));
    let words = format!("registry-broken, {} redirects more than 5 times", first.host());
    assert!(answer.message.contains(&words), "{}", answer.message);
    assert_eq!((first.count(Route::Any), second.count(Route::Any)), (3, 3));
    beside.assert_nothing_is_betrayed(&[&first, &second], &format!("{answer:?}")).await;
    let empty =
        Lie::on(Open, Route::Manifest, Behaviour::redirect(""), ("registry-broken", "redirects more than 5 times"));
    let itself = |registry: &Registry| registry.on(Route::Manifest, to(registry));
    let itself = Lie::new("itself", Private, itself, "image-inaccessible", "answered 401 Unauthorized");
    assert_refused(vec![empty.await, itself.await]).await;
}

#[tokio::test]
async fn a_second_redirect_is_judged_as_the_first_and_its_target_is_not_named() {
    let (first, second) = (start(Open).await, start(Open).await);
    first.on(Route::Manifest, Behaviour::redirect(format!("{}/v2/acme/web/manifests/v1", second.url())));
    second.on(Route::Manifest, Behaviour::redirect(format!("https://169.254.169.254/latest?{QUERY}")));
    let beside = Beside::these(&[&first, &second]).await;
    let answer = beside.ask(&named(&first, "acme/web:v1"), 10).await;
    let words =
        format!("registry-forbidden, the host that {} redirects to redirects where no request is sent", first.host());
    assert!(!answer.allowed && answer.message.contains(&words), "{answer:?}");
    assert!(!answer.message.contains("169.254"), "{answer:?}");
}

/// Two registries over TLS whose authority the system trusts, so that a redirect from one to the other arrives.
async fn two_of_one_authority(
    second: impl FnOnce(pratique_testkit::RegistrySetup) -> pratique_testkit::RegistrySetup,
) -> (Registry, Registry, Beside) {
    let first = start(Private).await;
    let second = second(Registry::setup().tls_of(&first)).start().await;
    let trusted = Directory::new();
    trusted.write("authorities.pem", first.authority().unwrap());
    let beside = Beside::these_in(&[&first], &[("SSL_CERT_FILE", &trusted.file("authorities.pem"))]).await;
    let to = format!("{}/v2/acme/web/manifests/v1?{QUERY}", second.url());
    first.on(Route::Manifest, Behaviour::redirect(to));
    (first, second, beside)
}

#[tokio::test]
async fn a_redirect_takes_no_credential_along() {
    let (first, second, beside) = two_of_one_authority(|setup| setup).await;
    second.push("acme/web", "v1", &Image::single());
    let answer = beside.ask(&named(&first, "acme/web:v1"), 10).await;
    assert!(answer.allowed, "as blob stores are led to: {answer:?}");
    assert!(!first.authorizations().is_empty(), "the registry itself saw the token");
    assert_eq!((second.count(Route::Manifest), second.authorizations()), (1, Vec::new()));
    beside.assert_nothing_is_betrayed(&[&first, &second], &format!("{answer:?}")).await;
}

#[tokio::test]
async fn who_is_redirected_to_and_asks_for_a_token_gets_one_of_nobody() {
    let (first, second, beside) = two_of_one_authority(|setup| setup.token("operator", "not-used-here")).await;
    second.push("acme/web", "v1", &Image::single());
    let answer = beside.ask(&named(&first, "acme/web:v1"), 10).await;
    assert!(answer.allowed, "as blob stores are led to: {answer:?}");
    assert_eq!(second.count(Route::Token), 1);
    for seen in second.authorizations() {
        assert!(seen.starts_with("Bearer ") && !first.authorizations().contains(&seen), "it saw what was not its own");
    }
    assert!(
        second.requests().iter().filter(|seen| seen.route == Route::Token).all(|seen| seen.authorization.is_none())
    );
    beside.assert_nothing_is_betrayed(&[&first, &second], &format!("{answer:?}")).await;
}

#[tokio::test]
async fn who_is_redirected_to_and_names_another_token_service_gets_nothing() {
    let (first, second, beside) = two_of_one_authority(|setup| setup).await;
    for realm in [format!("https://localhost:{}/token", first.port()), "https://169.254.169.254/token".to_owned()] {
        second.on(Route::Any, Behaviour::Challenge(format!("Bearer realm=\"{realm}\",service=\"x\"")));
        let answer = beside.ask(&named(&first, "acme/web:v1"), 10).await;
        let words = format!(
            "registry-forbidden, the host that {} redirects to names a token service that is not its own",
            first.host()
        );
        assert!(!answer.allowed && answer.message.contains(&words), "{answer:?}");
        assert_eq!((answer.code, second.authorizations()), (Some(403), Vec::new()));
        beside.assert_nothing_is_betrayed(&[&first, &second], &format!("{answer:?}")).await;
    }
}

#[tokio::test]
async fn bytes_behind_a_redirect_are_held_against_what_is_said_of_them() {
    let (first, second, beside) = two_of_one_authority(|setup| setup).await;
    second.push("acme/web", "v1", &Image::single());
    second.on(Route::Manifest, Behaviour::WrongBytes);
    let answer = beside.ask(&named(&first, "acme/web:v1"), 10).await;
    let words = format!("digest-mismatch, {} sent a manifest with the Docker-Content-Digest of another", first.host());
    assert!(!answer.allowed && answer.message.contains(&words) && answer.code == Some(403), "{answer:?}");
}
