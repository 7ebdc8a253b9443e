//! The index: what is found by it, beside it and half by it is the same.

use gauntlet_ports::{Arrived, Cut, StoredCall, TraceCursor, TraceFilter, TraceStore};
use gauntlet_types::{CallId, Code, NanoUsd, Outcome, TextsGone, Timestamp};

use super::{
    paging::all,
    sample::{self, START},
};
use crate::finding::{text::TextQuery, words};

fn saying(number: u32, input: &str, output: &str) -> StoredCall {
    let mut call = sample::call(number, i64::from(number));
    call.input = serde_json::json!({"messages": [{"role": "user", "content": input}]}).to_string().into();
    call.output = serde_json::json!({"choices": [{"message": {"role": "assistant", "content": output}}]})
        .to_string()
        .into();
    call
}

fn index_all(store: &dyn TraceStore) {
    for _ in 0..1000 {
        if store.index_step(64).unwrap() == 0 {
            return;
        }
    }
    panic!("the index is finished at some time");
}

/// Texts that are cut are found by their words no more, by whatever else they have they are; and whole calls not at all.
pub(super) fn what_is_cut_is_not_found(store: &dyn TraceStore) {
    let calls: Vec<StoredCall> = (0..200)
        .map(|number| {
            let mut call = saying(number, &format!("where is order n{number}"), "on its way");
            call.record.caller.user = Some("ann".into());
            call
        })
        .collect();
    let (now, later) = calls.split_at(120);
    for batch in now.chunks(20) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    index_all(store);
    for batch in later.chunks(20) {
        store.append(Arrived::calls(batch), &[]).unwrap();
    }
    // Of those that are in the index, and of those that are not yet.
    let cuts: Vec<(CallId, Cut)> = calls
        .iter()
        .enumerate()
        .filter_map(|(at, call)| match at % 5 {
            1 => Some((call.record.id, Cut::Texts(TextsGone::Expired))),
            3 => Some((call.record.id, Cut::Whole)),
            _ => None,
        })
        .collect();
    assert_eq!(store.cut(&cuts).unwrap(), 80);
    for _ in 0..2 {
        let by = |text: Option<&str>| {
            let filter = TraceFilter {
                text: text.map(str::to_owned),
                user: Some("ann".to_owned()),
                ..TraceFilter::default()
            };
            found(store, &filter)
        };
        let left = |kept: &dyn Fn(usize) -> bool| -> Vec<CallId> {
            (0..calls.len()).rev().filter(|at| kept(*at)).map(|at| calls[at].record.id).collect()
        };
        assert_eq!(by(Some("order")), left(&|at| at % 5 != 1 && at % 5 != 3));
        assert_eq!(by(None), left(&|at| at % 5 != 3));
        assert_eq!(by(Some("-order")), left(&|at| at % 5 == 1));
        for (word, count) in [("n6", 0), ("n8", 0), ("n186", 0), ("n188", 0), ("n187", 1)] {
            assert_eq!(by(Some(word)).len(), count, "{word}");
        }
        index_all(store);
    }
}

fn found(store: &dyn TraceStore, filter: &TraceFilter) -> Vec<CallId> {
    all(store, filter).iter().map(|row| row.id).collect()
}

