//! The chain shows every change to a log, and names the place.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;
use tipstaff::{
    Actor, AuditCode, AuditDraft, AuditRecord, ChainError, ChainFault, Detail, Hash, Head, Salt, Subject,
    Time, Verifier, verify,
};

/// Salts that differ, for tests only.
fn salts() -> impl FnMut() -> Salt {
    let mut n = 0_u128;
    move || {
        n += 1;
        Salt::from(n.to_be_bytes())
    }
}

/// Seals the drafts after each other; gives the records and every head on the way, the first too.
fn seal_all(drafts: &[AuditDraft]) -> (Vec<AuditRecord>, Vec<Head>) {
    let mut salt = salts();
    let mut heads = vec![Head::default()];
    let mut records = Vec::new();
    for draft in drafts {
        let (record, head) = heads[heads.len() - 1].seal(draft.clone(), &mut salt);
        records.push(record);
        heads.push(head);
    }
    (records, heads)
}

fn fault(seq: u64, fault: ChainFault) -> Result<Head, ChainError> {
    Err(ChainError { seq, fault })
}

/// Verifies against one kept head.
fn verify_kept(records: &[AuditRecord], kept: Head) -> Result<Head, ChainError> {
    let mut verifier = Verifier::new(Head::default()).kept(kept);
    for record in records {
        verifier.push(record)?;
    }
    verifier.finish()
}

fn detail() -> impl Strategy<Value = Detail> {
    prop_oneof![
        ".{0,8}".prop_map(Detail::Text),
        any::<i64>().prop_map(Detail::Number),
        any::<bool>().prop_map(Detail::Flag),
        any::<i64>().prop_map(|micros| Detail::At(Time::from_micros(micros))),
        prop::collection::vec(".{0,4}", 0..3).prop_map(Detail::List),
    ]
}

fn actor() -> impl Strategy<Value = Actor> {
    prop_oneof![
        Just(Actor::Engine),
        Just(Actor::Host),
        "[a-z:]{1,6}".prop_map(|id| Actor::Person(id.parse().unwrap())),
        "[a-z]{1,6}".prop_map(|id| Actor::Worker(id.parse().unwrap())),
    ]
}

fn subject() -> impl Strategy<Value = Subject> {
    ("[a-z]{1,6}", prop::option::of("[a-z]{1,6}")).prop_map(|(user, session)| Subject {
        user: user.parse().unwrap(),
        session: session.map(|session| session.parse().unwrap()),
    })
}

fn draft() -> impl Strategy<Value = AuditDraft> {
    let ids = prop::option::of("[0-9a-f]{32}");
    (
        (any::<Index>(), actor(), any::<i64>(), prop::option::of(subject()), prop::option::of(".{0,8}")),
        prop::collection::btree_map("[a-z]{1,3}", detail(), 0..4),
        prop::collection::btree_map("[a-z]{1,3}", ".{0,8}", 0..3),
        (ids.clone(), ids.clone(), ids),
    )
        .prop_map(|((code, actor, micros, subject, target), details, personal, ids)| {
            let (trigger, enforcement, approval) = ids;
            let tenant = "acme".parse().unwrap();
            let mut draft =
                AuditDraft::new(tenant, *code.get(AuditCode::ALL), actor, Time::from_micros(micros))
                    .trigger(trigger.map(|id| format!("trg_{id}").parse().unwrap()))
                    .enforcement(enforcement.map(|id| format!("enf_{id}").parse().unwrap()))
                    .approval(approval.map(|id| format!("apr_{id}").parse().unwrap()));
            (draft.subject, draft.target, draft.details, draft.personal) =
                (subject, target, details, personal);
            draft
        })
}

fn log(size: std::ops::Range<usize>) -> impl Strategy<Value = Vec<AuditDraft>> {
    prop::collection::vec(draft(), size)
}

