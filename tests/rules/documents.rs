//! Rules and settings are what their documents say.

use crate::support::{at, go, id};
use proptest::prelude::*;
use tipstaff::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z{} \"\\\\/é😀\u{0}-\u{1f}]{0,12}", Just("{user} {{x}}".to_owned()), Just("t".to_owned())]
}

/// A name that is an id of any kind; the shorter, the likelier to meet another.
fn name() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é@:/ ~]{0,6}[a-z]".prop_filter("no space at its ends", |name| name.trim() == name)
}

fn number() -> impl Strategy<Value = Decimal> {
    "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,20})?(e-?[0-9]{1,6})?".prop_map(|text| id(&text))
}

fn span(least: Span, most: Span) -> impl Strategy<Value = Span> {
    (least.as_millis()..=most.as_millis()).prop_map(Span::millis)
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop::sample::select(vec![
        r#"{"a":[1]}"#,
        r#"{ "x y": [ 9007199254740993, 1.50, "é\u0000" ], "b.c" : [{"exists":false}] }"#,
        r#"{"$or":[{"a":["\"\\"]},{"b":[{"numeric":[">",1e400]}]}]}"#,
    ])
    .prop_map(id)
}

fn bands() -> impl Strategy<Value = Vec<BandName>> {
    let names = ["green", "yellow", "orange", "red", "critical"];
    prop::sample::subsequence(names.to_vec(), 1..=5)
        .prop_shuffle()
        .prop_map(|names| names.into_iter().map(id).collect())
}

fn filter() -> impl Strategy<Value = EventFilter> {
    let sources = prop::collection::btree_set(name(), 0..3);
    (sources, pattern()).prop_map(|(sources, pattern)| EventFilter {
        sources: sources.iter().map(|name| id(name)).collect(),
        pattern,
    })
}

fn field() -> impl Strategy<Value = String> {
    "[a-z\"\\\\é@:/ ~]{1,6}(\\.[a-z]{1,3}){0,2}"
}

fn window() -> impl Strategy<Value = Window> {
    let sources = prop::collection::btree_set(name(), 0..4)
        .prop_map(|names| names.iter().map(|name| id(name)).collect());
    let kind = prop_oneof![
        (1..=MAX_WINDOW_COUNT).prop_map(|count| WindowKind::EventCount { count }),
        (field(), 1..=MAX_WINDOW_VALUES).prop_map(|(field, count)| WindowKind::ValueCount { field, count }),
        (sources, pattern()).prop_map(|(sources, pattern)| WindowKind::TemporalOrdered { sources, pattern }),
    ];
    (kind, span(MIN_DEADLINE, MAX_WINDOW), any::<bool>()).prop_map(|(kind, span, every)| Window {
        kind,
        span,
        every,
    })
}

fn cooldown() -> impl Strategy<Value = Cooldown> {
    let per = prop_oneof![Just(CooldownScope::Subject), field().prop_map(CooldownScope::Field)];
    (per, span(MIN_DEADLINE, MAX_COOLDOWN)).prop_map(|(per, span)| Cooldown { per, span })
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let sources = prop::collection::btree_set(name(), 0..4)
        .prop_map(|names| names.iter().map(|name| id(name)).collect());
    let event = (sources, pattern(), prop::option::of(window()))
        .prop_map(|(sources, pattern, window)| Trigger::Event { sources, pattern, window });
    let direction = prop::sample::select(vec![Direction::Worse, Direction::Better, Direction::Either]);
    let skipped = prop::sample::select(vec![Skipped::Ignore, Skipped::Fire]);
    let sure = prop::option::of((0_u32..=1_000).prop_map(|n| id::<Confidence>(&format!("{n}e-3"))));
    let score = (bands(), direction, skipped, any::<bool>(), span(Span::ZERO, MAX_COOLDOWN), sure);
    let score = score.prop_map(|(enters, direction, skipped, first, cooldown, sure)| {
        let mut trigger = ScoreTrigger::new(id("default"), enters);
        (trigger.direction, trigger.skipped, trigger.first) = (direction, skipped, first);
        (trigger.cooldown, trigger.min_confidence) = (cooldown, sure);
        Trigger::Score(trigger)
    });
    let line = prop::sample::select(vec!["0 9 * * MON", "@daily", "*/5  0-6\t* jan,DEC FRI-SUN"]);
    let zone = prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata"]);
    let banded = bands().prop_map(|bands| Audience::Bands { scale: id("default"), bands });
    let audience = prop_oneof![Just(Audience::All), banded, pattern().prop_map(Audience::Attributes)];
    let catch_up = prop::option::of(prop::sample::select(CatchUp::ALL));
    let absent = (filter(), span(MIN_DEADLINE, MAX_ABSENT_WITHIN));
    let absent = prop::option::of(absent.prop_map(|(awaited, within)| Absent { awaited, within }));
    let schedule =
        (line, zone, audience, catch_up, absent).prop_map(|(line, zone, audience, catch_up, absent)| {
            Trigger::Schedule {
                timetable: Timetable::new(line, id(zone)).unwrap(),
                audience,
                catch_up,
                absent,
            }
        });
    let reopened = prop::sample::select(Reopened::ALL);
    let deadline = (filter(), filter(), span(MIN_DEADLINE, MAX_ABSENT_WITHIN), reopened).prop_map(
        |(opens, closes, within, reopened)| Trigger::Deadline(Deadline { opens, closes, within, reopened }),
    );
    prop_oneof![event, score, schedule, deadline, Just(Trigger::Manual)]
}

