//! The recorded series, which move and fire as the plain model says.

use super::*;

struct Series {
    name: String,
    points: Vec<(i64, i128)>,
}

/// Units of the recorded scores: what 18 digits after the point can tell.
const POWER: i32 = -19;

/// The recorded scores, one series for each detector; the sample where the data is not at hand.
fn recorded() -> (Vec<Series>, usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("TIPSTAFF_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let text =
        std::fs::read_to_string(shared.join("data/open/score_series.ndjson")).unwrap_or_else(|error| {
            println!("left out: the recorded series ({error}); a sample of our own is replayed");
            std::fs::read_to_string(root.join("tests/data/score_series_sample.ndjson")).unwrap()
        });
    let mut all: BTreeMap<String, Vec<(i64, i128)>> = BTreeMap::new();
    for line in text.lines() {
        // Numbers are taken as they are written: a double would round them.
        let field = |name: &str| {
            let rest = &line[line.find(&format!("\"{name}\": ")).unwrap() + name.len() + 4..];
            rest[..rest.find([',', '}']).unwrap()].trim_matches('"').to_owned()
        };
        let at: Time = format!("{}Z", field("t").trim_end_matches('Z')).parse().unwrap();
        let scores = &line[line.find("\"scores\": {").unwrap() + 11..];
        for pair in scores[..scores.find('}').unwrap()].split(", ") {
            let (detector, score) = pair.split_once(": ").unwrap();
            let series = format!("{} {}", field("series"), detector.trim_matches('"'));
            all.entry(series).or_default().push((at.micros() / 1_000_000, fixed(score)));
        }
    }
    let series = all.into_iter().map(|(name, points)| Series { name, points }).collect();
    (series, text.lines().count())
}

/// A number as whole units.
fn fixed(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 19, "{text}");
    let digits = format!("{whole}{fraction:0<19}");
    digits.parse().unwrap()
}

fn set(
    low: &str,
    high: &str,
    safe: bool,
    from: &[&str],
    gates: (&str, i64, i64),
    toward: (bool, bool),
) -> PlainScale {
    PlainScale {
        low: fixed(low),
        high: fixed(high),
        safe,
        from: from.iter().map(|bound| fixed(bound)).collect(),
        margin: fixed(gates.0),
        dwell: gates.1,
        toward_better: toward.0,
        toward_worse: toward.1,
        hold: gates.2,
    }
}

#[test]
fn the_recorded_series_move_and_fire_as_the_plain_model_says() {
    let (series, readings) = recorded();
    let (better, both) = ((true, false), (true, true));
    let risky: &[&str] = &["0", "0.5", "0.8", "0.95"];
    let sets = [
        // The detectors: 0 to 1, high is risky.
        ("rogue", set("0", "1", false, risky, ("0", 0, 0), better)),
        ("rogue", set("0", "1", false, risky, ("0.05", 1_800, 0), better)),
        ("rogue", set("0", "1", false, risky, ("0.1", 900, 0), both)),
        ("ec2", set("0", "1", false, risky, ("0", 7_200, 5 * DAY), better)),
        // A well-being score on another range: the same numbers read as good ones.
        ("", set("-10", "10", true, &["0.9", "0.5", "0.1", "0", "-10"], ("0.02", 600, 0), both)),
        // The z-scores of msticpy: far below the usual is bad.
        ("msticpy", set("-8", "6", true, &["0", "-0.4", "-1", "-3", "-8"], ("0.25", 0, 0), better)),
        (
            "msticpy",
            set("-8", "6", true, &["0", "-0.4", "-1", "-3", "-8"], ("0.25", 10_800, 7 * DAY), better),
        ),
    ];
    let (mut moves, mut firings) = (0, 0);
    for (of, plain) in &sets {
        let scale = build(plain, POWER).unwrap();
        let bands = plain.from.len();
        for one in series.iter().filter(|one| one.name.starts_with(of)) {
            let until = end(&one.points);
            let told = Told::series(&scale, &one.points, POWER, until, false);
            let plainly = plain.moves(&one.points, until);
            assert_eq!(told.moves, plainly, "{}: {plain:?}", one.name);
            moves += plainly.len();
            for (worse, better, cooldown) in [(true, false, DAY), (false, true, 0), (true, true, 3_600)] {
                let enters = (1..bands).collect();
                let rule = PlainRule { enters, worse, better, on_the_way: bands > 4, first: false, cooldown };
                let fired = plain.firings(&rule, &plainly);
                assert_eq!(told.firings(&trigger(&rule)), fired, "{}: {rule:?}", one.name);
                firings += fired.len();
            }
        }
    }
    println!(
        "{readings} readings, {} series, {} band sets: {moves} moves, {firings} firings",
        series.len(),
        sets.len()
    );
    assert!(moves > 0 && firings > 0);
}

#[test]
fn the_engine_fires_on_the_recorded_series_as_the_plain_model_says() {
    let (series, _) = recorded();
    let bands: &[&str] = &["0", "-0.4", "-1", "-3", "-8"];
    let plain = set("-8", "6", true, bands, ("0.25", 10_800, 7 * DAY), (true, false));
    let rule = |enters: &[usize], worse: bool, cooldown| PlainRule {
        enters: enters.to_vec(),
        worse,
        better: !worse,
        on_the_way: false,
        first: false,
        cooldown,
    };
    let rules = [("down", rule(&[1, 2, 3, 4], true, DAY)), ("up", rule(&[0, 1, 2], false, 0))];
    let built = rules.iter().map(|(name, rule)| {
        let rule = Rule::new(id(name), Trigger::Score(trigger(rule)));
        rule.action(RuleAction::new(id("a"), BuiltinAction::EscalateToHr))
    });
    let settings = Settings { scales: vec![build(&plain, POWER).unwrap()], ..Settings::default() };
    let rules_of_tenant = RuleSet::new(settings, built.collect(), &ActionCatalog::default()).unwrap();
    let one = series.iter().find(|one| one.name.starts_with("msticpy")).unwrap();
    let world = World::on(MemoryStore::default(), rules_of_tenant);
    let until = end(&one.points);
    for (n, (at, score)) in one.points.iter().enumerate() {
        let (user, now) = (id::<UserId>("ana"), time(*at));
        let signal = id(&format!("s{n}"));
        world.submit(
            ScoreReading::new(world.tenant.clone(), signal, id("s"), user, now, units(*score, POWER).into()),
            now,
        );
        // Timers are looked at now and then, as by a host that sleeps.
        if n % 7 == 0 {
            world.run(now);
        }
    }
    world.run(time(until));
    let moves = plain.moves(&one.points, until);
    for (name, rule) in &rules {
        let expected: Vec<i64> = plain.firings(rule, &moves).iter().map(|(at, ..)| *at).collect();
        let mut fired: Vec<i64> = Vec::new();
        let mut after = None;
        loop {
            let filter = Filter::new(&world.tenant).rule(id(name)).order(Order::Oldest).limit(MAX_PAGE);
            let page = go(world.engine.enforcements(match after {
                None => filter,
                Some(cursor) => filter.after(cursor),
            }));
            fired.extend(page.rows.iter().map(|row| row.origin.at.micros() / 1_000_000));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        fired.sort_unstable();
        assert!(!expected.is_empty());
        assert_eq!(fired, expected, "{name}");
    }
    assert_eq!(world.count("POLICY_BAND_ENTERED"), moves.len());
    world.verified();
}
