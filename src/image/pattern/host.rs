//! The registry of a pattern: host labels from right to left, and the port.

use super::super::grammar::{self, RegistryFlaw};
use super::wildcard::Wildcard;
use super::{Component, InvalidPattern};

/// A registry with a `*` in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Host {
    /// From the right, without a leading `*`.
    labels: Box<[Wildcard]>,
    /// Whether it began with `*`: one or more labels more.
    subdomains: bool,
    port: Port,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Port {
    None,
    /// Any, and there must be one.
    Any,
    Exactly(Box<str>),
}

/// The first component of a pattern, in lower case and with Docker Hub under its one name.
pub(super) fn component(registry: &str) -> Result<Component, InvalidPattern> {
    match registry {
        "**" => Ok(Component::AnyNumber),
        "*" => Ok(Component::Any),
        _ if registry.contains('*') => Host::parse(registry).map(Component::Host),
        _ => match grammar::check_registry(registry) {
            Ok(()) => Ok(Component::Literal(registry.into())),
            Err(RegistryFlaw::Host) => Err(InvalidPattern::Registry(registry.into())),
            Err(RegistryFlaw::Port(port)) => Err(InvalidPattern::Port(port.into())),
        },
    }
}

impl Host {
    fn parse(registry: &str) -> Result<Self, InvalidPattern> {
        if registry.contains("**") {
            return Err(InvalidPattern::DoubleStar(registry.into()));
        }
        let (name, port) = grammar::split_port(registry);
        // The only wildcard of an address is its port: parts of one are not the parts of a name.
        let is_address = name.starts_with('[') && grammar::check_registry(name).is_ok();
        // As in a repository: a letter fits wherever a `*` may stand.
        if !is_address && !name.split('.').all(|label| grammar::is_label(&label.replace('*', "a"))) {
            return Err(InvalidPattern::Registry(registry.into()));
        }
        let port = match port {
            None => Port::None,
            Some("*") => Port::Any,
            Some(port) if grammar::is_port(port) => Port::Exactly(port.into()),
            Some(port) => return Err(InvalidPattern::Port(port.into())),
        };
        let subdomains = name == "*" || name.starts_with("*.");
        let fixed = name.rsplit('.').take(name.split('.').count() - usize::from(subdomains));
        let host = Self { labels: fixed.map(Wildcard::new).collect(), subdomains, port };
        let reaches_an_alias = grammar::DOCKER_HUB_ALIASES.iter().any(|alias| host.matches_name(alias));
        if reaches_an_alias && !host.matches_name(grammar::DOCKER_HUB) {
            return Err(InvalidPattern::DockerHubAlias(registry.into()));
        }
        Ok(host)
    }

    pub(super) fn matches(&self, registry: &str) -> bool {
        let (name, port) = grammar::split_port(registry);
        let port_fits = match (&self.port, port) {
            (Port::None, port) => port.is_none(),
            (Port::Any, port) => port.is_some(),
            (Port::Exactly(wanted), port) => port == Some(&**wanted),
        };
        port_fits && self.matches_name(name)
    }

    fn matches_name(&self, name: &str) -> bool {
        let mut labels = name.rsplit('.');
        let fixed = self.labels.iter().all(|label| labels.next().is_some_and(|text| label.matches(text)));
        fixed && labels.next().is_some() == self.subdomains
    }
}
