//! A room with a store in a few maps and people who act on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use mobz_core::id::{Address, ConnectionId, MunitId, NodeId, RoomId, StationId, UserId};
use mobz_core::room::{
    Audience, Effect, Effects, Grants, HEIRS_KNOWN, Heir, Input, Joining, Mode, Participant, ParticipantType,
    Placing, Record, Room, resume_secret,
};
use mobz_core::settings::Settings;
use mobz_core::signal::{Code, Description, Reasoned, RoomSignal, ServerSignal, UpdateVideo, Watch};
use mobz_core::store::{
    AUDIENCE_BATCH_MAX, Asked, Change, KeptChange, Loaded, MemberChange, RecordChange, Revision,
};
use mobz_core::time::Timestamp;

/// One thing that one of the people does, or that happens to them.
#[derive(Clone, Debug)]
pub enum Act {
    Join {
        who: usize,
        publish: Option<bool>,
        grants: u8,
    },
    Resume {
        who: usize,
    },
    ResumeWrongly {
        who: usize,
    },
    Leave {
        who: usize,
    },
    Lost {
        who: usize,
    },
    TimedOut {
        who: usize,
    },
    Kick {
        who: usize,
        whom: usize,
    },
    UpdateVideo {
        who: usize,
        video: bool,
    },
    PublishRequest {
        who: usize,
    },
    PublishAccept {
        who: usize,
        whom: usize,
    },
    PublishReject {
        who: usize,
        whom: usize,
    },
    Offer {
        who: usize,
    },
    Wait {
        seconds: u64,
    },
    NodeLost {
        node: usize,
    },
    Remove {
        whom: usize,
    },
    /// A munit takes the station that was asked for longest ago, or none does.
    Place {
        takes: bool,
    },
    Move {
        who: usize,
    },
    Retire {
        who: usize,
    },
    StationLost {
        who: usize,
    },
    Watch {
        who: usize,
        whom: usize,
    },
}

pub fn munit(n: usize) -> MunitId {
    format!("m{}", n % 4).parse().unwrap()
}

pub fn user(n: usize) -> UserId {
    format!("u{n}").parse().unwrap()
}

fn node(n: usize) -> NodeId {
    format!("n{}", n % 3).parse().unwrap()
}

pub struct World {
    pub mode: Mode,
    settings: Settings,
    room: RoomId,
    now: Timestamp,
    connections: u64,
    revision: u64,
    record: Option<Arc<Record>>,
    members: BTreeMap<UserId, Participant>,
    kept: BTreeMap<UserId, usize>,
    /// What is to be placed, in order.
    pub placing: VecDeque<Placing>,
    /// The stations on the munits' records.
    pub assigned: BTreeSet<StationId>,
    stations: u64,
}

