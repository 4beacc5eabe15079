//! The ways an API server changes an object it is given a patch for: pure functions over JSON values.
//!
//! Not here: reading, storing, validating or versioning objects; that is the API server's own work.
//!
//! Reading order: [`merge`] and [`json`] are the two general formats; [`schema`] says which lists of the built-in
//! kinds are merged by key; [`strategic`] and [`apply`] use it; [`field_set`], [`compare`] and [`managed_fields`]
//! keep the record of who owns which field.

pub mod apply;
pub mod compare;
pub mod field_set;
pub mod json;
pub mod managed_fields;
pub mod merge;
pub mod schema;
pub mod strategic;
