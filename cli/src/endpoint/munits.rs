//! Munits and stations at an endpoint.

use std::time::Duration;

use mobz_core::id::{MunitId, StationId};
use mobz_runtime::control::{ControlError, Draining, Stopping};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Endpoint, refused, value};
use crate::error::Result;

/// How long a page of a check may take: it looks twice, and waits for what it mends.
const FSCK_TIMEOUT: Duration = Duration::from_secs(120);

impl Endpoint {
    /// A page of munits, as `GET /v1/munits` answers.
    pub async fn munits(&self, cursor: Option<&str>, limit: usize) -> Result<Value> {
        let what = "cannot list munits";
        match self {
            Self::Http(client) => client.page("munits", cursor, limit, what).await,
            Self::Store(control) => answer(control.munits(cursor, Some(limit)).await, what),
        }
    }

    /// One munit, as `GET /v1/munits/{id}` answers.
    pub async fn munit_inspected(&self, munit: &MunitId) -> Result<Value> {
        let what = format!("cannot inspect munit {munit}");
        match self {
            Self::Http(client) => client.one(&["munits", munit.as_str()], &[], &what).await,
            Self::Store(control) => answer(control.munit_inspected(munit).await, &what),
        }
    }

    /// The same, without asking it how its media fare.
    pub async fn munit(&self, munit: &MunitId) -> Result<Value> {
        let what = format!("cannot inspect munit {munit}");
        match self {
            Self::Http(client) => {
                client.one(&["munits", munit.as_str()], &[("media", "false".to_owned())], &what).await
            }
            Self::Store(control) => answer(control.munit(munit).await, &what),
        }
    }

    /// Checks a page, as `POST /v1/fsck` answers.
    pub async fn fsck(&self, repair: bool, cursor: Option<&str>) -> Result<Value> {
        let what = "cannot check";
        match self {
            Self::Http(client) => {
                let body = json!({ "repair": repair, "cursor": cursor });
                client.post_within(FSCK_TIMEOUT, &["fsck"], &body, what).await
            }
            Self::Store(control) => answer(control.fsck(repair, cursor).await, what),
        }
    }

    /// Drains a munit; how it stands now.
    pub async fn drain(&self, munit: &MunitId, draining: &Draining) -> Result<Value> {
        let what = format!("cannot drain munit {munit}");
        match self {
            Self::Http(client) => {
                client.post(&["munits", munit.as_str(), "drain"], &value(draining)?, &what).await
            }
            Self::Store(control) => answer(control.drain(munit, draining).await, &what),
        }
    }

    /// Revives a munit; how it stands now.
    pub async fn revive(&self, munit: &MunitId) -> Result<Value> {
        let what = format!("cannot revive munit {munit}");
        match self {
            Self::Http(client) => client.post(&["munits", munit.as_str(), "revive"], &json!({}), &what).await,
            Self::Store(control) => answer(control.revive(munit).await, &what),
        }
    }

    /// Stops a munit; how it stands now.
    pub async fn stop(&self, munit: &MunitId, stopping: &Stopping) -> Result<Value> {
        let what = format!("cannot stop munit {munit}");
        match self {
            Self::Http(client) => {
                client.post(&["munits", munit.as_str(), "stop"], &value(stopping)?, &what).await
            }
            Self::Store(control) => answer(control.stop(munit, stopping).await, &what),
        }
    }

    /// A page of stations, as `GET /v1/stations` answers.
    pub async fn stations(&self, cursor: Option<&str>, limit: usize) -> Result<Value> {
        let what = "cannot list stations";
        match self {
            Self::Http(client) => client.page("stations", cursor, limit, what).await,
            Self::Store(control) => answer(control.stations(cursor, Some(limit)).await, what),
        }
    }

    /// One station, as `GET /v1/stations/{station}` answers.
    pub async fn station(&self, station: &StationId) -> Result<Value> {
        let what = format!("cannot inspect station {station}");
        match self {
            Self::Http(client) => client.one(&["stations", station.as_str()], &[], &what).await,
            Self::Store(control) => answer(control.station(station).await, &what),
        }
    }

    /// Moves a station's publisher; its new station.
    pub async fn assign(&self, station: &StationId, munit: Option<&MunitId>) -> Result<Value> {
        let what = format!("cannot move station {station}");
        match self {
            Self::Http(client) => {
                let body = json!({ "munit": munit });
                client.post(&["stations", station.as_str(), "assign"], &body, &what).await
            }
            Self::Store(control) => answer(control.assign(station, munit.cloned()).await, &what),
        }
    }

    /// Takes a station from its munit.
    pub async fn unassign(&self, station: &StationId) -> Result<()> {
        let what = format!("cannot unassign station {station}");
        match self {
            Self::Http(client) => client.delete(&["stations", station.as_str()], &what).await,
            Self::Store(control) => control.unassign(station).await.map_err(|error| refused(&what, &error)),
        }
    }
}

fn answer(done: std::result::Result<impl Serialize, ControlError>, what: &str) -> Result<Value> {
    value(done.map_err(|error| refused(what, &error))?)
}
