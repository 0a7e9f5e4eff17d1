use super::super::{Algorithm, Digest, InvalidDigest};
use super::{InvalidReference, Reference};

const HEX: &str = "86e0e091d0da6bde2456dbb48306f3956bbeb2eae1b5b9a43045843f69fe4aaa";

fn parsed(text: &str) -> Reference {
    Reference::parse(text).unwrap_or_else(|flaw| panic!("{text:?}: {flaw}"))
}

fn refused(text: &str) -> InvalidReference {
    Reference::parse(text).expect_err(text)
}

/// Registry, repository, tag, and the canonical form.
fn reads(text: &str, registry: &str, repository: &str, tag: Option<&str>, canonical: &str) {
    let reference = parsed(text);
    assert_eq!((reference.registry(), reference.repository(), reference.tag()), (registry, repository, tag), "{text}");
    assert_eq!(reference.name(), format!("{registry}/{repository}"), "{text}");
    assert_eq!(reference.to_string(), canonical, "{text}");
    assert_eq!(parsed(canonical), reference, "{text}: the canonical form reads as another reference");
}

#[test]
fn short_names_are_completed_with_docker_hub() {
    reads("nginx", "docker.io", "library/nginx", None, "docker.io/library/nginx");
    reads("nginx:1.27", "docker.io", "library/nginx", Some("1.27"), "docker.io/library/nginx:1.27");
    reads("acme/app", "docker.io", "acme/app", None, "docker.io/acme/app");
    reads("docker.io/nginx", "docker.io", "library/nginx", None, "docker.io/library/nginx");
    reads("docker.io/acme/app", "docker.io", "acme/app", None, "docker.io/acme/app");
    reads("library/nginx", "docker.io", "library/nginx", None, "docker.io/library/nginx");
    reads("a/b/c/d", "docker.io", "a/b/c/d", None, "docker.io/a/b/c/d");
}

#[test]
fn every_host_of_docker_hub_is_docker_io() {
    for host in ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"] {
        for host in [host.to_owned(), host.to_uppercase(), format!("{host}:443")] {
            reads(&format!("{host}/nginx"), "docker.io", "library/nginx", None, "docker.io/library/nginx");
            reads(&format!("{host}/acme/app:v1"), "docker.io", "acme/app", Some("v1"), "docker.io/acme/app:v1");
        }
    }
    reads("DOCKER.IO/nginx", "docker.io", "library/nginx", None, "docker.io/library/nginx");
}

#[test]
fn what_only_looks_like_docker_hub_is_not() {
    reads("docker.io:443/a/b", "docker.io:443", "a/b", None, "docker.io:443/a/b");
    reads("docker.io:443/b", "docker.io:443", "b", None, "docker.io:443/b");
    reads("index.docker.io:5000/b", "index.docker.io:5000", "b", None, "index.docker.io:5000/b");
    reads("docker.io.evil.com/b", "docker.io.evil.com", "b", None, "docker.io.evil.com/b");
    reads("evil.com/docker.io/b", "evil.com", "docker.io/b", None, "evil.com/docker.io/b");
}

#[test]
fn ports_localhost_and_addresses_are_registries() {
    reads("localhost/x", "localhost", "x", None, "localhost/x");
    reads("localhost:5000/x", "localhost:5000", "x", None, "localhost:5000/x");
    reads("reg:5000/a/b:v1", "reg:5000", "a/b", Some("v1"), "reg:5000/a/b:v1");
    reads("10.0.0.1/x", "10.0.0.1", "x", None, "10.0.0.1/x");
    reads("10.0.0.1:65535/x", "10.0.0.1:65535", "x", None, "10.0.0.1:65535/x");
    // Without a slash a dot or a colon makes no registry.
    reads("localhost:5000", "docker.io", "library/localhost", Some("5000"), "docker.io/library/localhost:5000");
    reads("ghcr.io", "docker.io", "library/ghcr.io", None, "docker.io/library/ghcr.io");
}

