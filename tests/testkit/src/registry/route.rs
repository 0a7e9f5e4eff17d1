//! Which request is which.

use hyper::Method;

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// `/v2/`
    Ping,
    /// `/v2/<name>/manifests/<reference>`, except HEAD.
    Manifest,
    /// The same with HEAD.
    ManifestHead,
    /// `/v2/<name>/blobs/<digest>`, HEAD too.
    Blob,
    /// `/token`
    Token,
    /// `/v2/<name>/referrers/<digest>`
    Referrers,
    /// Any other path.
    Other,
    /// All of them, for [`Registry::on`](super::Registry::on) and counting; no request is seen as this.
    Any,
}

impl Route {
    /// Whether what was said of `self` concerns a request of `other`.
    pub(super) fn covers(self, other: Self) -> bool {
        self == Self::Any || self == other
    }
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Ping,
    Manifest { repository: String, reference: String },
    Blob { repository: String, digest: String },
    Referrers { repository: String, digest: String },
    Token,
    Other,
}

impl Target {
    pub(super) fn of(path: &str) -> Self {
        match path {
            "/v2" | "/v2/" => return Self::Ping,
            "/token" => return Self::Token,
            _ => {}
        }
        let rest = path.strip_prefix("/v2/").and_then(|rest| rest.rsplit_once('/'));
        let Some((rest, reference)) = rest else { return Self::Other };
        let Some((repository, kind)) = rest.rsplit_once('/') else { return Self::Other };
        let (repository, reference) = (repository.to_owned(), reference.to_owned());
        match kind {
            "manifests" => Self::Manifest { repository, reference },
            "blobs" => Self::Blob { repository, digest: reference },
            "referrers" => Self::Referrers { repository, digest: reference },
            _ => Self::Other,
        }
    }

    pub(super) fn route(&self, method: &Method) -> Route {
        match self {
            Self::Ping => Route::Ping,
            Self::Manifest { .. } if method == Method::HEAD => Route::ManifestHead,
            Self::Manifest { .. } => Route::Manifest,
            Self::Blob { .. } => Route::Blob,
            Self::Referrers { .. } => Route::Referrers,
            Self::Token => Route::Token,
            Self::Other => Route::Other,
        }
    }

    pub(super) fn repository(&self) -> Option<&str> {
        match self {
            Self::Manifest { repository, .. } | Self::Blob { repository, .. } | Self::Referrers { repository, .. } => {
                Some(repository)
            }
            Self::Ping | Self::Token | Self::Other => None,
        }
    }
}

/// The pairs of a query or a form.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://registry/?{query}")).expect("a query makes no URL invalid");
    url.query_pairs().into_owned().collect()
}

/// The first value of this name.
pub(super) fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
