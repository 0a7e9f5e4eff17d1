//! `ImagePolicy` as written -> [`Policy`], or all its mistakes.
//!
//! Promises: what compiles demands something of every image that it matches, unless it says `admit: true` or
//! `unmatched: allow` in so many words; an empty list, a missing field or a demand that this build cannot check never
//! becomes "nothing demanded". Refuses a document as a whole: half of a policy is none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::fact::attached::PublicKey;

use super::document::reader::{Field, Mistakes, Place, Placed, Read, Text, refuse_repeated};
use super::document::scalar::{DNS_LABEL, is_dns_label};
use super::document::wording::{nearest, quoted};
use super::document::{Mistake, Node, parse_documents};
use super::file::{self, API_VERSION, Document, KIND, Spec};
use super::scan::WrittenWaiver;
use super::trust::{self, RootName};
use super::{Inaccessible, Policy, PolicyName, Tolerance, Unavailable, Unmatched};

mod authority;
mod rule;
mod signed;
mod signers;
mod vulnerabilities;

use authority::Sources;

/// What became of a document without mistakes.
#[derive(Debug)]
pub struct Compiled {
    pub policy: Policy,
    /// What is allowed and yet surely not meant.
    pub warnings: Vec<Mistake>,
    /// The trusted roots that authorities name, each with what to say if the settings have none of that name. Of an
    /// authority that no rule names as well.
    pub roots: Vec<(RootName, Mistake)>,
    /// Every waiver of every rule, for [`super::scan::waiver_warnings`]: there is no clock here.
    pub waivers: Vec<WrittenWaiver>,
}

/// Where a policy writes a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAt<'a> {
    Pem(&'a str),
    /// As written: relative to the policy's own folder.
    File(&'a str),
    /// In our own namespace.
    Secret {
        name: &'a str,
        key: &'a str,
    },
}

/// Reads the public keys that policies name; the error is a clause that never quotes the key. Given, because this room
/// has neither files nor cryptography.
pub type ReadKey<'a> = dyn Fn(KeyAt<'_>) -> Result<PublicKey, String> + 'a;

/// Compiles one `ImagePolicy`. `source` is the file, or the object in the cluster, that the mistakes name.
pub fn compile(node: &Node, source: &str, read_key: &ReadKey<'_>) -> Result<Compiled, Vec<Mistake>> {
    let mut findings = Findings {
        mistakes: Mistakes::of(source),
        warnings: Mistakes::of(source),
        roots: Vec::new(),
        waivers: Vec::new(),
    };
    let sources = Sources { origin: Origin::of(node), read_key };
    let policy = Document::read(node, &Place::root(node), &mut findings.mistakes)
        .and_then(|document| policy(document, sources, &mut findings));
    let Findings { mut mistakes, warnings, roots, waivers } = findings;
    match policy {
        Some(policy) if mistakes.is_empty() => {
            let unknown = |(root, Place { path, line }): (RootName, Place)| {
                let message = format!("the settings have no trusted root {}: add it to `trust`", quoted(&root));
                (root, Mistake { source: source.to_owned(), line, path, message })
            };
            let roots = roots.into_iter().map(unknown).collect();
            Ok(Compiled { policy, warnings: warnings.in_order(), roots, waivers })
        }
        Some(_) => Err(mistakes.in_order()),
        None => {
            if mistakes.is_empty() {
                mistakes.add(&Place::root(node), "was refused without a reason: please report this");
            }
            Err(mistakes.in_order())
        }
    }
}

/// `baseline` and `restricted`; a policy of the operator's with the same name replaces one.
#[must_use]
pub fn built_in() -> Vec<Policy> {
    let files = [
        ("baseline.yaml", include_str!("../../manifests/policies/baseline.yaml")),
        ("restricted.yaml", include_str!("../../manifests/policies/restricted.yaml")),
    ];
    let compiled = files.iter().flat_map(|(source, text)| {
        let documents = parse_documents(text).expect("the text is part of the program, and a test reads it");
        documents.into_iter().map(|node| compile(&node, source, &no_keys).expect("as above").policy)
    });
    compiled.collect()
}

/// For policies that have no keys.
fn no_keys(_: KeyAt<'_>) -> Result<PublicKey, String> {
    Err("has no place to be read from".to_owned())
}

/// What is found while compiling.
struct Findings {
    mistakes: Mistakes,
    warnings: Mistakes,
    /// Where trusted roots are named.
    roots: Vec<(RootName, Place)>,
    waivers: Vec<WrittenWaiver>,
}

/// Where a policy was written: a cluster's has no files beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    File,
    Cluster,
}

impl Origin {
    /// Text has lines; what the API server says has none.
    fn of(node: &Node) -> Self {
        if node.line.is_some() { Self::File } else { Self::Cluster }
    }
}

fn policy(document: Document, sources: Sources<'_>, findings: &mut Findings) -> Option<Policy> {
    let Document { api_version, kind, metadata, spec, status: _ } = document;
    must_be(&api_version, API_VERSION, &mut findings.mistakes);
    must_be(&kind, KIND, &mut findings.mistakes);
    let name = metadata.given().and_then(|metadata| policy_name(&metadata.name, &mut findings.mistakes));
    let Field::Given(Spec { unmatched, unavailable, inaccessible, rules, authorities }) = spec else {
        return None;
    };
    let trusted = Trusted::of(&authorities, sources, findings);
    let rules = rules.given().and_then(|rules| {
        trusted.warn_of_unnamed(&rules.0, &mut findings.warnings);
        rule::compile_all(&rules.0, &trusted, findings)
    });
    Some(Policy {
        name: name?,
        unmatched: unmatched.or(Unmatched::Deny),
        tolerance: Tolerance {
            unavailable: unavailable.or(Unavailable::Running),
            inaccessible: inaccessible.or(Inaccessible::Deny),
        },
        rules: rules?,
    })
}

