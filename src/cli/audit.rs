//! `portcullis audit verify`: whether an exported audit trail is whole, as far as its lines and the statuses prove it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use kube::{Client, ResourceExt as _};
use serde::Deserialize as _;
use serde_json::Value;

use super::out;
use crate::api::compliance::EndedChain;
use crate::api::outcome::History;
use crate::api::{AICompliance, AIWorkload};
use crate::controllers::status::list_all;
use crate::policy::trail::{Checked, Checker, Head, of_namespace, of_workload};

/// Longest line that is looked at; the longest entry takes about 1 KiB.
const LONGEST: u64 = 64 * 1024;

/// Works with the audit trail that the controller exports.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that no entry of an exported trail is missing, altered or out of place. Ends with 0 when the trail is whole,
    /// 1 when it is broken or a chain begins again, 2 when the input cannot be used, and 3 when a beginning is missing. Of a
    /// trail whose files are rotated, give all files, the oldest first: one alone lacks what stands in the others
    Verify(Verify),
}

#[derive(Debug, Args)]
struct Verify {
    /// Files with the exported lines, the oldest first, or - for standard input; other log lines between them do no harm
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Statuses to compare the ends of chains with: a file of `kubectl get aiworkloads,aicompliances -A -o json`
    #[arg(long, value_name = "FILE", conflicts_with = "cluster")]
    status: Option<PathBuf>,
    /// Compare the ends of chains with the statuses in the cluster of the current context
    #[arg(long)]
    cluster: bool,
    /// Do not fail for chains that begin again or begin late, as after a new installation or a restored cluster; they are
    /// told all the same
    #[arg(long)]
    accept_restarts: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Command::Verify(arguments) = &arguments.command;
    out::finish(verify(arguments))
}

fn verify(arguments: &Verify) -> Result<(String, u8), String> {
    let heads = match &arguments.status {
        Some(file) => Some(heads_of_file(file)?),
        None if arguments.cluster => {
            Some(out::ask_cluster("give --status FILE", async |client| heads_of_cluster(&client).await)?)
        }
        None => None,
    };
    let mut checker = Checker::default();
    for file in &arguments.files {
        checker.file(&file.display().to_string());
        let read = if file == Path::new("-") {
            read(std::io::stdin().lock(), &mut checker)
        } else {
            std::fs::File::open(file).and_then(|input| read(input, &mut checker))
        };
        read.map_err(|error| format!("{}: cannot be read: {error}\n", file.display()))?;
    }
    let last = arguments.files.last().map(|file| file.display().to_string()).unwrap_or_default();
    told(&last, &checker.finish(heads.as_ref()), heads.is_some(), arguments.accept_restarts)
}

fn read(input: impl Read, checker: &mut Checker) -> std::io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if !line.ends_with(b"\n") {
            // The rest of a line that is too long for an entry, or the last one.
            let mut rest = Vec::new();
            while input.by_ref().take(LONGEST).read_until(b'\n', &mut rest)? > 0 && !rest.ends_with(b"\n") {
                rest.clear();
            }
        }
        checker.line(&String::from_utf8_lossy(&line));
    }
}

fn told(file: &str, checked: &Checked, compared: bool, accepted: bool) -> Result<(String, u8), String> {
    if checked.chains == 0 && checked.faults.is_empty() {
        return Err(format!(
            "{file}: holds no entry of an audit trail\n  fix: give what the controller wrote with --audit-export\n"
        ));
    }
    let mut text = String::new();
    for (line, said) in checked.faults.iter().chain(&checked.restarts).chain(&checked.remnants) {
        let _ = match checked.files.place(*line) {
            (_, 0) => writeln!(text, "{file}: {said}"),
            (file, line) => writeln!(text, "{file}:{line}: {said}"),
        };
    }
    for open in checked.open.iter().chain(&checked.late) {
        let _ = writeln!(text, "{file}: {open}");
    }
    let (restarts, open, late) = (checked.restarts.len(), checked.open.len(), checked.late.len());
    let (verdict, code) = match checked.faults.len() {
        0 if restarts > 0 => {
            let code = if !accepted {
                1
            } else if open > 0 {
                3
            } else {
                0
            };
            (format!("is whole but for {restarts} places at which a chain begins again"), code)
        }
        0 if open + late > 0 => {
            let code = if open > 0 || !accepted { 3 } else { 0 };
            (
                format!("is whole as far as it goes; the beginning of {} chains is not in it", open + late),
                code,
            )
        }
        0 => ("is whole".to_owned(), 0),
        1 => ("is broken at 1 place".to_owned(), 1),
        faults => (format!("is broken at {faults} places"), 1),
    };
    let _ = writeln!(text, "the trail {verdict}: {} entries in {} chains", checked.entries, checked.chains);
    if !compared {
        let _ = writeln!(
            text,
            "entries cut off at the end show only beside statuses: --cluster or --status FILE"
        );
    }
    Ok((text, code))
}

