//! Packed files.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::*;

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

/// What becomes of a file with these bytes: `usable` or its defect.
pub(super) fn read(bytes: &[u8]) -> String {
    let folder = Directory::new();
    let path = folder.path().join("a.json.gz");
    fs::write(&path, bytes).unwrap();
    match file::read(Some(&fs::canonicalize(folder.path()).unwrap()), &path) {
        file::Outcome::Read { report, .. } => match *report {
            Ok(_) => "usable".to_owned(),
            Err(unusable) => format!("{}: {}", unusable.defect, unusable.words),
        },
        other @ (file::Outcome::Changed { .. } | file::Outcome::Gone | file::Outcome::Trouble(_)) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn packed_reports_are_read_in_one_part_or_in_several() {
    let text = trivy(1, NOON);
    let (head, tail) = text.as_bytes().split_at(text.len() / 2);
    assert_eq!(read(text.as_bytes()), "usable");
    assert_eq!(read(&gzip(text.as_bytes())), "usable");
    assert_eq!(read(&zstd(text.as_bytes())), "usable");
    assert_eq!(read(&[gzip(head), gzip(tail)].concat()), "usable");
    assert_eq!(read(&[zstd(head), zstd(tail)].concat()), "usable");
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], zstd(text.as_bytes()).as_slice()].concat();
    assert_eq!(read(&skipped), "usable");
}

#[test]
fn packed_reports_that_end_in_the_middle_are_truncated() {
    let text = trivy(1, NOON);
    let words = "truncated: it is packed, and ends in the middle: still being written, or cut off";
    for packed in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        for length in [5, packed.len() / 2, packed.len() - 1] {
            assert_eq!(read(&packed[..length]), words, "{length} of {}", packed.len());
        }
    }
}

#[test]
fn packed_reports_that_are_damaged_are_malformed() {
    let words = "malformed: it is packed, and cannot be unpacked: write it anew";
    let mut packed = gzip(trivy(1, NOON).as_bytes());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    assert_eq!(read(&packed), words);
    assert_eq!(read(&[gzip(trivy(1, NOON).as_bytes()), b"rubbish of more than a header".to_vec()].concat()), words);
}

#[test]
fn bombs_are_beyond_bounds() {
    let words = "beyond-bounds: it has more than 32 MiB, which is more than is read";
    let bomb = vec![b' '; (32 << 20) + 1];
    assert_eq!(read(&gzip(&bomb)), words);
    assert_eq!(read(&zstd(&bomb)), words);
    let halves = gzip(&bomb[..17 << 20]);
    assert_eq!(read(&[halves.clone(), halves].concat()), words);
    // Frames without content, whose windows alone have two gigabytes, 64 MiB, and 32 MiB.
    let frame = |window| [0x28, 0xb5, 0x2f, 0xfd, 0x00, window, 0x01, 0x00, 0x00];
    assert_eq!(read(&frame(0xa8)), words);
    assert_eq!(read(&frame(0x80)), words);
    assert!(read(&frame(0x78)).starts_with("empty: "));
}

#[test]
fn a_large_report_within_bounds_is_read() {
    let mut text = trivy(1, NOON);
    text.push_str(&" ".repeat((32 << 20) - text.len()));
    assert_eq!(read(text.as_bytes()), "usable");
    assert_eq!(read(&gzip(text.as_bytes())), "usable");
    text.push(' ');
    assert_eq!(read(text.as_bytes()), "beyond-bounds: it has more than 32 MiB, which is more than is read");
}

#[test]
fn more_parts_than_are_unpacked_are_beyond_bounds() {
    let words = "beyond-bounds: it is packed in more parts than are unpacked: pack it as one";
    assert_eq!(read(&gzip(b"").repeat(4_097)), words);
    assert_eq!(read(&zstd(b"").repeat(4_097)), words);
}
