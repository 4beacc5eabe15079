//! Pure decisions, in reading order: names, versions, settings, records, and what follows from them.

pub mod budget;
pub mod cool_down;
mod hash;
pub mod retry_after;

pub mod schedule;
pub mod shard;
pub mod signed;
pub mod text;
pub mod time;
pub mod window;

pub mod reference;
pub mod tag;

pub mod policy;

pub mod release_notes;

pub mod annotations;
pub mod channel;
pub mod nodes;
pub mod ownership;
pub mod pods;
pub mod workload;

pub mod manifest;
pub mod watched;

pub mod record;

pub mod holds;
pub mod in_flight;
pub mod replica_sets;
pub mod rollout;

pub mod plan;

pub mod patch;

pub mod announcement;
pub mod approval_link;
pub mod approvals;
pub mod decision;
pub mod explanation;
pub mod message;
pub mod notice;
pub mod outbox;
pub mod overview;
pub mod pages;
pub mod scan_request;
pub mod steer;
