//! A name as written, read as the node reads it, and normalised: `nginx` is `docker.io/library/nginx`.
//!
//! The grammar is that of [distribution/reference](https://github.com/distribution/reference), which containerd and
//! the kubelet use. Refused although it would be read there: what a node may take for the ID of an image that it has
//! already (64 hex digits, `sha256:...` alone), and the two points in `grammar.rs`. Registries are compared in lower
//! case; Docker Hub has one name. Neither a missing tag nor a tag beside a digest is touched: what they mean is for
//! the policy.

use std::fmt;

use super::grammar::{self, ComponentFlaw, RegistryFlaw};
use super::{Digest, InvalidDigest};

#[cfg(test)]
mod tests;

/// The name of an image: registry, repository, and whatever tag and digest were written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// `registry/repository[:tag]`, in one piece since it is read in every review and matched as a whole.
    text: Box<str>,
    registry_end: usize,
    name_end: usize,
    digest: Option<Digest>,
}

impl Reference {
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let found = text.len();
        if found == 0 {
            return Err(InvalidReference::Empty);
        }
        if found > grammar::MAX_LENGTH {
            return Err(InvalidReference::TooLong { found, limit: grammar::MAX_LENGTH });
        }
        read(text).map_err(|flaw| root_cause(text).unwrap_or(flaw))
    }

    /// Host in lower case, with its port if one was written.
    #[must_use]
    pub fn registry(&self) -> &str {
        &self.text[..self.registry_end]
    }

    #[must_use]
    pub fn repository(&self) -> &str {
        &self.text[self.registry_end + 1..self.name_end]
    }

    /// `registry/repository`: no two repositories have the same.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[..self.name_end]
    }

    /// As written; none where none was.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.text.get(self.name_end + 1..)
    }

    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What is asked of a registry: the digest alone where there is one, else the tag, and `latest` where none was
    /// written. Two references with the same address stand for the same image.
    #[must_use]
    pub fn address(&self) -> Self {
        let text = match (&self.digest, self.tag()) {
            (Some(_), _) => self.name().into(),
            (None, Some(_)) => self.text.clone(),
            (None, None) => format!("{}:latest", self.name()).into(),
        };
        Self { text, ..self.clone() }
    }

    /// The repository alone, without tag and digest.
    #[must_use]
    pub fn repository_alone(&self) -> Self {
        Self { text: self.name().into(), digest: None, ..self.clone() }
    }

    /// What has this digest in the same repository.
    #[must_use]
    pub fn at(&self, digest: &Digest) -> Self {
        Self { digest: Some(digest.clone()), ..self.repository_alone() }
    }

    /// Bytes of registry, repository and tag.
    #[must_use]
    pub fn length(&self) -> usize {
        self.text.len()
    }
}

/// The canonical form, `registry/repository[:tag][@digest]`, which reads as the same reference.
///
/// A host without dot and port stands in capitals: `foo/bar` would be a repository of Docker Hub.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", grammar::written_registry(self.registry()), &self.text[self.registry_end..])?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn read(text: &str) -> Result<Reference, InvalidReference> {
    let (tagged, digest) = match text.split_once('@') {
        Some((tagged, digest)) => (tagged, Some(Digest::parse(digest).map_err(InvalidReference::Digest)?)),
        None => (text, None),
    };
    let (registry, remainder) = split_registry(tagged)?;
    let (repository, tag) = match remainder.split_once(':') {
        Some((repository, tag)) => (repository, Some(check_tag(tag)?)),
        None => (remainder, None),
    };
    if repository.is_empty() && registry.is_none() {
        return Err(InvalidReference::NoName);
    }
    for component in repository.split('/') {
        check_component(component)?;
    }
    if registry.is_none() && digest.is_none() && may_be_an_image_id(text) {
        return Err(InvalidReference::ImageId);
    }
    let registry = registry.unwrap_or(grammar::DOCKER_HUB);
    let namespace = if registry == grammar::DOCKER_HUB && !repository.contains('/') { "library/" } else { "" };
    let found = namespace.len() + repository.len();
    if found > grammar::MAX_REPOSITORY {
        return Err(InvalidReference::RepositoryTooLong { found, limit: grammar::MAX_REPOSITORY });
    }
    let registry_end = registry.len();
    let name_end = registry_end + 1 + found;
    let mut text = String::with_capacity(name_end + tag.map_or(0, |tag| 1 + tag.len()));
    text.push_str(registry);
    text.make_ascii_lowercase();
    text.push('/');
    text.push_str(namespace);
    text.push_str(repository);
    if let Some(tag) = tag {
        text.push(':');
        text.push_str(tag);
    }
    Ok(Reference { text: text.into_boxed_str(), registry_end, name_end, digest })
}

/// The registry, if one is written, and what follows it. All names of Docker Hub become the one.
fn split_registry(tagged: &str) -> Result<(Option<&str>, &str), InvalidReference> {
    let Some((registry, remainder)) =
        tagged.split_once('/').filter(|(component, _)| grammar::names_a_registry(component))
    else {
        return Ok((None, tagged));
    };
    grammar::check_registry(registry).map_err(|flaw| match flaw {
        RegistryFlaw::Host => InvalidReference::Registry(registry.into()),
        RegistryFlaw::Port(port) => InvalidReference::Port(port.into()),
    })?;
    let registry = if grammar::is_docker_hub(registry) { grammar::DOCKER_HUB } else { registry };
    Ok((Some(registry), remainder))
}

