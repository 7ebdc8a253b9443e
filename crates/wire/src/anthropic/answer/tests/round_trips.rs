//! What we write is what we read, whatever a model may say.

use std::collections::HashMap;

use bytes::Bytes;
use gauntlet_types::{Citation, ServiceTier, TokenCount};
use proptest::prelude::*;

use super::*;

/// Events in a form in which those of two spellings can be compared.
#[derive(Clone, PartialEq, Debug)]
enum Norm {
    Model(String),
    Text(String, Vec<Citation>),
    Reasoning(String),
    Seal(Seal),
    Call(String, String, Value),
    Finish(Finish),
    Usage(Usage),
}

fn normal(events: &[Event]) -> Vec<Norm> {
    let mut normal: Vec<Norm> = Vec::new();
    let mut arguments: HashMap<u32, (usize, String)> = HashMap::new();
    let (mut usage, mut finish, mut has_refusal) = (None, Finish::Stop, false);
    for event in events {
        match event {
            Event::Model(model) => normal.push(Norm::Model(model.clone())),
            Event::Text { text, .. } | Event::Refusal { text, .. } => {
                has_refusal |= matches!(event, Event::Refusal { .. });
                match normal.last_mut() {
                    Some(Norm::Text(all, _)) => all.push_str(text),
                    _ => normal.push(Norm::Text(text.clone(), Vec::new())),
                }
            }
            Event::Reasoning { text, .. } => match normal.last_mut() {
                Some(Norm::Reasoning(all)) => all.push_str(text),
                _ => normal.push(Norm::Reasoning(text.clone())),
            },
            Event::Seal { seal, .. } => normal.push(Norm::Seal(seal.clone())),
            Event::Citation { citation, .. } => {
                if let Some(Norm::Text(_, citations)) = normal.last_mut() {
                    citations.push(Citation { span: None, ..citation.clone() });
                }
            }
            Event::ToolCall { index, id: Some(id), name, arguments: piece, .. } => {
                arguments.insert(*index, (normal.len(), piece.clone()));
                normal.push(Norm::Call(id.clone(), name.clone().unwrap_or_default(), Value::Null));
            }
            Event::ToolCall { index, arguments: piece, .. } => {
                arguments.get_mut(index).unwrap().1.push_str(piece);
            }
            Event::Finish { why, .. } => finish = *why,
            Event::Usage(counted) => usage = Some(*counted),
            Event::Media { .. } | Event::Error { .. } | Event::Done => {}
        }
    }
    let has_calls = !arguments.is_empty();
    for (at, text) in arguments.into_values() {
        if let Norm::Call(_, _, value) = &mut normal[at] {
            *value = if text.is_empty() { json!({}) } else { serde_json::from_str(&text).unwrap() };
        }
    }
    let word = ending(Some(finish), has_calls, has_refusal);
    normal.push(Norm::Finish(super::finish(word)));
    normal.push(Norm::Usage(usage.unwrap_or_default()));
    normal
}

fn any_seal() -> impl Strategy<Value = Seal> {
    let by = prop_oneof![Just(Dialect::Messages), Just(Dialect::Gemini), Just(Dialect::Responses)];
    let on = prop_oneof![Just(Sealed::Reasoning), Just(Sealed::Redacted)];
    (by, on, prop::option::of("[a-z]{2}_[0-9]{1,3}"), "[A-Za-z0-9+/]{1,20}").prop_map(|(by, on, id, data)| {
        // The dialect's own seals have no ids.
        Seal { by, on, id: id.filter(|_| by != Dialect::Messages), data }
    })
}

