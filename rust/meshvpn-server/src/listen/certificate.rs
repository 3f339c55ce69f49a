//! The certificate of a server: given, or made by itself.
//!
//! Where no authority vouches for a server, its clients know it by the SHA-256 of its certificate. So a
//! self-made certificate is worth keeping: whoever pins it would not know the next one.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{CertificateParams, KeyPair};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error as TlsError, ServerConfig};

/// A certificate with its private key, in PEM. The key is never shown.
#[derive(Clone)]
pub struct Certificate {
    certificate: String,
    key: String,
    sha256: [u8; 32],
}

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No certificate in it.
    #[error("certificate: no PEM block CERTIFICATE can be read from it: {0}")]
    Certificate(String),
    /// No key in it.
    #[error("private key: no PEM block PRIVATE KEY can be read from it")]
    Key,
    /// They do not belong together, or are of a kind that TLS does not take.
    #[error("certificate and private key do not go together: {0}")]
    Pair(#[from] TlsError),
    /// A name that cannot be in a certificate.
    #[error("host: {0} cannot be the name in a certificate")]
    Name(String),
}

impl Certificate {
    /// Reads a certificate, with those that lead to its authority after it, and its private key.
    ///
    /// # Errors
    /// One of them is something else, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, CertificateError> {
        let first = CertificateDer::pem_slice_iter(certificate.as_bytes()).next();
        let first = match first {
            Some(Ok(first)) => first,
            Some(Err(error)) => return Err(CertificateError::Certificate(error.to_string())),
            None => return Err(CertificateError::Certificate("it is not there".to_owned())),
        };
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest(&SHA256, &first).as_ref());
        let read = Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            sha256,
        };
        read.acceptor().map(|_| read)
    }

    /// Makes a certificate for `host`, a name or an address, that no authority vouches for.
    ///
    /// # Errors
    /// That is no name.
    pub fn self_signed(host: &str) -> Result<Self, CertificateError> {
        let failed = |_| CertificateError::Name(host.to_owned());
        let params = CertificateParams::new(vec![host.to_owned()]).map_err(failed)?;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Self::from_pem(&certificate.pem(), &key.serialize_pem())
    }

    /// The certificate, which everyone may see.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// The private key, for writing it to where only its owner reads.
    pub fn expose_key_pem(&self) -> &str {
        &self.key
    }

    /// What clients pin: SHA-256 of the certificate (DER).
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, CertificateError> {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes());
        let chain = chain
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| CertificateError::Certificate(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())
            .map_err(|_| CertificateError::Key)?;
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_self_made_certificate_reads_back_with_the_same_fingerprint() {
        for host in ["relay.example", "203.0.113.5", "2001:db8::5"] {
            let made = Certificate::self_signed(host).unwrap();
            let read = Certificate::from_pem(made.certificate_pem(), made.expose_key_pem());
            assert_eq!(read.unwrap().sha256(), made.sha256());
            assert!(!format!("{made:?}").contains("PRIVATE"));
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let [one, two] = [1, 2].map(|_| Certificate::self_signed("x").unwrap());
        let refused = |certificate: &str, key: &str| {
            Certificate::from_pem(certificate, key)
                .unwrap_err()
                .to_string()
        };
        let (certificate, key) = (one.certificate_pem(), two.expose_key_pem());
        assert!(refused(certificate, key).contains("do not go together"));
        assert!(refused(key, key).starts_with("certificate: "));
        assert!(refused(certificate, certificate).starts_with("private key: "));
    }
}
