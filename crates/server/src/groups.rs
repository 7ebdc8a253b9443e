//! Sessions and users as lists, put together from the calls that a filter finds.
//!
//! No sums are kept by session or user: they are so many that keeping them would cost each batch more than all others. A page
//! is put together from a stretch of calls, newest first: it has the groups that it meets first, with all of their calls in
//! the stretch. A group stands on one page, that of its newest call.

use std::collections::{BTreeSet, HashMap, HashSet};

use gauntlet_ports::{
    GroupBy, GroupPage, GroupRow, StoreError, TraceCursor, TraceFilter, TraceRow, TraceStore,
};
use gauntlet_types::{Name, NanoUsd};

/// Calls that a page is put together from; some 4 µs each.
const CALLS_MAX: usize = 8_000;
const CALLS_AT_ONCE: u32 = 1_000;
const GROUPS_DEFAULT: usize = 50;
const GROUPS_MAX: usize = 1_000;
/// Sessions of one user that are counted.
const SESSIONS_MAX: usize = 1_000;

/// Groups the newest calls that pass `filter`, whose `limit` counts groups.
pub(crate) fn find(
    store: &dyn TraceStore,
    by: GroupBy,
    filter: &TraceFilter,
) -> Result<GroupPage, StoreError> {
    let limit = match filter.limit {
        0 => GROUPS_DEFAULT,
        limit => (limit as usize).min(GROUPS_MAX),
    };
    let mut asked = TraceFilter { limit: CALLS_AT_ONCE, after: None, ..filter.clone() };
    let mut groups = Groups::default();
    let mut looked = 0;
    let mut page = GroupPage::default();
    // The newest call of a group that had no room: there the next page begins.
    let mut no_room: Option<TraceCursor> = None;
    while looked < CALLS_MAX {
        let found = store.trace_find(&asked)?;
        looked += found.rows.len();
        for row in &found.rows {
            let Some(key) = key_of(by, row) else { continue };
            if !groups.knows(&key) {
                if no_room.is_some() {
                    continue;
                }
                if is_on_an_earlier_page(store, by, filter, &key)? {
                    groups.earlier.insert(key);
                    continue;
                }
                if groups.rows.len() >= limit {
                    no_room = Some(TraceCursor::Seq(row.seq.saturating_add(1)));
                    continue;
                }
            }
            groups.add(key, row);
        }
        page.next = found.next;
        page.looked_back_to =
            found.next.and(found.looked_back_to.or_else(|| found.rows.last().map(|row| row.started)));
        asked.before = found.next;
        // One that ended for its time has used up what a page may take.
        if found.next.is_none() || found.looked_back_to.is_some() {
            break;
        }
    }
    page.next = no_room.or(page.next);
    page.rows = groups.finish();
    Ok(page)
}

/// Tenant and name: sessions of the same name of two tenants are two.
type Key = (Name, Name);

fn key_of(by: GroupBy, row: &TraceRow) -> Option<Key> {
    let name = match by {
        GroupBy::Session => &row.session,
        GroupBy::User => &row.user,
    };
    Some((row.tenant.clone(), name.clone()?))
}

/// Whether a group has a call that is newer than this page.
fn is_on_an_earlier_page(
    store: &dyn TraceStore,
    by: GroupBy,
    filter: &TraceFilter,
    (tenant, name): &Key,
) -> Result<bool, StoreError> {
    let after = match filter.before {
        None => return Ok(false),
        Some(TraceCursor::Seq(seq)) => TraceCursor::Seq(seq.saturating_sub(1)),
        // A page begins before this call, so that one itself is of an earlier page; it is looked for along with those after it.
        Some(call @ TraceCursor::Call(_)) => call,
    };
    let mut asked = TraceFilter {
        tenant: Some(tenant.to_string()),
        before: None,
        after: Some(after),
        limit: 1,
        ..filter.clone()
    };
    match by {
        GroupBy::Session => asked.session = Some(name.to_string()),
        GroupBy::User => asked.user = Some(name.to_string()),
    }
    Ok(!store.trace_find(&asked)?.rows.is_empty())
}

