//! One question to the API server: for how long an answer is waited for, and in which words it is told that there is none.

use std::time::Duration;

use crate::fact::{Fault, Trouble};
use crate::policy::document::wording::quoted;

/// For how long one object is waited for: an API server nearby answers in milliseconds. Two of these after each other, an
/// account and the Secrets that it names, and there is still time for the registry before an API server gives up on us.
pub(in super::super) const READ: Duration = Duration::from_secs(2);

/// Characters of a name, as the API server has it.
const MOST_NAME: usize = 253;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Question<'a> {
    pub(in super::super) verb: &'static str,
    /// `secrets`
    pub(in super::super) resource: &'static str,
    pub(in super::super) namespace: &'a str,
    /// None: all of the namespace.
    pub(in super::super) name: Option<&'a str>,
}

impl Question<'_> {
    /// What it comes to in time.
    pub(in super::super) async fn within<T>(
        self,
        limit: Duration,
        answer: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Trouble> {
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.trouble(&error)),
            Err(_elapsed) => {
                let words = format!("{} could not be read: the API server has not answered in time", self.subject());
                Err(Trouble::new(Fault::Outage, words))
            }
        }
    }

    /// Why there is no answer. Nothing of what was answered is in it.
    fn trouble(self, error: &kube::Error) -> Trouble {
        let (subject, namespace) = (self.subject(), quoted(self.namespace));
        let kube::Error::Api(status) = error else {
            let words =
                format!("{subject} could not be read: the API server cannot be reached, or its answer not be read");
            return Trouble::new(Fault::Outage, words);
        };
        match status.code {
            403 => {
                let Self { verb, resource, .. } = self;
                let words = format!(
                    "{subject} may not be read: the API server answered 403 Forbidden; allow our service account the verb \
                     {verb} on {resource} in namespace {namespace}, as the ClusterRole pratique does"
                );
                Trouble::new(Fault::Refused, words)
            }
            // Our own token; the kubelet writes a new one.
            401 => {
                let words =
                    format!("{subject} could not be read: the API server answered 401 Unauthorized to our token");
                Trouble::new(Fault::Outage, words)
            }
            code => Trouble::new(Fault::Outage, format!("{subject} could not be read: the API server answered {code}")),
        }
    }

    fn subject(self) -> String {
        let Self { verb: _, resource, namespace, name } = self;
        let kind = match resource {
            "serviceaccounts" => "service account",
            _other => "secret",
        };
        match name {
            Some(name) => format!("{kind} {} of namespace {}", quoted(name), quoted(namespace)),
            None => format!("the {kind}s of namespace {}", quoted(namespace)),
        }
    }
}

/// Whether an object may be called so. Nothing else is asked for: a name becomes a part of a path, and one with dots and
/// slashes in it would be another object's.
pub(in super::super) fn is_name(name: &str) -> bool {
    // As the API server: a DNS name, of which a label may have more than 63 characters.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label =
        |label: &str| label.starts_with(plain) && label.ends_with(plain) && label.chars().all(|c| plain(c) || c == '-');
    name.len() <= MOST_NAME && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: Question<'static> =
        Question { verb: "get", resource: "secrets", namespace: "shop", name: Some("pull") };

    fn answered(code: u16) -> kube::Error {
        let status = kube::core::Status { code, message: "hunter2".to_owned(), ..kube::core::Status::default() };
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn a_refusal_says_what_to_allow_and_where() {
        let trouble = QUESTION.trouble(&answered(403));
        assert_eq!(trouble.fault, Fault::Refused);
        assert_eq!(
            &*trouble.words,
            "secret `pull` of namespace `shop` may not be read: the API server answered 403 Forbidden; allow our service \
             account the verb get on secrets in namespace `shop`, as the ClusterRole pratique does"
        );
    }

    #[test]
    fn whatever_else_is_answered_may_pass_and_nothing_of_it_is_quoted() {
        for code in [401, 429, 500, 503] {
            let trouble = QUESTION.trouble(&answered(code));
            assert_eq!(trouble.fault, Fault::Outage, "{code}");
            assert!(
                trouble.words.contains(&code.to_string()) && !trouble.words.contains("hunter2"),
                "{}",
                trouble.words
            );
        }
    }

    #[test]
    fn a_name_is_no_path() {
        for name in ["pull", "registry.acme.example", "0", &"x".repeat(253)] {
            assert!(is_name(name), "{name}");
        }
        for name in [
            "",
            "..",
            "a/b",
            "../../bank/secrets/pull",
            "a?b",
            "a%2Fb",
            "A",
            "a b",
            "a\n",
            "a.",
            "-a",
            &"x".repeat(254),
        ] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
