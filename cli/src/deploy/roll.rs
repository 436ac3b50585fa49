//! Rolling munits: new tasks up and active, old ones drained, then stopped, and no call cut.
//!
//! ECS starts tasks of the new definition beside the old ones and stops an old one as soon as it is not
//! protected; a regulator protects its task while it has stations. So all that is left to do is to have the
//! service use the new definition, and to drain the old munits once the new ones can take over. Everything
//! is read anew each time: a roll that was cut off anywhere goes on from what it finds.

/// What was seen of the service, its tasks and their munits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The task definition that the stack registered.
    pub wanted: String,
    /// The one that the service uses.
    pub service: String,
    /// How many tasks it should have.
    pub desired: usize,
    /// The tasks there are.
    pub tasks: Vec<Task>,
    /// Whether munits can be asked and drained; without that, old ones end when their calls do.
    pub has_control: bool,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its task definition.
    pub definition: String,
    /// Whether it runs and is healthy.
    pub is_up: bool,
    /// Whether it is ending already.
    pub is_ending: bool,
    /// The munit in it, once that has told of itself.
    pub munit: Option<Munit>,
}

/// A munit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Munit {
    /// Its id.
    pub id: String,
    /// Whether it takes stations.
    pub is_active: bool,
    /// Whether it is told to drain, moving its stations or not.
    pub draining: Option<Draining>,
    /// Stations and watches that are left on it.
    pub left: u64,
}

/// How a munit drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draining {
    /// Its stations end by themselves.
    Waiting,
    /// Its stations are moved elsewhere.
    Migrating,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Have the service use the new definition.
    Start,
    /// Drain these munits.
    Drain(Vec<String>),
    /// Look again in a while.
    Wait(Progress),
    /// Nothing is left to do.
    Done,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// New munits that are up and take stations.
    pub up: usize,
    /// How many there should be.
    pub desired: usize,
    /// Old tasks that are left.
    pub old: usize,
    /// Connections that are left on them.
    pub left: u64,
}

impl Progress {
    /// For people: `2 of 2 new munits up, 1 old one left with 3 connections`.
    pub fn words(&self) -> String {
        let Self { up, desired, old, left } = self;
        let ones = if *old == 1 { "one" } else { "ones" };
        match old {
            0 => format!("{up} of {desired} new munits up"),
            _ => format!("{up} of {desired} new munits up, {old} old {ones} left with {left} connections"),
        }
    }
}

/// Whether the service uses another definition than the stack registered, or tasks of another are left.
pub fn is_due(seen: &Seen) -> bool {
    seen.service != seen.wanted
        || seen.tasks.iter().any(|task| !task.is_ending && task.definition != seen.wanted)
}

/// What to do, now that this was seen.
pub fn next(seen: &Seen, migrate: bool) -> Step {
    if seen.service != seen.wanted {
        return Step::Start;
    }
    let (new, old): (Vec<&Task>, Vec<&Task>) =
        seen.tasks.iter().filter(|task| !task.is_ending).partition(|task| task.definition == seen.wanted);
    let takes_stations = |task: &&&Task| {
        task.is_up && (!seen.has_control || task.munit.as_ref().is_some_and(|munit| munit.is_active))
    };
    let progress = Progress {
        up: new.iter().filter(takes_stations).count(),
        desired: seen.desired,
        old: old.len(),
        left: old.iter().filter_map(|task| task.munit.as_ref()).map(|munit| munit.left).sum(),
    };
    if old.is_empty() {
        return if progress.up >= seen.desired { Step::Done } else { Step::Wait(progress) };
    }
    if progress.up < seen.desired.max(1) || !seen.has_control {
        return Step::Wait(progress);
    }
    let undrained = old.iter().filter_map(|task| task.munit.as_ref()).filter(|munit| match munit.draining {
        None => true,
        Some(Draining::Waiting) => migrate && munit.left > 0,
        Some(Draining::Migrating) => false,
    });
    let undrained: Vec<String> = undrained.map(|munit| munit.id.clone()).collect();
    if undrained.is_empty() { Step::Wait(progress) } else { Step::Drain(undrained) }
}

