//! What the names of hosts stand for, and who may be reached by them.
//!
//! What the user has named may be anywhere: registries stand in clusters and on intranets. Where a registry leads us is its
//! own choice, and a registry in public may not lead into a private network, nor any registry to a link-local address,
//! where clouds answer with credentials. The addresses that are judged are those that are connected to: a name that was
//! looked up once more might stand for another place by then.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::endpoint::{self, Place};

/// Addresses of hosts that are not looked up.
type Fixed = BTreeMap<String, Vec<IpAddr>>;

/// A name stands for a place where a registry may not lead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a way to {host}, which is {address}, a {place} address")]
pub(super) struct LedAstray {
    host: String,
    address: IpAddr,
    place: Place,
}

/// Looks up the hosts that the user has named, and those that are known to belong to them.
#[derive(Debug, Default)]
pub(super) struct Named {
    fixed: Fixed,
    /// Those that were found in a private network and nowhere else.
    private: Mutex<BTreeSet<String>>,
}

/// Looks up the hosts that registries have led to.
#[derive(Debug)]
pub(super) struct LedTo {
    fixed: Fixed,
    may_be_private: bool,
    /// Their names. What else is looked up is a proxy, which is the user's choice.
    hosts: Mutex<BTreeSet<String>>,
}

impl Named {
    pub(super) fn new(fixed: &Fixed) -> Arc<Self> {
        Arc::new(Self {
            fixed: fixed.clone(),
            private: Mutex::default(),
        })
    }

    /// Whether the host, which has been asked, is in a private network. Behind a proxy nobody knows.
    pub(super) fn is_private(&self, url: &Url) -> bool {
        let by_name = || {
            let private = self.private.lock().unwrap_or_else(PoisonError::into_inner);
            url.host_str().is_some_and(|host| private.contains(host))
        };
        match endpoint::literal_address(url) {
            Some(address) => endpoint::place_of(address) == Place::Private,
            None => by_name(),
        }
    }

    fn note(&self, host: &str, addresses: &[SocketAddr]) {
        let mut private = self.private.lock().unwrap_or_else(PoisonError::into_inner);
        let is_private = |address: &SocketAddr| endpoint::place_of(address.ip()) == Place::Private;
        if !addresses.is_empty() && addresses.iter().all(is_private) {
            private.insert(host.to_owned());
        } else {
            private.remove(host);
        }
    }
}

impl LedTo {
    pub(super) fn new(fixed: &Fixed, may_be_private: bool) -> Arc<Self> {
        Arc::new(Self {
            fixed: fixed.clone(),
            may_be_private,
            hosts: Mutex::default(),
        })
    }

    /// This host is looked up next, if it is not connected to already.
    pub(super) fn expect(&self, url: &Url) {
        if let Some(host) = url.host_str() {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            hosts.insert(host.to_owned());
        }
    }

    /// One address that may not be connected to is enough: which one is taken is not ours to say.
    fn check(&self, host: &str, addresses: &[SocketAddr]) -> Result<(), LedAstray> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if !hosts.contains(host) {
            return Ok(());
        }
        let places = addresses
            .iter()
            .map(|address| (address.ip(), endpoint::place_of(address.ip())));
        let mut astray = places.filter(|(_, place)| match place {
            Place::Public => false,
            Place::Private => !self.may_be_private,
            Place::LinkLocal => true,
        });
        astray.next().map_or(Ok(()), |(address, place)| {
            Err(LedAstray {
                host: host.to_owned(),
                address,
                place,
            })
        })
    }
}

async fn look_up(fixed: Option<&Vec<IpAddr>>, host: &str) -> io::Result<Vec<SocketAddr>> {
    // The port of the URL takes the place of 0.
    match fixed {
        Some(addresses) => Ok(addresses.iter().map(|address| (*address, 0).into()).collect()),
        None => Ok(tokio::net::lookup_host((host, 0)).await?.collect()),
    }
}

/// A resolver that several clients of one kind share.
#[derive(Debug, Clone)]
pub(super) struct Names<T>(pub(super) Arc<T>);

impl Resolve for Names<Named> {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let addresses = look_up(names.fixed.get(host), host).await?;
            names.note(host, &addresses);
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Resolve for Names<LedTo> {
    fn resolve(&self, name: Name) -> Resolving {
        let names = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let addresses = look_up(names.fixed.get(host), host).await?;
            names.check(host, &addresses)?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(addresses: &[&str]) -> Fixed {
        let addresses = addresses.iter().map(|address| address.parse().unwrap());
        [("files.example.com".to_owned(), addresses.collect())].into()
    }

    async fn resolve<T>(names: &Arc<T>) -> Result<usize, String>
    where
        Names<T>: Resolve,
    {
        let name = "files.example.com".parse().unwrap();
        let resolved = Names(Arc::clone(names)).resolve(name).await;
        resolved.map(Iterator::count).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_host_that_was_led_to_has_no_address_where_nobody_may_lead() {
        for (addresses, from_public, from_private) in [
            (&["192.0.2.7"][..], true, true),
            (&["192.0.2.7", "2001:db8::7"], true, true),
            (&["10.0.0.1"], false, true),
            (&["127.0.0.1"], false, true),
            (&["::1"], false, true),
            (&["fd00::1"], false, true),
            (&["100.64.0.1"], false, true),
            (&["::ffff:10.0.0.1"], false, true),
            (&["64:ff9b::10.0.0.1"], false, true),
            (&["192.0.2.7", "10.0.0.1"], false, true),
            (&["169.254.169.254"], false, false),
            (&["64:ff9b::169.254.169.254"], false, false),
            (&["fe80::1"], false, false),
            (&["0.0.0.0"], false, false),
            (&["192.0.2.7", "169.254.169.254"], false, false),
        ] {
            for (may_be_private, expected) in [(false, from_public), (true, from_private)] {
                let names = LedTo::new(&fixed(addresses), may_be_private);
                names.expect(&"https://files.example.com/x".parse().unwrap());
                let resolved = resolve(&names).await;
                assert_eq!(resolved.is_ok(), expected, "{addresses:?}: {resolved:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_proxy_through_which_a_host_is_reached_may_be_anywhere() {
        let names = LedTo::new(&fixed(&["10.0.0.1"]), false);
        names.expect(&"https://elsewhere.example.com/x".parse().unwrap());
        assert_eq!(resolve(&names).await, Ok(1));
    }

    #[tokio::test]
    async fn what_the_user_names_may_be_anywhere_and_is_private_only_if_all_of_it_is() {
        for (addresses, expected) in [
            (&["10.0.0.1"][..], true),
            (&["10.0.0.1", "fd00::1"], true),
            (&["10.0.0.1", "192.0.2.7"], false),
            (&["192.0.2.7"], false),
        ] {
            let names = Named::new(&fixed(addresses));
            let url = "https://files.example.com/x".parse().unwrap();
            assert!(!names.is_private(&url), "nobody knows yet");
            assert_eq!(resolve(&names).await, Ok(addresses.len()));
            assert_eq!(names.is_private(&url), expected, "{addresses:?}");
        }
        let names = Named::default();
        assert!(names.is_private(&"https://10.0.0.1/".parse().unwrap()));
        assert!(!names.is_private(&"https://192.0.2.7/".parse().unwrap()));
    }
}
