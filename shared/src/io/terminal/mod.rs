//! What the commands of both programs print for people and pipes.

pub mod age;
pub mod output;
pub mod page;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// As one object in one line, for other programs.
    Json,
}
