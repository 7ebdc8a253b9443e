//! Encodings as they are published, to teach and to judge what is read through them.

/// Their names. The first ten stand in the development set; the rest are made here.
#[rustfmt::skip]
pub const NAMES: [&str; 44] = [
    "base64", "hex", "rot13", "leet", "zero_width", "homoglyph", "spaced", "html_entities", "unicode_tags", "casemix",
    "base64_url", "base32", "base58", "ascii85", "base85", "z85", "base45", "base91", "hex_spaced", "hex_escapes", "unicode_escapes", "percent",
    "octal", "binary", "decimal", "quoted_printable", "uuencode", "morse", "braille", "nato", "pig_latin", "atbash", "caesar", "rot47",
    "reversed", "reversed_words", "full_width", "small_capitals", "upside_down", "regional", "bold", "zalgo", "selectors", "zero_width_bits",
];

pub fn encode(name: &str, text: &str) -> String {
    let bytes = text.as_bytes();
    let list = |format: fn(u8) -> String| bytes.iter().map(|byte| format(*byte)).collect::<String>();
    let chars = |to: fn(char) -> char| text.chars().map(to).collect::<String>();
    let alternate = |upper: bool| {
        let mut is_upper = upper;
        text.chars()
            .map(|c| {
                is_upper ^= c.is_alphabetic();
                if is_upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
            })
            .collect::<String>()
    };
    match name {
        "base64" => bits(bytes, 6, BASE64, 4),
        "base64_url" => bits(bytes, 6, BASE64, 1).replace('+', "-").replace('/', "_"),
        "base32" => bits(bytes, 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 8),
        "base58" => big(bytes, "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"),
        "ascii85" => fives(bytes, &(33..118u8).map(char::from).collect::<String>(), true),
        "base85" => fives(
            bytes,
            "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
            false,
        ),
        "z85" => fives(
            bytes,
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
            false,
        ),
        "base45" => base45(bytes),
        "base91" => base91(bytes),
        "hex" => list(|byte| format!("{byte:02x}")),
        "hex_spaced" => list(|byte| format!("{byte:02x} ")),
        "hex_escapes" => list(|byte| format!("\\x{byte:02x}")),
        "unicode_escapes" => list(|byte| format!("\\u{byte:04x}")),
        "percent" => list(|byte| format!("%{byte:02X}")),
        "html_entities" => list(|byte| format!("&#{byte};")),
        "octal" => list(|byte| format!("{byte:03o} ")),
        "binary" => list(|byte| format!("{byte:08b} ")),
        "decimal" => list(|byte| format!("{byte} ")),
        "quoted_printable" => list(|byte| format!("={byte:02X}")),
        "uuencode" => uuencode(bytes),
        "morse" => words(text, |letter| MORSE[letter].to_owned(), " ", " / "),
        "braille" => words(text, |letter| BRAILLE.chars().nth(letter).into_iter().collect(), "", " "),
        "nato" => words(text, |letter| NATO[letter].to_owned(), " ", " / "),
        "pig_latin" => text.split(' ').map(pig_latin).collect::<Vec<_>>().join(" "),
        "atbash" => chars(|c| shift(c, |letter| 25 - letter)),
        "caesar" => chars(|c| shift(c, |letter| (letter + 7) % 26)),
        "rot13" => chars(|c| shift(c, |letter| (letter + 13) % 26)),
        "rot47" => chars(|c| match c {
            '!'..='~' => (33 + (c as u8 - 33 + 47) % 94) as char,
            c => c,
        }),
        "reversed" => text.chars().rev().collect(),
        "reversed_words" => {
            text.split(' ').map(|word| word.chars().rev().collect::<String>()).collect::<Vec<_>>().join(" ")
        }
        "leet" => chars(|c| match c.to_ascii_lowercase() {
            'a' => '4',
            'e' => '3',
            'i' => '1',
            'o' => '0',
            's' => '5',
            't' => '7',
            _ => c,
        }),
        "zero_width" => text.chars().flat_map(|c| [c, '\u{200B}']).collect(),
        "homoglyph" => chars(|c| match c {
            'a' => 'а',
            'e' => 'е',
            'o' => 'о',
            'p' => 'р',
            'c' => 'с',
            'i' => 'і',
            'x' => 'х',
            'y' => 'у',
            c => c,
        }),
        "spaced" => text.chars().map(|c| format!("{c} ")).collect(),
        "unicode_tags" => chars(|c| char::from_u32(0xE0000 + c as u32).filter(|_| c.is_ascii()).unwrap_or(c)),
        "casemix" => alternate(true),
        "full_width" => chars(|c| match c {
            '!'..='~' => char::from_u32(c as u32 + 0xFEE0).unwrap_or(c),
            c => c,
        }),
        "small_capitals" => chars(|c| pick(c, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡxʏᴢ")),
        "upside_down" => text.chars().rev().map(|c| pick(c, "ɐqɔpǝɟƃɥᴉɾʞlɯuodbɹsʇnʌʍxʎz")).collect(),
        "regional" => text
            .chars()
            .flat_map(|c| {
                [
                    char::from_u32(0x1F1E6 + (c.to_ascii_lowercase() as u32).wrapping_sub(97))
                        .filter(|_| c.is_ascii_alphabetic())
                        .unwrap_or(c),
                    ' ',
                ]
            })
            .collect(),
        "bold" => chars(|c| match c {
            'a'..='z' => char::from_u32(0x1D41A + c as u32 - 97).unwrap_or(c),
            'A'..='Z' => char::from_u32(0x1D400 + c as u32 - 65).unwrap_or(c),
            c => c,
        }),
        "zalgo" => text.chars().flat_map(|c| [c, '\u{335}', '\u{30D}', '\u{32C}']).collect(),
        "selectors" => std::iter::once('😀')
            .chain(bytes.iter().filter_map(|byte| {
                char::from_u32(if *byte < 16 {
                    0xFE00 + u32::from(*byte)
                } else {
                    0xE0100 + u32::from(*byte) - 16
                })
            }))
            .collect(),
        "zero_width_bits" => std::iter::once("note".to_owned())
            .chain(bytes.iter().map(|byte| {
                (0..8).rev().map(|bit| if byte >> bit & 1 == 1 { '\u{200C}' } else { '\u{200B}' }).collect()
            }))
            .collect(),
        _ => text.to_owned(),
    }
}

const BASE64: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BRAILLE: &str = "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵";
#[rustfmt::skip]
const MORSE: [&str; 26] = [
    ".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--", "-.", "---", ".--.", "--.-", ".-.", "...", "-", "..-",
    "...-", ".--", "-..-", "-.--", "--..",
];
#[rustfmt::skip]
const NATO: [&str; 26] = [
    "Alfa", "Bravo", "Charlie", "Delta", "Echo", "Foxtrot", "Golf", "Hotel", "India", "Juliett", "Kilo", "Lima", "Mike", "November", "Oscar", "Papa",
    "Quebec", "Romeo", "Sierra", "Tango", "Uniform", "Victor", "Whiskey", "X-ray", "Yankee", "Zulu",
];

fn shift(c: char, to: fn(u8) -> u8) -> char {
    match c {
        'a'..='z' => (b'a' + to(c as u8 - b'a')) as char,
        'A'..='Z' => (b'A' + to(c as u8 - b'A')) as char,
        c => c,
    }
}

/// The letter's counterpart in an alphabet.
fn pick(c: char, alphabet: &str) -> char {
    let at = (c.to_ascii_lowercase() as usize).wrapping_sub(97);
    alphabet.chars().nth(at).filter(|_| c.is_ascii_alphabetic()).unwrap_or(c)
}

fn words(text: &str, letter: impl Fn(usize) -> String, between: &str, apart: &str) -> String {
    let word = |word: &str| {
        let letters = word.bytes().filter(u8::is_ascii_alphabetic);
        letters
            .map(|byte| letter(usize::from(byte.to_ascii_lowercase() - b'a')))
            .collect::<Vec<_>>()
            .join(between)
    };
    text.split_whitespace().map(word).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(apart)
}

fn bits(bytes: &[u8], width: u32, alphabet: &str, group: usize) -> String {
    let alphabet = alphabet.as_bytes();
    let (mut held, mut count, mut out) = (0u32, 0, String::new());
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        count += 8;
        while count >= width {
            count -= width;
            out.push(char::from(alphabet[(held >> count) as usize & ((1 << width) - 1)]));
        }
        held &= (1 << count) - 1;
    }
    if count > 0 {
        out.push(char::from(alphabet[(held << (width - count)) as usize & ((1 << width) - 1)]));
    }
    while !out.len().is_multiple_of(group) {
        out.push('=');
    }
    out
}

fn big(bytes: &[u8], alphabet: &str) -> String {
    let alphabet = alphabet.as_bytes();
    let mut digits: Vec<u32> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += *digit << 8;
            *digit = carry % alphabet.len() as u32;
            carry /= alphabet.len() as u32;
        }
        while carry > 0 {
            digits.push(carry % alphabet.len() as u32);
            carry /= alphabet.len() as u32;
        }
    }
    digits.iter().rev().map(|digit| char::from(alphabet[*digit as usize])).collect()
}

