//! What a pod spec says about the platform of its node: `nodeSelector`, and required node affinity.
//!
//! Follows Kubernetes: terms are alternatives, the expressions of one hold together, and a term without any matches no
//! node. Only `In` on the labels that every kubelet sets for its platform constrains. What cannot be read, and what is
//! beyond the bounds, constrains nothing: more platforms are looked at then, never fewer.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use crate::request::{Placement, PlacementTerm};

use super::field::{Text, once};
use super::shape::{Any, Shape, drain};

/// Terms, expressions of a term and values of an expression beyond these are not looked at; real pods have a handful,
/// and there are about ten platforms.
const TERMS: usize = 64;
const EXPRESSIONS: usize = 64;
const VALUES: usize = 64;

/// `kubernetes.io/os` or `kubernetes.io/arch`; the old names are still kept the same by every kubelet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Os,
    Architecture,
}

impl Label {
    fn of(key: &str) -> Option<Self> {
        match key {
            "kubernetes.io/os" | "beta.kubernetes.io/os" => Some(Self::Os),
            "kubernetes.io/arch" | "beta.kubernetes.io/arch" => Some(Self::Architecture),
            _ => None,
        }
    }
}

/// What holds together: each label is one of the values, if there are any constraints on it.
#[derive(Debug, Clone, Default)]
struct Constraint<'a> {
    os: Option<Vec<Cow<'a, str>>>,
    architecture: Option<Vec<Cow<'a, str>>>,
}

impl<'a> Constraint<'a> {
    /// Besides what there is already.
    fn require(&mut self, label: Label, values: Vec<Cow<'a, str>>) {
        let slot = match label {
            Label::Os => &mut self.os,
            Label::Architecture => &mut self.architecture,
        };
        match slot {
            None => *slot = Some(values),
            Some(before) => before.retain(|value| values.contains(value)),
        }
    }

    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        let Self { os, architecture } = other;
        for (label, values) in [(Label::Os, os), (Label::Architecture, architecture)] {
            if let Some(values) = values {
                both.require(label, values.clone());
            }
        }
        both
    }

    fn is_none(&self) -> bool {
        self.os.is_none() && self.architecture.is_none()
    }

    fn term(&self) -> PlacementTerm {
        let owned = |values: &Vec<Cow<'_, str>>| values.iter().map(|value| value.clone().into_owned()).collect();
        PlacementTerm { os: self.os.as_ref().map(owned), architecture: self.architecture.as_ref().map(owned) }
    }
}

/// Both fields of a pod spec together.
pub(super) fn placement(selector: Option<&Any<NodeSelector<'_>>>, affinity: Option<&Any<Affinity<'_>>>) -> Placement {
    let none = Constraint::default();
    let selector = selector.map_or(&none, |Any(NodeSelector(constraint))| constraint);
    let terms: Vec<Constraint<'_>> = match affinity.and_then(|Any(affinity)| affinity.terms()) {
        None => vec![selector.clone()],
        // Terms that match no node are no alternatives, and with none left there is no node at all.
        Some([]) => vec![Constraint { os: Some(Vec::new()), architecture: None }],
        Some(terms) => terms.iter().map(|term| term.and(selector)).collect(),
    };
    if terms.iter().any(Constraint::is_none) {
        return Placement::default();
    }
    Placement { terms: terms.iter().map(Constraint::term).collect() }
}

/// `nodeSelector`: labels that the node must have.
#[derive(Debug)]
pub(super) struct NodeSelector<'a>(Constraint<'a>);

