//! One stack on its way to what it should be: what was seen goes in, what to do next comes out.
//!
//! Nothing is remembered between runs of the tool: a run that was cut off anywhere is taken up by looking
//! at the stack, as this does first.

use super::status::{Approach, StackStatus, approach};

/// How often a stack is found busy or half done before a run gives up on it.
pub const LOOKS_MAX: u32 = 10;

/// What a change set is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such stack yet.
    Create,
    /// There is.
    Update,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stack was looked at: its state, or that there is none.
    Found(Option<StackStatus>),
    /// The change set is there: with changes, or with none.
    Proposed {
        /// Whether it changes anything.
        changes: bool,
    },
    /// No change set could be made.
    ProposalFailed(String),
    /// What was followed has come to its end: the state, or that the stack is gone.
    Settled(Option<StackStatus>),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Look at the stack.
    Look,
    /// Follow what is in progress to its end.
    Follow {
        /// Whether this run began it.
        ours: bool,
    },
    /// Delete the stack, whose creation failed, and follow that.
    Delete,
    /// Finish the rollback of an update, and follow that.
    ContinueRollback,
    /// Make a change set.
    Propose(Kind),
    /// Execute the change set, and follow that.
    Execute(Kind),
    /// Stop: it is as it should be.
    Done(Outcome),
    /// Stop: it is not.
    Fail(Failed),
}

/// How it went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was created.
    Created,
    /// It was changed.
    Updated,
    /// There was nothing to change.
    Unchanged,
}

impl Outcome {
    /// As it is told: `created`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

/// How it went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// No change set could be made.
    Proposal(String),
    /// What was executed did not come about, and this is what the stack is now.
    Execution(Kind, Option<StackStatus>),
    /// A stack whose creation failed earlier cannot be deleted.
    Deletion(Option<StackStatus>),
    /// An earlier update's rollback cannot be finished.
    Rollback(Option<StackStatus>),
    /// It was to be deleted earlier, and some of it is left.
    HalfDeleted,
    /// Only a person can say what is to become of it.
    Stuck(StackStatus),
    /// Others keep changing it.
    Contended(StackStatus),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Looking,
    Clearing,
    RollingBack,
    Proposing(Kind),
    Executing(Kind),
}

/// One stack's way.
#[derive(Clone, Debug)]
pub struct Run {
    phase: Phase,
    looks: u32,
    rolled_back: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self { phase: Phase::Looking, looks: 0, rolled_back: false }
    }
}

impl Run {
    /// What to do, now that this was seen. The first step of all is [`Step::Look`].
    pub fn next(&mut self, event: Event) -> Step {
        match (self.phase, event) {
            // What settled was somebody else's work or that of an earlier run: whatever became of it, it is what
            // there is now. And a stack may be changed between the look and the proposal.
            (Phase::Looking | Phase::Proposing(_), Event::Found(found) | Event::Settled(found)) => {
                self.found(found)
            }
            (Phase::Clearing, Event::Found(found) | Event::Settled(found)) => match found {
                None | Some(StackStatus::DeleteComplete) => self.propose(Kind::Create),
                Some(_) => Step::Fail(Failed::Deletion(found)),
            },
            (Phase::RollingBack, Event::Found(found) | Event::Settled(found)) => match approach(found) {
                Approach::FinishRollback => Step::Fail(Failed::Rollback(found)),
                Approach::Create
                | Approach::Update
                | Approach::Recreate
                | Approach::Wait
                | Approach::HalfDeleted
                | Approach::Stuck => self.found(found),
            },
            (Phase::Proposing(_), Event::Proposed { changes: false }) => Step::Done(Outcome::Unchanged),
            (Phase::Proposing(kind), Event::Proposed { changes: true }) => {
                self.phase = Phase::Executing(kind);
                Step::Execute(kind)
            }
            (Phase::Proposing(_), Event::ProposalFailed(why)) => Step::Fail(Failed::Proposal(why)),
            (Phase::Executing(kind), Event::Found(found) | Event::Settled(found)) => match found {
                Some(StackStatus::CreateComplete) => Step::Done(Outcome::Created),
                Some(StackStatus::UpdateComplete) => Step::Done(Outcome::Updated),
                Some(status) if status.is_busy() => Step::Follow { ours: true },
                Some(_) | None => Step::Fail(Failed::Execution(kind, found)),
            },
            // Nothing was proposed in these phases: look again at what there is.
            (
                Phase::Looking | Phase::Clearing | Phase::RollingBack | Phase::Executing(_),
                Event::Proposed { .. } | Event::ProposalFailed(_),
            ) => {
                self.phase = Phase::Looking;
                Step::Look
            }
        }
    }

