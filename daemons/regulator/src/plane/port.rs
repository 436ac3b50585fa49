//! What goes into the plane and what comes out of it.

use std::collections::BTreeMap;

use mobz_core::id::{Address, MunitId, RoomId, StationId, UserId};
use mobz_core::munit::Assigned;
use mobz_core::signal::{Asker, IceCandidate, MunitAck, MunitMessage, MunitSignal, Refusal, ServerSignal};
use mobz_core::time::Timestamp;

use crate::opaque::Opaque;

/// A handle of Janus: one attachment to the VideoRoom plugin, with at most one peer connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u64);

/// One command on its way to Janus; its outcome names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Job(pub u64);

/// One thing that happens to the plane.
#[derive(Clone, Debug)]
pub enum Input {
    /// A signal from a node, or from another munit.
    Signal(Box<MunitMessage>),
    /// As [`Input::Record`], where Janus has what an earlier regulator left: until it is [`Input::Seen`],
    /// media signals wait.
    TakeOver {
        /// When reading the record began.
        since: Timestamp,
        /// The stations it names.
        stations: BTreeMap<StationId, Assigned>,
    },
    /// The munit's record, as it stood at some moment after `since`.
    Record {
        /// When reading it began.
        since: Timestamp,
        /// The stations it names.
        stations: BTreeMap<StationId, Assigned>,
    },
    /// A command came to its end.
    Done {
        /// Which.
        job: Job,
        /// How.
        outcome: Outcome,
    },
    /// Something happened to a handle.
    Event {
        /// Which.
        handle: Handle,
        /// What.
        event: Event,
    },
    /// All that Janus really has, as it stood at some moment after `since`.
    Seen {
        /// When looking began.
        since: Timestamp,
        /// Its rooms.
        rooms: Vec<StationId>,
        /// Its handles that are this regulator's.
        handles: Vec<Seen>,
    },
    /// Janus is gone with all it had.
    JanusGone,
    /// A station is given up, and may be placed elsewhere: a drain's deadline has passed.
    GiveUp(StationId),
    /// Who is still in a room: who else watches there is let go.
    Present {
        /// Which.
        room: RoomId,
        /// When it was read.
        since: Timestamp,
        /// Who.
        users: Vec<UserId>,
    },
    /// Time passed.
    Due,
}

/// A handle as Janus has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub handle: Handle,
    /// What it was attached for.
    pub opaque: Opaque,
    /// Whether it still has a peer connection.
    pub connected: bool,
    /// Whether media may flow over it.
    pub up: bool,
    /// Whose connection a publisher's is ([`super::offer_session`]).
    pub session: Option<String>,
    /// What a publisher sends, or a watcher is sent.
    pub streams: Vec<Stream>,
}

/// One m-line of a publisher or a watcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Its mid.
    pub mid: String,
    /// What kind of media.
    pub kind: Kind,
    /// Whether it comes in layers.
    pub simulcast: bool,
    /// Whether its codec has temporal layers that Janus can choose from (VP8).
    pub temporal: bool,
}

/// A kind of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Kind {
    Audio,
    Video,
}

/// What happened to a handle unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Media may flow.
    Up,
    /// The peer connection is gone.
    Hangup,
    /// The handle is no more.
    Gone,
    /// A candidate of Janus.
    Candidate(IceCandidate),
    /// A watcher gets another layer.
    Layer {
        /// The substream it gets now.
        substream: Option<u8>,
        /// The temporal layer it gets now.
        temporal: Option<u8>,
    },
}

/// A command for Janus. Each is answered by one [`Outcome`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Create the room of a station; there already is done.
    Make(StationId),
    /// Destroy the room of a station; gone already is done.
    Destroy(StationId),
    /// Attach a handle and publish on it.
    Publish {
        /// In which room.
        station: StationId,
        /// What it is attached for.
        opaque: Opaque,
        /// The offer.
        sdp: String,
    },
    /// A further offer of the same connection.
    Renegotiate {
        /// Of whom.
        handle: Handle,
        /// The offer.
        sdp: String,
    },
    /// Attach a handle and subscribe to the station's publisher.
    Subscribe {
        /// In which room.
        station: StationId,
        /// Whose media.
        publisher: UserId,
        /// What it is attached for.
        opaque: Opaque,
    },
    /// The answer to a subscription's offer.
    Start {
        /// Of whom.
        handle: Handle,
        /// The answer.
        sdp: String,
    },
    /// A candidate.
    Trickle {
        /// Of whom.
        handle: Handle,
        /// What.
        candidate: IceCandidate,
    },
    /// The layers a watcher gets.
    Layer {
        /// Of whom.
        handle: Handle,
        /// The m-line.
        mid: String,
        /// 0–2.
        substream: u8,
        /// 0–2.
        temporal: Option<u8>,
    },
    /// Which m-lines of a publisher are muted.
    Mute {
        /// In which room.
        station: StationId,
        /// Whose.
        publisher: UserId,
        /// The m-lines, and whether each is muted.
        mids: Vec<(String, bool)>,
    },
    /// Detach a handle and wait until it is gone; gone already is done.
    Detach(Handle),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, and that is all.
    Done,
    /// [`Command::Publish`] and [`Command::Renegotiate`].
    Published {
        /// The handle it is on.
        handle: Handle,
        /// Janus' answer.
        sdp: String,
        /// What is sent.
        streams: Vec<Stream>,
    },
    /// [`Command::Subscribe`].
    Subscribed {
        /// The handle it is on.
        handle: Handle,
        /// Janus' offer.
        sdp: String,
        /// What is received.
        streams: Vec<Stream>,
    },
    /// It was not done.
    Failed {
        /// What the client is told.
        refusal: Refusal,
        /// Whether it may have been done all the same: then somebody has to look.
        unsure: bool,
    },
}

/// What follows from an input, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Have Janus do it.
    Janus {
        /// Its name in the outcome.
        job: Job,
        /// What.
        command: Command,
    },
    /// Tell a client.
    Tell {
        /// Whom.
        whom: Whom,
        /// What.
        signal: Box<ServerSignal>,
        /// The `id` it answers.
        re: Option<String>,
    },
    /// Acknowledge a signal.
    Ack {
        /// On which channel.
        reply_to: String,
        /// What.
        ack: MunitAck,
    },
    /// Read the munit's record, and hand it in.
    ReadRecord,
    /// Look what Janus really has, and hand it in: something may be there that nobody knows.
    Look,
    /// Tell the room that a station is lost; then take it off the record.
    Lost {
        /// Which.
        station: StationId,
        /// In which room.
        room: RoomId,
    },
    /// A publisher's media flow on this station for the first time: whoever had the one it moved from is told.
    Flows {
        /// Which.
        station: StationId,
        /// In which room.
        room: RoomId,
        /// Whose.
        user: UserId,
    },
    /// Its publisher has another station, and nobody watches this one any more: the room lets it go.
    Retire {
        /// Which.
        station: StationId,
        /// In which room.
        room: RoomId,
    },
    /// Ask Janus what a report still lacks, then acknowledge with it.
    Examine(Box<super::Examining>),
    /// Ask another munit.
    Signal {
        /// Which.
        munit: MunitId,
        /// What.
        signal: MunitSignal,
        /// On whose behalf.
        from: Asker,
    },
}

/// A client to be told something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whom {
    /// Its room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// Where it was last heard from; `None` after a restart: the room's record says.
    pub at: Option<Address>,
}
