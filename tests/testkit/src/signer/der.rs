//! As much of DER as is needed.

// Tags; the last one is `[0]` with something in it.
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const OBJECT: u8 = 0x06;
pub(super) const TEXT: u8 = 0x0c;
pub(super) const TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const FIRST: u8 = 0xa0;

/// One element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("small").to_be_bytes();
    let mut all = vec![tag];
    match length {
        [0, short @ 0..=0x7f] => all.push(short),
        [0, short] => all.extend([0x81, short]),
        [high, low] => all.extend([0x82, high, low]),
    }
    all.extend(content);
    all
}

/// One element around others.
pub(super) fn around(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// `OBJECT IDENTIFIER`
pub(super) fn object(arcs: &[u64]) -> Vec<u8> {
    let mut content = vec![u8::try_from(arcs[0] * 40 + arcs[1]).expect("small")];
    for arc in &arcs[2..] {
        let digits = (0..9).rev().map(|at| u8::try_from(arc >> (7 * at) & 0x7f).expect("seven bits"));
        let mut digits: Vec<u8> = digits.skip_while(|digit| *digit == 0).collect();
        let last = digits.pop().unwrap_or(0);
        content.extend(digits.iter().map(|digit| digit | 0x80));
        content.push(last);
    }
    element(OBJECT, &content)
}

/// The first element inside of a sequence, with its header.
pub(super) fn first_element(sequence: &[u8]) -> &[u8] {
    let (header, _) = lengths(sequence);
    let inside = &sequence[header..];
    let (header, content) = lengths(inside);
    &inside[..header + content]
}

/// Of an element's header and of its content.
fn lengths(element: &[u8]) -> (usize, usize) {
    match element[1] {
        short @ 0..=0x7f => (2, short.into()),
        0x81 => (3, element[2].into()),
        0x82 => (4, usize::from(element[2]) << 8 | usize::from(element[3])),
        other => panic!("no certificate is so long: {other:02x}"),
    }
}
