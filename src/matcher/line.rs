//! Numbers and addresses as places on a line of integers: comparing places compares values.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::decimal::{MAX_DECIMAL_BYTES, MAX_DECIMAL_DIGITS, MAX_EXPONENT};
use crate::pattern::{End, Network, Range};

/// How many leading digits of a number a place holds.
const DIGITS: usize = 19;

/// The place of zero; positive numbers lie above.
const ZERO: u128 = 1 << 120;

/// Longer exponents make no number, as in [`Decimal`](crate::Decimal).
const EXPONENT_DIGITS: usize = 17;

/// Makes exponents positive: no accepted one reaches 2^51.
const BIAS: i64 = 1 << 51;

/// The place of a number in the form that JSON accepts; none where no `Decimal` holds it.
///
/// Numbers of up to 19 digits have a place of their own. Longer ones share one with those of the
/// same first 19 digits, next to the place of these 19 alone: see [`is_shared`].
pub(super) fn number(text: &[u8]) -> Option<u128> {
    if text.len() > MAX_DECIMAL_BYTES {
        return None;
    }
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if let Some(place) = short(unsigned) {
        return Some(if negative { ZERO - place } else { ZERO + place });
    }
    let (mut lead, mut count, mut longer) = (0_u64, 0_usize, false);
    // How many digits from the first significant one on, and up to the last significant one.
    let (mut digits, mut significant) = (0_usize, 0_usize);
    let (mut exponent, mut whole) = (0_i64, true);
    let mut rest = unsigned;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                if count > 0 || digit > 0 {
                    digits += 1;
                    if digit > 0 {
                        significant = digits;
                    }
                    if count < DIGITS {
                        lead = lead * 10 + digit;
                        count += 1;
                    } else {
                        longer |= digit > 0;
                    }
                    exponent += i64::from(whole);
                } else if !whole {
                    exponent -= 1;
                }
            }
            b'.' => whole = false,
            _ => {
                exponent += read_exponent(tail)?;
                break;
            }
        }
        rest = tail;
    }
    if lead == 0 {
        return Some(ZERO);
    }
    if significant > MAX_DECIMAL_DIGITS || exponent.abs() > MAX_EXPONENT {
        return None;
    }
    let size = size(lead, count as u32, exponent) | u128::from(longer);
    Some(if negative { ZERO - size } else { ZERO + size })
}

/// How far a number of `count` digits, up to 19, lies from zero.
#[inline]
fn size(lead: u64, count: u32, exponent: i64) -> u128 {
    let lead = lead * 10_u64.pow(DIGITS as u32 - count);
    u128::from((exponent + BIAS).cast_unsigned()) << 65 | u128::from(lead) << 1
}

/// How far a number without sign and exponent lies from zero, if it is short: most are.
fn short(text: &[u8]) -> Option<u128> {
    if text.len() > DIGITS {
        return None;
    }
    let (mut lead, mut point) = (0_u64, text.len());
    for (i, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => lead = lead * 10 + u64::from(byte - b'0'),
            b'.' => point = i + 1,
            _ => return None,
        }
    }
    let Some(log) = lead.checked_ilog10() else { return Some(0) };
    let behind = (text.len() - point) as i64;
    Some(size(lead, log + 1, i64::from(log) + 1 - behind))
}

fn read_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    let significant = &digits[zeros..];
    if significant.len() > EXPONENT_DIGITS {
        return None;
    }
    let size = significant.iter().fold(0, |n, b| n * 10 + i64::from(b.wrapping_sub(b'0')));
    Some(if negative { -size } else { size })
}

/// Whether numbers of more than 19 digits lie at a place.
pub(super) fn is_shared(place: u128) -> bool {
    place & 1 == 1
}

/// The order of two numbers, each a text and its place.
pub(super) fn compare(a: (&str, u128), b: (&str, u128)) -> Ordering {
    match a.1.cmp(&b.1) {
        Ordering::Equal if is_shared(a.1) => {
            let order = compare_digits(a.0, b.0);
            if a.1 < ZERO { order.reverse() } else { order }
        }
        order => order,
    }
}

fn compare_digits(a: &str, b: &str) -> Ordering {
    fn digits(text: &str) -> impl Iterator<Item = u8> {
        let mantissa = text.bytes().take_while(|b| !matches!(b, b'e' | b'E'));
        mantissa.filter(u8::is_ascii_digit).skip_while(|b| *b == b'0')
    }
    let (mut a, mut b) = (digits(a), digits(b));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => match a.unwrap_or(b'0').cmp(&b.unwrap_or(b'0')) {
                Ordering::Equal => {}
                order => return order,
            },
        }
    }
}