impl<'de: 'a, 'a> Shape<'de> for NodeSelector<'a> {
    fn other() -> Self {
        Self(Constraint::default())
    }

    fn of_map<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut constraint = Constraint::default();
        let (mut os, mut old_os, mut architecture, mut old_architecture) = (None, None, None, None);
        while let Some(Text(key)) = fields.next_key()? {
            let slot = match &*key {
                "kubernetes.io/os" => &mut os,
                "beta.kubernetes.io/os" => &mut old_os,
                "kubernetes.io/arch" => &mut architecture,
                "beta.kubernetes.io/arch" => &mut old_architecture,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let Any(Word(value)) = fields.next_value()?;
            once(slot, &key, value)?;
        }
        let read = [
            (Label::Os, os),
            (Label::Os, old_os),
            (Label::Architecture, architecture),
            (Label::Architecture, old_architecture),
        ];
        for (label, value) in read {
            if let Some(value) = value.flatten() {
                constraint.require(label, vec![value]);
            }
        }
        Ok(Self(constraint))
    }
}

/// `affinity`, down to the terms that are required.
pub(super) type Affinity<'a> = Under<NodeAffinity, Under<Required, Under<NodeSelectorTerms, Terms<'a>>>>;

impl<'a> Affinity<'a> {
    /// None where nothing is required, or what is cannot be read.
    fn terms(&self) -> Option<&[Constraint<'a>]> {
        let Terms(terms) = self.0.as_ref()?.0.as_ref()?.0.as_ref()?;
        terms.as_deref()
    }
}

/// The name of a field.
pub(super) trait Key {
    const KEY: &'static str;
}

#[derive(Debug)]
pub(super) struct NodeAffinity;
#[derive(Debug)]
pub(super) struct Required;
#[derive(Debug)]
pub(super) struct NodeSelectorTerms;

impl Key for NodeAffinity {
    const KEY: &'static str = "nodeAffinity";
}
impl Key for Required {
    const KEY: &'static str = "requiredDuringSchedulingIgnoredDuringExecution";
}
impl Key for NodeSelectorTerms {
    const KEY: &'static str = "nodeSelectorTerms";
}

/// One field of an object; none where it is missing, or there is no object.
#[derive(Debug)]
pub(super) struct Under<K, T>(Option<T>, PhantomData<K>);

impl<'de, K: Key, T: Shape<'de>> Shape<'de> for Under<K, T> {
    fn other() -> Self {
        Self(None, PhantomData)
    }

    fn of_map<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let mut found = None;
        while let Some(Text(key)) = fields.next_key()? {
            if key == K::KEY {
                let Any(value) = fields.next_value()?;
                once(&mut found, &key, value)?;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Self(found, PhantomData))
    }
}

/// `nodeSelectorTerms`, without those that match no node; none where there are too many, or none at all, which no API
/// server lets through.
#[derive(Debug)]
pub(super) struct Terms<'a>(Option<Vec<Constraint<'a>>>);

impl<'de: 'a, 'a> Shape<'de> for Terms<'a> {
    fn other() -> Self {
        Self(None)
    }

    fn of_list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let (mut kept, mut found) = (Vec::new(), 0);
        while found < TERMS {
            let Some(Any(term)) = items.next_element()? else {
                return Ok(Self((found > 0).then_some(kept)));
            };
            found += 1;
            match term {
                Term::Empty => {}
                Term::Constrained(constraint) => kept.push(constraint),
            }
        }
        let more = drain(&mut items)?;
        Ok(Self((!more).then_some(kept)))
    }
}

/// One of `nodeSelectorTerms`.
#[derive(Debug)]
enum Term<'a> {
    /// Without expressions: it matches no node.
    Empty,
    Constrained(Constraint<'a>),
}

