//! A policy that is understood: options read, patterns compiled, contradictions refused.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use super::options::{MAX_GLOBS, MAX_VALUE_LENGTH, PolicyError, PolicyOption, PolicyOptions};
use super::order::{Direction, OrderBy, TagOrder};
use super::pattern::{Extract, TagGlobs, TagPattern};
use super::range::VersionRange;
use crate::domain::reference::Tag;
use crate::domain::tag::TagVersion;

/// Which tags are wanted.
///
/// Two policies are equal when their options are: that they could mean the same in other words does not count. It holds
/// nothing but the options, which most of those that are equal share, so that thousands cost little; what they compile to is
/// shared by those that are asked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UpdatePolicy {
    options: Arc<PolicyOptions>,
}

/// What the options mean.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) filter: Filter,
    pub(super) pattern: Option<TagPattern>,
    pub(super) measure: Measure,
}

/// Which tags come into question at all, by their names.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) glob: Option<TagGlobs>,
    pub(super) include: Option<TagGlobs>,
    pub(super) exclude: Option<TagGlobs>,
}

/// What makes one tag newer than another, and how far it may be away.
#[derive(Debug)]
pub(super) enum Measure {
    /// The same tag with another digest (rule 13).
    Digest,
    /// A version of the current family; so many leading components must stay (rule 8).
    Level { fixed_components: usize },
    /// Anything newer: of the current family where the current tag carries a version; where not, what differs from it in
    /// nothing but greater numbers.
    LikeCurrent,
    /// A version of the current family with any number of components, inside the range (rule 11).
    Range(VersionRange),
    /// As `Level`, with any suffix.
    AnySuffix { fixed_components: usize },
    /// A decimal number (rule 12).
    Numeric(Direction),
    /// Text, byte by byte (rule 12).
    Alphabetical(Direction),
}

const LEVELS: [(&str, usize); 3] = [("patch", 2), ("minor", 1), ("major", 0)];
/// Any newer tag.
const ANY: &str = "glob:*";
const DIGEST: &str = "digest";
const KINDS: &str = "patch, minor, major, digest, range:RANGE, glob:GLOB and regex:REGEX";

impl UpdatePolicy {
    /// Reads options that name a policy.
    pub fn new(options: PolicyOptions) -> Result<Self, PolicyError> {
        let policy = Self::stored(options);
        policy.rules()?;
        Ok(policy)
    }

    /// Options that were read before, such as those of a record. Should they not be ones that this version can obey, they
    /// accept nothing.
    pub fn stored(options: PolicyOptions) -> Self {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let known = shared.get(&options).cloned();
        let options = known.unwrap_or_else(|| {
            if shared.len() >= MAX_KEPT {
                shared.clear();
            }
            let options = Arc::new(options);
            shared.insert(Arc::clone(&options));
            options
        });
        Self { options }
    }

    /// Reads options that need not name a policy: then it is `digest` for a tag that carries no version (rule 6) and
    /// `minor` for one of several components. Where a pattern or an order says what is compared, and that is no such
    /// version, it is anything newer.
    pub fn for_tag(options: &PolicyOptions, tag: &Tag) -> Result<Self, PolicyError> {
        if options.policy.is_some() {
            return Self::new(options.clone());
        }
        let named = |policy: &str| PolicyOptions {
            policy: Some(policy.to_owned()),
            ..options.clone()
        };
        if options.tag_pattern.is_none() && options.tag_order.is_none() {
            let suits = if TagVersion::parse(tag).is_some() {
                "minor"
            } else {
                "digest"
            };
            return Self::new(named(suits));
        }
        let anything = Self::new(named(ANY))?;
        let has_levels = anything.rules()?.counts_components(tag);
        if has_levels {
            Self::new(named("minor"))
        } else {
            Ok(anything)
        }
    }

    /// The same where the policy was named for many tags at once, and not for this one: how far a version may go was not said
    /// of what carries none.
    pub fn for_one_of_many(options: &PolicyOptions, tag: &Tag) -> Result<Self, PolicyError> {
        let compares_text = options.tag_pattern.is_some() || options.tag_order.is_some();
        let speaks_of_versions =
            |policy: &str| policy.starts_with("range:") || LEVELS.iter().any(|(name, _)| *name == policy);
        let is_meant = compares_text
            || TagVersion::parse(tag).is_some()
            || !options.policy.as_deref().is_some_and(speaks_of_versions);
        if is_meant {
            return Self::for_tag(options, tag);
        }
        let unnamed = PolicyOptions {
            policy: None,
            ..options.clone()
        };
        Self::for_tag(&unnamed, tag)
    }

    /// The options that it was made from.
    pub fn options(&self) -> &PolicyOptions {
        &self.options
    }

    /// Whether it stays on its tag and follows the digest (rule 13). Then nobody needs the list of tags.
    pub fn follows_digest(&self) -> bool {
        self.options.policy.as_deref() == Some(DIGEST)
    }