/// What a model may say next.
fn any_step() -> impl Strategy<Value = Vec<Event>> {
    let choice = 0;
    prop_oneof![
        prop::collection::vec(".{1,9}", 1..4).prop_map(move |pieces| {
            pieces.into_iter().map(|text| Event::Text { choice, text }).collect()
        }),
        (".{1,9}", "[a-z]{1,5}", "[^\\x00]{1,9}").prop_map(move |(text, url, cited)| {
            let citation =
                Citation { url: Some(url), title: Some("t".into()), cited: Some(cited), span: None };
            vec![Event::Text { choice, text }, Event::Citation { choice, citation }]
        }),
        ".{1,9}".prop_map(move |text| vec![Event::Refusal { choice, text }]),
        prop::collection::vec(".{1,9}", 1..3).prop_map(move |pieces| {
            pieces.into_iter().map(|text| Event::Reasoning { choice, text }).collect()
        }),
        (".{1,9}", any_seal()).prop_map(move |(text, seal)| {
            vec![Event::Reasoning { choice, text }, Event::Seal { choice, seal }]
        }),
        any_seal().prop_map(move |seal| vec![Event::Seal { choice, seal }]),
        ("[a-zA-Z0-9_-]{1,12}", "[a-z]{1,6}", ".{0,9}", any::<bool>(), any::<bool>()).prop_map(
            move |(id, name, value, is_empty, is_sealed)| {
                let arguments = if is_empty { String::new() } else { json!({"k": value}).to_string() };
                let half =
                    arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
                let first = arguments[..half].to_owned();
                let more = Event::ToolCall {
                    choice,
                    index: 0,
                    id: None,
                    name: None,
                    arguments: arguments[half..].into(),
                };
                let mut events = vec![
                    Event::ToolCall { choice, index: 0, id: Some(id), name: Some(name), arguments: first },
                    more,
                ];
                if is_sealed {
                    let seal =
                        Seal { by: Dialect::Gemini, on: Sealed::ToolCall(0), id: None, data: "YQ".into() };
                    events.push(Event::Seal { choice, seal });
                }
                events
            }
        ),
    ]
}

fn any_answer() -> impl Strategy<Value = Vec<Event>> {
    let finish = prop_oneof![
        Just(Finish::Stop),
        Just(Finish::Length),
        Just(Finish::ToolCalls),
        Just(Finish::ContentFilter)
    ];
    let counts = any::<[u16; 6]>();
    (prop::collection::vec(any_step(), 0..8), finish, counts, any::<bool>()).prop_map(
        |(steps, why, counts, is_fast)| {
            let mut events = vec![Event::Model("m".into())];
            // Calls are numbered in their order, and have ids of their own.
            let mut calls = 0;
            for step in steps {
                let is_call = matches!(step[0], Event::ToolCall { .. });
                for mut event in step {
                    match &mut event {
                        Event::ToolCall { index, id, .. } => {
                            *index = calls;
                            if let Some(id) = id {
                                id.push_str(&format!("-{calls}"));
                            }
                        }
                        Event::Seal { seal: Seal { on: Sealed::ToolCall(index), .. }, .. } => *index = calls,
                        _ => {}
                    }
                    events.push(event);
                }
                calls += u32::from(is_call);
            }
            events.push(Event::Finish { choice: 0, why });
            let [input, read, short, hour, output, searches] = counts.map(u32::from);
            events.push(Event::Usage(Usage {
                input_fresh: TokenCount(input),
                cache_read: TokenCount(read),
                cache_write_5m: TokenCount(short),
                cache_write_1h: TokenCount(hour),
                output: TokenCount(output),
                web_searches: searches,
                tier: if is_fast { ServiceTier::Priority } else { ServiceTier::Standard },
                ..Usage::default()
            }));
            events
        },
    )
}

/// What a caller gets where the last characters of every text are held back until it ends, as a guard does.
fn held_back(stream: &[u8], count: usize) -> Vec<u8> {
    let mut flow = Flow::default();
    let mut out = Vec::new();
    let mut held: HashMap<Key, String> = HashMap::new();
    for (frame, chunk) in chunks(&mut flow, stream) {
        let data = frame.data().unwrap();
        let mut edits = Vec::new();
        for text in chunk.texts.iter().filter(|text| text.extent == Extent::Piece) {
            let all = held.entry(text.key).or_default();
            all.push_str(&crate::text::decode(data, text.raw.clone()));
            let kept = all.char_indices().rev().nth(count.saturating_sub(1)).map_or(0, |(at, _)| at);
            let kept = if count == 0 { all.len() } else { kept };
            let rest = all.split_off(kept);
            edits.push(Edit::new(text.raw.clone(), escape(&std::mem::replace(all, rest))));
        }
        let is_over = |key: &Key| {
            let is_ended = |end: &End| match end {
                End::Choice(choice) => *choice == key.choice,
                End::Part { choice, part } => (*choice, *part) == (key.choice, key.part),
            };
            chunk.ends.iter().any(is_ended) || chunk.seals.iter().any(|seal| seal.key == *key)
        };
        let over: Vec<Key> = held.keys().filter(|key| is_over(key)).copied().collect();
        for key in over {
            let rest = held.remove(&key).unwrap();
            if !rest.is_empty() {
                out.extend_from_slice(&flow.piece(key, &rest));
            }
        }
        out.extend_from_slice(&frame.edited(edits));
        flow.sent(&frame, &chunk);
    }
    assert!(held.is_empty(), "{held:?}");
    out
}

