//! The VideoRoom plugin: its requests, answers and events.
//!
//! Requests about a room ([`Create`], [`Kick`], [`RtpForward`], …) are made with [`crate::Handle::ask`] on
//! any handle. What only a publisher or a subscriber may do is a method of such a handle.

mod event;
mod forward;
mod participant;
mod publisher;
mod remote;
mod room;
mod subscriber;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use event::{RoomEvent, RoomNews};
pub use forward::{
    ForwardStream, Forwarded, Forwarder, Forwarders, ForwardersOf, ListForwarders, RtpForward, Srtp,
    StopRtpForward,
};
pub use participant::{Feed, FeedStream, Layers, ListParticipants, Participant, Participants};
pub use publisher::{ConfigurePublisher, Description, JoinPublisher, Joined, Publish};
pub use remote::{
    AddRemotePublisher, ListRemotes, PublishRemotely, RemotePublisher, RemoteStream, Remotes, Remotization,
    RemoveRemotePublisher, UnpublishRemotely, UpdateRemotePublisher,
};
pub use room::{
    Allowed, AllowedAction, Create, Created, Destroy, Done, Edit, EnableRecording, Existing, Exists, Kick,
    List, Moderate, Room, Rooms, SetAllowed,
};
pub use subscriber::{
    ConfigureStream, ConfigureSubscriber, JoinSubscriber, Renegotiation, SubscriberStream, Subscription,
    Switch, Switched, Unsubscribe,
};

/// A request that VideoRoom answers at once, on any handle.
///
/// It is open: a request of a newer Janus that this crate does not have is a struct with this.
pub trait RoomRequest: Serialize + Sync {
    /// The request's name.
    const NAME: &'static str;
    /// What it is answered with; refusals never get this far.
    type Reply: DeserializeOwned;
}
