//! Laws of the event-pattern language, on random patterns and events.

use proptest::prelude::*;
use tipstaff::{Pattern, Payload};

/// Events as a tree in which names may repeat.
#[derive(Clone, Debug)]
enum Json {
    Leaf(&'static str),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Json {
    fn text(&self) -> String {
        match self {
            Self::Leaf(text) => (*text).to_owned(),
            Self::List(items) => format!("[{}]", items.iter().map(Self::text).collect::<Vec<_>>().join(",")),
            Self::Object(members) => {
                let members: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\":{}", v.text())).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }

    /// Each member of an object through `each`, everywhere.
    fn map(&self, each: &impl Fn(Vec<(String, Self)>) -> Vec<(String, Self)>) -> Self {
        match self {
            Self::Leaf(text) => Self::Leaf(text),
            Self::List(items) => Self::List(items.iter().map(|item| item.map(each)).collect()),
            Self::Object(members) => {
                Self::Object(each(members.iter().map(|(k, v)| (k.clone(), v.map(each))).collect()))
            }
        }
    }
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

fn json(unique: bool) -> impl Strategy<Value = Json> {
    let leaf =
        proptest::sample::select(vec!["1", "2", "\"x\"", "\"xy\"", "null", "true"]).prop_map(Json::Leaf);
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let name = proptest::sample::select(NAMES.to_vec());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::List),
            proptest::collection::vec((name, inner), 0..4).prop_map(move |members| object(members, unique)),
        ]
    })
}

