//! Names of the channels on which munits acknowledge: the same in every store.

use mobz_core::id::NodeId;

const PREFIX: &str = "mobz:reply:";

/// The channel on which `asker` hears acknowledgements.
pub(crate) fn reply_channel(asker: &NodeId) -> String {
    format!("{PREFIX}{asker}")
}

/// Whether [`reply_channel`] may have made it: what a signal names is not written to otherwise.
pub(crate) fn is_reply_channel(channel: &str) -> bool {
    channel.strip_prefix(PREFIX).is_some_and(|asker| asker.parse::<NodeId>().is_ok())
}
