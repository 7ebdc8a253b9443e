//! Whether an answer declines to answer.
//!
//! Looked at is the beginning, where refusals stand. What says that the model will not or may not help counts for most;
//! an apology, talk of being a machine, and reference to rules count for something beside it and for little alone:
//! `I'm sorry to hear that` is sympathy, and `I can't find the file` a report. English and ten more languages.

use aho_corasick::{AhoCorasick, MatchKind};

use crate::shingle::{Part, part};

/// The score from which an answer is a refusal.
pub const REFUSAL_SCORE: f32 = 0.6;

/// How much of an answer is looked at, in characters.
const BEGINNING: usize = 400;

/// Phrases, in lower case, without accents, words parted by one space.
pub struct Refusals {
    automaton: AhoCorasick,
    signs: Vec<Sign>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// Declines in so many words.
    Declines,
    /// Says that something cannot be done.
    Unable,
    Apology,
    Machine,
    Rules,
}

impl Sign {
    const ALL: [Sign; 5] = [Sign::Declines, Sign::Unable, Sign::Apology, Sign::Machine, Sign::Rules];

    const fn weight(self) -> f32 {
        match self {
            Sign::Declines => 0.7,
            Sign::Unable => 0.4,
            Sign::Apology | Sign::Machine => 0.2,
            Sign::Rules => 0.25,
        }
    }
}

impl Default for Refusals {
    fn default() -> Refusals {
        Refusals::new()
    }
}

impl Refusals {
    pub fn new() -> Refusals {
        let rows = [
            (DECLINES, Sign::Declines),
            (UNABLE, Sign::Unable),
            (APOLOGY, Sign::Apology),
            (MACHINE, Sign::Machine),
            (RULES, Sign::Rules),
        ];
        let (mut phrases, mut signs) = (Vec::new(), Vec::new());
        for (list, sign) in rows {
            for phrase in list.split(['\n', '|']).map(str::trim).filter(|phrase| !phrase.is_empty()) {
                phrases.push(fold(phrase));
                signs.push(sign);
            }
        }
        let automaton = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&phrases);
        Refusals { automaton: automaton.expect("a few hundred short phrases make a small automaton"), signs }
    }

    /// How much an answer reads like a refusal, from 0 to 1.
    pub fn score(&self, answer: &str) -> f32 {
        let beginning: String = answer.chars().take(BEGINNING).collect();
        let folded = fold(&beginning);
        let mut seen = [false; Sign::ALL.len()];
        for found in self.automaton.find_overlapping_iter(&folded) {
            if let Some(sign) = self.signs.get(found.pattern().as_usize()) {
                seen[*sign as usize] = true;
            }
        }
        // What declines says as well that it is not able to.
        if seen[Sign::Declines as usize] {
            seen[Sign::Unable as usize] = false;
        }
        let sum: f32 = Sign::ALL.iter().filter(|sign| seen[**sign as usize]).map(|sign| sign.weight()).sum();
        sum.min(1.0)
    }

    pub fn is_refusal(&self, answer: &str) -> bool {
        self.score(answer) >= REFUSAL_SCORE
    }
}

/// Letters and single spaces, with one at either end of words; apostrophes go, so that `can't` and `cant` are one.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 2);
    folded.push(' ');
    for c in text.chars() {
        match part(c) {
            Part::Letter(c) | Part::Word(c) => folded.push(c),
            Part::Gap if matches!(c, '\'' | '’' | '‘' | '`') => {}
            Part::Gap if !folded.ends_with(' ') => folded.push(' '),
            Part::Gap | Part::Nothing => {}
        }
    }
    if text.is_ascii() || !folded.ends_with(is_joined) {
        folded.push(' ');
    }
    folded
}

/// Letters of scripts without spaces: a phrase in them may go on.
fn is_joined(c: char) -> bool {
    matches!(part(c), Part::Word(_))
}

