//! Very many timetables in memory, by the instant at which each is due next.

use std::collections::BTreeMap;

use crate::schedule::clock;
use crate::schedule::masks::Masks;
use crate::schedule::zone::{UtcSecs, Zone};
use crate::schedule::{Timetable, to_secs, to_time};
use crate::time::Time;

/// The place of a timetable in a [`Calendar`]. After the timetable was removed it is given to
/// another one.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CalendarIx(u32);

impl CalendarIx {
    /// The place as a number, from 0 and without large gaps: the index of a host's own table.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Very many timetables, and which of them are due (a calendar queue: Brown, Communications of the
/// ACM 31 (10), 1988).
///
/// For hosts that keep timetables of their own, or those of many tenants, and want to know at each
/// tick which are due without asking a store. It remembers nothing: the [`Engine`](crate::Engine)
/// keeps its timers in the store and needs none of this. It agrees exactly with [`Timetable::after`].
///
/// What is due is taken out with [`Calendar::due`], and put back for its next occurrence with
/// [`Calendar::rearm`], at once or when there is time: reckoning an occurrence costs many times what
/// taking it out does. A timetable takes 40 bytes, and 8 to 50 more for its place in the queue:
/// the fewer share an instant, the more.
///
/// ```
/// use tipstaff::{Calendar, Time, Timetable};
/// let mut calendar = Calendar::default();
/// let noon: Time = "2026-03-02T12:00:00Z".parse()?;
/// let daily = calendar.add(&Timetable::new("30 13 * * *", "UTC".parse()?)?, noon);
/// let mut due = Vec::new();
/// calendar.due("2026-03-02T13:30:05Z".parse()?, &mut due);
/// assert_eq!(due, [(daily, "2026-03-02T13:30:00Z".parse()?)]);
/// assert_eq!(calendar.rearm(daily, due[0].1), Some("2026-03-03T13:30:00Z".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    entries: Vec<Entry>,
    free: Vec<u32>,
    zones: Vec<Zone>,
    queue: BTreeMap<UtcSecs, Vec<u32>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    masks: Masks,
    zone: u16,
    /// Where it stands in the queue: the instant, and the place among those of it.
    at: UtcSecs,
    place: u32,
}

/// Instants at which nothing is due: of an entry that waits to be put back or has no occurrence
/// left, and of one that was removed.
const IDLE: UtcSecs = UtcSecs::MAX;
const GONE: UtcSecs = UtcSecs::MIN;

impl Calendar {
    /// Adds a timetable, due at its first occurrence after `after`.
    ///
    /// # Panics
    /// Beyond 4,294,967,295 timetables, which no memory holds.
    pub fn add(&mut self, table: &Timetable, after: Time) -> CalendarIx {
        let zone = self.zone(table.zone());
        let entry = Entry { masks: Masks::new(&table.line), zone, at: IDLE, place: 0 };
        let ix = match self.free.pop() {
            Some(ix) => {
                self.entries[ix as usize] = entry;
                ix
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("so many entries fit no memory")
            }
        };
        self.rearm(CalendarIx(ix), after);
        CalendarIx(ix)
    }

    /// Removes a timetable. Says whether it was there.
    pub fn remove(&mut self, ix: CalendarIx) -> bool {
        if self.entry(ix).is_none() {
            return false;
        }
        self.take_out(ix.0);
        self.entries[ix.index()].at = GONE;
        self.free.push(ix.0);
        true
    }

    /// Puts a timetable in its place for its first occurrence after `after`, whether it was taken out
    /// or stands elsewhere; gives that occurrence. `None` where there is none left, or no such
    /// timetable.
    pub fn rearm(&mut self, ix: CalendarIx, after: Time) -> Option<Time> {
        let entry = *self.entry(ix)?;
        self.take_out(ix.0);
        let zone = self.zones[usize::from(entry.zone)];
        let after = to_secs(after);
        let next = match entry.masks.starred {
            true => clock::next_shown(&entry.masks, zone, after),
            false => clock::next_reached(&entry.masks, zone, after),
        };
        let time = to_time(next?)?;
        let at = to_secs(time);
        let beside = self.queue.entry(at).or_default();
        let place = u32::try_from(beside.len()).expect("there are fewer of one instant than entries");
        beside.push(ix.0);
        (self.entries[ix.index()].at, self.entries[ix.index()].place) = (at, place);
        Some(time)
    }

    /// Takes out what is due at `now` or before and appends it to `due`, by instant. It is not due
    /// again before [`Calendar::rearm`]. A timetable that was due several times comes once, with the
    /// first of its occurrences.
    pub fn due(&mut self, now: Time, due: &mut Vec<(CalendarIx, Time)>) {
        let now = to_secs(now);
        while let Some(first) = self.queue.first_entry().filter(|first| *first.key() <= now) {
            let (at, entries) = first.remove_entry();
            let time = Time::from_micros(at * 1_000_000);
            due.extend(entries.iter().map(|ix| (CalendarIx(*ix), time)));
            // Who stands in the queue is told by the queue: `take_out` looks there.
        }
    }

    /// When the next timetable is due: until then nobody need ask.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.queue.first_key_value().and_then(|(at, _)| to_time(*at))
    }

    /// How many timetables there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn entry(&self, ix: CalendarIx) -> Option<&Entry> {
        self.entries.get(ix.index()).filter(|entry| entry.at != GONE)
    }

    /// Takes an entry out of the queue, if it stands there. Its instant may be in use again by
    /// others since it was due, so the queue itself says whether it does.
    fn take_out(&mut self, ix: u32) {
        let Entry { at, place, .. } = self.entries[ix as usize];
        self.entries[ix as usize].at = IDLE;
        let Some(beside) = self.queue.get_mut(&at) else { return };
        if beside.get(place as usize) != Some(&ix) {
            return;
        }
        beside.swap_remove(place as usize);
        match beside.get(place as usize) {
            Some(moved) => self.entries[*moved as usize].place = place,
            None if beside.is_empty() => drop(self.queue.remove(&at)),
            None => {}
        }
    }

    fn zone(&mut self, zone: Zone) -> u16 {
        let known = self.zones.iter().position(|known| *known == zone);
        let place = known.unwrap_or_else(|| {
            self.zones.push(zone);
            self.zones.len() - 1
        });
        u16::try_from(place).expect("the database has some six hundred zones")
    }
}
