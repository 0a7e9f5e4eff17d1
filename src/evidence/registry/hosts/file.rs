//! One `hosts.toml`, read with its lines: every mistake at once.
//!
//! As containerd 2 reads it (`core/remotes/docker/config/hosts.go` and `docs/hosts.md` there), but that what it passes
//! over or finds out only at the pull is a mistake here: a file that containerd cannot read is no file to it, and the
//! mirrors in it silently are none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::policy::document::Mistake;
use crate::policy::document::wording::{nearest, quoted};

use super::super::go_duration;
use super::super::outbound::TlsOptions;
use super::certificate;

use value::{Entry, Values, expected};

#[cfg(test)]
mod tests;
mod value;

/// Mirrors of one registry: each costs a request before the next is asked.
const MOST_HOSTS: usize = 64;
/// Values of headers that one host is sent, and files of authorities that it is trusted by.
const MOST_VALUES: usize = 64;
/// No connection is waited for as long as the longest review.
const LONGEST_DIAL: Duration = Duration::from_secs(30);
/// Set by HTTP itself; sent by hand they break a request.
const RESERVED_HEADERS: [&str; 5] = ["connection", "content-length", "host", "te", "transfer-encoding"];

const KEYS: [&str; 7] = ["capabilities", "ca", "client", "skip_verify", "header", "override_path", "dial_timeout"];

/// How one host is asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// None: the registry itself, by its own name.
    pub(super) url: Option<Url>,
    pub(super) resolve: bool,
    pub(super) pull: bool,
    pub(super) tls: TlsOptions,
    /// Something is said about TLS.
    pub(super) tls_given: bool,
    pub(super) headers: HeaderMap,
    pub(super) connect: Option<Duration>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            url: None,
            resolve: true,
            pull: true,
            tls: TlsOptions::default(),
            tls_given: false,
            headers: HeaderMap::new(),
            connect: None,
        }
    }
}

/// What was read: the hosts in their order, the server last; or why not.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) hosts: Vec<Asked>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

/// `folder` is that of the file: what it names stands beside it.
pub(super) fn read(text: &str, source: &str, folder: &Path) -> Outcome {
    let values = Values { text, source, mistakes: Vec::new(), warnings: Vec::new() };
    let mut reader = Reader { values, folder, hosts: Vec::new() };
    match DeTable::parse(text) {
        Ok(document) => reader.document(document.get_ref()),
        Err(error) => {
            // The first line of the message says what; the parser quotes nothing of the text there.
            let what = error.message().lines().next().unwrap_or("it cannot be read").to_owned();
            let at = error.span().map_or(0, |span| span.start);
            reader.values.mistake(at, "", format!("this is no TOML: {what}"));
        }
    }
    let Reader { values: Values { mistakes, warnings, .. }, hosts, .. } = reader;
    Outcome { hosts, mistakes, warnings }
}

