//! Seals of one provider carried through the dialect of another, and recognised when they come back.
//!
//! A caller that speaks Messages and is answered by Gemini gets a thinking block whose `signature` is Gemini's, with a
//! mark of ours before it. When it sends the block back, the mark says whose it is: Gemini gets its own bytes again, and
//! nobody else ever sees them, since every provider refuses a request with a signature that it did not make.

use gauntlet_types::{Dialect, Seal, Sealed};
use memchr::memmem;

/// Begins every seal that is carried through a foreign dialect.
const MARK: &str = "gauntlet-seal.";

/// Stands where a seal was whose text a guard has changed: its maker would refuse it, so it goes no further than us.
pub const VOID: &str = "gauntlet-seal.void";

/// Whether a body has a seal of a foreign provider, or a void one, anywhere: cheap, since hardly any has.
pub fn is_in(body: &[u8]) -> bool {
    memmem::find(body, MARK.as_bytes()).is_some()
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
    format!("{MARK}{}.{on}.{id}.{}", seal.by.as_str(), seal.data)
}

/// Reads the field of a request in `dialect`: whose seal it is, and what it was on (`on` where it is the dialect's own).
pub fn read(data: &str, dialect: Dialect, on: Sealed) -> Seal {
    let own = || Seal { by: dialect, on, id: None, data: data.to_owned() };
    let Some(rest) = data.strip_prefix(MARK) else { return own() };
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
    fn an_own_seal_is_left_alone_whatever_it_says() {
        for data in ["EqQB", "gauntlet-seal.", "gauntlet-seal.nobody.r..x"] {
            let read = read(data, Dialect::Messages, Sealed::Reasoning);
            assert_eq!((read.by, read.data.as_str()), (Dialect::Messages, data));
        }
    }
}
