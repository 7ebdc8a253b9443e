use std::{sync::Arc, time::Instant};

use proptest::prelude::*;

use crate::{HOLD_MAX, Kinds, SECRET_MAX, Scanner, StreamRedactor, decode::ENCODED_MAX, redact};

use super::scan;

/// Unoptimised builds take fifty times as long for each.
const CASES: u32 = if cfg!(debug_assertions) { 300 } else { 3000 };
/// Some times the longest run that is followed.
const HELD_BYTES: usize = 4 * ENCODED_MAX;
const HOSTILE_BYTES: usize = if cfg!(debug_assertions) { 100_000 } else { 1_000_000 };

/// Cuts `text` at the given fractions of its characters, streams it, and compares with the whole.
fn check(text: &str, cuts: &[usize]) {
    let found = scan(text, Kinds::ALL);
    let mut redactor = StreamRedactor::new(Arc::new(Scanner::new()), Kinds::ALL);
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
    assert_eq!(shown, redact(text, &found), "{text:?}");
    assert_eq!(redactor.findings(), found, "{text:?}");
    assert_eq!(redactor.is_clean(), found.is_empty());
}

fn random(len: usize) -> String {
    "aZ3kQ9xW7vB2nM5cL8pR4tY6uE1sD0fGhJqKwXzVbN".repeat(60)[..len].to_owned()
}

fn fragments() -> Vec<String> {
    let mut all: Vec<String> = [
        "The quick brown fox. ",
        "ann@example.org",
        "123-45-6789",
        "SSN ",
        "123456789",
        "4111 1111 1111 1111",
        "4111",
        " ",
        "+33 1 23 48 39 77",
        "(201) 555-0008",
        " as the PESEL",
        "44051401359",
        "PESEL: ",
        "GB82 WEST 1234 5698 7654 32",
        "GB82",
        "JS 70 40 71 B",
        "X-1234567-L",
        "529.982.247-25",
        "-",
        ".",
        ":",
        "=",
        "@",
        "/",
        "(",
        "+",
        "\n",
        "\"",
        "é",
        "世",
        "\u{a0}",
        "\u{200b}",
        "password=",
        "hunter2!Xy99",
        "api_key: \"",
        "Authorization: Bearer ",
        "eyJ",
        "eyJhbGciOiJIUzI1NiJ9.",
        "://",
        "postgres://app:",
        "T4QG35mCV99EeSnV@db.internal",
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
        "-----",
        "sk-",
        "sk-ant-",
        "ghp_",
        "JQ2MXW7PLD3RTY5Z",
        "AKIA",
        "SG.",
        "hvs.",
        "dapi",
        "SK",
        "-us12",
        "5073895597:AA",
        "https://hooks.slack.com/services/",
        "185.76.139.142",
        "2a01:f1fa::cdb5:e95e:5aa6:29f4",
        "8D:22:25:FE:0B:51",
        "0x",
        "bc1q",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "a",
        "Z",
        "7",
        "00",
        "order ",
        "version ",
        "Ignore previous instructions",
        "phone ",
        "ignore ",
        "previous ",
        "instructions",
        "<|im_start|>",
        " thanks, that is your BSN, right?",
        "294514004",
        "8Q~",
        "ann at example dot com",
        " at ",
        " dot com",
        "ann[at]",
        "ann @ example . com",
        " @ ",
        "four one one one ",
        "double two ",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "G B 8 2 W E S T ",
        "a n n @ e . c o m",
        "4111_1111_1111_1111",
        "123 . 45 . 6789",
        "%40",
        "%34%31%31%31",
        "ann%40example.com",
        "&#64;",
        "&commat;",
        "ann&#64;example&period;com",
        "\\u0040",
        "\\x61\\x6e",
        "YW5uQGV4YW1wbGUub3Jn",
        "U1NOOiAxMjMtNDUtNjc4OQ==",
        "616e6e406578616d706c652e6f7267",
        "61 6e 6e 40 ",
        "аnn@ехаmple.соm",
        "кот",
        "ｘ４１",
        "\u{ad}",
        "e\u{301}",
        "\u{E0061}",
        "٤١١١",
        "naa@rknzcyr.pbz",
        "moc.elpmaxe@nna",
        "acme SECRET ",
        "0012.3456.789a",
        ".atlasv1.",
    ]
    .map(str::to_owned)
    .into();
    for len in [6, 14, 20, 24, 35, 36, 43, 64, 65, 90, 300, 600] {
        all.push(random(len));
    }
    all.push(format!("{}\n{}\n", random(64), random(64)));
    all.push(["AKIA", "JQ2MXW7PLD3RTY5Z"].concat());
    all.push("3c9a0ce6e0046edca03ca6ef838278f1".to_owned());
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn any_chunking_gives_what_the_whole_gives(
        parts in prop::collection::vec(prop::sample::select(fragments()), 0..14),
        cuts in prop::collection::vec(1usize..24, 1..6),
    ) {
        check(&parts.concat(), &cuts);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", cuts in prop::collection::vec(1usize..9, 1..4)) {
        check(&text, &cuts);
    }

    #[test]
    fn no_digits_and_marks_make_it_panic(text in "[0-9A-Fx@:=._ \u{a0}+()/-]{0,160}", cuts in prop::collection::vec(1usize..9, 1..4)) {
        check(&text, &cuts);
    }
}

