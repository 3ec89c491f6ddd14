//! Reads one alternative of a field's list: a literal, or an object that names an operator.

use super::address::{Network, address};
use super::alternative::Test;
use super::choice::Choice;
use super::error::PatternFault;
use super::number::{End, Number, Range, Reading};
use super::read::Reader;
use super::text::{Folded, TextTest, Wildcard, WildcardFault};
use super::{MAX_ALTERNATIVES, MAX_WILDCARDS};
use crate::decimal::{Decimal, DecimalError};
use crate::json::{Member, Node, Value};

const OPERATORS: &str = "`exactly`, `prefix`, `suffix`, `equals-ignore-case`, `wildcard`, `anything-but`, \
                         `numeric`, `cidr`, `exists`";
const UNWANTED: &str = "`prefix`, `suffix`, `equals-ignore-case`, `wildcard`";

/// A fault, and the offset of its place.
type Fault = (usize, PatternFault);

impl Reader {
    /// Reads one member of a field's list; faults are noted, at the places where they stand.
    pub(super) fn alternative(&mut self, node: &Node<'_>) -> Option<Test> {
        let test = match &node.value {
            Value::Null => Ok(Test::Null),
            Value::Bool(wanted) => Ok(Test::Bool(*wanted)),
            Value::Number(text) => {
                self.number(node, text, false).map(|number| Test::Number(Box::new(number)))
            }
            Value::Text(text) => Ok(Test::Text(self.literal(text))),
            Value::Array(_) => Err((node.at, PatternFault::NotAnAlternative { found: node.kind() })),
            Value::Object(members) => match members.as_slice() {
                [member] => {
                    let back = self.enter(&member.name);
                    let test = self.operator(member);
                    if let Err((at, fault)) = test {
                        self.fault(at, fault);
                        self.leave(back);
                        return None;
                    }
                    self.leave(back);
                    test
                }
                members => Err((node.at, PatternFault::OneOperator(members.len()))),
            },
        };
        match test {
            Ok(test) => Some(test),
            Err((at, fault)) => {
                self.fault(at, fault);
                None
            }
        }
    }

    fn operator(&self, member: &Member<'_>) -> Result<Test, Fault> {
        let node = &member.node;
        match &*member.name {
            "exactly" => text("exactly", node).map(|text| Test::Text(TextTest::Equals(text.into()))),
            "equals-ignore-case" => ignore_case("equals-ignore-case", node)
                .map(|folded| Test::Text(TextTest::EqualsIgnoreCase(folded))),
            "prefix" => affix("prefix", node, TextTest::Prefix, TextTest::PrefixIgnoreCase),
            "suffix" => affix("suffix", node, TextTest::Suffix, TextTest::SuffixIgnoreCase),
            "wildcard" => wildcard(node).map(Test::Text),
            "anything-but" => self.anything_but(node),
            "numeric" => self.numeric(node).map(|range| Test::Numeric(Box::new(range))),
            "exists" => match node.value {
                Value::Bool(true) => Ok(Test::Exists),
                Value::Bool(false) => Ok(Test::Absent),
                _ => Err(operand("exists", "`true` or `false`", node)),
            },
            "cidr" => self.network(node).map(Test::Network),
            name => Err(unknown(member.at, name, OPERATORS)),
        }
    }

    fn literal(&self, text: &str) -> TextTest {
        match address(text) {
            Some(address) if self.peer_has(Choice::Addresses) => TextTest::Address(Box::new(address)),
            _ => TextTest::Equals(text.into()),
        }
    }

    /// `compared`: the number must have a value, since it is an end of a range or excluded.
    fn number(&self, node: &Node<'_>, text: &str, compared: bool) -> Result<Number, Fault> {
        let reading = if self.peer_has(Choice::Numbers) { Reading::Doubles } else { Reading::Exact };
        let number = Number::new(text, reading);
        let held = text.parse::<Decimal>().is_ok() && (number.has_value() || !compared);
        held.then_some(number).ok_or((node.at, PatternFault::Number(DecimalError)))
    }

    fn network(&self, node: &Node<'_>) -> Result<Network, Fault> {
        let text = text("cidr", node)?;
        Network::new(text)
            .filter(|network| !(network.is_point() && self.peer_has(Choice::Points)))
            .ok_or_else(|| (node.at, PatternFault::Network(text.to_owned())))
    }

    fn numeric(&self, node: &Node<'_>) -> Result<Range, Fault> {
        let Value::Array(items) = &node.value else {
            return Err(operand("numeric", "a list such as [\">=\", 0, \"<\", 5]", node));
        };
        let condition = |operator: &Node<'_>, number: &Node<'_>| match (&operator.value, &number.value) {
            (Value::Text(operator), Value::Number(text)) => {
                Ok((operator.to_string(), self.number(number, text, true)?))
            }
            (Value::Text(_), _) => Err((number.at, PatternFault::Numeric)),
            _ => Err((operator.at, PatternFault::Numeric)),
        };
        let end = |number: Number, inclusive| Some(End { number, inclusive });
        let first = match items.as_slice() {
            [operator, number] | [operator, number, _, _] => condition(operator, number)?,
            _ => return Err((node.at, PatternFault::Numeric)),
        };
        let mut range = match first {
            (operator, number) if operator == "=" => {
                Range { low: end(number.clone(), true), high: end(number, true) }
            }
            (operator, number) if operator == ">" || operator == ">=" => {
                Range { low: end(number, operator == ">="), high: None }
            }
            (operator, number) if operator == "<" || operator == "<=" => {
                Range { low: None, high: end(number, operator == "<=") }
            }
            _ => return Err((items[0].at, PatternFault::Numeric)),
        };
        if let [_, _, operator, number] = items.as_slice() {
            let (text, number) = condition(operator, number)?;
            if range.high.is_some() || !(text == "<" || text == "<=") {
                return Err((operator.at, PatternFault::Numeric));
            }
            range.high = end(number, text == "<=");
            if range.is_empty() || (range.is_point() && self.peer_has(Choice::Points)) {
                return Err((node.at, PatternFault::EmptyRange));
            }
        }
        Ok(range)
    }