const DECLINES: &str = "
    I can't help with | I cannot help with | I can't help you with | I cannot help you with | I can't assist | I cannot assist | I'm not able to assist
    I am not able to assist | I'm unable to assist | I am unable to assist | I'm unable to help | I am unable to help | I'm not able to help | I am not able to help
    I can't provide | I cannot provide | I'm unable to provide | I am unable to provide | I'm not able to provide | I am not able to provide
    I can't fulfill | I cannot fulfill | I can't fulfil | I cannot fulfil | I can't comply | I cannot comply | I'm unable to fulfill | I am unable to fulfill
    I can't do that | I cannot do that | I can't create | I cannot create | I can't generate | I cannot generate | I can't write | I cannot write
    I can't support | I cannot support | I can't engage | I cannot engage | I can't participate | I cannot participate | I can't share | I cannot share
    I can't give you | I cannot give you | I can't discuss | I cannot discuss | I can't answer that | I cannot answer that | I can't offer | I cannot offer
    I won't help | I will not help | I won't provide | I will not provide | I won't assist | I will not assist | I won't do that | I will not do that
    I won't be able to help | I won't be able to assist | I won't be able to provide | I will not be able to | I must decline | I have to decline | I need to decline
    I'm going to decline | I respectfully decline | I must refuse | I have to refuse | I refuse to | not comfortable with | not something I can help
    not something I'm able to | not something I can do | can't help with that | cannot help with that | I'm not allowed to | I am not allowed to
    I can't tell you how | I cannot tell you how | I can't in good conscience | I cannot in good conscience
    kann ich nicht helfen | kann dir nicht helfen | kann Ihnen nicht helfen | dabei nicht helfen | damit nicht helfen | dabei nicht unterstützen | hierbei nicht helfen
    kann ich leider nicht | darf ich nicht | kann diese Anfrage nicht | kann dir dabei nicht | kann Ihnen dabei nicht | kann dazu keine | muss ich ablehnen | kann dir keine | kann Ihnen keine
    je ne peux pas vous aider | je ne peux pas t'aider | je ne peux pas fournir | je ne peux pas répondre à | je ne suis pas en mesure | je ne puis | je ne peux pas vous fournir
    je dois refuser | je ne peux pas créer | je ne peux pas accéder à votre demande | je refuse de | je ne peux pas satisfaire
    no puedo ayudarte | no puedo ayudarle | no puedo ayudar con | no puedo proporcionar | no puedo cumplir | no puedo asistir | no puedo brindar | no puedo ofrecer | no puedo responder a esa
    no puedo darte | debo negarme | tengo que negarme | no me es posible | no estoy en condiciones | no estoy autorizado
    não posso ajudar | não posso fornecer | não posso te ajudar | não consigo ajudar | não posso auxiliar | não posso atender | não posso cumprir | não posso responder a | não estou autorizado | devo recusar
    nao sou capaz de fornecer | não posso oferecer | não posso criar
    non posso aiutarti | non posso aiutarla | non posso aiutare | non posso fornire | non posso fornirti | non posso assisterti | non posso rispondere a | non sono in grado di | non mi è possibile | devo rifiutare
    kan ik niet helpen | kan je niet helpen | kan u niet helpen | niet mee helpen | hiermee niet helpen | daarbij niet helpen | kan ik geen | mag ik niet | kan niet voldoen | kan geen informatie
    nie mogę pomóc | nie mogę w tym pomóc | nie mogę udzielić | nie mogę podać | nie mogę spełnić | nie jestem w stanie | muszę odmówić | nie mogę dostarczyć | nie mogę ci pomóc | nie mogę tego zrobić
    не могу помочь | не могу с этим помочь | не могу предоставить | не могу выполнить | не могу ответить на | не смогу помочь | не буду помогать | вынужден отказать | вынуждена отказать | не имею права | не могу дать | не могу вам помочь
    yardımcı olamam | yardımcı olamıyorum | yardım edemem | sağlayamam | yerine getiremem | bu isteği karşılayamam | reddetmek zorundayım | bilgi veremem
    无法帮助 | 无法协助 | 不能帮助你 | 不能帮助您 | 无法提供 | 不能提供 | 无法回答 | 不能回答 | 无法满足 | 我不能协助 | 拒绝回答 | 无法为您 | 无法为你 | 没办法帮
    お手伝いできません | お手伝いすることはできません | お答えできません | お答えすることはできません | 提供できません | 提供することはできません | 対応できません | お応えできません | 応じられません | お断り | 協力できません
";

