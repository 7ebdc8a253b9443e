//! The table of national and business identifiers: a row is a name, its shapes, its check and its labels.

use super::check::{register::*, *};
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
    /// Hardly any shape: needs a label before it, and no other number between.
    Beside,
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

use Trust::{Alone, Beside, Labelled, Separated};

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
    row("CREDIT_CARD", &["DDDD_DDDD_DDDD_DDDD", "DDDD_DDDDDD_DDDDD", "DDDD_DDDDDD_DDDD", "DDDDDDDDDDDDD", "DDDD_DDDD_DDDD_DDDD_DDD", "DDDDDD_DDDDDDDDDDDDD", "DDDDDDDDDDDDDDDDD", "DDDDDDDDDDDDDDDDDD"],
        is_card, Alone, true, &["card", "visa", "mastercard", "amex", "credit", "carte", "karte", "tarjeta", "cc", "payment"]),
    row("CREDIT_CARD", &["DDDD_DDDD_DDDD"], is_short_card, Labelled, true, &["card", "credit", "maestro", "carte", "karte", "tarjeta", "cc"]),
    row("US_SSN", &["DDD~DD~DDDD"], is_ssn, Separated, false,
        &["ssn", "social security", "social sec", "soc sec", "ss#", "ssns", "social"]),
    row("US_SSN", &["DDD.DD.DDDD", "DDD-DDDDDD", "DDDDD-DDDD"], is_ssn, Labelled, false, &["ssn", "ssns", "social security", "soc sec"]),
    row("US_ITIN", &["DDD~DD~DDDD", "DDD-DDDDDD", "DDDDD-DDDD"], is_itin, Separated, false, &["itin", "individual taxpayer", "taxpayer", "tax id", "tin"]),
    row("US_MBI", &["DLXDLXDLLDD", "DLXD~LXD~LLDD"], is_mbi, Alone, false, &["mbi", "medicare", "beneficiary"]),
    row("US_NPI", &["DDDD~DDD~DDD"], is_npi, Labelled, true, &["npi", "national provider", "provider id", "provider"]),
    row("MEDICAL_LICENSE", &["LXDDDDDDD"], is_dea, Alone, true, &["dea", "medical license", "medical licence", "registration"]),
    row("ABA_ROUTING", &["DDDDDDDDD", "DDDD-DDDD-D"], is_aba, Labelled, true, &["routing", "aba", "rtn", "bank"]),
    row("US_EIN", &["DD-DDDDDDD"], is_ein, Labelled, false, &["ein", "employer identification", "federal tax id"]),
    row("UK_NHS", &["DDD~DDD~DDDD"], is_nhs, Labelled, true, &["nhs", "national health", "health service", "patient"]),
    row("UK_NINO", &["LLDDDDDDL", "LL~DD~DD~DD~L", "LL~DDDDDD~L", "LL DDDDDDL", "LL DD DD DDL"], is_nino, Alone, false, &["nino", "national insurance", "ni number", "ni no"]),
    row("DE_TAX_ID", &["DD~DDD~DDD~DDD"], is_de_tax, Labelled, true,
        &["steuer", "steuer-id", "steuer id", "steuerid", "steueridentifikationsnummer", "steuernummer", "idnr", "tax id", "identifikationsnummer", "tin"]),
    row("DE_SOCIAL_SECURITY", &["DDDDDDDDLDDD", "DD~DDDDDD~L~DDD"], is_rvnr, Alone, true, &["rvnr", "rentenversicherung", "rentenversicherungsnummer", "sozialversicherung", "sozialversicherungsnummer", "versicherungsnummer", "svnr"]),
    row("DE_VAT_ID", &["LLDDDDDDDDD"], |id| id.starts_with(b"DE") && mod_11_10(&id[2..]), Labelled, true, &["ust", "ust-id", "ust id", "ustid", "vat", "umsatzsteuer"]),
    row("CH_AHV", &["DDD.DDDD.DDDD.DD", "DDD~DDDD~DDDD~DD"], is_ahv, Alone, true, &["ahv", "avs", "oasi"]),
    row("FR_NIR", &["DDDDDDXDDDDDD~DD", "D~DD~DD~DX~DDD~DDD~DD"], is_nir, Alone, true,
        &["nir", "sécurité sociale", "securite sociale", "insee", "numéro de sécu"]),
    row("FR_SIRET", &["DDD~DDD~DDD~DDDDD"], luhn, Labelled, true, &["siret"]),
    row("FR_SIREN", &["DDD~DDD~DDD"], luhn, Labelled, true, &["siren"]),
    row("BE_NATIONAL_NUMBER", &["DD.DD.DD-DDD.DD", "DDDDDDDDDDD"], is_be_nrn, Labelled, true, &["rijksregister", "rijksregisternummer", "registre national", "national register", "insz", "niss"]),
    row("NL_BSN", &["DDDDDDDDD", "DDD.DDD.DDD", "DDDD.DD.DDD"], is_bsn, Labelled, true, &["bsn", "burgerservicenummer", "sofinummer", "citizen service"]),
    row("ES_NIF", &["DDDDDDDD~L", "DD.DDD.DDD-L"], |id| es_letter(&id[..8], id[8]), Alone, true, &["dni", "nif", "documento nacional"]),
    row("ES_NIF", &["DDDDDDD~L"], |id| es_letter(&id[..7], id[7]), Labelled, true, &["dni", "nif", "documento nacional"]),
    row("ES_NIE", &["LDDDDDDDL", "L~DDDDDDD~L", "LDDDDDDD-L"], is_nie, Alone, true, &["nie", "extranjero"]),
    row("PT_NIF", &["DDD~DDD~DDD"], is_pt_nif, Labelled, true, &["nif", "contribuinte"]),
    row("IT_FISCAL_CODE", &["LLLLLLXXLXXLXXXL"], is_fiscal_code, Alone, true, &["codice fiscale", "cf", "fiscal code"]),
    row("IT_VAT_CODE", &["LLDDDDDDDDDDD"], |id| id.starts_with(b"IT") && luhn(&id[2..]), Labelled, true, &["partita iva", "p.iva", "p. iva", "piva", "vat"]),
    row("IT_VAT_CODE", &["DDDDDDDDDDD", "DDDDDDDD_DDD"], luhn, Labelled, true, &["partita iva", "p.iva", "p. iva", "piva"]),
    row("PL_PESEL", &["DDDDDDDDDDD"], is_pesel, Labelled, true, &["pesel"]),
    row("PL_NIP", &["DDD~DDD~DD~DD", "DDDDDDDDDD"], |d| weighted(d, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == u32::from(d[9] - b'0'), Labelled, true, &["nip"]),
    row("SE_PERSONNUMMER", &["DDDDDD-DDDD", "DDDDDD+DDDD", "DDDDDDDD-DDDD", "DDDDDDDDDD", "DDDDDDDDDDDD"], is_personnummer, Separated, true,
        &["personnummer", "personal identity", "samordningsnummer", "pnr", "swedish id", "swedish personal"]),
    row("FI_PERSONAL_IDENTITY_CODE", &["DDDDDD-DDDX", "DDDDDD+DDDX", "DDDDDDLDDDX"], is_hetu, Alone, true, &["hetu", "henkilötunnus", "henkilotunnus", "personal identity code"]),
    row("DK_CPR", &["DDDDDD-DDDD"], |d| is_day_month(&d[..4]), Labelled, false, &["cpr", "cpr-nummer", "personnummer"]),
    row("NO_FNR", &["DDDDDD~DDDDD"], is_fnr, Labelled, true, &["fødselsnummer", "fodselsnummer", "fnr", "personnummer"]),
    row("RO_CNP", &["DDDDDDDDDDDDD"], is_cnp, Labelled, true, &["cnp", "cod numeric"]),
    row("BG_EGN", &["DDDDDDDDDD"], |d| weighted(d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == u32::from(d[9] - b'0'), Labelled, true, &["egn", "егн"]),
    row("HR_OIB", &["DDDDDDDDDDD"], mod_11_10, Labelled, true, &["oib", "osobni identifikacijski"]),
    row("CZ_RC", &["DDDDDDDDDD"], is_rodne_cislo, Labelled, true, &["rodné číslo", "rodne cislo", "rč", "rodné"]),
    row("CZ_RC", &["DDDDDD/DDDD"], is_rodne_cislo, Alone, true, &["rodné číslo", "rodne cislo", "rč", "rodné"]),
    row("TR_NATIONAL_ID", &["DDDDDDDDDDD"], is_tckn, Labelled, true, &["kimlik", "tckn", "t.c.", "tc kimlik", "tc no", "tc", "turkish id"]),
    row("IN_AADHAAR", &["DDDD~DDDD~DDDD"], |d| d[0] > b'1' && verhoeff(d), Labelled, true, &["aadhaar", "aadhar", "uidai", "uid"]),
    row("IN_PAN", &["LLLLLDDDDL"], |id| b"PCHFATBLJG".contains(&id[3]), Alone, false, &["pan", "pan card", "permanent account"]),
    row("IN_GSTIN", &["DDLLLLLDDDDLXLX"], |id| id[13] == b'Z' && luhn36(id), Alone, true, &["gstin", "gst"]),
    row("SG_NRIC_FIN", &["LDDDDDDDL"], is_nric, Alone, true, &["nric", "fin", "identity card"]),
    row("CN_RESIDENT_ID", &["DDDDDDDDDDDDDDDDDX"], is_cn_id, Alone, true, &["resident id", "id card", "身份证", "identity card"]),
    row("KR_RRN", &["DDDDDD-DDDDDDD", "DDDDDDDDDDDDD"], is_rrn, Separated, false, &["resident registration", "rrn", "주민등록번호", "korean"]),
    row("TH_TNIN", &["D-DDDD-DDDDD-DD-D", "DDDDDDDDDDDDD"], is_thai, Separated, true, &["tnin", "thai", "citizen id", "เลขบัตรประชาชน", "บัตรประชาชน", "เลขประจำตัวประชาชน"]),
    row("HK_HKID", &["LDDDDDD(X)"], is_hkid, Alone, true, &["hkid"]),
    row("TW_ID", &["LDDDDDDDDD"], is_tw_id, Labelled, true, &["taiwan", "身分證", "national id"]),
    row("JP_MY_NUMBER", &["DDDD~DDDD~DDDD"], is_my_number, Labelled, true, &["my number", "mynumber", "マイナンバー", "個人番号"]),
    row("IL_ID", &["DDDDDDDDD"], luhn, Labelled, true, &["teudat zehut", "israeli id", "תעודת זהות"]),
    row("AU_TFN", &["DDD~DDD~DDD"], |d| weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11), Labelled, true, &["tfn", "tax file"]),
    row("AU_ABN", &["DD~DDD~DDD~DDD"], is_abn, Separated, true, &["abn", "business number"]),
    row("AU_ACN", &["DDD~DDD~DDD"], |d| (10 - weighted(d, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == u32::from(d[8] - b'0'), Labelled, true, &["acn", "company number"]),
    row("AU_MEDICARE", &["DDDD~DDDDD~D", "DDDDDDDDDD"], is_au_medicare, Labelled, true, &["medicare"]),
    row("NZ_IRD", &["DDD~DDD~DDD", "DD~DDD~DDD"], is_ird, Labelled, true, &["ird"]),
    row("CA_SIN", &["DDD~DDD~DDD"], |d| d[0] != b'0' && d[0] != b'8' && luhn(d), Labelled, true, &["sin", "social insurance", "nas", "assurance sociale"]),
    row("BR_CPF", &["DDD.DDD.DDD-DD", "DDDDDDDDDDD"], is_cpf, Separated, true, &["cpf", "cadastro"]),
    row("BR_CNPJ", &["XX.XXX.XXX/XXXX-DD", "DDDDDDDDDDDDDD"], is_cnpj, Separated, true, &["cnpj"]),
    row("MX_CURP", &["LLLLDDDDDDLLLLLLXD"], is_curp, Alone, true, &["curp"]),
    row("MX_CLABE", &["DDDDDDDDDDDDDDDDDD"], is_clabe, Labelled, true, &["clabe"]),
    row("AR_CUIT", &["DD-DDDDDDDD-D"], is_cuit, Alone, true, &["cuit", "cuil"]),
    row("AR_CUIT", &["DDDDDDDDDDD"], is_cuit, Labelled, true, &["cuit", "cuil"]),
    row("CL_RUT", &["DD.DDD.DDD-X", "D.DDD.DDD-X", "DDDDDDDD-X"], is_rut, Alone, true, &["rut", "run"]),
    row("CL_RUT", &["DDDDDDDDX", "DDDDDDDX"], is_rut, Labelled, true, &["rut", "run"]),
    row("ZA_ID_NUMBER", &["DDDDDD~DDDD~DDD", "DDDDDDDDDDDDD"], |d| is_month_day(&d[2..6]) && d[10] < b'3' && luhn(d), Labelled, true, &["south african", "sa id", "za id", "id number", "id no", "rsa id", "permanent resident"]),
    row("IMEI", &["DDDDDDDDDDDDDDD", "DD-DDDDDD-DDDDDD-D"], luhn, Labelled, true, &["imei", "handset", "device id"]),
    row("VIN", &["XXXXXXXXXXXXXXXXX"], is_vin, Alone, true, &["vin", "vehicle identification", "chassis"]),
    row("UK_PASSPORT", &["DDDDDDDDD"], |_| true, Labelled, false, &["uk passport", "british passport", "hm passport"]),
    row("US_PASSPORT", &["DDDDDDDDD", "LDDDDDDDD"], |_| true, Labelled, false, &["us passport", "passport", "travel document"]),
    row("US_BANK_NUMBER", &["DDDDDDDD", "DDDDDDDDD", "DDDDDDDDDD", "DDDDDDDDDDD", "DDDDDDDDDDDD", "DDDDDDDDDDDDD", "DDDDDDDDDDDDDD", "DDDDDDDDDDDDDDD", "DDDDDDDDDDDDDDDD", "DDDDDDDDDDDDDDDDD"],
        |_| true, Labelled, false, &["bank account", "account number", "account no", "account #", "acct", "checking account", "savings account"]),
    row("UK_SORT_CODE", &["DD-DD-DD"], |_| true, Labelled, false, &["sort code", "sort-code"]),

    row("ES_CIF", &["LDDDDDDDX", "L-DDDDDDDX", "L-DDDDDDD-X"], is_cif, Labelled, true, &["cif", "nif", "código de identificación"]),
    // Documents, by country. Their numbers have little shape, so that only a label tells.
    row("US_DRIVER_LICENSE", &["LDDDDDDD", "LDDDDDDDD", "DDDDDDDDD", "DDDDDDDD", "DDDDDDD", "LDDDDDD", "LDDDDDDDDD", "LLDDDDDDD", "LDDDDDDDDDDDD", "LDDDDDDDDDDDDDD", "LDDDDDDDDDDD", "LLDDDDDDL", "LLDDDDDD", "LDDD-DDDD-DDDD", "LDDD-DDD-DD-DDD-D"],
        |_| true, Beside, false, &["driver license", "drivers license", "driver's license", "driver licence", "driving license", "dl number", "dl no", "dl#", "license number", "dmv"]),
    row("UK_DRIVING_LICENCE", &["XXXXXDDDDDDXXXLL", "XXXXX DDDDDD XXXLL"], is_uk_licence, Alone, false, &["driving licence", "driving license", "licence", "dvla"]),
    row("UK_PASSPORT", &["LLDDDDDDD"], |_| true, Labelled, false, &["passport", "passports"]),
    row("UK_POSTCODE", &["LD DLL", "LDD DLL", "LLD DLL", "LLDD DLL", "LDL DLL", "LLDL DLL", "LDDLL", "LDDDLL", "LLDDLL", "LLDDDLL", "LDLDLL", "LLDLDLL"], is_postcode, Labelled, false, &["postcode", "post code", "postal code", "address", "lives at", "delivery to"]),
    row("UK_VEHICLE_REGISTRATION", &["LLDD~LLL", "LDDD~LLL", "LDD~LLL", "LLL~DDDL", "LLL~DDL", "LLL~DL"], is_uk_plate, Labelled, false,
        &["registration", "reg", "number plate", "licence plate", "license plate", "numberplate", "vehicle", "vrm", "plate"]),
    row("UK_UTR", &["DDDDD~DDDDD"], is_utr, Labelled, true, &["utr", "unique taxpayer", "tax reference"]),
    row("UK_VAT", &["LLDDDDDDDDD", "LL~DDD~DDDD~DD"], |id| id.starts_with(b"GB") && is_uk_vat(&id[2..]), Labelled, true, &["vat"]),
    row("IE_PPSN", &["DDDDDDDL", "DDDDDDDLL"], is_ppsn, Labelled, true, &["ppsn", "pps number", "pps no", "pps"]),
    row("DE_ID_CARD", &["LXXXXXXXX", "LXXXXXXXXD"], |id| is_german_document(id, b"LMNPRTVWXY"), Labelled, false, &["personalausweis", "personalausweisnummer", "ausweis", "ausweisnummer", "perso", "identity card", "id card"]),
    row("DE_PASSPORT", &["LXXXXXXXX", "LXXXXXXXXD"], |id| is_german_document(id, b"CFGHJK"), Labelled, false, &["reisepass", "passnummer", "pass-nr", "pass nr", "reisepassnummer", "passport"]),
    row("DE_HEALTH_INSURANCE", &["LDDDDDDDDD"], is_kvnr, Labelled, true, &["kvnr", "krankenkasse", "krankenversicherung", "krankenversichertennummer", "versichertennummer", "egk", "egk-nummer"]),
    row("DE_LANR", &["DDDDDDDDD"], is_lanr, Labelled, true, &["lanr", "arztnummer", "lebenslange arztnummer"]),
    row("DE_BSNR", &["DDDDDDDDD"], |_| true, Labelled, false, &["bsnr", "betriebsstättennummer", "betriebsstaettennummer", "betriebsstätte"]),
    row("DE_PLZ", &["DDDDD"], |d| d[..2] != *b"00", Beside, false, &["plz", "postleitzahl"]),
    row("DE_LICENSE_PLATE", &["L-L D", "L-LD", "L-L DD", "L-LDD", "L-L DDD", "L-LDDD", "L-L DDDD", "L-LDDDD", "L-LL D", "L-LLD", "L-LL DD", "L-LLDD", "L-LL DDD", "L-LLDDD", "L-LL DDDD", "L-LLDDDD", "LL-L D", "LL-LD", "LL-L DD", "LL-LDD", "LL-L DDD", "LL-LDDD", "LL-L DDDD", "LL-LDDDD", "LL-LL D", "LL-LLD", "LL-LL DD", "LL-LLDD", "LL-LL DDD", "LL-LLDDD", "LL-LL DDDD", "LL-LLDDDD", "LLL-L D", "LLL-LD", "LLL-L DD", "LLL-LDD", "LLL-L DDD", "LLL-LDDD", "LLL-L DDDD", "LLL-LDDDD", "LLL-LL D", "LLL-LLD", "LLL-LL DD", "LLL-LLDD", "LLL-LL DDD", "LLL-LLDDD"], |_| true, Labelled, false, &["kennzeichen", "kfz", "nummernschild"]),
    row("AT_SVNR", &["DDDD~DDDDDD"], is_svnr, Labelled, true, &["svnr", "sozialversicherungsnummer", "sv-nummer", "vsnr"]),
    row("BE_VAT", &["LLDDDDDDDDDD", "LL DDDD.DDD.DDD"], |id| id.starts_with(b"BE") && 97 - remainder(&id[2..10], 97) == u64::from(two(&id[10..])), Alone, true, &["btw", "tva", "vat"]),
    row("LU_MATRICULE", &["DDDDDDDDDDDDD"], |d| is_month_day(&d[4..]) && luhn(&d[..12]), Labelled, true, &["matricule", "cns"]),
    row("IT_IDENTITY_CARD", &["LLDDDDDLL", "LLDDDDDDD", "LL DDDDDDD", "DDDDDDDLL"], |_| true, Labelled, false, &["carta d'identità", "carta d'identita", "carta di identità", "carta identità", "carta identita", "identity card", "documento"]),
    row("IT_DRIVER_LICENSE", &["LLDDDDDDDL", "LDXXXXXXXL"], |id| id[1].is_ascii_alphabetic() || id.starts_with(b"U1"), Labelled, false, &["patente", "licenza di guida", "driving licence", "license", "driver"]),
    row("IT_PASSPORT", &["LLDDDDDDD"], |_| true, Labelled, false, &["passaporto", "italian passport"]),
    row("ES_PASSPORT", &["LLLDDDDDD", "LLDDDDDD"], |_| true, Labelled, false, &["pasaporte", "spanish passport"]),
    row("FR_PASSPORT", &["DDLLDDDDD"], |_| true, Labelled, false, &["passeport", "passport"]),
    row("FR_VAT", &["LLXXDDDDDDDDD", "LL~XX~DDD~DDD~DDD"], |id| id.starts_with(b"FR") && luhn(&id[4..]), Labelled, true, &["tva", "vat"]),
    row("NL_PASSPORT", &["LLXXXXXXD"], |id| !id.contains(&b'O'), Labelled, false, &["paspoort", "identiteitskaart"]),
    row("PT_CITIZEN_CARD", &["DDDDDDDD~D~LLD"], |_| true, Labelled, false, &["cartão de cidadão", "cartao de cidadao", "citizen card"]),
    row("SE_ORGANISATIONSNUMMER", &["DDDDDD~DDDD"], |d| d[2] >= b'2' && luhn(d), Labelled, true, &["organisationsnummer", "orgnummer", "orgnr", "org nr", "org.nr", "org. nr", "company identity", "företag"]),
    row("IS_KENNITALA", &["DDDDDD~DDDD"], is_kennitala, Labelled, true, &["kennitala", "kt."]),
    row("EE_LT_PERSONAL_CODE", &["DDDDDDDDDDD"], is_baltic, Labelled, true, &["isikukood", "asmens kodas", "personal code"]),
    row("LV_PERSONAL_CODE", &["DDDDDD~DDDDD"], is_latvian, Labelled, true, &["personas kods", "latvian"]),
    row("PL_REGON", &["DDDDDDDDD"], |d| weighted(d, &[8, 9, 2, 3, 4, 5, 6, 7]) % 11 % 10 == n(d[8]), Labelled, true, &["regon"]),
    row("PL_ID_CARD", &["LLLDDDDDD"], is_polish_card, Labelled, true, &["dowód osobisty", "dowod osobisty", "dowodu", "dowód"]),
    row("SI_EMSO", &["DDDDDDDDDDDDD"], is_jmbg, Labelled, true, &["emšo", "emso", "jmbg", "јмбг", "matični broj"]),
    row("HU_TAJ", &["DDD~DDD~DDD"], |d| weighted(d, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == n(d[8]), Labelled, true, &["taj", "taj szám"]),
    row("HU_TAX_ID", &["DDDDDDDDDD"], |d| d[0] == b'8' && weighted(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 == n(d[9]), Labelled, true, &["adóazonosító", "adoazonosito", "adószám"]),
    row("GR_AMKA", &["DDDDDDDDDDD"], |d| is_day_month(d) && luhn(d), Labelled, true, &["amka", "αμκα"]),
    row("GR_AFM", &["DDDDDDDDD"], |d| weighted(d, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == n(d[8]), Labelled, true, &["αφμ", "afm", "tin"]),
    row("RU_INN", &["DDDDDDDDDDDD", "DDDDDDDDDD"], is_inn, Labelled, true, &["инн", "inn"]),
    row("RU_SNILS", &["DDD-DDD-DDD DD", "DDDDDDDDDDD"], is_snils, Labelled, true, &["снилс", "snils"]),
    row("RU_PASSPORT", &["DDDD DDDDDD", "DD DD DDDDDD", "DDDDDDDDDD"], |_| true, Labelled, false, &["паспорт", "паспорта"]),
    row("UA_RNOKPP", &["DDDDDDDDDD"], is_rnokpp, Labelled, true, &["рнокпп", "ідентифікаційний код", "іпн", "rnokpp"]),
    row("UA_PASSPORT", &["DDDDDDDDD", "LLDDDDDD"], |_| true, Labelled, false, &["паспорт", "паспорта"]),
    row("TR_LICENSE_PLATE", &["DD~L~DDDD", "DD~L~DDDDD", "DD~LL~DDD", "DD~LL~DDDD", "DD~LLL~DD", "DD~LLL~DDD", "DD~LLL~DDDD", "DD L DDD", "DD L DD"], |id| (1..=81).contains(&two(id)), Labelled, false, &["plaka", "plakası", "plakali", "plakalı", "license plate", "plate"]),
    row("IN_VOTER", &["LLLDDDDDDD"], |_| true, Labelled, false, &["voter", "epic", "election card"]),
    row("IN_PASSPORT", &["LDDDDDDD", "L~DDDDDDD"], |id| !b"QXZ".contains(&id[0]), Labelled, false, &["passport", "indian passport"]),
    row("IN_VEHICLE_REGISTRATION", &["LL~DD~LL~DDDD", "LL~DD~L~DDDD", "LLDDLLLDDDD"], is_indian_state, Labelled, false, &["vehicle", "registration", "rc", "rto", "plate", "car"]),
    row("IN_IFSC", &["LLLLDXXXXXX"], |id| id[4] == b'0', Labelled, false, &["ifsc"]),
    row("IN_DRIVER_LICENSE", &["LLDD~DDDDDDDDDDD", "LL-DDDDDDDDDDDDD"], is_indian_state, Labelled, false, &["driving licence", "driving license", "dl"]),
    row("PK_CNIC", &["DDDDD-DDDDDDD-D", "DDDDDDDDDDDDD"], |d| matches!(d[0], b'1'..=b'7'), Separated, false, &["cnic", "nicop"]),
    row("LK_NIC", &["DDDDDDDDDL", "DDDDDDDDDDDD"], |id| id.len() == 12 || matches!(id[9], b'V' | b'X'), Labelled, false, &["nic", "national identity"]),
    row("AE_EMIRATES_ID", &["DDD~DDDD~DDDDDDD~D"], |d| d.starts_with(b"784") && luhn(d), Alone, true, &["emirates id", "emirates"]),
    row("SA_NATIONAL_ID", &["DDDDDDDDDD"], |d| matches!(d[0], b'1' | b'2') && luhn(d), Labelled, true, &["iqama", "saudi", "الهوية", "الإقامة"]),
    row("IR_NATIONAL_CODE", &["DDD~DDDDDD~D"], is_iranian, Labelled, true, &["کد ملی", "melli code", "kode melli"]),
    row("EG_NATIONAL_ID", &["DDDDDDDDDDDDDD"], |d| matches!(d[0], b'2' | b'3') && is_month_day(&d[3..]), Labelled, false, &["egyptian", "الرقم القومي", "national id"]),
    row("KZ_IIN", &["DDDDDDDDDDDD"], |d| is_month_day(&d[2..]), Labelled, false, &["иин", "iin", "жсн"]),
    row("SG_UEN", &["DDDDDDDDL", "DDDDDDDDDL", "LDDLLDDDDL"], is_uen, Labelled, true, &["uen", "unique entity"]),
    row("KR_FRN", &["DDDDDD-DDDDDDD"], |d| is_month_day(&d[2..6]) && matches!(d[6], b'5'..=b'8'), Separated, false, &["frn", "foreigner", "foreign registration", "alien registration", "외국인등록번호", "외국인"]),
    row("KR_FRN", &["DDDDDDDDDDDDD"], |d| is_month_day(&d[2..6]) && matches!(d[6], b'5'..=b'8') && is_korean(d, 13), Labelled, true, &["frn", "foreigner", "foreign registration", "alien registration", "외국인등록번호", "외국인"]),
    row("KR_RRN", &["DDDDDDDDDDDDD"], |d| is_rrn(d) && matches!(d[6], b'1'..=b'4') && is_korean(d, 11), Labelled, true, &["rrn", "주민등록번호", "resident registration"]),
    row("KR_BRN", &["DDD-DD-DDDDD", "DDDDDDDDDD"], is_kr_business, Separated, true, &["brn", "business registration", "사업자등록번호", "사업자"]),
    row("KR_PASSPORT", &["LDDDDDDDD", "LDDDLDDDD"], |id| b"MSRODG".contains(&id[0]), Labelled, false, &["여권", "korean passport", "passport"]),
    row("KR_DRIVER_LICENSE", &["DD~DD~DDDDDD~DD"], |d| (11..=28).contains(&two(d)), Separated, false, &["운전면허", "driver license", "driver's license", "license"]),
    row("JP_PASSPORT", &["LLDDDDDDD"], |_| true, Labelled, false, &["パスポート", "旅券"]),
    row("PH_TIN", &["DDD~DDD~DDD", "DDD~DDD~DDD~DDD", "DDD~DDD~DDD~DDDDD"], |_| true, Labelled, false, &["tin", "bir", "tax id", "taxpayer"]),
    row("ID_NIK", &["DDDDDDDDDDDDDDDD"], |d| (11..=94).contains(&two(d)) && is_nik_date(&d[6..]), Labelled, false, &["nik", "ktp", "nomor induk"]),
    row("MY_NRIC", &["DDDDDD-DD-DDDD", "DDDDDDDDDDDD"], |d| is_month_day(&d[2..]), Separated, false, &["mykad", "nric", "kad pengenalan", "no. kp", "ic no"]),
    row("VN_CCCD", &["DDDDDDDDDDDD"], |d| d[0] == b'0', Labelled, false, &["cccd", "căn cước", "can cuoc", "cmnd"]),
    row("NZ_NHI", &["LLLDDDD", "LLLDDLX"], |_| true, Labelled, false, &["nhi"]),
    row("AR_DNI", &["DD.DDD.DDD", "DDDDDDDD"], |_| true, Beside, false, &["dni", "documento nacional"]),
    row("AR_CBU", &["DDDDDDDDDDDDDDDDDDDDDD"], is_cbu, Labelled, true, &["cbu", "cvu"]),
    row("CO_NIT", &["DDD.DDD.DDD-D", "DDDDDDDDD-D", "DDDDDDDDDD"], is_nit, Labelled, true, &["nit"]),
    row("CO_CEDULA", &["D.DDD.DDD.DDD", "DD.DDD.DDD", "DDDDDDDDDD", "DDDDDDDD"], |_| true, Beside, false, &["cédula", "cedula", "c.c."]),
    row("PE_RUC", &["DDDDDDDDDDD"], |d| matches!(&d[..2], b"10" | b"15" | b"17" | b"20") && is_ruc(d), Labelled, true, &["ruc"]),
    row("UY_CI", &["D.DDD.DDD-D"], |d| weighted(d, &[2, 9, 8, 7, 6, 3, 4, 1]).is_multiple_of(10), Separated, true, &["ci", "c.i.", "cédula", "cedula"]),
    row("EC_CI", &["DDDDDDDDDD"], |d| (1..=24).contains(&two(d)) && d[2] <= b'6' && luhn(d), Labelled, true, &["cédula", "cedula", "cédula de identidad"]),
    row("DO_CEDULA", &["DDD-DDDDDDD-D"], luhn, Separated, true, &["cédula", "cedula"]),
    row("MX_RFC", &["LLLLDDDDDDXXX", "LLLDDDDDDXXX"], |id| is_month_day(&id[id.len() - 7..]), Alone, false, &["rfc"]),
    row("VE_RIF", &["L-DDDDDDDD-D"], |id| b"VEJPG".contains(&id[0]), Alone, false, &["rif"]),
    row("NG_NIN", &["DDDDDDDDDDD"], |_| true, Labelled, false, &["nin", "national identification number", "nimc"]),
    row("NG_BVN", &["DDDDDDDDDDD"], |d| d.starts_with(b"22"), Labelled, false, &["bvn"]),
    row("NG_VEHICLE_REGISTRATION", &["LLL~DDDLL"], |_| true, Labelled, false, &["plate", "plates", "plate number", "vehicle", "registration"]),
    row("PASSPORT", &["LDDDDDDD", "LLDDDDDD", "LLDDDDDDD", "LDDDDDDDD", "LLLDDDDDD", "DDDDDDDDD"], |_| true, Labelled, false, &["passport", "passeport", "pasaporte", "passaporto", "passaporte", "reisepass", "paspoort", "paszport", "pasaport"]),
    row("ICCID", &["DDDDDDDDDDDDDDDDDDD", "DDDDDDDDDDDDDDDDDDDD"], |d| d.starts_with(b"89") && (luhn(d) || luhn(&d[..19])), Labelled, true, &["iccid", "sim"]),
    row("IMSI", &["DDDDDDDDDDDDDDD", "DDDDDDDDDDDDDD"], |d| matches!(d[0], b'2'..=b'7'), Labelled, false, &["imsi"]),
    row("SWIFT_BIC", &["LLLLLLXX", "LLLLLLXXXXX", "LLLLLLDD", "LLLLLLDX"], |_| true, Beside, false, &["swift", "bic"]),
    row("MEDICAL_RECORD", &["DDDDDD", "DDDDDDD", "DDDDDDDD", "DDDDDDDDDD"], |_| true, Beside, false, &["mrn", "medical record", "patient id", "patient number", "medical record number"]),
    row("INSURANCE_ID", &["LLLDDDDDDDDD", "LDDDDDDDD", "LLDDDDDDDD", "DDDDDDDDDDD"], |_| true, Beside, false, &["member id", "insurance id", "policy number", "subscriber id"]),
    row("DATE_OF_BIRTH", &["DD/DD/DDDD", "D/D/DDDD", "D/DD/DDDD", "DD/D/DDDD", "DDDD-DD-DD", "DD-DD-DDDD", "DD.DD.DDDD", "D.D.DDDD", "DD.D.DDDD", "D.DD.DDDD", "DD/DD/DD", "DDDD/DD/DD"], is_birthday, Beside, false,
        &["dob", "d.o.b", "date of birth", "birth date", "birthdate", "birthday", "born", "geboren", "geburtsdatum", "né le", "née le", "date de naissance", "fecha de nacimiento", "nacido", "data di nascita", "nato il", "data de nascimento", "geboortedatum", "födelsedatum", "дата рождения", "生年月日", "出生日期"]),
];

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
