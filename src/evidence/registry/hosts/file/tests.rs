use super::*;

fn parsed(text: &str) -> Outcome {
    read(text, "hosts.toml", Path::new("/nowhere"))
}

/// As one line each: URL, what it may be asked for, and whether anybody may answer.
fn hosts(text: &str) -> Vec<String> {
    let Outcome { hosts, mistakes, .. } = parsed(text);
    assert_eq!(mistakes, [], "{text}");
    let line = |asked: &Asked| {
        let url = asked.url.as_ref().map_or("itself", Url::as_str);
        let may = |is: bool, word: &'static str| if is { word } else { "" };
        let (pull, resolve) = (may(asked.pull, " pull"), may(asked.resolve, " resolve"));
        format!("{url}{pull}{resolve}{}", may(asked.tls.skip_verify, " unverified"))
    };
    hosts.iter().map(line).collect()
}

fn mistakes(text: &str) -> Vec<String> {
    parsed(text).mistakes.iter().map(ToString::to_string).collect()
}

fn warnings(text: &str) -> Vec<String> {
    let Outcome { mistakes, warnings, .. } = parsed(text);
    assert_eq!(mistakes, [], "{text}");
    warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_examples_of_the_documentation_are_read_as_it_says() {
    let docker = "server = \"https://docker.io\"\n\n[host.\"https://registry-1.docker.io\"]\n  \
                  capabilities = [\"pull\", \"resolve\"]\n";
    assert_eq!(hosts(docker), ["https://registry-1.docker.io/v2 pull resolve", "https://docker.io/v2 pull resolve"]);
    let mirrors = "server = \"https://registry-1.docker.io\"    # Exclude this to not use upstream\n\n\
                   [host.\"https://public-mirror.example.com\"]\n  capabilities = [\"pull\"]\n\
                   [host.\"https://docker-mirror.internal\"]\n  capabilities = [\"pull\", \"resolve\"]\n";
    assert_eq!(
        hosts(mirrors),
        [
            "https://public-mirror.example.com/v2 pull",
            "https://docker-mirror.internal/v2 pull resolve",
            "https://registry-1.docker.io/v2 pull resolve"
        ]
    );
    let default = "[host.\"https://registry.example.com\"]\n  capabilities = [\"pull\", \"resolve\"]\n";
    assert_eq!(hosts(default), ["https://registry.example.com/v2 pull resolve", "itself pull resolve"]);
    assert_eq!(hosts("server = \"https://registry.example.com\"\n"), ["https://registry.example.com/v2 pull resolve"]);
    let bypass = "server = \"https://registry-1.docker.io\"\n\n[host.\"http://192.168.31.250:5000\"]\n  \
                  capabilities = [\"pull\", \"resolve\", \"push\"]\n  skip_verify = true\n";
    assert_eq!(
        hosts(bypass),
        ["http://192.168.31.250:5000/v2 pull resolve unverified", "https://registry-1.docker.io/v2 pull resolve"]
    );
}

#[test]
fn hosts_are_in_the_order_of_the_file_and_the_server_is_last() {
    let text = "[host.\"https://z.example\"]\n[host.\"https://a.example\"]\n[host.\"https://m.example\".header]\n\
                x-a = \"b\"\n[host.\"https://a.example\".header]\nx-b = [\"c\", \"d\"]\n";
    let text = format!("server = \"https://s.example\"\n{text}");
    let urls: Vec<_> = parsed(&text).hosts.iter().map(|asked| asked.url.as_ref().unwrap().to_string()).collect();
    let names = ["z", "a", "m", "s"].map(|name| format!("https://{name}.example/v2"));
    assert_eq!(urls, names);
}

#[test]
fn the_url_of_a_host_has_https_and_v2_unless_it_says_otherwise() {
    for (written, override_path, read) in [
        ("mirror.example", false, "https://mirror.example/v2"),
        ("mirror.example:5000", false, "https://mirror.example:5000/v2"),
        ("httpd.example", false, "https://httpd.example/v2"),
        ("http://mirror.example:5000", false, "http://mirror.example:5000/v2"),
        ("https://mirror.example/", false, "https://mirror.example/v2"),
        ("https://mirror.example/v2", false, "https://mirror.example/v2"),
        ("https://mirror.example/v2/", false, "https://mirror.example/v2"),
        ("https://mirror-bak.registry/us", false, "https://mirror-bak.registry/us/v2"),
        ("https://mirror.example//a//b/", false, "https://mirror.example/a/b/v2"),
        ("https://mirror.example/v2/prefix", true, "https://mirror.example/v2/prefix"),
        ("https://mirror.example/prefix/", true, "https://mirror.example/prefix"),
        ("https://mirror.example", true, "https://mirror.example/"),
        ("https://[fd00::1]:5000", false, "https://[fd00::1]:5000/v2"),
        ("HTTPS://Mirror.Example:443", false, "https://mirror.example/v2"),
    ] {
        assert_eq!(host_url(written, override_path).unwrap().as_str(), read, "{written}");
    }
    for (written, why) in [
        ("unix:///run/registry.sock", "must begin with https:// or http://"),
        ("https://", "is no URL of a host such as https://mirror.example:5000"),
        ("https://mirror.example:x", "is no URL of a host such as https://mirror.example:5000"),
        ("https://u:p@mirror.example", "holds a user or password: give them as a header, or in the docker config"),
        ("https://mirror.example/v2?a=b", "holds a query or fragment, which no request would have"),
    ] {
        assert_eq!(host_url(written, false).unwrap_err(), why, "{written}");
    }
}

#[test]
fn capabilities_without_any_word_are_all_of_them() {
    let table = |line: &str| hosts(&format!("server = \"https://s.example\"\n{line}\n")).remove(0);
    assert_eq!(table("capabilities = []"), "https://s.example/v2 pull resolve");
    assert_eq!(table("capabilities = [\"Resolve\"]"), "https://s.example/v2 resolve");
    assert_eq!(table("capabilities = [\"push\"]"), "https://s.example/v2");
    assert_eq!(table("capabilities = [\"pull\", \"referrers\"]"), "https://s.example/v2 pull");
    // containerd overwrites them where it fills in the registry itself.
    assert_eq!(hosts("capabilities = [\"pull\"]\n"), ["itself pull resolve"]);
    assert_eq!(
        warnings("capabilities = [\"pull\"]\n"),
        [
            "hosts.toml:1: capabilities: has no effect without `server`: the registry itself may always be asked for everything"
        ]
    );
}

#[test]
fn headers_are_kept_and_never_printed() {
    let text = "[host.\"https://m.example\".header]\nAuthorization = \"Basic c2VjcmV0\"\nx-list = [\"a\", \"b\"]\n";
    let outcome = parsed(text);
    let headers = &outcome.hosts[0].headers;
    assert_eq!(headers.get("authorization").unwrap(), "Basic c2VjcmV0");
    assert_eq!(headers.get_all("x-list").iter().collect::<Vec<_>>(), ["a", "b"]);
    assert!(headers.values().all(HeaderValue::is_sensitive));
    assert!(!format!("{outcome:?}").contains("c2VjcmV0"));
}

#[test]
fn the_time_for_a_connection_is_bounded() {
    let connect = |text: &str| parsed(&format!("dial_timeout = \"{text}\"\n")).hosts[0].connect;
    assert_eq!(connect("1s"), Some(Duration::from_secs(1)));
    assert_eq!(connect("2h"), Some(LONGEST_DIAL));
    assert_eq!((connect("0s"), connect("")), (None, None));
}

#[test]
fn every_mistake_has_its_line_and_its_key() {
    let text = "server = 5\n\
                capabilities = \"pull\"\n\
                dial_timeout = \"soon\"\n\
                override_path = \"yes\"\n\
                \n\
                [host.\"ftp://a.example\"]\n\
                capabilities = [\"pull\", \"fetch\", 7]\n\
                ca = \"missing.pem\"\n\
                [host.\"https://b.example\"]\n\
                ca = { file = \"x\" }\n\
                client = [[\"one\"], 3]\n\
                skip_verify = 1\n\
                [host.\"https://b.example\".header]\n\
                \"a b\" = \"c\"\n\
                x-secret = \"hunter2\\n\"\n\
                x-number = 5\n\
                [host.\"https://u:hunter2@c.example\"]\n";
    let missing = "/nowhere/missing.pem cannot be read: No such file or directory (os error 2)";
    let expected = [
        "hosts.toml:6: host.\"ftp://a.example\": must begin with https:// or http://".to_owned(),
        "hosts.toml:7: host.\"ftp://a.example\".capabilities[1]: `fetch` is no capability: write pull, resolve or push"
            .to_owned(),
        "hosts.toml:7: host.\"ftp://a.example\".capabilities[2]: expected text, found a value of the type integer"
            .to_owned(),
        format!("hosts.toml:8: host.\"ftp://a.example\".ca: {missing}"),
        "hosts.toml:10: host.\"https://b.example\".ca: expected a list of texts, found a value of the type table".to_owned(),
        "hosts.toml:11: host.\"https://b.example\".client[0]: must be a pair: [certificate, key]".to_owned(),
        "hosts.toml:11: host.\"https://b.example\".client[1]: expected a list of texts, found a value of the type integer"
            .to_owned(),
        "hosts.toml:12: host.\"https://b.example\".skip_verify: expected true or false, found a value of the type integer"
            .to_owned(),
        "hosts.toml:14: host.\"https://b.example\".header.`a b`: is no name of an HTTP header".to_owned(),
        "hosts.toml:15: host.\"https://b.example\".header.`x-secret`: holds a character that no HTTP header may have"
            .to_owned(),
        "hosts.toml:16: host.\"https://b.example\".header.`x-number`: expected a list of texts, \
         found a value of the type integer"
            .to_owned(),
        "hosts.toml:17: host.\"...\": holds a user or password: give them as a header, or in the docker config".to_owned(),
        "hosts.toml:1: server: expected text, found a value of the type integer".to_owned(),
        "hosts.toml:2: capabilities: expected a list of texts, found a value of the type string".to_owned(),
        "hosts.toml:3: dial_timeout: `soon` is no duration such as 3s or 500ms".to_owned(),
        "hosts.toml:4: override_path: expected true or false, found a value of the type string".to_owned(),
    ];
    let mut found = mistakes(text);
    let mut expected = expected.to_vec();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert!(!found.concat().contains("hunter2"));
}

#[test]
fn a_text_that_is_no_toml_is_a_mistake_with_its_line_that_quotes_nothing() {
    let found = mistakes("server = \"https://s.example\"\n[header]\nauthorization = \"Basic c2VjcmV0\n");
    let [found] = found.as_slice() else { panic!("{found:?}") };
    assert!(found.starts_with("hosts.toml:3: this is no TOML: "), "{found}");
    assert!(!found.contains("c2VjcmV0"), "{found}");
    let [twice] = <[String; 1]>::try_from(mistakes("server = \"a\"\nserver = \"b\"\n")).unwrap();
    assert!(twice.starts_with("hosts.toml:2: this is no TOML: "), "{twice}");
}

#[test]
fn what_is_not_understood_is_a_warning() {
    let text = "server = \"https://s.example\"\nskip_verfy = true\nproxy = \"http://p.example\"\n\
                [header]\nHost = \"x\"\n[host]\n\"https://inline.example\" = { capabilities = [\"pull\"] }\n\
                [host.\"https://m.example\"]\nzone = 1\n[host.\"http://p.example\"]\nskip_verify = true\n";
    let mut found = warnings(text);
    found.sort();
    assert_eq!(
        found,
        [
            "hosts.toml:10: host.\"http://p.example\": is asked over plain HTTP as written, whatever is said about TLS: \
             write https:// if it has TLS",
            "hosts.toml:2: skip_verfy: is not known here and has no effect: perhaps `skip_verify` was meant",
            "hosts.toml:3: proxy: is not known here: proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
            "hosts.toml:5: header.`Host`: is set by HTTP itself and has no effect",
            "hosts.toml:7: host.\"https://inline.example\": is passed over, as containerd does: \
             write it as a table of its own, [host.\"https://inline.example\"]",
            "hosts.toml:9: host.\"https://m.example\".zone: is not known here and has no effect",
        ]
    );
    assert_eq!(hosts(text).len(), 3);
}

#[test]
fn what_a_file_holds_is_bounded() {
    let many: String = (0..=MOST_HOSTS).map(|index| format!("[host.\"https://m{index}.example\"]\n")).collect();
    assert_eq!(mistakes(&many), ["hosts.toml:1: host: holds 65 hosts: 64 at most are asked"]);
    let words = vec!["\"pull\""; MOST_VALUES + 1].join(", ");
    assert_eq!(
        mistakes(&format!("capabilities = [{words}]\n")),
        ["hosts.toml:1: capabilities: holds 65 entries: 64 at most are read"]
    );
    let headers: String = (0..=MOST_VALUES).map(|index| format!("x-{index} = \"a\"\n")).collect();
    assert_eq!(
        mistakes(&format!("[header]\n{headers}")),
        ["hosts.toml:66: header.`x-64`: is one header too many: 64 at most are sent"]
    );
}
