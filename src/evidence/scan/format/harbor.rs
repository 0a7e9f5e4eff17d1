//! harbor
