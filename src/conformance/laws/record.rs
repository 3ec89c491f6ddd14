//! Laws 7 and 8: records come back as they were put, each tenant's own.

use super::super::bench::Bench;
use super::super::broken::{Checked, same};
use super::super::props::{ODD, acme, all, at, body, draft, full, id, plain, stored};
use crate::audit::Head;
use crate::id::TenantId;
use crate::store::{Commit, DuePage, Facet, Key, Kind, Lease, Queue, Record};
use crate::time::Time;

/// 7. *Kept whole*
pub(in super::super) fn a_record_comes_back_as_it_was_put(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    for kind in Kind::ALL {
        let record = full(&tenant, *kind, kind.as_str());
        bench.put(&tenant, vec![record.clone()])?;
        same("a record with everything", &stored(&record), &bench.get(&record.key)?)?;
        // What is not put again is gone: a put without a lease ends it.
        let bare =
            Record { version: 1, at: record.at, token: record.token, ..plain(&tenant, *kind, kind.as_str()) };
        bench.put(&tenant, vec![bare.clone()])?;
        same("the record put with nothing", &stored(&bare), &bench.get(&record.key)?)?;
        let back = Record { version: 2, ..record };
        bench.put(&tenant, vec![back.clone()])?;
        same("the record put with everything again", &stored(&back), &bench.get(&back.key)?)?;
    }
    Ok(())
}

/// 7. *Kept whole*
pub(in super::super) fn texts_are_kept_byte_for_byte(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let record = |text: &str| Record {
        facets: vec![(Facet::Source, text.to_owned())],
        body: body(text),
        ..plain(&tenant, Kind::Stats, text)
    };
    let mut records: Vec<Record> = ODD.iter().map(|text| record(text)).collect();
    records.push(record("two\nlines\tand a tab"));
    bench.put(&tenant, records.clone())?;
    let keys: Vec<Key> = records.iter().map(|record| record.key.clone()).collect();
    let there: Vec<Record> = bench.load(&keys)?.into_iter().flatten().collect();
    let records: Vec<Record> = records.iter().map(stored).collect();
    same("how many records with odd texts", &records.len(), &there.len())?;
    records.iter().zip(&there).try_for_each(|(record, there)| same("a record with odd texts", record, there))
}

/// 7. *Kept whole*
pub(in super::super) fn long_texts_are_kept(bench: &Bench<'_>) -> Checked {
    let tenant = id::<TenantId>(&"t".repeat(crate::id::MAX_ID_BYTES));
    let long = "i".repeat(598);
    let facets = (0..500).map(|n| (Facet::Approver, format!("{}{n:03}", "a".repeat(253))));
    let many = Record { facets: facets.collect(), ..plain(&tenant, Kind::Enforcement, "many") };
    let big = Record { body: body(&"\u{e9}1\"\\".repeat(200_000)), ..plain(&tenant, Kind::Trigger, "big") };
    // Ids of 600 bytes that differ in the last one only.
    let mut records = vec![many, big];
    records.extend(["aa", "ab", "é"].map(|end| plain(&tenant, Kind::Stats, &format!("{long}{end}"))));
    bench.put(&tenant, records.clone())?;
    for record in &records {
        same("a long record", &stored(record), &bench.get(&record.key)?)?;
    }
    same("none with a shorter id", &None, &bench.find(&Key::new(&tenant, Kind::Stats, long))?)
}

/// 7. *Kept whole*
pub(in super::super) fn the_ends_of_time_are_kept(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let micro = Time::from_micros(1_767_225_600_123_457);
    for (name, at) in
        [("min", Time::MIN), ("max", Time::MAX), ("before 1970", Time::from_micros(-1)), ("micro", micro)]
    {
        let whole = full(&tenant, Kind::Enforcement, name);
        let record = Record {
            at,
            due_at: Some(at),
            queue: whole.queue.map(|queue| Queue { ready_at: at, ..queue }),
            lease: whole.lease.map(|lease| Lease { until: at, ..lease }),
            ..plain(&tenant, Kind::Enforcement, name)
        };
        bench.put(&tenant, vec![record.clone()])?;
        same("a record at the ends of time", &stored(&record), &bench.get(&record.key)?)?;
    }
    Ok(())
}

