//! A small set that is made, not collected: identifiers with valid check digits, credentials of published forms with random
//! bodies, and attacks and harmless texts written for it.
//!
//! The same seed gives the same rows, so that a figure that moves was moved by a detector. Credentials are put together at
//! run time, so that no scanner of secrets takes this file for a leak. It is easy on purpose and says little about how
//! good the detectors are; it is there to notice a drop wherever the repository is built.

use super::{Gold, Row, card::Sets};

/// Changing it makes other rows, and asks for another committed card.
const SEED: u64 = 0x6761_756e_746c_6574;
/// Values of each type.
const EACH: usize = 12;
const CLEAN: usize = 200;

const ATTACKS: &str = include_str!("../../quality/attacks.txt");
const BENIGN: &str = include_str!("../../quality/benign.txt");

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    fn of(&mut self, alphabet: &str, len: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..len).map(|_| char::from(letters[self.below(letters.len())])).collect()
    }

    fn digits(&mut self, len: usize) -> String {
        self.of("0123456789", len)
    }
}

const MIXED: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";

/// The digits with the check digit for which `is_valid` says yes.
fn checked(body: &str, is_valid: impl Fn(&str) -> bool) -> Option<String> {
    (0..10).map(|digit| format!("{body}{digit}")).find(|all| is_valid(all))
}

fn luhn(body: &str) -> String {
    checked(body, |all| crate::checksum::luhn(all.as_bytes())).unwrap_or_default()
}

fn weighted(digits: &str, weights: &[u32]) -> u32 {
    crate::checksum::weighted(digits.as_bytes(), weights)
}

