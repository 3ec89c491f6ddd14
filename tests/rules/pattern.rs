//! The event-pattern language by example: what matches, what is refused and where, and why.

use tipstaff::{
    MAX_ALTERNATIVES, MAX_JSON_DEPTH, MAX_PATTERN_BRANCHES, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH,
    MAX_PATTERN_FIELDS, MAX_PAYLOAD_BYTES, MAX_SEEN_BYTES, MAX_SEEN_VALUES, MAX_WILDCARDS, Pattern,
    PatternFault, Payload, PayloadFault, SyntaxFault,
};

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn payload(text: &str) -> Payload {
    Payload::new(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// The events that match, and those that do not.
fn check(text: &str, yes: &[&str], no: &[&str]) {
    let pattern = pattern(text);
    for event in yes {
        assert!(pattern.matches(&payload(event)), "{text} should match {event}");
    }
    for event in no {
        assert!(!pattern.matches(&payload(event)), "{text} should not match {event}");
    }
}

/// The same for values of the field `x`; `-` is an event without it.
fn check_values(list: &str, yes: &[&str], no: &[&str]) {
    let event = |value: &&str| if *value == "-" { "{}".to_owned() } else { format!("{{\"x\":{value}}}") };
    let (yes, no): (Vec<_>, Vec<_>) = (yes.iter().map(event).collect(), no.iter().map(event).collect());
    let text = |events: &[String]| events.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let (yes, no) = (text(&yes), text(&no));
    check(&format!("{{\"x\":{list}}}"), &lines(&yes), &lines(&no));
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn literals_match_their_value_and_no_other_kind() {
    check_values(r#"["a"]"#, &[r#""a""#, r#"["b","a"]"#, r#"[["b"],["a"]]"#], &[r#""A""#, "1", "-", "[]"]);
    check_values("[1]", &["1", "1.0", "1e0", "10E-1", "[2,1]"], &[r#""1""#, "true", "1.0000001"]);
    check_values("[true]", &["true"], &["false", r#""true""#, "1"]);
    check_values("[null]", &["null", "[null]"], &["-", r#""null""#, "[]", "0", r#""""#]);
    check_values(r#"[{"exactly":"a"}]"#, &[r#""a""#], &[r#""b""#]);
    check_values(r#"["192.0.2.1"]"#, &[r#""192.0.2.1""#], &[r#""::ffff:192.0.2.1""#]);
}

#[test]
fn numbers_are_exact_at_any_size() {
    check_values("[9007199254740993]", &["9007199254740993.0"], &["9007199254740992"]);
    check_values(
        r#"[{"numeric":["<=",0.1]}]"#,
        &["0.1", "-1e400", "1e-400"],
        &["0.10000000000000001", r#""0""#],
    );
    check_values(r#"[{"numeric":[">",-5,"<=",5]}]"#, &["5", "-4.999", "0"], &["-5", "5.0001", "-"]);
    check_values(r#"[{"numeric":[">=",1,"<=",1]}]"#, &["1.00"], &["1.01"]);
    check_values(r#"[{"numeric":["=",120]}]"#, &["1.2e2"], &["12"]);
    check_values(
        r#"[{"anything-but":9007199254740993}]"#,
        &["9007199254740992", "true"],
        &["9007199254740993e0"],
    );
}

#[test]
fn texts_by_their_ends_and_wildcards() {
    check_values(r#"[{"prefix":"ab"}]"#, &[r#""ab""#, r#""abc""#], &[r#""a""#, r#""Abc""#, "1"]);
    check_values(r#"[{"suffix":"ab"}]"#, &[r#""cab""#], &[r#""aba""#]);
    check_values(r#"[{"prefix":""}]"#, &[r#""""#, r#""a""#], &["1", "null"]);
    check_values(r#"[{"wildcard":"a*b*c"}]"#, &[r#""abc""#, r#""a-b-bc""#], &[r#""ac""#, r#""abcd""#]);
    check_values(r#"[{"wildcard":"*"}]"#, &[r#""""#, r#""a""#], &["1", "null", "-"]);
    check_values(r#"[{"wildcard":"aa*aa"}]"#, &[r#""aaaa""#], &[r#""aaa""#]);
    check_values(r#"[{"wildcard":"\\**\\\\"}]"#, &[r#""*x\\""#, r#""*\\""#], &[r#""x\\""#, r#""*x""#]);
}

#[test]
fn case_is_ignored_in_all_of_unicode() {
    check_values(
        r#"[{"equals-ignore-case":"Straße"}]"#,
        &[r#""STRASSE""#, r#""strasse""#, r#""STRAẞE""#, r#""ſtraße""#],
        &[r#""Strase""#],
    );
    check_values(r#"[{"equals-ignore-case":"ΟΔΟΣ"}]"#, &[r#""οδος""#, r#""οδοσ""#], &[r#""οδο""#]);
    check_values(r#"[{"prefix":{"equals-ignore-case":"ÄB"}}]"#, &[r#""äbc""#], &[r#""aBc""#]);
    check_values(r#"[{"suffix":{"equals-ignore-case":".EXE"}}]"#, &[r#""a.eXe""#], &[r#"".exe1""#]);
}

#[test]
fn anything_but_takes_any_other_value() {
    check_values(
        r#"[{"anything-but":["a","b"]}]"#,
        &[r#""c""#, "1", "null", "true", r#"["a","c"]"#],
        &[r#""a""#, "-", "[]", "{}", r#"["a","b"]"#],
    );
    check_values(r#"[{"anything-but":{"prefix":["a","b"]}}]"#, &[r#""ca""#, "1"], &[r#""ab""#, r#""b""#]);
    check_values(r#"[{"anything-but":{"suffix":"a"}}]"#, &[r#""ab""#], &[r#""ba""#]);
    check_values(r#"[{"anything-but":{"equals-ignore-case":"ß"}}]"#, &[r#""s""#], &[r#""SS""#]);
    check_values(r#"[{"anything-but":{"wildcard":["*a*","b*"]}}]"#, &[r#""cb""#], &[r#""cac""#, r#""b""#]);
}

#[test]
fn networks_of_both_families() {
    check_values(
        r#"[{"cidr":"10.1.2.3/8"}]"#,
        &[r#""10.0.0.0""#, r#""10.255.255.255""#, r#""::ffff:10.9.9.9""#, r#""::ffff:a09:909""#],
        &[r#""11.0.0.0""#, r#""::a09:909""#, r#""10.1""#, r#""10.0.0.1 ""#, "10", r#""""#],
    );
    check_values(
        r#"[{"cidr":"2001:db8::/32"}]"#,
        &[r#""2001:DB8:1::""#],
        &[r#""2001:db9::""#, r#""32.1.13.184""#],
    );
    check_values(r#"[{"cidr":"192.0.2.1/32"}]"#, &[r#""192.0.2.1""#], &[r#""192.0.2.0""#]);
    check_values(r#"[{"cidr":"::1/128"}]"#, &[r#""0:0:0:0:0:0:0:1""#], &[r#""::2""#]);
    check_values(r#"[{"cidr":"0.0.0.0/0"}]"#, &[r#""203.0.113.9""#], &[r#""::1""#]);
    check_values(r#"[{"cidr":"::/0"}]"#, &[r#""::1""#], &[r#""203.0.113.9""#]);
    check_values(r#"[{"cidr":"::ffff:0:0/96"}]"#, &[r#""10.1.1.1""#], &[r#""::1""#]);
    check_values(r#"[{"cidr":"::ffff:0:0/95"}]"#, &[r#""::fffe:0:1""#], &[r#""10.1.1.1""#]);
    check_values(r#"[{"cidr":"::ffff:10.0.0.0/104"}]"#, &[r#""10.1.1.1""#], &[r#""11.1.1.1""#]);
}

#[test]
fn existence_is_about_values() {
    check_values(r#"[{"exists":true}]"#, &["null", r#""""#, "[[0]]"], &["-", "[]", "{}", r#"{"y":1}"#]);
    check_values(r#"[{"exists":false}]"#, &["-", "[]", "{}", r#"{"y":1}"#, r#"[{"y":1}]"#], &["null", "[1]"]);
    check_values(r#"["a",{"exists":false}]"#, &["-", r#""a""#, r#"["b","a"]"#], &[r#""b""#]);
    // Nothing is picked, so all elements count; where one is picked, it alone does.
    check(
        r#"{"x":{"y":[{"exists":false}]}}"#,
        &["{}", r#"{"x":[{"z":1},{}]}"#, r#"{"x":[{"y":[]},{"y":{}}]}"#],
        &[r#"{"x":[{"y":1},{"z":1}]}"#, r#"{"x":[{"y":[]},{"y":1}]}"#, r#"{"x":[[{"y":[{}]}],{"y":1}]}"#],
    );
    for order in [r#"{"x":{"y":[{"exists":false}],"z":[1]}}"#, r#"{"x":{"z":[1],"y":[{"exists":false}]}}"#] {
        check(order, &[r#"{"x":[{"y":1},{"z":1}]}"#], &[r#"{"x":[{"y":1,"z":1},{"z":2}]}"#]);
    }
}

#[test]
fn elements_of_one_array_object_stay_together() {
    let both = r#"{"a":{"x":[1],"y":[2]}}"#;
    check(
        both,
        &[r#"{"a":[{"x":1,"y":2}]}"#, r#"{"a":[[{"x":3}],[{"x":[0,1],"y":2}]]}"#],
        &[r#"{"a":[{"x":1},{"y":2}]}"#, r#"{"a":[{"x":1,"y":3},{"x":4,"y":2}]}"#],
    );
    check(
        r#"{"a":{"b":{"x":[1]},"y":[2]}}"#,
        &[r#"{"a":[{"b":[{"x":2},{"x":1}],"y":2}]}"#],
        &[r#"{"a":[{"b":[{"x":1}],"y":3},{"b":{"x":2},"y":2}]}"#],
    );
    // Arrays that do not hold one another are free of one another.
    check(r#"{"a":{"x":[1]},"b":{"x":[2]}}"#, &[r#"{"a":[{},{"x":1}],"b":[{"x":2},{}]}"#], &[]);
    // A value that stands in an array itself is free; one in another inner array is not.
    let value_and_field = r#"{"a":[1],"a.x":[2]}"#;
    check(
        value_and_field,
        &[r#"{"a":[1,{"x":2}]}"#, r#"{"a":[[1,{"x":2}],[3]]}"#],
        &[r#"{"a":[[1],[{"x":2}]]}"#, r#"{"a":[{"x":2}]}"#],
    );
}

#[test]
fn dotted_names_are_paths() {
    for text in [r#"{"a.b":[1],"a.c":[2]}"#, r#"{"a":{"b":[1]},"a.c":[2]}"#, r#"{"a":{"b":[1],"c":[2]}}"#] {
        check(
            text,
            &[
                r#"{"a":{"b":1,"c":2}}"#,
                r#"{"a.b":1,"a.c":2}"#,
                r#"{"a":{"b":1},"a.c":2}"#,
                r#"{"a":[{"b":1,"c":2}]}"#,
            ],
            &[r#"{"a.b":1}"#, r#"{"a":1,"a.b":1}"#, r#"{"a.b.c":1,"a.c":2}"#],
        );
    }
    check(r#"{"a.":[1]}"#, &[r#"{"a":{"":1}}"#, r#"{"a.":1}"#], &[r#"{"a":1}"#]);
}

#[test]
fn copies_of_a_key_are_elements_of_one_array() {
    check(r#"{"x":["a"]}"#, &[r#"{"x":"a","x":"b"}"#, r#"{"x":"b","x":"a"}"#], &[r#"{"x":"b","x":"c"}"#]);
    check(r#"{"a":{"x":[1],"y":[2]}}"#, &[r#"{"a":{"x":1,"y":2},"a":0}"#], &[r#"{"a":{"x":1},"a":{"y":2}}"#]);
    check(r#"{"x":[{"exists":false}]}"#, &[], &[r#"{"x":{},"x":1}"#]);
}

#[test]
fn or_needs_one_of_its_objects() {
    check(
        r#"{"s":["k"],"$or":[{"a":[1],"b":[2]},{"c":[3]}]}"#,
        &[r#"{"s":"k","a":1,"b":2}"#, r#"{"s":"k","c":3}"#],
        &[r#"{"s":"k","a":1}"#, r#"{"c":3}"#],
    );
    check(
        r#"{"d":{"$or":[{"x":[1]},{"$or":[{"y":[2]},{"z":[3]}]}]}}"#,
        &[r#"{"d":{"x":1}}"#, r#"{"d":{"y":2}}"#, r#"{"d.z":3}"#],
        &[r#"{"x":1}"#, "{}"],
    );
    // Together with the fields outside it, in one array element.
    check(
        r#"{"d":{"k":[1]},"$or":[{"d":{"x":[2]}},{"d":{"y":[3]}}]}"#,
        &[r#"{"d":[{"k":1,"y":3}]}"#],
        &[r#"{"d":[{"k":1},{"x":2,"y":3}]}"#],
    );
    // Only inside `$or` are operators' names reserved.
    check(r#"{"prefix":["a"],"$or":[{"b":[1]},{"c":[1]}]}"#, &[r#"{"prefix":"a","b":1}"#], &[r#"{"b":1}"#]);
    // The same field outside and inside: both lists.
    let both = r#"{"n":[{"prefix":"a"}],"$or":[{"n":[{"suffix":"z"}]},{"m":[1]}]}"#;
    check(both, &[r#"{"n":"az"}"#, r#"{"n":"a","m":1}"#], &[r#"{"n":"bz"}"#, r#"{"n":"a"}"#]);
}

/// The refusals of a pattern: pointer, offset, fault.
fn refusals(text: &str) -> Vec<(String, usize, PatternFault)> {
    let errors = Pattern::parse(text).expect_err(text);
    errors.into_iter().map(|e| (e.pointer, e.offset, e.fault)).collect()
}

#[test]
fn every_refusal_names_its_place_and_what_would_be_accepted() {
    let cases: &[(&str, &str, usize, &str)] = &[
        ("[1]", "", 0, "expected an object of fields"),
        ("{", "", 1, "the text ends inside a value"),
        (r#"{"a":[1]} x"#, "", 10, "text after the value's end"),
        ("{\"a\":[\"\t\"]}", "", 7, "unescaped control character"),
        ("{}", "", 0, "name at least one"),
        (r#"{"a":{}}"#, "/a", 5, "name at least one"),
        (r#"{"a":"x"}"#, "/a", 5, "expected a list of alternatives such as"),
        (r#"{"a":[]}"#, "/a", 5, "an empty list can never match"),
        (r#"{"a":[1],"a":[2]}"#, "/a", 9, "the key `a` is repeated"),
        (r#"{"a":{"b":[1]},"a.b":[2]}"#, "/a.b", 15, "the field `a.b` is named twice"),
        (r#"{"a":[[1]]}"#, "/a/0", 6, "expected a text, a number"),
        (r#"{"a":[{}]}"#, "/a/0", 6, "expected exactly one operator in an object, found 0"),
        (r#"{"a":[{"prefix":"x","suffix":"y"}]}"#, "/a/0", 6, "found 2"),
        (r#"{"a/b~":[{"near":1}]}"#, "/a~1b~0/0/near", 10, "no operator `near` here; accepted: `exactly`"),
        (r#"{"a":[{"exactly":1}]}"#, "/a/0/exactly", 17, "`exactly` takes a text, found a number"),
        (r#"{"a":[{"prefix":1}]}"#, "/a/0/prefix", 16, "`prefix` takes a text, or an object"),
        (r#"{"a":[{"suffix":{"x":1}}]}"#, "/a/0/suffix", 17, "accepted: `equals-ignore-case`"),
        (r#"{"a":[{"suffix":{}}]}"#, "/a/0/suffix", 16, "exactly one operator"),
        (r#"{"a":[{"equals-ignore-case":null}]}"#, "/a/0/equals-ignore-case", 28, "takes a text, found null"),
        (r#"{"a":[{"exists":1}]}"#, "/a/0/exists", 16, "`exists` takes `true` or `false`"),
        (
            r#"{"a":[{"anything-but":true}]}"#,
            "/a/0/anything-but",
            22,
            "`anything-but` takes a text, a number",
        ),
        (r#"{"a":[{"anything-but":["x",1]}]}"#, "/a/0/anything-but", 22, "texts or numbers, not both"),
        (r#"{"a":[{"anything-but":[]}]}"#, "/a/0/anything-but", 22, "an empty list"),
        (r#"{"a":[{"anything-but":{}}]}"#, "/a/0/anything-but", 22, "exactly one operator"),
        (r#"{"a":[{"anything-but":{"prefix":""}}]}"#, "/a/0/anything-but", 32, "an empty `prefix`"),
        (r#"{"a":[{"anything-but":{"suffix":[]}}]}"#, "/a/0/anything-but", 32, "an empty list"),
        (r#"{"a":[{"anything-but":{"cidr":"::/0"}}]}"#, "/a/0/anything-but", 23, "no operator `cidr` here"),
        (r#"{"a":[{"numeric":5}]}"#, "/a/0/numeric", 17, "`numeric` takes a list"),
        (r#"{"a":[{"numeric":[]}]}"#, "/a/0/numeric", 17, "`numeric` takes [\"=\", 5]"),
        (r#"{"a":[{"numeric":["<>",5]}]}"#, "/a/0/numeric", 18, "`numeric` takes [\"=\", 5]"),
        (r#"{"a":[{"numeric":["<","5"]}]}"#, "/a/0/numeric", 22, "`numeric` takes [\"=\", 5]"),
        (r#"{"a":[{"numeric":[5,5]}]}"#, "/a/0/numeric", 18, "`numeric` takes [\"=\", 5]"),
        (r#"{"a":[{"numeric":["<",5,">",1]}]}"#, "/a/0/numeric", 24, "the lower one first"),
        (r#"{"a":[{"numeric":[">",5,"<",5]}]}"#, "/a/0/numeric", 17, "no number lies in this range"),
        (r#"{"a":[{"numeric":[">=",5,"<",5]}]}"#, "/a/0/numeric", 17, "no number lies in this range"),
        (r#"{"a":[{"numeric":[">=",5,"<=",4]}]}"#, "/a/0/numeric", 17, "no number lies in this range"),
        (r#"{"a":[1e9999999999999999]}"#, "/a/0", 6, "exponent of at most 15 digits"),
        (r#"{"a":[{"cidr":"10.0.0.0/33"}]}"#, "/a/0/cidr", 14, "`10.0.0.0/33` is no network"),
        (r#"{"a":[{"cidr":"10.0.0.0/+8"}]}"#, "/a/0/cidr", 14, "is no network; accepted: an address"),
        (r#"{"a":[{"wildcard":"x\\y"}]}"#, "/a/0/wildcard", 18, "a `\\` at byte 1 of the wildcard"),
        (r#"{"a":[{"wildcard":"x**"}]}"#, "/a/0/wildcard", 18, "two `*` side by side at byte 1"),
        (r#"{"$or":{"a":[1]}}"#, "/$or", 7, "a list of at least two objects of fields, found an object"),
        (r#"{"$or":[{"a":[1]}]}"#, "/$or", 7, "found a list of 1"),
        (r#"{"$or":[{"a":[1]},5]}"#, "/$or/1", 18, "found a number in it"),
        (
            r#"{"$or":[{"prefix":["a"]},{"b":[1]}]}"#,
            "/$or/0/prefix",
            9,
            "`prefix` cannot name a field inside `$or`",
        ),
    ];
    for (text, pointer, offset, message) in cases {
        let errors = Pattern::parse(text).expect_err(text);
        let [error] = errors.iter().as_slice() else { panic!("{text}: {errors}") };
        assert_eq!((error.pointer.as_str(), error.offset), (*pointer, *offset), "{text}: {error}");
        assert!(error.to_string().contains(message), "{text}: {error}");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_text() {
    let text = r#"{"a":[],"a":[{"near":1},[2]],"$or":[{"b":7},{"numeric":[3]}],"c":{"d":[{"cidr":"x"}]}}"#;
    let places: Vec<_> = refusals(text).into_iter().map(|(pointer, _, _)| pointer).collect();
    assert_eq!(places, ["/a", "/a", "/a/0/near", "/a/1", "/$or/0/b", "/$or/1/numeric", "/c/d/0/cidr"]);
    let errors = Pattern::parse(text).unwrap_err();
    assert_eq!(errors.to_string().lines().count(), places.len());
}

/// Accepted at the limit, refused beyond it, with the limit named.
fn limit(limit: usize, text: impl Fn(usize) -> String, fault: impl Fn(usize) -> PatternFault) {
    let at = text(limit);
    assert!(Pattern::parse(&at).is_ok(), "{:?}", Pattern::parse(&at));
    let [(_, _, found)] = refusals(&text(limit + 1)).try_into().expect("one fault");
    assert_eq!(found, fault(limit + 1));
    assert!(found.to_string().contains(&format!("at most {limit} ")), "{found}");
}

#[test]
fn limits_are_as_stated() {
    let list = |n: usize| vec!["1"; n].join(",");
    limit(MAX_PATTERN_BYTES, |n| format!(r#"{{"a":["{}"]}}"#, "x".repeat(n - 10)), PatternFault::TooLong);
    limit(MAX_PATTERN_DEPTH, |n| format!(r#"{{"{}":[1]}}"#, vec!["a"; n].join(".")), PatternFault::TooDeep);
    limit(MAX_ALTERNATIVES, |n| format!(r#"{{"a":[{}]}}"#, list(n)), PatternFault::TooManyAlternatives);
    limit(
        MAX_ALTERNATIVES,
        |n| format!(r#"{{"a":[{{"anything-but":[{}]}}]}}"#, list(n)),
        PatternFault::TooManyAlternatives,
    );
    limit(
        MAX_WILDCARDS,
        |n| format!(r#"{{"a":[{{"wildcard":"{}"}}]}}"#, "*x".repeat(n)),
        PatternFault::TooManyWildcards,
    );
    let fields = |n: usize| (0..n).map(|i| format!(r#""f{i}":[1]"#)).collect::<Vec<_>>().join(",");
    limit(MAX_PATTERN_FIELDS, |n| format!("{{{}}}", fields(n)), |n| PatternFault::TooManyFields(n as u64));
    let or = |n: usize| format!(r#""$or":[{}]"#, vec![r#"{"a":[1]}"#; n].join(","));
    limit(MAX_PATTERN_BRANCHES, |n| format!("{{{}}}", or(n)), |n| PatternFault::TooManyBranches(n as u64));
    // A field outside `$or` counts once a branch, and `$or`s multiply.
    let both = |n: usize| format!(r#"{{{},"x":{{{}}}}}"#, or(64), or(n));
    assert_eq!(refusals(&both(17))[0].2, PatternFault::TooManyBranches(64 * 17));
    let text = format!("{{{},{}}}", fields(8), or(500));
    assert_eq!(refusals(&text)[0].2, PatternFault::TooManyFields(500 * 9));
    let nested = (0..60).fold(r#"{"a":[1]}"#.to_owned(), |inner, _| {
        format!(r#"{{"$or":[{{"a":[1]}},{{"b":[1]}}],"x":{inner}}}"#)
    });
    assert_eq!(refusals(&nested)[0].2, PatternFault::TooManyBranches(1 << 60));
    let deep = "[".repeat(MAX_JSON_DEPTH + 1);
    assert_eq!(refusals(&deep)[0].2, PatternFault::Syntax(SyntaxFault::TooDeep));
}

#[test]
fn a_payload_is_checked_once_and_a_refusal_gives_it_back() {
    let big = |n: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(n - 8));
    assert!(Payload::new(big(MAX_PAYLOAD_BYTES)).is_ok());
    let cases = [
        (big(MAX_PAYLOAD_BYTES + 1), MAX_PAYLOAD_BYTES, "1048577 bytes; at most 1048576 are accepted"),
        ("{\"a\":\n tru}".to_owned(), 10, "offset 10 (line 2, column 5): expected `true`"),
        (" [1]".to_owned(), 1, "expected a JSON object at offset 1, found an array"),
        (r#"{"a":1}}"#.to_owned(), 7, "text after the value's end"),
        (String::new(), 0, "the text ends"),
        (format!(r#"{{"a":[{}]}}"#, "9".repeat(1_101)), 6, "the number at offset 6 is too long"),
        (r#"{"a":{"b":1e9999999999999999}}"#.to_owned(), 10, "the number at offset 10"),
    ];
    for (text, offset, message) in cases {
        let error = Payload::new(text.clone()).unwrap_err();
        assert_eq!(error.offset(), offset);
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.into_text(), text);
    }
    let fault = Payload::new("7").unwrap_err().fault().clone();
    assert_eq!(fault, PayloadFault::NotAnObject { offset: 0, found: "a number" });
}

#[test]
fn a_payload_is_a_text_to_serde_and_comes_from_values() {
    let text = r#"{"a": 1.0, "a": 2}"#;
    let json = serde_json::to_string(&payload(text)).unwrap();
    assert_eq!(json, serde_json::to_string(text).unwrap());
    assert_eq!(serde_json::from_str::<Payload>(&json).unwrap(), payload(text));
    assert!(serde_json::from_str::<Payload>(r#""[]""#).is_err());
    let value = serde_json::json!({"b": [1, null]});
    assert_eq!(Payload::try_from(value.clone()).unwrap().to_string(), r#"{"b":[1,null]}"#);
    assert_eq!(Payload::try_from(value.as_object().unwrap().clone()).unwrap().text(), r#"{"b":[1,null]}"#);
    assert!(Payload::try_from(serde_json::json!([1])).is_err());
}

#[test]
fn a_pattern_keeps_its_source_compact() {
    let text = "{ \"a\": [ \"\\u0062\", 1.0 ],\n \"c.d\": [ {\"exists\": false} ] }";
    let pattern = pattern(text);
    assert_eq!(pattern.text(), r#"{"a":["b",1.0],"c.d":[{"exists":false}]}"#);
    assert_eq!(pattern, pattern.text().parse().unwrap());
    assert_eq!(pattern.to_string(), pattern.text());
    assert_ne!(pattern, r#"{"a":["b",1]}"#.parse().unwrap());
    assert!(format!("{pattern:?}").starts_with("Pattern("));
}

#[test]
fn an_explanation_says_why_and_why_not() {
    let rule = pattern(
        r#"{"state":["on",{"prefix":"un"}],"user":{"name":[{"exists":true}],"mfa":[{"exists":false}]}}"#,
    );
    let event = payload(r#"{"state":["idle","unset"],"user":[{"mfa":1},{"name":"ann"}]}"#);
    let expected = "matches\
        \n  + `state` is \"idle\", \"unset\": satisfies {\"prefix\":\"un\"}\
        \n  + `user.name` is \"ann\": satisfies {\"exists\":true}\
        \n  + `user.mfa` is 1: satisfies {\"exists\":false}";
    assert_eq!(rule.explain(&event).to_string(), expected);

    let event = payload(r#"{"state":"off","user.name":"ann"}"#);
    let explanation = rule.explain(&event);
    let expected = "does not match\
        \n  - `state` is \"off\": wanted one of [\"on\",{\"prefix\":\"un\"}]\
        \n  + `user.name` is \"ann\": satisfies {\"exists\":true}\
        \n  + `user.mfa` has no value: satisfies {\"exists\":false}";
    assert_eq!(explanation.to_string(), expected);
    let pointers: Vec<_> = explanation.fields.iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/state", "/user/name", "/user/mfa"]);

    let together = pattern(r#"{"a":{"x":[1],"y":[2]}}"#);
    let explanation = together.explain(&payload(r#"{"a":[{"x":1},{"y":2}]}"#));
    assert!(explanation.apart && !explanation.matched);
    assert!(explanation.to_string().ends_with("not by one and the same array element"));
    assert!(!together.explain(&payload("{}")).apart);

    let either = pattern(r#"{"$or":[{"a":[1]},{"b":[2]}]}"#);
    let explanation = either.explain(&payload(r#"{"b":2}"#));
    assert!(explanation.to_string().starts_with("matches (one of 2 branches of `$or` suffices)"));
    assert_eq!(explanation.fields.iter().map(|f| f.satisfied).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn evidence_is_what_the_event_has_within_stated_sizes() {
    let rule = pattern(r#"{"b":[1],"a":{"x":[1]},"$or":[{"b":[2]},{"c":[3]}]}"#);
    let values: Vec<String> = (0..MAX_SEEN_VALUES + 3).map(|i| i.to_string()).collect();
    let long = "ü".repeat(MAX_SEEN_BYTES);
    let event = payload(&format!(r#"{{"a":[{{"x":"{long}"}}],"a.x":null,"b":[{}]}}"#, values.join(",")));
    let evidence = rule.evidence(&event);
    let paths: Vec<_> = evidence.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths, ["b", "a.x", "c"]);
    assert_eq!((evidence[0].values.len(), evidence[0].more), (MAX_SEEN_VALUES, 3));
    assert_eq!(evidence[0].values[..3], ["0", "1", "2"]);
    assert_eq!(evidence[1].values.len(), 2);
    let cut = &evidence[1].values[0];
    assert!(cut.len() <= MAX_SEEN_BYTES && cut.len() > MAX_SEEN_BYTES - 4 && cut.ends_with('…'), "{cut}");
    assert_eq!((evidence[2].values.len(), evidence[2].more), (0, 0));
    assert!(evidence[0].to_string().ends_with(" and 3 more"));
}
