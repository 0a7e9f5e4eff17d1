use super::*;

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  template:
    spec:
      initContainers:
      - {name: migrate, image: ghcr.io/acme/db:v1}
      containers:
      - {name: web, image: nginx:latest}
      volumes:
      - {name: model, image: {reference: ghcr.io/acme/model:1}}
";

fn read_all(text: &str) -> Result<Vec<ManifestObject>, String> {
    read(text, &Workloads::default())
}

fn pod(api_version: &str, kind: &str, more: &str) -> String {
    format!("{{apiVersion: {api_version}, kind: {kind}, metadata: {{name: web}}, {more}}}")
}

const SPEC: &str = "spec: {containers: [{name: web, image: nginx}]}";
const TEMPLATE: &str = "spec: {template: {spec: {containers: [{name: web, image: nginx}]}}}";

/// `kind/name image image` for each object.
fn told(objects: &[ManifestObject]) -> Vec<String> {
    let images = |object: &ManifestObject| match &object.request.subject {
        Subject::Images { containers, .. } => {
            containers.iter().flat_map(|container| [" ", &*container.written]).collect::<String>()
        }
        Subject::Unreadable(flaw) => format!(": {flaw}"),
        Subject::Nothing(why) => format!(": {why:?}"),
    };
    objects.iter().map(|object| [&object.kind, "/", &object.name, &images(object)].concat()).collect()
}

#[test]
fn an_object_is_read_as_a_review_of_its_creation() {
    let objects = read_all(DEPLOYMENT).unwrap();
    assert_eq!(told(&objects), ["Deployment/web ghcr.io/acme/db:v1 nginx:latest ghcr.io/acme/model:1"]);
    let [object] = &*objects else { panic!() };
    assert_eq!(object.namespace.as_deref(), Some("shop"));
    let request = &object.request;
    assert_eq!((&*request.kind, &*request.namespace, &*request.name), ("Deployment", "shop", "web"));
    assert_eq!((request.operation, request.role, request.dry_run), (Operation::Create, Role::Controller, false));
    let Subject::Images { containers, old } = &request.subject else { panic!() };
    assert!(old.is_empty());
    assert_eq!(containers[0].path.to_string(), "spec.template.spec.initContainers[0].image");
    assert_eq!(containers[2].path.to_string(), "spec.template.spec.volumes[0].image.reference");
}

#[test]
fn documents_lists_and_lists_in_lists_are_their_items_in_order() {
    let one = pod("v1", "Pod", SPEC).replace("web}", "one}");
    let two = pod("v1", "Pod", SPEC).replace("web}", "two}");
    let list =
        format!("{{apiVersion: v1, kind: List, items: [{one}, {{apiVersion: v1, kind: List, items: [{two}]}}]}}");
    let text = format!("---\n{list}\n---\n# nothing\n---\n{}\n", pod("v1", "Pod", SPEC));
    assert_eq!(told(&read_all(&text).unwrap()), ["Pod/one nginx", "Pod/two nginx", "Pod/web nginx"]);
}

#[test]
fn lists_are_nested_a_few_times_at_most() {
    let nested = |times: usize| {
        let open = "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [".repeat(times);
        format!("{open}{}", "]}".repeat(times))
    };
    assert_eq!(told(&read_all(&nested(NESTED_LISTS)).unwrap()), [""; 0]);
    assert_eq!(read_all(&nested(NESTED_LISTS + 1)).unwrap_err(), "lists are nested too deeply");
}

#[test]
fn json_is_read_as_json_with_tabs_and_one_object_after_the_other() {
    let json = "{\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Pod\", \"metadata\": {\"generateName\": \"web-\"},\n\
                \t\"spec\": {\"containers\": [{\"name\": \"web\", \"image\": \"ng\\u0069nx\"}]}}";
    assert_eq!(told(&read_all(&format!("{json}\n{json}")).unwrap()), ["Pod/web- nginx", "Pod/web- nginx"]);
}

#[test]
fn kinds_without_images_are_passed_over_and_so_is_an_empty_file() {
    for text in ["", "---\n---\n", "null", &pod("v1", "ConfigMap", SPEC), &pod("argoproj.io/v1", "Rollout", TEMPLATE)] {
        assert_eq!(told(&read_all(text).unwrap()), [""; 0], "{text}");
    }
    let workloads = Workloads::new([("argoproj.io", "Rollout", "spec.template.spec")]);
    let rollout = read(&pod("argoproj.io/v1", "Rollout", TEMPLATE), &workloads).unwrap();
    assert_eq!(told(&rollout), ["Rollout/web nginx"]);
}

