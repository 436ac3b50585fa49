//! The playlists of the server with seeded mistakes.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::{BREAK_EVERY, LISTED, Moment, PART_MS, PARTS, bytes, is_independent, segment};

impl Moment<'_> {
    /// The number of the segment under way.
    pub(super) fn open(&self) -> u64 {
        self.parts / PARTS
    }

    /// The number of the first listed segment.
    pub(super) fn first(&self) -> u64 {
        let listed = match self.fault {
            "window" => 2,
            "media-sequence" if self.parts.is_multiple_of(2) => LISTED + 2,
            _ => LISTED,
        };
        self.open() - listed
    }

    pub(super) fn first_with_parts(&self) -> u64 {
        if self.fault == "parts-recent" { self.first() } else { self.open() - 3 }
    }

    /// Whether the parts of a segment are listed.
    fn has_parts(&self, msn: u64) -> bool {
        match self.fault {
            "segments" => false,
            "parts-removed-in-order" => {
                msn.is_multiple_of(5) && msn + 6 > self.open() || msn + 1 >= self.open()
            }
            _ => msn >= self.first_with_parts(),
        }
    }

    /// When a segment begins.
    fn date_of(&self, msn: u64) -> Timestamp {
        self.date + SignedDuration::from_millis(i64::try_from(msn * PARTS * PART_MS).unwrap())
    }

    pub(super) fn text(&self, track: &str, skip: Option<&str>) -> String {
        let is = |fault: &str| self.fault == fault;
        let (first, open) = (self.first(), self.open());
        let mut lines = vec!["#EXTM3U".to_owned()];
        let version = match self.fault {
            "version" => 5,
            "version-tight" => 13,
            _ => 10,
        };
        lines.push(format!("#EXT-X-VERSION:{version}"));
        let target = match self.fault {
            "target-constant" if open.is_multiple_of(2) => "2",
            "renditions-target" if track == "low" => "2",
            "target-integer" => "1.0",
            _ => "1",
        };
        lines.push(format!("#EXT-X-TARGETDURATION:{target}"));
        let extra = match self.fault {
            "characters" => Some("#\u{1}".to_owned()),
            "playlist-kinds" => Some("#EXT-X-SESSION-DATA:DATA-ID=\"x\",VALUE=\"y\"".to_owned()),
            "live-playlist-type" => Some("#EXT-X-PLAYLIST-TYPE:EVENT".to_owned()),
            "end-final" => Some(format!("# {}", self.age)),
            _ => None,
        };
        lines.extend(extra);
        if is("tags-once") {
            lines.push(format!("#EXT-X-TARGETDURATION:{target}"));
        }
        lines.push(self.control(track));
        if !is("part-inf") && !is("segments") {
            let target = match self.fault {
                "part-target-constant" if open.is_multiple_of(2) => "0.21",
                "part-hold-back-all" if track == "low" => "0.3",
                "attribute-lists" => "\"0.2\"",
                _ => "0.2",
            };
            lines.push(format!("#EXT-X-PART-INF:PART-TARGET={target}"));
        }
        lines.push(format!("#EXT-X-MEDIA-SEQUENCE:{first}"));
        let breaks =
            if is("discontinuity-sequence") { self.parts } else { (first.saturating_sub(1)) / BREAK_EVERY };
        let breaks = breaks + u64::from(is("renditions-discontinuities") && track == "low");
        lines.push(format!("#EXT-X-DISCONTINUITY-SEQUENCE:{breaks}"));
        self.ranges(&mut lines, track, skip);
        let from = skip.map_or(first, |skip| self.skip(&mut lines, first, skip));
        if from == first && !is("map") && !is("format-change") {
            lines.push("#EXT-X-MAP:URI=\"init.mp4\"".to_owned());
        }
        for msn in from..open {
            self.segment(&mut lines, track, msn, PARTS);
            let long = is("target-duration") && msn.is_multiple_of(4);
            let aging = is("segments-unchanged") && msn + 4 < open;
            let seconds = match () {
                () if long => "1.6",
                () if aging || is("part-durations-sum") => "0.9",
                () => "1.0",
            };
            let rate = segment(self.fault, msn).len() as f64 * 8.0 / seconds.parse::<f64>().unwrap() / 1000.0;
            let rate = if is("bitrate") { rate * 2.0 } else { rate };
            lines.push(format!("#EXT-X-BITRATE:{rate:.0}"));
            lines.push(format!("#EXTINF:{seconds},\n{msn}.m4s"));
        }
        self.segment(&mut lines, track, open, self.parts % PARTS);
        if self.ended {
            lines.push("#EXT-X-ENDLIST".to_owned());
        }
        if !self.ended || is("end-without-hint") {
            self.tail(&mut lines, track);
        }
        lines.join("\n") + "\n"
    }

    /// The date ranges: one for every fourth segment.
    fn ranges(&self, lines: &mut Vec<String>, track: &str, skip: Option<&str>) {
        if self.fault == "program-date-time" || skip == Some("v2") {
            return;
        }
        let kept = if self.fault == "daterange-kept" { self.open() - 4 } else { self.first() };
        for msn in (kept..self.open()).filter(|msn| msn.is_multiple_of(4)) {
            let begins = self.date_of(msn) + SignedDuration::from_millis(200);
            let begins = match self.fault {
                "daterange" => String::new(),
                _ => format!("START-DATE=\"{begins:.3}\","),
            };
            let duration = match self.fault {
                "renditions-dateranges" if track == "low" => "0.4",
                "daterange-unchanged" if self.open().is_multiple_of(2) => "0.4",
                _ => "0.5",
            };
            lines.push(format!("#EXT-X-DATERANGE:ID=\"at-{msn}\",{begins}DURATION={duration}"));
        }
    }

    fn control(&self, track: &str) -> String {
        let is = |fault: &str| self.fault == fault;
        let block = if is("can-block-reload") { "" } else { "CAN-BLOCK-RELOAD=YES," };
        let hold_back = match self.fault {
            "hold-back" => "2.0",
            "renditions-control" if track == "low" => "7.0",
            _ => "6.0",
        };
        let skip = if is("can-skip-until") { "3.0" } else { "6.0" };
        let part_hold_back = match self.fault {
            "part-hold-back" => "0.3",
            "part-hold-back-safe" => "0.5",
            _ => "0.63",
        };
        // A target duration that doubles takes the longer hold-backs, so that nothing else is wrong.
        let skip = if is("target-constant") { "12.0" } else { skip };
        let part = if is("segments") { String::new() } else { format!("PART-HOLD-BACK={part_hold_back},") };
        let skip = match self.fault {
            "delta-ignored" => String::new(),
            "can-skip-dateranges" => "CAN-SKIP-DATERANGES=YES,".to_owned(),
            _ => format!("CAN-SKIP-UNTIL={skip},CAN-SKIP-DATERANGES=YES,"),
        };
        format!("#EXT-X-SERVER-CONTROL:{block}{skip}{part}HOLD-BACK={hold_back}")
    }

    /// Writes the skip tag; tells from which segment on the rest is listed.
    fn skip(&self, lines: &mut Vec<String>, first: u64, skip: &str) -> u64 {
        let kept = match self.fault {
            "delta-boundary" => 2,
            "target-constant" => LISTED,
            _ => 6,
        };
        let skipped = (self.open() - first).saturating_sub(kept);
        if skipped > 0 {
            let told = if self.fault == "delta-equal" { skipped + 1 } else { skipped };
            let has_list = skip == "v2" && self.fault != "delta-dateranges";
            let removed = if has_list { ",RECENTLY-REMOVED-DATERANGES=\"at-4\"" } else { "" };
            lines.push(format!("#EXT-X-SKIP:SKIPPED-SEGMENTS={told}{removed}"));
        }
        first + skipped
    }

    /// What stands before a segment's `EXTINF`, with so many of its parts.
    fn segment(&self, lines: &mut Vec<String>, track: &str, msn: u64, parts: u64) {
        let is = |fault: &str| self.fault == fault;
        if msn.is_multiple_of(BREAK_EVERY) {
            lines.push("#EXT-X-DISCONTINUITY".to_owned());
        }
        if is("format-change") {
            let file = if msn.is_multiple_of(2) { "init.mp4" } else { "init-b.mp4" };
            lines.push(format!("#EXT-X-MAP:URI=\"{file}\""));
        }
        let wobble = match self.fault {
            "date-time-steady" if msn.is_multiple_of(2) => 500,
            "date-time-order" if msn.is_multiple_of(2) => 1500,
            "renditions-dates" if track == "low" => 200,
            _ => 0,
        };
        let date = self.date_of(msn) + SignedDuration::from_millis(wobble);
        let date = format!("#EXT-X-PROGRAM-DATE-TIME:{date:.3}");
        let late = is("tag-places") && parts > 0 && self.has_parts(msn);
        let bare = is("date-time-at-break") && msn.is_multiple_of(BREAK_EVERY);
        if !is("program-date-time") && !late && !bare {
            lines.push(date.clone());
        }
        if !self.has_parts(msn) {
            return;
        }
        for part in 0..parts {
            let duration = match self.fault {
                "part-duration-max" => ["0.24", "0.19"][usize::from(part != 1)],
                "part-duration-min" if part == 2 => "0.1",
                _ => "0.2",
            };
            let independent = match self.fault {
                "independent-true" => part < 2,
                "independent-told" => false,
                _ => is_independent(self.fault, part),
            };
            let independent = match independent {
                true => ",INDEPENDENT=YES",
                false if is("yes-only") => ",INDEPENDENT=NO",
                false => "",
            };
            let gap = if is("gap") && part == 3 { ",GAP=YES" } else { "" };
            let moved = if is("parts-unchanged") && msn < self.open() { "?closed" } else { "" };
            lines.push(format!(
                "#EXT-X-PART:DURATION={duration},URI=\"{msn}.{part}.m4s{moved}\"{independent}{gap}"
            ));
            if late && part == 0 {
                lines.push(date.clone());
            }
        }
    }

    /// The hints and reports.
    fn tail(&self, lines: &mut Vec<String>, track: &str) {
        let (msn, part) = (self.open(), self.parts % PARTS);
        let name = if self.fault == "hint-true" { "soon-" } else { "" };
        if !matches!(self.fault, "hint" | "segments") {
            lines.push(format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}{msn}.{part}.m4s\""));
        }
        if self.fault == "hint-once" {
            lines.push(format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{msn}.{}.m4s\"", part + 1));
        }
        let other = if track == "high" { "low" } else { "high" };
        let last = self.parts - 1;
        let (last_msn, last_part) = (last / PARTS, last % PARTS);
        let uri = match self.fault {
            "rendition-reports" => return,
            "report-uri" => format!("http://{}/{}/{other}/media.m3u8", self.address, self.fault),
            _ => format!("../{other}/media.m3u8"),
        };
        let (last_msn, last_part) = match self.fault {
            "report-true" => (last_msn + 5, format!(",LAST-PART={last_part}")),
            "segments" => (msn - 1, String::new()),
            _ => (last_msn, format!(",LAST-PART={last_part}")),
        };
        lines.push(format!("#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={last_msn}{last_part}"));
        let i_frames = ["i-frames.m3u8".to_owned(), format!("../{other}/i-frames.m3u8")];
        let reported = match self.fault {
            "report-i-frames-there" => 0,
            "report-i-frames" => 1,
            _ => 2,
        };
        for uri in &i_frames[..reported] {
            lines.push(format!("#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={}", msn - 1));
        }
    }

    /// The I-frame playlist: the first part of each segment.
    pub(super) fn i_frames(&self) -> String {
        let is = |fault: &str| self.fault == fault;
        let mut lines = vec!["#EXTM3U".to_owned()];
        lines.push(format!(
            "#EXT-X-VERSION:{}\n#EXT-X-TARGETDURATION:1",
            if is("i-frames-only") { 6 } else { 5 }
        ));
        lines.push(format!("#EXT-X-MEDIA-SEQUENCE:{}", self.first()));
        if !is("i-frames-only") {
            lines.push("#EXT-X-I-FRAMES-ONLY".to_owned());
        }
        if !is("i-frames-map") {
            lines.push("#EXT-X-MAP:URI=\"init.mp4\"".to_owned());
        }
        let gone = if is("i-frames-available") { "gone-" } else { "" };
        for msn in self.first()..self.open() {
            if is("i-frames-without-parts") {
                lines.push(format!("#EXT-X-PART:DURATION=0.2,URI=\"{msn}.0.m4s\""));
            }
            let length = bytes(self.fault, msn * PARTS).len();
            lines.push(format!("#EXTINF:1.0,\n#EXT-X-BYTERANGE:{length}@0\n{gone}{msn}.m4s"));
        }
        if self.ended {
            lines.push("#EXT-X-ENDLIST".to_owned());
        }
        lines.join("\n") + "\n"
    }
}

