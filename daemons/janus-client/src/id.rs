//! The ids of Janus, each a type of its own.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A session: what handles hang on, and what a controller that comes back claims. Janus draws it, below 2^53.
    SessionId
}
number! {
    /// A handle: one attachment to a plugin, with at most one peer connection. Janus draws it, below 2^53.
    HandleId
}

/// What rooms and feeds are called: text where Janus runs with `string_ids`, else a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Ident {
    Number(u64),
    Text(String),
}

impl Serialize for Ident {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Ident {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = Ident;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id: a string or a positive number")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Ident, E> {
                Ok(Ident::Number(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Ident, E> {
                Ok(Ident::Text(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

macro_rules! named {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Ident);

        impl $name {
            /// The id as text; `None` where Janus runs without `string_ids` and it is a number.
            pub fn as_str(&self) -> Option<&str> {
                match &self.0 {
                    Ident::Text(text) => Some(text),
                    Ident::Number(_) => None,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Ident::Text(text.to_owned()))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Ident::Text(text))
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(Ident::Number(number))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match &self.0 {
                    Ident::Number(number) => number.fmt(f),
                    Ident::Text(text) => text.fmt(f),
                }
            }
        }
    };
}

named! {
    /// A room of the VideoRoom plugin.
    RoomId
}
named! {
    /// A participant of a room: the feed that subscribers subscribe to.
    FeedId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_may_be_called_by_text_or_by_number() {
        let text: RoomId = serde_json::from_str(r#""blue""#).unwrap();
        let number: RoomId = serde_json::from_str("1234").unwrap();
        assert_eq!((text.as_str(), number.as_str()), (Some("blue"), None));
        assert_eq!(serde_json::to_string(&[text, number]).unwrap(), r#"["blue",1234]"#);
        assert!(serde_json::from_str::<RoomId>("-1").is_err());
    }
}
