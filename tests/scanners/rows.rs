//! Every way of scanning that the README speaks of, and what its report clears.

use pratique_testkit::{Directory, Outcome};

use crate::ask::Ask;
use crate::table::{REPORT, Row};
use crate::world::{World, here, layout};

/// What the images must stay below to be admitted: two critical findings, as web has for arm64; it has four for amd64.
const TWO_CRITICAL: &str = "threshold: critical, allow: {critical: 2}";
const HIGH: &str = "threshold: high";
const VULN: [&str; 4] = ["--scanners", "vuln", "-f", "json"];

pub(crate) fn all() -> Vec<Row> {
    let mut all = trivy_by_index();
    all.extend([trivy_by_manifest(), trivy_by_layout()]);
    all.extend(trivy_of_less());
    all.extend(trivy_told_to_leave_out());
    all.extend(grype());
    all.extend(grype_told_to_leave_out());
    all
}

/// A scan by Trivy with further arguments, which ends well.
fn trivy(world: &World, reports: &Directory, file: &str, arguments: &[&str]) {
    done(&world.trivy(&reports.path().join(file), arguments), 0);
}

fn grype_of(world: &World, reports: &Directory, file: &str, arguments: &[&str]) {
    done(&world.grype(&reports.path().join(file), arguments), 0);
}

fn done(outcome: &Outcome, code: i32) {
    assert_eq!(outcome.code, Some(code), "{}", outcome.stderr);
}

/// `--platform` of web, by tag.
fn web_for(world: &World, reports: &Directory, file: &str, platform: &str) {
    trivy(world, reports, file, &[&VULN[..], &["--platform", platform, &world.tagged("web")]].concat());
}

