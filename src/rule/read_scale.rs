//! From a JSON document to the scales of scores.

use super::document::Faults;
use super::item::Item;
use super::read::{DIRECTIONS, band_name, number, word};
use crate::json::Value;
use crate::score::{Band, Hysteresis, Polarity, Scale, ScaleFault};
use crate::time::Span;

pub(super) fn scale(item: &Item<'_>, faults: &mut Faults) -> Option<Scale> {
    const FIELDS: &[&str] = &["id", "low", "high", "high_is", "bands", "hysteresis", "hold"];
    let object = item.object(FIELDS, "a scale", faults)?;
    let id = object.need("id", faults).and_then(|id| id.parsed(faults));
    let mut bound = |name| number(&object.need(name, faults)?, "a number", faults);
    let (low, high) = (bound("low"), bound("high"));
    let polarity = object.need("high_is", faults).and_then(|item| {
        word(Some(item), &[("safe", Polarity::HighIsSafe), ("risky", Polarity::HighIsRisky)], faults)
    });
    let bands = object.need("bands", faults)?.items("an array of bands", faults)?;
    let bands: Vec<Option<Band>> = bands
        .iter()
        .map(|band| {
            let band = band.object(&["name", "from"], "a band", faults)?;
            let name = band.need("name", faults).and_then(|name| band_name(&name, faults));
            let from = band.need("from", faults).and_then(|from| number(&from, "a number", faults));
            Some(Band { name: name?, from: from? })
        })
        .collect();
    let bands = bands.into_iter().collect::<Option<_>>()?;
    let refuse = |place: &Item<'_>, found: Vec<ScaleFault>, faults: &mut Faults| {
        found.into_iter().for_each(|fault| faults.add_at(&place.pointer, place.node.at, fault));
    };
    let asked = object.get("hysteresis").map(|item| (hysteresis(&item, faults), item));
    let held = object.get("hold").map(|item| (hold(&item, faults), item));
    let scale = Scale::new(id?, low?, high?, polarity?, bands);
    let scale = scale.map_err(|found| refuse(item, found, faults)).ok()?;
    // Each is judged by itself, so that the faults of all are told.
    let gated = match asked {
        None => Some(scale.clone()),
        Some((asked, place)) => asked.and_then(|asked| {
            scale.clone().with_hysteresis(asked).map_err(|found| refuse(&place, found, faults)).ok()
        }),
    };
    let Some((hold, place)) = held else { return gated };
    let hold = hold?;
    scale.with_hold(hold).map_err(|fault| refuse(&place, vec![fault], faults)).ok()?;
    gated?.with_hold(hold).ok()
}

fn hysteresis(item: &Item<'_>, faults: &mut Faults) -> Option<Hysteresis> {
    let object = item.object(&["margin", "dwell", "toward"], "an object with `margin`, `dwell`", faults)?;
    let none = Hysteresis::default();
    let margin = match object.get("margin") {
        Some(item) => number(&item, "a number above 0", faults)?,
        None => none.margin,
    };
    let dwell = match object.get("dwell") {
        Some(item) => item.parsed(faults)?,
        None => none.dwell,
    };
    let toward = match object.get("toward") {
        Some(item) => word(Some(item), DIRECTIONS, faults)?,
        None => none.toward,
    };
    Some(Hysteresis { margin, dwell, toward })
}

/// A span, or `true` for the usual one.
fn hold(item: &Item<'_>, faults: &mut Faults) -> Option<Span> {
    match item.node.value {
        Value::Bool(true) => Some(Scale::HOLD),
        Value::Text(_) => item.parsed(faults),
        _ => {
            item.kind_fault("a span such as `\"7d\"`, or true for 7 days", faults);
            None
        }
    }
}
