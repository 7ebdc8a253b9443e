//! Answers as models of other dialects may give them.

use gauntlet_types::{Citation, Dialect, Event, Finish, Seal, Sealed, TokenCount, Usage};
use proptest::prelude::*;

fn any_block() -> impl Strategy<Value = Vec<Event>> {
    let words = || prop::collection::vec("[a-zé\"\\\\ 😀]{1,8}", 1..4);
    let foreign = |on| Seal { by: Dialect::Messages, on, id: None, data: "Eq+/==".into() };
    let seal = move |on| Event::Seal { choice: 0, seal: foreign(on) };
    prop_oneof![
        words().prop_map(|texts| texts.into_iter().map(|text| Event::Text { choice: 0, text }).collect()),
        words().prop_map(|texts| texts.into_iter().map(|text| Event::Refusal { choice: 0, text }).collect()),
        words().prop_map(move |texts| {
            let told = texts.into_iter().map(|text| Event::Reasoning { choice: 0, text });
            told.chain([seal(Sealed::Reasoning)]).collect()
        }),
        Just(vec![seal(Sealed::Redacted)]),
        words().prop_map(|texts| {
            let told: Vec<Event> = texts.into_iter().map(|text| Event::Text { choice: 0, text }).collect();
            let citation =
                Citation { url: Some("https://a.b".into()), title: Some("t".into()), ..Citation::default() };
            told.into_iter().chain([Event::Citation { choice: 0, citation }]).collect()
        }),
        Just(vec![Event::Media { choice: 0, mime: "image/webp".into(), data: "AAAA".into() }]),
        // The index is given later.
        words().prop_map(|texts| {
            let piece = |(at, text): (usize, String)| Event::ToolCall {
                choice: 0,
                index: 0,
                id: (at == 0).then(String::new),
                name: (at == 0).then(|| "f".into()),
                arguments: text,
            };
            texts.into_iter().enumerate().map(piece).collect()
        }),
    ]
}

prop_compose! {
    /// An answer as a model of another dialect may give it.
    pub(super) fn any_answer()(blocks in prop::collection::vec(any_block(), 0..6), length in any::<bool>(), tokens in 0u32..1000)
        -> Vec<Event>
    {
        let mut events = vec![Event::Model("answered".into())];
        let (mut calls, mut chars) = (0, 0);
        for block in blocks {
            let is_call = matches!(block[0], Event::ToolCall { .. });
            for mut event in block {
                match &mut event {
                    Event::ToolCall { index, id, .. } => {
                        *index = calls;
                        if let Some(id) = id {
                            *id = format!("call_{calls}");
                        }
                    }
                    Event::Text { text, .. } => chars += text.chars().count() as u32,
                    Event::Citation { citation, .. } => citation.span = Some((chars.saturating_sub(1), chars)),
                    _ => {}
                }
                events.push(event);
            }
            if is_call {
                let on = Sealed::ToolCall(calls);
                events.push(Event::Seal { choice: 0, seal: Seal { by: Dialect::Gemini, on, id: None, data: "Cs".into() } });
                calls += 1;
            }
        }
        let why = match (calls, length) {
            (0, true) => Finish::Length,
            (0, false) => Finish::Stop,
            _ => Finish::ToolCalls,
        };
        let usage = Usage { input_fresh: TokenCount(tokens), output: TokenCount(7), ..Usage::default() };
        events.extend([Event::Finish { choice: 0, why }, Event::Usage(usage)]);
        events
    }
}
