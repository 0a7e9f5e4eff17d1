//! Keyrings, and docker credential helpers that are small scripts.

use super::programs::Programs;
use super::*;

const ANSWER: &str = r#"{"ServerURL": "ghcr.io", "Username": "robot", "Secret": "hunter2"}"#;

fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic { username: username.into(), password: Password::new(password) }
}

/// The credentials of a docker config, with the scripts on PATH.
fn load(programs: &Programs, config: &str) -> Result<(Credentials, Vec<String>), Vec<String>> {
    let file = programs.write("config.json", config);
    let path = std::env::join_paths([Path::new("relative"), programs.folder()]).unwrap();
    let told = |mistakes: Vec<Mistake>| -> Vec<String> {
        let folder = format!("{}/", programs.folder().display());
        mistakes.iter().map(|mistake| mistake.to_string().replace(&folder, "")).collect()
    };
    match Credentials::load_on(Some(&path), Some(&file), None) {
        Ok((credentials, warnings)) => Ok((credentials, told(warnings))),
        Err(mistakes) => Err(told(mistakes)),
    }
}

/// The only candidate for a registry, where the helper `x` is for all of them.
fn helper(programs: &Programs, registry: &str) -> Candidate {
    let (credentials, warnings) = load(programs, r#"{"credsStore": "x"}"#).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let mut candidates = credentials.candidates(registry, "acme/web");
    assert_eq!(candidates.len(), 1);
    candidates.remove(0)
}

#[test]
fn the_most_specific_key_comes_first_and_all_that_match_are_tried() {
    let entry = |key: &str, user: &str| format!(r#""{key}": {{"username": "{user}", "password": "p"}}"#);
    let entries = [
        entry("*.example", "glob"),
        entry("https://r.example/v2/", "host"),
        entry("r.example/acme", "path"),
        entry("r.example/acme-evil", "evil"),
        entry("r.example:5000", "port"),
    ];
    let (keyring, _) = Keyring::of_secret(&format!(r#"{{"auths": {{{}}}}}"#, entries.join(",")), "").unwrap();
    let users = |repository: &str| -> Vec<String> {
        let user = |candidate: Candidate| {
            let Candidate::Credential(Credential::Basic { username, .. }) = candidate else { panic!("{candidate:?}") };
            username.to_string()
        };
        keyring.matching("r.example", repository).into_iter().map(user).collect()
    };
    assert_eq!(users("acme/web"), ["path", "host", "glob"]);
    assert_eq!(users("acme-evil/web"), ["evil", "host", "glob"]);
    assert_eq!(users("other"), ["host", "glob"]);
}

#[test]
fn a_secret_is_printed_nowhere() {
    let programs = Programs::new("printed");
    let config = r#"{"auths": {"a": {"auth": "cm9ib3Q6aHVudGVyMg=="}, "b": {"identitytoken": "hunter2"}, "c": {"registrytoken": "hunter2"}}}"#;
    let (credentials, _) = load(&programs, config).unwrap();
    let asker = Asker::new(["a", "b", "c"].iter().flat_map(|host| credentials.candidates(host, "x")).collect());
    assert_eq!(asker.candidates().len(), 3);
    let (keyring, _) = Keyring::of_secret(config, "").unwrap();
    let printed = format!("{credentials:?} {asker:?} {keyring:?} {:?}", asker.candidates());
    assert!(printed.contains("[secret]") && !printed.contains("hunter2"), "{printed}");
}

#[test]
fn the_helper_of_the_host_comes_before_the_store_and_both_before_the_file() {
    let programs = Programs::new("order");
    let config = r#"{
        "credHelpers": {"ghcr.io": "gh", "https://index.docker.io/v1/": "hub", "empty.example": ""},
        "credsStore": "store",
        "auths": {"ghcr.io": {"auth": "cm9ib3Q6aHVudGVyMg=="}, "empty.example": {}}
    }"#;
    let (credentials, warnings) = load(&programs, config).unwrap();
    assert_eq!(
        warnings,
        ["gh", "hub", "store"]
            .map(|name| format!("config.json: docker-credential-{name} is not on PATH: what it is for cannot be had"))
    );
    let helpers = Arc::new(Helpers::on(None));
    let asked = |name: &str, registry: &str| Candidate::Helper(Arc::new(Helper::new(name, registry, &helpers)));
    let robot = Candidate::Credential(basic("robot", "hunter2"));
    assert_eq!(credentials.candidates("ghcr.io", "a"), [asked("gh", "ghcr.io"), robot]);
    assert_eq!(credentials.candidates("docker.io", "library/a"), [asked("hub", "docker.io")]);
    for other in ["empty.example", "other.example", "ghcr.io:443", "evil.ghcr.io"] {
        assert_eq!(credentials.candidates(other, "a"), [asked("store", other)], "{other}");
    }
}

#[test]
fn without_files_there_is_nothing_to_present() {
    let (credentials, warnings) = Credentials::load(None, None).unwrap();
    assert_eq!((credentials.candidates("ghcr.io", "a"), warnings), (Vec::new(), Vec::new()));
}

#[test]
fn mistakes_of_both_files_are_told_at_once() {
    let programs = Programs::new("both");
    let config = programs.write("config.json", "hunter2");
    let paths = ProviderPaths { config: programs.path("missing.yaml"), binaries: programs.folder().to_owned() };
    let mistakes = Credentials::load(Some(&config), Some(&paths)).unwrap_err();
    let told: Vec<&str> = mistakes.iter().map(|mistake| mistake.message.as_str()).collect();
    assert_eq!(
        told,
        [
            "is no valid JSON: a mistake in its syntax (line 1, column 1)",
            "cannot be read: No such file or directory (os error 2)"
        ]
    );
}

#[tokio::test]
async fn a_helper_is_asked_once_and_its_answer_is_kept() {
    let programs = Programs::new("kept");
    programs.counted("docker-credential-x", ANSWER);
    let candidate = helper(&programs, "ghcr.io");
    let asked = (0..20).map(|_| candidate.obtain("ghcr.io", "acme/web"));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer, Ok(vec![basic("robot", "hunter2")]));
    }
    assert_eq!(candidate.obtain("ghcr.io", "acme/other").await, Ok(vec![basic("robot", "hunter2")]));
    assert_eq!(programs.runs("docker-credential-x"), 1);
    assert_eq!(programs.input("docker-credential-x"), "ghcr.io\n");
    assert!(!format!("{candidate:?}").contains("hunter2"));
}

#[tokio::test]
async fn docker_hub_is_asked_about_as_docker_asks() {
    let programs = Programs::new("hub");
    programs.counted("docker-credential-x", ANSWER);
    helper(&programs, "docker.io").obtain("docker.io", "library/nginx").await.unwrap();
    assert_eq!(programs.input("docker-credential-x"), "https://index.docker.io/v1/\n");
}

#[tokio::test]
async fn what_the_registry_refused_is_asked_for_again_once() {
    let programs = Programs::new("refused");
    programs.counted("docker-credential-x", ANSWER);
    let candidate = helper(&programs, "ghcr.io");
    assert!(!candidate.refused("ghcr.io", "acme/web"), "nothing was given");
    candidate.obtain("ghcr.io", "acme/web").await.unwrap();
    assert!(candidate.refused("ghcr.io", "acme/web"));
    candidate.obtain("ghcr.io", "acme/web").await.unwrap();
    assert!(!candidate.refused("ghcr.io", "acme/web"), "it was asked for again a moment ago");
    candidate.obtain("ghcr.io", "acme/web").await.unwrap();
    assert_eq!(programs.runs("docker-credential-x"), 2);
    assert!(!Candidate::Credential(basic("a", "b")).refused("ghcr.io", "acme/web"));
}

#[tokio::test]
async fn each_kind_of_answer_has_its_meaning() {
    let token = Credential::IdentityToken(Password::new("hunter2"));
    for (index, (body, meaning)) in [
        (r#"echo '{"Username": "<token>", "Secret": "hunter2"}'"#, Ok(vec![token])),
        (r#"echo '{"Username": "", "Secret": ""}'"#, Ok(vec![])),
        (r#"echo '{"Username": "<token>", "Secret": ""}'"#, Ok(vec![])),
        ("echo 'credentials not found in native keychain'; exit 1", Ok(vec![])),
        ("echo 'credentials not found'; exit 2", Err("failed with exit code 2")),
        ("echo 'hunter2'; echo hunter2 >&2; exit 1", Err("failed with exit code 1")),
        ("echo '{\"Username\": \"hunter2'", Err("answered what is no credential")),
        ("echo '{\"Username\": 5, \"Secret\": \"hunter2\"}'", Err("answered what is no credential")),
        (
            "printf '{\"Username\": \"<token>\", \"Secret\": \"hunter2\\\\n\"}'",
            Err("answered what is no token: it has characters that no header can hold"),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let programs = Programs::new(&format!("meaning-{index}"));
        programs.script("docker-credential-x", &format!("[ \"$1\" = get ] || exit 9; {body}"));
        let found = helper(&programs, "ghcr.io").obtain("ghcr.io", "acme/web").await;
        let meaning = meaning.map_err(|why| format!("the credential helper docker-credential-x {why}"));
        assert_eq!(found, meaning, "{body}");
    }
}

#[tokio::test]
async fn a_helper_that_fails_rests_and_one_that_is_gone_says_so() {
    let programs = Programs::new("fails");
    programs.script("docker-credential-x", "echo >> \"$0.runs\"; exit 7");
    let candidate = helper(&programs, "ghcr.io");
    for _ in 0..5 {
        let why = candidate.obtain("ghcr.io", "acme/web").await.unwrap_err();
        assert_eq!(why, "the credential helper docker-credential-x failed with exit code 7");
    }
    assert_eq!(programs.runs("docker-credential-x"), 1);
    let (credentials, _) = load(&programs, r#"{"credsStore": "gone"}"#).unwrap();
    let why = credentials.candidates("ghcr.io", "a")[0].obtain("ghcr.io", "a").await.unwrap_err();
    assert_eq!(why, "the credential helper docker-credential-gone is not on PATH");
}

#[tokio::test]
async fn a_secret_of_a_namespace_never_runs_a_program() {
    let programs = Programs::new("never");
    programs.counted("docker-credential-x", ANSWER);
    let text = r#"{"credsStore": "x", "credHelpers": {"ghcr.io": "x"}, "auths": {"ghcr.io": {}}}"#;
    let (keyring, warnings) = Keyring::of_secret(text, "pull").unwrap();
    assert_eq!((keyring.matching("ghcr.io", "acme/web"), warnings.len()), (Vec::new(), 2));
    assert_eq!(programs.runs("docker-credential-x"), 0);
}