struct Reader<'t> {
    values: Values<'t>,
    folder: &'t Path,
    hosts: Vec<Asked>,
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) {
        let mut server = None;
        for (key, value) in document {
            match &**key.get_ref() {
                "server" => server = Some((key, value)),
                "host" => self.hosts(value),
                _ => {}
            }
        }
        let url = server.and_then(|(_, value)| {
            let text = self.values.text_of(&Entry { path: "server".to_owned(), value })?;
            // containerd takes an empty one for none.
            (!text.is_empty()).then_some((text, value.span().start))
        });
        let written = url.map(|(text, at)| (text, at, "server".to_owned()));
        let has_server = written.is_some();
        let mut last = self.asked(document, "", written);
        if !has_server {
            if let Some((key, _)) = document.get_key_value("capabilities") {
                let message = "has no effect without `server`: the registry itself may always be asked for everything";
                self.values.warning(key.span().start, "capabilities", message.to_owned());
            }
            (last.resolve, last.pull) = (true, true);
        }
        self.hosts.push(last);
    }

    fn hosts(&mut self, value: &Spanned<DeValue<'_>>) {
        let Some(hosts) = value.get_ref().as_table() else {
            self.values.mistake(
                value.span().start,
                "host",
                expected("tables such as [host.\"https://mirror.example\"]", value),
            );
            return;
        };
        if hosts.len() > MOST_HOSTS {
            self.values.mistake(
                value.span().start,
                "host",
                format!("holds {} hosts: {MOST_HOSTS} at most are asked", hosts.len()),
            );
            return;
        }
        for (key, value) in hosts {
            let name = &**key.get_ref();
            // Whatever stands before an "@" may be a password.
            let shown = if name.contains('@') { "..." } else { name };
            let path = format!("host.{shown:?}");
            let at = key.span().start;
            let Some(table) = value.get_ref().as_table() else {
                self.values.mistake(at, &path, expected("a table", value));
                continue;
            };
            if self.values.text[value.span().start..].starts_with('{') {
                let message = format!("is passed over, as containerd does: write it as a table of its own, [{path}]");
                self.values.warning(at, &path, message);
                continue;
            }
            let asked = self.asked(table, &format!("{path}."), Some((name.to_owned(), at, path.clone())));
            self.hosts.push(asked);
        }
    }

    /// `url`: as written, where, and the path of its key.
    fn asked(&mut self, table: &DeTable<'_>, prefix: &str, url: Option<(String, usize, String)>) -> Asked {
        let mut asked = Asked::default();
        let mut override_path = false;
        for (key, value) in table {
            let name = &**key.get_ref();
            let entry = Entry { path: format!("{prefix}{name}"), value };
            match name {
                "capabilities" => self.capabilities(&entry, &mut asked),
                "ca" => self.authorities(&entry, &mut asked),
                "client" => self.client(&entry, &mut asked),
                "skip_verify" => {
                    asked.tls.skip_verify = self.values.boolean(&entry);
                    asked.tls_given = true;
                }
                "header" => self.headers(&entry, &mut asked),
                "override_path" => override_path = self.values.boolean(&entry),
                "dial_timeout" => asked.connect = self.dial_timeout(&entry),
                "server" | "host" if prefix.is_empty() => {}
                _ => self.unknown(key, &entry),
            }
        }
        if let Some((text, at, path)) = url {
            match host_url(&text, override_path) {
                Ok(url) => {
                    if url.scheme() == "http" && asked.tls_given {
                        let message = "is asked over plain HTTP as written, whatever is said about TLS: \
                                       write https:// if it has TLS";
                        self.values.warning(at, &path, message.to_owned());
                    }
                    asked.url = Some(url);
                }
                Err(message) => self.values.mistake(at, &path, message),
            }
        }
        asked
    }

    fn unknown(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, entry: &Entry<'_, '_>) {
        let name = &**key.get_ref();
        let message = if name == "proxy" {
            "is not known here: proxies are those of HTTPS_PROXY, HTTP_PROXY and NO_PROXY".to_owned()
        } else {
            match nearest(name, &KEYS) {
                Some(meant) => format!("is not known here and has no effect: perhaps `{meant}` was meant"),
                None => "is not known here and has no effect".to_owned(),
            }
        };
        self.values.warning(key.span().start, &entry.path, message);
    }

    fn capabilities(&mut self, entry: &Entry<'_, '_>, asked: &mut Asked) {
        let words = self.values.texts(entry);
        if words.is_empty() {
            return;
        }
        (asked.resolve, asked.pull) = (false, false);
        for (word, at, path) in words {
            match word.to_ascii_lowercase().as_str() {
                "pull" => asked.pull = true,
                "resolve" => asked.resolve = true,
                // Nothing is pushed; referrers are asked for wherever content is (containerd has the word since 2.2).
                "push" | "referrers" => {}
                _ => {
                    let message = format!("{} is no capability: write pull, resolve or push", quoted(&word));
                    self.values.mistake(at, &path, message);
                }
            }
        }
    }

    fn authorities(&mut self, entry: &Entry<'_, '_>, asked: &mut Asked) {
        asked.tls_given = true;
        let files = match entry.value.get_ref().as_str() {
            Some(file) => vec![(file.to_owned(), entry.value.span().start, entry.path.clone())],
            None => self.values.texts(entry),
        };
        for (file, at, path) in files {
            match certificate::authorities(&self.beside(&file)) {
                Ok(found) => asked.tls.authorities.extend(found),
                Err(message) => self.values.mistake(at, &path, message),
            }
        }
    }

    fn client(&mut self, entry: &Entry<'_, '_>, asked: &mut Asked) {
        asked.tls_given = true;
        let mut pairs = Vec::new();
        if let Some(file) = entry.value.get_ref().as_str() {
            pairs.push((file.to_owned(), None, entry.value.span().start));
        } else if let Some(items) = entry.value.get_ref().as_array() {
            for (index, value) in items.iter().enumerate().take(MOST_VALUES) {
                let item = Entry { path: format!("{}[{index}]", entry.path), value };
                pairs.extend(self.client_pair(&item));
            }
        } else {
            let message = expected("a file, a list of files, or a list of [certificate, key]", entry.value);
            self.values.mistake(entry.value.span().start, &entry.path, message);
        }
        if pairs.len() > 1 {
            let message = "names several certificates: only the first is shown to the host".to_owned();
            self.values.warning(entry.value.span().start, &entry.path, message);
        }
        for (certificate, key, at) in pairs {
            let key = key.map(|key: String| self.beside(&key));
            match certificate::pair(&self.beside(&certificate), key.as_deref()) {
                Ok(pair) => {
                    asked.tls.client.get_or_insert(pair);
                }
                Err(message) => self.values.mistake(at, &entry.path, message),
            }
        }
    }

    /// One item of the list: a file of both, or certificate and key, of which the key may be empty.
    fn client_pair(&mut self, item: &Entry<'_, '_>) -> Option<(String, Option<String>, usize)> {
        let at = item.value.span().start;
        if let Some(file) = item.value.get_ref().as_str() {
            return Some((file.to_owned(), None, at));
        }
        let before = self.values.mistakes.len();
        let files = self.values.texts(item);
        if self.values.mistakes.len() > before {
            return None;
        }
        let [(certificate, ..), (key, ..)] = files.as_slice() else {
            self.values.mistake(at, &item.path, "must be a pair: [certificate, key]".to_owned());
            return None;
        };
        Some((certificate.clone(), (!key.is_empty()).then(|| key.clone()), at))
    }

    fn headers(&mut self, entry: &Entry<'_, '_>, asked: &mut Asked) {
        let Some(table) = entry.value.get_ref().as_table() else {
            self.values.mistake(entry.value.span().start, &entry.path, expected("a table of headers", entry.value));
            return;
        };
        for (key, value) in table {
            let item = Entry { path: format!("{}.{}", entry.path, quoted(key.get_ref())), value };
            let at = key.span().start;
            let Ok(name) = HeaderName::from_bytes(key.get_ref().as_bytes()) else {
                self.values.mistake(at, &item.path, "is no name of an HTTP header".to_owned());
                continue;
            };
            if RESERVED_HEADERS.contains(&name.as_str()) {
                self.values.warning(at, &item.path, "is set by HTTP itself and has no effect".to_owned());
                continue;
            }
            let values = match value.get_ref().as_str() {
                Some(text) => vec![(text.to_owned(), at, item.path.clone())],
                None => self.values.texts(&item),
            };
            for (text, at, path) in values {
                // Never quoted: it may be a credential.
                let Ok(mut value) = HeaderValue::from_str(&text) else {
                    self.values.mistake(at, &path, "holds a character that no HTTP header may have".to_owned());
                    continue;
                };
                value.set_sensitive(true);
                if asked.headers.len() >= MOST_VALUES {
                    self.values.mistake(at, &path, format!("is one header too many: {MOST_VALUES} at most are sent"));
                    return;
                }
                asked.headers.append(name.clone(), value);
            }
        }
    }

    fn dial_timeout(&mut self, entry: &Entry<'_, '_>) -> Option<Duration> {
        let text = self.values.text_of(entry)?;
        if text.is_empty() {
            return None;
        }
        match go_duration::parse(&text) {
            // To Go, none at all: ours.
            Some(Duration::ZERO) => None,
            Some(timeout) => Some(timeout.min(LONGEST_DIAL)),
            None => {
                let message = format!("{} is no duration such as 3s or 500ms", quoted(&text));
                self.values.mistake(entry.value.span().start, &entry.path, message);
                None
            }
        }
    }

    fn beside(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

/// The URL of a host as written: https unless it says otherwise, `/v2` at its end unless `override_path`.
fn host_url(text: &str, override_path: bool) -> Result<Url, String> {
    let malformed = || "is no URL of a host such as https://mirror.example:5000".to_owned();
    let url = if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("https://{text}")) };
    let mut url = url.map_err(|_| malformed())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if !url.has_host() {
        return Err(malformed());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or password: give them as a header, or in the docker config".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("holds a query or fragment, which no request would have".to_owned());
    }
    let mut path: String =
        url.path().split('/').filter(|part| !part.is_empty()).fold(String::new(), |path, part| path + "/" + part);
    if !override_path && !path.ends_with("/v2") {
        path.push_str("/v2");
    }
    url.set_path(&path);
    Ok(url)
}
