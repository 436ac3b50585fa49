//! The control API over HTTP (PROTOCOL.md §7): each request is one operation of `mobz_runtime::control`.

mod events;
mod munits;
mod problem;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{delete, get, post};
use mobz_core::id::{RoomId, UserId};
use mobz_core::room::Mode;
use mobz_core::signal::Code;
use mobz_runtime::clock;
use mobz_runtime::control::{Control, HlsDetail, RoomDetail, RoomList};
use serde::Deserialize;

use crate::App;
use problem::Problem;

/// The routes of the API.
pub(crate) fn router(app: App) -> Router<App> {
    let operations = Router::new()
        .route("/v1/rooms", get(list_rooms))
        .route("/v1/rooms/{room}", get(inspect_room).delete(close_room))
        .route("/v1/rooms/{room}/participants/{user}", delete(kick))
        .route("/v1/rooms/{room}/hls", get(inspect_hls))
        .route("/v1/stations", get(munits::list_stations))
        .route("/v1/stations/{station}", get(munits::inspect_station).delete(munits::unassign))
        .route("/v1/stations/{station}/assign", post(munits::assign))
        .route("/v1/munits", get(munits::list))
        .route("/v1/munits/{munit}", get(munits::inspect))
        .route("/v1/munits/{munit}/drain", post(munits::drain))
        .route("/v1/munits/{munit}/revive", post(munits::revive))
        .route("/v1/munits/{munit}/stop", post(munits::stop))
        .route("/v1/fsck", post(munits::fsck))
        .route("/v1/events", get(events::stream))
        .route_layer(from_fn_with_state(app, authorize));
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .merge(operations)
        .method_not_allowed_fallback(method_not_allowed)
}

/// The answer to a path that leads nowhere.
pub(crate) async fn not_found(request: Request) -> Problem {
    let path = request.uri().path();
    Problem::new(
        StatusCode::NOT_FOUND,
        Code::NotFound,
        format!("there is nothing at {path}; see PROTOCOL.md §7"),
    )
}

async fn method_not_allowed(request: Request) -> Problem {
    let detail = format!("{} is not for {}; see PROTOCOL.md §7", request.method(), request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, Code::BadSignal, detail)
}

/// Where there are keys, lets only bearers of a token with the grant `admin` pass.
async fn authorize(State(app): State<App>, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(keys) = &app.keys else { return Ok(next.run(request).await) };
    let unauthorized = |detail: String| Problem::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, detail);
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(|| {
        unauthorized("send `Authorization: Bearer <token>` with a token granted `admin`".into())
    })?;
    let claims = keys.verify(token.trim(), clock::now()).map_err(|error| unauthorized(error.to_string()))?;
    if !claims.grants.admin {
        let detail = "the token does not grant `admin`; get one that does";
        return Err(Problem::new(StatusCode::FORBIDDEN, Code::Forbidden, detail));
    }
    Ok(next.run(request).await)
}

#[derive(Deserialize)]
struct ListQuery {
    mode: Option<Mode>,
    cursor: Option<String>,
    limit: Option<usize>,
}

async fn list_rooms(
    State(control): State<Control>,
    Parsed(Query(query)): Parsed<Query<ListQuery>>,
) -> Result<Json<RoomList>, Problem> {
    let list = control.rooms(query.mode, query.cursor.as_deref(), query.limit).await?;
    Ok(Json(list))
}

async fn inspect_room(
    State(control): State<Control>,
    Parsed(Path(room)): Parsed<Path<RoomId>>,
) -> Result<Json<RoomDetail>, Problem> {
    Ok(Json(control.room(&room).await?))
}

async fn inspect_hls(
    State(control): State<Control>,
    Parsed(Path(room)): Parsed<Path<RoomId>>,
) -> Result<Json<HlsDetail>, Problem> {
    Ok(Json(control.hls(&room).await?))
}

async fn close_room(
    State(control): State<Control>,
    Parsed(Path(room)): Parsed<Path<RoomId>>,
) -> Result<StatusCode, Problem> {
    control.close(&room).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct KickQuery {
    reason: Option<String>,
}

async fn kick(
    State(control): State<Control>,
    Parsed(Path((room, user))): Parsed<Path<(RoomId, UserId)>>,
    Parsed(Query(query)): Parsed<Query<KickQuery>>,
) -> Result<StatusCode, Problem> {
    control.kick(&room, &user, query.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ready(State(app): State<App>) -> Response {
    let unready = |reason: String| Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::Internal, reason);
    if app.shutdown.is_cancelled() {
        return unready("ending: clients are sent elsewhere".into()).into_response();
    }
    match app.node.store().ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => unready(error.to_string()).into_response(),
    }
}

async fn metrics(State(app): State<App>) -> Response {
    app.node.metrics().rooms.set(i64::try_from(app.node.hub().room_count()).unwrap_or(i64::MAX));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.node.metrics().render()).into_response()
}

/// An extractor whose rejection is a problem like every other.
struct Parsed<T>(T);

impl<T, S> FromRequestParts<S> for Parsed<T>
where
    T: FromRequestParts<S, Rejection: std::fmt::Display>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut axum::http::request::Parts,
        state: &S,
    ) -> Result<Self, Self::Rejection> {
        let parsed = T::from_request_parts(parts, state).await;
        parsed
            .map(Self)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, Code::BadSignal, error.to_string()))
    }
}

/// What a request says in JSON; nothing is as good as `{}`.
struct Said<T>(T);

impl<T, S> FromRequest<S> for Said<T>
where
    T: serde::de::DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, Code::BadSignal, detail);
        let body = Bytes::from_request(request, state).await.map_err(|error| bad(error.to_string()))?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        serde_json::from_slice(&body).map(Self).map_err(|error| bad(format!("the body: {error}")))
    }
}
