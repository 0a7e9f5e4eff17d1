//! Who gets in, and what the others are told.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use super::*;
use crate::registry::RegistrySetup;

const APP: &str = "/v2/team/app/manifests/1";

async fn start(setup: RegistrySetup) -> Registry {
    let registry = setup.start().await;
    for repository in ["team/app", "team/private/app", "blue/app", "red/app"] {
        registry.push(repository, "1", &Image::single());
    }
    registry
}

/// A manifest, with this `Authorization`.
async fn ask(registry: &Registry, repository: &str, authorization: Option<&str>) -> Response {
    let mut request = client().get(format!("{}/v2/{repository}/manifests/1", registry.url()));
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    request.send().await.unwrap()
}

/// What the token service says: its status, and the token.
async fn token(registry: &Registry, repository: &str, user: Option<(&str, &str)>) -> (StatusCode, String) {
    let url = format!("{}/token?service={}&scope=repository:{repository}:pull", registry.url(), registry.host());
    let mut request = client().get(url);
    if let Some((name, password)) = user {
        request = request.basic_auth(name, Some(password));
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    (status, json(response).await["token"].as_str().unwrap_or_default().to_owned())
}

/// What a user gets after having gone through the token service.
async fn pull(registry: &Registry, repository: &str, user: Option<(&str, &str)>) -> StatusCode {
    let (status, token) = token(registry, repository, user).await;
    if status != 200 {
        return status;
    }
    ask(registry, repository, Some(&format!("Bearer {token}"))).await.status()
}

fn challenge(response: &Response) -> &str {
    header(response.headers(), "www-authenticate").unwrap()
}

#[tokio::test]
async fn basic_is_needed_for_everything() {
    let registry = start(Registry::setup().basic("me", "secret").user("blue", "b", &["blue"])).await;
    for path in ["/v2/", APP] {
        let response = get(&registry, path).await;
        assert_eq!((response.status().as_u16(), challenge(&response)), (401, "Basic realm=\"registry\""));
        let with = async |password: &str| {
            let request = client().get(registry.url() + path).basic_auth("me", Some(password));
            request.send().await.unwrap().status()
        };
        assert_eq!((with("secret").await, with("wrong").await), (StatusCode::OK, StatusCode::UNAUTHORIZED));
    }
    let theirs = client().get(registry.url() + "/v2/blue/app/manifests/1").basic_auth("me", Some("secret"));
    assert_eq!(theirs.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_challenge_names_realm_service_and_scope() {
    let registry = start(Registry::setup().token("me", "secret")).await;
    let common = format!("Bearer realm=\"{}/token\",service=\"{}\"", registry.url(), registry.host());
    assert_eq!(challenge(&get(&registry, "/v2/").await), common);
    let response = get(&registry, APP).await;
    assert_eq!(response.status(), 401);
    assert_eq!(challenge(&response), format!("{common},scope=\"repository:team/app:pull\""));
    let unknown = ask(&registry, "team/app", Some("Bearer nobody-gave-me-this")).await;
    assert!(challenge(&unknown).ends_with(",error=\"invalid_token\""));
}

#[tokio::test]
async fn anybody_gets_a_token_for_what_is_not_private() {
    let registry = start(Registry::setup().token("me", "secret").private("team/private/")).await;
    assert_eq!(pull(&registry, "team/app", None).await, 200);
    assert_eq!(pull(&registry, "team/private/app", None).await, 401);
    assert_eq!(pull(&registry, "team/private/app", Some(("me", "wrong"))).await, 401);
    assert_eq!(pull(&registry, "team/private/app", Some(("me", "secret"))).await, 200);
    assert_eq!(registry.count(Route::Token), 4);
}

#[tokio::test]
async fn a_token_is_good_for_its_repository_alone() {
    let registry = start(Registry::setup().token("me", "secret")).await;
    let (_, token) = token(&registry, "team/app", None).await;
    let other = ask(&registry, "blue/app", Some(&format!("Bearer {token}"))).await;
    assert_eq!(other.status(), 401);
    assert!(challenge(&other).ends_with(",error=\"insufficient_scope\""));
}

#[tokio::test]
async fn users_see_their_own_repositories_and_not_each_others() {
    let registry = start(Registry::setup().user("blue", "b", &["blue"]).user("red", "r", &["red"])).await;
    assert_eq!(pull(&registry, "blue/app", Some(("blue", "b"))).await, 200);
    assert_eq!(pull(&registry, "blue/app", Some(("red", "r"))).await, 403);
    assert_eq!(pull(&registry, "blue/app", None).await, 401);
    assert_eq!(pull(&registry, "team/app", Some(("red", "r"))).await, 200);
}

#[tokio::test]
async fn empty_tokens_are_refused_by_the_registry_instead() {
    let registry = start(Registry::setup().token("me", "secret").private("blue").empty_tokens()).await;
    let (status, token) = token(&registry, "blue/app", None).await;
    assert_eq!(status, 200);
    let response = ask(&registry, "blue/app", Some(&format!("Bearer {token}"))).await;
    assert_eq!(response.status(), 401);
    assert!(challenge(&response).ends_with(",error=\"insufficient_scope\""));
}

#[tokio::test]
async fn tokens_end_when_their_time_is_up_or_when_they_are_revoked() {
    let setup = Registry::setup().token("me", "secret").token_lifetime(Duration::ZERO);
    let registry = start(setup).await;
    assert_eq!(pull(&registry, "team/app", None).await, 401);
    let registry = start(Registry::setup().token("me", "secret")).await;
    let bearer = format!("Bearer {}", registry.issue("team/app"));
    assert_eq!(ask(&registry, "team/app", Some(&bearer)).await.status(), 200);
    registry.revoke_tokens();
    assert_eq!(ask(&registry, "team/app", Some(&bearer)).await.status(), 401);
}

#[tokio::test]
async fn an_identity_token_is_posted() {
    let setup = Registry::setup().token("me", "secret").private("blue").identity_token("me", "refresh/me");
    let registry = start(setup).await;
    let post = async |refresh: &str| {
        let form = format!("grant_type=refresh_token&refresh_token={refresh}&scope=repository%3Ablue%2Fapp%3Apull");
        let request = client().post(registry.url() + "/token").body(form);
        request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").send().await.unwrap()
    };
    assert_eq!(post("somebody").await.status(), 401);
    let response = post("refresh%2Fme").await;
    assert_eq!(response.status(), 200);
    let token = json(response).await["access_token"].as_str().unwrap().to_owned();
    assert_eq!(ask(&registry, "blue/app", Some(&format!("Bearer {token}"))).await.status(), 200);
    assert!(registry.requests()[1].body.contains("refresh%2Fme"));
}

#[tokio::test]
async fn another_registry_can_be_the_token_service_or_be_said_to_be() {
    let service = Registry::setup().token("me", "secret").private("blue").start().await;
    let registry = start(Registry::setup().tokens_of(&service)).await;
    let realm = format!("Bearer realm=\"{}/token\"", service.url());
    assert!(challenge(&get(&registry, APP).await).starts_with(&realm));
    let (_, token) = token(&service, "blue/app", Some(("me", "secret"))).await;
    assert_eq!(ask(&registry, "blue/app", Some(&format!("Bearer {token}"))).await.status(), 200);
    let liar = start(Registry::setup().token("me", "secret").realm("http://169.254.169.254/token")).await;
    assert!(challenge(&get(&liar, APP).await).starts_with("Bearer realm=\"http://169.254.169.254/token\""));
}

#[tokio::test]
async fn behaviours_are_for_who_may_pass_except_challenges_and_the_echo() {
    let registry = start(Registry::setup().basic("me", "secret")).await;
    let with = async || client().get(registry.url() + APP).basic_auth("me", Some("secret")).send().await.unwrap();
    registry.on(Route::Manifest, Behaviour::TooManyRequests { retry_after: "7".to_owned() });
    assert_eq!(get(&registry, APP).await.status(), 401);
    let response = with().await;
    assert_eq!((response.status().as_u16(), header(response.headers(), RETRY_AFTER.as_str())), (429, Some("7")));
    registry.on(Route::Manifest, Behaviour::EchoAuthorization { status: 401 });
    assert_eq!(challenge(&get(&registry, APP).await), "Basic realm=\"registry\"");
    let wrong = ask(&registry, "team/app", Some("Basic secret-text")).await;
    assert_eq!(wrong.status(), 401);
    assert_eq!(json(wrong).await["errors"][0]["message"], "no access with Basic secret-text");
    registry.on(Route::Manifest, Behaviour::BareUnauthorized);
    for response in [get(&registry, APP).await, with().await] {
        assert_eq!((response.status().as_u16(), response.headers().get("www-authenticate")), (401, None));
    }
    registry.on(Route::Manifest, Behaviour::Challenge("Negotiate".to_owned()));
    assert_eq!(challenge(&with().await), "Negotiate");
}
