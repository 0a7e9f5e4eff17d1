//! What refers to a digest: the referrers API of the
//! [distribution specification 1.1](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers),
//! and its fallback tag.
//!
//! A registry without the API has the tag; one with it may have the tag all the same, as clients wrote it before the API
//! was there. "There is none" is said only if both say so. Nothing is filtered: what a descriptor says
//! of itself is a hint that anybody can write.

use futures_util::future::join;
use reqwest::header::{HeaderMap, HeaderValue, LINK};
use reqwest::{Method, StatusCode, Url};

use crate::fact::Trouble;
use crate::image::Digest;

use super::client::{Ask, Kind, Reply, Session};
use super::content::{Name, manifest, read};
use super::hosts::Endpoint;
use super::lookup::{Question, Said};
use super::manifest::{Descriptor, Document, Manifest, OCI_INDEX};

/// Referrers of one digest: a thousand signatures are an attack, not a release.
const REFERRERS: usize = 1_000;
/// Pages of one list: registries page by a hundred or more.
const PAGES: usize = 20;
/// Bytes of all pages together: two of the largest.
const BYTES: usize = 8 << 20;
const TOO_MANY: &str = "lists more than 1000 referrers, or 8 MiB of them";

/// The referrers of a digest.
pub(super) struct ReferrersOf<'a>(pub(super) &'a Digest);

impl Question for ReferrersOf<'_> {
    type Answer = Vec<Descriptor>;

    fn may_ask(&self, endpoint: &Endpoint) -> bool {
        endpoint.resolve && endpoint.pull
    }

    /// Both at once: who has the API asked in vain would wait for another round, and what was attached before there was
    /// an API may stand under the tag alone.
    async fn ask(&self, session: &Session<'_>) -> Result<Said<Vec<Descriptor>>, Trouble> {
        let (listed, tagged) = join(Box::pin(self.listed(session)), Box::pin(self.tagged(session))).await;
        let mut found = listed?;
        match tagged? {
            Said::Found(tagged) => found.extend(tagged),
            Said::Absent => {}
        }
        if found.len() > REFERRERS {
            return Err(session.broken(TOO_MANY));
        }
        Ok(if found.is_empty() { Said::Absent } else { Said::Found(found) })
    }
}

impl ReferrersOf<'_> {
    /// What the API lists; nothing where there is none.
    async fn listed(&self, session: &Session<'_>) -> Result<Vec<Descriptor>, Trouble> {
        let first = session.url(&["referrers", self.0.as_str()]);
        let (mut found, mut bytes, mut next) = (Vec::new(), 0, Some(first.clone()));
        for page in 0..PAGES {
            let Some(url) = next else { return Ok(found) };
            let most = session.client.limits().page_bytes;
            let ask = Ask { method: Method::GET, url: &url, accept: OCI_INDEX, kind: Kind::Referrers, most };
            let reply = session.send(&ask).await?;
            if page == 0 && has_no_api(&reply) {
                return Ok(found);
            }
            if reply.status != StatusCode::OK {
                let answered = reply.answered();
                return Err(session.broken(&format!("answered {answered} instead of a list of referrers")));
            }
            bytes += reply.body.len();
            let Document::Index(index) = read(session, &reply.body, &reply.content_type())? else {
                return Err(session.broken("sent an image manifest instead of a list of referrers"));
            };
            found.extend(index.manifests);
            if found.len() > REFERRERS || bytes > BYTES {
                return Err(session.broken(TOO_MANY));
            }
            next = match next_page(&reply.headers, &url) {
                None => None,
                Some(Ok(link)) => Some(session.with_namespace(link)),
                Some(Err(())) => return Err(session.broken("sent a next page of referrers that is not its own")),
            };
        }
        match next {
            None => Ok(found),
            Some(_) => Err(session.broken("pages a list of referrers more than 20 times")),
        }
    }

    /// What the fallback tag lists.
    async fn tagged(&self, session: &Session<'_>) -> Result<Said<Vec<Descriptor>>, Trouble> {
        let tag = fallback_tag(self.0);
        match manifest(session, Name::Tag(&tag), usize::MAX).await? {
            // `cosign copy` puts the image itself there: it lists nothing.
            Said::Absent | Said::Found(Manifest { document: Document::Image(_), .. }) => Ok(Said::Absent),
            Said::Found(Manifest { document: Document::Index(index), .. }) if index.manifests.is_empty() => {
                Ok(Said::Absent)
            }
            Said::Found(Manifest { document: Document::Index(index), .. }) => Ok(Said::Found(index.manifests)),
        }
    }
}

