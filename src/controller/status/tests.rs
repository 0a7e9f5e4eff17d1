use super::*;
use crate::evidence::cluster::policies::InForce;
use crate::policy::document::Mistake;

const NOW: &str = "2026-11-20T12:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn mistake(path: &str, message: &str) -> Mistake {
    Mistake { path: path.to_owned(), ..Mistake::about("ImagePolicy acme", message) }
}

/// Generation 3, valid and in force with two rules, and without a status.
fn valid() -> PolicyObject {
    PolicyObject {
        name: "acme".into(),
        uid: "7a".into(),
        generation: 3,
        mistakes: Vec::new(),
        warnings: Vec::new(),
        in_force: InForce::This { rules: 2 },
        status: None,
    }
}

fn set_of(object: PolicyObject) -> PolicySet {
    PolicySet { objects: vec![object], ..PolicySet::default() }
}

fn conditions(status: &Value) -> Vec<String> {
    let text = |condition: &Value, field: &str| condition[field].as_str().unwrap().to_owned();
    let told = |its: &Value| ["type", "status", "reason", "message"].map(|field| text(its, field)).join(" | ");
    status["conditions"].as_array().unwrap().iter().map(told).collect()
}

#[test]
fn a_valid_policy_has_this_status() {
    let expected = json!({
        "observedGeneration": 3,
        "rules": 2,
        "conditions": [
            {
                "type": "Accepted", "status": "True", "observedGeneration": 3, "lastTransitionTime": NOW,
                "reason": "Valid", "message": "no mistakes",
            },
            {
                "type": "Ready", "status": "True", "observedGeneration": 3, "lastTransitionTime": NOW,
                "reason": "InForce", "message": "this generation is in force, with 2 rules",
            },
        ],
    });
    assert_eq!(words::status(&valid(), 2, None, at("2026-11-20T12:00:00.9Z")), expected);
}

#[test]
fn an_invalid_one_says_what_is_wrong_and_what_is_in_force_instead() {
    let mistakes = vec![mistake("spec.rules[0].tags", "expected a map"), mistake("", "no rules"), mistake("a", "b")];
    let invalid = |in_force| PolicyObject { mistakes: mistakes.clone(), in_force, ..valid() };
    let accepted = "Accepted | False | Invalid | spec.rules[0].tags: expected a map; and 2 more";
    let ready = |in_force, rules| {
        let status = words::status(&invalid(in_force), rules, None, at(NOW));
        assert_eq!(status["errors"], json!(["spec.rules[0].tags: expected a map", "no rules", "a: b"]));
        assert_eq!(status["rules"], json!(rules));
        let [first, second] = conditions(&status).try_into().unwrap();
        assert_eq!(first, accepted);
        second
    };
    assert_eq!(
        ready(InForce::Earlier { generation: 2, rules: 1 }, 1),
        "Ready | False | EarlierGenerationInForce | generation 2 is still in force, with 1 rule: mend what is wrong with \
         this one"
    );
    assert_eq!(
        ready(InForce::None, 4),
        "Ready | False | NotInForce | nothing is in force under this name: where it enforces, everything is refused"
    );
    assert_eq!(
        ready(InForce::None, 0),
        "Ready | False | NotInForce | nothing is in force under this name: where it enforces, everything is refused"
    );
}

#[test]
fn a_condition_keeps_its_time_until_it_turns() {
    let before = words::status(&valid(), 2, None, at(NOW));
    let later = at("2026-11-21T00:00:00Z");
    let next = PolicyObject { generation: 4, ..valid() };
    let same = words::status(&next, 2, Some(&before), later);
    let times = |status: &Value| [0, 1].map(|index| status["conditions"][index]["lastTransitionTime"].clone());
    assert_eq!((times(&same), &same["observedGeneration"]), ([json!(NOW), json!(NOW)], &json!(4)));
    let in_force = InForce::Earlier { generation: 3, rules: 2 };
    let invalid = PolicyObject { mistakes: vec![mistake("a", "b")], in_force, ..next };
    let turned = words::status(&invalid, 2, Some(&same), later);
    assert_eq!(times(&turned), [json!("2026-11-21T00:00:00Z"), json!("2026-11-21T00:00:00Z")]);
}

#[test]
fn lists_are_short_and_their_lines_are_too_and_fit_to_print() {
    let long = mistake("spec\u{1b}[31m", &"x".repeat(1_000));
    let mistakes = std::iter::once(long).chain((0..40).map(|index| mistake(&format!("p{index}"), "m"))).collect();
    let object = PolicyObject { mistakes, warnings: vec![mistake("w", "m")], ..valid() };
    let status = words::status(&object, 2, None, at(NOW));
    let errors: Vec<String> = serde_json::from_value(status["errors"].clone()).unwrap();
    assert_eq!(errors.len(), 20);
    assert!(errors[0].chars().count() == 300 && errors[0].ends_with("xxx..."), "{}", errors[0]);
    assert!(errors[0].starts_with(r"spec\u{1b}[31m: xxx"), "{}", errors[0]);
    assert_eq!(errors[18..], ["p17: m".to_owned(), "and 22 more: `pratique lint` tells all".to_owned()]);
    assert_eq!(status["warnings"], json!(["w: m"]));
    assert!(conditions(&status)[0].len() < 400);
}

#[test]
fn only_a_status_that_would_be_another_is_due() {
    let due_of = |set: &PolicySet, written: &Written| due(set, written, at("2026-11-21T00:00:00Z")).len();
    let none = Written::default();
    let mut object = PolicyObject { in_force: InForce::This { rules: 0 }, ..valid() };
    assert_eq!(due_of(&set_of(object.clone()), &none), 1);

    // As the API server has it, with what others have in it.
    let mut there = words::status(&object, 0, None, at(NOW));
    there["conditions"].as_array_mut().unwrap().insert(0, json!({"type": "Reviewed", "status": "True"}));
    there["theirs"] = json!(1);
    object.status = Some(there.clone());
    assert_eq!(due_of(&set_of(object.clone()), &none), 0);

    for (path, value) in [
        ("/rules", json!(7)),
        ("/observedGeneration", json!(2)),
        ("/conditions/1/status", json!("False")),
        ("/conditions/2/message", json!("")),
        ("/errors", json!(["old"])),
    ] {
        let mut changed = there.clone();
        match changed.pointer_mut(path) {
            Some(field) => *field = value,
            None => changed[path.trim_start_matches('/')] = value,
        }
        let object = PolicyObject { status: Some(changed), ..object.clone() };
        assert_eq!(due_of(&set_of(object), &none), 1, "{path}");
    }
}

#[test]
fn what_was_written_is_not_written_again_before_the_watch_has_it_and_is_when_somebody_changed_it() {
    let object = PolicyObject { in_force: InForce::This { rules: 0 }, ..valid() };
    let mut written = Written::default();
    let [(_, status)] = due(&set_of(object.clone()), &written, at(NOW)).try_into().unwrap();
    written.enter(&object, status.clone());
    let is_due = |object: &PolicyObject, written: &Written| {
        !due(&set_of(object.clone()), written, at("2026-11-21T00:00:00Z")).is_empty()
    };
    assert!(!is_due(&object, &written), "the watch is behind");
    assert!(!is_due(&PolicyObject { status: Some(status), ..object.clone() }, &written), "the watch has it");
    assert!(is_due(&PolicyObject { status: Some(json!({"rules": 9})), ..object.clone() }, &written), "another wrote");
    assert!(is_due(&PolicyObject { uid: "7b".into(), ..object.clone() }, &written), "another object of that name");
    written.keep(&PolicySet::default());
    assert!(written.0.is_empty());
}