fn trivy_by_index() -> Vec<Row> {
    let web = |reason| Ask::of("web", TWO_CRITICAL, reason);
    vec![
        Row::new("trivy", "by tag of an index, amd64", |world, reports| web_for(world, reports, REPORT, "linux/amd64"))
            .facts("captured/trivy/web-tag.json")
            .ask(web("vulnerable").on("amd64"))
            .ask(web("report-missing").on("arm64")),
        Row::new("trivy", "by tag of an index, arm64", |world, reports| web_for(world, reports, REPORT, "linux/arm64"))
            .facts("captured/trivy/web-tag-arm64.json")
            .ask(web("").on("arm64"))
            .ask(web("").on("arm64").manifest("linux/arm64"))
            .ask(web("report-missing").on("amd64"))
            .ask(web("report-missing")),
        Row::new("trivy", "by tag of an index, both platforms", |world, reports| {
            web_for(world, reports, REPORT, "linux/amd64");
            web_for(world, reports, "arm64.json", "linux/arm64");
        })
        .facts("captured/trivy/web-tag.json")
        .ask(web("vulnerable"))
        .ask(web("vulnerable").on("amd64"))
        .ask(web("").on("arm64"))
        .ask(Ask::of("web", "threshold: critical, allow: {critical: 4}", "")),
        Row::new("trivy", "arm64's report, which was made to say amd64", |world, reports| {
            web_for(world, reports, REPORT, "linux/arm64");
            let said = std::fs::read_to_string(reports.path().join(REPORT)).expect("it was just written");
            let tampered = said.replace(r#""architecture": "arm64""#, r#""architecture": "amd64""#);
            assert_ne!(said, tampered);
            reports.write(REPORT, &tampered);
        })
        .ask(web("report-missing").on("amd64"))
        .ask(web("").on("arm64")),
    ]
}

fn trivy_by_manifest() -> Row {
    let web = |reason| Ask::of("web", TWO_CRITICAL, reason);
    Row::new("trivy", "by the digest of a platform's manifest", |world, reports| {
        let digest = crate::table::digest_of("web", "linux/arm64", "manifest").expect("the facts have it");
        trivy(world, reports, REPORT, &[&VULN[..], &[&format!("{}@{digest}", world.repository("web"))]].concat());
    })
    .facts("captured/trivy/web-manifest-digest.json")
    .ask(web("").manifest("linux/arm64").on("arm64"))
    .ask(web("").on("arm64"))
    .ask(web("report-missing").on("amd64"))
}

fn trivy_by_layout() -> Row {
    Row::new("trivy", "OCI layout on disk", |world, reports| {
        trivy(world, reports, REPORT, &[&VULN[..], &["--input", &layout("api")]].concat());
    })
    .facts("captured/trivy/api-layout.json")
    .ask(Ask::of("api", "threshold: critical", "vulnerable"))
    .ask(Ask::of("api", TWO_CRITICAL, ""))
    .ask(Ask::of("clean", HIGH, "report-missing"))
}

/// Where Trivy did not look for vulnerabilities, or had nothing to look at.
fn trivy_of_less() -> Vec<Row> {
    let secrets = |name: &'static str, listed: &'static str| {
        move |world: &World, reports: &Directory| {
            let name = world.tagged(name);
            trivy(world, reports, REPORT, &["--scanners", "secret", "-f", "json", listed, &name]);
        }
    };
    vec![
        Row::new("trivy", "clean image", |world, reports| {
            trivy(world, reports, REPORT, &[&VULN[..], &["--list-all-pkgs", &world.tagged("clean")]].concat());
        })
        .facts("captured/trivy/clean-all-pkgs.json")
        .ask(Ask::of("clean", "threshold: negligible, unknown: count", "")),
        Row::new("trivy", "Go modules of a binary", |world, reports| {
            trivy(world, reports, REPORT, &[&VULN[..], &[&world.tagged("tool")]].concat());
        })
        .facts("captured/trivy/tool.json")
        .ask(Ask::of("tool", HIGH, "vulnerable")),
        Row::new("trivy", "an image without packages", |world, reports| {
            trivy(world, reports, REPORT, &[&VULN[..], &[&world.tagged("static")]].concat());
        })
        .ask(Ask::of("static", HIGH, "report-failed"))
        .ask(Ask::of("static", "threshold: high, missing: warn", "")),
        Row::new("trivy", "--scanners secret", secrets("web", "--list-all-pkgs=true"))
            .ask(Ask::of("web", HIGH, "").on("amd64"))
            .residual("packages are listed, and nothing says that no vulnerability was looked for"),
        Row::new("trivy", "--scanners secret, packages not listed", secrets("web", "--list-all-pkgs=false"))
            .ask(Ask::of("web", HIGH, "report-failed").on("amd64")),
        Row::new(
            "trivy",
            "--scanners secret, one found, packages not listed",
            secrets("leaky", "--list-all-pkgs=false"),
        )
        .ask(Ask::of("leaky", HIGH, "report-failed")),
    ]
}

/// Findings that Trivy was told to leave out.
fn trivy_told_to_leave_out() -> Vec<Row> {
    let ignoring = |shown: &'static [&'static str]| {
        move |world: &World, reports: &Directory| {
            let (ignored, name) = (here("ignore/web.trivyignore"), world.tagged("web"));
            let arguments = [&VULN[..], &["--ignorefile", &ignored], shown, &[&name]].concat();
            trivy(world, reports, REPORT, &arguments);
        }
    };
    let left = "threshold: high, allow: {critical: 3, high: 4}";
    let counted = "threshold: high, allow: {critical: 3, high: 4}, suppressed: count";
    vec![
        Row::new("trivy", ".trivyignore with --show-suppressed", ignoring(&["--show-suppressed"]))
            .facts("captured/trivy/web-trivyignore.json")
            .ask(Ask::of("web", left, "").on("amd64"))
            .ask(Ask::of("web", counted, "vulnerable").on("amd64")),
        Row::new("trivy", ".trivyignore", ignoring(&[]))
            .ask(Ask::of("web", left, "").on("amd64"))
            .ask(Ask::of("web", counted, "").on("amd64"))
            .residual("what was left out has no trace in the report"),
        Row::new("trivy", "--severity CRITICAL --exit-code 3", |world, reports| {
            let name = world.tagged("web");
            let more = ["--severity", "CRITICAL", "--exit-code", "3", &name];
            done(&world.trivy(&reports.path().join(REPORT), &[&VULN[..], &more].concat()), 3);
        })
        .facts("captured/trivy/web-exit-code.json")
        .ask(Ask::of("web", TWO_CRITICAL, "vulnerable").on("amd64"))
        .ask(Ask::of("web", "threshold: low, allow: {critical: 4}", "").on("amd64"))
        .residual("findings below the severity are not there, and nothing says so"),
        Row::new("trivy", "--severity HIGH,CRITICAL --ignore-unfixed", |world, reports| {
            let name = world.tagged("api");
            let more = ["--severity", "HIGH,CRITICAL", "--ignore-unfixed", &name];
            trivy(world, reports, REPORT, &[&VULN[..], &more].concat());
        })
        .facts("captured/trivy/api-high-fixable.json")
        .ask(Ask::of("api", "threshold: high, fixable: true", "vulnerable"))
        .ask(Ask::of("api", "threshold: high, allow: {high: 4}", ""))
        .residual("findings without a fix are not there, and nothing says so"),
    ]
}

