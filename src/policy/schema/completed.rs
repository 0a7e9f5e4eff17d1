//! What no type says by itself, by path: bounds that keep the rules affordable, defaults, and the rules.
//!
//! The rules are those mistakes that people make and that a schema cannot see, each with what to do about it; everything else
//! our reader finds. They are CEL, paid for by how much a policy could hold at most: the API server refuses a definition
//! whose rules could cost more than its budget, so the lists that they walk are bounded here.

use serde_json::{Value, json};

/// Adds all of it to the schema of `spec`.
pub(super) fn complete(spec: &mut Value) {
    for (path, keyword, value) in BOUNDS {
        add(spec, path, keyword, json!(value));
    }
    for (path, value) in defaults() {
        add(spec, path, "default", value);
    }
    for (path, rule, message) in RULES {
        let rules = &mut at(spec, path)["x-kubernetes-validations"];
        let rule = json!({"rule": rule, "message": message});
        match rules {
            Value::Array(rules) => rules.push(rule),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                *rules = json!([rule]);
            }
        }
    }
}

/// A DNS label, as Kubernetes bounds it.
const NAME: u64 = 63;
/// More than any policy in use has.
const RULES_OF_A_POLICY: u64 = 256;
const AUTHORITIES_OF_A_POLICY: u64 = 64;
/// A demand that names more wants several authorities with several keys.
const AUTHORITIES_OF_A_DEMAND: u64 = 16;
const ATTESTATIONS_OF_A_RULE: u64 = 16;
const CONDITIONS_OF_AN_ATTESTATION: u64 = 32;
const KEYS_OF_AN_AUTHORITY: u64 = 64;

const BOUNDS: &[(&str, &str, u64)] = &[
    ("rules", "maxItems", RULES_OF_A_POLICY),
    ("rules[].name", "maxLength", NAME),
    ("rules[].vulnerabilities.authorities", "maxItems", AUTHORITIES_OF_A_DEMAND),
    ("rules[].vulnerabilities.authorities[]", "maxLength", NAME),
    // There are two.
    ("rules[].vulnerabilities.scanners", "maxItems", 2),
    ("rules[].signatures.authorities", "maxItems", AUTHORITIES_OF_A_DEMAND),
    ("rules[].signatures.authorities[]", "maxLength", NAME),
    // With 0 nothing would be demanded.
    ("rules[].signatures.threshold", "minimum", 1),
    ("rules[].attestations", "maxItems", ATTESTATIONS_OF_A_RULE),
    ("rules[].attestations[].authorities", "maxItems", AUTHORITIES_OF_A_DEMAND),
    ("rules[].attestations[].authorities[]", "maxLength", NAME),
    ("rules[].attestations[].where", "maxItems", CONDITIONS_OF_AN_ATTESTATION),
    ("authorities", "maxItems", AUTHORITIES_OF_A_POLICY),
    ("authorities[].name", "maxLength", NAME),
    ("authorities[].keys", "maxItems", KEYS_OF_AN_AUTHORITY),
    // As Kubernetes bounds names of Secrets and keys in them.
    ("authorities[].keys[].secretRef.name", "maxLength", 253),
    ("authorities[].keys[].secretRef.key", "maxLength", 253),
];

