//! trivy-operator
