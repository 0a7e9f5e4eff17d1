//! Bodies without end, without beginning, of another length than is said, and compressed, on manifests and on tokens.

use super::*;

const MANIFEST_TOO_LONG: (&str, &str) = ("registry-broken", "HOST sent more than 4 MiB for a manifest");
const TOKEN_TOO_LONG: (&str, &str) =
    ("registry-broken", "the token service of HOST sent more than 256 KiB for a token");
const LATE: (&str, &str) = ("registry-unavailable", "HOST has not answered in time; try again");
const GIBIBYTE: u64 = 1 << 30;

#[tokio::test]
async fn a_manifest_that_is_too_long_is_not_read_to_its_end() {
    let mut lies = Vec::new();
    for door in [Open, Private] {
        for behaviour in [
            Behaviour::EndlessBody,
            Behaviour::LongBody(GIBIBYTE),
            Behaviour::LongBody((4 << 20) + 1),
            Behaviour::LyingLength { says: 1 << 62, sends: 100 },
            Behaviour::LyingLength { says: GIBIBYTE, sends: 0 },
        ] {
            lies.push(Lie::on(door, Route::Manifest, behaviour, MANIFEST_TOO_LONG).await);
        }
    }
    // No length at all to those who read it.
    let no_length = || Behaviour::LyingLength { says: u64::MAX, sends: 100 };
    lies.push(Lie::on(Open, Route::Manifest, no_length(), ("registry-broken", "HOST sent more header than")).await);
    lies.push(
        Lie::on(Private, Route::Manifest, no_length(), ("registry-unavailable", "HOST broke its answer off")).await,
    );
    assert_refused(lies).await;
}

#[tokio::test]
async fn a_manifest_of_another_length_than_is_said_is_none() {
    let mut lies = Vec::new();
    let cut = ("registry-unavailable", "HOST broke its answer off; try again");
    for door in [Open, Private] {
        for behaviour in [Behaviour::LyingLength { says: 1 << 20, sends: 100 }, Behaviour::ResetMidBody] {
            lies.push(Lie::on(door, Route::Manifest, behaviour, cut).await);
        }
    }
    // Over HTTP/1.1 the answer ends where it says that it does, and these are not the bytes of its digest.
    let shortened = ("digest-mismatch", "HOST sent a manifest with the Docker-Content-Digest of another");
    let longer = || Behaviour::LyingLength { says: 100, sends: 1 << 20 };
    lies.push(Lie::on(Open, Route::Manifest, longer(), shortened).await);
    lies.push(Lie::on(Private, Route::Manifest, longer(), cut).await);
    assert_refused(lies).await;
}

#[tokio::test]
async fn what_is_compressed_is_not_unpacked() {
    let bomb = || Behaviour::GzipBomb;
    let words = ("registry-broken", "HOST sent a compressed answer, which was not asked for");
    let of_token = ("registry-broken", "the token service of HOST sent a compressed answer, which was not asked for");
    let brotli = Behaviour::Status {
        code: 200,
        headers: vec![("Content-Encoding".to_owned(), "identity, br".to_owned())],
        body: Image::single().bytes(),
    };
    assert_refused(vec![
        Lie::on(Open, Route::Manifest, bomb(), words).await,
        Lie::on(Private, Route::Manifest, bomb(), words).await,
        Lie::on(Private, Route::Token, bomb(), of_token).await,
        Lie::on(Open, Route::Manifest, brotli, words).await,
    ])
    .await;
}

#[tokio::test]
async fn who_stalls_is_late_when_the_review_is() {
    let mut lies = Vec::new();
    for door in [Open, Private] {
        for behaviour in [
            Behaviour::SlowHeaders,
            Behaviour::DrippingBody(Duration::from_millis(500)),
            Behaviour::Delay(Duration::from_secs(30)),
        ] {
            lies.push(Lie::on(door, Route::Manifest, behaviour, LATE).await.stalls());
        }
    }
    for behaviour in [Behaviour::SlowHeaders, Behaviour::DrippingBody(Duration::from_millis(500))] {
        lies.push(Lie::on(Private, Route::Token, behaviour, LATE).await.stalls());
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_an_outage() {
    let mut lies = Vec::new();
    for door in [Open, Private] {
        let cut =
            Lie::on(door, Route::Manifest, Behaviour::Reset, ("registry-unavailable", "HOST broke its answer off"));
        lies.push(cut.await);
    }
    let of_token = ("registry-unavailable", "the token service of HOST broke its answer off; try again");
    for behaviour in [
        Behaviour::Reset,
        Behaviour::ResetMidBody,
        Behaviour::LyingLength { says: 200 << 10, sends: 100 },
        Behaviour::LyingLength { says: 10, sends: 1 << 20 },
    ] {
        lies.push(Lie::on(Private, Route::Token, behaviour, of_token).await);
    }
    assert_refused(lies).await;
}

#[tokio::test]
async fn a_token_that_is_too_long_is_not_read_to_its_end() {
    let mut lies = Vec::new();
    for behaviour in
        [Behaviour::EndlessBody, Behaviour::LongBody(GIBIBYTE), Behaviour::LyingLength { says: GIBIBYTE, sends: 5 }]
    {
        lies.push(Lie::on(Private, Route::Token, behaviour, TOKEN_TOO_LONG).await);
    }
    assert_refused(lies).await;
}