#[test]
fn a_tag_beside_a_digest_is_kept_as_written() {
    let text = format!("busybox:1.36@sha256:{HEX}");
    let reference = parsed(&text);
    assert_eq!(reference.tag(), Some("1.36"));
    let digest = reference.digest().unwrap();
    assert_eq!((digest.algorithm(), digest.hex()), (Algorithm::Sha256, HEX));
    assert_eq!(reference.to_string(), format!("docker.io/library/{text}"));
    assert_eq!(parsed(&reference.to_string()), reference);
}

#[test]
fn a_digest_of_each_algorithm_is_kept() {
    for (algorithm, length) in [("sha256", 64), ("sha384", 96), ("sha512", 128)] {
        let digest = format!("{algorithm}:{}", "a".repeat(length));
        let reference = parsed(&format!("ghcr.io/a/b@{digest}"));
        assert_eq!(reference.digest(), Some(&Digest::parse(&digest).unwrap()));
        assert_eq!(reference.tag(), None);
    }
}

// The points at which oci_spec, the usual crate for this, reads another image than the node does.

#[test]
fn a_first_component_in_capitals_is_a_registry_as_in_go_and_no_namespace_of_docker_hub() {
    reads("Foo/bar", "foo", "bar", None, "FOO/bar");
    reads("LOCALDOMAIN/library/debian", "localdomain", "library/debian", None, "LOCALDOMAIN/library/debian");
    reads("LOCALHOST/x", "localhost", "x", None, "localhost/x");
    assert_ne!(parsed("Foo/bar"), parsed("foo/bar"));
}

#[test]
fn upper_case_hex_in_a_digest_is_refused() {
    let text = format!("nginx@sha256:{}", HEX.to_uppercase());
    assert_eq!(refused(&text), InvalidReference::Digest(InvalidDigest::NotLowerCaseHex));
}

#[test]
fn a_bare_image_id_is_refused() {
    assert_eq!(refused(HEX), InvalidReference::ImageId);
    // One digit less or more, or a name around it, is a name as any other.
    assert_eq!(parsed(&HEX[1..]).repository(), format!("library/{}", &HEX[1..]));
    assert_eq!(parsed(&format!("{HEX}0")).repository(), format!("library/{HEX}0"));
    assert_eq!(parsed(&format!("library/{HEX}")).repository(), format!("library/{HEX}"));
    assert_eq!(parsed(&format!("{HEX}:v1")).tag(), Some("v1"));
}

#[test]
fn a_digest_without_a_name_is_refused_and_no_tag() {
    for (algorithm, length) in [("sha256", 64), ("sha384", 96), ("sha512", 128)] {
        let text = format!("{algorithm}:{}", "a".repeat(length));
        assert_eq!(refused(&text), InvalidReference::ImageId, "{text}");
    }
    assert_eq!(parsed("sha256:v1").tag(), Some("v1"));
}

#[test]
fn an_ipv6_host_is_read_with_its_brackets() {
    reads("[::1]:5000/x", "[::1]:5000", "x", None, "[::1]:5000/x");
    reads("[2001:DB8::1]/a/b:v1", "[2001:db8::1]", "a/b", Some("v1"), "[2001:db8::1]/a/b:v1");
    for registry in ["fc00::1:5000", "[fe80::1%eth0]:5000", "[]:5000", "[::1", "[::1]5000", "[::1].com", "a[::1]"] {
        let text = format!("{registry}/x");
        assert_eq!(refused(&text), InvalidReference::Registry(registry.into()), "{text}");
    }
    // Without a slash nothing is a registry.
    assert_eq!(refused("[::1]:5000"), InvalidReference::Tag(":1]:5000".into()));
}

#[test]
fn a_host_with_a_trailing_dot_is_refused_as_in_go() {
    assert_eq!(refused("reg.io./x"), InvalidReference::Registry("reg.io.".into()));
    assert_eq!(refused("docker.io./library/nginx"), InvalidReference::Registry("docker.io.".into()));
}

