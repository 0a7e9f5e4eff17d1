//! Simple signing and bare DSSE envelopes, with certificate and log in annotations, as Cosign v1 and v2 wrote them.