fn heads_of_file(file: &Path) -> Result<BTreeMap<String, Head>, String> {
    let unusable = |why: String| format!("{}: {why}\n", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    let value: Value =
        serde_json::from_str(&text).map_err(|error| unusable(format!("is no JSON: {error}")))?;
    let objects = match value.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().collect(),
        None => vec![&value],
    };
    let (mut heads, mut gone) = (BTreeMap::new(), BTreeMap::new());
    for object in objects {
        let meta = &object["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for ended in Vec::<EndedChain>::deserialize(&object["status"]["ended"]).unwrap_or_default() {
            gone.insert(ended.chain.clone(), head_of(ended));
        }
        let Ok(history) = History::deserialize(&object["status"]["history"]) else { continue };
        let chain = match object["kind"].as_str() {
            Some("AIWorkload") => {
                of_workload(&text(&meta["namespace"]), &text(&meta["name"]), &text(&meta["uid"]))
            }
            Some("AICompliance") => {
                of_namespace(&text(&meta["name"]), &text(&meta["ownerReferences"][0]["uid"]))
            }
            _ => continue,
        };
        heads.insert(chain, Head::of(&history));
    }
    heads = among(gone, heads);
    if heads.is_empty() {
        return Err(unusable("holds no AIWorkload or AICompliance with a history in its status".to_owned()));
    }
    Ok(heads)
}

async fn heads_of_cluster(client: &Client) -> Result<BTreeMap<String, Head>, String> {
    let (mut heads, mut gone) = (BTreeMap::new(), BTreeMap::new());
    let failed = |error: kube::Error| format!("the statuses cannot be read: {error}\n");
    list_all(client, |workload: AIWorkload| {
        let chain = of_workload(
            &workload.namespace().unwrap_or_default(),
            &workload.name_any(),
            &workload.uid().unwrap_or_default(),
        );
        if let Some(history) = workload.status.and_then(|status| status.history) {
            heads.insert(chain, Head::of(&history));
        }
    })
    .await
    .map_err(failed)?;
    list_all(client, |row: AICompliance| {
        let owner = row.owner_references().first().map(|owner| owner.uid.clone()).unwrap_or_default();
        let chain = of_namespace(&row.name_any(), &owner);
        let status = row.status.unwrap_or_default();
        gone.extend(status.ended.into_iter().map(|ended| (ended.chain.clone(), head_of(ended))));
        if let Some(history) = status.history {
            heads.insert(chain, Head::of(&history));
        }
    })
    .await
    .map_err(failed)?;
    Ok(among(gone, heads))
}

fn head_of(ended: EndedChain) -> Head {
    Head { length: ended.length, hash: ended.head, oldest: None }
}

