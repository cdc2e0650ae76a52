//! What can be listened on or connected to.

use crate::cx::Cx;
use crate::io::explain;
use crate::io::offload::offload;
use crate::types::cancel::reason_in;
use crate::types::caps::Capability;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Something that names one or more socket addresses.
///
/// Implemented for socket addresses, for `(ip, port)`, `(host, port)` and
/// `"host:port"`, for slices and vectors of addresses, and for references to
/// these. Host names are looked up off the workers; literals need no look-up.
pub trait ToAddrs: sealed::Target {}

impl<T: sealed::Target + ?Sized> ToAddrs for T {}

pub(crate) mod sealed {
    use super::*;

    /// Addresses, or the name to look up.
    #[derive(Clone, PartialEq, Eq, Debug)]
    pub enum Named {
        Addrs(Vec<SocketAddr>),
        Host(String, u16),
    }

    pub trait Target {
        fn named(&self) -> io::Result<Named>;
    }

    macro_rules! literal {
        ($($t:ty),*) => {$(
            impl Target for $t {
                fn named(&self) -> io::Result<Named> {
                    Ok(Named::Addrs(vec![SocketAddr::from(*self)]))
                }
            }
        )*};
    }
    literal!(
        SocketAddr,
        SocketAddrV4,
        SocketAddrV6,
        (IpAddr, u16),
        (Ipv4Addr, u16),
        (Ipv6Addr, u16)
    );

    impl Target for (&str, u16) {
        fn named(&self) -> io::Result<Named> {
            Ok(host(self.0, self.1))
        }
    }

    impl Target for (String, u16) {
        fn named(&self) -> io::Result<Named> {
            Ok(host(&self.0, self.1))
        }
    }

    impl Target for str {
        fn named(&self) -> io::Result<Named> {
            if let Ok(addr) = self.parse() {
                return Ok(Named::Addrs(vec![addr]));
            }
            let refuse = |what: &str| {
                let message = format!("`{self}` {what}; write it as `host:port`");
                io::Error::new(io::ErrorKind::InvalidInput, message)
            };
            let (name, port) = self
                .rsplit_once(':')
                .ok_or_else(|| refuse("names no port"))?;
            let port = port
                .parse()
                .map_err(|_| refuse("has a port that is no number below 65536"))?;
            if name.is_empty() {
                return Err(refuse("names no host"));
            }
            Ok(host(name, port))
        }
    }

    impl Target for String {
        fn named(&self) -> io::Result<Named> {
            self.as_str().named()
        }
    }

    impl Target for [SocketAddr] {
        fn named(&self) -> io::Result<Named> {
            Ok(Named::Addrs(self.to_vec()))
        }
    }

    impl Target for Vec<SocketAddr> {
        fn named(&self) -> io::Result<Named> {
            self.as_slice().named()
        }
    }

    impl<T: Target + ?Sized> Target for &T {
        fn named(&self) -> io::Result<Named> {
            (**self).named()
        }
    }

    fn host(name: &str, port: u16) -> Named {
        match name.parse::<IpAddr>() {
            Ok(ip) => Named::Addrs(vec![SocketAddr::new(ip, port)]),
            Err(_) => Named::Host(name.to_owned(), port),
        }
    }
}

use sealed::Named;

/// The addresses of a host, in the order in which the system prefers them; at least one.
///
/// *Cancellation.* Safe: returns at once. The look-up cannot be interrupted,
/// and the caller's region waits for it.
///
/// # Errors
/// The system's, which names the host; one that wraps [`Cancelled`](crate::Cancelled);
/// `PermissionDenied` from a context without [`Capability::Net`].
///
/// ```
/// use asupersync::{Runtime, Scope, net};
///
/// # let runtime = Runtime::builder().current_thread().build().unwrap();
/// # runtime.block_on(async |scope: Scope| -> std::io::Result<()> {
/// let addrs = net::resolve(&scope, "127.0.0.1", 80).await?;
/// assert_eq!(addrs, ["127.0.0.1:80".parse().unwrap()]);
/// # Ok(()) }).unwrap().unwrap();
/// ```
pub async fn resolve(cx: &Cx, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    cx.checkpoint()?;
    cx.require(Capability::Net)?;
    addresses_of(cx, (host, port)).await
}

/// What `open` makes of the first address for which it succeeds; at least one is given.
pub(super) fn first_of<T>(
    what: &str,
    addrs: Vec<SocketAddr>,
    mut open: impl FnMut(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for addr in addrs {
        match open(addr) {
            Ok(opened) => return Ok(opened),
            Err(e) => last = Some(explain(format!("cannot {what} {addr}"), e, "")),
        }
    }
    Err(last.expect("a target has at least one address"))
}

/// The addresses of a target: at least one.
///
/// A look-up runs as blocking work of the caller's region: cancelled, this
/// returns at once, and the region waits for the system to answer.
pub(super) async fn addresses_of(cx: &Cx, target: impl ToAddrs) -> io::Result<Vec<SocketAddr>> {
    let (what, addrs) = match target.named()? {
        Named::Addrs(addrs) => ("the list of addresses".to_owned(), addrs),
        Named::Host(host, port) => {
            let what = format!("the host name `{host}`");
            let world = cx.world().clone();
            let look_up = move |_: &Cx| world.net().resolve(&host, port);
            let addrs = offload(cx, look_up).await.map_err(|e| {
                // A cancellation stays one.
                match reason_in(&e) {
                    Some(_) => e,
                    None => explain(format!("cannot look up {what}"), e, ""),
                }
            })?;
            (what, addrs)
        }
    };
    if addrs.is_empty() {
        let message = format!("{what} names no address");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    Ok(addrs)
}

#[cfg(test)]
mod tests {
    use super::sealed::Target;
    use super::*;

    #[test]
    fn literals_need_no_look_up() {
        let v4: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let v6: SocketAddr = "[::1]:80".parse().unwrap();
        let known = |t: &dyn Target| t.named().unwrap();
        assert_eq!(known(&"127.0.0.1:80"), Named::Addrs(vec![v4]));
        assert_eq!(known(&("127.0.0.1", 80)), Named::Addrs(vec![v4]));
        assert_eq!(known(&(Ipv4Addr::LOCALHOST, 80)), Named::Addrs(vec![v4]));
        assert_eq!(known(&"[::1]:80".to_owned()), Named::Addrs(vec![v6]));
        assert_eq!(known(&vec![v4, v6]), Named::Addrs(vec![v4, v6]));
        assert_eq!(
            known(&"example.test:80"),
            Named::Host("example.test".into(), 80)
        );
    }

    #[test]
    fn what_is_no_address_is_explained() {
        for text in ["localhost", "localhost:", "localhost:65536", ":80", ""] {
            let refused = text.named().unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{text}");
            assert!(refused.to_string().contains("host:port"), "{refused}");
        }
    }
}