const UNABLE: &str = "
    I can't | I cannot | I'm unable to | I am unable to | I'm not able to | I am not able to | I won't | I'm afraid I | unfortunately
    ich kann nicht | kann ich nicht | leider nicht | ich kann keine | leider kann | je ne peux pas | je ne peux | malheureusement | no puedo | lamentablemente | não posso | não consigo | infelizmente
    non posso | purtroppo | ik kan niet | ik kan geen | helaas | nie mogę | niestety | не могу | к сожалению | yapamam | maalesef | ne yazık ki | 我不能 | 我无法 | 很遗憾 | できません | できかねます | 残念ながら
";

const APOLOGY: &str = "
    I'm sorry | I am sorry | sorry but | sorry I | I apologize | I apologise | my apologies | es tut mir leid | tut mir leid | entschuldigung | entschuldige | je suis désolé | désolé | je m'excuse | lo siento | disculpa | lamento
    sinto muito | desculpe | lamento | mi dispiace | mi scuso | spiacente | het spijt me | sorry maar | przykro mi | przepraszam | извините | простите | мне жаль | сожалею | üzgünüm | özür dilerim
    对不起 | 抱歉 | 申し訳 | すみません | ごめんなさい
";

const MACHINE: &str = "
    as an AI | as a language model | as a large language model | I'm an AI | I am an AI | I'm just an AI | als KI | als Sprachmodell | en tant qu'IA | en tant que modèle | como IA | como modelo de lenguaje | como modelo de linguagem
    come IA | come modello | in quanto IA | als AI | als taalmodel | jako AI | jako model językowy | как ИИ | как языковая модель | как искусственный интеллект | bir yapay zeka | 作为一个AI | 作为AI | 作为人工智能 | 作为语言模型 | AIとして | 言語モデルとして
";

const RULES: &str = "
    my guidelines | the guidelines | content policy | content policies | usage policies | against my | illegal | unethical | harmful | dangerous | inappropriate | ethical guidelines | safety guidelines | my programming
    meine Richtlinien | gegen die Richtlinien | illegal | gefährlich | mes directives | illégal | dangereux | mis directrices | ilegal | peligroso | minhas diretrizes | perigoso | le mie linee guida | illegale | pericoloso
    mijn richtlijnen | illegaal | gevaarlijk | moimi zasadami | nielegalne | niebezpieczne | незаконн | опасн | неэтичн | правила | yasa dışı | tehlikeli | 违法 | 非法 | 危险 | 违反 | 違法 | 危険 | ガイドライン
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_in_eleven_languages() {
        let refusals = Refusals::new();
        for answer in [
            "I'm sorry, but I can't help with that.",
            "I’m sorry, but I cannot assist with this request.",
            "Sorry, I can’t do that. It is against my guidelines.",
            "As an AI language model, I am unable to browse or act on illegal requests.",
            "I must decline.",
            "Es tut mir leid, aber dabei kann ich nicht helfen.",
            "Je suis désolé, mais je ne peux pas vous aider.",
            "Lo siento, pero no puedo ayudarte con eso.",
            "Desculpe, mas não posso ajudar com isso.",
            "Mi dispiace, ma non posso aiutarti.",
            "Het spijt me, maar daar kan ik niet mee helpen.",
            "Przykro mi, ale nie mogę w tym pomóc.",
            "Извините, но я не могу помочь с этим.",
            "Üzgünüm, bu konuda yardımcı olamam.",
            "对不起，我无法提供这方面的帮助。",
            "申し訳ありませんが、お手伝いできません。",
        ] {
            assert!(refusals.is_refusal(answer), "{answer}: {}", refusals.score(answer));
        }
    }

    #[test]
    fn answers_with_apologies_and_obstacles_are_no_refusals() {
        let refusals = Refusals::new();
        for answer in [
            "",
            "I'm sorry to hear that your parcel is late. Let me look it up.",
            "I can't find the file `a.txt`; is the path right?",
            "You cannot divide by zero; the limit does not exist.",
            "Here is the plan. The chemical is dangerous, so wear gloves.",
            "Es tut mir leid, das zu hören. Hier ist die Lösung.",
            "No puedo is Spanish for I can't.",
            "对不起 means sorry.",
        ] {
            assert!(!refusals.is_refusal(answer), "{answer}: {}", refusals.score(answer));
        }
        let late = format!("{} I can't help with that.", "Here is the answer. ".repeat(40));
        assert_eq!(refusals.score(&late), 0.0);
    }
}
