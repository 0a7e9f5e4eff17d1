//! Texts that many Pods have in common, each kept once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use crate::image::{Digest, Reference};

/// Fewer than this are not worth looking through.
const SWEEP_AT_LEAST: usize = 1024;

/// What was given out and is in use, and some of what was and is not.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Namespaces and nodes.
    names: HashSet<Arc<str>>,
    addresses: HashSet<Arc<Reference>>,
    digests: HashSet<Arc<Digest>>,
    sweep_at: usize,
}

impl Pool {
    pub(super) fn name(&mut self, name: &str) -> Arc<str> {
        self.sweep_where_due();
        pooled(&mut self.names, name, |name| Arc::from(name))
    }

    pub(super) fn address(&mut self, address: &Reference) -> Arc<Reference> {
        self.sweep_where_due();
        pooled(&mut self.addresses, address, |address| Arc::new(address.clone()))
    }

    pub(super) fn digest(&mut self, digest: &Digest) -> Arc<Digest> {
        self.sweep_where_due();
        pooled(&mut self.digests, digest, |digest| Arc::new(digest.clone()))
    }

    fn sweep_where_due(&mut self) {
        if self.len() >= self.sweep_at.max(SWEEP_AT_LEAST) {
            self.sweep();
        }
    }

    /// Forgets what nobody has any more. Twice as much may gather before it is looked through again.
    pub(super) fn sweep(&mut self) {
        self.names.retain(|name| Arc::strong_count(name) > 1);
        self.addresses.retain(|address| Arc::strong_count(address) > 1);
        self.digests.retain(|digest| Arc::strong_count(digest) > 1);
        self.sweep_at = 2 * self.len();
    }

    pub(super) fn len(&self) -> usize {
        self.names.len() + self.addresses.len() + self.digests.len()
    }
}

fn pooled<T, Q>(pool: &mut HashSet<Arc<T>>, wanted: &Q, new: impl FnOnce(&Q) -> Arc<T>) -> Arc<T>
where
    T: Eq + Hash + ?Sized,
    Q: Eq + Hash + ?Sized,
    Arc<T>: Borrow<Q>,
{
    if let Some(there) = pool.get(wanted) {
        return Arc::clone(there);
    }
    let first = new(wanted);
    pool.insert(Arc::clone(&first));
    first
}
