//! The Janus of this munit, once it is reached: how it is looked at and told what to do.

mod place;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use janus_client::admin::InRoom;
use janus_client::video_room::{
    ConfigurePublisher, ConfigureStream, ConfigureSubscriber, Create, Destroy, JoinPublisher, JoinSubscriber,
    List, Moderate, Publish, SubscriberStream,
};
use janus_client::{
    Admin, Answer, Candidate, Client, Error, EventSink, Fresh, Handle as Attached, HandleId, JanusCode,
    MediaKind, Offer, Options, Publisher, RoomId, Session, Subscriber, Trickle, VideoRoomCode,
};
use mobz_core::id::StationId;
use mobz_core::signal::{IceCandidate, Report};
use parking_lot::Mutex;
use tokio::sync::RwLock;

pub use self::place::{JanusError, Place};
use super::house::Tenant;
use super::port::MediaServer;
use super::refusal::refusal;
use super::spares::Spares;
use crate::opaque::Opaque;
use crate::plane::{Command, Examining, Handle, Kind, Outcome, Seen, Stream, offer_session};
use crate::sdp;

/// How many handles are looked at at once.
pub(super) const LOOKS_AT_ONCE: usize = 64;
/// How long one request to Janus may take.
const REQUEST_MAX: Duration = Duration::from_secs(5);

/// A Janus that is there.
#[derive(Debug)]
pub(super) struct Janus {
    url: String,
    client: Client,
    pub(super) admin: Option<Admin>,
    pub(super) session: Session,
    sink: EventSink,
    /// Requests about rooms go over this one; its opaque id says which regulator has the session.
    rooms: Attached<Fresh>,
    /// Held while a report is examined: one at a time, so that media signals never wait long.
    pub(super) examining: tokio::sync::Mutex<()>,
    handles: Mutex<HashMap<Handle, Role>>,
    spares: Spares,
    /// Held by who detaches a handle, and alone by who destroys a room: Janus tells those in a room of its end by
    /// their handles, and dies (a segmentation fault in `janus_plugin_session_is_alive`, seen with 1.1.2) where one
    /// is freed meanwhile.
    freeing: RwLock<()>,
    /// Its process, where it is the munit's own.
    tenant: Option<Arc<Tenant>>,
}

/// A handle in its role.
#[derive(Clone, Debug)]
enum Role {
    Publisher(Attached<Publisher>),
    Subscriber(Attached<Subscriber>),
}

#[async_trait]
impl MediaServer for Janus {
    fn url(&self) -> &str {
        &self.url
    }

    fn pid(&self) -> Option<u32> {
        self.tenant.as_ref().map(|tenant| tenant.janus.id())
    }

    async fn ended(&self) {
        match &self.tenant {
            Some(tenant) => drop(tenant.janus.ended().await),
            None => std::future::pending().await,
        }
    }

    async fn is_there(&self) -> bool {
        // Of a process of the munit's own, its end says more.
        if self.tenant.is_some() {
            return true;
        }
        let options = Options { connect_timeout: REQUEST_MAX, ..Options::default() };
        Client::connect(&self.url, options).await.is_ok()
    }

    async fn close(&self) {
        self.client.close().await;
        if let Some(admin) = &self.admin {
            admin.close().await;
        }
    }

    async fn end_session(&self) {
        if let Err(error) = self.session.destroy().await {
            tracing::debug!(%error, "the session ends with Janus");
        }
    }

    async fn stock(&self) {
        if let Err(error) = self.spares.stock(&self.session, &self.sink).await {
            tracing::debug!(%error, "fewer handles are attached in advance");
        }
    }

    async fn look(&self) -> Result<(Vec<StationId>, Option<Vec<Seen>>), Error> {
        let stations = self.stations().await?;
        let Some(admin) = &self.admin else { return Ok((stations, None)) };
        let handles = admin.list_handles(self.session.id()).await?;
        let looks = stream::iter(handles).map(|handle| self.look_at(admin, handle));
        let seen: Vec<_> = looks.buffer_unordered(LOOKS_AT_ONCE).collect().await;
        let seen = seen.into_iter().collect::<Result<Vec<_>, Error>>()?;
        Ok((stations, Some(seen.into_iter().flatten().collect())))
    }

    async fn examine(&self, examining: Examining) -> Result<Report, Error> {
        self.report(examining).await
    }

    async fn perform(&self, command: Command) -> Outcome {
        self.try_perform(command).await.unwrap_or_else(|error| {
            let unsure = error.is_unsure();
            Outcome::Failed { refusal: refusal(&error), unsure }
        })
    }

    fn forget(&self, handle: Handle) {
        self.handles.lock().remove(&handle);
    }
}

