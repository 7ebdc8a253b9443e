use super::{PII, check, scan};

#[test]
fn addresses_are_found_without_their_punctuation() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("mail ann.b+x@mail.example.co.uk.", &["EMAIL_ADDRESS=ann.b+x@mail.example.co.uk"]);
    check("<a@b.de>, c_d@e-f.io", &["EMAIL_ADDRESS=a@b.de", "EMAIL_ADDRESS=c_d@e-f.io"]);
    check("mailto:ann@example.org?subject=x", &["EMAIL_ADDRESS=ann@example.org"]);
    check("user@localhost, icon@2x.png, @handle, a@b, a..b@example.org, x@.de", &[]);
    check("pip install pkg@1.2.3 and node@20.11.0", &[]);
    check("git@github.com:org/repo.git", &["EMAIL_ADDRESS=git@github.com"]);
}

#[test]
fn cards_need_an_issuer_and_luhn() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("4111 1111 1111 1111", &["CREDIT_CARD=4111 1111 1111 1111"]);
    check("4111-1111-1111-1111.", &["CREDIT_CARD=4111-1111-1111-1111"]);
    check("card 4111.1111.1111.1111!", &["CREDIT_CARD=4111.1111.1111.1111"]);
    check("4111\u{a0}1111\u{a0}1111\u{a0}1111", &["CREDIT_CARD=4111\u{a0}1111\u{a0}1111\u{a0}1111"]);
    check("amex 378282246310005", &["CREDIT_CARD=378282246310005"]);
    check("3782-822463-10005", &["CREDIT_CARD=3782-822463-10005"]);
    check("4111 1111 1111 1112", &[]);
    check("9999999999999995, 4111 1111-1111 1112", &[]);
    check("4111 1111-1111 1111", &["CREDIT_CARD=4111 1111-1111 1111"]);
    check("x4111111111111111, 41111111111111110000", &[]);
    check("12 4111 1111 1111 1111", &["CREDIT_CARD=4111 1111 1111 1111"]);
}

#[test]
fn social_security_numbers_follow_their_rules() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("123-45-6789", &["US_SSN=123-45-6789"]);
    check("SSN 123 45 6789", &["US_SSN=123 45 6789"]);
    check("my social security number is 123456789", &["US_SSN=123456789"]);
    check("123456789", &[]);
    check("phone=?, ssn=?, 103-18-6650", &["US_SSN=103-18-6650"]);
    check("000-12-3456, 666-12-3456, 123-00-4567, 123-45-0000, 923-45-6789", &[]);
    check("912-75-4321", &["US_ITIN=912-75-4321"]);
    check("123-45-67890 and 1123-45-6789", &[]);
    check("order 123-45-6789", &[]);
}

#[test]
fn telephone_numbers_are_told_from_other_numbers() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("+33123483977", &["PHONE_NUMBER=+33123483977"]);
    check("call +1 (212) 555-0123 x45 now", &["PHONE_NUMBER=+1 (212) 555-0123 x45"]);
    check("(201) 555-0008", &["PHONE_NUMBER=(201) 555-0008"]);
    check("201-555-0008", &["PHONE_NUMBER=201-555-0008"]);
    check("06 12 34 55 63", &["PHONE_NUMBER=06 12 34 55 63"]);
    check("+44 (0)20 7946 0958", &["PHONE_NUMBER=+44 (0)20 7946 0958"]);
    check("ring 2015550008", &["PHONE_NUMBER=2015550008"]);
    check(
        "0917 123 4567, 0532 123 45 67, (02) 9374 4000",
        &["PHONE_NUMBER=0917 123 4567", "PHONE_NUMBER=0532 123 45 67", "PHONE_NUMBER=(02) 9374 4000"],
    );
    check("(11) 91234-5678", &["PHONE_NUMBER=(11) 91234-5678"]);
    check(
        "mobile: 33123483977, handy 4915112345677",
        &["PHONE_NUMBER=33123483977", "PHONE_NUMBER=4915112345677"],
    );
    check("0033 6 12 34 58 82", &["PHONE_NUMBER=0033 6 12 34 58 82"]);
    check("8 (301) 123-45-33", &["PHONE_NUMBER=8 (301) 123-45-33"]);
    check("070-123 45 94, 043 268 88 35", &["PHONE_NUMBER=070-123 45 94", "PHONE_NUMBER=043 268 88 35"]);
    check("[08-987 468 33-Office]", &["PHONE_NUMBER=08-987 468 33"]);
    check("my number: 48488089", &["PHONE_NUMBER=48488089"]);
    check("Boston, MA 02110-1301, contact 2007-2022, (2019) 345-367", &[]);
    check("(41.830178, -95.312018), clause 252.227-7013", &[]);
    check("2015550008 rows", &[]);
    check("2024-11-21 10:15, 21.11.2026, 1.2.3.4567, 3.14159265, 10/12/2024", &[]);
    check("ISBN 978-3-16-148410-0, order 1887-2586, v2.14.0, timestamp 1700796713", &[]);
    check("in the years 2001 2002 2003 there were 1,234,567 items", &[]);
}

