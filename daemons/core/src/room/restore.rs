//! A room that the store lost, and that was begun anew before anybody gave it back.

use std::sync::Arc;

use super::Room;
use super::record::{ParticipantType, Record};
use super::settle::Turn;

impl Room<'_> {
    /// Who was in the `lost` room, and is connected still, is in this one from now on, with stations and all:
    /// live calls outlive their database. Who has joined again is there already; who does not fit stays out.
    pub(super) fn give_back(&mut self, lost: &Record, turn: &mut Turn) {
        let Some(record) = &mut self.record else { return };
        if record.mode != lost.mode || record.created_at == lost.created_at {
            return;
        }
        let record = Arc::make_mut(record);
        for participant in lost.participants.values() {
            let there = record.participants.values();
            let alike = there.filter(|there| there.participant_type == participant.participant_type).count();
            let most = match participant.participant_type {
                ParticipantType::Publisher => Some(record.mode.publishers_max()),
                ParticipantType::Viewer => record.mode.viewers_max(),
            };
            if record.participants.contains_key(&participant.user) || most.is_some_and(|most| alike >= most) {
                continue;
            }
            turn.touched = true;
            record.version = record.version.max(lost.version);
            record.restored = true;
            turn.joined.push(participant.as_ref().into());
            if participant.participant_type == ParticipantType::Publisher {
                turn.added.push(participant.user.clone());
            }
            record.next_order = record.next_order.max(participant.order + 1);
            record.participants.insert(participant.user.clone(), participant.clone());
            let takes_over = lost.owner_by_grant || !record.owner_by_grant;
            if participant.user == lost.owner && record.owner != lost.owner && takes_over {
                record.owner = lost.owner.clone();
                record.owner_by_grant = lost.owner_by_grant;
                turn.owner_changed = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Address, ConnectionId, RoomId};
    use crate::room::{Effect, Grants, Input, Joining, Mode};
    use crate::settings::Settings;
    use crate::signal::ServerSignal;
    use crate::store::Loaded;
    use crate::time::Timestamp;

    fn demo() -> RoomId {
        "demo".parse().unwrap()
    }

    fn join(user: &str) -> Input {
        Input::Join(Box::new(Joining {
            address: Address { node: "n1".parse().unwrap(), connection: ConnectionId(1) },
            user: user.parse().unwrap(),
            name: None,
            grants: Grants::USUAL,
            mode: Some(Mode::M2m),
            publish: Some(true),
            resume: None,
            secret: format!("{user}~1"),
            re: None,
        }))
    }

    /// The room that these have joined, one after another, from `at` on.
    fn of(users: &[&str], at: u64) -> Arc<Record> {
        let settings = Settings::default();
        let mut room = Room::new(&settings, demo(), Loaded::default());
        for user in users {
            room.apply(Timestamp::from_millis(at), join(user));
        }
        room.record().unwrap().clone()
    }

    fn users(record: &Record) -> Vec<&str> {
        record.participants.keys().map(crate::id::UserId::as_str).collect()
    }

    #[test]
    fn who_was_in_a_lost_room_is_in_the_one_that_was_begun_anew() {
        let (settings, lost, anew) =
            (Settings::default(), of(&["ann", "bob"], 1000), of(&["cem", "bob"], 9000));
        let loaded = Loaded { record: Some(anew.clone()), ..Loaded::default() };
        let mut room = Room::new(&settings, demo(), loaded);
        let effects = room.apply(Timestamp::from_millis(9500), Input::GiveBack(lost.clone()));

        let record = room.record().unwrap();
        assert_eq!((users(record), record.owner.as_str()), (vec!["ann", "bob", "cem"], "ann"));
        let there = |record: &Record, user: &str| record.participants[&user.parse().unwrap()].clone();
        assert_eq!(there(record, "ann"), there(&lost, "ann"));
        assert_eq!(there(record, "bob"), there(&anew, "bob"), "who has joined again stays so");
        assert!(record.version > lost.version.max(anew.version));
        let told = |effect: &Effect| {
            matches!(effect, Effect::Tell { signal: ServerSignal::ParticipantChange { .. }, .. })
        };
        assert!(effects.list.iter().any(told));
        let again = room.apply(Timestamp::from_millis(9600), Input::GiveBack(lost));
        assert!(again.change.is_empty(), "doing it twice changes nothing");
    }

    #[test]
    fn the_first_version_after_a_room_was_given_back_is_none_that_was_told_before() {
        let settings = Settings::default();
        let mut given = of(&["ann", "bob"], 1000);
        Arc::make_mut(&mut given).restored = true;
        let loaded = Loaded { record: Some(given.clone()), ..Loaded::default() };
        let mut room = Room::new(&settings, demo(), loaded);
        let mut version_after = |user| {
            room.apply(Timestamp::from_millis(9000), join(user));
            room.record().unwrap().version
        };
        let first = version_after("cem");
        assert!(first > given.version + 1000, "{first}");
        assert_eq!(version_after("dan"), first + 1);
    }

    #[test]
    fn who_does_not_fit_into_the_room_begun_anew_stays_out() {
        let names: Vec<String> = (0..9).map(|number| format!("u{number}")).collect();
        let full: Vec<&str> = names.iter().map(String::as_str).collect();
        let (settings, lost, anew) = (Settings::default(), of(&["ann"], 1000), of(&full, 9000));
        let loaded = Loaded { record: Some(anew), ..Loaded::default() };
        let mut room = Room::new(&settings, demo(), loaded);
        let effects = room.apply(Timestamp::from_millis(9500), Input::GiveBack(lost));
        assert!(effects.change.is_empty() && users(room.record().unwrap()) == full);
    }
}
