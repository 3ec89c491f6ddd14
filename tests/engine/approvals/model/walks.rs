//! Random walks: whatever people do, the engine answers as the model does.

use super::*;

fn needs(most: usize) -> impl Strategy<Value = Vec<(&'static str, usize)>> {
    prop::sample::subsequence(GROUPS.to_vec(), 1..=2)
        .prop_flat_map(move |groups| {
            let counts = prop::collection::vec(1..=most, groups.len());
            (Just(groups), counts)
        })
        .prop_map(|(groups, counts)| groups.into_iter().zip(counts).collect())
}

fn stage() -> impl Strategy<Value = Stage> {
    (needs(2), 1_usize..3, 20_i64..120, prop::option::of((needs(1), 10_i64..60)))
        .prop_map(|(needs, rejections, within, fallback)| Stage { needs, rejections, within, fallback })
}

fn op() -> impl Strategy<Value = Op> {
    let person = || 0..PEOPLE.len();
    // Most people, most of the time, agree.
    let vote = (
        person(),
        prop::option::weighted(0.3, person()),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.8),
    );
    let reassign = (
        person(),
        prop::option::weighted(0.7, needs(3)),
        prop::collection::btree_set(person(), 0..4),
        0_usize..3,
    );
    prop_oneof![
        8 => vote.prop_map(|(by, voice, yes, comment)| Op::Vote { by, voice, yes, comment }),
        2 => (person(), person()).prop_map(|(from, to)| Op::Delegate { from, to }),
        2 => reassign.prop_map(|(by, groups, people, need)| Op::Reassign {
            by, groups: groups.unwrap_or_default(), people, need }),
        3 => (1_i64..40, any::<bool>()).prop_map(|(minutes, run)| Op::Time { minutes, run }),
        1 => (person(), prop::sample::select(GROUPS.to_vec())).prop_map(|(person, group)| Op::Move { person, group }),
        1 => prop::bool::weighted(0.15).prop_map(|cancel| if cancel { Op::Cancel } else { Op::Time { minutes: 1, run: true } }),
    ]
}

