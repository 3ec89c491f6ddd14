//! Values that people and sources give: ids, numbers, patterns, crontab lines, scales, types.

use std::collections::BTreeMap;
use std::str::FromStr;

use tipstaff::*;

use super::{Row, row};
use crate::support::{at, id, tenant};

#[track_caller]
fn bad<T: FromStr>(text: &str) -> T::Err {
    text.parse::<T>().err().unwrap_or_else(|| panic!("`{text}` is accepted"))
}

pub(crate) fn rows() -> Vec<Row> {
    [texts(), patterns(), payloads(), crontabs(), scores(), actions(), audits(), chains()]
        .into_iter()
        .flatten()
        .collect()
}

fn texts() -> Vec<Row> {
    let long = "x".repeat(MAX_ID_BYTES + 1);
    let mut rows = vec![
        row(&bad::<Time>("yesterday"), "accepted: RFC 3339 with a zone"),
        row(&bad::<ExemptionScope>("rules r"), "accepted: `all`, `rule NAME` or `type NAME`"),
        row(&bad::<Span>("1 hour"), "accepted: whole numbers with w, d, h, m, s or ms"),
        row(&bad::<Decimal>("1,5"), "accepted: a JSON number"),
        row(&bad::<Hash>("00"), "accepted: 64 lower-case hexadecimal digits"),
        row(&bad::<Salt>("00"), "accepted: 32 lower-case hexadecimal digits"),
        row(&bad::<Head>("1"), "accepted: a sequence number"),
        row(&bad::<Cursor>("1"), "accepted: the `next` of the page before"),
        row(&bad::<Mode>("on"), "accepted: off, shadow, live"),
        row(&bad::<Confidence>("1.1"), "accepted: a number from 0 to 1"),
        row(&bad::<Clock>("8:00"), "accepted: `00:00` to `24:00`"),
        row(&bad::<Zone>("Berlin"), "such as `Europe/Berlin`"),
        row(&bad::<Template>("{user"), "accepted: `{variable}`"),
        row(&bad::<Actor>("bo"), "accepted: `engine`, `host`, `person:` and an id"),
        row(&bad::<Actor>("person:"), "accepted: 1 to 256 bytes"),
        row(&bad::<BandName>("Red"), "accepted: 1 to 64 characters of a-z"),
        row(&ready(std::future::pending::<()>()).unwrap_err(), "await this call"),
    ];
    for (text, place) in [("", ""), (" a", "space"), ("a\nb", "offset 1"), (long.as_str(), "257 bytes")] {
        let error = bad::<RuleId>(text);
        assert!(error.to_string().starts_with("rule id "), "{error}");
        rows.push(row(&error, "accepted: 1 to 256 bytes of text, no control characters"));
        rows.push(row(&error.fault, place));
    }
    let error = bad::<EnforcementId>("enf_1");
    rows.extend([row(&error, "32 lower-case hexadecimal digits"), row(&error.fault, "another form")]);
    for (text, place) in [("", "empty"), ("so so", "' ' at offset 2"), (&long[..65], "65 bytes")] {
        rows.push(row(&bad::<BandName>(text).fault, place));
    }
    rows
}

