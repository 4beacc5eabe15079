//! Which repositories an entry of a docker config is for.

use shared::domain::reference::Repository;

/// Docker Hub's name in image references.
const DOCKER_HUB: &str = "docker.io";
/// Docker Hub's name in docker configs (`https://index.docker.io/v1/`), where [`DOCKER_HUB`] is allowed as well.
const DOCKER_HUB_INDEX: &str = "index.docker.io";

/// The key of an entry: a host, in which each label may be a glob, and perhaps a port and the beginning of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    /// Host, port and path, without scheme, user, query and the API's own `/v1/` or `/v2/`. Orders patterns: read
    /// backwards, the longer path comes before the shorter one and a name before a glob.
    key: String,
    host_length: usize,
}

impl Pattern {
    /// `None` when the key names no host.
    pub fn parse(written: &str) -> Option<Self> {
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| written.strip_prefix(scheme))
            .unwrap_or(written);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.is_empty()
            || host.starts_with(':')
            || host.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return None;
        }
        let path = match path.get(..4) {
            Some("/v1/" | "/v2/") => &path[3..],
            _ => path,
        };
        let host = host.to_ascii_lowercase();
        let host_length = host.len();
        let path = if path == "/" { "" } else { path };
        Some(Self {
            key: host + path,
            host_length,
        })
    }

    /// Host, port and path.
    pub fn as_str(&self) -> &str {
        &self.key
    }

    /// Whether the repository lies below it. The path is a beginning in letters, not in components: `/team` is for
    /// `/teams/app` too.
    pub fn matches(&self, repository: &Repository) -> bool {
        let (host, path) = self.key.split_at(self.host_length);
        let (pattern, pattern_port) = host_and_port(host);
        let registry = repository.registry().to_ascii_lowercase();
        let (name, port) = host_and_port(&registry);
        let path = path.strip_prefix('/').unwrap_or(path);
        pattern_port == port && repository.path().starts_with(path) && labels_match(pattern, name)
    }

    /// Whether it is for a repository of Docker Hub under the name that only docker configs use. That name counts where no
    /// other entry matches.
    pub fn is_hub_index_for(&self, repository: &Repository) -> bool {
        self.key == DOCKER_HUB_INDEX && repository.registry().eq_ignore_ascii_case(DOCKER_HUB)
    }
}

fn host_and_port(host: &str) -> (&str, Option<&str>) {
    if host.ends_with(']') {
        return (host, None);
    }
    match host.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    }
}

/// A glob stands for one label and never for a dot.
fn labels_match(pattern: &str, name: &str) -> bool {
    if name.starts_with('[') {
        return pattern == name;
    }
    let (patterns, labels): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), name.split('.').collect());
    patterns.len() == labels.len()
        && patterns
            .iter()
            .zip(labels)
            .all(|(pattern, label)| glob(pattern.as_bytes(), label.as_bytes()))
}

/// `*`, `[abc]`, `[a-z]`, `[^a-z]`; a `?` is none, as it begins a URL's query. A broken glob matches nothing.
///
/// Goes back to the last star only, so that no glob takes long.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut last_star = None;
    loop {
        if let Some(rest) = pattern.strip_prefix(b"*") {
            last_star = Some((rest, text));
            pattern = rest;
        } else if pattern.is_empty() && text.is_empty() {
            return true;
        } else if let Some(rest) = one(pattern, text) {
            (pattern, text) = (rest, &text[1..]);
        } else {
            let Some((rest, [_, left @ ..])) = last_star else {
                return false;
            };
            last_star = Some((rest, left));
            (pattern, text) = (rest, left);
        }
    }
}

/// What follows the first element of the pattern, if that matches the first letter of the text.
fn one<'a>(pattern: &'a [u8], text: &[u8]) -> Option<&'a [u8]> {
    let (letter, (first, rest)) = (text.first()?, pattern.split_first()?);
    if *first == b'[' {
        return class(rest, *letter).and_then(|(is_member, rest)| is_member.then_some(rest));
    }
    (first == letter).then_some(rest)
}

