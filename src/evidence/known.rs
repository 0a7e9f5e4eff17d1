//! What is known of an image from before: what its tag named, and whether its namespace has it. From the memory of this
//! process, and from the Pods of the cluster, which all replicas see alike.

use jiff::Timestamp;

use crate::fact::{Admitted, Content, Fact, Guard, Recorded, Resolved, Seen, Source};
use crate::image::Reference;
use crate::policy::plan::{Nodes, Want};

use super::cluster::pods::{Pulled, Running};
use super::{Evidence, Surrounding};

/// What is on record for a tag, and whether Pods alone tell it.
pub(super) struct OnRecord {
    pub(super) fact: Fact<Recorded>,
    of_pods: bool,
}

impl Evidence {
    /// The digest that is on record for repository and tag: that of an admission that this process saw, else what Pods were
    /// given by that name, first those of the namespace itself, else those of namespaces that are enforced.
    pub(super) fn recorded(
        &self,
        want: &Want<'_>,
        address: &Reference,
        around: Surrounding<'_>,
        now: Timestamp,
    ) -> OnRecord {
        if address.digest().is_some() {
            return OnRecord { fact: Fact::Absent(now), of_pods: false };
        }
        let recorded = self.store.recorded(address, now);
        if !matches!(recorded, Fact::Absent(_)) {
            return OnRecord { fact: recorded, of_pods: false };
        }
        let (pods, namespaces) = (&around.cluster.pods, &around.cluster.namespaces);
        // What nobody judged is no record for others.
        let counts = |namespace: &str| {
            let enforced = around.plan.enforces_everywhere || namespaces.says_enforce(namespace);
            enforced && !around.cluster.exempt.contains(namespace)
        };
        let pulled = pods.pulled_in(want.namespace, address).or_else(|| pods.pulled(address, counts));
        let Some(Pulled { digest, at, .. }) = pulled else { return OnRecord { fact: recorded, of_pods: false } };
        // Nobody knows how strictly it was let in.
        let value = Recorded { digest, guard: Guard::Nothing };
        OnRecord { fact: Fact::Known(Seen { value, at, source: Source::Current }), of_pods: true }
    }

    /// Whether this namespace was let have it, or runs it: the digest as written, else as resolved, else what its Pods were
    /// given by that name, else as recorded.
    pub(super) fn admitted(
        &self,
        want: &Want<'_>,
        address: &Reference,
        (resolved, recorded): (&Fact<Resolved>, &Fact<Recorded>),
        around: Surrounding<'_>,
        now: Timestamp,
    ) -> Fact<Admitted> {
        let pulled = || around.cluster.pods.pulled_in(want.namespace, address).map(|pulled| pulled.digest);
        let digest = match (want.reference.digest(), resolved, recorded) {
            (Some(digest), _, _) => digest.clone(),
            (None, Fact::Known(seen), _) => seen.value.digest.clone(),
            (None, _, recorded) => match (pulled(), recorded, resolved) {
                (Some(digest), _, _) => digest,
                (None, Fact::Known(seen), _) => seen.value.digest.clone(),
                (None, _, Fact::Absent(at)) => return Fact::Absent(*at),
                (None, _, Fact::Unavailable(trouble)) => return Fact::Unavailable(trouble.clone()),
                (None, _, Fact::Pending | Fact::Known(_)) => return Fact::Pending,
            },
        };
        let admitted = self.store.admitted(want.namespace, &digest, now);
        match around.cluster.pods.running(want.namespace, &digest, &self.nodes) {
            Some(running) => with_pods(admitted, running, now),
            None => admitted,
        }
    }
}

/// Of an index some runtimes report the digest of the image that they took from it. Where that is the only one which the pod
/// could be given now, nothing else can come of the tag than what came of it before.
pub(super) fn as_named(recorded: OnRecord, resolved: &Fact<Resolved>, nodes: &Nodes) -> Fact<Recorded> {
    let OnRecord { fact: recorded, of_pods } = recorded;
    let (Fact::Known(Seen { value, at, source }), Fact::Known(named)) = (&recorded, resolved) else { return recorded };
    let alone = match &named.value.content {
        Content::Index(manifests) => {
            let given = nodes.candidates(manifests);
            !given.is_empty() && given.iter().all(|manifest| manifest.digest == value.digest)
        }
        Content::Image { .. } => false,
    };
    // What this process saw itself is exact.
    if !of_pods || !alone {
        return recorded;
    }
    let value = Recorded { digest: named.value.digest.clone(), guard: value.guard };
    Fact::Known(Seen { value, at: *at, source: *source })
}