/// Every JSON text that differs from `value` in one place: a leaf changed, a member or an element
/// taken away or added.
fn alterations(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Null => {}
        Value::Bool(flag) => all.push((!flag).into()),
        Value::Number(number) => {
            let number = i128::from(number.as_i64().unwrap_or(0));
            let near = [number - 1, number + 1, 0].into_iter().filter(|n| *n != number);
            all.extend(near.filter_map(|n| i64::try_from(n).ok()).map(Value::from));
        }
        Value::String(text) => {
            all.extend([format!("{text}x").into(), format!("x{text}").into(), "".into()]);
            // Where a word of a list stands, another word.
            all.extend(["Info".into(), "Critical".into(), "engine".into(), "host".into()]);
            // Another digit or letter in its place keeps ids, hashes and times readable.
            for (at, old) in text.char_indices() {
                let new = match old {
                    '0'..='8' | 'a'..='e' => char::from_u32(u32::from(old) + 1).unwrap(),
                    '9' => '0',
                    'f' => 'a',
                    _ => '?',
                };
                let rest = &text[at + old.len_utf8()..];
                all.push(format!("{}{new}{rest}", &text[..at]).into());
            }
            all.retain(|new| new != value);
        }
        Value::Array(items) => {
            all.push([items.as_slice(), &["".into()]].concat().into());
            for at in 0..items.len() {
                let mut fewer = items.clone();
                fewer.remove(at);
                all.push(fewer.into());
                for new in alterations(&items[at]) {
                    let mut changed = items.clone();
                    changed[at] = new;
                    all.push(changed.into());
                }
            }
        }
        Value::Object(members) => {
            let mut more = members.clone();
            more.insert("zzzz".into(), "added".into());
            all.push(more.into());
            for (key, member) in members {
                let mut fewer = members.clone();
                fewer.remove(key);
                all.push(fewer.into());
                let mut nothing = members.clone();
                nothing[key] = Value::Null;
                all.push(nothing.into());
                for new in alterations(member) {
                    let mut changed = members.clone();
                    changed[key] = new;
                    all.push(changed.into());
                }
            }
        }
    }
    all
}

