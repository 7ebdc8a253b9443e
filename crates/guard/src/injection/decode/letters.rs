//! Letters under other letters: shifted alphabets, mirrored ones, words written backwards or upside down, pig latin.

use super::Seen;

/// Common words of English and its neighbours, and of attempts, by which a text is known to be one.
#[rustfmt::skip]
pub(in crate::injection) const COMMON: &[&str] = &[
    "the", "and", "you", "your", "that", "this", "with", "for", "are", "all", "not", "from", "have", "what", "will", "previous", "ignore",
    "system", "prompt", "instructions", "rules", "tell", "show", "reveal", "now", "any", "how", "can", "give", "print", "que", "los", "las", "por",
    "para", "und", "der", "die", "das", "les", "des", "est", "pour", "tous", "alle", "tus", "sin", "was", "but", "they", "there", "when", "who",
    "please", "about", "which", "would", "could", "should", "their", "into", "then", "than", "only", "over", "before", "after", "above", "below",
    "every", "everything", "anything", "without", "answer", "write", "text", "word", "words", "message", "password", "secret", "access", "admin",
    "forget", "disregard", "override", "bypass", "repeat", "output", "everyone", "restrictions", "guidelines", "directives", "commands", "safety",
    "developer", "assistant", "model", "unrestricted", "respond", "initial", "hidden", "original", "instruction", "pretend", "user", "been", "were",
    "does", "where", "make", "like", "time", "just", "know", "people", "year", "good", "some", "them", "other", "look", "come", "think", "also",
    "back", "use", "two", "our", "work", "first", "well", "way", "even", "new", "want", "because", "these", "day", "most", "mode", "act", "data",
    "email", "send", "file", "code", "key", "customer", "order", "help", "need", "must", "never", "always", "his", "her", "she", "him", "has", "had",
];

/// Words that must be found, and one in so many of all.
const HITS_MIN: u32 = 2;
const SHARE: u32 = 12;
/// Words so long are found by chance in no other alphabet: they count twice.
const SURE_LENGTH: usize = 6;
/// Bytes that are judged together: a disguised paragraph in a long text is known by its own words.
const BLOCK: usize = 512;

const SLOTS: usize = 8192;

/// What a word is in terms of its common word: its gaps hashed, so that all 26 shifts are found at one place. Beside each hit
/// stands the length of the common word, so that hardly any word is taken for another.
struct Table {
    /// First letter of the common word; 0 where empty.
    shifts: [(u8, u8); SLOTS],
    mirrored: [u8; SLOTS],
    backward: [u8; SLOTS],
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
    let mut table = Table { shifts: [(0, 0); SLOTS], mirrored: [0; SLOTS], backward: [0; SLOTS] };
    for word in COMMON {
        let letters = word.as_bytes();
        let length = letters.len() as u8;
        table.shifts[slot(gaps(letters))] = (letters[0], length);
        table.mirrored[slot(plain(letters.iter().map(|letter| b'a' + b'z' - letter)))] = length;
        if !letters.iter().eq(letters.iter().rev()) {
            table.backward[slot(plain(letters.iter().rev().copied()))] = length;
        }
    }
    table
});

pub(super) fn decode(text: &str, seen: &Seen, take: &mut impl FnMut(String)) {
    if seen.others >= 8 {
        upside_down(text, take);
    }
    if seen.count(b"yY") * 12 >= text.len() / 2 && seen.count(b"yY") >= 3 {
        pig_latin(text, take);
    }
    let mut rest = text;
    while !rest.is_empty() {
        let end =
            (0..=BLOCK.min(rest.len())).rev().find(|end| rest.is_char_boundary(*end)).unwrap_or(rest.len());
        let (block, after) = rest.split_at(end);
        decode_block(block, take);
        rest = after;
    }
}

