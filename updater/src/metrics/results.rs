//! What can become of what the updater does, as the values of labels.

/// What became of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum PatchResult {
    /// Accepted.
    Sent,
    /// The workload had changed since it was read.
    Conflict,
    /// The API server will not have it, now or later.
    Refused,
    /// No answer that says whether it was applied.
    Unknown,
}

/// What became of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum NoticeResult {
    Told,
    /// The Event was there: an earlier attempt or another updater told it.
    AlreadyTold,
    Refused,
    /// To be tried again.
    Failed,
    /// What it speaks of went ahead without it; it is told as soon as it can be.
    Postponed,
    /// What it speaks of went ahead without it, and too many others are to be told later.
    Dropped,
}

/// What became of a message to another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum MessageResult {
    Sent,
    /// To be tried again.
    Failed,
    /// Refused, or not taken within its repetitions or a day.
    GivenUp,
    /// Too many waited.
    Dropped,
    /// It could not be entered in time, and what it speaks of went ahead without it.
    Postponed,
}

/// What came of asking for the release notes of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum NotesResult {
    Found,
    /// Some of them: there are more than are read, or the server allows no more for now.
    Partial,
    /// There are none.
    Missing,
    Unchanged,
    /// To be tried again.
    Failed,
}

/// How an update ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum UpdateResult {
    Completed,
    Failed,
    Superseded,
    /// It failed, and what was there before is back.
    RolledBack,
    /// Somebody asked for what was there before, and it is back.
    RolledBackOnRequest,
    /// It failed, or was to be undone, and the way back failed.
    RollbackFailed,
    /// It had ended, and somebody went back to an older image.
    TakenBack,
}
