//! Pods as JSON, as the API server writes them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::record::Uid;
use super::*;

fn digest(number: u8) -> Digest {
    Digest::parse(&format!("sha256:{}", format!("{number:02x}").repeat(32))).expect("64 hex digits")
}

fn address(text: &str) -> Reference {
    Reference::parse(text).expect("a valid name").address()
}

fn seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a time of our days")
}

/// A running Pod with one container.
fn pod(uid: &str, namespace: &str, created: i64, (image, image_id): (&str, &str)) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": uid, "namespace": namespace, "uid": uid, "resourceVersion": "1", "generation": 1,
            "creationTimestamp": seconds(created).to_string(), "labels": {"a": "b"}, "managedFields": [{"manager": "m"}],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "web", "image": image, "env": [{"name": "A", "value": "b"}]}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [{"name": "web", "image": image, "imageID": image_id, "ready": true, "restartCount": 0}],
        },
    })
}

fn read(value: &Value) -> Pod {
    serde_json::from_value(value.clone()).expect("a Pod as the API server writes it")
}

fn watched() -> (Arc<Pods>, Recorded) {
    let pods = Arc::new(Pods::default());
    let mut sink = Recorded::new(Arc::clone(&pods));
    sink.restart();
    sink.complete();
    (pods, sink)
}

/// What this one Pod is a record of: the digest by the name, and all digests that run.
fn told(value: &Value, name: &str) -> (Option<Digest>, Vec<Digest>) {
    let (pods, mut sink) = watched();
    sink.apply(read(value));
    let nodes = Nodes::new(Arc::new([]));
    let running = (0..=255).map(digest).filter(|digest| pods.running("shop", digest, &nodes).is_some()).collect();
    (pods.pulled_in("shop", &address(name)).map(|pulled| pulled.digest), running)
}

/// As a runtime reports a digest of the image's own repository.
fn image_id_of(image: &str, number: u8) -> String {
    let repository = image.split(['@', ':']).next().expect("there is always a first part");
    format!("{repository}@{}", digest(number))
}

/// Of `web`.
fn image_id(number: u8) -> String {
    image_id_of("docker.io/library/web", number)
}

#[test]
fn a_running_pod_tells_what_its_tag_named_and_what_runs_in_its_namespace() {
    let (pods, mut sink) = watched();
    sink.apply(read(&pod("u1", "shop", 100, ("nginx:1", &image_id_of("nginx", 1)))));
    let nodes = Nodes::new(Arc::new([Platform::default()]));
    let running = Running { first: seconds(100), platforms: vec![Platform::default()] };
    assert_eq!(pods.running("shop", &digest(1), &nodes), Some(running));
    assert_eq!(pods.running("shop", &digest(2), &nodes), None, "another digest");
    assert_eq!(pods.running("bank", &digest(1), &nodes), None, "another namespace");
    let pulled = Pulled { namespace: "shop".into(), digest: digest(1), at: seconds(100) };
    assert_eq!(pods.pulled_in("shop", &address("docker.io/library/nginx:1")), Some(pulled.clone()));
    assert_eq!(pods.pulled_in("shop", &address("nginx:2")), None, "another tag");
    assert_eq!(pods.pulled(&address("nginx:1"), |_| true), Some(pulled));
    assert_eq!(pods.pulled(&address("nginx:1"), |namespace| namespace != "shop"), None, "it does not count");
}

#[test]
fn image_ids_are_read_as_runtimes_write_them_and_what_is_no_digest_of_a_manifest_is_none() {
    let of = |image_id: &str| told(&pod("u1", "shop", 1, ("nginx:1", image_id)), "nginx:1");
    for known in ["docker.io/library/nginx@", "docker-pullable://nginx@", "nginx:1@"] {
        assert_eq!(of(&format!("{known}{}", digest(7))), (Some(digest(7)), vec![digest(7)]), "{known}");
    }
    // The runtime has it by another name too: it runs, and what the tag named may be another manifest.
    for other in ["localhost:5000/a/b@", "docker.io/other/nginx@", "NGINX@", "@"] {
        assert_eq!(of(&format!("{other}{}", digest(7))), (None, vec![digest(7)]), "{other}");
    }
    let long = format!("{}@{}", "a".repeat(1300), digest(7));
    let of_configuration = digest(7).to_string();
    for none in ["", "nginx", "nginx@", "nginx@sha256:7", "docker://sha256:7", &of_configuration, &long] {
        assert_eq!(of(none), (None, vec![]), "{none}");
    }
}

