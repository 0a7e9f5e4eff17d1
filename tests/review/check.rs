//! `pratique check`: the same answers in CI.

use pratique_testkit::{Behaviour, Directory, Image, Outcome, Registry, Route, run, run_with_input};
use serde_json::Value;

use crate::facts::{Fixture, fixtures};
use crate::{LATEST, PINNED, PINNED_POLICY, PRATIQUE, TAGGED};

fn check(arguments: &[&str]) -> Outcome {
    let mut all = vec!["check"];
    all.extend(arguments);
    run(PRATIQUE, &all)
}

/// With JSON on standard output.
fn check_json(arguments: &[&str]) -> (Option<i32>, Value) {
    let mut all = vec!["-o", "json"];
    all.extend(arguments);
    let outcome = check(&all);
    (outcome.code, outcome.json())
}

fn pods() -> Vec<Fixture> {
    fixtures("pods", "pods/facts.tsv")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// Every image of the answer, in its order.
fn images(answer: &Value) -> Vec<&Value> {
    let objects = answer["objects"].as_array().expect("objects");
    objects.iter().flat_map(|object| object["images"].as_array().expect("images")).collect()
}

/// `list[index]` and image of a workload, in the order of the facts.
fn expected_images(workload: &Value) -> Vec<(String, &str)> {
    let lists = [
        ("initContainers", "initContainers", "image"),
        ("containers", "containers", "image"),
        ("ephemeralContainers", "ephemeralContainers", "image"),
        ("imageVolumes", "volumes", "image.reference"),
    ];
    let mut expected = Vec::new();
    for (fact, list, field) in lists {
        for (index, image) in workload["images"][fact].as_array().into_iter().flatten().enumerate() {
            expected.push((format!("{list}[{index}].{field}"), text(image)));
        }
    }
    expected
}

fn pod_spec(kind: &str) -> &'static str {
    match kind {
        "Pod" => "spec",
        "PodTemplate" => "template.spec",
        "CronJob" => "spec.jobTemplate.spec.template.spec",
        _ => "spec.template.spec",
    }
}

/// Whether `baseline` refuses the image, told from its text alone: no digest and no tag but `latest`, or no reference.
fn is_refused_by_baseline(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or_default();
    let (repository, tag) =
        last.split_once(':').map_or((name, None), |(_, tag)| (&name[..name.len() - tag.len() - 1], Some(tag)));
    let is_reference = !repository.contains("//")
        && repository.bytes().all(|byte| !byte.is_ascii_uppercase())
        && tag.is_none_or(|tag| !tag.contains('$'));
    !is_reference || digest.is_none() && tag.is_none_or(|tag| tag == "latest")
}

/// One object of the answer against one workload of the facts.
fn compare(name: &str, object: &Value, workload: &Value) {
    let kind = text(&workload["kind"]);
    // The facts mark what is a `generateName`.
    let called = text(&workload["name"]).trim_start_matches("generateName:");
    assert_eq!((text(&object["kind"]), text(&object["name"])), (kind, called), "{name}");
    let namespace = workload["namespace"].as_str().unwrap_or("default");
    assert_eq!(object["namespace"], namespace, "{name}");
    let expected = expected_images(workload);
    let found: Vec<(String, &str)> = object["images"]
        .as_array()
        .expect("images")
        .iter()
        .map(|image| (text(&image["path"]).to_owned(), text(&image["image"])))
        .collect();
    let expected_paths: Vec<(String, &str)> =
        expected.iter().map(|(path, image)| (format!("{}.{path}", pod_spec(kind)), *image)).collect();
    assert_eq!(found, expected_paths, "{name}");
    for image in object["images"].as_array().expect("images") {
        let refused = is_refused_by_baseline(text(&image["image"]));
        assert_eq!(image["verdict"], if refused { "refused" } else { "admitted" }, "{name}: {image}");
    }
    let verdict = match expected.iter().any(|(_, image)| is_refused_by_baseline(image)) {
        _ if expected.is_empty() => "undetermined",
        true => "refused",
        false => "admitted",
    };
    assert_eq!(object["verdict"], verdict, "{name}: {object}");
}