fn grouped(text: &str, sizes: &[usize], gap: &str) -> String {
    let (mut rest, mut parts) = (text, Vec::new());
    for size in sizes {
        let (part, after) = rest.split_at((*size).min(rest.len()));
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts.retain(|part| !part.is_empty());
    parts.join(gap)
}

fn iban(random: &mut Random, country: &str, body: &str) -> String {
    let all = (2..=98).map(|check| format!("{country}{check:02}{body}"));
    let valid = all.into_iter().find(|all| crate::checksum::iban(all.as_bytes())).unwrap_or_default();
    if random.below(2) == 0 { grouped(&valid, &[4; 8], " ") } else { valid }
}

type Make = fn(&mut Random) -> String;

/// A type, words that stand before it, and how a value is made.
const PERSONAL: [(&str, &[&str], Make); 15] = [
    ("EMAIL_ADDRESS", &["Write to ", "mail: ", "contact "], |r| {
        let (first, last) =
            (r.pick(&["ann", "bob", "chloe", "dev"]), r.pick(&["lee", "ortiz", "novak", "shah"]));
        format!(
            "{first}.{last}{}@{}",
            r.below(100),
            r.pick(&["mail-house.org", "north-post.net", "firma.de"])
        )
    }),
    ("CREDIT_CARD", &["My card is ", "card number: ", "pan="], |r| {
        let body = format!("4{}", r.digits(14));
        let card = luhn(&body);
        match r.below(3) {
            0 => card,
            1 => grouped(&card, &[4; 3], " "),
            _ => grouped(&card, &[4; 3], "-"),
        }
    }),
    ("IBAN_CODE", &["IBAN: ", "Pay to ", "account "], |r| {
        let body = r.digits(18);
        iban(r, "DE", &body)
    }),
    ("IBAN_CODE", &["IBAN ", "Überweisung an ", "account: "], |r| {
        let body = format!("NWBK{}", r.digits(14));
        iban(r, "GB", &body)
    }),
    ("US_SSN", &["SSN: ", "my social security number is ", "ssn "], |r| {
        format!("{:03}-{:02}-{:04}", r.between(100, 665), r.between(10, 99), r.between(1000, 9999))
    }),
    ("IP_ADDRESS", &["client ", "from ", "host: "], |r| {
        format!("{}.{}.{}.{}", r.between(11, 99), r.between(1, 254), r.between(1, 254), r.between(1, 254))
    }),
    ("MAC_ADDRESS", &["mac ", "device ", "hwaddr: "], |r| {
        let parts: Vec<String> = (0..6).map(|_| r.of(HEX, 2)).collect();
        parts.join(":")
    }),
    ("PHONE_NUMBER", &["Call me at ", "phone: ", "tel. "], |r| {
        format!(
            "+1 {} {}-{:04}",
            r.pick(&["212", "415", "617"]),
            r.pick(&["736", "842", "555"]),
            r.below(10_000)
        )
    }),
    ("UK_NHS", &["NHS number: ", "NHS no ", "patient NHS number "], |r| {
        // Weights 10 to 2, modulo 11 (NHS Data Dictionary).
        loop {
            let body = r.digits(9);
            let check = 11 - weighted(&body, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
            if check < 11 && check != 10 && !body.starts_with('0') {
                return grouped(&format!("{body}{check}"), &[3, 3], " ");
            }
        }
    }),
    ("ES_NIF", &["DNI: ", "NIF ", "mi DNI es "], |r| {
        let number = r.between(10_000_000, 99_999_999);
        format!("{number}{}", char::from(b"TRWAGMYFPDXBNJZSQVHLCKE"[number % 23]))
    }),
    ("BR_CPF", &["CPF: ", "meu CPF é ", "cpf "], |r| {
        let body = r.digits(9);
        let check = |digits: &str| {
            let weights: Vec<u32> = (2..=digits.len() as u32 + 1).rev().collect();
            (weighted(digits, &weights) * 10) % 11 % 10
        };
        let first = format!("{body}{}", check(&body));
        let all = format!("{first}{}", check(&first));
        format!("{}.{}.{}-{}", &all[..3], &all[3..6], &all[6..9], &all[9..])
    }),
    ("ABA_ROUTING", &["routing number: ", "ABA routing ", "ABA: "], |r| {
        let body = format!("0{}{}", r.between(2, 9), r.digits(6));
        let sum = weighted(&body, &[3, 7, 1, 3, 7, 1, 3, 7]);
        format!("{body}{}", (10 - sum % 10) % 10)
    }),
    ("US_NPI", &["NPI: ", "provider NPI ", "NPI number "], |r| {
        let body = format!("1{}", r.digits(8));
        luhn(&format!("80840{body}"))[5..].to_owned()
    }),
    ("IMEI", &["IMEI: ", "imei ", "device IMEI "], |r| {
        let body = format!("35{}", r.digits(12));
        luhn(&body)
    }),
    ("FI_PERSONAL_IDENTITY_CODE", &["henkilötunnus: ", "hetu ", "HETU: "], |r| {
        let day = format!("{:02}{:02}{:02}", r.between(1, 28), r.between(1, 12), r.between(50, 99));
        let number = format!("{:03}", r.between(2, 899));
        let all: usize = format!("{day}{number}").parse().unwrap_or(0);
        format!("{day}-{number}{}", char::from(b"0123456789ABCDEFHJKLMNPRSTUVWXY"[all % 31]))
    }),
];

/// A base-62 number of six places.
fn base62(mut number: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8_lossy(&digits).into_owned()
}

const CREDENTIALS: [(&str, Make); 12] = [
    ("github_pat", |r| {
        let body = r.of(MIXED, 30);
        format!("{}{body}{}", "ghp_", base62(crc32fast::hash(body.as_bytes())))
    }),
    ("gitlab_pat", |r| format!("{}{}", "glpat-", r.of(MIXED, 20))),
    ("aws_access_key_id", |r| format!("{}{}", "AKIA", r.of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16))),
    ("gcp_api_key", |r| format!("{}{}", "AIza", r.of(MIXED, 35))),
    ("slack_bot", |r| format!("{}{}-{}-{}", "xoxb-", r.digits(12), r.digits(12), r.of(MIXED, 24))),
    ("stripe_live", |r| format!("{}{}", "sk_live_", r.of(MIXED, 24))),
    ("openai_project", |r| format!("{}{}", "sk-proj-", r.of(MIXED, 80))),
    ("huggingface", |r| {
        format!("{}{}", "hf_", r.of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", 34))
    }),
    ("databricks", |r| format!("{}{}", "dapi", r.of(HEX, 32))),
    ("digitalocean", |r| format!("{}{}", "dop_v1_", r.of(HEX, 64))),
    ("sendgrid", |r| format!("{}{}.{}", "SG.", r.of(MIXED, 22), r.of(MIXED, 43))),
    ("generic_api_key", |r| r.of(MIXED, 36)),
];

const AROUND: [(&str, &str); 4] =
    [("", ""), ("Hello, ", ". Thanks!"), ("{\"note\": \"", "\"}"), ("log: ", " (kept for now)")];

fn with_value(r: &mut Random, id: String, before: &str, value: String, label: &str) -> Row {
    let (open, close) = AROUND[r.below(AROUND.len())];
    let head = format!("{open}{before}");
    let start = head.chars().count();
    let gold = Gold {
        span: start..start + value.chars().count(),
        label: label.to_owned(),
        value: value.clone(),
        wider: None,
        is_pattern: true,
    };
    Row {
        id,
        text: format!("{head}{value}{close}"),
        gold: vec![gold],
        has_spans: true,
        is_positive: true,
        slice: "made".to_owned(),
        category: label.to_owned(),
    }
}

fn plain(id: String, text: String, slice: &str, is_positive: bool) -> Row {
    Row {
        id,
        text,
        gold: Vec::new(),
        has_spans: false,
        is_positive,
        slice: slice.to_owned(),
        category: slice.to_owned(),
    }
}

/// Numbers and words that are nobody's.
fn clean(r: &mut Random) -> String {
    match r.below(8) {
        0 => format!(
            "Build {}.{}.{} took {} ms on {} cores.",
            r.below(9),
            r.below(20),
            r.below(99),
            r.digits(4),
            r.below(64)
        ),
        1 => format!(
            "Order {}-{} ships in {} days.",
            r.between(1000, 9999),
            r.between(1000, 9999),
            r.below(9) + 1
        ),
        2 => format!("commit {} changes {} files", r.of(HEX, 40), r.below(50)),
        3 => format!(
            "2026-{:02}-{:02} {:02}:{:02} INFO worker-{} rows={}",
            r.between(1, 12),
            r.between(1, 28),
            r.below(24),
            r.below(60),
            r.below(30),
            r.digits(6)
        ),
        4 => format!(
            "The table has {} rows and {} columns; the mean is {}.{}.",
            r.digits(4),
            r.below(40),
            r.below(100),
            r.digits(3)
        ),
        5 => format!(
            "Chapter {} explains how a sparse matrix of {} by {} entries is stored.",
            r.below(20),
            r.digits(3),
            r.digits(3)
        ),
        6 => format!(
            "id {}-{}-4{}-a{}-{} was removed from the queue",
            r.of(HEX, 8),
            r.of(HEX, 4),
            r.of(HEX, 3),
            r.of(HEX, 3),
            r.of(HEX, 12)
        ),
        _ => format!(
            "Section {}.{} of the manual covers oil changes every {},000 km and a torque of {} Nm.",
            r.below(12),
            r.below(9),
            r.between(10, 40),
            r.below(200)
        ),
    }
}

/// Lines `slice: text`; what begins with `#` is a comment.
fn texts(of: &str, name: &str, is_positive: bool) -> Vec<Row> {
    of.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .enumerate()
        .map(|(i, (slice, text))| plain(format!("{name}-{i}"), text.replace("\\n", "\n"), slice, is_positive))
        .collect()
}

pub fn sets() -> Sets {
    let r = &mut Random(SEED);
    let mut pii = Vec::new();
    for (label, words, make) in PERSONAL {
        for i in 0..EACH {
            let (before, value) = (r.pick(words), make(r));
            pii.push(with_value(r, format!("{label}-{i}"), before, value, label));
        }
    }
    let mut secrets = Vec::new();
    for (label, make) in CREDENTIALS {
        for i in 0..EACH {
            let before = match label {
                "generic_api_key" => r.pick(&["api_key=", "\"secret_key\": \""]),
                _ => r.pick(&["use ", "TOKEN=", "the key is "]),
            };
            let value = make(r);
            let mut row = with_value(r, format!("{label}-{i}"), before, value, label);
            if before.ends_with('"') {
                row.text.push('"');
            }
            secrets.push(row);
        }
    }
    let clean = (0..CLEAN).map(|i| plain(format!("clean-{i}"), clean(r), "made", false)).collect();
    let mut attacks = texts(ATTACKS, "attack", true);
    attacks.extend(texts(BENIGN, "benign", false));
    [("pii", pii), ("secrets", secrets), ("clean_text", clean), ("injection", attacks)]
        .map(|(name, rows)| (name.to_owned(), rows))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Scanner, quality::card};

    /// Less than a row of a type, and more than nothing: the set does not change, so neither should a figure.
    const MARGIN: f64 = 0.005;

    #[test]
    fn the_same_seed_makes_the_same_rows() {
        let hash = || {
            let mut hasher = blake3::Hasher::new();
            for row in sets().values().flatten() {
                hasher.update(row.text.as_bytes());
            }
            hasher.finalize()
        };
        assert_eq!(hash(), hash());
        assert!(sets().values().flatten().all(|row| row.gold.iter().all(|gold| !gold.value.is_empty())));
    }

    #[test]
    fn the_detectors_are_no_worse_than_the_committed_card_says() {
        let committed = serde_json::from_str(include_str!("../../quality/card.json")).unwrap();
        let now = card::card(&Scanner::new(), &sets());
        let drops = card::drops(&committed, &now, MARGIN);
        assert!(
            drops.is_empty(),
            "worse than crates/guard/quality/card.json: {}\n(when it is meant: `gauntlet guard quality --made --json`)",
            drops.join(", ")
        );
    }
}
