use serde_json::json;

use super::*;

const UID: &str = "f3f36f4d-bc03-47a5-8347-bd0ef68c77d0";

fn policy(spec: &Value) -> Value {
    json!({
        "apiVersion": "pratique.dev/v1alpha1",
        "kind": "ImagePolicy",
        "metadata": {"name": "acme", "uid": "7a", "generation": 1, "managedFields": [{"manager": "kubectl"}]},
        "spec": spec,
    })
}

/// As an API server sends it.
fn review(operation: &str, object: Option<&Value>, old: Option<&Value>) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID,
            "kind": {"group": "pratique.dev", "version": "v1alpha1", "kind": "ImagePolicy"},
            "resource": {"group": "pratique.dev", "version": "v1alpha1", "resource": "imagepolicies"},
            "requestKind": {"group": "pratique.dev", "version": "v1alpha1", "kind": "ImagePolicy"},
            "requestResource": {"group": "pratique.dev", "version": "v1alpha1", "resource": "imagepolicies"},
            "name": "acme",
            "operation": operation,
            "userInfo": {"username": "admin", "groups": ["system:masters"]},
            "object": object,
            "oldObject": old,
            "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        },
    })
}

fn asked(review: &Value) -> Question {
    let PolicyReview { uid, question } = decode(review.to_string().as_bytes()).unwrap();
    assert_eq!(uid, UID);
    question
}

fn answered(opinion: &Opinion) -> Value {
    serde_json::from_slice(&encode(UID, opinion).body).unwrap()
}

#[test]
fn a_policy_that_is_created_or_whose_spec_changes_is_linted_as_it_was_sent() {
    let (one, other) = (policy(&json!({"rules": []})), policy(&json!({"rules": [1]})));
    assert_eq!(asked(&review("CREATE", Some(&one), None)), Question::Lint(one.to_string()));
    assert_eq!(asked(&review("UPDATE", Some(&one), Some(&other))), Question::Lint(one.to_string()));
    let without = json!({"metadata": {"name": "acme"}});
    assert_eq!(asked(&review("UPDATE", Some(&one), Some(&without))), Question::Lint(one.to_string()));
    // Without the old object nothing can be said to be unchanged.
    assert_eq!(asked(&review("UPDATE", Some(&one), None)), Question::Lint(one.to_string()));
}

#[test]
fn what_leaves_the_spec_as_it_is_is_not_linted_nor_what_deletes() {
    let old = policy(&json!({"wrong": {"b": 1, "a": 2}}));
    let mut new = policy(&json!({"wrong": {"a": 2, "b": 1}}));
    new["metadata"] = json!({"name": "acme", "finalizers": []});
    new["status"] = json!({"rules": 1});
    assert_eq!(asked(&review("UPDATE", Some(&new), Some(&old))), Question::Unchanged);
    assert_eq!(asked(&review("DELETE", None, Some(&old))), Question::Unchanged);
}

#[test]
fn nothing_but_a_policy_is_let_through_here() {
    let object = policy(&json!({}));
    let unanswerable = |change: fn(&mut Value), words: &str| {
        let mut review = review("CREATE", Some(&object), None);
        change(&mut review);
        let Question::Unanswerable(why) = asked(&review) else { panic!("{words}") };
        assert!(why.contains(words), "{why}");
    };
    unanswerable(
        |its| its["request"]["kind"] = json!({"group": "", "version": "v1", "kind": "Pod"}),
        "must send it to /validate",
    );
    unanswerable(|its| its["request"]["kind"]["group"] = json!("example.com"), "\"example.com ImagePolicy\"");
    unanswerable(|its| its["request"]["kind"]["kind"] = json!("Other\u{1b}[31m"), r"Other\\u{1b}[31m");
    unanswerable(|its| its["kind"] = json!("ConversionReview"), "only admission.k8s.io/v1 AdmissionReview");
    unanswerable(|its| its["request"]["object"] = Value::Null, "no object");
    unanswerable(|its| its["request"]["operation"] = json!(7), "the review is malformed: ");
    unanswerable(|its| drop(its["request"].as_object_mut().unwrap().remove("kind")), "missing field `kind`");
    let twice = review("CREATE", Some(&object), None).to_string().replacen("\"oldObject\":", "\"object\":", 1);
    let Question::Unanswerable(why) = decode(twice.as_bytes()).unwrap().question else { panic!("twice") };
    assert!(why.contains("duplicate field"), "{why}");
    for body in ["", "{}", "[]", r#"{"request":{"uid":""}}"#] {
        assert!(decode(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn a_valid_policy_is_allowed_with_its_warnings() {
    let expected = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": UID, "allowed": true},
    });
    assert_eq!(answered(&Ok(Warnings::default())), expected);
    let answer = answered(&Ok(Warnings(vec!["spec.rules[0]: no Secret\u{7}".to_owned()])));
    assert_eq!(answer["response"]["warnings"], json!([r"spec.rules[0]: no Secret\u{7}"]));
    let many = (0..100).map(|index| format!("{index}: {}", "x".repeat(300))).collect();
    let answer = answered(&Ok(Warnings(many)));
    let warnings: Vec<String> = serde_json::from_value(answer["response"]["warnings"].clone()).unwrap();
    let lengths: Vec<usize> = warnings.iter().map(|warning| warning.chars().count()).collect();
    assert!(lengths.iter().all(|length| *length <= 256) && lengths.iter().sum::<usize>() <= 4_096, "{lengths:?}");
    assert_eq!(warnings.last().unwrap(), &format!("pratique: and {} more", 100 - (warnings.len() - 1)));
}

#[test]
fn an_invalid_one_is_refused_with_all_its_mistakes_and_the_first_line_says_the_first() {
    let refused = |lines: &[&str]| {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        let mut answer = answered(&Err(Mistakes(lines)));
        let response = answer["response"].take();
        let status = json!({
            "status": "Failure", "reason": "Invalid", "code": 422, "message": response["status"]["message"],
        });
        assert_eq!(response, json!({"uid": UID, "allowed": false, "status": status}));
        response["status"]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(refused(&["a.b: wrong"]), "a.b: wrong");
    assert_eq!(
        refused(&["a: wrong\n", "b: too", "c: three"]),
        "a: wrong\\n; and 2 more\n  a: wrong\\n\n  b: too\n  c: three"
    );
    assert_eq!(refused(&[]), "it has mistakes");
    let message = refused(&[&*"x".repeat(5_000); 100]);
    assert!(message.len() < 6_000, "{}", message.len());
    assert!(message.ends_with("\n  ... and 93 more"), "{message}");
}