    pub(super) fn rules(&self) -> Result<Arc<Rules>, PolicyError> {
        let compiled = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rules) = compiled().get(self) {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(Rules::read(&self.options)?);
        let mut compiled = compiled();
        if compiled.len() >= MAX_KEPT {
            compiled.clear();
        }
        compiled.insert(self.clone(), Arc::clone(&rules));
        Ok(rules)
    }
}

impl Ord for UpdatePolicy {
    /// By their options, of which those that are shared need not be looked into.
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.options, &other.options) {
            return Ordering::Equal;
        }
        self.options.cmp(&other.options)
    }
}

impl PartialOrd for UpdatePolicy {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The options that were read last, whatever came of it: the same few stand on every workload, and in every record.
static SHARED: Mutex<BTreeSet<Arc<PolicyOptions>>> = Mutex::new(BTreeSet::new());

/// The rules of the policies that were asked last. The same few are asked for every workload, again and again. Ordered, as
/// options are compared sooner than hashed.
static COMPILED: Mutex<BTreeMap<UpdatePolicy, Arc<Rules>>> = Mutex::new(BTreeMap::new());

/// How many of either are kept; what a pattern compiles to takes up to some hundred kilobytes.
const MAX_KEPT: usize = 64;

impl PolicyOptions {
    /// Whether they can be obeyed, whatever tag they are for.
    pub fn check(&self) -> Result<(), PolicyError> {
        let policy = self.policy.clone().unwrap_or_else(|| ANY.to_owned());
        let named = Self {
            policy: Some(policy),
            ..self.clone()
        };
        UpdatePolicy::stored(named).rules().map(drop)
    }
}

impl Rules {
    /// Whether what is compared of a tag is a version of several components, so that it has levels.
    fn counts_components(&self, tag: &Tag) -> bool {
        let compares_versions = matches!(self.measure, Measure::Level { .. } | Measure::LikeCurrent);
        let extract = match &self.pattern {
            None => Some(Extract::Text(Cow::Borrowed(tag.as_str()))),
            Some(pattern) => pattern.extract(tag.as_str()).ok(),
        };
        let version = match extract {
            Some(Extract::Text(text)) => TagVersion::read(&text),
            Some(Extract::Version(version)) => Some(version),
            None => None,
        };
        compares_versions && version.is_some_and(|version| version.numbers().len() > 1)
    }