#[test]
fn every_published_manifest_shows_the_images_of_its_facts_in_their_order() {
    let mut codes = std::collections::BTreeMap::new();
    for fixture in pods() {
        let path = fixture.path.display().to_string();
        let (code, answer) = check_json(&["--policy", "baseline", "-f", &path]);
        let workloads = fixture.facts["workloads"].as_array().expect("workloads");
        let objects = answer["objects"].as_array().expect("objects");
        assert_eq!(objects.len(), workloads.len(), "{}: {answer:#}", fixture.name);
        for (object, workload) in objects.iter().zip(workloads) {
            assert_eq!(object["source"], path);
            compare(&fixture.name, object, workload);
        }
        let found: Vec<&Value> = images(&answer).into_iter().map(|image| &image["image"]).collect();
        let expected: Vec<&Value> = fixture.facts["images_in_order"].as_array().expect("images").iter().collect();
        assert_eq!(found, expected, "{}", fixture.name);
        let verdicts: Vec<&str> = objects.iter().map(|object| text(&object["verdict"])).collect();
        let (verdict, expected) = match () {
            () if verdicts.contains(&"refused") => ("refused", 1),
            () if verdicts.contains(&"undetermined") => ("undetermined", 2),
            () => ("admitted", 0),
        };
        assert_eq!((text(&answer["verdict"]), code), (verdict, Some(expected)), "{}", fixture.name);
        *codes.entry(expected).or_insert(0) += 1;
    }
    assert_eq!(codes.values().sum::<i32>(), 68, "every file was asked about");
    assert!(codes[&0] > 20 && codes[&1] > 20 && codes[&2] == 1, "{codes:?}");
}

#[test]
fn a_folder_is_its_files_in_the_order_of_their_names() {
    let folder = pods()[0].path.parent().expect("a folder").display().to_string();
    let (code, answer) = check_json(&["--policy", "baseline", "-f", &folder]);
    let found: Vec<&str> = images(&answer).into_iter().map(|image| text(&image["image"])).collect();
    let all = pods();
    let expected = all.iter().flat_map(|fixture| fixture.facts["images_in_order"].as_array().expect("images"));
    assert_eq!(found, expected.map(text).collect::<Vec<_>>());
    assert_eq!(code, Some(1));
}

#[test]
fn several_files_are_answered_in_the_order_in_which_they_are_named() {
    let all = pods();
    let (first, second) = (all[40].path.display().to_string(), all[3].path.display().to_string());
    let (_, answer) = check_json(&["--policy", "baseline", "-f", &first, "-f", &second]);
    let sources: Vec<&Value> = answer["objects"].as_array().unwrap().iter().map(|object| &object["source"]).collect();
    let turn = sources.iter().position(|source| **source == *second).expect("the second file is there");
    assert!(turn > 0 && sources[..turn].iter().all(|source| **source == *first), "{sources:?}");
}

const TWO: &str = "apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  initContainers: [{name: migrate, image: 'ghcr.io/acme/db:v1.4.2'}]
  containers: [{name: web, image: 'nginx:latest'}]
  volumes: [{name: model, image: {reference: 'quay.io/acme/model:v3'}}]
";

#[test]
fn the_json_has_the_shape_of_the_contract() {
    let outcome = run_with_input(PRATIQUE, &["check", "--policy", "baseline", "-o", "json", "-f", "-"], TWO);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let mut answer = outcome.json();
    let message = answer["objects"][0]["images"][1]["denials"][0]["message"].take();
    assert!(text(&message).contains("pin a digest"), "{message}");
    let expected = serde_json::json!({"verdict": "refused", "objects": [{
    "source": "-", "kind": "Pod", "namespace": "shop", "name": "web", "verdict": "refused", "images": [
        {"path": "spec.initContainers[0].image", "container": "migrate", "image": "ghcr.io/acme/db:v1.4.2",
         "registry": "ghcr.io", "repository": "acme/db", "tag": "v1.4.2", "digest": null, "verdict": "admitted",
         "basis": "EveryDemandMet", "policy": "baseline", "rule": "all", "denials": [], "signatures": [], "reports": []},
        {"path": "spec.containers[0].image", "container": "web", "image": "nginx:latest",
         "registry": "docker.io", "repository": "library/nginx", "tag": "latest", "digest": null, "verdict": "refused",
         "basis": null, "policy": "baseline", "rule": "all", "denials": [{"mode": "enforce", "policy": "baseline",
            "check": "tag", "reason": "tag-mutable", "message": null, "retriable": false}], "signatures": [], "reports": []},
        {"path": "spec.volumes[0].image.reference", "container": "model", "image": "quay.io/acme/model:v3",
         "registry": "quay.io", "repository": "acme/model", "tag": "v3", "digest": null, "verdict": "admitted",
         "basis": "EveryDemandMet", "policy": "baseline", "rule": "all", "denials": [], "signatures": [], "reports": []},
    ]}]});
    assert_eq!(answer, expected, "{answer:#}");
}

