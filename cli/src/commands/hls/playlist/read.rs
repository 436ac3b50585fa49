//! Reading the text of playlists.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Attributes, Control, Hint, Media, Multivariant, Part, Report, Resource, Segment, span};

/// Reads a multivariant playlist; one without a variant is none.
pub(in crate::commands::hls) fn multivariant(text: &str) -> Option<Multivariant> {
    let mut playlist = Multivariant::default();
    let mut is_open = false;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some(tag) = line.strip_prefix('#') else {
            if let Some((_, uri)) = playlist.variants.last_mut().filter(|_| is_open) {
                *uri = Some(line.to_owned());
            }
            is_open = false;
            continue;
        };
        match tag.split_once(':').unwrap_or((tag, "")) {
            ("EXT-X-STREAM-INF", value) => {
                playlist.variants.push((attributes(value), None));
                is_open = true;
            }
            ("EXT-X-MEDIA", value) => playlist.renditions.push(attributes(value)),
            ("EXT-X-I-FRAME-STREAM-INF", value) => playlist.i_frames.push(attributes(value)),
            ("EXT-X-INDEPENDENT-SEGMENTS", _) => playlist.independent_segments = true,
            _ => {}
        }
    }
    (!playlist.variants.is_empty()).then_some(playlist)
}

/// The variants of a multivariant playlist and then the renditions beside them, each a URI; `None` when it is none.
pub(in crate::commands) fn variants(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines().map(str::trim);
    let (mut uris, mut beside) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next() {
        if line.starts_with("#EXT-X-STREAM-INF:") {
            uris.extend(
                lines.by_ref().find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned),
            );
        } else if line.starts_with("#EXTINF:") || line.starts_with("#EXT-X-TARGETDURATION:") {
            return None;
        } else if let Some(attributes) = line.strip_prefix("#EXT-X-MEDIA:") {
            beside.extend(self::attributes(attributes).remove("URI"));
        }
    }
    uris.append(&mut beside);
    (!uris.is_empty()).then_some(uris)
}

/// Reads a media playlist; the first line and the target duration must be there.
pub(in crate::commands) fn media(text: &str) -> Result<Media, String> {
    let mut lines = text.lines().map(str::trim);
    if lines.next() != Some("#EXTM3U") {
        return Err("the first line is not #EXTM3U".to_owned());
    }
    let mut reader = Reader::default();
    for line in lines {
        reader.line(line)?;
    }
    reader.end()
}

#[derive(Default)]
struct Reader {
    media: Media,
    duration: Option<f64>,
    parts: Vec<Part>,
    time: Option<Timestamp>,
    gap: bool,
    discontinuity: bool,
    range: Option<(u64, u64)>,
    has_target: bool,
    bitrate: Option<u64>,
    /// Where the last ranged part and segment ended: a range without offset goes on there.
    range_end: u64,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let Some(tag) = line.strip_prefix('#') else {
            return if line.is_empty() { Ok(()) } else { self.segment(line) };
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        self.place(name);
        match name {
            "EXT-X-VERSION" => {
                self.media.version = value.trim().parse().map_err(|_| format!("{name} is no number"))?;
            }
            "EXT-X-DISCONTINUITY-SEQUENCE" => {
                self.media.discontinuity_sequence =
                    value.trim().parse().map_err(|_| format!("{name} is no number"))?;
            }
            "EXT-X-PART-INF" => {
                let target = attributes(value).remove("PART-TARGET").unwrap_or_default();
                self.media.part_target = Some(number("PART-TARGET", &target)?);
            }
            "EXT-X-DISCONTINUITY" => self.discontinuity = true,
            "EXT-X-PRELOAD-HINT" => self.hint(&mut attributes(value)),
            "EXT-X-RENDITION-REPORT" => {
                let mut report = attributes(value);
                let number = |key: &str, report: &BTreeMap<String, String>| report.get(key)?.parse().ok();
                let (last_msn, last_part) = (number("LAST-MSN", &report), number("LAST-PART", &report));
                let uri = report.remove("URI").unwrap_or_default();
                self.media.reports.push(Report { uri, last_msn, last_part });
            }
            "EXT-X-TARGETDURATION" => {
                self.media.target_duration = number(name, value)?;
                self.has_target = true;
            }
            "EXT-X-MEDIA-SEQUENCE" => {
                self.media.open_msn = value.trim().parse().map_err(|_| format!("{name} is no number"))?;
                self.media.sequence = self.media.open_msn;
            }
            "EXT-X-SERVER-CONTROL" => {
                let control = attributes(value);
                self.media.can_block_reload = control.get("CAN-BLOCK-RELOAD").is_some_and(|v| v == "YES");
                let seconds = |key: &str| control.get(key).and_then(|text| number(key, text).ok());
                self.media.control = Some(Control {
                    can_skip_until: seconds("CAN-SKIP-UNTIL"),
                    hold_back: seconds("HOLD-BACK"),
                    part_hold_back: seconds("PART-HOLD-BACK"),
                    can_skip_ranges: control.get("CAN-SKIP-DATERANGES").is_some_and(|v| v == "YES"),
                    written: control,
                });
            }
            "EXT-X-SKIP" => {
                let mut skip = attributes(value);
                self.media.removed_ranges = skip.remove("RECENTLY-REMOVED-DATERANGES");
                let skipped = skip.remove("SKIPPED-SEGMENTS").and_then(|text| text.parse().ok()).unwrap_or(0);
                self.media.open_msn = self.media.open_msn.saturating_add(skipped);
                self.media.skipped = Some(skipped);
            }
            "EXTINF" => {
                let seconds = value.split(',').next().unwrap_or_default();
                self.duration = Some(number(name, seconds)?);
            }
            "EXT-X-PROGRAM-DATE-TIME" => self.time = value.parse().ok(),
            "EXT-X-GAP" => self.gap = true,
            "EXT-X-BYTERANGE" => self.range = Some(self.range(value)),
            "EXT-X-MAP" => self.media.map = self.resource(&mut attributes(value)),
            "EXT-X-PART" => {
                let mut part = attributes(value);
                let duration = number("DURATION", part.get("DURATION").map_or("", String::as_str))?;
                let yes =
                    |key: &str, part: &BTreeMap<String, String>| part.get(key).is_some_and(|v| v == "YES");
                let (independent, gap) = (yes("INDEPENDENT", &part), yes("GAP", &part));
                let resource = self.resource(&mut part).ok_or("a part has no URI")?;
                self.parts.push(Part { duration, independent, gap, resource });
            }
            "EXT-X-ENDLIST" => self.media.ended = true,
            "EXT-X-DATERANGE" => self.media.ranges.push(attributes(value)),
            "EXT-X-PLAYLIST-TYPE" => self.media.kind = Some(value.trim().to_owned()),
            "EXT-X-I-FRAMES-ONLY" => self.media.only_i_frames = true,
            "EXT-X-INDEPENDENT-SEGMENTS" => self.media.independent_segments = true,
            "EXT-X-BITRATE" => self.bitrate = value.trim().parse().ok(),
            _ => {}
        }
        Ok(())
    }

