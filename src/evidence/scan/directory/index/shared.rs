//! Values that many files share, by number.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Different scanners, and different platforms; of each there are some ten.
const KINDS: usize = 1_024;

#[derive(Debug)]
pub(super) struct Shared<T> {
    numbers: HashMap<Arc<T>, u16>,
    values: Vec<Arc<T>>,
}

impl<T: Hash + Eq> Shared<T> {
    pub(super) fn new() -> Self {
        Self { numbers: HashMap::new(), values: Vec::new() }
    }

    /// None: there are too many.
    pub(super) fn number(&mut self, value: T) -> Option<u16> {
        if let Some(number) = self.numbers.get(&value) {
            return Some(*number);
        }
        let number = u16::try_from(self.values.len()).ok().filter(|_| self.values.len() < KINDS)?;
        let value = Arc::new(value);
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        Some(number)
    }

    pub(super) fn get(&self, number: u16) -> Option<&T> {
        self.values.get(usize::from(number)).map(AsRef::as_ref)
    }
}
