//! Rules are added, replaced and removed while other threads match events: every answer is that of
//! one whole set of rules, and of no older one than the answer before.

use std::sync::atomic::{AtomicBool, Ordering};

use tipstaff::{Matcher, Pattern, Payload, RuleIx, Scratch, SharedMatcher};

/// Rules that are changed, and others that are always there.
const CHANGED: usize = 64;
const OTHERS: usize = 1_500;
const CHANGES: usize = 600;

/// An event that each of the changed rules matches, but for its stand-in.
const EVENT: &str = r#"{"kind":"probe","size":5,"list":["a",{"b":1}],"text":"probe"}"#;

fn matching(rule: usize) -> String {
    match rule % 4 {
        0 => format!(r#"{{"kind":["probe","{rule}"],"size":[{{"numeric":["<",{}]}}]}}"#, 10 + rule),
        1 => format!(r#"{{"text":[{{"prefix":"pro"}},"{rule}"]}}"#),
        2 => format!(r#"{{"list":["a"],"no":[{{"exists":false}}],"kind":[{{"anything-but":"{rule}"}}]}}"#),
        _ => format!(r#"{{"list":{{"b":[1,{rule}]}}}}"#),
    }
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("built from valid parts")
}

fn number(rule: usize) -> RuleIx {
    RuleIx::new(rule).expect("few rules")
}

/// The rules after each change; none stands for a rule that was taken out.
fn history() -> Vec<Vec<Option<Pattern>>> {
    let mut rules: Vec<_> = (0..CHANGED).map(|rule| Some(pattern(&matching(rule)))).collect();
    let mut states = vec![rules.clone()];
    for change in 0..CHANGES {
        let rule = change * 11 % rules.len();
        let of_event = rules[rule].as_ref().is_some_and(|pattern| pattern.text() == matching(rule));
        match change % 3 {
            // One more, at the end.
            0 if rules.len() < 2 * CHANGED => rules.push(Some(pattern(&matching(rules.len())))),
            1 if of_event => rules[rule] = None,
            _ if of_event => rules[rule] = Some(pattern(&format!(r#"{{"kind":["other-{change}"]}}"#))),
            _ => rules[rule] = Some(pattern(&matching(rule))),
        }
        states.push(rules.clone());
    }
    states
}

/// What the interpreter says of a set.
fn answer(rules: &[Option<Pattern>]) -> Vec<usize> {
    let payload = Payload::new(EVENT).expect("an event");
    let matches = |rule: &usize| rules[*rule].as_ref().is_some_and(|pattern| pattern.matches(&payload));
    (0..rules.len()).filter(matches).collect()
}

#[test]
fn readers_see_whole_sets_in_their_order() {
    let states = history();
    let answers: Vec<Vec<usize>> = states.iter().map(|rules| answer(rules)).collect();
    assert!(answers.windows(2).all(|pair| pair[0] != pair[1]), "every change shows");
    // Numbers are positions: the others come first.
    let others =
        (0..OTHERS).map(|i| pattern(&format!(r#"{{"kind":["kind-{i}"],"size":[{{"numeric":[">",{i}]}}]}}"#)));
    let changed = states[0].iter().map(|rule| rule.clone().expect("all are there at first"));
    let shared = SharedMatcher::new(Matcher::new(others.chain(changed).map(|pattern| ([""; 0], pattern))));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let read = || {
            let (mut reader, mut scratch, mut found) = (shared.reader(), Scratch::default(), Vec::new());
            let (mut state, mut seen) = (0, 1_usize);
            loop {
                let last_round = over.load(Ordering::Acquire);
                found.clear();
                let matched = reader.newest().matches(None, EVENT.as_bytes(), &mut scratch, &mut found);
                assert_eq!(matched, Ok(()));
                let found: Vec<usize> = found.iter().map(|rule| rule.index() - OTHERS).collect();
                let later = answers[state..].iter().position(|answer| *answer == found);
                let step = later.unwrap_or_else(|| panic!("no set from {state} on answers {found:?}"));
                seen += usize::from(step > 0);
                state += step;
                if last_round {
                    return (state, seen);
                }
            }
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        for (before, after) in states.iter().zip(&states[1..]) {
            let rule =
                (0..after.len()).find(|rule| before.get(*rule) != after.get(*rule)).expect("one changed");
            shared.update(|matcher| match &after[rule] {
                Some(pattern) => matcher.with(number(OTHERS + rule), &[], pattern.clone()),
                None => matcher.without(number(OTHERS + rule)),
            });
            std::thread::yield_now();
        }
        over.store(true, Ordering::Release);
        for reader in readers {
            let (state, seen) = reader.join().expect("a reader that found a fault has said so");
            println!("one reader saw {seen} of {} sets", states.len());
            assert_eq!(
                answers[state],
                *answers.last().expect("there are some"),
                "the last set is seen at last"
            );
        }
    });
}

#[test]
fn a_snapshot_stays_as_it_is() {
    let old = Matcher::new([([""; 0], pattern(r#"{"a":[1]}"#))]);
    let replaced = old.with(number(0), &[], pattern(r#"{"b":[{"prefix":"x"}]}"#));
    let more = replaced.with(number(1), &["s"], pattern(r#"{"b":[{"suffix":"x"}]}"#));
    let none = more.without(number(0)).without(number(1));
    let found = |matcher: &Matcher, event: &str| {
        let mut found = Vec::new();
        matcher.matches(Some("s"), event.as_bytes(), &mut Scratch::default(), &mut found).expect("JSON");
        found.iter().map(|rule| rule.index()).collect::<Vec<_>>()
    };
    for (matcher, expected) in
        [(&old, [vec![0], vec![]]), (&replaced, [vec![], vec![0]]), (&more, [vec![], vec![0, 1]])]
    {
        assert_eq!([found(matcher, r#"{"a":1}"#), found(matcher, r#"{"b":"x"}"#)], expected);
    }
    assert!(found(&none, r#"{"a":1,"b":"x"}"#).is_empty());
    assert_eq!([old.len(), more.len(), none.len()], [1, 2, 2]);
}