    fn found(&mut self, found: Option<StackStatus>) -> Step {
        self.phase = Phase::Looking;
        self.looks += 1;
        if let Some(status) = found.filter(|_| self.looks > LOOKS_MAX) {
            return Step::Fail(Failed::Contended(status));
        }
        match approach(found) {
            Approach::Create => self.propose(Kind::Create),
            Approach::Update => self.propose(Kind::Update),
            Approach::Recreate => {
                self.phase = Phase::Clearing;
                Step::Delete
            }
            Approach::FinishRollback if self.rolled_back => Step::Fail(Failed::Rollback(found)),
            Approach::FinishRollback => {
                self.rolled_back = true;
                self.phase = Phase::RollingBack;
                Step::ContinueRollback
            }
            Approach::Wait => Step::Follow { ours: false },
            Approach::HalfDeleted => Step::Fail(Failed::HalfDeleted),
            Approach::Stuck => Step::Fail(Failed::Stuck(found.unwrap_or(StackStatus::ImportRollbackFailed))),
        }
    }

    fn propose(&mut self, kind: Kind) -> Step {
        self.phase = Phase::Proposing(kind);
        Step::Propose(kind)
    }
}

/// Whether CloudFormation's reason for not making a change set is that nothing would change.
pub fn says_no_change(reason: &str) -> bool {
    ["didn't contain changes", "No updates are to be performed", "no updates are to be performed"]
        .iter()
        .any(|words| reason.contains(words))
}

#[cfg(test)]
mod tests {
    use super::StackStatus::*;
    use super::*;

    /// The steps that these events lead to.
    fn steps(events: impl IntoIterator<Item = Event>) -> Vec<Step> {
        let mut run = Run::default();
        events.into_iter().map(|event| run.next(event)).collect()
    }

    const CHANGES: Event = Event::Proposed { changes: true };

