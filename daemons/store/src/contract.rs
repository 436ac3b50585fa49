//! What any store must do, as one suite: `store_contract!(memory, Alone::default());`.
//!
//! Every test is a sentence of the port's documentation. It gets a [`Place`] of its own: a store nobody
//! else uses, to which it connects as often as it needs processes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test suite: it panics where a store is wrong, and the names of its tests are their sentences"
)]

mod audience;
mod bus;
mod due;
mod events;
mod kept;
mod listing;
mod munits;
mod nodes;
mod rooms;
mod streams;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use mobz_core::id::{Address, ConnectionId};
use mobz_core::munit::{self, Capacity, Wanted};
use mobz_core::room::{Grants, Mode, Participant, ParticipantType, Record};
use mobz_core::store::{Change, Committed, MemberChange, RecordChange, Revision, Store};
use mobz_core::time::Timestamp;

pub use audience::*;
pub use bus::*;
pub use due::*;
pub use events::*;
pub use kept::*;
pub use listing::*;
pub use munits::*;
pub use nodes::*;
pub use rooms::*;
pub use streams::*;

/// How long the suite waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long it listens for what must not come.
pub const SILENCE: Duration = Duration::from_millis(300);
/// How often it looks again.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// An empty store that only one test uses.
#[async_trait]
pub trait Place: Send + Sync {
    /// Opens it as one more process would.
    async fn connect(&self) -> Arc<dyn Store>;
}

/// Runs the suite on a [`Place`], made anew for every test by the expression given.
#[macro_export]
macro_rules! store_contract {
    ($name:ident, $place:expr) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression may name what stands around it")]
            use super::*;

            $crate::contract_tests! { $place;
                a_missing_room_loads_as_nothing
                a_record_is_read_as_it_was_committed
                a_commit_at_another_revision_changes_nothing
                a_commit_without_a_record_leaves_the_revision
                one_of_many_concurrent_commits_wins
                rooms_do_not_contend_with_each_other
                a_removed_room_leaves_nothing_behind
                a_revision_never_comes_again
                members_need_a_room
                a_member_is_put_and_removed_beside_the_record
                a_member_changed_meanwhile_is_a_conflict
                one_member_may_change_twice_in_one_commit
                the_longest_present_is_heir_unless_one_has_the_grant
                the_due_members_come_earliest_first
                members_are_found_by_their_node_unless_they_are_away
                an_audience_of_thousands_is_counted_and_read_in_batches
                concurrent_joins_of_an_audience_do_not_conflict
                kept_signals_are_taken_once_and_in_order
                past_the_most_signals_some_are_missed
                past_the_most_bytes_some_are_missed
                kept_signals_go_with_their_member_and_when_cleared
                every_room_is_listed_once_over_all_pages
                a_room_is_listed_from_its_first_commit_until_it_is_removed
                a_room_that_comes_and_goes_concurrently_is_listed_in_the_end
                a_strange_cursor_is_the_end
                refresh_tells_which_rooms_are_missing
                a_due_room_is_claimed_by_one
                a_claimed_room_is_due_again_unless_settled
                the_earlier_deadline_counts
                a_deadline_committed_during_a_claim_is_not_lost
                due_rooms_are_handed_out_in_batches
                a_deadline_outlives_its_room
                a_lost_node_is_claimed_by_one_and_stays_until_forgotten
                a_node_that_beats_again_is_not_lost
                the_rooms_of_a_node_are_kept_until_detached_or_forgotten
                a_message_reaches_its_node_alone
                sending_says_whether_anyone_listens
                messages_arrive_in_order_and_whole
                two_processes_may_listen_and_many_topics_be_heard
                a_dropped_subscription_hears_nothing_and_disturbs_nobody
                a_missing_munit_loads_as_nothing
                a_munit_is_read_as_it_was_committed
                a_munit_commit_at_another_revision_changes_nothing
                one_of_many_concurrent_munit_commits_wins
                a_removed_munit_leaves_nothing_behind
                a_munits_revision_never_comes_again
                a_beat_is_kept_beside_the_record
                a_beat_of_a_munit_that_is_not_there_is_not_kept
                every_munit_is_listed_once_over_all_pages
                a_cursor_that_names_no_munit_is_the_end
                the_freest_munits_are_candidates_first
                candidates_follow_every_commit
                a_munit_whose_beat_says_that_it_takes_none_is_no_candidate
                a_silent_munit_is_claimed_by_one
                a_munit_that_beats_again_is_not_silent
                a_munit_is_first_heard_when_it_registers
                a_lost_munit_is_not_claimed_until_it_registers_again
                silent_munits_are_handed_out_in_batches
                a_signal_reaches_its_munit_alone
                signalling_says_whether_anyone_listens
                a_reply_reaches_its_asker_alone
                a_strange_channel_is_not_replied_to
                events_are_numbered_in_order
                events_are_replayed_from_where_one_left
                the_end_is_where_new_events_begin
                waiting_for_events_ends_with_the_first_or_in_time
                the_log_keeps_the_newest
                a_number_of_another_log_gets_all_that_is_kept
                a_stream_is_committed_by_compare_and_set
                one_of_many_concurrent_stream_commits_wins
                a_refused_stream_commit_stores_no_media_and_tells_nobody
                media_are_read_as_they_were_stored
                media_go_when_removed_and_in_time
                notices_reach_listeners_of_their_room_in_order
                a_stream_outlives_its_room
            }
        }
    };
}

