//! Whether so many different signers can there be: one who is trusted under two names still counts once.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::document::reader::{Place, Text};
use super::super::trust::{Authority, Matcher, Whom, matching};
use super::Findings;
use crate::fact::attached::Fingerprint;

/// Somebody whom authorities trust by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Person<'a> {
    Key(&'a Fingerprint),
    /// A pattern without a star: one identity.
    Identity(&'a str, &'a str),
    /// One of many: there is always another for this authority.
    OneOfMany(usize),
}

fn people(index: usize, authority: &Authority) -> Vec<Person<'_>> {
    match &authority.whom {
        Whom::Keys(keys) => keys.iter().map(|trusted| Person::Key(&trusted.key.fingerprint)).collect(),
        Whom::Keyless(keyless) => match (one(&keyless.issuer), one(&keyless.subject)) {
            (Some(issuer), Some(subject)) => vec![Person::Identity(issuer, subject)],
            (None, _) | (_, None) => vec![Person::OneOfMany(index)],
        },
    }
}

/// The one text that is matched; none where there are several.
fn one(matcher: &Matcher) -> Option<&str> {
    match matcher {
        Matcher::Glob(glob) => Some(glob.as_str()).filter(|text| !text.contains('*')),
        Matcher::Expression(_) => None,
    }
}

/// A threshold that the signers there can be never reach is a mistake, and that two authorities share a signer is worth
/// a warning where more than one signer is demanded. `names` are those of the authorities, as written.
pub(super) fn check(authorities: &[Arc<Authority>], threshold: usize, names: &[Text], findings: &mut Findings) {
    let mut roles: BTreeMap<Person<'_>, Vec<usize>> = BTreeMap::new();
    for (index, authority) in authorities.iter().enumerate() {
        for person in people(index, authority) {
            let indices = roles.entry(person).or_default();
            if indices.last() != Some(&index) {
                indices.push(index);
            }
        }
    }
    let shared: Vec<usize> = roles.values().filter(|several| several.len() > 1).flatten().copied().collect();
    let Some((place, sharing)) = told(authorities, &shared, names) else { return };
    let edges: Vec<Vec<usize>> = roles.into_values().collect();
    let most = matching::most(&edges, authorities.len());
    if most < threshold {
        let message = format!("can never be met with a threshold of {threshold}: {sharing} and one signer counts once");
        findings.mistakes.add(place, message);
    } else if threshold > 1 {
        findings.warnings.add(place, format!("{sharing} and one signer counts once"));
    }
}

/// The authorities that share a signer, and where the first of them is named; none where none do.
fn told<'n>(authorities: &[Arc<Authority>], shared: &[usize], names: &'n [Text]) -> Option<(&'n Place, String)> {
    let sharing = authorities.iter().enumerate().filter(|(index, _)| shared.contains(index));
    let sharing: Vec<(usize, &str)> = sharing.map(|(index, authority)| (index, &*authority.name)).collect();
    let (first, _) = sharing.first()?;
    let listed: Vec<&str> = sharing.iter().map(|(_, name)| *name).collect();
    Some((&names.get(*first)?.place, format!("{} share a signer,", listed.join(" and "))))
}
