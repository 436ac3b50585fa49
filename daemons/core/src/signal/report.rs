//! What a munit reports of its stations: what it really holds, and how their media fare.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{RoomId, StationId, UserId};

/// The most stations one [`Report`] tells of; the next one goes on after the last.
pub const REPORT_MAX: usize = 256;

/// How much a report tells. Each tells what those before it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// What its regulator knows; costs its Janus nothing.
    #[default]
    Known,
    /// Which rooms its Janus really has: one request, of 33 µs a room.
    Rooms,
    /// What comes from each publisher: a look at one handle a station.
    Media,
    /// What goes to each viewer: a look at one handle a viewer.
    Viewers,
}

/// A munit's stations, or some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// At most [`REPORT_MAX`], in order of their ids.
    pub stations: BTreeMap<StationId, Holding>,
    /// Whether there are more after the last of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// What a munit holds of one station.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Its room and its publisher; `None` where Janus has a room for it that nobody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<(RoomId, UserId)>,
    /// Whether Janus has a room for it; `None` where Janus was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<bool>,
    /// How many watch it.
    pub viewers: usize,
    /// How its media fare; `None` where nothing is published, or Janus was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Media>,
}

/// How the media of one station fare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Media {
    /// Bits a second that come from the publisher, of all its streams.
    pub bitrate: u64,
    /// Packets of the publisher that never came, since its connection is up.
    pub packets_lost: u64,
    /// Round trip to the publisher, in milliseconds; `None` before it was measured.
    pub round_trip_ms: Option<u64>,
    /// What comes from the publisher, by m-line.
    pub streams: Vec<MediaStream>,
    /// What goes to viewers; `None` where that was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub viewers: Option<Vec<MediaViewer>>,
}

/// One m-line of a publisher.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaStream {
    /// Its mid.
    pub mid: String,
    /// `audio` or `video`.
    pub kind: String,
    /// As Janus names it: `vp8`, `h264`, `opus`; `None` before it is negotiated.
    pub codec: Option<String>,
    /// Whether the munit drops it: the publisher has muted itself.
    pub muted: bool,
    /// Bits a second, of all its layers.
    pub bitrate: u64,
    /// Packets that never came.
    pub packets_lost: u64,
    /// Of simulcast: bits a second of each substream, that of the smallest picture first; empty without it.
    pub layers: Vec<u64>,
}

/// What goes to one viewer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaViewer {
    /// Who.
    pub user: UserId,
    /// Bits a second that go to it.
    pub bitrate: u64,
    /// Packets that it says never came to it.
    pub packets_lost: u64,
    /// Round trip to it, in milliseconds; `None` before it was measured.
    pub round_trip_ms: Option<u64>,
    /// The substream it gets; `None` without simulcast.
    pub substream: Option<u8>,
    /// The temporal layer it gets; `None` where there are none to choose from.
    pub temporal: Option<u8>,
}
