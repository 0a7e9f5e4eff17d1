//! One valid review, and what each single change makes of it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::object::CONTAINERS;
use super::*;
use crate::image::InvalidReference;
use crate::request::ContainerKind;

const UID: &str = "f3f36f4d-bc03-47a5-8347-bd0ef68c77d0";
const DIGEST: &str = "sha256:7031c1b283388d2c2e09b57badb803c05ebed362dc88d84b480cc47f72a21097";

/// The lists of a pod spec that name images, and how many of them `review` has.
const LISTS: [(&str, usize); 4] =
    [("initContainers", 2), ("containers", 2), ("ephemeralContainers", 1), ("volumes", 1)];
const IMAGES: usize = 6;

/// As an API server sends it, `managedFields` and other text that repeats image names left in.
fn review() -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "subResource": "",
            "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
            "requestResource": {"group": "", "version": "v1", "resource": "pods"},
            "name": "web",
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "admin", "groups": ["system:masters"]},
            "object": pod(),
            "oldObject": null,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        }
    })
}

fn pod() -> Value {
    json!({
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": "web",
            "generateName": "web-",
            "namespace": "shop",
            "annotations": {"last-applied": "{\"spec\":{\"containers\":[{\"image\":\"other:1\"}]}}"},
            "managedFields": [{"fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"web\"}": {"f:image": {}}}}}}]
        },
        "spec": {
            "volumes": [
                {"name": "cfg", "emptyDir": {}},
                {"name": "model", "image": {"reference": "ghcr.io/acme/model:1", "pullPolicy": "IfNotPresent"}}
            ],
            "initContainers": [
                {"name": "migrate", "image": "ghcr.io/acme/db:v1.4.2", "command": ["migrate"]},
                {"name": "proxy", "image": "envoyproxy/envoy:v1.31.0", "restartPolicy": "Always"}
            ],
            "containers": [
                {"name": "web", "image": "nginx:1.27.0", "env": [{"name": "A", "value": "b"}]},
                {"name": "side", "image": format!("registry.k8s.io/pause@{DIGEST}")}
            ],
            "ephemeralContainers": [{"name": "debugger", "image": "busybox"}]
        },
        "status": {"phase": "Pending"}
    })
}

/// The same pod before and after.
fn update() -> Value {
    let mut review = review();
    review["request"]["operation"] = json!("UPDATE");
    review["request"]["oldObject"] = pod();
    review
}

fn read(review: &Value) -> Result<Request, Malformed> {
    decode(review.to_string().as_bytes(), &Workloads::default())
}

/// The valid review with the value at this place exchanged.
fn with(pointer: &str, value: Value) -> Request {
    read(&set(review(), pointer, value)).unwrap()
}

fn set(mut review: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = review.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}"));
    match parent.as_array_mut() {
        Some(items) => items[key.parse::<usize>().unwrap()] = value,
        None => parent[key] = value,
    }
    review
}

/// The valid review without the key at this place.
fn without(pointer: &str) -> Result<Request, Malformed> {
    let mut review = review();
    remove(&mut review, pointer);
    read(&review)
}

fn remove(review: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = review.pointer_mut(parent).unwrap();
    match parent.as_array_mut() {
        Some(items) => drop(items.remove(key.parse().unwrap())),
        None => assert!(parent.as_object_mut().unwrap().remove(key).is_some(), "{pointer}"),
    }
}

#[track_caller]
fn flaw(request: &Request) -> &Flaw {
    let Subject::Unreadable(flaw) = &request.subject else { panic!("{:?}", request.subject) };
    flaw
}

#[track_caller]
fn is_syntax(request: &Request, what: &str) {
    let Flaw::Syntax(text) = flaw(request) else { panic!("{what}: {:?}", flaw(request)) };
    assert!(text.contains(what), "{what:?} is not in {text:?}");
}

#[track_caller]
fn images(request: &Request) -> &[Container] {
    let Subject::Images { containers, .. } = &request.subject else { panic!("{:?}", request.subject) };
    containers
}

#[track_caller]
fn nothing(request: &Request) -> NoImages {
    let Subject::Nothing(why) = &request.subject else { panic!("{:?}", request.subject) };
    *why
}

fn written(request: &Request) -> Vec<(String, &str)> {
    images(request).iter().map(|container| (container.title(), &*container.written)).collect()
}

#[test]
fn a_pod_is_read_with_every_image_in_the_order_init_regular_ephemeral_volumes() {
    let request = read(&review()).unwrap();
    assert_eq!(request.uid, UID);
    assert_eq!(request.operation, Operation::Create);
    assert_eq!((&*request.kind, &*request.namespace, &*request.name), ("Pod", "shop", "web"));
    assert_eq!((request.dry_run, request.role), (false, Role::Pod));
    let found: Vec<_> = images(&request).iter().map(|its| (its.path.to_string(), &*its.name, &*its.written)).collect();
    let pause = format!("registry.k8s.io/pause@{DIGEST}");
    let expected = [
        ("spec.initContainers[0].image", "migrate", "ghcr.io/acme/db:v1.4.2"),
        ("spec.initContainers[1].image", "proxy", "envoyproxy/envoy:v1.31.0"),
        ("spec.containers[0].image", "web", "nginx:1.27.0"),
        ("spec.containers[1].image", "side", &pause),
        ("spec.ephemeralContainers[0].image", "debugger", "busybox"),
        ("spec.volumes[1].image.reference", "model", "ghcr.io/acme/model:1"),
    ];
    assert_eq!(found, expected.map(|(path, name, image)| (path.to_owned(), name, image)));
    assert!(images(&request).iter().all(|container| container.reference.is_ok()));
    let Subject::Images { old, .. } = &request.subject else { panic!() };
    assert!(old.is_empty());
}

