//! Identities of signers and issuers: `*` for anything but "/", `**` for anything, anchored, everything else itself.
//!
//! The identity comes from whoever made the signature, so the time must not depend on what it contains: all places of
//! the pattern at which the text so far may end are kept as bits and moved together, one step for each byte.

use std::fmt;

use super::{InvalidPattern, check_text};

/// Bits for the places between the literal bytes of a pattern.
type Places = [u64; WORDS];
const WORDS: usize = 8;

/// One place more than literal bytes; subjects of Fulcio's certificates have about a hundred.
const MAX_LITERALS: usize = 64 * WORDS - 1;

/// A matcher of identities.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    text: Box<str>,
    /// Per byte value its index in `reached`; 0 for bytes that the pattern does not have.
    kinds: Box<[u8; 256]>,
    /// The places that are reached over a byte of this kind from the place before.
    reached: Box<[Places]>,
    /// Places before a `*` or `**`: any byte but "/" leads back to them.
    within: Places,
    /// Places before a `**`: any byte does.
    across: Places,
    end: usize,
}

impl Glob {
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        // At most a `**` at every place.
        check_text(text, MAX_LITERALS + 2 * (MAX_LITERALS + 1))?;
        let mut glob = Self {
            text: text.into(),
            kinds: Box::new([0; 256]),
            reached: Box::default(),
            within: [0; WORDS],
            across: [0; WORDS],
            end: text.bytes().filter(|byte| *byte != b'*').count(),
        };
        if glob.end > MAX_LITERALS {
            return Err(InvalidPattern::TooLong { found: glob.end, limit: MAX_LITERALS });
        }
        let mut reached = vec![[0; WORDS]];
        let mut place = 0;
        for (literals, stars) in runs(text) {
            for byte in literals.bytes() {
                let kind = &mut glob.kinds[usize::from(byte)];
                if *kind == 0 {
                    *kind = u8::try_from(reached.len()).expect("a text of plain ASCII has fewer than 128 kinds");
                    reached.push([0; WORDS]);
                }
                place += 1;
                set(&mut reached[usize::from(*kind)], place);
            }
            match stars {
                0 => {}
                1 => set(&mut glob.within, place),
                2 => {
                    set(&mut glob.within, place);
                    set(&mut glob.across, place);
                }
                _ => return Err(InvalidPattern::DoubleStar(text.into())),
            }
        }
        glob.reached = reached.into_boxed_slice();
        Ok(glob)
    }

    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        // No bit is ever set beyond the last place, and few patterns need all words.
        let mut places = [0; WORDS];
        let places = &mut places[..=self.end / 64];
        set(places, 0);
        for byte in text.bytes() {
            let reached = &self.reached[usize::from(self.kinds[usize::from(byte)])];
            let kept = if byte == b'/' { &self.across } else { &self.within };
            let mut carry = 0;
            let mut alive = 0;
            for ((word, reached), kept) in places.iter_mut().zip(reached).zip(kept) {
                let before = *word;
                *word = (((before << 1) | carry) & reached) | (before & kept);
                carry = before >> 63;
                alive |= *word;
            }
            if alive == 0 {
                return false;
            }
        }
        (places[self.end / 64] >> (self.end % 64)) & 1 == 1
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The literal text before each run of stars, and how many stars that run has.
fn runs(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (literals, from_star) = rest.split_at(rest.find('*').unwrap_or(rest.len()));
        rest = from_star.trim_start_matches('*');
        Some((literals, from_star.len() - rest.len()))
    })
}

fn set(places: &mut [u64], place: usize) {
    places[place / 64] |= 1 << (place % 64);
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The text alone: the tables follow from it.
impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Glob").field(&self.text).finish()
    }
}
