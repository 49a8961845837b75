//! The fixtures of Kubernetes' own Pod Security admission get its own verdict, for level restricted of v1.35.
//!
//! The fixtures and the verdicts come from the pinned Go module by `e2e/tools/pod-security/fixtures.sh` and lie outside the
//! repository. Only the Pod Security part of `pod-hardened` is asked: what the product demands beyond it is not compared.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use portcullis::gather::objects::pod_from_json;
use portcullis::policy::facts::PodFacts;
use portcullis::policy::{ALL, Finding, Report, pod_security};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Fixture {
    name: String,
    pod: Box<RawValue>,
    allowed: bool,
    why: String,
}

fn fixtures() -> Result<Vec<Fixture>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/tools/pod-security/fixtures.sh");
    let made = Command::new(&script).output().with_context(|| script.display().to_string())?;
    ensure!(made.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&made.stderr));
    let file = String::from_utf8(made.stdout)?;
    let text = fs::read_to_string(file.trim()).with_context(|| file.clone())?;
    Ok(serde_json::from_str(&text)?)
}

fn findings(pod: &str) -> Result<Vec<Finding>> {
    let (_, object) = pod_from_json(pod)?;
    ensure!(object.unknown_fields.is_empty(), "unknown fields: {:?}", object.unknown_fields);
    let control = ALL.iter().find(|control| control.id == "pod-hardened").context("pod-hardened")?;
    let mut findings = Vec::new();
    let facts = PodFacts::new(&object.spec, &object.labels, &object.annotations);
    pod_security::restricted(&facts, &mut Report::new(control, &mut findings));
    Ok(findings)
}

#[test]
fn upstream_fixtures_get_the_upstream_verdict() -> Result<()> {
    let fixtures = fixtures()?;
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    let mut deviations = Vec::new();
    for fixture in &fixtures {
        let folder = fixture.name.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder.to_owned()).or_default() += 1;
        let found = findings(fixture.pod.get()).with_context(|| fixture.name.clone())?;
        if found.is_empty() != fixture.allowed {
            let ours: Vec<String> = found.iter().map(|f| format!("{}: {}", f.place, f.detail)).collect();
            deviations.push(format!("{}: upstream {:?}, here {ours:?}", fixture.name, fixture.why));
        }
    }
    assert!(
        deviations.is_empty(),
        "{} of {} deviate:\n{}",
        deviations.len(),
        fixtures.len(),
        deviations.join("\n")
    );
    let counted: Vec<(&str, usize)> =
        folders.iter().map(|(folder, count)| (folder.as_str(), *count)).collect();
    assert_eq!(
        counted,
        [
            ("baseline/v1.35/fail", 34),
            ("baseline/v1.35/pass", 15),
            ("restricted/v1.35/fail", 76),
            ("restricted/v1.35/pass", 23)
        ]
    );
    Ok(())
}

/// A fixture breaks one rule, in a pod that otherwise keeps them all: what is said points into the part that upstream names.
#[test]
fn what_is_refused_is_refused_for_what_upstream_names() -> Result<()> {
    let places = [
        ("host namespaces", "spec.host"),
        ("privileged", "privileged"),
        ("hostPort", "hostPort"),
        ("volume types", "spec.volumes"),
        ("hostPath volumes", "spec.volumes"),
        ("procMount", "procMount"),
        ("seLinuxOptions", "seLinuxOptions"),
        ("forbidden sysctls", "sysctls"),
        ("forbidden AppArmor profile", "apparmor"),
        ("hostProcess", "hostProcess"),
        ("allowPrivilegeEscalation != false", "allowPrivilegeEscalation"),
        ("unrestricted capabilities", "capabilities"),
        ("non-default capabilities", "capabilities"),
        ("runAsNonRoot != true", "runAsNonRoot"),
        ("runAsUser=0", "runAsUser"),
        ("seccompProfile", "seccompProfile"),
        ("probe or lifecycle host", ".host"),
    ];
    let mut wrong = Vec::new();
    for fixture in fixtures()?.iter().filter(|fixture| !fixture.allowed) {
        let said: Vec<String> = findings(fixture.pod.get())?.iter().map(|f| f.place.to_string()).collect();
        let named: Vec<_> = places.iter().filter(|(words, _)| fixture.why.contains(words)).collect();
        if named.is_empty() {
            wrong.push(format!("{}: no part is known for {:?}", fixture.name, fixture.why));
        }
        for (words, place) in named {
            if !said.iter().any(|at| at.to_lowercase().contains(&place.to_lowercase())) {
                wrong.push(format!("{}: {words:?} is not among {said:?}", fixture.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}
