use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::splice::splice;

fn segment(body: &[u8]) -> Segment {
    let mut cursor = Cursor::new(body).unwrap();
    cursor.kind().unwrap();
    let literal = cursor.literal().unwrap();
    Found { place: Place::Content { message: 0 }, role: Role::User, kind: Kind::Words, literal }.segment(body)
}

#[test]
fn places_show_as_paths() {
    let check = |place: Place, shown: &str| assert_eq!(place.to_string(), shown);
    check(Place::Part { message: 3, part: 0 }, "messages[3].content[0].text");
    check(Place::Arguments { message: 1, call: 2 }, "messages[1].tool_calls[2].function.arguments");
    check(Place::Input { item: None }, "input");
    check(Place::Input { item: Some(4) }, "input[4]");
}

#[test]
fn ranges_map_over_escapes() {
    let check = |body: &str, decoded: Range<usize>, raw: &str| {
        let segment = segment(body.as_bytes());
        assert_eq!(&body[segment.raw_range(body.as_bytes(), decoded)], raw, "{body}");
    };
    check(r#""plain text""#, 6..10, "text");
    check(r#""a\nb\"c""#, 1..2, r"\n");
    check(r#""a\nb\"c""#, 2..4, r#"b\""#);
    check(r#""\ud83d\ude00!""#, 0..4, r"\ud83d\ude00");
    check(r#""\ud83d\ude00!""#, 4..5, "!");
    // A border within the character takes it whole.
    check(r#""\ud83d\ude00!""#, 1..2, r"\ud83d\ude00");
    check("\"a😀b\"", 2..3, "😀");
    check(r#""\ud83dx""#, 0..3, r"\ud83d");
    check(r#""\ud83dx""#, 3..4, "x");
    check(r#""a\u0041""#, 0..99, r"a\u0041");
    check(r#""""#, 0..0, "");
}

#[test]
fn a_lone_surrogate_reads_as_the_replacement_character() {
    let body = br#""\ude00\ud83d\ud83d\ude00""#;
    assert_eq!(segment(body).as_str(body), "\u{fffd}\u{fffd}😀");
}

#[test]
fn overlapping_redactions_are_joined() {
    let body = Bytes::from_static(br#""tel\t555-1234 end""#);
    let segment = segment(&body);
    let edits = segment.edits(&body, &[(6..12, "[B]"), (4..8, "[A\"]"), (13..16, "[C]")]);
    assert_eq!(splice(&body, edits), &br#""tel\t[A\"] [C]""#[..]);
}

fn literals() -> impl Strategy<Value = (String, String)> {
    let one = prop_oneof![
        any::<char>()
            .prop_filter("must be escaped", |c| *c >= ' ' && !"\"\\".contains(*c))
            .prop_map(|c| (c.to_string(), c)),
        any::<char>().prop_map(|c| {
            let mut units = [0; 2];
            (c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(), c)
        }),
        prop::sample::select(vec![("\\n", '\n'), ("\\\"", '"'), ("\\\\", '\\'), ("\\/", '/'), ("\\t", '\t')])
            .prop_map(|(raw, c)| (raw.to_owned(), c)),
    ];
    prop::collection::vec(one, 0..40).prop_map(|parts| {
        let raw: String = parts.iter().map(|(raw, _)| raw.as_str()).collect();
        (format!("\"{raw}\""), parts.iter().map(|(_, c)| *c).collect())
    })
}

proptest! {
    #[test]
    fn a_mapped_range_spells_the_same_text((body, text) in literals(), from in 0usize..60, to in 0usize..60) {
        let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let (from, to) = (borders[from % borders.len()], borders[to % borders.len()]);
        let (from, to) = (from.min(to), from.max(to));
        let segment = segment(body.as_bytes());
        prop_assert_eq!(segment.as_str(body.as_bytes()), &text);
        prop_assert_eq!(&text, &serde_json::from_str::<String>(&body).unwrap());
        let raw = segment.raw_range(body.as_bytes(), from..to);
        let spelt: String = serde_json::from_str(&format!("\"{}\"", &body[raw])).unwrap();
        prop_assert_eq!(&spelt, &text[from..to]);
    }

    #[test]
    fn edits_change_only_what_they_name((body, text) in literals(), cuts in prop::collection::btree_set(0usize..60, 0..6)) {
        let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let cuts: Vec<usize> = cuts.into_iter().filter_map(|cut| borders.get(cut).copied()).collect();
        let replaced: Vec<(Range<usize>, &str)> = cuts.chunks_exact(2).map(|pair| (pair[0]..pair[1], "[X\n]")).collect();
        let mut wanted = text.clone();
        for (range, words) in replaced.iter().rev() {
            wanted.replace_range(range.clone(), words);
        }
        let bytes = Bytes::from(body.clone());
        let edited = splice(&bytes, segment(&bytes).edits(&bytes, &replaced));
        prop_assert_eq!(serde_json::from_slice::<String>(&edited).unwrap(), wanted);
    }
}
