//! What is known of one station.

use std::collections::{BTreeMap, VecDeque};

use mobz_core::id::{Address, StationId, UserId};
use mobz_core::munit::Assigned;
use mobz_core::signal::MunitSignal;
use mobz_core::time::Timestamp;

use super::layer::Layers;
use super::port::{Handle, Job, Stream};
use super::signal::Ask;

/// The most signals of one participant on one station that wait; further ones are refused `rate_limited`.
/// A browser gathers a few dozen candidates at a time.
pub(super) const WAITING_MAX: usize = 128;

/// One station.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) assigned: Assigned,
    /// When it was last heard that it should be here.
    pub(super) told: Timestamp,
    /// When its room was made.
    pub(super) since: Timestamp,
    pub(super) phase: Phase,
    /// By when it goes, where its publisher has another one instead.
    pub(super) retires: Option<Timestamp>,
    pub(super) publisher: Publisher,
    pub(super) watchers: BTreeMap<UserId, Watcher>,
}

/// How it stands with a station's room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Making,
    Ready,
    /// Janus made none; the next offer has it tried again.
    Unmade,
}

/// Who sends the station's media.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) lane: Lane,
    /// Where it was last heard from.
    pub(super) at: Option<Address>,
    pub(super) link: Option<Link>,
    /// Whether its video, and its audio, flows.
    pub(super) video: bool,
    pub(super) audio: bool,
}

/// A publisher's connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) handle: Handle,
    /// Which connection of the client's it is.
    pub(super) session: Option<String>,
    pub(super) streams: Vec<Stream>,
    /// Whether its media may flow: before, Janus lets nobody subscribe.
    pub(super) up: bool,
    /// Whether the peer connection is gone.
    pub(super) hung: bool,
    /// Whether some of it may be muted.
    pub(super) muted: bool,
}

/// Somebody who watches the station.
#[derive(Debug, Default)]
pub(super) struct Watcher {
    pub(super) lane: Lane,
    /// Where it was last heard from, and when.
    pub(super) at: Option<Address>,
    pub(super) heard: Timestamp,
    pub(super) state: Watching,
}

/// How it stands with a watcher.
#[derive(Debug, Default)]
pub(super) enum Watching {
    /// It watches nothing; it goes with its last signal.
    #[default]
    Idle,
    /// It waits for the publisher's media, until then.
    Waiting { ask: Ask, replaces: Option<StationId>, until: Timestamp },
    /// It has an offer of Janus.
    Joined(Subscription),
    /// Its connection is gone. It is offered anew where that was the publisher's doing.
    Hung { until: Timestamp },
}

/// A watcher's connection.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) handle: Handle,
    /// The publisher's handle it is subscribed to.
    pub(super) to: Option<Handle>,
    /// The station it lets go once this one's media flow.
    pub(super) replaces: Option<StationId>,
    /// When it lets that go: both flow until then.
    pub(super) lets_go: Option<Timestamp>,
    /// The m-line of video, if there is one.
    pub(super) video: Option<Stream>,
    pub(super) layers: Layers,
}

impl Watching {
    pub(super) fn into_ask(self) -> Option<Ask> {
        match self {
            Self::Waiting { ask, .. } => Some(ask),
            Self::Idle | Self::Joined(_) | Self::Hung { .. } => None,
        }
    }
}

impl Watcher {
    pub(super) fn handle(&self) -> Option<Handle> {
        match &self.state {
            Watching::Joined(subscription) => Some(subscription.handle),
            Watching::Idle | Watching::Waiting { .. } | Watching::Hung { .. } => None,
        }
    }

    /// Whether it is one of the viewers the munit carries.
    pub(super) fn counts(&self) -> bool {
        !matches!(self.state, Watching::Idle) || self.lane.busy.is_some()
    }

    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.state {
            Watching::Waiting { until, .. } | Watching::Hung { until } => Some(*until),
            Watching::Joined(subscription) => {
                subscription.layers.due().into_iter().chain(subscription.lets_go).min()
            }
            Watching::Idle => None,
        }
    }
}

impl Station {
    pub(super) fn new(assigned: Assigned, now: Timestamp) -> Self {
        let publisher = Publisher { lane: Lane::default(), at: None, link: None, video: true, audio: true };
        Self {
            assigned,
            told: now,
            since: now,
            phase: Phase::Making,
            retires: None,
            publisher,
            watchers: BTreeMap::new(),
        }
    }

    /// The publisher's connection, where it can be subscribed to.
    pub(super) fn published(&self) -> Option<Handle> {
        self.publisher.link.as_ref().filter(|link| link.up && !link.hung).map(|link| link.handle)
    }
}

/// The signals of one participant on one station, in order.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What the next waits for.
    pub(super) busy: Option<Job>,
    pub(super) waiting: VecDeque<Item>,
}

/// What waits in a lane.
#[derive(Debug)]
pub(super) enum Item {
    Signal(Box<(Ask, MunitSignal)>),
    /// The publisher has a new connection: a watcher needs a new offer.
    Offer,
}

impl Item {
    /// Whether it needs the station's room.
    pub(super) fn is_offer(&self) -> bool {
        matches!(self, Self::Signal(asked) if matches!(asked.1, MunitSignal::Publish { .. }))
    }
}

impl Lane {
    pub(super) fn is_empty(&self) -> bool {
        self.busy.is_none() && self.waiting.is_empty()
    }

    pub(super) fn take_asks(&mut self) -> Vec<Ask> {
        let busy = self.busy;
        Self { busy, ..std::mem::take(self) }.into_asks()
    }

    pub(super) fn into_asks(self) -> Vec<Ask> {
        let ask = |item| match item {
            Item::Signal(asked) => Some(asked.0),
            Item::Offer => None,
        };
        self.waiting.into_iter().filter_map(ask).collect()
    }
}

/// What a command of a seat is for.
#[derive(Debug)]
pub(super) enum Step {
    /// The handle of the publisher's earlier connection goes; then the offer is published on a fresh one.
    Clear { ask: Ask, sdp: String },
    /// An offer is published.
    Publish { ask: Ask, session: Option<String> },
    /// A watcher gets an offer; unasked where nobody asks.
    Subscribe { ask: Option<Ask>, replaces: Option<StationId> },
    /// Done is acknowledged.
    Plain(Ask),
    /// Layers are asked for: acknowledged, and answered by an event later.
    Layer(Ask),
    /// What flows is as it was told before; nobody asks.
    Mute,
}

impl Step {
    pub(super) fn into_ask(self) -> Option<Ask> {
        match self {
            Self::Clear { ask, .. } | Self::Publish { ask, .. } | Self::Plain(ask) | Self::Layer(ask) => {
                Some(ask)
            }
            Self::Subscribe { ask, .. } => ask,
            Self::Mute => None,
        }
    }
}
