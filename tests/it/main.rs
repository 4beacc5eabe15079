//! The end-to-end tests: one binary, one module for each part.

mod registry;
mod registry_tools;