/// What Pods tell beside what this process saw. Pods alone let a namespace have what they run, and no other image of the
/// same index.
fn with_pods(admitted: Fact<Admitted>, running: Running, now: Timestamp) -> Fact<Admitted> {
    let Running { first, platforms } = running;
    let known = match admitted {
        Fact::Known(seen) => seen.value,
        Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => Admitted::nothing(first),
    };
    let value = Admitted { first: known.first.min(first), platforms: platforms.into(), ..known };
    Fact::Known(Seen { value, at: now, source: Source::Current })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fact::{PlatformManifest, Softened};
    use crate::image::{Digest, Platform};

    fn digest(letter: char) -> Digest {
        Digest::parse(&format!("sha256:{}", letter.to_string().repeat(64))).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen<T>(value: T) -> Fact<T> {
        Fact::Known(Seen { value, at: at(5), source: Source::Current })
    }

    fn recorded(letter: char) -> Fact<Recorded> {
        seen(Recorded { digest: digest(letter), guard: Guard::Nothing })
    }

    fn manifest(letter: char, architecture: &str) -> PlatformManifest {
        let platform = Platform { architecture: architecture.to_owned(), ..Platform::default() };
        PlatformManifest { platform: Some(platform), digest: digest(letter) }
    }

    fn index(manifests: Vec<PlatformManifest>) -> Fact<Resolved> {
        seen(Resolved { digest: digest('a'), content: Content::Index(manifests.into()) })
    }

    #[test]
    fn the_only_image_that_could_be_taken_from_an_index_is_what_the_index_was_named_by() {
        let amd64 = Nodes::Of(vec![Platform::default()]);
        let named = |of_pods, fact, resolved: &Fact<Resolved>| as_named(OnRecord { fact, of_pods }, resolved, &amd64);
        let both = index(vec![manifest('b', "amd64"), manifest('d', "s390x")]);
        let image = seen(Resolved { digest: digest('b'), content: Content::Image { config: Some(digest('c')) } });
        assert_eq!(named(true, recorded('b'), &both), recorded('a'));
        // What this process saw itself named another.
        assert_eq!(named(false, recorded('b'), &both), recorded('b'));
        for (known, resolved) in [('a', &both), ('c', &both), ('c', &image), ('b', &image), ('b', &Fact::Pending)] {
            assert_eq!(named(true, recorded(known), resolved), recorded(known));
        }
        assert_eq!(named(true, Fact::Absent(at(5)), &both), Fact::Absent(at(5)));
    }

    #[test]
    fn an_index_that_only_carries_the_recorded_image_beside_another_is_not_what_was_named() {
        let anywhere = Nodes::Any(crate::request::Placement::default());
        let amd64 = Nodes::Of(vec![Platform::default()]);
        let named = |resolved: &Fact<Resolved>, nodes| {
            as_named(OnRecord { fact: recorded('b'), of_pods: true }, resolved, nodes)
        };
        assert_eq!(named(&index(vec![manifest('b', "s390x"), manifest('e', "amd64")]), &amd64), recorded('b'));
        assert_eq!(named(&index(vec![manifest('b', "amd64"), manifest('e', "amd64")]), &amd64), recorded('b'));
        assert_eq!(named(&index(vec![manifest('b', "amd64"), manifest('e', "arm64")]), &anywhere), recorded('b'));
        assert_eq!(named(&index(Vec::new()), &anywhere), recorded('b'));
    }

    #[test]
    fn pods_alone_let_a_namespace_have_their_platforms_of_an_index_and_no_other_image_of_it() {
        let platforms = vec![Platform::default()];
        let running = || Running { first: at(3), platforms: platforms.clone() };
        let alone = with_pods(Fact::Absent(at(5)), running(), at(5));
        let expected = Admitted { platforms: platforms.clone().into(), ..Admitted::nothing(at(3)) };
        assert_eq!(alone, seen(expected));
        let softened: Arc<[Softened]> = Arc::new([Softened { by: "acme/all".into(), since: at(4) }]);
        for (first, judged) in [(at(2), None), (at(4), Some(Arc::from([digest('b')])))] {
            let known = Admitted { first, judged, platforms: Arc::default(), softened: Arc::clone(&softened) };
            let both = Admitted { first: first.min(at(3)), platforms: platforms.clone().into(), ..known.clone() };
            assert_eq!(with_pods(seen(known), running(), at(5)), seen(both));
        }
    }
}
