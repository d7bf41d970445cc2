//! Where a registry may lead: to another server for bytes, for tokens, for uploads.
//!
//! Never to an address that answers only to whoever stands near it, and never to one that is nearer than the registry itself:
//! a registry that everybody reaches leads to nobody's own network. TLS does not end on the way. A name's addresses are looked
//! at where they are connected to. Where a proxy of the environment connects, names are looked up by it alone; what is looked
//! up here then is the proxy's own name, which says nothing of where the registry is: addresses that stand in URLs are
//! refused as if it were the farthest.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use attorn_core::address::{Reach, never_reached};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::shown;
use crate::failure::Failure;

/// How many addresses of a name are looked at.
const ADDRESSES_MAX: usize = 16;

/// Whether there is TLS on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Security {
    /// Yes.
    Tls,
    /// No, and the way does not leave this machine.
    Machine,
}

/// Where it may lead. What is known of that is shared, since some is known only when a name is resolved.
#[derive(Clone)]
pub(super) struct Way {
    security: Security,
    /// The registry's own host.
    registry: Arc<str>,
    known: Arc<Mutex<Known>>,
}

struct Known {
    /// The nearest that the way may lead to: as near as the registry.
    nearest: Reach,
    /// The hosts of all URLs that may be asked. Any other name that is resolved is a proxy's.
    asked: BTreeSet<String>,
}

/// Resolves the registry's name.
pub(super) struct ToRegistry(pub(super) Way);

/// Resolves names that the registry named.
pub(super) struct Onward(pub(super) Way);

impl Way {
    /// The way to a registry at this host, which has this address if it is no name.
    pub(super) fn new(security: Security, registry: &str, address: Option<IpAddr>) -> Result<Self, Failure> {
        // What is not known reaches furthest, and leads least.
        let known = Known { nearest: Reach::Public, asked: BTreeSet::new() };
        let way = Self { security, registry: registry.into(), known: Arc::new(Mutex::new(known)) };
        if let Some(address) = address {
            way.registry_at(address).map_err(|why| Failure::new(format!("the registry is at `{address}`, {why}")))?;
            way.set(Reach::of(address));
        }
        Ok(way)
    }