pub(super) fn texts_are_found_by_their_words(store: &dyn TraceStore) {
    let texts = [
        "Where is my ORDER 100%?",
        r#"say "hi" \ and_go"#,
        "first line\nnext line",
        "Émile paid 5€",
        "plain words",
        "東京タワーへ行く",
        "nul\0 and \u{f4fff} inside",
    ];
    let mut calls: Vec<StoredCall> =
        (0..).zip(texts).map(|(number, text)| saying(number, text, &format!("re: {text}"))).collect();
    calls[6].input = serde_json::json!({"messages": [{"role": "user", "content": texts[6]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "find_order", "arguments": "{\"city\":\"Köln\"}"}}]}]})
    .to_string()
    .into();
    store.append(Arrived::calls(&calls), &[]).unwrap();
    let check = |needle: &str, wanted: &[usize]| {
        let filter = TraceFilter { text: Some(needle.to_owned()), ..TraceFilter::default() };
        let mut places: Vec<usize> = found(store, &filter)
            .iter()
            .filter_map(|id| calls.iter().position(|call| call.record.id == *id))
            .collect();
        places.sort_unstable();
        assert_eq!(places, wanted, "{needle:?}");
    };
    for _ in 0..2 {
        check("order", &[0, 6]);
        check("MY Order", &[0]);
        check("100%", &[0]);
        check("10%?", &[]);
        check("\"my order\"", &[0]);
        check("\"order my\"", &[]);
        check("ord*", &[0, 6]);
        check("or*", &[]);
        check("\"find ord\"*", &[6]);
        check("and_go", &[1]);
        check("and-go", &[1]);
        check("line next", &[2]);
        check("line -next", &[]);
        check("re -line -order", &[1, 3, 4, 5]);
        check("-re", &[]);
        check("-order", &[1, 2, 3, 4, 5]);
        check("emile", &[3]);
        check("ÉMILE 5€", &[3]);
        check("koln", &[6]);
        check("city inside", &[6]);
        check("re: plain", &[4]);
        check("京タ", &[5]);
        check("東タ", &[]);
        check("東 行", &[5]);
        check("content", &[]);
        check("role user", &[]);
        check("' \" ) ( : * ^ {words} & | ! <->", &[4]);
        check("'; drop table llm_traces; --", &[]);
        check("terms : plain", &[]);
        check("plain OR", &[]);
        check("NEAR(plain)", &[]);
        check("'", &[0, 1, 2, 3, 4, 5, 6]);
        check("", &[0, 1, 2, 3, 4, 5, 6]);
        index_all(store);
    }
}

pub(super) fn a_long_text_is_found_by_its_near_ends(store: &dyn TraceStore) {
    let long = format!("alpha {} omega", "filler words and more ".repeat(4_000));
    store.append(Arrived::calls(&[saying(1, &long, &long)]), &[]).unwrap();
    let count = |text: &str| {
        found(store, &TraceFilter { text: Some(text.to_owned()), ..TraceFilter::default() }).len()
    };
    for _ in 0..2 {
        // The input by its end, the answer by its beginning.
        assert_eq!((count("omega"), count("alpha"), count("\"and more omega\"")), (1, 1, 1));
        assert_eq!(count("filler -\"and more omega\""), 0, "of a word that stands there thousands of times");
        assert_eq!(count("\"more and omega\""), 0);
        assert_eq!(count("\"omega alpha\""), 1, "the answer's words stand behind the input's");
        index_all(store);
    }
}

pub(super) fn the_index_finishes_and_repeats_change_nothing(store: &dyn TraceStore) {
    assert_eq!(store.index_step(10).unwrap(), 0);
    let calls = sample::spread(150);
    store.append(Arrived::calls(&calls[..100]), &[]).unwrap();
    let first = store.index_step(1).unwrap();
    assert!((1..100).contains(&first), "a step is about as large as was asked: {first}");
    index_all(store);
    store.append(Arrived::calls(&calls), &[]).unwrap();
    index_all(store);
    assert_eq!(store.index_step(10).unwrap(), 0);
    let filter = TraceFilter { tenant: Some("acme".to_owned()), limit: 1000, ..TraceFilter::default() };
    assert_eq!(found(store, &filter).len(), 50, "no call is there twice, none is missing");
}

const SAID: [&str; 12] = [
    "refund",
    "order",
    "late",
    "the",
    "where",
    "réfund",
    "invoice",
    "paid",
    "不良",
    "X-100",
    "confirm",
    "confirmed",
];

