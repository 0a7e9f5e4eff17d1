//! What is attached is found where it was put.

use super::*;
use crate::registry::{Layer, Place, SIMPLE_SIGNING};

/// A manifest by its tag or digest; null fields where there is none.
async fn manifest(registry: &Registry, reference: &str) -> Value {
    json(get(registry, &format!("/v2/team/app/manifests/{reference}")).await).await
}

/// One layer in each of these places; the subject, and the digests of the manifests.
async fn attached(places: [Place; 2]) -> (Registry, String, [String; 2]) {
    let (registry, image) = with_app().await;
    let mut number = 0;
    let digests = places.map(|place| {
        number += 1;
        let layer = Layer::new(SIMPLE_SIGNING, number.to_string()).annotated("key", "value");
        registry.attach_layers("team/app", &image.digest(), place, &[layer])
    });
    (registry, image.digest(), digests)
}

#[tokio::test]
async fn the_tags_of_cosign_gather_layers() {
    for (place, suffix) in [(Place::SignatureTag, "sig"), (Place::AttestationTag, "att")] {
        let (registry, subject, _) = attached([place, place]).await;
        let manifest = manifest(&registry, &format!("{}.{suffix}", subject.replace(':', "-"))).await;
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!([&layers[0]["digest"], &layers[1]["digest"]], [&*digest("1"), &*digest("2")]);
        assert_eq!(layers[1]["annotations"]["key"], "value");
        assert_eq!((layers.len(), &manifest["subject"]), (2, &Value::Null));
    }
}

#[tokio::test]
async fn a_fallback_tag_gathers_referrers_typed_or_not() {
    for (place, artifact_type) in [
        (Place::FallbackTag, "application/vnd.dev.cosign.artifact.sig.v1+json"),
        (Place::UntypedFallbackTag, "application/vnd.oci.empty.v1+json"),
    ] {
        let (registry, subject, digests) = attached([place, place]).await;
        let index = manifest(&registry, &subject.replace(':', "-")).await;
        for (at, attached) in digests.into_iter().enumerate() {
            assert_eq!(index["manifests"][at]["digest"], *attached);
            assert_eq!(index["manifests"][at]["artifactType"], artifact_type);
            let manifest = manifest(&registry, &attached).await;
            assert_eq!(manifest["subject"]["digest"], *subject);
            assert_eq!(manifest["layers"][0]["mediaType"], SIMPLE_SIGNING);
        }
    }
}

#[tokio::test]
async fn a_referrer_is_listed_by_the_api_and_not_where_there_is_none() {
    let (registry, subject, digests) = attached([Place::Referrer, Place::Referrer]).await;
    let path = format!("/v2/team/app/referrers/{subject}");
    let list = json(get(&registry, &path).await).await;
    assert_eq!([&list["manifests"][0]["digest"], &list["manifests"][1]["digest"]], [&*digests[0], &*digests[1]]);
    assert_eq!(manifest(&registry, &subject.replace(':', "-")).await["manifests"], Value::Null);
    for (behaviour, status) in Behaviour::no_referrers().into_iter().zip([404, 303, 200]) {
        registry.on(Route::Referrers, behaviour);
        let response = get(&registry, &path).await;
        assert_eq!(response.status(), status);
        assert!(!response.text().await.unwrap().contains(&digests[0]));
    }
}
