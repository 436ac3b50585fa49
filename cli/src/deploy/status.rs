//! The states of a stack, and what each asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

macro_rules! statuses {
    ($($name:ident $text:literal),* $(,)?) => {
        /// The states that CloudFormation has for a stack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "CloudFormation's own words")]
        pub enum StackStatus {
            $($name,)*
        }

        impl StackStatus {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// As CloudFormation writes it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

statuses! {
    CreateInProgress "CREATE_IN_PROGRESS",
    CreateFailed "CREATE_FAILED",
    CreateComplete "CREATE_COMPLETE",
    RollbackInProgress "ROLLBACK_IN_PROGRESS",
    RollbackFailed "ROLLBACK_FAILED",
    RollbackComplete "ROLLBACK_COMPLETE",
    DeleteInProgress "DELETE_IN_PROGRESS",
    DeleteFailed "DELETE_FAILED",
    DeleteComplete "DELETE_COMPLETE",
    UpdateInProgress "UPDATE_IN_PROGRESS",
    UpdateCompleteCleanupInProgress "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
    UpdateComplete "UPDATE_COMPLETE",
    UpdateFailed "UPDATE_FAILED",
    UpdateRollbackInProgress "UPDATE_ROLLBACK_IN_PROGRESS",
    UpdateRollbackFailed "UPDATE_ROLLBACK_FAILED",
    UpdateRollbackCompleteCleanupInProgress "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    UpdateRollbackComplete "UPDATE_ROLLBACK_COMPLETE",
    ReviewInProgress "REVIEW_IN_PROGRESS",
    ImportInProgress "IMPORT_IN_PROGRESS",
    ImportComplete "IMPORT_COMPLETE",
    ImportRollbackInProgress "IMPORT_ROLLBACK_IN_PROGRESS",
    ImportRollbackFailed "IMPORT_ROLLBACK_FAILED",
    ImportRollbackComplete "IMPORT_ROLLBACK_COMPLETE",
}

impl FromStr for StackStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        let known = Self::ALL.iter().find(|status| status.as_str() == text);
        known.copied().ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

/// A state that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownStatus(pub String);

impl fmt::Display for UnknownStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloudFormation says {}, which this version does not know", self.0)
    }
}

impl std::error::Error for UnknownStatus {}

impl fmt::Display for StackStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for StackStatus {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

/// What a stack in some state lets one do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// There is none, or nothing but a proposal: a change set creates it.
    Create,
    /// It stands: a change set updates it.
    Update,
    /// Its creation failed, and it can only be deleted; then it is created.
    Recreate,
    /// An update could not be rolled back: the rollback is finished first, then it is updated.
    FinishRollback,
    /// Somebody, or an earlier run, is changing it: that is followed to its end first.
    Wait,
    /// Somebody wanted it gone, and some of it would not go: nothing is done to it but deleting the rest.
    HalfDeleted,
    /// Imported resources could not be given back: only a person can say which.
    Stuck,
}

impl StackStatus {
    /// What this state lets one do.
    pub const fn approach(self) -> Approach {
        match self {
            Self::ReviewInProgress | Self::DeleteComplete => Approach::Create,
            Self::CreateComplete
            | Self::UpdateComplete
            | Self::UpdateFailed
            | Self::UpdateRollbackComplete
            | Self::ImportComplete
            | Self::ImportRollbackComplete => Approach::Update,
            Self::CreateFailed | Self::RollbackFailed | Self::RollbackComplete => Approach::Recreate,
            Self::UpdateRollbackFailed => Approach::FinishRollback,
            Self::CreateInProgress
            | Self::RollbackInProgress
            | Self::DeleteInProgress
            | Self::UpdateInProgress
            | Self::UpdateCompleteCleanupInProgress
            | Self::UpdateRollbackInProgress
            | Self::UpdateRollbackCompleteCleanupInProgress
            | Self::ImportInProgress
            | Self::ImportRollbackInProgress => Approach::Wait,
            Self::DeleteFailed => Approach::HalfDeleted,
            Self::ImportRollbackFailed => Approach::Stuck,
        }
    }

    /// Whether CloudFormation is at work on it.
    pub const fn is_busy(self) -> bool {
        matches!(self.approach(), Approach::Wait)
    }

    /// Whether what was asked of it last came about.
    pub const fn is_good(self) -> bool {
        matches!(
            self,
            Self::CreateComplete | Self::UpdateComplete | Self::DeleteComplete | Self::ImportComplete
        )
    }

    /// For people: `in place`, `updating`, `rolled back`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::CreateInProgress => "creating",
            Self::CreateFailed => "creation failed",
            Self::CreateComplete | Self::UpdateComplete | Self::ImportComplete => "in place",
            Self::RollbackInProgress => "creation failed; rolling back",
            Self::RollbackFailed => "creation failed; rollback failed too",
            Self::RollbackComplete => "creation failed; rolled back",
            Self::DeleteInProgress => "deleting",
            Self::DeleteFailed => "deletion failed",
            Self::DeleteComplete => "deleted",
            Self::UpdateInProgress => "updating",
            Self::UpdateCompleteCleanupInProgress => "updated; removing what is replaced",
            Self::UpdateFailed => "update failed",
            Self::UpdateRollbackInProgress => "update failed; rolling back",
            Self::UpdateRollbackFailed => "update failed; rollback failed too",
            Self::UpdateRollbackCompleteCleanupInProgress => "rolled back; removing what was new",
            Self::UpdateRollbackComplete => "in place; the last update was rolled back",
            Self::ReviewInProgress => "proposed only",
            Self::ImportInProgress => "importing",
            Self::ImportRollbackInProgress => "import failed; rolling back",
            Self::ImportRollbackFailed => "import failed; rollback failed too",
            Self::ImportRollbackComplete => "in place; the last import was rolled back",
        }
    }
}

/// What is done to a stack that is found in this state, or not found at all.
pub fn approach(found: Option<StackStatus>) -> Approach {
    found.map_or(Approach::Create, StackStatus::approach)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_read_as_it_is_written() {
        for status in StackStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!("ASLEEP".parse::<StackStatus>(), Err(UnknownStatus("ASLEEP".to_owned())));
    }

    #[test]
    fn what_is_in_progress_is_waited_for_but_for_a_mere_proposal() {
        for status in StackStatus::ALL {
            let is_busy =
                status.as_str().ends_with("_IN_PROGRESS") && *status != StackStatus::ReviewInProgress;
            assert_eq!(status.is_busy(), is_busy, "{status}");
        }
    }

    #[test]
    fn a_creation_that_failed_is_taken_away_and_begun_anew() {
        for status in ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"] {
            assert_eq!(status.parse::<StackStatus>().unwrap().approach(), Approach::Recreate);
        }
        assert_eq!(approach(None), Approach::Create);
    }
}
