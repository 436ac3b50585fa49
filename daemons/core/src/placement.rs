//! Placement: which munit takes a station.
//!
//! The store hands out the few munits with the most room, in logarithmic time however many there are;
//! one of them is chosen here.

use crate::id::MunitId;

/// How many candidates a placement looks at.
pub const CANDIDATES_MAX: usize = 16;

/// A munit that takes stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub munit: MunitId,
    /// How many more stations it takes.
    pub free: usize,
}

/// Chooses a munit among `candidates`: one that has none of the room's stations if there is one, in
/// proportion to what is free, so that many nodes that decide at once do not all choose the same.
/// `chance` is any number, fresh for every decision. `None` when none takes a station.
///
/// `apart_from` are munits that must not be chosen: one that has just refused, or is being emptied.
pub fn choose<'a>(
    candidates: &'a [Candidate],
    room_has: &[MunitId],
    apart_from: &[MunitId],
    chance: u64,
) -> Option<&'a MunitId> {
    let takes = |candidate: &&Candidate| candidate.free > 0 && !apart_from.contains(&candidate.munit);
    let spread = |candidate: &&Candidate| takes(candidate) && !room_has.contains(&candidate.munit);
    weighted(candidates.iter().filter(spread), chance)
        .or_else(|| weighted(candidates.iter().filter(takes), chance))
}

fn weighted<'a>(candidates: impl Iterator<Item = &'a Candidate> + Clone, chance: u64) -> Option<&'a MunitId> {
    let total: u64 = candidates.clone().map(|candidate| candidate.free as u64).sum();
    let mut at = chance.checked_rem(total)?;
    for candidate in candidates {
        match at.checked_sub(candidate.free as u64) {
            Some(rest) => at = rest,
            None => return Some(&candidate.munit),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn munit(name: &str) -> MunitId {
        name.parse().unwrap()
    }

    fn candidates(free: &[(&str, usize)]) -> Vec<Candidate> {
        free.iter().map(|(name, free)| Candidate { munit: munit(name), free: *free }).collect()
    }

    #[test]
    fn what_is_free_is_chosen_in_proportion() {
        let candidates = candidates(&[("a", 3), ("b", 1), ("full", 0)]);
        let chosen = |chance| choose(&candidates, &[], &[], chance).unwrap().as_str();
        assert_eq!([0, 1, 2, 3, 4, 7].map(chosen), ["a", "a", "a", "b", "a", "b"]);
    }

    #[test]
    fn a_rooms_stations_are_spread_while_there_is_elsewhere() {
        let both = candidates(&[("a", 99), ("b", 1)]);
        for chance in 0..200 {
            assert_eq!(choose(&both, &[munit("a")], &[], chance), Some(&munit("b")));
        }
        assert_eq!(choose(&candidates(&[("a", 1)]), &[munit("a")], &[], 5), Some(&munit("a")));
    }

    #[test]
    fn none_is_chosen_where_none_takes_a_station() {
        assert_eq!(choose(&[], &[], &[], 1), None);
        assert_eq!(choose(&candidates(&[("a", 0)]), &[], &[], 1), None);
        assert_eq!(choose(&candidates(&[("a", 5)]), &[], &[munit("a")], 1), None);
    }
}
