//! The status of one AIWorkload, within its bound. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::common::State;
use crate::api::outcome::{Blocked, History};
use crate::api::workload::{AIWorkloadStatus, KnownGood, Lineage, Manage, PodCounts, Row};
use crate::controllers::audit::AuditedWorkload;
use crate::controllers::audit::states::control;
use crate::controllers::conditions::{COMPLIANT, GENERATED, PODS_SELECTED, Said, conditions};
use crate::render::words;

/// What a status says beside the states of controls.
pub struct Beside<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// The generation of the declaration.
    pub generation: Option<i64>,
    /// Digest of its composition.
    pub composition: String,
    /// Who brings about what it asks for; why it is not there.
    pub generated: Result<Manage, String>,
    /// Pods that were refused.
    pub blocked: Option<Blocked>,
    /// What became of it.
    pub history: Option<History>,
    /// Since when it is what it is.
    pub lineage: Option<Lineage>,
    /// What to go back to.
    pub known_good: Option<KnownGood>,
    /// Who wrote it.
    pub authors: Vec<String>,
    /// Entries of the history that are not dropped, and how many of them were there before this look and wait for the
    /// export since.
    pub held: Held,
    /// The nearest mark on the way to the day by which its owners have to be confirmed again.
    pub warned_days: Option<u8>,
    /// What remains of it while it retires.
    pub residue: Vec<String>,
    /// What was seen of its figures and its log sink.
    pub observed: Vec<Said>,
    /// The conditions before.
    pub former: &'a [Condition],
}

/// The newest entries of a history that are not dropped.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// How many.
    pub all: usize,
    /// How many of them waited before this look: they are not counted for the bound of a status.
    pub waited: usize,
}

/// The status of one workload.
#[must_use]
pub fn workload_status(audited: &AuditedWorkload, beside: Beside<'_>, now: Timestamp) -> AIWorkloadStatus {
    let Beside {
        namespace,
        generation,
        composition,
        generated,
        blocked,
        history,
        lineage,
        known_good,
        authors,
        held,
        warned_days,
        residue,
        observed,
        former,
    } = beside;
    let states = &audited.states;
    let verdict = states.verdict();
    let compliant = Said::new(
        COMPLIANT,
        verdict == crate::api::OverallVerdict::Pass || verdict == crate::api::OverallVerdict::Warn,
        match states.top_reason() {
            Some(id) => control(&id).map_or_else(String::new, crate::policy::Control::reason),
            None => "Kept".to_owned(),
        },
        states
            .rows()
            .first()
            .and_then(|row| row.message.clone())
            .unwrap_or_else(|| "every control that applies is kept".to_owned()),
    );
    let selects = Said::new(
        PODS_SELECTED,
        audited.pods > 0,
        if audited.pods > 0 { "Found" } else { "NoPods" },
        if audited.pods > 0 {
            format!("the selector matches {} pods", audited.pods)
        } else {
            "the selector matches no pod that runs: check the labels of the pod template, or whether its pods are refused".to_owned()
        },
    );
    let mut rows = states.rows();
    let all = rows.len();
    rows.truncate(ROWS);
    let mut status = AIWorkloadStatus {
        observed_generation: generation,
        verdict: Some(verdict),
        top_reason: states.top_reason(),
        counters: Some(states.counters()),
        pods: Some(PodCounts { total: audited.pods, never_verified: audited.never_verified }),
        rows,
        blocked,
        composition_digest: Some(composition),
        lineage,
        history,
        known_good,
        authors,
        warned_days,
        residue,
        conditions: conditions(
            [compliant, brought_about(generated), selects].into_iter().chain(observed),
            former,
            generation,
            now,
        ),
    };
    bound(&mut status, held);
    point_on(&mut status, all, namespace);
    status
}

