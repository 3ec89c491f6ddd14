//! The life of a request against a second table of it, and who may answer and counts for what.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{at, id};
use proptest::prelude::*;
use tipstaff::*;

/// Every pair of a state and an input. `asked` is a vote after which more are needed, `last` the
/// one that decides.
const TABLE: &str = "
state     asked_yes last_yes asked_no last_no  late_yes withdraw  early half last due     delegate reassign
open      open      granted  open     rejected too_late withdrawn early open open expired open     open
granted   over      over     over     over     over     over      over  over over over    over     over
rejected  over      over     over     over     over     over      over  over over over    over     over
expired   over      over     over     over     over     over      over  over over over    over     over
withdrawn over      over     over     over     over     over      over  over over over    over     over
";

/// When the request runs out, in minutes.
const UNTIL: i64 = 240;

fn quorum(name: &str, need: u32) -> Quorum {
    Quorum { name: id(name), need }
}

fn request(groups: Vec<Quorum>, rejections: u32) -> Approval {
    let enforcement = id("enf_000102030405060708090a0b0c0d0e0f");
    let subject = Subject::user(id("ana"));
    let action: ActionType = BuiltinAction::LockAccount.into();
    let context = Context::default();
    let digest = Approval::digest_of(&crate::support::tenant(), &subject, &action, &Params::new(), &context);
    Approval {
        id: Approval::id_for(enforcement),
        tenant: crate::support::tenant(),
        enforcement,
        digest,
        subject,
        action,
        params: Params::new(),
        rules: vec![id("r1")],
        policy: ApprovalPolicy { groups, rejections, ..ApprovalPolicy::default() },
        designated: BTreeMap::new(),
        orderer: Some(id("olga")),
        authors: BTreeSet::from([id("arne")]),
        context,
        requested_at: at(0),
        expires_at: at(UNTIL),
        votes: Vec::new(),
        state: ApprovalState::Open,
        progress: Progress::default(),
        ratifies: false,
        because: Vec::new(),
        decided_at: None,
    }
}

fn ballot(request: &Approval, actor: &str, groups: &[&str], verdict: Verdict) -> Ballot {
    let groups = groups.iter().map(|group| id(group)).collect();
    Ballot {
        actor: id(actor),
        on_behalf_of: None,
        authorised: true,
        groups,
        verdict,
        digest: request.digest,
        comment: None,
    }
}

/// A request of two of the group `g`, two rejections ending it, with these answers.
fn asked(answers: &[(&str, Verdict)]) -> Approval {
    answers.iter().fold(request(vec![quorum("g", 2)], 2), |request, (actor, verdict)| {
        let input = ApprovalInput::Vote(ballot(&request, actor, &["g"], *verdict));
        request.step(&input, at(1)).unwrap()
    })
}

#[test]
fn every_state_takes_every_input_as_the_table_says() {
    use Verdict::{Approve, Reject};
    let mut rows = TABLE.lines().filter(|line| !line.is_empty()).map(str::split_whitespace);
    let columns: Vec<&str> = rows.next().unwrap().skip(1).collect();
    let mut seen = BTreeSet::new();
    for mut row in rows {
        let state: ApprovalState = id(row.next().unwrap());
        seen.insert(state);
        let cells: Vec<&str> = row.collect();
        assert_eq!(cells.len(), columns.len(), "{state}");
        for (column, expected) in columns.iter().zip(cells) {
            let (answers, verdict) = match *column {
                "asked_yes" => (&[][..], Some(Approve)),
                "last_yes" => (&[("bo", Approve)][..], Some(Approve)),
                "asked_no" => (&[][..], Some(Reject)),
                "last_no" => (&[("bo", Reject)][..], Some(Reject)),
                "late_yes" => (&[][..], Some(Approve)),
                _ => (&[][..], None),
            };
            let before = Approval { state, ..asked(answers) };
            let input = match (*column, verdict) {
                (_, Some(verdict)) => ApprovalInput::Vote(ballot(&before, "cy", &["g"], verdict)),
                ("withdraw", _) => ApprovalInput::Withdraw,
                ("delegate", _) => ApprovalInput::Delegate(Delegation {
                    from: id("bo"),
                    to: id("di"),
                    groups: BTreeSet::from([id("g")]),
                    authorised: true,
                }),
                ("reassign", _) => ApprovalInput::Reassign(Reassignment {
                    by: id("rob"),
                    groups: vec![quorum("h", 2)],
                    people: BTreeSet::new(),
                    need: 0,
                    members: BTreeMap::from([(id("h"), vec![id("di"), id("ed")])]),
                }),
                _ => ApprovalInput::Elapsed,
            };
            let now = match *column {
                "late_yes" | "due" => at(UNTIL),
                "half" => at(UNTIL / 2),
                "last" => at(UNTIL * 9 / 10),
                _ => Time::from_micros(at(UNTIL / 2).micros() - 1),
            };
            let step = before.step(&input, now);
            let got = match &step {
                Ok(next) => next.state.as_str(),
                Err(ApprovalError::Over(over)) if *over == state => "over",
                Err(ApprovalError::TooLate(until)) if *until == at(UNTIL) => "too_late",
                Err(ApprovalError::NotDue(until)) if *until == at(UNTIL / 2) => "early",
                Err(other) => panic!("{state} × {column}: {other}"),
            };
            assert_eq!(got, expected, "{state} × {column}");
            if let Ok(next) = step {
                let over = next.state != ApprovalState::Open;
                assert_eq!(next.decided_at, over.then_some(now), "{state} × {column}");
                assert_eq!(next.votes.len(), before.votes.len() + usize::from(verdict.is_some()));
            }
        }
    }
    assert_eq!(seen, ApprovalState::ALL.iter().copied().collect(), "every state there is");
}

