//! Descriptions without their candidates. Pure.

/// What a candidate's line begins with (RFC 8839 §5.1).
const CANDIDATE: &str = "a=candidate:";
/// The line that says that all candidates were told (RFC 8840 §8.2).
const END: &str = "a=end-of-candidates";

/// A description and its candidates, told one by one. All m-lines are bundled (RFC 9143), so that those of
/// the first are all there are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Apart {
    /// Without candidates.
    pub(super) description: String,
    pub(super) candidates: Vec<String>,
    /// The mid of the first m-line.
    pub(super) mid: String,
}

/// Takes a description and its candidates apart.
pub(super) fn apart(sdp: &str) -> Apart {
    let is_told = |line: &&str| line.starts_with(CANDIDATE) || *line == END;
    let without: Vec<&str> = sdp.lines().filter(|line| !is_told(line)).collect();
    let is_m_line = |line: &&str| line.starts_with("m=");
    let first: Vec<&str> =
        sdp.lines().skip_while(|line| !is_m_line(line)).skip(1).take_while(|line| !is_m_line(line)).collect();
    let candidates = first.iter().filter(|line| line.starts_with(CANDIDATE));
    let mid = first.iter().find_map(|line| line.strip_prefix("a=mid:"));
    Apart {
        description: without.join("\r\n") + "\r\n",
        candidates: candidates.filter_map(|line| Some(line.strip_prefix("a=")?.to_owned())).collect(),
        mid: mid.unwrap_or("0").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_those_of_the_first_m_line_and_the_description_has_none() {
        let candidate = "candidate:1 1 udp 2130706175 10.99.0.1 4000 typ host";
        let told = format!("a={candidate}\r\na=end-of-candidates\r\n");
        let sdp = format!("v=0\r\nm=audio 9 X\r\na=mid:x\r\n{told}m=video 9 X\r\na=mid:y\r\n{told}");
        let description = "v=0\r\nm=audio 9 X\r\na=mid:x\r\nm=video 9 X\r\na=mid:y\r\n".to_owned();
        let expected = Apart { description, candidates: vec![candidate.to_owned()], mid: "x".to_owned() };
        assert_eq!(apart(&sdp), expected);
    }
}