/// Whether what is declared was brought about.
fn brought_about(generated: Result<Manage, String>) -> Said {
    match generated {
        Ok(Manage::Generate) => {
            Said::new(GENERATED, true, "Applied", "identity, network policies and monitors are in place")
        }
        Ok(Manage::Observe) => Said::new(
            GENERATED,
            false,
            "Observed",
            "nothing is generated, because spec.manage is Observe: what runs is judged by what the team wrote",
        ),
        Err(why) => Said::new(GENERATED, false, "NotApplied", why),
    }
}

/// Says where the findings stand that the status has no room for.
fn point_on(status: &mut AIWorkloadStatus, all: usize, namespace: &str) {
    let more = all - status.rows.len().min(all);
    let compliant = status.conditions.iter_mut().find(|condition| condition.type_ == COMPLIANT);
    let Some(compliant) = compliant.filter(|_| more > 0) else { return };
    let noun = if more == 1 { "finding" } else { "findings" };
    compliant.message = format!(
        "{}; {more} more {noun}: kubectl get aicompliance {namespace} -o yaml",
        words::cut(std::mem::take(&mut compliant.message), LONGEST_WORDS)
    );
}

/// Rows that a status has.
const ROWS: usize = 16;
/// The words of the condition before those that point to more, in bytes.
const LONGEST_WORDS: usize = 200;
/// Room that is kept for the words that point to more: the longest name of a namespace, and what stands around it.
const POINTER: usize = 128;
/// A status of at most this many bytes, however much went wrong; besides them there is room for entries of the history that
/// wait for an export that fails, at most [`ROOM`](crate::policy::trail::ROOM) of about 500 bytes each.
const LARGEST_STATUS: usize = 4096;
/// What is left of the messages at first where there is not room for all of them whole, in bytes.
const LONG: usize = 180;
/// What is left of a message that has to be shortened once more, in bytes: of less, nobody can tell what is wrong.
const SHORT: usize = 120;

/// Shortens a status to its bound: first the oldest entries of the history go, which stand in the export, then the oldest
/// attempts, then very long words, then words and rows of what refuses no pod, then the words of what may. The last rows go before
/// words are shortened to stubs; [`point_on`] counts them.
fn bound(status: &mut AIWorkloadStatus, held: Held) {
    let waiting = waiting(status, held);
    let size =
        |status: &AIWorkloadStatus| serde_json::to_vec(status).map_or(0, |bytes| bytes.len() - waiting);
    let longer = |row: &Row, than: usize| row.message.as_ref().is_some_and(|message| message.len() > than);
    // What nobody can tell refuses pods as well.
    let fails = |row: &Row| matches!(row.state, State::Fail | State::Unknown);
    if size(status) > LARGEST_STATUS - POINTER
        && let Some(blocked) = status.blocked.as_mut()
    {
        blocked.attempts.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
    }
    while size(status) > LARGEST_STATUS - POINTER {
        if let Some(history) =
            status.history.as_mut().filter(|history| history.entries.len() > held.all.max(2))
        {
            history.entries.remove(0);
        } else if let Some(blocked) = status.blocked.as_mut().filter(|blocked| blocked.attempts.len() > 4) {
            blocked.attempts.pop();
        } else if let Some(attempt) = status
            .blocked
            .as_mut()
            .and_then(|blocked| blocked.attempts.iter_mut().find(|a| a.message.is_some()))
        {
            attempt.message = None;
        } else if let Some(row) = status.rows.iter_mut().rev().find(|row| longer(row, LONG)) {
            row.message = row.message.take().map(|message| words::shorten(message, LONG));
        } else if let Some(row) = status.rows.iter_mut().rev().find(|row| !fails(row) && longer(row, SHORT)) {
            row.message = row.message.take().map(|message| words::shorten(message, SHORT));
        } else if status.rows.last().is_some_and(|row| !fails(row)) {
            status.rows.pop();
        } else if let Some(row) = status.rows.iter_mut().rev().find(|row| longer(row, SHORT)) {
            row.message = row.message.take().map(|message| words::shorten(message, SHORT));
        } else if let Some(blocked) = status.blocked.as_mut().filter(|blocked| blocked.attempts.len() > 1) {
            blocked.attempts.pop();
        } else if status.rows.pop().is_none() {
            return;
        }
    }
}