#[test]
fn bare_images_are_objects_of_their_own() {
    let (code, answer) = check_json(&[
        "--manifests",
        PINNED_POLICY,
        "--policy",
        "pinned",
        PINNED,
        TAGGED,
        "Not A Reference",
        "REG.example:5000/a/b",
    ]);
    assert_eq!(code, Some(1));
    let objects = answer["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 4);
    for object in objects {
        assert_eq!((&object["kind"], &object["namespace"]), (&Value::from("Image"), &Value::Null));
        assert_eq!(object["images"][0]["path"], "image");
    }
    let image = |index: usize| &objects[index]["images"][0];
    let digest = PINNED.split_once('@').unwrap().1;
    assert_eq!((text(&image(0)["verdict"]), text(&image(0)["digest"])), ("admitted", digest));
    assert_eq!(image(0)["tag"], Value::Null);
    assert_eq!(image(1)["denials"][0]["reason"], "digest-missing");
    assert_eq!(image(2)["denials"][0]["reason"], "image-invalid");
    for field in ["registry", "repository", "tag", "digest"] {
        assert_eq!(image(2)[field], Value::Null, "{field} of what is no reference");
    }
    assert_eq!((text(&image(3)["registry"]), text(&image(3)["repository"])), ("reg.example:5000", "a/b"));
}

#[test]
fn bare_images_without_a_policy_are_judged_by_the_default_that_warns_as_if_enforced() {
    let (code, answer) = check_json(&[LATEST]);
    assert_eq!((code, &answer["objects"][0]["images"][0]["policy"]), (Some(1), &Value::from("baseline")));
    assert_eq!(check_json(&[TAGGED]).0, Some(0));
}

#[test]
fn the_exit_status_tells_admitted_refused_and_no_answer_apart() {
    assert_eq!(check(&["--manifests", PINNED_POLICY, "--policy", "pinned", PINNED]).code, Some(0));
    assert_eq!(check(&["--manifests", PINNED_POLICY, "--policy", "pinned", TAGGED]).code, Some(1));
    assert_eq!(check(&["--manifests", PINNED_POLICY, "--policy", "pinned", PINNED, TAGGED]).code, Some(1));
    let directory = Directory::new();
    directory.write("good.yaml", TWO);
    directory.write("no-spec.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n");
    directory.write("broken.yaml", "kind: [");
    directory.write("no-kind.yaml", "a: 1\n");
    let file = |name: &str| directory.file(name);
    for (arguments, told) in [
        (vec!["--policy", "baseline", "-f", &file("no-spec.yaml")], "pod-spec-missing"),
        (vec!["--policy", "baseline", "-f", &file("broken.yaml")], "broken.yaml"),
        (vec!["--policy", "baseline", "-f", &file("no-kind.yaml")], "no-kind.yaml"),
        (vec!["--policy", "baseline", "-f", &file("no-such.yaml")], "no-such.yaml"),
        (vec!["--policy", "no-such-policy", PINNED], "no-such-policy"),
        (vec!["--no-such-flag", PINNED], "no-such-flag"),
        (vec![], "Usage"),
        (vec!["--manifests", &file("broken.yaml"), PINNED], "broken.yaml"),
        (vec!["--config", &file("no-such.yaml"), PINNED], "no-such.yaml"),
    ] {
        let outcome = check(&arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(told), "{told} is not told: {outcome:?}");
        assert!(!said.contains("panicked"), "{outcome:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_does_not_silence_the_others() {
    let directory = Directory::new();
    directory.write("a.yaml", TWO);
    directory.write("b.yaml", "kind: [");
    let path = directory.path().display().to_string();
    let outcome = check(&["--policy", "baseline", "-o", "json", "-f", &path]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_eq!(images(&outcome.json()).len(), 3);
    assert!(outcome.stderr.contains("b.yaml"), "{outcome:?}");
}

#[test]
fn objects_are_judged_by_the_labels_of_their_namespace() {
    let cluster = Directory::new();
    cluster.namespace("shop", &[("pratique.dev/enforce", "acme")]);
    cluster.namespace("lax", &[]);
    cluster.policy("acme", "rules:\n- name: ours\n  images: [\"ghcr.io/acme/**\"]\n  tags: {requireDigest: true}\n");
    let cluster_path = cluster.path().display().to_string();
    let judged = |arguments: &[&str], input: &str| {
        let mut all = vec!["check", "--manifests", &cluster_path, "-o", "json", "-f", "-"];
        all.extend(arguments);
        let outcome = run_with_input(PRATIQUE, &all, input);
        (outcome.code, outcome.json())
    };
    let (code, answer) = judged(&[], TWO);
    assert_eq!(code, Some(1));
    let reasons: Vec<&Value> = images(&answer).into_iter().map(|image| &image["denials"][0]["reason"]).collect();
    assert_eq!(reasons, ["digest-missing", "image-unmatched", "image-unmatched"]);
    assert!(images(&answer).iter().all(|image| image["policy"] == "acme"), "{answer:#}");

    let lax = TWO.replace("namespace: shop", "namespace: lax");
    let (code, answer) = judged(&[], &lax);
    assert_eq!((code, &answer["verdict"]), (Some(0), &Value::from("admitted")));
    let web = &images(&answer)[1];
    assert_eq!((text(&web["basis"]), text(&web["denials"][0]["mode"])), ("SoftenedToWarning", "warn"), "{web:#}");

    let unnamed = TWO.replace(", namespace: shop", "");
    assert_eq!(judged(&["-n", "shop"], &unnamed).0, Some(1), "-n is for objects that name none");
    assert_eq!(judged(&["-n", "lax"], &unnamed).0, Some(0));
    assert_eq!(judged(&["-n", "lax"], TWO).0, Some(1), "and for no others");
    assert_eq!(judged(&["--policy", "restricted"], &lax).0, Some(1), "--policy stands above labels");
}

#[test]
fn a_controller_is_judged_like_the_pods_that_it_will_make() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n\
                      spec: {template: {spec: {containers: [{name: web, image: 'nginx:latest'}]}}}\n";
    let outcome = run_with_input(PRATIQUE, &["check", "--policy", "baseline", "-o", "json", "-f", "-"], deployment);
    assert_eq!((outcome.code, &outcome.json()["verdict"]), (Some(1), &Value::from("refused")));
}

#[test]
fn standard_input_may_be_a_list_several_documents_or_json() {
    let pod = |name: &str, image: &str| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"name\": \"{name}\"}}, \"spec\": {{\"containers\": [{{\"name\": \"c\", \"image\": \"{image}\"}}]}}}}"
        )
    };
    let (a, b) = (pod("a", LATEST), pod("b", TAGGED));
    for input in [
        format!("{a}\n---\n{b}\n"),
        format!("---\n# nothing\n---\n{a}\n---\n---\n{b}\n---\n"),
        format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{a}, {b}]}}"),
        format!("{{\"apiVersion\": \"v1\", \"kind\": \"PodList\", \"items\": [{a}, {b}]}}"),
        format!("{a}\n{b}\n"),
        format!("\u{feff}{a}\r\n---\r\n{b}\r\n"),
    ] {
        let outcome = run_with_input(PRATIQUE, &["check", "--policy", "baseline", "-o", "json", "-f", "-"], &input);
        assert_eq!(outcome.code, Some(1), "{input}\n{outcome:?}");
        let answer = outcome.json();
        let names: Vec<&str> =
            answer["objects"].as_array().unwrap().iter().map(|object| text(&object["name"])).collect();
        assert_eq!(names, ["a", "b"], "{input}");
    }
}

