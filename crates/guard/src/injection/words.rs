//! What a word counts for in a rule, in the languages that attacks are most often written in.

/// A set of meanings; a word may have several.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Meaning(pub(super) u16);

/// What a model was told: instructions, prompt, rules.
pub(super) const ORDERS: u16 = 1;
/// Earlier in the conversation.
pub(super) const EARLIER: u16 = 1 << 1;
/// All of them.
pub(super) const ALL: u16 = 1 << 2;
/// The model's own.
pub(super) const YOUR: u16 = 1 << 3;
/// Hidden, initial, of the system.
pub(super) const INNER: u16 = 1 << 4;
/// Asks to show something.
pub(super) const SHOW: u16 = 1 << 5;
/// Turns the sentence round.
pub(super) const NOT: u16 = 1 << 6;
/// A model or what it says.
pub(super) const MODEL: u16 = 1 << 7;
/// Everything, as a thing of its own.
pub(super) const EVERYTHING: u16 = 1 << 8;
/// What was said or learnt before.
pub(super) const SAID: u16 = 1 << 9;

/// Speaks to the model about its part.
pub(super) const YOU: u16 = 1 << 10;

#[rustfmt::skip]
const WORDS: &[(&str, u16)] = &[
    ("instruction", ORDERS), ("instructions", ORDERS), ("instruct", ORDERS), ("prompt", ORDERS), ("prompts", ORDERS), ("rule", ORDERS), ("rules", ORDERS),
    ("direction", ORDERS), ("directions", ORDERS), ("directive", ORDERS), ("directives", ORDERS), ("guideline", ORDERS), ("guidelines", ORDERS),
    ("command", ORDERS), ("commands", ORDERS), ("orders", ORDERS), ("programming", ORDERS), ("training", ORDERS), ("context", ORDERS),
    ("policy", ORDERS), ("policies", ORDERS), ("restrictions", ORDERS), ("constraints", ORDERS), ("safeguards", ORDERS), ("safety", INNER),
    ("configuration", ORDERS), ("filters", ORDERS), ("conversation", ORDERS), ("messages", ORDERS), ("sentences", ORDERS), ("protocols", ORDERS), ("limitations", ORDERS), ("guidance", ORDERS),
    ("instrucciones", ORDERS), ("instruções", ORDERS), ("istruzioni", ORDERS), ("anweisungen", ORDERS), ("anweisung", ORDERS), ("consignes", ORDERS), ("befehle", ORDERS), ("regeln", ORDERS), ("reglas", ORDERS), ("règles", ORDERS), ("regole", ORDERS), ("ordres", ORDERS), ("órdenes", ORDERS), ("indicaciones", ORDERS),
    ("previous", EARLIER), ("previously", EARLIER), ("prior", EARLIER), ("above", EARLIER), ("earlier", EARLIER), ("preceding", EARLIER),
    ("former", EARLIER), ("foregoing", EARLIER), ("before", EARLIER), ("past", EARLIER), ("existing", EARLIER), ("last", EARLIER),
    ("anteriores", EARLIER), ("anterior", EARLIER), ("previas", EARLIER), ("précédentes", EARLIER), ("précédents", EARLIER), ("vorherigen", EARLIER), ("vorigen", EARLIER), ("bisherigen", EARLIER), ("obigen", EARLIER), ("precedenti", EARLIER), ("antérieures", EARLIER),
    ("original", INNER | EARLIER), ("initial", INNER | EARLIER), ("default", INNER),
    ("all", ALL), ("any", ALL), ("every", ALL), ("other", ALL), ("toutes", ALL), ("tous", ALL), ("todas", ALL), ("todos", ALL), ("alle", ALL), ("tutte", ALL), ("tutti", ALL),
    ("everything", EVERYTHING), ("anything", EVERYTHING), ("alles", EVERYTHING), ("todo", EVERYTHING), ("tout", EVERYTHING), ("tutto", EVERYTHING), ("whatever", EVERYTHING),
    ("said", SAID), ("told", SAID), ("know", SAID), ("instructed", SAID), ("learned", SAID), ("programmed", SAID), ("trained", SAID), ("wrote", SAID), ("gesagt", SAID), ("given", SAID),
    ("your", YOUR), ("you", YOUR | YOU), ("act", YOU), ("acting", YOU), ("these", YOUR), ("those", YOUR), ("its", YOUR), ("own", YOUR), ("my", YOUR), ("tus", YOUR), ("vos", YOUR), ("deine", YOUR), ("ihre", YOUR), ("tu", YOUR), ("suas", YOUR), ("openai", YOUR),
    ("system", INNER), ("hidden", INNER), ("internal", INNER), ("secret", INNER), ("exact", INNER), ("entire", INNER), ("full", INNER), ("complete", INNER), ("starting", INNER), ("developer", INNER), ("confidential", INNER), ("underlying", INNER), ("core", INNER), ("verbatim", INNER), ("pre", INNER), ("security", INNER), ("content", INNER), ("ethical", INNER),
    ("reveal", SHOW), ("show", SHOW), ("print", SHOW), ("output", SHOW), ("repeat", SHOW), ("display", SHOW), ("tell", SHOW), ("give", SHOW), ("leak", SHOW), ("dump", SHOW), ("expose", SHOW), ("share", SHOW), ("disclose", SHOW), ("recite", SHOW), ("reproduce", SHOW), ("list", SHOW), ("return", SHOW), ("echo", SHOW), ("write", SHOW), ("summarize", SHOW), ("translate", SHOW), ("encode", SHOW), ("describe", SHOW), ("provide", SHOW), ("what", SHOW), ("copy", SHOW), ("send", SHOW), ("state", SHOW), ("paste", SHOW), ("extract", SHOW),
    ("not", NOT), ("never", NOT), ("don't", NOT), ("cannot", NOT), ("can't", NOT), ("won't", NOT), ("shouldn't", NOT), ("doesn't", NOT), ("didn't", NOT), ("couldn't", NOT), ("why", NOT),
    ("ai", MODEL), ("model", MODEL), ("mode", MODEL), ("assistant", MODEL), ("chatbot", MODEL), ("bot", MODEL), ("response", MODEL), ("responses", MODEL), ("answer", MODEL), ("answers", MODEL), ("gpt", MODEL), ("chatgpt", MODEL), ("intelligence", MODEL), ("entity", MODEL), ("version", MODEL), ("persona", MODEL), ("output", MODEL | SHOW), ("llm", MODEL), ("character", MODEL), ("bots", MODEL),
];

/// The words sorted, to be searched by halves.
pub(super) struct Words(Vec<(&'static str, u16)>);

impl Words {
    pub(super) fn new() -> Words {
        let mut sorted = WORDS.to_vec();
        sorted.sort_unstable();
        // A word that stands twice means both.
        sorted.dedup_by(|a, b| {
            let is_same = a.0 == b.0;
            if is_same {
                b.1 |= a.1;
            }
            is_same
        });
        Words(sorted)
    }

    pub(super) fn meaning(&self, word: &[u8]) -> Meaning {
        let mut folded = [0u8; 20];
        let Some(folded) = folded.get_mut(..word.len()) else { return Meaning::default() };
        for (to, byte) in folded.iter_mut().zip(word) {
            *to = byte.to_ascii_lowercase();
        }
        let found = self.0.binary_search_by(|(known, _)| known.as_bytes().cmp(folded));
        Meaning(found.ok().and_then(|i| self.0.get(i)).map_or(0, |(_, meaning)| *meaning))
    }
}

impl Meaning {
    pub(super) fn has(self, any: u16) -> bool {
        self.0 & any != 0
    }
}
