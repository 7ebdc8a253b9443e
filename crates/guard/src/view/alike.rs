//! Letters that pass for Latin ones, and the digits of all scripts.

use std::sync::LazyLock;

use unicode_security::skeleton;

/// The scripts from which look-alikes are taken are between these; asked often, so kept in a table.
const FIRST: u32 = 0x131;
const LAST: u32 = 0x58F;

static NEAR: LazyLock<Vec<u8>> = LazyLock::new(|| {
    (FIRST..=LAST).map(|code| char::from_u32(code).and_then(of_skeleton).unwrap_or(0)).collect()
});

/// The Latin letter that `c` passes for.
pub(super) fn latin(c: char) -> Option<u8> {
    match u32::from(c) {
        code @ FIRST..=LAST => NEAR.get((code - FIRST) as usize).copied().filter(|letter| *letter != 0),
        // Phonetic letters and small capitals, Greek with accents, Cherokee, Lisu, Latin extensions, old scripts.
        0x13A0..=0x13FF
        | 0x1C80..=0x1C8F
        | 0x1D00..=0x1DBF
        | 0x1F00..=0x1FFF
        | 0x2C60..=0x2CFF
        | 0xA4D0..=0xA4FF
        | 0xA640..=0xA69F
        | 0xA720..=0xA7FF
        | 0xAB30..=0xABBF
        | 0x10280..=0x1043F => of_skeleton(c),
        _ => None,
    }
}

/// Unicode TR 39 gives confusable characters the same skeleton. Its prototype of `I` is `l`; capitals keep theirs here.
fn of_skeleton(c: char) -> Option<u8> {
    match c {
        'І' | 'Ι' | 'Ӏ' => return Some(b'I'),
        // Common in disguises, but not confusable enough for TR 39.
        'к' | 'κ' | 'ᴋ' => return Some(b'k'),
        'м' | 'ᴍ' => return Some(b'm'),
        'т' | 'τ' | 'ᴛ' => return Some(b't'),
        'н' | 'ʜ' => return Some(b'h'),
        'в' | 'ʙ' => return Some(b'b'),
        'ε' | 'є' | 'ᴇ' => return Some(b'e'),
        'ω' => return Some(b'w'),
        'η' | 'п' | 'ո' | 'ɴ' => return Some(b'n'),
        'ᴀ' => return Some(b'a'),
        'ᴅ' => return Some(b'd'),
        'ғ' | 'ꜰ' => return Some(b'f'),
        'ɢ' => return Some(b'g'),
        'ɪ' => return Some(b'i'),
        'ᴊ' => return Some(b'j'),
        'ʟ' => return Some(b'l'),
        'ᴘ' => return Some(b'p'),
        'ʀ' => return Some(b'r'),
        'ʏ' => return Some(b'y'),
        _ => {}
    }
    let mut utf8 = [0; 4];
    let text: &str = c.encode_utf8(&mut utf8);
    let mut skeleton = skeleton(text);
    match (skeleton.next(), skeleton.next()) {
        (Some(letter), None) if letter.is_ascii_alphabetic() => Some(letter as u8),
        _ => None,
    }
}

/// The zeros of the scripts with decimal digits (general category Nd), below the compatibility forms.
const ZEROS: [u32; 36] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0,
    0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0x104A0,
];

pub(super) fn digit_of_script(c: char) -> Option<u32> {
    let code = u32::from(c);
    if code < ZEROS[0] {
        return None;
    }
    let zero = ZEROS[ZEROS.partition_point(|zero| *zero <= code) - 1];
    (code - zero < 10).then_some(code - zero)
}