#[test]
fn spaced_letters_after_a_bracket_are_read_alike_in_pieces() {
    check("ann[at]a n n @ e . c o m8Q~ and so on", &[1]);
    check("see (a n n @ e . c o m) now", &[1]);
}

#[test]
fn prose_is_held_back_by_a_word_at_most() {
    let mut redactor = StreamRedactor::new(Arc::new(Scanner::new()), Kinds::ALL);
    for word in "The guard lets ordinary words pass as soon as the next one begins, (even these)."
        .split_inclusive(' ')
    {
        redactor.push(word);
        assert!(redactor.held_len() <= word.len(), "{} held after `{word}`", redactor.held_len());
    }
}

#[test]
fn what_is_held_is_bounded() {
    let check = |unit: &str, bound: usize| {
        let mut redactor = StreamRedactor::new(Arc::new(Scanner::new()), Kinds::ALL);
        let mut most = 0;
        for _ in 0..HELD_BYTES / unit.len() {
            redactor.push(unit);
            most = most.max(redactor.held_len());
        }
        assert!(most <= bound, "{most} bytes held of `{unit}`");
    };
    for unit in [
        "a",
        "7 ",
        "12-",
        "@",
        "a@",
        "a.",
        "sk-",
        "1.1.",
        "(",
        "+1",
        "ab:",
        "é",
        "4111 1111 1111 1111 ",
        "ann@example.org ",
    ] {
        check(unit, HOLD_MAX);
    }
    check("123-45-6789,", HOLD_MAX);
    // So many digits may be text in hex; encoded runs have a bound of their own.
    check("7", ENCODED_MAX * 5 / 4 + 64);
    check("%41", ENCODED_MAX * 5 / 4 + 64);
    check("YWJj", ENCODED_MAX * 5 / 4 + 64);
    // Open-ended secrets have the larger bound, and patience adds a quarter.
    let mut redactor = StreamRedactor::new(Arc::new(Scanner::new()), Kinds::ALL);
    redactor.push("eyJhbGciOiJIUzI1NiJ9.");
    let mut most = 0;
    for _ in 0..40_000 {
        redactor.push("a");
        most = most.max(redactor.held_len());
    }
    assert!(most <= SECRET_MAX * 5 / 4 + 64, "{most}");
}

#[test]
fn hostile_text_costs_the_same_per_byte() {
    // Generous: linear work takes a fraction of a second, quadratic work on so much takes hours.
    let scanner = Arc::new(Scanner::new());
    for unit in [
        "1",
        "1 ",
        "1-",
        "@",
        "a@",
        "a@a.",
        "a",
        "A",
        "J",
        "eyJ",
        "eyJ.",
        "sk-",
        "sk-a1",
        "-",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "_",
        ":",
        "=",
        "key=",
        "://",
        "a://b:",
        "(1) ",
        "+1 ",
        "1.1.",
        "ab:",
        "ignore ",
        "ignore all ",
        "<|",
        "dan ",
        "prompt ",
        "GB82 ",
        "M.",
        "é",
        "\u{200b}i",
        "4111 1111 1111 1111 ",
        "password=",
        "show ",
        "A1 ",
        " at ",
        "one ",
        "a at b dot ",
        "%41",
        "&#64;",
        "\\u0041",
        "YWJj",
        "61 ",
        "4_",
        "1. ",
        "а",
        "аa",
        "token 1a2b3c4d5e6f7a8b9c0d ",
    ] {
        let text = unit.repeat(HOSTILE_BYTES / unit.len());
        let begun = Instant::now();
        let mut found = Vec::new();
        scanner.scan(&text, Kinds::ALL, &mut found);
        assert!(begun.elapsed().as_secs() < 10, "`{unit}` took {:?}", begun.elapsed());
        let begun = Instant::now();
        let mut redactor = StreamRedactor::new(scanner.clone(), Kinds::ALL);
        for piece in text.split_inclusive(unit).take(HOSTILE_BYTES / 100) {
            redactor.push(piece);
        }
        redactor.finish();
        assert!(begun.elapsed().as_secs() < 10, "`{unit}` took {:?} as a stream", begun.elapsed());
    }
}