    /// Whether a URL that the registry named may be asked.
    pub(super) fn check(&self, url: &Url) -> Result<(), Failure> {
        let refused = |why: &str| {
            Err(Failure::new(format!("the registry leads to `{}`, {why}", shown(url)))
                .with_help("is it the registry that you mean? whoever runs it can say why it leads there"))
        };
        let machine = self.security == Security::Machine;
        match url.scheme() {
            "https" => {}
            "http" if machine => {}
            "http" => return refused("where there is no TLS"),
            _ => return refused("which is neither https nor http"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused("with a user or a password in it");
        }
        let Some(host) = url.host_str() else { return refused("which has no host") };
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) => self.onward_at(address).or_else(refused),
            Err(_) if url.scheme() == "http" && host != "localhost" => refused("where there is no TLS"),
            Err(_) => {
                self.known().asked.insert(host.to_owned());
                Ok(())
            }
        }
    }

    /// Whether name and password may go to this URL, which the registry named for that. With TLS the registry says who takes
    /// them for it; without, they do not leave its host, where anybody may listen at another address of this machine.
    pub(super) fn check_realm(&self, url: &Url) -> Result<(), Failure> {
        if self.security == Security::Machine && url.host_str() != Some(&*self.registry) {
            return Err(Failure::new(format!(
                "the registry has its tokens given at `{}`, which is another host, and there is no TLS",
                shown(url)
            ))
            .with_help("without TLS, name and password go to the registry's own host alone"));
        }
        Ok(())
    }

    fn registry_at(&self, address: IpAddr) -> Result<(), &'static str> {
        if let Some(why) = never_reached(address) {
            return Err(why);
        }
        if self.security == Security::Machine && Reach::of(address) != Reach::Machine {
            return Err("which is another machine, and there is no TLS");
        }
        Ok(())
    }

    fn onward_at(&self, address: IpAddr) -> Result<(), &'static str> {
        if let Some(why) = never_reached(address) {
            return Err(why);
        }
        if Reach::of(address) < self.known().nearest {
            return Err("which is nearer than the registry itself");
        }
        self.registry_at(address)
    }

    fn set(&self, reach: Reach) {
        self.known().nearest = reach;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolve for ToRegistry {
    fn resolve(&self, name: Name) -> Resolving {
        let way = self.0.clone();
        Box::pin(async move {
            if name.as_str() != &*way.registry {
                return proxy(&name).await;
            }
            let addresses = resolved(&name, |address| way.registry_at(address)).await?;
            way.set(addresses.iter().map(|address| Reach::of(address.ip())).max().unwrap_or(Reach::Public));
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Resolve for Onward {
    fn resolve(&self, name: Name) -> Resolving {
        let way = self.0.clone();
        Box::pin(async move {
            let is_asked = way.known().asked.contains(name.as_str());
            if !is_asked {
                return proxy(&name).await;
            }
            let addresses = resolved(&name, |address| way.onward_at(address)).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a proxy that the environment names. It may be anywhere, as it is not the registry's word.
async fn proxy(name: &Name) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Box::new(resolved(name, |_| Ok(())).await?.into_iter()))
}

/// The addresses of a name. One that is refused refuses all.
async fn resolved(
    name: &Name,
    check: impl Fn(IpAddr) -> Result<(), &'static str>,
) -> Result<Vec<SocketAddr>, Box<dyn std::error::Error + Send + Sync>> {
    // The port is the URL's, which is not known here.
    let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
    let addresses: Vec<_> = found.take(ADDRESSES_MAX).collect();
    for address in &addresses {
        check(address.ip()).map_err(|why| format!("`{}` is `{}`, {why}", name.as_str(), address.ip()))?;
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(security: Security, registry: Option<&str>) -> Way {
        let address = registry.map(|address| address.parse().unwrap());
        Way::new(security, registry.unwrap_or("localhost"), address).unwrap()
    }

    #[track_caller]
    fn refused(way: &Way, url: &str, why: &str) {
        let failure = way.check(&url.parse().unwrap()).unwrap_err();
        assert!(failure.message.contains(why), "{url}: {failure}");
    }

    #[test]
    fn nothing_leads_to_metadata_or_without_tls() {
        for way in
            [way(Security::Tls, None), way(Security::Tls, Some("10.0.0.1")), way(Security::Machine, Some("127.0.0.1"))]
        {
            for host in ["169.254.169.254", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe"] {
                refused(&way, &format!("https://{host}/latest/meta-data"), "link-local");
            }
            refused(&way, "https://[fd00:ec2::254]/", "a metadata service");
            refused(&way, "https://0.0.0.0/", "no address of one machine");
            refused(&way, "ftp://cdn.example/", "neither https nor http");
            refused(&way, "https://user:secret@cdn.example/", "a user or a password");
            refused(&way, "http://cdn.example/", "no TLS");
        }
        refused(&way(Security::Tls, None), "http://localhost/", "no TLS");
        refused(&way(Security::Machine, Some("127.0.0.1")), "http://10.0.0.1/", "another machine");
        let failure =
            way(Security::Tls, None).check(&"https://u:secret@x.example/?t=secret".parse().unwrap()).unwrap_err();
        assert!(!failure.to_string().contains("secret"), "{failure}");
    }

    #[test]
    fn nothing_leads_nearer_than_the_registry() {
        for (registry, near, good) in [
            (None, "https://127.0.0.1/", "https://192.0.2.1/"),
            (None, "https://10.0.0.1/", "https://[2001:db8::1]/"),
            (Some("192.0.2.7"), "https://10.0.0.1/", "https://192.0.2.1/"),
            (Some("10.0.0.7"), "https://127.0.0.1/", "https://10.0.0.1/"),
            (Some("10.0.0.7"), "https://[::1]/", "https://cdn.example/"),
        ] {
            let way = way(Security::Tls, registry);
            refused(&way, near, "nearer than the registry");
            way.check(&good.parse().unwrap()).unwrap();
        }
        let machine = way(Security::Machine, Some("127.0.0.1"));
        for url in ["http://127.0.0.1:9000/", "http://localhost:9000/", "https://127.0.0.1/"] {
            machine.check(&url.parse().unwrap()).unwrap();
        }
    }

    #[test]
    fn a_registry_without_tls_is_on_this_machine() {
        for (security, address) in [
            (Security::Machine, "10.0.0.1"),
            (Security::Machine, "192.0.2.1"),
            (Security::Tls, "169.254.169.254"),
            (Security::Tls, "0.0.0.0"),
        ] {
            assert!(Way::new(security, address, Some(address.parse().unwrap())).is_err(), "{address}");
        }
    }

    #[test]
    fn without_tls_a_password_stays_at_the_registry() {
        let machine = way(Security::Machine, Some("127.0.0.1"));
        for url in ["http://localhost/t", "https://127.0.0.2/t", "https://tokens.example/t", "http://[::1]/t"] {
            let failure = machine.check_realm(&url.parse().unwrap()).unwrap_err();
            assert!(failure.message.contains("another host, and there is no TLS"), "{url}: {failure}");
        }
        machine.check_realm(&"http://127.0.0.1:5001/t".parse().unwrap()).unwrap();
        way(Security::Tls, None).check_realm(&"https://tokens.example/t".parse().unwrap()).unwrap();
    }

    #[tokio::test]
    async fn names_are_looked_at_where_they_are_resolved() {
        let way = way(Security::Tls, None);
        way.check(&"https://localhost/".parse().unwrap()).unwrap();
        // What the name of this machine leads to is nearer than a registry that nobody resolved yet.
        let onward = Onward(way.clone()).resolve("localhost".parse().unwrap()).await;
        let error = onward.map(drop).unwrap_err().to_string();
        assert!(error.contains("which is nearer than the registry itself"), "{error}");
        assert!(ToRegistry(way.clone()).resolve("localhost".parse().unwrap()).await.is_ok());
        assert!(Onward(way).resolve("localhost".parse().unwrap()).await.is_ok());
    }

    #[tokio::test]
    async fn where_a_proxy_is_says_nothing_of_the_registry() {
        let way = Way::new(Security::Tls, "registry.example", None).unwrap();
        for proxy in [
            ToRegistry(way.clone()).resolve("localhost".parse().unwrap()).await,
            Onward(way.clone()).resolve("localhost".parse().unwrap()).await,
        ] {
            assert!(proxy.is_ok());
            refused(&way, "https://127.0.0.1/", "nearer than the registry");
            refused(&way, "https://10.0.0.1/", "nearer than the registry");
        }
        // But what the registry leads to is looked at, whoever has that name beside.
        way.check(&"https://localhost:3128/".parse().unwrap()).unwrap();
        assert!(Onward(way).resolve("localhost".parse().unwrap()).await.is_err());
    }
}
