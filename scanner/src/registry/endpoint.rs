//! Where a registry is reached, and where it may send us.

use std::net::IpAddr;

use reqwest::Url;
pub(super) use url_host::literal_address;
use url_host::undressed;

/// Docker Hub's name in image references, and the host that serves its API.
const DOCKER_HUB: (&str, &str) = ("docker.io", "registry-1.docker.io");

/// Registries whose tokens come from another host.
const TOKEN_HOSTS: &[(&str, &str)] = &[
    ("docker.io", "auth.docker.io"),
    ("registry.gitlab.com", "gitlab.com"),
    ("lscr.io", "ghcr.io"),
];

/// The most redirects that are followed for one request.
pub(super) const MAX_REDIRECTS: usize = 3;

/// `http://127.0.0.1:5000/` or `https://registry-1.docker.io/`; a registry on this machine speaks HTTP unless its certificate
/// authority is known. `None` when the registry's name makes no URL.
pub(super) fn base_url(registry: &str, plain_http_hosts: &[String], has_certificate: bool) -> Option<Url> {
    let host = if registry == DOCKER_HUB.0 {
        DOCKER_HUB.1
    } else {
        registry
    };
    let name = without_port(registry);
    let listed = plain_http_hosts
        .iter()
        .any(|plain| plain.eq_ignore_ascii_case(registry) || plain.eq_ignore_ascii_case(name));
    let scheme = if listed || is_loopback(registry) && !has_certificate {
        "http"
    } else {
        "https"
    };
    Url::parse(&format!("{scheme}://{host}/")).ok()
}

/// Whether the registry's name says that it is on this machine.
pub(super) fn is_loopback(registry: &str) -> bool {
    let host = without_port(registry);
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn without_port(registry: &str) -> &str {
    if registry.ends_with(']') {
        return registry;
    }
    registry.rsplit_once(':').map_or(registry, |(host, _)| host)
}

/// Whether a redirect from `origin` (what was asked first) to `next` may be followed; otherwise, why not.
///
/// Only names and literal addresses are looked at; what a name stands for is judged where it is looked up.
pub(super) fn check_redirect(origin: &Url, next: &Url, redirects: usize) -> Result<(), String> {
    if redirects > MAX_REDIRECTS {
        return Err(format!("more than {MAX_REDIRECTS} redirects"));
    }
    let plain_registry = origin.scheme() == "http";
    if next.scheme() != "https" && !(plain_registry && next.scheme() == "http") {
        return Err(format!("a redirect to {}, which is not https", shown(next)));
    }
    if next.host_str() == origin.host_str() {
        return Ok(());
    }
    let place = literal_address(next).map_or(Place::Public, place_of);
    let is_private = || literal_address(origin).is_some_and(|address| place_of(address) == Place::Private);
    match place {
        Place::Public => Ok(()),
        Place::Private if is_private() => Ok(()),
        Place::Private | Place::LinkLocal => Err(format!("a redirect to {}, a {place} address", shown(next))),
    }
}

/// From where an address is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Place {
    Public,
    Private,
    LinkLocal,
}

/// Which of them an address is, or the one that it stands for.
pub(super) fn place_of(address: IpAddr) -> Place {
    let address = undressed(address);
    if is_link_local(address) {
        Place::LinkLocal
    } else if is_private(address) {
        Place::Private
    } else {
        Place::Public
    }
}

/// Whether a registry may send us to `realm` for a token; otherwise, why not.
pub(super) fn check_realm(
    registry: &str,
    base: &Url,
    realm: &Url,
    configured: Option<&str>,
) -> Result<(), String> {
    if realm.scheme() != "https" && !(base.scheme() == "http" && realm.scheme() == "http") {
        return Err(format!("the token service {} is not https", shown(realm)));
    }
    let host = realm.host_str();
    let known = TOKEN_HOSTS
        .iter()
        .filter(|(name, _)| *name == registry)
        .map(|(_, host)| *host);
    if host == base.host_str() || known.chain(configured).any(|known| host == Some(known)) {
        return Ok(());
    }
    Err(format!(
        "the token service {} is on a host that is not known to serve this registry",
        shown(realm)
    ))
}

/// The URL without its query, which may hold a signature, and without credentials.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unspecified(),
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            // RFC 6598: addresses behind a carrier's translation, which clusters use for pods and nodes too.
            let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0b1100_0000 == 64;
            address.is_private() || address.is_loopback() || is_shared
        }
        IpAddr::V6(address) => address.is_unique_local() || address.is_loopback(),
    }
}

mod url_host {
    use std::net::{IpAddr, Ipv4Addr};

    use reqwest::Url;

