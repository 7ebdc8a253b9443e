//! What wakes the injection rules: fixed phrases, and words from which a rule looks around.

/// What is done where an anchor stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// The phrase says it all.
    Phrase,
    /// A verb of setting aside; needs orders or earlier talk after it.
    SetAside,
    /// A thing that attackers want shown; needs a request before it.
    Shown,
    /// `unrestricted`, `unfiltered`: needs a model close after it.
    Unbound,
    /// Must be entered or give output; browsers and telephones have one too.
    DeveloperMode,
    /// Upper case only: `DAN` as a name.
    Dan,
    /// A role at the start of a line, as in a transcript, followed by a command.
    Role,
}

pub(super) struct Anchor {
    /// Lower case. A space stands for any white space, dash or underscore.
    pub(super) text: &'static str,
    pub(super) rule: Rule,
    pub(super) label: &'static str,
    pub(super) score: f32,
}

const fn phrase(text: &'static str, label: &'static str, score: f32) -> Anchor {
    Anchor { text, rule: Rule::Phrase, label, score }
}

const fn rule(text: &'static str, rule: Rule, label: &'static str, score: f32) -> Anchor {
    Anchor { text, rule, label, score }
}

const OVERRIDE: &str = "ignore_instructions";
const EXTRACT: &str = "extract_prompt";
const JAILBREAK: &str = "jailbreak_persona";
const UNBOUND: &str = "unrestricted_model";
const TOKEN: &str = "template_token";
const SPOOF: &str = "role_spoof";