#[test]
fn accounts_and_coins_are_proven_by_their_checks() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("GB82WEST12345698765432", &["IBAN_CODE=GB82WEST12345698765432"]);
    check("iban gb82 west 1234 5698 7654 32 please", &["IBAN_CODE=gb82 west 1234 5698 7654 32"]);
    check("DE89-3704-0044-0532-0130-00", &["IBAN_CODE=DE89-3704-0044-0532-0130-00"]);
    check("GB82WEST12345698765433", &[]);
    check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", &["CRYPTO=1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"]);
    check("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", &[]);
    check(
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        &["CRYPTO=bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"],
    );
    // Groups of letters alone, and other coins.
    check("to PK36 SCBL ABCD EFGH 1234 5702?", &[]);
    check("QA69 DOHB ABCD EFGH IJKL MNOP QRST U", &["IBAN_CODE=QA69 DOHB ABCD EFGH IJKL MNOP QRST U"]);
    check("LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", &["CRYPTO=LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9"]);
    check(
        "ltc1qhzjptwpym9afcdjhs7jcz6fd0jma0l0rc0e5yr",
        &["CRYPTO=ltc1qhzjptwpym9afcdjhs7jcz6fd0jma0l0rc0e5yr"],
    );
    check(
        "solana: TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA",
        &["CRYPTO=TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"],
    );
    check("token TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", &[]);
    check(
        "0xa9a88906768b929313d5f3df9768344497134a59",
        &["CRYPTO=0xa9a88906768b929313d5f3df9768344497134a59"],
    );
}

#[test]
fn network_addresses_are_told_from_versions_and_paths() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("from 185.76.139.142:8080.", &["IP_ADDRESS=185.76.139.142"]);
    check("2a01:f1fa::cdb5:e95e:5aa6:29f4", &["IP_ADDRESS=2a01:f1fa::cdb5:e95e:5aa6:29f4"]);
    check("version 10.2.3.4, 1.2.3.4, 127.0.0.1, 256.1.1.1, 1.2.3.4.5", &[]);
    check("std::fmt::Write, a::b, 12:30:45, ::1, crate::ab::cd", &[]);
    check(
        "8D:22:25:FE:0B:51 or 3c-eb-ef-06-07-10",
        &["MAC_ADDRESS=8D:22:25:FE:0B:51", "MAC_ADDRESS=3c-eb-ef-06-07-10"],
    );
    check("8D:22:25:FE:0B:51:77", &[]);
    check("mac 0012.3456.789a, price 0012.3456.7890", &["MAC_ADDRESS=0012.3456.789a"]);
    check("::ffff:129.144.52.38", &["IP_ADDRESS=::ffff:129.144.52.38"]);
    check("::ffff:129.144.1", &[]);
    check("MAC：58:03:94:68:8F:07", &["MAC_ADDRESS=58:03:94:68:8F:07"]);
    check("section 4.10.22.7, route 10.0.0.0/8", &["IP_ADDRESS=10.0.0.0"]);
}