impl Janus {
    /// The stations that it has rooms for.
    pub(super) async fn stations(&self) -> Result<Vec<StationId>, Error> {
        let rooms = self.rooms.ask(&List::default()).await?.rooms;
        Ok(rooms.iter().filter_map(|room| room.room.as_str()?.parse().ok()).collect())
    }

    async fn look_at(&self, admin: &Admin, handle: HandleId) -> Result<Option<Seen>, Error> {
        let info = match admin.handle_info(self.session.id(), handle).await {
            Ok(info) => info,
            // Gone meanwhile.
            Err(Error::Janus { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let attached_for = info.opaque_id.as_deref().unwrap_or_default();
        let subscribed_for = match &info.room {
            Some(InRoom::Subscriber { streams, .. }) => {
                streams.iter().find_map(|it| it.cross_reference.as_deref())
            }
            Some(InRoom::Publisher { .. } | InRoom::Nowhere) | None => None,
        };
        let opaque = subscribed_for.unwrap_or(attached_for).parse::<Opaque>();
        let Ok(opaque) = opaque else {
            if self.spares.is_left(attached_for) {
                let left = self.session.adopt(handle, &self.sink);
                let _frees = self.freeing.read().await;
                Attached::<Fresh>::detach(&left).await?;
            }
            return Ok(None);
        };
        let streams = match &info.room {
            Some(InRoom::Subscriber { streams, .. }) => streams.iter().map(stream_of).collect(),
            Some(InRoom::Publisher { .. } | InRoom::Nowhere) | None => {
                info.media.iter().filter_map(|media| kind_stream(&media.mid, media.kind)).collect()
            }
        };
        let role = match opaque.role {
            crate::opaque::Role::Publisher => Role::Publisher(self.session.adopt(handle, &self.sink)),
            crate::opaque::Role::Watcher => Role::Subscriber(self.session.adopt(handle, &self.sink)),
        };
        let handle = Handle(handle.0);
        self.handles.lock().entry(handle).or_insert(role);
        let session = info.remote_sdp.as_deref().and_then(offer_session);
        Ok(Some(Seen {
            handle,
            opaque,
            connected: info.ice_state.is_some(),
            up: info.is_up,
            session,
            streams,
        }))
    }

    async fn try_perform(&self, command: Command) -> Result<Outcome, Error> {
        match command {
            Command::Make(station) => {
                let room = Some(room_of(&station));
                let create =
                    Create { room, publishers: Some(1), notify_joining: Some(false), ..Create::default() };
                allow(self.rooms.ask(&create).await.map(drop), VideoRoomCode::ROOM_EXISTS)
            }
            Command::Destroy(station) => {
                let destroy = Destroy { room: room_of(&station), secret: None, permanent: None };
                let _alone = self.freeing.write().await;
                allow(self.rooms.ask(&destroy).await.map(drop), VideoRoomCode::NO_SUCH_ROOM)
            }
            Command::Publish { station, opaque, sdp } => self.publish(&station, &opaque, sdp).await,
            Command::Renegotiate { handle, sdp } => {
                let publisher = self.publisher(handle)?;
                let answer = publisher.renegotiate(&ConfigurePublisher::default(), &Offer::new(sdp)).await?;
                Ok(published(handle, answer))
            }
            Command::Subscribe { station, publisher, opaque } => {
                self.subscribe(&station, publisher.as_str(), &opaque).await
            }
            Command::Start { handle, sdp } => {
                self.subscriber(handle)?.start(&Answer::new(sdp)).await?;
                Ok(Outcome::Done)
            }
            Command::Trickle { handle, candidate } => {
                let trickle = trickle(candidate);
                match self.role(handle)? {
                    Role::Publisher(publisher) => publisher.trickle(&trickle).await?,
                    Role::Subscriber(subscriber) => subscriber.trickle(&trickle).await?,
                }
                Ok(Outcome::Done)
            }
            Command::Layer { handle, mid, substream, temporal } => {
                let layer = ConfigureStream {
                    mid,
                    substream: Some(substream),
                    temporal,
                    ..ConfigureStream::default()
                };
                let configure = ConfigureSubscriber { streams: vec![layer], restart: None };
                self.subscriber(handle)?.configure(&configure).await?;
                Ok(Outcome::Done)
            }
            Command::Mute { station, publisher, mids } => {
                for (mid, mute) in mids {
                    let (room, feed) = (room_of(&station), publisher.as_str().into());
                    self.rooms.ask(&Moderate { room, secret: None, feed, mid, mute }).await?;
                }
                Ok(Outcome::Done)
            }
            Command::Detach(handle) => {
                let role = self.handles.lock().remove(&handle);
                let _frees = self.freeing.read().await;
                match role {
                    Some(Role::Publisher(publisher)) => publisher.detach().await?,
                    Some(Role::Subscriber(subscriber)) => subscriber.detach().await?,
                    None => {}
                }
                Ok(Outcome::Done)
            }
        }
    }

    async fn publish(&self, station: &StationId, opaque: &Opaque, sdp: String) -> Result<Outcome, Error> {
        let fresh = self.attach(opaque).await?;
        let join = JoinPublisher::new(room_of(station), opaque.user.as_str().into());
        match fresh.join_and_publish(&join, &Publish::default(), &Offer::new(sdp)).await {
            Ok((publisher, _, answer)) => {
                let handle = Handle(publisher.id().0);
                self.handles.lock().insert(handle, Role::Publisher(publisher));
                Ok(published(handle, answer))
            }
            Err(refused) => Err(self.give_back(refused.handle, refused.error).await),
        }
    }

    async fn subscribe(
        &self,
        station: &StationId,
        publisher: &str,
        opaque: &Opaque,
    ) -> Result<Outcome, Error> {
        let mut join = JoinSubscriber::new(room_of(station), publisher.into());
        // What a publisher adds later is watched anew: an offer nobody asked for would go astray.
        join.auto_update = Some(false);
        join.streams[0].cross_reference = Some(opaque.to_string());
        let joined = match self.spares.take() {
            Some(spare) => match spare.join_subscriber(&join).await {
                // It went unheard: one that is attached now is there.
                Err(refused) if refused.error.janus_code() == Some(JanusCode::HANDLE_NOT_FOUND) => {
                    self.attach(opaque).await?.join_subscriber(&join).await
                }
                joined => joined,
            },
            None => self.attach(opaque).await?.join_subscriber(&join).await,
        };
        match joined {
            Ok((subscriber, offer, streams)) => {
                let handle = Handle(subscriber.id().0);
                self.handles.lock().insert(handle, Role::Subscriber(subscriber));
                let streams = streams.iter().map(stream_of).collect();
                Ok(Outcome::Subscribed { handle, sdp: offer.into_sdp(), streams })
            }
            Err(refused) => Err(self.give_back(refused.handle, refused.error).await),
        }
    }

    async fn attach(&self, opaque: &Opaque) -> Result<Attached<Fresh>, Error> {
        self.session.attach(Some(&opaque.to_string()), &self.sink).await
    }

    /// Detaches a handle that a refused request leaves.
    async fn give_back(&self, handle: Attached<Fresh>, error: Error) -> Error {
        let _frees = self.freeing.read().await;
        if let Err(left) = handle.detach().await {
            tracing::debug!(%left, "a handle is left; it is found when somebody looks");
        }
        error
    }

    fn role(&self, handle: Handle) -> Result<Role, Error> {
        let gone = || Error::SessionGone { request: "message", session: self.session.id() };
        self.handles.lock().get(&handle).cloned().ok_or_else(gone)
    }

    fn publisher(&self, handle: Handle) -> Result<Attached<Publisher>, Error> {
        match self.role(handle)? {
            Role::Publisher(publisher) => Ok(publisher),
            Role::Subscriber(_) => Err(Error::Closed { request: "configure" }),
        }
    }

    fn subscriber(&self, handle: Handle) -> Result<Attached<Subscriber>, Error> {
        match self.role(handle)? {
            Role::Subscriber(subscriber) => Ok(subscriber),
            Role::Publisher(_) => Err(Error::Closed { request: "start" }),
        }
    }
}

fn room_of(station: &StationId) -> RoomId {
    station.as_str().into()
}

fn allow(done: Result<(), Error>, code: VideoRoomCode) -> Result<Outcome, Error> {
    match done {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.video_room_code() == Some(code) => Ok(Outcome::Done),
        Err(error) => Err(error),
    }
}

fn published(handle: Handle, answer: Answer) -> Outcome {
    let sdp = answer.into_sdp();
    Outcome::Published { handle, streams: sdp::streams(&sdp), sdp }
}

fn kind_stream(mid: &str, kind: MediaKind) -> Option<Stream> {
    let kind = match kind {
        MediaKind::Audio => Kind::Audio,
        MediaKind::Video => Kind::Video,
        MediaKind::Data => return None,
    };
    Some(Stream { mid: mid.to_owned(), kind, simulcast: false, temporal: false })
}

fn stream_of(stream: &SubscriberStream) -> Stream {
    let kind = if stream.kind == MediaKind::Video { Kind::Video } else { Kind::Audio };
    let temporal = stream.codec.as_deref() == Some("vp8");
    Stream { mid: stream.mid.clone(), kind, simulcast: stream.layers.is_some(), temporal }
}

fn trickle(candidate: IceCandidate) -> Trickle {
    match candidate.candidate {
        Some(text) if !text.is_empty() => Trickle::Candidate(Candidate {
            candidate: text,
            sdp_mid: candidate.sdp_mid,
            sdp_mline_index: candidate.sdp_m_line_index.map(u32::from),
        }),
        Some(_) | None => Trickle::Completed,
    }
}
