//! `maintenance-plan-current`: plans for audits, updates, providers, debt and decommissioning exist and
//! are kept.

use jiff::Timestamp;
use serde_json::Value;

use crate::api::AIWorkload;
use crate::api::evidence::Subject;
use crate::api::workload::LifecycleState;
use crate::policy::blanks::is_blank;
use crate::policy::control::{Check, Control, Mode, Modes, Report, Room};
use crate::policy::dates;
use crate::policy::decide::exemption_holds;
use crate::policy::evidence::{About, Question, Shortfall, entries, unnamed, words};
use crate::policy::facts::{Facts, Place};

/// Audits, updates, debt and the end are planned, and the plan is kept.
pub(super) const CONTROL: Control = Control {
    id: "maintenance-plan-current",
    title: "plans for audits, updates, providers, debt and decommissioning exist and are kept",
    room: Room::Lifecycle,
    wave: 3,
    modes: Modes::new(Mode::Enforce, Mode::Audit, Mode::Audit, Mode::Audit),
    provisions: &["CoP-8.1", "CoP-11.1", "NCSC-V4.1", "NCSC-V4.2"],
    why: "software that nobody plans to maintain is already insecure, only not yet known to be",
    remedy: "record MaintenancePlan and SecurityAudit evidence and plan the retirement under spec.lifecycle",
    gaps: &[],
    limits: &[
        "how old an image is does not show in its digest; what is known to be wrong in it is judged by patch-currency",
    ],
    check: Check::Rule(check),
};

/// Longest time between two audits, whatever the plan says.
const AUDIT_DAYS: i64 = 365;

fn check(facts: &Facts<'_>, report: &mut Report<'_>) {
    let Some(workload) = facts.ai_workload() else { return };
    let about = About::Workload(workload);
    let organisation = facts.governance(workload);
    let place = || Place::object(Facts::name_of(workload));
    let mut short = Shortfall::new(facts);
    short.hint("auditEvery", vec!["P365D".to_owned()]);
    short.hint("updateEvery", vec!["P30D".to_owned()]);
    let mut every = AUDIT_DAYS;
    let suppliers = suppliers(facts, workload);
    let question = Question::of("MaintenancePlan", about).with(&["auditEvery", "updateEvery"]);
    if let Some(plan) = short.ask(question.clone()) {
        let name = Shortfall::name(plan);
        for (key, default) in [("auditEvery", "P365D"), ("updateEvery", "P30D")] {
            let length = words(plan, key).first().and_then(|text| dates::duration(text));
            if length.is_none() {
                short.require(false, || format!("facts.{key} of {name} is no ISO 8601 duration"));
                short.renew(question.clone(), plan, [(key, vec![default.to_owned()])]);
            }
            if let Some(length) = length.filter(|_| key == "auditEvery") {
                every = every.min(length.as_hours() / 24);
            }
        }
        let left = unnamed(plan, "providers", &suppliers);
        if !left.is_empty() {
            short.require(false, || {
                format!("{name} leaves out of facts.providers {}", Shortfall::list(&left))
            });
            short.renew(question, plan, [Shortfall::also(plan, "providers", &left)]);
        }
    }
    short.ask_either(Question::of("SecurityAudit", about).within(every), organisation);
    short.tell(report, place(), &["CoP-8.1", "CoP-11.1"]);

    let mut short = Shortfall::new(facts);
    if let Some(register) = short.ask(Question::of("TechnicalDebtRegister", about)) {
        let overdue: Vec<&str> = entries(register, "items")
            .filter(|item| {
                let due = item.get("dueBy").and_then(Value::as_str).and_then(dates::until);
                due.is_some_and(|due| due < facts.now)
            })
            .map(|item| item.get("id").and_then(Value::as_str).unwrap_or("without id"))
            .collect();
        if !overdue.is_empty() {
            let items = Shortfall::list(&overdue);
            short.require(false, || format!("{} has overdue items: {items}", Shortfall::name(register)));
            short.fix(format!(
                "settle {items}, or let {} decide on another day, and record a new TechnicalDebtRegister",
                workload.spec.owners.accountable.user.as_deref().unwrap_or("who is accountable")
            ));
        }
        let known = known_debt(facts, workload);
        let ids: Vec<&str> = known.iter().map(|debt| debt.id.as_str()).collect();
        let left = unnamed(register, "items", &ids);
        let left: Vec<&Debt<'_>> = known.iter().filter(|debt| left.contains(&debt.id.as_str())).collect();
        if !left.is_empty() {
            let issued = dates::until(&register.spec.issued_at);
            let said: Vec<String> = left.iter().map(|debt| debt.told(issued)).collect();
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            short.require(false, || {
                format!("{} leaves out {}", Shortfall::name(register), Shortfall::list(&said))
            });
            let items: Vec<String> = left.iter().map(|debt| debt.item()).collect();
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            short.fix(format!("add {} to its facts.items", Shortfall::list(&items)));
            let question = Question::of("TechnicalDebtRegister", about);
            short.renew(question, register, [Shortfall::also(register, "items", &items)]);
        }
    }
    let lifecycle = workload.spec.lifecycle.as_ref();
    let retirement = lifecycle.and_then(|lifecycle| lifecycle.retirement.as_ref());
    if retirement.is_none_or(|plan| plan.plan_ref.as_deref().is_none_or(is_blank)) {
        short.require(false, || "spec.lifecycle.retirement names no plan for the end".to_owned());
        short.fix("plan what becomes of it and its data");
        short.set(about.object(), "spec.lifecycle.retirement.planRef", "https://PLAN");
        if retirement.is_none_or(|plan| plan.planned_at.is_none()) {
            short.set(about.object(), "spec.lifecycle.retirement.plannedAt", "LAST-DAY");
        }
    }
    let state = workload.state();
    if let Some(day) = retirement.and_then(|plan| plan.planned_at.as_deref())
        && matches!(state, LifecycleState::Planned | LifecycleState::Active)
    {
        let end = dates::until(day);
        if end.is_none_or(|end| end < facts.now) {
            let why = if end.is_none() { "is no date" } else { "has passed" };
            short.require(false, || format!("spec.lifecycle.retirement.plannedAt {day:?} {why}"));
            short.fix("retire it, or decide anew until when it runs");
            short.set(about.object(), "spec.lifecycle.retirement.plannedAt", "LAST-DAY");
        }
    }
    if state == LifecycleState::Retiring && retirement.is_none_or(|plan| plan.lessons.is_none()) {
        short.require(false, || "spec.lifecycle.retirement.lessons says nothing for a successor".to_owned());
        short.fix("write down what was learnt before it ends");
        short.set(about.object(), "spec.lifecycle.retirement.lessons", "LESSONS");
    }
    short.tell(report, place(), &["NCSC-V4.1", "NCSC-V4.2"]);
}

