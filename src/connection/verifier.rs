//! Whether a server's certificate is to be trusted: libpq's three answers to that.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::hostname::Names;
use super::revocation::{Revocation, is_self_issued};

/// What is asked of the certificate.
#[derive(Debug)]
pub(super) enum Demand {
    /// Nothing: `require` and weaker without a root certificate.
    Nothing,
    /// A chain to one of the roots: `verify-ca`.
    Chain(Chain),
    /// That, and this host's name: `verify-full`.
    ChainAndName(Chain, String),
}

/// Checks chains.
#[derive(Debug)]
pub(super) struct Chain {
    /// Absent where no root is any good: then no chain is.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates that chains may end in, …
    roots: Vec<CertificateDer<'static>>,
    /// … and the others in the file, which like OpenSSL we take for no roots, but for parts of a chain.
    others: Vec<CertificateDer<'static>>,
    revocation: Option<Revocation>,
}

impl Chain {
    /// Chains to these roots; with a `revocation`, of certificates that it clears.
    pub(super) fn to(
        roots: Vec<CertificateDer<'static>>,
        revocation: Option<Revocation>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let known = |certificate: &CertificateDer<'_>| Certificate::from_der(certificate).ok();
        if !roots.iter().any(|root| known(root).is_some()) {
            return Err("no usable certificate is in it".to_owned());
        }
        let (roots, others): (Vec<_>, Vec<_>) =
            roots.into_iter().partition(|root| known(root).is_some_and(|root| is_self_issued(&root)));
        let mut store = RootCertStore::empty();
        // An expired root is none; rustls would not look.
        store.add_parsable_certificates(roots.iter().filter(|root| valid_at(root, UnixTime::now()).is_ok()).cloned());
        let webpki = if store.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider);
            Some(builder.build().map_err(|error| error.to_string())?)
        };
        Ok(Self { webpki, roots, others, revocation })
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let others: Vec<CertificateDer<'_>> = intermediates.iter().chain(&self.others).cloned().collect();
        // A server's own self-signed certificate as the root is trusted as such; it need not be fit to sign others.
        if self.roots.iter().any(|root| root == certificate) {
            valid_at(certificate, now)?;
        } else {
            let webpki = self.webpki.as_ref().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
            match webpki.verify_server_cert(certificate, &others, name, &[], now) {
                // The name is looked at last, and by our own rules.
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                ))
                | Ok(_) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(revocation) = &self.revocation else { return Ok(()) };
        let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let leaf = Certificate::from_der(certificate).map_err(|_| bad())?;
        let above = others.iter().chain(&self.roots).filter_map(|other| Certificate::from_der(other).ok());
        revocation.check(&leaf, &above.collect::<Vec<_>>(), now).map_err(Error::InvalidCertificate)
    }
}

fn valid_at(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let bad = || Error::InvalidCertificate(CertificateError::BadEncoding);
    let validity = Certificate::from_der(certificate).map_err(|_| bad())?.tbs_certificate.validity;
    if now.as_secs() < validity.not_before.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now.as_secs() > validity.not_after.to_unix_duration().as_secs() {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

/// libpq's verification as rustls wants it.
#[derive(Debug)]
pub(super) struct Verifier {
    pub(super) demand: Demand,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.demand {
            Demand::Nothing => {}
            Demand::Chain(chain) => chain.check(certificate, intermediates, name, now)?,
            Demand::ChainAndName(chain, host) => {
                chain.check(certificate, intermediates, name, now)?;
                if !Names::of(certificate).is_some_and(|names| names.cover(host)) {
                    return Err(Error::InvalidCertificate(CertificateError::NotValidForName));
                }
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