#[test]
fn an_update_has_the_images_before_and_after() {
    let request = read(&update()).unwrap();
    assert_eq!(request.operation, Operation::Update);
    let Subject::Images { containers, old } = &request.subject else { panic!("{request:?}") };
    assert_eq!((containers.len(), old.len()), (IMAGES, IMAGES));
    assert!(containers.iter().zip(old).all(|(new, old)| new.path == old.path && new.written == old.written));
}

#[test]
fn an_old_object_counts_in_an_update_alone() {
    let review = set(update(), "/request/operation", json!("CREATE"));
    let request = read(&review).unwrap();
    let Subject::Images { old, .. } = &request.subject else { panic!("{request:?}") };
    assert!(old.is_empty());
}

#[test]
fn an_update_whose_old_object_is_null_missing_or_without_pod_spec_has_no_images_before() {
    for old_object in [Some(json!(null)), Some(json!({})), Some(json!({"spec": {"containers": []}})), None] {
        let mut review = update();
        match &old_object {
            Some(value) => review["request"]["oldObject"] = value.clone(),
            None => remove(&mut review, "/request/oldObject"),
        }
        let request = read(&review).unwrap();
        let Subject::Images { containers, old } = &request.subject else { panic!("{old_object:?}: {request:?}") };
        assert_eq!((containers.len(), old.len()), (IMAGES, 0), "{old_object:?}");
    }
}

#[test]
fn what_is_wrong_with_the_old_object_is_wrong_with_the_review() {
    let bad = set(update(), "/request/oldObject/spec/containers/0/image", json!(7));
    is_syntax(&read(&bad).unwrap(), "invalid type: integer `7`");
    let other = set(update(), "/request/oldObject/kind", json!("Deployment"));
    let told = "request.kind is Pod, the object is a Deployment".to_owned();
    assert_eq!(flaw(&read(&other).unwrap()), &Flaw::Contradiction(told));
}

#[test]
fn only_the_versions_that_we_know_are_understood() {
    let version = |text: &str| Flaw::Version(text.to_owned());
    let request = with("/apiVersion", json!("admission.k8s.io/v1beta1"));
    assert_eq!(flaw(&request), &version("admission.k8s.io/v1beta1 AdmissionReview"));
    assert_eq!((&*request.uid, request.operation), (UID, Operation::Unknown));
    assert_eq!(flaw(&with("/kind", json!("AdmissionRequest"))), &version("admission.k8s.io/v1 AdmissionRequest"));
    assert_eq!(flaw(&with("/apiVersion", json!(null))), &version(" AdmissionReview"));
    assert_eq!(flaw(&without("/kind").unwrap()), &version("admission.k8s.io/v1 "));
    let Flaw::Version(shown) = flaw(&with("/apiVersion", json!("\u{e9}".repeat(10_000)))).clone() else { panic!() };
    assert_eq!(shown.chars().count(), 100);
}

#[test]
fn an_operation_that_there_is_not_is_a_flaw() {
    for (sent, told) in [("PATCH", "PATCH"), ("create", "create"), ("", ""), (&*"X".repeat(99), &*"X".repeat(40))] {
        let request = with("/request/operation", json!(sent));
        assert_eq!((request.operation, flaw(&request)), (Operation::Unknown, &Flaw::Operation(told.to_owned())));
    }
    assert_eq!(flaw(&without("/request/operation").unwrap()), &Flaw::Operation(String::new()));
}