/// Of a digest with more than 64 digits the first 64, as the specification cuts them.
fn fallback_tag(digest: &Digest) -> String {
    let hex = digest.hex();
    format!("{}-{}", digest.algorithm(), hex.get(..64).unwrap_or(hex))
}

/// What registries without the API answer: an error, a page for people, or a way to one.
fn has_no_api(reply: &Reply) -> bool {
    match reply.status.as_u16() {
        303 | 400 | 404 | 405 | 406 | 501 => true,
        200 => reply.content_type() == "text/html",
        _ => false,
    }
}

/// RFC 8288, `Link: <url>; rel="next"`: the same host and path, or an error.
fn next_page(headers: &HeaderMap, page: &Url) -> Option<Result<Url, ()>> {
    let links: Result<Vec<&str>, _> = headers.get_all(LINK).iter().map(HeaderValue::to_str).collect();
    // It may have been the next page: a list that was cut short must not pass for the whole.
    let Ok(links) = links else { return Some(Err(())) };
    let target = links.into_iter().flat_map(split_links).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or_default();
            name.trim().eq_ignore_ascii_case("rel")
                && value.trim().trim_matches('"').split(' ').any(|word| word.eq_ignore_ascii_case("next"))
        });
        is_next.then_some(target)
    })?;
    let own = |url: &Url| {
        let credentials = !url.username().is_empty() || url.password().is_some();
        url.origin() == page.origin() && url.path() == page.path() && !credentials
    };
    Some(page.join(target).ok().filter(|url| own(url) && url != page).ok_or(()))
}

/// At the commas outside of `<...>`.
fn split_links(header: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    header.split(move |character| {
        match character {
            '<' => inside = true,
            '>' => inside = false,
            _ => {}
        }
        character == ',' && !inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(link: &str) -> Option<Result<String, ()>> {
        let page = Url::parse("https://r.example/v2/a/referrers/sha256:00?n=1").unwrap();
        let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_str(link).unwrap())]);
        next_page(&headers, &page).map(|next| next.map(|url| url.to_string()))
    }

    #[test]
    fn the_next_page_is_found_relative_or_absolute_and_among_other_links() {
        let expected = Some(Ok("https://r.example/v2/a/referrers/sha256:00?n=2,3".to_owned()));
        assert_eq!(next(r#"</v2/a/referrers/sha256:00?n=2,3>; rel="next""#), expected);
        assert_eq!(next(r#"<https://r.example/v2/a/referrers/sha256:00?n=2,3>;rel=next"#), expected);
        assert_eq!(next(r#"</b>; rel="prev", <?n=2,3>; title="x"; rel="last next""#), expected);
        assert_eq!(next(r#"</b>; rel="prev""#), None);
    }

    #[test]
    fn the_fallback_tag_has_64_digits_whatever_the_digest_has() {
        let of = |name: &str, length: usize| {
            let digest = Digest::parse(&format!("{name}:{}{}", "a".repeat(64), "b".repeat(length - 64))).unwrap();
            fallback_tag(&digest)
        };
        assert_eq!(of("sha256", 64), format!("sha256-{}", "a".repeat(64)));
        assert_eq!(of("sha512", 128), format!("sha512-{}", "a".repeat(64)));
    }

    #[test]
    fn a_link_that_cannot_be_read_is_not_the_end_of_the_list() {
        let page = Url::parse("https://r.example/v2/a/referrers/sha256:00?n=1").unwrap();
        let link = HeaderValue::from_bytes(b"<?n=2>; title=\"\xe9\"; rel=next").unwrap();
        assert_eq!(next_page(&HeaderMap::from_iter([(LINK, link)]), &page), Some(Err(())));
    }

    #[test]
    fn a_page_elsewhere_is_refused() {
        for link in [
            "https://evil.example/v2/a/referrers/sha256:00?n=2",
            "http://r.example/v2/a/referrers/sha256:00?n=2",
            "https://r.example:8443/v2/a/referrers/sha256:00?n=2",
            "https://user@r.example/v2/a/referrers/sha256:00?n=2",
            "/v2/b/referrers/sha256:00?n=2",
            "//evil.example/v2/a/referrers/sha256:00?n=2",
            "https://[",
            "?n=1",
        ] {
            assert_eq!(next(&format!("<{link}>; rel=next")), Some(Err(())), "{link}");
        }
    }
}
