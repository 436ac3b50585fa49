//! The multivariant playlist, and what renditions say of each other.

use std::collections::BTreeSet;

use reqwest::Url;

use super::super::playlist::{Attributes, Media, Multivariant, media};
use super::fetch::ANSWER_MAX;
use super::judge::Judge;
use super::rules;
use super::session::Session;
use super::syntax;

/// Attributes of a variant that name a group, with the group's type (§4.4.6.2.1).
const GROUPS: [(&str, &str); 3] = [("AUDIO", "AUDIO"), ("VIDEO", "VIDEO"), ("SUBTITLES", "SUBTITLES")];

/// Rules of the multivariant playlist's text.
const RULES: [&rules::Rule; 8] = [
    &rules::VARIANT_URI,
    &rules::BANDWIDTH,
    &rules::CODECS,
    &rules::RESOLUTION,
    &rules::AUDIO_GROUP,
    &rules::RENDITION_TAG,
    &rules::GROUPS,
    &rules::CHANNELS,
];

/// What the multivariant playlist says.
pub(super) fn multivariant(judge: &mut Judge, text: &str, playlist: &Multivariant) {
    syntax::look(judge, text);
    let groups: BTreeSet<_> = playlist
        .renditions
        .iter()
        .map(|tag| (value(tag, "TYPE").to_owned(), value(tag, "GROUP-ID").to_owned()))
        .collect();
    for (number, (variant, uri)) in (1..).zip(&playlist.variants) {
        let has_uri = uri.is_some();
        let seen = uri.clone().unwrap_or_else(|| format!("variant {number} has none"));
        judge.check(&rules::VARIANT_URI, has_uri, seen);
        let bandwidth =
            variant.get("BANDWIDTH").and_then(|text| text.parse::<u64>().ok()).filter(|rate| *rate > 0);
        let seen =
            bandwidth.map_or_else(|| format!("variant {number} has none"), |rate| format!("{rate} bit/s"));
        judge.check(&rules::BANDWIDTH, bandwidth.is_some(), seen);
        let codecs = variant.get("CODECS");
        let seen = codecs.cloned().unwrap_or_else(|| format!("variant {number} has none"));
        judge.check(&rules::CODECS, codecs.is_some(), seen);
        if codecs.is_some_and(|codecs| codecs.split(',').any(is_picture)) {
            let resolution = variant.get("RESOLUTION");
            let seen = resolution.cloned().unwrap_or_else(|| format!("variant {number} has none"));
            judge.check(&rules::RESOLUTION, resolution.is_some(), seen);
        } else {
            judge.absent(&rules::RESOLUTION, "no variant is known to have video");
        }
        for (attribute, kind) in GROUPS {
            if let Some(group) = variant.get(attribute) {
                let is_there = groups.contains(&(kind.to_owned(), group.clone()));
                let seen =
                    format!("{attribute}=\"{group}\" {}", if is_there { "is defined" } else { "is nowhere" });
                judge.check(&rules::AUDIO_GROUP, is_there, seen);
            }
        }
    }
    if judge.count(&rules::AUDIO_GROUP) == 0 {
        judge.absent(&rules::AUDIO_GROUP, "no variant names a group");
    }
    rendition_tags(judge, &playlist.renditions);
}

fn rendition_tags(judge: &mut Judge, tags: &[Attributes]) {
    if tags.is_empty() {
        for rule in [&rules::RENDITION_TAG, &rules::GROUPS, &rules::CHANNELS] {
            judge.absent(rule, "there is no EXT-X-MEDIA");
        }
        return;
    }
    let mut names = BTreeSet::new();
    let mut defaults = BTreeSet::new();
    for tag in tags {
        let (kind, group, name) = (value(tag, "TYPE"), value(tag, "GROUP-ID"), value(tag, "NAME"));
        let is = |attribute: &str, wanted: &str| value(tag, attribute) == wanted;
        let fault = match () {
            () if kind.is_empty() || group.is_empty() || name.is_empty() => {
                Some("lacks TYPE, GROUP-ID or NAME")
            }
            () if !matches!(kind, "AUDIO" | "VIDEO" | "SUBTITLES" | "CLOSED-CAPTIONS") => {
                Some("has no known TYPE")
            }
            () if kind == "SUBTITLES" && !tag.contains_key("URI") => Some("has no URI"),
            () if kind == "CLOSED-CAPTIONS" && tag.contains_key("URI") => Some("has a URI"),
            () if kind == "CLOSED-CAPTIONS" && !tag.contains_key("INSTREAM-ID") => Some("has no INSTREAM-ID"),
            () if is("DEFAULT", "YES") && is("AUTOSELECT", "NO") => Some("is DEFAULT=YES and AUTOSELECT=NO"),
            () => None,
        };
        let seen = format!("{kind} {name:?} {}", fault.unwrap_or("is whole"));
        judge.check(&rules::RENDITION_TAG, fault.is_none(), seen);
        let is_new = names.insert((kind, group, name));
        let is_second = is("DEFAULT", "YES") && !defaults.insert((kind, group));
        let seen = match (is_new, is_second) {
            (false, _) => format!("two {name:?} in group {group:?}"),
            (true, true) => format!("two defaults in group {group:?}"),
            (true, false) => format!("{name:?} in group {group:?}"),
        };
        judge.check(&rules::GROUPS, is_new && !is_second, seen);
        if kind == "AUDIO" {
            let channels = tag.get("CHANNELS");
            let seen = channels
                .map_or_else(|| format!("{name:?} has none"), |count| format!("{name:?} has {count}"));
            judge.check(&rules::CHANNELS, channels.is_some(), seen);
        } else {
            judge.absent(&rules::CHANNELS, "there is no audio EXT-X-MEDIA");
        }
    }
}

