//! Why the API server did not give what was asked, in our words: what happened, and what to do where somebody must.
//!
//! Nothing that the API server says is quoted: its messages may hold what users wrote.

use std::fmt;

use kube::Error;
use kube::core::Status;

/// Of the manifests that we ship: what we may do in a cluster.
const CLUSTER_ROLE: &str = "pratique";

/// Something asked of the API server: a verb of RBAC on a resource.
#[derive(Debug, Clone, Copy)]
pub(in crate::evidence) struct Asked<'a> {
    /// `get`, `list` or `watch`.
    pub(in crate::evidence) verb: &'static str,
    /// Empty for the core group.
    pub(in crate::evidence) group: &'a str,
    /// In the plural: `namespaces`.
    pub(in crate::evidence) resource: &'a str,
}

/// `list namespaces`, `watch imagepolicies.pratique.dev`
impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// Why it failed.
pub(in crate::evidence) fn why(asked: Asked<'_>, error: &Error) -> String {
    if is_unreadable(error) {
        return format!("the API server answered {asked} with something that cannot be read as that");
    }
    if let Error::Api(status) = error {
        return refusal(asked, status);
    }
    if matches!(error, Error::ReadEvents(_) | Error::LinesCodecMaxLineLengthExceeded) {
        return format!("the connection to the API server broke off during {asked}");
    }
    if matches!(error, Error::Auth(_)) {
        return format!(
            "there is no token to {asked} with: look at the volume with the token of the service account, or at the \
             user of the kubeconfig"
        );
    }
    // What is left is the connection; how to make one was settled before anything was asked.
    format!("the API server cannot be reached to {asked}")
}

/// What came is not what was asked for. An event that cannot be read as one kube's client reads as a status without a code.
pub(in crate::evidence) fn is_unreadable(error: &Error) -> bool {
    let has_no_code = matches!(error, Error::Api(status) if status.code == 0);
    has_no_code || matches!(error, Error::SerdeError(_) | Error::FromUtf8(_))
}

/// It has said so itself.
fn refusal(asked: Asked<'_>, status: &Status) -> String {
    let Asked { verb, group, resource } = asked;
    if status.is_forbidden() {
        let group = if group.is_empty() { "the core group".to_owned() } else { format!("the group {group}") };
        return format!(
            "the API server forbids us to {asked}: give the ClusterRole {CLUSTER_ROLE} the verb {verb} on {resource} \
             of {group}, and bind it to our service account"
        );
    }
    match status.code {
        401 => format!("the API server does not take our token to {asked}: look whether it has expired (401)"),
        404 => format!("the API server has nothing to {asked}: install its CustomResourceDefinition (404)"),
        410 => format!("what we knew is too old to {asked} from there on, and is listed anew (410 Gone)"),
        code => format!("the API server answered {code} to {asked}"),
    }
}
