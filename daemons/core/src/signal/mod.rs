//! The signals of PROTOCOL.md §3, as types.

mod client;
mod code;
mod munit;
mod report;
mod server;

pub use client::{
    ClientSignal, Description, IceCandidate, Incoming, Join, JoinUser, NAME_LENGTH_MAX, REASON_LENGTH_MAX,
    Reasoned, RoomSignal, SIGNAL_ID_LENGTH_MAX, SimulcastUpdate, StationOnly, Unparsed, UpdateVideo, Watch,
    id_of, parse,
};
pub use code::{Code, Refusal};
pub use munit::{Asker, MunitAck, MunitDone, MunitError, MunitMessage, MunitSignal};
pub use report::{Detail, Holding, Media, MediaStream, MediaViewer, REPORT_MAX, Report};
pub use server::{
    IceServer, Ingest, JoinAck, Left, Limits, Moved, ParticipantView, PublisherView, Reason, ServerSignal,
};
