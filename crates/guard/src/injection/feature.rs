//! What the model sees of a text: hashed words, pieces of words and sequences of concepts.
//!
//! Features are counted, not collected, so that the sum over any window is a difference of two prefix sums, and a long
//! text costs what a short one does per byte.

use super::lexicon::{Concept, Lexicon};

/// Hash bits of a feature; the weights are a table of this size.
pub(crate) const BITS: u32 = 18;

/// Takes the features of a text in order.
pub(crate) trait Sink {
    fn feature(&mut self, hash: u32);
    /// Concepts stand together that make an attempt in any language.
    fn together(&mut self, what: Together);
    /// The features of one token are all told.
    fn token(&mut self);
}

/// Concepts close to each other, whatever the language and its order of words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Together {
    /// Setting aside, and what was told before.
    Override,
    /// Showing, and what is inside.
    Extract,
    /// A part to play, or a model, without limits.
    Unbound,
}

const SEED_WORD: u32 = 0x811C_9DC5;
const SEED_PAIR: u32 = 0x5BD1_E995;
const SEED_TRIPLE: u32 = 0x27D4_EB2F;
const SEED_PIECE: u32 = 0x85EB_CA6B;
const SEED_STEM: u32 = 0xC2B2_AE35;
const SEED_CONCEPT: u32 = 0x1656_67B1;

/// How many words apart two concepts may stand and still be read together.
const CONCEPT_REACH: usize = 7;
/// Concepts before, that one is paired with.
const CONCEPTS_BACK: usize = 3;

/// Longer words are no words.
const WORD_MAX: usize = 32;

fn mix(a: u32, b: u32) -> u32 {
    let mut h = a ^ b.wrapping_mul(0x9E37_79B1);
    h ^= h >> 15;
    h = h.wrapping_mul(0x85EB_CA77);
    h ^ (h >> 13)
}

fn place(h: u32) -> u32 {
    h.wrapping_mul(0xC2B2_AE3D) >> (32 - BITS)
}

fn hash(bytes: &[u8], seed: u32) -> u32 {
    bytes.iter().fold(seed, |h, byte| (h ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Classes of bytes: 0 passed over, 1 of a word, 2 a mark of its own, 3 the first byte of a character that is a word,
/// 4 a digit.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let byte = i as u8;
        table[i] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'\'' | b'_' => 1,
            b'0'..=b'9' => 4,
            // Chinese characters and kana, three bytes each.
            0xE3..=0xE9 => 3,
            0x80..=0xFF => 1,
            b'\\' | b'$' | b'@' | b'&' | b'%' | b'+' | b'!' | b'?' | b':' | b'"' | b'`' | b'<' | b'>'
            | b'[' | b']' | b'{' | b'}' | b'|' | b'#' | b'*' | b'=' | b'/' | b'(' | b';' | b'\n' => 2,
            _ => 0,
        };
        i += 1;
    }
    table
};

struct State {
    last: u32,
    before: u32,
    at: usize,
    concepts: [(Concept, usize); CONCEPTS_BACK],
    count: usize,
    halves: usize,
    /// Where each concept stood last, plus one.
    latest: [usize; 32],
}

/// Tells `sink` the features of folded text.
pub(crate) fn extract(folded: &[u8], lexicon: &Lexicon, sink: &mut impl Sink) {
    let mut state = State {
        last: 0,
        before: 0,
        at: 0,
        concepts: [(Concept::Ask, 0); CONCEPTS_BACK],
        count: 0,
        halves: 0,
        latest: [0; 32],
    };
    let mut i = 0;
    while i < folded.len() {
        let start = i;
        match CLASS[usize::from(folded[i])] {
            0 => {
                i += 1;
                continue;
            }
            1 | 4 => {
                while i < folded.len() && matches!(CLASS[usize::from(folded[i])], 1 | 4) {
                    i += 1;
                }
                state.word(&folded[start..i], lexicon, sink);
            }
            2 => {
                // A run of one mark is one mark.
                while i < folded.len() && folded[i] == folded[start] {
                    i += 1;
                }
                state.mark(folded[start], (i - start).min(4) as u32, sink);
            }
            _ => {
                i = (i + 3).min(folded.len());
                let two = &folded[start..(start + 6).min(folded.len())];
                state.character(&folded[start..i], two, lexicon, sink);
            }
        }
        sink.token();
    }
}

