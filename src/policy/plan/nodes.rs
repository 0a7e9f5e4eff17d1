//! Where a pod could run, and which manifests of an index it could be given there.

use crate::fact::{PlatformManifest, Scope};
use crate::image::Platform;
use crate::request::{Placement, Request};

/// Where the pod could be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nodes {
    /// On nodes of these platforms; never empty.
    Of(Vec<Platform>),
    /// Nobody knows what the nodes are, or its own spec leaves none of them: on whatever there is that it allows.
    Any(Placement),
}

impl Nodes {
    pub(super) fn of(scope: &Scope, request: &Request) -> Self {
        let allowed = scope.platforms.iter().filter(|platform| request.placement.allows(platform));
        let allowed: Vec<Platform> = allowed.cloned().collect();
        if allowed.is_empty() { Self::Any(request.placement.clone()) } else { Self::Of(allowed) }
    }

    /// The manifests of an index that a pod could be given. An index within an index is one of them: what it would
    /// come to is not looked at, so it would have to be signed itself.
    #[must_use]
    pub fn candidates(&self, manifests: &[PlatformManifest]) -> Vec<PlatformManifest> {
        let could_run = |manifest: &&PlatformManifest| match self {
            Self::Of(nodes) => nodes.iter().any(|node| node.could_run(manifest.platform.as_ref())),
            Self::Any(_) => is_image(manifest),
        };
        manifests.iter().filter(could_run).cloned().collect()
    }

    /// Those of which scans are asked for. A signature of an index is one of all its images, a report is of one: where
    /// nobody knows what the nodes are and the pod does not say, they are taken for what most are, linux/amd64, where the
    /// index has an image for that.
    #[must_use]
    pub fn scanned(&self, manifests: &[PlatformManifest]) -> Vec<PlatformManifest> {
        let candidates = self.candidates(manifests);
        let Self::Any(placement) = self else { return candidates };
        let usual = Platform::default();
        let (unconstrained, allowed) = (placement.terms.is_empty(), |its: &Platform| placement.allows(its));
        let meant =
            |platform: &Platform| if unconstrained { usual.is_for_same_nodes(platform) } else { allowed(platform) };
        if !candidates.iter().any(|manifest| manifest.platform.as_ref().is_some_and(meant)) {
            return candidates;
        }
        // What does not say for which nodes it is may be for these.
        candidates.into_iter().filter(|manifest| manifest.platform.as_ref().is_none_or(meant)).collect()
    }
}

/// What builders attach to an index calls itself unknown/unknown, and no node is.
pub fn is_image(manifest: &PlatformManifest) -> bool {
    manifest.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}