fn grype() -> Vec<Row> {
    let web = |reason| Ask::of("web", TWO_CRITICAL, reason);
    let web_for = |platform: &'static str| {
        move |world: &World, reports: &Directory| {
            let name = format!("registry:{}", world.tagged("web"));
            grype_of(world, reports, REPORT, &["--platform", platform, &name]);
        }
    };
    vec![
        Row::new("grype", "by tag of an index, amd64", web_for("linux/amd64"))
            .facts("captured/grype/web-tag.json")
            .ask(web("vulnerable").on("amd64"))
            .ask(web("report-missing").on("arm64")),
        Row::new("grype", "by tag of an index, arm64", web_for("linux/arm64"))
            .facts("captured/grype/web-tag-arm64.json")
            .ask(web("").on("arm64"))
            .ask(web("report-missing").on("amd64"))
            .ask(
                Ask::of("web", "threshold: critical, allow: {critical: 2}, scanners: [trivy]", "report-missing")
                    .on("arm64"),
            ),
        Row::new("grype", "by the digest of a platform's manifest", |world, reports| {
            let digest = crate::table::digest_of("web", "linux/arm64", "manifest").expect("the facts have it");
            grype_of(world, reports, REPORT, &[&format!("registry:{}@{digest}", world.repository("web"))]);
        })
        .ask(web("").manifest("linux/arm64").on("arm64"))
        .ask(web("").on("arm64"))
        .ask(web("report-missing").on("amd64")),
        Row::new("grype", "OCI layout on disk", |world, reports| {
            grype_of(world, reports, REPORT, &[&format!("oci-dir:{}", layout("api"))]);
        })
        .facts("captured/grype/api-layout.json")
        .ask(Ask::of("api", "threshold: critical", "vulnerable"))
        .ask(Ask::of("api", TWO_CRITICAL, "")),
        Row::new("grype", "clean image", |world, reports| {
            grype_of(world, reports, REPORT, &[&format!("registry:{}", world.tagged("clean"))]);
        })
        .facts("captured/grype/clean.json")
        .ask(Ask::of("clean", "threshold: negligible, unknown: count", "")),
        Row::new("grype", "an image without packages", |world, reports| {
            grype_of(world, reports, REPORT, &[&format!("registry:{}", world.tagged("static"))]);
        })
        .ask(Ask::of("static", HIGH, ""))
        .residual("it is the report of a clean image: Grype finds no package, and says no more"),
        Row::new("grype", "--by-cve", |world, reports| {
            grype_of(world, reports, REPORT, &["--by-cve", &format!("registry:{}", world.tagged("tool"))]);
        })
        .facts("captured/grype/tool-by-cve.json")
        .ask(Ask::of("tool", HIGH, "vulnerable")),
    ]
}

/// Findings that Grype was told to leave out: it says so.
fn grype_told_to_leave_out() -> Vec<Row> {
    vec![
        Row::new("grype", "--only-fixed", |world, reports| {
            grype_of(world, reports, REPORT, &["--only-fixed", &format!("registry:{}", world.tagged("api"))]);
        })
        .facts("captured/grype/api-only-fixed.json")
        .ask(Ask::of("api", "threshold: high, allow: {high: 3}", ""))
        .ask(Ask::of("api", "threshold: high, allow: {high: 3}, suppressed: count", "vulnerable")),
        Row::new("grype", "rules of its configuration", |world, reports| {
            let (rules, name) = (here("ignore/grype-api.yaml"), format!("registry:{}", world.tagged("api")));
            grype_of(world, reports, REPORT, &["-c", &rules, &name]);
        })
        .facts("captured/grype/api-ignore.json")
        .ask(Ask::of("api", "threshold: high, allow: {critical: 1, high: 3}", ""))
        .ask(Ask::of(
            "api",
            "threshold: high, allow: {critical: 1, high: 3}, suppressed: count",
            "vulnerable",
        )),
    ]
}