#[test]
fn an_image_that_is_named_by_its_digest_runs_and_no_tag_named_it() {
    let image = format!("nginx:1@{}", digest(3));
    let (named, running) = told(&pod("u1", "shop", 1, (&image, &image_id(7))), "nginx:1");
    assert_eq!((named, running), (None, vec![digest(7)]), "what runs is what the kubelet says, not what is written");
}

#[test]
fn a_name_that_cannot_be_read_is_no_name_and_its_digest_runs_all_the_same() {
    let (named, running) = told(&pod("u1", "shop", 1, ("NGINX:::1", &image_id(7))), "nginx:1");
    assert_eq!((named, running), (None, vec![digest(7)]));
}

#[test]
fn while_the_image_of_a_pod_is_changed_the_new_tag_is_not_taken_for_the_name_of_the_old_digest() {
    let mut changed = pod("u1", "shop", 1, ("web:2", &image_id(1)));
    changed["metadata"]["generation"] = 2.into();
    changed["status"]["containerStatuses"][0]["image"] = "web:1".into();
    assert_eq!(told(&changed, "web:2"), (None, vec![digest(1)]));
    changed["status"]["containerStatuses"][0]["image"] = "docker.io/library/web:2".into();
    assert_eq!(told(&changed, "web:2"), (Some(digest(1)), vec![digest(1)]), "the status names it so, too");
    changed["status"]["containerStatuses"][0]["image"] = digest(9).to_string().into();
    assert_eq!(told(&changed, "web:2"), (None, vec![digest(1)]));
    changed["metadata"]["generation"] = 1.into();
    assert_eq!(told(&changed, "web:2"), (Some(digest(1)), vec![digest(1)]), "it was never changed");
}

#[test]
fn containers_of_every_kind_and_image_volumes_count() {
    let mut pod = pod("u1", "shop", 1, ("web:1", &image_id(1)));
    let status = |name: &str, number| json!({"name": name, "image": "x", "imageID": image_id_of(name, number)});
    pod["spec"]["initContainers"] = json!([{"name": "init", "image": "init:1"}]);
    pod["status"]["initContainerStatuses"] = json!([status("init", 2)]);
    pod["spec"]["ephemeralContainers"] = json!([{"name": "debug", "image": "debug:1", "targetContainerName": "web"}]);
    pod["status"]["ephemeralContainerStatuses"] = json!([status("debug", 3)]);
    pod["spec"]["volumes"] = json!([{"name": "model", "image": {"reference": "model:1", "pullPolicy": "Always"}},
        {"name": "other", "emptyDir": {}}]);
    pod["status"]["containerStatuses"][0]["volumeMounts"] = json!([{"name": "model", "mountPath": "/model",
        "volumeStatus": {"image": {"imageRef": image_id_of("model", 4)}}}]);
    for (name, number) in [("web:1", 1), ("init:1", 2), ("debug:1", 3), ("model:1", 4)] {
        assert_eq!(told(&pod, name), (Some(digest(number)), [1, 2, 3, 4].map(digest).to_vec()), "{name}");
    }
}