    fn read(options: &PolicyOptions) -> Result<Self, PolicyError> {
        check_text(options)?;
        let named = options.policy.as_deref().unwrap_or_default();
        let (kind, argument) = named
            .split_once(':')
            .map_or((named, None), |(kind, argument)| (kind, Some(argument)));
        let level = LEVELS.iter().find(|(name, _)| *name == kind);
        let filter = Filter::read(options, (kind == "glob").then_some(argument).flatten())?;
        let pattern = pattern(options, (kind == "regex").then_some(argument).flatten())?;
        let order = order(options)?;
        let measure = match (kind, level, argument) {
            (DIGEST, _, None) => {
                refuse_comparison(options)?;
                Measure::Digest
            }
            (_, Some(&(_, fixed_components)), None) => level_measure(options, fixed_components, order)?,
            ("range", _, Some(range)) => range_measure(options, range, order)?,
            ("glob" | "regex", _, Some(_)) if order.is_none() && !options.any_suffix => Measure::LikeCurrent,
            ("glob" | "regex", _, Some(_)) => ordered(order, options.any_suffix),
            _ => return Err(unknown_policy(named)),
        };
        let compares_versions = !matches!(measure, Measure::Numeric(_) | Measure::Alphabetical(_));
        if pattern.as_ref().is_some_and(TagPattern::names_version_parts) && !compares_versions {
            return Err(PolicyError::new(
                PolicyOption::TagOrder,
                options.tag_order.clone().unwrap_or_default(),
                "the pattern names the parts of a version, which only semver compares; add a tag-extract to \
                 compare something else",
            ));
        }
        Ok(Self {
            filter,
            pattern,
            measure,
        })
    }
}

/// No tag has a character beyond ASCII, and a white space at the end is a slip that would match nothing.
fn check_text(options: &PolicyOptions) -> Result<(), PolicyError> {
    for (option, value) in options.values() {
        let wrong = if value.bytes().any(|b| !b.is_ascii() || b.is_ascii_control()) {
            "it contains a character that no tag has"
        } else if value.trim() != value && !value.starts_with("range:") {
            "it starts or ends with a space"
        } else {
            continue;
        };
        return Err(PolicyError::new(option, value, wrong));
    }
    Ok(())
}

fn unknown_policy(named: &str) -> PolicyError {
    PolicyError::new(
        PolicyOption::Policy,
        named,
        format!("it is not known; valid are {KINDS}"),
    )
}

impl Filter {
    fn read(options: &PolicyOptions, glob: Option<&str>) -> Result<Self, PolicyError> {
        let list = |option: PolicyOption, globs: &[String]| {
            if globs.len() > MAX_GLOBS {
                let reason = format!("it has {} globs, and may have {MAX_GLOBS}", globs.len());
                return Err(PolicyError::new(option, globs.join(","), reason));
            }
            let length: usize = globs.iter().map(String::len).sum();
            if length > MAX_VALUE_LENGTH {
                let reason = format!("its globs have {length} characters, and may have {MAX_VALUE_LENGTH}");
                return Err(PolicyError::new(option, globs.join(","), reason));
            }
            TagGlobs::new(option, globs)
        };
        Ok(Self {
            glob: TagGlobs::new(PolicyOption::Policy, glob.as_slice())?,
            include: list(PolicyOption::Include, &options.include)?,
            exclude: list(PolicyOption::Exclude, &options.exclude)?,
        })
    }
}

/// The pattern, which `policy` or `tag-pattern` may name.
fn pattern(options: &PolicyOptions, regex: Option<&str>) -> Result<Option<TagPattern>, PolicyError> {
    let template = options.tag_extract.as_deref();
    match (regex, options.tag_pattern.as_deref()) {
        (Some(regex), Some(pattern)) if regex != pattern => Err(PolicyError::new(
            PolicyOption::TagPattern,
            pattern,
            "the policy names another regular expression; leave one of the two out",
        )),
        (Some(regex), _) => TagPattern::new(PolicyOption::Policy, regex, template).map(Some),
        (None, Some(pattern)) => TagPattern::new(PolicyOption::TagPattern, pattern, template).map(Some),
        (None, None) => match template {
            Some(template) => Err(PolicyError::new(
                PolicyOption::TagExtract,
                template,
                "there is no tag-pattern whose groups it could use",
            )),
            None => Ok(None),
        },
    }
}

fn order(options: &PolicyOptions) -> Result<Option<TagOrder>, PolicyError> {
    let Some(written) = &options.tag_order else {
        return Ok(None);
    };
    let order: TagOrder = written
        .parse()
        .map_err(|reason: String| PolicyError::new(PolicyOption::TagOrder, written, reason))?;
    if order.by == OrderBy::Semver && order.direction == Direction::Descending {
        return Err(PolicyError::new(
            PolicyOption::TagOrder,
            written,
            "the greatest version is the newest, and nothing is ever downgraded; write semver",
        ));
    }
    Ok(Some(order))
}

/// The digest policy compares no tags, so that whoever says how to compare them expects something else.
fn refuse_comparison(options: &PolicyOptions) -> Result<(), PolicyError> {
    let given = [
        (PolicyOption::TagPattern, &options.tag_pattern),
        (PolicyOption::TagOrder, &options.tag_order),
    ];
    for (option, value) in given {
        if let Some(value) = value {
            return Err(PolicyError::new(
                option,
                value,
                "the policy digest stays on its tag and compares no others; leave one of the two out",
            ));
        }
    }
    Ok(())
}

fn level_measure(
    options: &PolicyOptions,
    fixed_components: usize,
    order: Option<TagOrder>,
) -> Result<Measure, PolicyError> {
    match order {
        Some(TagOrder { by, .. }) if by != OrderBy::Semver && fixed_components > 0 => Err(PolicyError::new(
            PolicyOption::TagOrder,
            options.tag_order.clone().unwrap_or_default(),
            "patch and minor speak of the components of a version; write semver, or leave the policy out",
        )),
        _ if fixed_components > 0 => Ok(versions(fixed_components, options.any_suffix)),
        order => Ok(ordered(order, options.any_suffix)),
    }
}

fn range_measure(
    options: &PolicyOptions,
    range: &str,
    order: Option<TagOrder>,
) -> Result<Measure, PolicyError> {
    let invalid = |reason: String| PolicyError::new(PolicyOption::Policy, format!("range:{range}"), reason);
    if range.len() > MAX_VALUE_LENGTH {
        let reason = format!(
            "it has {} characters, and may have {MAX_VALUE_LENGTH}",
            range.len()
        );
        return Err(invalid(reason));
    }
    if order.is_some_and(|order| order.by != OrderBy::Semver) {
        return Err(PolicyError::new(
            PolicyOption::TagOrder,
            options.tag_order.clone().unwrap_or_default(),
            "a range speaks of versions; write semver, or leave it out",
        ));
    }
    VersionRange::parse(range).map(Measure::Range).map_err(invalid)
}

/// Anything newer in this order.
fn ordered(order: Option<TagOrder>, any_suffix: bool) -> Measure {
    match order {
        Some(TagOrder {
            by: OrderBy::Numeric,
            direction,
        }) => Measure::Numeric(direction),
        Some(TagOrder {
            by: OrderBy::Alphabetical,
            direction,
        }) => Measure::Alphabetical(direction),
        Some(TagOrder {
            by: OrderBy::Semver, ..
        })
        | None => versions(0, any_suffix),
    }
}

fn versions(fixed_components: usize, any_suffix: bool) -> Measure {
    if any_suffix {
        Measure::AnySuffix { fixed_components }
    } else {
        Measure::Level { fixed_components }
    }
}

impl FromStr for UpdatePolicy {
    type Err = PolicyError;

    /// A policy with no other options.
    fn from_str(policy: &str) -> Result<Self, PolicyError> {
        Self::new(PolicyOptions::of(policy))
    }
}

impl fmt::Debug for UpdatePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpdatePolicy({self})")
    }
}