impl World {
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            settings: Settings::default(),
            room: "demo".parse().unwrap(),
            now: Timestamp::from_millis(1_000_000),
            connections: 0,
            revision: 0,
            record: None,
            members: BTreeMap::new(),
            kept: BTreeMap::new(),
            placing: VecDeque::new(),
            assigned: BTreeSet::new(),
            stations: 0,
        }
    }

    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    pub fn version(&self) -> Option<u64> {
        self.record.as_ref().map(|record| record.version)
    }

    pub fn participant(&self, user: &UserId) -> Option<&Participant> {
        self.record()
            .and_then(|record| record.participants.get(user))
            .map(Arc::as_ref)
            .or_else(|| self.members.get(user))
    }

    pub fn is_empty(&self) -> bool {
        self.everyone().next().is_none()
    }

    pub fn count(&self, kind: ParticipantType) -> usize {
        self.everyone().filter(|there| there.participant_type == kind).count()
    }

    pub fn kept(&self, who: usize) -> usize {
        self.kept.get(&user(who)).copied().unwrap_or_default()
    }

    /// The stations that the room knows, current ones and such that are moved away from.
    pub fn stations(&self) -> BTreeSet<StationId> {
        self.everyone().flat_map(Participant::stations).cloned().collect()
    }

    /// The station of one of the people.
    pub fn station(&self, who: usize) -> Option<StationId> {
        self.participant(&user(who))?.station.clone()
    }

    /// Nobody is there twice, and only the away have kept signals.
    pub fn is_consistent(&self) -> bool {
        let listed =
            |user: &UserId| self.record().is_some_and(|record| record.participants.contains_key(user));
        let twice = self.members.keys().any(listed);
        let away = |user: &UserId| self.participant(user).is_some_and(Participant::is_away);
        !twice && self.kept.keys().all(away)
    }

    /// Joins; the refusal's code where it is refused.
    pub fn join(&mut self, who: usize, publish: Option<bool>, grants: Grants) -> Result<(), Code> {
        let input = self.joining(who, publish, grants, None);
        let effects = self.apply(input);
        effects.list.iter().find_map(refusal).map_or(Ok(()), Err)
    }

    /// Does it; one set of effects for each input it takes.
    pub fn act(&mut self, act: Act) -> Vec<Effects> {
        let input = match act {
            Act::Join { who, publish, grants } => self.joining(who, publish, grants_of(grants), None),
            Act::Resume { who } => {
                let Some(secret) = self.participant(&user(who)).map(|there| there.resume.clone()) else {
                    return Vec::new();
                };
                self.joining(who, None, Grants::NONE, Some(secret))
            }
            Act::ResumeWrongly { who } => {
                let secret = resume_secret(&user(who), u128::MAX);
                self.joining(who, None, Grants::NONE, Some(secret))
            }
            Act::Leave { who } => self.signal(who, RoomSignal::Leave),
            Act::Lost { who } => match self.address(who) {
                Some(address) => Input::Lost { user: user(who), address, unsent: vec!["{}".into()] },
                None => return Vec::new(),
            },
            Act::TimedOut { who } => match self.address(who) {
                Some(address) => Input::TimedOut { user: user(who), address },
                None => return Vec::new(),
            },
            Act::Kick { who, whom } => self.signal(who, RoomSignal::Kick(reasoned(whom))),
            Act::UpdateVideo { who, video } => {
                let update = UpdateVideo { video: Some(video), audio: None };
                self.signal(who, RoomSignal::UpdateVideo(update))
            }
            Act::PublishRequest { who } => self.signal(who, RoomSignal::PublishRequest),
            Act::PublishAccept { who, whom } => self.signal(who, RoomSignal::PublishAccept(reasoned(whom))),
            Act::PublishReject { who, whom } => self.signal(who, RoomSignal::PublishReject(reasoned(whom))),
            Act::Offer { who } => {
                let offer = Description { sdp: "v=0".into(), to: None, station: None };
                self.signal(who, RoomSignal::Offer(offer))
            }
            Act::Wait { seconds } => return self.wait(seconds),
            Act::NodeLost { node: lost } => return self.lose(&node(lost)),
            Act::Remove { whom } => Input::Remove { user: user(whom), reason: None },
            Act::Place { takes } => match self.place(takes) {
                Some(placed) => placed,
                None => return Vec::new(),
            },
            Act::Move { who } => match self.station(who) {
                Some(station) => Input::Move { station, to: None },
                None => return Vec::new(),
            },
            Act::Retire { who } => {
                match self.participant(&user(who)).and_then(|there| there.previous.clone()) {
                    Some(previous) => Input::Retire(previous.station),
                    None => return Vec::new(),
                }
            }
            Act::StationLost { who } => {
                match self.participant(&user(who)).and_then(|there| there.stations().last().cloned()) {
                    Some(station) => Input::StationLost { station, retry: true },
                    None => return Vec::new(),
                }
            }
            Act::Watch { who, whom } => {
                self.signal(who, RoomSignal::Watch(Watch { station: None, user: Some(user(whom)) }))
            }
        };
        vec![self.apply(input)]
    }

    /// Does what a driver does with the effect `Place`.
    fn place(&mut self, takes: bool) -> Option<Input> {
        let placing = Box::new(self.placing.pop_front()?);
        let mut munits = (0..4).map(munit).filter(|munit| !placing.apart_from.contains(munit));
        let munit = munits.find(|munit| !placing.room_has.contains(munit)).unwrap_or_else(|| munit(0));
        if !takes {
            return None;
        }
        self.stations += 1;
        let station = StationId::on(&munit, self.stations);
        self.assigned.insert(station.clone());
        Some(Input::Placed { placing, station })
    }

    fn wait(&mut self, seconds: u64) -> Vec<Effects> {
        self.now = self.now.after(Duration::from_secs(seconds));
        let mut done = Vec::new();
        while self.everyone().filter_map(Participant::due).any(|due| due <= self.now) {
            done.push(self.apply(Input::Due));
            assert!(done.len() < 1000, "time does not get on");
        }
        done
    }

    fn lose(&mut self, lost: &NodeId) -> Vec<Effects> {
        let mut done = Vec::new();
        while self.everyone().any(|there| there.address.node == *lost && !there.is_away()) {
            done.push(self.apply(Input::NodeLost(lost.clone())));
            assert!(done.len() < 1000, "the lost node is never seen to");
        }
        done
    }

    fn joining(
        &mut self,
        who: usize,
        publish: Option<bool>,
        grants: Grants,
        resume: Option<String>,
    ) -> Input {
        self.connections += 1;
        let user = user(who);
        Input::Join(Box::new(Joining {
            address: Address { node: node(who), connection: ConnectionId(self.connections) },
            secret: resume_secret(&user, u128::from(self.connections)),
            user,
            name: None,
            grants,
            mode: Some(self.mode),
            publish,
            resume,
            re: Some("1".into()),
        }))
    }

    pub fn signal(&self, who: usize, signal: RoomSignal) -> Input {
        let nowhere = Address { node: node(who), connection: ConnectionId(0) };
        let address = self.address(who).unwrap_or(nowhere);
        Input::Signal { user: user(who), address, signal, re: Some("2".into()) }
    }

    fn address(&self, who: usize) -> Option<Address> {
        self.participant(&user(who)).map(|there| there.address.clone())
    }

    fn everyone(&self) -> impl Iterator<Item = &Participant> {
        let listed = self.record.iter().flat_map(|record| record.participants.values()).map(Arc::as_ref);
        listed.chain(self.members.values())
    }

    pub fn apply(&mut self, input: Input) -> Effects {
        self.now = self.now.after(Duration::from_millis(7));
        let loaded = self.load(&input.asked(self.now));
        let effects = Room::new(&self.settings, self.room.clone(), loaded).apply(self.now, input);
        self.commit(&effects.change);
        for effect in &effects.list {
            if let Effect::Enter { user, resumed: true, .. } | Effect::Replay { user, .. } = effect {
                self.kept.remove(user);
            }
            match effect {
                Effect::Place(placing) => self.placing.push_back((**placing).clone()),
                Effect::Unassign(station) => drop(self.assigned.remove(station)),
                _ => {}
            }
        }
        effects
    }

    fn load(&self, asked: &Asked) -> Loaded {
        let wanted = |there: &&Participant| match asked {
            Asked::Users(users) => users.contains(&there.user),
            Asked::Due(now) => there.due().is_some_and(|due| due <= *now),
            Asked::At(node) => there.address.node == *node && !there.is_away(),
            Asked::First(_) => true,
        };
        let mut heirs: Vec<Heir> = self
            .members
            .values()
            .map(|there| Heir { user: there.user.clone(), by_grant: there.grants.owner, order: there.order })
            .collect();
        heirs.sort_by_key(|heir| (!heir.by_grant, heir.order, heir.user.clone()));
        heirs.truncate(HEIRS_KNOWN);
        Loaded {
            revision: Revision(self.revision),
            record: self.record.clone(),
            audience: Audience {
                count: self.members.len() as u64,
                heirs,
                due: self.members.values().filter_map(Participant::due).min(),
            },
            members: self.members.values().filter(wanted).take(AUDIENCE_BATCH_MAX).cloned().collect(),
            audience_nodes: (0..3).map(node).collect(),
        }
    }

    fn commit(&mut self, change: &Change) {
        match &change.record {
            RecordChange::Same => {}
            RecordChange::Put(record) => {
                self.record = Some(record.clone());
                self.revision += 1;
            }
            RecordChange::Remove => {
                self.record = None;
                self.members.clear();
                self.kept.clear();
                return;
            }
        }
        for member in &change.members {
            match member {
                MemberChange::Put { was, now } => {
                    let there = self.members.insert(now.user.clone(), (**now).clone());
                    assert_eq!(there.map(|there| there.resume), *was);
                }
                MemberChange::Remove { was, user } => {
                    assert_eq!(self.members.remove(user).map(|there| there.resume).as_ref(), Some(was));
                    self.kept.remove(user);
                }
            }
        }
        for kept in &change.kept {
            match kept {
                KeptChange::Append(user, _) => *self.kept.entry(user.clone()).or_default() += 1,
                KeptChange::Clear(user) => drop(self.kept.remove(user)),
            }
        }
    }
}

fn grants_of(choice: u8) -> Grants {
    match choice {
        0 => Grants::USUAL,
        1 => Grants { owner: true, ..Grants::USUAL },
        2 => Grants { kick: true, ..Grants::USUAL },
        _ => Grants { watch: true, ..Grants::NONE },
    }
}

fn reasoned(whom: usize) -> Reasoned {
    Reasoned { user: user(whom), reason: None }
}

fn refusal(effect: &Effect) -> Option<Code> {
    match effect {
        Effect::Send { signal: ServerSignal::Error { code, .. }, .. } => Some(*code),
        _ => None,
    }
}