#[test]
fn a_wrong_type_of_anything_that_we_read_is_a_flaw() {
    for (pointer, value) in [
        ("/apiVersion", json!(1)),
        ("/kind", json!(["AdmissionReview"])),
        ("/request/kind", json!("Pod")),
        ("/request/kind/group", json!(0)),
        ("/request/kind/kind", json!(null)),
        ("/request/resource", json!(["pods"])),
        ("/request/resource/group", json!({})),
        ("/request/resource/resource", json!(true)),
        ("/request/subResource", json!({})),
        ("/request/name", json!(1)),
        ("/request/namespace", json!(["shop"])),
        ("/request/operation", json!(4)),
        ("/request/dryRun", json!("false")),
        ("/request/object", json!("Pod")),
        ("/request/object", json!([pod()])),
        ("/request/object/kind", json!(1)),
        ("/request/object/apiVersion", json!(1)),
        ("/request/object/metadata", json!("web")),
        ("/request/object/metadata/name", json!(1)),
        ("/request/object/metadata/generateName", json!([])),
        ("/request/object/metadata/namespace", json!(false)),
        ("/request/kind", json!(["", "Pod"])),
        ("/request/resource", json!(["", "pods"])),
        ("/request/object/metadata", json!(["web"])),
        ("/request/object/spec", json!([])),
        ("/request/object/spec/containers/0", json!(["web", "nginx:1.27.0"])),
        ("/request/object/spec/volumes/1/image", json!(["ghcr.io/acme/model:1"])),
        ("/request/object/spec", json!("x")),
        ("/request/object/spec/containers", json!({})),
        ("/request/object/spec/containers/0", json!("nginx")),
        ("/request/object/spec/containers/0", json!(null)),
        ("/request/object/spec/containers/0/image", json!(1.25)),
        ("/request/object/spec/containers/0/name", json!({})),
        ("/request/object/spec/initContainers", json!("none")),
        ("/request/object/spec/ephemeralContainers", json!(false)),
        ("/request/object/spec/volumes", json!({"name": "cfg"})),
        ("/request/object/spec/volumes/1/name", json!(1)),
        ("/request/object/spec/volumes/1/image", json!("ghcr.io/acme/model:1")),
        ("/request/object/spec/volumes/1/image/reference", json!(["x"])),
    ] {
        let request = with(pointer, value.clone());
        assert_eq!(request.uid, UID);
        assert!(matches!(flaw(&request), Flaw::Syntax(_)), "{pointer} = {value}: {request:?}");
    }
}

#[test]
fn kind_and_resource_must_be_there() {
    for pointer in ["/request/kind", "/request/resource"] {
        is_syntax(&without(pointer).unwrap(), "request.kind and request.resource must be there");
        is_syntax(&with(pointer, json!(null)), "request.kind and request.resource must be there");
    }
}

#[test]
fn kind_resource_and_object_must_not_point_apart() {
    let contradiction = |told: &str| Flaw::Contradiction(told.to_owned());
    for (pointer, value, told) in [
        ("/request/resource/resource", "configmaps", "kind Pod as resource configmaps"),
        ("/request/resource/resource", "podtemplates", "kind Pod as resource podtemplates"),
        ("/request/kind/kind", "ConfigMap", "kind ConfigMap as resource pods"),
        ("/request/kind/kind", "Deployment", "kind Deployment as resource pods"),
        ("/request/object/kind", "PodTemplate", "request.kind is Pod, the object is a PodTemplate"),
        ("/request/object/apiVersion", "apps/v1", "request.kind is of group \"\", the object of apps/v1"),
    ] {
        assert_eq!(flaw(&with(pointer, json!(value))), &contradiction(told), "{pointer}");
    }
    let ephemeral = set(review(), "/request/subResource", json!("ephemeralcontainers"));
    let ephemeral = set(ephemeral, "/request/kind/kind", json!("EphemeralContainers"));
    let told = contradiction("kind EphemeralContainers as resource pods");
    assert_eq!(flaw(&read(&ephemeral).unwrap()), &told);
}

#[test]
fn pods_under_a_foreign_group_of_kind_are_no_unknown_kind() {
    let request = with("/request/kind/group", json!("example.com"));
    assert_eq!(flaw(&request), &Flaw::Contradiction("kind Pod as resource pods".to_owned()));
}

#[test]
fn every_kind_is_read_at_its_own_path() {
    for (group, kind, resource, path) in [
        ("", "PodTemplate", "podtemplates", "template.spec"),
        ("", "ReplicationController", "replicationcontrollers", "spec.template.spec"),
        ("apps", "Deployment", "deployments", "spec.template.spec"),
        ("extensions", "Deployment", "deployments", "spec.template.spec"),
        ("apps", "ReplicaSet", "replicasets", "spec.template.spec"),
        ("extensions", "ReplicaSet", "replicasets", "spec.template.spec"),
        ("apps", "StatefulSet", "statefulsets", "spec.template.spec"),
        ("apps", "DaemonSet", "daemonsets", "spec.template.spec"),
        ("extensions", "DaemonSet", "daemonsets", "spec.template.spec"),
        ("batch", "Job", "jobs", "spec.template.spec"),
        ("batch", "CronJob", "cronjobs", "spec.jobTemplate.spec.template.spec"),
    ] {
        let request = read(&controller(group, kind, resource, path, pod()["spec"].clone())).unwrap();
        assert_eq!((&*request.kind, request.role), (kind, Role::Controller));
        assert_eq!(images(&request).len(), IMAGES, "{kind}");
        assert_eq!(images(&request)[2].path.to_string(), format!("{path}.containers[0].image"));
        let request = read(&controller(group, kind, resource, path, json!(null))).unwrap();
        assert_eq!(flaw(&request), &Flaw::NoPodSpec { path: path.into() });
        let request = read(&controller(group, kind, resource, "elsewhere.spec", pod()["spec"].clone())).unwrap();
        assert_eq!(flaw(&request), &Flaw::NoPodSpec { path: path.into() });
    }
}

