//! Reads of an API server that keeps to a script.

use futures_util::future::join_all;
use rpds::HashTrieMapSync;

use crate::evidence::cluster::watching::tests::script::{Reply, Script, namespace};
use crate::evidence::scope::Namespaces;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn asking(replies: Vec<Reply>) -> (Script, Namespaces) {
    let script = Script::of(replies);
    let namespaces = Namespaces::live(Connection::by(script.client()));
    (script, namespaces)
}

fn labels(policy: &str) -> Labels {
    Labels { enforce: Some(policy.to_owned()), ..Labels::default() }
}

/// Within a deadline that is far away.
async fn ask(namespaces: &Namespaces, name: &str) -> Result<Labels, Trouble> {
    within(namespaces, name, 10 * SECOND).await
}

async fn within(namespaces: &Namespaces, name: &str, time: Duration) -> Result<Labels, Trouble> {
    let deadline = Deadline::at((Instant::now() + time).into_std());
    match namespaces.labels(name, jiff::Timestamp::now(), deadline).await {
        Fact::Known(seen) => Ok(seen.value),
        Fact::Unavailable(trouble) => Err(trouble),
        other @ (Fact::Absent(_) | Fact::Pending) => panic!("{other:?}"),
    }
}

fn watched(names: &[(&str, &str)]) -> HashTrieMapSync<Arc<str>, Arc<Labels>> {
    names.iter().map(|(name, policy)| (Arc::from(*name), Arc::new(labels(policy)))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_the_watch_has_not_brought_is_read_once_for_a_burst_and_only_its_metadata() {
    let (script, namespaces) = asking(vec![namespace("shop", "acme")]);
    let burst = join_all((0..100).map(|_| ask(&namespaces, "shop"))).await;
    assert!(burst.iter().all(|told| *told == Ok(labels("acme"))), "{burst:?}");
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("acme")));
    assert_eq!(script.asked(), ["/api/v1/namespaces/shop"]);
    assert_eq!(script.accepts(), ["application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_kept_for_a_moment_and_no_longer() {
    let (_script, namespaces) = asking(vec![namespace("shop", "acme"), namespace("shop", "other")]);
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("acme")));
    tokio::time::advance(KEPT * 4 / 5).await;
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("acme")));
    tokio::time::advance(KEPT / 5).await;
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("other")));
}

#[tokio::test(start_paused = true)]
async fn once_the_watch_has_had_a_namespace_what_was_read_of_it_counts_no_more() {
    let (script, namespaces) = asking(vec![namespace("shop", "acme"), namespace("shop", "made-anew")]);
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("acme")));
    namespaces.replace(watched(&[("bank", "x")]));
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("acme")), "another namespace is no reason");
    namespaces.replace(watched(&[("shop", "watched")]));
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("watched")));
    namespaces.replace(watched(&[]));
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("made-anew")), "deleted, and made again");
    assert_eq!(script.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_began_before_the_watch_had_the_namespace_is_not_kept_beyond_it() {
    let Reply::Json(first) = namespace("shop", "acme") else { panic!("a page") };
    let (script, namespaces) = asking(vec![Reply::HeldBack(first), namespace("shop", "made-anew")]);
    let early = async {
        script.is_held_back().await;
        namespaces.replace(watched(&[("shop", "watched")]));
        namespaces.replace(watched(&[]));
        let anew = ask(&namespaces, "shop").await;
        script.release();
        anew
    };
    let (first, anew) = futures_util::future::join(ask(&namespaces, "shop"), early).await;
    assert_eq!((first, anew), (Ok(labels("acme")), Ok(labels("made-anew"))));
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("made-anew")));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_told_is_said_passes_by_itself_and_is_asked_again() {
    let forbidden = "the labels of namespace `shop` are not known: the API server forbids us to get namespaces: give the \
                     ClusterRole pratique the verb get on namespaces of the core group, and bind it to our service account";
    let away = "the labels of namespace `shop` are not known: the API server cannot be reached to get namespaces";
    for (reply, fault, words) in [
        (Reply::Status(404), Fault::Outage, "the API server has no namespace `shop` yet"),
        (Reply::Status(403), Fault::Outage, forbidden),
        (Reply::Away, Fault::Outage, away),
        (Reply::Hang, Fault::Deadline, "the API server has not told the labels of namespace `shop` in time"),
    ] {
        let (script, namespaces) = asking(vec![reply, namespace("shop", "acme")]);
        let began = Instant::now();
        assert_eq!(ask(&namespaces, "shop").await, Err(Trouble::new(fault, words)));
        assert!(began.elapsed() <= LONGEST_READ + Duration::from_millis(2), "{:?}", began.elapsed());
        assert!(fault.passes());
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(ask(&namespaces, "shop").await, Ok(labels("acme")), "{words}");
        assert_eq!(script.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_review_that_has_no_time_left_is_not_kept_waiting() {
    let (_script, namespaces) = asking(vec![Reply::Hang]);
    let began = Instant::now();
    let late = Trouble::new(Fault::Deadline, "the API server has not told the labels of namespace `shop` in time");
    assert_eq!(within(&namespaces, "shop", 2 * SPARED).await, Err(late));
    assert!(began.elapsed() < LONGEST_READ, "it was given up before the read was: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_on_for_others_when_the_review_that_began_it_is_over() {
    let Reply::Json(text) = namespace("shop", "acme") else { panic!("a page") };
    let (script, namespaces) = asking(vec![Reply::HeldBack(text)]);
    let first = tokio::time::timeout(Duration::from_millis(10), ask(&namespaces, "shop")).await;
    assert!(first.is_err(), "it is over");
    script.release();
    assert_eq!(ask(&namespaces, "shop").await, Ok(labels("acme")));
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_name_of_a_namespace_never_becomes_part_of_a_path() {
    let (script, namespaces) = asking(vec![]);
    let long = "a".repeat(64);
    for name in ["../secrets", "shop?watch=true", "Shop", "", "a/b", "\u{1b}[31m", &long] {
        let trouble = ask(&namespaces, name).await.expect_err("it is no name");
        assert_eq!(trouble.fault, Fault::Broken);
        assert!(
            trouble.words.ends_with(" is no name of a namespace") && !trouble.words.contains('\u{1b}'),
            "{trouble:?}"
        );
    }
    assert_eq!(script.asked(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn so_many_names_are_kept_and_no_more() {
    let (script, namespaces) = asking((0..=MOST).map(|number| namespace("x", &format!("p{number}"))).collect());
    for number in 0..MOST {
        assert_eq!(ask(&namespaces, &format!("n{number}")).await, Ok(labels(&format!("p{number}"))));
    }
    let trouble = Trouble::new(Fault::Outage, "more than 1024 new namespaces are being asked for at once");
    assert_eq!(ask(&namespaces, "another").await, Err(trouble));
    assert_eq!(script.asked().len(), MOST);
    tokio::time::advance(KEPT).await;
    assert_eq!(ask(&namespaces, "another").await, Ok(labels(&format!("p{MOST}"))));
}
