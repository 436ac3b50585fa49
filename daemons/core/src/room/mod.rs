//! Rooms: who is there, who owns it, what each may do.

mod record;

pub use record::{
    Audience, Grants, HEIRS_KNOWN, Heir, M2M_PUBLISHERS_MAX, M2M_VIEWERS_MAX, Mode, Participant,
    ParticipantType, Record,
};
