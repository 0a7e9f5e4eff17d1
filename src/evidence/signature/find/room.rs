//! The memory of all searches together: what is fetched has its place from before it comes until it is verified.
//!
//! Registries bound what is in flight; what has arrived is for whoever asked. Searches with something large wait for each
//! other, and once: whoever held one place and waited for the next could wait for one who does the same. Small things
//! wait for nobody, so that images with an SBOM of megabytes do not hold up those with a signature.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// A signature with certificate, log entry and proof has some ten KiB, few have more than this.
const SMALL: usize = 64 << 10;
/// Of small ones together, with all annotations: hundreds of images at once.
const SMALL_BYTES: usize = 16 << 20;
/// Searches with large ones at once, each with as many bytes as there may be of one digest.
const LARGE_SEARCHES: usize = 2;
/// Of the bytes above: fine enough for payloads, and few enough for a semaphore.
const UNIT: usize = 1 << 10;

/// Whether it waits for nobody.
pub(super) fn is_small(bytes: usize) -> bool {
    bytes <= SMALL
}

/// Places for bytes.
#[derive(Debug)]
pub(in super::super) struct Room {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let small = Arc::new(Semaphore::new(SMALL_BYTES / UNIT));
        Self { small, large: Arc::new(Semaphore::new(LARGE_SEARCHES)) }
    }
}

impl Room {
    /// A place for everything large of one search, when there is one.
    pub(super) async fn for_large(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        Arc::clone(&self.large).acquire_owned().await
    }

    /// A place for something small, if there is one.
    pub(super) fn take(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok()?;
        Arc::clone(&self.small).try_acquire_many_owned(units).ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn searches_with_large_ones_wait_for_each_other_and_small_ones_for_none_of_them() {
        let room = Room::default();
        let (first, _second) = (room.for_large().await.unwrap(), room.for_large().await.unwrap());
        assert!(room.for_large().now_or_never().is_none());
        assert!(room.take(SMALL).is_some());
        drop(first);
        assert!(room.for_large().now_or_never().is_some());
    }

    #[test]
    fn what_is_here_has_a_place_or_none_and_gives_it_back() {
        let room = Room::default();
        let all = room.take(SMALL_BYTES).unwrap();
        assert!(room.take(1).is_none());
        drop(all);
        assert!(room.take(SMALL_BYTES).is_some());
    }
}
