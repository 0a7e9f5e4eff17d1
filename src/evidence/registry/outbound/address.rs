//! Addresses: which of them nobody's registry has, and what stands there instead.
//!
//! Pure but for one question, whether an address is our own. The ranges are those of IANA's special-purpose address
//! registries (RFC 6890) that a packet could do harm with or never arrives at. Private networks are allowed: registries
//! live there, as do 100.64.0.0/10 (pods of some clouds) and 198.18.0.0/15 (what some proxies resolve names to).

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::LazyLock;

use rustix::io::Errno;

use super::Surroundings;

#[cfg(test)]
mod tests;

/// Where clouds answer with credentials to whoever asks from a machine of theirs, beyond 169.254.0.0/16.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure's wire server
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
];

/// The same for IPv6: whole prefixes, of which the providers use a few addresses each.
const METADATA_V6: [([u16; 3], usize); 4] = [
    ([0xfd00, 0x0ec2, 0], 2), // AWS: instance metadata, pod identity, DNS
    ([0xfd00, 0x00c1, 0], 2), // Oracle
    ([0xfd20, 0x00ce, 0], 2), // Google
    ([0xfd00, 0x0042, 0], 2), // Scaleway
];

/// Names of the same, for where a proxy resolves them and no address is seen.
const METADATA_NAMES: [&str; 4] =
    ["metadata.google.internal", "metadata.goog", "instance-data.ec2.internal", "metadata.oraclecloud.com"];

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Unspecified,
    Loopback,
    LinkLocal,
    Metadata,
    Multicast,
    Reserved,
    Ours,
    /// Whether it is ours cannot be told now: there is no socket left to ask with.
    Unclear,
}

/// Whether an address is this machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ours {
    Yes,
    No,
    Unclear,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "an address of no host",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the metadata service of a cloud",
            Self::Multicast => "a multicast or broadcast address",
            Self::Reserved => "an address of a reserved range",
            Self::Ours => "an address of our own",
            Self::Unclear => "perhaps an address of our own",
        })
    }
}

/// Judges a host as a URL has it: the addresses, and the names that say what they are. Other names are judged by what
/// they resolve to.
pub(super) fn judge_host(host: &str, surroundings: Surroundings) -> Result<(), Refused> {
    if let Some(address) = literal(host) {
        return judge(address, surroundings, is_ours);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    if METADATA_NAMES.contains(&&*name) {
        return Err(Refused::Metadata);
    }
    if is_localhost(&name) && surroundings == Surroundings::Cluster {
        return Err(Refused::Loopback);
    }
    Ok(())
}

/// The address that a host of a URL is, with the brackets of IPv6 or without.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Whether the text of a host says that it is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    match literal(host) {
        Some(address) => forms(address).any(|form| form.is_loopback()),
        None => is_localhost(&host.trim_end_matches('.').to_ascii_lowercase()),
    }
}

/// RFC 6761, 6.3.
fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Judges an address, and each that it carries.
pub(super) fn judge(address: IpAddr, surroundings: Surroundings, ours: impl Fn(IpAddr) -> Ours) -> Result<(), Refused> {
    for form in forms(address) {
        let refused = match form {
            IpAddr::V4(address) => kind_of_v4(address),
            IpAddr::V6(address) => kind_of_v6(address),
        };
        match (refused, surroundings) {
            (Some(Refused::Loopback) | None, Surroundings::Alone) => {}
            (Some(refused), Surroundings::Alone | Surroundings::Cluster) => return Err(refused),
            (None, Surroundings::Cluster) => match ours(form) {
                Ours::Yes => return Err(Refused::Ours),
                Ours::Unclear => return Err(Refused::Unclear),
                Ours::No => {}
            },
        }
    }
    Ok(())
}

