//! Lua scripts: sent by their hash, and whole where the server does not know them yet.

use std::borrow::Cow;
use std::sync::LazyLock;

use redis::{Cmd, FromRedisValue};

use super::connection::Connection;
use mobz_core::store::StoreError;

/// A script and its hash.
#[derive(Debug)]
pub(super) struct Script {
    source: &'static str,
    hash: LazyLock<String, fn() -> String>,
}

/// Declares a [`Script`] from the files it is made of.
macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        static $name: $crate::redis::script::Script =
            $crate::redis::script::Script::new(concat!($(include_str!($file)),+), || {
                redis::Script::new(concat!($(include_str!($file)),+)).get_hash().to_owned()
            });
    };
}
pub(super) use script;

impl Script {
    pub(super) const fn new(source: &'static str, hash: fn() -> String) -> Self {
        Self { source, hash: LazyLock::new(hash) }
    }

    pub(super) fn keys<K: Into<String>>(&'static self, keys: impl IntoIterator<Item = K>) -> Call<'static> {
        Call { script: self, keys: keys.into_iter().map(Into::into).collect(), arguments: Vec::new() }
    }
}

/// A script with its keys and arguments.
#[derive(Debug)]
pub(super) struct Call<'a> {
    script: &'static Script,
    keys: Vec<String>,
    arguments: Vec<Cow<'a, [u8]>>,
}

impl<'a> Call<'a> {
    /// Adds an argument as text.
    #[allow(clippy::needless_pass_by_value, reason = "numbers and ids read better without a reference")]
    pub(super) fn text(mut self, argument: impl ToString) -> Self {
        self.arguments.push(Cow::Owned(argument.to_string().into_bytes()));
        self
    }

    /// Adds an argument as it is, taking it.
    pub(super) fn owned(mut self, argument: Vec<u8>) -> Self {
        self.arguments.push(Cow::Owned(argument));
        self
    }

    /// Adds an argument as it is.
    pub(super) fn bytes<'b>(self, argument: &'b [u8]) -> Call<'b>
    where
        'a: 'b,
    {
        let mut call: Call<'b> = self;
        call.arguments.push(Cow::Borrowed(argument));
        call
    }

    /// Adds a list of arguments as text.
    pub(super) fn texts<T: ToString>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        let bytes = arguments.into_iter().map(|argument| Cow::Owned(argument.to_string().into_bytes()));
        self.arguments.extend(bytes);
        self
    }

    /// Runs it.
    pub(super) async fn run<T: FromRedisValue>(
        self,
        connection: &Connection,
        doing: impl FnOnce() -> String + Send,
    ) -> Result<T, StoreError> {
        let known = self.command("EVALSHA", &self.script.hash);
        // Another command for the rare case, made only then.
        connection.run(&known, || self.command("EVAL", self.script.source), doing).await
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys);
        for argument in &self.arguments {
            command.arg(&**argument);
        }
        command
    }
}