/// A review of an object whose pod spec stands at this path.
fn controller(group: &str, kind: &str, resource: &str, path: &str, pod_spec: Value) -> Value {
    let mut object = path.rsplit('.').fold(pod_spec, |inner, field| json!({field: inner}));
    object["kind"] = json!(kind);
    object["apiVersion"] = json!(if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") });
    let mut review = review();
    review["request"]["kind"] = json!({"group": group, "version": "v1", "kind": kind});
    review["request"]["resource"] = json!({"group": group, "version": "v1", "resource": resource});
    review["request"]["object"] = object;
    review
}

#[test]
fn further_kinds_are_read_where_the_configuration_says() {
    let workloads = Workloads::new([("argoproj.io", "Rollout", "spec.template.spec"), ("", "Pod", "status.nowhere")]);
    let rollout = controller("argoproj.io", "Rollout", "rollouts", "spec.template.spec", pod()["spec"].clone());
    let request = decode(rollout.to_string().as_bytes(), &workloads).unwrap();
    assert_eq!((images(&request).len(), request.role), (IMAGES, Role::Controller));
    assert_eq!(nothing(&read(&rollout).unwrap()), NoImages::Kind);
    let elsewhere = controller("other.io", "Rollout", "rollouts", "spec.template.spec", pod()["spec"].clone());
    assert_eq!(nothing(&decode(elsewhere.to_string().as_bytes(), &workloads).unwrap()), NoImages::Kind);
}

#[test]
fn the_configuration_cannot_make_anything_else_of_a_pod() {
    let workloads = Workloads::new([("", "Pod", "status.nowhere")]);
    let request = decode(review().to_string().as_bytes(), &workloads).unwrap();
    assert_eq!((images(&request).len(), request.role), (IMAGES, Role::Pod));
}

#[test]
fn kinds_without_images_are_nothing_to_us() {
    for (group, kind, resource, sub_resource) in [
        ("", "ConfigMap", "configmaps", ""),
        ("", "Binding", "pods", "binding"),
        ("policy", "Eviction", "pods", "eviction"),
        ("autoscaling", "Scale", "deployments", "scale"),
        ("autoscaling", "Scale", "replicationcontrollers", "scale"),
    ] {
        let mut review = controller(group, kind, resource, "spec", json!({"replicas": 3}));
        review["request"]["resource"]["group"] = json!(if resource == "deployments" { "apps" } else { "" });
        review["request"]["subResource"] = json!(sub_resource);
        assert_eq!(nothing(&read(&review).unwrap()), NoImages::Kind, "{kind}");
    }
}

#[test]
fn a_resize_of_a_pod_passes_and_every_other_subresource_that_carries_one_is_read() {
    let mut review = update();
    review["request"]["subResource"] = json!("resize");
    assert_eq!(nothing(&read(&review).unwrap()), NoImages::Subresource);
    for sub_resource in [json!("ephemeralcontainers"), json!("status"), json!("resizing"), json!(""), json!(null)] {
        review["request"]["subResource"] = sub_resource;
        assert_eq!(images(&read(&review).unwrap()).len(), IMAGES);
    }
}

#[test]
fn only_pods_are_resized() {
    let mut review = controller("apps", "Deployment", "deployments", "spec.template.spec", pod()["spec"].clone());
    review["request"]["subResource"] = json!("resize");
    assert_eq!(images(&read(&review).unwrap()).len(), IMAGES);
}

#[test]
fn a_debug_container_is_an_update_with_the_whole_pod() {
    let mut review = update();
    review["request"]["subResource"] = json!("ephemeralcontainers");
    remove(&mut review, "/request/oldObject/spec/ephemeralContainers");
    let request = read(&review).unwrap();
    let Subject::Images { containers, old } = &request.subject else { panic!("{request:?}") };
    assert_eq!((containers.len(), old.len()), (IMAGES, IMAGES - 1));
}

#[test]
fn delete_and_connect_bring_no_image_whatever_they_carry() {
    for (sent, operation) in [("DELETE", Operation::Delete), ("CONNECT", Operation::Connect)] {
        let mut review = set(review(), "/request/operation", json!(sent));
        for object in [json!(null), pod(), json!({"kind": "PodExecOptions"})] {
            review["request"]["object"] = object;
            let request = read(&review).unwrap();
            assert_eq!((request.operation, nothing(&request)), (operation, NoImages::Operation));
        }
    }
}

#[test]
fn a_pod_without_containers_is_undetermined() {
    let missing = Flaw::NoPodSpec { path: "spec".into() };
    for (pointer, value) in [
        ("/request/object", json!(null)),
        ("/request/object", json!({})),
        ("/request/object/spec", json!(null)),
        ("/request/object/spec", json!({})),
        ("/request/object/spec/containers", json!(null)),
        ("/request/object/spec/containers", json!([])),
    ] {
        assert_eq!(flaw(&with(pointer, value.clone())), &missing, "{pointer} = {value}");
        let unchanged = set(update(), pointer, value.clone());
        assert_eq!(flaw(&read(&unchanged).unwrap()), &missing, "in an update, {pointer} = {value}");
    }
    for pointer in ["/request/object", "/request/object/spec", "/request/object/spec/containers"] {
        assert_eq!(flaw(&without(pointer).unwrap()), &missing, "{pointer}");
    }
}

#[test]
fn keys_are_read_letter_by_letter_as_the_api_server_does() {
    let mut review = review();
    let containers = review["request"]["object"]["spec"]["containers"].take();
    remove(&mut review, "/request/object/spec/containers");
    review["request"]["object"]["spec"]["Containers"] = containers;
    assert_eq!(flaw(&read(&review).unwrap()), &Flaw::NoPodSpec { path: "spec".into() });
}

#[test]
fn the_other_lists_may_be_null_missing_or_empty() {
    for (list, count) in LISTS.into_iter().filter(|(list, _)| *list != "containers") {
        let pointer = format!("/request/object/spec/{list}");
        for value in [json!(null), json!([])] {
            assert_eq!(images(&with(&pointer, value)).len(), IMAGES - count);
        }
        assert_eq!(images(&without(&pointer).unwrap()).len(), IMAGES - count);
    }
}

#[test]
fn an_image_that_is_missing_null_or_empty_is_a_container_without_a_reference() {
    for pointer in ["/request/object/spec/containers/0/image", "/request/object/spec/volumes/1/image/reference"] {
        let at = if pointer.contains("volumes") { 5 } else { 2 };
        let cases = [with(pointer, json!(null)), with(pointer, json!("")), without(pointer).unwrap()];
        for request in cases {
            let container = &images(&request)[at];
            assert_eq!((&*container.written, &container.reference), ("", &Err(InvalidReference::Empty)), "{pointer}");
            assert_eq!(images(&request).len(), IMAGES);
        }
    }
}

#[test]
fn a_volume_without_an_image_source_is_no_container() {
    assert_eq!(images(&with("/request/object/spec/volumes/1/image", json!(null))).len(), IMAGES - 1);
    assert_eq!(images(&without("/request/object/spec/volumes/1/image").unwrap()).len(), IMAGES - 1);
    let empty = with("/request/object/spec/volumes/1/image", json!({}));
    assert_eq!(images(&empty)[5].path.to_string(), "spec.volumes[1].image.reference");
    assert_eq!(images(&empty)[5].reference, Err(InvalidReference::Empty));
}

#[test]
fn a_container_without_a_name_is_still_one() {
    let request = without("/request/object/spec/containers/0/name").unwrap();
    assert_eq!((images(&request).len(), &*images(&request)[2].name), (IMAGES, ""));
}

#[test]
fn an_image_that_is_no_reference_is_kept_as_written() {
    let request = with("/request/object/spec/containers/0/image", json!("Nginx:1"));
    assert_eq!(images(&request)[2].written, "Nginx:1");
    assert_eq!(images(&request)[2].reference, Err(InvalidReference::UpperCase("Nginx".into())));
}

#[test]
fn escapes_in_keys_and_values_are_what_they_stand_for() {
    let text = review().to_string();
    let escaped = text
        .replace("nginx:1.27.0", r"\u006eginx\u003a1.27.0")
        .replace("\"image\"", r#""im\u0061ge""#)
        .replace("\"containers\"", r#""\u0063ontainers""#);
    assert_ne!(escaped, text);
    let request = decode(escaped.as_bytes(), &Workloads::default()).unwrap();
    assert_eq!(written(&request), written(&read(&review()).unwrap()));
    let half = text.replace("nginx:1.27.0", r"\ud800");
    is_syntax(&decode(half.as_bytes(), &Workloads::default()).unwrap(), "object: unexpected end of hex escape");
}

#[test]
fn dry_run_is_what_the_review_says() {
    assert!(with("/request/dryRun", json!(true)).dry_run);
    assert!(!with("/request/dryRun", json!(null)).dry_run);
    assert!(!without("/request/dryRun").unwrap().dry_run);
}

#[test]
fn an_object_without_a_name_goes_by_what_its_name_is_made_from() {
    for nameless in [with("/request/name", json!("")), without("/request/name").unwrap()] {
        assert_eq!(nameless.name, "web");
    }
    let mut review = set(review(), "/request/name", json!(""));
    remove(&mut review, "/request/object/metadata/name");
    assert_eq!(read(&review).unwrap().name, "web-");
    remove(&mut review, "/request/object/metadata");
    assert_eq!(read(&review).unwrap().name, "");
}

/// A value as deep as said.
fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

/// The valid review, with this text in an annotation, five levels down.
fn annotated(value: &str) -> Vec<u8> {
    let review = set(review(), "/request/object/metadata/annotations/note", json!("@"));
    review.to_string().replace("\"@\"", value).into_bytes()
}

#[test]
fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
    let (workloads, levels) = (Workloads::default(), 5);
    let read = |value: &str| decode(&annotated(value), &workloads).unwrap();
    assert_eq!(images(&read(&nested(DEPTH - levels))).len(), IMAGES);
    assert_eq!(flaw(&read(&nested(DEPTH - levels + 1))), &Flaw::Depth { limit: DEPTH });
    for quoted in [r#""[[[[""#, r#""\"[[[[""#, r#""\\\"[[[[""#, r#""{\\""#, r#""\u005b[\\\\\"[""#] {
        let many = quoted.replace('[', &"[".repeat(200)).replace('{', &"{".repeat(200));
        assert_eq!(images(&read(&many)).len(), IMAGES, "{quoted}");
        let beside = format!("[{many},{}]", nested(DEPTH - levels - 1));
        assert_eq!(images(&read(&beside)).len(), IMAGES, "{quoted}");
        let deeper = format!("[{many},{}]", nested(DEPTH - levels));
        assert_eq!(flaw(&read(&deeper)), &Flaw::Depth { limit: DEPTH }, "{quoted}");
    }
}

#[test]
fn depth_beyond_any_stack_is_a_flaw_wherever_it_stands() {
    let deep = nested(200_000);
    for pointer in [
        "/request/options",
        "/request/kind",
        "/request/object",
        "/request/object/spec",
        "/request/object/spec/containers",
        "/request/object/metadata",
        "/request/oldObject",
    ] {
        let body = set(review(), pointer, json!("@")).to_string().replace("\"@\"", &deep);
        let request = decode(body.as_bytes(), &Workloads::default()).unwrap();
        assert_eq!(flaw(&request), &Flaw::Depth { limit: DEPTH }, "{pointer}");
    }
    let uid = set(review(), "/request/uid", json!("@")).to_string().replace("\"@\"", &deep);
    let told = decode(uid.as_bytes(), &Workloads::default()).unwrap_err();
    assert!(told.0.contains("invalid type: sequence"), "{told:?}");
}

#[test]
fn what_is_too_deep_still_has_its_namespace_and_name() {
    let request = decode(&annotated(&nested(DEPTH)), &Workloads::default()).unwrap();
    assert_eq!(flaw(&request), &Flaw::Depth { limit: DEPTH });
    assert_eq!((&*request.kind, &*request.namespace, &*request.name), ("Pod", "shop", "web"));
    assert_eq!((request.operation, request.role), (Operation::Create, Role::Pod));
}

#[test]
fn the_number_of_containers_is_bounded_over_all_lists_together() {
    let fill = |count: usize| {
        let more = (0..count).map(|index| json!({"name": format!("c{index}"), "image": "nginx"})).collect();
        with("/request/object/spec/containers", Value::Array(more))
    };
    let others = IMAGES - 2;
    assert_eq!(images(&fill(CONTAINERS - others)).len(), CONTAINERS);
    let found = CONTAINERS + 1;
    assert_eq!(flaw(&fill(CONTAINERS - others + 1)), &Flaw::Count { found, limit: CONTAINERS });
    assert_eq!(flaw(&fill(10_000)), &Flaw::Count { found: 10_000 + others, limit: CONTAINERS });
}

#[test]
fn without_a_uid_there_is_nobody_to_answer() {
    let refused = |review: &Value| read(review).unwrap_err().0;
    let told = |what: &str| format!("the body is no AdmissionReview that could be answered: {what}");
    let uid = |value: Value| set(review(), "/request/uid", value);
    assert_eq!(refused(&uid(json!(""))), told("`request.uid` is empty"));
    let long = told("`request.uid` is 129 bytes long, at most 128 are a uid");
    assert_eq!(refused(&uid(json!("x".repeat(129)))), long);
    assert_eq!(read(&uid(json!("x".repeat(128)))).unwrap().uid.len(), 128);
    for (value, what) in [(json!(null), "invalid type: null"), (json!(17), "invalid type: integer `17`")] {
        assert!(refused(&uid(value)).starts_with(&told(what)));
    }
    assert!(without("/request/uid").unwrap_err().0.starts_with(&told("missing field `uid`")));
    for request in [json!(null), json!([]), json!("x"), json!({})] {
        let review = set(review(), "/request", request.clone());
        assert!(refused(&review).starts_with(&told("")), "{request}");
    }
    assert_eq!(without("/request").unwrap_err().0, told("it has no `request`"));
    for body in [json!(null), json!([]), json!("x"), json!(1), json!({})] {
        assert!(refused(&body).starts_with(&told("")), "{body}");
    }
}

#[test]
fn a_uid_is_enough_to_be_answered() {
    for review in [json!({"request": {"uid": UID}}), json!({"kind": 1, "request": {"uid": UID, "kind": 1}})] {
        let request = read(&review).unwrap();
        assert_eq!(request.uid, UID);
        assert_eq!(uid(review.to_string().as_bytes()).as_deref(), Some(UID));
        flaw(&request);
    }
    assert_eq!(uid(b"{}"), None);
    assert_eq!(uid(br#"{"request": {"uid": ""}}"#), None);
}

#[test]
fn what_a_caller_sent_is_repeated_in_part_only() {
    let long = "x".repeat(1 << 20);
    let told = read(&set(review(), "/request", json!(long))).unwrap_err();
    assert!(told.0.len() < 1_000, "{} bytes", told.0.len());
    let request = with("/request/kind", json!(long));
    assert!(flaw(&request).to_string().len() < 1_000);
    let request = with("/request/object/spec", json!(long));
    assert!(flaw(&request).to_string().len() < 1_000);
    let request = with("/request/object/kind", json!(long));
    assert!(flaw(&request).to_string().len() < 1_000);
}

#[test]
fn nothing_but_white_space_may_follow_or_come_before() {
    let (text, workloads) = (review().to_string(), Workloads::default());
    assert_eq!(images(&decode(format!(" \n{text}\r\n\t").as_bytes(), &workloads).unwrap()).len(), IMAGES);
    for (before, after, what) in [
        ("", "x", "trailing characters"),
        ("", "{}", "trailing characters"),
        ("\u{feff}", "", "expected value"),
        ("", "\0", "trailing characters"),
    ] {
        let told = decode(format!("{before}{text}{after}").as_bytes(), &workloads).unwrap_err();
        assert!(told.0.contains(what), "{told:?}");
        assert_eq!(uid(format!("{before}{text}{after}").as_bytes()), None);
    }
}

#[test]
fn a_body_that_is_cut_anywhere_is_no_review() {
    let text = review().to_string();
    for length in 0..text.len() {
        let cut = decode(text.get(..length).unwrap().as_bytes(), &Workloads::default());
        assert!(cut.is_err(), "{length} bytes: {cut:?}");
    }
}

#[test]
fn a_body_that_is_not_utf_8_is_no_review() {
    let mut body = review().to_string().into_bytes();
    let at = body.iter().position(|&byte| byte == b'w').unwrap();
    body[at] = 0xff;
    let told = format!("the body is not UTF-8: invalid utf-8 sequence of 1 bytes from index {at}");
    assert_eq!(decode(&body, &Workloads::default()).unwrap_err(), Malformed(told));
}

/// Every key that decides something.
const KEYS: [&str; 24] = [
    "/apiVersion",
    "/kind",
    "/request/kind",
    "/request/kind/group",
    "/request/kind/kind",
    "/request/resource",
    "/request/resource/group",
    "/request/resource/resource",
    "/request/subResource",
    "/request/name",
    "/request/namespace",
    "/request/operation",
    "/request/object",
    "/request/oldObject",
    "/request/dryRun",
    "/request/object/apiVersion",
    "/request/object/kind",
    "/request/object/metadata",
    "/request/object/metadata/name",
    "/request/object/metadata/generateName",
    "/request/object/metadata/namespace",
    "/request/object/spec",
    "/request/object/spec/containers/0/name",
    "/request/object/spec/containers/0/image",
];

/// The review with the key at this place written twice; `first` and `second` stand for its value, `$`.
fn doubled(review: &Value, pointer: &str, first: &str, second: &str, spelling: impl Fn(&str) -> String) -> String {
    let value = review.pointer(pointer).unwrap_or_else(|| panic!("{pointer}")).to_string();
    let (_, key) = pointer.rsplit_once('/').unwrap();
    let twice = format!("{},\"{}\":{}", first.replace('$', &value), spelling(key), second.replace('$', &value));
    set(review.clone(), pointer, json!("@")).to_string().replace("\"@\"", &twice)
}

#[test]
fn a_key_that_decides_something_and_stands_twice_is_a_flaw() {
    let plain = |key: &str| key.to_owned();
    let escaped = |key: &str| format!("\\u{:04x}{}", u32::from(key.as_bytes()[0]), &key[1..]);
    let lists = LISTS.map(|(list, _)| format!("/request/object/spec/{list}"));
    let volume = ["name", "image", "image/reference"].map(|key| format!("/request/object/spec/volumes/1/{key}"));
    let keys = KEYS.map(str::to_owned).into_iter().chain(lists).chain(volume);
    let both = keys.flat_map(|key| {
        let old = key.starts_with("/request/object/").then(|| key.replace("/object/", "/oldObject/"));
        std::iter::once(key).chain(old)
    });
    for key in both {
        for (first, second) in [("$", "$"), ("null", "$"), ("$", "null")] {
            for body in
                [doubled(&update(), &key, first, second, plain), doubled(&update(), &key, first, second, escaped)]
            {
                let request = decode(body.as_bytes(), &Workloads::default()).unwrap();
                let Subject::Unreadable(Flaw::Syntax(told)) = &request.subject else { panic!("{key}: {request:?}") };
                let wrong_type = first == "null" || second == "null";
                let says = |what| told.contains(what);
                assert!(
                    says("duplicate field") || says("stands twice") || (wrong_type && says("null")),
                    "{key}: {told}"
                );
            }
        }
    }
}

#[test]
fn two_uids_or_requests_are_none() {
    let plain = |key: &str| key.to_owned();
    for pointer in ["/request", "/request/uid"] {
        let told = decode(doubled(&review(), pointer, "$", "$", plain).as_bytes(), &Workloads::default()).unwrap_err();
        assert!(told.0.contains("duplicate field") || told.0.contains("stands twice"), "{told:?}");
    }
}

#[test]
fn a_key_that_decides_nothing_may_stand_twice() {
    let plain = |key: &str| key.to_owned();
    for pointer in ["/request/options", "/request/object/status", "/request/object/spec/containers/0/env"] {
        let body = doubled(&review(), pointer, "$", "$", plain);
        assert_eq!(images(&decode(body.as_bytes(), &Workloads::default()).unwrap()).len(), IMAGES, "{pointer}");
    }
}

/// Every place in a value, from the root down.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, item)| (key.clone(), item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (key, child) in children {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        pointers(child, &pointer, found);
        found.push(pointer);
    }
}

/// Whether a change at this place may change which images the text names: in the way to a list, or one of its entries.
fn changes_a_list(pointer: &str) -> bool {
    LISTS.iter().any(|(list, _)| {
        let list = format!("/request/object/spec/{list}");
        let within = pointer.strip_prefix(&*list).map(|rest| rest.matches('/').count());
        let source = list.ends_with("volumes") && within == Some(2);
        list.starts_with(&format!("{pointer}/")) || within.is_some_and(|depth| depth < 2) || source
    })
}

/// The review as JSON whose request has its keys from the last to the first, `object` before `kind`.
fn backwards(review: &Value) -> String {
    let Some(request) = review["request"].as_object() else { return review.to_string() };
    let fields: Vec<_> = request.iter().rev().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
    set(review.clone(), "/request", json!("@")).to_string().replace("\"@\"", &format!("{{{}}}", fields.join(",")))
}

/// What is read, without the line and column of what could not be.
fn gist(read: &Result<Request, Malformed>) -> String {
    match read {
        Ok(Request { subject: Subject::Unreadable(Flaw::Syntax(_)), uid, namespace, name, .. }) => {
            format!("{uid} {namespace} {name}: syntax")
        }
        Ok(request) => format!("{request:?}"),
        Err(Malformed(_)) => "malformed".to_owned(),
    }
}

#[test]
fn an_object_before_its_kind_is_read_all_the_same() {
    for review in [review(), update()] {
        let text = backwards(&review);
        assert!(text.find("\"object\":") < text.find("\"kind\":{\"group\""), "{text}");
        let request = decode(text.as_bytes(), &Workloads::default());
        assert_eq!(images(request.as_ref().unwrap()).len(), IMAGES);
        assert_eq!(gist(&request), gist(&read(&review)));
    }
}

fn other_value() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        Just(None),
        Just(Some(json!(null))),
        Just(Some(json!(0))),
        Just(Some(json!(true))),
        Just(Some(json!([]))),
        Just(Some(json!({}))),
        Just(Some(json!([{"name": "x", "image": "y"}]))),
        "[a-zA-Z/:.@]{0,12}".prop_map(|text| Some(json!(text))),
        prop::sample::select(vec!["UPDATE", "DELETE", "Deployment", "deployments", "resize", "status", "apps"])
            .prop_map(|text| Some(json!(text))),
    ]
}

