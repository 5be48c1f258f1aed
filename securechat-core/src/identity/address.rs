//! Addresses of relays and peers: where to connect, and who should answer (4.2).

use crate::error::InvalidMessage;
use crate::identity::Fingerprint;
use core::fmt;
use core::net::Ipv6Addr;
use core::str::FromStr;

/// Longest host name, in bytes (RFC 1035).
const HOST_MAX: usize = 253;

/// `host:port#fingerprint`; the fingerprint pins a first contact and may be missing. IPv6 stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayAddress {
    /// A name or an IP address in its one spelling: names in lower case, IPv6 as RFC 5952 says and without brackets.
    pub host: String,
    /// The port, not 0.
    pub port: u16,
    /// Who should answer there.
    pub fingerprint: Option<Fingerprint>,
}

impl FromStr for RelayAddress {
    type Err = InvalidMessage;

    /// Takes an address as it was handed out; [`InvalidMessage::UnknownValue`] otherwise. Names are ASCII.
    fn from_str(text: &str) -> Result<Self, InvalidMessage> {
        let (place, fingerprint) = match text.split_once('#') {
            Some((place, fingerprint)) => (place, Some(fingerprint.parse()?)),
            None => (text, None),
        };
        let (host, port) = place.rsplit_once(':').ok_or(InvalidMessage::UnknownValue)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                rest.strip_suffix(']').and_then(|host| host.parse().ok()).map(|host: Ipv6Addr| host.to_string())
            }
            None => Some(host).filter(|host| is_name(host)).map(str::to_ascii_lowercase),
        };
        match (host, parse_port(port)) {
            (Some(host), Some(port)) => Ok(Self { host, port, fingerprint }),
            _ => Err(InvalidMessage::UnknownValue),
        }
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(formatter, "{}:{}", self.host, self.port)?;
        }
        match &self.fingerprint {
            Some(fingerprint) => write!(formatter, "#{fingerprint}"),
            None => Ok(()),
        }
    }
}

fn is_name(host: &str) -> bool {
    (1..=HOST_MAX).contains(&host.len())
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn parse_port(port: &str) -> Option<u16> {
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let fingerprint = "0123456789abcdef".repeat(4);
        for (text, host, port, pinned, again) in [
            ("localhost:4444", "localhost", 4444, false, "localhost:4444"),
            ("127.0.0.1:1", "127.0.0.1", 1, false, "127.0.0.1:1"),
            ("Chat.Example.org:65535#F", "chat.example.org", 65535, true, "chat.example.org:65535#F"),
            ("[::1]:80#F", "::1", 80, true, "[::1]:80#F"),
            ("[2001:DB8:0::1]:80", "2001:db8::1", 80, false, "[2001:db8::1]:80"),
        ] {
            let (text, again) = (text.replace("#F", &format!("#{fingerprint}")), again.replace('F', &fingerprint));
            let address: RelayAddress = text.parse().unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port));
            assert_eq!(address.fingerprint.map(|f| f.to_string()), pinned.then(|| fingerprint.clone()));
            assert_eq!(address.to_string(), again);
            assert_eq!(again.parse(), Ok(address));
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        let good = "a".repeat(64);
        let bad_fingerprints: [&str; 7] =
            ["", "a", &good[1..], &"A".repeat(64), &"g".repeat(64), &format!("{good}a"), &format!("{good}#")];
        for place in [
            "",
            ":",
            "host",
            "host:",
            ":80",
            "host:0",
            "host:65536",
            "host:+1",
            "host:-1",
            "host: 1",
            "host:1 ",
            "host:000080",
            "ho st:1",
            "h\u{f6}st:1",
            "::1:80",
            "[::1]",
            "[::1:80",
            "::1]:80",
            "[host]:80",
            "[127.0.0.1]:80",
            "[]:80",
            "[fe80::1%eth0]:80",
            "a/b:80",
            "user@host:80",
            "host\0:80",
            &format!("{}:80", "a".repeat(254)),
        ] {
            assert_eq!(place.parse::<RelayAddress>(), Err(InvalidMessage::UnknownValue), "{place:?}");
            assert_eq!(
                format!("{place}#{good}").parse::<RelayAddress>(),
                Err(InvalidMessage::UnknownValue),
                "{place:?}"
            );
        }
        for fingerprint in bad_fingerprints {
            assert!(format!("host:80#{fingerprint}").parse::<RelayAddress>().is_err(), "{fingerprint:?}");
        }
    }
}