fn groups_text(needs: &[(&'static str, usize)]) -> String {
    let texts: Vec<_> =
        needs.iter().map(|(name, need)| format!(r#"{{ "name": "{name}", "need": {need} }}"#)).collect();
    format!("[{}]", texts.join(","))
}

fn rules(stages: &[Stage], comment: &str) -> String {
    let stage = |stage: &Stage| {
        let fallback = stage.fallback.as_ref().map_or_else(String::new, |(needs, within)| {
            format!(r#", "fallback": {{ "groups": {}, "within": "{within}m" }}"#, groups_text(needs))
        });
        format!(
            r#"{{ "groups": {}, "rejections": {}, "within": "{}m"{fallback} }}"#,
            groups_text(&stage.needs),
            stage.rejections,
            stage.within
        )
    };
    let stages: Vec<_> = stages.iter().map(stage).collect();
    format!(
        r#"[{{ "id": "lock", "author": "arne", "trigger": {{ "event": {{ "pattern": {{ "do": ["lock"] }} }} }},
          "actions": [{{ "key": "a", "type": "lock_account",
            "approval": {{ "comment": "{comment}", "stages": [{}] }} }}] }}]"#,
        stages.join(",")
    )
}

/// The variant of a refusal.
fn word(error: &EngineError) -> String {
    let name = |text: String| text.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    match error {
        EngineError::Approval(inner) => name(format!("{inner:?}")),
        other => name(format!("{other:?}")),
    }
}

fn walk(stages: Vec<Stage>, comment: &'static str, seed: u32, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let people = Directory::default();
    let lock = || Right::Approve(BuiltinAction::LockAccount.into());
    let mut members: BTreeMap<&'static str, BTreeSet<&'static str>> = BTreeMap::new();
    for (i, group) in GROUPS.into_iter().enumerate() {
        people.hire(group, &[]);
        let of = PEOPLE.into_iter().enumerate().filter(|(n, _)| seed >> (i * PEOPLE.len() + n) & 1 == 1);
        let of: BTreeSet<&'static str> = of.map(|(_, person)| person).collect();
        people.hire(group, &of.iter().copied().collect::<Vec<_>>());
        members.insert(group, of);
    }
    for person in PEOPLE {
        if may_answer(person) {
            people.let_do(person, &lock());
        }
        if may_reassign(person) {
            people.let_do(person, &Right::Reassign);
        }
        for other in PEOPLE.into_iter().filter(|other| standing(person, other)) {
            people.let_do(person, &Right::AnswerFor(id(other)));
        }
    }
    let world = World::of_people(&rules(&stages, comment), &people);
    let engine: &Engine = &world.engine;
    let request = crate::approvals::ask(&world, "s1", "ana", at(0));
    let mut model = Model {
        comment,
        state: "open",
        stage: 0,
        until: stages[0].within,
        asked: stages.iter().map(|s| Asked { needs: s.needs.clone(), named: BTreeSet::new() }).collect(),
        used: vec![false; stages.len()],
        answers: Vec::new(),
        delegates: BTreeMap::new(),
        members,
        stages,
    };
    let mut now = 0;
    for op in ops {
        let tenant = &world.tenant;
        let (expected, got) = match &op {
            Op::Vote { by, voice, yes, comment } => {
                let expected = model.vote(*by, *voice, *yes, *comment, now);
                let reply = Reply {
                    by: id(PEOPLE[*by]),
                    on_behalf_of: voice.map(|voice| id(PEOPLE[voice])),
                    verdict: id(if *yes { "approve" } else { "reject" }),
                    shown: request.digest,
                    comment: comment.then(|| "seen".to_owned()),
                };
                (expected, ready(engine.reply(tenant, request.id, &reply, at(now))).unwrap().map(drop))
            }
            Op::Delegate { from, to } => {
                let (from_id, to_id) = (id(PEOPLE[*from]), id(PEOPLE[*to]));
                let expected = model.delegate(*from, *to, now);
                let call = engine.delegate(tenant, request.id, &from_id, &to_id, at(now));
                (expected, ready(call).unwrap().map(drop))
            }
            Op::Reassign { by, groups, people, need } => {
                let to = Reassign {
                    groups: groups
                        .iter()
                        .map(|(name, need)| Quorum { name: id(name), need: *need as u32 })
                        .collect(),
                    people: people.iter().map(|person| id(PEOPLE[*person])).collect(),
                    need: *need as u32,
                };
                let expected = model.reassign(*by, groups, people, *need, now);
                let by = id(PEOPLE[*by]);
                let call = engine.reassign(tenant, request.id, &by, &to, "leave", at(now));
                (expected, ready(call).unwrap().map(drop))
            }
            Op::Time { minutes, run } => {
                now += minutes;
                if *run {
                    model.run(now);
                    // Whoever is granted is carried out at once, so that the start is not missed.
                    world.run(at(now));
                }
                (Ok(()), Ok(()))
            }
            Op::Cancel => {
                let expected = if model.state == "open" { Ok(()) } else { Err("Move") };
                let rob = id("rob");
                let call = engine.cancel(tenant, request.enforcement, &rob, "no", at(now));
                let got = ready(call).unwrap().map(drop);
                // What was granted and not yet carried out may be called off as well.
                if model.state == "granted" && got.is_ok() {
                    return Ok(());
                }
                if model.state == "open" {
                    model.state = "withdrawn";
                }
                (expected, got)
            }
            Op::Move { person, group } => {
                let person = PEOPLE[*person];
                if people.is_in(group, person) {
                    people.dismiss(group, person);
                    model.members.get_mut(group).unwrap().remove(person);
                } else {
                    people.hire(group, &[person]);
                    model.members.get_mut(group).unwrap().insert(person);
                }
                (Ok(()), Ok(()))
            }
        };
        match (&expected, &got) {
            (Ok(()), Ok(())) => {}
            (Err(expected), Err(error)) => prop_assert_eq!(word(error), *expected, "{:?} at {}", op, now),
            _ => prop_assert!(false, "{op:?} at {now}: {expected:?}, but {got:?}"),
        }
        let real = crate::approvals::again(&world, &request);
        prop_assert_eq!(real.state.as_str(), model.state, "{:?} at {}", op, now);
        prop_assert_eq!(real.progress.stage as usize, model.stage, "{:?} at {}", op, now);
        prop_assert_eq!(real.expires_at, at(model.until), "{:?} at {}", op, now);
        prop_assert_eq!(real.votes.len(), model.answers.len());
        prop_assert_eq!(real.missing(), model.missing(), "{:?} at {}", op, now);
        let row = go(engine.enforcement(tenant, request.enforcement));
        let waits = row.reason().as_str() == "awaiting_approval";
        prop_assert_eq!(waits, model.state == "open", "{:?} at {}: {}", op, now, row);
        if model.state != "granted" {
            prop_assert!(world.target.jobs("lock_account").is_empty(), "{op:?} at {now}");
        }
    }
    model.run(now);
    world.run(at(now));
    // What is carried out is what was shown, once, and nothing else.
    let shown =
        (request.enforcement, &request.subject, &request.action, &request.params, request.context.trigger);
    let jobs = world.target.jobs("lock_account");
    prop_assert!(jobs.len() <= usize::from(model.state == "granted"), "{jobs:?}");
    for job in &jobs {
        let carried = (job.key, &job.subject, &job.action, &job.params, Some(job.origin.trigger));
        prop_assert_eq!(carried, shown);
    }
    // Nobody whom the action concerns, and nobody twice for the same thing, was told.
    let told = crate::approvals::told(&world);
    let distinct: BTreeSet<&String> = told.iter().collect();
    prop_assert_eq!(distinct.len(), told.len(), "{:?}", told);
    prop_assert!(told.iter().all(|line| !line.ends_with(" ana")), "{:?}", told);
    prop_assert!(
        told.iter().all(|line| !line.ends_with(" arne") || line.starts_with("result")),
        "{:?}",
        told
    );
    world.verified();
    Ok(())
}

/// The long run takes more: `PROPTEST_CASES=20000 cargo test --release --test engine approvals::model --
/// --nocapture` makes some 400,000 steps, and says how many.
#[test]
fn the_engine_does_what_the_model_does() {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let comment = prop::sample::select(vec!["optional", "optional", "on_reject", "on_approve", "required"]);
    let story =
        (prop::collection::vec(stage(), 1..4), comment, any::<u32>(), prop::collection::vec(op(), 1..40));
    let (cases, steps) = (config.cases, std::cell::Cell::new(0_usize));
    let outcome = TestRunner::new(config).run(&story, |(stages, comment, seed, ops)| {
        steps.set(steps.get() + ops.len());
        walk(stages, comment, seed, ops)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    println!("{} steps in {cases} runs", steps.get());
}

#[test]
fn the_models_rules_load() {
    let stage =
        Stage { needs: vec![("g", 1)], rejections: 1, within: 20, fallback: Some((vec![("h", 1)], 10)) };
    assert!(RuleSet::from_json(&rules(&[stage.clone(), stage], "required")).is_ok());
}
