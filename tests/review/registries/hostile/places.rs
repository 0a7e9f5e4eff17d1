//! In a cluster: an image whose registry is a place that is no registry's, without a single connection.

use std::net::UdpSocket;

use pratique_testkit::Webhook;
use tokio::net::TcpListener;

use super::super::ask;
use super::*;

/// One in a cluster, without any `hosts.toml`.
async fn in_cluster() -> Webhook {
    let setup = Webhook::setup().in_cluster().policy("acme", MOVED_IS_REFUSED).enforce("acme");
    setup.configure(|config| config.registries.hosts = None).start().await
}

#[tokio::test]
async fn this_machine_is_no_registry_however_it_is_written() {
    let (registry, webhook) = (start(Open).await, in_cluster().await);
    registry.push("acme/web", "v1", &Image::single());
    // Nothing that is connected to would be missed: not even the beginning of TLS.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    for port in [registry.port(), listener.local_addr().unwrap().port()] {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.0.1.",
            "127.1.2.3",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "0",
            "0.0.0.0",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "evil.localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[::]",
        ] {
            let answer = ask(&webhook, "shop", &format!("{host}:{port}/acme/web:v1")).await;
            assert_eq!(
                (answer.allowed, answer.code, answer.retry_after),
                (false, Some(403), None),
                "{host}: {answer:?}"
            );
            // What no node could read as a name is refused before it is asked for.
            let told = answer.message.contains("registry-forbidden") && answer.message.contains("no request is sent");
            assert!(told || answer.message.contains("image-invalid"), "{host}: {}", answer.message);
        }
    }
    assert_eq!(registry.count(Route::Any), 0);
    let connected = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(connected.is_err(), "there was a connection");
}

#[tokio::test]
async fn no_place_of_the_cloud_or_the_network_is_a_registry() {
    let webhook = in_cluster().await;
    let mut hosts: Vec<String> = [
        ("169.254.169.254", "a link-local address"),
        ("169.254.169.254:80", "a link-local address"),
        ("2852039166:80", "a link-local address"),
        ("[fe80::1]:443", "a link-local address"),
        ("[::ffff:a9fe:a9fe]:443", "a link-local address"),
        ("metadata.google.internal", "the metadata service of a cloud"),
        ("[fd00:ec2::254]:443", "the metadata service of a cloud"),
        ("100.100.100.200", "the metadata service of a cloud"),
        ("168.63.129.16:32526", "the metadata service of a cloud"),
        ("224.0.0.1", "a multicast or broadcast address"),
        ("255.255.255.255", "a multicast or broadcast address"),
        ("0.0.0.0", "an address of no host"),
    ]
    .map(|(host, why)| format!("{host} {why}"))
    .into();
    // Connecting a datagram socket looks up the route and sends nothing; 9 is the discard service.
    let socket = UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    if socket.connect(("10.0.0.1", 9)).is_ok() {
        let own = socket.local_addr().unwrap().ip();
        // Documentation's range is some sandboxes' own.
        let why = if own.to_string().starts_with("192.0.2.") {
            "an address of a reserved range"
        } else {
            "an address of our own"
        };
        hosts.push(format!("{own}:5000 {why}"));
    }
    for host in hosts {
        let (host, why) = host.split_once(' ').unwrap();
        let answer = ask(&webhook, "shop", &format!("{host}/acme/web:v1")).await;
        assert_eq!((answer.allowed, answer.code, answer.retry_after), (false, Some(403), None), "{host}: {answer:?}");
        let words = format!("is {why}, where no request is sent: name it in hosts.toml if it is meant");
        assert!(answer.message.contains("registry-forbidden") && answer.message.contains(&words), "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn hosts_toml_lets_this_machine_be_one_and_no_other_place_of_it() {
    let (named_there, other) = (start(Open).await, start(Open).await);
    named_there.push("acme/web", "v1", &Image::single());
    other.push("acme/web", "v1", &Image::single());
    let folder = Directory::new();
    named_there.write_hosts(folder.path());
    let setup = Webhook::setup().in_cluster().policy("acme", MOVED_IS_REFUSED).enforce("acme");
    let webhook = setup.configure(|config| config.registries.hosts = Some(folder.path().to_owned())).start().await;
    assert!(ask(&webhook, "shop", &named(&named_there, "acme/web:v1")).await.allowed);
    let answer = ask(&webhook, "shop", &named(&other, "acme/web:v1")).await;
    assert!(!answer.allowed && answer.message.contains("registry-forbidden"), "{answer:?}");
    let to = format!("{}/v2/acme/web/manifests/v1", other.url());
    named_there.on(Route::Manifest, Behaviour::redirect(to));
    let answer = ask(&webhook, "shop", &named(&named_there, "acme/web:v2")).await;
    let words = "127.0.0.1 redirects to a loopback address, where no request is sent";
    assert!(!answer.allowed && answer.message.contains(words), "{answer:?}");
    assert_eq!(other.count(Route::Any), 0);
}
