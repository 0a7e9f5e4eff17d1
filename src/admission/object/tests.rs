use super::*;
use std::borrow::Cow;

/// The containers of an object whose pod spec stands at this path, as `path image`.
fn images(json: &str, path: &str) -> Result<Vec<String>, String> {
    let path = PodSpecPath::new(path);
    let object = Object::read(&mut serde_json::Deserializer::from_str(json), Some(&path));
    let object = object.map_err(|error| error.to_string())?;
    let containers = object.containers(&path).map_err(|flaw| flaw.to_string())?;
    Ok(containers.iter().map(|container| format!("{} {}", container.path, container.written)).collect())
}

#[test]
fn the_pod_spec_is_found_at_the_end_of_any_path() {
    let spec = r#"{"containers": [{"name": "web", "image": "nginx"}]}"#;
    assert_eq!(images(&format!(r#"{{"spec": {spec}}}"#), "spec").unwrap(), ["spec.containers[0].image nginx"]);
    let deep = format!(r#"{{"a": {{"x": 1, "b": {{"c": {spec}, "y": [{{}}]}}}}, "spec": {{"containers": []}}}}"#);
    assert_eq!(images(&deep, "a.b.c").unwrap(), ["a.b.c.containers[0].image nginx"]);
}

#[test]
fn a_path_that_ends_early_has_no_pod_spec() {
    for json in
        ["{}", r#"{"a": null}"#, r#"{"a": {}}"#, r#"{"a": {"b": null}}"#, r#"{"A": {"b": {"containers": [{}]}}}"#]
    {
        let missing = "no pod spec with containers at a.b, where this kind must have one";
        assert_eq!(images(json, "a.b").unwrap_err(), missing, "{json}");
    }
    assert!(images(r#"{"a": {"b": {"containers": [{}]}}}"#, "a..b").is_err());
    assert!(images(r#"{"": {"containers": [{}]}}"#, "a").is_err());
}

#[test]
fn what_is_no_object_on_the_way_is_an_error() {
    for json in [r#"{"a": 1}"#, r#"{"a": "b"}"#, r#"{"a": [{"b": {"containers": [{}]}}]}"#, r#"{"a": true}"#] {
        let error = images(json, "a.b").unwrap_err();
        assert!(error.contains("expected an object on the way to the pod spec"), "{json}: {error}");
    }
    for json in ["[]", "null", r#""Pod""#, r#"[{"a": {}}]"#] {
        let error = images(json, "a.b").unwrap_err();
        assert!(error.contains("expected a Kubernetes object"), "{json}: {error}");
    }
}

#[test]
fn a_key_on_the_way_that_stands_twice_is_an_error_at_every_step() {
    for (json, key) in [
        (r#"{"a": null, "a": {"b": {"containers": [{}]}}}"#, "a"),
        (r#"{"a": {"b": {"containers": [{}]}}, "a": {}}"#, "a"),
        (r#"{"a": {"b": {"containers": [{}]}, "b": null}}"#, "b"),
        (r#"{"a": {"b": {"containers": [{}]}}, "\u0061": {}}"#, "a"),
    ] {
        let error = images(json, "a.b").unwrap_err();
        assert!(error.starts_with(&format!("the key `{key}` stands twice in one object")), "{json}: {error}");
    }
}

#[test]
fn without_a_path_only_name_and_kind_are_read() {
    let json = r#"{"kind": "Pod", "apiVersion": "v1", "metadata": {"generateName": "web-"}, "spec": 7}"#;
    let object = Object::read(&mut serde_json::Deserializer::from_str(json), None).unwrap();
    assert_eq!(object.kind, Some(Text(Cow::Borrowed("Pod"))));
    assert_eq!(object.name(), "web-");
    object.containers(&PodSpecPath::new("spec")).unwrap_err();
}

#[test]
fn the_group_is_what_stands_before_the_slash() {
    for (api_version, group) in [("v1", ""), ("apps/v1", "apps"), ("", ""), ("a.b/c/d", "a.b")] {
        assert_eq!(group_of(api_version), group);
    }
}

#[test]
fn what_is_too_much_to_be_judged_is_counted_and_not_kept() {
    let many = format!("[{}]", vec!["{}"; 100_000].join(","));
    let entries: Entries<NamedImage<'_>> = serde_json::from_str(&many).unwrap();
    assert_eq!((entries.kept.len(), entries.found, entries.length), (CONTAINERS + 1, 100_000, 100_000));
    assert!(entries.kept.capacity() <= 2 * CONTAINERS + 2);
    let volumes: Entries<Volume<'_>> = serde_json::from_str(&many).unwrap();
    assert_eq!((volumes.kept.len(), volumes.found, volumes.length), (0, 0, 100_000));
}

#[test]
fn text_is_borrowed_where_the_json_has_it_as_it_is() {
    let read = |json: &'static str| serde_json::from_str::<Text<'_>>(json).unwrap().0;
    assert!(matches!(read(r#""nginx""#), Cow::Borrowed("nginx")));
    assert!(matches!(read(r#""\u006eginx""#), Cow::Owned(text) if text == "nginx"));
}

fn pull(spec: &str) -> Result<(Vec<String>, String), String> {
    let json = format!(r#"{{"spec": {{{spec}}}}}"#);
    let path = PodSpecPath::new("spec");
    let object = Object::read(&mut serde_json::Deserializer::from_str(&json), Some(&path));
    let PullSecrets { named, service_account } = object.map_err(|error| error.to_string())?.pull();
    Ok((named, service_account))
}

#[test]
fn pull_secrets_and_the_service_account_are_read_from_the_pod_spec() {
    let spec = r#""imagePullSecrets": [{"name": "b"}, {"name": "\u0061"}], "serviceAccountName": "builder""#;
    assert_eq!(pull(spec).unwrap(), (vec!["b".to_owned(), "a".to_owned()], "builder".to_owned()));
    for none in ["", r#""imagePullSecrets": null, "serviceAccountName": null"#, r#""imagePullSecrets": []"#] {
        assert_eq!(pull(none).unwrap(), (Vec::new(), String::new()), "{none}");
    }
}

#[test]
fn the_old_name_of_the_service_account_counts_where_the_new_one_says_nothing() {
    for spec in [
        r#""serviceAccount": "a""#,
        r#""serviceAccountName": "", "serviceAccount": "a""#,
        r#""serviceAccount": "b", "serviceAccountName": "a""#,
    ] {
        assert_eq!(pull(spec).unwrap().1, "a", "{spec}");
    }
}

#[test]
fn pull_secrets_that_cannot_be_or_are_too_many_are_left_out() {
    let long = "x".repeat(NAME_BYTES + 1);
    let spec = format!(r#""imagePullSecrets": [{{}}, {{"name": ""}}, {{"name": "{long}"}}, {{"name": "a"}}]"#);
    assert_eq!(pull(&spec).unwrap().0, ["a"]);
    let many = vec![r#"{"name": "a"}"#; PULL_SECRETS + 1].join(",");
    assert_eq!(pull(&format!(r#""imagePullSecrets": [{many}]"#)).unwrap().0.len(), PULL_SECRETS);
}

#[test]
fn malformed_pull_secrets_are_an_error_as_any_other_field() {
    for (spec, told) in [
        (r#""imagePullSecrets": {"name": "a"}"#, "invalid type: map, expected a list"),
        (r#""imagePullSecrets": ["a"]"#, "invalid type: string \"a\", expected an object"),
        (r#""imagePullSecrets": [{"name": 5}]"#, "invalid type: integer `5`, expected a string"),
        (r#""serviceAccountName": 5"#, "invalid type: integer `5`, expected a string"),
        (r#""imagePullSecrets": [], "imagePullSecrets": []"#, "duplicate field `imagePullSecrets`"),
        (r#""imagePullSecrets": [{"name": "a", "name": "b"}]"#, "duplicate field `name`"),
    ] {
        let error = pull(spec).unwrap_err();
        assert!(error.starts_with(told), "{spec}: {error}");
    }
}
