//! The chart makes the objects of the overlays, and refuses what it does not know.
