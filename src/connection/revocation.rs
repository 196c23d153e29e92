//! Certificate revocation lists, as libpq has OpenSSL check them: every certificate of the chain, the root included, must
//! be covered by a current list of its issuer's, and be on none.
//!
//! rustls' own check wants version 2 lists with extensions; what `openssl ca -gencrl` writes is version 1.

use std::sync::Arc;

use rustls::CertificateError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateRevocationListDer, UnixTime};
use x509_cert::der::asn1::BitStringRef;
use x509_cert::der::{self, AnyRef, Decode, Encode, Reader, SliceReader, TagMode, TagNumber};
use x509_cert::ext::Extensions;
use x509_cert::name::Name;
use x509_cert::time::Time;
use x509_cert::{Certificate, Version, crl::RevokedCert};

/// The lists that count.
#[derive(Debug)]
pub(super) struct Revocation {
    lists: Vec<List>,
    provider: Arc<CryptoProvider>,
}

/// One list: what was signed, how, and what it says.
#[derive(Debug)]
struct List {
    signed: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    content: Content,
}

/// Of `TBSCertList` (RFC 5280, section 5.1), in version 1 as well as 2, what counts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    issuer: Name,
    this_update: Time,
    next_update: Option<Time>,
    revoked: Vec<RevokedCert>,
    extensions: Extensions,
}

impl Content {
    fn read(signed: &[u8]) -> der::Result<Self> {
        SliceReader::new(signed)?.sequence(|reader| {
            let _version: Option<Version> = reader.decode()?;
            let _algorithm: AnyRef<'_> = reader.decode()?;
            Ok(Self {
                issuer: reader.decode()?,
                this_update: reader.decode()?,
                next_update: reader.decode()?,
                revoked: reader.decode::<Option<_>>()?.unwrap_or_default(),
                extensions: reader.context_specific(TagNumber::N0, TagMode::Explicit)?.unwrap_or_default(),
            })
        })
    }
}

impl Revocation {
    /// Lists out of files; one that cannot be read covers nobody.
    pub(super) fn by(lists: &[CertificateRevocationListDer<'_>], provider: Arc<CryptoProvider>) -> Self {
        Self { lists: lists.iter().filter_map(|list| List::read(list).ok()).collect(), provider }
    }

    /// Checks a certificate and those above it, up to its root. `others` are the certificates that may lead there; that
    /// they do has been verified before.
    pub(super) fn check(
        &self,
        certificate: &Certificate,
        others: &[Certificate],
        now: UnixTime,
    ) -> Result<(), CertificateError> {
        let mut current = certificate;
        // A chain is no longer than all there is; whoever goes in circles is refused.
        for _ in 0..=others.len() {
            let (issuer, list) = self.list_for(current, certificate, others)?;
            list.judge(current, now)?;
            if is_self_issued(issuer) && issuer.tbs_certificate.subject == current.tbs_certificate.subject {
                return Ok(());
            }
            current = issuer;
        }
        Err(CertificateError::UnknownRevocationStatus)
    }

    /// The issuer of a certificate and its list.
    fn list_for<'a>(
        &'a self,
        current: &Certificate,
        leaf: &'a Certificate,
        others: &'a [Certificate],
    ) -> Result<(&'a Certificate, &'a List), CertificateError> {
        let name = &current.tbs_certificate.issuer;
        others
            .iter()
            .chain([leaf])
            .filter(|issuer| issuer.tbs_certificate.subject == *name)
            .find_map(|issuer| {
                let signed = |list: &&List| list.content.issuer == *name && list.is_signed_by(issuer, &self.provider);
                self.lists.iter().find(signed).map(|list| (issuer, list))
            })
            .ok_or(CertificateError::UnknownRevocationStatus)
    }
}

impl List {
    fn read(list: &[u8]) -> der::Result<Self> {
        SliceReader::new(list)?.sequence(|reader| {
            let signed = reader.tlv_bytes()?;
            let algorithm = AnyRef::decode(reader)?;
            let signature = BitStringRef::decode(reader)?;
            Ok(Self {
                content: Content::read(signed)?,
                signed: signed.to_vec(),
                algorithm: algorithm.value().to_vec(),
                signature: signature.raw_bytes().to_vec(),
            })
        })
    }

    fn is_signed_by(&self, issuer: &Certificate, provider: &CryptoProvider) -> bool {
        let key = &issuer.tbs_certificate.subject_public_key_info;
        let Ok(kind) = key.algorithm.to_der() else { return false };
        let Ok(kind) = AnyRef::from_der(&kind) else { return false };
        provider.signature_verification_algorithms.all.iter().any(|algorithm| {
            algorithm.signature_alg_id().as_ref() == self.algorithm
                && algorithm.public_key_alg_id().as_ref() == kind.value()
                && algorithm.verify_signature(key.subject_public_key.raw_bytes(), &self.signed, &self.signature).is_ok()
        })
    }

    /// What the list says of a certificate of its issuer's.
    fn judge(&self, certificate: &Certificate, now: UnixTime) -> Result<(), CertificateError> {
        let content = &self.content;
        let seconds = |time: &Time| time.to_unix_duration().as_secs();
        let current = seconds(&content.this_update) <= now.as_secs()
            && content.next_update.as_ref().is_none_or(|next| now.as_secs() <= seconds(next));
        // A critical extension says that the list is not what it seems: a delta, or for some certificates only.
        let plain = content.extensions.iter().all(|extension| !extension.critical);
        if !current || !plain {
            return Err(CertificateError::UnknownRevocationStatus);
        }
        let serial = &certificate.tbs_certificate.serial_number;
        if content.revoked.iter().any(|revoked| revoked.serial_number == *serial) {
            return Err(CertificateError::Revoked);
        }
        Ok(())
    }
}

/// Whether it claims to have been issued by itself, as a root is.
pub(super) fn is_self_issued(certificate: &Certificate) -> bool {
    certificate.tbs_certificate.subject == certificate.tbs_certificate.issuer
}
