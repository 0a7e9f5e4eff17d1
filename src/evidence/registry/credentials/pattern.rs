//! Which repositories a key of a docker config, or a `matchImages` of a provider, is for.
//!
//! As the kubelet matches (`pkg/credentialprovider/keyring.go`): a URL or a host with a path; the scheme does not
//! count, nor does a path that begins with `/v1/` or `/v2/`; `*` in a label of the host, never across a dot; the port
//! must be the same, and none is not any. Unlike there a path is a prefix by whole components: the password of
//! `ghcr.io/acme` must not be presented for `ghcr.io/acme-evil`, which is somebody else's.

use std::cmp::Reverse;

/// Docker Hub's one name, as `Reference` has it ...
const DOCKER_HUB: &str = "docker.io";
/// ... and the others, under which `docker login` and the kubelet write it.
const DOCKER_HUB_ALIASES: [&str; 2] = ["index.docker.io", "registry-1.docker.io"];
/// Longer than any host with port and path that can be asked for: 255 for a name, 255 for a repository, and a scheme.
const MOST_BYTES: usize = 600;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    /// In lower case; with `*` where it is a glob.
    host: Box<str>,
    port: Option<Box<str>>,
    /// Without slashes around it; empty for all of the host.
    path: Box<str>,
}

/// Less is more specific: the longest path, then a literal host before a glob, then the longer one.
pub(super) type Rank = (Reverse<usize>, bool, Reverse<usize>);

impl Pattern {
    /// None for what names no host and can match nothing.
    pub(super) fn parse(key: &str) -> Option<Self> {
        if key.len() > MOST_BYTES {
            return None;
        }
        let (authority, path) = without_scheme(key).split_once('/').unwrap_or((without_scheme(key), ""));
        let authority = authority.to_ascii_lowercase();
        let (host, port) = split_port(&authority)?;
        let address = host.starts_with('[');
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*');
        if !address && !host.split('.').all(|label| !label.is_empty() && label.chars().all(fits)) {
            return None;
        }
        let host = if port.is_none() && DOCKER_HUB_ALIASES.contains(&host) { DOCKER_HUB } else { host };
        // As the kubelet: `/v1` alone, without a slash behind it, may be somebody's name.
        let path = path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/")).unwrap_or(path);
        Some(Self { host: host.into(), port: port.map(Into::into), path: path.trim_matches('/').into() })
    }

    pub(super) fn matches(&self, registry: &str, repository: &str) -> bool {
        let Some((host, port)) = split_port(registry) else { return false };
        self.port.as_deref() == port && host_matches(&self.host, host) && self.covers(repository)
    }

    fn covers(&self, repository: &str) -> bool {
        self.path.is_empty()
            || repository.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The registry, where it is one and all of it: what a credential helper can be named for.
    pub(super) fn exact_registry(&self) -> Option<String> {
        if self.is_glob() || !self.path.is_empty() {
            return None;
        }
        Some(match &self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        })
    }

    pub(super) fn is_glob(&self) -> bool {
        self.host.contains('*')
    }

    pub(super) fn rank(&self) -> Rank {
        (Reverse(self.path.len()), self.is_glob(), Reverse(self.host.len()))
    }
}

fn without_scheme(key: &str) -> &str {
    ["https://", "http://"].iter().find_map(|scheme| key.strip_prefix(scheme)).unwrap_or(key)
}

/// None where a port is begun and is none.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (address, rest) = authority.split_at(end);
        let inner = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.');
        if address.len() < 4 || !address.trim_matches(['[', ']']).chars().all(inner) {
            return None;
        }
        if rest.is_empty() { (address, None) } else { (address, Some(rest.strip_prefix(':')?)) }
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    let is_port = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    (!host.is_empty() && port.is_none_or(is_port)).then_some((host, port))
}

fn host_matches(pattern: &str, host: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == host;
    }
    let (mut globs, mut labels) = (pattern.split('.'), host.split('.'));
    loop {
        match (globs.next(), labels.next()) {
            (None, None) => return true,
            (Some(glob), Some(label)) if label_matches(glob, label) => {}
            (Some(_), Some(_) | None) | (None, Some(_)) => return false,
        }
    }
}

