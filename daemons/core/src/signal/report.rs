//! What a munit reports of its stations: what it really holds.

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
}