impl<'de: 'a, 'a> Shape<'de> for Term<'a> {
    fn other() -> Self {
        Self::Constrained(Constraint::default())
    }

    fn of_map<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let (mut expressions, mut of_fields) = (None, None);
        while let Some(Text(key)) = fields.next_key()? {
            match &*key {
                "matchExpressions" => {
                    let Any(read) = fields.next_value()?;
                    once(&mut expressions, &key, read)?;
                }
                "matchFields" => {
                    let Any(read) = fields.next_value()?;
                    once(&mut of_fields, &key, read)?;
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        let of_fields = of_fields.unwrap_or(Presence::Nothing);
        Ok(match (expressions.unwrap_or(Expressions(None)), of_fields) {
            (Expressions(Some(constraint)), _) => Self::Constrained(constraint),
            (Expressions(None), Presence::Something) => Self::Constrained(Constraint::default()),
            (Expressions(None), Presence::Nothing) => Self::Empty,
        })
    }
}

/// Whether there is something in a list; what is no list is something.
#[derive(Debug)]
enum Presence {
    Nothing,
    Something,
}

impl<'de> Shape<'de> for Presence {
    fn other() -> Self {
        Self::Something
    }

    fn of_null() -> Self {
        Self::Nothing
    }

    fn of_list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        Ok(if drain(&mut items)? { Self::Something } else { Self::Nothing })
    }
}

/// `matchExpressions`, all together; none where there are none.
#[derive(Debug)]
struct Expressions<'a>(Option<Constraint<'a>>);

impl<'de: 'a, 'a> Shape<'de> for Expressions<'a> {
    fn other() -> Self {
        Self(Some(Constraint::default()))
    }

    fn of_null() -> Self {
        Self(None)
    }

    fn of_list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let (mut together, mut found) = (Constraint::default(), 0);
        while found < EXPRESSIONS {
            let Some(Any(Expression(constrains))) = items.next_element()? else {
                return Ok(Self((found > 0).then_some(together)));
            };
            found += 1;
            if let Some((label, values)) = constrains {
                together.require(label, values);
            }
        }
        // They all hold together, so leaving some out allows more.
        drain(&mut items)?;
        Ok(Self(Some(together)))
    }
}

/// One of `matchExpressions`; none where it says nothing about the platform.
#[derive(Debug)]
struct Expression<'a>(Option<(Label, Vec<Cow<'a, str>>)>);

impl<'de: 'a, 'a> Shape<'de> for Expression<'a> {
    fn other() -> Self {
        Self(None)
    }

    fn of_map<A: MapAccess<'de>>(mut fields: A) -> Result<Self, A::Error> {
        let (mut label, mut operator, mut values) = (None, None, None);
        while let Some(Text(key)) = fields.next_key()? {
            match &*key {
                "key" => {
                    let Any(Word(word)) = fields.next_value()?;
                    once(&mut label, &key, word)?;
                }
                "operator" => {
                    let Any(Word(word)) = fields.next_value()?;
                    once(&mut operator, &key, word)?;
                }
                "values" => {
                    let Any(Values(read)) = fields.next_value()?;
                    once(&mut values, &key, read)?;
                }
                _ => drop(fields.next_value::<IgnoredAny>()?),
            }
        }
        let label = label.flatten().and_then(|key| Label::of(&key));
        let is_in = operator.flatten().is_some_and(|operator| operator == "In");
        Ok(Self(label.zip(values.flatten()).filter(|_| is_in)))
    }
}

/// The values of an expression; none where they are no list of text, or an empty one, or too many.
#[derive(Debug)]
struct Values<'a>(Option<Vec<Cow<'a, str>>>);

impl<'de: 'a, 'a> Shape<'de> for Values<'a> {
    fn other() -> Self {
        Self(None)
    }

    fn of_list<A: SeqAccess<'de>>(mut items: A) -> Result<Self, A::Error> {
        let (mut values, mut all_read) = (Vec::new(), true);
        while values.len() < VALUES && all_read {
            match items.next_element()? {
                None => return Ok(Self((!values.is_empty()).then_some(values))),
                Some(Any(Word(Some(value)))) => values.push(value),
                Some(Any(Word(None))) => all_read = false,
            }
        }
        let more = drain(&mut items)?;
        Ok(Self((all_read && !more).then_some(values)))
    }
}

/// A text; none where it is something else.
#[derive(Debug)]
struct Word<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Shape<'de> for Word<'a> {
    fn other() -> Self {
        Self(None)
    }

    fn of_text(text: Cow<'de, str>) -> Self {
        Self(Some(text))
    }
}

#[cfg(test)]
mod tests;
