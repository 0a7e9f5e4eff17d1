//! Which report decides, and what it comes to.

use std::sync::Arc;

use jiff::Timestamp;

use crate::fact::report::{Origin, Sourced, Unusable};
use crate::image::Reference;

use super::{Judged, ScanDemand};

pub(super) fn judge<'r>(
    _demand: &ScanDemand,
    _found: &[&'r Sourced],
    _unusable: &[&'r (Origin, Arc<str>, Unusable)],
    _image: &Reference,
    _now: Timestamp,
) -> Judged<'r> {
    todo!()
}
