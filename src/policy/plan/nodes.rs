//! Where a pod could run, and which manifests of an index it could be given there.

use crate::fact::{PlatformManifest, Scope};
use crate::image::Platform;
use crate::request::Request;

/// Where the pod could be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nodes {
    /// On nodes of these platforms; never empty.
    Of(Vec<Platform>),
    /// Nobody knows what the nodes are, or its own spec leaves none of them: on whatever there is.
    Any,
}

impl Nodes {
    pub(super) fn of(scope: &Scope, request: &Request) -> Self {
        let allowed = scope.platforms.iter().filter(|platform| request.placement.allows(platform));
        let allowed: Vec<Platform> = allowed.cloned().collect();
        if allowed.is_empty() { Self::Any } else { Self::Of(allowed) }
    }

    /// The manifests of an index that a pod could be given. An index within an index is one of them: what it would
    /// come to is not looked at, so it would have to be signed itself.
    #[must_use]
    pub fn candidates(&self, manifests: &[PlatformManifest]) -> Vec<PlatformManifest> {
        let could_run = |manifest: &&PlatformManifest| match self {
            Self::Of(nodes) => nodes.iter().any(|node| node.could_run(manifest.platform.as_ref())),
            // What builders attach to an index calls itself unknown/unknown, and no node is.
            Self::Any => manifest.platform.as_ref().is_none_or(|platform| platform.os != "unknown"),
        };
        manifests.iter().filter(could_run).cloned().collect()
    }
}
