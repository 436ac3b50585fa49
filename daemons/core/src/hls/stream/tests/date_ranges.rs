//! Date ranges: what may be told, and how playlists list it.

use super::*;
use crate::hls::data::{Cue, DateRangeFields};

/// When the first segment of [`Scene::segment`] begins, in milliseconds since the Unix epoch.
const FIRST: u64 = START.as_millis();

fn range(id: &str) -> DateRangeFields {
    DateRangeFields { id: id.to_owned(), start_date: Some(FIRST), ..DateRangeFields::default() }
}

fn playing() -> Scene {
    let mut scene = Scene::begun();
    scene.segment();
    scene
}

impl Scene {
    fn tell(&mut self, fields: DateRangeFields) -> Result<DataAck, Refusal> {
        self.send(DataKind::DateRange(fields), Bytes::new())
    }

    fn text(&self, extent: Extent) -> String {
        MediaPlaylist::new(&self.stream, &"main".parse().unwrap(), extent).unwrap().to_string()
    }
}

#[test]
fn every_attribute_is_written_as_the_draft_says() {
    let mut scene = playing();
    let said = r#"{"type":"Data","kind":"daterange","id":"7","dateRange":{"id":"ad-1","class":"com.example.ad",
        "startDate":1700000000000,"cue":["PRE","ONCE"],"endDate":1700000030500,"duration":30.5,"plannedDuration":30,
        "X-ID":"a b","X-N":0.25,"X-RAW":"0xff","scte35Cmd":"0xFC","scte35Out":"0xFC01","scte35In":"0xFC02"}}"#;
    let signal = crate::hls::data::parse_json(said).unwrap();
    scene.send(signal.kind, signal.payload).unwrap();
    let tag = "#EXT-X-DATERANGE:ID=\"ad-1\",CLASS=\"com.example.ad\",START-DATE=\"2023-11-14T22:13:20.000Z\",\
        CUE=\"PRE,ONCE\",END-DATE=\"2023-11-14T22:13:50.500Z\",DURATION=30.500,PLANNED-DURATION=30.000,\
        X-ID=\"a b\",X-N=0.25,X-RAW=0xFF,SCTE35-CMD=0xFC,SCTE35-OUT=0xFC01,SCTE35-IN=0xFC02\n";
    assert!(scene.playlist().contains(tag), "{}", scene.playlist());
}

#[test]
fn a_playlist_grows_at_its_end_alone() {
    let mut scene = Scene::begun();
    scene.plain(334, true);
    let mut before = scene.playlist();
    let mut told = 0;
    for part in 1..14 {
        if part % 3 == 0 {
            scene.tell(range(&format!("r{part}"))).unwrap();
            told += 1;
        } else {
            scene.plain(334, part % 6 == 0);
        }
        let after = scene.playlist();
        let lines = |text: &str| -> Vec<String> {
            let is_media = |line: &&str| !line.contains("-HINT:") && !line.contains("-REPORT:");
            text.lines().filter(is_media).map(ToOwned::to_owned).collect()
        };
        assert!(lines(&after).starts_with(&lines(&before)), "{before}\n{after}");
        assert_eq!(after.matches("#EXT-X-DATERANGE").count(), told);
        before = after;
    }
}

#[test]
fn more_may_be_told_of_an_id_and_what_was_told_stays() {
    let mut scene = playing();
    scene.tell(range("a")).unwrap();
    let unchanged = scene.stream.clone();
    scene.tell(range("a")).unwrap();
    assert_eq!(scene.stream, unchanged, "told again it changes nothing");
    let ends = DateRangeFields { id: "a".into(), end_date: Some(FIRST + 500), ..DateRangeFields::default() };
    scene.tell(ends).unwrap();
    let playlist = scene.playlist();
    let tag = "#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2023-11-14T22:13:20.000Z\",END-DATE=\"2023-11-14T22:13:20.500Z\"\n";
    assert!(playlist.contains(tag), "{playlist}");
    assert_eq!(playlist.matches("DATERANGE:ID=\"a\"").count(), 1);
    let moved = DateRangeFields { start_date: Some(FIRST + 1), ..range("a") };
    assert_eq!(kind_of(scene.tell(moved)), bad("dateRange.startDate"));
    let recued = DateRangeFields { cue: vec![Cue::Post], ..range("a") };
    scene.tell(recued).unwrap();
    let recued = DateRangeFields { cue: vec![Cue::Pre], ..range("a") };
    assert_eq!(kind_of(scene.tell(recued)), bad("dateRange.cue"));
}

