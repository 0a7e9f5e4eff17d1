//! The line.
use std::time::Instant;
use crate::admission::{Malformed, Reply};
pub struct Review;
impl Review {
    /// Answers one review; never panics.
    pub async fn answer(&self, _body: &[u8], _deadline: Instant) -> Result<Reply, Malformed> {
        Err(Malformed("stub".into()))
    }
}
