//! Versions of libraries and ranges of them, as people write both: `2.4.0`, `>=2.4,<2.5`, `2.4.*`.
//!
//! Cautious where it matters: what cannot be compared lies in no range, and neither does what comes before or after the
//! release at which a range ends without its end.

use std::cmp::Ordering;

/// A version: its numbers, and what follows them.
#[derive(Debug)]
struct Version {
    /// Counts before all numbers: `1!2.0` of Python, `1:2.0` of packages of a system.
    epoch: u64,
    numbers: Vec<u64>,
    /// Such as `rc1`, in one spelling; empty for a release.
    rest: String,
}

/// Spellings of what follows the numbers, the longer ones first, and the one that is kept.
const SPELLINGS: &[(&str, &str)] = &[
    ("alpha", "a"),
    ("beta", "b"),
    ("preview", "rc"),
    ("pre", "rc"),
    ("post", "post"),
    ("dev", "dev"),
    ("rev", "post"),
    ("rc", "rc"),
    ("a", "a"),
    ("b", "b"),
    ("c", "rc"),
    ("r", "post"),
];

/// Reads `v1!2.4.0rc1+cu121`; what was built is left out.
fn read(text: &str) -> Option<Version> {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let text = text.split('+').next()?;
    let (epoch, text) = match text.split_once(['!', ':']) {
        Some((epoch, rest)) => (whole(epoch)?, rest),
        None => (0, text),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    // The dot of `2.4.post1` belongs to what follows.
    let numbers = if rest.is_empty() { numbers } else { numbers.strip_suffix('.').unwrap_or(numbers) };
    let numbers = numbers.split('.').map(whole).collect::<Option<Vec<u64>>>()?;
    Some(Version { epoch, numbers, rest: plain(rest) })
}

fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// What follows the numbers in the one spelling in which it is compared: `-RC.01` is `rc1`, and `-1` is `post1`.
fn plain(rest: &str) -> String {
    let implied = rest.strip_prefix('-').and_then(whole);
    if let Some(number) = implied {
        return format!("post{number}");
    }
    let mut left = rest.to_ascii_lowercase();
    let mut out = String::new();
    loop {
        left = left.trim_start_matches(['-', '_', '.']).to_owned();
        let known = SPELLINGS.iter().find_map(|(word, kept)| Some((left.strip_prefix(word)?, kept)));
        let Some((after, kept)) = known else { return out + &left };
        let after = after.trim_start_matches(['-', '_', '.']);
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        // Without a number it is the zeroth.
        let number = after[..end].trim_start_matches('0');
        out = out + kept + if number.is_empty() { "0" } else { number };
        left = after[end..].to_owned();
    }
}

/// What was built of a version, in the one spelling in which it is compared.
fn built(text: &str) -> Option<String> {
    let (_, built) = text.trim().split_once('+')?;
    Some(built.to_ascii_lowercase().replace(['-', '_'], "."))
}

impl Version {
    /// The order of two numbers, where the shorter one ends in zeros.
    fn numbers(&self, other: &Self) -> Ordering {
        let at = |version: &Self, index: usize| version.numbers.get(index).copied().unwrap_or(0);
        let length = self.numbers.len().max(other.numbers.len());
        let orders = (0..length).map(|index| at(self, index).cmp(&at(other, index)));
        orders.fold(self.epoch.cmp(&other.epoch), Ordering::then)
    }

    fn is(&self, other: &Self) -> bool {
        self.numbers(other) == Ordering::Equal && self.rest == other.rest
    }

    /// Whether its numbers begin with those of `start`; a shorter one ends in zeros.
    fn begins(&self, start: &Self) -> bool {
        let mut numbers = self.numbers.iter().chain(std::iter::repeat(&0));
        self.epoch == start.epoch && start.numbers.iter().all(|number| numbers.next() == Some(number))
    }
}

/// Whether `version` is the one that `stated` names. What was built of it, behind `+`, counts where `stated` names that.
#[must_use]
pub fn same(version: &str, stated: &str) -> bool {
    if version == stated {
        return true;
    }
    if stated.contains('+') && built(version) != built(stated) {
        return false;
    }
    read(version).zip(read(stated)).is_some_and(|(version, stated)| version.is(&stated))
}

/// Whether `version` lies in `range`: constraints that all hold, joined by commas; `*` is any version, an unknown one too.
///
/// # Errors
/// A constraint that cannot be read.
pub fn within<'r>(version: &str, range: &'r str) -> Result<bool, &'r str> {
    let mut inside = true;
    for constraint in range.split(',').map(str::trim) {
        inside &= holds(version, constraint).ok_or(constraint)?;
    }
    Ok(inside)
}

