//! Whether a value passes a list of alternatives: what the interpreter says, without allocating.

use std::cmp::Ordering;

use super::line;
use super::paths::Literal;
use super::values::Value;
use crate::json;
use crate::pattern::{Field, Number, Test, TextTest, fold};

/// Whether a value passes one of a field's alternatives.
pub(super) fn passes(field: &Field, value: Value<'_>) -> bool {
    field.alternatives.iter().any(|wanted| test(wanted, value))
}

/// Whether a literal passes one of a field's alternatives.
pub(super) fn literal_passes(field: &Field, literal: &Literal) -> bool {
    match literal {
        Literal::Null => passes(field, Value::Null),
        Literal::Bool(b) => passes(field, Value::Bool(*b)),
        Literal::Text(text) => passes(field, Value::Text(text, line::address(text.as_bytes()))),
        // No test asks for the text of a number whose place is its own.
        Literal::Number(place) => passes(field, Value::Number("", Some(*place))),
    }
}

fn test(test: &Test, value: Value<'_>) -> bool {
    match (test, value) {
        (Test::Absent, _) => false,
        (Test::Exists, _) => true,
        (Test::Null, value) => matches!(value, Value::Null),
        (Test::Bool(wanted), value) => matches!(value, Value::Bool(found) if found == *wanted),
        (Test::Text(wanted), value) => matches!(value, Value::Text(found, _) if text(wanted, found)),
        (Test::ButTexts(unwanted), Value::Text(found, _)) => !unwanted.iter().any(|test| text(test, found)),
        (Test::ButTexts(_), _) => true,
        (Test::Number(wanted), Value::Number(found, place)) => equals(wanted, found, place),
        (Test::ButNumbers(unwanted), Value::Number(found, place)) => {
            !unwanted.iter().any(|number| equals(number, found, place))
        }
        (Test::ButNumbers(_), _) => true,
        (Test::Numeric(range), Value::Number(found, place)) => match place {
            Some(place) => line::contains(range, found, place)
                .unwrap_or_else(|| test_as_tree(test, &json::Value::Number(found))),
            None => false,
        },
        (Test::Network(network), Value::Text(_, Some(place))) => {
            line::network(*network).iter().flatten().any(|(low, high)| (*low..=*high).contains(&place))
        }
        (Test::Number(_) | Test::Numeric(_) | Test::Network(_), _) => false,
    }
}

fn equals(wanted: &Number, found: &str, place: Option<u128>) -> bool {
    let Some(exact) = wanted.exact() else {
        return test_as_tree(&Test::Number(Box::new(wanted.clone())), &json::Value::Number(found));
    };
    match (place, line::number(exact.as_bytes())) {
        (Some(place), Some(other)) => line::compare((found, place), (exact, other)) == Ordering::Equal,
        _ => false,
    }
}

/// What the interpreter says, for the readings of numbers that only tools ask for.
fn test_as_tree(test: &Test, value: &json::Value<'_>) -> bool {
    test.passes(value)
}

fn text(test: &TextTest, found: &str) -> bool {
    match test {
        TextTest::EqualsIgnoreCase(wanted) => fold(found).eq(wanted.text().chars()),
        TextTest::PrefixIgnoreCase(wanted) => begins(fold(found), wanted.text().chars()),
        TextTest::SuffixIgnoreCase(wanted) => begins(fold(found).rev(), wanted.text().chars().rev()),
        test => test.passes(found),
    }
}

fn begins(mut found: impl Iterator<Item = char>, mut wanted: impl Iterator<Item = char>) -> bool {
    wanted.all(|c| found.next() == Some(c))
}
