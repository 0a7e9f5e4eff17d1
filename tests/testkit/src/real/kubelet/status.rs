//! What a kubelet says of a Pod.

use serde_json::{Value, json};

use super::container::{Container, State};
use super::repository;
use crate::DIGEST;

/// The status of a Pod with these containers, which is or is not ready since then.
pub(super) fn of(
    containers: &[Container],
    ip: &str,
    started: jiff::Timestamp,
    (ready, since): (bool, jiff::Timestamp),
) -> Value {
    let truth = |truth: bool| if truth { "True" } else { "False" };
    let condition = |kind: &str, is: bool, since: jiff::Timestamp| json!({"type": kind, "status": truth(is), "lastTransitionTime": since.to_string()});
    json!({
        "phase": phase(containers),
        "hostIP": "127.0.0.1",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": started.to_string(),
        "conditions": [
            condition("PodScheduled", true, started),
            condition("Initialized", true, started),
            condition("ContainersReady", ready, since),
            condition("Ready", ready, since),
        ],
        "containerStatuses": containers.iter().map(|container| container_status(container, started)).collect::<Vec<_>>(),
    })
}

fn phase(containers: &[Container]) -> &'static str {
    let mut codes = Vec::new();
    for container in containers {
        match &container.state {
            State::Waiting(_) => return "Pending",
            State::Held | State::Running(_) | State::BackOff { .. } => {}
            State::Ended { code } => codes.push(*code),
        }
    }
    if codes.len() < containers.len() {
        return "Running";
    }
    if codes.iter().all(|code| *code == 0) { "Succeeded" } else { "Failed" }
}

fn container_status(container: &Container, started: jiff::Timestamp) -> Value {
    let ended = |code: i32| json!({"exitCode": code, "reason": if code == 0 { "Completed" } else { "Error" }});
    let (state, last) = match &container.state {
        State::Held => (json!({"running": {"startedAt": started.to_string()}}), json!({})),
        State::Running(run) => (json!({"running": {"startedAt": run.since.to_string()}}), json!({})),
        State::Waiting(why) => (json!({"waiting": {"reason": "ContainerCreating", "message": why}}), json!({})),
        State::BackOff { code, .. } => {
            (json!({"waiting": {"reason": "CrashLoopBackOff"}}), json!({"terminated": ended(*code)}))
        }
        State::Ended { code } => (json!({"terminated": ended(*code)}), json!({})),
    };
    let image = container.spec.image.clone().unwrap_or_default();
    json!({
        "name": container.spec.name,
        "image": image,
        "imageID": image_id(&image, container.is_ours()),
        "ready": container.is_ready(),
        "started": matches!(container.state, State::Held | State::Running(_)),
        "restartCount": container.restarts,
        "state": state,
        "lastState": last,
    })
}

/// What an image is: nothing was pulled, so only a digest that is named is known, and ours has one.
fn image_id(image: &str, is_ours: bool) -> String {
    match image.split_once('@') {
        Some((_, digest)) => format!("{}@{digest}", repository(image)),
        None if is_ours => format!("{}@{DIGEST}", repository(image)),
        None => String::new(),
    }
}
