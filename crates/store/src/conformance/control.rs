//! Keys, kill switches, prompts, labels, settings.

use gauntlet_ports::{
    Approval, ControlError, ControlStore, Event, EventFilter, EventKind, Kill, KillKind, LabelMove, MoveKind,
    Owned, Severity, StoredKey, StoredPrompt,
};
use gauntlet_types::{Environment, Name};

use super::sample::START;

fn key(name: &str) -> StoredKey {
    StoredKey {
        name: name.into(),
        hash: format!("hash of {name}"),
        hint: "9f3a".to_owned(),
        tenant: "acme".into(),
        team: Some("red".into()),
        user: None,
        environment: Some(Environment::Staging),
        routes: vec!["support_bot".into(), "a \"b\" 東".into()],
        models: Vec::new(),
        created: START,
        expires: Some(START.plus(std::time::Duration::from_secs(60))),
        revoked: None,
    }
}

fn shown<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a JSON form")
}

pub(super) fn keys_are_unique_and_stay_when_revoked(store: &dyn ControlStore) {
    assert!(store.key_list().unwrap().is_empty());
    let plain = StoredKey { team: None, environment: None, routes: Vec::new(), expires: None, ..key("b") };
    store.key_insert(&plain).unwrap();
    store.key_insert(&key("a")).unwrap();
    assert_eq!(shown(&store.key_list().unwrap()), shown(&[key("a"), plain]), "by name, as they were added");
    assert!(matches!(store.key_insert(&key("a")), Err(ControlError::KeyExists(name)) if name == "a"));
    store.key_revoke("a", START).unwrap();
    store.key_revoke("a", START.plus(std::time::Duration::from_secs(9))).unwrap();
    assert_eq!(store.key_list().unwrap()[0].revoked, Some(START), "the first revocation stands");
    assert!(
        matches!(store.key_insert(&key("a")), Err(ControlError::KeyExists(_))),
        "a revoked name stays taken"
    );
    assert!(
        matches!(store.key_revoke("no'pe", START), Err(ControlError::UnknownKey(name)) if name == "no'pe")
    );
}

pub(super) fn kill_switches_are_thrown_and_undone(store: &dyn ControlStore) {
    let kill =
        |kind, reason: &str| Kill { kind, name: "x/y".into(), reason: reason.to_owned(), since: START };
    store.kill_set(&kill(KillKind::Model, "it lies")).unwrap();
    store.kill_set(&kill(KillKind::Route, "loops")).unwrap();
    store.kill_set(&kill(KillKind::Model, "it lies again")).unwrap();
    let mut found = store.kill_list().unwrap();
    found.sort_by_key(|kill| kill.kind);
    assert_eq!(found, [kill(KillKind::Route, "loops"), kill(KillKind::Model, "it lies again")]);
    assert!(store.kill_undo(KillKind::Model, "x/y").unwrap());
    assert!(!store.kill_undo(KillKind::Model, "x/y").unwrap());
    assert!(!store.kill_undo(KillKind::Tenant, "x/y").unwrap());
    assert_eq!(store.kill_list().unwrap(), [kill(KillKind::Route, "loops")]);
}

fn prompt(version: &str, source: &str) -> StoredPrompt {
    StoredPrompt {
        name: "support-agent".into(),
        version: version.into(),
        hash: format!("hash of {source}").into(),
        source: source.to_owned(),
        created: START,
        author: None,
        app_sha: None,
        about: None,
    }
}

fn moved(label: &str, from: Option<&str>, to: &str) -> LabelMove {
    LabelMove {
        seq: 0,
        name: "support-agent".into(),
        label: label.into(),
        from: from.map(Name::from),
        to: to.into(),
        kind: MoveKind::Promote,
        by: "ann".into(),
        why: None,
        at: START,
    }
}

pub(super) fn a_prompt_version_never_changes(store: &dyn ControlStore) {
    store.prompt_put(&prompt("1.0.0", "be kind")).unwrap();
    store.prompt_put(&prompt("1.0.0", "be kind")).unwrap();
    let later =
        StoredPrompt { created: START.plus(std::time::Duration::from_secs(5)), ..prompt("1.0.0", "be kind") };
    store.prompt_put(&later).unwrap();
    match store.prompt_put(&prompt("1.0.0", "be rude")) {
        Err(ControlError::PromptChanged { known, now, .. }) => {
            assert_eq!((&*known, &*now), ("hash of be kind", "hash of be rude"));
        }
        other => panic!("another content under a known version is refused, not {other:?}"),
    }
    store.prompt_put(&prompt("1.1.0", "be rude")).unwrap();
    assert_eq!(store.prompt_list().unwrap(), [prompt("1.0.0", "be kind"), prompt("1.1.0", "be rude")]);
}

