//! The signals from signal handlers, and from `mobzctl`, to a munit (PROTOCOL.md §4).
//!
//! Those of the first kind only wake: what they say is in the munit's record already. Media signals carry
//! what no record holds; the munit answers them to the client itself, wherever that is by then.

use serde::{Deserialize, Serialize};

use super::client::IceCandidate;
use super::code::Refusal;
use super::report::{Detail, Report};
use crate::id::{Address, RoomId, StationId, UserId};
use crate::time::millis;

/// A signal to a munit with what is needed to answer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MunitMessage {
    /// What is asked.
    #[serde(flatten)]
    pub signal: MunitSignal,
    /// The asker's name for it; the acknowledgement carries it back as `re`.
    pub id: String,
    /// The `PubSub` channel on which it is acknowledged, as [`MunitAck`].
    pub reply_to: String,
    /// On whose behalf, for media signals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Asker>,
}

/// The participant a media signal comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// Its room.
    pub room: RoomId,
    /// Who.
    pub user: UserId,
    /// Where its connection is: there go the answer and whatever the munit has to tell it later.
    pub at: Address,
    /// The `id` of its signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub re: Option<String>,
}

/// What a munit is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum MunitSignal {
    /// Make the station. Recorded first.
    Assign {
        /// Which.
        station: StationId,
        /// In which room.
        room: RoomId,
        /// Whose media.
        user: UserId,
    },
    /// The station goes, with all that watch it. Recorded first.
    Unassign {
        /// Which.
        station: StationId,
    },
    /// Take no new station. Recorded first.
    Drain {
        /// When what is left is unassigned, in milliseconds since the epoch.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deadline: Option<u64>,
        /// Whether live stations move to other munits.
        #[serde(default)]
        migrate: bool,
    },
    /// Take stations again. Recorded first.
    Revive,
    /// End. Recorded first.
    Stop {
        /// How long that may take, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grace: Option<u64>,
    },
    /// The publisher's offer: publish it on the station; answered `Answer` with `station`.
    Publish {
        /// Which.
        station: StationId,
        /// The offer.
        sdp: String,
        /// What it says it sends.
        video: bool,
        /// What it says it sends.
        audio: bool,
    },
    /// A viewer wants the station's media; answered `WatchAck`.
    Watch {
        /// Which.
        station: StationId,
        /// Whether the offer comes back in the [`MunitAck`] instead of a `WatchAck` (for a `JoinAck`).
        #[serde(default)]
        inline: bool,
        /// The station it watched before and lets go once this one's media flow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<StationId>,
    },
    /// A viewer's answer to a `WatchAck`; done is `Ack` if it had an `id`. The same holds for the following.
    Answer {
        /// Which.
        station: StationId,
        /// The answer.
        sdp: String,
    },
    /// A candidate of the publisher's (where the asker is) or of a viewer's connection.
    Candidate {
        /// Which.
        station: StationId,
        /// The candidate.
        candidate: IceCandidate,
    },
    /// A viewer lets a station go.
    Unwatch {
        /// Which.
        station: StationId,
    },
    /// A viewer's simulcast layers; answered `SimulcastUpdate` once they are what it gets.
    Layer {
        /// Which.
        station: StationId,
        /// 0–2, 2 is the largest picture.
        substream: u8,
        /// 0–2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        temporal: Option<u8>,
    },
    /// Mute or unmute the station's media.
    Mute {
        /// Which.
        station: StationId,
        /// Whether video flows.
        video: bool,
        /// Whether audio flows.
        audio: bool,
    },
    /// From another munit: the station's publisher has moved there, and its media flow on the new station.
    /// Who watches here is handed over to it.
    HandOver {
        /// The station it has here.
        station: StationId,
        /// The one it has there.
        to: StationId,
    },
    /// The participant has left its room: all it watches of that room goes.
    Forget {
        /// Which room.
        room: RoomId,
        /// Who.
        user: UserId,
    },
    /// Say what is really held, in [`MunitDone::report`].
    Report {
        /// Only of these stations; empty is of all.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stations: Vec<StationId>,
        /// Only of those that come after this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<StationId>,
        /// How much of each.
        #[serde(default)]
        detail: Detail,
    },
    /// Look at the record and at what Janus has, and make them equal.
    Reconcile,
}

/// How a munit acknowledges a signal on `replyTo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MunitAck {
    /// The signal's `id`.
    pub re: String,
    /// Set when it was done; what it brings, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<MunitDone>,
    /// Set when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<MunitError>,
}

/// What a done signal brings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MunitDone {
    /// The offer of an inline [`MunitSignal::Watch`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sdp: Option<String>,
    /// What a [`MunitSignal::Report`] asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Box<Report>>,
}

/// Why a signal was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MunitError {
    /// As in `Error` (PROTOCOL.md §3).
    pub code: super::code::Code,
    /// For people.
    pub message: String,
    /// When to try again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl From<Refusal> for MunitError {
    fn from(Refusal { code, message, retry_after, path: _ }: Refusal) -> Self {
        Self { code, message, retry_after: retry_after.map(millis) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Holding;

    #[test]
    fn signals_are_spelled_as_the_protocol_spells_them() {
        let assign = MunitMessage {
            signal: MunitSignal::Assign {
                station: "m1-0000000000ab".parse().unwrap(),
                room: "demo".parse().unwrap(),
                user: "ann".parse().unwrap(),
            },
            id: "7".into(),
            reply_to: "mobz:reply:x".into(),
            from: None,
        };
        let text = r#"{"type":"Assign","station":"m1-0000000000ab","room":"demo","user":"ann","id":"7","replyTo":"mobz:reply:x"}"#;
        assert_eq!(serde_json::to_string(&assign).unwrap(), text);
        assert_eq!(serde_json::from_str::<MunitMessage>(text).unwrap(), assign);
        let drain = r#"{"type":"Drain","id":"1","replyTo":"c"}"#;
        let MunitSignal::Drain { deadline: None, migrate: false } =
            serde_json::from_str::<MunitMessage>(drain).unwrap().signal
        else {
            panic!("not a plain Drain")
        };
    }

    #[test]
    fn a_report_is_asked_for_and_told_as_the_protocol_spells_it() {
        let text = r#"{"type":"Report","id":"1","replyTo":"c"}"#;
        let MunitSignal::Report { stations, after: None, detail: Detail::Known } =
            serde_json::from_str::<MunitMessage>(text).unwrap().signal
        else {
            panic!("not a plain Report")
        };
        assert!(stations.is_empty());
        let of = Some(("demo".parse().unwrap(), "ann".parse().unwrap()));
        let holding = Holding { of, viewers: 2, ..Holding::default() };
        let report = Report { stations: [("m1-0000000000ab".parse().unwrap(), holding)].into(), more: true };
        let done = MunitDone { report: Some(Box::new(report)), ..MunitDone::default() };
        let text =
            r#"{"report":{"stations":{"m1-0000000000ab":{"of":["demo","ann"],"viewers":2}},"more":true}}"#;
        assert_eq!(serde_json::to_string(&done).unwrap(), text);
        assert_eq!(serde_json::from_str::<MunitDone>(text).unwrap(), done);
    }

    #[test]
    fn an_acknowledgement_is_ok_or_error() {
        let done = MunitAck { re: "7".into(), ok: Some(MunitDone::default()), error: None };
        assert_eq!(serde_json::to_string(&done).unwrap(), r#"{"re":"7","ok":{}}"#);
    }
}
