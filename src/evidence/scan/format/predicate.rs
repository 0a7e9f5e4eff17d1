//! predicate

use super::Fields;
use crate::fact::report::{Report, Unusable};

pub(super) fn read(_fields: &Fields<'_>) -> Result<Report, Unusable> {
    todo!()
}

pub(super) fn read_attested(_predicate_type: &str, _payload: &[u8]) -> Option<Result<Report, Unusable>> {
    todo!()
}
