//! Public keys: P-256, P-384, RSA of 2048 to 4096 bits, Ed25519.

use crate::fact::attached::PublicKey;

/// Reads one `PUBLIC KEY` block; the error is a clause that tells what is wrong with it, and never quotes it.
pub fn read_public_key(_pem: &str) -> Result<PublicKey, String> {
    todo!()
}
