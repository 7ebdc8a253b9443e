//! Finds what somebody probably meant to write.

/// Gives the candidate nearest to `word`, if it is near: a third of the letters may differ, at least one.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a page, and the table below stays small whatever a caller sends.
    const LETTERS_MAX: usize = 64;
    let letters = word.chars().take(LETTERS_MAX + 1).count();
    if letters > LETTERS_MAX {
        return None;
    }
    let allowed = (letters / 3).max(1);
    let measured = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    measured.filter(|(far, _)| *far <= allowed).min().map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?``, or else `other`.
pub fn cure<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>, other: &str) -> String {
    did_you_mean(word, candidates).unwrap_or_else(|| other.to_owned())
}

/// ``did you mean `x`?``, or nothing.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

/// Letters to add, drop, change or swap with their neighbour (optimal string alignment), in any case.
fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (letters(a), letters(b));
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let best = change.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                let is_swap = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if is_swap { best.min(table[i - 2][j - 2] + 1) } else { best }
            };
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found_and_what_is_far_is_not() {
        let known = ["question", "context", "persona", "name"];
        let check = |word: &str, wanted: Option<&str>| assert_eq!(nearest(word, known), wanted, "{word}");
        check("questoin", Some("question"));
        check("Context", Some("context"));
        check("nmae", Some("name"));
        check("", None);
        check("persnoal", Some("persona"));
        check("temperature", None);
        check("names", Some("name"));
        check(&"x".repeat(1_000_000), None);
    }
}
