//! Rotation: some cases of a dataset retire and others come in, so that nobody tunes for the same questions for years.
//!
//! Golden cases never rotate. Which others do follows from a seed and their ids, so that a dry run and the real one name
//! the same. Lines that stay keep every byte, and their order.

use std::collections::HashSet;

use gauntlet_places::At;
use gauntlet_types::Name;

use crate::{Case, Mistake, dataset, hash, report::Report};

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rotation<'a> {
    /// Of the cases that are not golden: 0.10 to 0.20 is what the founding document asks for, each quarter.
    pub share: f64,
    /// Another seed retires others; the quarter, say.
    pub seed: &'a str,
}

/// A file as it is: its name for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

/// The three files as they shall be, and what changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rotated {
    pub dataset: String,
    /// To be added to the retired ones.
    pub retired: String,
    pub pool: String,
    pub out: Vec<Name>,
    pub come: Vec<Name>,
    /// The pool had fewer than were wanted, and so fewer retired.
    pub short: usize,
}

/// Plans a rotation. `taken` are ids that nothing may come in under: those of other datasets and of retired cases.
///
/// Errors: mistakes of the files, or a pool without a case to bring in.
pub fn plan(
    data: Page<'_>,
    pool: Page<'_>,
    taken: &HashSet<Name>,
    rotation: Rotation<'_>,
) -> Result<Rotated, Vec<Mistake>> {
    let cases = read(data)?;
    let waiting = if pool.text.trim().is_empty() { Vec::new() } else { read(pool)? };
    let known: HashSet<&Name> = cases.iter().map(|case| &case.id).chain(taken).collect();
    let mut fresh: Vec<&Case> = Vec::new();
    for case in &waiting {
        if !known.contains(&case.id) && !fresh.iter().any(|other| other.id == case.id) {
            fresh.push(case);
        }
    }
    let plain: Vec<&Case> = cases.iter().filter(|case| !case.is_golden).collect();
    let wanted = wanted(plain.len(), rotation.share);
    if fresh.is_empty() {
        let known = waiting.len();
        return Err(vec![Mistake {
            file: pool.file.to_owned(),
            line: 0,
            column: 0,
            message: if known == 0 { "there is no case to bring in".to_owned() } else { format!("all its {known} cases are or were in the dataset") },
            cure: "fill it from real calls, `gauntlet trace promote ID --dataset FILE`, or name a file with --from".to_owned(),
            is_warning: false,
        }]);
    }
    let count = wanted.min(fresh.len());
    let out = chosen(&plain, count, rotation.seed);
    let come = chosen(&fresh, count, rotation.seed);
    let lines = |cases: &[&Case]| cases.iter().map(|case| case.line).collect::<HashSet<_>>();
    let (kept, retired) = split(data.text, &lines(&out));
    let (left, brought) = split(pool.text, &lines(&come));
    let names = |cases: &[&Case]| cases.iter().map(|case| case.id.clone()).collect();
    Ok(Rotated {
        dataset: joined(kept, &brought),
        retired,
        pool: left,
        out: names(&out),
        come: names(&come),
        short: wanted - count,
    })
}

fn read(page: Page<'_>) -> Result<Vec<Case>, Vec<Mistake>> {
    let mut report = Report::new(page.file);
    let cases = dataset::read(page.file, page.text, &mut report);
    let mut ids = HashSet::new();
    for case in &cases {
        if !ids.insert(&case.id) {
            report.error(
                At::line(case.line),
                format!("the id `{}` is there twice", case.id),
                "give each case an id of its own",
            );
        }
    }
    if report.has_errors() { Err(report.finish()) } else { Ok(cases) }
}

/// At least one, where there is any.
fn wanted(plain: usize, share: f64) -> usize {
    let exact = plain as f64 * share.clamp(0.0, 1.0);
    (exact.round() as usize).max(1).min(plain)
}