/// Whether one constraint holds; `None` where it is none.
fn holds(version: &str, constraint: &str) -> Option<bool> {
    if constraint == "*" {
        return Some(true);
    }
    let end = constraint.find(|c| !matches!(c, '<' | '>' | '=' | '!')).unwrap_or(constraint.len());
    let (operator, wanted) = constraint.split_at(end);
    let wanted = wanted.trim();
    if let Some(start) = wanted.strip_suffix(".*") {
        let start = read(start).filter(|start| start.rest.is_empty())?;
        let inside = read(version).is_some_and(|version| version.begins(&start));
        return match operator {
            "" | "=" | "==" => Some(inside),
            "!=" => Some(!inside && read(version).is_some()),
            _ => None,
        };
    }
    let limit = read(wanted)?;
    let known = read(version);
    let order = known.as_ref().map(|version| version.numbers(&limit));
    let is_it = known.as_ref().is_some_and(|version| version.is(&limit));
    // Of one number and not the same: one of the two comes before the release or after it, and that is not told apart.
    Some(match operator {
        "" | "=" | "==" => same(version, wanted),
        "!=" => known.is_some() && !is_it,
        "<" => order == Some(Ordering::Less),
        "<=" => order == Some(Ordering::Less) || is_it,
        ">" => order == Some(Ordering::Greater),
        ">=" => order == Some(Ordering::Greater) || is_it,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_one_that_is_named() {
        for (version, stated) in [
            ("2.4.0", "2.4.0"),
            ("2.4.0", "2.4"),
            ("v2.4.0", "2.4.0"),
            ("2.4.0+cu121", "2.4.0"),
            ("2.4.0+cu121", "2.4.0+cu121"),
            ("2.4.0rc1", "2.4.0-RC1"),
            ("main", "main"),
            ("2.4.0+CU121", "2.4+cu121"),
            ("2.4.0+cu-12.1", "2.4.0+cu.12_1"),
            ("1!2.4", "1!2.4.0"),
            ("2.4.0.rc.01", "2.4.0c1"),
            ("2.4.0-preview1", "2.4.0rc1"),
            ("2.4.0alpha", "2.4.0a0"),
            ("2.4.0-1", "2.4.0.post1"),
            ("2.4.0.rev1", "2.4.0post1"),
            ("2.4.0b2.dev3", "2.4.0beta2-dev_3"),
        ] {
            assert!(same(version, stated), "{version} {stated}");
        }
        for (version, stated) in [
            ("2.4.1", "2.4.0"),
            ("2.4.0", "2.4.0+cu121"),
            ("2.4.0rc1", "2.4.0"),
            ("2.4.0.post1", "2.4.0"),
            ("", "2.4.0"),
            ("2.4.0", ""),
            ("main", "2.4.0"),
            ("99999999999999999999999", "0"),
            ("1!2.4.0", "2.4.0"),
            ("2.4.0", "1!2.4.0"),
            ("2.4.0+cu121", "2.4.0+cu118"),
            ("2.4.1+cu121", "2.4.0+cu121"),
            ("2.4.0rc1", "2.4.0rc10"),
            ("2.4.0rc1", "2.4.0post1"),
            ("2.4.0rc1.dev1", "2.4.0rc1"),
            ("2.4.0evil", "2.4.0"),
            ("!2.4", "2.4"),
            ("1!1!2.4", "2.4"),
            ("٢.4", "2.4"),
        ] {
            assert!(!same(version, stated), "{version} {stated}");
        }
    }

    #[test]
    fn a_range_holds_what_lies_in_it_and_no_more() {
        for (version, range) in [
            ("4.44.2", ">=4.40, <4.46"),
            ("4.40.0", ">=4.40,<4.46"),
            ("4.10.0", ">=4.9"),
            ("2.4.1", "2.4.*"),
            ("2.4.0+cpu", "<=2.4.0"),
            ("2.5", "!=2.4.0"),
            ("", "*"),
            ("main", "*"),
            ("1!1.0", ">=1!0.5,<1!2"),
            ("1:2.5.0-3", ">=1:2.4"),
            ("1!0.1", ">2.4"),
            ("2", "2.0.*"),
        ] {
            assert_eq!(within(version, range), Ok(true), "{version} {range}");
        }
        for (version, range) in [
            ("4.46.0", ">=4.40,<4.46"),
            ("4.46.0rc1", ">=4.40,<4.46"),
            ("4.39", ">=4.40,<4.46"),
            ("4.9.0", ">=4.10"),
            ("2.40.0", "2.4.*"),
            ("2.4.0.post1", ">2.4.0"),
            ("2.4.0", "!=2.4"),
            ("main", ">=1"),
            ("main", "!=1"),
            ("", "!=2.4.*"),
            ("", ">=0"),
            // Newer than all without an epoch, whatever its numbers are.
            ("1!2.0", "<3"),
            ("1!2.0", ">=1,<=2.0"),
            ("1!2.4.1", "2.4.*"),
            ("1:2.0", "<3"),
            // What is left out is left out in every spelling.
            ("2.4.0-RC.1", ">=2.3,!=2.4.0rc1"),
            ("2.4.0-1", ">=2.3,!=2.4.0.post1"),
            ("2", "!=2.0.*"),
        ] {
            assert_eq!(within(version, range), Ok(false), "{version} {range}");
        }
        for (range, wrong) in
            [("~=2.4", "~=2.4"), (">=2,", ""), ("", ""), (">=*", ">=*"), ("<2.*", "<2.*"), ("=>2", "=>2")]
        {
            assert_eq!(within("2.4", range), Err(wrong), "{range}");
        }
    }
}
