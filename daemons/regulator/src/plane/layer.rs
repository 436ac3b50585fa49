//! The layers a watcher asks for, and those it gets.

use std::time::Duration;

use mobz_core::signal::{Code, Refusal, ServerSignal};
use mobz_core::time::Timestamp;

use super::port::Command;
use super::signal::Ask;
use super::station::{Step, Watching};
use super::{Plane, Seat};

/// How long a layer may take to come; past it, it is refused `timeout`. Janus goes on trying.
pub(super) const LAYER_WAIT: Duration = Duration::from_secs(10);
/// The temporal layer Janus sends where nobody has asked for another: all frames.
const TEMPORAL_TOP: u8 = 2;

/// The layers of one watcher.
#[derive(Debug, Default)]
pub(super) struct Layers {
    substream: Option<u8>,
    temporal: Option<u8>,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    re: Option<String>,
    substream: u8,
    /// `None` where none was asked for, or none can be told apart.
    temporal: Option<u8>,
    until: Timestamp,
}

impl Layers {
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.asked.as_ref().map(|asked| asked.until)
    }

    /// What was asked for is not asked for any more; the `id` that still waits for its answer.
    pub(super) fn supersede(&mut self) -> Option<String> {
        self.asked.take().and_then(|asked| asked.re)
    }

    /// Notes what comes now; what is to be told, and the `id` it answers.
    fn note(&mut self, substream: Option<u8>, temporal: Option<u8>) -> Option<(u8, u8, Option<String>)> {
        let is_news = substream.is_some() && self.substream != substream;
        self.substream = substream.or(self.substream);
        self.temporal = temporal.or(self.temporal);
        let now = self.substream?;
        let is_it = |asked: &mut Asked| {
            asked.substream == now && asked.temporal.is_none_or(|asked| self.temporal == Some(asked))
        };
        let temporal = self.temporal.unwrap_or(TEMPORAL_TOP);
        match self.asked.take_if(is_it) {
            Some(asked) => Some((now, temporal, asked.re)),
            None => is_news.then_some((now, temporal, None)),
        }
    }
}

impl Plane {
    pub(super) fn layer(&mut self, seat: &Seat, ask: Ask, substream: u8, temporal: Option<u8>) {
        let until = self.now.after(LAYER_WAIT);
        let Some(watcher) = self.watcher(seat) else { return };
        let Watching::Joined(subscription) = &mut watcher.state else {
            return self.refuse(&ask, super::watch::not_watched());
        };
        let handle = subscription.handle;
        let Some(video) = subscription.video.clone().filter(|video| video.simulcast) else {
            let message = "the publisher sends no layers to choose from";
            return self.refuse(&ask, Refusal::new(Code::MediaError, message));
        };
        let superseded = subscription.layers.supersede();
        let tell_apart = temporal.filter(|_| video.temporal);
        subscription.layers.asked = Some(Asked { re: ask.re(), substream, temporal: tell_apart, until });
        let at = watcher.at.clone();
        self.tell_superseded(seat, at, superseded);
        let command = Command::Layer { handle, mid: video.mid, substream, temporal };
        self.start_of(seat, Step::Layer(ask), command);
    }

    /// What was asked for was refused: it is not waited for.
    pub(super) fn forget_layer(&mut self, seat: &Seat) {
        if let Some(watcher) = self.watcher(seat)
            && let Watching::Joined(subscription) = &mut watcher.state
        {
            subscription.layers.supersede();
        }
    }

    /// A watcher gets another layer.
    pub(super) fn layer_came(&mut self, seat: &Seat, substream: Option<u8>, temporal: Option<u8>) {
        let Some(watcher) = self.watcher(seat) else { return };
        let at = watcher.at.clone();
        let Watching::Joined(subscription) = &mut watcher.state else { return };
        let Some((substream, temporal, re)) = subscription.layers.note(substream, temporal) else { return };
        if let Some(whom) = self.whom(seat, at) {
            let station = seat.station.clone();
            self.tell(whom, ServerSignal::SimulcastUpdate { station, substream, temporal }, re);
        }
    }
}
