//! Sessions and users as lists, put together from the calls that a filter finds.
//!
//! No sums are kept by session or user: they are so many that keeping them would cost each batch more than all others. A page
//! is a stretch of calls, newest first, and each group's figures are those of its calls there; what went on before stands on
//! the next page.

use std::collections::{BTreeSet, HashMap};

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
    while looked < CALLS_MAX {
        let found = store.trace_find(&asked)?;
        looked += found.rows.len();
        for row in &found.rows {
            if !groups.add(by, row, limit) {
                // The first call of a group that has no room any more is where the next page begins.
                page.next = Some(TraceCursor::Seq(row.seq.saturating_add(1)));
                page.looked_back_to = Some(row.started);
                page.rows = groups.finish();
                return Ok(page);
            }
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
    page.rows = groups.finish();
    Ok(page)
}

#[derive(Default)]
struct Groups {
    places: HashMap<(Name, Name), usize>,
    rows: Vec<(GroupRow, BTreeSet<Name>)>,
}

impl Groups {
    /// False for a group that has no room.
    fn add(&mut self, by: GroupBy, row: &TraceRow, limit: usize) -> bool {
        let name = match by {
            GroupBy::Session => &row.session,
            GroupBy::User => &row.user,
        };
        let Some(name) = name else { return true };
        let key = (row.tenant.clone(), name.clone());
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.rows.len() >= limit => return false,
            None => {
                self.places.insert(key, self.rows.len());
                self.rows.push((empty(name, row), BTreeSet::new()));
                self.rows.len() - 1
            }
        };
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
        true
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
            assert!(rows.iter().all(|row| groups.add(by, row, 10)));
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

    #[test]
    fn a_group_without_room_begins_the_next_page() {
        let mut groups = Groups::default();
        assert!(groups.add(GroupBy::User, &row(9, "acme", "ann", None), 1));
        assert!(!groups.add(GroupBy::User, &row(8, "acme", "bob", None), 1));
        assert!(groups.add(GroupBy::User, &row(7, "acme", "ann", None), 1));
        let ann = &groups.finish()[0];
        assert_eq!((ann.calls, ann.first, ann.last), (2, Timestamp(70), Timestamp(90)));
    }
}
