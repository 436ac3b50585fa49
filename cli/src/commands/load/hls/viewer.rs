//! One viewer: multivariant and media playlist, initialization section, then blocking reloads on one
//! connection and the parts they list on another, as browsers do.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::measure::add;
use super::clock::Clock;
use super::meter::Meter;
use super::playback::Playback;
use super::tail::{Listed, Readings, Tail};
use super::wire::{Answer, Keep, Line, Server, Trouble};

/// How many parts may wait to be fetched; beyond it the viewer reloads no more until one is.
const WAITING_MAX: usize = 64;
/// How long a viewer that failed waits before it begins again.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// How often, at most, playlists are fetched again in a closed loop.
const REFRESH: Duration = Duration::from_secs(1);

/// What viewers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) server: Server,
    /// The multivariant playlist's path, where there is one.
    pub(super) multivariant: Option<String>,
    /// The media playlist's path, perhaps with a query.
    pub(super) media: String,
    pub(super) readings: Readings,
    /// Whether hinted parts are asked for before they are listed.
    pub(super) takes_hints: bool,
    pub(super) clock: Arc<Clock>,
    pub(super) meter: Meter,
    pub(super) stop: CancellationToken,
}

/// Something to fetch.
enum Wanted {
    /// A part that is hinted; not there yet.
    Hinted(Arc<str>),
    /// A part that is listed.
    Listed(Listed),
}

/// Where a viewer has an end.
enum End {
    /// The stream has ended.
    Stream,
    /// This went wrong.
    Failed(String),
}

/// Watches until told to stop, or until the stream ends.
pub(super) async fn watch(shared: Arc<Shared>) {
    again_and_again(&shared, || follow(&shared)).await;
}

/// Fetches what is listed over and over, as fast as it comes, until told to stop. Viewer `number`
/// begins at another part than its neighbours.
pub(super) async fn fetch_all(shared: Arc<Shared>, number: usize) {
    again_and_again(&shared, || loop_over(&shared, number)).await;
}

async fn again_and_again<F: Future<Output = End>>(shared: &Shared, session: impl Fn() -> F) {
    loop {
        let end = tokio::select! {
            end = session() => end,
            () = shared.stop.cancelled() => return,
        };
        match end {
            End::Stream => return,
            End::Failed(code) => shared.meter.errors.count(code),
        }
        tokio::select! {
            () = sleep(RETRY_WAIT) => {}
            () = shared.stop.cancelled() => return,
        }
    }
}

/// Counts a viewer as playing while it lives.
struct Playing<'a>(&'a Meter);

impl<'a> Playing<'a> {
    fn of(meter: &'a Meter) -> Self {
        add(&meter.playing);
        Self(meter)
    }
}

impl Drop for Playing<'_> {
    fn drop(&mut self) {
        self.0.playing.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn follow(shared: &Shared) -> End {
    let began = Instant::now();
    let mut reloads = Line::new();
    let tail = match open(shared, &mut reloads).await {
        Ok(tail) => tail,
        Err(code) => return End::Failed(code),
    };
    let media = match reloads.beside(&shared.server).await {
        Ok(media) => media,
        Err(trouble) => return End::Failed(trouble.code("connect")),
    };
    let mut fetcher = Fetcher { shared, media, playback: Playback::default(), hinted: None };
    if let Err(code) = fetcher.start(&tail).await {
        return End::Failed(code);
    }
    shared.meter.startup.record(began.elapsed());
    let _playing = Playing::of(&shared.meter);
    let (queue, wanted) = mpsc::channel(WAITING_MAX);
    let reloading = reload(shared, reloads, tail, queue);
    tokio::select! {
        end = reloading => end,
        code = fetcher.run(wanted) => End::Failed(code),
    }
}

/// Fetches what a player fetches first; returns the media playlist.
async fn open(shared: &Shared, line: &mut Line) -> Result<Arc<Tail>, String> {
    if let Some(path) = &shared.multivariant {
        let got = line.get(&shared.server, path, None, Keep::Length).await;
        got.map_err(|trouble| trouble.code("multivariant"))?;
    }
    playlist(shared, line, &shared.media).await
}

async fn playlist(shared: &Shared, line: &mut Line, path: &str) -> Result<Arc<Tail>, String> {
    let got = line.get(&shared.server, path, None, Keep::Body).await;
    let answer = got.map_err(|trouble| trouble.code("playlist"))?;
    add(&shared.meter.playlists);
    shared.meter.bytes.fetch_add(answer.length, Ordering::Relaxed);
    let tail = shared.readings.read(&answer).map_err(|_| "playlist: unreadable".to_owned())?;
    for part in &tail.parts {
        shared.clock.listed(part.number, part.captured);
    }
    Ok(tail)
}

/// Reloads, and hands on what is new.
async fn reload(shared: &Shared, mut line: Line, mut tail: Arc<Tail>, queue: mpsc::Sender<Wanted>) -> End {
    let mut hinted: Option<Arc<str>> = None;
    loop {
        if tail.has_ended {
            return End::Stream;
        }
        if let Some(hint) = tail.hint.as_ref().filter(|_| shared.takes_hints)
            && hinted.as_ref() != Some(hint)
        {
            hinted = Some(hint.clone());
            if queue.send(Wanted::Hinted(hint.clone())).await.is_err() {
                return End::Failed("part: given up".to_owned());
            }
        }
        let (msn, part) = tail.next;
        let with = if shared.media.contains('?') { '&' } else { '?' };
        let skip = if tail.can_skip { "&_HLS_skip=YES" } else { "" };
        let path = format!("{}{with}_HLS_msn={msn}&_HLS_part={part}{skip}", shared.media);
        let next = match playlist(shared, &mut line, &path).await {
            Ok(next) => next,
            Err(code) => return End::Failed(code),
        };
        if next.next == tail.next && !next.has_ended {
            return End::Failed("playlist: nothing new".to_owned());
        }
        for listed in next.parts.iter().filter(|listed| listed.number >= tail.next) {
            if queue.send(Wanted::Listed(listed.clone())).await.is_err() {
                return End::Failed("part: given up".to_owned());
            }
        }
        tail = next;
    }
}

/// What fetches media.
struct Fetcher<'a> {
    shared: &'a Shared,
    media: Line,
    playback: Playback,
    /// The hinted part that came before it was listed.
    hinted: Option<(Arc<str>, Answer)>,
}