    #[test]
    fn a_stack_that_is_not_there_is_created() {
        let told = steps([Event::Found(None), CHANGES, Event::Settled(Some(CreateComplete))]);
        let expected =
            [Step::Propose(Kind::Create), Step::Execute(Kind::Create), Step::Done(Outcome::Created)];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_stack_that_stands_and_has_no_change_is_left_alone() {
        let told = steps([Event::Found(Some(UpdateComplete)), Event::Proposed { changes: false }]);
        assert_eq!(told, [Step::Propose(Kind::Update), Step::Done(Outcome::Unchanged)]);
    }

    #[test]
    fn a_proposal_left_behind_is_no_stack_yet() {
        assert_eq!(steps([Event::Found(Some(ReviewInProgress))]), [Step::Propose(Kind::Create)]);
    }

    #[test]
    fn a_failed_creation_is_deleted_and_created_anew() {
        let told = steps([Event::Found(Some(RollbackComplete)), Event::Settled(None), CHANGES]);
        assert_eq!(told, [Step::Delete, Step::Propose(Kind::Create), Step::Execute(Kind::Create)]);
        let stays = steps([Event::Found(Some(RollbackFailed)), Event::Settled(Some(DeleteFailed))]);
        assert_eq!(stays[1], Step::Fail(Failed::Deletion(Some(DeleteFailed))));
    }

    #[test]
    fn what_somebody_else_does_is_followed_and_then_it_goes_on_from_there() {
        let told = steps([
            Event::Found(Some(UpdateInProgress)),
            Event::Settled(Some(UpdateRollbackComplete)),
            CHANGES,
        ]);
        let expected =
            [Step::Follow { ours: false }, Step::Propose(Kind::Update), Step::Execute(Kind::Update)];
        assert_eq!(told, expected);
        let gone = steps([Event::Found(Some(DeleteInProgress)), Event::Settled(None)]);
        assert_eq!(gone[1], Step::Propose(Kind::Create));
    }

    #[test]
    fn a_rollback_that_failed_is_finished_once_and_then_updated() {
        let told = steps([
            Event::Found(Some(UpdateRollbackFailed)),
            Event::Settled(Some(UpdateRollbackComplete)),
            CHANGES,
            Event::Settled(Some(UpdateComplete)),
        ]);
        let expected = [
            Step::ContinueRollback,
            Step::Propose(Kind::Update),
            Step::Execute(Kind::Update),
            Step::Done(Outcome::Updated),
        ];
        assert_eq!(told, expected);
        let again =
            steps([Event::Found(Some(UpdateRollbackFailed)), Event::Settled(Some(UpdateRollbackFailed))]);
        assert_eq!(again[1], Step::Fail(Failed::Rollback(Some(UpdateRollbackFailed))));
    }

    #[test]
    fn what_is_half_deleted_or_stuck_is_left_to_people() {
        assert_eq!(steps([Event::Found(Some(DeleteFailed))]), [Step::Fail(Failed::HalfDeleted)]);
        let stuck = steps([Event::Found(Some(ImportRollbackFailed))]);
        assert_eq!(stuck, [Step::Fail(Failed::Stuck(ImportRollbackFailed))]);
    }

    #[test]
    fn an_update_that_is_rolled_back_has_failed() {
        let told = steps([
            Event::Found(Some(CreateComplete)),
            CHANGES,
            Event::Settled(Some(UpdateRollbackComplete)),
        ]);
        assert_eq!(told[2], Step::Fail(Failed::Execution(Kind::Update, Some(UpdateRollbackComplete))));
    }

    #[test]
    fn a_stack_that_others_keep_changing_is_given_up() {
        let busy = std::iter::repeat_n(Event::Settled(Some(UpdateInProgress)), 11);
        assert_eq!(steps(busy).last(), Some(&Step::Fail(Failed::Contended(UpdateInProgress))));
    }

    #[test]
    fn no_sequence_of_events_runs_on_for_ever() {
        // Whatever a stack is found to be each time it is looked at, a run ends or waits on AWS.
        for first in StackStatus::ALL {
            for second in StackStatus::ALL {
                let mut run = Run::default();
                let mut turns = 0;
                let mut step = run.next(Event::Found(Some(*first)));
                while !matches!(step, Step::Done(_) | Step::Fail(_)) && turns < 100 {
                    turns += 1;
                    let event = match step {
                        Step::Propose(_) => CHANGES,
                        Step::Look
                        | Step::Follow { .. }
                        | Step::Delete
                        | Step::ContinueRollback
                        | Step::Execute(_)
                        | Step::Done(_)
                        | Step::Fail(_) => Event::Settled(Some(*second)),
                    };
                    step = run.next(event);
                }
                let follows_its_own = matches!(step, Step::Follow { ours: true }) && second.is_busy();
                assert!(turns < 100 || follows_its_own, "{first} then {second}: {step:?}");
            }
        }
    }

    #[test]
    fn no_change_is_told_in_several_words() {
        assert!(says_no_change(
            "The submitted information didn't contain changes. Submit different information to create a change set."
        ));
        assert!(says_no_change("No updates are to be performed."));
        assert!(!says_no_change("Parameter validation failed"));
    }
}