/// Appends, steps of the index and questions in any order.
pub(super) fn pages_are_what_a_naive_search_finds(store: &dyn TraceStore, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut calls = sample::spread(160);
    for (number, call) in (0..).zip(&mut calls) {
        let mut say = |count: usize| -> String {
            let words: Vec<&str> = (0..count).map(|_| SAID[rng.usize(..SAID.len())]).collect();
            words.join(" ")
        };
        let (asked, answered) = (say(4), say(3));
        let spoken = saying(number, &asked, &answered);
        (call.input, call.output) = (spoken.input, spoken.output);
        call.record.status = [200, 200, 429, 502][number as usize % 4];
        if number % 9 == 0 {
            call.record.error = Some(Code::BudgetExceeded);
        }
        // Long calls arrive late, and several at the same instant.
        call.record.started =
            Timestamp(START.0 + i64::from(number / 3) * 1_000_000 - rng.i64(0..30) * 500_000);
    }
    let mut arrived = 0;
    while arrived < calls.len() {
        let until = (arrived + rng.usize(1..60)).min(calls.len());
        store.append(Arrived::calls(&calls[arrived..until]), &[]).unwrap();
        arrived = until;
        for _ in 0..rng.usize(..4) {
            store.index_step(rng.u32(1..70)).unwrap();
        }
        for _ in 0..12 {
            let filter = any_filter(&mut rng, &calls);
            let text = TextQuery::parse(filter.text.as_deref().unwrap_or(""));
            let is_after = |seq: i64| match filter.after {
                Some(TraceCursor::Seq(after)) => seq > after,
                _ => true,
            };
            let is_meant = |(seq, call): &(i64, &StoredCall)| {
                is_after(*seq)
                    && filter.fits(&call.record)
                    && (text.is_empty() || text.fits(&words::of_call(call)))
            };
            let mut wanted: Vec<CallId> =
                (1..).zip(&calls[..arrived]).filter(is_meant).map(|(_, call)| call.record.id).collect();
            if filter.after.is_none() {
                wanted.reverse();
            }
            assert_eq!(found(store, &filter), wanted, "seed {seed}, {arrived} calls: {filter:?}");
        }
    }
}

fn any_filter(rng: &mut fastrand::Rng, calls: &[StoredCall]) -> TraceFilter {
    let mut filter = TraceFilter { limit: rng.u32(1..40), ..TraceFilter::default() };
    // Values of one call now and then fit together.
    let one = &calls[rng.usize(..calls.len())].record;
    let own = |name: &str| Some(name.to_owned());
    for _ in 0..rng.usize(..4) {
        match rng.u32(..26) {
            0 => filter.tenant = own(&one.caller.tenant),
            1 => filter.team = one.caller.team.as_deref().and_then(own),
            2 => filter.user = one.caller.user.as_deref().and_then(own),
            3 => filter.session = one.caller.session.as_deref().and_then(own),
            4 => filter.route = own(&one.route),
            5 => filter.model = own(&one.model_asked),
            6 => filter.provider = own("openai"),
            7 => filter.key = one.caller.key.as_deref().and_then(own),
            8 => filter.tag = own("gold"),
            9 => filter.environment = own(one.caller.environment.as_str()),
            10 => filter.outcome = Some(Outcome::ALL[rng.usize(..Outcome::ALL.len())]),
            11 => filter.status = Some(429),
            12 => filter.error = own("budget_exceeded"),
            13 => filter.decision = own("flag"),
            14 => filter.cache = own("exact"),
            15 => filter.prompt_version = own("1.1.0"),
            16 => filter.eval_id = own("nightly"),
            17 => filter.trace_id = Some(one.trace_id),
            18 => filter.since = Some(one.started),
            19 => filter.until = Some(one.started),
            20 => filter.cost_min = Some(one.cost),
            21 => filter.cost_max = Some(NanoUsd(one.cost.0)),
            22 => filter.latency_ms_min = Some(one.latency_us / 1000),
            23 => filter.latency_ms_max = Some(one.latency_us / 1000),
            24 => filter.id = Some(one.id),
            _ => filter.after = Some(TraceCursor::Seq(rng.i64(-3..170))),
        }
    }
    if rng.bool() {
        let typed =
            ["refund", "\"the order\"", "conf*", "-late", "\"late paid\"", "不", "x100", "x-100", "nowhere"];
        let some: Vec<&str> = (0..rng.usize(1..3)).map(|_| typed[rng.usize(..typed.len())]).collect();
        filter.text = Some(some.join(" "));
    }
    filter
}
