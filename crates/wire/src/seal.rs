//! Seals of one provider carried through the dialect of another, and recognised when they come back.
//!
//! A caller that speaks Messages and is answered by Gemini gets a thinking block whose `signature` is Gemini's, with a
//! mark of ours before it. When it sends the block back, the mark says whose it is: Gemini gets its own bytes again, and
//! nobody else ever sees them, since every provider refuses a request with a signature that it did not make.

use base64::{Engine, engine::general_purpose::STANDARD};
use gauntlet_types::{Dialect, Seal, Sealed};
use memchr::memmem;

use crate::gemini::base64 as gemini_bytes;

/// Begins every seal that is carried through a foreign dialect.
const MARK: &str = "gauntlet-seal.";

/// How `MARK` begins in base64, whatever follows: Gemini's field holds bytes, and Google's clients refuse what is not
/// base64.
const MARK_BASE64: &str = "Z2F1bnRsZXQtc2Vh";

/// `VOID` as Gemini's field holds it.
const VOID_BASE64: &str = "Z2F1bnRsZXQtc2VhbC52b2lk";

/// Stands where a seal was whose text a guard has changed: its maker would refuse it, so it goes no further than us.
pub const VOID: &str = "gauntlet-seal.void";

/// `VOID` in a form that the clients of a dialect take.
pub const fn void(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Gemini => VOID_BASE64,
        Dialect::Chat | Dialect::Completions | Dialect::Responses | Dialect::Messages | Dialect::Converse => {
            VOID
        }
    }
}

pub fn is_void(data: &str) -> bool {
    data == VOID || data == VOID_BASE64
}

/// Whether a body has a seal of a foreign provider, or a void one, anywhere: cheap, since hardly any has.
pub fn is_in(body: &[u8]) -> bool {
    [MARK, MARK_BASE64].iter().any(|mark| memmem::find(body, mark.as_bytes()).is_some())
}

/// Whether a field holds a seal of a foreign provider, or a void one.
pub(crate) fn is_marked(data: &str) -> bool {
    data.starts_with(MARK)
}

/// A seal's data as a field of `dialect` holds it: plain where it is that dialect's own, marked where it is not.
pub fn write(seal: &Seal, dialect: Dialect) -> String {
    if seal.by == dialect {
        return seal.data.clone();
    }
    let on = match seal.on {
        Sealed::Reasoning => "r",
        Sealed::Redacted => "x",
        Sealed::ToolCall(_) => "c",
        Sealed::Text => "t",
    };
    let id = seal.id.as_deref().unwrap_or("");
    // Base64 and ids have no full stops, so that the parts can be told apart.
    let marked = format!("{MARK}{}.{on}.{id}.{}", seal.by.as_str(), seal.data);
    if dialect == Dialect::Gemini { STANDARD.encode(marked) } else { marked }
}

/// Reads the field of a request in `dialect`: whose seal it is, and what it was on (`on` where it is the dialect's own).
pub fn read(data: &str, dialect: Dialect, on: Sealed) -> Seal {
    let own = || Seal { by: dialect, on, id: None, data: data.to_owned() };
    let bytes = (dialect == Dialect::Gemini && data.starts_with(MARK_BASE64)).then(|| gemini_bytes(data));
    let unpacked = bytes.flatten().and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(rest) = unpacked.as_deref().unwrap_or(data).strip_prefix(MARK) else { return own() };
    let mut parts = rest.splitn(4, '.');
    let (Some(by), Some(kind), Some(id), Some(inner)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return own();
    };
    let Some(by) = Dialect::ALL.into_iter().find(|known| known.as_str() == by) else { return own() };
    let on = match kind {
        "r" => Sealed::Reasoning,
        "x" => Sealed::Redacted,
        "t" => Sealed::Text,
        _ => Sealed::ToolCall(0),
    };
    Seal { by, on, id: (!id.is_empty()).then(|| id.to_owned()), data: inner.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_seal_comes_back_as_it_was() {
        let seal =
            Seal { by: Dialect::Gemini, on: Sealed::Reasoning, id: Some("rs_1".into()), data: "a+/=".into() };
        let carried = write(&seal, Dialect::Messages);
        assert!(is_in(carried.as_bytes()));
        assert_eq!(read(&carried, Dialect::Messages, Sealed::Text), seal);
        assert_eq!(write(&seal, Dialect::Gemini), "a+/=");
    }

    #[test]
    fn a_foreign_seal_in_geminis_field_is_base64_in_either_alphabet() {
        let seal = Seal { by: Dialect::Messages, on: Sealed::Redacted, id: None, data: "Eq?>~~ü".into() };
        let carried = write(&seal, Dialect::Gemini);
        assert!(is_in(carried.as_bytes()) && STANDARD.decode(&carried).is_ok());
        let respelt = carried.replace('+', "-").replace('/', "_");
        for data in [carried.as_str(), &respelt, carried.trim_end_matches('=')] {
            assert_eq!(read(data, Dialect::Gemini, Sealed::Text), seal);
        }
        assert!(Dialect::ALL.into_iter().all(|dialect| is_void(void(dialect))));
        assert_eq!(STANDARD.decode(void(Dialect::Gemini)).unwrap(), VOID.as_bytes());
    }

    #[test]
    fn an_own_seal_is_left_alone_whatever_it_says() {
        for data in ["EqQB", "gauntlet-seal.", "gauntlet-seal.nobody.r..x"] {
            let read = read(data, Dialect::Messages, Sealed::Reasoning);
            assert_eq!((read.by, read.data.as_str()), (Dialect::Messages, data));
        }
    }
}