proptest! {
    #[test]
    fn a_log_verifies_as_written_read_back_erased_and_page_by_page(
        drafts in log(0..8), erased in any::<u8>(), page in any::<Index>(),
    ) {
        let (mut records, heads) = seal_all(&drafts);
        let last = heads[records.len()];
        prop_assert_eq!(verify(&records, Head::default()), Ok(last));
        let text = serde_json::to_string(&records).unwrap();
        let read: Vec<AuditRecord> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &records);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);

        for (at, record) in records.iter_mut().enumerate().filter(|(at, _)| erased >> at & 1 == 1) {
            prop_assert_eq!(record.erase(), !drafts[at].personal.is_empty());
            prop_assert!(!record.erase());
            let json = serde_json::to_string(record).unwrap();
            prop_assert!(!json.contains("\"salt\"") && !json.contains("\"value\""));
        }
        let records: Vec<AuditRecord> = serde_json::from_value(serde_json::to_value(&records).unwrap()).unwrap();
        let cut = page.index(records.len() + 1);
        prop_assert_eq!(verify(&records[..cut], Head::default()), Ok(heads[cut]));
        prop_assert_eq!(verify(&records[cut..], heads[cut]), Ok(last));
        for &kept in &heads {
            prop_assert_eq!(verify_kept(&records, kept), Ok(last));
        }
    }

    #[test]
    fn a_dropped_record_is_missing_at_its_place(drafts in log(2..8), which in any::<Index>()) {
        let (mut records, heads) = seal_all(&drafts);
        let at = which.index(records.len() - 1);
        let seq = records.remove(at).seq;
        prop_assert_eq!(verify(&records, Head::default()), fault(seq, ChainFault::Missing { found: seq + 1 }));
        // With nothing but what is left, the end of a log cannot be seen to be missing …
        let (records, _) = seal_all(&drafts);
        prop_assert_eq!(verify(&records[..at], Head::default()), Ok(heads[at]));
        // … which is what kept heads are for.
        for &kept in &heads[at + 1..] {
            let truncated = fault(seq, ChainFault::Truncated { kept });
            prop_assert_eq!(verify_kept(&records[..at], kept), truncated);
        }
    }

    #[test]
    fn a_moved_or_repeated_record_is_out_of_order(drafts in log(2..8), one in any::<Index>(), two in any::<Index>()) {
        let (mut records, _) = seal_all(&drafts);
        let (one, two) = (one.index(records.len()), two.index(records.len()));
        prop_assume!(one < two);
        let (first, second) = (records[one].seq, records[two].seq);
        records.swap(one, two);
        let moved = fault(first, ChainFault::OutOfOrder { found: second });
        prop_assert_eq!(verify(&records, Head::default()), moved);
        records.swap(one, two);
        records.insert(two, records[one].clone());
        let repeated = fault(second, ChainFault::OutOfOrder { found: first });
        prop_assert_eq!(verify(&records, Head::default()), repeated);
    }

    #[test]
    fn a_rewritten_record_does_not_fit_its_neighbours(drafts in log(2..8), which in any::<Index>()) {
        let (mut records, heads) = seal_all(&drafts);
        let at = which.index(records.len());
        let seq = records[at].seq;
        let mut forged = drafts.clone();
        forged[at].target = Some("forged, whatever stood here".into());
        // Only this record is sealed anew: the next one gives it away, or the kept head.
        let (record, _) = heads[at].seal(forged[at].clone(), &mut salts());
        records[at] = record;
        if seq < records.len() as u64 {
            prop_assert_eq!(verify(&records, Head::default()), fault(seq + 1, ChainFault::Detached));
        }
        // All that follows is sealed anew as well: the kept heads give it away.
        let (records, _) = seal_all(&forged);
        prop_assert!(verify(&records, Head::default()).is_ok());
        for &kept in &heads[at + 1..] {
            let rewritten = fault(kept.seq, ChainFault::Rewritten { kept });
            prop_assert_eq!(verify_kept(&records, kept), rewritten);
        }
    }

    #[test]
    fn a_record_of_another_log_is_foreign(drafts in log(2..6), which in any::<Index>(), lane in 0_u16..2) {
        let (mut records, heads) = seal_all(&drafts);
        let at = which.index(records.len());
        let tenant: tipstaff::TenantId = if lane == 0 { "other" } else { "acme" }.parse().unwrap();
        let mut theirs = drafts[at].clone().lane(lane);
        theirs.tenant = tenant.clone();
        records[at] = heads[at].seal(theirs, &mut salts()).0;
        let foreign = ChainError { seq: at as u64 + 1, fault: ChainFault::Foreign { tenant, lane } };
        let mut told = Verifier::new(Head::default()).of("acme".parse().unwrap(), 0);
        let verdict = records.iter().try_for_each(|record| told.push(record));
        prop_assert_eq!(verdict, Err(foreign.clone()));
        prop_assert_eq!(told.head(), heads[at], "it stays where it was");
        if at > 0 {
            prop_assert_eq!(verify(&records, Head::default()), Err(foreign));
        }
    }

    #[test]
    fn no_stored_head_makes_sealing_panic(seq in prop_oneof![Just(u64::MAX), any::<u64>()], draft in draft()) {
        let head = Head { seq, hash: Hash::ZERO };
        let (record, next) = head.seal(draft, &mut salts());
        prop_assert_eq!(next.seq, record.seq);
        prop_assert_eq!(verify([&record], head), Ok(next));
        prop_assert_eq!(verify([&record, &record], head).is_ok(), false);
    }
}

proptest! {
    // Each case makes some hundred alterations.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_alteration_of_a_record_is_refused_or_named(drafts in log(1..4), which in any::<Index>()) {
        let (mut records, heads) = seal_all(&drafts);
        let at = which.index(records.len());
        let before = serde_json::to_value(&records[at]).unwrap();
        for after in alterations(&before) {
            let Ok(altered) = serde_json::from_value::<AuditRecord>(after.clone()) else { continue };
            let honest = std::mem::replace(&mut records[at], altered);
            let verdict = verify(&records, Head::default());
            // A text that reads as the same record is no alteration; everything else is.
            if records[at] == honest {
                prop_assert_eq!(verdict, Ok(heads[records.len()]));
            } else {
                let error = verdict.expect_err(&after.to_string());
                prop_assert_eq!(error.seq, honest.seq, "{}", after);
                let named = matches!(
                    error.fault,
                    ChainFault::Altered | ChainFault::Personal { .. } | ChainFault::Format { .. }
                );
                prop_assert!(named, "{}: {}", error, after);
            }
            records[at] = honest;
        }
    }
}

