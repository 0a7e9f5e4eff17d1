//! Whether there is anybody to answer, as the Deployment says: what can be told where the Service itself cannot be reached.

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};

use super::super::Found;
use super::super::asked::DEPLOYMENT;
use super::super::line::Line;

/// `answered`: the webhook itself was asked, and is well. `known`: the settings are; if not, why the Deployment could not be
/// looked at was said of them.
pub(in super::super) fn line(found: &Found, answered: bool, known: bool, own: &str) -> Option<Line> {
    match found {
        Ok(Some(deployment)) => Some(of(deployment, answered, own)),
        // Somebody answers, whoever has started it.
        Ok(None) | Err(_) if answered => None,
        Ok(None) => {
            let words = format!(
                "there is no Deployment {DEPLOYMENT} in {own}, so nobody answers from there: apply the overlay that you \
                 use, or name the right namespace with --namespace"
            );
            Some(Line::wrong("replicas", words))
        }
        Err(words) if known => Some(Line::warning("replicas", format!("not looked at: {words}"))),
        Err(_) => None,
    }
}

fn of(deployment: &Deployment, answered: bool, own: &str) -> Line {
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let count = |of: fn(&DeploymentStatus) -> Option<i32>| deployment.status.as_ref().and_then(of).unwrap_or(0);
    let ready = count(|status| status.ready_replicas);
    let (all, updated) = (count(|status| status.replicas), count(|status| status.updated_replicas));
    let seen = deployment.status.as_ref().and_then(|status| status.observed_generation);
    // Whoever has answered may be no replica that the Service leads to, as over a port-forward.
    let refused = if answered {
        "API servers reach nobody, unless another than its Pods answers"
    } else {
        "nobody answers, and what must be asked about is refused"
    };
    let none = |words: String| {
        if answered { Line::warning("replicas", words) } else { Line::wrong("replicas", words) }
    };
    if wanted == 0 {
        let words = format!(
            "the Deployment wants none, so {refused}: run `kubectl -n {own} scale deployment/{DEPLOYMENT} --replicas=2`"
        );
        return none(words);
    }
    if ready == 0 {
        let words = format!(
            "none of {wanted} is ready, so {refused}: look at `kubectl -n {own} get pods,events`, and at docs/runbook.md, All \
             replicas are gone"
        );
        return none(words);
    }
    if seen != deployment.metadata.generation || updated < wanted || all > updated {
        let words = format!(
            "{ready} of {wanted} ready, and a roll-out has not ended: see `kubectl -n {own} rollout status \
             deployment/{DEPLOYMENT}`; where a new Pod does not become ready its log says why, and `rollout undo` is the way \
             back"
        );
        return if stuck(deployment) { Line::wrong("replicas", words) } else { Line::warning("replicas", words) };
    }
    if ready < wanted {
        return Line::warning(
            "replicas",
            format!("{ready} of {wanted} ready: look at `kubectl -n {own} get pods,events`"),
        );
    }
    Line::ok("replicas", format!("{ready} of {wanted} ready"))
}

/// The Deployment has given up waiting.
fn stuck(deployment: &Deployment) -> bool {
    let conditions = deployment.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| {
        (condition.type_.as_deref(), condition.status.as_deref()) == (Some("Progressing"), Some("False"))
    })
}
