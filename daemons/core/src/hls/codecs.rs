//! RFC 6381 names of codecs, from their sample entries.

use std::fmt::Write as _;

use mp4_atom::{Btrt, Codec, Hvcc, VpcC};

/// The name players are told, as `CODECS` wants it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the crate's enum is open, and few of it are codecs of players"
)]
pub(super) fn name(entry: &Codec) -> String {
    match entry {
        Codec::Avc1(avc) => avc_name("avc1", &avc.avcc),
        Codec::Avc3(avc) => avc_name("avc3", &avc.avcc),
        Codec::Hvc1(hevc) => hevc_name("hvc1", &hevc.hvcc),
        Codec::Hev1(hevc) => hevc_name("hev1", &hevc.hvcc),
        Codec::Vp08(vp8) => vpx_name("vp08", &vp8.vpcc),
        Codec::Vp09(vp9) => vpx_name("vp09", &vp9.vpcc),
        Codec::Av01(av1) => {
            let config = &av1.av1c;
            let tier = if config.seq_tier_0 { 'H' } else { 'M' };
            let depth = match (config.high_bitdepth, config.twelve_bit) {
                (false, _) => 8,
                (true, false) => 10,
                (true, true) => 12,
            };
            format!("av01.{}.{:02}{tier}.{depth:02}", config.seq_profile, config.seq_level_idx_0)
        }
        Codec::Mp4a(aac) => {
            let config = &aac.esds.es_desc.dec_config;
            match (config.object_type_indication, &config.dec_specific) {
                (0x40, Some(specific)) => format!("mp4a.40.{}", specific.profile),
                (object_type, _) => format!("mp4a.{object_type:02x}"),
            }
        }
        // Lower case, which every browser's MSE takes; the sample entry itself is spelt `Opus`.
        Codec::Opus(_) => "opus".to_owned(),
        Codec::Flac(_) => "fLaC".to_owned(),
        Codec::Ac3(_) => "ac-3".to_owned(),
        Codec::Eac3(_) => "ec-3".to_owned(),
        Codec::Mp3(_) => "mp4a.6b".to_owned(),
        Codec::Unknown(kind, _) => <[u8; 4]>::from(*kind).escape_ascii().to_string(),
        // Whatever else the crate knows is named by its box.
        other => format!("{other:?}")
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase(),
    }
}

/// The peak bitrate a sample entry's `btrt` tells, in bits a second.
#[expect(clippy::wildcard_enum_match_arm, reason = "the crate's enum is open, and few of it have a bitrate")]
pub(super) fn peak_bitrate(entry: &Codec) -> Option<u64> {
    let btrt: Option<&Btrt> = match entry {
        Codec::Avc1(avc) => avc.btrt.as_ref(),
        Codec::Avc3(avc) => avc.btrt.as_ref(),
        Codec::Hvc1(hevc) => hevc.btrt.as_ref(),
        Codec::Hev1(hevc) => hevc.btrt.as_ref(),
        Codec::Vp08(vp8) => vp8.btrt.as_ref(),
        Codec::Vp09(vp9) => vp9.btrt.as_ref(),
        Codec::Av01(av1) => av1.btrt.as_ref(),
        Codec::Mp4a(aac) => aac.btrt.as_ref(),
        Codec::Opus(opus) => opus.btrt.as_ref(),
        _ => None,
    };
    btrt.map(|btrt| u64::from(btrt.max_bitrate)).filter(|bitrate| *bitrate > 0)
}

fn avc_name(kind: &str, avcc: &mp4_atom::Avcc) -> String {
    let (profile, compatibility, level) =
        (avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication);
    format!("{kind}.{profile:02x}{compatibility:02x}{level:02x}")
}

/// ISO/IEC 14496-15 annex E.3.
fn hevc_name(kind: &str, hvcc: &Hvcc) -> String {
    let space = match hvcc.general_profile_space {
        1 => "A",
        2 => "B",
        3 => "C",
        _ => "",
    };
    let compatibility = u32::from_be_bytes(hvcc.general_profile_compatibility_flags).reverse_bits();
    let tier = if hvcc.general_tier_flag { 'H' } else { 'L' };
    let mut name = format!(
        "{kind}.{space}{}.{compatibility:X}.{tier}{}",
        hvcc.general_profile_idc, hvcc.general_level_idc
    );
    let constraints = &hvcc.general_constraint_indicator_flags;
    let used = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for byte in &constraints[..used] {
        // Writing to a string does not fail.
        let _ = write!(name, ".{byte:X}");
    }
    name
}

fn vpx_name(kind: &str, vpcc: &VpcC) -> String {
    format!("{kind}.{:02}.{:02}.{:02}", vpcc.profile, vpcc.level, vpcc.bit_depth)
}
