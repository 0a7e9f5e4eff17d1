//! operator

use super::Fields;
use crate::fact::report::{Report, Unusable};

pub(super) fn read(_fields: &Fields<'_>) -> Result<Report, Unusable> {
    todo!()
}