    fn anything_but(&self, node: &Node<'_>) -> Result<Test, Fault> {
        const ACCEPTED: &str =
            "a text, a number, a list of texts or of numbers, or an object with an operator";
        if let Value::Object(members) = &node.value {
            let [member] = members.as_slice() else {
                return Err((node.at, PatternFault::OneOperator(members.len())));
            };
            return self.unwanted(member).map(|texts| Test::ButTexts(texts.into()));
        }
        let items = self.one_or_many(node)?;
        let (mut texts, mut numbers) = (Vec::new(), Vec::new());
        for item in items {
            match &item.value {
                Value::Text(text) => texts.push(TextTest::Equals(text.as_ref().into())),
                Value::Number(text) => numbers.push(self.number(item, text, true)?),
                _ => return Err(operand("anything-but", ACCEPTED, item)),
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (false, false) => Err((node.at, PatternFault::Mixed)),
            (_, true) => Ok(Test::ButTexts(texts.into())),
            (true, false) => Ok(Test::ButNumbers(numbers.into())),
        }
    }

    /// The operator inside `anything-but`, with one text or a list.
    fn unwanted(&self, member: &Member<'_>) -> Result<Vec<TextTest>, Fault> {
        let read: fn(&Node<'_>) -> Result<TextTest, Fault> = match &*member.name {
            "prefix" => |node| some_text("prefix", node).map(|text| TextTest::Prefix(text.into())),
            "suffix" => |node| some_text("suffix", node).map(|text| TextTest::Suffix(text.into())),
            "equals-ignore-case" => {
                |node| ignore_case("equals-ignore-case", node).map(TextTest::EqualsIgnoreCase)
            }
            "wildcard" => wildcard,
            name => return Err(unknown(member.at, name, UNWANTED)),
        };
        self.one_or_many(&member.node)?.iter().map(read).collect()
    }

    fn one_or_many<'n, 'a>(&self, node: &'n Node<'a>) -> Result<&'n [Node<'a>], Fault> {
        match &node.value {
            Value::Array(items) if items.is_empty() && !self.peer_has(Choice::EmptyLists) => {
                Err((node.at, PatternFault::EmptyList))
            }
            Value::Array(items) if items.len() > MAX_ALTERNATIVES => {
                Err((node.at, PatternFault::TooManyAlternatives(items.len())))
            }
            Value::Array(items) => Ok(items),
            _ => Ok(std::slice::from_ref(node)),
        }
    }
}

fn operand(operator: &'static str, accepted: &'static str, node: &Node<'_>) -> Fault {
    (node.at, PatternFault::Operand { operator, accepted, found: node.kind() })
}

fn unknown(at: usize, name: &str, accepted: &'static str) -> Fault {
    (at, PatternFault::UnknownOperator { name: name.to_owned(), accepted })
}

fn text<'n>(operator: &'static str, node: &'n Node<'_>) -> Result<&'n str, Fault> {
    match &node.value {
        Value::Text(text) => Ok(text),
        _ => Err(operand(operator, "a text", node)),
    }
}

fn some_text<'n>(operator: &'static str, node: &'n Node<'_>) -> Result<&'n str, Fault> {
    match text(operator, node)? {
        "" => Err((node.at, PatternFault::EmptyAffix(operator))),
        text => Ok(text),
    }
}

fn ignore_case(operator: &'static str, node: &Node<'_>) -> Result<Folded, Fault> {
    text(operator, node).map(Folded::new)
}

/// `{"prefix": "a"}` or `{"prefix": {"equals-ignore-case": "a"}}`.
fn affix(
    operator: &'static str,
    node: &Node<'_>,
    exact: fn(Box<str>) -> TextTest,
    folded: fn(Folded) -> TextTest,
) -> Result<Test, Fault> {
    let test = match &node.value {
        Value::Text(text) => exact(text.as_ref().into()),
        Value::Object(members) => match members.as_slice() {
            [member] if member.name == "equals-ignore-case" => {
                folded(ignore_case("equals-ignore-case", &member.node)?)
            }
            [member] => return Err(unknown(member.at, &member.name, "`equals-ignore-case`")),
            members => return Err((node.at, PatternFault::OneOperator(members.len()))),
        },
        _ => return Err(operand(operator, "a text, or an object with `equals-ignore-case`", node)),
    };
    Ok(Test::Text(test))
}

fn wildcard(node: &Node<'_>) -> Result<TextTest, Fault> {
    let wildcard = Wildcard::new(text("wildcard", node)?).map_err(|fault| match fault {
        WildcardFault::Escape(at) => (node.at, PatternFault::WildcardEscape(at)),
        WildcardFault::Adjacent(at) => (node.at, PatternFault::WildcardStars(at)),
    })?;
    match wildcard.stars() {
        stars if stars > MAX_WILDCARDS => Err((node.at, PatternFault::TooManyWildcards(stars))),
        _ => Ok(TextTest::Wildcard(wildcard)),
    }
}