fn decode_block(text: &str, take: &mut impl FnMut(String)) {
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
            let weight = if length >= SURE_LENGTH { 2 } else { 1 };
            let (first, of_length) = table.shifts[slot(gaps(word))];
            if usize::from(of_length) == length {
                shifts[usize::from((26 + word[0] - first) % 26)] += weight;
            }
            let hash = slot(plain(word.iter().copied()));
            mirrored += if usize::from(table.mirrored[hash]) == length { weight } else { 0 };
            backward += if usize::from(table.backward[hash]) == length { weight } else { 0 };
        }
        length = 0;
    }
    let is_meant = |hits: u32| hits >= HITS_MIN && hits * SHARE >= words;
    let best = (1..26).max_by_key(|shift| shifts[*shift]).unwrap_or(13);
    if is_meant(shifts[best]) && shifts[best] > shifts[0] / 2 {
        take(map(text, |letter| (letter + 26 - best as u8) % 26));
    }
    if is_meant(mirrored) && mirrored > shifts[0] / 2 {
        take(map(text, |letter| 25 - letter));
    }
    if is_meant(backward) && backward > shifts[0] / 2 {
        take(text.chars().rev().collect());
        // Each word for itself, in place.
        take(
            text.split(' ').map(|word| word.chars().rev().collect::<String>()).collect::<Vec<_>>().join(" "),
        );
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

/// All printable signs rotated by half (rot47), known by common words. Words of the text that are in plain letters stay.
pub(super) fn rotated(text: &str, seen: &Seen) -> Option<String> {
    // Small letters become capitals to K, digits and the marks between.
    let is_small = |byte: u8| (b'2'..=b'K').contains(&byte);
    let small = (b'2'..=b'K').map(|byte| seen.counts[usize::from(byte)] as usize).sum::<usize>();
    if small * 2 < text.len() {
        return None;
    }
    let back = |c: char| match c {
        '!'..='~' => char::from(b'!' + (c as u8 - b'!' + 47) % 94),
        c => c,
    };
    let turn = |part: &str| -> String {
        let is_turned = part.bytes().filter(|byte| is_small(*byte)).count() * 2 >= part.trim().len();
        if is_turned { part.chars().map(back).collect() } else { part.to_owned() }
    };
    let plain: String = text.split_inclusive([' ', '\n']).map(turn).collect();
    let known = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() >= 3);
        words.filter(|word| COMMON.iter().any(|common| common.eq_ignore_ascii_case(word))).take(64).count()
    };
    (known(&plain) >= 2).then_some(plain)
}

/// Letters that look like others turned round, from the end on.
fn upside_down(text: &str, take: &mut impl FnMut(String)) {
    const TURNED: &str = "ɐqɔpǝɟƃɥᴉɾʞןɯuodbɹsʇnʌʍxʎz";
    let upright = |c: char| match c {
        'ı' | 'ᴉ' | '!' => 'i',
        'ɓ' | 'ƃ' => 'g',
        'l' | 'ן' => 'l',
        '˙' => '.',
        '\u{BF}' => '?',
        c => TURNED.chars().position(|turned| turned == c).map_or(c, |place| char::from(b'a' + place as u8)),
    };
    let turned = text.chars().filter(|c| !c.is_ascii() && upright(*c) != *c).count();
    if turned >= 5 {
        take(text.chars().rev().map(upright).collect());
        // Turned letters in their old order.
        take(text.chars().map(upright).collect());
    }
}

/// `ignoreway allway eviouspray`: what stands before the first vowel went to the end.
fn pig_latin(text: &str, take: &mut impl FnMut(String)) {
    let (mut words, mut turned) = (0, 0);
    let word = |word: &str| -> Option<String> {
        let letters = word.trim_matches(|c: char| !c.is_ascii_alphabetic()).to_ascii_lowercase();
        let stem = letters.strip_suffix("ay").filter(|stem| stem.len() >= 2 && stem.is_ascii())?;
        let whole = stem.strip_suffix('w').or_else(|| stem.strip_suffix('y')).unwrap_or(stem);
        if starts_with_vowel(whole) && whole.len() < stem.len() && !is_known(&moved(stem, 1)) {
            return Some(whole.to_owned());
        }
        // The moved letters are the consonants at the end; of those as many as give a word, else those that begin words.
        let consonants = stem.bytes().rev().take_while(|byte| !b"aeiou".contains(byte)).count().min(3);
        let candidates = || (1..=consonants.min(stem.len() - 1)).map(|count| moved(stem, count));
        candidates().find(|word| is_known(word)).or_else(|| candidates().next())
    };
    let plain: Vec<String> = text
        .split(' ')
        .map(|part| {
            words += usize::from(part.len() >= 3);
            let decoded = word(part);
            turned += usize::from(decoded.is_some());
            decoded.unwrap_or_else(|| part.to_owned())
        })
        .collect();
    if turned >= 3 && turned * 2 >= words {
        take(plain.join(" "));
    }
}

fn starts_with_vowel(word: &str) -> bool {
    word.bytes().next().is_some_and(|byte| b"aeiou".contains(&byte))
}

fn moved(stem: &str, count: usize) -> String {
    let (rest, first) = stem.split_at(stem.len() - count);
    format!("{first}{rest}")
}

fn is_known(word: &str) -> bool {
    COMMON.contains(&word)
}
