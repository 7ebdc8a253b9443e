//! Which cases of a suite a run asks.

use gauntlet_places::near;

use crate::{Case, Suite, hash};

/// The tag that a fast run looks for.
pub const FAST: &str = "fast";

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Selection {
    pub is_fast: bool,
    /// Of these ids only; all for none.
    pub cases: Vec<String>,
    /// With any of these tags; all for none.
    pub tags: Vec<String>,
}

/// The chosen cases in their order, and how they were chosen where that needs saying.
#[derive(Debug)]
pub struct Selected<'a> {
    pub cases: Vec<&'a Case>,
    pub note: Option<String>,
}

/// Chooses. Errors: an id or tag that no case has, with the nearest one.
pub fn select<'a>(suite: &'a Suite, selection: &Selection) -> Result<Selected<'a>, String> {
    for id in &selection.cases {
        if !suite.cases.iter().any(|case| *case.id == **id) {
            let ids = suite.cases.iter().map(|case| &*case.id);
            let cure = near::cure(id, ids, &format!("the ids stand in {}", suite.datasets.join(", ")));
            return Err(format!("no case of `{}` has the id `{}`; {cure}", suite.name, id.escape_debug()));
        }
    }
    for tag in &selection.tags {
        let mut tags: Vec<&str> = suite.cases.iter().flat_map(|case| &case.tags).map(|tag| &**tag).collect();
        tags.sort_unstable();
        tags.dedup();
        // Golden cases may be marked by a field instead.
        if !tags.contains(&tag.as_str()) && tag != "golden" {
            let listed = if tags.is_empty() {
                "no case has any".to_owned()
            } else {
                format!("there are {}", tags.join(", "))
            };
            let cure = near::cure(tag, tags.iter().copied(), &listed);
            return Err(format!("no case of `{}` has the tag `{}`; {cure}", suite.name, tag.escape_debug()));
        }
    }
    let has_tag = |case: &Case, tag: &str| {
        case.tags.iter().any(|own| **own == *tag) || (tag == "golden" && case.is_golden)
    };
    let is_wanted = |case: &&Case| {
        (selection.cases.is_empty() || selection.cases.iter().any(|id| **id == *case.id))
            && (selection.tags.is_empty() || selection.tags.iter().any(|tag| has_tag(case, tag)))
    };
    let wanted: Vec<&Case> = suite.cases.iter().filter(is_wanted).collect();
    if wanted.is_empty() {
        return Err(format!(
            "no case of `{}` has both that id and that tag; leave one of the two out",
            suite.name
        ));
    }
    if !selection.is_fast {
        return Ok(Selected { cases: wanted, note: None });
    }
    if wanted.iter().any(|case| has_tag(case, FAST)) {
        let cases = wanted.into_iter().filter(|case| has_tag(case, FAST)).collect();
        return Ok(Selected { cases, note: None });
    }
    Ok(sample(wanted, if suite.fast == 0 { Suite::FAST_CASES } else { suite.fast } as usize))
}

/// The cases whose ids have the lowest hashes: the same ones every time, and when cases come or go, nearly so.
fn sample(wanted: Vec<&Case>, size: usize) -> Selected<'_> {
    if wanted.len() <= size {
        return Selected { cases: wanted, note: Some("no case is tagged `fast`: all are asked".to_owned()) };
    }
    let mut hashes: Vec<_> = wanted.iter().map(|case| hash::sha256(&case.id)).collect();
    hashes.sort_unstable();
    let last = hashes[size - 1].clone();
    let all = wanted.len();
    let cases = wanted.into_iter().filter(|case| hash::sha256(&case.id) <= last).collect();
    let note = format!(
        "no case is tagged `fast`: {size} of {all} are asked, always the same ones, by a hash of their ids"
    );
    Selected { cases, note: Some(note) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(size: usize, tag: impl Fn(usize) -> Vec<&'static str>) -> Suite {
        let case = |index: usize| Case {
            id: format!("c{index}").into(),
            tags: tag(index).into_iter().map(Into::into).collect(),
            is_golden: index == 0,
            ..Case::default()
        };
        Suite { name: "s".into(), fast: 5, cases: (0..size).map(case).collect(), ..Suite::default() }
    }

    fn ids(suite: &Suite, selection: &Selection) -> Vec<String> {
        select(suite, selection).unwrap().cases.iter().map(|case| case.id.to_string()).collect()
    }

    #[test]
    fn a_fast_run_takes_the_tagged_cases_or_the_same_few() {
        let fast = Selection { is_fast: true, ..Selection::default() };
        let tagged = suite(9, |index| if index % 4 == 0 { vec!["fast"] } else { vec![] });
        assert_eq!(ids(&tagged, &fast), ["c0", "c4", "c8"]);
        let plain = suite(100, |_| vec![]);
        let first = ids(&plain, &fast);
        assert_eq!((first.len(), &first), (5, &ids(&plain, &fast)));
        let grown = ids(&suite(104, |_| vec![]), &fast);
        assert!(first.iter().filter(|id| grown.contains(id)).count() >= 4, "{first:?} {grown:?}");
        let note = select(&plain, &fast).unwrap().note.unwrap();
        assert!(note.contains("5 of 100"), "{note}");
    }

    #[test]
    fn ids_and_tags_choose_and_unknown_ones_are_named() {
        let suite = suite(9, |index| if index % 2 == 0 { vec!["even"] } else { vec!["odd"] });
        let of = |cases: &[&str], tags: &[&str]| Selection {
            is_fast: false,
            cases: cases.iter().map(|id| (*id).to_owned()).collect(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        assert_eq!(ids(&suite, &of(&["c1", "c2", "c3"], &["even"])), ["c2"]);
        assert_eq!(ids(&suite, &of(&[], &["golden"])), ["c0"]);
        let check = |selection: &Selection, wanted: &str| {
            let said = select(&suite, selection).unwrap_err();
            assert!(said.contains(wanted), "{said}");
        };
        check(&of(&["c88"], &[]), "`c88`; did you mean");
        check(&of(&[], &["evne"]), "did you mean `even`?");
        check(&of(&[], &["quarterly"]), "there are even, odd");
        check(&of(&["c1"], &["even"]), "both that id and that tag");
    }
}
