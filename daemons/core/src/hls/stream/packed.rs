//! Segments in the encoded state. It is written with every part, and an hour of the past is thousands of
//! segments: what follows from the segment before is left out, and about ten bytes are left of each.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer, Serialize, Serializer, ser::Error as _};

use super::iframe::IFrame;
use super::track::{Digest, Part, Segment};
use crate::hls::fmp4::ByteRange;

/// Its timeline is not the one before it.
const DISCONTINUITY: u8 = 1;
/// Its media was lost.
const GAP: u8 = 1 << 1;
/// It has the number after the one before it, its init, and begins where that ends.
const FOLLOWS: u8 = 1 << 2;
/// It lasts as long as the one before it.
const SAME_DURATION: u8 = 1 << 3;
/// It has one I-frame, and begins with it.
const LED: u8 = 1 << 4;
/// It has other I-frames than that.
const IFRAMES: u8 = 1 << 5;
/// Its parts are remembered.
const PARTS: u8 = 1 << 6;
/// Its bytes are told by their digest.
const DIGEST: u8 = 1 << 7;

pub(super) fn serialize<S: Serializer>(
    segments: &VecDeque<Segment>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let none = Segment::default();
    let before = std::iter::once(&none).chain(segments);
    let mut packed = Vec::with_capacity(segments.len() * 12);
    for (before, segment) in before.zip(segments) {
        packed = pack(packed, before, segment).map_err(S::Error::custom)?;
    }
    serializer.serialize_bytes(&packed)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<Segment>, D::Error> {
    let packed = Bytes::deserialize(deserializer)?;
    let mut rest = &packed[..];
    let mut segments: VecDeque<Segment> = VecDeque::new();
    let none = Segment::default();
    while !rest.is_empty() {
        let before = segments.back().unwrap_or(&none);
        let segment = unpack(&mut rest, before).map_err(D::Error::custom)?;
        segments.push_back(segment);
    }
    Ok(segments)
}

fn pack(mut to: Vec<u8>, before: &Segment, segment: &Segment) -> postcard::Result<Vec<u8>> {
    let follows = segment.msn == before.msn + 1
        && segment.date_time == before.date_time + before.duration
        && segment.init == before.init;
    let led = match segment.iframes[..] {
        [IFrame { at: 0, range }] => Some(range),
        _ => None,
    };
    let same_duration = segment.duration == before.duration;
    let mut flags = 0;
    for (flag, is_set) in [
        (DISCONTINUITY, segment.discontinuity),
        (GAP, segment.gap),
        (FOLLOWS, follows),
        (SAME_DURATION, same_duration),
        (LED, led.is_some()),
        (IFRAMES, led.is_none() && !segment.iframes.is_empty()),
        (PARTS, !segment.parts.is_empty()),
        (DIGEST, segment.digest.is_some()),
    ] {
        flags |= if is_set { flag } else { 0 };
    }
    to.push(flags);
    if !follows {
        to = put(to, &(segment.msn, segment.date_time, segment.init))?;
    }
    if !same_duration {
        to = put(to, &segment.duration)?;
    }
    to = put(to, &(segment.bytes, segment.part_count))?;
    match led {
        Some(range) => to = put(to, &range)?,
        None if segment.iframes.is_empty() => {}
        None => to = put(to, &segment.iframes)?,
    }
    if !segment.parts.is_empty() {
        to = put(to, &segment.parts)?;
    }
    match &segment.digest {
        Some(digest) => put(to, digest),
        None => Ok(to),
    }
}

fn unpack(from: &mut &[u8], before: &Segment) -> postcard::Result<Segment> {
    let flags: u8 = take(from)?;
    let has = |flag| flags & flag != 0;
    let (msn, date_time, init) = if has(FOLLOWS) {
        (before.msn.wrapping_add(1), before.date_time.wrapping_add(before.duration), before.init)
    } else {
        take(from)?
    };
    let duration = if has(SAME_DURATION) { before.duration } else { take(from)? };
    let (bytes, part_count) = take(from)?;
    let iframes = if has(LED) {
        vec![IFrame { at: 0, range: take::<ByteRange>(from)? }]
    } else if has(IFRAMES) {
        take(from)?
    } else {
        Vec::new()
    };
    let parts: Vec<Part> = if has(PARTS) { take(from)? } else { Vec::new() };
    let digest: Option<Digest> = if has(DIGEST) { Some(take(from)?) } else { None };
    Ok(Segment {
        msn,
        duration,
        date_time,
        init,
        discontinuity: has(DISCONTINUITY),
        gap: has(GAP),
        bytes,
        part_count,
        parts,
        iframes,
        digest,
    })
}

fn put<T: Serialize>(to: Vec<u8>, value: &T) -> postcard::Result<Vec<u8>> {
    postcard::to_extend(value, to)
}

fn take<T: DeserializeOwned>(from: &mut &[u8]) -> postcard::Result<T> {
    let (value, rest) = postcard::take_from_bytes(from)?;
    *from = rest;
    Ok(value)
}