proptest! {
    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        let _either = decode(&body, &Workloads::default());
        let _either = uid(&body);
    }

    #[test]
    fn no_byte_of_a_review_that_is_changed_panics(at in 0_usize..4_000, byte: u8, insert: bool) {
        let mut body = update().to_string().into_bytes();
        let at = at % body.len();
        if insert { body.insert(at, byte) } else { body[at] = byte }
        if let Ok(request) = decode(&body, &Workloads::default()) {
            prop_assert!(!request.uid.is_empty());
        }
    }

    #[test]
    fn a_changed_review_never_hides_an_image(
        review in prop::sample::select(vec![review(), update()]),
        at: prop::sample::Index,
        other in other_value(),
    ) {
        let mut places = Vec::new();
        pointers(&review, "", &mut places);
        let pointer = at.get(&places).clone();
        let mut review = review;
        match other {
            None => remove(&mut review, &pointer.replace("~1", "/")),
            Some(value) => *review.pointer_mut(&pointer).unwrap() = value,
        }
        let backwards = decode(backwards(&review).as_bytes(), &Workloads::default());
        prop_assert_eq!(gist(&backwards), gist(&read(&review)), "{}: {}", pointer, review);
        if let Ok(Request { subject: Subject::Images { containers, .. }, .. }) = read(&review) {
            prop_assert!(containers.len() == IMAGES || changes_a_list(&pointer), "{pointer}: {review}");
        }
    }
}

