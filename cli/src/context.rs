//! Contexts: the endpoints an operator works with, by name, in `~/.config/mobz/contexts.yaml`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::{Failure, Result, os};

/// The name that stands for "no context": the stack `mobzctl up` started on this machine.
pub const LOCAL: &str = "local";

/// One endpoint with what opens it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Context {
    /// `http(s)://…` (control API) or `redis(s)://…` (straight to the store).
    pub endpoint: String,
    /// An admin token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A key `keyId:secret` that signs admin tokens as they are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// A file of keys, of which the first signs admin tokens as they are needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<PathBuf>,
}

/// The contexts file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Contexts {
    /// The one in use; none is the local stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// All there are, by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

impl Contexts {
    /// Reads the file; one that is not there has no contexts.
    pub fn load() -> Result<Self> {
        let Some(path) = path() else { return Ok(Self::default()) };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                return Err(Failure::failed(
                    format!("cannot read {}", path.display()),
                    os(&error),
                    "make it readable, or name the endpoint with --endpoint",
                ));
            }
        };
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        serde_yaml::from_str(&text).map_err(|error| {
            Failure::failed(
                format!("cannot understand {}", path.display()),
                error.to_string(),
                "correct it, or remove it and add the contexts anew with `mobzctl context add`",
            )
        })
    }

    /// Writes the file, readable by its owner alone: it may hold secrets. All of it or nothing.
    pub fn save(&self) -> Result<()> {
        let path = path().ok_or_else(|| {
            Failure::failed(
                "cannot keep contexts",
                "neither XDG_CONFIG_HOME nor HOME is set",
                "set HOME, or name the endpoint with --endpoint each time",
            )
        })?;
        let text = serde_yaml::to_string(self).map_err(|error| {
            Failure::failed("cannot write the contexts", error.to_string(), "report this as a bug")
        })?;
        write_private(&path, &text).map_err(|error| {
            Failure::failed(
                format!("cannot write {}", path.display()),
                os(&error),
                "check the folder's permissions and the free space",
            )
        })
    }

    /// The context of this name.
    pub fn get(&self, name: &str) -> Result<&Context> {
        self.contexts.get(name).ok_or_else(|| {
            let near = self
                .contexts
                .keys()
                .map(|known| (strsim::jaro_winkler(known, name), known))
                .filter(|(likeness, _)| *likeness > 0.8)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            Failure::not_found(
                format!("cannot use context {name}"),
                "there is no context of that name",
                match near {
                    Some((_, known)) => format!("did you mean {known}? `mobzctl context list` shows all"),
                    None => "add it with `mobzctl context add`, or see `mobzctl context list`".to_owned(),
                },
            )
        })
    }
}

/// Where the contexts are kept; `None` without a home.
pub fn path() -> Option<PathBuf> {
    let base =
        absolute("XDG_CONFIG_HOME").or_else(|| std::env::home_dir().map(|home| home.join(".config")))?;
    Some(base.join("mobz").join("contexts.yaml"))
}

/// A folder from the environment, where it is an absolute path (the XDG rules ignore any other).
pub(crate) fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn write_private(path: &std::path::Path, text: &str) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("yaml.{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_as_it_is_written() {
        let text =
            "current: prod\ncontexts:\n  prod:\n    endpoint: https://mobz.example.org\n    key: k1:s3cret\n";
        let contexts: Contexts = serde_yaml::from_str(text).unwrap();
        assert_eq!(contexts.get("prod").unwrap().key.as_deref(), Some("k1:s3cret"));
        assert_eq!(serde_yaml::to_string(&contexts).unwrap(), text);
    }

    #[test]
    fn a_misspelt_name_is_told_the_nearest() {
        let contexts = Contexts {
            current: None,
            contexts: BTreeMap::from([("production".to_owned(), Context::default())]),
        };
        let failure = contexts.get("prodution").unwrap_err();
        assert!(failure.to_string().contains("did you mean production?"), "{failure}");
    }
}
