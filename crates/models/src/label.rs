//! What the labels of a tagger mean here.

/// The kinds of names that are reported. Whatever else a model tags (numbers, addresses of mail, dates) is found by
/// detectors with checksums, which are right more often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Person,
    Location,
    Organization,
    /// Nationality, religion, political group.
    Nrp,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Person, Kind::Location, Kind::Organization, Kind::Nrp];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Kind::Person => "PERSON",
            Kind::Location => "LOCATION",
            Kind::Organization => "ORGANIZATION",
            Kind::Nrp => "NRP",
        }
    }
}

/// A label of a model, read.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Label {
    pub kind: Option<Kind>,
    /// Begins a name (`B-`, and `S-` or `U-` of a single word); `I-`, `E-`, `L-` and bare labels do not say so.
    pub begins: bool,
    /// What stands behind the prefix: two types may be one kind, as given names and surnames are.
    pub of: String,
}

impl Label {
    pub(crate) fn read(label: &str) -> Label {
        let (prefix, of) = match label.split_once(['-', '_']) {
            Some((prefix, of)) if matches!(prefix, "B" | "I" | "E" | "S" | "L" | "U") => (prefix, of),
            _ => ("", label),
        };
        let of: String =
            of.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
        Label { kind: kind_of(&of), begins: matches!(prefix, "B" | "S" | "U"), of }
    }
}

/// The names that the usual corpora and models give: CoNLL, OntoNotes, WikiNEuRal, ai4privacy and others.
fn kind_of(of: &str) -> Option<Kind> {
    match of {
        "PER" | "PERSON" | "NAME" | "FULLNAME" | "PERSONNAME" | "PRIVATEPERSON" | "GIVENNAME"
        | "FIRSTNAME" | "MIDDLENAME" | "SURNAME" | "LASTNAME" | "PATIENT" | "DOCTOR" | "STAFF" => {
            Some(Kind::Person)
        }
        "LOC" | "LOCATION" | "GPE" | "FAC" | "FACILITY" | "CITY" | "STATE" | "COUNTY" | "COUNTRY"
        | "STREET" | "STREETNAME" | "STREETADDRESS" | "ADDRESS" | "PRIVATEADDRESS" | "SECONDARYADDRESS"
        | "BUILDINGNUMBER" | "BUILDINGNUM" => Some(Kind::Location),
        "ORG" | "ORGANIZATION" | "ORGANISATION" | "COMPANY" | "COMPANYNAME" | "CORPORATION" | "HOSPITAL" => {
            Some(Kind::Organization)
        }
        "NRP" | "NORP" | "NATIONALITY" | "RELIGION" | "POLITICALGROUP" => Some(Kind::Nrp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_the_usual_corpora_are_known() {
        let cases = [
            ("B-PER", Some(Kind::Person), true),
            ("I-LOC", Some(Kind::Location), false),
            ("S-ORG", Some(Kind::Organization), true),
            ("E-NORP", Some(Kind::Nrp), false),
            ("B-GIVEN_NAME", Some(Kind::Person), true),
            ("I-building-number", Some(Kind::Location), false),
            ("PERSON", Some(Kind::Person), false),
            ("O", None, false),
            ("B-EMAIL", None, true),
            ("LABEL_1", None, false),
        ];
        for (label, kind, begins) in cases {
            let read = Label::read(label);
            assert_eq!((read.kind, read.begins), (kind, begins), "{label}");
        }
    }
}
