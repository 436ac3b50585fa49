//! Data signals of one connection: whole ones go to the room's stream, and are acknowledged once stored.

use std::collections::BTreeSet;

use bytes::Bytes;
use mobz_core::hls::data::{
    Assembly, DataAck, DataError, DataKind, DataSignal, id_of_binary, parse_binary, parse_json,
};
use mobz_core::hls::stream::{Refusal as Refused, RefusalKind};
use mobz_core::id::TrackId;
use mobz_core::room::Mode;
use mobz_core::signal::{Code, Refusal, id_of};
use mobz_runtime::hub::Seat;
use mobz_runtime::node::NodeError;
use mobz_runtime::streams::{IngestError, Streams};

/// A data signal in either form.
pub(crate) enum Frame<'a> {
    /// Of a text frame.
    Json(&'a str),
    /// A binary frame.
    Binary(Bytes),
}

/// What a connection has sent of its stay.
#[derive(Default)]
pub(crate) struct Publishing {
    /// Pieces on their way to be a whole signal.
    assembly: Assembly,
    /// The tracks whose init it has sent; as many as a stream has at most.
    begun: BTreeSet<TrackId>,
}

/// What a data signal came to: its acknowledgement, or its refusal with the `id` it carried.
pub(crate) type Outcome = Result<Option<DataAck>, (Refusal, Option<String>)>;

/// Takes one frame of the publisher in `seat`; an acknowledgement only where it asked for one.
pub(crate) async fn take(
    streams: &Streams,
    publishing: &mut Publishing,
    seat: Option<Seat>,
    frame: Frame<'_>,
) -> Outcome {
    let signal = match frame {
        Frame::Json(text) => parse_json(text).map_err(|error| (error, id_of(text))),
        Frame::Binary(bytes) => parse_binary(bytes.clone()).map_err(|error| (error, id_of_binary(&bytes))),
    };
    let signal = signal.map_err(|(error, id)| (refusal_of(error), id))?;
    let id = signal.id.clone();
    let stored = store(streams, publishing, seat, signal).await;
    stored.map(|ack| ack.filter(|ack| ack.re.is_some())).map_err(|refusal| (refusal, id))
}

async fn store(
    streams: &Streams,
    publishing: &mut Publishing,
    seat: Option<Seat>,
    signal: DataSignal,
) -> Result<Option<DataAck>, Refusal> {
    let seat = seat.ok_or_else(|| Refusal::new(Code::NotJoined, "send Join first"))?;
    if seat.mode != Mode::P2m {
        let message = "data signals are for p2m rooms; this one is not";
        return Err(Refusal::new(Code::ModeMismatch, message));
    }
    if seat.member.is_some() {
        let message = "only the room's publisher sends data signals; join with `publish`";
        return Err(Refusal::new(Code::NotPublisher, message));
    }
    let Some(mut whole) = publishing.assembly.feed(signal).map_err(refusal_of)? else { return Ok(None) };
    if let DataKind::Init(fields) = &mut whole.kind {
        fields.anew = !seat.resumed && !publishing.begun.contains(&whole.track);
    }
    match streams.ingest(&seat.room, &seat.user, &whole).await {
        Ok(ack) => {
            if matches!(whole.kind, DataKind::Init(_)) {
                publishing.begun.insert(whole.track);
            }
            Ok(Some(ack))
        }
        Err(IngestError::Refused(refused)) => Err(refusal_of_stream(refused)),
        Err(IngestError::Store(error)) => Err(NodeError::from(error).refusal()),
        Err(IngestError::Contended(room)) => Err(NodeError::Contended(room).refusal()),
    }
}

fn refusal_of(error: DataError) -> Refusal {
    match error {
        DataError::Bad { path, message } => Refusal::bad(path, message),
        DataError::TooLarge => Refusal::new(Code::TooLarge, error.to_string()),
    }
}

fn refusal_of_stream(refused: Refused) -> Refusal {
    match refused.kind {
        RefusalKind::BadSignal { path } => Refusal::bad(path, refused.message),
        RefusalKind::Stale => Refusal::new(Code::Stale, refused.message),
        RefusalKind::TooLarge => Refusal::new(Code::TooLarge, refused.message),
        RefusalKind::RateLimited { retry_after } => {
            Refusal::new(Code::RateLimited, refused.message).retry_after(retry_after)
        }
    }
}
