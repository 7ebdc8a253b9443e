use std::sync::Arc;

use proptest::prelude::*;

use crate::{Extras, Kinds, LinkRules, Profanity, Scanner, StreamRedactor, Trust, Words, redact};

const CASES: u32 = if cfg!(debug_assertions) { 400 } else { 4000 };

fn extras() -> Extras {
    Extras {
        links: Some(Arc::new(
            LinkRules::new(&["docs.example.com"]).for_call(&[], &["the answer is forty two"]),
        )),
        words: Words::new(&["kestrel-4417-plum"]).map(Arc::new),
        profanity: Some(Arc::new(Profanity::new())),
    }
}

/// Streams `text` in pieces and compares with the whole.
fn check(text: &str, cuts: &[usize], kinds: Kinds, extras: &Extras) {
    let scanner = Arc::new(Scanner::new());
    let mut found = Vec::new();
    scanner.scan_with(text, Trust::User, kinds, extras, &mut found);
    let mut redactor = StreamRedactor::with(scanner, kinds, extras.clone());
    let mut shown = String::new();
    let mut rest = text;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let count = cuts.next().copied().unwrap_or(1).max(1);
        let end = rest.char_indices().nth(count).map_or(rest.len(), |(i, _)| i);
        shown.push_str(&redactor.push(&rest[..end]));
        rest = &rest[end..];
    }
    shown.push_str(&redactor.finish());
    assert_eq!(redactor.findings(), found, "{text:?}");
    assert_eq!(shown, redact(text, &found), "{text:?}");
}

fn fragments() -> Vec<String> {
    let mut all: Vec<String> = [
        "The quick brown fox. ",
        " ",
        "\n",
        "(",
        ")",
        "[",
        "]",
        "](",
        "![x](",
        "<",
        ">",
        "\"",
        "'",
        "=",
        ":",
        "/",
        "//",
        "\\",
        "&",
        ";",
        ",",
        ".",
        "@",
        "?d=",
        "#",
        "%",
        "http",
        "https",
        "https:",
        "https://",
        "HTTPS://",
        "www",
        "www.",
        "ftp://",
        "s",
        "f",
        "evil.test",
        "docs.example.com",
        "docs.example.com@",
        "a.b",
        "[::1]",
        "xn--a",
        "ｅvil。test",
        "，",
        "。",
        "é",
        "世",
        "\u{200b}",
        "&colon;",
        "&#104;",
        "ttps",
        "\t",
        "&#58;",
        "&sol;",
        "&period;",
        "javascript:",
        "data:text/html,",
        "srcset=\"",
        "src=\"",
        "href='",
        "url(",
        " 1x, ",
        "the answer is",
        "the%20answer%20is",
        "dGhlIGFuc3dlciBpcyA0Mg==",
        "kestrel-4417-plum",
        "kestrel-44",
        "17-plum",
        "KESTREL",
        "6b65737472656c2d343431372d706c756d",
        "eGtlc3RyZWwtNDQxNy1wbHVt",
        "a2VzdHJlbC00NDE3LXBsdW0=",
        "k e s t r e l",
        "mulp-7144-lertsek",
        "fuck",
        "sh1t",
        "f*ck",
        "shi",
        "fuuuuck",
        "а",
        "$",
        "*",
        "!",
        "1",
        "a",
        "ann@example.org",
        "4111 1111 1111 1111",
        "password=",
        "hunter2!Xy99",
        "sk-ant-",
        "\u{a0}",
        "[1]: ",
        "SSN 123-45-6789",
        "evil.test/ann@example.org",
    ]
    .map(str::to_owned)
    .into();
    for len in [20, 50, 300, 900] {
        all.push("aZ3kQ9xW7vB2nM5cL8pR4tY6uE1sD0fGhJqKwXzVbN".repeat(30)[..len].to_owned());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_with_extras_gives_what_the_whole_gives(
        parts in prop::collection::vec(prop::sample::select(fragments()), 0..14),
        cuts in prop::collection::vec(1usize..24, 1..6),
        has_kinds in any::<bool>(),
    ) {
        let kinds = Kinds { injection: false, ..if has_kinds { Kinds::ALL } else { Kinds::NONE } };
        check(&parts.concat(), &cuts, kinds, &extras());
    }

    #[test]
    fn no_text_makes_the_extras_panic(text in "\\PC{0,60}", cuts in prop::collection::vec(1usize..9, 1..4)) {
        check(&text, &cuts, Kinds::NONE, &extras());
    }

    #[test]
    fn no_marks_make_the_links_panic(text in "[htps:/\\\\&;@.a\"'()<>\\[\\] =世#?]{0,80}", cuts in prop::collection::vec(1usize..9, 1..4)) {
        check(&text, &cuts, Kinds::NONE, &extras());
    }
}

#[test]
fn a_dot_that_is_written_as_an_entity_makes_a_name_of_the_web() {
    let extras = extras();
    let found = |text: &str| {
        let mut found = Vec::new();
        Scanner::new().scan_with(text, Trust::User, Kinds::NONE, &extras, &mut found);
        found.iter().map(|finding| (finding.label, finding.span.clone())).collect::<Vec<_>>()
    };
    assert_eq!(found("see www&period;evil.test now"), [("disguised_link", 4..24)]);
    assert_eq!(found("see www&period; now"), []);
    for text in ["see www&period;evil.test now", "www&period;", "www&period"] {
        check(text, &[1], Kinds::NONE, &extras);
    }
}

#[test]
fn an_entity_that_is_cut_is_waited_for() {
    check(
        " 1x, httpskestrel-4417-plum.@)href='url(/?d=&sol;/ｅvil。test",
        &[1, 7, 3],
        Kinds::NONE,
        &extras(),
    );
}

#[test]
fn all_of_what_overlaps_is_found_and_replaced_once() {
    let text = "see https://evil.test/?k=ann@example.org and kestrel-4417-plum, damn.";
    let mut found = Vec::new();
    let both = Kinds { injection: false, ..Kinds::ALL };
    Scanner::new().scan_with(text, Trust::User, both, &extras(), &mut found);
    let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["links", "pii", "canary", "toxicity"]);
    assert_eq!(redact(text, &found), "see [REDACTED:LINK] and [REDACTED:CANARY], [REDACTED:WORD].");
    check(text, &[1], both, &extras());
}

#[test]
fn prose_is_held_back_by_a_word_with_extras_too() {
    let mut redactor = StreamRedactor::with(Arc::new(Scanner::new()), Kinds::ALL, extras());
    for word in "The guard lets ordinary words pass as soon as the next one begins, (even these)."
        .split_inclusive(' ')
    {
        redactor.push(word);
        assert!(redactor.held_len() <= word.len(), "{} held after `{word}`", redactor.held_len());
    }
    // Of an allowed link no more than its host.
    redactor.push(" https://docs.example.com/");
    let mut most = 0;
    for _ in 0..1000 {
        redactor.push("a/b-c");
        most = most.max(redactor.held_len());
    }
    assert!(most <= crate::HOLD_MAX, "{most}");
}

#[test]
fn a_link_under_way_is_held_to_its_bound() {
    let mut redactor = StreamRedactor::with(Arc::new(Scanner::new()), Kinds::NONE, extras());
    redactor.push("https://evil.test/");
    let mut most = 0;
    for _ in 0..2000 {
        redactor.push("ab/");
        most = most.max(redactor.held_len());
    }
    assert!(most <= crate::URL_MAX * 5 / 4 + 64, "{most}");
}