#[test]
fn old_groups_count_and_a_namesake_of_another_group_counts_where_it_has_a_pod_spec() {
    for api_version in ["apps/v1", "apps/v1beta1", "extensions/v1beta1", "example.com/v1", "$APIVERSION", "v1"] {
        let objects = read_all(&pod(api_version, "Deployment", TEMPLATE)).unwrap();
        assert_eq!(told(&objects), ["Deployment/web nginx"], "{api_version}");
    }
    assert_eq!(told(&read_all(&pod("batch.volcano.sh/v1", "Job", "spec: {tasks: []}")).unwrap()), [""; 0]);
    let missing = "Job/web: no pod spec with containers at spec.template.spec, where this kind must have one";
    for api_version in ["batch/v1", "extensions/v1beta1", "v1"] {
        assert_eq!(told(&read_all(&pod(api_version, "Job", "spec: {tasks: []}")).unwrap()), [missing], "{api_version}");
    }
}

#[test]
fn a_document_that_is_no_object_is_an_error() {
    let no_kind = "a document has no `kind`, so it is no Kubernetes object";
    for text in ["hello", "[1]", "{}", "{kind: 7}", "{apiVersion: v1}", "{kind: List, items: [{}]}"] {
        assert_eq!(read_all(text).unwrap_err(), no_kind, "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_that_says_where() {
    let number = pod("v1", "Pod", "spec: {containers: [{name: web, image: 1.25}]}");
    assert_eq!(read_all(&number).unwrap_err(), "Pod: invalid type: floating point `1.25`, expected a string");
    let list = pod("v1", "Pod", "spec: [{containers: []}]");
    assert_eq!(read_all(&list).unwrap_err(), "Pod: invalid type: sequence, expected an object");
    assert!(read_all("{\"kind\": \"Pod\"").is_err());
    assert!(read_all("kind: Pod\n  spec: x").unwrap_err().contains("line 2"));
}

#[test]
fn a_key_that_stands_twice_is_an_error_in_yaml_and_in_json() {
    let yaml = "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: a}]}\nspec: {containers: [{image: b}]}\n";
    assert!(read_all(yaml).unwrap_err().contains("duplicate"), "{}", read_all(yaml).unwrap_err());
    let json = r#"{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"image": "a", "image": "b"}]}}"#;
    assert!(read_all(json).unwrap_err().contains("the key `image` stands twice in one object"));
    let list = format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{json}]}}"#);
    assert!(read_all(&list).unwrap_err().contains("the key `image` stands twice in one object"));
}

#[test]
fn words_that_some_readers_take_for_booleans_stay_text() {
    let text = pod("v1", "Pod", "spec: {containers: [{name: no, image: on}]}");
    let objects = read_all(&text).unwrap();
    assert_eq!(told(&objects), ["Pod/web on"]);
}

#[test]
fn a_bare_image_is_a_pod_of_one() {
    let request = bare_image("nginx:1");
    assert_eq!((&*request.kind, request.role, request.operation), ("Image", Role::Pod, Operation::Create));
    let Subject::Images { containers, .. } = &request.subject else { panic!() };
    assert_eq!((containers.len(), &*containers[0].written), (1, "nginx:1"));
    assert!(containers[0].reference.is_ok());
    let Subject::Images { containers, .. } = bare_image("").subject else { panic!() };
    assert_eq!(containers[0].reference, Err(InvalidReference::Empty));
}

#[test]
fn items_of_a_typed_list_are_what_the_list_says() {
    let list = |kind: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nitems:\n- metadata: {{name: web}}\n  spec: {{template: {{spec: {{containers: [{{name: web, image: nginx}}]}}}}}}\n"
        )
    };
    let objects = read(&list("DeploymentList"), &Workloads::default()).unwrap();
    assert_eq!((objects.len(), objects[0].kind.as_str(), objects[0].name.as_str()), (1, "Deployment", "web"));
    assert!(read(&list("List"), &Workloads::default()).unwrap_err().contains("no `kind`"));
}

#[test]
fn a_list_without_items_is_an_error_and_not_nothing_to_judge() {
    for kind in ["List", "PodList"] {
        let error = read(&format!("apiVersion: v1\nkind: {kind}\nitmes: []\n"), &Workloads::default()).unwrap_err();
        assert_eq!(error, format!("a {kind} needs a list of `items`"));
    }
    assert_eq!(read("apiVersion: v1\nkind: List\nitems: []\n", &Workloads::default()).unwrap().len(), 0);
    assert_eq!(read("apiVersion: acme.example/v1\nkind: AllowList\n", &Workloads::default()).unwrap().len(), 0);
}

#[test]
fn the_pull_secrets_of_an_object_are_read_with_it() {
    let text = DEPLOYMENT.replace(
        "      initContainers:",
        "      serviceAccountName: web\n      imagePullSecrets: [{name: pull}]\n      initContainers:",
    );
    let objects = read_all(&text).unwrap();
    let wanted = PullSecrets { named: vec!["pull".to_owned()], service_account: "web".to_owned() };
    assert_eq!(objects[0].request.pull, wanted);
}