/// Whether a number lies in a range; none where the range is not read exactly.
pub(super) fn contains(range: &Range, text: &str, place: u128) -> Option<bool> {
    let within = |end: &Option<End>, beyond: Ordering| match end {
        None => Some(true),
        Some(end) => {
            let other = end.number.exact()?;
            Some(match compare((text, place), (other, number(other.as_bytes())?)) {
                Ordering::Equal => end.inclusive,
                order => order == beyond,
            })
        }
    };
    Some(within(&range.low, Ordering::Greater)? && within(&range.high, Ordering::Less)?)
}

/// The places of a range, both ends included, and whether every number there lies in the range.
/// None where the range is not read exactly.
pub(super) fn places(range: &Range) -> Option<((u128, u128), bool)> {
    let place = |end: &End| number(end.number.exact()?.as_bytes());
    let (mut low, mut high, mut exact) = (0, u128::MAX, true);
    if let Some(end) = &range.low {
        low = place(end)?;
        exact &= !is_shared(low);
        low += u128::from(!end.inclusive && !is_shared(low));
    }
    if let Some(end) = &range.high {
        high = place(end)?;
        exact &= !is_shared(high);
        high -= u128::from(!end.inclusive && !is_shared(high));
    }
    Some(((low, high), exact))
}

/// IPv4 addresses lie where IPv6 maps them: `::ffff:0:0/96`.
const MAPPED: u128 = 0xffff << 32;

/// The place of the address that a text writes.
pub(super) fn address(text: &[u8]) -> Option<u128> {
    if let Some(v4) = dotted(text) {
        return Some(MAPPED | u128::from(v4));
    }
    if !text.contains(&b':') {
        return None;
    }
    Some(match std::str::from_utf8(text).ok()?.parse::<IpAddr>().ok()? {
        IpAddr::V4(v4) => MAPPED | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    })
}

