//! The memory of all searches together: what is fetched has its place from before it comes until it is verified.
//!
//! Registries bound what is in flight; what has arrived is for whoever asked. Large things wait for each other and never
//! in front of small ones, so that images with an SBOM of megabytes do not hold up those with a signature.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A signature with certificate, log entry and proof has some ten KiB, few have more than this.
const SMALL: usize = 64 << 10;
/// Of small ones together, with all annotations: hundreds of images at once.
const SMALL_BYTES: usize = 16 << 20;
/// Of large ones together: one search may have as many, and must be able to.
const LARGE_BYTES: usize = 16 << 20;
/// Of the bytes above: fine enough for payloads, and few enough for a semaphore.
const UNIT: usize = 1 << 10;

/// Places for bytes.
#[derive(Debug)]
pub(in super::super) struct Room {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let of = |bytes: usize| Arc::new(Semaphore::new(bytes / UNIT));
        Self { small: of(SMALL_BYTES), large: of(LARGE_BYTES) }
    }
}

impl Room {
    /// A place for a blob, when there is one. None: there never will be.
    pub(super) async fn wait_for(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let (places, most) = if bytes <= SMALL { (&self.small, SMALL_BYTES) } else { (&self.large, LARGE_BYTES) };
        let units = u32::try_from(bytes.div_ceil(UNIT).clamp(1, most / UNIT)).ok()?;
        Arc::clone(places).acquire_many_owned(units).await.ok()
    }

    /// A place for what is here already, if there is one.
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
    async fn large_ones_wait_for_each_other_and_small_ones_for_none_of_them() {
        let room = Room::default();
        let all = room.wait_for(LARGE_BYTES).await.unwrap();
        assert!(room.wait_for(SMALL + 1).now_or_never().is_none());
        assert!(room.wait_for(SMALL).now_or_never().is_some());
        drop(all);
        assert!(room.wait_for(SMALL + 1).now_or_never().is_some());
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
