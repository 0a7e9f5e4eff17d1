//! Plugins that are small scripts.

use std::time::Instant;

use futures_util::future::join_all;

use super::super::programs::Programs;
use super::*;

const AUTH: &str = r#""auth": {"ghcr.io": {"username": "robot", "password": "hunter2"}}"#;
const HOUR: Duration = Duration::from_secs(3600);

fn response(scope: &str, more: &str) -> String {
    let version = "credentialprovider.kubelet.k8s.io/v1";
    format!(r#"{{"apiVersion": "{version}", "kind": "CredentialProviderResponse", "cacheKeyType": "{scope}", {more}}}"#)
}

fn provider(programs: &Programs, keep: Duration) -> Provider {
    Provider::new(Setup {
        name: "plugin".to_owned(),
        binary: programs.path("plugin"),
        api_version: ApiVersion::V1,
        images: ["ghcr.io", "*.example"].iter().filter_map(|key| Pattern::parse(key)).collect(),
        keep,
        arguments: vec![Password::new("get"), Password::new("")],
        environment: vec![("WORD".to_owned(), Password::new("hunter2"))],
    })
}

/// What a plugin with this answer gives for ghcr.io/acme/web.
async fn given(name: &str, answer: &str) -> Result<Vec<Credential>, String> {
    let programs = Programs::new(&format!("provider-{name}"));
    programs.counted("plugin", answer);
    provider(&programs, HOUR).obtain("ghcr.io", "acme/web").await
}

fn basic(username: &str, password: &str) -> Credential {
    Credential::Basic { username: username.into(), password: Password::new(password) }
}

#[tokio::test]
async fn a_plugin_is_told_the_image_without_its_tag_and_asked_once() {
    let programs = Programs::new("provider-once");
    programs.counted("plugin", &response("Image", AUTH));
    let provider = provider(&programs, HOUR);
    for given in join_all((0..50).map(|_| provider.obtain("ghcr.io", "acme/web"))).await {
        assert_eq!(given, Ok(vec![basic("robot", "hunter2")]));
    }
    assert_eq!(provider.obtain("ghcr.io", "acme/web").await, Ok(vec![basic("robot", "hunter2")]));
    assert_eq!(programs.runs("plugin"), 1);
    let request: serde_json::Value = serde_json::from_str(&programs.input("plugin")).unwrap();
    let wanted = serde_json::json!({
        "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
        "kind": "CredentialProviderRequest",
        "image": "ghcr.io/acme/web",
    });
    assert_eq!(request, wanted);
    assert!(!format!("{provider:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_plugin_gets_its_arguments_and_variables() {
    let programs = Programs::new("provider-arguments");
    let answer = response("Image", r#""auth": {"ghcr.io": {"username": "'"$1|$2|$#|$WORD"'", "password": "p"}}"#);
    programs.script("plugin", &format!("echo '{answer}'"));
    let given = provider(&programs, HOUR).obtain("ghcr.io", "acme/web").await;
    assert_eq!(given, Ok(vec![basic("get||2|hunter2", "p")]));
}

#[tokio::test]
async fn an_answer_is_kept_for_what_it_says_and_shared_as_far() {
    for (scope, runs) in [("Image", 4), ("Registry", 2), ("Global", 1)] {
        let programs = Programs::new(&format!("provider-scope-{scope}"));
        programs.counted("plugin", &response(scope, AUTH));
        let provider = provider(&programs, HOUR);
        let images = [("ghcr.io", "acme/web"), ("ghcr.io", "acme/api"), ("a.example", "x"), ("a.example", "y")];
        for _ in 0..2 {
            for (registry, repository) in images {
                provider.obtain(registry, repository).await.unwrap();
            }
        }
        assert_eq!(programs.runs("plugin"), runs, "{scope}");
    }
}

#[tokio::test]
async fn once_it_is_known_what_answers_are_for_a_burst_runs_the_plugin_once_for_it() {
    let programs = Programs::new("provider-burst");
    programs.counted("plugin", &response("Global", &format!(r#""cacheDuration": "0s", {AUTH}"#)));
    let provider = provider(&programs, HOUR);
    provider.obtain("ghcr.io", "first").await.unwrap();
    let names: Vec<String> = (0..20).map(|number| format!("{number}.example")).collect();
    join_all(names.iter().map(|registry| provider.obtain(registry, "x"))).await;
    assert_eq!(programs.runs("plugin"), 2);
}

#[tokio::test]
async fn an_answer_is_kept_for_as_long_as_it_says_else_as_the_config_says() {
    for (index, (duration, default, runs)) in [
        (r#""cacheDuration": "0", "#, HOUR, 3),
        (r#""cacheDuration": "0s", "#, HOUR, 3),
        ("", Duration::ZERO, 3),
        (r#""cacheDuration": null, "#, HOUR, 1),
        (r#""cacheDuration": "12h0m0s", "#, Duration::ZERO, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let programs = Programs::new(&format!("provider-duration-{index}"));
        programs.counted("plugin", &response("Image", &format!("{duration}{AUTH}")));
        let provider = provider(&programs, default);
        for _ in 0..3 {
            provider.obtain("ghcr.io", "acme/web").await.unwrap();
        }
        assert_eq!(programs.runs("plugin"), runs, "{duration} {default:?}");
    }
}

#[tokio::test]
async fn what_has_expired_is_asked_for_again() {
    let programs = Programs::new("provider-expired");
    programs.counted("plugin", &response("Image", &format!(r#""cacheDuration": "10ms", {AUTH}"#)));
    let provider = provider(&programs, HOUR);
    provider.obtain("ghcr.io", "acme/web").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    provider.obtain("ghcr.io", "acme/web").await.unwrap();
    assert_eq!(programs.runs("plugin"), 2);
}

#[tokio::test]
async fn all_credentials_that_match_are_given_the_most_specific_first() {
    let auth = r#""auth": {
        "*.io": {"username": "glob", "password": "p"},
        "ghcr.io": {"username": "host", "password": "p"},
        "ghcr.io/acme": {"username": "path", "password": "p"},
        "ghcr.io/acm": {"username": "other", "password": "p"},
        "empty.example": {"username": "", "password": ""},
        "": {"username": "nobody", "password": "p"}
    }"#;
    let given = given("all", &response("Registry", auth)).await;
    assert_eq!(given, Ok(vec![basic("path", "p"), basic("host", "p"), basic("glob", "p")]));
}

#[tokio::test]
async fn no_credentials_are_an_answer_that_is_kept_too() {
    for (index, auth) in [r#""auth": null"#, r#""auth": {}"#, r#""other": 1"#].into_iter().enumerate() {
        let programs = Programs::new(&format!("provider-none-{index}"));
        programs.counted("plugin", &response("Image", auth));
        let provider = provider(&programs, HOUR);
        for _ in 0..2 {
            assert_eq!(provider.obtain("ghcr.io", "acme/web").await, Ok(Vec::new()), "{auth}");
        }
        assert_eq!(programs.runs("plugin"), 1);
    }
}

#[tokio::test]
async fn an_answer_that_the_protocol_does_not_have_is_a_failure_that_quotes_nothing() {
    let good = response("Image", AUTH);
    let version = "did not answer with a CredentialProviderResponse of credentialprovider.kubelet.k8s.io/v1";
    let garbage = "answered what is no CredentialProviderResponse";
    for (index, (from, to, told)) in [
        ("k8s.io/v1", "k8s.io/v1beta1", version),
        ("CredentialProviderResponse", "CredentialProviderRequest", version),
        ("\"Image\"", "\"hunter2\"", garbage),
        ("\"Image\"", "\"\"", garbage),
        ("{\"username\"", "[\"hunter2\"", garbage),
        ("\"auth\"", "\"cacheDuration\": \"hunter2\", \"auth\"", "answered with a cacheDuration that is none"),
        ("\"auth\"", "\"cacheDuration\": \"-1s\", \"auth\"", "answered with a cacheDuration that is none"),
        ("robot", "ro:bot", "answered with a credential that has a colon in its user name, which HTTP cannot say"),
    ]
    .into_iter()
    .enumerate()
    {
        let why = given(&format!("broken-{index}"), &good.replacen(from, to, 1)).await.unwrap_err();
        assert_eq!(why, format!("the credential provider plugin {told}"), "{to}");
    }
}

#[tokio::test]
async fn a_plugin_that_fails_rests_for_a_moment_with_its_error() {
    let programs = Programs::new("provider-fails");
    programs.script("plugin", "echo >> \"$0.runs\"; echo hunter2; echo hunter2 >&2; exit 3");
    let provider = provider(&programs, HOUR);
    let before = Instant::now();
    for _ in 0..3 {
        let why = provider.obtain("ghcr.io", "acme/web").await.unwrap_err();
        assert_eq!(why, "the credential provider plugin failed with exit code 3");
    }
    if before.elapsed() < Duration::from_secs(4) {
        assert_eq!(programs.runs("plugin"), 1);
    }
}

#[tokio::test]
async fn a_plugin_is_not_run_for_what_it_is_not_for() {
    let programs = Programs::new("provider-other");
    programs.counted("plugin", &response("Global", AUTH));
    let provider = provider(&programs, HOUR);
    assert_eq!(provider.obtain("quay.io", "acme/web").await, Ok(Vec::new()));
    assert_eq!(programs.runs("plugin"), 0);
}

#[tokio::test]
async fn what_the_registry_refused_is_dropped_in_whatever_it_was_kept_for() {
    for scope in ["Image", "Registry", "Global"] {
        let programs = Programs::new(&format!("provider-refused-{scope}"));
        programs.counted("plugin", &response(scope, AUTH));
        let provider = provider(&programs, HOUR);
        provider.obtain("ghcr.io", "acme/web").await.unwrap();
        assert!(provider.refused("ghcr.io", "acme/web"), "{scope}");
        provider.obtain("ghcr.io", "acme/web").await.unwrap();
        assert!(!provider.refused("ghcr.io", "acme/web"), "{scope}");
        provider.obtain("ghcr.io", "acme/web").await.unwrap();
        assert_eq!(programs.runs("plugin"), 2, "{scope}");
    }
}
