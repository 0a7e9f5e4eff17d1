//! Statements that say what they must, and ones that differ in one thing.

use serde_json::json;

use super::*;

const HEX: &str = "271e41677dbfdbd010d161a60bdac386093f2c8a392687122c04555e651c7e1d";
const TYPE_V1: &str = "https://slsa.dev/provenance/v1";

fn ours() -> Vec<Digest> {
    vec![Digest::parse(&format!("sha256:{HEX}")).unwrap()]
}

fn statement() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "other", "digest": {"sha1": "abc"}}, {"digest": {"sha256": HEX}}],
        "predicateType": TYPE_V1,
        "predicate": {
            "runDetails": {"builder": {"id": "https://github.com/actions/runner"}},
            "list": [{"name": "first"}, {"name": "second"}],
            "number": 17, "float": 1.5, "huge": 1e300, "yes": true, "nothing": null,
            "long": "x".repeat(TEXT), "longer": "x".repeat(TEXT + 1), "0": "zero",
        },
    })
}

fn read(statement: &Value) -> Result<Statement<'static>, &'static str> {
    // A test ends, and so does what it leaks.
    Statement::read(PAYLOAD_TYPE, statement.to_string().leak().as_bytes())
}

/// The statement with one thing changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut statement = statement();
    *statement.pointer_mut(pointer).unwrap() = value;
    statement
}

fn without(name: &str) -> Value {
    let mut statement = statement();
    statement.as_object_mut().unwrap().remove(name).unwrap();
    statement
}

fn asking(paths: &[&str]) -> Predicates {
    BTreeMap::from([(TYPE_V1.into(), paths.iter().map(|path| (*path).into()).collect())])
}

#[test]
fn both_versions_of_the_statement_are_read() {
    for version in TYPES {
        assert!(read(&with("/_type", version.into())).is_ok(), "{version}");
    }
}

#[test]
fn what_is_no_statement_is_refused_with_the_reason() {
    let versions = "its statement is not of in-toto's version 0.1 or 1";
    let predicate_type = "its statement has no predicate type, or one of more than 1024 bytes";
    let subject = "its statement has no subject with digests";
    let many = vec![json!({"digest": {"sha256": HEX}}); SUBJECTS + 1];
    for (statement, words) in [
        (json!([]), "its statement is no JSON object"),
        (without("_type"), versions),
        (with("/_type", "https://in-toto.io/Statement/v1 ".into()), versions),
        (with("/_type", "https://in-toto.io/statement/v1".into()), versions),
        (without("predicateType"), predicate_type),
        (with("/predicateType", "".into()), predicate_type),
        (with("/predicateType", "x".repeat(1025).into()), predicate_type),
        (with("/predicateType", json!(["https://slsa.dev/provenance/v1"])), predicate_type),
        (without("subject"), subject),
        (with("/subject", json!([])), subject),
        (with("/subject", json!({"digest": {"sha256": HEX}})), subject),
        (with("/subject/0", json!({"name": "no digest"})), subject),
        (with("/subject/0/digest", json!({})), subject),
        (with("/subject/0/digest/sha1", 17.into()), subject),
        (with("/subject", many.into()), "its statement has more than 4096 subjects"),
    ] {
        assert_eq!(read(&statement).unwrap_err(), words);
    }
    let text = statement().to_string();
    assert_eq!(Statement::read("text/plain", text.as_bytes()).unwrap_err(), "its payload is not an in-toto statement");
    let twice = text.replacen('{', &format!("{{\"predicateType\":\"{TYPE_V1}\","), 1);
    assert_eq!(Statement::read(PAYLOAD_TYPE, twice.as_bytes()).unwrap_err(), "a field stands twice in its JSON");
    assert_eq!(Statement::read(PAYLOAD_TYPE, b"{").unwrap_err(), "it is no JSON, or nested too deeply");
}

