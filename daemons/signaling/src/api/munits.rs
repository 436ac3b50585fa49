//! Munits and stations over HTTP.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Json;
use mobz_core::id::{MunitId, StationId};
use mobz_runtime::control::{
    Control, Draining, FsckPage, MunitDetail, MunitList, StationInspected, StationLine, StationList, Stopping,
};
use serde::Deserialize;

use super::{Parsed, Problem, Said};

#[derive(Deserialize)]
pub(super) struct PageQuery {
    cursor: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn list(
    State(control): State<Control>,
    Parsed(Query(query)): Parsed<Query<PageQuery>>,
) -> Result<Json<MunitList>, Problem> {
    Ok(Json(control.munits(query.cursor.as_deref(), query.limit).await?))
}

#[derive(Deserialize)]
pub(super) struct InspectQuery {
    /// Whether the munit is asked how media fare; it is unless that is `false`.
    media: Option<bool>,
}

pub(super) async fn inspect(
    State(control): State<Control>,
    Parsed(Path(munit)): Parsed<Path<MunitId>>,
    Parsed(Query(query)): Parsed<Query<InspectQuery>>,
) -> Result<Json<MunitDetail>, Problem> {
    let asks = query.media.unwrap_or(true);
    Ok(Json(if asks { control.munit_inspected(&munit).await? } else { control.munit(&munit).await? }))
}

pub(super) async fn drain(
    State(control): State<Control>,
    Parsed(Path(munit)): Parsed<Path<MunitId>>,
    Said(draining): Said<Draining>,
) -> Result<Json<MunitDetail>, Problem> {
    Ok(Json(control.drain(&munit, &draining).await?))
}

pub(super) async fn revive(
    State(control): State<Control>,
    Parsed(Path(munit)): Parsed<Path<MunitId>>,
) -> Result<Json<MunitDetail>, Problem> {
    Ok(Json(control.revive(&munit).await?))
}

pub(super) async fn stop(
    State(control): State<Control>,
    Parsed(Path(munit)): Parsed<Path<MunitId>>,
    Said(stopping): Said<Stopping>,
) -> Result<Json<MunitDetail>, Problem> {
    Ok(Json(control.stop(&munit, &stopping).await?))
}

pub(super) async fn list_stations(
    State(control): State<Control>,
    Parsed(Query(query)): Parsed<Query<PageQuery>>,
) -> Result<Json<StationList>, Problem> {
    Ok(Json(control.stations(query.cursor.as_deref(), query.limit).await?))
}

pub(super) async fn inspect_station(
    State(control): State<Control>,
    Parsed(Path(station)): Parsed<Path<StationId>>,
) -> Result<Json<StationInspected>, Problem> {
    Ok(Json(control.station(&station).await?))
}

/// Where a station's publisher shall move to.
#[derive(Default, Deserialize)]
pub(super) struct Moving {
    munit: Option<MunitId>,
}

pub(super) async fn assign(
    State(control): State<Control>,
    Parsed(Path(station)): Parsed<Path<StationId>>,
    Said(Moving { munit }): Said<Moving>,
) -> Result<Json<StationLine>, Problem> {
    Ok(Json(control.assign(&station, munit).await?))
}

pub(super) async fn unassign(
    State(control): State<Control>,
    Parsed(Path(station)): Parsed<Path<StationId>>,
) -> Result<StatusCode, Problem> {
    control.unassign(&station).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a check does, and where it goes on.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Fsck {
    repair: bool,
    cursor: Option<String>,
}

pub(super) async fn fsck(
    State(control): State<Control>,
    Said(Fsck { repair, cursor }): Said<Fsck>,
) -> Result<Json<FsckPage>, Problem> {
    Ok(Json(control.fsck(repair, cursor.as_deref()).await?))
}