#[test]
fn what_the_types_of_kubernetes_write_is_read_and_null_is_nothing() {
    let written = pod("u1", "shop", 1, ("web:1", &image_id(1)));
    let whole: k8s_openapi::api::core::v1::Pod = serde_json::from_value(written.clone()).expect("a Pod");
    let whole = serde_json::to_value(whole).expect("a Pod");
    assert_eq!(told(&whole, "web:1"), (Some(digest(1)), vec![digest(1)]));
    let mut nulls = written.clone();
    nulls["spec"]["initContainers"] = Value::Null;
    nulls["spec"]["volumes"] = Value::Null;
    nulls["status"]["containerStatuses"][0]["volumeMounts"] = Value::Null;
    assert_eq!(told(&nulls, "web:1"), (Some(digest(1)), vec![digest(1)]));
    for field in ["containerStatuses", "phase"] {
        let mut pending = written.clone();
        pending["status"][field] = Value::Null;
        assert_eq!(told(&pending, "web:1").1.is_empty(), field == "containerStatuses");
    }
    let mut unscheduled = written;
    unscheduled["status"] = Value::Null;
    unscheduled["spec"] = Value::Null;
    assert_eq!(told(&unscheduled, "web:1"), (None, vec![]));
}

#[test]
fn a_pod_with_every_field_that_kubernetes_has_can_be_read() {
    let every = include_str!("../../../../tests/fixtures/pods/api__testdata-HEAD-core.v1.Pod.json");
    let pod: Pod = serde_json::from_str(every).expect("a Pod with every field");
    assert_eq!(pod.metadata.name.as_deref(), Some("nameValue"));
    let (spec, status) = (pod.spec.expect("it has one"), pod.status.expect("it has one"));
    assert_eq!(spec.node_name.as_deref(), Some("nodeNameValue"));
    for containers in [spec.init_containers, spec.containers, spec.ephemeral_containers] {
        assert_eq!(containers.expect("it has some")[0].image.as_deref(), Some("imageValue"));
    }
    let image = spec.volumes.expect("it has some")[0].image.clone().expect("it is of every kind");
    assert_eq!(image.reference.as_deref(), Some("referenceValue"));
    for statuses in [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses] {
        let status = &statuses.expect("it has some")[0];
        assert_eq!((status.image.as_deref(), status.image_id.as_deref()), (Some("imageValue"), Some("imageIDValue")));
        let mounts = status.volume_mounts.as_ref().expect("it has some");
        let image = mounts[0].volume_status.as_ref().and_then(|status| status.image.clone()).expect("it is mounted");
        assert_eq!(image.image_ref.as_deref(), Some("imageRefValue"));
    }
}

#[test]
fn a_container_that_starts_again_with_another_image_is_another_record() {
    let (pods, mut sink) = watched();
    let nodes = Nodes::new(Arc::new([]));
    sink.apply(read(&pod("u1", "shop", 1, ("web:1", &image_id(1)))));
    sink.apply(read(&pod("u1", "shop", 1, ("web:1", &image_id(2)))));
    assert_eq!(pods.running("shop", &digest(1), &nodes), None);
    assert!(pods.running("shop", &digest(2), &nodes).is_some());
    assert_eq!(pods.pulled_in("shop", &address("web:1")).map(|pulled| pulled.digest), Some(digest(2)));
    assert_eq!(sink.len(), 1);
}

#[test]
fn the_oldest_pod_tells_and_the_last_one_that_goes_takes_the_digest_with_it() {
    let (pods, mut sink) = watched();
    let nodes = Nodes::new(Arc::new([]));
    let [old, young] = [("u1", 10, 1), ("u2", 20, 2)]
        .map(|(uid, created, number)| read(&pod(uid, "shop", created, ("web:1", &image_id(number)))));
    sink.apply(young.clone());
    sink.apply(old.clone());
    assert_eq!(pods.pulled_in("shop", &address("web:1")).map(|pulled| pulled.digest), Some(digest(1)));
    sink.delete(old);
    assert_eq!(pods.running("shop", &digest(1), &nodes), None);
    assert_eq!(pods.pulled(&address("web:1"), |_| true).map(|pulled| pulled.digest), Some(digest(2)));
    sink.delete(young);
    assert_eq!(pods.pulled(&address("web:1"), |_| true), None);
    assert!(sink.book.is_empty(), "{:?}", sink.book);
    sink.pool.sweep();
    assert_eq!(sink.pool.len(), 0);
}

