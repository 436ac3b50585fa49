//! Renditions beside each other (§6.2.4): what must be the same in each.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use mobz_core::hls::fmp4::read_fragment;
use reqwest::Url;

use super::super::playlist::{Attributes, Media, Segment};
use super::fetch::ANSWER_MAX;
use super::renditions::{family, playlist};
use super::rules::{self, Rule};
use super::session::Session;
use super::tags::ROUNDING;

/// How far the dates of one media timestamp may be apart in two renditions.
const DATES_APART_MAX: f64 = 0.1;
/// How often renditions are read at once until they agree on their date ranges: one may come in between.
const TRIES: u32 = 3;
const RULES: [&Rule; 6] = [
    &rules::SAME_TARGET,
    &rules::SAME_CONTROL,
    &rules::SAME_BREAKS,
    &rules::SAME_DATES,
    &rules::SAME_RANGES,
    &rules::HOLD_BACK_ALL,
];

/// Compares every other rendition with the one that is probed.
pub(super) async fn look(session: &mut Session) {
    if session.others.is_empty() {
        for rule in RULES {
            session.judge.absent(rule, "there is one rendition");
        }
        return;
    }
    let mut longest_part: f64 = 0.0;
    for other in session.others.clone() {
        let Some((own, its)) = both(session, &other).await else {
            session.judge.skip(&rules::SAME_TARGET, format!("{} cannot be read", other.path()));
            continue;
        };
        longest_part = longest_part.max(its.part_target.unwrap_or(0.0)).max(own.part_target.unwrap_or(0.0));
        let name = other.path().to_owned();
        let seen = format!("{} s, and {} s in {name}", own.target_duration, its.target_duration);
        let holds = own.target_duration.to_bits() == its.target_duration.to_bits();
        session.judge.check(&rules::SAME_TARGET, holds, seen);
        control(session, &own, &its, &name);
        breaks(session, &own, &its, &name);
        dates(session, &own, &its, &other).await;
    }
    if longest_part > 0.0 {
        let held = session.now.control.as_ref().and_then(|control| control.part_hold_back).unwrap_or(0.0);
        let seen = format!("{held} s, the longest part target is {longest_part} s");
        session.judge.check(&rules::HOLD_BACK_ALL, held >= 3.0 * longest_part - ROUNDING, seen);
    } else {
        session.judge.absent(&rules::HOLD_BACK_ALL, "there is no part target");
    }
}

/// Both playlists of about the same moment, until they agree on their date ranges or clearly do not.
async fn both(session: &mut Session, other: &Url) -> Option<(Media, Media)> {
    let here = session.url.clone();
    for attempt in 1..=TRIES {
        let its = playlist(session, other).await?;
        let own = playlist(session, &here).await?;
        if own.ranges.is_empty() || its.ranges.is_empty() {
            session.judge.absent(&rules::SAME_RANGES, "not two renditions have date ranges");
            return Some((own, its));
        }
        let differing = differing(&ranges(&own), &ranges(&its));
        if differing.is_none() || attempt == TRIES {
            let seen = differing.clone().map_or_else(
                || format!("{} in both", own.ranges.len()),
                |id| format!("{id:?} is not the same in {}", other.path()),
            );
            session.judge.check(&rules::SAME_RANGES, differing.is_none(), seen);
            return Some((own, its));
        }
    }
    None
}

/// Date ranges by their identifiers, with all that is said of each.
fn ranges(media: &Media) -> BTreeMap<String, Attributes> {
    let mut all: BTreeMap<String, Attributes> = BTreeMap::new();
    for range in &media.ranges {
        let id = range.get("ID").cloned().unwrap_or_default();
        all.entry(id).or_default().extend(range.clone());
    }
    all
}

fn differing(own: &BTreeMap<String, Attributes>, its: &BTreeMap<String, Attributes>) -> Option<String> {
    let ids: BTreeSet<_> = own.keys().chain(its.keys()).collect();
    ids.into_iter().find(|id| own.get(*id) != its.get(*id)).cloned()
}

fn control(session: &mut Session, own: &Media, its: &Media, name: &str) {
    let written = |media: &Media| media.control.as_ref().map(|control| control.written.clone());
    let (own, its) = (written(own), written(its));
    if own.is_none() && its.is_none() {
        return session.judge.absent(&rules::SAME_CONTROL, "there is no EXT-X-SERVER-CONTROL");
    }
    let (own, its) = (own.unwrap_or_default(), its.unwrap_or_default());
    let differs = own.keys().chain(its.keys()).find(|key| own.get(*key) != its.get(*key));
    let seen = differs.map_or_else(
        || format!("the same in {name}"),
        |key| {
            let told =
                |control: &Attributes| control.get(key).cloned().unwrap_or_else(|| "nothing".to_owned());
            format!("{key} is {}, and {} in {name}", told(&own), told(&its))
        },
    );
    session.judge.check(&rules::SAME_CONTROL, differs.is_none(), seen);
}

/// Each dated segment with its discontinuity sequence number (§6.2.1).
fn numbered(media: &Media) -> Vec<(u64, &Segment)> {
    let mut number = media.discontinuity_sequence;
    media
        .segments
        .iter()
        .map(|segment| {
            number += u64::from(segment.discontinuity);
            (number, segment)
        })
        .filter(|(_, segment)| segment.time.is_some() && !segment.gap)
        .collect()
}