/// Four numbers up to 255 without leading zeros. All texts of a length take the same steps: where
/// the dots stand differs from event to event, and a guess about it would mostly be wrong.
fn dotted(text: &[u8]) -> Option<u32> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    /// A dot as a digit would be: '.' ^ '0'.
    const DOT: u64 = 0x1e1e_1e1e_1e1e_1e1e;
    /// The high bits of eight bytes, side by side.
    fn gather(highs: u64) -> u32 {
        ((highs >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    }
    /// Which bytes are no digits, and whether all of these are dots.
    fn dots(digits: u64) -> (u64, bool) {
        // A digit is at most 9 now; its high bit stays clear when 118 is added.
        let no_digits = (digits | ((digits & !HIGH) + ONES * 118)) & HIGH;
        let no_dots = digits ^ DOT;
        let no_dots = (no_dots | ((no_dots & !HIGH) + ONES * 127)) & HIGH;
        (no_digits, no_digits == no_dots ^ HIGH)
    }
    let length = text.len();
    if !(7..=15).contains(&length) {
        return None;
    }
    // Dots behind it, and room for the last part's four bytes.
    let mut bytes = [b'.'; 20];
    match text.first_chunk::<8>() {
        // Two copies of fixed length, which may overlap.
        Some(head) => {
            bytes[..8].copy_from_slice(head);
            bytes[length - 8..length].copy_from_slice(text.last_chunk::<8>()?);
        }
        None => bytes[..7].copy_from_slice(&text[..7]),
    }
    let (low, high) = (bytes.first_chunk::<8>()?, bytes[8..].first_chunk::<8>()?);
    let (low, low_good) = dots(u64::from_le_bytes(*low) ^ ZEROS);
    let (high, high_good) = dots(u64::from_le_bytes(*high) ^ ZEROS);
    let mut dots = gather(low) | gather(high) << 8;
    let (mut from, mut address, mut good) = (0, 0, low_good && high_good);
    for _ in 0..4 {
        let to = dots.trailing_zeros();
        dots &= dots.wrapping_sub(1);
        let length = to.wrapping_sub(from);
        let digits = u32::from_le_bytes(*bytes.get(from as usize..)?.first_chunk()?) ^ ZEROS as u32;
        good &= (1..=3).contains(&length) && (length == 1 || digits & 0xff != 0);
        // The last digit comes to stand in the third byte.
        let part = digits << (8 * 3_u32.saturating_sub(length));
        let value = (part & 0xff) * 100 + (part >> 8 & 0xff) * 10 + (part >> 16 & 0xff);
        good &= value <= 255;
        address = address << 8 | value;
        from = to + 1;
    }
    (good && from as usize == length + 1).then_some(address)
}

/// The places of a network's addresses, both ends included: two pieces where a network of IPv6
/// leaves those of IPv4 out.
pub(super) fn network(network: Network) -> [Option<(u128, u128)>; 2] {
    let (base, bits) = network.parts();
    let span = |base: u128, free: u32| {
        let mask = if free >= 128 { u128::MAX } else { (1 << free) - 1 };
        (base & !mask, base | mask)
    };
    match base {
        IpAddr::V4(v4) => [Some(span(MAPPED | u128::from(v4.to_bits()), 32 - bits)), None],
        IpAddr::V6(v6) => {
            let (low, high) = span(v6.to_bits(), 128 - bits);
            let mapped_end = MAPPED | u128::from(u32::MAX);
            if low <= MAPPED && mapped_end <= high {
                let before = (low < MAPPED).then_some((low, MAPPED - 1));
                let after = (mapped_end < high).then(|| (mapped_end + 1, high));
                [before, after]
            } else {
                [Some((low, high)), None]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decimal::Decimal;

    const ODD: &str = "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,16})?";
    const NEAR: &str = "-?(0|[12]0{0,22}[01]?)(\\.0{0,22}[0-2])?([eE][+-]?0?[0-9])?";

    fn agree(a: &str, b: &str) {
        let (place_a, place_b) = (number(a.as_bytes()), number(b.as_bytes()));
        let (exact_a, exact_b) = (a.parse::<Decimal>().ok(), b.parse::<Decimal>().ok());
        assert_eq!((place_a.is_some(), place_b.is_some()), (exact_a.is_some(), exact_b.is_some()), "{a} {b}");
        if let (Some(place_a), Some(place_b)) = (place_a, place_b) {
            assert_eq!(compare((a, place_a), (b, place_b)), exact_a.cmp(&exact_b), "{a} {b}");
        }
    }

    #[test]
    fn the_edges_of_numbers_have_places() {
        let edges = [
            "0",
            "-0.0",
            "0e99",
            "1e999999999999999",
            "-1e999999999999999",
            "1e-999999999999999",
            "1e9999999999999999",
            "0e9999999999999999",
            "1e00000000000000000001",
            "9999999999999999999",
            "99999999999999999999",
            "99999999999999999991",
            "-122.42916360922355",
            "9007199254740993",
            "12345678901234567890123",
            "123456789012345678901230e-1",
            "1234567890123456789",
        ];
        for (a, b) in edges.iter().flat_map(|a| edges.iter().map(move |b| (a, b))) {
            agree(a, b);
        }
        for length in [MAX_DECIMAL_BYTES, MAX_DECIMAL_BYTES + 1] {
            agree(&"9".repeat(length), "1");
        }
    }

    #[test]
    fn the_edges_of_networks_have_places() {
        let texts = [
            "::",
            "::fffe:ffff:ffff",
            "::ffff:0.0.0.0",
            "0.0.0.0",
            "255.255.255.255",
            "::1:0:0:0",
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "01.2.3.4",
            "1.2.3",
            "x",
        ];
        let nets = [
            "::/0",
            "::/80",
            "::/95",
            "::ffff:0:0/96",
            "::ffff:a00:0/104",
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.2.3/32",
            "::1/128",
            "ff00::/8",
            "::fffe:0:0/96",
        ];
        for (net, text) in nets.iter().flat_map(|net| texts.iter().map(move |text| (net, text))) {
            let network = Network::new(net).unwrap();
            let pieces = super::network(network);
            let inside = address(text.as_bytes())
                .is_some_and(|at| pieces.iter().flatten().any(|(a, b)| (*a..=*b).contains(&at)));
            assert_eq!(inside, network.contains(text), "{text} in {net}");
        }
    }

    proptest! {
        #[test]
        fn places_are_ordered_as_decimals_are(a in ODD, b in ODD, c in NEAR, d in NEAR) {
            agree(&a, &b);
            agree(&a, &a);
            agree(&c, &d);
        }

        #[test]
        fn addresses_are_read_as_the_interpreter_reads_them(
            text in "([0-9]{1,3}\\.){2,4}[0-9]{0,3}|[0-9a-f:.]{0,20}|(0|[1-9][0-9]?)(\\.(0|1?[0-9]?[0-9])){3}",
        ) {
            let standard = text.parse::<IpAddr>().ok().map(|address| address.to_canonical());
            prop_assert_eq!(address(text.as_bytes()).is_some(), standard.is_some());
            if let (Some(place), Some(IpAddr::V4(v4))) = (address(text.as_bytes()), standard) {
                prop_assert_eq!(place, MAPPED | u128::from(v4.to_bits()));
            }
        }
    }
}