#[test]
fn a_port_above_65535_is_refused() {
    reads("reg:65535/x", "reg:65535", "x", None, "reg:65535/x");
    for port in ["65536", "99999", "0", "00443", "443000000000000000000000", "", "+80", "-1", "http"] {
        assert_eq!(refused(&format!("reg:{port}/x")), InvalidReference::Port(port.into()));
    }
}

#[test]
fn a_host_is_compared_in_lower_case() {
    reads("GHCR.io/a/b", "ghcr.io", "a/b", None, "ghcr.io/a/b");
    assert_eq!(parsed("FOO.io:5000/x"), parsed("foo.IO:5000/x"));
}

#[test]
fn the_default_port_is_kept_and_another_registry() {
    assert_ne!(parsed("ghcr.io:443/a"), parsed("ghcr.io/a"));
}

#[test]
fn the_repository_is_in_lower_case_or_refused() {
    assert_eq!(refused("reg.io/Foo"), InvalidReference::UpperCase("Foo".into()));
    assert_eq!(refused("Nginx"), InvalidReference::UpperCase("Nginx".into()));
    assert_eq!(refused("acme/App:v1"), InvalidReference::UpperCase("App".into()));
}

#[test]
fn components_follow_the_grammar() {
    for name in ["a", "a.b", "a_b", "a__b", "a-b", "a----b", "0", "a.b_c__d-e"] {
        assert_eq!(parsed(&format!("r.io/x/{name}")).repository(), format!("x/{name}"));
    }
    for name in
        ["-a", "a-", ".a", "a.", "_a", "a_", "a..b", "a___b", "a._b", "a_.b", "a-.b", "a.-b", "a-_b", "a+b", "a~b"]
    {
        assert_eq!(refused(&format!("r.io/x/{name}")), InvalidReference::Component(name.into()));
        assert_eq!(refused(&format!("r.io/{name}/x")), InvalidReference::Component(name.into()));
    }
    for text in ["r.io//a", "r.io/a//b", "r.io/a/", "r.io/", "/a", "a/", "/", "r.io/:v1", "r.io/a/:v1"] {
        assert_eq!(refused(text), InvalidReference::EmptyComponent, "{text}");
    }
}

#[test]
fn a_host_with_an_underscore_is_neither_a_host_nor_a_namespace() {
    assert_eq!(refused("my_registry.local/app"), InvalidReference::Registry("my_registry.local".into()));
    for registry in ["-a.io", "a-.io", "a..io", ".io", "a.b$", "a,b.c", "%41.io", "a\\b.io"] {
        assert_eq!(refused(&format!("{registry}/x")), InvalidReference::Registry(registry.into()));
    }
}

#[test]
fn nothing_before_the_tag_or_the_digest_is_refused() {
    assert_eq!(refused(""), InvalidReference::Empty);
    assert_eq!(refused(":v1"), InvalidReference::NoName);
    assert_eq!(refused(&format!("@sha256:{HEX}")), InvalidReference::NoName);
}

#[test]
fn tags_follow_the_grammar() {
    let longest = "t".repeat(128);
    for tag in ["a", "V1", "_", "1.2-3_4", "latest", &longest] {
        assert_eq!(parsed(&format!("r.io/x:{tag}")).tag(), Some(tag));
    }
    for tag in [".a", "-a", "a+b", "a/b", "a:b", "a*"] {
        assert_eq!(refused(&format!("r.io/x:{tag}")), InvalidReference::Tag(tag.into()));
    }
    assert_eq!(refused("r.io/x:"), InvalidReference::EmptyTag);
    assert_eq!(refused(&format!("x:@sha256:{HEX}")), InvalidReference::EmptyTag);
    let too_long = InvalidReference::TagTooLong { found: 129, limit: 128 };
    assert_eq!(refused(&format!("r.io/x:{longest}t")), too_long);
}