/// The bytes of the entries that wait for the export since before this look.
fn waiting(status: &AIWorkloadStatus, held: Held) -> usize {
    let entries = status.history.as_ref().map_or(&[][..], |history| &history.entries);
    let waiting = entries.iter().skip(entries.len().saturating_sub(held.all)).take(held.waited);
    waiting.map(|entry| serde_json::to_vec(entry).map_or(0, |bytes| bytes.len() + 1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::outcome::Attempt;
    use crate::controllers::conditions::Holds;

    #[test]
    fn a_status_stays_small_and_keeps_the_gravest() {
        let attempt = |n: usize| Attempt {
            control: "pod-hardened".to_owned(),
            object: format!("Pod/chat-{n}"),
            message: Some("m".repeat(180)),
            count: 1,
            first_seen: "2026-01-01T00:00:00Z".to_owned(),
            last_seen: format!("2026-01-01T00:00:{n:02}Z"),
        };
        let row = |n: usize| Row {
            control: format!("control-{n}"),
            state: State::Fail,
            provisions: vec!["CoP-5.2".to_owned(); 4],
            message: Some("w".repeat(180)),
            object: None,
        };
        let mut status = AIWorkloadStatus {
            rows: (0..16).map(row).collect(),
            blocked: Some(Blocked { attempts: (0..20).map(attempt).collect(), ..Blocked::default() }),
            ..AIWorkloadStatus::default()
        };
        bound(&mut status, Held { all: 1, waited: 0 });
        assert!(serde_json::to_vec(&status).unwrap().len() <= LARGEST_STATUS);
        assert_eq!(status.rows.len(), 16);
        assert_eq!(status.blocked.unwrap().attempts[0].object, "Pod/chat-19");
    }

    #[test]
    fn what_nobody_can_tell_stays_among_the_rows() {
        let row = |state: State| Row {
            control: format!("control-{}", state.as_str()),
            state,
            provisions: vec!["CoP-5.2".to_owned(); 4],
            message: Some("w".repeat(180)),
            object: None,
        };
        let fails = std::iter::repeat_n(State::Fail, 11);
        let rest = std::iter::once(State::Unknown).chain(std::iter::repeat_n(State::Warn, 4));
        let mut status =
            AIWorkloadStatus { rows: fails.chain(rest).map(row).collect(), ..AIWorkloadStatus::default() };
        bound(&mut status, Held { all: 0, waited: 0 });
        assert!(status.rows.iter().any(|row| row.state == State::Unknown), "{:?}", status.rows.len());
        assert!(serde_json::to_vec(&status).unwrap().len() <= LARGEST_STATUS);
    }

    #[test]
    fn a_status_without_room_for_all_findings_says_where_the_others_stand() {
        let said = |shown: usize, all: usize| {
            let row = Row {
                control: "pod-hardened".to_owned(),
                state: State::Fail,
                provisions: vec!["CoP-5.2".to_owned(); 4],
                message: Some("w".repeat(180)),
                object: None,
            };
            let now = Timestamp::from_second(1_800_000_000).unwrap();
            let kept = Said::new(COMPLIANT, false, "PodHardened", "w".repeat(180));
            let mut status = AIWorkloadStatus {
                rows: vec![row; shown],
                conditions: conditions([kept], &[], None, now),
                ..AIWorkloadStatus::default()
            };
            bound(&mut status, Held { all: 1, waited: 0 });
            let left = all - status.rows.len();
            point_on(&mut status, all, &"n".repeat(63));
            assert!(serde_json::to_vec(&status).unwrap().len() <= LARGEST_STATUS);
            (left, status.conditions.remove(0).message)
        };
        assert_eq!(said(3, 3), (0, "w".repeat(180)));
        let (left, message) = said(16, 40);
        assert!(left >= 24, "{left}");
        let pointer = format!("; {left} more findings: kubectl get aicompliance {} -o yaml", "n".repeat(63));
        assert_eq!(message, "w".repeat(180) + &pointer);
    }

    #[test]
    fn fewer_rows_are_left_rather_than_stubs() {
        let row = Row {
            control: "human-oversight-designed".to_owned(),
            state: State::Fail,
            provisions: vec!["CoP-2.5-n2".to_owned(); 5],
            message: Some("w".repeat(240)),
            object: Some("AIWorkload/chat".to_owned()),
        };
        let mut status = AIWorkloadStatus { rows: vec![row; 16], ..AIWorkloadStatus::default() };
        bound(&mut status, Held { all: 1, waited: 0 });
        assert!(serde_json::to_vec(&status).unwrap().len() <= LARGEST_STATUS);
        assert!((8..16).contains(&status.rows.len()), "{}", status.rows.len());
        let shortest = status.rows.iter().filter_map(|row| row.message.as_deref().map(str::len)).min();
        assert_eq!(shortest, Some(SHORT));
    }

    #[test]
    fn entries_that_wait_take_no_room_from_what_fails() {
        let row = Row {
            control: "least-privilege-rbac".to_owned(),
            state: State::Fail,
            provisions: vec!["CoP-6.1".to_owned(); 4],
            message: Some("w".repeat(180)),
            object: None,
        };
        let mut history = History::default();
        for n in 0..16 {
            let (at, change) = (Timestamp::UNIX_EPOCH, format!("{n} {}", "c".repeat(200)));
            let kind = crate::api::outcome::HistoryKind::Verdict;
            crate::policy::trail::append(&mut history, "c", at, kind, change, None);
        }
        let mut rows = Vec::new();
        for held in [Held { all: 1, waited: 0 }, Held { all: 16, waited: 15 }] {
            let mut status = AIWorkloadStatus {
                rows: vec![row.clone(); 16],
                history: Some(history.clone()),
                ..AIWorkloadStatus::default()
            };
            bound(&mut status, held);
            let entries = &status.history.as_ref().unwrap().entries;
            assert!(entries.len() >= held.all, "{}", entries.len());
            let size = serde_json::to_vec(&status).unwrap().len();
            assert!(size <= LARGEST_STATUS + held.waited * 520, "{size}");
            rows.push(status.rows.len());
        }
        assert!(rows[0] <= rows[1], "{rows:?}");
    }

    #[test]
    fn nothing_is_said_to_be_in_place_where_nothing_is_generated() {
        let said = |generated| {
            let said = brought_about(generated);
            (said.holds, said.reason, said.message)
        };
        let (holds, reason, message) = said(Ok(Manage::Observe));
        assert_eq!((holds, reason.as_str()), (Holds::No, "Observed"));
        assert!(message.starts_with("nothing is generated, because spec.manage is Observe"), "{message}");
        let (holds, reason, message) = said(Ok(Manage::Generate));
        assert_eq!((holds, reason.as_str()), (Holds::Yes, "Applied"));
        assert!(message.ends_with("are in place"), "{message}");
        let why = "Role \"chat\" exists".to_owned();
        assert_eq!(said(Err(why.clone())), (Holds::No, "NotApplied".to_owned(), why));
    }

    #[test]
    fn what_fails_keeps_its_words_before_what_is_only_audited() {
        let row = |state: State| Row {
            control: "least-privilege-rbac".to_owned(),
            state,
            provisions: vec!["CoP-6.1".to_owned(); 4],
            message: Some("w".repeat(180)),
            object: None,
        };
        let rows = std::iter::once(State::Fail).chain(std::iter::repeat_n(State::Warn, 45));
        let mut status = AIWorkloadStatus { rows: rows.map(row).collect(), ..AIWorkloadStatus::default() };
        bound(&mut status, Held { all: 1, waited: 0 });
        assert!(serde_json::to_vec(&status).unwrap().len() <= LARGEST_STATUS);
        assert_eq!(status.rows[0].message.as_deref().map(str::len), Some(180));
        assert!(status.rows.len() > 10, "{}", status.rows.len());
    }
}
