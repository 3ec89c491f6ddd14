//! People and the seats that they fill: each of them one at the most.

use super::Quorum;
use crate::id::GroupId;

/// How many seats of these quorums people of these groups fill: a matching that no other can
/// better.
#[must_use]
pub(crate) fn seats_filled(quorums: &[Quorum], people: &[Vec<GroupId>]) -> usize {
    matched(quorums, people).into_iter().filter(|(_, taken)| *taken).count()
}

/// Each seat's group, and whether somebody took it. No group has more seats than there are people.
pub(super) fn matched<'a>(quorums: &'a [Quorum], people: &[Vec<GroupId>]) -> Vec<(&'a GroupId, bool)> {
    let seats: Vec<&GroupId> = quorums
        .iter()
        .flat_map(|quorum| std::iter::repeat_n(&quorum.name, people.len().min(quorum.need as usize)))
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; seats.len()];
    let mut free = seats.len();
    for person in 0..people.len() {
        // Once all seats are taken nobody else need be asked.
        if free == 0 {
            break;
        }
        if seat(person, people, &seats, &mut taken, &mut vec![false; seats.len()]) {
            free -= 1;
        }
    }
    seats.into_iter().zip(taken).map(|(group, person)| (group, person.is_some())).collect()
}

/// Finds the person a seat, moving others to seats that they can also take (augmenting paths).
fn seat(
    person: usize,
    people: &[Vec<GroupId>],
    seats: &[&GroupId],
    taken: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for i in 0..seats.len() {
        if tried[i] || !people[person].contains(seats[i]) {
            continue;
        }
        tried[i] = true;
        let free = match taken[i] {
            None => true,
            Some(other) => seat(other, people, seats, taken, tried),
        };
        if free {
            taken[i] = Some(person);
            return true;
        }
    }
    false
}
