//! Whether a server's certificate is to be trusted: libpq's three answers to that.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::hostname::Names;

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
    webpki: Arc<WebPkiServerVerifier>,
    roots: Vec<CertificateDer<'static>>,
}

impl Chain {
    /// Chains to these roots. With revocation lists, every certificate of a chain must be on none of them and be covered
    /// by one.
    pub(super) fn to(
        roots: Vec<CertificateDer<'static>>,
        revoked: Vec<CertificateRevocationListDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        let (usable, _) = store.add_parsable_certificates(roots.iter().cloned());
        if usable == 0 {
            return Err("no usable certificate is in it".to_owned());
        }
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
            .with_crls(revoked)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { webpki, roots })
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        // A server's own self-signed certificate as the root is trusted as such; it need not be fit to sign others.
        if self.roots.iter().any(|root| root == certificate) {
            return valid_at(certificate, now);
        }
        match self.webpki.verify_server_cert(certificate, intermediates, name, &[], now) {
            // The name is looked at last, and by our own rules.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ))
            | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
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
