//! What a status says.
//!
//! `Ready` is about the generation that is written there, as tools that wait for it take it: it is true where just that is
//! in force. `rules` tells beside it whether anything is.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::evidence::cluster::policies::{InForce, PolicyObject};
use crate::policy::document::Mistake;
use crate::request::printable;

/// Mistakes and warnings that are told each; `pratique lint` tells all.
const TOLD: usize = 20;
/// Characters of each.
const CHARACTERS: usize = 300;

const ACCEPTED: &str = "Accepted";
const READY: &str = "Ready";

/// The status that an object should have. `rules`: in force under its name; `known`: the status that it has.
pub(super) fn status(object: &PolicyObject, rules: usize, known: Option<&Value>, now: Timestamp) -> Value {
    let since = |kind: &str, holds: &str| {
        let known = known.and_then(|known| condition(known, kind));
        let same = known.filter(|known| known.get("status").and_then(Value::as_str) == Some(holds));
        let since = same.and_then(|known| known.get("lastTransitionTime")).and_then(Value::as_str);
        since.map_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), ToOwned::to_owned)
    };
    let condition = |kind: &str, Holds { holds, reason, message }: Holds| {
        let holds = if holds { "True" } else { "False" };
        json!({
            "type": kind,
            "status": holds,
            "observedGeneration": object.generation,
            "lastTransitionTime": since(kind, holds),
            "reason": reason,
            "message": message,
        })
    };
    let mut status = Map::new();
    status.insert("observedGeneration".to_owned(), json!(object.generation));
    status.insert("rules".to_owned(), json!(i32::try_from(rules).unwrap_or(i32::MAX)));
    let conditions = [condition(ACCEPTED, accepted(object)), condition(READY, ready(object))];
    status.insert("conditions".to_owned(), Value::from(conditions.to_vec()));
    for (field, list) in [("errors", &object.mistakes), ("warnings", &object.warnings)] {
        if !list.is_empty() {
            status.insert(field.to_owned(), told(list).into());
        }
    }
    Value::Object(status)
}

/// What of a status is ours, for comparison: others may have fields and conditions of their own in it.
pub(super) fn ours(status: &Value) -> Value {
    let field = |name: &str| status.get(name).cloned().unwrap_or_default();
    let conditions = [ACCEPTED, READY].map(|kind| condition(status, kind).cloned().unwrap_or_default());
    let fields = ["observedGeneration", "rules", "errors", "warnings"].map(field);
    json!([fields, conditions])
}

fn condition<'v>(status: &'v Value, kind: &str) -> Option<&'v Value> {
    let conditions = status.get("conditions")?.as_array()?;
    conditions.iter().find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

struct Holds {
    holds: bool,
    reason: &'static str,
    message: String,
}

fn accepted(object: &PolicyObject) -> Holds {
    match object.mistakes.as_slice() {
        [] => {
            let message = match object.warnings.len() {
                0 => "no mistakes".to_owned(),
                1 => "no mistakes, 1 warning".to_owned(),
                count => format!("no mistakes, {count} warnings"),
            };
            Holds { holds: true, reason: "Valid", message }
        }
        [first, rest @ ..] => {
            let more = match rest.len() {
                0 => String::new(),
                count => format!("; and {count} more"),
            };
            Holds { holds: false, reason: "Invalid", message: format!("{}{more}", line(first)) }
        }
    }
}

fn ready(object: &PolicyObject) -> Holds {
    match object.in_force {
        InForce::This { rules } => {
            let message = format!("this generation is in force, {}", counted(rules));
            Holds { holds: true, reason: "InForce", message }
        }
        InForce::Earlier { generation, rules } => {
            let message = format!(
                "generation {generation} is still in force, {}: mend what is wrong with this one",
                counted(rules)
            );
            Holds { holds: false, reason: "EarlierGenerationInForce", message }
        }
        InForce::None => {
            let message = "nothing is in force under this name: where it enforces, everything is refused".to_owned();
            Holds { holds: false, reason: "NotInForce", message }
        }
    }
}

fn counted(rules: usize) -> String {
    if rules == 1 { "with 1 rule".to_owned() } else { format!("with {rules} rules") }
}

fn told(list: &[Mistake]) -> Vec<String> {
    let mut lines: Vec<String> = list.iter().take(TOLD).map(line).collect();
    if list.len() > TOLD {
        let untold = list.len() - TOLD + 1;
        lines.truncate(TOLD - 1);
        lines.push(format!("and {untold} more: `pratique lint` tells all"));
    }
    lines
}

/// `path: message`, without the name that the object has anyway.
fn line(mistake: &Mistake) -> String {
    let Mistake { source: _, line: _, path, message } = mistake;
    let line = if path.is_empty() { message.clone() } else { format!("{path}: {message}") };
    let line = printable(&line, usize::MAX);
    if line.chars().count() <= CHARACTERS {
        return line;
    }
    let kept: String = line.chars().take(CHARACTERS - 3).collect();
    format!("{kept}...")
}
