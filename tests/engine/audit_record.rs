//! What a record may hold: actors, details, limits, and how they are written.

use proptest::prelude::*;
use tipstaff::{
    Actor, ActorError, AuditCode, AuditDraft, AuditError, AuditFault, AuditRecord, Detail, Head,
    MAX_DETAIL_BYTES, MAX_DETAILS, Salt, Subject, Time,
};

fn draft() -> AuditDraft {
    AuditDraft::new("acme".parse().unwrap(), AuditCode::PolicyManualStart, Actor::Engine, Time::EPOCH)
}

#[test]
fn actors_read_back_what_they_wrote() {
    let person = Actor::Person("ana".parse().unwrap());
    for (text, actor) in [
        ("engine", Actor::Engine),
        ("host", Actor::Host),
        ("person:ana", person.clone()),
        ("person:a:b", Actor::Person("a:b".parse().unwrap())),
        ("worker:w1", Actor::Worker("w1".parse().unwrap())),
    ] {
        assert_eq!(text.parse(), Ok(actor.clone()));
        assert_eq!(actor.to_string(), text);
        assert_eq!(serde_json::to_value(&actor).unwrap(), text);
        assert_eq!(serde_json::from_value::<Actor>(text.into()).unwrap(), actor);
    }
    for bad in ["", "Engine", "engine:", "host:a", "ana", "person", ":ana", "group:a"] {
        assert!(matches!(bad.parse::<Actor>(), Err(ActorError::Kind { .. })), "{bad}");
    }
    for bad in ["person:", "person: ana", "worker:a\nb"] {
        assert!(matches!(bad.parse::<Actor>(), Err(ActorError::Id(_))), "{bad}");
    }
}

#[test]
fn details_name_their_type_in_json() {
    for (detail, json, shown) in [
        (Detail::from("vpn"), r#"{"text":"vpn"}"#, "vpn"),
        (Detail::from(-3), r#"{"number":-3}"#, "-3"),
        (Detail::from(u64::MAX), r#"{"number":9223372036854775807}"#, "9223372036854775807"),
        (Detail::from(true), r#"{"flag":true}"#, "true"),
        (Detail::from(Time::EPOCH), r#"{"at":"1970-01-01T00:00:00Z"}"#, "1970-01-01T00:00:00Z"),
        (Detail::from(vec!["a", "b"]), r#"{"list":["a","b"]}"#, "a, b"),
    ] {
        assert_eq!(serde_json::to_string(&detail).unwrap(), json);
        assert_eq!(serde_json::from_str::<Detail>(json).unwrap(), detail);
        assert_eq!(detail.to_string(), shown);
    }
    for bad in [r#""vpn""#, r#"{"number":1.5}"#, r#"{"text":"a","flag":true}"#, "null", r#"{"at":"today"}"#] {
        assert!(serde_json::from_str::<Detail>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_draft_beyond_the_limits_is_refused_with_the_place() {
    let full = "x".repeat(MAX_DETAIL_BYTES);
    let over = "x".repeat(MAX_DETAIL_BYTES + 1);
    let many = |n| (0..n).fold(draft(), |draft, i| draft.detail(format!("k{i}"), i));
    let key = "k".repeat(64);
    for good in [
        draft(),
        many(MAX_DETAILS),
        draft().target(&full).detail("a", full.as_str()).personal("a", &full),
        draft().detail(&key, vec![full.clone()]).personal(&key, ""),
    ] {
        assert_eq!(good.check(), Ok(()));
    }
    let mut halves = vec!["x".repeat(MAX_DETAIL_BYTES / 2); 2];
    halves.push("x".into());
    let personal = (0..=MAX_DETAILS).fold(draft(), |draft, i| draft.personal(format!("k{i}"), ""));
    for (bad, field, fault) in [
        (many(MAX_DETAILS + 1), "details", AuditFault::TooMany(MAX_DETAILS + 1)),
        (personal, "personal", AuditFault::TooMany(MAX_DETAILS + 1)),
        (draft().target(&over), "target", AuditFault::TooLong(MAX_DETAIL_BYTES + 1)),
        (draft().detail("a", over.as_str()), "details.a", AuditFault::TooLong(MAX_DETAIL_BYTES + 1)),
        (draft().detail("a", halves), "details.a", AuditFault::TooLong(MAX_DETAIL_BYTES + 1)),
        (draft().personal("a", &over), "personal.a", AuditFault::TooLong(MAX_DETAIL_BYTES + 1)),
        (draft().detail("", 1), "details.", AuditFault::Key),
        (draft().detail("Key", 1), "details.Key", AuditFault::Key),
        (draft().personal("a b", ""), "personal.a b", AuditFault::Key),
        (draft().personal(key + "k", ""), &format!("personal.{}", "k".repeat(65)), AuditFault::Key),
    ] {
        let error = AuditError { code: "POLICY_MANUAL_START".into(), field: field.into(), fault };
        assert_eq!(bad.check(), Err(error));
    }
    let error = draft().detail("Key", 1).check().unwrap_err().to_string();
    assert_eq!(
        error,
        "audit record POLICY_MANUAL_START: `details.Key` is no key; accepted: 1 to 64 of `a`-`z`, `0`-`9` and `_`"
    );
}

#[test]
fn a_record_is_one_line_for_people() {
    let subject = Subject::session("ana".parse().unwrap(), "s1".parse().unwrap());
    let drafts = draft().subject(subject).target("rule-7").trigger(None);
    let (record, _) = Head::default().seal(drafts, &mut || Salt::from([0; 16]));
    assert_eq!(
        record.to_string(),
        "#1 1970-01-01T00:00:00Z Notice POLICY_MANUAL_START by engine on ana (session s1) (rule-7)"
    );
}

#[test]
fn fields_of_a_later_format_survive_an_older_reader() {
    let (record, _) = Head::default().seal(draft(), &mut || Salt::from([0; 16]));
    let mut json = serde_json::to_value(&record).unwrap();
    json["v"] = 2.into();
    json["cause"] = serde_json::json!({"depth": 1});
    let later: AuditRecord = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&later).unwrap(), json);
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,70}") {
        let _ = text.parse::<Actor>();
        let _ = text.parse::<Salt>();
        let _ = text.parse::<Head>();
        let _ = serde_json::from_str::<AuditRecord>(&text);
    }

    #[test]
    fn salts_and_heads_read_back(bytes in any::<[u8; 16]>(), seq in any::<u64>(), hash in any::<[u8; 32]>()) {
        let salt = Salt::from(bytes);
        prop_assert_eq!(salt.to_string().parse(), Ok(salt));
        let head = Head { seq, hash: hash.into() };
        prop_assert_eq!(head.to_string().parse(), Ok(head));
        prop_assert_eq!(serde_json::from_str::<Head>(&serde_json::to_string(&head).unwrap()).unwrap(), head);
        for other in [format!("+{head}"), format!("0{head}"), format!("{head}0"), head.to_string().to_uppercase()] {
            prop_assert!(other == head.to_string() || other.parse::<Head>().is_err());
        }
    }
}