    /// The address that a URL spells out, with an IPv4 address in IPv6 clothes undressed.
    pub(in crate::registry) fn literal_address(url: &Url) -> Option<IpAddr> {
        let host = url.host_str()?;
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.eq_ignore_ascii_case("localhost") || host.ends_with(".localhost") {
            return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let address: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
        Some(undressed(address))
    }

    /// `::ffff:a.b.c.d`, and `64:ff9b::a.b.c.d` (RFC 6052), which a translator passes on to `a.b.c.d`.
    pub(super) fn undressed(address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V6(translated) => match translated.segments() {
                [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
                    let [.., a, b, c, d] = translated.octets();
                    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
                }
                _ => address.to_canonical(),
            },
            IpAddr::V4(_) => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_registry_is_reached_over_https_unless_it_is_local_or_listed() {
        for (registry, plain, expected) in [
            ("docker.io", "", "https://registry-1.docker.io/"),
            ("ghcr.io", "", "https://ghcr.io/"),
            (
                "registry.example.com:5000",
                "",
                "https://registry.example.com:5000/",
            ),
            (
                "registry.example.com:5000",
                "registry.example.com",
                "http://registry.example.com:5000/",
            ),
            (
                "registry.example.com:5000",
                "registry.example.com:5000",
                "http://registry.example.com:5000/",
            ),
            (
                "registry.example.com:5000",
                "registry.example.com:6000",
                "https://registry.example.com:5000/",
            ),
            ("localhost:5000", "", "http://localhost:5000/"),
            ("127.0.0.1:5000", "", "http://127.0.0.1:5000/"),
            ("[::1]:5000", "", "http://[::1]:5000/"),
            ("10.0.0.1:5000", "", "https://10.0.0.1:5000/"),
        ] {
            let base = base_url(registry, &[plain.to_owned()], false).unwrap();
            assert_eq!(base.as_str(), expected, "{registry}");
        }
    }

    #[test]
    fn redirects_stay_on_https_and_away_from_private_addresses() {
        for (origin, next, allowed) in [
            (
                "https://registry.example.com/",
                "https://cdn.example.net/blob",
                true,
            ),
            (
                "https://registry.example.com/",
                "http://cdn.example.net/blob",
                false,
            ),
            ("https://registry.example.com/", "file:///etc/passwd", false),
            (
                "https://registry.example.com/",
                "https://169.254.169.254/latest",
                false,
            ),
            ("https://registry.example.com/", "https://10.0.0.1/", false),
            ("https://registry.example.com/", "https://localhost/", false),
            (
                "https://registry.example.com/",
                "https://[::ffff:10.0.0.1]/",
                false,
            ),
            ("https://registry.example.com/", "https://[fd00::1]/", false),
            ("https://registry.example.com/", "https://2130706433/", false),
            ("https://10.0.0.1/", "https://10.0.0.2/", true),
            ("https://10.0.0.1/", "https://169.254.169.254/", false),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:6000/", true),
            ("http://127.0.0.1:5000/", "http://169.254.169.254/", false),
            ("http://127.0.0.1:5000/", "http://cdn.example.net/", true),
        ] {
            assert_eq!(
                check_redirect(&url(origin), &url(next), 1).is_ok(),
                allowed,
                "{origin} to {next}"
            );
        }
    }

    #[test]
    fn the_fourth_redirect_is_refused() {
        let next = url("https://cdn.example.net/");
        assert!(check_redirect(&url("https://registry.example.com/"), &next, 3).is_ok());
        assert!(check_redirect(&url("https://registry.example.com/"), &next, 4).is_err());
    }

    #[test]
    fn tokens_come_from_the_registry_itself_or_from_a_known_host() {
        for (registry, realm, configured, allowed) in [
            ("docker.io", "https://auth.docker.io/token", None, true),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth", None, true),
            ("ghcr.io", "https://ghcr.io/token", None, true),
            ("ghcr.io", "http://ghcr.io/token", None, false),
            ("ghcr.io", "https://auth.docker.io/token", None, false),
            (
                "registry.example.com",
                "https://gitlab.example.com/jwt/auth",
                None,
                false,
            ),
            (
                "registry.example.com",
                "https://gitlab.example.com/jwt/auth",
                Some("gitlab.example.com"),
                true,
            ),
            ("127.0.0.1:5000", "http://127.0.0.1:5001/token", None, true),
            ("127.0.0.1:5000", "http://auth.example.com/token", None, false),
        ] {
            let base = base_url(registry, &[], false).unwrap();
            let checked = check_realm(registry, &base, &url(realm), configured);
            assert_eq!(checked.is_ok(), allowed, "{registry} with {realm}");
        }
    }
}
