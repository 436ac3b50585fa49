//! Has `mobzctl` built anew when the demo site, which is embedded in it, was.

fn main() {
    #[allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
    println!("cargo:rerun-if-changed=../tests/demo/dist");
}