/// 7. *Kept whole*
pub(in super::super) fn load_answers_key_by_key(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let names: Vec<String> = (0..300).map(|n| format!("{:03}", n * 7 % 300)).collect();
    let even = |name: &&String| name.ends_with(['0', '2', '4', '6', '8']);
    let records = names.iter().filter(even).map(|name| plain(&tenant, Kind::Stats, name));
    bench.put(&tenant, records.collect())?;
    let mut asked = names.clone();
    asked.extend(names.iter().take(20).cloned());
    let keys: Vec<Key> = asked.iter().map(|name| Key::new(&tenant, Kind::Stats, name.as_str())).collect();
    let expected: Vec<_> = asked.iter().map(|name| even(&name).then(|| name.clone())).collect();
    let there = bench.load(&keys)?.into_iter().map(|record| record.map(|record| record.key.id));
    same("the ids that were loaded, some twice", &expected, &there.collect())?;
    same("a load of no keys", &Vec::new(), &bench.load(&[])?)
}

/// 8. *Tenants*
pub(in super::super) fn tenants_do_not_meet(bench: &Bench<'_>) -> Checked {
    let tenants: Vec<TenantId> = ODD.iter().map(|text| id(text)).collect();
    let first = tenants.first().cloned().unwrap_or_else(acme);
    let record = |tenant: &TenantId| Record {
        due_at: Some(Time::EPOCH),
        facets: vec![(Facet::User, "ana".to_owned())],
        body: body(tenant.as_str()),
        ..plain(tenant, Kind::Timer, "one")
    };
    for tenant in &tenants {
        let audit = vec![draft(tenant, 0, "ana", tenant.as_str())];
        let commit = Commit { put: vec![record(tenant)], audit, ..bench.fresh(tenant) };
        bench.apply("a commit of one tenant", &commit)?;
    }
    // A change of one tenant's shows with that tenant only.
    bench.put(&first, vec![Record { body: body("changed"), ..stored(&record(&first)) }])?;
    for tenant in &tenants {
        let kept = stored(&record(tenant));
        let kept = if *tenant == first { Record { body: body("changed"), ..stored(&kept) } } else { kept };
        same("a tenant's record", &kept, &bench.get(&kept.key)?)?;
        same("a tenant's query", &vec![kept], &bench.query(&all(tenant, Kind::Timer))?.rows)?;
        let trail = bench.lane(tenant, 0)?;
        let owners: Vec<_> = trail.iter().map(|record| (&record.tenant, record.seq)).collect();
        same("a tenant's lane", &vec![(tenant, 1)], &owners)?;
    }
    let due = bench.due(&DuePage { until: at(0), after: None, limit: 1_000 })?;
    same("what is due, one for each tenant", &tenants.len(), &due.len())?;
    let nobody = id::<TenantId>("nobody");
    same("a query of a tenant without records", &Vec::new(), &bench.query(&all(&nobody, Kind::Timer))?.rows)?;
    same("the head of a tenant without records", &Head::default(), &bench.head(&nobody, 0)?)
}

/// 8. *Tenants*
pub(in super::super) fn kinds_do_not_meet(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    for kind in Kind::ALL {
        let record = Record { body: body(kind.as_str()), ..plain(&tenant, *kind, "one") };
        bench.put(&tenant, vec![record])?;
    }
    for kind in Kind::ALL {
        let record = Record { body: body(kind.as_str()), version: 1, ..plain(&tenant, *kind, "one") };
        same("a record among others of its id", &record, &bench.get(&record.key)?)?;
        same("a query of its kind", &vec![record], &bench.query(&all(&tenant, *kind))?.rows)?;
    }
    Ok(())
}

/// 8. *Tenants*
pub(in super::super) fn a_commit_id_is_its_tenants_own(bench: &Bench<'_>) -> Checked {
    let (one, two) = (acme(), super::super::props::other());
    let first = Commit { put: vec![plain(&one, Kind::Stats, "one")], ..bench.fresh(&one) };
    bench.apply("a commit of one tenant", &first)?;
    let record = plain(&two, Kind::Stats, "one");
    let second = Commit { id: first.id, put: vec![record.clone()], ..bench.fresh(&two) };
    bench.apply("the same id of another tenant", &second)?;
    same("its record", &stored(&record), &bench.get(&record.key)?)
}
