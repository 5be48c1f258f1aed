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
    /// A name or an IP address; without the brackets of IPv6.
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
            Some(rest) => rest.strip_suffix(']').filter(|host| host.parse::<Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| is_name(host)),
        };
        match (host, parse_port(port)) {
            (Some(host), Some(port)) => Ok(Self { host: host.to_owned(), port, fingerprint }),
            _ => Err(InvalidMessage::UnknownValue),
        }
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port)?,
            false => write!(formatter, "{}:{}", self.host, self.port)?,
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
