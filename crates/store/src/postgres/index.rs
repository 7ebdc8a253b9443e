//! The index by which calls are found: a `tsvector` a call, filled in the background in the order of arrival, by whichever
//! gateway comes first.
//!
//! A GIN index gives everything that fits, in no order. So each call also bears terms for the stretches of rids that it lies
//! in, and a question asks stretch by stretch: the index then meets those of the stretch with the others and passes over the rest.

use std::collections::HashMap;

use tokio_postgres::types::Type;

use super::{
    database::{Connection, Result},
    values::Columns,
};
use crate::finding::{
    step::Step,
    terms::Wanted,
    text::Phrase,
    walk::{Order, Span},
};

/// Rids of a short and of a long stretch. On disk.
pub(super) const SHORT: i64 = 8 * 1024;
pub(super) const LONG: i64 = 512 * 1024;
/// Short stretches asked for together; beyond that the long one is.
const SHORTS_MAX: i64 = 8;
/// Postgres counts the places of a word up to here.
const PLACE_MAX: usize = 16_383;
/// It keeps 255 places of a word.
const PLACES_MAX: usize = 255;
/// The term of calls that say a word more often.
const MANY: &str = "M";
/// Held to the end of a transaction by whoever adds to the index; nobody waits for it.
const LOCK: &str = "select pg_try_advisory_xact_lock(1196314740, 3)";
/// The same for whoever cuts, and waits.
const WAIT: &str = "select 1 from pg_advisory_xact_lock(1196314740, 3)";

pub(super) fn reached(connection: &Connection) -> Result<i64> {
    let sql = "select coalesce((select rid_last from find_span order by rid_first desc limit 1), 0)";
    number(connection, sql)
}

fn number(connection: &Connection, sql: &str) -> Result<i64> {
    connection.query(sql, &[])?.first().map_or(Ok(0), |row| Columns(row).get(0))
}

/// The calls that follow what is indexed; none where all is.
pub(super) fn read(connection: &Connection, limit: u32) -> Result<Option<Step>> {
    let mut step = Step::new(reached(connection)?, cuts(connection)?);
    // As many blocks as there may be calls wanted: a block holds one at least.
    let blocks = i64::from(limit.max(1));
    let sql = "select rid_first, enc, body from payload where rid_first > $1 order by rid_first limit $2";
    // A block more than is needed costs less than asking for them one by one.
    let rows = connection.query(sql, &[(&step.from, Type::INT8), (&(blocks / 16 + 1), Type::INT8)])?;
    for row in &rows {
        if !step.has_room(limit) {
            break;
        }
        let row = Columns(row);
        step.add(row.get(0)?, row.get(1)?, row.get(2)?);
    }
    Ok((!step.is_empty()).then_some(step))
}

/// Adds a step, unless another gateway was faster, or is at it, or something was cut since it was read.
pub(super) fn write(connection: &Connection, step: &Step) -> Result<()> {
    connection.batch("begin")?;
    let is_ours = connection.query(LOCK, &[])?.first().map_or(Ok(false), |row| Columns(row).get(0))?;
    if !is_ours || reached(connection)? != step.from || cuts(connection)? != step.cuts {
        return connection.batch("rollback");
    }
    let rids: Vec<i64> = step.calls.iter().map(|call| call.rid).collect();
    let vectors: Vec<String> =
        step.calls.iter().map(|call| vector(&call.words, &call.terms, call.rid)).collect();
    connection.execute(
        "insert into find_terms (rid, terms) select c.rid, c.terms::tsvector from unnest($1, $2) as c (rid, terms)",
        &[(&rids, Type::INT8_ARRAY), (&vectors, Type::TEXT_ARRAY)],
    )?;
    for [first, last, from, to] in step.spans() {
        connection.execute(
            "insert into find_span (rid_first, rid_last, ts_min, ts_max) values ($1, $2, $3, $4)",
            &[(&first, Type::INT8), (&last, Type::INT8), (&from, Type::INT8), (&to, Type::INT8)],
        )?;
    }
    connection.batch("commit")
}

