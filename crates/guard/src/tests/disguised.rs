//! Values that are written so that a plain pattern misses them.

use super::{PII, SECRETS, check, scan};

#[test]
fn what_readers_do_not_see_is_no_disguise() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("a\u{200b}nn@exam\u{ad}ple.org", &["EMAIL_ADDRESS=a\u{200b}nn@exam\u{ad}ple.org"]);
    check("аnn@ехаmple.соm, привет", &["EMAIL_ADDRESS=аnn@ехаmple.соm"]);
    check("４１１１ １１１１ １１１１ １１１１。", &["CREDIT_CARD=４１１１ １１１１ １１１１ １１１１"]);
    check("SSN ١٢٣-٤٥-٦٧٨٩", &["US_SSN=١٢٣-٤٥-٦٧٨٩"]);
    check("4111–1111–1111–1111", &["CREDIT_CARD=4111–1111–1111–1111"]);
}

#[test]
fn what_is_spelled_out_is_read() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("write to ann at example dot com today", &["EMAIL_ADDRESS=ann at example dot com"]);
    check(
        "ann dot b [at] mail [dot] example [dot] org",
        &["EMAIL_ADDRESS=ann dot b [at] mail [dot] example [dot] org"],
    );
    check("ann @ example . com", &["EMAIL_ADDRESS=ann @ example . com"]);
    check("ann[@]example[.]com", &["EMAIL_ADDRESS=ann[@]example[.]com"]);
    check("ann(at)example.com", &["EMAIL_ADDRESS=ann(at)example.com"]);
    check("card 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 I think", &["CREDIT_CARD=4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"]);
    check("4111_1111_1111_1111", &["CREDIT_CARD=4111_1111_1111_1111"]);
    check("my SSN: 123 . 45 . 6789", &["US_SSN=123 . 45 . 6789"]);
    check(
        "ssn one two three four five six seven eight nine ok",
        &["US_SSN=one two three four five six seven eight nine"],
    );
    check("a n n @ e x a m p l e . c o m", &["EMAIL_ADDRESS=a n n @ e x a m p l e . c o m"]);
    check(
        "naa@rknzcyr.pbz and moc.elpmaxe@nna",
        &["EMAIL_ADDRESS=naa@rknzcyr.pbz", "EMAIL_ADDRESS=moc.elpmaxe@nna"],
    );
}

#[test]
fn digits_are_read_through_any_marks_beside_a_label() {
    let ssn = |text: &str| check(PII, &format!("ssn: {text}, ok"), &[&format!("US_SSN={text}")]);
    for text in ["1,2,3,4,5,6,7,8,9", "1/2/3/4/5/6/7/8/9", "(1)(2)(3)(4)(5)(6)(7)(8)(9)", "1*2*3*4*5*6*7*8*9"]
    {
        // The brackets at both ends are no part of the digits.
        ssn(text.trim_matches(['(', ')']));
    }
    ssn("123_456_789");
    ssn("12 34 56 78 9");
    ssn("12345\n6789");
    ssn("123\t45\t6789");
    ssn("123-4\" + \"5-6789");
    ssn("l23-45-6789");
    ssn("12345 678O");
    check(PII, "the rows 1,2,3,4,5,6,7,8,9 and 12 34 56 78 9", &[]);
    check(PII, "card 4111\n1111\n1111\n1111", &["CREDIT_CARD=4111\n1111\n1111\n1111"]);
}

#[test]
fn addresses_and_digits_are_read_out_in_several_languages() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("von 185[.]76[.]139[.]142 aus", &["IP_ADDRESS=185[.]76[.]139[.]142"]);
    check("185 dot 76 dot 139 dot 142", &["IP_ADDRESS=185 dot 76 dot 139 dot 142"]);
    check(
        "ssn eins zwei drei vier fünf sechs sieben acht neun",
        &["US_SSN=eins zwei drei vier fünf sechs sieben acht neun"],
    );
    check(
        "ssn un deux trois quatre cinq six sept huit neuf",
        &["US_SSN=un deux trois quatre cinq six sept huit neuf"],
    );
    check(
        "NRIC S one two three four five six seven D",
        &["SG_NRIC_FIN=S one two three four five six seven D"],
    );
    check("mail: ann at example.org", &["EMAIL_ADDRESS=ann at example.org"]);
    check("ann arobase example point org", &["EMAIL_ADDRESS=ann arobase example point org"]);
    check("un deux trois, nous irons au bois; eins, zwei, drei", &[]);
}

