//! Which release of an operating-system distribution a variant is built on (rule 15).
//!
//! Language runtimes and libraries in a suffix (`-php8.2`, `-otp-26`, `-cuda12`) are no distributions: to move on along
//! one of those is another decision than to move on to the next release of the system below.

use std::cmp::Ordering;
use std::fmt;

use super::Family;

/// A release of a distribution, as a variant suffix names it: `alpine3.19`, `bookworm`, `ubuntu-22.04`, `ltsc2022`.
///
/// Prints as the publisher wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionRelease<'f> {
    distribution: Distribution,
    rank: Rank,
    written: &'f str,
}

impl DistributionRelease<'_> {
    /// Which of two releases of one distribution is the later one; `None` if that cannot be told from how they are
    /// written. Two that differ only in spelling, such as `alpine3.19` and `alpine-3.19`, are equal.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.distribution != other.distribution {
            return None;
        }
        match (&self.rank, &other.rank) {
            (Rank::Named(ours), Rank::Named(theirs)) => Some(ours.cmp(theirs)),
            // `alpine3` is every 3.x, neither before nor after `alpine3.19`.
            (Rank::Numbered(ours), Rank::Numbered(theirs)) => {
                (ours.len() == theirs.len()).then(|| ours.cmp(theirs))
            }
            (Rank::Named(_), Rank::Numbered(_)) | (Rank::Numbered(_), Rank::Named(_)) => None,
        }
    }
}

impl fmt::Display for DistributionRelease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.written)
    }
}

impl Family {
    /// The distribution release that the variant is built on, if its suffix names exactly one.
    pub fn distribution(&self) -> Option<DistributionRelease<'_>> {
        Some(find(&self.suffix)?.release)
    }

    /// Which of two families that differ in nothing but the release of the distribution below is built on the later
    /// one: `Less` if the other is. `None` if they differ in anything else, too.
    pub fn compare_distributions(&self, other: &Self) -> Option<Ordering> {
        if (&self.prefix, self.shape) != (&other.prefix, other.shape) {
            return None;
        }
        self.compare_distributions_in_range(other)
    }

    /// The same, where neither a `v` nor the number of components counts.
    pub fn compare_distributions_in_range(&self, other: &Self) -> Option<Ordering> {
        self.spelling(&other.prefix)?;
        let (ours, theirs) = (find(&self.suffix)?, find(&other.suffix)?);
        if (ours.before, ours.after) == (theirs.before, theirs.after) {
            ours.release.compare(&theirs.release)
        } else {
            None
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Distribution {
    AlmaLinux,
    Alpine,
    AmazonLinux,
    AzureLinux,
    CentOs,
    Debian,
    EnterpriseLinux,
    Fedora,
    OracleLinux,
    RockyLinux,
    Ubuntu,
    UniversalBaseImage,
    Windows,
}

/// Where a release stands among those of its distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Rank {
    /// By its place in the list of names.
    Named(usize),
    Numbered(Vec<u64>),
}

/// The words that a release number follows, glued or after a `-`: `alpine3.19`, `alpine-3.19`.
const NUMBERED: [(&str, Distribution); 19] = [
    ("alpine", Distribution::Alpine),
    ("debian", Distribution::Debian),
    ("ubuntu", Distribution::Ubuntu),
    ("ubi", Distribution::UniversalBaseImage),
    ("el", Distribution::EnterpriseLinux),
    ("rhel", Distribution::EnterpriseLinux),
    ("centos", Distribution::CentOs),
    ("rocky", Distribution::RockyLinux),
    ("rockylinux", Distribution::RockyLinux),
    ("alma", Distribution::AlmaLinux),
    ("almalinux", Distribution::AlmaLinux),
    ("ol", Distribution::OracleLinux),
    ("oraclelinux", Distribution::OracleLinux),
    ("al", Distribution::AmazonLinux),
    ("amazonlinux", Distribution::AmazonLinux),
    ("fedora", Distribution::Fedora),
    ("fc", Distribution::Fedora),
    // The name of Azure Linux before its release 3.
    ("mariner", Distribution::AzureLinux),
    ("azurelinux", Distribution::AzureLinux),
];

/// Code names from the oldest release to the newest; a `=` stands between two names of one release.
const NAMED: [(Distribution, &[&str]); 3] = [
    (
        Distribution::Debian,
        &[
            "wheezy", "jessie", "stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke",
        ],
    ),
    (
        Distribution::Ubuntu,
        &[
            "precise", "trusty", "xenial", "yakkety", "zesty", "artful", "bionic", "cosmic", "disco", "eoan",
            "focal", "groovy", "hirsute", "impish", "jammy", "kinetic", "lunar", "mantic", "noble",
            "oracular", "plucky", "questing", "resolute", "stonking",
        ],
    ),
    (
        Distribution::Windows,
        &[
            "ltsc2016=sac2016",
            "1709",
            "1803",
            "1809=ltsc2019",
            "1903",
            "1909",
            "2004",
            "20H2",
            "ltsc2022",
            "ltsc2025",
        ],
    ),
];

/// The words after which a name of digits alone is a release of Windows.
const WINDOWS_IMAGES: [&str; 3] = ["windowsservercore", "nanoserver", "windows"];

/// Whether a number, in front of which `word-` stands, is a release of the distribution that the word names.
///
/// Publishers also write the version of their own program there: Zabbix has `alpine-6.4.10` and `ubuntu-6.4.10`. So
/// only the form that the distribution itself uses counts.
pub(super) fn is_release(word: &str, written: &str, is_lone: bool) -> bool {
    if WINDOWS_IMAGES.contains(&word) {
        return is_lone;
    }
    let Some((_, distribution)) = NUMBERED.iter().find(|(name, _)| *name == word) else {
        return false;
    };
    let halves = written.split_once('.');
    match distribution {
        Distribution::Alpine => halves.is_some_and(|(major, minor)| major == "3" && !minor.contains('.')),
        Distribution::Ubuntu => {
            halves.is_some_and(|(year, month)| year.len() == 2 && ["04", "10"].contains(&month))
        }
        Distribution::AlmaLinux
        | Distribution::AmazonLinux
        | Distribution::AzureLinux
        | Distribution::CentOs
        | Distribution::Debian
        | Distribution::EnterpriseLinux
        | Distribution::Fedora
        | Distribution::OracleLinux
        | Distribution::RockyLinux
        | Distribution::UniversalBaseImage
        | Distribution::Windows => is_lone,
    }
}

/// A release in a suffix, and the text around it.
struct Found<'f> {
    before: &'f str,
    release: DistributionRelease<'f>,
    after: &'f str,
}