#[derive(Default)]
struct Groups {
    places: HashMap<Key, usize>,
    rows: Vec<(GroupRow, BTreeSet<Name>)>,
    earlier: HashSet<Key>,
}

impl Groups {
    fn knows(&self, key: &Key) -> bool {
        self.places.contains_key(key) || self.earlier.contains(key)
    }

    fn add(&mut self, key: Key, row: &TraceRow) {
        if self.earlier.contains(&key) {
            return;
        }
        let (rows, name) = (&mut self.rows, key.1.clone());
        let place = *self.places.entry(key).or_insert_with(|| {
            rows.push((empty(&name, row), BTreeSet::new()));
            rows.len() - 1
        });
        let (group, sessions) = &mut self.rows[place];
        group.first = group.first.min(row.started);
        group.last = group.last.max(row.started);
        group.calls += 1;
        group.errors += u64::from(row.outcome.is_error());
        group.tokens_in += u64::from(row.tokens_in);
        group.tokens_out += u64::from(row.tokens_out);
        group.cost = group.cost.plus(row.cost);
        if group.user.is_none() {
            group.user = row.user.clone();
        }
        if let Some(session) = row.session.as_ref().filter(|_| sessions.len() < SESSIONS_MAX) {
            sessions.insert(session.clone());
        }
    }

    fn finish(self) -> Vec<GroupRow> {
        let count =
            |(row, sessions): (GroupRow, BTreeSet<Name>)| GroupRow { sessions: sessions.len() as u64, ..row };
        self.rows.into_iter().map(count).collect()
    }
}

fn empty(name: &Name, row: &TraceRow) -> GroupRow {
    GroupRow {
        name: name.clone(),
        tenant: row.tenant.clone(),
        first: row.started,
        last: row.started,
        calls: 0,
        errors: 0,
        tokens_in: 0,
        tokens_out: 0,
        cost: NanoUsd::ZERO,
        user: None,
        sessions: 0,
    }
}

#[cfg(test)]
mod tests {
    use gauntlet_types::{CallId, Outcome, Timestamp, TraceId};

    use super::*;

    fn row(seq: i64, tenant: &str, user: &str, session: Option<&str>) -> TraceRow {
        let json = serde_json::json!({
            "id": CallId(Default::default()), "seq": seq, "trace_id": TraceId(1), "started": Timestamp(seq * 10),
            "tenant": tenant, "user": user, "session": session, "route": "r", "model": "m", "provider": null,
            "environment": "prod", "prompt_name": null, "prompt_version": null,
            "outcome": if seq % 2 == 0 { Outcome::Failed } else { Outcome::Ok }, "error": null, "decision": "allow",
            "cache": "off", "is_streaming": false, "tokens_in": 5, "tokens_out": 2, "usage_estimated": false,
            "cost": 7, "latency_us": 1, "first_token_us": null, "input_preview": "", "output_preview": "",
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn calls_are_put_together_newest_first() {
        let rows = [
            row(9, "acme", "ann", Some("s2")),
            row(8, "acme", "bob", Some("s1")),
            row(7, "acme", "ann", Some("s1")),
            row(6, "globex", "ann", Some("s1")),
            row(5, "acme", "ann", None),
        ];
        let check = |by: GroupBy, expected: &[(&str, &str, u64, u64, u64)]| {
            let mut groups = Groups::default();
            rows.iter()
                .filter_map(|row| Some((key_of(by, row)?, row)))
                .for_each(|(key, row)| groups.add(key, row));
            let found = groups.finish();
            let shown: Vec<_> = found
                .iter()
                .map(|group| (&*group.tenant, &*group.name, group.calls, group.errors, group.sessions))
                .collect();
            assert_eq!(shown, expected, "{by:?}");
            assert!(found.iter().all(|group| group.cost == NanoUsd(7 * group.calls as i64)));
        };
        check(
            GroupBy::User,
            &[("acme", "ann", 3, 0, 2), ("acme", "bob", 1, 1, 1), ("globex", "ann", 1, 1, 1)],
        );
        check(
            GroupBy::Session,
            &[("acme", "s2", 1, 0, 1), ("acme", "s1", 2, 1, 1), ("globex", "s1", 1, 1, 1)],
        );
    }
}
