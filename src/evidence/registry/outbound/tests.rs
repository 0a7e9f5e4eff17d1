use std::collections::BTreeMap;
use std::net::SocketAddr;

use reqwest::header::{HeaderMap, HeaderValue};

use super::*;

mod connections;

fn rules(surroundings: Surroundings, realms: &[(&str, &str)]) -> Outbound {
    let realms: BTreeMap<String, String> =
        realms.iter().map(|(registry, realm)| ((*registry).to_owned(), (*realm).to_owned())).collect();
    Outbound::assemble(surroundings, realms, Trust::of(&[]), Proxies::read(|_| None).unwrap()).unwrap()
}

fn endpoint(rules: &Outbound, base: &str) -> Endpoint {
    Endpoint {
        base: url(base),
        resolve: true,
        pull: true,
        named: false,
        unverified: false,
        headers: HeaderMap::new(),
        namespace: None,
        origin: true,
        http: rules.default_client().clone(),
        elsewhere: rules.default_client().clone(),
    }
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn words<T: std::fmt::Debug>(result: Result<T, Forbidden>) -> String {
    result.unwrap_err().0
}

#[test]
fn a_url_is_permitted_by_its_scheme_its_host_and_the_lack_of_user_info() {
    let (cluster, alone) = (rules(Surroundings::Cluster, &[]), rules(Surroundings::Alone, &[]));
    for text in ["https://ghcr.io/v2", "https://10.0.0.7:5000/v2", "https://[fd00::7]/v2"] {
        assert_eq!(cluster.permits(&url(text), false), Ok(()), "{text}");
    }
    let loopback = url("http://127.0.0.1:5000/v2");
    assert_eq!(alone.permits(&loopback, false), Ok(()));
    assert_eq!(cluster.permits(&loopback, true), Ok(()));
    assert_eq!(
        words(cluster.permits(&loopback, false)),
        "127.0.0.1 is a loopback address, where no request is sent: name it in hosts.toml if it is meant"
    );
    assert_eq!(
        words(alone.permits(&url("http://ghcr.io/v2"), false)),
        "ghcr.io would be asked without TLS: give its http:// URL in hosts.toml if that is meant"
    );
    assert_eq!(
        words(alone.permits(&url("https://u:p@ghcr.io/v2"), true)),
        "the URL for ghcr.io holds a user or password, which belong in a credential"
    );
    assert_eq!(
        words(alone.permits(&url("ftp://ghcr.io/v2"), true)),
        "ghcr.io would be asked without TLS: give its http:// URL in hosts.toml if that is meant"
    );
    assert_eq!(
        words(alone.permits(&url(&format!("https://{NOWHERE}/v2")), true)),
        "the registry's name is neither a host name nor an address: correct it"
    );
}

#[test]
fn a_redirect_is_followed_to_another_host_over_https_and_never_to_less() {
    let rules = rules(Surroundings::Cluster, &[]);
    let hop = |from: &str, location: &str| rules.redirect(&url(from), &HeaderValue::from_str(location).unwrap());
    for (from, location, to) in [
        ("https://r.example/v2/a", "https://blobs.example/x?sig=1#f", "https://blobs.example/x?sig=1"),
        ("https://r.example/v2/a", "/v2/b", "https://r.example/v2/b"),
        ("https://r.example/v2/a", "b", "https://r.example/v2/b"),
        ("https://r.example/v2/a", "//blobs.example/x", "https://blobs.example/x"),
        ("http://r.example:5000/v2/a", "/v2/b", "http://r.example:5000/v2/b"),
        ("http://r.example:5000/v2/a", "http://r.example/b", "http://r.example/b"),
        ("http://r.example:5000/v2/a", "https://blobs.example/b", "https://blobs.example/b"),
        // A named host was let be asked where it is.
        ("http://127.0.0.1:5000/v2/a", "/v2/b", "http://127.0.0.1:5000/v2/b"),
    ] {
        assert_eq!(hop(from, location), Ok(url(to)), "{from} {location}");
    }
    for (from, location, why) in [
        ("https://r.example/v2/a", "http://r.example/b", "from https to plain http"),
        ("https://r.example/v2/a", "http://blobs.example/b", "from https to plain http"),
        ("http://r.example/v2/a", "http://blobs.example/b", "to another host over plain HTTP"),
        ("https://r.example/v2/a", "https://u@blobs.example/b", "to a URL with a user or password"),
        ("https://r.example/v2/a", "https://:p@blobs.example/b", "to a URL with a user or password"),
        ("https://r.example/v2/a", "ftp://blobs.example/b", "to something that is no HTTP URL"),
        ("https://r.example/v2/a", "file:///etc/passwd", "to something that is no HTTP URL"),
        ("https://r.example/v2/a", "data:,x", "to something that is no HTTP URL"),
        ("https://r.example/v2/a", "https://[", "to something that is no URL"),
        ("https://r.example/v2/a", "https://169.254.169.254/", "to a link-local address, where no request is sent"),
        ("https://r.example/v2/a", "https://0x7f.1/", "to a loopback address, where no request is sent"),
        ("https://r.example/v2/a", "https://[::ffff:a9fe:a9fe]/", "to a link-local address, where no request is sent"),
        ("https://r.example/v2/a", "https://localhost:6443/", "to a loopback address, where no request is sent"),
        ("http://127.0.0.1:5000/v2/a", "http://127.0.0.1:6443/", "to a loopback address, where no request is sent"),
    ] {
        assert_eq!(
            words(hop(from, location)),
            format!("{} redirects {why}", url(from).host_str().unwrap()),
            "{location}"
        );
    }
    let binary = HeaderValue::from_bytes(b"https://blobs.example/\xff").unwrap();
    assert_eq!(
        words(rules.redirect(&url("https://r.example"), &binary)),
        "r.example redirects to something that is no URL"
    );
}

#[test]
fn a_token_service_is_on_the_own_host_in_the_own_domain_or_named_by_the_operator() {
    let rules =
        rules(Surroundings::Cluster, &[("r.acme.com", "auth.other.net"), ("q.acme.com", "auth.other.net:8443")]);
    for (registry, base, realm) in [
        ("docker.io", "https://registry-1.docker.io/v2", "https://auth.docker.io/token"),
        ("ghcr.io", "https://ghcr.io/v2", "https://ghcr.io/token"),
        ("ghcr.io", "https://ghcr.io/v2", "https://ghcr.io:8443/token?a=b"),
        ("registry.gitlab.com", "https://registry.gitlab.com/v2", "https://gitlab.com/jwt/auth"),
        ("r.acme.co.uk", "https://r.acme.co.uk/v2", "https://auth.acme.co.uk/token"),
        ("10.0.0.7:5000", "https://10.0.0.7:5000/v2", "https://10.0.0.7:5001/token"),
        ("r.acme.com", "https://r.acme.com/v2", "https://auth.other.net/token"),
        ("q.acme.com", "https://q.acme.com/v2", "https://auth.other.net:8443/token"),
        ("docker.io", "https://mirror.example/v2", "https://auth.docker.io/token"),
    ] {
        assert_eq!(rules.realm(registry, &endpoint(&rules, base), realm), Ok(url(realm)), "{registry} {realm}");
    }
    let foreign = |base: &str, host: &str| {
        let source = endpoint(&rules, base).authority().to_owned();
        format!(
            "{source} names {host} as its token service, a host of another domain: \
             add it to registries.realms for {source} if it is meant"
        )
    };
    for (base, realm, host) in [
        ("https://ghcr.io/v2", "https://evil.example/token?x=secret", "evil.example"),
        ("https://ghcr.io/v2", "https://ghcr.io.evil.example/token", "ghcr.io.evil.example"),
        ("https://ghcr.io/v2", "https://evilghcr.io/token", "evilghcr.io"),
        // Public suffixes, and two customers of one.
        ("https://r.acme.co.uk/v2", "https://evil.co.uk/token", "evil.co.uk"),
        ("https://acme.github.io/v2", "https://evil.github.io/token", "evil.github.io"),
        ("https://github.io/v2", "https://evil.github.io/token", "evil.github.io"),
        // Addresses are in no domain.
        ("https://10.0.0.7/v2", "https://11.0.0.7/token", "11.0.0.7"),
        // Another port than the operator named, another registry.
        ("https://r.acme.com/v2", "https://auth.other.net:8443/token", "auth.other.net:8443"),
        ("https://q.acme.com/v2", "https://auth.other.net/token", "auth.other.net"),
        ("https://s.acme.com/v2", "https://auth.other.net/token", "auth.other.net"),
    ] {
        let registry = endpoint(&rules, base).authority().to_owned();
        assert_eq!(words(rules.realm(&registry, &endpoint(&rules, base), realm)), foreign(base, host), "{realm}");
    }
}

#[test]
fn a_token_service_has_tls_and_no_user_info_and_an_address_that_may_be_asked() {
    let rules = rules(Surroundings::Cluster, &[("r.acme.com", "127.0.0.1")]);
    let registry = endpoint(&rules, "https://r.acme.com/v2");
    for (realm, why) in [
        ("http://r.acme.com/token", "r.acme.com names a token service that is asked over plain HTTP"),
        ("https://u@r.acme.com/token", "r.acme.com names a token service whose URL has a user, password or fragment"),
        ("https://r.acme.com/token#f", "r.acme.com names a token service whose URL has a user, password or fragment"),
        ("/token", "r.acme.com names a token service that is no HTTP URL"),
        ("ftp://r.acme.com/token", "r.acme.com names a token service that is no HTTP URL"),
        ("", "r.acme.com names a token service that is no HTTP URL"),
        (
            "https://127.0.0.1/token",
            "127.0.0.1 is a loopback address, where no request is sent: name it in hosts.toml if it is meant",
        ),
    ] {
        assert_eq!(words(rules.realm("r.acme.com", &registry, realm)), why, "{realm}");
    }
}

#[test]
fn a_token_service_without_tls_is_only_that_of_a_host_that_has_none_itself() {
    let rules = rules(Surroundings::Cluster, &[("r.acme.com:5000", "auth.acme.com")]);
    let plain = Endpoint { named: true, ..endpoint(&rules, "http://r.acme.com:5000/v2") };
    let realm = |text| rules.realm("r.acme.com:5000", &plain, text);
    assert_eq!(realm("http://r.acme.com:5001/token"), Ok(url("http://r.acme.com:5001/token")));
    assert_eq!(realm("https://auth.acme.com/token"), Ok(url("https://auth.acme.com/token")));
    assert_eq!(
        words(realm("http://auth.acme.com/token")),
        "r.acme.com:5000 names a token service that is asked over plain HTTP"
    );
}

#[test]
fn credentials_go_over_verified_tls_to_the_registry_and_its_token_service_alone() {
    let rules = rules(Surroundings::Cluster, &[("r.acme.com", "auth.other.net")]);
    let registry = endpoint(&rules, "https://r.acme.com/v2");
    let may = |text: &str| rules.may_carry_credentials(&registry, &url(text));
    for text in ["https://r.acme.com/v2/a", "https://auth.acme.com/token", "https://auth.other.net/token"] {
        assert!(may(text), "{text}");
        let unverified = Endpoint { unverified: true, ..registry.clone() };
        assert!(!rules.may_carry_credentials(&unverified, &url(text)), "{text} unverified");
        assert!(!may(&text.replace("https", "http")), "{text} without TLS");
    }
    for text in ["https://evil.example/token", "https://auth.other.net:444/token", "https://u@r.acme.com/v2/a"] {
        assert!(!may(text), "{text}");
    }
    let plain = Endpoint { named: true, ..endpoint(&rules, "http://r.acme.com/v2") };
    assert!(!rules.may_carry_credentials(&plain, &url("http://r.acme.com/v2/a")));
}

#[test]
fn a_proxy_that_is_no_text_is_a_mistake_and_never_none() {
    // As it comes of a variable that is no UTF-8.
    let garbled = |name: &str| (name == "HTTPS_PROXY").then(|| "http://pro\u{fffd}xy:3128".to_owned());
    assert!(Proxies::read(garbled).is_err_and(|told| told.contains("HTTPS_PROXY")));
}

#[test]
fn a_name_is_refused_for_any_of_its_addresses() {
    let found = |texts: &[&str]| -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443)).collect()
    };
    let judged = |texts: &[&str]| {
        let judged = resolver::judge_all("r.example", &found(texts), Surroundings::Cluster);
        judged.map_err(|error| *error.downcast::<Forbidden>().unwrap())
    };
    assert_eq!(judged(&["8.8.8.8", "2600::1"]), Ok(()));
    assert_eq!(
        words(judged(&["8.8.8.8", "169.254.169.254"])),
        "r.example resolves to 169.254.169.254, a link-local address, where no request is sent: \
         name the host in hosts.toml if it is meant"
    );
    assert!(words(judged(&["64:ff9b::7f00:1"])).contains("a loopback address"));
}

#[test]
fn realms_that_are_no_hosts_are_refused_at_the_start() {
    for realm in ["", "https://auth.example", "auth.example/token", "u@auth.example", "auth.example:x", "a b", "a?b"] {
        let realms = BTreeMap::from([("r.example".to_owned(), realm.to_owned())]);
        let refused = Outbound::assemble(Surroundings::Alone, realms, Trust::of(&[]), Proxies::read(|_| None).unwrap());
        assert_eq!(
            refused.unwrap_err(),
            format!("registries.realms: {realm:?} for r.example is no host such as auth.example or auth.example:5000")
        );
    }
}