/// Each part between stars at its first place, the last one at the end: no way back is needed, so no cost explodes.
fn label_matches(glob: &str, label: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else { return glob == label };
    let Some(mut left) = label.strip_prefix(head) else { return false };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(key: &str, name: &str) -> bool {
        let (registry, repository) = name.split_once('/').unwrap();
        Pattern::parse(key).is_some_and(|pattern| pattern.matches(registry, repository))
    }

    #[test]
    fn a_key_may_be_a_url_or_a_host_with_a_path() {
        for key in
            ["ghcr.io", "https://ghcr.io", "http://ghcr.io/", "GHCR.io/v1/", "https://ghcr.io/v2/acme", "ghcr.io/acme/"]
        {
            assert!(matches(key, "ghcr.io/acme/web"), "{key}");
        }
        for key in ["ghcr.io/v1", "https://ghcr.io/v3/acme", "ftp://ghcr.io", "ghcr.io.evil", "evil.ghcr.io", "ghcr"] {
            assert!(!matches(key, "ghcr.io/acme/web"), "{key}");
        }
    }

    #[test]
    fn docker_hub_has_one_name() {
        for key in [
            "https://index.docker.io/v1/",
            "index.docker.io",
            "docker.io",
            "registry-1.docker.io",
            "https://docker.io/v2/",
        ] {
            assert!(matches(key, "docker.io/library/nginx"), "{key}");
        }
        assert!(!matches("index.docker.io:443", "docker.io/library/nginx"));
        assert!(matches("docker.io/acme", "docker.io/acme/web") && !matches("docker.io/acme", "docker.io/library/web"));
    }

    #[test]
    fn a_star_stays_within_its_label_and_labels_are_counted() {
        let ecr = "*.dkr.ecr.*.amazonaws.com";
        assert!(matches(ecr, "123.dkr.ecr.eu-west-1.amazonaws.com/web"));
        for other in [
            "dkr.ecr.eu-west-1.amazonaws.com/web",
            "a.123.dkr.ecr.eu-west-1.amazonaws.com/web",
            "123.dkr.ecr.eu.west.amazonaws.com/web",
            "123.dkr.ecr.eu-west-1.amazonaws.com.evil.example/web",
            "123.dkr.ecr.eu-west-1.amazonaws.com:5000/web",
        ] {
            assert!(!matches(ecr, other), "{other}");
        }
        assert!(
            matches("reg*-*y.example", "registry-my.example/a") && !matches("reg*-*y.example", "registry.example/a")
        );
        assert!(matches("a*b*a.example", "abxa.example/a") && !matches("a*b*a.example", "aba-.example/a"));
        assert!(!matches("ab*ba.example", "aba.example/a"), "the ends may not share a letter");
    }

    #[test]
    fn the_port_is_the_same_and_none_is_not_any() {
        assert!(matches("r.example:5000", "r.example:5000/a"));
        for key in
            ["r.example", "r.example:500", "r.example:50000", "r.example:*", "r.example:", "*.example", "*.example:443"]
        {
            assert!(!matches(key, "r.example:5000/a"), "{key}");
        }
        assert!(!matches("r.example:5000", "r.example/a"));
        assert!(
            matches("[::1]:5000", "[::1]:5000/a") && matches("[::1]", "[::1]/a") && !matches("[::1]", "[::1]:5000/a")
        );
    }

    #[test]
    fn a_path_matches_by_whole_components() {
        for name in ["ghcr.io/acme", "ghcr.io/acme/web", "ghcr.io/acme/web/api"] {
            assert!(matches("ghcr.io/acme", name), "{name}");
        }
        for name in ["ghcr.io/acme-evil", "ghcr.io/acme-evil/web", "ghcr.io/acm", "ghcr.io/x/acme"] {
            assert!(!matches("ghcr.io/acme", name), "{name}");
        }
    }

    #[test]
    fn what_names_no_host_matches_nothing() {
        for key in [
            "",
            "/",
            "https://",
            "https:///v1/",
            "user:word@ghcr.io",
            "a b",
            "a..b",
            ".a",
            "a:b",
            "[::1",
            "[]",
            "[x]",
            "gh?r.io",
            "g[h]cr.io",
        ] {
            assert_eq!(Pattern::parse(key), None, "{key}");
        }
        assert_eq!(Pattern::parse(&"a".repeat(MOST_BYTES + 1)), None);
    }

    #[test]
    fn the_longest_path_comes_first_and_then_the_literal_host() {
        let mut keys = ["*.example", "a.example", "*.example/a/b", "a.example/a", "*b.example/a"];
        keys.sort_by_key(|key| Pattern::parse(key).unwrap().rank());
        assert_eq!(keys, ["*.example/a/b", "a.example/a", "*b.example/a", "a.example", "*.example"]);
    }
}