/// The ends of histories that are `gone` and of those that stand: a chain that stands again is what it is now.
fn among(mut gone: BTreeMap<String, Head>, stand: BTreeMap<String, Head>) -> BTreeMap<String, Head> {
    gone.extend(stand);
    gone
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::outcome::HistoryKind;
    use crate::policy::trail::{Line, append};
    use jiff::Timestamp;
    use serde_json::json;

    fn exported(folder: &Path) -> (PathBuf, Vec<String>, History) {
        let (mut history, chain) = (History::default(), of_workload("a", "chat", "u"));
        for n in 0..4 {
            append(&mut history, &chain, Timestamp::UNIX_EPOCH, HistoryKind::Verdict, format!("{n}"), None);
        }
        let lines = history.entries.iter().map(|e| serde_json::to_string(&Line::new(&chain, e)).unwrap());
        (folder.join("trail.jsonl"), lines.collect(), history)
    }

    fn asked(file: &Path, lines: &[String], status: Option<&Path>) -> Result<(String, u8), String> {
        std::fs::write(file, lines.join("\n")).unwrap();
        verify(&Verify {
            files: vec![file.to_owned()],
            status: status.map(Path::to_owned),
            cluster: false,
            accept_restarts: false,
        })
    }

    #[test]
    fn a_chain_that_begins_again_fails_unless_that_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let (file, mut lines, _) = exported(folder.path());
        let (mut anew, chain) = (History::default(), of_workload("a", "chat", "u"));
        append(&mut anew, &chain, Timestamp::UNIX_EPOCH, HistoryKind::Composition, "declared", None);
        lines.push(serde_json::to_string(&Line::new(&chain, &anew.entries[0])).unwrap());
        let (text, code) = asked(&file, &lines, None).unwrap();
        assert!(code == 1 && text.contains("trail.jsonl:5: AIWorkload/a/chat/u begins again"), "{text}");
        assert!(text.contains("the trail is whole but for 1 places"), "{text}");
        let accepting = |code: u8| {
            let asked =
                Verify { files: vec![file.clone()], status: None, cluster: false, accept_restarts: true };
            assert_eq!(verify(&asked).unwrap().1, code);
        };
        accepting(0);
        lines.remove(0);
        std::fs::write(&file, lines.join("\n")).unwrap();
        accepting(3);
        let late = "taken up as declared on 2026-05-01";
        let mut begun = History::default();
        append(&mut begun, &chain, Timestamp::UNIX_EPOCH, HistoryKind::Composition, late, None);
        let line = serde_json::to_string(&Line::new(&chain, &begun.entries[0])).unwrap();
        let (text, code) = asked(&file, &[line], None).unwrap();
        assert!(code == 3 && text.contains("was declared on 2026-05-01"), "{text}");
        accepting(0);
    }

    #[test]
    fn files_that_follow_on_each_other_are_one_trail() {
        let folder = tempfile::tempdir().unwrap();
        let (new, lines, history) = exported(folder.path());
        let (old, status) = (folder.path().join("old.jsonl"), folder.path().join("status.json"));
        let object = json!({"kind": "AIWorkload", "metadata": {"namespace": "a", "name": "chat", "uid": "u"},
            "status": {"history": history}});
        std::fs::write(&status, object.to_string()).unwrap();
        std::fs::write(&old, format!("{}\n", lines[..2].join("\n"))).unwrap();
        std::fs::write(&new, format!("{}\n", lines[2..].join("\n"))).unwrap();
        let ask = |files: &[&PathBuf], status: Option<&PathBuf>| {
            let files = files.iter().map(|file| (*file).clone()).collect();
            verify(&Verify { files, status: status.cloned(), cluster: false, accept_restarts: false })
                .unwrap()
        };
        let (text, code) = ask(&[&old, &new], Some(&status));
        assert_eq!((text.as_str(), code), ("the trail is whole: 4 entries in 1 chains\n", 0));
        let (text, code) = ask(&[&new, &old], Some(&status));
        assert!(code == 1 && text.contains("old.jsonl"), "{text}");
        let (text, code) = ask(&[&new], None);
        assert!(code == 3 && text.contains("stands in an older file, to be given before this one"), "{text}");
        // One without any entry of a chain says what to give.
        let other = of_workload("a", "quiet", "q");
        let mut quiet = History::default();
        append(&mut quiet, &other, Timestamp::UNIX_EPOCH, HistoryKind::Verdict, "pass", None);
        std::fs::write(&old, serde_json::to_string(&Line::new(&other, &quiet.entries[0])).unwrap()).unwrap();
        let (text, code) = ask(&[&old], Some(&status));
        let hint = "none of them is here; where files are rotated, give all of them, the oldest first";
        assert!(code == 1 && text.contains(hint), "{text}");
    }

    #[test]
    fn what_is_left_of_an_entry_is_told_and_breaks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, lines, _) = exported(folder.path());
        let mut cut = lines[..3].to_vec();
        cut.push(lines[3][..99].to_owned());
        cut.push(lines[3].clone());
        let (text, code) = asked(&file, &cut, None).unwrap();
        assert!(
            code == 0 && text.contains("trail.jsonl:4: is left of an entry that was not written whole"),
            "{text}"
        );
        let (text, code) = asked(&file, &cut[..4], None).unwrap();
        assert!(code == 1 && text.contains("trail.jsonl:4: is no entry that can be read"), "{text}");
    }

    #[test]
    fn a_trail_ends_with_the_code_of_what_it_proves() {
        let folder = tempfile::tempdir().unwrap();
        let (file, lines, history) = exported(folder.path());
        let status = folder.path().join("status.json");
        let object = json!({"kind": "List", "items": [{"kind": "AIWorkload",
            "metadata": {"namespace": "a", "name": "chat", "uid": "u"},
            "status": {"history": {"length": history.length, "head": history.head}}}]});
        std::fs::write(&status, object.to_string()).unwrap();
        let (text, code) = asked(&file, &lines, Some(&status)).unwrap();
        assert_eq!((text.as_str(), code), ("the trail is whole: 4 entries in 1 chains\n", 0));
        let (text, code) = asked(&file, &lines[..3], Some(&status)).unwrap();
        assert!(
            code == 1 && text.contains("ends with entry 3 on line 3, and by its status there are 4"),
            "{text}"
        );
        let (text, code) = asked(&file, &[lines[0].clone(), lines[2].clone()], None).unwrap();
        assert!(code == 1 && text.contains("trail.jsonl:2: entry 3 of"), "{text}");
        assert_eq!(asked(&file, &lines[1..], None).unwrap().1, 3);
        let long = format!("{{\"chain\":\"{}\"}}", "x".repeat(200_000));
        let (text, code) = asked(&file, &[long, lines[0].clone()], None).unwrap();
        assert!(code == 1 && text.contains("trail.jsonl:1: is no entry that can be read"), "{text}");
        assert!(asked(&file, &[], None).unwrap_err().contains("holds no entry of an audit trail"));
        assert!(
            asked(&file, &lines, Some(&folder.path().join("none"))).unwrap_err().contains("cannot be read")
        );
    }

    #[test]
    fn the_chain_of_a_namespace_that_is_gone_is_missed_where_the_row_of_the_cluster_keeps_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let (_, _, history) = exported(folder.path());
        let row = |ended: Value| json!({"kind": "AICompliance", "metadata": {"name": "cluster"}, "status": {"ended": ended}});
        let file = folder.path().join("rows.json");
        let heads = |ended: Value| {
            std::fs::write(&file, serde_json::to_vec(&row(ended)).unwrap()).unwrap();
            heads_of_file(&file)
        };
        let end = |chain: &str| json!({"chain": chain, "length": history.length, "head": history.head});
        let lines: Vec<String> = {
            let entries = history.entries.iter();
            let line =
                |entry| serde_json::to_string(&Line::new(&of_workload("a", "chat", "u"), entry)).unwrap();
            entries.map(line).collect()
        };
        let faults = |heads: &BTreeMap<String, Head>, lines: &[String]| {
            let mut checker = Checker::default();
            for line in lines {
                checker.line(line);
            }
            checker.finish(Some(heads)).faults
        };
        let known = heads(json!([end("AIWorkload/a/chat/u")])).unwrap();
        assert_eq!(faults(&known, &lines), []);
        let cut_out = faults(&known, &[]);
        assert!(cut_out.len() == 1 && cut_out[0].1.contains("none of them is here"), "{cut_out:?}");
        let shortened = faults(&known, &lines[..3]);
        assert!(shortened.len() == 1 && shortened[0].1.contains("ends with entry 3"), "{shortened:?}");
        assert!(heads(json!([])).is_err());
    }
}