/// Those with the lowest hashes of seed and id, in the order of their file.
fn chosen<'a>(cases: &[&'a Case], count: usize, seed: &str) -> Vec<&'a Case> {
    let mut ranked: Vec<(Name, &Case)> =
        cases.iter().map(|case| (hash::sha256(&format!("{seed}\n{}", case.id)), *case)).collect();
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut chosen: Vec<&Case> = ranked.into_iter().take(count).map(|(_, case)| case).collect();
    chosen.sort_by_key(|case| case.line);
    chosen
}

/// The text without these lines, and these lines.
fn split(text: &str, lines: &HashSet<usize>) -> (String, String) {
    let (mut kept, mut taken) = (String::with_capacity(text.len()), String::new());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if lines.contains(&(index + 1)) {
            taken = joined(taken, line);
        } else {
            kept.push_str(line);
        }
    }
    if !taken.is_empty() && !taken.ends_with('\n') {
        taken.push('\n');
    }
    (kept, taken)
}

fn joined(mut text: String, more: &str) -> String {
    if !text.is_empty() && !text.ends_with('\n') && !more.is_empty() {
        text.push('\n');
    }
    text.push_str(more);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(prefix: &str, count: usize, golden: usize) -> String {
        (0..count).fold(String::new(), |text, index| {
            let tags = if index < golden { ", \"tags\": [\"golden\"]" } else { "" };
            text + &format!("{{\"id\": \"{prefix}{index}\",  \"input\": \"é {index}\"{tags}}}\n")
        })
    }

    fn plan_of(data: &str, pool: &str, share: f64, seed: &str) -> Result<Rotated, Vec<Mistake>> {
        let page = |file, text| Page { file, text };
        plan(page("d.jsonl", data), page("d.pool.jsonl", pool), &HashSet::new(), Rotation { share, seed })
    }

    #[test]
    fn a_share_retires_and_as_many_come_in_and_golden_cases_stay() {
        let (data, pool) = (rows("d", 50, 10), rows("p", 30, 0));
        let rotated = plan_of(&data, &pool, 0.15, "2026-Q4").unwrap();
        assert_eq!((rotated.out.len(), rotated.come.len(), rotated.short), (6, 6, 0));
        for line in data.lines() {
            let is_out = rotated.retired.lines().any(|retired| retired == line);
            assert_ne!(rotated.dataset.lines().any(|kept| kept == line), is_out, "{line}");
            assert!(!is_out || !line.contains("golden"), "{line}");
        }
        assert_eq!(rotated.dataset.lines().count(), 50);
        assert_eq!(rotated.pool.lines().count(), 24);
        assert_eq!(plan_of(&data, &pool, 0.15, "2026-Q4").unwrap(), rotated, "the same seed gives the same");
        assert_ne!(plan_of(&data, &pool, 0.15, "2027-Q1").unwrap().out, rotated.out);
    }

    #[test]
    fn a_short_pool_retires_only_as_many_and_known_ids_do_not_come_back() {
        let data = rows("d", 20, 0);
        let pool = rows("d", 5, 0) + &rows("p", 2, 0);
        let rotated = plan_of(&data, pool.trim_end(), 0.2, "s").unwrap();
        assert_eq!((rotated.out.len(), rotated.short), (2, 2));
        assert!(rotated.come.iter().all(|id| id.starts_with('p')), "{:?}", rotated.come);
        assert!(rotated.dataset.ends_with('\n') || rotated.dataset.ends_with('}'));
        let check = |pool: &str, wanted: &str| {
            let said = plan_of(&data, pool, 0.2, "s").unwrap_err();
            assert!(said.iter().any(|mistake| mistake.to_string().contains(wanted)), "{said:?}");
        };
        check("", "there is no case to bring in");
        check(&rows("d", 3, 0), "all its 3 cases are or were in the dataset");
        check("{\"id\": \"x\"\n", "d.pool.jsonl:1:");
    }

    #[test]
    fn at_least_one_case_rotates_where_any_may() {
        let check =
            |plain: usize, share: f64, count: usize| assert_eq!(wanted(plain, share), count, "{plain}");
        check(0, 0.15, 0);
        check(1, 0.15, 1);
        check(10, 0.15, 2);
        check(1_000, 0.1, 100);
        check(3, 7.0, 3);
    }
}