pub(super) fn prompts_are_kept_all_or_none(store: &dyn ControlStore) {
    store.prompt_put(&prompt("1.0.0", "be kind")).unwrap();
    let refused = store.prompt_put_all(
        &[prompt("1.1.0", "be brief"), prompt("1.0.0", "be rude"), prompt("1.2.0", "be gone")],
        Some(1),
    );
    assert!(matches!(refused, Err(ControlError::PromptChanged { .. })), "{refused:?}");
    assert_eq!(store.prompt_list().unwrap(), [prompt("1.0.0", "be kind")], "nor those before the bad one");
    let both = [prompt("1.1.0", "be brief"), prompt("1.0.0", "be kind")];
    let late = store.prompt_put_all(&both, Some(0));
    assert!(matches!(late, Err(ControlError::PromptsCame)), "another came since it was judged: {late:?}");
    assert_eq!(store.prompt_list().unwrap().len(), 1);
    assert_eq!(store.prompt_put_all(&both, Some(1)).unwrap(), 1);
    assert_eq!(store.prompt_put_all(&both, Some(2)).unwrap(), 0, "all are known");
    assert_eq!(store.prompt_put_all(&[], None).unwrap(), 0);
    assert_eq!(store.prompt_list().unwrap().len(), 2);
}

pub(super) fn labels_point_at_known_versions(store: &dyn ControlStore) {
    let unknown = store.label_set(&moved("production", None, "1.0.0"));
    assert!(matches!(unknown, Err(ControlError::UnknownPrompt { .. })));
    assert!(store.label_list().unwrap().is_empty());
    store.prompt_put(&prompt("1.0.0", "one")).unwrap();
    store.prompt_put(&prompt("2.0.0", "two")).unwrap();
    let set = |moved: &LabelMove| store.label_set(moved).unwrap();
    assert!(set(&moved("production", None, "1.0.0")));
    assert!(set(&moved("staging", None, "2.0.0")));
    assert!(set(&moved("production", Some("1.0.0"), "2.0.0")));
    assert!(!set(&moved("production", Some("1.0.0"), "2.0.0")), "it points there already");
    match store.label_set(&moved("production", None, "1.0.0")) {
        Err(ControlError::LabelMoved { now, .. }) => assert_eq!(now, "2.0.0"),
        other => panic!("whoever thinks that it points elsewhere is refused, not {other:?}"),
    }
    let back = LabelMove {
        kind: MoveKind::Rollback,
        why: Some("it's \"wrong\" 東".to_owned()),
        ..moved("production", Some("2.0.0"), "1.0.0")
    };
    assert!(set(&back));
    let labels = store.label_list().unwrap();
    let row = |label: &str, version: &str| -> (Name, Name, Name) {
        ("support-agent".into(), label.into(), version.into())
    };
    assert_eq!(labels, [row("production", "1.0.0"), row("staging", "2.0.0")]);
    let history = store.label_history("support-agent").unwrap();
    assert!(history.is_sorted_by(|one, next| one.seq > next.seq), "newest first");
    let history: Vec<LabelMove> = history.into_iter().map(|step| LabelMove { seq: 0, ..step }).collect();
    let wanted = [
        back,
        moved("production", Some("1.0.0"), "2.0.0"),
        moved("staging", None, "2.0.0"),
        moved("production", None, "1.0.0"),
    ];
    assert_eq!(history, wanted);
    assert!(store.label_history("another").unwrap().is_empty());
}

pub(super) fn an_author_is_noted_once(store: &dyn ControlStore) {
    let by = |author: &str| StoredPrompt {
        author: Some(author.into()),
        app_sha: Some("9f8c1d2".into()),
        ..prompt("1.0.0", "one")
    };
    assert!(store.prompt_put(&prompt("1.0.0", "one")).unwrap());
    assert!(!store.prompt_put(&by("ann")).unwrap(), "the content is known");
    assert!(!store.prompt_put(&by("bo")).unwrap());
    assert!(!store.prompt_put(&prompt("1.0.0", "one")).unwrap());
    assert_eq!(store.prompt_list().unwrap(), [by("ann")], "whoever brought it first by name");
    let said = |about: &str| StoredPrompt { about: Some(about.to_owned()), ..by("ann") };
    for about in ["{}", "{\"owner\":\"東\"}"] {
        assert!(!store.prompt_put(&said(about)).unwrap());
        assert_eq!(store.prompt_list().unwrap(), [said(about)], "what is said about it may be put right");
    }
    assert!(!store.prompt_put(&by("ann")).unwrap());
    assert_eq!(store.prompt_list().unwrap(), [said("{\"owner\":\"東\"}")]);
}