    fn segment(&mut self, uri: &str) -> Result<(), String> {
        let duration = self.duration.take().ok_or_else(|| format!("{uri} has no EXTINF"))?;
        let time = self.time.take();
        self.media.segments.push(Segment {
            msn: self.media.open_msn,
            duration,
            resource: Resource { uri: uri.to_owned(), range: self.range.take() },
            parts: std::mem::take(&mut self.parts),
            time,
            gap: std::mem::take(&mut self.gap),
            map: self.media.map.clone(),
            discontinuity: std::mem::take(&mut self.discontinuity),
            bitrate: self.bitrate,
        });
        self.media.open_msn = self.media.open_msn.saturating_add(1);
        self.media.open_time = time.and_then(|time| time.checked_add(span(duration)).ok());
        Ok(())
    }

    fn end(mut self) -> Result<Media, String> {
        if !self.has_target {
            return Err("there is no EXT-X-TARGETDURATION".to_owned());
        }
        self.media.version = self.media.version.max(1);
        self.media.open = self.parts;
        self.media.open_discontinuity = self.discontinuity;
        self.media.open_time = self.time.or(self.media.open_time);
        Ok(self.media)
    }

    /// Notes a tag that comes too late: of the playlist after its first segment, of a segment after its
    /// first part (§4.4.3, §4.4.4.9).
    fn place(&mut self, name: &str) {
        let is_of_head = matches!(name, "EXT-X-MEDIA-SEQUENCE" | "EXT-X-DISCONTINUITY-SEQUENCE");
        if is_of_head && (!self.media.segments.is_empty() || !self.parts.is_empty()) {
            self.media.misplaced.push(format!("{name} after the first media"));
        }
        let is_of_start =
            matches!(name, "EXT-X-DISCONTINUITY" | "EXT-X-KEY" | "EXT-X-MAP" | "EXT-X-PROGRAM-DATE-TIME");
        if is_of_start && !self.parts.is_empty() {
            let msn = self.media.open_msn;
            self.media.misplaced.push(format!("{name} after the first part of segment {msn}"));
        }
    }

    fn hint(&mut self, hint: &mut BTreeMap<String, String>) {
        let number = |key: &str| hint.get(key).and_then(|text| text.parse::<u64>().ok());
        let (start, length) = (number("BYTERANGE-START"), number("BYTERANGE-LENGTH"));
        let range = (start.is_some() || length.is_some()).then(|| (start.unwrap_or(0), length));
        let kind = hint.remove("TYPE").unwrap_or_default();
        self.media.hints.push(Hint { kind, uri: hint.remove("URI").unwrap_or_default(), range });
    }

