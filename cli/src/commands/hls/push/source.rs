//! Where the media comes from: a file through ffmpeg, a fragmented MP4 on stdin as it is, anything else
//! on stdin through ffmpeg.

use std::io::Read;

use bytes::Bytes;
use mobz_core::hls::split::{Piece, Splitter};
use mobz_core::id::TrackId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::encoder::{self, Encoder, Input, Plan};
use crate::args::hls::Push;
use crate::error::{Failure, Result, os};

/// How many pieces of each track wait for the publisher; beyond it the encoder is made to wait.
const PIECES_MAX: usize = 8;
/// How many reads of stdin wait to be taken.
const READS_MAX: usize = 8;
/// How much is read at once, in bytes.
const READ_BYTES: usize = 64 * 1024;
/// How much of stdin is looked at to tell what it is, in bytes: a live stream's moov is far smaller.
const LOOK_BYTES_MAX: usize = 512 * 1024;

/// Media in pieces, ready to be sent.
#[derive(Debug)]
pub(super) struct Source {
    /// The pieces, each with the place of its track among `tracks`; an error is the last one.
    pub(super) pieces: mpsc::Receiver<Result<(usize, Piece)>>,
    /// The tracks.
    pub(super) tracks: Vec<TrackId>,
    /// The part target of what is encoded here; what comes encoded has its own.
    pub(super) part_target: Option<f64>,
    /// Whether it comes no faster than it plays.
    pub(super) is_paced: bool,
    /// Whether the media may pause: a file never does.
    pub(super) may_pause: bool,
}

/// Where pieces go.
type Sender = mpsc::Sender<Result<(usize, Piece)>>;

/// Opens the input that was named.
pub(super) async fn open(args: &Push) -> Result<Source> {
    let mut tracks: Vec<TrackId> = args.renditions.iter().map(|rendition| rendition.track.clone()).collect();
    if let Some(twice) = (1..tracks.len()).find(|place| tracks[..*place].contains(&tracks[*place])) {
        let why = format!("{} is there twice", tracks[twice]);
        return Err(Failure::usage("cannot encode the renditions", why, "name each height once"));
    }
    if tracks.is_empty() {
        tracks.push(args.track.clone());
    }
    let (sender, pieces) = mpsc::channel(PIECES_MAX * tracks.len());
    let plan = Plan::new(args.part_millis(), args.renditions.iter().map(|one| one.height).collect());
    let part_target = args.part_millis().map(|_| encoder::part_target(plan.fragment));
    if args.input.as_os_str() != "-" {
        if !args.input.exists() {
            return Err(Failure::not_found(
                format!("cannot publish {}", args.input.display()),
                "there is no such file",
                "name a media file, or - for stdin",
            ));
        }
        let input = Input::File { path: &args.input, repeat: args.repeat };
        let encoder = encoder::start(input, &plan)?;
        tokio::spawn(encoded(encoder, sender));
        return Ok(Source { pieces, tracks, part_target, is_paced: true, may_pause: false });
    }
    if args.repeat {
        return Err(Failure::usage(
            "cannot loop stdin",
            "what was read of it is gone",
            "leave --loop out, or name a file",
        ));
    }
    let mut stdin = Stdin::open();
    let head = stdin.look().await;
    if args.renditions.is_empty() && is_fragmented(&head) {
        tokio::spawn(async move {
            let mut splitter = Splitter::new();
            let mut next = Some(Bytes::from(head));
            while let Some(bytes) = next {
                if !hand_on(&mut splitter, &bytes, 0, &sender).await {
                    return;
                }
                next = stdin.reads.recv().await;
            }
        });
        return Ok(Source { pieces, tracks, part_target: None, is_paced: false, may_pause: true });
    }
    if head.is_empty() {
        return Err(Failure::failed(
            "cannot publish stdin",
            "it is empty",
            "pipe media into it: ffmpeg … -f mpegts - | mobzctl hls push ROOM -",
        ));
    }
    let mut encoder = encoder::start(Input::Pipe, &plan)?;
    if let Some(mut input) = encoder.child.stdin.take() {
        tokio::spawn(async move {
            let mut next = Some(Bytes::from(head));
            while let Some(bytes) = next {
                // An encoder that has ended takes no more; it says why itself.
                if input.write_all(&bytes).await.is_err() {
                    return;
                }
                next = stdin.reads.recv().await;
            }
        });
    }
    tokio::spawn(encoded(encoder, sender));
    Ok(Source { pieces, tracks, part_target, is_paced: true, may_pause: true })
}

/// Hands on what an encoder writes, and its failure.
async fn encoded(mut encoder: Encoder, sender: Sender) {
    let Some(output) = encoder.child.stdout.take() else { return };
    let is_over = CancellationToken::new();
    let mut beside = JoinSet::new();
    for (place, listener) in (1..).zip(std::mem::take(&mut encoder.others)) {
        let (sender, is_over) = (sender.clone(), is_over.clone());
        beside.spawn(async move {
            let accepted = tokio::select! {
                biased;
                accepted = listener.accept() => accepted,
                // An encoder that ends before it opens its outputs has failed, and says why itself.
                () = is_over.cancelled() => return true,
            };
            match accepted {
                Ok((output, _)) => split(output, place, &sender).await,
                Err(error) => {
                    let failure = Failure::failed("cannot take what ffmpeg encodes", os(&error), "try again");
                    let _ = sender.send(Err(failure)).await;
                    false
                }
            }
        });
    }
    let mut is_whole = split(output, 0, &sender).await;
    is_over.cancel();
    while let Some(done) = beside.join_next().await {
        is_whole &= done.unwrap_or(false);
    }
    if !is_whole {
        return;
    }
    if let Err(failure) = encoder.end().await {
        let _ = sender.send(Err(failure)).await;
    }
}

