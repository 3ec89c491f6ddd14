//! Many hosts at once, as real threads on one store: no cap is exceeded, and every place is used.

use std::thread;

use super::{LOCK, TELL, document, rule, told};
use crate::support::{Target, World, at, go, id};
use tipstaff::*;

const HOSTS: usize = 4;
const EVENTS: usize = 40;

fn caps() -> String {
    let settings = r#""caps": [{ "count": 30, "in": "1h", "on_exceed": "suppress" }, { "count": 3, "in": "1h", "per": "subject", "on_exceed": "suppress" }],"#;
    let lock = LOCK.replace(r#""for": "30m""#, r#""for": "5h""#);
    document(settings, &[rule("r", TELL, r#""cap": { "count": 12, "in": "1h" }"#), rule("lock", &lock, "")])
}

/// A decision by a host that tries again when the others are too busy.
fn decide(engine: &Engine, event: &Event, now: Time) -> Decision {
    loop {
        match ready(engine.submit(event.clone(), now)).unwrap() {
            Err(EngineError::Busy) => thread::yield_now(),
            answer => return answer.unwrap(),
        }
    }
}

#[test]
fn caps_hold_whoever_decides_first() {
    let world = World::new(&caps());
    go(world.engine.rules(&world.tenant, at(0)));
    let host = |host: usize| {
        let engine = Engine::new(world.store.clone(), Target::default(), RuleSet::from_json("[]").unwrap());
        let mut made = 0;
        for n in 0..EVENTS {
            let what = if n % 2 == 0 { "r" } else { "lock" };
            // Each of the hosts sees every third event as well that another one sees.
            let name = if n % 3 == 0 { format!("shared{n}") } else { format!("h{host}-{n}") };
            let user = format!("u{}", n % 17);
            let event = world.event(&name, &user, at(0), &format!(r#"{{ "do": "{what}" }}"#));
            made += usize::from(told(&decide(&engine, &event, at(n as i64 % 50))) == ["made"]);
        }
        made
    };
    thread::scope(|scope| {
        let hosts: Vec<_> = (0..HOSTS).map(|n| scope.spawn(move || host(n))).collect();
        assert!(hosts.into_iter().map(|host| host.join().unwrap()).sum::<usize>() >= 30);
    });
    let log = world.log();
    let of = |rule: &str| log.iter().filter(|row| row.holders[0].rule == id(rule)).count();
    assert_eq!(log.len(), 30, "as many as there is room for, and not one more");
    assert!(of("r") <= 12, "{}", of("r"));
    for n in 0..17 {
        let user: UserId = id(&format!("u{n}"));
        let count = log.iter().filter(|row| row.subject.user == user).count();
        assert!(count <= 3, "{user}: {count}");
    }
    world.verified();
}

#[test]
fn places_that_come_back_meanwhile_are_used_again_and_never_twice() {
    let settings = r#""caps": [{ "count": 5, "in": "1h", "on_exceed": "suppress" }],"#;
    let guarded = LOCK.replace(r#""none""#, "{}");
    let world = World::new(&document(settings, &[rule("r", &guarded, "")]));
    go(world.engine.rules(&world.tenant, at(0)));
    let most = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for host in 0..HOSTS {
            let (world, most) = (&world, &most);
            scope.spawn(move || {
                let none = RuleSet::from_json("[]").unwrap();
                let engine = Engine::new(world.store.clone(), Target::default(), none);
                for n in 0..EVENTS {
                    let event = world.event(
                        &format!("h{host}-{n}"),
                        &format!("u{host}-{n}"),
                        at(0),
                        r#"{ "do": "r" }"#,
                    );
                    let decision = decide(&engine, &event, at(n as i64 % 50));
                    let open = Filter::new(&world.tenant).status(Status::Pending).limit(MAX_PAGE);
                    let waiting = go(engine.enforcements(open)).rows.len();
                    most.fetch_max(waiting, std::sync::atomic::Ordering::SeqCst);
                    let Some(made) = decision.enforcements().next().filter(|_| n % 2 == 0) else { continue };
                    loop {
                        let olga = id("olga");
                        match ready(engine.cancel(&world.tenant, made, &olga, "a drill", at(50))).unwrap() {
                            Err(EngineError::Busy) => thread::yield_now(),
                            ended => break drop(ended.unwrap()),
                        }
                    }
                }
            });
        }
    });
    // What waits holds a place each; what was called off holds none.
    assert!(most.into_inner() <= 5);
    let waiting: Vec<_> = world.log().into_iter().filter(|row| row.status() == Status::Pending).collect();
    assert_eq!(waiting.len(), 5, "in the end all places are taken");
    assert!(waiting.iter().all(|row| row.reserved.len() == 1));
    world.verified();
}
