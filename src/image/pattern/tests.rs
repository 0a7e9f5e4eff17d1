use std::time::{Duration, Instant};

use super::super::Reference;
use super::{Glob, InvalidPattern, Pattern, TagPattern};

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|flaw| panic!("{text:?}: {flaw}"))
}

fn refused(text: &str) -> InvalidPattern {
    Pattern::parse(text).expect_err(text)
}

fn matches(text: &str, image: &str) -> bool {
    pattern(text).matches(&Reference::parse(image).unwrap_or_else(|flaw| panic!("{image:?}: {flaw}")))
}

/// Who may put an image where a pattern finds it? The rows with `false` are hosts and names that anyone can have.
const ATTACKERS: &[(&str, &str, bool)] = &[
    // Un-anchored wildcards, as in Portieris before 0.14.2.
    ("*.trusted.example.com/org/*", "x.trusted.example.com/org/app", true),
    ("*.trusted.example.com/org/*", "a.b.trusted.example.com/org/app", true),
    ("*.trusted.example.com/org/*", "attacker.com/x.trusted.example.com/org/evil", false),
    ("*.trusted.example.com/org/*", "attacker.com/a.trusted.example.com/org", false),
    ("*.trusted.example.com/org/*", "trusted.example.com/org/app", false),
    ("*.trusted.example.com/org/*", "eviltrusted.example.com/org/app", false),
    ("*.trusted.example.com/org/*", "x.trusted.example.com.evil.com/org/app", false),
    ("*.trusted.example.com/org/*", "x.trusted.example.com/org/sub/app", false),
    ("*.trusted.example.com/org/*", "x.trusted.example.com/evil/org/app", false),
    ("*.trusted.example.com/org/*", "x.trusted.example.com:5000/org/app", false),
    ("trusted.example.com/*", "attacker.com/trusted.example.com/x", false),
    // Suffixes of hosts, as in kata's genpolicy and k8schain.
    ("*.azurecr.io/**", "acme.azurecr.io/app", true),
    ("*.azurecr.io/**", "acme.azurecr.io.attacker.com/app", false),
    ("*.azurecr.io/**", "attackerazurecr.io/app", false),
    ("*.azurecr.io/**", "attacker.com/acme.azurecr.io/app", false),
    ("acme.azurecr.io/**", "acme.azurecr.io.attacker.com/app", false),
    ("acme.azurecr.io/**", "evil.acme.azurecr.io/app", false),
    ("acme*.azurecr.io/**", "acme-prod.azurecr.io/app", true),
    ("acme*.azurecr.io/**", "acme.evil.azurecr.io/app", false),
    ("*.dkr.ecr.*.amazonaws.com/app", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app", true),
    ("*.dkr.ecr.*.amazonaws.com/app", "x.dkr.ecr.y.s3.amazonaws.com/app", false),
    ("ghcr.*/acme/**", "ghcr.io/acme/app", true),
    ("ghcr.*/acme/**", "ghcr.io.evil.com/acme/app", false),
    ("10.0.0.*/**", "10.0.0.7/app", true),
    ("10.0.0.*/**", "10.0.0.evil.com/app", false),
    // Prefixes of paths.
    ("ghcr.io/acme/**", "ghcr.io/acme/app", true),
    ("ghcr.io/acme/**", "ghcr.io/acme/a/b/c", true),
    ("ghcr.io/acme/**", "ghcr.io/acme", true),
    ("ghcr.io/acme/**", "ghcr.io/acme-evil/x", false),
    ("ghcr.io/acme/**", "ghcr.io/acmeevil/x", false),
    ("ghcr.io/acme/**", "ghcr.io/acme.evil/x", false),
    ("ghcr.io/acme/**", "ghcr.io/evil/acme/x", false),
    ("ghcr.io/acme/**", "ghcr.io.evil.com/acme/x", false),
    ("ghcr.io/acme/**", "evil.com/ghcr.io/acme/x", false),
    ("ghcr.io/acme/**", "evil-ghcr.io/acme/x", false),
    ("ghcr.io/acme/**", "evil.ghcr.io/acme/x", false),
    ("ghcr.io/acme/*", "ghcr.io/acme/app", true),
    ("ghcr.io/acme/*", "ghcr.io/acme", false),
    ("ghcr.io/acme/*", "ghcr.io/acme/a/b", false),
    ("ghcr.io/acme/foo-*", "ghcr.io/acme/foo-bar", true),
    ("ghcr.io/acme/foo-*", "ghcr.io/acme/foo-bar/evil", false),
    ("ghcr.io/acme/foo-*", "ghcr.io/acme/evil-foo-bar", false),
    ("ghcr.io/acme/*-public", "ghcr.io/acme/x-public", true),
    ("ghcr.io/acme/*-public", "ghcr.io/acme/x-public-evil", false),
    ("ghcr.io/*/app", "ghcr.io/acme/evil/app", false),
    ("ghcr.io/**/app", "ghcr.io/app", true),
    ("ghcr.io/**/app", "ghcr.io/a/b/app", true),
    ("ghcr.io/**/app", "ghcr.io/a/app/evil", false),
    ("ghcr.io/**/app", "ghcr.io/a/evil-app", false),
    ("ghcr.io/acme", "ghcr.io/acme", true),
    ("ghcr.io/acme", "ghcr.io/acme/app", false),
    // Ports.
    ("ghcr.io/acme/**", "ghcr.io:443/acme/x", true),
    ("ghcr.io/acme/**", "GHCR.IO:443/acme/x", true),
    ("ghcr.io/acme/**", "ghcr.io.evil:443/acme/x", false),
    ("ghcr.io/acme/**", "ghcr.io:4443/acme/x", false),
    ("*.example.com/**", "a.example.com:443/x", true),
    ("*.example.com:*/**", "a.example.com:443/x", true),
    ("[::1]/**", "[::1]:443/x", true),
    ("[::1]/**", "[::1:443]/x", false),
    ("ghcr.io/acme/**", "ghcr.io:8443/acme/x", false),
    ("ghcr.io:443/acme/**", "ghcr.io:443/acme/x", true),
    ("ghcr.io:443/acme/**", "ghcr.io/acme/x", false),
    ("ghcr.io:443/acme/**", "ghcr.io:4430/acme/x", false),
    ("ghcr.*/acme/**", "ghcr.io:8443/acme/x", false),
    ("*.example.com/x", "a.example.com:5000/x", false),
    ("*.example.com:5000/x", "a.example.com:5000/x", true),
    ("*.example.com:5000/x", "a.example.com:15000/x", false),
    ("*.example.com:*/x", "a.example.com:15000/x", true),
    ("*.example.com:*/x", "a.example.com/x", false),
    ("*:5000/x", "any.host:5000/x", true),
    ("*:5000/x", "[::1]:5000/x", true),
    ("*:5000/x", "any.host/x", false),
    ("*/x", "any.host:5000/x", true),
    ("**/x", "any.host:5000/a/b/x", true),
    ("localhost:*/x", "localhost:5000/x", true),
    ("localhost/x", "localhost:5000/x", false),
    ("[::1]:5000/**", "[::1]:5000/x", true),
    ("[::1]:5000/**", "[::1]/x", false),
    ("[::1]:*/**", "[::1]:81/x", true),
    // Letter case of hosts.
    ("GHCR.io/acme/**", "ghcr.IO/acme/x", true),
    ("ghcr.io/acme/**", "GHCR.IO/acme/x", true),
    // Docker Hub under all its names, and what only looks like it.
    ("nginx", "nginx", true),
    ("nginx", "docker.io/library/nginx:1.27", true),
    ("nginx", "index.docker.io/nginx", true),
    ("nginx", "registry-1.docker.io/library/nginx", true),
    ("nginx", "evil/nginx", false),
    ("nginx", "ghcr.io/library/nginx", false),
    ("nginx", "nginx/nginx", false),
    ("acme/*", "docker.io/acme/app", true),
    ("acme/*", "registry.hub.docker.com/acme/app", true),
    ("acme/*", "ghcr.io/acme/app", false),
    ("acme/*", "ACME/app", false),
    ("acme/*", "acme.evil.com/acme/app", false),
    ("ACME/*", "ACME/app", true),
    ("ACME/*", "acme/app", false),
    ("index.docker.io/acme/*", "acme/app", true),
    ("registry-1.docker.io/nginx", "nginx", true),
    ("docker.io/*", "nginx", true),
    ("docker.io/*", "acme/nginx", false),
    ("docker.io/**", "index.docker.io/acme/app", true),
    ("docker.io/**", "registry-1.docker.io:443/acme/app", true),
    ("docker.io/**", "docker.io.evil.com/acme/app", false),
    ("docker.io/**", "evil.com/docker.io/app", false),
    ("docker.io/**", "evildocker.io/app", false),
    ("registry/*", "docker.io/registry/app", true),
    ("registry/*", "registry:5000/registry/app", false),
    ("library/*", "nginx", true),
    ("*/nginx", "nginx", false),
    ("**/nginx", "nginx", true),
    ("*/library/nginx", "nginx", true),
    ("**", "nginx", true),
    ("**", "[::1]:5000/a/b/c:v1", true),
    ("*/**", "localhost:5000/a/b", true),
    ("*/*", "localhost/a", true),
    ("*/*", "localhost/a/b", false),
    // A tag and a digest change nothing.
    ("ghcr.io/acme/**", "ghcr.io/acme/app:v1", true),
    ("ghcr.io/evil/**", "ghcr.io/acme/app:evil", false),
];

#[test]
fn no_attacker_finds_a_name_that_a_pattern_means_for_another() {
    assert!(ATTACKERS.len() >= 100);
    for (text, image, expected) in ATTACKERS {
        assert_eq!(matches(text, image), *expected, "{text} on {image}");
    }
}

#[test]
fn a_user_in_front_of_a_host_makes_no_image_that_a_pattern_could_be_asked_about() {
    for image in ["ghcr.io@evil.com/acme/x", "ghcr.io:acme@evil.com/x", "evil.com\\@ghcr.io/acme/x", "ghcr.io%2facme/x"]
    {
        assert!(Reference::parse(image).is_err(), "{image}");
    }
}

#[test]
fn a_pattern_is_completed_as_a_name_is_and_says_how_it_is_read() {
    for (text, read) in [
        ("nginx", "docker.io/library/nginx"),
        ("nginx*", "docker.io/library/nginx*"),
        ("acme/*", "docker.io/acme/*"),
        ("registry/*", "docker.io/registry/*"),
        ("ghcr*/x", "docker.io/ghcr*/x"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("docker.io/*", "docker.io/library/*"),
        ("docker.io/**", "docker.io/**"),
        ("Index.Docker.io/acme/**", "docker.io/acme/**"),
        ("registry-1.docker.io:443/acme/**", "docker.io/acme/**"),
        ("registry.hub.docker.com/nginx", "docker.io/library/nginx"),
        ("GHCR.io/acme/**", "ghcr.io/acme/**"),
        ("Foo/bar", "FOO/bar"),
        ("FOO*/bar", "FOO*/bar"),
        ("*/x", "*/x"),
        ("**/x", "**/x"),
        ("**", "**"),
        ("*:5000/x", "*:5000/x"),
        ("localhost/x", "localhost/x"),
    ] {
        assert_eq!(pattern(text).as_str(), read);
        assert_eq!(pattern(read), pattern(text), "{text}");
    }
}

#[test]
fn what_could_mean_two_things_or_nothing_is_refused() {
    use InvalidPattern as Flaw;
    for (text, flaw) in [
        ("", Flaw::Empty),
        ("*", Flaw::LoneStar),
        ("ghcr.io", Flaw::LoneRegistry("ghcr.io".into())),
        ("localhost", Flaw::LoneRegistry("localhost".into())),
        ("localhost:5000", Flaw::LoneRegistry("localhost:5000".into())),
        ("*.example.com", Flaw::LoneRegistry("*.example.com".into())),
        ("a**", Flaw::DoubleStar("a**".into())),
        ("***", Flaw::DoubleStar("***".into())),
        ("ghcr.io/**a/x", Flaw::DoubleStar("**a".into())),
        ("**.example.com/x", Flaw::DoubleStar("**.example.com".into())),
        ("ghcr.io/Acme/*", Flaw::UpperCase("Acme".into())),
        ("ghcr.io/acme/A*", Flaw::UpperCase("A*".into())),
        ("Nginx", Flaw::UpperCase("Nginx".into())),
        ("nginx:latest", Flaw::TagOrDigest),
        ("nginx:1.27", Flaw::TagOrDigest),
        ("ghcr.io/acme/app:v1", Flaw::TagOrDigest),
        ("ghcr.io/acme/app:*", Flaw::TagOrDigest),
        ("nginx@sha256:00", Flaw::TagOrDigest),
        ("ghcr.io@evil.com/x", Flaw::TagOrDigest),
        ("ghcr.io/acme/ app", Flaw::Character(' ')),
        ("ghcr.io/acme/app\n", Flaw::Character('\n')),
        ("ghcr.io/\u{430}cme", Flaw::Character('\u{430}')),
        ("https://ghcr.io/acme/**", Flaw::Scheme("https".into())),
        ("ghcr.io/", Flaw::EmptyComponent),
        ("ghcr.io//acme", Flaw::EmptyComponent),
        ("ghcr.io/acme/", Flaw::EmptyComponent),
        ("/acme", Flaw::EmptyComponent),
        ("ghcr.io/-acme*", Flaw::Component("-acme*".into())),
        ("ghcr.io/a..b*", Flaw::Component("a..b*".into())),
        ("ghcr.io/[ab]", Flaw::Component("[ab]".into())),
        ("ghcr.io/a?", Flaw::Component("a?".into())),
        ("ghcr.io/{a,b}", Flaw::Component("{a,b}".into())),
        ("!ghcr.io/acme", Flaw::Registry("!ghcr.io".into())),
        ("ghcr.io./acme", Flaw::Registry("ghcr.io.".into())),
        ("-*.io/acme", Flaw::Registry("-*.io".into())),
        ("*..io/acme", Flaw::Registry("*..io".into())),
        ("[2001:*]:5000/x", Flaw::Registry("[2001:*]:5000".into())),
        ("ghcr.io:0/x", Flaw::Port("0".into())),
        ("ghcr.io:70000/x", Flaw::Port("70000".into())),
        ("*.io:50*/x", Flaw::Port("50*".into())),
        ("*.io:/x", Flaw::Port("".into())),
        ("*.docker.io/**", Flaw::DockerHubAlias("*.docker.io".into())),
        ("registry*.docker.io/**", Flaw::DockerHubAlias("registry*.docker.io".into())),
        ("*.docker.com/**", Flaw::DockerHubAlias("*.docker.com".into())),
    ] {
        assert_eq!(refused(text), flaw, "{text:?}");
    }
    assert_eq!(refused(&"a".repeat(1025)), Flaw::TooLong { found: 1025, limit: 1024 });
}

#[test]
fn wildcards_that_reach_docker_io_itself_are_no_alias() {
    assert!(matches("*.io/**", "nginx"));
    assert!(matches("docker.*/**", "nginx"));
}

/// Patterns and names made to make a backtracking matcher try everything. The bound is generous, and nowhere near what
/// even one more level of trying would take.
#[test]
fn adversarial_patterns_take_no_longer_than_their_length_times_the_names() {
    let begun = Instant::now();
    let stars = format!("r.io/{}b", "*a".repeat(400));
    assert!(!matches(&stars, &format!("r.io/{}", "a".repeat(255))));
    let short = format!("r.io/{}b", "*a".repeat(100));
    assert!(!matches(&short, &format!("r.io/{}", "a".repeat(255))));
    let deep = format!("r.io/{}x", "**/a/".repeat(200));
    assert!(!matches(&deep, &format!("r.io/{}a", "a/".repeat(127))));
    let doubled = format!("{}x", "**/".repeat(340));
    assert!(!matches(&doubled, &format!("r.io/{}a", "a/".repeat(127))));
    assert!(matches(&doubled, &format!("r.io/{}x", "a/".repeat(127))));
    let labels = format!("{}z/x", "*a*.".repeat(250));
    assert!(!matches(&labels, &format!("{}y/x", "aa.".repeat(250))));

    let tag = TagPattern::parse(&format!("{}b", "*a".repeat(127))).unwrap();
    assert!(!tag.matches(&"a".repeat(128)));

    let identity = "a".repeat(100_000);
    let glob = Glob::parse(&format!("{}b", "**a*a".repeat(250))).unwrap();
    assert!(!glob.matches(&identity));
    assert!(glob.matches(&format!("{identity}b")));
    let elapsed = begun.elapsed();
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[test]
fn a_tag_pattern_matches_the_whole_tag_in_its_letter_case() {
    for (text, tag, expected) in [
        ("latest", "latest", true),
        ("latest", "Latest", false),
        ("latest", "latest-1", false),
        ("latest", "not-latest", false),
        ("dev-*", "dev-1", true),
        ("dev-*", "dev-", true),
        ("dev-*", "dev", false),
        ("dev-*", "my-dev-1", false),
        ("nightly*", "nightly", true),
        ("nightly*", "nightly.2026", true),
        ("v*.*.*", "v1.2.3", true),
        ("v*.*.*", "v1.2.3-rc.1", true),
        ("v*.*.*", "v1.2", false),
        ("v*.*.*", "v..", true),
        ("*-rc*", "1.0-rc1", true),
        ("*-rc*", "1.0", false),
        ("*", "anything", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a*b*a", "aba", true),
        ("a*b*a", "aa", false),
    ] {
        let pattern = TagPattern::parse(text).unwrap();
        assert_eq!(pattern.matches(tag), expected, "{text} on {tag}");
        assert_eq!(pattern.as_str(), text);
    }
}

#[test]
fn a_tag_pattern_that_no_tag_could_match_is_refused() {
    use InvalidPattern as Flaw;
    for text in [".x", "-x", ":latest", "a:b", "a/b", "a+b", "a?", "[0-9]", "@sha256"] {
        assert_eq!(TagPattern::parse(text), Err(Flaw::Tag(text.into())));
    }
    assert_eq!(TagPattern::parse(""), Err(Flaw::Empty));
    assert_eq!(TagPattern::parse("v1 "), Err(Flaw::Character(' ')));
    assert_eq!(TagPattern::parse("v**"), Err(Flaw::DoubleStar("v**".into())));
    assert_eq!(TagPattern::parse(&"a".repeat(129)), Err(Flaw::Tag("a".repeat(129).into())));
    assert_eq!(TagPattern::parse(&"a".repeat(300)), Err(Flaw::TooLong { found: 300, limit: 257 }));
}

#[test]
fn a_glob_is_anchored_and_one_star_stays_between_slashes() {
    let workflow = "https://github.com/acme/*/.github/workflows/release.yaml@refs/tags/*";
    for (text, identity, expected) in [
        (workflow, "https://github.com/acme/app/.github/workflows/release.yaml@refs/tags/v1", true),
        (workflow, "https://github.com/acme/app/.github/workflows/release.yaml@refs/tags/a/b", false),
        (workflow, "https://github.com/acme/a/b/.github/workflows/release.yaml@refs/tags/v1", false),
        (workflow, "https://github.com/acme/app/.github/workflows/release.yaml@refs/heads/main", false),
        (workflow, "https://github.com/acme-evil/app/.github/workflows/release.yaml@refs/tags/v1", false),
        (workflow, "xhttps://github.com/acme/app/.github/workflows/release.yaml@refs/tags/v1", false),
        ("https://github.com/acme/**", "https://github.com/acme/a/b@refs/heads/main", true),
        ("https://github.com/acme/**", "https://github.com/acme/", true),
        ("https://github.com/acme/**", "https://github.com/acme", false),
        ("https://github.com/acme/**", "https://github.com.evil.com/acme/x", false),
        ("**@example.com", "a@example.com", true),
        ("**@example.com", "a@example.com.evil.com", false),
        ("*@example.com", "a@example.com", true),
        ("*@example.com", "a@b@example.com", true),
        ("*@example.com", "evil/a@example.com", false),
        ("a.c", "abc", false),
        ("a*c", "ac", true),
        ("a*c", "a/c", false),
        ("a**c", "a/c", true),
        ("a**c", "ac", true),
        ("a/*", "a/", true),
        ("*", "", true),
        ("*", "a/", false),
        ("**", "a/\u{e9}/b", true),
        ("**/x*y", "a/x/b/xy", true),
        ("**/x*y", "a/xy/b", false),
        ("Exact", "exact", false),
        ("(a|b)+[c]", "(a|b)+[c]", true),
    ] {
        let glob = Glob::parse(text).unwrap();
        assert_eq!(glob.matches(identity), expected, "{text} on {identity}");
        assert_eq!(glob.as_str(), text);
    }
}

#[test]
fn a_glob_holds_511_literal_characters_in_all_its_places() {
    for length in [63, 64, 65, 127, 128, 511] {
        let literal = "ab".repeat(256)[..length].to_owned();
        let glob = Glob::parse(&literal).unwrap();
        assert!(glob.matches(&literal));
        assert!(!glob.matches(&literal[1..]));
        assert!(!glob.matches(&format!("{literal}a")));
        assert!(Glob::parse(&format!("*{literal}")).unwrap().matches(&format!("zz{literal}")));
        assert!(Glob::parse(&format!("{literal}**")).unwrap().matches(&format!("{literal}/x")));
    }
    let too_long = InvalidPattern::TooLong { found: 512, limit: 511 };
    assert_eq!(Glob::parse(&"a".repeat(512)), Err(too_long));
}

#[test]
fn a_glob_with_three_stars_blanks_or_nothing_in_it_is_refused() {
    assert_eq!(Glob::parse(""), Err(InvalidPattern::Empty));
    assert_eq!(Glob::parse("a***b"), Err(InvalidPattern::DoubleStar("a***b".into())));
    assert_eq!(Glob::parse("a b"), Err(InvalidPattern::Character(' ')));
    assert_eq!(Glob::parse("\u{e9}"), Err(InvalidPattern::Character('\u{e9}')));
}

#[test]
fn errors_are_one_lower_case_sentence_without_full_stop_or_control_characters() {
    for text in [
        "",
        "*",
        "ghcr.io",
        "a**",
        "ghcr.io/A",
        "a:b",
        "a\n",
        "ko://x",
        "a//b",
        "-a",
        "a_.b/x",
        "a:0/x",
        "*.docker.io/x",
    ] {
        let message = refused(text).to_string();
        assert!(!message.ends_with('.'), "{message}");
        assert!(!message.starts_with(|first: char| first.is_ascii_uppercase()), "{message}");
        assert!(message.chars().all(|character| !character.is_control()), "{message:?}");
    }
}