fn quorums(least: usize) -> impl Strategy<Value = Vec<Quorum>> {
    prop::collection::btree_map(name(), 1_u32..=MAX_NEED, least..4)
        .prop_map(|groups| groups.into_iter().map(|(name, need)| Quorum { name: id(&name), need }).collect())
}

fn stage() -> impl Strategy<Value = ApprovalStage> {
    let fallback = (quorums(1), span(MIN_DEADLINE, MAX_APPROVAL_WITHIN))
        .prop_map(|(groups, within)| Fallback { groups, within });
    let stage =
        (quorums(0), 1_u32..=MAX_NEED, span(MIN_DEADLINE, MAX_APPROVAL_WITHIN), prop::option::of(fallback));
    stage.prop_map(|(groups, rejections, within, fallback)| ApprovalStage {
        groups,
        rejections,
        within,
        fallback,
    })
}

fn approval() -> impl Strategy<Value = ApprovalSetting> {
    let stages = prop::collection::vec(stage(), 1..=MAX_STAGES);
    let comment = prop::sample::select(CommentRule::ALL);
    let required = (stages, comment, span(MIN_DEADLINE, MAX_APPROVAL_WITHIN));
    let required = required.prop_map(|(stages, comment, start_within)| {
        ApprovalSetting::Required(ApprovalPolicy { comment, start_within, ..ApprovalPolicy::of(stages) })
    });
    prop_oneof![Just(ApprovalSetting::TypeDefault), Just(ApprovalSetting::None), required]
}

fn timing() -> impl Strategy<Value = Timing> {
    let rungs = prop::collection::vec(span(MIN_DEADLINE, MAX_EFFECT_HOLD), 0..4);
    let ladder = (rungs, span(MIN_DEADLINE, Span::MAX))
        .prop_map(|(rungs, decay)| Hold::Ladder(Ladder::new(rungs, decay)));
    let hold = prop_oneof![span(MIN_DEADLINE, MAX_EFFECT_HOLD).prop_map(Hold::For), ladder];
    let delay = prop::option::of(span(MIN_DEADLINE, MAX_DELAY));
    let late = prop::option::of(span(MIN_DEADLINE, MAX_APPROVAL_WITHIN));
    (prop::option::of(hold), delay, prop::option::of(any::<bool>()), late)
        .prop_map(|(hold, delay, recheck, not_after)| Timing { hold, delay, recheck, not_after })
}

fn action() -> impl Strategy<Value = RuleAction> {
    let value = prop_oneof![
        text().prop_map(ParamValue::Text),
        number().prop_map(ParamValue::Number),
        any::<bool>().prop_map(ParamValue::Flag)
    ];
    let params = prop::collection::btree_map(text(), value, 0..5);
    let confirm = prop::option::of(span(MIN_DEADLINE, MAX_CONFIRM_WITHIN));
    (name(), prop::sample::select(BuiltinAction::ALL), params, approval(), confirm, timing()).prop_map(
        |(key, action, params, approval, confirm_within, timing)| RuleAction {
            timing,
            params,
            approval,
            confirm_within,
            ..RuleAction::new(id(&key), action)
        },
    )
}

fn scope() -> impl Strategy<Value = ActionScope> {
    let categories = prop::collection::btree_set(prop::sample::select(Category::ALL), 0..3);
    let types = prop::collection::btree_set(prop::sample::select(BuiltinAction::ALL), 0..3);
    (categories, types).prop_map(|(categories, types)| ActionScope {
        categories,
        types: types.into_iter().map(ActionType::from).collect(),
    })
}

fn instant() -> impl Strategy<Value = Time> {
    (Time::MIN.micros()..=Time::MAX.micros()).prop_map(Time::from_micros)
}

