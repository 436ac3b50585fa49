//! Deployment, without AWS: what a stack's state asks for, what a plan says, what went wrong first. Pure;
//! `crate::aws` asks and does.

pub mod cause;
mod danger;
pub mod environment;
pub mod plan;
pub mod roll;
pub mod run;
pub mod status;
pub mod template;
pub mod tree;

pub use danger::Danger;