#[rustfmt::skip]
pub(super) const ANCHORS: &[Anchor] = &[
    rule("ignore", Rule::SetAside, OVERRIDE, 0.95),
    rule("ignoring", Rule::SetAside, OVERRIDE, 0.9),
    rule("ignora", Rule::SetAside, OVERRIDE, 0.95),
    rule("ignorez", Rule::SetAside, OVERRIDE, 0.95),
    rule("ignoriere", Rule::SetAside, OVERRIDE, 0.95),
    rule("disregard", Rule::SetAside, OVERRIDE, 0.95),
    rule("forget", Rule::SetAside, OVERRIDE, 0.9),
    rule("olvida", Rule::SetAside, OVERRIDE, 0.9),
    rule("oubliez", Rule::SetAside, OVERRIDE, 0.9),
    rule("oublie", Rule::SetAside, OVERRIDE, 0.9),
    rule("vergiss", Rule::SetAside, OVERRIDE, 0.9),
    rule("dimentica", Rule::SetAside, OVERRIDE, 0.9),
    rule("override", Rule::SetAside, OVERRIDE, 0.9),
    rule("overrule", Rule::SetAside, OVERRIDE, 0.9),
    rule("bypass", Rule::SetAside, OVERRIDE, 0.85),
    rule("discard", Rule::SetAside, OVERRIDE, 0.85),
    phrase("new instructions:", OVERRIDE, 0.8),
    phrase("real instructions are", OVERRIDE, 0.8),
    phrase("updated instructions:", OVERRIDE, 0.7),
    phrase("disable safety", OVERRIDE, 0.8),
    phrase("disable all safety", OVERRIDE, 0.8),
    phrase("safety protocols disabled", OVERRIDE, 0.8),
    phrase("admin override", OVERRIDE, 0.8),
    phrase("administrator override", OVERRIDE, 0.8),

    rule("prompt", Rule::Shown, EXTRACT, 0.85),
    rule("prompts", Rule::Shown, EXTRACT, 0.85),
    rule("instructions", Rule::Shown, EXTRACT, 0.8),
    rule("guidelines", Rule::Shown, EXTRACT, 0.7),
    rule("configuration", Rule::Shown, EXTRACT, 0.7),
    rule("directives", Rule::Shown, EXTRACT, 0.7),
    phrase("repeat the words above", EXTRACT, 0.9),
    phrase("repeat everything above", EXTRACT, 0.9),
    phrase("repeat the text above", EXTRACT, 0.9),
    phrase("print everything above", EXTRACT, 0.9),
    phrase("print the text above", EXTRACT, 0.9),
    phrase("output everything above", EXTRACT, 0.9),
    phrase("what were you told before", EXTRACT, 0.8),

    rule("dan", Rule::Dan, JAILBREAK, 0.9),
    phrase("do anything now", JAILBREAK, 0.95),
    phrase("jailbreak mode", JAILBREAK, 0.85),
    phrase("jailbroken", JAILBREAK, 0.8),
    phrase("stay in character", JAILBREAK, 0.55),
    phrase("evil confidant", JAILBREAK, 0.9),
    phrase("always intelligent and machiavellian", JAILBREAK, 0.95),
    phrase("freed from the typical confines", JAILBREAK, 0.95),
    phrase("broken free of the typical confines", JAILBREAK, 0.95),
    phrase("god mode", JAILBREAK, 0.6),
    rule("developer mode", Rule::DeveloperMode, JAILBREAK, 0.85),

    rule("unrestricted", Rule::Unbound, UNBOUND, 0.75),
    rule("unfiltered", Rule::Unbound, UNBOUND, 0.75),
    rule("uncensored", Rule::Unbound, UNBOUND, 0.75),
    rule("amoral", Rule::Unbound, UNBOUND, 0.8),
    phrase("no ethical guidelines", UNBOUND, 0.8),
    phrase("no moral guidelines", UNBOUND, 0.8),
    phrase("no ethical or moral", UNBOUND, 0.8),
    phrase("no restrictions or", UNBOUND, 0.65),
    phrase("has no restrictions", UNBOUND, 0.8),
    phrase("have no restrictions", UNBOUND, 0.8),
    phrase("without any restrictions", UNBOUND, 0.65),
    phrase("free of all restrictions", UNBOUND, 0.85),
    phrase("free from all restrictions", UNBOUND, 0.85),
    phrase("ignores all ethical", UNBOUND, 0.8),
    phrase("never refuses", UNBOUND, 0.7),
    phrase("never say it cannot", UNBOUND, 0.8),
    phrase("never say that you cannot", UNBOUND, 0.8),
    phrase("openai's content polic", UNBOUND, 0.6),
    phrase("openai content polic", UNBOUND, 0.6),

    phrase("<|im_start|>", TOKEN, 0.95),
    phrase("<|im_end|>", TOKEN, 0.9),
    phrase("<|system|>", TOKEN, 0.95),
    phrase("<|user|>", TOKEN, 0.8),
    phrase("<|assistant|>", TOKEN, 0.85),
    phrase("<|endoftext|>", TOKEN, 0.8),
    phrase("<|eot_id|>", TOKEN, 0.9),
    phrase("<|start_header_id|>", TOKEN, 0.95),
    phrase("<|begin_of_text|>", TOKEN, 0.9),
    phrase("<|start|>", TOKEN, 0.8),
    phrase("<start_of_turn>", TOKEN, 0.9),
    phrase("<end_of_turn>", TOKEN, 0.9),
    phrase("<<sys>>", TOKEN, 0.95),
    phrase("<</sys>>", TOKEN, 0.95),
    phrase("[inst]", TOKEN, 0.9),
    phrase("[/inst]", TOKEN, 0.9),
    phrase("[system]", TOKEN, 0.7),
    phrase("</system>", TOKEN, 0.8),
    phrase("<system>", TOKEN, 0.7),
    phrase("<system_prompt>", TOKEN, 0.75),
    phrase("### instruction:", TOKEN, 0.8),
    phrase("### system:", TOKEN, 0.85),
    phrase("##end of", TOKEN, 0.6),
    phrase("[end of document]", TOKEN, 0.7),
    phrase("[end of prompt]", TOKEN, 0.7),

    phrase("<|assistant", TOKEN, 0.85),
    phrase("<|channel|>", TOKEN, 0.9),
    phrase("<|message|>", TOKEN, 0.8),
    phrase("<|end|>", TOKEN, 0.8),
    phrase("<|begin", TOKEN, 0.8),
    phrase("<|end_of", TOKEN, 0.8),
    phrase("[/system]", TOKEN, 0.8),
    phrase("</user>", TOKEN, 0.7),
    phrase("</instructions>", TOKEN, 0.7),
    phrase("### assistant:", TOKEN, 0.8),
    phrase("[system prompt]", TOKEN, 0.7),

    rule("system:", Rule::Role, SPOOF, 0.7),
    rule("assistant:", Rule::Role, SPOOF, 0.6),
    rule("developer:", Rule::Role, SPOOF, 0.7),
    // What a document has no reason to say, unless it speaks to the model that reads it.
    phrase("if you are an ai", SPOOF, 0.8),
    phrase("if you're an ai", SPOOF, 0.8),
    phrase("if you are a language model", SPOOF, 0.8),
    phrase("if you are an llm", SPOOF, 0.8),
    phrase("attention ai", SPOOF, 0.8),
    phrase("note to ai", SPOOF, 0.8),
    phrase("note to the ai", SPOOF, 0.8),
    phrase("message to the ai", SPOOF, 0.8),
    phrase("instructions for the ai", SPOOF, 0.8),
    phrase("instruction for the assistant", SPOOF, 0.8),
    phrase("instructions for the assistant", SPOOF, 0.8),
    phrase("ai assistants reading this", SPOOF, 0.8),
    phrase("ai reading this", SPOOF, 0.8),
    phrase("important message from me", SPOOF, 0.85),
    phrase("before you can solve", SPOOF, 0.8),
    phrase("strictly adhere to the following", SPOOF, 0.7),
    phrase("system override", SPOOF, 0.8),
    phrase("new system prompt", SPOOF, 0.8),
    phrase("end of system prompt", SPOOF, 0.8),
    phrase("end of document", SPOOF, 0.6),
    phrase("without telling the user", SPOOF, 0.8),
    phrase("without informing the user", SPOOF, 0.8),
    phrase("do not mention this to the user", SPOOF, 0.85),
    phrase("do not tell the user", SPOOF, 0.75),
    phrase("don't tell the user", SPOOF, 0.75),
];
