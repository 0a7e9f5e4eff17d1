//! Names: what one resolves to is judged before a connection is made, so that no name leads where no address may.
//!
//! The connection is made to the very addresses that were judged: there is no second look-up to answer differently.
//! Literal addresses never come here (`permits` judges them). Behind a proxy the registry's name does not come here
//! either: the proxy resolves it, and what it may reach is for whoever runs it. Only the text of the URL is judged then.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::{Refused, is_ours, judge};
use super::lookups::LOOK_UPS;
use super::{Forbidden, Surroundings};

/// Names whose addresses are not judged.
#[derive(Debug, Clone)]
pub(super) enum Exempt {
    Nothing,
    Everything,
    /// A host that `hosts.toml` names: a redirect of its to another host is judged.
    Host(Box<str>),
}

impl Exempt {
    fn covers(&self, name: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Host(host) => host.eq_ignore_ascii_case(name),
        }
    }
}

/// The system's resolver, and our judgement of its answers.
#[derive(Debug)]
pub(super) struct Judging {
    pub(super) surroundings: Surroundings,
    pub(super) exempt: Exempt,
    /// Hosts of proxies: the operator's own word, and commonly on loopback.
    pub(super) proxies: Arc<[Box<str>]>,
}

impl Resolve for Judging {
    fn resolve(&self, name: Name) -> Resolving {
        let unjudged = self.exempt.covers(name.as_str())
            || self.proxies.iter().any(|proxy| proxy.eq_ignore_ascii_case(name.as_str()));
        let surroundings = self.surroundings;
        Box::pin(async move {
            // The port is the connector's to set.
            let found = LOOK_UPS.addresses(name.as_str(), unjudged).await?;
            if !unjudged {
                judge_all(name.as_str(), &found, surroundings)?;
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// One refused address refuses the name: which of them is connected to is chance, or the choice of whoever answered.
///
/// [`Forbidden`], or that it cannot be told now: then the registry is out of reach, and not forbidden.
pub(super) fn judge_all(
    name: &str,
    found: &[SocketAddr],
    surroundings: Surroundings,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    for address in found {
        match judge(address.ip(), surroundings, is_ours) {
            Ok(()) => {}
            Err(Refused::Unclear) => return Err(io::Error::other("no socket is left").into()),
            Err(refused) => {
                return Err(Forbidden(format!(
                    "{name} resolves to {}, {refused}, where no request is sent: name the host in hosts.toml if it is meant",
                    address.ip()
                ))
                .into());
            }
        }
    }
    Ok(())
}
