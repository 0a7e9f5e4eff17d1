//! DER that costs no more than its bytes to read.
//!
//! The decoder below the verifier sorts every `SET OF` by insertion as it reads it, before anybody looks at a signature:
//! a timestamp of 3 MiB with a set in the wrong order keeps a processor busy for hours. So what nobody vouches for yet
//! is walked first, and nothing in it may have more elements than real certificates and timestamps have.

/// Elements of one value: certificates of GitHub's workflows have some thirty extensions.
const ELEMENTS: usize = 64;
/// Values within each other: a timestamp with the certificates of its authority has some fifteen.
const DEPTH: usize = 40;

/// Whether nothing in it has too many elements. What is no DER is none of its business: the decoder ends there as well.
pub(super) fn is_modest(der: &[u8]) -> bool {
    !matches!(walk(der, DEPTH), Err(Stop::TooMuch))
}

enum Stop {
    TooMuch,
    NoDer,
}

/// In the order of a decoder, into whatever may be DER itself.
fn walk(bytes: &[u8], depth: usize) -> Result<(), Stop> {
    /// What holds values, rather than bytes.
    const CONSTRUCTED: u8 = 0x20;
    const OCTETS: u8 = 0x04;
    let below = depth.checked_sub(1).ok_or(Stop::TooMuch)?;
    let (mut rest, mut elements) = (bytes, 0);
    while !rest.is_empty() {
        elements += 1;
        if elements > ELEMENTS {
            return Err(Stop::TooMuch);
        }
        let (tag, content, after) = element(rest).ok_or(Stop::NoDer)?;
        if tag & CONSTRUCTED != 0 {
            walk(content, below)?;
        } else if tag == OCTETS
            && let Err(Stop::TooMuch) = walk(content, below)
        {
            return Err(Stop::TooMuch);
        }
        rest = after;
    }
    Ok(())
}

/// Tag, content, and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((*tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], content].concat()
    }

    fn many(tag: u8, elements: usize) -> Vec<u8> {
        value(tag, &[5, 0].repeat(elements))
    }

    #[test]
    fn nothing_has_more_elements_than_there_may_be_however_deep_it_stands() {
        for frame in [0x30, 0x31, 0xa0, 0x04] {
            let within = |elements| value(0x30, &[&[5, 0][..], &value(frame, &many(0x31, elements))].concat());
            assert!(is_modest(&within(64)), "{frame:x}");
            assert!(!is_modest(&within(65)), "{frame:x}");
        }
    }

    #[test]
    fn what_stands_before_something_broken_is_looked_at() {
        let broken = [many(0x31, 65), vec![0x30, 0x80]].concat();
        assert!(!is_modest(&value(0x30, &broken)));
        assert!(is_modest(&value(0x30, &[many(0x31, 64), vec![0x30, 0x80]].concat())));
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth| (0..depth).fold(vec![5, 0], |inner, _| value(0x30, &inner));
        assert!(is_modest(&nested(39)));
        assert!(!is_modest(&nested(40)));
    }

    #[test]
    fn octets_that_are_no_der_are_octets() {
        assert!(is_modest(&value(0x30, &value(0x04, b"https://github.com/acme/app"))));
        assert!(is_modest(b""));
    }
}
