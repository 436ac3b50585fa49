//! Harness and end-to-end tests over the built binaries.