#[test]
fn the_kinds_of_containers_are_told_apart_by_their_lists() {
    let request = read(&review()).unwrap();
    let kinds: Vec<_> = images(&request).iter().map(|container| container.path.kind).collect();
    let (init, regular) = (ContainerKind::Init, ContainerKind::Regular);
    assert_eq!(kinds, [init, init, regular, regular, ContainerKind::Ephemeral, ContainerKind::ImageVolume]);
}

#[test]
fn the_pull_secrets_are_those_of_the_new_object_whatever_the_order_of_the_keys() {
    let mut review = update();
    for (object, name) in [("object", "new"), ("oldObject", "old")] {
        review["request"][object]["spec"]["imagePullSecrets"] = json!([{"name": name}]);
        review["request"][object]["spec"]["serviceAccountName"] = json!(name);
    }
    let wanted = PullSecrets { named: vec!["new".to_owned()], service_account: "new".to_owned() };
    assert_eq!(read(&review).unwrap().pull, wanted);
    assert_eq!(decode(backwards(&review).as_bytes(), &Workloads::default()).unwrap().pull, wanted);
    review["request"]["operation"] = json!("DELETE");
    assert_eq!(read(&review).unwrap().pull, PullSecrets::default());
}

#[test]
fn pull_secrets_that_are_no_list_are_a_flaw() {
    let request = with("/request/object/spec/imagePullSecrets", json!("pull"));
    let Subject::Unreadable(Flaw::Syntax(told)) = &request.subject else { panic!("{:?}", request.subject) };
    assert!(told.starts_with("object: invalid type: string \"pull\", expected a list"), "{told}");
}