#[test]
fn a_personal_field_opens_its_commitment_or_is_gone() {
    let draft =
        AuditDraft::new("acme".parse().unwrap(), AuditCode::ApprovalVoteCast, Actor::Host, Time::EPOCH)
            .personal("comment", "fine by me");
    let (records, _) = seal_all(&[draft]);
    let personal = fault(1, ChainFault::Personal { key: "comment".into() });
    let changes: [fn(&mut tipstaff::Personal); 4] = [
        |field| field.value = Some("never".into()),
        |field| field.value = None,
        |field| field.salt = None,
        |field| field.salt = Some(Salt::from([9; 16])),
    ];
    for change in changes {
        let mut record = records[0].clone();
        change(record.personal.get_mut("comment").unwrap());
        assert_eq!(verify([&record], Head::default()), personal);
    }
    let mut record = records[0].clone();
    record.personal.get_mut("comment").unwrap().commitment = Hash::ZERO;
    assert_eq!(verify([&record], Head::default()), fault(1, ChainFault::Altered));
}

#[test]
fn a_kept_head_from_before_the_start_is_not_passed_over() {
    let draft =
        AuditDraft::new("acme".parse().unwrap(), AuditCode::PolicyRuleAdded, Actor::Host, Time::EPOCH);
    let (records, heads) = seal_all(&vec![draft; 3]);
    let verified = |kept| {
        let mut verifier = Verifier::new(heads[2]).kept(kept);
        verifier.push(&records[2]).unwrap();
        verifier.finish()
    };
    assert_eq!(verified(heads[1]), fault(1, ChainFault::NotCovered { kept: heads[1] }));
    assert_eq!(verified(heads[2]), Ok(heads[3]));
    let kept = Head { seq: 2, hash: Hash::ZERO };
    assert_eq!(verified(kept), fault(2, ChainFault::Rewritten { kept }));
    let error = verified(kept).unwrap_err().to_string();
    assert!(error.starts_with("audit record 2 is not the one of the kept head 2:0000"), "{error}");
}

/// The drafts of `data/audit-chain.ndjson`, which holds every kind of field. An independent
/// program that follows the documentation of `AuditRecord` gave the same hashes.
fn golden() -> Vec<AuditDraft> {
    let at = |text: &str| text.parse::<Time>().unwrap();
    let acme: tipstaff::TenantId = "acme".parse().unwrap();
    let session = Subject::session("ana".parse().unwrap(), "s-1".parse().unwrap());
    let user = Subject::user("zoë@example.org".parse().unwrap());
    vec![
        AuditDraft::new(
            acme.clone(),
            AuditCode::PolicyRulesInstalled,
            Actor::Host,
            at("2026-03-01T09:00:00Z"),
        )
        .lane(3),
        AuditDraft::new(
            acme.clone(),
            AuditCode::ApprovalVoteCast,
            Actor::Person("bo".parse().unwrap()),
            at("2026-03-01T09:00:00.000250Z"),
        )
        .lane(3)
        .subject(session)
        .target("privileged-mfa-off")
        .trigger("trg_000102030405060708090a0b0c0d0e0f".parse::<tipstaff::TriggerId>().unwrap())
        .enforcement("enf_101112131415161718191a1b1c1d1e1f".parse::<tipstaff::EnforcementId>().unwrap())
        .approval("apr_202122232425262728292a2b2c2d2e2f".parse::<tipstaff::ApprovalId>().unwrap())
        .detail("again", false)
        .detail("count", -2)
        .detail("expires", at("1969-12-31T23:59:59.5Z"))
        .detail("groups", vec!["security", "", "büro"])
        .detail("reason", "said \"yes\"\n")
        .personal("address", "198.51.100.7")
        .personal("comment", "als vereinbart — 了解"),
        AuditDraft::new(
            acme,
            AuditCode::AccountSessionsRevokedAll,
            Actor::Engine,
            at("2026-03-01T10:30:00Z"),
        )
        .lane(3)
        .subject(user)
        .detail("none", Vec::<String>::new())
        .personal("comment", "to be erased"),
    ]
}

#[test]
fn the_format_is_the_one_that_auditors_know() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/audit-chain.ndjson");
    let (mut records, heads) = seal_all(&golden());
    records[2].erase();
    let written: String =
        records.iter().map(|record| serde_json::to_string(record).unwrap() + "\n").collect();
    let known = std::fs::read_to_string(path).unwrap();
    assert_eq!(written, known);
    let read: Vec<AuditRecord> = known.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verify(&read, Head::default()), Ok(heads[3]));
    assert_eq!(heads[3].to_string(), "3:2db7728121926836df18ade9edbaf4fd7d02667e299ca36858101c262c5ca773");
}
