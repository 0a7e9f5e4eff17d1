//! Content addresses, as opencontainers/go-digest reads them: `algorithm:hex`.
//!
//! A [`Digest`] names a listed algorithm, has exactly its length, and is lower-case hex throughout, so it may stand in
//! a path, a URL or a key as it is. Whether any bytes hash to it is not known here.

use std::fmt;
use std::sync::Arc;

/// The hash functions that registries and container runtimes know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// As written before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex digits follow the colon.
    #[must_use]
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A content address. Cloning is cheap: digests are keys of caches and records.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    text: Arc<str>,
}

impl Digest {
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        let (name, hex) = text.split_once(':').ok_or(InvalidDigest::MissingColon)?;
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| InvalidDigest::UnsupportedAlgorithm(name.chars().take(QUOTED).collect()))?;
        let (expected, found) = (algorithm.hex_length(), hex.len());
        if found != expected {
            return Err(InvalidDigest::WrongLength { algorithm, expected, found });
        }
        if !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(InvalidDigest::NotLowerCaseHex);
        }
        Ok(Self { algorithm, text: text.into() })
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What follows the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.text[self.algorithm.name().len() + 1..]
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How much of an unknown algorithm an error repeats: registries send digests too, and theirs have no bound.
const QUOTED: usize = 32;

/// Why a text is no [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidDigest {
    MissingColon,
    /// The algorithm as written, its first 32 characters.
    UnsupportedAlgorithm(Box<str>),
    WrongLength {
        algorithm: Algorithm,
        expected: usize,
        found: usize,
    },
    NotLowerCaseHex,
}

impl fmt::Display for InvalidDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingColon => f.write_str("a digest is written algorithm:hex, such as sha256:0123..."),
            Self::UnsupportedAlgorithm(name) => {
                write!(f, "digest algorithm {name:?} is not supported: use sha256, sha384 or sha512, in lower case")
            }
            Self::WrongLength { algorithm, expected, found } => {
                write!(f, "a {algorithm} digest has {expected} hex digits and this one has {found}: copy all of it")
            }
            Self::NotLowerCaseHex => f.write_str("a digest has only the digits 0-9 and a-f, in lower case"),
        }
    }
}

impl std::error::Error for InvalidDigest {}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(algorithm: Algorithm) -> String {
        format!("{algorithm}:{}", "0f".repeat(algorithm.hex_length() / 2))
    }

    #[test]
    fn a_digest_of_each_algorithm_is_read_whole() {
        for algorithm in Algorithm::ALL {
            let text = digest(algorithm);
            let read = Digest::parse(&text).unwrap();
            assert_eq!(read.algorithm(), algorithm);
            assert_eq!(read.hex(), "0f".repeat(algorithm.hex_length() / 2));
            assert_eq!(read.as_str(), text);
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn a_digest_without_a_colon_is_refused() {
        assert_eq!(Digest::parse(&digest(Algorithm::Sha256).replace(':', "")), Err(InvalidDigest::MissingColon));
        assert_eq!(Digest::parse(""), Err(InvalidDigest::MissingColon));
    }

    #[test]
    fn only_the_listed_algorithms_are_supported_and_only_in_lower_case() {
        for name in ["md5", "sha1", "SHA256", "Sha256", "sha256 ", " sha256", "sha-256", "sha256+b64", "blake3", ""] {
            let text = format!("{name}:{}", "0f".repeat(32));
            assert_eq!(Digest::parse(&text), Err(InvalidDigest::UnsupportedAlgorithm(name.into())), "{text}");
        }
    }

    #[test]
    fn a_digit_less_or_more_is_refused() {
        for algorithm in Algorithm::ALL {
            let expected = algorithm.hex_length();
            let mut text = digest(algorithm);
            text.push('0');
            let found = expected + 1;
            assert_eq!(Digest::parse(&text), Err(InvalidDigest::WrongLength { algorithm, expected, found }));
            text.truncate(text.len() - 2);
            let found = expected - 1;
            assert_eq!(Digest::parse(&text), Err(InvalidDigest::WrongLength { algorithm, expected, found }));
        }
        let found = 0;
        assert_eq!(
            Digest::parse("sha256:"),
            Err(InvalidDigest::WrongLength { algorithm: Algorithm::Sha256, expected: 64, found })
        );
    }

    #[test]
    fn every_other_character_in_the_hex_is_refused() {
        let valid = digest(Algorithm::Sha256);
        for other in ["A", "F", "g", "G", ":", "/", ".", " ", "\n", "\0", "-", "+"] {
            let text = format!("{}{other}", &valid[..valid.len() - 1]);
            assert_eq!(Digest::parse(&text), Err(InvalidDigest::NotLowerCaseHex), "{text:?}");
        }
    }

    #[test]
    fn an_unknown_algorithm_is_repeated_in_part_only() {
        let text = format!("{}:00", "x".repeat(10_000));
        assert_eq!(Digest::parse(&text), Err(InvalidDigest::UnsupportedAlgorithm("x".repeat(32).into())));
    }

    #[test]
    fn a_character_of_several_bytes_neither_fits_nor_panics() {
        let text = format!("sha256:{}", "\u{e9}".repeat(32));
        assert_eq!(Digest::parse(&text), Err(InvalidDigest::NotLowerCaseHex));
    }
}
