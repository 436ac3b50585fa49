//! Has `mobzctl` built anew when the demo site, which is embedded in it, was.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=../tests/demo/dist");
}
