//! Numbers and hashes in four bytes each, since there are a million of them.

/// No number: the end of a chain.
pub(super) const NONE: u32 = u32::MAX;

/// The place of a number in a list; none is there for one that is too large for this machine.
pub(super) fn at(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(super) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(NONE)
}

/// The half of a hash that the tables are keyed by.
pub(super) fn half(hash: u64) -> u32 {
    halves(hash)[0]
}

/// In halves a hash may stand beside numbers without a gap.
pub(super) fn halves(hash: u64) -> [u32; 2] {
    let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_default();
    [half(hash), half(hash >> 32)]
}

pub(super) fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}