/// Cuts a stream into pieces until its end; false when nobody wants them any more.
async fn split(mut input: impl AsyncRead + Unpin, place: usize, sender: &Sender) -> bool {
    let mut splitter = Splitter::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match input.read(&mut buffer).await {
            Ok(0) => return true,
            Ok(length) => {
                if !hand_on(&mut splitter, &buffer[..length], place, sender).await {
                    return false;
                }
            }
            Err(error) => {
                let failure = Failure::failed("cannot read the media", os(&error), "try again");
                let _ = sender.send(Err(failure)).await;
                return false;
            }
        }
    }
}

async fn hand_on(splitter: &mut Splitter, bytes: &[u8], place: usize, sender: &Sender) -> bool {
    splitter.feed(bytes);
    loop {
        let piece = match splitter.next_piece() {
            Ok(None) => return true,
            Ok(Some(piece)) => Ok((place, piece)),
            Err(error) => Err(Failure::failed(
                "cannot publish the media",
                error.to_string(),
                "pipe a fragmented MP4, or something ffmpeg reads",
            )),
        };
        let is_last = piece.is_err();
        if sender.send(piece).await.is_err() || is_last {
            return false;
        }
    }
}

/// Whether bytes begin a fragmented MP4: an `mvex` in the `moov` (ISO/IEC 14496-12 §8.8.1), or fragments.
fn is_fragmented(head: &[u8]) -> bool {
    let mut rest = head;
    while let Some((kind, size)) = box_header(rest) {
        match &kind {
            b"moof" | b"styp" => return true,
            b"moov" => {
                let body = &rest[..size.min(rest.len())];
                return body.windows(4).any(|window| window == b"mvex");
            }
            b"ftyp" | b"free" | b"skip" | b"uuid" | b"sidx" => {}
            _ => return false,
        }
        rest = rest.get(size..).unwrap_or_default();
    }
    false
}

/// Whether enough is there for [`is_fragmented`] to tell.
fn is_enough(head: &[u8]) -> bool {
    let mut rest = head;
    while let Some((kind, size)) = box_header(rest) {
        match &kind {
            b"moov" => return rest.len() >= size,
            b"ftyp" | b"free" | b"skip" | b"uuid" | b"sidx" => {}
            _ => return true,
        }
        match rest.get(size..) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.len() >= 8
}

/// The kind and size of the box that begins here; `None` when there is none.
fn box_header(bytes: &[u8]) -> Option<([u8; 4], usize)> {
    let (size, rest) = bytes.split_first_chunk::<4>()?;
    let kind = rest.first_chunk::<4>()?;
    let size = usize::try_from(u32::from_be_bytes(*size)).ok().filter(|size| *size >= 8)?;
    Some((*kind, size))
}

/// Stdin, read on a thread of its own, since a read of a terminal or pipe cannot be called off.
struct Stdin {
    reads: mpsc::Receiver<Bytes>,
}

impl Stdin {
    fn open() -> Self {
        let (sender, reads) = mpsc::channel(READS_MAX);
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut buffer = vec![0; READ_BYTES];
            while let Ok(length @ 1..) = stdin.read(&mut buffer) {
                if sender.blocking_send(Bytes::copy_from_slice(&buffer[..length])).is_err() {
                    return;
                }
            }
        });
        Self { reads }
    }

    /// The beginning, as much as tells what it is.
    async fn look(&mut self) -> Vec<u8> {
        let mut head = Vec::new();
        while !is_enough(&head) && head.len() < LOOK_BYTES_MAX {
            match self.reads.recv().await {
                Some(bytes) => head.extend_from_slice(&bytes),
                None => break,
            }
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &str, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [&size.to_be_bytes(), kind.as_bytes(), body].concat()
    }

    #[test]
    fn a_fragmented_mp4_is_told_from_a_plain_one_and_from_anything_else() {
        let fragmented = [boxed("ftyp", b"iso6"), boxed("moov", &boxed("mvex", b""))].concat();
        let plain = [boxed("ftyp", b"isom"), boxed("moov", &boxed("trak", b"")), boxed("mdat", b"")].concat();
        assert!(is_fragmented(&fragmented));
        assert!(!is_fragmented(&plain));
        assert!(!is_fragmented(b"G\x40\x11\x10\0\x42\xf0\x25 transport stream"));
        assert!(!is_fragmented(b""));
    }

    #[test]
    fn no_more_is_looked_at_than_it_takes() {
        let whole = [boxed("ftyp", b"iso6"), boxed("moov", &boxed("mvex", b""))].concat();
        assert!(!is_enough(&whole[..whole.len() - 1]));
        assert!(is_enough(&whole));
        assert!(is_enough(b"G\x40\x11\x10\0\x42\xf0\x25"));
        assert!(!is_enough(b"G"));
    }
}
