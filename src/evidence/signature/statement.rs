//! In-toto statements: about which digests, of which predicate type, and what the demanded paths lead to.
