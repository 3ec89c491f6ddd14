//! Rules and events as `benches/peers` has them: an event among 1,000 rules (whole, stopping early,
//! by the interpreter), and one rule of 100,000 replaced, removed, added.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use tipstaff::{Matcher, Pattern, Payload, RuleIx, Scratch};

fn rule(i: usize, types: usize) -> Pattern {
    let (low, third) = (i * 37 % 90, i * 11 % 256);
    let text = format!(
        r#"{{"type":["kind-{}"],"actor":{{"department":["d-{}","d-{}"]}},"risk":[{{"numeric":[">=",{low},"<",{}]}}],
        "source":{{"ip":[{{"cidr":"10.0.{third}.0/21"}}]}},"geo":{{"country":[{{"anything-but":["DE","FR"]}}]}}}}"#,
        i % types,
        i % 40,
        (i + 1) % 40,
        low + 10
    );
    text.parse().expect("built from valid parts")
}

fn rules(count: usize, types: usize) -> Matcher {
    Matcher::new((0..count).map(|i| ([""; 0], rule(i, types))))
}

fn event(i: usize, types: usize) -> String {
    format!(
        r#"{{"id":"evt-{i:08}","type":"kind-{}","actor":{{"id":"user-{i}","department":"d-{}","privileged":false}},
        "source":{{"ip":"10.0.{}.7","agent":"Mozilla/5.0 (X11; Linux x86_64)"}},"risk":{}.5,"geo":{{"country":"US"}},
        "tags":["login","web"],"note":"lorem ipsum dolor sit amet, consectetur adipiscing elit"}}"#,
        i % types,
        i % 40,
        i % 256,
        i % 100
    )
}

fn bench(c: &mut Criterion) {
    let (matcher, patterns) = (rules(1_000, 16), (0..1_000).map(|i| rule(i, 16)).collect::<Vec<_>>());
    let events: Vec<_> = (0..1_024).map(|i| event(i, 16)).collect();
    let mut events = events.iter().cycle();
    let mut next = || events.next().expect("they come round");
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let mut group = c.benchmark_group("an event among 1,000 rules");
    group.bench_function("whole", |b| {
        b.iter(|| {
            found.clear();
            matcher.matches(None, next().as_bytes(), &mut scratch, &mut found).map(|()| found.len())
        });
    });
    group.bench_function("stopping early", |b| {
        b.iter(|| {
            found.clear();
            matcher.matches_early(None, next().as_bytes(), &mut scratch, &mut found).map(|()| found.len())
        });
    });
    group.sample_size(10).bench_function("interpreter", |b| {
        b.iter(|| Payload::new(next().as_str()).map(|payload| Pattern::matching(&patterns, &payload).len()));
    });
    group.finish();

    for types in [256, 1] {
        let matcher = rules(100_000, types);
        let number = |i: usize| RuleIx::new(i).expect("few rules");
        let mut group = c.benchmark_group(format!("one rule of 100,000 over {types} types"));
        group.sample_size(10);
        let mut i = 0;
        let mut some = || {
            i = (i + 7_919) % 100_000;
            i
        };
        group.bench_function("replaced", |b| {
            b.iter_batched(
                || {
                    let at = some();
                    (at, rule(at * 3 + 1, types))
                },
                |(at, rule)| matcher.with(number(at), &[], rule),
                BatchSize::PerIteration,
            );
        });
        group.bench_function("removed", |b| b.iter(|| matcher.without(number(black_box(50_000)))));
        group.bench_function("added", |b| {
            b.iter_batched(
                || rule(77, types),
                |rule| matcher.with(number(matcher.len()), &[], rule),
                BatchSize::PerIteration,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
