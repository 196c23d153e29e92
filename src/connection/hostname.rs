//! Whether a certificate is for the host that was asked for, by libpq's rules (the manual, "Client Verification of
//! Server Certificates"; RFC 2818, RFC 6125).
//!
//! Subject alternative names count; the common name only where there is no alternative name of the host's kind. A `*`
//! stands for exactly the leftmost label.

use std::net::IpAddr;

use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use x509_cert::der::{Decode, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::ObjectIdentifier;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The names in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    dns: Vec<String>,
    addresses: Vec<IpAddr>,
    common: Option<String>,
}

impl Names {
    /// Reads the names out of a certificate; `None` if it is none.
    pub(super) fn of(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?.tbs_certificate;
        let mut names = Self::default();
        if let Some((_, SubjectAltName(alternatives))) = certificate.get::<SubjectAltName>().ok()? {
            for name in alternatives {
                match name {
                    GeneralName::DnsName(dns) => names.dns.push(dns.to_string()),
                    GeneralName::IpAddress(octets) => names.addresses.extend(address(octets.as_bytes())),
                    _ => {}
                }
            }
        }
        let mut attributes = certificate.subject.0.iter().flat_map(|set| set.0.iter());
        names.common =
            attributes.find(|attribute| attribute.oid == COMMON_NAME).and_then(|attribute| text(&attribute.value));
        Some(names)
    }

    /// Whether they cover `host`, a name or an address.
    pub(super) fn cover(&self, host: &str) -> bool {
        let address: Option<IpAddr> = host.parse().ok();
        let (alternatives, has_kind) = match address {
            Some(address) => {
                let listed = self.addresses.contains(&address) || self.dns.iter().any(|name| name == host);
                (listed, !self.addresses.is_empty())
            }
            None => (self.dns.iter().any(|name| matches(name, host)), !self.dns.is_empty()),
        };
        alternatives || !has_kind && self.common.as_ref().is_some_and(|name| matches(name, host))
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

fn text(value: &x509_cert::der::Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        Tag::TeletexString => value.decode_as::<TeletexStringRef<'_>>().ok().map(|text| text.as_str().to_owned()),
        _ => None,
    }
}

fn matches(pattern: &str, host: &str) -> bool {
    if pattern.contains('\0') {
        return false;
    }
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = pattern.strip_prefix('*').filter(|domain| domain.len() > 1 && domain.starts_with('.')) else {
        return false;
    };
    let Some(dot) = host.find('.') else { return false };
    dot > 0 && host[dot..].eq_ignore_ascii_case(domain)
}

#[cfg(test)]
mod tests {
    use super::{Names, matches};

    fn names(dns: &[&str], addresses: &[&str], common: &str) -> Names {
        Names {
            dns: dns.iter().map(ToString::to_string).collect(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            common: Some(common.to_owned()),
        }
    }

    #[test]
    fn a_star_is_exactly_one_label() {
        assert!(matches("*.example.com", "db.EXAMPLE.com"));
        assert!(!matches("*.example.com", "a.db.example.com"));
        assert!(!matches("*.example.com", "example.com"));
        assert!(!matches("*", "db"));
        assert!(!matches("d*.example.com", "db.example.com"));
    }

    #[test]
    fn the_common_name_counts_only_without_an_alternative_of_the_same_kind() {
        assert!(names(&[], &[], "db").cover("db"));
        assert!(!names(&["other"], &[], "db").cover("db"));
        assert!(names(&[], &["127.0.0.1"], "db").cover("db"));
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        assert!(names(&[], &["::1"], "db").cover("0:0:0:0:0:0:0:1"));
        assert!(!names(&[], &["127.0.0.1"], "127.0.0.2").cover("127.0.0.2"));
        assert!(names(&["127.0.0.1"], &[], "db").cover("127.0.0.1"));
    }
}
