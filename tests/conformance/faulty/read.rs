//! What is read, or read wrongly.

use tipstaff::{Ahead, Cursor, DuePage, Facet, MAX_PAGE, Order, Page, Query, Queue, Record, Time, Upcoming};

use super::Faulty;
use crate::defects::Defect;

impl Faulty {
    pub(super) fn upcoming_now(&self, ask: &Ahead) -> Upcoming {
        if self.has(Defect::NothingAhead) {
            return Upcoming::default();
        }
        let data = self.data();
        let now = Time::from_micros(data.now);
        let records = || data.records.values();
        let after = |time: &Time| match self.defect {
            Defect::WhatIsNowIsAhead => *time >= ask.after,
            _ => *time > ask.after,
        };
        let first = records().find(|record| record.due_at.is_some()).map(|record| &record.key.tenant);
        let ours =
            |record: &&Record| !self.has(Defect::TimersOfOneTenant) || Some(&record.key.tenant) == first;
        let free = |record: &&Record| match self.defect {
            Defect::HeldIsAhead => true,
            Defect::LapsedIsNotAhead => record.lease.is_none(),
            _ => record.lease.as_ref().is_none_or(|lease| lease.until <= now),
        };
        let timed =
            |record: &&Record| ours(record) && (!self.has(Defect::HeldHasNoTimer) || record.lease.is_none());
        let carried = |queue: &&Queue| match (&ask.channels, self.defect) {
            (None, _) | (_, Defect::AheadOnAllChannels) => true,
            (Some(channels), Defect::NoChannelMeansAll) if channels.is_empty() => true,
            (Some(channels), _) => channels.contains(&queue.channel),
        };
        let queues = records().filter(free).filter_map(|record| record.queue.as_ref()).filter(carried);
        let leases = records().filter_map(|record| record.lease.as_ref()).map(|lease| lease.until);
        let leases = leases.filter(|until| *until > now || self.has(Defect::LapsedLeasesAhead));
        let lease = if self.has(Defect::LastLeaseAhead) { leases.max() } else { leases.min() };
        Upcoming {
            timer: records().filter(timed).filter_map(|record| record.due_at).filter(after).min(),
            ready: queues.map(|queue| queue.ready_at).filter(after).min(),
            lease: lease.map(|until| now.until(until)),
        }
    }

    pub(super) fn due_now(&self, page: &DuePage) -> Vec<Record> {
        let data = self.data();
        let mut due: Vec<_> = data
            .records
            .values()
            .filter_map(|record| Some((DuePage::place(record)?, record.clone())))
            .filter(|(place, _)| match self.defect {
                Defect::DueIsLater => place.1 < page.until,
                _ => place.1 <= page.until,
            })
            .collect();
        match self.defect {
            Defect::KindsBackwards => {
                due.sort_by(|(a, _), (b, _)| (&a.0, a.1, b.2, &a.3).cmp(&(&b.0, b.1, a.2, &b.3)))
            }
            _ => due.sort_by(|(a, _), (b, _)| a.cmp(b)),
        }
        let after = match (&page.after, self.defect) {
            (None, _) => 0,
            // The place is looked up, though its record may have moved on.
            (Some(after), Defect::DueLooksUpTheLast | Defect::KindsBackwards) => {
                due.iter().position(|(place, _)| place == after).map_or(0, |last| last + 1)
            }
            (Some(after), Defect::DueCursorsAreTimes) => {
                due.iter().take_while(|(place, _)| (&place.0, place.1) <= (&after.0, after.1)).count()
            }
            (Some(after), _) => due.iter().take_while(|(place, _)| place <= after).count(),
        };
        let limit = if self.has(Defect::DuePagesMayBeEmpty) { page.limit } else { page.limit.max(1) };
        due.into_iter().skip(after).take(limit).map(|(_, record)| record).collect()
    }