fn windows() -> impl Strategy<Value = Times> {
    let maintenance = (instant(), instant(), prop::option::of(text()), scope())
        .prop_map(|(from, to, why, holds)| Maintenance { from, to, why, holds });
    let clock = |most: u16| (0..=most).prop_map(|n| id::<Clock>(&format!("{:02}:{:02}", n / 60, n % 60)));
    let days = prop::collection::btree_set(prop::sample::select(Weekday::ALL), 0..7);
    let zone = prop::sample::select(vec!["UTC", "Europe/Berlin", "Asia/Kolkata"]);
    let quiet =
        (days, clock(1_439), clock(1_440), zone, scope()).prop_map(|(days, from, to, zone, holds)| {
            let mut hours = Hours::daily(from, to, id(zone));
            hours.days = days;
            QuietHours { hours, holds }
        });
    let maintenance = prop::collection::vec(maintenance, 0..3);
    (maintenance, prop::collection::vec(quiet, 0..3)).prop_map(|(maintenance, quiet_hours)| Times {
        maintenance,
        quiet_hours,
        ..Times::default()
    })
}

fn times() -> impl Strategy<Value = Times> {
    (prop::option::of(instant()), prop::option::of(instant()), windows())
        .prop_map(|(not_before, not_after, windows)| Times { not_before, not_after, ..windows })
}

fn protected() -> impl Strategy<Value = Protected> {
    let users = prop::collection::btree_set(name(), 0..3);
    (users, prop::option::of(pattern()), scope(), prop::option::of(text())).prop_map(
        |(users, attributes, from, why)| Protected {
            users: users.iter().map(|user| id(user)).collect(),
            attributes,
            from,
            why,
        },
    )
}

fn kept() -> impl Strategy<Value = KeepAdministrators> {
    (prop::option::of(name()), 0..=MAX_KEPT, scope()).prop_map(|(group, keep, by)| KeepAdministrators {
        group: group.map(|group| id(&group)),
        keep,
        by,
    })
}

fn cap(scopes: Vec<CapScope>) -> impl Strategy<Value = Cap> {
    let limit = prop_oneof![
        (1..=MAX_CAP_COUNT).prop_map(CapLimit::Count),
        (1_u32..=10_000).prop_map(CapLimit::Share)
    ];
    let answer = prop::option::of(prop::sample::select(OnExceed::ALL));
    (prop::sample::select(scopes), limit, span(MIN_DEADLINE, MAX_COOLDOWN), answer, scope())
        .prop_map(|(per, limit, span, on_exceed, of)| Cap { per, limit, span, on_exceed, of })
}

/// None, one alone, which is written as itself, or several.
fn caps(scopes: &[CapScope]) -> impl Strategy<Value = Vec<Cap>> {
    prop::collection::vec(cap(scopes.to_vec()), 0..4)
}

fn rule() -> impl Strategy<Value = Rule> {
    let who = (name(), prop::option::of(name()), text(), prop::option::of(1_u32..));
    let what = (trigger(), prop::option::of(pattern()), prop::collection::vec(action(), 0..4));
    let limited = caps(&[CapScope::Rule, CapScope::Subject]);
    let guards = (prop::option::of(cooldown()), times(), prop::option::of(0_u8..=100), limited);
    // Named one by one, so that what a rule may say besides is missed here.
    let guards =
        guards.prop_map(|(cooldown, times, rollout, caps)| Guards { cooldown, times, rollout, caps });
    let how = (prop::sample::select(Mode::ALL), guards);
    (who, what, how).prop_map(
        |((name, author, title, revision), (trigger, subject, actions), (mode, guards))| {
            let mut rule = Rule::new(id(&name), trigger).title(title).mode(mode);
            rule.author = author.map(|author| id(&author));
            (rule.revision, rule.subject, rule.actions) = (revision, subject, actions);
            rule.guards = guards;
            rule
        },
    )
}