fn check_tag(tag: &str) -> Result<&str, InvalidReference> {
    if grammar::is_tag(tag) {
        return Ok(tag);
    }
    let (found, limit) = (tag.len(), grammar::MAX_TAG);
    if found == 0 {
        Err(InvalidReference::EmptyTag)
    } else if found > limit {
        Err(InvalidReference::TagTooLong { found, limit })
    } else {
        Err(InvalidReference::Tag(tag.into()))
    }
}

fn check_component(component: &str) -> Result<(), InvalidReference> {
    grammar::check_component(component).map_err(|flaw| match flaw {
        ComponentFlaw::Empty => InvalidReference::EmptyComponent,
        ComponentFlaw::UpperCase => InvalidReference::UpperCase(component.into()),
        ComponentFlaw::Malformed => InvalidReference::Component(component.into()),
    })
}

/// 64 hex digits, or a digest without a name: a node that has an image of this ID runs it without asking a registry.
fn may_be_an_image_id(text: &str) -> bool {
    (text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
        || (text.starts_with("sha") && Digest::parse(text).is_ok())
}

/// What makes the rest of a name unreadable, and is therefore the more helpful thing to say. Off the hot path.
fn root_cause(text: &str) -> Option<InvalidReference> {
    if let Some(character) = grammar::foreign_character(text) {
        return Some(InvalidReference::Character(character));
    }
    if let Some(scheme) = grammar::scheme(text) {
        return Some(InvalidReference::Scheme(scheme.into()));
    }
    let after = text.split_once('@').map(|(_, after)| after)?;
    after.contains('/').then_some(InvalidReference::UserInfo)
}

/// Why a text is no [`Reference`]. Texts within are the offending part as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidReference {
    Empty,
    TooLong {
        found: usize,
        limit: usize,
    },
    /// A blank, a control character, or one beyond ASCII.
    Character(char),
    /// `https://`, `ko://` and the like.
    Scheme(Box<str>),
    /// `user@host/...`
    UserInfo,
    /// 64 hex digits, or a digest without a name.
    ImageId,
    /// A tag or digest with nothing before it.
    NoName,
    Registry(Box<str>),
    Port(Box<str>),
    UpperCase(Box<str>),
    EmptyComponent,
    Component(Box<str>),
    RepositoryTooLong {
        found: usize,
        limit: usize,
    },
    EmptyTag,
    Tag(Box<str>),
    TagTooLong {
        found: usize,
        limit: usize,
    },
    Digest(InvalidDigest),
}

impl fmt::Display for InvalidReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the image is empty: name one, such as registry.example/repository:tag"),
            Self::TooLong { found, limit } => {
                write!(f, "the name has {found} bytes and no image name has more than {limit}: shorten it")
            }
            Self::Character(character) => {
                write!(f, "the name contains {character:?}: remove it, image names have no blanks and are plain ASCII")
            }
            Self::Scheme(scheme) if &**scheme == "ko" => {
                f.write_str("ko:// names an image that is yet to be built: apply the output of `ko resolve` instead")
            }
            Self::Scheme(scheme) => write!(f, "an image name has no scheme: remove {:?}", format!("{scheme}://")),
            Self::UserInfo => f.write_str("an image name carries no user or password: remove what stands before \"@\""),
            Self::ImageId => {
                f.write_str("this is the ID of an image, not a name: write registry/repository@sha256:...")
            }
            Self::NoName => f.write_str("nothing stands before the tag or digest: write registry/repository in front"),
            Self::Registry(registry) => write!(
                f,
                "{registry:?} is no registry: a host has letters, digits, \"-\" and single dots, \
                 an IPv6 address brackets"
            ),
            Self::Port(port) => {
                write!(f, "{port:?} is no port: write a number from 1 to 65535 without leading zeros")
            }
            Self::UpperCase(component) => {
                write!(f, "{component:?} has capital letters: write the repository in lower case")
            }
            Self::EmptyComponent => {
                f.write_str("a part of the repository is empty: look for a leading, trailing or doubled \"/\"")
            }
            Self::Component(component) => write!(
                f,
                "{component:?} is no part of a repository: use a-z and 0-9, \
                 with one \".\", one or two \"_\" or any \"-\" between"
            ),
            Self::RepositoryTooLong { found, limit } => {
                write!(f, "the repository has {found} characters and at most {limit} are possible: shorten it")
            }
            Self::EmptyTag => f.write_str("no tag follows the \":\": write one or remove the colon"),
            Self::Tag(tag) => {
                write!(
                    f,
                    "{tag:?} is no tag: use letters, digits, \".\", \"-\" and \"_\", and neither \".\" nor \"-\" first"
                )
            }
            Self::TagTooLong { found, limit } => {
                write!(f, "the tag has {found} characters and at most {limit} are possible: shorten it")
            }
            Self::Digest(flaw) => flaw.fmt(f),
        }
    }
}

/// The flaw of a digest is told by the text above, so it is no source as well.
impl std::error::Error for InvalidReference {}
