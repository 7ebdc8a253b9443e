//! The golden cases of a suite: frozen by a hash in its file, so that a number of today and one of last year are of the same
//! questions.
//!
//! The hash in the suite decides. A lock beside it holds the hash of each case, so that a message can name those that
//! changed; without it, or when it does not fit the suite's hash, the message only says that some did.

use std::{collections::BTreeMap, fmt::Write};

use gauntlet_types::Name;

use crate::{Case, Mistake, Suite, hash};

/// Cases that a message names.
const NAMED_MAX: usize = 5;

/// The lock's path from the suite's folder: `support.golden` for `support.yaml`.
pub fn lock_name(suite_file: &str) -> String {
    let name = suite_file.rsplit_once('/').map_or(suite_file, |(_, name)| name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}.golden")
}

/// One line a case, sorted: what is hashed, and what the lock holds.
pub fn lock<'a>(cases: impl IntoIterator<Item = &'a Case>) -> String {
    let golden: BTreeMap<&Name, &Name> =
        cases.into_iter().filter(|case| case.is_golden).map(|case| (&case.id, &case.hash)).collect();
    golden.into_iter().fold(String::new(), |mut text, (id, hash)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{hash} {id}");
        text
    })
}

/// Of the golden cases, hexadecimal; none without any.
pub fn hash_of(suite: &Suite) -> Option<Name> {
    suite.cases.iter().any(|case| case.is_golden).then(|| hash::sha256(&lock(&suite.cases)))
}

/// What differs between the frozen cases and those that are there.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Changes {
    pub added: Vec<Name>,
    pub removed: Vec<Name>,
    pub changed: Vec<Name>,
}

/// None when `lock` is not the one that `frozen` was taken of.
pub fn changes(suite: &Suite, frozen: &str, lock_text: &str) -> Option<Changes> {
    if *hash::sha256(lock_text) != *frozen {
        return None;
    }
    let before: BTreeMap<&str, &str> =
        lock_text.lines().filter_map(|line| line.split_once(' ')).map(|(hash, id)| (id, hash)).collect();
    let now: BTreeMap<&str, &str> =
        suite.cases.iter().filter(|case| case.is_golden).map(|case| (&*case.id, &*case.hash)).collect();
    let only = |in_this: &BTreeMap<&str, &str>, not_in: &BTreeMap<&str, &str>| {
        in_this.keys().filter(|id| !not_in.contains_key(*id)).map(|id| Name::from(*id)).collect()
    };
    let changed = now.iter().filter(|(id, hash)| before.get(*id).is_some_and(|before| before != *hash));
    Some(Changes {
        added: only(&now, &before),
        removed: only(&before, &now),
        changed: changed.map(|(id, _)| Name::from(*id)).collect(),
    })
}

impl Changes {
    fn words(&self) -> String {
        let part = |verb: &str, ids: &[Name]| {
            let named: Vec<String> = ids.iter().take(NAMED_MAX).map(|id| format!("`{id}`")).collect();
            let more = ids.len().saturating_sub(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            (!ids.is_empty()).then(|| format!("{verb} {}{more}", named.join(", ")))
        };
        let parts =
            [part("changed", &self.changed), part("added", &self.added), part("removed", &self.removed)];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// What keeps the suite from running, or only wants to be said.
pub(crate) fn mistake(suite: &Suite, lock_text: Option<&str>) -> Option<Mistake> {
    let now = hash_of(suite);
    let freeze = format!("`gauntlet eval freeze {}`", suite.name);
    let (message, cure, is_warning) = match (&suite.golden, now) {
        (None, None) => return None,
        (Some(frozen), Some(now)) if *frozen == now => return None,
        (None, Some(_)) => (
            "its golden cases are not frozen".to_owned(),
            format!("freeze them with {freeze}, so that nobody changes them unseen"),
            true,
        ),
        (Some(frozen), _) => {
            let which = lock_text.and_then(|lock| changes(suite, frozen, lock));
            let which = which.map_or_else(String::new, |changes| format!(": {}", changes.words()));
            (
                format!("the golden cases are not the frozen ones{which}"),
                format!(
                    "take the change back, or declare it with {freeze}; older runs do not compare with it then"
                ),
                false,
            )
        }
    };
    Some(Mistake { file: suite.file.clone(), line: 0, column: 0, message, cure, is_warning })
}

/// The suite's file with its line `golden:` set to this hash, every other byte kept.
///
/// Errors: what to write by hand, where the line is not a plain one at the margin.
pub fn declare(text: &str, hash: &str) -> Result<String, String> {
    let wanted = format!("golden: sha256:{hash}");
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if text.trim_start().starts_with('{') {
        return Err(format!("the file is written as one value in braces; write `{wanted}` into it by hand"));
    }
    let mut out = String::with_capacity(text.len() + wanted.len() + 2);
    let mut is_done = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with("golden:") {
            let comment = line.split_once(" #").map_or("", |(_, comment)| comment.trim_end());
            let comment = if comment.is_empty() { String::new() } else { format!(" #{comment}") };
            out.push_str(&format!("{wanted}{comment}{line_end}"));
            is_done = true;
        } else {
            out.push_str(line);
        }
    }
    if is_done {
        return Ok(out);
    }
    // Below the datasets, whose part it is; a list of them may take several lines.
    let mut out = String::with_capacity(text.len() + wanted.len() + 2);
    let mut in_dataset = false;
    for line in text.split_inclusive('\n') {
        let is_further =
            line.starts_with([' ', '-', '\t']) || line.trim().is_empty() || line.starts_with('#');
        if in_dataset && !is_further {
            out.push_str(&format!("{wanted}{line_end}"));
            (in_dataset, is_done) = (false, true);
        }
        in_dataset |= line.starts_with("dataset:") || line.starts_with("datasets:");
        out.push_str(line);
    }
    if !is_done {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push_str(line_end);
        }
        out.push_str(&format!("{wanted}{line_end}"));
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
