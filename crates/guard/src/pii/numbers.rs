//! The table of national and business identifiers: a row is a name, its shapes, its check and its labels.

use crate::{
    checksum::{luhn, luhn36, mod_11_10, remainder, verhoeff, weighted},
    window::Labels,
};

/// How far a row's shape and check go without a label beside the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The check is strong or the shape unmistakable: taken without a label.
    Alone,
    /// Taken without a label where it is written with its separators.
    Separated,
    /// Too easily something else: needs a label.
    Labelled,
}

pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) shapes: &'static [&'static str],
    pub(crate) is_valid: fn(&[u8]) -> bool,
    pub(crate) trust: Trust,
    /// Has a check digit, rather than rules of form only.
    pub(crate) is_checked: bool,
    pub(crate) labels: Labels,
}

use Trust::{Alone, Labelled, Separated};

const fn row(
    label: &'static str,
    shapes: &'static [&'static str],
    is_valid: fn(&[u8]) -> bool,
    trust: Trust,
    is_checked: bool,
    labels: &'static [&'static str],
) -> Row {
    Row { label, shapes, is_valid, trust, is_checked, labels: Labels::new(labels) }
}

/// Among rows that match the same text equally well, the earlier wins.
#[rustfmt::skip]
pub(crate) static ROWS: &[Row] = &[
    row("CREDIT_CARD", &["DDDD_DDDD_DDDD_DDDD", "DDDD_DDDDDD_DDDDD", "DDDD_DDDDDD_DDDD", "DDDDDDDDDDDDD", "DDDD_DDDD_DDDD_DDDD_DDD", "DDDDDD_DDDDDDDDDDDDD"],
        is_card, Alone, true, &["card", "visa", "mastercard", "amex", "credit", "carte", "karte", "tarjeta", "cc", "payment"]),
    row("US_SSN", &["DDD~DD~DDDD"], is_ssn, Separated, false,
        &["ssn", "social security", "social sec", "soc sec", "ss#", "ssns", "social"]),
    row("US_ITIN", &["DDD~DD~DDDD"], is_itin, Separated, false, &["itin", "individual taxpayer", "taxpayer", "tax id", "tin"]),
    row("US_MBI", &["DLXDLXDLLDD", "DLXD~LXD~LLDD"], is_mbi, Alone, false, &["mbi", "medicare", "beneficiary"]),
    row("US_NPI", &["DDDDDDDDDD"], is_npi, Labelled, true, &["npi", "national provider", "provider id", "provider"]),
    row("MEDICAL_LICENSE", &["LLDDDDDDD"], is_dea, Alone, true, &["dea", "medical license", "medical licence", "registration"]),
    row("ABA_ROUTING", &["DDDDDDDDD", "DDDD-DDDD-D"], is_aba, Labelled, true, &["routing", "aba", "rtn", "bank"]),
    row("US_EIN", &["DD-DDDDDDD"], |_| true, Labelled, false, &["ein", "employer identification", "federal tax id"]),
    row("UK_NHS", &["DDD~DDD~DDDD"], is_nhs, Labelled, true, &["nhs", "nhs no", "national health", "health service", "patient"]),
    row("UK_NINO", &["LLDDDDDDL", "LL~DD~DD~DD~L", "LL~DDDDDD~L"], is_nino, Alone, false, &["nino", "national insurance", "ni number", "ni no"]),
    row("DE_TAX_ID", &["DD~DDD~DDD~DDD"], is_de_tax, Labelled, true,
        &["steuer", "steuer-id", "steuer id", "steuerid", "steueridentifikationsnummer", "steuernummer", "idnr", "tax id", "identifikationsnummer", "tin"]),
    row("DE_SOCIAL_SECURITY", &["DDDDDDDDLDDD", "DD DDDDDD L DDD"], is_rvnr, Labelled, true, &["rvnr", "rentenversicherung", "rentenversicherungsnummer", "sozialversicherung", "sozialversicherungsnummer"]),
    row("DE_VAT_ID", &["LLDDDDDDDDD"], |id| id.starts_with(b"DE") && mod_11_10(&id[2..]), Labelled, true, &["ust", "ust-id", "ust id", "ustid", "vat", "umsatzsteuer"]),
    row("CH_AHV", &["DDD.DDDD.DDDD.DD", "DDD~DDDD~DDDD~DD"], is_ahv, Alone, true, &["ahv", "avs", "oasi"]),
    row("FR_NIR", &["D~DD~DX~DDD~DDD~DD", "DDDDDXDDDDDDD~DD", "D~DD~DX~DD~DDD~DDD~DD"], is_nir, Alone, true,
        &["nir", "sécurité sociale", "securite sociale", "insee", "numéro de sécu"]),
    row("FR_SIRET", &["DDD~DDD~DDD~DDDDD"], luhn, Labelled, true, &["siret"]),
    row("FR_SIREN", &["DDD~DDD~DDD"], luhn, Labelled, true, &["siren"]),
    row("BE_NATIONAL_NUMBER", &["DD.DD.DD-DDD.DD", "DDDDDDDDDDD"], is_be_nrn, Labelled, true, &["rijksregister", "rijksregisternummer", "registre national", "national register", "insz", "niss"]),
    row("NL_BSN", &["DDDDDDDDD", "DDD.DDD.DDD", "DDDD.DD.DDD"], is_bsn, Labelled, true, &["bsn", "burgerservicenummer", "sofinummer", "citizen service"]),
    row("ES_NIF", &["DDDDDDDDL", "DDDDDDDD-L"], |id| es_letter(&id[..8], id[8]), Alone, true, &["dni", "nif", "documento nacional"]),
    row("ES_NIE", &["LDDDDDDDL", "L-DDDDDDD-L"], is_nie, Alone, true, &["nie", "extranjero"]),
    row("PT_NIF", &["DDD~DDD~DDD"], is_pt_nif, Labelled, true, &["nif", "contribuinte"]),
    row("IT_FISCAL_CODE", &["LLLLLLXXLXXLXXXL"], is_fiscal_code, Alone, true, &["codice fiscale", "cf", "fiscal code"]),
    row("IT_VAT_CODE", &["DDDDDDDDDDD"], luhn, Labelled, true, &["partita iva", "p.iva", "p. iva", "piva"]),
    row("PL_PESEL", &["DDDDDDDDDDD"], is_pesel, Labelled, true, &["pesel"]),
    row("PL_NIP", &["DDD~DDD~DD~DD", "DDDDDDDDDD"], |d| weighted(d, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == u32::from(d[9] - b'0'), Labelled, true, &["nip"]),
    row("SE_PERSONNUMMER", &["DDDDDD-DDDD", "DDDDDD+DDDD", "DDDDDDDD-DDDD", "DDDDDDDDDD", "DDDDDDDDDDDD"], is_personnummer, Separated, true,
        &["personnummer", "personal identity", "samordningsnummer"]),
    row("FI_PERSONAL_IDENTITY_CODE", &["DDDDDD-DDDX", "DDDDDD+DDDX", "DDDDDDLDDDX"], is_hetu, Alone, true, &["hetu", "henkilötunnus", "henkilotunnus", "personal identity code"]),
    row("DK_CPR", &["DDDDDD-DDDD"], |d| is_day_month(&d[..4]), Labelled, false, &["cpr", "cpr-nummer", "personnummer"]),
    row("NO_FNR", &["DDDDDD~DDDDD"], is_fnr, Labelled, true, &["fødselsnummer", "fodselsnummer", "fnr", "personnummer"]),
    row("RO_CNP", &["DDDDDDDDDDDDD"], is_cnp, Labelled, true, &["cnp", "cod numeric"]),
    row("BG_EGN", &["DDDDDDDDDD"], |d| weighted(d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == u32::from(d[9] - b'0'), Labelled, true, &["egn", "егн"]),
    row("HR_OIB", &["DDDDDDDDDDD"], mod_11_10, Labelled, true, &["oib"]),
    row("CZ_RC", &["DDDDDD/DDDD"], |d| remainder(d, 11) == 0, Alone, true, &["rodné číslo", "rodne cislo", "rč", "rodné"]),
    row("TR_NATIONAL_ID", &["DDDDDDDDDDD"], is_tckn, Labelled, true, &["kimlik", "tckn", "tc no", "tc", "turkish id"]),
    row("IN_AADHAAR", &["DDDD~DDDD~DDDD"], |d| d[0] > b'1' && verhoeff(d), Labelled, true, &["aadhaar", "aadhar", "uidai", "uid"]),
    row("IN_PAN", &["LLLLLDDDDL"], |id| b"PCHFATBLJG".contains(&id[3]), Alone, false, &["pan", "pan card", "permanent account"]),
    row("IN_GSTIN", &["DDLLLLLDDDDLXLX"], |id| id[13] == b'Z' && luhn36(id), Alone, true, &["gstin", "gst"]),
    row("SG_NRIC_FIN", &["LDDDDDDDL"], is_nric, Alone, true, &["nric", "fin", "identity card"]),
    row("CN_RESIDENT_ID", &["DDDDDDDDDDDDDDDDDX"], is_cn_id, Alone, true, &["resident id", "id card", "身份证", "identity card"]),
    row("KR_RRN", &["DDDDDD-DDDDDDD", "DDDDDDDDDDDDD"], is_rrn, Separated, false, &["resident registration", "rrn", "주민등록번호", "korean"]),
    row("TH_TNIN", &["D-DDDD-DDDDD-DD-D", "DDDDDDDDDDDDD"], is_thai, Separated, true, &["tnin", "thai", "citizen id"]),
    row("HK_HKID", &["LDDDDDD(X)"], is_hkid, Alone, true, &["hkid"]),
    row("TW_ID", &["LDDDDDDDDD"], is_tw_id, Labelled, true, &["taiwan", "身分證", "national id"]),
    row("JP_MY_NUMBER", &["DDDD~DDDD~DDDD"], is_my_number, Labelled, true, &["my number", "mynumber", "マイナンバー", "個人番号"]),
    row("IL_ID", &["DDDDDDDDD"], luhn, Labelled, true, &["teudat zehut", "israeli id", "תעודת זהות"]),
    row("AU_TFN", &["DDD~DDD~DDD"], |d| weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11), Labelled, true, &["tfn", "tax file"]),
    row("AU_ABN", &["DD~DDD~DDD~DDD"], is_abn, Separated, true, &["abn", "business number"]),
    row("AU_ACN", &["DDD~DDD~DDD"], |d| (10 - weighted(d, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == u32::from(d[8] - b'0'), Labelled, true, &["acn", "company number"]),
    row("AU_MEDICARE", &["DDDD~DDDDD~D", "DDDDDDDDDD"], is_au_medicare, Labelled, true, &["medicare"]),
    row("NZ_IRD", &["DDD~DDD~DDD"], |_| true, Labelled, false, &["ird"]),
    row("CA_SIN", &["DDD~DDD~DDD"], |d| d[0] != b'0' && d[0] != b'8' && luhn(d), Labelled, true, &["sin", "social insurance"]),
    row("BR_CPF", &["DDD.DDD.DDD-DD", "DDDDDDDDDDD"], is_cpf, Separated, true, &["cpf", "cadastro"]),
    row("BR_CNPJ", &["XX.XXX.XXX/XXXX-DD", "DDDDDDDDDDDDDD"], is_cnpj, Separated, true, &["cnpj"]),
    row("MX_CURP", &["LLLLDDDDDDLLLLLLXD"], is_curp, Alone, true, &["curp"]),
    row("MX_CLABE", &["DDDDDDDDDDDDDDDDDD"], is_clabe, Labelled, true, &["clabe"]),
    row("AR_CUIT", &["DD-DDDDDDDD-D"], |d| matches!((11 - weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11, n if n == u32::from(d[10] - b'0')), Alone, true, &["cuit", "cuil"]),
    row("CL_RUT", &["DD.DDD.DDD-X", "D.DDD.DDD-X", "DDDDDDDD-X"], is_rut, Alone, true, &["rut", "run"]),
    row("ZA_ID_NUMBER", &["DDDDDD~DDDD~DDD", "DDDDDDDDDDDDD"], |d| is_month_day(&d[2..6]) && d[10] < b'3' && luhn(d), Labelled, true, &["south african", "sa id", "za id", "id number", "id no", "rsa id"]),
    row("IMEI", &["DDDDDDDDDDDDDDD", "DD-DDDDDD-DDDDDD-D"], luhn, Labelled, true, &["imei", "handset", "device id"]),
    row("VIN", &["XXXXXXXXXXXXXXXXX"], is_vin, Alone, true, &["vin", "vehicle identification", "chassis"]),
    row("US_PASSPORT", &["DDDDDDDDD", "LDDDDDDDD"], |_| true, Labelled, false, &["us passport", "passport"]),
    row("US_BANK_NUMBER", &["DDDDDDDDDD", "DDDDDDDDDDDD", "DDDDDDDD"], |_| true, Labelled, false, &["bank account", "account number", "acct", "checking account", "savings account"]),
    row("UK_SORT_CODE", &["DD-DD-DD"], |_| true, Labelled, false, &["sort code", "sort-code"]),
];

fn n(byte: u8) -> u32 {
    u32::from(byte.wrapping_sub(b'0'))
}

fn two(digits: &[u8]) -> u32 {
    n(digits[0]) * 10 + n(digits[1])
}

fn is_month_day(d: &[u8]) -> bool {
    (1..=12).contains(&two(d)) && (1..=31).contains(&two(&d[2..]))
}

fn is_day_month(d: &[u8]) -> bool {
    (1..=31).contains(&two(d)) && (1..=12).contains(&two(&d[2..]))
}

/// Issuer ranges with their lengths (ISO/IEC 7812 registry, by network), then Luhn.
fn is_card(d: &[u8]) -> bool {
    let first = |count: usize| d[..count].iter().fold(0, |sum, digit| sum * 10 + n(*digit));
    let lengths: &[usize] = match (first(1), first(2), first(3), first(4), first(6)) {
        (4, ..) => &[13, 16, 19],
        (_, 51..=55, ..) | (_, _, _, 2221..=2720, _) => &[16],
        (_, 34 | 37, ..) => &[15],
        (_, _, 300..=305 | 309, ..) | (_, 36 | 38 | 39, ..) => &[14, 16, 19],
        (_, _, _, 3528..=3589, _) => &[16, 19],
        (_, _, _, 6011, _) | (_, 65, ..) | (_, _, 644..=649, ..) => &[16, 19],
        (_, 62 | 81, ..) => &[16, 17, 18, 19],
        (_, 50 | 56..=58 | 60 | 63 | 67, ..) => &[13, 15, 16, 19],
        _ => &[],
    };
    lengths.contains(&d.len()) && luhn(d) && d.iter().any(|digit| *digit != d[0])
}

/// SSA: no area 000, 666 or 9xx, no group 00, no serial 0000; not one of the numbers printed in advertisements.
fn is_ssn(d: &[u8]) -> bool {
    let area = &d[..3];
    !(area == b"000" || area == b"666" || area[0] == b'9' || &d[3..5] == b"00" || &d[5..] == b"0000")
        && d != b"078051120"
        && d != b"219099999"
        && d.iter().any(|digit| *digit != d[0])
}

/// IRS: 9xx, group 50–65, 70–88, 90–92, 94–99.
fn is_itin(d: &[u8]) -> bool {
    d[0] == b'9' && matches!(two(&d[3..]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

fn is_mbi(id: &[u8]) -> bool {
    id[0] != b'0' && id.iter().all(|byte| !b"SLOIBZ".contains(byte))
}

fn is_npi(d: &[u8]) -> bool {
    let mut prefixed = *b"80840\0\0\0\0\0\0\0\0\0\0";
    prefixed[5..].copy_from_slice(d);
    matches!(d[0], b'1' | b'2') && luhn(&prefixed)
}

fn is_dea(id: &[u8]) -> bool {
    let d = &id[2..];
    (n(d[0]) + n(d[2]) + n(d[4]) + 2 * (n(d[1]) + n(d[3]) + n(d[5]))) % 10 == n(d[6])
        && b"ABCDEFGHJKLMNPRSTUX".contains(&id[0])
}

fn is_aba(d: &[u8]) -> bool {
    matches!(two(d), 0..=12 | 21..=32 | 61..=72 | 80)
        && weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
        && d != b"000000000"
}

fn is_nhs(d: &[u8]) -> bool {
    let check = 11 - weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    check % 11 == n(d[9]) && check != 10
}

fn is_nino(id: &[u8]) -> bool {
    !b"DFIQUV".contains(&id[0])
        && !b"DFIQUVO".contains(&id[1])
        && ![*b"BG", *b"GB", *b"NK", *b"KN", *b"TN", *b"NT", *b"ZZ"].contains(&[id[0], id[1]])
        && (b'A'..=b'D').contains(&id[8])
}

/// One digit of the first ten stands twice or thrice, and the check digit is ISO 7064 MOD 11,10.
fn is_de_tax(d: &[u8]) -> bool {
    let mut seen = [0; 10];
    d[..10].iter().for_each(|digit| seen[n(*digit) as usize] += 1);
    d[0] != b'0' && seen.iter().any(|count| matches!(count, 2 | 3)) && mod_11_10(d)
}

fn is_rvnr(id: &[u8]) -> bool {
    let letter = u32::from(id[8] - b'A') + 1;
    let mut digits = [0; 12];
    digits[..8].copy_from_slice(&id[..8]);
    digits[8] = b'0' + (letter / 10) as u8;
    digits[9] = b'0' + (letter % 10) as u8;
    digits[10..].copy_from_slice(&id[9..11]);
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 =
        digits.iter().zip(weights).map(|(digit, weight)| n(*digit) * weight).map(|p| p / 10 + p % 10).sum();
    sum % 10 == n(id[11])
}

fn is_ahv(d: &[u8]) -> bool {
    d.starts_with(b"756") && weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Sex, year, month (or 20–42, 50+ for oddities), department with Corsica's 2A and 2B, key 97 − n mod 97.
fn is_nir(id: &[u8]) -> bool {
    if id.len() != 15 {
        return false;
    }
    let mut d = [0; 15];
    d.copy_from_slice(id);
    match (id[5], id[6]) {
        (_, b'0'..=b'9') => {}
        (b'2', b'A') => d[5..7].copy_from_slice(b"19"),
        (b'2', b'B') => d[5..7].copy_from_slice(b"18"),
        _ => return false,
    }
    matches!(d[0], b'1'..=b'4' | b'7' | b'8')
        && d.iter().all(u8::is_ascii_digit)
        && matches!(two(&d[3..]), 1..=12 | 20..=42 | 50..=99)
        && 97 - remainder(&d[..13], 97) == u64::from(two(&d[13..]))
}

fn is_be_nrn(d: &[u8]) -> bool {
    let check = u64::from(two(&d[9..]));
    let old = 97 - remainder(&d[..9], 97);
    let mut since_2000 = *b"2\0\0\0\0\0\0\0\0\0";
    since_2000[1..].copy_from_slice(&d[..9]);
    old == check || 97 - remainder(&since_2000, 97) == check
}

fn is_bsn(d: &[u8]) -> bool {
    (weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) + n(d[8]) * 10).is_multiple_of(11) && d != b"000000000"
}

fn es_letter(digits: &[u8], letter: u8) -> bool {
    b"TRWAGMYFPDXBNJZSQVHLCKE"[remainder(digits, 23) as usize] == letter
}

fn is_nie(id: &[u8]) -> bool {
    let Some(lead) = b"XYZ".iter().position(|letter| *letter == id[0]) else { return false };
    let mut d = [b'0' + lead as u8; 8];
    d[1..].copy_from_slice(&id[1..8]);
    es_letter(&d, id[8])
}

fn is_pt_nif(d: &[u8]) -> bool {
    let rest = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == n(d[8])
}

/// Odd places by a table of their own, even places by value, sum mod 26 (Decreto 23.12.1976).
fn is_fiscal_code(id: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let index = |byte: u8| if byte.is_ascii_digit() { n(byte) } else { u32::from(byte - b'A') };
    let sum: u32 = id[..15]
        .iter()
        .enumerate()
        .map(|(i, byte)| if i % 2 == 0 { ODD[index(*byte) as usize] } else { index(*byte) })
        .sum();
    b"ABCDEHLMPRST".contains(&id[8]) && sum % 26 == u32::from(id[15] - b'A')
}

fn is_pesel(d: &[u8]) -> bool {
    weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10) && (1..=31).contains(&two(&d[4..]))
}

fn is_personnummer(d: &[u8]) -> bool {
    let d = if d.len() == 12 { &d[2..] } else { d };
    let day = two(&d[4..]);
    (1..=12).contains(&two(&d[2..])) && matches!(day, 1..=31 | 61..=91) && luhn(d)
}

fn is_hetu(id: &[u8]) -> bool {
    const CHECK: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (serial, check, sign) = match id.len() {
        10 => (&id[6..9], id[9], b'-'),
        _ => (&id[7..10], id[10], id[6]),
    };
    if !is_day_month(id) || !b"-ABCDEFUVWXY".contains(&sign) {
        return false;
    }
    let mut d = [0; 9];
    d[..6].copy_from_slice(&id[..6]);
    d[6..].copy_from_slice(serial);
    CHECK[remainder(&d, 31) as usize] == check
}

fn is_fnr(d: &[u8]) -> bool {
    weighted(d, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

fn is_cnp(d: &[u8]) -> bool {
    let check = weighted(d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    is_month_day(&d[3..7]) && (if check == 10 { 1 } else { check }) == n(d[12])
}

fn is_tckn(d: &[u8]) -> bool {
    let odd: u32 = [0, 2, 4, 6, 8].map(|i| n(d[i])).iter().sum();
    let even: u32 = [1, 3, 5, 7].map(|i| n(d[i])).iter().sum();
    let all: u32 = d[..10].iter().map(|digit| n(*digit)).sum();
    d[0] != b'0' && (odd * 7 + 100 - even) % 10 == n(d[9]) && all % 10 == n(d[10])
}

fn is_nric(id: &[u8]) -> bool {
    let sum = weighted(&id[1..8], &[2, 7, 6, 5, 4, 3, 2]);
    let expected = match id[0] {
        b'S' => b"JZIHGFEDCBA"[(sum % 11) as usize],
        b'T' => b"JZIHGFEDCBA"[((sum + 4) % 11) as usize],
        b'F' => b"XWUTRQPNMLK"[(sum % 11) as usize],
        b'G' => b"XWUTRQPNMLK"[((sum + 4) % 11) as usize],
        b'M' => b"KLJNPQRTUWX"[(10 - (sum + 3) % 11) as usize],
        _ => return false,
    };
    expected == id[8]
}

fn is_cn_id(id: &[u8]) -> bool {
    let sum = weighted(&id[..17], &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    matches!(&id[6..8], b"19" | b"20")
        && is_month_day(&id[10..14])
        && b"10X98765432"[(sum % 11) as usize] == id[17]
}

/// Numbers given out since October 2020 have no check digit, so that dates and sex digit must do.
fn is_rrn(d: &[u8]) -> bool {
    is_month_day(&d[2..6]) && matches!(d[6], b'1'..=b'8')
}

fn is_thai(d: &[u8]) -> bool {
    let sum = weighted(d, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    matches!(d[0], b'1'..=b'8') && (11 - sum % 11) % 10 == n(d[12])
}

fn is_hkid(id: &[u8]) -> bool {
    let sum = 36 * 9 + (u32::from(id[0] - b'A') + 10) * 8 + weighted(&id[1..7], &[7, 6, 5, 4, 3, 2]);
    match (11 - sum % 11) % 11 {
        10 => id[7] == b'A',
        check => check == n(id[7]),
    }
}

fn is_tw_id(id: &[u8]) -> bool {
    const LETTERS: &[u8; 26] = b"ABCDEFGHJKLMNPQRSTUVXYWZIO";
    let Some(index) = LETTERS.iter().position(|letter| *letter == id[0]) else { return false };
    let lead = index as u32 + 10;
    matches!(id[1], b'1' | b'2' | b'8' | b'9')
        && (lead / 10 + lead % 10 * 9 + weighted(&id[1..], &[8, 7, 6, 5, 4, 3, 2, 1, 1])).is_multiple_of(10)
}

fn is_my_number(d: &[u8]) -> bool {
    let rest = weighted(d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    (if rest < 2 { 0 } else { 11 - rest }) == n(d[11])
}

fn is_abn(d: &[u8]) -> bool {
    d[0] != b'0' && (weighted(d, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10).is_multiple_of(89)
}

fn is_au_medicare(d: &[u8]) -> bool {
    matches!(d[0], b'2'..=b'6') && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == n(d[8])
}

fn is_cpf(d: &[u8]) -> bool {
    let check = |count: usize| {
        let sum: u32 =
            d[..count].iter().enumerate().map(|(i, digit)| n(*digit) * (count + 1 - i) as u32).sum();
        sum * 10 % 11 % 10 == n(d[count])
    };
    d.iter().any(|digit| *digit != d[0]) && check(9) && check(10)
}

/// The form of 2026 has letters too, each worth its ASCII code less 48 (Receita Federal, IN 2.229/2024).
fn is_cnpj(id: &[u8]) -> bool {
    let check = |count: usize| {
        let sum: u32 = (0..count).map(|i| u32::from(id[i] - b'0') * (2 + (count - 1 - i) as u32 % 8)).sum();
        let rest = sum % 11;
        (if rest < 2 { 0 } else { 11 - rest }) == n(id[count])
    };
    id.iter().any(|byte| *byte != id[0]) && check(12) && check(13)
}

fn is_curp(id: &[u8]) -> bool {
    // RENAPO's alphabet has Ñ between N and O, so letters after N count one more.
    let index = |byte: u8| match byte {
        b'0'..=b'9' => n(byte),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte - b'A') + 11,
    };
    let sum: u32 = id[..17].iter().enumerate().map(|(i, byte)| index(*byte) * (18 - i as u32)).sum();
    is_month_day(&id[6..10]) && matches!(id[10], b'H' | b'M' | b'X') && (10 - sum % 10) % 10 == n(id[17])
}

fn is_clabe(d: &[u8]) -> bool {
    let sum: u32 =
        d[..17].iter().zip([3, 7, 1].iter().cycle()).map(|(digit, weight)| n(*digit) * weight % 10).sum();
    (10 - sum % 10) % 10 == n(d[17])
}

fn is_rut(id: &[u8]) -> bool {
    let Some((check, body)) = id.split_last() else { return false };
    if !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = body.iter().rev().enumerate().map(|(i, digit)| n(*digit) * (2 + i as u32 % 6)).sum();
    match 11 - sum % 11 {
        11 => *check == b'0',
        10 => *check == b'K',
        rest => n(*check) == rest,
    }
}

/// Check digit in place nine (49 CFR 565), which also keeps out most other codes of 17 symbols.
fn is_vin(id: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let mut sum = 0;
    for (byte, weight) in id.iter().zip(WEIGHTS) {
        let value = match byte {
            b'0'..=b'9' => n(*byte),
            b'I' | b'O' | b'Q' => return false,
            b'A'..=b'H' => u32::from(byte - b'A') + 1,
            b'J'..=b'R' => u32::from(byte - b'J') + 1,
            b'S'..=b'Z' => u32::from(byte - b'S') + 2,
            _ => return false,
        };
        sum += value * weight;
    }
    let letters = id.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    (2..=15).contains(&letters) && (if sum % 11 == 10 { b'X' } else { b'0' + (sum % 11) as u8 }) == id[8]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every check sees text of the length of its shapes only; no text of such a length may make it panic.
    #[test]
    fn no_check_panics_on_any_text_of_its_shape() {
        for row in ROWS {
            for pattern in row.shapes {
                for fill in [(b'0', b'A'), (b'9', b'Z'), (b'5', b'M'), (b'1', b'I')] {
                    let id: Vec<u8> = pattern
                        .bytes()
                        .filter_map(|step| match step {
                            b'D' => Some(fill.0),
                            b'L' | b'X' => Some(fill.1),
                            _ => None,
                        })
                        .collect();
                    (row.is_valid)(&id);
                }
            }
        }
    }
}