fn object(members: Vec<(&'static str, Json)>, unique: bool) -> Json {
    let mut kept: Vec<(String, Json)> = Vec::new();
    for (name, value) in members {
        if !unique || kept.iter().all(|(other, _)| other != name) {
            kept.push((name.to_owned(), value));
        }
    }
    Json::Object(kept)
}

fn event(unique: bool) -> impl Strategy<Value = Json> {
    let name = proptest::sample::select(NAMES.to_vec());
    proptest::collection::vec((name, json(unique)), 0..4).prop_map(move |members| object(members, unique))
}

/// Fields as (path, list); no path twice.
fn fields() -> impl Strategy<Value = Vec<(Vec<&'static str>, String)>> {
    let path = proptest::collection::vec(proptest::sample::select(NAMES.to_vec()), 1..4);
    let alternative = proptest::sample::select(vec![
        "1",
        "\"x\"",
        "null",
        "{\"prefix\":\"x\"}",
        "{\"anything-but\":1}",
        "{\"exists\":true}",
        "{\"exists\":false}",
        "{\"exists\":false}",
        "{\"exists\":false}",
        "{\"numeric\":[\">\",1]}",
    ]);
    let list = proptest::collection::vec(alternative, 1..3).prop_map(|list| format!("[{}]", list.join(",")));
    proptest::collection::btree_map(path, list, 1..4).prop_map(|fields| fields.into_iter().collect())
}

fn dotted(fields: &[(Vec<&str>, String)]) -> Pattern {
    let fields: Vec<_> = fields.iter().map(|(path, list)| format!("\"{}\":{list}", path.join("."))).collect();
    Pattern::parse(&format!("{{{}}}", fields.join(","))).expect("built from valid parts")
}

fn matches(pattern: &Pattern, event: &Json) -> bool {
    pattern.matches(&Payload::new(event.text()).expect("built from valid parts"))
}

/// The pattern with each step in an object of its own; none where a path leads through another's
/// list, which JSON cannot nest.
fn nested(fields: &[(Vec<&str>, String)]) -> Option<Pattern> {
    fn write(fields: &[(&[&str], &str)]) -> Option<String> {
        let mut members = Vec::new();
        for name in NAMES {
            let below: Vec<(&[&str], &str)> = fields
                .iter()
                .filter(|(path, _)| path[0] == name)
                .map(|(path, list)| (&path[1..], *list))
                .collect();
            match below.as_slice() {
                [] => {}
                [([], list)] => members.push(format!("\"{name}\":{list}")),
                below if below.iter().any(|(path, _)| path.is_empty()) => return None,
                below => members.push(format!("\"{name}\":{}", write(below)?)),
            }
        }
        Some(format!("{{{}}}", members.join(",")))
    }
    let fields: Vec<_> = fields.iter().map(|(path, list)| (path.as_slice(), list.as_str())).collect();
    write(&fields).map(|text| Pattern::parse(&text).expect("built from valid parts"))
}

/// A value of an event: its path, its text, and which element of each array it stands in. A value
/// that an array holds directly is in none of its elements.
type Leaf = (Vec<String>, &'static str, Vec<(usize, usize)>);

/// Every value of an event.
fn leaves(
    json: &Json,
    path: &[String],
    within: &[(usize, usize)],
    arrays: &mut usize,
    leaves: &mut Vec<Leaf>,
) {
    match json {
        Json::Leaf(text) => leaves.push((path.to_vec(), text, within.to_vec())),
        Json::List(items) => {
            let id = *arrays;
            *arrays += 1;
            for (i, item) in items.iter().enumerate() {
                let element = matches!(item, Json::List(_) | Json::Object(_)).then_some((id, i));
                let within: Vec<_> = within.iter().copied().chain(element).collect();
                self::leaves(item, path, &within, arrays, leaves);
            }
        }
        Json::Object(members) => {
            for (name, value) in members {
                let path: Vec<_> = path.iter().chain([name]).cloned().collect();
                self::leaves(value, &path, within, arrays, leaves);
            }
        }
    }
}

/// What the language means, by trying every way to pick values: each field takes a value that
/// stands in the elements picked so far, or is absent from all that were picked in the end.
fn tries(
    fields: &[(Vec<&str>, String)],
    leaves: &[Leaf],
    picked: &[(usize, usize)],
    absent: &[&[&str]],
) -> bool {
    let together = |within: &[(usize, usize)], picked: &[(usize, usize)]| {
        within.iter().all(|(array, i)| picked.iter().all(|(other, j)| array != other || i == j))
    };
    let Some(((path, list), rest)) = fields.split_first() else {
        let there =
            |path: &[&str]| leaves.iter().any(|(at, _, within)| at == path && together(within, picked));
        return !absent.iter().any(|path| there(path));
    };
    let wanted = Pattern::parse(&format!("{{\"v\":{list}}}")).expect("built from valid parts");
    let takes = leaves.iter().filter(|(at, text, within)| {
        at == path
            && together(within, picked)
            && wanted.matches(&Payload::new(format!("{{\"v\":{text}}}")).expect("built from valid parts"))
    });
    let mut ways = takes.map(|(_, _, within)| [picked, within].concat());
    let without = [absent, &[path.as_slice()]].concat();
    ways.any(|picked| tries(rest, leaves, &picked, absent))
        || (list.contains("false") && tries(rest, leaves, picked, &without))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_reading_panic(text in "[{}\\[\\]\",:$orab.*\\\\ 01<=-]{0,40}") {
        let _ = Pattern::parse(&text);
        let _ = Payload::new(text);
    }

    #[test]
    fn no_operator_makes_reading_panic(
        operator in proptest::sample::select(vec!["exactly", "prefix", "suffix", "equals-ignore-case", "wildcard",
            "anything-but", "numeric", "cidr", "exists", "$or"]),
        operand in "[{}\\[\\]\",:a*\\\\/.0-9<=>-]{0,12}",
        text in any::<String>(),
    ) {
        let text = serde_json::to_string(&text).unwrap();
        for operand in [operand.as_str(), &text] {
            let patterns = [format!("{{\"a\":[{{\"{operator}\":{operand}}}]}}"), format!("{{\"{operator}\":[{operand}]}}")];
            for pattern in patterns.iter().filter_map(|text| Pattern::parse(text).ok()) {
                let event = Payload::new(format!("{{\"a\":[{text},0.5,null,\"192.0.2.1\"]}}")).unwrap();
                prop_assert_eq!(pattern.matches(&event), pattern.explain(&event).matched);
            }
        }
    }

    #[test]
    fn the_walk_finds_what_trying_every_element_finds(fields in fields(), event in event(true)) {
        let mut all = Vec::new();
        leaves(&event, &[], &[], &mut 0, &mut all);
        let expected = tries(&fields, &all, &[], &[]);
        prop_assert_eq!(matches(&dotted(&fields), &event), expected, "{}", event.text());
    }

    #[test]
    fn a_dotted_pattern_is_the_nested_one(fields in fields(), event in event(false)) {
        if let Some(nested) = nested(&fields) {
            prop_assert_eq!(matches(&nested, &event), matches(&dotted(&fields), &event));
        }
    }

    #[test]
    fn a_dotted_event_is_the_nested_one(fields in fields(), event in event(true)) {
        // `"a": {"b": …, "c": …}` becomes `"a.b": …, "a.c": …`.
        let flat = event.map(&|members| {
            let split = |(name, value): (String, Json)| match value {
                Json::Object(inner) if !inner.is_empty() => {
                    inner.into_iter().map(|(below, value)| (format!("{name}.{below}"), value)).collect()
                }
                value => vec![(name, value)],
            };
            members.into_iter().flat_map(split).collect()
        });
        let pattern = dotted(&fields);
        prop_assert_eq!(matches(&pattern, &flat), matches(&pattern, &event), "{}", flat.text());
    }

    #[test]
    fn copies_of_a_key_are_one_array(fields in fields(), event in event(false)) {
        let gathered = event.map(&|members| {
            let mut kept: Vec<(String, Vec<Json>)> = Vec::new();
            for (name, value) in members {
                match kept.iter_mut().find(|(other, _)| *other == name) {
                    Some((_, values)) => values.push(value),
                    None => kept.push((name, vec![value])),
                }
            }
            let join = |(name, mut values): (String, Vec<Json>)| match values.len() {
                1 => (name, values.remove(0)),
                _ => (name, Json::List(values)),
            };
            kept.into_iter().map(join).collect()
        });
        let pattern = dotted(&fields);
        prop_assert_eq!(matches(&pattern, &gathered), matches(&pattern, &event), "{}", gathered.text());
    }

    #[test]
    fn order_and_one_element_arrays_change_nothing(fields in fields(), event in event(true)) {
        let turned = event.map(&|members| members.into_iter().rev().collect());
        let wrapped = event.map(&|members| {
            members.into_iter().map(|(name, value)| (name, Json::List(vec![value]))).collect()
        });
        let (pattern, mut back) = (dotted(&fields), fields.clone());
        back.reverse();
        let expected = matches(&pattern, &event);
        prop_assert_eq!(matches(&pattern, &turned), expected);
        prop_assert_eq!(matches(&pattern, &wrapped), expected);
        prop_assert_eq!(matches(&dotted(&back), &event), expected);
    }

    #[test]
    fn an_explanation_agrees_with_the_match(fields in fields(), event in event(false)) {
        let (pattern, event) = (dotted(&fields), Payload::new(event.text()).unwrap());
        let explanation = pattern.explain(&event);
        prop_assert_eq!(explanation.matched, pattern.matches(&event));
        let all = explanation.fields.iter().all(|field| field.satisfied);
        prop_assert_eq!(explanation.matched || explanation.apart, all);
        prop_assert_eq!(explanation.fields.len(), fields.len());
        prop_assert!(explanation.fields.iter().all(|field| field.by.is_some() == field.satisfied));
        prop_assert_eq!(&pattern.explain(&event), &explanation);
    }

    #[test]
    fn or_matches_where_one_of_its_objects_does(left in fields(), right in fields(), event in event(false)) {
        let (left, right) = (dotted(&left), dotted(&right));
        let either = Pattern::parse(&format!("{{\"$or\":[{left},{right}]}}")).unwrap();
        prop_assert_eq!(matches(&either, &event), matches(&left, &event) || matches(&right, &event));
    }

    #[test]
    fn numbers_compare_as_integers_do(a in any::<i64>(), b in any::<i64>(), zeros in 0_usize..4) {
        let event = Payload::new(format!("{{\"n\":{b}.{}}}", "0".repeat(zeros + 1))).unwrap();
        for (operator, expected) in [("=", a == b), ("<", b < a), ("<=", b <= a), (">", b > a), (">=", b >= a)] {
            let pattern = Pattern::parse(&format!("{{\"n\":[{{\"numeric\":[\"{operator}\",{a}]}}]}}")).unwrap();
            prop_assert_eq!(pattern.matches(&event), expected, "{} {} {}", b, operator, a);
        }
    }
}
