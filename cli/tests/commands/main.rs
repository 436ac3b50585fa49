//! The built `mobzctl`, as an operator and a script meet it.

mod completions;
mod contexts;
mod help;
mod rooms;
mod signal;
mod stack;
mod store;
mod streams;
mod support;
mod tokens;
