//! Letters under other letters: shifted alphabets, mirrored ones, words written backwards; bytes in variation selectors.

/// Common words of English and its neighbours, by which a text is known to be one.
const COMMON: &[&str] = &[
    "the",
    "and",
    "you",
    "your",
    "that",
    "this",
    "with",
    "for",
    "are",
    "all",
    "not",
    "from",
    "have",
    "what",
    "will",
    "previous",
    "ignore",
    "system",
    "prompt",
    "instructions",
    "rules",
    "tell",
    "show",
    "reveal",
    "now",
    "any",
    "how",
    "can",
    "give",
    "print",
    "que",
    "los",
    "las",
    "por",
    "para",
    "und",
    "der",
    "die",
    "das",
    "les",
    "des",
    "est",
    "pour",
    "tous",
    "alle",
    "tus",
    "sin",
];

/// Words that must be found, and one in so many of all.
const HITS_MIN: u32 = 2;
const SHARE: u32 = 12;
/// Bytes that are judged together: a disguised paragraph in a long text is known by its own words.
const BLOCK: usize = 512;

const SLOTS: usize = 8192;

/// What a word is in terms of its common word: its gaps hashed, so that all 26 shifts are found at one place.
struct Table {
    /// First letter of the common word, and its length; 0 where empty.
    shifts: [u8; SLOTS],
    mirrored: [bool; SLOTS],
    backward: [bool; SLOTS],
}

fn slot(hash: u32) -> usize {
    (hash.wrapping_mul(0x9E37_79B1) >> 19) as usize
}

const fn step(hash: u32, value: u8) -> u32 {
    (hash ^ value as u32).wrapping_mul(0x0100_0193)
}

/// Hash of the differences between neighbouring letters.
fn gaps(letters: &[u8]) -> u32 {
    letters.windows(2).fold(0x811C_9DC5, |hash, two| step(hash, (26 + two[1] - two[0]) % 26))
}

fn plain(letters: impl Iterator<Item = u8>) -> u32 {
    letters.fold(0x1234_5678, step)
}

static TABLE: std::sync::LazyLock<Table> = std::sync::LazyLock::new(|| {
    let mut table = Table { shifts: [0; SLOTS], mirrored: [false; SLOTS], backward: [false; SLOTS] };
    for word in COMMON {
        let letters = word.as_bytes();
        table.shifts[slot(gaps(letters))] = letters[0];
        table.mirrored[slot(plain(letters.iter().map(|letter| b'a' + b'z' - letter)))] = true;
        if !letters.iter().eq(letters.iter().rev()) {
            table.backward[slot(plain(letters.iter().rev().copied()))] = true;
        }
    }
    table
});

pub(super) fn decode(text: &str, take: &mut impl FnMut(Option<String>)) {
    let mut rest = text;
    while !rest.is_empty() {
        let end =
            (0..=BLOCK.min(rest.len())).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        let (block, after) = rest.split_at(end);
        decode_block(block, take);
        rest = after;
    }
}

fn decode_block(text: &str, take: &mut impl FnMut(Option<String>)) {
    let table = &*TABLE;
    let (mut shifts, mut mirrored, mut backward, mut words) = ([0u32; 26], 0u32, 0u32, 0u32);
    let mut letters = [0u8; 16];
    let mut length = 0;
    for byte in text.bytes().chain([b' ']) {
        if byte.is_ascii_alphabetic() {
            if length < letters.len() {
                letters[length] = byte.to_ascii_lowercase();
            }
            length += 1;
            continue;
        }
        if length >= 3 && length <= letters.len() {
            let word = &letters[..length];
            words += 1;
            let first = table.shifts[slot(gaps(word))];
            if first != 0 {
                shifts[usize::from((26 + word[0] - first) % 26)] += 1;
            }
            let hash = slot(plain(word.iter().copied()));
            mirrored += u32::from(table.mirrored[hash]);
            backward += u32::from(table.backward[hash]);
        }
        length = 0;
    }
    let is_meant = |hits: u32| hits >= HITS_MIN && hits * SHARE >= words;
    let best = (1..26).max_by_key(|shift| shifts[*shift]).unwrap_or(13);
    if is_meant(shifts[best]) && shifts[best] > shifts[0] / 2 {
        take(Some(map(text, |letter| (letter + 26 - best as u8) % 26)));
    }
    if is_meant(mirrored) && mirrored > shifts[0] / 2 {
        take(Some(map(text, |letter| 25 - letter)));
    }
    if is_meant(backward) && backward > shifts[0] / 2 {
        take(Some(text.chars().rev().collect()));
        // Each word for itself, in place.
        take(Some(
            text.split(' ').map(|word| word.chars().rev().collect::<String>()).collect::<Vec<_>>().join(" "),
        ));
    }
}

fn map(text: &str, to: impl Fn(u8) -> u8) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' => (b'a' + to(c as u8 - b'a')) as char,
            'A'..='Z' => (b'A' + to(c as u8 - b'A')) as char,
            c => c,
        })
        .collect()
}

/// Bytes that ride on variation selectors, unseen.
pub(super) fn selectors(text: &str) -> Option<String> {
    let bytes: Vec<u8> = text
        .chars()
        .filter_map(|c| match c {
            '\u{FE00}'..='\u{FE0F}' => Some((u32::from(c) - 0xFE00) as u8),
            '\u{E0100}'..='\u{E01EF}' => Some((u32::from(c) - 0xE0100 + 16) as u8),
            _ => None,
        })
        .collect();
    if bytes.len() < super::READABLE_MIN { None } else { super::readable(bytes) }
}