fn must_be(field: &Field<Text>, expected: &str, mistakes: &mut Mistakes) {
    if let Some(text) = field.given().filter(|text| text.value != expected) {
        mistakes.add(&text.place, format!("must be {expected}, found {}", quoted(&text.value)));
    }
}

fn policy_name(name: &Field<Text>, mistakes: &mut Mistakes) -> Option<PolicyName> {
    let name = name.given()?;
    check_label(name, "a policy's name", mistakes);
    Some(PolicyName::from(name.value.as_str()))
}

/// Names that stand in labels, log lines and metrics.
fn check_label(name: &Text, what: &str, mistakes: &mut Mistakes) {
    if !is_dns_label(&name.value) {
        mistakes.add(&name.place, format!("{what} has {DNS_LABEL}; found {}", quoted(&name.value)));
    }
}

/// `spec.authorities` by name.
struct Trusted<'a> {
    /// `None` where one had mistakes, and what names it need not have one more.
    by_name: BTreeMap<&'a str, (&'a Place, Option<Arc<trust::Authority>>)>,
    /// The name of each could be read. Else no reference can be called wrong.
    all_read: bool,
}

impl<'a> Trusted<'a> {
    fn of(authorities: &'a Field<Vec<Placed<file::Authority>>>, sources: Sources<'_>, findings: &mut Findings) -> Self {
        let list = match authorities {
            Field::Absent => &[][..],
            Field::Unusable => return Self { by_name: BTreeMap::new(), all_read: false },
            Field::Given(list) => list,
        };
        let names: Vec<&Text> = list.iter().filter_map(|authority| authority.value.name.given()).collect();
        refuse_repeated(names.iter().copied(), &mut findings.mistakes);
        let all_read = names.len() == list.len() && !findings.mistakes.has_lost_items("spec.authorities");
        let mut by_name = BTreeMap::new();
        for authority in list {
            let compiled = authority::compile(authority, sources, findings).map(Arc::new);
            if let Field::Given(name) = &authority.value.name {
                by_name.entry(name.value.as_str()).or_insert((&name.place, compiled));
            }
        }
        Self { by_name, all_read }
    }

    /// Each name exists, and none stands twice; else `None`, after a mistake.
    fn named(&self, names: &[Text], mistakes: &mut Mistakes) -> Option<Vec<Arc<trust::Authority>>> {
        refuse_repeated(names, mistakes);
        let found: Vec<Option<Arc<trust::Authority>>> = names.iter().map(|name| self.find(name, mistakes)).collect();
        found.into_iter().collect::<Option<Vec<_>>>().filter(|found| !found.is_empty())
    }

    fn find(&self, name: &Text, mistakes: &mut Mistakes) -> Option<Arc<trust::Authority>> {
        if let Some((_, authority)) = self.by_name.get(name.value.as_str()) {
            return authority.clone();
        }
        if self.all_read {
            let known: Vec<&str> = self.by_name.keys().copied().collect();
            let advice = match (nearest(&name.value, &known), known.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "spec.authorities has none".to_owned(),
                (None, false) => format!("there are {}", known.join(", ")),
            };
            mistakes.add(&name.place, format!("no authority is named {}; {advice}", quoted(&name.value)));
        }
        None
    }

    fn warn_of_unnamed(&self, rules: &[Placed<file::Rule>], warnings: &mut Mistakes) {
        let named: BTreeSet<&str> = rules.iter().flat_map(|rule| rule::authorities(&rule.value)).collect();
        for (name, (place, _)) in &self.by_name {
            if !named.contains(name) {
                warnings.add(place, "has no effect: no rule names this authority");
            }
        }
    }
}

/// It is not as it must be, and has its mistake.
#[derive(Debug)]
struct Refused;

/// What a field compiles to; none where it is not written.
fn written<T, C>(field: &Field<T>, compile: impl FnOnce(&T) -> Option<C>) -> Result<Option<C>, Refused> {
    match field {
        Field::Absent => Ok(None),
        Field::Unusable => Err(Refused),
        Field::Given(given) => compile(given).map(Some).ok_or(Refused),
    }
}

/// Exactly one of these fields must be there: a mistake for none and for several.
fn exactly_one(place: &Place, fields: &[(&str, bool)], mistakes: &mut Mistakes) {
    let written: Vec<&str> = fields.iter().filter(|(_, written)| *written).map(|(name, _)| *name).collect();
    if written.len() != 1 {
        let all: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        let found = if written.is_empty() { "none".to_owned() } else { written.join(" and ") };
        mistakes.add(place, format!("needs exactly one of {}; found {found}", all.join(", ")));
    }
}

/// A pattern of any kind, as its parser sees it.
fn pattern<T, E: std::fmt::Display>(
    text: &Text,
    parse: fn(&str) -> Result<T, E>,
    mistakes: &mut Mistakes,
) -> Option<T> {
    match parse(&text.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            mistakes.add(&text.place, format!("{} is no pattern: {error}", quoted(&text.value)));
            None
        }
    }
}

#[cfg(test)]
mod tests;