/// Each says what our reader makes of silence. Not here, because written they mean something: `tags.repointed` (a demand by
/// itself), `stale` (needs `maxAge`), `log` (depends on the kind of authority).
fn defaults() -> [(&'static str, Value); 12] {
    [
        ("unmatched", json!("deny")),
        ("unavailable", json!("running")),
        ("inaccessible", json!("deny")),
        ("rules[].tags.requireDigest", json!(false)),
        ("rules[].vulnerabilities.unknown", json!("ignore")),
        ("rules[].vulnerabilities.fixable", json!(false)),
        ("rules[].vulnerabilities.missing", json!("deny")),
        ("rules[].vulnerabilities.running", json!("warn")),
        ("rules[].vulnerabilities.suppressed", json!("ignore")),
        ("rules[].signatures.threshold", json!(1)),
        ("rules[].signatures.signed", json!("either")),
        ("rules[].signatures.identity", json!("ignored")),
    ]
}

/// Where, the rule, and what to say to who breaks it.
const RULES: &[(&str, &str, &str)] = &[
    (
        "",
        "self.rules.all(r, self.rules.exists_one(x, x.name == r.name))",
        "two rules have the same name: give each its own",
    ),
    (
        "",
        "!has(self.authorities) || self.authorities.all(a, self.authorities.exists_one(x, x.name == a.name))",
        "two authorities have the same name: give each its own",
    ),
    (
        "",
        "[has(self.authorities) ? self.authorities.map(a, a.name) : []].all(names, self.rules.all(r, !has(r.signatures) || \
         r.signatures.authorities.all(n, n in names)))",
        "signatures.authorities names one that spec.authorities does not have: add it there, or mend the name",
    ),
    (
        "",
        "[has(self.authorities) ? self.authorities.map(a, a.name) : []].all(names, self.rules.all(r, !has(r.attestations) || \
         r.attestations.all(d, d.authorities.all(n, n in names))))",
        "attestations[].authorities names one that spec.authorities does not have: add it there, or mend the name",
    ),
    (
        "",
        "[has(self.authorities) ? self.authorities.map(a, a.name) : []].all(names, self.rules.all(r, \
         !has(r.vulnerabilities) || !has(r.vulnerabilities.authorities) || \
         r.vulnerabilities.authorities.all(n, n in names)))",
        "vulnerabilities.authorities names one that spec.authorities does not have: add it there, or mend the name",
    ),
    (
        "rules[]",
        "[has(self.admit), has(self.refuse), has(self.tags) || has(self.vulnerabilities) || has(self.signatures) || \
         has(self.attestations)].filter(said, said).size() == 1",
        "a rule says one thing: write demands (tags, vulnerabilities, signatures, attestations; is one misspelt?), or \
         `admit: true`, or `refuse: \"why\"`",
    ),
    (
        "rules[].admit",
        "self",
        "`admit: false` says nothing: remove it, and write what is demanded or `refuse: \"why\"`",
    ),
    (
        "rules[].tags",
        "has(self.deny) || has(self.allow) || (has(self.requireDigest) && self.requireDigest) || \
         (has(self.repointed) && self.repointed != 'allow')",
        "demands nothing: write deny, allow, `requireDigest: true` or `repointed: deny`",
    ),
    (
        "rules[].signatures",
        "!has(self.threshold) || self.threshold <= self.authorities.size()",
        "the threshold can never be met: it is greater than the number of authorities",
    ),
    (
        "rules[].attestations[].where[]",
        "(has(self.equals) ? 1 : 0) + (has(self.matches) ? 1 : 0) + (has(self.__in__) ? 1 : 0) == 1",
        "a condition needs exactly one of equals, matches and in",
    ),
    (
        "authorities[]",
        "has(self.keyless) != has(self.keys)",
        "an authority needs exactly one of keyless and keys: make two authorities of two",
    ),
    (
        "authorities[].keyless",
        "has(self.issuer) != has(self.issuerRegExp)",
        "needs exactly one of issuer and issuerRegExp: without an issuer strangers would be trusted",
    ),
    (
        "authorities[].keyless",
        "has(self.subject) != has(self.subjectRegExp)",
        "needs exactly one of subject and subjectRegExp: without a subject strangers would be trusted",
    ),
    (
        "authorities[].keys[]",
        "!has(self.file)",
        "a policy in a cluster has no files beside it: write the key as pem, or put it into a Secret and name it by secretRef",
    ),
    (
        "authorities[].keys[]",
        "has(self.file) || has(self.pem) != has(self.secretRef)",
        "needs exactly one of pem and secretRef",
    ),
    (
        "authorities[].keys[]",
        "!has(self.notBefore) || !has(self.notAfter) || self.notBefore < self.notAfter",
        "notAfter must be later than notBefore",
    ),
];

fn add(spec: &mut Value, path: &str, keyword: &str, value: Value) {
    at(spec, path)[keyword] = value;
}

/// The schema of what is at a path: `rules[].tags`; the schema of `spec` itself for the empty one.
fn at<'a>(spec: &'a mut Value, path: &str) -> &'a mut Value {
    let steps = path.split('.').filter(|step| !step.is_empty());
    steps.fold(spec, |schema, step| {
        let (name, item) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        let field = schema.pointer_mut(&format!("/properties/{name}{}", if item { "/items" } else { "" }));
        field.expect("the paths are those of this file, and a test builds the schema with each of them")
    })
}
