//! Data signals in both forms, and what is none.

use proptest::prelude::*;

use super::*;

fn frame(json: &str, media: &[u8]) -> Bytes {
    let length = u32::try_from(json.len()).unwrap();
    [&length.to_be_bytes(), json.as_bytes(), media].concat().into()
}

fn path_of(error: DataError) -> String {
    match error {
        DataError::Bad { path, .. } => path,
        DataError::TooLarge => "too large".to_owned(),
    }
}

#[test]
fn both_forms_of_a_part_are_the_same_signal() {
    let fields = r#""type":"Data","kind":"part","id":"7","track":"hd","msn":3,"part":1,"duration":0.333,"independent":true,"last":false,"programDateTime":1700000000000"#;
    let json = parse_json(&format!(r#"{{{fields},"data":"AAEC"}}"#)).unwrap();
    let binary = parse_binary(frame(&format!("{{{fields}}}"), &[0, 1, 2])).unwrap();
    assert_eq!(json, binary);
    assert_eq!(json.payload, Bytes::from_static(&[0, 1, 2]));
    let DataKind::Part(part) = json.kind else { panic!("{:?}", json.kind) };
    assert_eq!((part.msn, part.part, part.last), (Some(3), Some(1), Some(false)));
}

#[test]
fn what_is_absent_is_left_to_the_service() {
    let signal = parse_json(r#"{"type":"Data","kind":"init","data":"AA==","unknown":[1]}"#).unwrap();
    assert_eq!(signal.track.as_str(), "main");
    assert_eq!(signal.kind, DataKind::Init(InitFields::default()));
}

#[test]
fn a_bad_signal_names_the_path_at_fault() {
    let cases = [
        (r#"{"type":"Data","kind":"part","msn":"x","data":"AA=="}"#, "msn"),
        (r#"{"type":"Data","kind":"part","msn":-1,"data":"AA=="}"#, "msn"),
        (r#"{"type":"Data","kind":"part","duration":0,"data":"AA=="}"#, "duration"),
        (r#"{"type":"Data","kind":"part","track":"a b","data":"AA=="}"#, "track"),
        (r#"{"type":"Data","kind":"part","data":"A"}"#, "data"),
        (r#"{"type":"Data","kind":"part"}"#, "data"),
        (r#"{"type":"Data","kind":"end","data":"AA=="}"#, "data"),
        (r#"{"type":"Data","kind":"whole","data":"AA=="}"#, "kind"),
        (r#"{"type":"Join"}"#, "type"),
        (r#"{"type":"Data","kind":"part","chunk":{"index":0,"count":2},"data":"AA=="}"#, "id"),
        (
            r#"{"type":"Data","kind":"part","id":"1","chunk":{"index":2,"count":2},"data":"AA=="}"#,
            "chunk.index",
        ),
        (
            r#"{"type":"Data","kind":"part","id":"1","chunk":{"index":0,"count":"2"},"data":"AA=="}"#,
            "chunk.count",
        ),
        (r#"{"type":"Data","kind":"end"} x"#, ""),
        (r#"{"type":"Data","kind":"daterange"}"#, "dateRange"),
        (r#"{"type":"Data","kind":"daterange","dateRange":[]}"#, "dateRange"),
        (r#"{"type":"Data","kind":"daterange","dateRange":{"id":"a"},"data":"AA=="}"#, "data"),
    ];
    for (text, path) in cases {
        assert_eq!(path_of(parse_json(text).unwrap_err()), path, "{text}");
    }
}

#[test]
fn a_frame_shorter_than_it_says_is_refused() {
    assert!(parse_binary(Bytes::from_static(b"\0\0")).is_err());
    assert_eq!(id_of_binary(b"\0\0"), None);
    assert_eq!(id_of_binary(b"\0\0\0\x09{\"id\":1}}"), None);
    assert_eq!(id_of_binary(b"\0\0\0\x0a{\"id\":\"7\"}").as_deref(), Some("7"));
    assert!(parse_binary(Bytes::from_static(b"\0\0\0\x09{}")).is_err());
    assert!(parse_binary(Bytes::from_static(b"\xff\xff\xff\xff{}")).is_err());
}

#[test]
fn an_ack_reads_as_the_protocol_says() {
    let ack = DataAck {
        re: Some("7".to_owned()),
        track: "main".parse().unwrap(),
        msn: Some(4),
        part: Some(2),
        init: None,
        warning: Some(Warning::ShortPart),
    };
    let json = r#"{"type":"DataAck","re":"7","track":"main","msn":4,"part":2,"warning":"short_part"}"#;
    assert_eq!(serde_json::to_string(&ack).unwrap(), json);
}

proptest! {
    #[test]
    fn any_frame_is_a_signal_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_binary(bytes.into());
    }

    #[test]
    fn media_survives_either_form(media in proptest::collection::vec(any::<u8>(), 1..400)) {
        let json = r#"{"type":"Data","kind":"segment"}"#;
        let binary = parse_binary(frame(json, &media)).unwrap();
        let data = STANDARD.encode(&media);
        let text = parse_json(&format!(r#"{{"type":"Data","kind":"segment","data":"{data}"}}"#)).unwrap();
        prop_assert_eq!(&binary.payload[..], &media[..]);
        prop_assert_eq!(binary, text);
    }
}
