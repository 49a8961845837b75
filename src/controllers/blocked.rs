//! Refused attempts, collected from the replicas: grouped, by the hour, bounded.

mod edits;
mod waiting;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::{Timestamp, ToSpan};

pub use self::edits::{Edited, Edits, Lost, may_have_written};
use self::waiting::Waiting;
use super::trail::{NOTES, Noted, Source};
use crate::api::compliance::Tombstone;
use crate::api::outcome::UnusualChange;
use crate::api::outcome::{Attempt as Group, Blocked, HourlyCount};
use crate::render::words::cut;
use crate::webhook::attempts::{Attempt, Attempts};

/// Groups that a status keeps.
const GROUPS: usize = 20;

/// Whose attempts: the namespace, and the workload where one matched.
pub type Whose = (String, Option<String>);

/// What was refused, of everybody.
#[derive(Debug, Default)]
pub struct Book {
    seen: HashMap<String, u64>,
    of: BTreeMap<Whose, Blocked>,
    noted: BTreeMap<Whose, Waiting>,
    told: Arc<Told>,
}

/// What was told of assets and declarations since the leader leads.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Their last changes outside office hours.
    pub unusual: Unusual,
    /// Who wrote them.
    pub edits: Edits,
}

/// The last change of assets outside office hours, by namespace and `Kind/name`.
pub type Unusual = BTreeMap<(String, String), UnusualChange>;

/// Assets whose last unusual change is remembered beside their statuses.
const UNUSUAL: usize = 1024;

impl Book {
    /// Starts from what the status of an object says.
    pub fn restore(&mut self, whose: Whose, blocked: Blocked) {
        self.of.entry(whose).or_insert(blocked);
    }

    /// Takes in what one replica remembers. Returns the namespaces with new attempts.
    pub fn take(&mut self, report: &Attempts) -> Vec<String> {
        let seen = self.seen.entry(report.replica.clone()).or_default();
        let mut fresh: Vec<&Attempt> = report.attempts.iter().filter(|a| a.sequence > *seen).collect();
        // A replica that started again counts anew.
        if report.attempts.last().is_some_and(|last| last.sequence < *seen) {
            fresh = report.attempts.iter().collect();
        }
        *seen = report.attempts.last().map_or(*seen, |last| last.sequence);
        let mut namespaces = Vec::new();
        for attempt in fresh {
            let whose = (attempt.namespace.clone(), attempt.workload.clone());
            self.mark(attempt);
            if attempt.edit.is_some() || !attempt.lost.is_empty() {
                Arc::make_mut(&mut self.told).edits.take(attempt);
            }
            if let Some(kind) = attempt.noted {
                namespaces.push(attempt.namespace.clone());
                if attempt.message.is_empty() {
                    continue;
                }
                let note = Noted {
                    source: Source::new(&report.replica, attempt.sequence),
                    at: attempt.at,
                    kind,
                    change: attempt.message.clone(),
                    digest: attempt.digest.clone(),
                    tombstone: attempt.tombstone.clone(),
                };
                self.noted.entry(whose).or_default().push(note);
                continue;
            }
            note(self.of.entry(whose).or_default(), attempt);
            namespaces.push(attempt.namespace.clone());
        }
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces
    }

    /// Remembers when an asset was changed outside office hours, the newest of several. Of too many the oldest is forgotten:
    /// it stands in the asset's status by then.
    fn mark(&mut self, attempt: &Attempt) {
        let Some(change) = &attempt.unusual else { return };
        let key = (attempt.namespace.clone(), attempt.object.clone());
        let unusual = &mut Arc::make_mut(&mut self.told).unusual;
        let known = unusual.entry(key).or_default();
        if known.at < change.at {
            known.clone_from(change);
        }
        if unusual.len() > UNUSUAL {
            let oldest = unusual.iter().min_by(|a, b| a.1.at.cmp(&b.1.at)).map(|(key, _)| key.clone());
            oldest.map(|key| unusual.remove(&key));
        }
    }

    /// What was told of assets, and who wrote declarations.
    #[must_use]
    pub fn told_of_assets(&self) -> Arc<Told> {
        Arc::clone(&self.told)
    }

    /// What was refused of one, as of `now`; `None` when nothing ever was.
    #[must_use]
    pub fn of(&self, namespace: &str, workload: Option<&str>, now: Timestamp) -> Option<Blocked> {
        let mut blocked = self.of.get(&(namespace.to_owned(), workload.map(str::to_owned)))?.clone();
        age(&mut blocked, now);
        Some(blocked)
    }

    /// What was refused in a namespace altogether: its workloads' and what no workload matched.
    #[must_use]
    pub fn of_namespace(&self, namespace: &str, now: Timestamp) -> Option<Blocked> {
        let mut out: Option<Blocked> = None;
        for ((ns, workload), blocked) in &self.of {
            if ns != namespace {
                continue;
            }
            let mut blocked = blocked.clone();
            age(&mut blocked, now);
            let sum = out.get_or_insert_default();
            sum.last24h += blocked.last24h;
            sum.total += blocked.total;
            if workload.is_none() {
                sum.attempts = blocked.attempts;
            }
        }
        out
    }

    /// The oldest things that were noted of one and are not yet told.
    #[must_use]
    pub fn noted(&self, namespace: &str, workload: Option<&str>) -> Vec<Noted> {
        let whose = (namespace.to_owned(), workload.map(str::to_owned));
        self.noted.get(&whose).map_or_else(Vec::new, |waiting| waiting.first(NOTES))
    }

