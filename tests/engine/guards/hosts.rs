//! Several hosts, as real threads on one store: the last administrators remain, whoever locks whom.

use tipstaff::MemoryStore;

use crate::support::{at, last_ones};

#[test]
fn some_administrators_remain_whoever_decides_first() {
    for _ in 0..4 {
        let store = MemoryStore::default();
        last_ones::some_remain(|| store.clone(), 4, 40, at(0));
    }
}