#[test]
fn platforms_are_those_of_the_nodes_and_a_node_that_nobody_knows_adds_none() {
    let (pods, mut sink) = watched();
    let arm = Platform { architecture: "arm64".to_owned(), ..Platform::default() };
    for (uid, node) in [("u1", "amd-1"), ("u2", "amd-2"), ("u3", "arm-1"), ("u4", "unknown")] {
        let mut value = pod(uid, "shop", 1, ("web:1", &image_id(1)));
        value["spec"]["nodeName"] = node.into();
        sink.apply(read(&value));
    }
    let of = |nodes: &[(&str, Platform)]| {
        let nodes = super::super::nodes::tests::known(nodes);
        let running = pods.running("shop", &digest(1), &nodes).expect("it runs");
        let mut platforms = running.platforms;
        platforms.sort();
        platforms
    };
    let amd = Platform::default();
    let all = [("amd-1", amd.clone()), ("amd-2", amd.clone()), ("arm-1", arm.clone())];
    assert_eq!(of(&all), [amd.clone(), arm.clone()]);
    assert_eq!(of(&all[..2]), std::slice::from_ref(&amd), "where all are alike, an unknown one is as they are");
    assert_eq!(of(&[("amd-1", amd.clone()), ("elsewhere", arm)]), [amd]);
    assert_eq!(of(&[]), []);
}

/// What is told of a Pod, for the model.
#[derive(Debug, Clone)]
struct Told {
    namespace: usize,
    created: i64,
    node: usize,
    /// Tag, where it has one, and digest.
    images: Vec<(Option<u8>, u8)>,
}

#[derive(Debug, Clone)]
enum Step {
    Apply(usize, Told),
    Delete(usize),
    Relist(Vec<(usize, Told)>),
}

const NAMESPACES: [&str; 3] = ["shop", "bank", "farm"];
const NODES: [&str; 3] = ["amd", "arm", ""];

fn object(uid: usize, told: &Told) -> Pod {
    let uid = format!("uid-{uid}");
    let mut value = pod(&uid, NAMESPACES[told.namespace], told.created, ("x:1", ""));
    value["spec"]["nodeName"] = NODES[told.node].into();
    let (mut containers, mut statuses) = (Vec::new(), Vec::new());
    for (at, (tag, number)) in told.images.iter().enumerate() {
        let image = tag.map_or_else(|| format!("web@{}", digest(*number)), |tag| format!("web:{tag}"));
        containers.push(json!({"name": format!("c{at}"), "image": image}));
        statuses.push(json!({"name": format!("c{at}"), "image": image, "imageID": image_id(*number)}));
    }
    value["spec"]["containers"] = containers.into();
    value["status"]["containerStatuses"] = statuses.into();
    read(&value)
}

fn any_told() -> impl Strategy<Value = Told> {
    let image = (prop::option::weighted(0.8, 0..3_u8), 0..3_u8);
    (0..3_usize, 0..4_i64, 0..3_usize, prop::collection::vec(image, 0..3))
        .prop_map(|(namespace, created, node, images)| Told { namespace, created, node, images })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_usize, any_told()).prop_map(|(uid, told)| Step::Apply(uid, told)),
        3 => (0..6_usize).prop_map(Step::Delete),
        1 => prop::collection::btree_map(0..6_usize, any_told(), 0..6).prop_map(|all| Step::Relist(all.into_iter().collect())),
    ]
}

/// The same answers by looking at every Pod.
#[derive(Default)]
struct Model(BTreeMap<usize, Told>);

impl Model {
    fn ordered(&self) -> Vec<(i64, Uid, &Told)> {
        let with_uid = |(uid, told): (&usize, _)| (record::uid_of(&object(*uid, told)).expect("it has one"), told);
        let mut pods: Vec<_> = self.0.iter().map(with_uid).map(|(uid, told)| (told.created, uid, told)).collect();
        pods.sort_by_key(|(created, uid, _)| (*created, *uid));
        pods
    }