#[test]
fn digests_follow_the_grammar() {
    for (digest, flaw) in [
        (String::new(), InvalidDigest::MissingColon),
        (HEX.to_owned(), InvalidDigest::MissingColon),
        (format!("md5:{HEX}"), InvalidDigest::UnsupportedAlgorithm("md5".into())),
        (format!("SHA256:{HEX}"), InvalidDigest::UnsupportedAlgorithm("SHA256".into())),
        (
            format!("sha256:{}", &HEX[1..]),
            InvalidDigest::WrongLength { algorithm: Algorithm::Sha256, expected: 64, found: 63 },
        ),
        (
            format!("sha512:{HEX}"),
            InvalidDigest::WrongLength { algorithm: Algorithm::Sha512, expected: 128, found: 64 },
        ),
        (format!("sha256:g{}", &HEX[1..]), InvalidDigest::NotLowerCaseHex),
    ] {
        assert_eq!(refused(&format!("nginx@{digest}")), InvalidReference::Digest(flaw), "{digest}");
    }
}

#[test]
fn a_repository_of_255_characters_is_the_longest_whatever_the_registry() {
    let longest = "a".repeat(255);
    assert_eq!(parsed(&format!("registry.example:5000/{longest}")).repository(), longest);
    let too_long = InvalidReference::RepositoryTooLong { found: 256, limit: 255 };
    assert_eq!(refused(&format!("registry.example:5000/a{longest}")), too_long);
    // `library/` counts, as it does on the node.
    assert_eq!(refused(&"a".repeat(248)), too_long);
    assert_eq!(parsed(&"a".repeat(247)).repository().len(), 255);
}

#[test]
fn an_endless_name_is_refused_before_anything_else() {
    let too_long = InvalidReference::TooLong { found: 1025, limit: 1024 };
    assert_eq!(refused(&"\0".repeat(1025)), too_long);
    assert_eq!(refused(&"\0".repeat(1024)), InvalidReference::Character('\0'));
}

#[test]
fn blanks_control_characters_and_all_beyond_ascii_are_refused_wherever_they_stand() {
    let valid = format!("ghcr.io/acme/app:v1@sha256:{HEX}");
    let characters = [' ', '\t', '\n', '\r', '\0', '\u{7f}', '\u{a0}', '\u{e9}', '\u{200b}', '\u{430}', '\u{202e}'];
    for character in characters {
        for at in 0..=valid.len() {
            let text = format!("{}{character}{}", &valid[..at], &valid[at..]);
            assert_eq!(refused(&text), InvalidReference::Character(character), "{text:?}");
        }
    }
}

#[test]
fn a_scheme_is_refused_with_its_name() {
    for scheme in ["http", "https", "ko", "docker", "oci"] {
        assert_eq!(refused(&format!("{scheme}://ghcr.io/a/b:v1")), InvalidReference::Scheme(scheme.into()));
    }
    assert!(refused("ko://example.com/cmd").to_string().contains("ko resolve"));
    assert!(refused("https://ghcr.io/a").to_string().contains("remove \"https://\""));
}

#[test]
fn user_and_password_are_refused() {
    for text in ["ghcr.io@evil.com/a", "user:secret@ghcr.io/a/b:v1", "ghcr.io/a@evil.com/b", "a@b@c/d"] {
        assert_eq!(refused(text), InvalidReference::UserInfo, "{text}");
    }
}

#[test]
fn errors_are_one_lower_case_sentence_without_full_stop_or_control_characters() {
    let long = format!("r.io/x:{}", "t".repeat(129));
    for text in [
        "",
        "\n",
        "a b",
        "https://x/y",
        "ko://x",
        "u@h/x",
        HEX,
        ":v1",
        "a_b.c/x",
        "r:0/x",
        "r.io/X",
        "r.io//x",
        "r.io/-x",
        "x:",
        "x:-",
        &long,
        "x@md5:00",
        "x@sha256:00",
        "x@sha256",
        &"a".repeat(300),
        &"a".repeat(2000),
    ] {
        let message = refused(text).to_string();
        assert!(!message.ends_with('.') || message.ends_with("..."), "{message}");
        assert!(!message.starts_with(|first: char| first.is_ascii_uppercase()), "{message}");
        assert!(message.chars().all(|character| !character.is_control()), "{message:?}");
    }
}
