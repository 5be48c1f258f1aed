//! Addresses: what counts as one peer, and what to hand out to users.

use securechat_core::identity::{Fingerprint, RelayAddress};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// The key under which connections of one peer are counted and limited.
///
/// An IPv4 address is its own key; of an IPv6 address the first 64 bits, which is what one subscriber has to choose from.
pub(crate) fn key(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).octets(),
    }
}

/// The address that clients can reach.
///
/// `host` is what the operator configured, if anything. A server that listens on every address has none to name;
/// then it is the one that this machine would use towards the internet.
pub(crate) fn reachable(listening: SocketAddr, host: Option<&str>, fingerprint: Fingerprint) -> RelayAddress {
    let host = match host {
        Some(host) => host.to_owned(),
        None if listening.ip().is_unspecified() => outward(listening.ip()).to_string(),
        None => listening.ip().to_string(),
    };
    RelayAddress { host, port: listening.port(), fingerprint: Some(fingerprint) }
}

/// The address of this machine that packets to the internet would carry, or the loopback address.
fn outward(wildcard: IpAddr) -> IpAddr {
    // Connecting a datagram socket chooses a route and sends nothing. The targets are reserved for documentation.
    let targets: [(IpAddr, IpAddr); 2] = [
        (Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
        (Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
    ];
    let route = |(local, target): &(IpAddr, IpAddr)| {
        let socket = UdpSocket::bind((*local, 0)).ok()?;
        socket.connect((*target, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
    };
    // A server on 0.0.0.0 is not reached over IPv6; one on [::] usually over both.
    let usable = targets.iter().filter(|(local, _)| local.is_ipv4() || wildcard.is_ipv6());
    usable.map(route).find_map(|found| found).unwrap_or_else(|| Ipv4Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use securechat_core::identity::Identity;

    fn key_of(text: &str) -> [u8; 16] {
        key(text.parse().unwrap())
    }

    #[test]
    fn one_subscriber_is_one_key() {
        assert_eq!(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(key_of("2001:db8:1:2::1"), key_of("2001:db8:1:3::1"));
        assert_ne!(key_of("192.0.2.1"), key_of("192.0.2.2"));
        assert_eq!(key_of("192.0.2.1"), key_of("::ffff:192.0.2.1"));
    }

    #[test]
    fn addresses_to_hand_out() {
        let fingerprint = Identity::from_bytes([7; 32]).fingerprint();
        let given = |text: &str, host| {
            let address = reachable(text.parse().unwrap(), host, fingerprint);
            // What is handed out is what clients can read.
            assert_eq!(address.to_string().parse(), Ok(address.clone()));
            assert_eq!(address.fingerprint, Some(fingerprint));
            address.to_string().split('#').next().unwrap().to_owned()
        };
        assert_eq!(given("192.0.2.7:80", None), "192.0.2.7:80");
        assert_eq!(given("[2001:db8::7]:80", None), "[2001:db8::7]:80");
        assert_eq!(given("0.0.0.0:80", Some("chat.example")), "chat.example:80");
        assert_eq!(given("0.0.0.0:80", Some("2001:db8::7")), "[2001:db8::7]:80");
        for wildcard in ["0.0.0.0:80", "[::]:80"] {
            let given: SocketAddr = given(wildcard, None).parse().unwrap();
            assert!(!given.ip().is_unspecified() && given.port() == 80);
        }
    }
}
