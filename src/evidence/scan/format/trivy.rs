//! trivy
