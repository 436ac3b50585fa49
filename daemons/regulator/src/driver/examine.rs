//! What Janus adds to a report: which rooms it has, and how media fare.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use janus_client::admin::{HandleInfo, InRoom, MediaInfo};
use janus_client::{Error, HandleId, MediaKind};
use mobz_core::id::StationId;
use mobz_core::signal::{
    Code, Detail, Holding, Media, MediaStream, MediaViewer, MunitAck, MunitDone, Refusal, Report,
};

use super::janus::{Janus, LOOKS_AT_ONCE};
use super::refusal::refusal;
use super::{Driver, JANUS_PAUSE_MAX, written};
use crate::plane::{Examining, Handle, Known, Watched};

impl Driver {
    /// Asks Janus, and acknowledges the report.
    pub(super) fn examine(&self, examining: Examining) {
        let (janus, store) = (self.janus.clone(), self.store.clone());
        self.beside(async move {
            let (reply_to, re) = (examining.reply_to.clone(), examining.re.clone());
            let reported = if let Some(janus) = janus {
                janus.examine(examining).await.map_err(|error| refusal(&error))
            } else {
                let message = "the media server is away; try again";
                Err(Refusal::new(Code::MunitUnavailable, message).retry_after(JANUS_PAUSE_MAX))
            };
            let ack = match reported {
                Ok(report) => {
                    let done = MunitDone { report: Some(Box::new(report)), ..MunitDone::default() };
                    MunitAck { re, ok: Some(done), error: None }
                }
                Err(refusal) => MunitAck { re, ok: None, error: Some(refusal.into()) },
            };
            if let Err(error) = store.reply(&reply_to, written(&ack)).await {
                tracing::debug!(%error, "a report was not told");
            }
            None
        });
    }
}

impl Janus {
    pub(super) async fn report(&self, examining: Examining) -> Result<Report, Error> {
        let _one = self.examining.lock().await;
        let detail = examining.detail;
        let (known, more) = examining.beside(self.stations().await?);
        let examined = known.into_iter().map(|(id, known)| self.examine_station(id, known, detail));
        let stations: Vec<_> = stream::iter(examined).buffer_unordered(LOOKS_AT_ONCE).collect().await;
        let stations = stations.into_iter().collect::<Result<BTreeMap<_, _>, Error>>()?;
        Ok(Report { stations, more })
    }

    async fn examine_station(
        &self,
        id: StationId,
        known: Known,
        detail: Detail,
    ) -> Result<(StationId, Holding), Error> {
        let mut holding = known.holding.clone();
        if let Some(publisher) = known.publisher.filter(|_| detail >= Detail::Media)
            && let Some(info) = self.info(publisher).await?
        {
            let mut media = media_of(&info, &known);
            if detail >= Detail::Viewers {
                let looks = known.watchers.into_iter().map(|watched| self.viewer(watched));
                let viewers: Vec<_> = stream::iter(looks).buffered(LOOKS_AT_ONCE).collect().await;
                let viewers = viewers.into_iter().collect::<Result<Vec<_>, Error>>()?;
                media.viewers = Some(viewers.into_iter().flatten().collect());
            }
            holding.media = Some(media);
        }
        Ok((id, holding))
    }

    async fn viewer(&self, watched: Watched) -> Result<Option<MediaViewer>, Error> {
        Ok(self.info(watched.handle).await?.map(|info| viewer_of(watched, &info)))
    }

    /// What Janus knows of a handle; `None` where it is gone by now, or there is no Admin API.
    async fn info(&self, handle: Handle) -> Result<Option<HandleInfo>, Error> {
        let Some(admin) = &self.admin else { return Ok(None) };
        match admin.handle_info(self.session.id(), HandleId(handle.0)).await {
            Ok(info) => Ok(Some(info)),
            Err(Error::Janus { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How a publisher's media fare.
fn media_of(info: &HandleInfo, known: &Known) -> Media {
    let streams: Vec<MediaStream> = info.media.iter().filter_map(|media| stream_of(media, known)).collect();
    Media {
        bitrate: streams.iter().map(|stream| stream.bitrate).sum(),
        packets_lost: streams.iter().map(|stream| stream.packets_lost).sum(),
        round_trip_ms: round_trip(info),
        streams,
        viewers: None,
    }
}

fn stream_of(media: &MediaInfo, known: &Known) -> Option<MediaStream> {
    let (kind, muted) = match media.kind {
        MediaKind::Audio => ("audio", known.muted.audio),
        MediaKind::Video => ("video", known.muted.video),
        MediaKind::Data => return None,
    };
    let rates = std::iter::once(&media.received).chain(&media.received_layers);
    let rates: Vec<u64> = rates.map(|flow| bits(flow.bytes_per_second)).collect();
    Some(MediaStream {
        mid: media.mid.clone(),
        kind: kind.to_owned(),
        codec: media.codec.clone(),
        muted,
        bitrate: rates.iter().sum(),
        packets_lost: count(media.lost),
        layers: if media.received_layers.is_empty() { Vec::new() } else { rates },
    })
}

fn viewer_of(watched: Watched, info: &HandleInfo) -> MediaViewer {
    let layers = match &info.room {
        Some(InRoom::Subscriber { streams, .. }) => streams.iter().find_map(|stream| stream.layers.as_ref()),
        Some(InRoom::Publisher { .. } | InRoom::Nowhere) | None => None,
    };
    // Before the first packet, and without temporal layers, it is -1.
    let layer = |layer: i8| u8::try_from(layer).ok();
    MediaViewer {
        user: watched.user,
        bitrate: info.media.iter().map(|media| bits(media.sent.bytes_per_second)).sum(),
        packets_lost: info.media.iter().map(|media| count(media.lost_by_remote)).sum(),
        round_trip_ms: round_trip(info),
        substream: layers.and_then(|layers| layer(layers.substream)),
        temporal: layers.and_then(|layers| layer(layers.temporal)),
    }
}

/// In milliseconds; one that was not measured yet is told as 0.
fn round_trip(info: &HandleInfo) -> Option<u64> {
    info.media.iter().map(|media| media.round_trip).filter(|millis| *millis > 0).max()
}

fn bits(bytes: u64) -> u64 {
    bytes.saturating_mul(8)
}

/// More packets than were expected came where it is negative (RFC 3550 §6.4.1).
fn count(lost: i64) -> u64 {
    u64::try_from(lost).unwrap_or_default()
}