proptest! {
    #[test]
    fn what_is_held_back_of_a_text_comes_before_its_end(events in any_answer(), count in 0usize..12) {
        let stream = written(&events);
        prop_assert_eq!(client(&held_back(&stream, count)), client(&stream));
    }

    #[test]
    fn a_stream_that_we_write_reads_as_it_was_meant(events in any_answer()) {
        let stream = written(&events);
        client(&stream);
        prop_assert_eq!(normal(&events_of(&stream)), normal(&events));
    }

    #[test]
    fn a_whole_answer_that_we_write_reads_as_it_was_meant(events in any_answer()) {
        let answer = read_plain(&whole(&head(), &events)).unwrap();
        prop_assert_eq!(normal(&answer.events), normal(&events));
    }

    #[test]
    fn edits_of_texts_leave_a_stream_that_can_be_read(events in any_answer(), words in ".{0,9}") {
        let mut flow = Flow::default();
        let mut edited = Vec::new();
        for (frame, chunk) in chunks(&mut flow, &written(&events)) {
            let edits = chunk.texts.iter().filter(|text| !matches!(text.key.channel, Channel::Arguments(_)));
            let edits = edits.map(|text| Edit::new(text.raw.clone(), escape(&words))).collect();
            edited.extend_from_slice(&frame.edited(edits));
            flow.sent(&frame, &chunk);
        }
        let seen = client(&edited);
        prop_assert_eq!(seen.blocks.len(), client(&written(&events)).blocks.len());
    }

    #[test]
    fn a_stream_can_be_closed_after_any_frame(events in any_answer(), at in any::<prop::sample::Index>()) {
        let frames = frames_of(&written(&events));
        let kept = at.index(frames.len());
        let mut flow = Flow::default();
        let mut out = Vec::new();
        for frame in &frames[..kept] {
            let chunk = flow.read(frame, frame.data().unwrap()).unwrap();
            flow.sent(frame, &chunk);
            out.extend_from_slice(&frame.raw);
        }
        out.extend_from_slice(&flow.close("stopped", Finish::ContentFilter).concat());
        client(&out);
    }

    #[test]
    fn mutated_answers_are_read_or_refused(
        events in any_answer(), at in any::<prop::sample::Index>(), byte in any::<u8>(), drop in 0usize..4
    ) {
        let mutate = |mut body: Vec<u8>| {
            let at = at.index(body.len() - 4);
            body[at] = byte;
            body.drain(at + 1..at + 1 + drop);
            body
        };
        let body = Bytes::from(mutate(whole(&head(), &events).to_vec()));
        if let Ok(answer) = read_plain(&body) {
            let edits = answer.texts.iter().map(|text| text.segment.replaced("x")).collect();
            prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&splice(&body, edits)).is_ok());
        }
        let mut flow = Flow::default();
        for frame in frames_of(&mutate(written(&events))) {
            let Some(data) = frame.data() else { continue };
            if let Ok(chunk) = flow.read(&frame, data) {
                for text in &chunk.texts {
                    prop_assert!(text.raw.end <= data.len() && text.extent != Extent::Repeat);
                }
                prop_assert!(chunk.ends.iter().all(|end| !matches!(end, End::Choice(1..))));
                flow.sent(&frame, &chunk);
            }
        }
        flow.close("x", Finish::Stop);
    }
}
