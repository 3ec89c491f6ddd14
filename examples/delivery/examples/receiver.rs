//! A receiver to point a host at: `cargo run -p tipstaff-delivery --example receiver -- [ADDRESS] [SECRET]`.
//! It prints each id that had its effect.

use std::collections::BTreeSet;
use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

use tipstaff_delivery::{Receiver, ReceiverOptions};

/// For trials only: everybody knows it.
const SECRET: &str = "whsec_dGlwc3RhZmYgcmVjZWl2ZXIgZm9yIHRyaWFscw==";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:8099".into());
    let secret = args.next().unwrap_or_else(|| SECRET.into());
    let receiver = Receiver::start(&address, ReceiverOptions::new(vec![secret.parse()?]))?;
    println!("listening at {}, secret {secret}", receiver.url());
    let mut shown = BTreeSet::new();
    loop {
        sleep(Duration::from_millis(200));
        for (id, times) in receiver.effects().effects {
            if shown.insert(id.clone()) {
                println!("{id} took effect {times} time");
            }
        }
    }
}
