//! `*` for any text, anchored at both ends: the matcher within one component, one host label or one tag.

/// A text with any number of `*` in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wildcard {
    /// What stands before the first `*`, between and after the last; one part alone if there is no `*`.
    parts: Box<[Box<str>]>,
}

impl Wildcard {
    pub(super) fn new(text: &str) -> Self {
        Self { parts: text.split('*').map(Box::from).collect() }
    }

    /// Each part is taken where it first occurs, and none is looked for twice: any later place leaves less to the rest.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, between @ .., last] = &*self.parts else {
            return self.parts.iter().all(|part| **part == *text);
        };
        let Some(mut rest) = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        for part in between {
            let Some((_, after)) = rest.split_once(&**part) else {
                return false;
            };
            rest = after;
        }
        true
    }
}