#[test]
fn nothing_to_judge_is_no_refusal() {
    for input in ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "---\n"] {
        let outcome = run_with_input(
            PRATIQUE,
            &["check", "--manifests", PINNED_POLICY, "--policy", "pinned", "-o", "json", "-f", "-"],
            input,
        );
        assert_eq!((outcome.code, outcome.json()["objects"].as_array().map(Vec::len)), (Some(0), Some(0)), "{input}");
    }
}

#[test]
fn the_text_is_for_people_and_has_no_colours_where_nobody_looks() {
    let outcome = run_with_input(PRATIQUE, &["check", "--policy", "baseline", "-o", "text", "-f", "-"], TWO);
    assert_eq!(outcome.code, Some(1));
    for told in ["shop", "web", "nginx:latest", "tag-mutable", "pin a digest", "refused", "baseline"] {
        assert!(outcome.stdout.contains(told), "{told}: {}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains('\u{1b}') && outcome.stderr.is_empty(), "{outcome:?}");
    let default = run_with_input(PRATIQUE, &["check", "--policy", "baseline", "-f", "-"], TWO);
    assert_eq!(default.stdout, outcome.stdout, "text is the default");
}

#[test]
fn names_that_a_manifest_brings_cannot_forge_lines_or_colours() {
    let input = "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"web\\n\\u001b[32mall: admitted\"}, \
                 \"spec\": {\"containers\": [{\"name\": \"c\\u001b[0m\\nd\", \"image\": \"nginx:latest\\n\\u001b[32m  admitted\"}]}}";
    let outcome = run_with_input(PRATIQUE, &["check", "--policy", "baseline", "-f", "-"], input);
    assert_eq!(outcome.code, Some(1));
    assert!(!outcome.stdout.contains('\u{1b}'), "{:?}", outcome.stdout);
    assert!(!outcome.stdout.lines().any(|line| line.trim_start().starts_with("all: admitted")), "{}", outcome.stdout);
}

#[test]
fn the_help_of_each_command_has_an_example() {
    for (command, argument) in [("serve", "--"), ("check", "--"), ("lint", "--"), ("scans", "reports/")] {
        let outcome = run(PRATIQUE, &[command, "--help"]);
        assert_eq!(outcome.code, Some(0));
        assert!(outcome.stdout.contains(&format!("pratique {command} {argument}")), "{}", outcome.stdout);
    }
    assert!(run(PRATIQUE, &["--version"]).stdout.starts_with("pratique "));
}

#[test]
fn a_built_in_policy_can_be_replaced_by_one_s_own() {
    let cluster = Directory::new();
    cluster.policy("baseline", "rules:\n- name: all\n  images: [\"**\"]\n  tags: {requireDigest: true}\n");
    let path = cluster.path().display().to_string();
    assert_eq!(check(&["--policy", "baseline", TAGGED]).code, Some(0));
    assert_eq!(check(&["--policy", "baseline", "--manifests", &path, TAGGED]).code, Some(1));
}

#[test]
fn of_an_input_that_is_too_long_the_beginning_is_not_judged() {
    let input = "#".repeat(64 << 20) + "\n" + TWO;
    let outcome = run_with_input(PRATIQUE, &["check", "--policy", "baseline", "-f", "-"], &input);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("standard input: has more than 67108864 bytes"), "{}", outcome.stderr);
}

/// Off the thread that the registry of the test answers on.
async fn check_beside(arguments: &[&str]) -> Outcome {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let checked = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        check(&arguments)
    });
    checked.await.expect("checking does not panic")
}