#[test]
fn character_codes_are_read() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("97 110 110 64 101 46 111 114 103", &["EMAIL_ADDRESS=97 110 110 64 101 46 111 114 103"]);
    check(
        "\\141\\156\\156\\100\\145\\056\\157\\162\\147",
        &["EMAIL_ADDRESS=\\141\\156\\156\\100\\145\\056\\157\\162\\147"],
    );
    check("=61=6E=6E=40=65=2E=6F=72=67", &["EMAIL_ADDRESS==61=6E=6E=40=65=2E=6F=72=67"]);
    check("40 41 42 43 44 45 46 47 48 49 50", &[]);
}

#[test]
fn what_is_encoded_is_decoded_twice() {
    let check = |text, expected: &[&str]| check(PII, text, expected);
    check("q=ann%40example.com&x", &["EMAIL_ADDRESS=ann%40example.com"]);
    check("ann&#64;example&period;com", &["EMAIL_ADDRESS=ann&#64;example&period;com"]);
    check("\\u0061nn\\u0040example.com", &["EMAIL_ADDRESS=\\u0061nn\\u0040example.com"]);
    check("data: YW5uQGV4YW1wbGUub3Jn!", &["EMAIL_ADDRESS=YW5uQGV4YW1wbGUub3Jn"]);
    check("SSN MTIzLTQ1LTY3ODk=", &["US_SSN=MTIzLTQ1LTY3ODk="]);
    check("616e6e406578616d706c652e6f7267", &["EMAIL_ADDRESS=616e6e406578616d706c652e6f7267"]);
    check("61 6e 6e 40 65 2e 6f 72 67", &["EMAIL_ADDRESS=61 6e 6e 40 65 2e 6f 72 67"]);
    // Base64 of base64, and percent signs in base64.
    check("WVc1dVFHVjRZVzF3YkdVdWIzSm4=", &["EMAIL_ADDRESS=WVc1dVFHVjRZVzF3YkdVdWIzSm4="]);
    check("YW5uJTQwZXhhbXBsZS5vcmc=", &["EMAIL_ADDRESS=YW5uJTQwZXhhbXBsZS5vcmc="]);
}

#[test]
fn a_credential_in_base64_is_found() {
    let token = "Z2hwX2FaM2tROXhXN3ZCMm5NNWNMOHBSNHRZNnVFMXNEMGZHaEpxSw==";
    let found = scan(&format!("blob {token}"), SECRETS);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].span, 5..5 + token.len());
}

#[test]
fn a_run_beyond_the_bound_is_decoded_up_to_it() {
    let unit = "YW5uQGV4YW1wbGUub3JnIA";
    let found = scan(&format!("{unit}{}", "ICAg".repeat(2000)), PII);
    assert!(found.is_empty() || found[0].span == (0..crate::decode::ENCODED_MAX), "{found:?}");
}

#[test]
fn ordinary_text_is_not_read_as_a_disguise() {
    for text in [
        "look at example.com, meet at noon. Come at five dot",
        "find us at example dot com",
        "one two three four five",
        "1.2.3.4.5.6.7.8 and 1 2 3 4 5 6 7 8 9 10",
        "Internationalization2 aGVsbG8gd29ybGQgYWdhaW4= deadbeefcafebabe1234",
        "100%25 sure, a&amp;b, C:\\users\\x, \\n",
        "0.5 / 1.25 / 3.75 | 10,000 | 2024.01.15",
        "Сколько стоит 5 кг? кот, сор, рот",
    ] {
        assert!(scan(text, PII).is_empty(), "{text}: {:?}", scan(text, PII));
    }
}