/// Whether the letter is in the class, and what follows the class; `None` when it is not closed or empty.
fn class(pattern: &[u8], letter: u8) -> Option<(bool, &[u8])> {
    let (negated, members) = match pattern.strip_prefix(b"^") {
        Some(members) => (true, members),
        None => (false, pattern),
    };
    let end = members.iter().position(|byte| *byte == b']')?;
    let (members, rest) = (&members[..end], &members[end + 1..]);
    let mut found = false;
    let mut left = members;
    while let [first, others @ ..] = left {
        (found, left) = match others {
            [b'-', last, after @ ..] => (found || (*first..=*last).contains(&letter), after),
            _ => (found || *first == letter, others),
        };
    }
    (!members.is_empty()).then_some((found != negated, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, repository: &str) -> bool {
        let repository = repository.parse().unwrap();
        Pattern::parse(pattern).unwrap().matches(&repository)
    }

    #[test]
    fn scheme_user_query_and_the_path_of_the_api_are_no_part_of_a_pattern() {
        for (written, expected) in [
            ("registry.example.com", Some("registry.example.com")),
            ("https://registry.example.com", Some("registry.example.com")),
            ("http://registry.example.com/", Some("registry.example.com")),
            ("https://registry.example.com/v1/", Some("registry.example.com")),
            ("https://registry.example.com/v2/", Some("registry.example.com")),
            ("registry.example.com/v2/team", Some("registry.example.com/team")),
            ("registry.example.com/v2", Some("registry.example.com/v2")),
            ("registry.example.com/v3/", Some("registry.example.com/v3/")),
            ("https://index.docker.io/v1/", Some("index.docker.io")),
            (
                "Registry.Example.COM:5000/team",
                Some("registry.example.com:5000/team"),
            ),
            (
                "https://ann:secret@registry.example.com/a?b#c",
                Some("registry.example.com/a"),
            ),
            ("[::1]:5000", Some("[::1]:5000")),
            ("", None),
            ("https://", None),
            ("/team", None),
            (":5000", None),
            ("registry example", None),
        ] {
            let parsed = Pattern::parse(written);
            assert_eq!(parsed.as_ref().map(Pattern::as_str), expected, "{written}");
        }
    }

    #[test]
    fn a_pattern_is_for_the_repositories_below_it() {
        for (pattern, repository, expected) in [
            ("registry.example.com", "registry.example.com/shop/web", true),
            ("REGISTRY.example.com", "registry.example.com/shop/web", true),
            (
                "registry.example.com",
                "registry.example.com:5000/shop/web",
                false,
            ),
            (
                "registry.example.com:5000",
                "registry.example.com:5000/shop/web",
                true,
            ),
            (
                "registry.example.com:5000",
                "registry.example.com/shop/web",
                false,
            ),
            ("registry.example.com/shop", "registry.example.com/shop/web", true),
            (
                "registry.example.com/shop/",
                "registry.example.com/shop/web",
                true,
            ),
            (
                "registry.example.com/shop/web",
                "registry.example.com/shop/web",
                true,
            ),
            ("registry.example.com/sho", "registry.example.com/shop/web", true),
            (
                "registry.example.com/shop/web/x",
                "registry.example.com/shop/web",
                false,
            ),
            (
                "registry.example.com/office",
                "registry.example.com/shop/web",
                false,
            ),
            ("example.com", "registry.example.com/shop/web", false),
            ("docker.io", "nginx", true),
            ("docker.io/library", "nginx", true),
            ("docker.io/shop", "shop/web", true),
            ("index.docker.io", "nginx", false),
            ("registry-1.docker.io", "nginx", false),
            ("[::1]:5000", "[::1]:5000/web", true),
            ("[::1]:5000", "[::2]:5000/web", false),
        ] {
            assert_eq!(
                matches(pattern, repository),
                expected,
                "{pattern} for {repository}"
            );
        }
    }

    #[test]
    fn a_glob_stands_for_one_label_of_the_host() {
        for (pattern, host, expected) in [
            ("*.example.com", "eu.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "a.eu.example.com", false),
            ("*.*.example.com", "a.eu.example.com", true),
            ("registry-*.example.com", "registry-eu.example.com", true),
            ("a*b*c.example.com", "a-b-b-c.example.com", true),
            ("a*b*c.example.com", "a-b-b-d.example.com", false),
            ("registry*.example.com", "registry.example.com", true),
            ("registry-[0-9].example.com", "registry-7.example.com", true),
            ("registry-[^0-9].example.com", "registry-7.example.com", false),
            ("registry-[ab].example.com", "registry-b.example.com", true),
            ("registry-[.example.com", "registry-b.example.com", false),
            ("registry-[].example.com", "registry-b.example.com", false),
            ("*", "localhost", true),
            (
                "*.dkr.ecr.*.amazonaws.com",
                "1.dkr.ecr.eu-central-1.amazonaws.com",
                true,
            ),
            ("*:5000", "localhost:5000", true),
            ("*:5000", "localhost:6000", false),
        ] {
            assert_eq!(
                matches(pattern, &format!("{host}/web")),
                expected,
                "{pattern} for {host}"
            );
        }
        assert!(!matches("registry.example.com/*", "registry.example.com/web"));
    }

    #[test]
    fn the_index_is_docker_hub_and_nothing_else() {
        let index = Pattern::parse("https://index.docker.io/v1/").unwrap();
        assert!(index.is_hub_index_for(&"nginx".parse().unwrap()));
        assert!(!index.is_hub_index_for(&"ghcr.io/shop/web".parse().unwrap()));
        assert!(
            !Pattern::parse("docker.io")
                .unwrap()
                .is_hub_index_for(&"nginx".parse().unwrap())
        );
    }

    #[test]
    fn many_stars_take_no_time() {
        let (pattern, host) = ("*a".repeat(30), "a".repeat(60));
        assert!(matches(
            &format!("{pattern}.example.com"),
            &format!("{host}.example.com/web")
        ));
        assert!(!matches(
            &format!("{pattern}.example.com"),
            &format!("{host}b.example.com/web")
        ));
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_none_and_can_be_matched(written in "[ -~]{0,40}") {
            if let Some(pattern) = Pattern::parse(&written) {
                let _ = pattern.matches(&"registry.example.com/shop/web".parse().unwrap());
                prop_assert_eq!(Pattern::parse(pattern.as_str()).map(|again| again.host_length), Some(pattern.host_length));
            }
        }

        #[test]
        fn a_name_matches_itself(host in "[a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){1,3}", path in "[a-z]{1,9}") {
            let repository = format!("{host}/{path}");
            prop_assert!(matches(&host, &repository) && matches(&repository, &repository));
        }
    }
}
