//! A client of the [Janus WebRTC server](https://janus.conf.meetecho.com/): its API over WebSocket, the
//! VideoRoom plugin, and the Admin API. Written and tested against Janus 1.1.
//!
//! ```no_run
//! use janus_client::video_room::{Create, JoinPublisher, JoinSubscriber, Publish};
//! use janus_client::{Answer, Client, EVENTS_MAX, Event, Offer, Options, Told, events};
//!
//! # async fn example(of_alice: Offer, ask_bob: impl Fn(Offer) -> Answer) -> Result<(), janus_client::Error> {
//! let client = Client::connect("ws://127.0.0.1:8188/", Options::default()).await?;
//! let session = client.create_session().await?;
//! let (sink, mut told) = events(EVENTS_MAX);
//!
//! // A room, and somebody who publishes in it: the client's offer goes in, Janus' answer comes out.
//! let handle = session.attach(Some("alice"), &sink).await?;
//! handle.ask(&Create { room: Some("blue".into()), ..Create::default() }).await?;
//! let (publisher, _joined) =
//!     handle.join_publisher(&JoinPublisher::new("blue".into(), "alice".into())).await?;
//! let _for_alice: Answer = publisher.publish(&Publish::default(), &of_alice).await?;
//!
//! // Once her media flows, somebody who watches: Janus' offer comes out, the client's answer goes in.
//! while let Some(event) = told.next().await {
//!     if matches!(event, Told::Of(id, Event::WebRtcUp) if id == publisher.id()) {
//!         break;
//!     }
//! }
//! let handle = session.attach(Some("bob"), &sink).await?;
//! let (subscriber, offer, _streams) =
//!     handle.join_subscriber(&JoinSubscriber::new("blue".into(), "alice".into())).await?;
//! subscriber.start(&ask_bob(offer)).await?;
//!
//! // Once this returns, the feed's id is free again.
//! publisher.detach().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What it promises:
//!
//! - One connection carries any number of requests at once, up to [`Options::outstanding_max`]. Answers are
//!   told from acks in whichever order they come.
//! - Every request ends within its time. An [`Error`] says whether Janus refused, and with which code;
//!   whether nothing was sent ([`Error::NotConnected`]); or whether nobody knows ([`Error::is_unsure`]).
//! - A lost connection is opened again and its sessions are claimed. Nothing is sent twice and no event is
//!   made up: the owner is told by a [`Change`] and compares what it wants with what is there.
//! - Events go to queues of a size the owner chooses ([`events`]), one for many handles or for each its own.
//!   A queue that is full costs its owner events, which it is told of, and nobody else anything.
//! - What a handle may do depends on its role: a [`Subscriber`] cannot publish, an [`Offer`] cannot be sent
//!   where an [`Answer`] belongs.
//! - What is not typed here can be read all the same: events hold the [`Raw`] message, and
//!   [`video_room::RoomRequest`] is open.
//!
//! Features: `tls` for `wss://`; `spawn` for a Janus of one's own.

pub mod admin;
mod client;
mod connection;
mod error;
mod event;
mod handle;
mod id;
mod info;
mod jsep;
mod options;
mod session;
#[cfg(feature = "spawn")]
pub mod spawn;
mod table;
pub mod video_room;
mod wire;

pub use admin::Admin;
pub use client::{Changes, Client};
pub use error::{Error, JanusCode, Refused, VideoRoomCode};
pub use event::{
    Change, EVENTS_MAX, Event, EventSink, Events, Media, MediaKind, Raw, SlowLink, Told, events,
};
pub use handle::{Fresh, Handle, Left, Publisher, Role, Subscriber};
pub use id::{FeedId, HandleId, RoomId, SessionId};
pub use info::ServerInfo;
pub use jsep::{Answer, Candidate, Offer, Trickle};
pub use options::{CHANGES_MAX, MESSAGE_MAX, OUTSTANDING_MAX, Options, QUEUE_MAX, WRITE_MAX};
pub use session::Session;
pub use wire::QUOTE_MAX;
