//! Names of files as URIs ([RFC 3986](https://www.rfc-editor.org/rfc/rfc3986)).

use std::fmt::Write as _;
use std::path::Path;

/// Relative to `here` where it lies below, so that a page finds it in the repository; else as it was named.
pub(super) fn uri_of(source: &str, here: &Path) -> String {
    let path = Path::new(source);
    let below = if here.as_os_str().is_empty() { None } else { path.strip_prefix(here).ok() };
    let path = below.unwrap_or(path);
    // Without the `./` that a shell puts in front; of `a/../b` a link may make another file than `b`, so that stays.
    let parts: Vec<String> = path.components().map(|part| encoded(&part.as_os_str().to_string_lossy())).collect();
    match parts.split_first() {
        None => ".".to_owned(),
        // The root is a component of its own.
        Some((_, rest)) if path.is_absolute() => format!("file:///{}", rest.join("/")),
        Some((first, rest)) if first == "." && !rest.is_empty() => rest.join("/"),
        Some(_) => parts.join("/"),
    }
}

/// Everything but unreserved characters as `%XX`: a colon in the first part would make a scheme of it.
fn encoded(part: &str) -> String {
    let mut uri = String::with_capacity(part.len());
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _infallible = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_below_the_current_directory_is_relative_to_it_and_another_one_absolute() {
        let here = Path::new("/home/ci/repo");
        for (source, expected) in [
            ("deploy/web.yaml", "deploy/web.yaml"),
            ("./deploy//web.yaml", "deploy/web.yaml"),
            ("../other/web.yaml", "../other/web.yaml"),
            ("/home/ci/repo/deploy/web.yaml", "deploy/web.yaml"),
            ("/home/ci/repository/web.yaml", "file:///home/ci/repository/web.yaml"),
            ("/tmp/a b.yaml", "file:///tmp/a%20b.yaml"),
            ("caf\u{e9} #1/50%.yaml", "caf%C3%A9%20%231/50%25.yaml"),
            ("c:web.yaml", "c%3Aweb.yaml"),
            ("a\\b?.yaml", "a%5Cb%3F.yaml"),
        ] {
            assert_eq!(uri_of(source, here), expected);
        }
        assert_eq!(uri_of("/a.yaml", Path::new("")), "file:///a.yaml");
    }
}