#[test]
fn national_numbers_need_their_check_and_the_ambiguous_a_label() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("NHS number 943 476 5919", &["UK_NHS=943 476 5919"]);
    check("943 476 5918 is no NHS number", &["PHONE_NUMBER=943 476 5918"]);
    check("DNI 12345678Z", &["ES_NIF=12345678Z"]);
    check("X-1234567-L", &["ES_NIE=X-1234567-L"]);
    check("JS 70 40 71 B", &["UK_NINO=JS 70 40 71 B"]);
    check("codice fiscale RSSMRA85T10A562S", &["IT_FISCAL_CODE=RSSMRA85T10A562S"]);
    check("529.982.247-25", &["BR_CPF=529.982.247-25"]);
    check("AHV 756.9217.0769.85", &["CH_AHV=756.9217.0769.85"]);
    check("PESEL 44051401359", &["PL_PESEL=44051401359"]);
    check("row 44051401359 of 7", &[]);
    check("44051401359", &["PL_PESEL=44051401359"]);
    check("42080698050\nAgent: that is your PESEL, right?", &["PL_PESEL=42080698050"]);
    check("{\"sin\": \"130 692 544\"}", &["CA_SIN=130 692 544"]);
    check("VIN 1M8GDM9AXKP042788", &["VIN=1M8GDM9AXKP042788"]);
    check("27AAPFU0939F1ZV", &["IN_GSTIN=27AAPFU0939F1ZV"]);
    check("S1234567D", &["SG_NRIC_FIN=S1234567D"]);
    check("131052-308T", &["FI_PERSONAL_IDENTITY_CODE=131052-308T"]);
    check("steuer-id 86 095 742 719", &["DE_TAX_ID=86 095 742 719"]);
}

#[test]
fn of_several_types_the_nearest_label_names_the_value() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("Reisepass C01234565, SSN 123456789", &["DE_PASSPORT=C01234565", "US_SSN=123456789"]);
    check("Reisepass C01X00T41", &["DE_PASSPORT=C01X00T41"]);
    check("KVNR: A123456780", &["DE_HEALTH_INSURANCE=A123456780"]);
    check("UEN 53125226D", &["SG_UEN=53125226D"]);
    check("born 12.03.1980, due 12.03.2026", &["DATE_OF_BIRTH=12.03.1980"]);
    check(
        "plate ABJ-123XY, plate APP 456CV",
        &["NG_VEHICLE_REGISTRATION=ABJ-123XY", "NG_VEHICLE_REGISTRATION=APP 456CV"],
    );
    check("Kennzeichen: HH-LD 2107, B-L42", &["DE_LICENSE_PLATE=HH-LD 2107", "DE_LICENSE_PLATE=B-L42"]);
    check("account 12345678 of bank, phone: 0171-2345678", &["PHONE_NUMBER=0171-2345678"]);
    check("British passport 530271945", &["UK_PASSPORT=530271945"]);
    check("ИНН 7707083893, СНИЛС: 112-233-445 95", &["RU_INN=7707083893", "RU_SNILS=112-233-445 95"]);
    check("NIR 1 85 05 2A 789 012 91", &["FR_NIR=1 85 05 2A 789 012 91"]);
    check("SW1A 1AA", &["UK_POSTCODE=SW1A 1AA"]);
    check("number plate AB51 ABC, plate AB35 ABC", &["UK_VEHICLE_REGISTRATION=AB51 ABC"]);
    check("hetu 310289-211C", &[]);
    check("plaka 34 ABC 1234", &["TR_LICENSE_PLATE=34 ABC 1234"]);
}

#[test]
fn numbers_in_plenty_are_not_taken_for_persons() {
    for text in [
        "The query took 688.947 ms over 5151802 rows.",
        "Meeting at 13:30 on 2025-02-14, room 4-120.",
        "commit d2e4af0d9379 touched 22 files",
        "Invoice INV-568708 total 5109.84 EUR.",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "tracking 1Z999AA10123456784, build 20260421.1234",
        "Table: 12 34 56 78 90 11 22 33 44 55",
        "0.123456789 and 1e-10 and 0xdeadbeef and 100_000_000",
        "pages 123-456, figure 3-2, ratio 16:9, 1/2",
    ] {
        assert!(scan(text, PII).is_empty(), "{text}: {:?}", scan(text, PII));
    }
}