#[test]
fn attributes_that_contradict_each_other_are_refused() {
    let mut scene = playing();
    let unchanged = scene.stream.clone();
    let of = |change: &dyn Fn(&mut DateRangeFields)| {
        let mut fields = range("a");
        change(&mut fields);
        fields
    };
    let cases = [
        (of(&|range| range.start_date = None), "dateRange.startDate"),
        (of(&|range| range.end_date = Some(FIRST - 1)), "dateRange.endDate"),
        (of(&|range| (range.end_date, range.duration) = (Some(FIRST + 2), Some(1))), "dateRange.endDate"),
        (of(&|range| range.end_on_next = true), "dateRange.class"),
        (
            of(&|range| {
                (range.end_on_next, range.class, range.duration) = (true, Some("c".into()), Some(1));
            }),
            "dateRange.endOnNext",
        ),
    ];
    for (fields, path) in cases {
        assert_eq!(kind_of(scene.tell(fields.clone())), bad(path), "{fields:?}");
    }
    assert_eq!(scene.stream, unchanged);
}

#[test]
fn where_one_ends_on_the_next_none_of_its_class_overlap() {
    let mut scene = playing();
    let of = |id: &str, start: u64, duration: Option<u64>, end_on_next: bool| DateRangeFields {
        class: Some("c".into()),
        start_date: Some(FIRST + start),
        duration,
        end_on_next,
        ..range(id)
    };
    scene.tell(of("a", 1_000, Some(500), false)).unwrap();
    scene.tell(of("b", 1_500, None, true)).unwrap();
    assert_eq!(kind_of(scene.tell(of("c", 1_200, None, true))), bad("dateRange.startDate"));
    assert_eq!(kind_of(scene.tell(of("d", 1_500, None, false))), bad("dateRange.startDate"));
    assert_eq!(kind_of(scene.tell(of("e", 0, Some(1_001), false))), bad("dateRange.startDate"));
    scene.tell(of("f", 0, Some(1_000), false)).unwrap();
    let other = DateRangeFields { class: Some("other".into()), ..of("g", 1_200, Some(9_000), false) };
    scene.tell(other).unwrap();
    assert!(
        scene
            .playlist()
            .contains("ID=\"b\",CLASS=\"c\",START-DATE=\"2023-11-14T22:13:21.500Z\",END-ON-NEXT=YES\n")
    );
}

#[test]
fn a_date_range_leaves_with_the_media_it_ended_in() {
    let mut scene = playing();
    scene.settings.window = Duration::from_secs(6);
    scene.send(DataKind::End, Bytes::new()).unwrap();
    scene.init(InitFields::default()).unwrap();
    scene.segment();
    let start = scene.track().segments[0].date_time / 1000;
    let of = |id: &str| DateRangeFields { start_date: Some(start), ..range(id) };
    scene.tell(DateRangeFields { duration: Some(1_000), ..of("short") }).unwrap();
    scene.tell(DateRangeFields { duration: Some(4_500), ..of("long") }).unwrap();
    scene.tell(of("endless")).unwrap();
    scene.tell(DateRangeFields { class: Some("c".into()), end_on_next: true, ..of("first") }).unwrap();
    let next = DateRangeFields { start_date: Some(start + 1_000), class: Some("c".into()), ..of("next") };
    scene.tell(next).unwrap();
    let listed = |scene: &Scene| -> Vec<String> {
        scene.stream.date_ranges.iter().map(|range| range.said.id.clone()).collect()
    };
    for _ in 0..2 {
        scene.segment();
    }
    assert_eq!(listed(&scene), ["short", "long", "endless", "first", "next"]);
    scene.segment();
    assert_eq!(listed(&scene), ["long", "endless", "next"]);
    scene.segment();
    scene.segment();
    assert_eq!(listed(&scene), ["endless", "next"]);
    let late = DateRangeFields { duration: Some(1_000), ..of("late") };
    assert_eq!(kind_of(scene.tell(late)), bad("dateRange.duration"));
}