fn spec() -> impl Strategy<Value = ActionSpec> {
    let kind = prop_oneof![
        Just(ParamKind::Text),
        Just(ParamKind::Number),
        Just(ParamKind::Flag),
        Just(ParamKind::Duration),
        (any::<i64>(), any::<i64>()).prop_map(|(min, max)| ParamKind::Integer { min, max }),
        prop::collection::vec(text(), 0..3).prop_map(ParamKind::Choice),
    ];
    let param = (text(), kind, any::<bool>())
        .prop_map(|(about, kind, required)| Param { required, ..Param::new("", about, kind) });
    let params = prop::collection::vec(param, 0..4);
    let words =
        (prop::sample::select(Category::ALL), prop::sample::select(RetrySafety::ALL), any::<[bool; 3]>());
    let confirm = prop::option::of(span(MIN_DEADLINE, MAX_CONFIRM_WITHIN));
    (text(), words, confirm, params, any::<bool>()).prop_map(
        |(title, (category, retry, flags), confirm, params, undo)| {
            let numbered =
                params.into_iter().enumerate().map(|(n, param)| Param { name: format!("p{n}"), ..param });
            let spec = ActionSpec::new(id("own"), title, category);
            ActionSpec {
                retry,
                approval: flags[0],
                restricts: flags[1],
                open: flags[2],
                success: confirm.map_or(Success::Accepted, Success::Confirmed),
                params: numbered.collect(),
                inverse: undo.then(|| id("undo")),
                channel: id("carrier"),
                ..spec
            }
        },
    )
}

fn settings() -> impl Strategy<Value = Settings> {
    let groups = prop::collection::btree_map(name(), prop::collection::vec(name(), 1..4), 0..4);
    let gates = (number(), span(MIN_DWELL, MAX_DWELL), 0_u8..4, prop::option::of(span(MIN_HOLD, MAX_HOLD)));
    let toward = prop::sample::select(vec![Direction::Worse, Direction::Better, Direction::Either]);
    let scale = (number(), number(), any::<bool>(), gates, toward).prop_filter_map(
        "a range",
        |(a, b, safe, (margin, dwell, which, hold), toward)| {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let polarity = if safe { Polarity::HighIsSafe } else { Polarity::HighIsRisky };
            let bands = vec![Band { name: id("only"), from: low.clone() }];
            let mut scale = Scale::new(id("own"), low, high, polarity, bands).ok()?;
            let margin = if which & 1 == 0 { Decimal::zero() } else { margin };
            let dwell = if which & 2 == 0 { Span::ZERO } else { dwell };
            // A margin of one band cannot be too wide; a negative one is none.
            if let Ok(gated) = scale.clone().with_hysteresis(Hysteresis { margin, dwell, toward }) {
                scale = gated;
            }
            match hold {
                Some(hold) => scale.with_hold(hold).ok(),
                None => Some(scale),
            }
        },
    );
    let operators = prop::collection::vec(name(), 0..3);
    let policy = prop::sample::select(Policy::ALL);
    let limits =
        (caps(&[CapScope::Tenant, CapScope::Type, CapScope::Subject]), prop::option::of(0..=MAX_LOOP_DEPTH));
    let guards = (windows(), prop::collection::vec(protected(), 0..3), prop::option::of(kept()), limits);
    let people = (prop::option::of(name()), groups, operators);
    (people, prop::option::of(scale), prop::option::of(spec()), policy, guards).prop_map(
        |(
            (default, groups, operators),
            scale,
            spec,
            policy,
            (times, protected, administrators, (caps, loop_depth)),
        )| Settings {
            policy,
            times,
            protected,
            administrators,
            caps,
            loop_depth,
            operators: operators.iter().map(|person| id(person)).collect(),
            default_group: default.map(|name| id(&name)),
            groups: groups
                .into_iter()
                .map(|(name, people)| (id(&name), people.iter().map(|person| id(person)).collect()))
                .collect(),
            scales: scale.into_iter().collect(),
            types: spec.into_iter().collect(),
        },
    )
}

