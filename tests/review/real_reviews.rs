//! Every review that others published or that a real API server sent, answered as the facts about it demand.

use std::collections::BTreeMap;

use pratique_testkit::{Answer, Protocol, Webhook};
use serde_json::Value;

use crate::facts::{Fixture, reviews};

/// What the facts demand.
#[derive(Debug, PartialEq, Eq)]
enum Demanded {
    /// HTTP 400: there is no uid to answer to.
    Nobody,
    /// Refused: the review itself cannot be understood.
    Unreadable,
    /// Refused: there must be a pod spec with containers, and there is none.
    NoPodSpec,
    /// Admitted: no image, or none that is new, or none that the policy refuses.
    Admitted,
    /// Refused for these images and no other.
    Refused(Vec<String>),
}

const WORKLOADS: [&str; 9] = [
    "CronJob",
    "DaemonSet",
    "Deployment",
    "Job",
    "Pod",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];

fn demanded(facts: &Value, is_refused: impl Fn(&str) -> bool) -> Demanded {
    if facts["wrapper"] != "AdmissionReview" || facts["uid"].as_str().is_none() {
        return Demanded::Nobody;
    }
    let text = |field: &Value| field.as_str().unwrap_or_default().to_owned();
    let operation = text(&facts["operation"]);
    if facts["apiVersion"] != "admission.k8s.io/v1" || !["CREATE", "UPDATE", "DELETE"].contains(&operation.as_str()) {
        return Demanded::Unreadable;
    }
    if operation == "DELETE" || !WORKLOADS.contains(&text(&facts["kind"]["kind"]).as_str()) {
        return Demanded::Admitted;
    }
    let (new, old) = (&facts["object"]["images"], &facts["oldObject"]["images"]);
    if new["containers"].as_array().is_none_or(Vec::is_empty) {
        return Demanded::NoPodSpec;
    }
    let mut refused = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers", "imageVolumes"] {
        for (index, image) in new[list].as_array().into_iter().flatten().enumerate() {
            let kept = operation == "UPDATE" && &old[list][index] == image;
            if !kept && is_refused(&text(image)) {
                refused.push(text(image));
            }
        }
    }
    if refused.is_empty() { Demanded::Admitted } else { Demanded::Refused(refused) }
}

/// The images that a refusal tells of, in its order.
fn told(answer: &Answer) -> Vec<String> {
    let entries = answer.message.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    entries.filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
}

async fn answered(webhook: &Webhook, fixture: &Fixture) -> Demanded {
    let raw = webhook.client(Protocol::Http2).post(fixture.bytes.clone()).await;
    if raw.status == 400 {
        assert!(!raw.admits() && !raw.body.is_empty(), "{}: {}", fixture.name, raw.text());
        return Demanded::Nobody;
    }
    assert_eq!(raw.status, 200, "{}: {}", fixture.name, raw.text());
    let review: Value = serde_json::from_slice(&fixture.bytes).expect("what is answered was JSON");
    let answer = Answer::read(&review, &raw.body);
    if answer.allowed {
        return Demanded::Admitted;
    }
    if answer.first_line().starts_with("review-unreadable") {
        return Demanded::Unreadable;
    }
    if answer.first_line().starts_with("pod-spec-missing") {
        return Demanded::NoPodSpec;
    }
    Demanded::Refused(told(&answer))
}

/// Answers all of them and counts; no file is left out.
async fn answer_all(webhook: &Webhook, is_refused: impl Fn(&str) -> bool) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for fixture in reviews() {
        let expected = demanded(&fixture.facts, &is_refused);
        assert_eq!(answered(webhook, &fixture).await, expected, "{}", fixture.name);
        let kind = match expected {
            Demanded::Nobody => "nobody",
            Demanded::Unreadable => "unreadable",
            Demanded::NoPodSpec => "no pod spec",
            Demanded::Admitted => "admitted",
            Demanded::Refused(_) => "refused",
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn under_a_policy_that_wants_digests_every_review_is_answered_as_its_facts_demand() {
    let counts = answer_all(&Webhook::enforcing("pinned").await, |image| !image.contains("@sha256:")).await;
    let expected = [("admitted", 9), ("no pod spec", 1), ("nobody", 10), ("refused", 21), ("unreadable", 7)];
    assert_eq!(counts, expected.into());
}

#[tokio::test]
async fn under_a_policy_that_refuses_latest_every_review_is_answered_as_its_facts_demand() {
    let is_latest = |image: &str| {
        let last = image.rsplit('/').next().unwrap_or_default();
        !image.contains('@') && (!last.contains(':') || last.ends_with(":latest"))
    };
    let counts = answer_all(&Webhook::enforcing("baseline").await, is_latest).await;
    let expected = [("admitted", 21), ("no pod spec", 1), ("nobody", 10), ("refused", 9), ("unreadable", 7)];
    assert_eq!(counts, expected.into());
}

#[tokio::test]
async fn where_nothing_is_demanded_every_review_that_can_be_understood_is_admitted() {
    let counts = answer_all(&Webhook::setup().start().await, |_| false).await;
    assert_eq!(counts, [("admitted", 30), ("no pod spec", 1), ("nobody", 10), ("unreadable", 7)].into());
}