impl Fetcher<'_> {
    /// Fetches what playback begins with: initialization section and the first parts.
    async fn start(&mut self, tail: &Tail) -> Result<(), String> {
        if let Some((path, range)) = &tail.init {
            let got = self.media.get(&self.shared.server, path, *range, Keep::Length).await;
            got.map_err(|trouble| trouble.code("init"))?;
        }
        let parts = &tail.parts[tail.start()..];
        for part in parts {
            let answer = self.get(&part.path, part.range, Keep::Length).await;
            self.count(&answer.map_err(|trouble| trouble.code("part"))?);
        }
        let there: Duration = parts.iter().map(|part| part.duration).sum();
        self.playback.begin(Instant::now(), there.min(tail.hold_back));
        Ok(())
    }

    /// Fetches what is wanted, until something fails; returns its code.
    async fn run(mut self, mut wanted: mpsc::Receiver<Wanted>) -> String {
        loop {
            let done = match wanted.recv().await {
                // Nothing more is reloaded: the other half ends.
                None => std::future::pending().await,
                Some(Wanted::Hinted(path)) => self.take_hint(path).await,
                Some(Wanted::Listed(part)) => self.take(&part).await,
            };
            if let Err(trouble) = done {
                return trouble.code("part");
            }
        }
    }

    async fn take_hint(&mut self, path: Arc<str>) -> Result<(), Trouble> {
        // Which part it is, and so whether its media is wanted, is known once it is listed.
        let keep = if self.shared.clock.knows_by_media() { Keep::Body } else { Keep::Length };
        match self.get(&path, None, keep).await {
            Ok(answer) => self.hinted = Some((path, answer)),
            // A hint is a guess: the segment ended before that part.
            Err(Trouble::Status(_)) => add(&self.shared.meter.hints_missed),
            Err(lost @ Trouble::Lost(_)) => return Err(lost),
        }
        Ok(())
    }

    async fn take(&mut self, part: &Listed) -> Result<(), Trouble> {
        let clock = &self.shared.clock;
        let keep = if clock.wants(part.number) { Keep::Body } else { Keep::Length };
        let answer = match self.hinted.take().filter(|(path, _)| *path == part.path) {
            Some((_, answer)) => answer,
            None => match self.get(&part.path, part.range, keep).await {
                Ok(answer) => answer,
                Err(trouble) => {
                    clock.missed(part.number);
                    return Err(trouble);
                }
            },
        };
        if keep == Keep::Body {
            clock.shown(part.number, &answer.body);
        }
        clock.arrived(part.number, answer.ended);
        self.count(&answer);
        if let Some(how_long) = self.playback.add(answer.ended, part.duration) {
            self.shared.meter.stalled(how_long);
        }
        Ok(())
    }

    async fn get(&mut self, path: &str, range: Option<(u64, u64)>, keep: Keep) -> Result<Answer, Trouble> {
        self.media.get(&self.shared.server, path, range, keep).await
    }

    fn count(&self, answer: &Answer) {
        add(&self.shared.meter.parts);
        self.shared.meter.bytes.fetch_add(answer.length, Ordering::Relaxed);
    }
}

async fn loop_over(shared: &Shared, number: usize) -> End {
    let mut line = Line::new();
    let mut tail = match open(shared, &mut line).await {
        Ok(tail) => tail,
        Err(code) => return End::Failed(code),
    };
    let mut refreshed = Instant::now();
    let _playing = Playing::of(&shared.meter);
    for turn in number.. {
        if tail.parts.is_empty() {
            return End::Failed("playlist: no parts".to_owned());
        }
        if refreshed.elapsed() > REFRESH {
            refreshed = Instant::now();
            tail = match playlist(shared, &mut line, &shared.media).await {
                Ok(tail) => tail,
                Err(code) => return End::Failed(code),
            };
            continue;
        }
        let part = &tail.parts[turn % tail.parts.len()];
        let began = Instant::now();
        match line.get(&shared.server, &part.path, part.range, Keep::Length).await {
            Ok(answer) => {
                shared.meter.fetch.record(answer.ended - began);
                add(&shared.meter.parts);
                shared.meter.bytes.fetch_add(answer.length, Ordering::Relaxed);
            }
            Err(trouble) => return End::Failed(trouble.code("part")),
        }
    }
    End::Stream
}