/// Something owed that the cluster shows.
struct Debt<'a> {
    /// As a register names it: kind and name.
    id: String,
    /// Since when it counts, as far as that is known.
    since: Option<Timestamp>,
    /// Until when it is to be settled, if it says so.
    until: Option<&'a str>,
}

impl Debt<'_> {
    /// Its name, and whether it is newer than a register of that day.
    fn told(&self, register: Option<Timestamp>) -> String {
        match self.since.filter(|since| Some(*since) > register) {
            Some(since) => {
                format!("{}, which counts since {} and is newer", self.id, since.strftime("%Y-%m-%d"))
            }
            None => self.id.clone(),
        }
    }

    /// The item of a register, as YAML.
    fn item(&self) -> String {
        format!("{{id: {}, dueBy: {:?}, owner: USER}}", self.id, self.until.unwrap_or("LAST-DAY"))
    }
}

/// Debt that the cluster shows: exemptions that count, and components that are justified instead of documented.
fn known_debt<'a>(facts: &Facts<'a>, workload: &AIWorkload) -> Vec<Debt<'a>> {
    let name = workload.metadata.name.as_deref();
    let about = |subject: &Subject| match subject.kind.as_str() {
        "AIWorkload" => Some(subject.name.as_str()) == name,
        "AIModel" => workload.spec.models.iter().any(|used| used.name == subject.name),
        _ => false,
    };
    let exemptions = facts.namespace.exemptions.iter();
    let exemptions = exemptions.filter(|(_, exemption)| {
        about(&exemption.spec.subject) && exemption_holds(exemption, facts.now).is_ok()
    });
    let justified = facts.namespace.evidence.iter().filter(|(_, evidence)| {
        evidence.spec.type_ == "ComponentJustification"
            && about(&evidence.spec.subject)
            && evidence
                .spec
                .expires_at
                .as_deref()
                .is_none_or(|end| dates::until(end).is_some_and(|end| end >= facts.now))
    });
    let exemptions = exemptions.map(|(name, exemption)| {
        let approved = exemption.status.as_ref().and_then(|status| status.approved_at.as_deref());
        let born = exemption.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Debt {
            id: format!("AIExemption/{name}"),
            since: approved.and_then(dates::from).or(born),
            until: Some(&exemption.spec.expires_at),
        }
    });
    let justified = justified.map(|(name, evidence)| Debt {
        id: format!("AIEvidence/{name}"),
        since: dates::from(&evidence.spec.issued_at),
        until: evidence.spec.expires_at.as_deref(),
    });
    exemptions.chain(justified).collect()
}

/// Suppliers of the models and outside programs of a workload.
fn suppliers<'a>(facts: &Facts<'a>, workload: &'a AIWorkload) -> Vec<&'a str> {
    let models = workload.spec.models.iter().filter_map(|used| facts.namespace.models.get(&used.name));
    let apis = workload.spec.external_apis.iter().filter_map(|api| api.supplier_ref.as_deref());
    let mut out: Vec<&str> =
        models.filter_map(|model| model.spec.supplier_ref.as_deref()).chain(apis).collect();
    out.sort_unstable();
    out.dedup();
    out
}