proptest! {
    #[test]
    fn a_rule_is_what_its_document_says(rule in rule()) {
        let text = rule.to_json();
        let read = Rule::from_json(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&read, &rule);
        prop_assert_eq!(read.to_json(), text);
        prop_assert_eq!(read.digest(), rule.digest());
        let other = Rule { revision: Some(7), ..rule.clone() };
        prop_assert_eq!(other.digest(), rule.digest(), "a revision's number says nothing");
        let titled = Rule { title: format!("{}x", rule.title), ..rule.clone() };
        prop_assert_ne!(titled.digest(), rule.digest());
    }

    #[test]
    fn settings_are_what_their_document_says(settings in settings()) {
        let text = settings.to_json();
        let read = Settings::from_json(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(&read, &settings);
        prop_assert_eq!(read.to_json(), text);
    }

    #[test]
    fn no_document_makes_the_reader_panic(rule in rule(), cut in any::<prop::sample::Index>(), put in ".{0,3}") {
        let text = rule.to_json();
        let at = cut.index(text.len() + 1);
        let at = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        for broken in [format!("{}{put}", &text[..at]), format!("{}{put}{}", &text[..at], &text[at..])] {
            if let Err(error) = RuleSet::from_json(&broken) {
                prop_assert!(!error.faults.is_empty());
                prop_assert!(error.faults.iter().all(|fault| fault.line > 0 && fault.column > 0), "{error}");
            }
        }
    }
}

#[test]
fn what_keeps_a_subject_in_a_band_is_read_and_refused_in_its_place() {
    let text = |more: &str| {
        format!(
            r#"{{ "scales": [{{ "id": "own", "low": 0, "high": 100, "high_is": "safe", {more},
  "bands": [{{ "name": "good", "from": 50 }}, {{ "name": "bad", "from": 0 }}] }}] }}"#
        )
    };
    let read = |more: &str| Settings::from_json(&text(more)).unwrap().scales.remove(0);
    let all = read(r#""hysteresis": { "margin": 2.5, "dwell": "30m", "toward": "either" }, "hold": "14d""#);
    let expected = Hysteresis { margin: id("2.5"), dwell: Span::mins(30), toward: Direction::Either };
    assert_eq!((all.hysteresis(), all.hold()), (Some(&expected), Some(Span::days(14))));
    let usual = read(r#""hysteresis": { "margin": 1 }, "hold": true"#);
    assert_eq!(usual.hysteresis().unwrap().toward, Direction::Better);
    assert_eq!(usual.hold(), Some(Span::days(7)));
    let bare = read(r#""hold": true"#);
    assert!(bare.hysteresis().is_none());
    // Each decides on bands, so each makes another set of them.
    let sets = [&all, &usual, &bare].map(Scale::digest);
    assert!(sets[0] != sets[1] && sets[1] != sets[2] && sets[0] != sets[2]);
    for (more, pointer, told) in [
        (r#""hysteresis": {}"#, "/scales/0/hysteresis", "accepted: a `margin` above 0, a `dwell`, or both"),
        (r#""hysteresis": { "margin": -1 }"#, "/scales/0/hysteresis", "accepted: a `margin` above 0"),
        (
            r#""hysteresis": { "margin": 51 }"#,
            "/scales/0/hysteresis",
            "no score leaves band `bad` by a margin of `51`",
        ),
        (r#""hysteresis": { "margin": "2" }"#, "/scales/0/hysteresis/margin", "accepted: a number above 0"),
        (r#""hysteresis": { "dwell": "31d" }"#, "/scales/0/hysteresis", "accepted: 1s to 30d"),
        (r#""hysteresis": { "dwell": 5 }"#, "/scales/0/hysteresis/dwell", "accepted: a text"),
        (
            r#""hysteresis": { "dwell": "1h", "toward": "up" }"#,
            "/scales/0/hysteresis/toward",
            "worse, better, either",
        ),
        (
            r#""hysteresis": { "dwell": "1h", "wait": 1 }"#,
            "/scales/0/hysteresis/wait",
            "accepted: `margin`, `dwell`, `toward`",
        ),
        (r#""hysteresis": 5"#, "/scales/0/hysteresis", "accepted: an object with `margin`, `dwell`"),
        (r#""hold": "4d""#, "/scales/0/hold", "accepted: 5d to 30d"),
        (r#""hold": false"#, "/scales/0/hold", "or true for 7 days"),
    ] {
        let error = Settings::from_json(&text(more)).unwrap_err();
        let told_here = error
            .faults
            .iter()
            .any(|fault| fault.pointer == pointer && fault.fault.to_string().contains(told));
        assert!(told_here && error.faults.len() == 1, "{more}: {error}");
    }
    // Every fault at once, those of the bands as well.
    let many = text(r#""hysteresis": { "dwell": "31d", "margin": -1 }, "hold": "1d""#);
    assert_eq!(Settings::from_json(&many).unwrap_err().faults.len(), 3);
    let gap = many.replace(r#""low": 0"#, r#""low": -5"#);
    assert_eq!(Settings::from_json(&gap).unwrap_err().faults.len(), 1, "a scale that is none has no margins");
}

#[test]
fn what_loads_can_be_installed_and_read_again() {
    let rules = crate::support::World::new("[]");
    let built = Rule::new(id("a@1/\"~é"), Trigger::Manual)
        .title("Ä \u{1} {x}")
        .action(RuleAction::new(id("k"), BuiltinAction::EscalateToHr).param("note", "{{\"}} {user}"));
    let set = RuleSet::new(Settings::default(), vec![built.clone()], &ActionCatalog::default()).unwrap();
    go(rules.engine.add_rules(&rules.tenant, &set, &Actor::Host, at(0)));
    let there = rules.another();
    let read = go(there.engine.rules(&there.tenant, at(1)));
    assert_eq!(read.rule(&built.id).unwrap().rule, Rule { revision: Some(1), ..built });
}