#[test]
fn a_delta_update_keeps_date_ranges_unless_it_may_skip_them() {
    let mut scene = playing();
    scene.tell(range("old")).unwrap();
    for _ in 0..10 {
        scene.segment();
    }
    scene.tell(range("new")).unwrap();
    scene.plain(334, true);
    let delta = scene.text(Extent::Delta);
    assert!(delta.contains("#EXT-X-VERSION:9\n"), "{delta}");
    let skipped = "#EXT-X-SKIP:SKIPPED-SEGMENTS=5\n#EXT-X-DATERANGE:ID=\"old\"";
    assert!(delta.contains(skipped), "{delta}");
    assert!(delta.contains("DATERANGE:ID=\"new\""), "{delta}");
    let delta = scene.text(Extent::DeltaOfDateRanges);
    assert!(delta.contains("#EXT-X-VERSION:10\n"), "{delta}");
    assert!(delta.contains("SKIPPED-SEGMENTS=5,RECENTLY-REMOVED-DATERANGES=\"\"\n"), "{delta}");
    assert!(!delta.contains("ID=\"old\"") && delta.contains("ID=\"new\""), "{delta}");
}

#[test]
fn removed_date_ranges_are_told_of_for_as_long_as_a_delta_may_need_them() {
    let mut scene = playing();
    scene.tell(DateRangeFields { duration: Some(0), ..range("a") }).unwrap();
    scene.tell(DateRangeFields { duration: Some(500), ..range("b") }).unwrap();
    for _ in 0..30 {
        scene.segment();
    }
    let delta = scene.text(Extent::DeltaOfDateRanges);
    assert!(delta.contains("RECENTLY-REMOVED-DATERANGES=\"a\tb\"\n"), "{delta}");
    assert!(!delta.contains("#EXT-X-DATERANGE"), "{delta}");
    for _ in 0..7 {
        scene.segment();
    }
    let delta = scene.text(Extent::DeltaOfDateRanges);
    assert!(delta.contains("RECENTLY-REMOVED-DATERANGES=\"\"\n"), "{delta}");
}

#[test]
fn date_ranges_are_refused_beyond_their_number_and_size_and_without_a_stream() {
    let mut scene = playing();
    for number in 0..DATE_RANGES_MAX {
        scene.tell(range(&format!("r{number}"))).unwrap();
    }
    assert_eq!(kind_of(scene.tell(range("more"))), bad("dateRange"));
    let ended = DateRangeFields { duration: Some(9_000), ..range("r5") };
    scene.tell(ended).unwrap();

    let mut scene = playing();
    let text = crate::hls::data::ClientValue::Text("x".repeat(2_000));
    let large = |id: &str| DateRangeFields { client: [("X-A".to_owned(), text.clone())].into(), ..range(id) };
    for number in 0..7 {
        scene.tell(large(&format!("r{number}"))).unwrap();
    }
    assert_eq!(kind_of(scene.tell(large("r8"))), bad("dateRange"));
    scene.publisher = "ben".parse().unwrap();
    assert_eq!(kind_of(scene.tell(range("a"))), bad("kind"));
    assert_eq!(kind_of(Scene::new().tell(range("a"))), bad("kind"));
}

#[test]
fn a_new_presentation_has_none_of_the_one_before() {
    let mut scene = playing();
    scene.tell(range("a")).unwrap();
    scene.send(DataKind::End, Bytes::new()).unwrap();
    assert!(scene.playlist().contains("#EXT-X-DATERANGE:ID=\"a\""), "an ended one keeps them");
    scene.init(InitFields::default()).unwrap();
    scene.segment();
    assert!(!scene.playlist().contains("DATERANGE:"), "{}", scene.playlist());
}
