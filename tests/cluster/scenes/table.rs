//! Every row of what is looked at, by every way in which a namespace is judged, created for real and as a dry run.

use std::fmt::Write as _;

use pratique_testkit::Outcome;

use super::{does, kubectl, stage};
use crate::installed::Installed;

/// How users notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Accepted,
    Warned,
    Refused,
}
use Seen::{Accepted, Refused, Warned};

/// How a namespace is judged: its labels or its name, the image that is used there, what becomes of a Pod, and of what
/// makes Pods.
const MODES: &[(&str, &[(&str, &str)], &str, Seen, Seen)] = &[
    ("enforce", &[("pratique.dev/enforce", "tags")], "nginx:latest", Refused, Warned),
    ("warn", &[("pratique.dev/warn", "tags")], "nginx:latest", Warned, Warned),
    ("audit", &[("pratique.dev/audit", "tags")], "nginx:latest", Accepted, Accepted),
    ("nothing", &[], "nginx:latest", Accepted, Accepted),
    ("floor", &[("pratique.dev/warn", "tags")], "floor.example/web:1", Refused, Warned),
    ("enforce-and-warn", &[("pratique.dev/enforce", "floor"), ("pratique.dev/warn", "tags")], "nginx", Warned, Warned),
    ("mended", &[("pratique.dev/enforce", "tags"), ("pratique.dev/warn", "tags")], "nginx:1.29", Accepted, Accepted),
    ("exempt", &[], "floor.example/web:latest", Accepted, Accepted),
];

/// What uses the image: as it is written, and whether it is a Pod.
const ROWS: &[(&str, bool, &str)] = &[
    ("v1/Pod", true, "spec: {containers: [{name: web, image: IMAGE}]}"),
    ("v1/Pod", true, "spec: {initContainers: [{name: init, image: IMAGE}], containers: [{name: web, image: 'web:1'}]}"),
    (
        "v1/Pod",
        true,
        "spec: {initContainers: [{name: sidecar, image: IMAGE, restartPolicy: Always}], containers: [{name: web, image: 'web:1'}]}",
    ),
    (
        "v1/Pod",
        true,
        "spec: {volumes: [{name: data, image: {reference: IMAGE}}], containers: [{name: web, image: 'web:1'}]}",
    ),
    ("apps/v1/Deployment", false, "spec: {SELECTED}"),
    ("apps/v1/ReplicaSet", false, "spec: {SELECTED}"),
    ("apps/v1/StatefulSet", false, "spec: {serviceName: web, SELECTED}"),
    ("apps/v1/DaemonSet", false, "spec: {SELECTED}"),
    ("v1/ReplicationController", false, "spec: {selector: {app: web}, template: TEMPLATE}"),
    ("v1/PodTemplate", false, "template: TEMPLATE"),
    ("batch/v1/Job", false, "spec: {template: ONCE}"),
    ("batch/v1/CronJob", false, "spec: {schedule: '0 0 1 1 *', jobTemplate: {spec: {template: ONCE}}}"),
    ("argoproj.io/v1alpha1/Rollout", false, "spec: {template: TEMPLATE}"),
];

fn object(namespace: &str, number: usize, image: &str) -> String {
    let (kind, _, body) = ROWS[number];
    let (version, kind) = kind.rsplit_once('/').expect("both are written");
    let body = body
        .replace("SELECTED", "selector: {matchLabels: {app: web}}, template: TEMPLATE")
        .replace("TEMPLATE", "{metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: IMAGE}]}}")
        .replace("ONCE", "{spec: {restartPolicy: Never, containers: [{name: web, image: IMAGE}]}}")
        .replace("IMAGE", &format!("'{image}'"));
    format!("{{apiVersion: {version}, kind: {kind}, metadata: {{name: row-{number}, namespace: {namespace}}}, {body}}}")
}