#[test]
fn who_may_not_answer_is_told_why() {
    use Verdict::{Approve, Reject};
    let open = asked(&[("bo", Approve)]);
    let other = Ballot { digest: Hash::ZERO, ..ballot(&open, "cy", &["g"], Approve) };
    let wordy = |bytes| Ballot { comment: Some("x".repeat(bytes)), ..ballot(&open, "cy", &["g"], Approve) };
    let session = Subject::session(id("ana"), id("s1"));
    type Case = (Approval, Ballot, ApprovalError, &'static str);
    let cases: [Case; 9] = [
        (
            open.clone(),
            ballot(&open, "ana", &["g"], Approve),
            ApprovalError::IsSubject(id("ana")),
            "somebody else must answer",
        ),
        // A session is its user; saying no to what is done to oneself is refused as well.
        (
            Approval { subject: session, ..open.clone() },
            ballot(&open, "ana", &["g"], Reject),
            ApprovalError::IsSubject(id("ana")),
            "somebody else must answer",
        ),
        (
            open.clone(),
            ballot(&open, "olga", &["g"], Approve),
            ApprovalError::IsOrderer(id("olga")),
            "somebody else must answer",
        ),
        (
            open.clone(),
            ballot(&open, "arne", &["g"], Approve),
            ApprovalError::IsAuthor(id("arne")),
            "somebody else must answer",
        ),
        (
            open.clone(),
            ballot(&open, "cy", &[], Approve),
            ApprovalError::NotAuthorised { actor: id("cy"), groups: "`g`".into() },
            "accepted: members of `g`",
        ),
        (
            open.clone(),
            ballot(&open, "cy", &["h"], Approve),
            ApprovalError::NotAuthorised { actor: id("cy"), groups: "`g`".into() },
            "accepted: members of `g`",
        ),
        (
            open.clone(),
            ballot(&open, "bo", &["g"], Reject),
            ApprovalError::AnsweredAlready(id("bo")),
            "has answered already",
        ),
        (
            open.clone(),
            other,
            ApprovalError::OtherContent { shown: Hash::ZERO, asked: open.digest },
            "look again and answer again",
        ),
        (
            open.clone(),
            wordy(MAX_COMMENT_BYTES + 1),
            ApprovalError::CommentTooLong(MAX_COMMENT_BYTES + 1),
            "accepted: at most 4096",
        ),
    ];
    for (request, ballot, expected, accepted) in cases {
        let refused = request.step(&ApprovalInput::Vote(ballot), at(2)).unwrap_err();
        assert_eq!(refused, expected);
        assert!(refused.to_string().contains(accepted), "{refused}");
    }
    let longest = open.step(&ApprovalInput::Vote(wordy(MAX_COMMENT_BYTES)), at(2)).unwrap();
    assert_eq!(longest.state, ApprovalState::Granted);
}

#[test]
fn what_was_shown_binds_the_answer() {
    let open = request(vec![quorum("g", 1)], 1);
    let digest = |subject: &Subject, action: BuiltinAction, params: &Params, context: &Context| {
        Approval::digest_of(&crate::support::tenant(), subject, &action.into(), params, context)
    };
    let (ana, lock) = (Subject::user(id("ana")), BuiltinAction::LockAccount);
    let (none, plain) = (Params::new(), Context::default());
    assert_eq!(digest(&ana, lock, &none, &plain), open.digest);
    let some = Params::from([("scope".to_owned(), "mail".into())]);
    let flag = Params::from([("scope".to_owned(), ParamValue::Flag(true))]);
    let text = Params::from([("scope".to_owned(), "true".into())]);
    let trigger = Context { trigger: Some(id("trg_000102030405060708090a0b0c0d0e0f")), ..Context::default() };
    let evidence = Context { evidence: BTreeMap::from([("a".into(), "1".into())]), ..Context::default() };
    let shifted = Context { evidence: BTreeMap::from([("a1".into(), String::new())]), ..Context::default() };
    let mut all = vec![
        digest(&ana, lock, &none, &plain),
        digest(&Subject::session(id("ana"), id("s1")), lock, &none, &plain),
        digest(&Subject::user(id("bea")), lock, &none, &plain),
        digest(&ana, BuiltinAction::RevokeSessions, &none, &plain),
        digest(&ana, lock, &some, &plain),
        digest(&ana, lock, &flag, &plain),
        digest(&ana, lock, &text, &plain),
        digest(&ana, lock, &none, &trigger),
        digest(&ana, lock, &none, &evidence),
        digest(&ana, lock, &none, &shifted),
    ];
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "whatever differs in what is shown differs in the digest");
}

