//! Whatever text a client sends, reading it ends in a signal or in a refusal that can be sent back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mobz_core::signal::{Code, SIGNAL_ID_LENGTH_MAX, ServerSignal, parse};

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(incoming) => assert!(id_fits(incoming.id.as_deref())),
        Err(unparsed) => {
            assert!(id_fits(unparsed.id.as_deref()));
            assert!(matches!(unparsed.refusal.code, Code::BadSignal | Code::UnknownSignal));
            assert!(!unparsed.refusal.message.is_empty());
            let answer = ServerSignal::from(unparsed.refusal).to_json(unparsed.id.as_deref());
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("an Error is JSON");
            assert_eq!(answer.get("re").and_then(|re| re.as_str()), unparsed.id.as_deref());
        }
    }
});

fn id_fits(id: Option<&str>) -> bool {
    id.is_none_or(|id| id.chars().count() <= SIGNAL_ID_LENGTH_MAX)
}
