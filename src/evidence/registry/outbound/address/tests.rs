use reqwest::Url;

use super::*;

/// What a URL makes of the host, judged as text alone. No address is ours.
fn judged(host: &str, surroundings: Surroundings) -> Result<(), Refused> {
    let url = Url::parse(&format!("https://{host}:5000/v2")).unwrap_or_else(|error| panic!("{host}: {error}"));
    judge_host(url.host_str().unwrap(), surroundings)
}

fn nobodys(address: &str, surroundings: Surroundings) -> Result<(), Refused> {
    judge(address.parse().unwrap_or_else(|error| panic!("{address}: {error}")), surroundings, |_| Ours::No)
}

#[test]
fn the_metadata_address_is_refused_in_every_form_that_a_url_may_have() {
    for host in [
        "169.254.169.254",
        "169.254.169.254.",
        "2852039166",
        "0xa9fea9fe",
        "0xA9FEA9FE",
        "025177524776",
        "0251.0376.0251.0376",
        "0xa9.0xfe.0xa9.0xfe",
        "169.254.43518",
        "169.16689662",
        "169.254.0xa9.0376",
        "%31%36%39.254.169.254",
        "\u{ff11}\u{ff16}\u{ff19}.254.169.254",
        "169\u{3002}254\u{3002}169\u{3002}254",
        "[::ffff:169.254.169.254]",
        "[::ffff:a9fe:a9fe]",
        "[0:0:0:0:0:ffff:a9fe:a9fe]",
        "[::169.254.169.254]",
        "[::ffff:0:169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::169.254.169.254]",
        "[64:ff9b:1:a9fe:a9:fe00::]",
        "[64:ff9b:1:00a9:fe:a9fe::]",
        "[64:ff9b:1:0:a9:fea9:fe00:0]",
        "[2002:a9fe:a9fe::1]",
        "[2002:a9fe:a9fe::5efe:808:808]",
        "[2001:0:808:808:0:0:5601:5601]",
        "[2001:0:a9fe:a9fe:0:0:f7f7:f7f7]",
        "[2001:db9::5efe:169.254.169.254]",
        "[2001:db9::200:5efe:a9fe:a9fe]",
    ] {
        for surroundings in [Surroundings::Cluster, Surroundings::Alone] {
            assert_eq!(judged(host, surroundings), Err(Refused::LinkLocal), "{host} {surroundings:?}");
        }
    }
}

#[test]
fn loopback_is_refused_in_a_cluster_in_every_form_and_allowed_outside() {
    for host in [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "127.255.255.254",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.01",
        "017700000001",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "registry.localhost",
        "registry.LocalHost.",
        "loc\u{ff41}lhost",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:808:808::80ff:fffe]",
    ] {
        assert_eq!(judged(host, Surroundings::Cluster), Err(Refused::Loopback), "{host}");
        assert_eq!(judged(host, Surroundings::Alone), Ok(()), "{host}");
    }
}

#[test]
fn what_no_registry_has_is_refused_everywhere() {
    for (address, refused) in [
        ("0.0.0.0", Refused::Unspecified),
        ("0.1.2.3", Refused::Unspecified),
        ("::", Refused::Unspecified),
        ("::ffff:0.0.0.0", Refused::Unspecified),
        ("64:ff9b::0.0.0.0", Refused::Unspecified),
        ("169.254.170.2", Refused::LinkLocal),
        ("fe80::1", Refused::LinkLocal),
        ("febf::a9fe:a9fe", Refused::LinkLocal),
        ("100.100.100.200", Refused::Metadata),
        ("168.63.129.16", Refused::Metadata),
        ("192.0.0.192", Refused::Metadata),
        ("::ffff:168.63.129.16", Refused::Metadata),
        ("64:ff9b::100.100.100.200", Refused::Metadata),
        ("fd00:ec2::254", Refused::Metadata),
        ("fd00:ec2::23", Refused::Metadata),
        ("fd00:c1::a9fe:a9fe", Refused::Metadata),
        ("fd20:ce::254", Refused::Metadata),
        ("fd00:42::42", Refused::Metadata),
        ("224.0.0.1", Refused::Multicast),
        ("239.255.255.255", Refused::Multicast),
        ("255.255.255.255", Refused::Multicast),
        ("ff02::1", Refused::Multicast),
        ("240.0.0.1", Refused::Reserved),
        ("192.0.0.1", Refused::Reserved),
        ("192.0.2.1", Refused::Reserved),
        ("198.51.100.7", Refused::Reserved),
        ("203.0.113.9", Refused::Reserved),
        ("2001:db8::1", Refused::Reserved),
        ("3fff:fff::1", Refused::Reserved),
        ("100::1", Refused::Reserved),
    ] {
        for surroundings in [Surroundings::Cluster, Surroundings::Alone] {
            assert_eq!(nobodys(address, surroundings), Err(refused), "{address} {surroundings:?}");
        }
    }
}