/// Whether a munit of this id is the one in this task: a regulator on ECS calls its munit by the task's id, or
/// by a part of it that is at least eight long.
pub fn is_in(munit: &str, task: &str) -> bool {
    let tail = munit.rsplit('-').next().unwrap_or(munit);
    !task.is_empty() && (munit.contains(task) || (tail.len() >= 8 && task.starts_with(tail)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str, definition: &str, left: u64) -> Task {
        let munit = Munit { id: format!("munit-{id}"), is_active: true, draining: None, left };
        Task {
            id: id.to_owned(),
            definition: definition.to_owned(),
            is_up: true,
            is_ending: false,
            munit: Some(munit),
        }
    }

    fn seen(tasks: Vec<Task>) -> Seen {
        Seen { wanted: "two".into(), service: "two".into(), desired: 2, tasks, has_control: true }
    }

    #[test]
    fn a_roll_goes_from_its_start_to_its_end_and_from_anywhere_in_between() {
        let mut world =
            Seen { service: "one".into(), ..seen(vec![task("a", "one", 3), task("b", "one", 0)]) };
        assert!(is_due(&world));
        assert_eq!(next(&world, false), Step::Start);
        world.service = "two".into();
        world.tasks.push(Task { munit: None, ..task("c", "two", 0) });
        world.tasks.push(Task { is_up: false, ..task("d", "two", 0) });
        let waiting = Progress { up: 0, desired: 2, old: 2, left: 3 };
        assert_eq!(
            next(&world, false),
            Step::Wait(waiting),
            "old ones are not drained before new ones can take over"
        );
        world.tasks[2] = task("c", "two", 0);
        world.tasks[3] = task("d", "two", 0);
        assert_eq!(next(&world, false), Step::Drain(vec!["munit-a".into(), "munit-b".into()]));
        for old in &mut world.tasks[..2] {
            old.munit.as_mut().unwrap().draining = Some(Draining::Waiting);
        }
        assert!(matches!(next(&world, false), Step::Wait(Progress { old: 2, left: 3, .. })));
        assert_eq!(
            next(&world, true),
            Step::Drain(vec!["munit-a".into()]),
            "waiting may be turned into moving"
        );
        world.tasks.remove(1);
        world.tasks[0].is_ending = true;
        assert_eq!(next(&world, false), Step::Done);
        assert!(!is_due(&world));
    }

    #[test]
    fn without_control_old_munits_end_by_themselves() {
        let world = Seen {
            has_control: false,
            ..seen(vec![task("a", "one", 3), task("c", "two", 0), task("d", "two", 0)])
        };
        assert!(matches!(next(&world, true), Step::Wait(Progress { up: 2, old: 1, .. })));
    }

    #[test]
    fn a_service_scaled_to_nothing_drains_nobody_who_has_nowhere_to_go() {
        let world = Seen { desired: 0, ..seen(vec![task("a", "one", 3)]) };
        assert!(matches!(next(&world, true), Step::Wait(_)));
        assert_eq!(next(&Seen { desired: 0, ..seen(Vec::new()) }, false), Step::Done);
    }

    #[test]
    fn a_munit_is_known_by_its_tasks_id() {
        let id = "0123456789abcdef0123456789abcdef";
        assert!(is_in(id, id) && is_in(&format!("munit-{id}"), id) && is_in("munit-0123456789ab", id));
        assert!(!is_in("munit-0123", id) && !is_in("m1", id) && !is_in("munit-fedcba9876", id));
    }

    #[test]
    fn progress_is_told_in_words() {
        let progress = Progress { up: 2, desired: 2, old: 1, left: 3 };
        assert_eq!(progress.words(), "2 of 2 new munits up, 1 old one left with 3 connections");
    }
}
