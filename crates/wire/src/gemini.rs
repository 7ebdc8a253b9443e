//! The Gemini dialect: generateContent, countTokens and the embeddings beside them.

pub mod answer;
pub mod array;
pub mod ask;
pub mod count;
pub mod embed;
pub mod error;
mod names;
pub mod neutral;
pub mod usage;

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Bytes of base64 in either alphabet, padded or not: Google's servers and clients write now this, now that.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &URL_SAFE,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    LENIENT.decode(text.replace('+', "-").replace('/', "_")).ok()
}

/// Stands where Gemini 3 demands a signature of its own for a call that it did not make: Google's documented word that
/// skips the check (Gemini API, "Thought signatures").
pub(crate) const NO_SIGNATURE: &str = "skip_thought_signature_validator";