/// The only release that a suffix names; `None` also if it names several, for then none of them is the one below.
fn find(suffix: &str) -> Option<Found<'_>> {
    let mut found = None;
    let mut previous = "";
    let mut start = 0;
    while start < suffix.len() {
        let text = &suffix[start..];
        let word = first_word(text);
        if let Some((distribution, rank, length)) = named(word, previous).or_else(|| numbered(text)) {
            if found.is_some() {
                return None;
            }
            let (written, after) = text.split_at(length);
            found = Some(Found {
                before: &suffix[..start],
                release: DistributionRelease {
                    distribution,
                    rank,
                    written,
                },
                after,
            });
            start += length + 1;
        } else {
            start += word.len() + 1;
        }
        previous = word;
    }
    found
}

/// The text up to the next separator of words. A dot is none: it belongs to a release number.
fn first_word(text: &str) -> &str {
    text.split(['-', '_']).next().unwrap_or(text)
}

/// The release that a word names, with the length of its text.
fn named(word: &str, previous: &str) -> Option<(Distribution, Rank, usize)> {
    if word.bytes().all(|b| b.is_ascii_digit()) && !WINDOWS_IMAGES.contains(&previous) {
        return None;
    }
    NAMED.iter().find_map(|&(distribution, releases)| {
        let place = releases
            .iter()
            .position(|names| names.split('=').any(|name| name == word))?;
        Some((distribution, Rank::Named(place), word.len()))
    })
}

/// The numbered release at the start of a text, with the length of its text.
fn numbered(text: &str) -> Option<(Distribution, Rank, usize)> {
    let letters = text
        .bytes()
        .position(|b| !b.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let &(_, distribution) = NUMBERED.iter().find(|(name, _)| *name == &text[..letters])?;
    let rest = &text[letters..];
    let number = first_word(rest.strip_prefix('-').unwrap_or(rest));
    let components = number.split('.').map(|component| component.parse().ok());
    let components: Vec<u64> = components.collect::<Option<_>>()?;
    let is_glued = number.len() == rest.len();
    if !is_plausible(distribution, &components, is_glued) {
        return None;
    }
    let rank = Rank::Numbered(components);
    let length = text.len() - rest.len() + usize::from(rest.starts_with('-')) + number.len();
    Some((distribution, rank, length))
}

/// Whether a distribution has had such a release. Fluentd's `-debian-1.0` and `-alpine-11` are its own revisions.
fn is_plausible(distribution: Distribution, components: &[u64], is_glued: bool) -> bool {
    let oldest = match distribution {
        Distribution::Alpine => 3,
        Distribution::Debian => 7,
        Distribution::Ubuntu => 12,
        Distribution::AlmaLinux
        | Distribution::AmazonLinux
        | Distribution::AzureLinux
        | Distribution::CentOs
        | Distribution::EnterpriseLinux
        | Distribution::Fedora
        | Distribution::OracleLinux
        | Distribution::RockyLinux
        | Distribution::UniversalBaseImage
        | Distribution::Windows => 1,
    };
    let is_whole = is_glued || distribution != Distribution::Alpine || components.len() > 1;
    is_whole && components.first().is_some_and(|&first| first >= oldest)
}