fn kind_of_v4(address: Ipv4Addr) -> Option<Refused> {
    match address.octets() {
        _ if METADATA_V4.contains(&address) => Some(Refused::Metadata),
        [0, ..] => Some(Refused::Unspecified),
        [127, ..] => Some(Refused::Loopback),
        [169, 254, ..] => Some(Refused::LinkLocal),
        [224..=239, ..] | [255, 255, 255, 255] => Some(Refused::Multicast),
        // Class E, protocol assignments, and documentation.
        [240..=255, ..] | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some(Refused::Reserved),
        _ => None,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> Option<Refused> {
    if METADATA_V6.iter().any(|(prefix, length)| address.segments()[..*length] == prefix[..*length]) {
        return Some(Refused::Metadata);
    }
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some(Refused::Unspecified),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Refused::Loopback),
        [0xfe80..=0xfebf, ..] => Some(Refused::LinkLocal),
        [0xff00..=0xffff, ..] => Some(Refused::Multicast),
        // Documentation, twice, and what is to be discarded.
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] | [0x100, 0, 0, 0, ..] => Some(Refused::Reserved),
        _ => None,
    }
}

/// The address, and the IPv4 addresses within it that a router or the kernel may take it for.
fn forms(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let IpAddr::V6(v6) = address else {
        return vec![address].into_iter();
    };
    let o = v6.octets();
    let last = Ipv4Addr::new(o[12], o[13], o[14], o[15]);
    let segments = v6.segments();
    let mut within = match segments {
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => vec![],
        // IPv4-compatible, mapped, and translated (RFC 2765); NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => vec![last],
        // NAT64 of one's own (RFC 8215): any of RFC 6052's places. No translator leads to 0.0.0.0/8.
        [0x64, 0xff9b, 1, ..] => [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]]
            .map(|place| Ipv4Addr::from(place.map(|at: usize| o[at])))
            .into_iter()
            .filter(|v4| v4.octets()[0] != 0)
            .collect(),
        // 6to4.
        [0x2002, ..] => vec![Ipv4Addr::new(o[2], o[3], o[4], o[5])],
        // Teredo: the client with its bits inverted, and the server.
        [0x2001, 0, ..] => vec![Ipv4Addr::from(!u32::from(last)), Ipv4Addr::new(o[4], o[5], o[6], o[7])],
        _ => vec![],
    };
    // ISATAP (RFC 5214), under any prefix, those above too.
    if matches!(segments, [_, _, _, _, 0 | 0x200, 0x5efe, ..]) {
        within.push(last);
    }
    // The address last: what it carries says more.
    let mut all: Vec<IpAddr> = within.into_iter().map(IpAddr::V4).collect();
    all.push(address);
    all.into_iter()
}

/// Whether the address is this machine's: a socket can be bound to no other. No packet leaves.
///
/// Whatever else keeps it from being bound is doubt, and then the address counts as ours; but for a lack of sockets,
/// which passes.
pub(super) fn is_ours(address: IpAddr) -> Ours {
    let ours = |yes| if yes { Ours::Yes } else { Ours::No };
    match UdpSocket::bind((address, 0)) {
        Ok(_) => ours(!*ANYTHING_BINDS || is_source_to_itself(address)),
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => Ours::No,
        Err(error) if lacks_sockets(&error) => Ours::Unclear,
        // A machine without IPv6 at all.
        Err(_) => ours(
            address.is_ipv4()
                || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok()
                || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).is_err(),
        ),
    }
}

fn lacks_sockets(error: &std::io::Error) -> bool {
    let lacking = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| lacking.contains(&code))
}

/// `net.ipv4.ip_nonlocal_bind`: sockets are bound to addresses that nobody has.
static ANYTHING_BINDS: LazyLock<bool> = LazyLock::new(|| UdpSocket::bind((Ipv4Addr::new(192, 0, 2, 1), 0)).is_ok());

/// The next best where anything binds: from an address of ours the way to it begins at that address.
fn is_source_to_itself(address: IpAddr) -> bool {
    let unspecified = match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    // Connecting a datagram socket looks up the route and sends nothing; 9 is the discard service.
    UdpSocket::bind((unspecified, 0))
        .and_then(|socket| socket.connect((address, 9)).and_then(|()| socket.local_addr()))
        .is_ok_and(|source| source.ip() == address)
}