#[test]
fn where_registries_live_is_allowed() {
    for address in [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.31.250",
        "100.64.0.1",
        "198.18.0.1",
        "169.253.255.255",
        "169.255.0.0",
        "126.255.255.255",
        "128.0.0.1",
        "223.255.255.255",
        "192.0.1.1",
        "8.8.8.8",
        "::ffff:10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "2002:a00:1::1",
        "fd00::1",
        "fd00:ec1::254",
        "2600::1",
        "3fff:1000::1",
        "fec0::1",
    ] {
        assert_eq!(nobodys(address, Surroundings::Cluster), Ok(()), "{address}");
    }
}

#[test]
fn names_of_metadata_services_are_refused_as_such() {
    for host in ["metadata.google.internal", "METADATA.google.internal.", "instance-data.ec2.internal"] {
        assert_eq!(judged(host, Surroundings::Alone), Err(Refused::Metadata), "{host}");
    }
    assert_eq!(judged("registry.google.internal", Surroundings::Cluster), Ok(()));
    assert_eq!(judged("notlocalhost", Surroundings::Cluster), Ok(()));
}

#[test]
fn our_own_addresses_are_refused_in_a_cluster_whatever_form_they_have() {
    let ours = |address: IpAddr| {
        if address == IpAddr::from([10, 1, 2, 3]) {
            Ours::Yes
        } else if address == IpAddr::from([10, 1, 2, 5]) {
            Ours::Unclear
        } else {
            Ours::No
        }
    };
    assert_eq!(judge("10.1.2.5".parse().unwrap(), Surroundings::Cluster, ours), Err(Refused::Unclear));
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::"] {
        let address = address.parse().unwrap();
        assert_eq!(judge(address, Surroundings::Cluster, ours), Err(Refused::Ours), "{address}");
        assert_eq!(judge(address, Surroundings::Alone, ours), Ok(()), "{address}");
    }
    assert_eq!(judge("10.1.2.4".parse().unwrap(), Surroundings::Cluster, ours), Ok(()));
}

#[test]
fn an_address_is_ours_where_a_socket_can_be_bound_to_it() {
    assert_eq!(is_ours(IpAddr::V4(Ipv4Addr::LOCALHOST)), Ours::Yes);
    // Of ranges for documentation: nobody has them.
    for address in ["192.0.2.1", "203.0.113.200", "2001:db8::1"] {
        assert_eq!(is_ours(address.parse().unwrap()), Ours::No, "{address}");
    }
    // The address that this machine would speak from, where it has a network.
    let outward = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    if outward.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).is_ok() {
        assert_eq!(is_ours(outward.local_addr().unwrap().ip()), Ours::Yes);
    }
}

#[test]
fn loopback_is_known_by_its_text() {
    for host in ["localhost", "a.localhost.", "127.0.0.1", "127.8.9.10", "[::1]", "::1", "[::ffff:127.0.0.1]"] {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["registry.example", "localhost.example", "10.0.0.1", "[::2]", "128.0.0.1"] {
        assert!(!is_loopback(host), "{host}");
    }
}
