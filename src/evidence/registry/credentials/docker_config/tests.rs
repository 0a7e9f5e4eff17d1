use super::*;

/// `robot:hunter2`
const AUTH: &str = "cm9ib3Q6aHVudGVyMg==";

fn file(text: &str) -> Result<DockerConfig, Vec<String>> {
    read(text, "config.json", Origin::File).map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

/// What an entry of `auths` holds for its registry.
fn entry(text: &str) -> Result<Option<Credential>, Vec<String>> {
    let config = file(&format!(r#"{{"auths": {{"ghcr.io": {text}}}}}"#))?;
    let mut found = config.keyring.credentials("ghcr.io", "acme/web").cloned();
    Ok(found.next())
}

fn robot() -> Credential {
    Credential::Basic { username: "robot".into(), password: Password::new("hunter2") }
}

#[test]
fn an_entry_is_read_in_every_form_that_docker_knows() {
    for text in [
        r#"{"auth": "cm9ib3Q6aHVudGVyMg=="}"#,
        r#"{"auth": "cm9ib3Q6aHVudGVyMg"}"#,
        r#"{"auth": "cm9ib3Q6aHVudGVyMgAA"}"#,
        r#"{"username": "robot", "password": "hunter2", "email": "a@b"}"#,
        r#"{"auth": "cm9ib3Q6aHVudGVyMg==", "username": "other", "password": "other", "identitytoken": ""}"#,
    ] {
        assert_eq!(entry(text), Ok(Some(robot())), "{text}");
    }
    let token = |token: &str| Password::new(token);
    let identity = format!(r#"{{"auth": "{AUTH}", "identitytoken": "a.b"}}"#);
    assert_eq!(entry(&identity), Ok(Some(Credential::IdentityToken(token("a.b")))));
    let registry = format!(r#"{{"auth": "{AUTH}", "identitytoken": "a.b", "registrytoken": "c"}}"#);
    assert_eq!(entry(&registry), Ok(Some(Credential::RegistryToken(token("c")))));
    let colons = entry(r#"{"auth": "cm9ib3Q6aHVudDplcjI="}"#);
    assert_eq!(colons, Ok(Some(Credential::Basic { username: "robot".into(), password: token("hunt:er2") })));
}

#[test]
fn an_empty_entry_is_no_credential() {
    for text in ["{}", "null", r#"{"auth": ""}"#, r#"{"auth": null}"#, r#"{"auth": "Og=="}"#, r#"{"username": ""}"#] {
        assert_eq!(entry(text), Ok(None), "{text}");
    }
    for text in ["{}", r#"{"auths": null}"#, r#"{"auths": {}}"#] {
        assert_eq!(file(text).unwrap().keyring.logins.len(), 0, "{text}");
    }
}

#[test]
fn what_is_not_about_credentials_is_passed_over() {
    let text = "{\n\t\"HttpHeaders\": {\"X\": [1]},\n\t\"currentContext\": \"x\",\n\t\"auths\": {\"ghcr.io\": {\"auth\": \"cm9ib3Q6aHVudGVyMg==\"}}\n}\n";
    assert_eq!(file(text).unwrap().keyring.logins.len(), 1);
}

#[test]
fn every_mistake_has_its_path_and_line_and_quotes_nothing() {
    for (text, told) in [
        ("{\"auths\": \n hunter2}", "config.json:2: is no valid JSON: a mistake in its syntax (line 2, column 2)"),
        ("{\"auths\": {\"hunter2\"", "config.json:1: is no valid JSON: it ends too early (line 1, column 20)"),
        ("[\"hunter2\"]", "config.json:1: must be an object"),
        ("{\"auths\":\n\"hunter2\"}", "config.json:2: auths: must be an object"),
        ("{\"auths\": {\"hunter2\":\n 5}}", "config.json:2: auths[0]: must be an object"),
        ("{\"auths\": {\"a\": {},\n\"hunter2\": {\n\"auth\": 5}}}", "config.json:3: auths[1].auth: must be text"),
        ("{\"auths\": {\"a\": {\n\"auth\": \"hunter2!\"}}}", "config.json:1: auths[0].auth: is no base64"),
        (
            "{\"auths\": {\"a\": {\"auth\": \"aHVudGVyMg==\"}}}",
            "config.json:1: auths[0].auth: is not `user:password` in base64",
        ),
        ("{\"auths\": {\"a\": {\"auth\": \"/w==\"}}}", "config.json:1: auths[0].auth: is no text in base64"),
        (
            "{\"auths\": {\"a\": {\"registrytoken\": \"hunter2\\n\"}}}",
            "config.json:1: auths[0].registrytoken: is no token: it has characters that no header can hold",
        ),
        (
            "{\"auths\": {\"a\": {\"username\": \"hunter2:\"}}}",
            "config.json:1: auths[0].password: has a colon in its user name, which HTTP cannot say",
        ),
        ("{\"auths\": {\"hunter2\": {},\n\"hunter2\": {}}}", "config.json:2: auths: has the key of its entry 2 twice"),
        ("{\"auths\": {}, \"auths\": {}}", "config.json:1: has the key of its entry 2 twice"),
        (
            "{\"auths\": {\"a\": {\"auth\": \"\", \"auth\": \"\"}}}",
            "config.json:1: auths[0]: has the key of its entry 2 twice",
        ),
        (
            "{\"credHelpers\": {\"a\": \"../hunter2\"}}",
            "config.json:1: credHelpers[0]: must be the end of a program's name, as `ecr-login` of `docker-credential-ecr-login`: letters, digits, `.`, `_` and `-`",
        ),
        ("{\"credsStore\": [\"hunter2\"]}", "config.json:1: credsStore: must be text"),
    ] {
        assert_eq!(file(text).unwrap_err(), [told], "{text}");
        assert!(!told.contains("hunter2"));
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "{\"auths\": {\"a\": {\"auth\": \"!\"},\n\"b\": {\"auth\": \"!\"}},\n\"credsStore\": 1}";
    assert_eq!(file(text).unwrap_err().len(), 3);
}

#[test]
fn length_and_number_are_bounded() {
    let entries = |most: usize| (0..most).map(|number| format!("\"h{number}\": {{}}")).collect::<Vec<_>>().join(",");
    assert!(file(&format!("{{\"auths\": {{{}}}}}", entries(MOST_ENTRIES))).is_ok());
    let told = file(&format!("{{\"auths\": {{{}}}}}", entries(MOST_ENTRIES + 1))).unwrap_err();
    assert_eq!(told, ["config.json:1: auths: has more than 256 entries, and no more are read"]);
    let told = file(&format!("{{}}{}", " ".repeat(MOST_BYTES))).unwrap_err();
    assert_eq!(told, ["config.json: has more than 1048576 bytes, and no docker config has"]);
    let told = entry(&format!(r#"{{"identitytoken": "{}"}}"#, "x".repeat(MOST_SECRET + 1))).unwrap_err();
    assert_eq!(told, ["config.json:1: auths[0].identitytoken: is too long"]);
}

#[test]
fn a_key_that_is_for_nothing_is_warned_about() {
    let text =
        r#"{"auths": {"user:hunter2@ghcr.io": {"auth": "cm9ib3Q6aHVudGVyMg=="}}, "credHelpers": {"*.example": "x"}}"#;
    let told: Vec<String> = file(text).unwrap().warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "config.json:1: auths[0]: its key names no host, so it is never used",
            "config.json:1: credHelpers[0]: its key is no host alone, so it is never used",
        ]
    );
}

#[test]
fn the_name_of_a_helper_is_a_name_and_nothing_else() {
    for name in ["ecr-login", "gcr", "osxkeychain", "a.b_c-1"] {
        assert!(is_plain_name(name), "{name}");
    }
    for name in ["", ".", "..", "a/b", "../a", "/a", "-a", ".a", "a b", "a\0", "a\n", "ä", "a;b"] {
        assert!(!is_plain_name(name), "{name}");
    }
    assert!(!is_plain_name(&"a".repeat(201)));
}

#[test]
fn a_secret_names_no_program_whatever_it_says() {
    let text = r#"{"credsStore": "../x", "credHelpers": {"ghcr.io": 5}, "auths": {"ghcr.io": {"auth": "cm9ib3Q6aHVudGVyMg=="}}}"#;
    let config = read(text, "pull", Origin::Secret).unwrap();
    assert_eq!((config.helpers.len(), config.store, config.warnings.len()), (0, None, 2));
    assert_eq!(config.keyring.credentials("ghcr.io", "a").collect::<Vec<_>>(), [&robot()]);
    let legacy = format!(r#"{{"credsStore": {{"auth": "{AUTH}"}}, "ghcr.io": {{"auth": "{AUTH}"}}}}"#);
    let config = read(&legacy, "pull", Origin::LegacySecret).unwrap();
    assert_eq!((config.helpers.len(), config.store), (0, None));
    assert_eq!(config.keyring.credentials("ghcr.io", "a").collect::<Vec<_>>(), [&robot()]);
}
