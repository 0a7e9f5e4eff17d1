//! What operators write to say which images, tags and identities they mean.
//!
//! A [`Pattern`] matches whole names, from the first character to the last, component by component:
//!
//! - `*` stands for any text within one component, and `**`, which must be a component of its own, for any number of
//!   components, none included: `ghcr.io/acme/**` matches `ghcr.io/acme` and `ghcr.io/acme/a/b`.
//! - A pattern is completed as a name is: `nginx` is `docker.io/library/nginx`, `acme/*` is `docker.io/acme/*`, and
//!   `registry/*` is the namespace `registry` of Docker Hub; a first component is a registry only if it has a dot, a
//!   port or a capital letter, or is `localhost`, `*` or `**`. `**` alone matches every image.
//! - The registry is matched with its port. `ghcr.io` and `*.example.com` match no host with a port but 443, which is
//!   the one that is used where none is written: else `quay.io:443/x` would be a way round a rule that refuses
//!   `quay.io/**`. `host:*` matches only hosts with a port; `*` and `**` match both.
//! - In a host, `*` does not cross a dot, or `*.dkr.ecr.*.amazonaws.com` would let `x.dkr.ecr.y.s3.amazonaws.com` in,
//!   which anyone can have. Only a leading `*.` stands for one or more labels: all of them belong to the owner of the
//!   rest.
//!
//! Refused is what could mean two things, `*` or `ghcr.io` alone, and what could never match. Matching never runs
//! longer than the product of the two lengths. A [`TagPattern`] knows `*` alone; a [`Glob`] is for identities.

use std::fmt;

use super::Reference;
use super::grammar::{self, ComponentFlaw};
use wildcard::Wildcard;

mod glob;
mod host;
mod tag;
#[cfg(test)]
mod tests;
mod wildcard;

pub use glob::Glob;
pub use tag::TagPattern;

/// A matcher of normalised `registry/repository` names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: Box<str>,
    components: Box<[Component]>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Component {
    /// `**`
    AnyNumber,
    /// `*`
    Any,
    Literal(Box<str>),
    /// With a `*` in it.
    Partial(Wildcard),
    /// A registry with a `*` in it.
    Host(host::Host),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        check_text(text, grammar::MAX_LENGTH)?;
        if let Some(scheme) = grammar::scheme(text) {
            return Err(InvalidPattern::Scheme(scheme.into()));
        }
        if text.contains('@') {
            return Err(InvalidPattern::TagOrDigest);
        }
        let (registry, repository) = split_registry(text)?;
        let mut parts: Vec<&str> = repository.into_iter().flat_map(|repository| repository.split('/')).collect();
        if registry == grammar::DOCKER_HUB && parts.len() == 1 && parts != ["**"] {
            parts.insert(0, grammar::OFFICIAL);
        }
        let registry = registry.to_ascii_lowercase();
        let mut components = vec![host::component(&registry)?];
        let mut canonical = grammar::written_registry(&registry).into_owned();
        for part in parts {
            components.push(component(part)?);
            canonical.push('/');
            canonical.push_str(part);
        }
        Ok(Self { text: canonical.into_boxed_str(), components: components.into_boxed_slice() })
    }

    #[must_use]
    pub fn matches(&self, reference: &Reference) -> bool {
        matches(&self.components, reference.name())
            || reference
                .registry()
                .strip_suffix(":443")
                .is_some_and(|host| matches(&self.components, &format!("{host}/{}", reference.repository())))
    }

    /// In full, as it is matched: `docker.io/library/nginx` for `nginx`. Reads as the same pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The registry of a pattern, and the repository unless the pattern is `**` alone.
fn split_registry(text: &str) -> Result<(&str, Option<&str>), InvalidPattern> {
    match text.split_once('/') {
        Some((first, rest)) if grammar::is_star(first) || grammar::names_a_registry(first) => {
            let registry = if grammar::is_docker_hub(first) { grammar::DOCKER_HUB } else { first };
            Ok((registry, Some(rest)))
        }
        Some(_) => Ok((grammar::DOCKER_HUB, Some(text))),
        None if text == "**" => Ok((text, None)),
        None if text == "*" => Err(InvalidPattern::LoneStar),
        None => {
            let (name, _) = grammar::split_port(text);
            if name == "localhost" || name.contains('.') {
                return Err(InvalidPattern::LoneRegistry(text.into()));
            }
            Ok((grammar::DOCKER_HUB, Some(text)))
        }
    }
}

/// One component of the repository.
fn component(part: &str) -> Result<Component, InvalidPattern> {
    if part == "**" {
        return Ok(Component::AnyNumber);
    }
    if part == "*" {
        return Ok(Component::Any);
    }
    if part.contains("**") {
        return Err(InvalidPattern::DoubleStar(part.into()));
    }
    if part.contains(':') {
        return Err(InvalidPattern::TagOrDigest);
    }
    // A letter fits wherever a `*` may stand: what is no component with it is none with anything else.
    grammar::check_component(&part.replace('*', "a")).map_err(|flaw| match flaw {
        ComponentFlaw::Empty => InvalidPattern::EmptyComponent,
        ComponentFlaw::UpperCase => InvalidPattern::UpperCase(part.into()),
        ComponentFlaw::Malformed => InvalidPattern::Component(part.into()),
    })?;
    Ok(if part.contains('*') { Component::Partial(Wildcard::new(part)) } else { Component::Literal(part.into()) })
}

