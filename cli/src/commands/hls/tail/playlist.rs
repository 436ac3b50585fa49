//! Reading playlists as a player does (draft-pantos-hls-rfc8216bis-22 §4).

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Media {
    /// `EXT-X-TARGETDURATION`, in seconds.
    pub target_duration: f64,
    /// Whether the server holds a request until what it asks for is there.
    pub can_block_reload: bool,
    /// Complete segments, in order.
    pub segments: Vec<Segment>,
    /// Parts of the segment that is not complete.
    pub open: Vec<Part>,
    /// The number of the segment that is not complete.
    pub open_msn: u64,
    /// When the segment that is not complete began, where the playlist says so.
    pub open_time: Option<Timestamp>,
    /// The initialization section of the last media listed.
    pub map: Option<Resource>,
    /// Whether the stream is over.
    pub ended: bool,
}

/// A complete segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    /// Its media sequence number.
    pub msn: u64,
    /// In seconds.
    pub duration: f64,
    /// The media.
    pub resource: Resource,
    /// Its parts, while they are listed.
    pub parts: Vec<Part>,
    /// When its first frame was taken.
    pub time: Option<Timestamp>,
    /// Whether its media is missing.
    pub gap: bool,
    /// Its initialization section.
    pub map: Option<Resource>,
}

/// A part.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// In seconds.
    pub duration: f64,
    /// Whether a decoder may start with it.
    pub independent: bool,
    /// Whether its media is missing.
    pub gap: bool,
    /// The media.
    pub resource: Resource,
}

/// Where media is: a URI, perhaps a range of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    /// As the playlist has it.
    pub uri: String,
    /// First byte and length.
    pub range: Option<(u64, u64)>,
}

/// The variants of a multivariant playlist, each a URI; `None` when it is none.
pub(super) fn variants(text: &str) -> Option<Vec<String>> {
    let mut lines = text.lines().map(str::trim);
    let mut uris = Vec::new();
    while let Some(line) = lines.next() {
        if line.starts_with("#EXT-X-STREAM-INF:") {
            uris.extend(
                lines.by_ref().find(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned),
            );
        } else if line.starts_with("#EXTINF:") || line.starts_with("#EXT-X-TARGETDURATION:") {
            return None;
        } else if let Some(attributes) = line.strip_prefix("#EXT-X-MEDIA:") {
            uris.extend(self::attributes(attributes).remove("URI"));
        }
    }
    (!uris.is_empty()).then_some(uris)
}

/// Reads a media playlist; the first line and the target duration must be there.
pub(super) fn media(text: &str) -> Result<Media, String> {
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
    range: Option<(u64, u64)>,
    has_target: bool,
    /// Where the last ranged part and segment ended: a range without offset goes on there.
    range_end: u64,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let Some(tag) = line.strip_prefix('#') else {
            return if line.is_empty() { Ok(()) } else { self.segment(line) };
        };
        let (name, value) = tag.split_once(':').unwrap_or((tag, ""));
        match name {
            "EXT-X-TARGETDURATION" => {
                self.media.target_duration = number(name, value)?;
                self.has_target = true;
            }
            "EXT-X-MEDIA-SEQUENCE" => {
                self.media.open_msn = value.parse().map_err(|_| format!("{name} is no number"))?;
            }
            "EXT-X-SERVER-CONTROL" => {
                let control = attributes(value);
                self.media.can_block_reload = control.get("CAN-BLOCK-RELOAD").is_some_and(|v| v == "YES");
            }
            "EXT-X-SKIP" => {
                let skipped = attributes(value).remove("SKIPPED-SEGMENTS").unwrap_or_default();
                self.media.open_msn += skipped.parse::<u64>().unwrap_or(0);
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
        });
        self.media.open_msn += 1;
        self.media.open_time = time.and_then(|time| time.checked_add(span(duration)).ok());
        Ok(())
    }

    fn end(mut self) -> Result<Media, String> {
        if !self.has_target {
            return Err("there is no EXT-X-TARGETDURATION".to_owned());
        }
        self.media.open = self.parts;
        self.media.open_time = self.time.or(self.media.open_time);
        Ok(self.media)
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
        self.range_end = offset + length;
        (offset, length)
    }
}

/// Seconds as a span of time.
pub(super) fn span(seconds: f64) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default()
}

fn number(name: &str, text: &str) -> Result<f64, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        .ok_or_else(|| format!("{name} is no number"))
}

/// An attribute list (§4.2): names with values, quotes taken off.
fn attributes(text: &str) -> BTreeMap<String, String> {
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
        assert_eq!(media.open_msn, 9);
        assert_eq!(media.open[0].resource, Resource { uri: "a,b=c.m4s".into(), range: Some((10, 5)) });
        assert!(media.open[0].independent);
        assert_eq!(media.map.unwrap().uri, "init-0.mp4");
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
        assert_eq!(variants(PLAYLIST), None);
    }
}
