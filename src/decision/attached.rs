//! What holds for signatures and attestations alike: where they must be, and what follows where that cannot be told.

use std::sync::Arc;

use crate::fact::attached::{Attached, Signature};
use crate::fact::{Content, Examined, Fact, ImageFacts, PlatformManifest, Resolved, Seen, Source};
use crate::image::Reference;
use crate::policy::Mode;
use crate::policy::plan::{Judgement, Wait};
use crate::policy::trust::Signed;
use crate::request::printable;

use super::doubt::{self, short};
use super::verdict::{Basis, Reason};
use super::{Finding, Found};

/// Signatures that are told of one by one; beyond it nobody reads on.
const TOLD: usize = 3;

/// One image before one set of demands, its digest known.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) judgement: &'a Judgement,
    pub(super) reference: &'a Reference,
    pub(super) facts: &'a ImageFacts,
    pub(super) resolved: &'a Seen<Resolved>,
    pub(super) examined: &'a Examined,
    /// How it was looked for.
    pub(super) asked: Wait,
}

/// A digest that was looked at.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    /// None: what the name itself stands for.
    pub(super) platform: Option<&'a PlatformManifest>,
    fact: &'a Fact<Arc<Attached>>,
}

impl<'a> Subject<'a> {
    /// What is there for certain.
    pub(super) fn signatures(self) -> &'a [Signature] {
        match self.fact {
            Fact::Known(seen) => &seen.value.signatures,
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => &[],
        }
    }

    /// Whether all that there is was seen.
    fn is_certain(self) -> bool {
        match self.fact {
            Fact::Known(seen) => seen.value.unread.is_none(),
            Fact::Absent(_) => true,
            Fact::Unavailable(_) | Fact::Pending => false,
        }
    }

    fn is(self, enough: &impl Fn(&Attached) -> bool) -> bool {
        matches!(self.fact, Fact::Known(seen) if enough(&seen.value))
    }
}

impl<'a> Case<'a> {
    /// The digests that matter to a demand, the name's own first.
    pub(super) fn subjects(&self, signed: Signed) -> Vec<Subject<'a>> {
        let index = matches!(self.resolved.value.content, Content::Index(_));
        let own = self.examined.own.iter().filter(|_| !(index && signed == Signed::Platforms));
        let platforms = self.examined.platforms.iter().flatten().filter(|_| index && signed != Signed::Index);
        let own = own.map(|fact| Subject { platform: None, fact });
        own.chain(platforms.map(|(manifest, fact)| Subject { platform: Some(manifest), fact })).collect()
    }

    /// What a demand comes to that `enough` on the digests of `signed` meets; `explain` words what is missing.
    pub(super) fn check(
        &self,
        signed: Signed,
        enough: impl Fn(&Attached) -> bool,
        explain: impl FnOnce(&[Subject<'a>]) -> (Reason, String),
    ) -> Found {
        let subjects = self.subjects(signed);
        if signed.holds(self.examined, &self.resolved.value, &enough) {
            return Found::on(self.basis(subjects.iter().filter(|subject| subject.is(&enough))));
        }
        let lacking: Vec<Subject<'a>> = subjects.into_iter().filter(|subject| !subject.is(&enough)).collect();
        if let Some(doubt) = self.doubt(&lacking) {
            return doubt;
        }
        let (reason, message) = match lacking.iter().find_map(|subject| untried(*subject)) {
            Some(untried) => (Reason::SignatureTooMany, untried),
            None => explain(&lacking),
        };
        Found::one(Finding::plain((reason, message)))
    }

    /// ` in ghcr.io/acme/signatures`, where they are not kept beside the image.
    pub(super) fn looked_in(&self) -> String {
        let demands = self.judgement.ruling.demands();
        let examination = demands.and_then(|demands| demands.examination.as_ref());
        let repository = examination.and_then(|examination| examination.repository.as_ref());
        repository.map_or_else(String::new, |repository| format!(" in {}", printable(repository.name(), 120)))
    }

    /// A name that is known from before, or signatures that are, are as good as they were then.
    fn basis<'s>(&self, subjects: impl Iterator<Item = &'s Subject<'a>>) -> Basis
    where
        'a: 's,
    {
        let known = |subject: &Subject<'_>| match subject.fact {
            Fact::Known(seen) => Some(seen.source),
            Fact::Absent(_) | Fact::Unavailable(_) | Fact::Pending => None,
        };
        // A digest never names anything else, however long ago it was seen.
        let named = if self.reference.digest().is_some() { Source::Current } else { self.resolved.source };
        let sources = subjects.filter_map(known).chain([named]);
        sources.map(doubt::basis).max().unwrap_or(Basis::EveryDemandMet)
    }

    /// What is lacking may be where nobody could look. Not on the platforms once one of them lacks it for certain: what
    /// could not be read of the others changes nothing, and whoever pushes an index chooses what else is in it.
    fn doubt(&self, lacking: &[Subject<'_>]) -> Option<Found> {
        let Self { judgement, reference, facts, asked, .. } = self;
        let unsigned_platform = lacking.iter().any(|subject| subject.platform.is_some() && subject.is_certain());
        let matters = |subject: &&Subject<'_>| subject.platform.is_none() || !unsigned_platform;
        let lacking: Vec<Subject<'_>> = lacking.iter().filter(matters).copied().collect();
        if lacking.iter().any(|subject| matches!(subject.fact, Fact::Pending)) {
            if *asked == Wait::AtHand {
                return Some(Found::unasked());
            }
            return Some(doubt::pending(judgement, reference, &facts.admitted, Mode::Enforce));
        }
        let troubles = lacking.iter().filter_map(|subject| match subject.fact {
            Fact::Unavailable(trouble) => Some(trouble),
            Fact::Known(seen) => seen.value.unread.as_ref(),
            Fact::Absent(_) | Fact::Pending => None,
        });
        // One that may pass is told first: trying again will show the rest.
        let trouble = troubles.min_by_key(|trouble| !trouble.fault.passes())?;
        Some(doubt::cannot_tell(judgement, trouble, &facts.admitted, Mode::Enforce))
    }
}

fn untried(subject: Subject<'_>) -> Option<String> {
    let Fact::Known(seen) = subject.fact else { return None };
    let (tried, untried) = (seen.value.signatures.len(), seen.value.untried);
    let message = format!(
        "none of the first {tried} signatures and attestations{} is what is demanded, and {untried} more are not looked \
         at; remove what nobody needs",
        for_platform(subject)
    );
    (untried > 0).then_some(message)
}

/// ` for linux/arm64 (sha256:0123456789ab)`, where it is a platform's.
pub(super) fn for_platform(subject: Subject<'_>) -> String {
    let Some(PlatformManifest { platform, digest }) = subject.platform else { return String::new() };
    match platform {
        Some(platform) => format!(" for {platform} ({})", short(digest)),
        None => format!(" for {} of its index", short(digest)),
    }
}

/// `; found sig-tag: ...; bundle-v0.3: ..., and 4 more`
pub(super) fn found(told: &[String]) -> String {
    if told.is_empty() {
        return String::new();
    }
    let more = told.len().saturating_sub(TOLD);
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    let first = told.get(..TOLD).unwrap_or(told).join("; ");
    format!("; found {first}{more}")
}

/// `release`, `release or ops`, `release, ops or qa`
pub(super) fn names<'n>(names: impl IntoIterator<Item = &'n str>, last: &str) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., end] => format!("{} {last} {end}", first.join(", ")),
    }
}
