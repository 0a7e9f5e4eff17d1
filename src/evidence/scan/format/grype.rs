//! grype