#[tokio::test]
async fn the_text_says_what_a_tag_stands_for_and_repeats_no_digest_that_is_written() {
    let registry = Registry::setup().start().await;
    let digest = registry.push("acme/web", "v1", &Image::single());
    let tagged = format!("{}/acme/web:v1", registry.host());
    let outcome = check_beside(&["--policy", "baseline", &tagged]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stdout.contains(&format!("  image {tagged}: admitted, {digest}\n")), "{}", outcome.stdout);
    let pinned = format!("{tagged}@{digest}");
    let outcome = check_beside(&["--policy", "baseline", &pinned]).await;
    assert!(outcome.stdout.contains(&format!("  image {pinned}: admitted\n")), "{}", outcome.stdout);
}

#[tokio::test]
async fn a_digest_that_no_demand_depends_on_is_not_waited_for_until_the_registry_is_given_up() {
    let registry = Registry::setup().start().await;
    registry.push("acme/web", "v1", &Image::single());
    // Longer than a pipeline would bear, and shorter than a look-up may take where a demand depends on it.
    registry.on(Route::Any, Behaviour::Delay(std::time::Duration::from_secs(6)));
    let image = format!("{}/acme/web:v1", registry.host());
    let outcome = check_beside(&["--policy", "baseline", "-o", "json", &image]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let told = outcome.json();
    assert_eq!((&told["verdict"], &images(&told)[0]["digest"]), (&"admitted".into(), &Value::Null), "{told:#}");

    let policies = Directory::new();
    policies.policy("moved", "rules:\n- name: all\n  images: [\"**\"]\n  tags: {repointed: deny}\n");
    let folder = policies.path().display().to_string();
    registry.calm();
    registry.on_next(Route::Any, 1, Behaviour::Delay(std::time::Duration::from_secs(4)));
    let outcome = check_beside(&["--manifests", &folder, "--policy", "moved", "-o", "json", &image]).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(images(&outcome.json())[0]["digest"].is_string(), "what a demand depends on is waited for: {outcome:?}");
}