fn breaks(session: &mut Session, own: &Media, its: &Media, name: &str) {
    let (own, its) = (numbered(own), numbered(its));
    let mut compared = 0;
    for (number, segment) in &own {
        let middle = |segment: &Segment| {
            let half = SignedDuration::try_from_secs_f64(segment.duration / 2.0).unwrap_or_default();
            segment.time.and_then(|time| time.checked_add(half).ok())
        };
        let Some(at) = middle(segment) else { continue };
        let same = its.iter().find(|(_, other)| {
            middle(other).is_some_and(|other_at| {
                other_at.duration_since(at).as_secs_f64().abs() < segment.duration.min(other.duration) / 4.0
            })
        });
        let Some((other, its_segment)) = same else { continue };
        compared += 1;
        let seen =
            format!("segment {} has {number}, and {} of {name} has {other}", segment.msn, its_segment.msn);
        session.judge.check(&rules::SAME_BREAKS, number == other, seen);
    }
    if compared == 0 {
        session.judge.skip(&rules::SAME_BREAKS, "no two segments are of the same dates");
    }
}

/// Whether all or none have dates, and the dates of media timestamps agree.
async fn dates(session: &mut Session, own: &Media, its: &Media, other: &Url) {
    let dated = |media: &Media| media.segments.iter().any(|segment| segment.time.is_some());
    if dated(own) != dated(its) {
        let seen = format!("one of this playlist and {} has no dates", other.path());
        return session.judge.check(&rules::SAME_DATES, false, seen);
    }
    if !dated(own) {
        return session.judge.absent(&rules::SAME_DATES, "there are no dates");
    }
    // Of one discontinuity sequence number: another one is another timeline.
    let (own, its) = (numbered(own), numbered(its));
    let apart = |one: &Segment, other: &Segment| {
        let apart =
            one.time.zip(other.time).map(|(one, other)| one.duration_since(other).as_secs_f64().abs());
        apart.unwrap_or(f64::INFINITY)
    };
    // The newest pair that is nearest by its dates.
    let pairs = own.iter().rev().flat_map(|(number, segment)| {
        its.iter().rev().filter(move |(other, _)| other == number).map(move |(_, other)| (*segment, *other))
    });
    let newest = pairs
        .min_by(|one, other| apart(one.0, one.1).total_cmp(&apart(other.0, other.1)))
        .map(|(own, its)| (own.clone(), its.clone()));
    let Some((own, its)) = newest else {
        return session.judge.skip(&rules::SAME_DATES, "no two segments are of one timeline");
    };
    let here = session.url.clone();
    let (Some(own), Some(its)) = (zero(session, &here, &own).await, zero(session, other, &its).await) else {
        return session.judge.skip(&rules::SAME_DATES, "the media cannot be read");
    };
    let apart = its.duration_since(own).as_secs_f64();
    let seen = format!("the timestamp 0 is {:+.0} ms apart in {}", apart * 1000.0, other.path());
    session.judge.check(&rules::SAME_DATES, apart.abs() <= DATES_APART_MAX, seen);
}

/// The date of a segment's media timestamp 0.
async fn zero(session: &mut Session, base: &Url, segment: &Segment) -> Option<jiff::Timestamp> {
    let map = segment.map.as_ref()?;
    let init = session.init(base, map).await?;
    let answer = session.fetcher.media(base, &segment.resource, ANSWER_MAX).await.ok()?;
    let fragment = read_fragment(&init.tracks, &answer.body).ok()?;
    let begins = super::parts::begins(&fragment);
    segment.time?.checked_sub(SignedDuration::try_from_secs_f64(begins).ok()?).ok()
}

/// Whether each variant's CODECS name the formats of all its renditions.
pub(super) async fn codecs(session: &mut Session) {
    let Some((base, multivariant)) = session.multivariant.clone() else { return };
    for (variant, uri) in &multivariant.variants {
        let Some(told) = variant.get("CODECS") else { continue };
        let told: BTreeSet<String> = told.split(',').map(family).collect();
        let in_group = |tag: &&Attributes| {
            ["AUDIO", "VIDEO"].iter().any(|kind| {
                tag.get("TYPE").is_some_and(|its| its == kind) && tag.get("GROUP-ID") == variant.get(*kind)
            })
        };
        let renditions = multivariant.renditions.iter().filter(in_group).filter_map(|tag| tag.get("URI"));
        for uri in uri.iter().chain(renditions) {
            let Ok(url) = base.join(uri) else { continue };
            let media =
                if url == session.url { Some(session.now.clone()) } else { playlist(session, &url).await };
            let Some(map) = media.and_then(|media| media.map) else { continue };
            let Some(init) = session.init(&url, &map).await else { continue };
            let missing = init.codecs.split(',').find(|codec| !told.contains(&family(codec)));
            let seen = missing.map_or_else(
                || format!("{uri}: {}", init.codecs),
                |codec| {
                    format!("{uri} has {codec}, CODECS has {}", variant.get("CODECS").map_or("", |told| told))
                },
            );
            session.judge.check(&rules::CODECS_ALL, missing.is_none(), seen);
        }
    }
    session.judge.skip(&rules::CODECS_ALL, "no rendition's formats can be read");
}