pub(super) fn multivariant(fault: &str) -> String {
    let is = |name: &str| fault == name;
    let mut text = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-INDEPENDENT-SEGMENTS\n".to_owned();
    let name = if is("rendition-tags") { "" } else { ",NAME=\"sound\"" };
    let channels = if is("audio-channels") { "" } else { ",CHANNELS=\"2\"" };
    let sound =
        format!("#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"sound\"{name},DEFAULT=YES,AUTOSELECT=YES{channels}\n");
    text.push_str(&sound.repeat(if is("rendition-groups") { 2 } else { 1 }));
    let codecs = match fault {
        "variant-codecs" => "",
        "variant-codecs-all" => "CODECS=\"mp4a.40.2\",",
        "format-change" => "CODECS=\"avc1.42c01f,opus\",",
        _ => "CODECS=\"avc1.42c01f\",",
    };
    let resolution = if is("variant-resolution") { "" } else { "RESOLUTION=320x240," };
    let group = if is("variant-groups") { "nowhere" } else { "sound" };
    for (track, rate) in [("high", 2_000_000), ("low", 500_000)] {
        let bandwidth = match fault {
            "variant-bandwidth" => String::new(),
            "variant-bandwidth-true" => "BANDWIDTH=1,".to_owned(),
            _ => format!("BANDWIDTH={rate},"),
        };
        let _ = writeln!(
            text,
            "#EXT-X-STREAM-INF:{bandwidth}{codecs}{resolution}AUDIO=\"{group}\"\n{track}/media.m3u8"
        );
    }
    let rate = if is("i-frame-stream") { ",FRAME-RATE=1.000" } else { "" };
    for track in ["high", "low"] {
        let _ = writeln!(
            text,
            "#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=50000,CODECS=\"avc1.42c01f\",URI=\"{track}/i-frames.m3u8\"{rate}"
        );
    }
    if is("variant-uri") {
        text.push_str("#EXT-X-STREAM-INF:BANDWIDTH=1000\n");
    }
    text
}