fn seen(outcome: &Outcome) -> Option<Seen> {
    let (warned, refused) = (outcome.stderr.contains("Warning: "), outcome.stderr.contains("denied the request: "));
    match (outcome.code, warned, refused) {
        (Some(0), false, false) => Some(Accepted),
        (Some(0), true, false) => Some(Warned),
        (Some(1), _, true) if outcome.stderr.contains("images.pratique.dev\" denied") => Some(Refused),
        _ => None,
    }
}

/// A namespace for each mode.
async fn namespaces(stage: &Installed<'_>) -> Vec<String> {
    let mut namespaces = Vec::new();
    for (mode, labels, ..) in MODES {
        namespaces.push(match *mode {
            "exempt" => "exempt".to_owned(),
            mode => stage.cluster().fresh_namespace(mode, labels).await,
        });
    }
    namespaces
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn whatever_brings_an_image_is_judged_as_its_namespace_says() {
    let stage = stage().await;
    let mut wrong = String::new();
    for ((mode, _, image, pod, maker), namespace) in MODES.iter().zip(namespaces(stage).await) {
        for (number, (kind, is_pod, _)) in ROWS.iter().enumerate() {
            let expected = Some(if *is_pod { *pod } else { *maker });
            let yaml = object(&namespace, number, image);
            let dry = stage.create(&yaml, &["--dry-run=server"]);
            let real = stage.create(&yaml, &[]);
            for (how, outcome) in [("as a dry run", &dry), ("for real", &real)] {
                if seen(outcome) != expected {
                    write!(wrong, "\n{mode}, {kind} ({number}) {how}, which is not {expected:?}: {outcome:?}")
                        .expect("a String takes it");
                }
            }
            if dry.stderr != real.stderr {
                write!(wrong, "\n{mode}, {kind} ({number}): a dry run says otherwise: {dry:?} {real:?}")
                    .expect("a String takes it");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Rows that `kubectl set image` knows, and their container.
const SET: &[(usize, &str)] = &[
    (0, "pod"),
    (4, "deployment"),
    (5, "replicaset"),
    (6, "statefulset"),
    (7, "daemonset"),
    (8, "replicationcontroller"),
    (11, "cronjob"),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real API server: .ci/run cluster"]
async fn an_image_that_is_changed_later_is_judged_like_a_new_one() {
    let stage = stage().await;
    let mut wrong = String::new();
    for ((mode, _, image, pod, maker), namespace) in MODES.iter().zip(namespaces(stage).await) {
        // The exempt namespace is shared with the test above.
        let suffix = |yaml: String| yaml.replace("name: row-", "name: set-");
        for (number, kind) in SET {
            let made = stage.create(&suffix(object(&namespace, *number, "web:1")), &[]);
            assert_eq!(seen(&made), Some(Accepted), "{mode}, {kind}: {made:?}");
            let expected = Some(if *kind == "pod" { *pod } else { *maker });
            for how in ["--dry-run=server", ""] {
                let line = format!("set image {kind}/set-{number} web={image} -n {namespace} {how}");
                let outcome = kubectl(stage, &line);
                if seen(&outcome) != expected {
                    write!(wrong, "\n{mode}: {line}: not {expected:?}: {outcome:?}").expect("a String takes it");
                }
            }
        }
        let debug = kubectl(stage, &format!("debug set-0 -n {namespace} -c debugger --image={image}"));
        if seen(&debug) != Some(*pod) {
            write!(wrong, "\n{mode}: kubectl debug: not {pod:?}: {debug:?}").expect("a String takes it");
        }
        // A custom kind, which is asked about with every change.
        let made = stage.create(&suffix(object(&namespace, 12, "web:1")), &[]);
        assert_eq!(seen(&made), Some(Accepted), "{mode}, Rollout: {made:?}");
        does(stage, &format!("label rollout set-12 -n {namespace} a=b"));
        let patch =
            format!(r#"[{{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "{image}"}}]"#);
        let patched = kubectl(stage, &format!("patch rollout set-12 -n {namespace} --type=json -p '{patch}'"));
        if seen(&patched) != Some(*maker) {
            write!(wrong, "\n{mode}: a Rollout that changes: not {maker:?}: {patched:?}").expect("a String takes it");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