    fn running(&self, namespace: usize, number: u8) -> Option<(i64, BTreeSet<&'static str>)> {
        let pods = self.ordered();
        let mut those = pods
            .iter()
            .filter(|(_, _, told)| told.namespace == namespace && told.images.iter().any(|(_, it)| *it == number))
            .peekable();
        let first = those.peek()?.0;
        Some((first, those.map(|(_, _, told)| NODES[told.node]).filter(|node| !node.is_empty()).collect()))
    }

    fn pulled_in(&self, namespace: usize, tag: u8) -> Option<(i64, u8)> {
        let pods = self.ordered();
        let mut of_namespace = pods.iter().filter(|(_, _, told)| told.namespace == namespace);
        of_namespace.find_map(|(created, _, told)| {
            told.images.iter().find(|(it, _)| *it == Some(tag)).map(|(_, number)| (*created, *number))
        })
    }

    fn pulled(&self, tag: u8, counts: &[bool]) -> Option<(i64, &'static str, u8)> {
        let of = |namespace: usize| {
            self.pulled_in(namespace, tag).map(|(created, number)| (created, NAMESPACES[namespace], number))
        };
        (0..NAMESPACES.len()).filter(|namespace| counts[*namespace]).filter_map(of).min()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_index_answers_as_one_who_looks_at_every_pod(
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let arm = Platform { architecture: "arm64".to_owned(), ..Platform::default() };
        let nodes = super::super::nodes::tests::known(&[("amd", Platform::default()), ("arm", arm)]);
        let (pods, mut sink) = watched();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Apply(uid, told) => {
                    sink.apply(object(uid, &told));
                    model.0.insert(uid, told);
                }
                Step::Delete(uid) => {
                    let told = Told { namespace: 0, created: 0, node: 0, images: vec![] };
                    sink.delete(object(uid, &told));
                    model.0.remove(&uid);
                }
                Step::Relist(all) => {
                    sink.restart();
                    for (uid, told) in &all {
                        sink.list(object(*uid, told));
                    }
                    sink.complete();
                    model.0 = all.into_iter().collect();
                }
            }
            prop_assert_eq!(sink.len(), model.0.len());
            for (at, namespace) in NAMESPACES.iter().enumerate() {
                for number in 0..3 {
                    let running = pods.running(namespace, &digest(number), &nodes).map(|running| {
                        let name = |platform: &Platform| if platform.architecture == "amd64" { "amd" } else { "arm" };
                        prop_assert_eq!(running.platforms.iter().collect::<BTreeSet<_>>().len(), running.platforms.len());
                        Ok((running.first.as_second(), running.platforms.iter().map(name).collect::<BTreeSet<_>>()))
                    }).transpose()?;
                    prop_assert_eq!(running, model.running(at, number));
                }
                for tag in 0..3 {
                    let pulled = pods.pulled_in(namespace, &address(&format!("web:{tag}")));
                    let pulled = pulled.map(|pulled| (pulled.at.as_second(), pulled.digest));
                    let expected = model.pulled_in(at, tag).map(|(at, number)| (at, digest(number)));
                    prop_assert_eq!(pulled, expected);
                }
            }
            for counts in [[true; 3], [false, true, true], [true, false, false], [false; 3]] {
                for tag in 0..3 {
                    let at = |name: &str| NAMESPACES.iter().position(|it| *it == name).expect("one of ours");
                    let pulled = pods.pulled(&address(&format!("web:{tag}")), |name| counts[at(name)]);
                    let pulled = pulled.map(|it| (it.at.as_second(), it.namespace.to_string(), it.digest));
                    let expected = model.pulled(tag, &counts);
                    let expected = expected.map(|(at, name, number)| (at, name.to_owned(), digest(number)));
                    prop_assert_eq!(pulled, expected);
                }
            }
        }
        sink.restart();
        sink.complete();
        prop_assert!(sink.book.is_empty());
    }
}