    fn names(&self, query: &Query, record: &Record) -> bool {
        let with = |facets: &[(Facet, Vec<String>)]| Query { facets: facets.to_vec(), ..query.clone() };
        match self.defect {
            Defect::QueriesOfAllTenants => {
                Query { tenant: record.key.tenant.clone(), ..query.clone() }.names(record)
            }
            Defect::UntilIncluded => {
                let until = query.until.map(|until| Time::from_micros(until.micros() + 1));
                Query { until, ..query.clone() }.names(record)
            }
            Defect::AnyFacetWillDo if !query.facets.is_empty() => {
                query.facets.iter().any(|facet| with(std::slice::from_ref(facet)).names(record))
            }
            Defect::FacetsAreWildcards => {
                let like = |(facet, accepted): &(Facet, Vec<String>)| {
                    let begins = |value: &str| {
                        accepted.iter().any(|text| match text.strip_suffix('%') {
                            Some(start) => value.starts_with(start),
                            None => text == value,
                        })
                    };
                    record.facets.iter().any(|(of, value)| of == facet && begins(value))
                };
                with(&[]).names(record) && query.facets.iter().all(like)
            }
            Defect::OneEntryEachFacet => {
                let last: std::collections::BTreeMap<_, _> = query.facets.iter().cloned().collect();
                with(&last.into_iter().collect::<Vec<_>>()).names(record)
            }
            _ => query.names(record),
        }
    }

    pub(super) fn query_now(&self, query: &Query) -> Page<Record> {
        if self.has(Defect::RemembersQueries) {
            let own = self.own.lock().unwrap();
            if let Some((_, page)) = own.pages.iter().find(|(asked, _)| asked == query) {
                return page.clone();
            }
        }
        let data = self.data();
        let named = |record: &&Record| match data.old_facets.get(&record.key) {
            None => self.names(query, record),
            Some(old) => {
                let facets = [record.facets.clone(), old.clone()].concat();
                self.names(query, &Record { facets, ..(*record).clone() })
            }
        };
        let mut rows: Vec<Record> = data.records.values().filter(named).cloned().collect();
        rows.sort_by(|a, b| (a.at, &a.key.id).cmp(&(b.at, &b.key.id)));
        if self.has(Defect::RowsForEachValue) {
            let times = |record: &Record| {
                let accepted = |(facet, value): &&(Facet, String)| {
                    query.facets.iter().any(|(of, accepted)| of == facet && accepted.contains(value))
                };
                record.facets.iter().filter(accepted).count().max(1)
            };
            rows = rows.into_iter().flat_map(|row| vec![row.clone(); times(&row)]).collect();
        }
        if query.order == Order::Newest {
            rows.reverse();
        }
        let newest = query.order == Order::Newest;
        let beyond = |record: &Record, after: &Cursor| {
            let place = (record.at, record.key.id.clone());
            let after = (after.at, after.id.clone());
            match self.defect {
                Defect::CursorsAreTimes if newest => place.0 < after.0,
                Defect::CursorsAreTimes => place.0 > after.0,
                _ if newest => place < after,
                _ => place > after,
            }
        };
        let skip = match &query.after {
            None => 0,
            Some(after) if self.has(Defect::CursorsAreOffsets) => {
                usize::try_from(after.at.micros()).unwrap_or(0)
            }
            Some(after) => rows.iter().position(|row| beyond(row, after)).unwrap_or(rows.len()),
        };
        let size = match self.defect {
            Defect::PagesWithoutBound => query.limit.max(1),
            Defect::PagesOfHundred => query.limit.clamp(1, 100),
            _ => query.limit.clamp(1, MAX_PAGE),
        };
        let page: Vec<Record> = rows.iter().skip(skip).take(size).cloned().collect();
        let more = match self.defect {
            Defect::FullPagesGoOn => page.len() == size,
            _ => skip + page.len() < rows.len(),
        };
        let place = |record: &Record| match self.defect {
            Defect::CursorsAreOffsets => {
                let rows = i64::try_from(skip + page.len()).unwrap_or(i64::MAX);
                Cursor { at: Time::from_micros(rows), id: "offset".to_owned() }
            }
            _ => Cursor { at: record.at, id: record.key.id.clone() },
        };
        let page = Page { next: page.last().map(place).filter(|_| more), rows: page.clone() };
        self.own.lock().unwrap().pages.push((query.clone(), page.clone()));
        page
    }
}
