//! Values of `mobz.yaml` that are more than text: parsed once, and believed from then on.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name of an environment: load balancers' names are 32 at most, and hold it.
const NAME_LENGTH_MAX: usize = 16;
/// How many days CloudWatch keeps logs, where it may be chosen.
const RETENTIONS: [u32; 17] = [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827];

macro_rules! text {
    ($name:ident, $what:literal, $is:expr) => {
        impl $name {
            /// As it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let is: fn(&str) -> bool = $is;
                if is(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(format!(concat!($what, ", not {:?}"), text))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// The name of an environment: 1 to 16 lowercase letters, digits and single hyphens inside, a letter first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct EnvironmentName(String);

text!(
    EnvironmentName,
    "an environment's name is 1 to 16 lowercase letters, digits and hyphens, a letter first",
    |text| {
        let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        text.len() <= NAME_LENGTH_MAX
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(is_letter)
            && !text.ends_with('-')
            && !text.contains("--")
    }
);

/// An AWS region, as `eu-central-1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Region(String);

text!(Region, "a region is written like eu-central-1", |text| {
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() >= 3
        && parts.iter().all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric()))
        && parts.last().is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()))
});

/// A network's addresses: an IPv4 /16 to /24, as `10.20.0.0/16`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Cidr(String);

text!(Cidr, "a network is an IPv4 /16 to /24, like 10.20.0.0/16", |text| {
    let Some((address, length)) = text.split_once('/') else { return false };
    let (Ok(address), Ok(length)) = (address.parse::<Ipv4Addr>(), length.parse::<u32>()) else {
        return false;
    };
    (16..=24).contains(&length) && u32::from(address) << length == 0
});

impl Cidr {
    /// How many bits are the network's: 16 to 24.
    pub fn prefix_length(&self) -> u32 {
        self.0.split_once('/').and_then(|(_, length)| length.parse().ok()).unwrap_or(16)
    }
}

impl Default for Cidr {
    fn default() -> Self {
        Self("10.20.0.0/16".to_owned())
    }
}

/// The sizes of tasks that Fargate knows: CPU units, then the least and the most memory and its steps, MiB
/// (Amazon ECS Developer Guide, "Task CPU and memory").
const FARGATE: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2048, 512),
    (512, 1024, 4096, 1024),
    (1024, 2048, 8192, 1024),
    (2048, 4096, 16_384, 1024),
    (4096, 8192, 30_720, 1024),
    (8192, 16_384, 61_440, 4096),
    (16_384, 32_768, 122_880, 8192),
];

/// Whether Fargate has tasks of this size; else the key at fault, why, and what to do.
pub(super) fn fargate(
    cpu_key: &'static str,
    memory_key: &'static str,
    cpu: u32,
    memory: u32,
) -> Result<(), (&'static str, String, String)> {
    let Some((_, least, most, step)) = FARGATE.into_iter().find(|(known, ..)| *known == cpu) else {
        let known = FARGATE.map(|(cpu, ..)| cpu.to_string()).join(", ");
        return Err((
            cpu_key,
            format!("{cpu_key} is {cpu}, and Fargate has no such tasks"),
            format!("write one of {known}"),
        ));
    };
    // The smallest size has no step between its second and its last.
    let fits =
        (least..=most).contains(&memory) && memory.is_multiple_of(step) && (cpu, memory) != (256, 1536);
    if fits {
        return Ok(());
    }
    let why = format!("{memory_key} is {memory}, and Fargate has no such tasks with {cpu_key} {cpu}");
    let remedy = match cpu {
        256 => "write 512, 1024 or 2048".to_owned(),
        _ => format!("write {least} to {most} in steps of {step}"),
    };
    Err((memory_key, why, remedy))
}

/// A range of ports, `from-to`, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ports {
    /// The first.
    pub from: u16,
    /// The last.
    pub to: u16,
}

impl TryFrom<String> for Ports {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let ends = text.split_once('-').and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
        match ends {
            Some((from, to)) if from >= 1024 && from < to => Ok(Self { from, to }),
            Some(_) | None => Err(format!("ports are written like 20000-20999, from 1024 on, not {text:?}")),
        }
    }
}

impl From<Ports> for String {
    fn from(ports: Ports) -> Self {
        ports.to_string()
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from, self.to)
    }
}

/// How many days logs are kept: one of those that CloudWatch knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Retention(u32);

impl Retention {
    /// Days.
    pub const fn days(self) -> u32 {
        self.0
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self(30)
    }
}

impl TryFrom<u32> for Retention {
    type Error = String;

    fn try_from(days: u32) -> Result<Self, String> {
        if RETENTIONS.contains(&days) {
            return Ok(Self(days));
        }
        let known = RETENTIONS.map(|days| days.to_string()).join(", ");
        Err(format!("logs are kept for one of {known} days, not {days}"))
    }
}

/// Times as they are written on the command line: `60s`, `10m`.
pub(super) mod time {
    use std::time::Duration;

    use mobz_runtime::config::duration;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::config) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{}s", time.as_secs()))
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        duration(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_stacks_and_load_balancers_may_be_called() {
        for good in ["a", "demo", "eu-1", "abcdefghijklmnop"] {
            assert!(good.parse::<EnvironmentName>().is_ok(), "{good}");
        }
        for bad in ["", "1a", "-a", "a-", "a--b", "Demo", "a_b", "abcdefghijklmnopq"] {
            assert!(bad.parse::<EnvironmentName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_has_no_host_bits() {
        assert!("10.20.0.0/16".parse::<Cidr>().is_ok());
        for bad in ["10.20.0.1/16", "10.20.0.0", "10.20.0.0/8", "10.0.0.0/33", "::/16"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn regions_end_in_a_number() {
        assert!("us-gov-west-1".parse::<Region>().is_ok() && "eu-central-1".parse::<Region>().is_ok());
        assert!("frankfurt".parse::<Region>().is_err() && "eu-central".parse::<Region>().is_err());
    }

    #[test]
    fn ports_are_a_range_above_the_privileged_ones() {
        assert_eq!(Ports::try_from("20000-20999".to_owned()), Ok(Ports { from: 20_000, to: 20_999 }));
        for bad in ["80-90", "3000-2000", "20000", "20000-99999"] {
            assert!(Ports::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
