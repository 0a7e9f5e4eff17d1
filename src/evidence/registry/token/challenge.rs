//! `WWW-Authenticate` (RFC 9110, 11.6.1): several challenges in one header or in several, quoted or not.

use reqwest::header::HeaderValue;

/// Bytes of all challenges together: real ones have a few hundred.
const BYTES: usize = 8 << 10;
/// Challenges and parameters: real answers have two and four.
const PARTS: usize = 64;

/// A way to prove who we are that we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String> },
}

/// Not in the form that the RFC has.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Garbled;

/// The challenges that we know, in their order.
pub(in super::super) fn parse<'a>(
    values: impl IntoIterator<Item = &'a HeaderValue>,
) -> Result<Vec<Challenge>, Garbled> {
    let (mut found, mut bytes) = (Vec::new(), 0);
    for value in values {
        bytes += value.len();
        let text = value.to_str().map_err(|_| Garbled)?;
        if bytes > BYTES {
            return Err(Garbled);
        }
        Reader { rest: text, parts: 0 }.challenges(&mut found)?;
    }
    Ok(found)
}

struct Reader<'a> {
    rest: &'a str,
    parts: usize,
}

/// One challenge as it stands.
struct Raw<'a> {
    scheme: &'a str,
    parameters: Vec<(&'a str, String)>,
}

impl<'a> Reader<'a> {
    fn challenges(mut self, found: &mut Vec<Challenge>) -> Result<(), Garbled> {
        let mut current: Option<Raw<'a>> = None;
        loop {
            self.skip(&[' ', '\t', ',']);
            if self.rest.is_empty() {
                return finish(current, found);
            }
            self.parts += 1;
            let name = self.token().filter(|_| self.parts <= PARTS).ok_or(Garbled)?;
            let blank = self.rest.starts_with([' ', '\t']);
            let before = self.rest;
            self.skip(&[' ', '\t']);
            match (&mut current, self.rest.strip_prefix('=')) {
                (Some(raw), Some(rest)) if !raw.scheme.is_empty() => {
                    self.rest = rest;
                    self.skip(&[' ', '\t']);
                    raw.parameters.push((name, self.value()?));
                    self.end()?;
                }
                (_, Some(_)) => return Err(Garbled),
                (_, None) => {
                    finish(current.take(), found)?;
                    self.rest = before;
                    if blank {
                        self.skip_token68();
                    } else {
                        self.end()?;
                    }
                    current = Some(Raw { scheme: name, parameters: Vec::new() });
                }
            }
        }
    }

    fn skip(&mut self, characters: &[char]) {
        self.rest = self.rest.trim_start_matches(characters);
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.rest.find(|character| !is_token(character)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then_some(token)
    }

    /// The single value that some schemes have in place of parameters: `Negotiate YII=`.
    fn skip_token68(&mut self) {
        let text = self.rest.trim_start_matches([' ', '\t']);
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        let alone = rest.trim_start_matches([' ', '\t']);
        let is_parameter = value.trim_end_matches('=').contains(['=', '"']) || alone.starts_with('=');
        let is_token68 = !value.is_empty() && !is_parameter && (alone.is_empty() || alone.starts_with(','));
        if is_token68 {
            self.rest = rest;
        }
    }

    fn value(&mut self) -> Result<String, Garbled> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            return self.token().map(str::to_owned).ok_or(Garbled);
        };
        let (mut value, mut characters) = (String::new(), quoted.char_indices());
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &quoted[index + 1..];
                    return Ok(value);
                }
                '\\' => value.push(characters.next().ok_or(Garbled)?.1),
                other => value.push(other),
            }
        }
        Err(Garbled)
    }

    /// Nothing but a comma may follow.
    fn end(&mut self) -> Result<(), Garbled> {
        self.skip(&[' ', '\t']);
        if self.rest.is_empty() || self.rest.starts_with(',') { Ok(()) } else { Err(Garbled) }
    }
}

fn is_token(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}

fn finish(raw: Option<Raw<'_>>, found: &mut Vec<Challenge>) -> Result<(), Garbled> {
    let Some(mut raw) = raw else { return Ok(()) };
    if raw.scheme.eq_ignore_ascii_case("basic") {
        found.push(Challenge::Basic);
    } else if raw.scheme.eq_ignore_ascii_case("bearer") {
        let realm = raw.take("realm")?.ok_or(Garbled)?;
        found.push(Challenge::Bearer { realm, service: raw.take("service")? });
    }
    Ok(())
}

impl Raw<'_> {
    /// A parameter that stands twice means two things.
    fn take(&mut self, name: &str) -> Result<Option<String>, Garbled> {
        let mut values = self.parameters.iter_mut().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        match (values.next(), values.next()) {
            (Some((_, value)), None) => Ok(Some(std::mem::take(value))),
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Garbled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Challenge>, Garbled> {
        parse([&HeaderValue::from_str(text).unwrap()])
    }

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) }
    }

    #[test]
    fn what_registries_send_is_read() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/nginx:pull""#;
        assert_eq!(read(hub), Ok(vec![bearer("https://auth.docker.io/token", Some("registry.docker.io"))]));
        assert_eq!(read(r#"Basic realm="Registry Realm""#), Ok(vec![Challenge::Basic]));
        assert_eq!(read("basic"), Ok(vec![Challenge::Basic]));
        let spaced = r#"bearer  Realm = "https://a.example/t" , SERVICE = a.example,error="invalid_token""#;
        assert_eq!(read(spaced), Ok(vec![bearer("https://a.example/t", Some("a.example"))]));
    }

    #[test]
    fn several_challenges_are_told_apart() {
        let both = r#"Negotiate, Basic realm="a, b", charset="UTF-8", Bearer realm="https://a.example/t""#;
        assert_eq!(read(both), Ok(vec![Challenge::Basic, bearer("https://a.example/t", None)]));
        assert_eq!(read(r#"Negotiate YIIabc==, Basic realm="x""#), Ok(vec![Challenge::Basic]));
        assert_eq!(read(r#"Digest realm="a", nonce="b=c""#), Ok(vec![]));
        let values = [HeaderValue::from_static("Basic"), HeaderValue::from_static(r#"Bearer realm="x""#)];
        assert_eq!(parse(&values), Ok(vec![Challenge::Basic, bearer("x", None)]));
    }

    #[test]
    fn a_quoted_comma_quote_and_backslash_belong_to_the_value() {
        assert_eq!(read(r#"Bearer realm="a,\"b\\=c", service="d""#), Ok(vec![bearer(r#"a,"b\=c"#, Some("d"))]));
    }

    #[test]
    fn garbage_is_no_challenge() {
        for text in [
            r#"Bearer realm="https://a.example"#,
            r#"Bearer service="a""#,
            r#"Bearer realm="a",realm="b""#,
            r#"realm="a""#,
            r#"Bearer realm="a" junk service="b""#,
            "Bearer realm=",
            "<html>",
            r#"Bearer realm="a\"#,
        ] {
            assert_eq!(read(text), Err(Garbled), "{text}");
        }
        assert_eq!(read(&format!(r#"Bearer realm="{}""#, "a".repeat(BYTES))), Err(Garbled));
        assert_eq!(read(&"Basic,".repeat(PARTS + 1)), Err(Garbled));
    }
}
