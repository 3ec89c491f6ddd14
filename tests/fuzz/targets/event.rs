//! Event bytes, whatever they are: the matcher finds in them what the interpreter finds, and says
//! of what is no JSON what the tree reader says.
#![no_main]

#[path = "compare.rs"]
mod compare;

use std::cell::RefCell;

use compare::Set;
use libfuzzer_sys::fuzz_target;

/// Every operator, at paths that share their beginnings.
fn rules() -> Vec<String> {
    let tests = [
        r#""x""#,
        r#""é\n""#,
        "7",
        "12345678901234567890.5",
        "null,true",
        r#"{"prefix":"ab"}"#,
        r#"{"suffix":"yz"}"#,
        r#"{"suffix":{"equals-ignore-case":"YZ"}}"#,
        r#"{"equals-ignore-case":"STRASSE"}"#,
        r#"{"wildcard":"a*b*c"}"#,
        r#"{"wildcard":"*b*"}"#,
        r#"{"anything-but":["x","y"]}"#,
        r#"{"anything-but":[1,2]}"#,
        r#"{"anything-but":{"wildcard":"*z*"}}"#,
        r#"{"numeric":[">",0.5,"<=",12345678901234567890123]}"#,
        r#"{"numeric":[">=",-1e3,"<",5]}"#,
        r#"{"cidr":"10.0.0.0/9"}"#,
        r#"{"cidr":"2001:db8::/32"}"#,
        r#"{"exists":true}"#,
        r#"{"exists":false}"#,
    ];
    let mut rules = Vec::new();
    for (i, one) in tests.iter().enumerate() {
        let other = tests[(i * 7 + 3) % tests.len()];
        rules.push(format!(r#"{{"a":[{one}]}}"#));
        rules.push(format!(r#"{{"a":["x"],"b":[{one}],"c":{{"a":[{other}]}}}}"#));
        rules.push(format!(r#"{{"c":{{"a":[{one}],"b":[{other}]}}}}"#));
        rules.push(format!(r#"{{"$or":[{{"b.a.c":[{one}]}},{{"d":[{other}],"a":[{one}]}}]}}"#));
    }
    rules
}

thread_local! {
    static SET: RefCell<Set> = RefCell::new(Set::new(
        rules().iter().map(|text| text.parse().expect("built from valid parts")).collect(),
    ));
}

fuzz_target!(|data: &[u8]| {
    SET.with_borrow_mut(|set| set.compare(data));
});