impl State {
    fn word(&mut self, word: &[u8], lexicon: &Lexicon, sink: &mut impl Sink) {
        if word.len() > WORD_MAX {
            // A key, a hash or a payload: what it says is for the decoding to find out.
            sink.feature(place(SEED_WORD));
            (self.before, self.last) = (self.last, SEED_WORD);
            return;
        }
        let is_number = word.iter().all(u8::is_ascii_digit);
        // A number is known by its length: its value is never what gives an attempt away.
        let h = if is_number { mix(SEED_WORD, word.len().min(6) as u32) } else { hash(word, SEED_WORD) };
        sink.feature(place(h));
        self.pairs(h, sink);
        if !is_number && word.len() >= 5 {
            sink.feature(place(hash(&word[..5], SEED_STEM)));
            if word.len() >= 7 {
                for piece in word.windows(5).skip(1).take(12) {
                    sink.feature(place(hash(piece, SEED_PIECE)));
                }
            }
        }
        if let Some(concept) = lexicon.concept(word) {
            self.concept(concept, sink);
        }
        self.at += 1;
    }

    fn mark(&mut self, mark: u8, run: u32, sink: &mut impl Sink) {
        let h = mix(SEED_WORD, u32::from(mark) << 8 | run);
        sink.feature(place(h));
        sink.feature(place(mix(SEED_PAIR ^ self.last, h)));
        (self.before, self.last) = (self.last, h);
    }

    fn character(&mut self, one: &[u8], two: &[u8], lexicon: &Lexicon, sink: &mut impl Sink) {
        let h = hash(one, SEED_WORD);
        sink.feature(place(h));
        self.pairs(h, sink);
        if let Some(concept) = lexicon.concept(two) {
            self.concept(concept, sink);
        }
        // Two characters make a word.
        self.halves += 1;
        self.at += self.halves % 2;
    }

    fn pairs(&mut self, h: u32, sink: &mut impl Sink) {
        sink.feature(place(mix(SEED_PAIR ^ self.last, h)));
        sink.feature(place(mix(mix(SEED_TRIPLE ^ self.before, self.last), h)));
        (self.before, self.last) = (self.last, h);
    }

    fn concept(&mut self, concept: Concept, sink: &mut impl Sink) {
        let own = mix(SEED_CONCEPT, concept as u32);
        sink.feature(place(own));
        let mut chain = own;
        for (k, (other, at)) in self.concepts.iter().take(self.count).enumerate() {
            if self.at - at > CONCEPT_REACH {
                break;
            }
            sink.feature(place(mix(SEED_CONCEPT + 1 + *other as u32 * 64, concept as u32)));
            chain = mix(chain, *other as u32);
            if k > 0 {
                sink.feature(place(chain));
            }
        }
        self.latest[concept as usize] = self.at + 1;
        self.together(concept, sink);
        self.concepts.rotate_right(1);
        self.concepts[0] = (concept, self.at);
        self.count = (self.count + 1).min(CONCEPTS_BACK);
    }

    /// Whether a concept stood within reach.
    fn near(&self, concept: Concept) -> bool {
        let latest = self.latest[concept as usize];
        latest > 0 && self.at + 1 - latest <= CONCEPT_REACH
    }

    fn together(&self, concept: Concept, sink: &mut impl Sink) {
        use Concept::{Act, All, Earlier, Free, Inner, Model, Not, Orders, SetAside, Show, Your};
        if self.near(Not) {
            return;
        }
        match concept {
            Orders | SetAside | Earlier
                if self.near(SetAside)
                    && self.near(Orders)
                    && (self.near(Earlier) || self.near(All) && self.near(Your)) =>
            {
                sink.together(Together::Override);
            }
            Orders | Show | Inner if self.near(Show) && self.near(Orders) && self.near(Inner) => {
                sink.together(Together::Extract);
            }
            Free | Model | Act if self.near(Free) && self.near(Model) => sink.together(Together::Unbound),
            _ => {}
        }
    }
}
