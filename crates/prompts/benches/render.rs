//! What a render costs a call.

use divan::{Bencher, black_box};
use gauntlet_prompts::{Prompt, parse};
use serde_json::{Map, Value, json};

fn main() {
    divan::main();
}

const DOLLARS: &str = "
name: rag-answer
version: 3.2.0
required_vars: [question, context]
optional_vars: [persona]
template: |
  You are a $persona. Use ONLY the context below to answer the user's question.
  If the context does not contain the answer, say so. Cite passages as [doc-id].

  CONTEXT:
  $context

  QUESTION:
  $question
";

const BRACES: &str = "
name: rag-answer
version: 3.2.0
required_vars: [question, context]
optional_vars: [persona]
template: |
  You are a {{ persona }}. Use ONLY the context below to answer the user's question.
  If the context does not contain the answer, say so. Cite passages as [doc-id].

  CONTEXT:
  {{ context }}

  QUESTION:
  {{ question }}
";

fn setting(text: &str) -> (Prompt, Map<String, Value>) {
    let prompt = parse("bench.yaml", text).expect("the prompts of this bench are well formed");
    let values =
        json!({"question": "Where is my parcel?", "context": "passage ".repeat(500), "persona": "clerk"});
    (prompt, values.as_object().cloned().unwrap_or_default())
}

fn render(bencher: Bencher, text: &str) {
    let (prompt, values) = setting(text);
    bencher.bench(|| prompt.render(black_box(&values)));
}

#[divan::bench]
fn string(bencher: Bencher) {
    render(bencher, DOLLARS);
}

#[divan::bench]
fn jinja(bencher: Bencher) {
    render(bencher, BRACES);
}