fn patterns() -> Vec<Row> {
    let fields: Vec<String> = (0..=MAX_PATTERN_FIELDS).map(|n| format!(r#""f{n}":[1]"#)).collect();
    let ors: Vec<String> =
        (0..11).map(|n| format!(r#""f{n}":{{"$or":[{{"a":[1]}},{{"b":[1]}}]}}"#)).collect();
    let list = vec!["1"; MAX_ALTERNATIVES + 1].join(",");
    let stars = "a*".repeat(MAX_WILDCARDS + 1);
    let table: Vec<(String, &str, usize, &str)> = vec![
        (r#"{"a": "#.into(), "", 6, "ends inside"),
        (format!(r#"{{"a":["{}"]}}"#, "x".repeat(MAX_PATTERN_BYTES)), "", 0, "at most 65536"),
        (format!(r#"{{"{}":[1]}}"#, vec!["a"; MAX_PATTERN_DEPTH + 1].join(".")), "*", 1, "at most 512"),
        (format!("{{{}}}", fields.join(",")), "", 0, "at most 4096"),
        (format!("{{{}}}", ors.join(",")), "", 0, "at most 1024"),
        (format!(r#"{{"a":[{list}]}}"#), "/a", 5, "at most 2048"),
        (format!(r#"{{"a":[{{"wildcard":"{stars}"}}]}}"#), "/a/0/wildcard", 18, "at most 64"),
        ("[]".into(), "", 0, r#"such as {"state": ["running"]}"#),
        (r#"{"a": {}}"#.into(), "/a", 6, "name at least one"),
        (r#"{"a": 1}"#.into(), "/a", 6, r#"such as ["running"]"#),
        (r#"{"a": []}"#.into(), "/a", 6, "name at least one alternative"),
        (r#"{"a":[1],"a":[2]}"#.into(), "/a", 9, "in one list"),
        (r#"{"a.b":[1],"a":{"b":[2]}}"#.into(), "/a/b", 16, "in one list"),
        (
            r#"{"$or":[{"prefix":["a"]},{"b":[1]}]}"#.into(),
            "/$or/0/prefix",
            9,
            "operators stand in a field's list",
        ),
        (r#"{"$or":[{"b":[1]}]}"#.into(), "/$or", 7, "at least two objects"),
        (r#"{"a":[[1]]}"#.into(), "/a/0", 6, "expected a text, a number"),
        (r#"{"a":[{}]}"#.into(), "/a/0", 6, "exactly one operator"),
        (r#"{"a":[{"regex":"x"}]}"#.into(), "/a/0/regex", 7, "accepted: `exactly`, `prefix`"),
        (r#"{"a":[{"prefix":1}]}"#.into(), "/a/0/prefix", 16, "`prefix` takes"),
        (r#"{"a":[{"anything-but":["a",1]}]}"#.into(), "/a/0/anything-but", 22, "texts or numbers"),
        (
            r#"{"a":[{"anything-but":{"prefix":""}}]}"#.into(),
            "/a/0/anything-but",
            32,
            "at least one character",
        ),
        (r#"{"a":[1e9999999999999999]}"#.into(), "/a/0", 6, "accepted: a JSON number"),
        (r#"{"a":[{"numeric":["<"]}]}"#.into(), "/a/0/numeric", 17, r#"["<", 5]"#),
        (r#"{"a":[{"numeric":[">",5,"<",5]}]}"#.into(), "/a/0/numeric", 17, "lower end comes first"),
        (r#"{"a":[{"cidr":"10.0.0.0"}]}"#.into(), "/a/0/cidr", 14, "such as `10.0.0.0/8`"),
        (r#"{"a":[{"wildcard":"a\\b"}]}"#.into(), "/a/0/wildcard", 18, r"`\*` for a star"),
        (r#"{"a":[{"wildcard":"a**b"}]}"#.into(), "/a/0/wildcard", 18, "one stands for any"),
    ];
    let mut rows = Vec::new();
    for (text, pointer, offset, accepted) in table {
        let shown: String = text.chars().take(60).collect();
        let errors = Pattern::parse(&text).unwrap_err();
        let first = errors.iter().next().unwrap();
        if pointer != "*" {
            assert_eq!((first.pointer.as_str(), first.offset), (pointer, offset), "{shown}: {first}");
        }
        rows.extend([row(&errors, accepted), row(first, accepted), row(&first.fault, accepted)]);
    }
    rows
}

fn payloads() -> Vec<Row> {
    let digits = "9".repeat(MAX_DECIMAL_BYTES + 1);
    let deep = format!(r#"{{"a":{}"#, "[".repeat(MAX_JSON_DEPTH));
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_PAYLOAD_BYTES));
    let mut rows = Vec::new();
    for (text, offset, accepted) in [
        ("[1]".to_owned(), 0, "expected a JSON object"),
        (format!(r#"{{"a":{digits}}}"#), 5, "at most 1100 bytes"),
        (large, MAX_PAYLOAD_BYTES, "at most 1048576"),
        (r#"{"a":}"#.to_owned(), 5, "expected a JSON value"),
        (r#"{"a":1"#.to_owned(), 6, "ends inside"),
        ("{\"a\":\"\t\"}".to_owned(), 6, r"write it as \u00XX"),
        (r#"{"a":"\x"}"#.to_owned(), 6, "accepted: \\\""),
        (r#"{"a":01}"#.to_owned(), 6, "no JSON number"),
        (deep, 4 + MAX_JSON_DEPTH, "512 levels"),
        ("{} {}".to_owned(), 3, "text after"),
    ] {
        let error = Payload::new(text.clone()).unwrap_err();
        assert_eq!(error.offset(), offset, "{error}");
        rows.extend([row(&error, accepted), row(error.fault(), accepted)]);
        if let PayloadFault::Syntax(syntax) = error.fault() {
            assert_eq!((syntax.line, syntax.column), (1, offset + 1), "{error}");
            rows.extend([row(syntax, accepted), row(&syntax.fault, accepted)]);
        }
        // Nothing is lost: the host gets its event back.
        let event = Event::new(tenant(), "s1", "okta", id::<UserId>("ana"), at(0), text.clone()).unwrap_err();
        assert_eq!((event.payload == text, event.id.as_str()), (true, "s1"));
        rows.extend([row(&event, accepted), row(&event.fault, "payload: ")]);
        assert_eq!(error.into_text(), text);
    }
    for (signal, source) in [("", "okta"), ("s1", " ")] {
        let event = Event::new(tenant(), signal, source, id::<UserId>("ana"), at(0), "{}").unwrap_err();
        rows.push(row(&event.fault, "accepted: 1 to 256 bytes"));
    }
    rows
}

fn crontabs() -> Vec<Row> {
    let long = format!("0 9 * * {}", vec!["MON"; 200].join(","));
    let mut rows = Vec::new();
    for (line, field, accepted) in [
        (long.as_str(), None, "at most 512"),
        ("0 9 * *", None, "accepted: minute, hour"),
        ("0 0 9 * * MON", None, "without seconds or years"),
        ("0 0 9 * * MON 2026 x", None, "accepted: 5"),
        ("0 9 * * MON, FRI", None, "without spaces"),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", None, "beside the line"),
        ("@reboot", None, "`@daily`"),
        ("@daily x", None, "the macro alone"),
        ("0 9 L * *", Some(CronField::DayOfMonth), "plain days"),
        ("5/15 * * * *", Some(CronField::Minute), "`5-59/15`"),
        ("0 17-9 * * *", Some(CronField::Hour), "two ranges"),
        ("0 9 * * Monday", Some(CronField::DayOfWeek), "`MON`"),
        ("+5 9 * * *", Some(CronField::Minute), "numbers without one"),
        ("60 9 * * *", Some(CronField::Minute), "0 to 59"),
        ("*/0 9 * * *", Some(CronField::Minute), "such as `*/15`"),
        ("1,,2 9 * * *", Some(CronField::Minute), "single commas"),
        ("1- 9 * * *", Some(CronField::Minute), "such as `1-5`"),
        ("x 9 * * *", Some(CronField::Minute), "accepted: "),
        ("0 0 30 2 *", None, "such as `29 2`"),
    ] {
        let error = Timetable::new(line, Zone::UTC).unwrap_err();
        assert!(field.is_none() || error.field == field, "{error}");
        assert!(line[error.offset..].starts_with(error.found.trim_end_matches('…')), "{error}");
        rows.extend([row(&error, accepted), row(&error.fault, accepted)]);
    }
    rows
}

fn scores() -> Vec<Row> {
    let band = |name: &str, from: i32| Band { name: id(name), from: from.into() };
    let many = (0..=MAX_BANDS).map(|n| band(&format!("b{n}"), n as i32)).collect();
    let mut rows = Vec::new();
    for (low, high, bands, accepted) in [
        (9, 1, vec![band("a", 0)], "a lower end below the upper end"),
        (0, 9, vec![], "1 to 32 bands"),
        (0, 99, many, "1 to 32 bands"),
        (0, 9, vec![band("a", 0), band("a", 1)], "names that differ"),
        (0, 9, vec![band("a", 0), band("b", 0)], "bounds that differ"),
        (0, 9, vec![band("a", 2)], "a lowest band that begins at `0`"),
        (0, 9, vec![band("a", 0), band("b", 10)], "`0` to `9`"),
    ] {
        let faults = Scale::new(id("s"), low.into(), high.into(), Polarity::HighIsSafe, bands).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        rows.push(row(&faults[0], accepted));
    }
    let gated = |margin: i32, dwell| Hysteresis { margin: margin.into(), dwell, ..Hysteresis::default() };
    for (hysteresis, accepted) in [
        (gated(0, Span::ZERO), "a `margin` above 0, a `dwell`, or both"),
        (gated(21, Span::ZERO), "a smaller margin"),
        (gated(0, Span::days(31)), "1s to 30d"),
    ] {
        let faults = Scale::standard().with_hysteresis(hysteresis).unwrap_err();
        assert_eq!(faults.len(), 1, "{faults:?}");
        rows.push(row(&faults[0], accepted));
    }
    rows.push(row(&Scale::standard().with_hold(Span::days(31)).unwrap_err(), "5d to 30d"));
    let unknown = Settings::default().known_scale(&id("elsewhere")).unwrap_err();
    rows.push(row(&unknown, "accepted: `default`"));
    let scale = Scale::standard();
    let score: Score = id("101");
    rows.push(row(&scale.band(&score).unwrap_err(), "`0` to `100`, both included"));
    rows.push(row(&scale.transition(None, &score, at(0)).unwrap_err(), "`0` to `100`"));
    let other = Scale::new(id("default"), 0.into(), 9.into(), Polarity::HighIsSafe, vec![band("only", 0)]);
    let elsewhere = other.unwrap().reading(id("5"), at(0), id("s1")).unwrap();
    rows.push(row(
        &scale.transition(Some(&elsewhere), &id("5"), at(1)).unwrap_err(),
        "read the subject again",
    ));
    let enters =
        |bands: &[&str]| ScoreTrigger::new(id("default"), bands.iter().map(|name| id(name)).collect());
    for (trigger, accepted) in [
        (ScoreTrigger::new(id("other"), vec![id("red")]), "not `default`"),
        (enters(&[]), "at least one of the scale's bands"),
        (enters(&["pink"]), "green, yellow, orange, red, critical"),
        (enters(&["red", "red"]), "each band once"),
        (enters(&["green"]), "another direction"),
    ] {
        rows.push(row(&trigger.faults(&scale)[0], accepted));
    }
    rows
}

fn actions() -> Vec<Row> {
    let mut rows = vec![row(&bad::<ActionType>("Lock"), "accepted: 1 to 64 lower-case letters")];
    let spec = |name: &str| ActionSpec::new(id(name), name, Category::Integration);
    let mut full = ActionCatalog::default();
    for n in 0..MAX_ACTION_TYPES {
        full.register(spec(&format!("t{n}"))).unwrap();
    }
    let param = |name: &str| Param::text(name, "");
    let many = (0..=MAX_PARAMS).map(|n| param(&format!("p{n}"))).collect();
    for (catalog, spec, accepted) in [
        (ActionCatalog::default(), spec("lock_account"), "choose another name"),
        (ActionCatalog::default(), spec("approval_notice"), "choose another name"),
        (full, spec("one_more"), "200"),
        (ActionCatalog::default(), ActionSpec { params: many, ..spec("x") }, "64 parameters"),
        (ActionCatalog::default(), ActionSpec { params: vec![param("p"), param("p")], ..spec("x") }, "`p`"),
        (
            ActionCatalog::default(),
            ActionSpec { inverse: Some(id("x")), ..spec("x") },
            "name the action that takes it back",
        ),
    ] {
        let mut after = catalog.clone();
        rows.push(row(&after.register(spec).unwrap_err(), accepted));
        assert_eq!(after, catalog, "nothing is added");
    }
    // What an inverse is beside the other types is known when a set is compiled.
    for (inverse, accepted) in [("gone", "declare it as well"), ("lock_account", "takes nothing away")] {
        let mut host = ActionCatalog::default();
        host.register(ActionSpec { inverse: Some(id(inverse)), ..spec("own") }).unwrap();
        let error = RuleSet::from_json_with("[]", &host).unwrap_err();
        let RuleFault::Spec(fault) = &error.faults[0].fault else { panic!("{error}") };
        rows.push(row(fault, accepted));
    }
    let ticket = BuiltinAction::CreateTicket.spec();
    let given = |name: &str, value: ParamValue| {
        let mut params = Params::from([("queue".into(), "q".into()), ("title".into(), "t".into())]);
        params.insert(name.to_owned(), value);
        params
    };
    let open = ActionSpec { open: true, ..spec("open") };
    let many: Params = (0..=MAX_PARAMS).map(|n| (format!("p{n:03}"), "x".into())).collect();
    let long = "x".repeat(MAX_PARAM_BYTES + 1);
    for (spec, params, name, accepted) in [
        (
            &ticket,
            Params::from([("queue".into(), "q".into())]),
            "title",
            "accepted: a text that is not empty",
        ),
        (&ticket, given("colour", "red".into()), "colour", "accepted: `queue`, `title`, `body`, `priority`"),
        (&ticket, given("priority", "soon".into()), "priority", "accepted: one of `low`, `medium`"),
        (&ticket, given("body", long.as_str().into()), "body", "accepted: at most 4096"),
        (&ticket, given("body", "{".into()), "body", "accepted: `{variable}`"),
        (&open, many, "p064", "accepted: at most 64 parameters"),
    ] {
        let problems = check_params(spec, &params, Stage::Written).unwrap_err();
        assert_eq!((problems.len(), problems[0].name.as_str()), (1, name), "{problems:?}");
        rows.extend([row(&problems[0], accepted), row(&problems[0].fault, accepted)]);
    }
    rows
}

fn audits() -> Vec<Row> {
    let draft = || AuditDraft::new(tenant(), AuditCode::PolicyRulesInstalled, Actor::Engine, at(0));
    let many = (0..=MAX_DETAILS).fold(draft(), |draft, n| draft.detail(format!("k{n}"), true));
    let mut rows = Vec::new();
    for (draft, field, accepted) in [
        (many, "details", "accepted: 64"),
        (draft().detail("Key", 1), "details.Key", "`a`-`z`"),
        (draft().personal("why", "x".repeat(MAX_DETAIL_BYTES + 1)), "personal.why", "accepted: 4096"),
    ] {
        let error = draft.check().unwrap_err();
        assert_eq!(error.field, field);
        rows.extend([row(&error, accepted), row(&error.fault, accepted)]);
    }
    let host = |code: &str| HostCode {
        code: code.to_owned(),
        severity: Severity::Info,
        domain: "Doors".to_owned(),
        retention: RetentionCategory::Activity.into(),
        description: "A door opened".to_owned(),
    };
    let mut full = AuditCatalog::default();
    for n in 0..MAX_HOST_CODES {
        full.register(host(&format!("DOOR_{n}"))).unwrap();
    }
    for (code, accepted) in [
        (host("door"), "3 to 64 of `A`-`Z`"),
        (host("ACCOUNT_PROFILE_UPDATE"), "a name of the host's own"),
        (host("POLICY_X"), "kept for the library"),
        (HostCode { domain: String::new(), ..host("DOOR_X") }, "the domain is not 1 to 64 bytes"),
        (host("DOOR_1"), "registered already"),
        (host("DOOR_X"), "1000"),
    ] {
        let before = full.clone();
        rows.push(row(&full.register(code).unwrap_err(), accepted));
        assert_eq!(full, before, "nothing is added");
    }
    rows.push(row(&full.get("DOOR_X").unwrap_err(), "accepted: a built-in code"));
    rows.push(row(&full.writable("ACCOUNT_MFA_ENROLLED").unwrap_err(), "write `"));
    rows
}

fn chains() -> Vec<Row> {
    let mut salt = || Salt::from([7; 16]);
    let draft =
        |tenant: TenantId| AuditDraft::new(tenant, AuditCode::PolicyRulesInstalled, Actor::Engine, at(0));
    let (one, head) = Head::default().seal(draft(tenant()).personal("why", "because"), &mut salt);
    let (two, end) = head.seal(draft(tenant()), &mut salt);
    let (other, _) = head.seal(draft(id("other")), &mut salt);
    let (detached, _) = Head { hash: Hash::ZERO, ..head }.seal(draft(tenant()), &mut salt);
    let mut altered = two.clone();
    altered.time = at(1);
    let mut format = two.clone();
    format.v += 1;
    let mut half = one.clone();
    let why: &mut BTreeMap<_, _> = &mut half.personal;
    why.get_mut("why").unwrap().salt = None;
    let wrong = Head { hash: Hash::ZERO, ..head };
    let from = Head::default();
    let mut rows = Vec::new();
    for (from, records, kept, seq, accepted) in [
        (from, vec![&one, &format], None, 2, "this version verifies format 1"),
        (from, vec![&one, &altered], None, 2, "its hash is not that of its content"),
        (from, vec![&one, &other], None, 2, "tenant `other`"),
        (from, vec![&two], None, 1, "record 2 stands in its place"),
        (from, vec![&one, &one], None, 2, "record 1 stands in its place"),
        (from, vec![&one, &detached], None, 2, "one of the two was rewritten"),
        (from, vec![&half], None, 1, "`why`"),
        (from, vec![&one], Some(end), 2, "cut off"),
        (from, vec![&one, &two], Some(wrong), 1, "rewritten"),
        (end, vec![], Some(head), 1, "began after it"),
    ] {
        let mut verifier = Verifier::new(from);
        if let Some(kept) = kept {
            verifier = verifier.kept(kept);
        }
        let pushed = records.iter().try_for_each(|record| verifier.push(record));
        let error = pushed.err().unwrap_or_else(|| verifier.finish().unwrap_err());
        assert_eq!(error.seq, seq, "{error}");
        rows.extend([row(&error, accepted), row(&error.fault, accepted)]);
    }
    rows
}
