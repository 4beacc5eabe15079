//! The end-to-end tests: one binary, one module for each part.

mod apiserver;
mod registry;
mod registry_tools;