#[test]
fn a_path_leads_to_a_text_to_nothing_or_to_what_cannot_be_compared() {
    let text = |text: &str| Field::Text(text.into());
    for (path, field) in [
        ("runDetails.builder.id", text("https://github.com/actions/runner")),
        ("list.1.name", text("second")),
        ("number", text("17")),
        ("float", text("1.5")),
        ("yes", text("true")),
        ("0", text("zero")),
        ("long", text(&"x".repeat(TEXT))),
        ("longer", Field::NotScalar),
        ("huge", Field::NotScalar),
        ("nothing", Field::NotScalar),
        ("list", Field::NotScalar),
        ("runDetails.builder", Field::NotScalar),
        ("runDetails.builder.ID", Field::Missing),
        ("runDetails..builder", Field::Missing),
        ("list.2.name", Field::Missing),
        ("list.01.name", Field::Missing),
        ("list.+1.name", Field::Missing),
        ("list..name", Field::Missing),
        ("number.0", Field::Missing),
        ("", Field::Missing),
    ] {
        let claim = read(&statement()).unwrap().claim(&ours(), &asking(&[path]));
        assert_eq!(
            claim,
            Claim::Statement { predicate_type: TYPE_V1.into(), fields: vec![(path.into(), field)], report: None },
            "{path}"
        );
    }
}

#[test]
fn paths_of_exactly_its_type_alone_are_looked_up() {
    for other in [
        "https://slsa.dev/provenance/v1/",
        "https://slsa.dev/Provenance/v1",
        " https://slsa.dev/provenance/v1",
        "https://slsa.dev/provenance/v0.2",
    ] {
        let claim = read(&with("/predicateType", other.into())).unwrap().claim(&ours(), &asking(&["number"]));
        assert_eq!(claim, Claim::Statement { predicate_type: other.into(), fields: Vec::new(), report: None });
    }
    let claim = read(&without("predicate")).unwrap().claim(&ours(), &asking(&["number"]));
    assert_eq!(
        claim,
        Claim::Statement {
            predicate_type: TYPE_V1.into(),
            fields: vec![("number".into(), Field::Missing)],
            report: None
        }
    );
}

#[test]
fn a_statement_about_another_digest_is_one_of_elsewhere() {
    let other = HEX.replace("271e", "271f");
    for (statement, names) in [
        (with("/subject/1/digest/sha256", other.into()), "sha256:271f41677dbf"),
        (with("/subject/1/digest", json!({"sha512": "0".repeat(128)})), "sha512:000000000000"),
        (with("/subject/1/digest", json!({"sha384": HEX})), "no digest of an image"),
        (with("/subject/1/digest/sha256", HEX.to_uppercase().into()), "no digest of an image"),
        (with("/subject/1/digest", json!({"SHA256": HEX})), "no digest of an image"),
    ] {
        let elsewhere = Claim::Elsewhere { predicate_type: Some(TYPE_V1.into()), names: names.into() };
        assert_eq!(read(&statement).unwrap().claim(&ours(), &asking(&[])), elsewhere);
    }
}

#[test]
fn a_digest_is_looked_for_under_its_own_algorithm() {
    let ours = [Digest::parse(&format!("sha512:{}", "0".repeat(128))).unwrap()];
    let statement = read(&with("/subject/1/digest", json!({"sha512": "0".repeat(128)}))).unwrap();
    assert_eq!(statement.about(&ours), Some(&ours[0]));
    assert!(matches!(statement.claim(&ours, &asking(&[])), Claim::Statement { .. }));
}

#[test]
fn a_statement_of_cosign_sign_is_a_signature_with_the_annotations_of_its_subject() {
    let mut sign = with("/predicateType", SIGN.into());
    let none = Claim::Image { reference: None, annotations: BTreeMap::new() };
    assert_eq!(read(&sign).unwrap().claim(&ours(), &asking(&[])), none);
    sign["subject"][0]["annotations"] = json!({"env": "of another subject"});
    sign["subject"][1]["annotations"] = json!({"env": "prod", "n": 1});
    let annotations =
        BTreeMap::from([("env", "prod"), ("n", "1")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(read(&sign).unwrap().claim(&ours(), &asking(&[])), Claim::Image { reference: None, annotations });
    for other in ["https://sigstore.dev/cosign/sign/v1/", "https://sigstore.dev/cosign/sign/v2"] {
        let claim = read(&with("/predicateType", other.into())).unwrap().claim(&ours(), &asking(&[]));
        assert!(matches!(claim, Claim::Statement { .. }), "{other}");
    }
}
