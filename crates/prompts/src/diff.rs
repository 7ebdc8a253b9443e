//! Two versions beside each other: what their texts say, as a unified diff.

use similar::{Algorithm, TextDiff};

use crate::Prompt;

/// Unchanged lines around a change.
const CONTEXT_LINES: usize = 3;

/// A unified diff of all that is sent: messages with their roles, model, tools, shape of the answer, parameters, variables.
/// Empty where nothing differs.
pub fn unified(old: &Prompt, new: &Prompt) -> String {
    let (was, is) = (page(old), page(new));
    if was == is {
        return String::new();
    }
    let name = |prompt: &Prompt| format!("{}@{}", prompt.name, prompt.version);
    let diff = TextDiff::configure().algorithm(Algorithm::Myers).diff_lines(&was, &is);
    diff.unified_diff().context_radius(CONTEXT_LINES).header(&name(old), &name(new)).to_string()
}

/// A version as lines that people can compare: messages as they stand, everything else a line each.
fn page(prompt: &Prompt) -> String {
    let mut page = String::new();
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!("engine: {}", prompt.engine.as_str()));
    if let Some(model) = &prompt.model {
        line(format!("model: {model}"));
    }
    line(format!("risk: {}", prompt.risk.as_str()));
    for (name, variable) in &prompt.variables {
        let need = if variable.required { "required" } else { "optional" };
        let max = variable.max_length.map(|max| format!(", at most {max}")).unwrap_or_default();
        let default = variable.default.as_ref().map(|value| format!(", default {value}")).unwrap_or_default();
        line(format!("variable {name}: {need} {}{max}{default}", variable.kind.as_str()));
    }
    for (name, value) in prompt.fields.missing(|_| false) {
        // A tool on one line would be one long line of difference.
        let text =
            if value.is_array() || value.is_object() { format!("{value:#}") } else { value.to_string() };
        line(format!("{name}: {text}"));
    }
    for message in &prompt.messages {
        line(format!("[{}]", message.role));
        line(message.content.trim_end_matches('\n').to_owned());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn a_diff_shows_texts_and_settings() {
        let old = parse(
            "p.yaml",
            "name: p\nversion: 1.0.0\nrequired_vars: [q]\ntemplate: |\n  Be brief.\n  Answer $q.\n",
        )
        .unwrap();
        let new = parse(
            "p.yaml",
            "name: p\nversion: 1.1.0\nrequired_vars: [q]\nparameters: {temperature: 0}\ntemplate: |\n  Be kind.\n  Answer $q.\n",
        )
        .unwrap();
        let wanted = "--- p@1.0.0\n+++ p@1.1.0\n@@ -1,6 +1,7 @@\n engine: string\n risk: normal\n \
                      variable q: required any\n+temperature: 0\n [system]\n-Be brief.\n+Be kind.\n Answer $q.\n";
        assert_eq!(unified(&old, &new), wanted);
        assert_eq!(unified(&old, &old), "");
    }
}
