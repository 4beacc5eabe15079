//! From which version to which a tag goes that stays the same, by what its images say of themselves: its name does not tell.

use crate::domain::reference::Tag;
use crate::domain::tag::TagVersion;

/// Why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    #[error("the tag stays the same, and it is not known which digest runs")]
    NotKnownWhatRuns,
    #[error(
        "the tag stays the same, and no scan has found the version of what runs (label org.opencontainers.image.version)"
    )]
    Running,
    #[error(
        "the tag stays the same, and no scan has found the version of what is offered (label org.opencontainers.image.version)"
    )]
    Offered,
    #[error(
        "the tag stays the same, and its image says that its version is {0:?} (label org.opencontainers.image.version), which is none"
    )]
    NoVersion(String),
    #[error(
        "the tag stays the same, and so does the version that its image says it is, {0} (label org.opencontainers.image.version)"
    )]
    Same(Tag),
}

/// From the version that the image says it is that runs, to that of the one that is offered.
///
/// # Errors
/// Why they tell nothing.
pub fn versions(running: Option<&str>, offered: Option<&str>) -> Result<(Tag, Tag), Untold> {
    let running = version(running.ok_or(Untold::Running)?)?;
    let offered = version(offered.ok_or(Untold::Offered)?)?;
    if running == offered {
        return Err(Untold::Same(offered));
    }
    Ok((running, offered))
}

fn version(said: &str) -> Result<Tag, Untold> {
    let tag = said.parse::<Tag>().ok();
    tag.filter(|tag| TagVersion::parse(tag).is_some())
        .ok_or_else(|| Untold::NoVersion(said.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_versions_that_differ_are_a_way_to_go() {
        let none = |said: &str| Err(Untold::NoVersion(said.to_owned()));
        let tag = |version: &str| version.parse::<Tag>().unwrap();
        for (running, offered, expected) in [
            (Some("1.4.0"), Some("1.5.0"), Ok((tag("1.4.0"), tag("1.5.0")))),
            (Some("v1.4.0"), Some("v1.3.0"), Ok((tag("v1.4.0"), tag("v1.3.0")))),
            (None, Some("1.5.0"), Err(Untold::Running)),
            (None, None, Err(Untold::Running)),
            (Some("1.4.0"), None, Err(Untold::Offered)),
            (Some("1.5.0"), Some("1.5.0"), Err(Untold::Same(tag("1.5.0")))),
            (Some("main"), Some("main"), none("main")),
            (Some("1.4.0"), Some("main"), none("main")),
            (Some("1.4.0"), Some("of today"), none("of today")),
        ] {
            assert_eq!(versions(running, offered), expected, "{running:?} {offered:?}");
        }
    }
}
