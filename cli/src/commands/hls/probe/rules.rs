//! The rules, as data: a name, the section of draft-pantos-hls-rfc8216bis-22 it comes from, and what it demands.

use serde::Serialize;

/// How much a rule weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// Broken, the server fails.
    Must,
    /// Broken, the server is warned.
    Should,
}

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its name: stable, for scripts.
    pub name: &'static str,
    /// What it is about: a heading of the report.
    pub group: &'static str,
    /// A section of the draft, or of another document that is named.
    pub section: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// What it demands.
    pub demand: &'static str,
}

macro_rules! rules {
    ($($group:literal { $($id:ident: $name:literal, $section:literal, $level:ident, $demand:literal;)* })*) => {
        $($(pub(super) static $id: Rule = Rule {
            name: $name,
            group: $group,
            section: $section,
            level: Level::$level,
            demand: $demand,
        };)*)*
        /// All there are, in the order of the report; those of a group stand together.
        pub(super) static ALL: &[&Rule] = &[$($(&$id),*),*];
    };
}

rules! {
    "The multivariant playlist" {
        BANDWIDTH: "variant-bandwidth", "4.4.6.2", Must, "every variant has a BANDWIDTH";
        CODECS: "variant-codecs", "4.4.6.2", Should, "every variant has CODECS";
        AUDIO_GROUP: "variant-groups", "4.4.6.2.1", Must, "every AUDIO, VIDEO and SUBTITLES group of a variant is defined";
        VARIANT_URI: "variant-uri", "4.4.6.2", Must, "every EXT-X-STREAM-INF is followed by its playlist's URI";
        CODECS_ALL: "variant-codecs-all", "6.2.4", Must, "CODECS names every format of the variant's renditions";
        RESOLUTION: "variant-resolution", "4.4.6.2", Should, "a variant with video has a RESOLUTION";
        BANDWIDTH_TRUE: "variant-bandwidth-true", "4.4.6.2", Should, "no segment's bit rate is above the BANDWIDTH of its variant";
        RENDITION_TAG: "rendition-tags", "4.4.6.1", Must, "EXT-X-MEDIA has TYPE, GROUP-ID and NAME, a URI where it must, and AUTOSELECT=YES with DEFAULT=YES";
        GROUPS: "rendition-groups", "4.4.6.1.1", Must, "in a group names differ and one rendition at most is the default";
        CHANNELS: "audio-channels", "4.4.6.1", Should, "audio EXT-X-MEDIA tags have CHANNELS";
    }
    "Renditions beside each other" {
        SAME_TARGET: "renditions-target", "6.2.4", Must, "every rendition has the same target duration";
        SAME_CONTROL: "renditions-control", "6.2.4", Must, "every rendition has the same EXT-X-SERVER-CONTROL";
        SAME_BREAKS: "renditions-discontinuities", "6.2.4", Must, "the same content has the same discontinuity sequence number in every rendition";
        SAME_DATES: "renditions-dates", "6.2.4", Must, "program dates stand for the same media timestamps in every rendition";
        SAME_RANGES: "renditions-dateranges", "6.2.4", Must, "renditions with date ranges have the same ones";
        HOLD_BACK_ALL: "part-hold-back-all", "4.4.3.8", Should, "PART-HOLD-BACK is three times the longest part target of all renditions";
    }
    "I-frame playlists" {
        I_FRAME_TAG: "i-frame-stream", "4.4.6.3", Must, "EXT-X-I-FRAME-STREAM-INF has BANDWIDTH and URI, and no FRAME-RATE, AUDIO, SUBTITLES or CLOSED-CAPTIONS";
        I_FRAMES_ONLY: "i-frames-only", "4.4.6.3", Must, "the playlist of an I-frame stream is there and has EXT-X-I-FRAMES-ONLY";
        I_FRAMES_PARTS: "i-frames-without-parts", "4.4.4.9", Should, "an I-frame playlist has no parts";
        I_FRAMES_MAP: "i-frames-map", "4.4.3.6", Must, "I-frames of fragmented MP4 have an EXT-X-MAP, outside their byte ranges";
        I_FRAMES_THERE: "i-frames-available", "6.2.1", Must, "a listed I-frame can be fetched";
        I_FRAMES_BLOCK: "i-frames-block", "6.2.5.2", Should, "an I-frame playlist blocks by _HLS_msn where the others block";
        RANGE_LENGTH: "byterange-length", "4.4.4.2", Must, "a sub-range is answered with its bytes, and no others (206)";
    }
    "What a playlist says" {
        READABLE: "playlist-syntax", "4.1", Must, "a playlist is UTF-8 without BOM, begins with #EXTM3U, and can be read";
        CHARACTERS: "characters", "4.1", Must, "no control characters, and no white space around lines";
        ATTRIBUTES: "attribute-lists", "4.2", Must, "attribute lists are written by the letter: names, quotes, numbers, each once";
        YES_ONLY: "yes-only", "4.4", Should, "what can only be YES is YES or left out";
        KINDS: "playlist-kinds", "4.4", Must, "tags of media and of multivariant playlists are not mixed";
        TARGET_INTEGER: "target-integer", "4.4.3.1", Must, "the target duration is a whole number of seconds, one at least";
        VERSION: "version", "8", Must, "EXT-X-VERSION is as high as the tags used need";
        VERSION_TIGHT: "version-tight", "6.2.1", Should, "EXT-X-VERSION is no higher than the tags, or the delta updates that are offered, need";
        ONCE: "tags-once", "4.4.3", Must, "tags of the whole playlist stand in it once";
        PLACES: "tag-places", "4.4.4.9", Must, "tags stand before the media they apply to";
        TARGET: "target-duration", "4.4.3.1", Must, "no segment lasts longer than the target duration, rounded";
        PART_INF: "part-inf", "4.4.3.7", Must, "a playlist with parts has EXT-X-PART-INF with PART-TARGET";
        PART_MAX: "part-duration-max", "4.4.4.9", Must, "no part lasts longer than the part target";
        PART_MIN: "part-duration-min", "4.4.4.9", Must, "a part lasts 85 % of the part target, unless independent, a gap or last";
        PARTS_SUM: "part-durations-sum", "3.2", Must, "a segment lasts as long as its parts together";
        PARTS_RECENT: "parts-recent", "6.2.2", Should, "parts are listed for the last three target durations only";
        MAP: "map", "4.4.4.5", Must, "fragmented MP4 has an EXT-X-MAP, and it can be read";
        PDT: "program-date-time", "B.1", Must, "the playlist has EXT-X-PROGRAM-DATE-TIME";
        PDT_STEADY: "date-time-steady", "4.4.4.6", Should, "program date times go on by the segments' durations";
        PDT_ORDER: "date-time-order", "6.2.1", Must, "program date times go forward, and overlap by less than a second";
        PDT_BREAK: "date-time-at-break", "6.2.1", Should, "where dates are given, a segment after a discontinuity has one";
        GAP: "gap", "4.4.4.7", Should, "what cannot be fetched is marked as a gap, and what is marked is a gap";
        BITRATE: "bitrate", "4.4.4.8", Must, "EXT-X-BITRATE is within 10 % of each segment's bit rate";
        RANGE: "daterange", "4.4.5.1", Must, "a date range has ID and START-DATE, an end that fits, and the playlist has dates";
    }
    "Server control" {
        CAN_BLOCK: "can-block-reload", "B.1", Must, "CAN-BLOCK-RELOAD is YES";
        HOLD_BACK: "hold-back", "4.4.3.8", Must, "HOLD-BACK is at least three target durations";
        PART_HOLD_BACK: "part-hold-back", "4.4.3.8", Must, "PART-HOLD-BACK is there with parts, and at least two part targets";
        PART_HOLD_BACK_3: "part-hold-back-safe", "4.4.3.8", Should, "PART-HOLD-BACK is at least three part targets";
        SKIP_UNTIL: "can-skip-until", "4.4.3.8", Must, "CAN-SKIP-UNTIL is at least six target durations";
        SKIP_RANGES: "can-skip-dateranges", "4.4.3.8", Must, "CAN-SKIP-DATERANGES comes with CAN-SKIP-UNTIL";
    }
    "From one reload to the next" {
        TARGET_CONSTANT: "target-constant", "6.2.1", Must, "the target duration does not change";
        PART_TARGET_CONSTANT: "part-target-constant", "6.2.1", Must, "the part target does not change";
        SEQUENCE: "media-sequence", "6.2.2", Must, "the media sequence number never goes back";
        DISCONTINUITY_SEQUENCE: "discontinuity-sequence", "6.2.2", Must, "it counts the discontinuities removed, and nothing else";
        UNCHANGED: "segments-unchanged", "6.2.1", Must, "nothing changes in a listed segment";
        PARTS_UNCHANGED: "parts-unchanged", "6.2.1", Must, "nothing changes in a listed part";
        PARTS_ORDER: "parts-removed-in-order", "6.2.2", Must, "part tags are removed in the order they appear";
        RANGE_SAME: "daterange-unchanged", "6.2.1", Must, "attributes of a date range do not change";
        RANGE_KEPT: "daterange-kept", "6.2.1", Must, "a date range stays as long as segments of its dates are listed";
        LIVE_TYPE: "live-playlist-type", "6.2.2", Must, "a playlist that segments are removed from has no EXT-X-PLAYLIST-TYPE";
        // A MUST of the draft too.
        SEGMENT_CADENCE: "segment-cadence", "6.2.1", Should, "a segment is added within 1.5 target durations of the one before";
        WINDOW: "window", "6.2.2", Must, "a playlist that segments were removed from lasts three target durations";
        // A MUST of the draft; seen from outside, the network has its part in it.
        CADENCE: "part-cadence", "6.2.1", Should, "a part is added within one part target of the one before";
        KEPT_SEGMENT: "removed-segments-kept", "6.2.2", Must, "a segment can be fetched after it was removed";
        KEPT_PART: "removed-parts-kept", "6.2.2", Must, "a part can be fetched after its tag was removed";
    }
    "Blocking reloads" {
        BLOCK_PART: "block-part", "6.2.5.2", Must, "_HLS_msn and _HLS_part wait until that part is listed";
        BLOCK_SEGMENT: "block-segment", "6.2.5.2", Must, "_HLS_msn alone waits until that segment is listed";
        OLD: "block-old", "6.2.5.2", Must, "what is there already, however old, is answered with the whole playlist";
        OLD_AT_ONCE: "block-old-at-once", "6.2.5.2", Must, "what is there already is answered at once";
        PAST_END: "block-past-end", "6.2.5.2", Must, "a part past a segment's end means part 0 of the next";
        TOO_FAR_SEGMENT: "too-far-segment", "6.2.5.2", Should, "a segment more than two beyond the last is refused (400)";
        TOO_FAR_PART: "too-far-part", "6.2.5.2", Should, "a part beyond the advance part limit is refused (400)";
        PART_ALONE: "part-without-msn", "6.2.5.2", Must, "_HLS_part without _HLS_msn is refused (400)";
        NO_NUMBER: "directive-number", "6.2.5.2", Should, "a directive that is no number is refused (400)";
        OVERDUE: "block-limit", "6.2.5.2", Should, "a request is blocked for three target durations at most, then 503";
    }
    "Delta updates" {
        DELTA: "delta-update", "6.2.5.1", Must, "_HLS_skip=YES is answered with EXT-X-SKIP";
        DELTA_EQUAL: "delta-equal", "6.2.5.1", Must, "a delta update with what it skips is the full playlist";
        DELTA_BOUNDARY: "delta-boundary", "6.2.5.1", Must, "only what lies before the skip boundary is skipped";
        DELTA_RANGES: "delta-dateranges", "6.2.5.1", Must, "_HLS_skip=v2 is answered with RECENTLY-REMOVED-DATERANGES in EXT-X-SKIP";
        DELTA_IGNORED: "delta-ignored", "6.2.5.1", Must, "without CAN-SKIP-UNTIL the directive _HLS_skip is ignored";
    }
    "Media" {
        AVAILABLE: "listed-available", "6.2.1", Must, "what is listed can be fetched";
        SAME_MEDIA: "parts-make-segment", "3.2", Must, "a segment and its parts hold the same media";
        INDEPENDENT: "independent-true", "4.4.4.9", Must, "a part with INDEPENDENT=YES has a frame that a decoder can begin with";
        INDEPENDENT_TOLD: "independent-told", "4.4.4.9", Should, "a part that begins with an independent frame says so";
        DURATION_TRUE: "durations-true", "4.4.4.1", Should, "durations are those of the media";
        INDEPENDENT_SEGMENTS: "independent-segments", "4.4.2.1", Must, "with EXT-X-INDEPENDENT-SEGMENTS every segment begins with an independent frame";
        TIMESTAMPS: "timestamps", "4.4.4.3", Must, "a segment whose timestamps do not go on has EXT-X-DISCONTINUITY";
        FORMAT_CHANGE: "format-change", "4.4.4.3", Must, "a segment with other tracks or codecs has EXT-X-DISCONTINUITY";
    }
    "Preload hints" {
        HINT: "hint", "B.1", Should, "the next part is hinted at";
        HINT_ONCE: "hint-once", "6.2.6", Should, "there is one hint of each type at most";
        HINT_AVAILABLE: "hint-available", "6.2.6", Must, "a hinted part can be asked for, and comes";
        HINT_TRUE: "hint-true", "4.4.5.3", Must, "what was hinted at is listed next under the same URI";
        HINT_BYTES: "hint-bytes", "4.4.5.3", Must, "the hinted part has the bytes of the listed one";
        HINT_WHOLE: "hint-whole", "6.2.6", Must, "no byte is sent before the whole part can be";
        UNHINTED: "unhinted-404", "6.2.6", Should, "what neither is there nor hinted at is not found (404)";
    }
    "Rendition reports" {
        REPORTS: "rendition-reports", "B.1", Must, "there is a report for each other rendition";
        REPORT_URI: "report-uri", "4.4.5.4", Must, "a report's URI is relative";
        REPORT_TRUE: "report-true", "4.4.5.4", Must, "a report tells the rendition's last part";
        REPORT_I_FRAMES: "report-i-frames", "B.1", Must, "there are reports for all I-frame playlists, or for none";
        REPORT_I_FRAMES_THERE: "report-i-frames-there", "B.1", Should, "there is a report for each I-frame playlist";
    }
    "The end" {
        END_HINT: "end-without-hint", "4.4.5.3", Must, "a playlist that has ended has no hint";
        END_DIRECTIVES: "end-directives", "6.2.5.2", Must, "of a playlist that has ended directives are ignored";
        END_FINAL: "end-final", "6.2.1", Must, "a playlist that has ended does not change";
    }
    "HTTP" {
        PLAYLIST_TYPE: "playlist-type", "4", Should, "playlists are application/vnd.apple.mpegurl";
        MEDIA_TYPE: "media-type", "RFC 9110 8.3", Should, "media is video/… or audio/…";
        GZIP: "playlist-gzip", "6.2.1", Should, "playlists are compressed for who takes gzip";
        HTTP2: "http2", "B.1", Should, "HTTP/2 is there";
        CORS: "cors", "Fetch 3.3", Should, "players on other sites may read playlists and media";
        CACHE_LIVE: "cache-live", "RFC 9111 5.2", Should, "a live playlist is kept by caches for one target duration at most";
        CACHE_BLOCKING: "cache-blocking", "B.1", Should, "caches may keep the answer to a blocking reload";
        CACHE_MEDIA: "cache-media", "B.1", Should, "caches may keep media";
        CACHE_MISSING: "cache-missing", "B.1", Should, "caches keep what is not found for four target durations at most";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn rules_of_a_group_stand_together() {
        let groups: Vec<_> =
            ALL.chunk_by(|one, next| one.group == next.group).map(|rules| rules[0].group).collect();
        let mut unique = groups.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), groups.len(), "{groups:?}");
    }
}
