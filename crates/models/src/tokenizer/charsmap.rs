//! The table by which SentencePiece rewrites characters: a double array of prefixes, and the texts put in their place.
//!
//! The layout is that of SentencePiece's `Normalizer` (a length, Darts' units, texts that end with NUL). Every place in the
//! table is checked before it is read, as the table is somebody's file.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use super::{Fault, Glyph};

/// Longer clusters are asked for character by character, as the reference does.
const CLUSTER_BYTES_MAX: usize = 5;

pub(super) struct Charsmap {
    units: Vec<u32>,
    texts: Vec<u8>,
}

impl Charsmap {
    pub(super) fn read(value: &Value) -> Result<Charsmap, Fault> {
        let broken =
            || Fault::Broken("the table of characters (`precompiled_charsmap`) is cut or damaged".to_owned());
        let text = value.as_str().ok_or_else(broken)?;
        let bytes = STANDARD.decode(text).map_err(|_| broken())?;
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(broken)?;
        let length = u32::from_le_bytes(*length) as usize;
        if !length.is_multiple_of(4) || length > rest.len() {
            return Err(broken());
        }
        let (units, texts) = rest.split_at(length);
        let units =
            units.chunks_exact(4).map(|unit| u32::from_le_bytes([unit[0], unit[1], unit[2], unit[3]]));
        Ok(Charsmap { units: units.collect(), texts: texts.to_vec() })
    }

    pub(super) fn apply(&self, glyphs: &[Glyph]) -> Vec<Glyph> {
        let text: String = glyphs.iter().map(|glyph| glyph.c).collect();
        let mut out = Vec::with_capacity(glyphs.len());
        let mut rest = glyphs;
        for cluster in text.graphemes(true) {
            let (here, after) = rest.split_at(cluster.chars().count());
            rest = after;
            if cluster.len() <= CLUSTER_BYTES_MAX
                && let Some(text) = self.find(cluster)
            {
                let (start, end) = (here[0].start, here[here.len() - 1].end);
                out.extend(text.chars().map(|c| Glyph { c, start, end }));
                continue;
            }
            for glyph in here {
                match self.find(glyph.c.encode_utf8(&mut [0; 4])) {
                    Some(text) => out.extend(text.chars().map(|c| Glyph { c, ..*glyph })),
                    None => out.push(*glyph),
                }
            }
        }
        out
    }

    /// What stands in the place of the shortest beginning of `key` that the table knows.
    fn find(&self, key: &str) -> Option<&str> {
        let unit = |at: usize| self.units.get(at).copied();
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut at = offset(unit(0)?);
        for byte in key.bytes() {
            at ^= usize::from(byte);
            let found = unit(at)?;
            if byte == 0 || found & (1 << 31 | 0xFF) != u32::from(byte) {
                return None;
            }
            at ^= offset(found);
            let has_leaf = found >> 8 & 1 == 1;
            if has_leaf {
                let start = (unit(at)? & !(1 << 31)) as usize;
                let text = self.texts.get(start..)?;
                let length = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                return std::str::from_utf8(&text[..length]).ok();
            }
        }
        None
    }
}