/// Declares the tests of [`store_contract!`].
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($place:expr; $($test:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let place = $place;
                $crate::contract::$test(&place).await;
            }
        )+
    };
}

/// An id that is known to be one.
pub(crate) fn id<T: FromStr<Err: Debug>>(text: impl AsRef<str>) -> T {
    text.as_ref().parse().expect("the suite's ids are ids")
}

/// A moment of the suite's own time.
pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

pub(crate) fn participant(user: &str, order: u64) -> Participant {
    Participant {
        user: id(user),
        name: Some(format!("{user} \"ö\" {{x}}")),
        participant_type: ParticipantType::Viewer,
        grants: Grants::USUAL,
        video: true,
        audio: false,
        address: Address { node: id("node-1"), connection: ConnectionId(u64::MAX) },
        away_since: None,
        away_until: None,
        offer_until: None,
        joined_at: at(0),
        order,
        resume: format!("secret of {user}"),
        station: None,
        previous: None,
    }
}

/// A record such as the suite commits.
pub fn sample(room: &str) -> Record {
    record(room)
}

pub(crate) fn record(room: &str) -> Record {
    let owner = participant("owner", 1);
    Record {
        room: id(room),
        mode: Mode::P2m,
        owner: owner.user.clone(),
        owner_by_grant: false,
        version: 1,
        restored: false,
        created_at: at(0),
        next_order: 2,
        participants: [(owner.user.clone(), owner.into())].into(),
    }
}

pub(crate) fn put(room: &str) -> Change {
    Change { record: RecordChange::Put(Arc::new(record(room))), ..Change::default() }
}

pub(crate) fn joins(now: Participant) -> MemberChange {
    MemberChange::Put { was: None, now: Box::new(now) }
}

pub(crate) fn with_members(members: impl IntoIterator<Item = MemberChange>) -> Change {
    Change { members: members.into_iter().collect(), ..Change::default() }
}

pub(crate) fn done(committed: Committed) -> Revision {
    let Committed::Done(revision) = committed else {
        panic!("a conflict where there is nothing to conflict")
    };
    revision
}

/// A munit's record such as the suite commits.
pub fn sample_munit(munit: &str) -> munit::Record {
    munit_record(munit, 10)
}

pub(crate) fn munit_record(munit: &str, stations: usize) -> munit::Record {
    munit::Record {
        munit: id(munit),
        region: "\"ö\" {x}".into(),
        address: "192.0.2.1".into(),
        version: "1".into(),
        capacity: Capacity { stations, viewers: 100 },
        since: at(0),
        instance: "a".into(),
        wanted: Wanted::Active,
        lost: false,
        stations: BTreeMap::new(),
    }
}

/// Makes a room; returns its revision.
pub(crate) async fn create(store: &dyn Store, room: &str) -> Revision {
    done(store.commit(&id(room), Revision::default(), put(room)).await.unwrap())
}

/// Waits until `look` finds something.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never: {what}"))
}
