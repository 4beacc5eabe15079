//! `cargo demo`: the whole way from a registry to a finished rollout, once, in front of your eyes.
//!
//! [`story`] is what happens, in order; [`shop`] is whom it happens to; [`outside`] is what else there is, and [`person`] who agrees;
//! [`observe`] reads the cluster; [`screen`] shows it.
//! Everything that is shown was observed, and anything that does not come true ends the demo with an error.

mod observe;
mod outside;
mod person;
mod screen;
mod shop;
pub mod story;
