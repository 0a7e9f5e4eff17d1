//! PEM blocks (RFC 7468), and nothing beside them.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD};

/// As Go decodes, and so Cosign: bits that the padding leaves over mean nothing.
const TOLERANT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

/// One block.
#[derive(Debug)]
pub(in super::super) struct Block {
    pub label: String,
    pub der: Vec<u8>,
}

/// Characters of a label: `RSA PUBLIC KEY`, and no essay.
const LABEL: usize = 40;

/// Every block of a text that holds blocks and white space alone, at most so many. None: it is anything else.
pub(in super::super) fn blocks(text: &str, limit: usize) -> Option<Vec<Block>> {
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        if found.len() == limit {
            return None;
        }
        let (block, after) = block(rest)?;
        found.push(block);
        rest = after.trim_start();
    }
    Some(found)
}

fn block(text: &str) -> Option<(Block, &str)> {
    let (label, text) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let printable = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ';
    if label.is_empty() || label.len() > LABEL || !label.bytes().all(printable) {
        return None;
    }
    let (body, text) = text.split_once("-----END ")?;
    let after = text.strip_prefix(label)?.strip_prefix("-----")?;
    let digits: String = body.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    Some((Block { label: label.to_owned(), der: TOLERANT.decode(digits).ok()? }, after))
}