fn fives(bytes: &[u8], alphabet: &str, is_adobe: bool) -> String {
    let alphabet = alphabet.as_bytes();
    let mut out = String::new();
    for four in bytes.chunks(4) {
        let value = (0..4).fold(0u32, |value, i| value << 8 | u32::from(four.get(i).copied().unwrap_or(0)));
        let digits = [4, 3, 2, 1, 0].map(|power| (value / 85u32.pow(power) % 85) as usize);
        out.extend(digits.iter().take(four.len() + 1).map(|digit| char::from(alphabet[*digit])));
    }
    if is_adobe { format!("<~{out}~>") } else { out }
}

fn base45(bytes: &[u8]) -> String {
    let alphabet = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    bytes.chunks(2).fold(String::new(), |mut out, two| {
        let mut value = two.iter().fold(0usize, |value, byte| value << 8 | usize::from(*byte));
        for _ in 0..two.len() + 1 {
            out.push(char::from(alphabet[value % 45]));
            value /= 45;
        }
        out
    })
}

fn base91(bytes: &[u8]) -> String {
    let alphabet =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~\"";
    let (mut held, mut count, mut out) = (0u32, 0, String::new());
    let mut push = |value: u32, digits: usize| {
        out.extend(
            [value as usize % 91, value as usize / 91]
                .iter()
                .take(digits)
                .map(|at| char::from(alphabet[*at])),
        );
    };
    for byte in bytes {
        held |= u32::from(*byte) << count;
        count += 8;
        if count > 13 {
            let width = if held & 8191 > 88 { 13 } else { 14 };
            push(held & ((1 << width) - 1), 2);
            held >>= width;
            count -= width;
        }
    }
    if count > 0 {
        push(held, if count > 7 || held > 90 { 2 } else { 1 });
    }
    out
}

fn uuencode(bytes: &[u8]) -> String {
    let sign = |value: u8| char::from(if value == 0 { b'`' } else { value + 32 });
    let mut out = String::from("begin 644 note.txt\n");
    for line in bytes.chunks(45) {
        out.push(sign(line.len() as u8));
        for three in line.chunks(3) {
            let at = |i: usize| three.get(i).copied().unwrap_or(0);
            let value = u32::from(at(0)) << 16 | u32::from(at(1)) << 8 | u32::from(at(2));
            out.extend([18, 12, 6, 0].map(|by| sign((value >> by) as u8 & 63)));
        }
        out.push('\n');
    }
    out + "`\nend"
}

fn pig_latin(word: &str) -> String {
    let letters: String = word.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
    match letters.find(['a', 'e', 'i', 'o', 'u']) {
        Some(0) => format!("{letters}way"),
        Some(first) => format!("{}{}ay", &letters[first..], &letters[..first]),
        None => letters,
    }
}
