//! A gzip stream of a gibibyte of zeros, made as it is sent (RFC 1951, RFC 1952).

use bytes::Bytes;

const HEADER: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Of each deflate block, which is a mebibyte of zeros: its tables, this many zero bytes, and a full flush.
const TABLES: &[u8] = &[0xec, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0, 0xf5, 0x4f, 0x6d, 0x08, 0x5f, 0xa0];
const ZEROS: usize = 1016;
const FLUSH: &[u8] = &[0x3e, 0x03, 0x00, 0x00, 0xff, 0xff];

const BLOCKS: u32 = 1024;

/// An empty last block, the CRC-32 of a gibibyte of zeros, and that length.
const END: &[u8] = &[0x03, 0x00, 0xb0, 0xc2, 0x64, 0x5b, 0, 0, 0, 0x40];

/// The stream, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Bomb {
    sent: u32,
}

impl Iterator for Bomb {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let piece = match self.sent {
            0 => Bytes::from_static(HEADER),
            sent if sent <= BLOCKS => Bytes::from([TABLES, &[0; ZEROS], FLUSH].concat()),
            sent if sent == BLOCKS + 1 => Bytes::from_static(END),
            _ => return None,
        };
        self.sent += 1;
        Some(piece)
    }
}
