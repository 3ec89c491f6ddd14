//! Addresses and networks (CIDR, RFC 4632 and RFC 4291).

use std::net::{IpAddr, Ipv6Addr};

/// The address that a text writes. An IPv4 address inside IPv6 (`::ffff:10.0.0.1`, RFC 4291
/// 2.5.5.2) is that IPv4 address.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// A network of one family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `10.0.0.0/8` or `2001:db8::/32`. Host bits may be set; they do not count. A network
    /// inside `::ffff:0:0/96` is one of IPv4.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/')?;
        if bits.is_empty() || bits.len() > 3 || !bits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let bits: u8 = bits.parse().ok()?;
        let network = match base.parse().ok()? {
            IpAddr::V6(v6) if bits >= 96 && v6.to_ipv4_mapped().is_some() => {
                Self { base: v6.to_canonical(), bits: bits - 96 }
            }
            base => Self { base, bits },
        };
        (u32::from(network.bits) <= network.width()).then_some(network)
    }

    /// One of its addresses, and how many leading bits all of them share with it.
    pub(crate) fn parts(self) -> (IpAddr, u32) {
        (self.base, self.bits.into())
    }

    /// Whether one address only lies in it.
    pub(super) fn is_point(self) -> bool {
        u32::from(self.bits) == self.width()
    }

    pub(crate) fn contains(self, text: &str) -> bool {
        let Some(address) = address(text) else { return false };
        address.is_ipv4() == self.base.is_ipv4() && self.network_of(address) == self.network_of(self.base)
    }

    fn width(self) -> u32 {
        if self.base.is_ipv4() { 32 } else { 128 }
    }

    fn network_of(self, address: IpAddr) -> u128 {
        let number = match address {
            IpAddr::V4(v4) => u128::from(v4.to_bits()),
            IpAddr::V6(v6) => Ipv6Addr::to_bits(v6),
        };
        number.checked_shr(self.width() - u32::from(self.bits)).unwrap_or(0)
    }
}
