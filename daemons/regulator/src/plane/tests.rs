//! A plane whose Janus is played by the test.

use std::collections::BTreeMap;
use std::time::Duration;

use mobz_core::id::{Address, ConnectionId, RoomId, StationId, UserId};
use mobz_core::munit::Assigned;
use mobz_core::signal::{
    Asker, Code, IceCandidate, MunitDone, MunitMessage, MunitSignal, Refusal, ServerSignal,
};
use mobz_core::time::Timestamp;

mod moving;
mod reporting;
mod takeover;
mod unheard;

use super::layer::LAYER_WAIT;
use super::watch::WATCH_WAIT;
use super::*;
use crate::opaque::{Opaque, Role};

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n";
const OFFER_AGAIN: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n";
const OFFER_OF_ANOTHER: &str = "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\n";

/// A plane, what it has Janus do, and what it told.
struct World {
    plane: Plane,
    now: Timestamp,
    commands: Vec<(Job, Command)>,
    effects: Vec<Effect>,
    asked: u32,
}

fn station() -> StationId {
    StationId::on(&"m1".parse().unwrap(), 1)
}

fn room() -> RoomId {
    "demo".parse().unwrap()
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

fn stream(kind: Kind, simulcast: bool) -> Stream {
    let mid = if kind == Kind::Audio { "a" } else { "v" };
    Stream { mid: mid.into(), kind, simulcast, temporal: true }
}

fn streams(simulcast: bool) -> Vec<Stream> {
    vec![stream(Kind::Audio, false), stream(Kind::Video, simulcast)]
}

fn failed(unsure: bool) -> Outcome {
    Outcome::Failed { refusal: Refusal::new(Code::MediaError, "no (499)"), unsure }
}

impl World {
    fn new() -> Self {
        Self {
            plane: Plane::new("m1".parse().unwrap(), 3),
            now: Timestamp::from_millis(1_000_000),
            commands: Vec::new(),
            effects: Vec::new(),
            asked: 0,
        }
    }

    /// With a station that Janus has made.
    fn assigned() -> Self {
        let mut world = Self::new();
        world.ask(None, MunitSignal::Assign { station: station(), room: room(), user: user("ann") });
        world.answer(&Command::Make(station()), Outcome::Done);
        world
    }

    /// With ann's media flowing, on handle 1.
    fn live() -> Self {
        let mut world = Self::assigned();
        world.publish(OFFER);
        world.published(1);
        world.event(1, Event::Up);
        world.told();
        world
    }

    /// With bob watching them, on handle 2.
    fn watched() -> Self {
        let mut world = Self::live();
        world.watch("bob");
        world.subscribed(2);
        world.event(2, Event::Up);
        world.told();
        world
    }

    fn apply(&mut self, input: Input) {
        self.now = self.now.after(Duration::from_millis(1));
        for effect in self.plane.apply(self.now, input) {
            if let Effect::Janus { job, command } = effect {
                self.commands.push((job, command));
            } else {
                self.effects.push(effect);
            }
        }
    }

    fn ask(&mut self, from: Option<&str>, signal: MunitSignal) {
        self.asked += 1;
        let id = self.asked.to_string();
        let at = Address { node: "n1".parse().unwrap(), connection: ConnectionId(1) };
        let asker = |name| Asker { room: room(), user: user(name), at, re: Some(id.clone()) };
        let from = from.map(asker);
        self.apply(Input::Signal(Box::new(MunitMessage { signal, id, reply_to: "r".into(), from })));
    }

    fn publish(&mut self, sdp: &str) {
        let signal = MunitSignal::Publish { station: station(), sdp: sdp.into(), video: true, audio: true };
        self.ask(Some("ann"), signal);
    }

    fn watch(&mut self, name: &str) {
        self.ask(Some(name), MunitSignal::Watch { station: station(), inline: false, replaces: None });
    }

    /// Janus answers a command, which must be the first that waits.
    fn answer(&mut self, command: &Command, outcome: Outcome) {
        assert!(!self.commands.is_empty(), "Janus was not told {command:?}");
        let (job, told) = self.commands.remove(0);
        assert_eq!(told, *command);
        self.apply(Input::Done { job, outcome });
    }

    /// Janus answers the first command that waits, whatever it is.
    fn answers(&mut self, outcome: Outcome) -> Command {
        let (job, told) = self.commands.remove(0);
        self.apply(Input::Done { job, outcome });
        told
    }

    fn published(&mut self, handle: u64) {
        let outcome =
            Outcome::Published { handle: Handle(handle), sdp: "answer".into(), streams: streams(true) };
        let command = self.answers(outcome);
        assert!(matches!(command, Command::Publish { .. }), "{command:?}");
    }

    fn subscribed(&mut self, handle: u64) {
        let outcome =
            Outcome::Subscribed { handle: Handle(handle), sdp: "offer".into(), streams: streams(true) };
        let command = self.answers(outcome);
        assert!(matches!(command, Command::Subscribe { .. }), "{command:?}");
    }

    fn event(&mut self, handle: u64, event: Event) {
        self.apply(Input::Event { handle: Handle(handle), event });
    }

    fn passes(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.apply(Input::Due);
    }

    fn record(&mut self, stations: &[StationId]) {
        let assigned = Assigned { user: user("ann"), room: room(), at: self.now };
        let stations = stations.iter().map(|station| (station.clone(), assigned.clone())).collect();
        self.now = self.now.after(Duration::from_millis(1));
        self.apply(Input::Record { since: self.now, stations });
    }

    /// What clients were told since, by whom; as `name type re`.
    fn told(&mut self) -> Vec<String> {
        let told = std::mem::take(&mut self.effects).into_iter().filter_map(|effect| {
            let Effect::Tell { whom, signal, re } = effect else { return None };
            let json: serde_json::Value = serde_json::from_str(&signal.to_json(None)).unwrap();
            let mut words = vec![whom.user.to_string(), json["type"].as_str().unwrap().to_owned()];
            words.extend(json["code"].as_str().map(str::to_owned));
            words.extend(re);
            Some(words.join(" "))
        });
        told.collect()
    }
}

fn has(world: &World, wanted: impl Fn(&Effect) -> bool) -> bool {
    world.effects.iter().any(wanted)
}

#[test]
fn an_offer_waits_for_the_room_and_is_answered() {
    let mut world = World::new();
    world.ask(None, MunitSignal::Assign { station: station(), room: room(), user: user("ann") });
    world.publish(OFFER);
    assert_eq!(world.commands.len(), 1, "nothing is published before there is a room");
    world.answer(&Command::Make(station()), Outcome::Done);
    world.published(1);
    assert_eq!(world.told(), ["ann Answer 2"]);
    assert_eq!(world.plane.load().stations, 1);
}

#[test]
fn signals_of_one_participant_are_done_in_order() {
    let mut world = World::assigned();
    world.publish(OFFER);
    let candidate =
        IceCandidate { candidate: None, sdp_mid: None, sdp_m_line_index: None, to: None, station: None };
    world.ask(Some("ann"), MunitSignal::Candidate { station: station(), candidate: candidate.clone() });
    assert_eq!(world.commands.len(), 1, "a candidate waits for the offer before it");
    world.published(1);
    world.answer(&Command::Trickle { handle: Handle(1), candidate }, Outcome::Done);
    assert_eq!(world.told(), ["ann Answer 2", "ann Ack 3"]);
}

#[test]
fn a_watch_waits_for_media_and_holds_up_nobody() {
    let mut world = World::assigned();
    world.watch("bob");
    world.watch("cem");
    world.ask(Some("cem"), MunitSignal::Unwatch { station: station() });
    assert_eq!(world.told(), ["cem Error stale 3", "cem Ack 4"]);
    world.publish(OFFER);
    world.published(1);
    assert!(world.commands.is_empty(), "Janus lets nobody subscribe before media flow");
    world.event(1, Event::Up);
    world.subscribed(2);
    assert_eq!(world.told(), ["ann Answer 5", "bob WatchAck 2"]);
    assert!(world.commands.is_empty());
}

#[test]
fn a_watch_without_a_publisher_is_refused_in_time() {
    let mut world = World::assigned();
    world.watch("bob");
    assert_eq!(world.plane.due(), Some(world.now.after(WATCH_WAIT)));
    world.passes(WATCH_WAIT);
    assert_eq!(world.told(), ["bob Error timeout 2"]);
    assert_eq!((world.plane.due(), world.plane.load().viewers), (None, 0));
}

#[test]
fn a_second_watch_takes_the_place_of_the_first() {
    let mut world = World::watched();
    world.watch("bob");
    world.answer(&Command::Detach(Handle(2)), Outcome::Done);
    world.subscribed(3);
    assert_eq!(world.told(), ["bob WatchAck 4"]);
    assert_eq!(world.plane.load().viewers, 1);
}

#[test]
fn an_inline_watch_brings_its_offer_in_the_acknowledgement_alone() {
    let mut world = World::live();
    world.ask(Some("bob"), MunitSignal::Watch { station: station(), inline: true, replaces: None });
    world.subscribed(2);
    let done = MunitDone { sdp: Some("offer".into()), ..MunitDone::default() };
    assert!(has(&world, |effect| matches!(effect, Effect::Ack { ack, .. } if ack.ok == Some(done.clone()))));
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn the_same_connection_renegotiates_and_another_gets_a_fresh_handle() {
    let mut world = World::watched();
    world.publish(OFFER_AGAIN);
    let outcome = Outcome::Published { handle: Handle(1), sdp: "answer".into(), streams: streams(true) };
    world.answer(&Command::Renegotiate { handle: Handle(1), sdp: OFFER_AGAIN.into() }, outcome);
    assert_eq!(world.told(), ["ann Answer 4"]);

    world.publish(OFFER_OF_ANOTHER);
    world.answer(&Command::Detach(Handle(1)), Outcome::Done);
    world.event(2, Event::Hangup);
    world.answer(
        &Command::Publish {
            station: station(),
            opaque: Opaque { role: Role::Publisher, room: room(), station: station(), user: user("ann") },
            sdp: OFFER_OF_ANOTHER.into(),
        },
        Outcome::Published { handle: Handle(5), sdp: "answer".into(), streams: streams(true) },
    );
    world.answer(&Command::Detach(Handle(2)), Outcome::Done);
    world.event(5, Event::Up);
    world.subscribed(6);
    assert!(has(&world, |effect| matches!(effect, Effect::Tell { signal, .. }
        if matches!(&**signal, ServerSignal::WatchAck { replaces: Some(old), .. } if *old == station()))));
    assert_eq!(world.told(), ["ann Answer 5", "bob WatchAck"]);
}

#[test]
fn a_layer_is_confirmed_once_it_has_come() {
    let mut world = World::watched();
    world.ask(Some("bob"), MunitSignal::Layer { station: station(), substream: 0, temporal: None });
    let command = Command::Layer { handle: Handle(2), mid: "v".into(), substream: 0, temporal: None };
    world.answer(&command, Outcome::Done);
    assert_eq!(world.told(), [""; 0]);
    world.event(2, Event::Layer { substream: Some(0), temporal: None });
    assert_eq!(world.told(), ["bob SimulcastUpdate 4"]);
    world.event(2, Event::Layer { substream: Some(1), temporal: None });
    assert_eq!(world.told(), ["bob SimulcastUpdate"], "what changes by itself is told too");
}

#[test]
fn a_layer_that_never_comes_is_refused_in_time() {
    let mut world = World::watched();
    world.ask(Some("bob"), MunitSignal::Layer { station: station(), substream: 0, temporal: Some(1) });
    world.answers(Outcome::Done);
    world.event(2, Event::Layer { substream: Some(0), temporal: None });
    world.told();
    world.passes(LAYER_WAIT);
    assert_eq!(world.told(), ["bob Error timeout 4"]);
    assert_eq!(world.plane.due(), None);
}

#[test]
fn what_is_muted_stays_muted_over_a_new_connection() {
    let mut world = World::live();
    world.ask(Some("ann"), MunitSignal::Mute { station: station(), video: false, audio: true });
    let muted = |video| Command::Mute {
        station: station(),
        publisher: user("ann"),
        mids: vec![("a".into(), false), ("v".into(), video)],
    };
    world.answer(&muted(true), Outcome::Done);
    let sdp = OFFER_OF_ANOTHER.to_owned();
    world.ask(Some("ann"), MunitSignal::Publish { station: station(), sdp, video: false, audio: true });
    world.answer(&Command::Detach(Handle(1)), Outcome::Done);
    world.published(4);
    world.answer(&muted(true), Outcome::Done);
    world.ask(Some("ann"), MunitSignal::Mute { station: station(), video: true, audio: true });
    world.answer(&muted(false), Outcome::Done);
    assert_eq!(world.told(), ["ann Ack 3", "ann Answer 4", "ann Ack 5"]);
}

#[test]
fn an_unassigned_station_goes_with_all_its_handles() {
    let mut world = World::watched();
    world.ask(None, MunitSignal::Unassign { station: station() });
    let commands: Vec<Command> = world.commands.drain(..).map(|(_, command)| command).collect();
    assert_eq!(
        commands,
        [Command::Destroy(station()), Command::Detach(Handle(1)), Command::Detach(Handle(2))]
    );
    assert_eq!(world.plane.load(), Load::default());
}

#[test]
fn what_comes_too_late_for_its_station_is_let_go() {
    let mut world = World::assigned();
    world.publish(OFFER);
    world.ask(None, MunitSignal::Unassign { station: station() });
    world.published(1);
    assert_eq!(world.told(), ["ann Error no_such_station 2"]);
    assert!(world.commands.iter().any(|(_, command)| *command == Command::Detach(Handle(1))));
}

#[test]
fn a_station_that_ends_while_it_is_made_is_destroyed_after_it() {
    let mut world = World::new();
    world.ask(None, MunitSignal::Assign { station: station(), room: room(), user: user("ann") });
    world.ask(None, MunitSignal::Unassign { station: station() });
    assert_eq!(world.commands.len(), 1, "not before it is made");
    world.answer(&Command::Make(station()), Outcome::Done);
    world.answer(&Command::Destroy(station()), Outcome::Done);
    assert_eq!((world.plane.load(), world.commands.len()), (Load::default(), 0));
}

#[test]
fn a_signal_for_an_unknown_station_waits_for_the_record() {
    let mut world = World::new();
    world.publish(OFFER);
    assert!(has(&world, |effect| *effect == Effect::ReadRecord));
    world.record(&[station()]);
    world.answer(&Command::Make(station()), Outcome::Done);
    world.published(1);
    assert_eq!(world.told(), ["ann Answer 1"]);

    let mut world = World::new();
    world.publish(OFFER);
    world.record(&[]);
    assert_eq!(world.told(), ["ann Error no_such_station 1"]);
}

#[test]
fn a_signal_as_young_as_the_reading_of_the_record_has_it_read_again() {
    let mut world = World::new();
    world.watch("bob");
    world.effects.clear();
    let since = world.now;
    world.apply(Input::Record { since, stations: BTreeMap::new() });
    assert!(has(&world, |effect| *effect == Effect::ReadRecord));
    assert!(world.told().is_empty());
    world.record(&[]);
    assert_eq!(world.told(), ["bob Error no_such_station 1"]);
}

#[test]
fn a_record_read_before_an_assignment_does_not_undo_it() {
    let mut world = World::new();
    let since = world.now;
    world.ask(None, MunitSignal::Assign { station: station(), room: room(), user: user("ann") });
    world.apply(Input::Record { since, stations: BTreeMap::new() });
    assert_eq!(world.plane.load().stations, 1);
    world.record(&[]);
    assert_eq!(world.plane.load().stations, 0);
}

#[test]
fn what_nobody_can_be_sure_of_is_looked_at() {
    let mut world = World::live();
    world.watch("bob");
    world.answers(failed(true));
    assert!(has(&world, |effect| *effect == Effect::Look));
    assert_eq!(world.told(), ["bob Error media_error 3"]);
    let room = "other".parse().unwrap();
    let seen = Seen {
        handle: Handle(9),
        opaque: Opaque { role: Role::Watcher, room, station: station(), user: user("dan") },
        connected: true,
        up: true,
        session: None,
        streams: streams(true),
    };
    let since = world.now;
    world.apply(Input::Seen { since, rooms: vec![station()], handles: vec![seen] });
    assert_eq!(world.commands[0].1, Command::Detach(Handle(9)), "what fits nothing goes");
}

#[test]
fn a_lost_janus_loses_every_station_and_answers_everybody() {
    let mut world = World::live();
    world.watch("bob");
    world.apply(Input::JanusGone);
    assert!(has(&world, |effect| matches!(effect, Effect::Lost { station: lost, .. } if *lost == station())));
    assert_eq!(world.told(), ["bob Error munit_unavailable 3"]);
    assert_eq!(world.plane.load(), Load::default());
    let (job, _) = world.commands.remove(0);
    world.apply(Input::Done { job, outcome: failed(true) });
    assert_eq!(world.told(), [""; 0], "nobody is answered twice");
}

#[test]
fn who_is_not_in_the_room_any_more_is_let_go() {
    let mut world = World::watched();
    world.now = world.now.after(Duration::from_millis(1));
    let since = world.now;
    world.apply(Input::Present { room: room(), since, users: vec![user("ann"), user("bob")] });
    assert!(world.commands.is_empty());
    world.apply(Input::Present { room: room(), since, users: vec![user("ann")] });
    world.answer(&Command::Detach(Handle(2)), Outcome::Done);
    world.ask(None, MunitSignal::Forget { room: room(), user: user("bob") });
    assert!(world.commands.is_empty(), "letting go twice does nothing");
}

#[test]
fn more_viewers_than_it_carries_are_refused() {
    let mut world = World::live();
    for (handle, name) in [(2, "bob"), (3, "cem"), (4, "dan")] {
        world.watch(name);
        world.subscribed(handle);
    }
    world.told();
    world.watch("eve");
    assert_eq!(world.told(), ["eve Error no_capacity 6"]);
    world.watch("bob");
    assert_eq!(world.answers(Outcome::Done), Command::Detach(Handle(2)), "who watches already may again");
    world.subscribed(5);
}
