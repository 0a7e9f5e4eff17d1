//! Sigstore bundles, v0.1 to v0.3, with message signatures and DSSE envelopes.
