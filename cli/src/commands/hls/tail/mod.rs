//! `mobzctl hls tail`.

mod copy;
mod player;
mod show;

use std::time::Duration;

use mobz_core::id::RoomId;
use reqwest::Url;
use tokio::time::{Instant, sleep, sleep_until};

use self::player::Player;
use self::show::Shown;
use super::playlist::Media;
use crate::args::hls::Tail;
use crate::commands::interrupted;
use crate::endpoint::{Endpoint, Where};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::output::Output;

/// How often a stream that is not there yet is looked for.
const WAIT_INTERVAL: Duration = Duration::from_millis(200);
/// The end of a tail without `--duration`: far away.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Prints a line for each part and segment as it becomes visible.
pub(super) async fn run(args: Tail, place: &Where, output: &Output) -> Result<Exit> {
    let interrupted = interrupted()?;
    let deadline = Instant::now() + args.duration.unwrap_or(FOREVER);
    tokio::select! {
        () = interrupted => Ok(Exit::Done),
        () = sleep_until(deadline) => Ok(Exit::Done),
        done = follow(&args, place, output) => done,
    }
}

async fn follow(args: &Tail, place: &Where, output: &Output) -> Result<Exit> {
    let room = room("tail", &args.source, place).await?;
    let (mut player, mut media) = open(args, room.as_ref(), output).await?;
    output.note(&format!("tailing {}", player.url()));
    if player.renditions().len() > 1 {
        output.note(&format!("of {}; choose with --track", player.renditions().join(", ")));
    }
    let mut shown = Shown::begin(args, output, room.as_ref(), &media).await?;
    loop {
        if shown.show(&player, &media).await? {
            return Ok(Exit::Done);
        }
        if media.ended {
            output.note("the stream has ended");
            return Ok(Exit::Done);
        }
        media = if media.can_block_reload {
            let part = shown.low_latency.then_some(shown.next.1);
            player.reload(Some((shown.next.0, part))).await?
        } else {
            sleep(Duration::from_secs_f64(media.target_duration / 2.0)).await;
            player.reload(None).await?
        };
    }
}

/// Finds the stream, and waits for it as long as was asked for.
async fn open(args: &Tail, room: Option<&(Endpoint, RoomId)>, output: &Output) -> Result<(Player, Media)> {
    let deadline = Instant::now() + args.wait.unwrap_or_default();
    let mut told = false;
    loop {
        let found = async {
            let url = find("tail", &args.source, room).await?;
            let mut player = Player::open(url, args.track.as_ref().map(AsRef::as_ref)).await?;
            let media = player.reload(None).await?;
            Ok::<_, Failure>((player, media))
        };
        let failure = match found.await {
            Ok(found) => return Ok(found),
            Err(failure) if failure.exit() != Exit::NotFound || args.wait.is_none() => return Err(failure),
            Err(failure) => failure,
        };
        if Instant::now() >= deadline {
            return Err(Failure::timed_out(
                format!("there is no stream at {}", args.source),
                failure.why(),
                "publish one with `mobzctl hls push`, or wait longer with --wait",
            ));
        }
        if !std::mem::replace(&mut told, true) {
            output.note(&format!("waiting for a stream at {}", args.source));
        }
        sleep(WAIT_INTERVAL).await;
    }
}

/// The room that was named, with the endpoint to ask about it; `None` for a URL.
pub(in crate::commands) async fn room(
    verb: &str,
    source: &str,
    place: &Where,
) -> Result<Option<(Endpoint, RoomId)>> {
    if source.contains("://") {
        return Ok(None);
    }
    let room = source.parse().map_err(|error: mobz_core::id::IdError| {
        let what = format!("cannot {verb} {source}");
        Failure::usage(what, error.to_string(), "name a room or the URL of a playlist")
    })?;
    Ok(Some((Endpoint::open(place).await?, room)))
}

/// The URL that was named, or the room's playback URL.
pub(in crate::commands) async fn find(
    verb: &str,
    source: &str,
    room: Option<&(Endpoint, RoomId)>,
) -> Result<Url> {
    let what = format!("cannot {verb} {source}");
    let Some((endpoint, room)) = room else {
        return source.parse().map_err(|error| {
            Failure::usage(what, format!("it is no URL: {error}"), "name a room or the URL of a playlist")
        });
    };
    let stream = endpoint.hls(room).await?;
    let url = stream["playbackUrl"].as_str().ok_or_else(|| {
        Failure::failed(
            &what,
            "the endpoint does not know where the origin is",
            "name the playback URL instead of the room, or give signaling its --origin-url",
        )
    })?;
    url.parse().map_err(|error| {
        let why = format!("the playback URL {url} is no URL: {error}");
        Failure::failed(what, why, "correct the daemon's --origin-url")
    })
}