/// An attribute's value; empty where there is none.
fn value<'a>(tag: &'a Attributes, name: &str) -> &'a str {
    tag.get(name).map_or("", String::as_str)
}

/// Whether a format of RFC 6381 is one of pictures.
fn is_picture(codec: &str) -> bool {
    let family = family(codec);
    matches!(family.as_str(), "avc" | "hevc" | "vp08" | "vp09" | "av01" | "dvh1" | "dvhe" | "vvc1" | "mp4v")
}

/// The family of a format: its name, alike for those that differ in where parameters are.
pub(super) fn family(codec: &str) -> String {
    let name = codec.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "avc1" | "avc3" => "avc".to_owned(),
        "hvc1" | "hev1" => "hevc".to_owned(),
        _ => name,
    }
}

/// Without a multivariant playlist these say nothing.
pub(super) fn none(judge: &mut Judge) {
    for rule in RULES.iter().chain(&[&rules::CODECS_ALL, &rules::BANDWIDTH_TRUE]) {
        judge.absent(rule, "the URL is that of a media playlist");
    }
    for rule in [&rules::REPORTS, &rules::REPORT_URI, &rules::REPORT_TRUE] {
        judge.absent(rule, "one media playlist was named: others are not known");
    }
}

/// Whether the reports tell of each other rendition, and the truth.
pub(super) async fn reports(session: &mut Session) {
    if session.others.is_empty() || session.now.ended {
        let why = if session.now.ended { "the stream has ended" } else { "there is one rendition" };
        for rule in [&rules::REPORTS, &rules::REPORT_URI, &rules::REPORT_TRUE] {
            session.judge.absent(rule, why);
        }
        return;
    }
    for other in session.others.clone() {
        let Some(earlier) = playlist(session, &other).await else {
            session.judge.check(&rules::AVAILABLE, false, format!("{} cannot be read", other.path()));
            continue;
        };
        let here = session.url.clone();
        let Some(now) = playlist(session, &here).await else { continue };
        let Some(later) = playlist(session, &other).await else { continue };
        let report = now
            .reports
            .iter()
            .find(|report| session.url.join(&report.uri).is_ok_and(|url| url.path() == other.path()));
        let Some(report) = report else {
            session.judge.check(&rules::REPORTS, false, format!("there is none for {}", other.path()));
            continue;
        };
        session.judge.check(&rules::REPORTS, true, format!("one for {}", other.path()));
        let is_relative = !report.uri.contains("://") && !report.uri.starts_with("//");
        session.judge.check(&rules::REPORT_URI, is_relative, &*report.uri);
        // What is left out is as in the playlist it stands in.
        let own = now.edge();
        let told = (report.last_msn.unwrap_or(own.0), report.last_part.or(own.1));
        let seen = format!("told {told:?}, between {:?} and {:?}", earlier.edge(), later.edge())
            .replace("Some(", "")
            .replace("))", ")");
        let is_late = told.0 + 1 < earlier.edge().0 || (told.0, told.1) < before(earlier.edge());
        let is_early = told.0 > later.edge().0 || told > later.edge();
        session.judge.check(&rules::REPORT_TRUE, !is_late && !is_early, seen);
    }
}

/// One part earlier: nodes of one server may be that far apart.
fn before(edge: (u64, Option<u64>)) -> (u64, Option<u64>) {
    match edge {
        (msn, Some(part)) if part > 0 => (msn, Some(part - 1)),
        (msn, _) => (msn.saturating_sub(1), None),
    }
}

pub(super) async fn playlist(session: &Session, url: &Url) -> Option<Media> {
    let answer = session.fetcher.get(url, ANSWER_MAX).await.ok()?;
    media(&answer.text()).ok().filter(|_| answer.is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::judge::Verdict;
    use super::*;

    #[test]
    fn formats_are_of_one_family_wherever_their_parameters_are() {
        assert_eq!(family("avc3.64001f"), family("avc1.42c01f"));
        assert_eq!((family("Opus"), family(" mp4a.40.2")), ("opus".to_owned(), "mp4a".to_owned()));
        assert!(is_picture("hev1.1.6.L93") && !is_picture("mp4a.40.2"));
    }

    #[test]
    fn a_group_that_is_nowhere_is_found() {
        let mut judge = Judge::default();
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"x\",AUDIO=\"b\"\nv.m3u8\n";
        multivariant(&mut judge, text, &super::super::super::playlist::multivariant(text).unwrap());
        let rulings = judge.rulings();
        let failed: Vec<_> = rulings.iter().filter(|r| r.verdict == Verdict::Fail).map(|r| r.rule).collect();
        assert_eq!(failed, ["variant-groups"]);
    }
}