    /// Forgets the oldest `count` things that were noted of one: its history tells of them now. Returns whether more wait.
    pub fn told(&mut self, namespace: &str, workload: Option<&str>, count: usize) -> bool {
        let whose = (namespace.to_owned(), workload.map(str::to_owned));
        let Some(waiting) = self.noted.get_mut(&whose) else { return false };
        waiting.drop_first(count);
        let more = !waiting.is_empty();
        if !more {
            self.noted.remove(&whose);
        }
        more
    }

    /// Namespaces with a refusal in the last `seconds` seconds.
    #[must_use]
    pub fn fresh(&self, now: Timestamp, seconds: i64) -> Vec<String> {
        let recent = |blocked: &Blocked| {
            blocked.attempts.iter().any(|group| {
                group
                    .last_seen
                    .parse::<Timestamp>()
                    .is_ok_and(|at| now.as_second() - at.as_second() < seconds)
            })
        };
        let mut out: Vec<String> = self
            .of
            .iter()
            .filter(|(_, blocked)| recent(blocked))
            .map(|((namespace, _), _)| namespace.clone())
            .collect();
        out.dedup();
        out
    }

    /// Forgets what was noted of namespaces that nobody audits any more. Returns what is left of assets that went with them.
    pub fn note_only(&mut self, audited: impl Fn(&str) -> bool) -> Vec<Tombstone> {
        let gone = self.noted.extract_if(.., |(namespace, _), _| !audited(namespace));
        gone.flat_map(|(_, waiting)| waiting.into_notes()).filter_map(|note| note.tombstone).collect()
    }

    /// Forgets a namespace.
    pub fn forget(&mut self, namespace: &str) {
        self.of.retain(|(ns, _), _| ns != namespace);
        self.noted.retain(|(ns, _), _| ns != namespace);
        let told = Arc::make_mut(&mut self.told);
        told.unusual.retain(|(ns, _), _| ns != namespace);
        told.edits.forget(namespace);
    }
}

fn hour(at: Timestamp) -> String {
    let second = at.as_second() - at.as_second().rem_euclid(3600);
    Timestamp::from_second(second).unwrap_or(at).to_string()
}

fn note(blocked: &mut Blocked, attempt: &Attempt) {
    let at = super::conditions::seconds(attempt.at).to_string();
    let hour = hour(attempt.at);
    blocked.total += 1;
    match blocked.hours.iter_mut().find(|h| h.hour == hour) {
        Some(known) => known.count += 1,
        None => blocked.hours.push(HourlyCount { hour, count: 1 }),
    }
    let object = grouped(&attempt.object);
    match blocked.attempts.iter_mut().find(|g| g.control == attempt.control && g.object == object) {
        Some(group) => {
            group.count += 1;
            group.last_seen = at;
            group.message = Some(cut(attempt.message.clone(), 180));
        }
        None => blocked.attempts.push(Group {
            control: attempt.control.clone(),
            object,
            message: Some(cut(attempt.message.clone(), 180)),
            count: 1,
            first_seen: at.clone(),
            last_seen: at,
        }),
    }
    if blocked.attempts.len() > GROUPS {
        blocked.attempts.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
        blocked.attempts.truncate(GROUPS);
    }
}

/// A pod's name ends in what the server made up; pods of one owner count as one.
fn grouped(object: &str) -> String {
    object.trim_end_matches('-').to_owned()
}

/// Drops hours that are a day old and counts the rest.
fn age(blocked: &mut Blocked, now: Timestamp) {
    let day_ago = now.checked_sub(24.hours()).unwrap_or(now);
    blocked.hours.retain(|h| h.hour.parse::<Timestamp>().is_ok_and(|t| t > day_ago));
    blocked.last24h = blocked.hours.iter().map(|h| h.count).sum();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(sequence: u64, at: &str, object: &str) -> Attempt {
        Attempt {
            sequence,
            at: at.parse().unwrap(),
            namespace: "chat".into(),
            workload: Some("chat".into()),
            object: object.into(),
            control: "pod-hardened".into(),
            message: "m".into(),
            noted: None,
            digest: None,
            tombstone: None,
            unusual: None,
            edit: None,
            lost: Vec::new(),
        }
    }

    #[test]
    fn attempts_are_counted_once_grouped_and_forgotten_after_a_day() {
        let mut book = Book::default();
        let first = attempt(1, "2026-01-01T10:00:00Z", "Pod/chat-6f-");
        let second = attempt(2, "2026-01-01T11:30:00Z", "Pod/chat-6f-");
        let mut report = Attempts { replica: "r".into(), attempts: vec![first.clone()] };
        assert_eq!(book.take(&report), ["chat"]);
        report.attempts.push(second);
        book.take(&report);
        assert!(book.take(&report).is_empty(), "nothing new");
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        let blocked = book.of("chat", Some("chat"), now).unwrap();
        assert_eq!((blocked.total, blocked.last24h, blocked.attempts.len()), (2, 2, 1));
        assert_eq!(blocked.attempts[0].count, 2);
        let later = "2026-01-02T10:30:00Z".parse().unwrap();
        assert_eq!(book.of("chat", Some("chat"), later).unwrap().last24h, 1);
        let restarted =
            Attempts { replica: "r".into(), attempts: vec![attempt(1, "2026-01-02T10:00:00Z", "Pod/x")] };
        assert_eq!(book.take(&restarted), ["chat"]);
        assert_eq!(book.of_namespace("chat", later).unwrap().total, 3);
    }
}
