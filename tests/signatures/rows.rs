//! The rows by what they are about.

mod attestations;
mod identities;
mod keys;
mod layouts;
mod moves;
mod refusals;

use crate::table::Row;

pub(crate) fn all() -> Vec<Row> {
    [layouts::rows(), keys::rows(), attestations::rows(), moves::rows(), refusals::rows(), identities::rows()]
        .into_iter()
        .flatten()
        .collect()
}