/// Takes the words of calls, or all of them, out of the index, within the transaction that cuts them. What was read before
/// this is not written after it.
pub(super) fn cut(connection: &Connection, cleared: &[(i64, Vec<String>)], removed: &[i64]) -> Result<()> {
    if cleared.is_empty() && removed.is_empty() {
        return Ok(());
    }
    connection.query(WAIT, &[])?;
    let sql = "insert into progress as p (job, at) values ('cuts', 1) on conflict (job) do update set at = p.at + 1";
    connection.execute(sql, &[])?;
    let rids: Vec<i64> = cleared.iter().map(|(rid, _)| *rid).collect();
    let vectors: Vec<String> = cleared.iter().map(|(rid, terms)| vector("", terms, *rid)).collect();
    connection.execute(
        "update find_terms f set terms = c.terms::tsvector from unnest($1, $2) as c (rid, terms) where f.rid = c.rid",
        &[(&rids, Type::INT8_ARRAY), (&vectors, Type::TEXT_ARRAY)],
    )?;
    if removed.is_empty() {
        return Ok(());
    }
    connection
        .execute("delete from find_terms where rid = any($1)", &[(&removed.to_vec(), Type::INT8_ARRAY)])?;
    // The last row stays: it says how far the index has come.
    let sql = "delete from find_span where rid_last < (select min(rid) from llm_traces) \
                   and rid_first < (select max(rid_first) from find_span)";
    connection.execute(sql, &[]).map(drop)
}

fn cuts(connection: &Connection) -> Result<i64> {
    number(connection, "select coalesce((select at from progress where job = 'cuts'), 0)")
}

/// The `tsvector` of a call as Postgres reads it. Everything in quotes is letters and digits, whatever was said.
fn vector(words: &str, terms: &[String], rid: i64) -> String {
    let mut out = String::with_capacity(words.len() * 2 + 512);
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for (place, word) in words.split_ascii_whitespace().enumerate().take(PLACE_MAX) {
        out.push_str(&format!("'{word}':{} ", place + 1));
        *counts.entry(word).or_default() += 1;
    }
    if counts.values().any(|count| *count > PLACES_MAX) {
        out.push_str(&format!("'#{MANY}' "));
    }
    for term in terms {
        out.push_str(&format!("'#{term}' "));
    }
    out.push_str(&format!("'#A{}' '#B{}'", rid.div_euclid(SHORT), rid.div_euclid(LONG)));
    out
}

/// Calls of a span that have all that is wanted.
pub(super) fn candidates(
    connection: &Connection,
    wanted: &Wanted,
    span: Span,
    order: Order,
    most: usize,
) -> Result<Vec<(i64, bool)>> {
    let way = match order {
        Order::NewestFirst => "desc",
        Order::OldestFirst => "asc",
    };
    let question = question(wanted, span);
    let is_unsure =
        if wanted.text.has_phrases() { format!("terms @@ '#{MANY}'") } else { "false".to_owned() };
    // `offset 0` keeps the planner from walking the rids instead, in the hope that what is looked for is soon met.
    let sql = format!(
        "select rid, is_unsure from (select rid, {is_unsure} as is_unsure from find_terms where terms @@ $1::tsquery offset 0) as c \
         where rid between $2 and $3 order by rid {way} limit $4"
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let params: [super::database::Param<'_>; 4] =
        [(&question, Type::TEXT), (&span.first, Type::INT8), (&span.last, Type::INT8), (&most, Type::INT8)];
    let rows = connection.query(&sql, &params)?;
    rows.iter().map(|row| Ok((Columns(row).get(0)?, !Columns(row).get::<bool>(1)?))).collect()
}

fn question(wanted: &Wanted, span: Span) -> String {
    let (first, last) = (span.first.div_euclid(SHORT), span.last.div_euclid(SHORT));
    let stretches: Vec<String> = if last - first < SHORTS_MAX {
        (first..=last).map(|stretch| format!("'#A{stretch}'")).collect()
    } else {
        (span.first.div_euclid(LONG)..=span.last.div_euclid(LONG))
            .map(|stretch| format!("'#B{stretch}'"))
            .collect()
    };
    let mut all = vec![format!("({})", stretches.join("|"))];
    for group in &wanted.groups {
        let any: Vec<String> = group.iter().map(|term| format!("'#{term}'")).collect();
        all.push(format!("({})", any.join("|")));
    }
    // Of calls that say a word more often than Postgres keeps places, a phrase is sure of its words alone.
    let maybe = |phrase: &Phrase| match phrase.words.len() {
        1 => said(phrase, "&"),
        _ => format!("({}|('#{MANY}'&{}))", said(phrase, "<->"), said(phrase, "&")),
    };
    all.extend(wanted.text.wanted.iter().map(maybe));
    all.extend(wanted.text.unwanted.iter().map(|phrase| format!("!{}", said(phrase, "<->"))));
    all.join("&")
}

fn said(phrase: &Phrase, joint: &str) -> String {
    let star = if phrase.is_beginning { ":*" } else { "" };
    let words: Vec<String> = phrase.words.iter().map(|word| format!("'{word}'")).collect();
    format!("({}{star})", words.join(joint))
}