    fn resource(&mut self, attributes: &mut BTreeMap<String, String>) -> Option<Resource> {
        let uri = attributes.remove("URI")?;
        let range = attributes.get("BYTERANGE").cloned().map(|range| self.range(&range));
        Some(Resource { uri, range })
    }

    /// `<length>[@<offset>]`.
    fn range(&mut self, text: &str) -> (u64, u64) {
        let (length, offset) = text.split_once('@').unwrap_or((text, ""));
        let length = length.parse().unwrap_or(0);
        let offset = offset.parse().unwrap_or(self.range_end);
        self.range_end = offset.saturating_add(length);
        (offset, length)
    }
}

fn number(name: &str, text: &str) -> Result<f64, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| format!("{name} is no number"))
}

/// An attribute list (§4.2): names with values, quotes taken off.
pub(in crate::commands) fn attributes(text: &str) -> Attributes {
    let mut list = BTreeMap::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once('=') {
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => value.split_at(value.find(',').unwrap_or(value.len())),
        };
        list.insert(name.trim().to_owned(), value.trim().to_owned());
        rest = after.trim_start_matches(',');
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYLIST: &str = "#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.002,CAN-SKIP-UNTIL=12
#EXT-X-PART-INF:PART-TARGET=0.334
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI=\"init-0.mp4\"
#EXT-X-PROGRAM-DATE-TIME:2026-01-01T00:00:00.000Z
#EXT-X-PART:DURATION=0.333,URI=\"7.0.m4s\",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.333,URI=\"7.1.m4s\"
#EXTINF:0.666,
7.m4s
#EXT-X-GAP
#EXTINF:2,
8.m4s
#EXT-X-PART:DURATION=0.333,URI=\"a,b=c.m4s\",INDEPENDENT=YES,BYTERANGE=\"5@10\"
#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"9.1.m4s\"
";

    #[test]
    fn a_playlist_is_read_with_its_parts_and_its_open_segment() {
        let media = media(PLAYLIST).unwrap();
        assert!(media.can_block_reload && !media.ended);
        assert_eq!(
            media.segments.iter().map(|s| (s.msn, s.parts.len(), s.gap)).collect::<Vec<_>>(),
            [(7, 2, false), (8, 0, true)]
        );
        assert_eq!((media.open_msn, media.open_discontinuity), (9, false));
        let broken = PLAYLIST.replace(
            "#EXT-X-PART:DURATION=0.333,URI=\"a",
            "#EXT-X-DISCONTINUITY\n#EXT-X-PART:DURATION=0.333,URI=\"a",
        );
        assert!(super::media(&broken).unwrap().open_discontinuity);
        assert_eq!(media.open[0].resource, Resource { uri: "a,b=c.m4s".into(), range: Some((10, 5)) });
        assert!(media.open[0].independent);
        assert_eq!(media.map.as_ref().unwrap().uri, "init-0.mp4");
        assert_eq!((media.version, media.sequence, media.part_target), (9, 7, Some(0.334)));
        let control = media.control.as_ref().unwrap();
        assert_eq!((control.part_hold_back, control.can_skip_until), (Some(1.002), Some(12.0)));
        assert_eq!((media.hints[0].kind.as_str(), media.hints[0].uri.as_str()), ("PART", "9.1.m4s"));
        assert_eq!((media.edge(), media.last_msn(), media.misplaced.len()), ((9, Some(0)), Some(8), 0));
    }

    #[test]
    fn a_multivariant_playlist_is_read_with_what_stands_beside_the_variants() {
        let text = "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=1\nv.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\n\
                    #EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=3,URI=\"i.m3u8\"\n";
        let read = multivariant(text).unwrap();
        let uris: Vec<_> = read.variants.iter().map(|(_, uri)| uri.as_deref()).collect();
        assert_eq!(uris, [Some("v.m3u8"), None]);
        assert_eq!((read.renditions.len(), read.i_frames.len(), read.independent_segments), (1, 1, true));
        assert_eq!(multivariant(PLAYLIST), None);
    }

    #[test]
    fn what_is_no_playlist_is_refused() {
        assert!(media("<html>").is_err());
        assert!(media("#EXTM3U\n#EXTINF:1,\nx\n").is_err());
        assert!(media("#EXTM3U\n#EXT-X-TARGETDURATION:2\nx\n").is_err());
    }

    #[test]
    fn variants_are_those_of_a_multivariant_playlist_only() {
        let text = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS=\"a,b\"\nmain/media.m3u8\n";
        assert_eq!(variants(text), Some(vec!["main/media.m3u8".to_owned()]));
        let beside = text.replace("#EXTM3U", "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,URI=\"sound.m3u8\"");
        assert_eq!(variants(&beside).unwrap(), ["main/media.m3u8", "sound.m3u8"]);
        assert_eq!(variants(PLAYLIST), None);
    }
}