impl Component {
    /// Whether it matches this one component. `**` is not asked: it matches any number of them.
    fn fits(&self, text: &str) -> bool {
        match self {
            Self::AnyNumber | Self::Any => true,
            Self::Literal(literal) => **literal == *text,
            Self::Partial(wildcard) => wildcard.matches(text),
            Self::Host(host) => host.matches(text),
        }
    }
}

/// Whether the components match the whole name.
///
/// Only the latest `**` ever has to take one component more: what stood before it has matched as early as it can, and
/// every other match of that would leave less to the rest. So each component is compared with each at most once.
fn matches(components: &[Component], name: &str) -> bool {
    // What is still to match; none when the name is used up.
    let (mut pattern, mut rest) = (components, Some(name));
    // After the latest `**`: the pattern, and from where on it was tried.
    let mut again: Option<(&[Component], &str)> = None;
    loop {
        match (pattern.split_first(), rest) {
            (None, None) | (Some((Component::AnyNumber, [])), _) => return true,
            (Some((Component::AnyNumber, after)), Some(text)) => {
                (pattern, again) = (after, Some((after, text)));
                continue;
            }
            (Some((component, after)), Some(text)) => {
                let (head, tail) = split_first(text);
                if component.fits(head) {
                    (pattern, rest) = (after, tail);
                    continue;
                }
            }
            // The name is used up: a `**` that took still more of it would leave even less to what is left here.
            (Some(_), None) => return pattern.iter().all(|component| *component == Component::AnyNumber),
            (None, Some(_)) => {}
        }
        let Some((after, text)) = again else { return false };
        let (_, Some(tail)) = split_first(text) else {
            return false;
        };
        (pattern, rest, again) = (after, Some(tail), Some((after, tail)));
    }
}

fn split_first(name: &str) -> (&str, Option<&str>) {
    match name.split_once('/') {
        Some((head, tail)) => (head, Some(tail)),
        None => (name, None),
    }
}

/// What holds for each of the three: not empty, not endless, no blanks, nothing invisible.
fn check_text(text: &str, limit: usize) -> Result<(), InvalidPattern> {
    let found = text.len();
    if found == 0 {
        return Err(InvalidPattern::Empty);
    }
    if found > limit {
        return Err(InvalidPattern::TooLong { found, limit });
    }
    grammar::foreign_character(text).map_or(Ok(()), |character| Err(InvalidPattern::Character(character)))
}

/// Why a text is no [`Pattern`], [`TagPattern`] or [`Glob`]. Texts within are the offending part as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidPattern {
    Empty,
    TooLong {
        found: usize,
        limit: usize,
    },
    /// A blank, a control character, or one beyond ASCII.
    Character(char),
    Scheme(Box<str>),
    /// `**` next to anything else.
    DoubleStar(Box<str>),
    /// `*` alone: one component, and no image has a single one.
    LoneStar,
    /// A registry without a repository.
    LoneRegistry(Box<str>),
    TagOrDigest,
    UpperCase(Box<str>),
    EmptyComponent,
    Component(Box<str>),
    Registry(Box<str>),
    Port(Box<str>),
    /// Matches other hosts of Docker Hub and not `docker.io`, which they are all read as.
    DockerHubAlias(Box<str>),
    Tag(Box<str>),
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the pattern is empty and would match nothing: write one or remove the entry"),
            Self::TooLong { found, limit } => {
                write!(f, "the pattern has {found} bytes and at most {limit} are possible: shorten it")
            }
            Self::Character(character) => {
                write!(f, "the pattern contains {character:?}: remove it, patterns are plain ASCII without blanks")
            }
            Self::Scheme(scheme) => write!(f, "an image name has no scheme: remove {:?}", format!("{scheme}://")),
            Self::DoubleStar(part) => write!(
                f,
                "{part:?}: \"**\" stands alone between slashes; \
                 within a component or a tag write a single \"*\", and nowhere three in a row"
            ),
            Self::LoneStar => f.write_str(
                "\"*\" alone is one component: \
                write \"**\" for every image, \"library/*\" for the official ones",
            ),
            Self::LoneRegistry(registry) => write!(
                f,
                "{registry:?} looks like a registry and would be read as an image of Docker Hub: \
                write \"{registry}/**\", or \"library/{registry}\""
            ),
            Self::TagOrDigest => f.write_str(
                "a pattern has no tag and no digest: \
                write the repository alone, and tags under `tags.deny` or `tags.allow`",
            ),
            Self::UpperCase(component) => {
                write!(f, "{component:?} has capital letters and no repository has any: write it in lower case")
            }
            Self::EmptyComponent => {
                f.write_str("a part of the pattern is empty: look for a leading, trailing or doubled \"/\"")
            }
            Self::Component(component) => write!(
                f,
                "{component:?} can match no part of a repository: use a-z and 0-9, \
                 with one \".\", one or two \"_\" or any \"-\" between, and \"*\" as the only wildcard"
            ),
            Self::Registry(registry) => write!(
                f,
                "{registry:?} can match no registry: a host has letters, digits, \"-\" and single dots, \
                 an IPv6 address brackets, and \"*\" is the only wildcard"
            ),
            Self::Port(port) => {
                write!(f, "{port:?} is no port: write a number from 1 to 65535 without leading zeros, or \"*\" for any")
            }
            Self::DockerHubAlias(registry) => {
                write!(f, "{registry:?} would miss Docker Hub, whose hosts are all read as docker.io: write that")
            }
            Self::Tag(tag) => write!(
                f,
                "{tag:?} can match no tag: use letters, digits, \".\", \"-\" and \"_\", \
                 neither \".\" nor \"-\" first, no \":\" before it, and \"*\" as the only wildcard"
            ),
        }
    }
}

impl std::error::Error for InvalidPattern {}
