//! The multivariant playlist, and what renditions say of each other.

use std::collections::BTreeSet;

use reqwest::Url;

use super::super::playlist::{Media, attributes, media};
use super::fetch::ANSWER_MAX;
use super::judge::Judge;
use super::rules;
use super::session::Session;

/// Attributes of a variant that name a group, with the group's type (§4.4.6.2.1).
const GROUPS: [(&str, &str); 3] = [("AUDIO", "AUDIO"), ("VIDEO", "VIDEO"), ("SUBTITLES", "SUBTITLES")];

/// What the multivariant playlist says.
pub(super) fn multivariant(judge: &mut Judge, text: &str) {
    let tags = |name: &'static str| text.lines().filter_map(move |line| line.trim().strip_prefix(name));
    let groups: BTreeSet<_> = tags("#EXT-X-MEDIA:")
        .map(|tag| {
            let mut tag = attributes(tag);
            (tag.remove("TYPE").unwrap_or_default(), tag.remove("GROUP-ID").unwrap_or_default())
        })
        .collect();
    for (number, variant) in tags("#EXT-X-STREAM-INF:").map(attributes).enumerate() {
        let number = number + 1;
        let bandwidth =
            variant.get("BANDWIDTH").and_then(|text| text.parse::<u64>().ok()).filter(|rate| *rate > 0);
        let seen =
            bandwidth.map_or_else(|| format!("variant {number} has none"), |rate| format!("{rate} bit/s"));
        judge.check(&rules::BANDWIDTH, bandwidth.is_some(), seen);
        let codecs = variant.get("CODECS");
        let seen = codecs.cloned().unwrap_or_else(|| format!("variant {number} has none"));
        judge.check(&rules::CODECS, codecs.is_some(), seen);
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
}

/// Without a multivariant playlist these say nothing.
pub(super) fn none(judge: &mut Judge) {
    for rule in [&rules::BANDWIDTH, &rules::CODECS, &rules::AUDIO_GROUP] {
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

async fn playlist(session: &Session, url: &Url) -> Option<Media> {
    let answer = session.fetcher.get(url, ANSWER_MAX).await.ok()?;
    media(&answer.text()).ok().filter(|_| answer.is_ok())
}

#[cfg(test)]
mod tests {
    use super::super::judge::Verdict;
    use super::*;

    #[test]
    fn a_group_that_is_nowhere_is_found() {
        let mut judge = Judge::default();
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"x\",AUDIO=\"b\"\nv.m3u8\n";
        multivariant(&mut judge, text);
        let rulings = judge.rulings();
        let failed: Vec<_> = rulings.iter().filter(|r| r.verdict == Verdict::Fail).map(|r| r.rule).collect();
        assert_eq!(failed, ["variant-groups"]);
    }
}
