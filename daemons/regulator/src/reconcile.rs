//! What is missing and what is too much: the munit's record beside what Janus has. Pure.

use std::collections::{BTreeMap, BTreeSet};

use mobz_core::id::StationId;
use mobz_core::munit::Assigned;

/// What makes a munit what its record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the station.
    Make(StationId, Assigned),
    /// End the station, and all that watch it.
    End(StationId),
}

/// The steps that make `has` what is `wanted`: ends first, for they make room. None where both agree.
pub fn reconcile(wanted: &BTreeMap<StationId, Assigned>, has: &BTreeSet<StationId>) -> Vec<Step> {
    let ends = has.iter().filter(|station| !wanted.contains_key(station)).cloned().map(Step::End);
    let makes = wanted.iter().filter(|(station, _)| !has.contains(station));
    ends.chain(makes.map(|(station, assigned)| Step::Make(station.clone(), assigned.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use mobz_core::time::Timestamp;

    use super::*;

    fn station(number: u64) -> StationId {
        StationId::on(&"m1".parse().unwrap(), number)
    }

    fn assigned() -> Assigned {
        let (user, room) = ("ann".parse().unwrap(), "demo".parse().unwrap());
        Assigned { user, room, at: Timestamp::from_millis(1) }
    }

    fn wanted(numbers: &[u64]) -> BTreeMap<StationId, Assigned> {
        numbers.iter().map(|number| (station(*number), assigned())).collect()
    }

    fn has(numbers: &[u64]) -> BTreeSet<StationId> {
        numbers.iter().map(|number| station(*number)).collect()
    }

    #[test]
    fn what_is_missing_is_made_and_what_is_too_much_ends() {
        let steps = reconcile(&wanted(&[1, 2]), &has(&[2, 3]));
        assert_eq!(steps, [Step::End(station(3)), Step::Make(station(1), assigned())]);
    }

    #[test]
    fn where_both_agree_nothing_is_done() {
        assert_eq!(reconcile(&wanted(&[1, 2]), &has(&[1, 2])), []);
        assert_eq!(reconcile(&wanted(&[]), &has(&[])), []);
    }

    #[test]
    fn its_steps_taken_leave_nothing_to_do() {
        for (want, have) in [(&[1, 2, 3][..], &[][..]), (&[], &[1, 2]), (&[1, 5], &[2, 5, 9])] {
            let mut now = has(have);
            for step in reconcile(&wanted(want), &now) {
                match step {
                    Step::Make(station, _) => assert!(now.insert(station)),
                    Step::End(station) => assert!(now.remove(&station)),
                }
            }
            assert_eq!(reconcile(&wanted(want), &now), []);
        }
    }
}
