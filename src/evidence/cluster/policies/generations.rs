//! Which generation of each ImagePolicy judges here, as a metric. Every replica tells what it knows itself, and not only the
//! one that writes status: one that started after a mistake was made has no earlier generation.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{IntGaugeVec, Opts, Registry};

use super::{InForce, PolicyObject};

/// On a registry.
#[derive(Debug)]
pub struct Generations {
    gauge: IntGaugeVec,
    /// The series that are shown.
    told: Mutex<BTreeSet<(Arc<str>, &'static str)>>,
}

impl Generations {
    /// Registers `pratique_policy_in_force{policy, generation}`.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "1 for what judges under the name of an ImagePolicy: it as it is written, an earlier generation of it, or none";
        let gauge = IntGaugeVec::new(Opts::new("pratique_policy_in_force", help), &["policy", "generation"])?;
        registry.register(Box::new(gauge.clone()))?;
        Ok(Self { gauge, told: Mutex::default() })
    }

    /// These are all that there are.
    pub fn tell(&self, objects: &[PolicyObject]) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = objects.iter().map(|object| (Arc::clone(&object.name), object.in_force.label()));
        let now: BTreeSet<(Arc<str>, &'static str)> = now.collect();
        // What stays is never missing between two scrapes: an alert would begin to wait anew.
        for (policy, generation) in &now {
            self.gauge.with_label_values(&[policy.as_ref(), *generation]).set(1);
        }
        for (policy, generation) in told.difference(&now) {
            // It is there: it was told.
            let _ = self.gauge.remove_label_values(&[policy.as_ref(), *generation]);
        }
        *told = now;
    }
}

impl InForce {
    fn label(self) -> &'static str {
        match self {
            Self::This { .. } => "written",
            Self::Earlier { .. } => "earlier",
            Self::None => "none",
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    fn object(name: &str, in_force: InForce) -> PolicyObject {
        let (name, uid) = (Arc::from(name), Arc::from("uid"));
        PolicyObject { name, uid, generation: 2, mistakes: Vec::new(), warnings: Vec::new(), in_force, status: None }
    }

    #[test]
    fn each_policy_has_one_series_that_says_what_judges_under_its_name() {
        let registry = Registry::new();
        let generations = Generations::new(&registry).unwrap();
        let shown = |objects: &[PolicyObject]| {
            generations.tell(objects);
            let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
            let lines = text.lines().filter_map(|line| line.strip_prefix("pratique_policy_in_force{generation="));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (this, earlier) = (InForce::This { rules: 1 }, InForce::Earlier { generation: 1, rules: 1 });
        let all = [object("a", this), object("b", earlier), object("c", InForce::None)];
        let lines = [r#""earlier",policy="b"} 1"#, r#""none",policy="c"} 1"#, r#""written",policy="a"} 1"#];
        assert_eq!(shown(&all), lines);
        assert_eq!(shown(&[object("b", this)]), [r#""written",policy="b"} 1"#]);
        assert_eq!(shown(&[]), [""; 0]);
    }
}
