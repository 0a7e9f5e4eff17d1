//! The grammar of image names that [`super::reference`] and [`super::pattern`] share: distribution/reference, which
//! containerd and the kubelet use, with fewer liberties.
//!
//! Stricter than it on purpose, each because two readers could disagree: a port has a value from 1 to 65535 and no
//! leading zero, and a registry's host has no underscore (the Go grammar lets one pass as a path and containerd then
//! reads it as a host).

use std::borrow::Cow;

/// Docker Hub as it is written in names.
pub(super) const DOCKER_HUB: &str = "docker.io";

/// The namespace of Docker Hub's official images, which need not be written.
pub(super) const OFFICIAL: &str = "library";

/// Other hosts that serve the same repositories. Read as themselves, they would be a way round every rule about
/// `docker.io`.
pub(super) const DOCKER_HUB_ALIASES: [&str; 3] = ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];

/// No valid name is longer: 253 of host, 6 of port, 255 of repository, 129 of tag, 136 of sha512 and a slash are 780.
pub(super) const MAX_LENGTH: usize = 1024;

/// As distribution/reference, which counts `library/` and leaves the registry out.
pub(super) const MAX_REPOSITORY: usize = 255;

/// As distribution/reference and the OCI distribution specification.
pub(super) const MAX_TAG: usize = 128;

/// Whether the text before the first "/" is a registry; all else is a namespace of Docker Hub.
///
/// A dot, a port or a capital letter, or `localhost`: no namespace has any of these.
pub(super) fn names_a_registry(component: &str) -> bool {
    component == "localhost" || component.bytes().any(|byte| matches!(byte, b'.' | b':' | b'A'..=b'Z'))
}

/// Whether a registry is Docker Hub under any of its names.
///
/// `docker.io` with a port is not: nodes know Docker Hub by the bare name, and that host itself serves no images. The
/// aliases do, so their default port changes nothing.
pub(super) fn is_docker_hub(registry: &str) -> bool {
    let host = registry.strip_suffix(":443").unwrap_or(registry);
    registry.eq_ignore_ascii_case(DOCKER_HUB) || DOCKER_HUB_ALIASES.iter().any(|alias| host.eq_ignore_ascii_case(alias))
}

/// What is wrong with a registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RegistryFlaw<'text> {
    Host,
    Port(&'text str),
}

pub(super) fn check_registry(registry: &str) -> Result<(), RegistryFlaw<'_>> {
    let (host, port) = split_port(registry);
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let sound = match address {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(is_label),
    };
    match port {
        _ if !sound => Err(RegistryFlaw::Host),
        // An IPv6 address without brackets.
        Some(port) if port.contains(':') => Err(RegistryFlaw::Host),
        Some(port) if !is_port(port) => Err(RegistryFlaw::Port(port)),
        Some(_) | None => Ok(()),
    }
}

/// Host and port. The colons within the brackets of an IPv6 address are not a port's.
pub(super) fn split_port(registry: &str) -> (&str, Option<&str>) {
    let within = registry.rfind(']').unwrap_or(0);
    match registry[within..].find(':') {
        Some(colon) => (&registry[..within + colon], Some(&registry[within + colon + 1..])),
        None => (registry, None),
    }
}

/// One label of a host name: letters, digits, and "-" within.
pub(super) fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

pub(super) fn is_port(port: &str) -> bool {
    // Digits alone: `parse` would take a sign too.
    port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0') && port.parse::<u16>().is_ok()
}

/// What is wrong with one component of a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ComponentFlaw {
    Empty,
    UpperCase,
    Malformed,
}

/// `[a-z0-9]+`, again and again, with one ".", one or two "_", or any number of "-" between.
pub(super) fn check_component(component: &str) -> Result<(), ComponentFlaw> {
    let mut before = b'/';
    let mut before_that = b'/';
    let mut sound = true;
    for byte in component.bytes() {
        sound &= match byte {
            b'a'..=b'z' | b'0'..=b'9' => true,
            b'.' => is_word(before),
            b'_' => is_word(before) || (before == b'_' && is_word(before_that)),
            b'-' => is_word(before) || before == b'-',
            _ => false,
        };
        before_that = before;
        before = byte;
    }
    if sound && is_word(before) {
        Ok(())
    } else if component.is_empty() {
        Err(ComponentFlaw::Empty)
    } else if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Err(ComponentFlaw::UpperCase)
    } else {
        Err(ComponentFlaw::Malformed)
    }
}

fn is_word(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9')
}

/// Letters, digits, ".", "-" and "_"; the first is no "." and no "-".
pub(super) fn is_tag(tag: &str) -> bool {
    tag.len() <= MAX_TAG
        && !tag.is_empty()
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

/// The first character that occurs in no image name whatever its place: blanks, control characters, all beyond ASCII.
pub(super) fn foreign_character(text: &str) -> Option<char> {
    text.chars().find(|character| !character.is_ascii_graphic())
}

/// `https` of `https://...`.
pub(super) fn scheme(text: &str) -> Option<&str> {
    text.split_once("://").map(|(scheme, _)| scheme)
}

/// A registry as it has to be written to be read as one again: capitals are the only way to tell a host without dot
/// and port from a namespace of Docker Hub. Every other stands as it is.
pub(super) fn written_registry(registry: &str) -> Cow<'_, str> {
    if names_a_registry(registry) || is_star(registry) { registry.into() } else { registry.to_ascii_uppercase().into() }
}

/// Whether a component of a pattern is a wildcard as a whole.
pub(super) fn is_star(component: &str) -> bool {
    matches!(component, "*" | "**")
}