/// The most seats that people can fill, tried out: each takes a seat of one of their groups, or
/// none.
fn brute(needs: &[u32], people: &[u32]) -> usize {
    let Some((groups, others)) = people.split_first() else { return 0 };
    let mut best = brute(needs, others);
    for (i, need) in needs.iter().enumerate().filter(|(i, need)| groups >> i & 1 == 1 && **need > 0) {
        let mut left = needs.to_vec();
        left[i] = need - 1;
        best = best.max(1 + brute(&left, others));
    }
    best
}

fn seats(needs: &[u32], people: &[u32]) -> usize {
    let name = |i: usize| format!("g{i}");
    let groups = needs.iter().enumerate().map(|(i, need)| quorum(&name(i), *need)).collect();
    let policy = ApprovalPolicy { groups, ..ApprovalPolicy::default() };
    let people: Vec<Vec<GroupId>> = people
        .iter()
        .map(|groups| (0..needs.len()).filter(|i| groups >> i & 1 == 1).map(|i| id(&name(i))).collect())
        .collect();
    policy.seats_filled(&people)
}

#[test]
fn a_person_fills_one_seat_and_no_other_seating_is_better() {
    let mut cases = 0;
    for needs in (0..27).map(|n| [n % 3, n / 3 % 3, n / 9]) {
        for people in (0..512).map(|n| [n % 8, n / 8 % 8, n / 64]) {
            assert_eq!(seats(&needs, &people), brute(&needs, &people), "{needs:?} {people:?}");
            cases += 1;
        }
    }
    assert_eq!(cases, 27 * 512);
}

/// Whether a request with these answers is over, by brute force.
fn decided(needs: &[u32], rejections: usize, votes: &[(u32, bool)]) -> ApprovalState {
    let yes: Vec<u32> = votes.iter().filter(|(_, yes)| *yes).map(|(groups, _)| *groups).collect();
    if votes.len() - yes.len() >= rejections {
        ApprovalState::Rejected
    } else if brute(needs, &yes) as u32 == needs.iter().sum::<u32>() {
        ApprovalState::Granted
    } else {
        ApprovalState::Open
    }
}

proptest! {
    #[test]
    fn a_bigger_crowd_is_seated_as_well_as_can_be(
        needs in prop::collection::vec(0_u32..3, 1..5),
        people in prop::collection::vec(0_u32..16, 0..7),
    ) {
        let mask = (1_u32 << needs.len()) - 1;
        let people: Vec<u32> = people.iter().map(|groups| groups & mask).collect();
        prop_assert_eq!(seats(&needs, &people), brute(&needs, &people));
    }

    #[test]
    fn a_request_ends_with_the_vote_that_decides(
        needs in prop::collection::vec(1_u32..3, 1..4),
        rejections in 1_u32..3,
        votes in prop::collection::vec((0_usize..6, 0_u32..8, any::<bool>(), -3_i64..UNTIL + 3), 1..12),
    ) {
        let groups: Vec<Quorum> = needs.iter().enumerate().map(|(i, n)| quorum(&format!("g{i}"), *n)).collect();
        let mask = (1_u32 << needs.len()) - 1;
        let mut request = request(groups, rejections);
        let mut counted: Vec<(u32, bool)> = Vec::new();
        let mut voted = BTreeSet::new();
        for (person, member, yes, minute) in votes {
            let member = member & mask;
            let names: Vec<String> = (0..needs.len()).filter(|i| member >> i & 1 == 1).map(|i| format!("g{i}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let verdict = if yes { Verdict::Approve } else { Verdict::Reject };
            let input = ApprovalInput::Vote(ballot(&request, &format!("p{person}"), &names, verdict));
            let open = request.state == ApprovalState::Open;
            let fits = open && minute < UNTIL && member != 0 && !voted.contains(&person);
            match request.step(&input, at(minute)) {
                Ok(next) => {
                    prop_assert!(fits);
                    voted.insert(person);
                    counted.push((member, yes));
                    request = next;
                }
                Err(error) => prop_assert!(!fits, "{error}"),
            }
            if open {
                prop_assert_eq!(request.state, decided(&needs, rejections as usize, &counted));
            }
            prop_assert_eq!(request.votes.len(), counted.len());
            let yes: Vec<u32> = counted.iter().filter(|(_, yes)| *yes).map(|(groups, _)| *groups).collect();
            prop_assert_eq!(request.missing(), needs.iter().sum::<u32>() as usize - brute(&needs, &yes));
        }
    }
}
