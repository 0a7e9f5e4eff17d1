//! Everything that has to be looked up, and all IO of the line. It decides nothing: what it cannot tell it says so.
//!
//! On a warm cache neither [`Evidence::scope`] nor [`Evidence::gather`] awaits anything.

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::fact::{Fact, Facts, ImageFacts, Record, Scope};
use crate::policy::plan::{Plan, Want};
use crate::request::Request;

use budget::{Budget, Deadline};
use scope::Namespaces;
use store::Store;

pub mod budget;
pub mod cluster;
pub mod registry;
pub mod scope;
pub mod store;

/// What the process knows of the world.
#[derive(Debug)]
pub struct Evidence {
    budget: Budget,
    store: Store,
}

impl Evidence {
    /// With an empty memory; its collectors are registered on `registry`.
    pub fn new(budget: Budget, registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        let store = Store::new(&budget, registry)?;
        Ok(Self { budget, store })
    }

    /// What surrounds the object. Without an API server to ask, the manifests are all there is to know.
    #[expect(clippy::unused_async, reason = "a namespace missing from a watch cache takes a bounded live read")]
    pub async fn scope(&self, namespaces: &Namespaces, request: &Request, _deadline: Deadline) -> Scope {
        Scope { labels: namespaces.labels(&request.namespace, Timestamp::now()) }
    }

    /// A fact for each want of the plan, in its order; side by side, and each for as long as its want may be waited for.
    pub async fn gather(&self, plan: &Plan<'_>, deadline: Deadline) -> Facts {
        let facts = plan.wants.iter().map(|want| deadline.within(want.wait, &self.budget, self.look_up(want)));
        let facts = join_all(facts).await.into_iter();
        Facts { images: facts.map(|facts| facts.unwrap_or(ImageFacts { resolved: Fact::Pending, recorded: Fact::Pending, admitted: Fact::Pending })).collect() }
    }

    /// One want. Each room that can say something about an image answers here.
    #[expect(clippy::unused_async, reason = "the records are in memory; rooms that ask registries are not")]
    async fn look_up(&self, want: &Want<'_>) -> ImageFacts {
        ImageFacts { resolved: Fact::Pending, recorded: Fact::Pending, admitted: self.store.admitted(want.namespace, want.digest, Timestamp::now()) }
    }

    /// Keeps what an admission showed.
    pub fn remember(&self, records: &[Record]) {
        for record in records {
            match record {
                Record::Admitted { namespace, digest } => {
                    self.store.record_admitted(namespace, digest, Timestamp::now());
                }
                Record::Tag { .. } => todo!(),
            }
        }
    }

    /// Until when work after a reply may go on.
    #[must_use]
    pub fn background_deadline(&self) -> Deadline {
        Deadline::at(std::time::Instant::now() + self.budget.background)
    }
}