pub(super) fn an_approval_is_of_one_content_and_one_person(store: &dyn ControlStore) {
    let approval = |hash: &str, by: &str, note: Option<&str>| Approval {
        seq: 0,
        name: "support-agent".into(),
        version: "1.0.0".into(),
        hash: hash.into(),
        label: "production".into(),
        by: by.into(),
        note: note.map(str::to_owned),
        at: START,
    };
    assert!(store.approval_list("support-agent").unwrap().is_empty());
    assert!(store.approval_add(&approval("h1", "ann", None)).unwrap());
    assert!(!store.approval_add(&approval("h1", "ann", Some("again"))).unwrap());
    assert!(store.approval_add(&approval("h1", "bo", Some("read it, 東"))).unwrap());
    assert!(store.approval_add(&approval("h2", "ann", None)).unwrap());
    let found = store.approval_list("support-agent").unwrap();
    let found: Vec<Approval> = found.into_iter().map(|one| Approval { seq: 0, ..one }).collect();
    let wanted =
        [approval("h2", "ann", None), approval("h1", "bo", Some("read it, 東")), approval("h1", "ann", None)];
    assert_eq!(found, wanted, "newest first");
    assert!(store.approval_list("another").unwrap().is_empty());
}

pub(super) fn what_providers_keep_has_one_owner(store: &dyn ControlStore) {
    let owned = |id: &str, tenant: &str, at| Owned {
        provider: "openai".into(),
        id: id.into(),
        kind: "files".into(),
        tenant: tenant.into(),
        created: START.plus(std::time::Duration::from_secs(at)),
    };
    store.owned_put(&owned("file-1", "acme", 0)).unwrap();
    store.owned_put(&owned("file-2", "acme", 1)).unwrap();
    store.owned_put(&owned("file-3", "other", 2)).unwrap();
    store.owned_put(&owned("file-1", "other", 3)).unwrap();
    assert_eq!(store.owner_of("openai", "file-1").unwrap().as_deref(), Some("acme"), "the first owner stays");
    assert_eq!(store.owner_of("openai", "file-9").unwrap(), None);
    assert_eq!(store.owner_of("azure", "file-1").unwrap(), None);
    assert_eq!(store.owned_ids("openai", "acme").unwrap(), ["file-2", "file-1"], "the newest first");
    assert!(store.owned_ids("openai", "nobody").unwrap().is_empty());
}

pub(super) fn a_setting_is_made_once(store: &dyn ControlStore) {
    let mut made = 0;
    let mut make = || {
        made += 1;
        format!("value {made}")
    };
    assert_eq!(store.setting("salt", &mut make).unwrap(), "value 1");
    assert_eq!(store.setting("salt", &mut make).unwrap(), "value 1");
    assert_eq!(made, 1, "an existing setting is not made again");
    store.setting_put("salt", "b").unwrap();
    store.setting_put("other", "c").unwrap();
    assert_eq!(store.setting("salt", &mut || panic!("is there")).unwrap(), "b");
    assert_eq!(store.setting("other", &mut || panic!("is there")).unwrap(), "c");
}

pub(super) fn an_event_is_noted_once(store: &dyn ControlStore) {
    let event = |key: &str, kind: EventKind| Event {
        seq: 0,
        at: START,
        kind,
        key: key.to_owned(),
        severity: Severity::Warning,
        message: format!("<b>{key}</b> 東"),
        detail: serde_json::json!({"of": key, "factor": 3.5}),
    };
    let all = || store.event_list(&EventFilter::default()).unwrap();
    assert!(all().is_empty());
    assert!(store.event_add(&event("a", EventKind::SpendBaseline)).unwrap());
    assert!(
        !store.event_add(&Event { message: "again".into(), ..event("a", EventKind::BudgetFull) }).unwrap()
    );
    assert!(store.event_add(&event("b", EventKind::BudgetFull)).unwrap());
    assert!(store.event_add(&event("c", EventKind::SpendBaseline)).unwrap());
    let found = all();
    let keys = |events: &[Event]| events.iter().map(|event| event.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&found), ["c", "b", "a"], "newest first");
    assert!(found.is_sorted_by(|one, next| one.seq > next.seq));
    for kept in &found {
        assert_eq!(*kept, Event { seq: kept.seq, ..event(&kept.key, kept.kind) });
    }
    let of_kind = EventFilter { kind: Some(EventKind::SpendBaseline), ..EventFilter::default() };
    assert_eq!(keys(&store.event_list(&of_kind).unwrap()), ["c", "a"]);
    let after = EventFilter { after: Some(found[2].seq), ..EventFilter::default() };
    assert_eq!(keys(&store.event_list(&after).unwrap()), ["c", "b"]);
    let one = EventFilter { limit: 1, ..EventFilter::default() };
    assert_eq!(keys(&store.event_list(&one).unwrap()), ["c"]);
}
