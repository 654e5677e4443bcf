use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::keystore::Certificate;

/// Verifies servers as webpki does, knows some by heart, and says what webpki refuses although
/// Java takes it.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None`: there are none.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// Compared octet by octet.
    known: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(
        authorities: &Arc<RootCertStore>,
        known: &[CertificateDer<'static>],
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let authorities = if authorities.is_empty() {
            None
        } else {
            let builder =
                WebPkiServerVerifier::builder_with_provider(authorities.clone(), provider.clone());
            let verifier = builder.build();
            Some(verifier.map_err(|error| TlsError::General(error.to_string()))?)
        };
        Ok(Self {
            authorities,
            known: known.to_vec(),
            provider,
        })
    }

    /// A certificate that is trusted for itself needs no proof. Its name and its dates count all
    /// the same.
    fn verify_known(
        certificate: &CertificateDer<'_>,
        server: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), TlsError> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let read = Certificate::parse(certificate).ok_or(CertificateError::BadEncoding)?;
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
        if now < read.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > read.not_after {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&parsed, server)
    }

    /// What is behind webpki's refusal, if it is one of those that Java doesn't know.
    fn explain(
        &self,
        error: &CertificateError,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
    ) -> Option<Refused> {
        use CertificateError as E;

        let certificate = Certificate::parse(leaf)?;
        let refused = |certificate: &Certificate<'_>, why| {
            Some(Refused {
                subject: certificate.subject(),
                issuer: certificate.issuer(),
                why,
            })
        };
        if certificate.version < 3 {
            return refused(&certificate, Why::OldVersion);
        }
        match error {
            E::NotValidForName | E::NotValidForNameContext { .. } => {
                let has_names = certificate.has_alternative_names();
                (!has_names).then(|| refused(&certificate, Why::NoAlternativeName))?
            }
            E::UnknownIssuer if certificate.is_self_issued() => {
                refused(&certificate, Why::UnknownSelfSigned)
            }
            E::UnknownIssuer => {
                let certificates = std::iter::once(leaf).chain(chain);
                let issued: Vec<_> = certificates
                    .filter_map(|it| Certificate::parse(it))
                    .collect();
                self.known
                    .iter()
                    .filter_map(|it| Certificate::parse(it))
                    .find(|known| {
                        !known.is_authority() && issued.iter().any(|it| it.may_be_issued_by(known))
                    })
                    .map_or_else(
                        || refused(&certificate, Why::UnknownIssuer),
                        |known| refused(&known, Why::NoAuthority),
                    )
            }
            // It has the name of one that is trusted, and isn't it.
            E::BadSignature => refused(&certificate, Why::UnknownIssuer),
            E::Expired
            | E::ExpiredContext { .. }
            | E::NotValidYet
            | E::NotValidYetContext { .. }
            | E::Revoked => None,
            // Which of its kinds depends on the version of rustls.
            _ => std::iter::once(leaf)
                .chain(chain)
                .filter_map(|it| Certificate::parse(it))
                .find(|it| is_sha1(it.signature))
                .and_then(|it| refused(&it, Why::Sha1)),
        }
    }
}

/// SHA-1 with RSA, ECDSA and DSA.
fn is_sha1(signature: &[u8]) -> bool {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3];
    matches!(signature, RSA | ECDSA | DSA)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified = if self.known.contains(end_entity) {
            Self::verify_known(end_entity, server_name, now)
        } else if let Some(authorities) = &self.authorities {
            authorities
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(drop)
        } else {
            Err(CertificateError::UnknownIssuer.into())
        };
        match verified {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(TlsError::InvalidCertificate(error)) => {
                let refused = self.explain(&error, end_entity, intermediates);
                let error = refused.map_or(error, |refused| {
                    CertificateError::Other(OtherError(Arc::new(refused)))
                });
                Err(TlsError::InvalidCertificate(error))
            }
            Err(error) => Err(error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

// ===== Refused =====

/// Why a server isn't trusted, in words that say what to do.
pub(crate) struct Refused {
    /// Whose certificate is the cause.
    subject: String,
    issuer: String,
    why: Why,
}

#[derive(Clone, Copy)]
enum Why {
    NoAlternativeName,
    OldVersion,
    Sha1,
    UnknownSelfSigned,
    NoAuthority,
    UnknownIssuer,
}

impl Refused {
    /// Whether it is for want of an authority that is trusted.
    pub(super) fn is_of_unknown_issuer(&self) -> bool {
        match self.why {
            Why::UnknownSelfSigned | Why::NoAuthority | Why::UnknownIssuer => true,
            Why::NoAlternativeName | Why::OldVersion | Why::Sha1 => false,
        }
    }

    /// Who has issued the server's certificate, if nobody trusts them.
    pub(super) fn issuer(&self) -> Option<&str> {
        match self.why {
            Why::UnknownSelfSigned | Why::UnknownIssuer => Some(&self.issuer),
            // The certificate that is the cause isn't the server's.
            _ => None,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate of {} ", self.subject)?;
        f.write_str(match self.why {
            Why::UnknownIssuer => {
                return write!(
                    f,
                    "is issued by {}, for whom nobody vouches who is trusted: trust the authority at \
                     the top of its chain, and have the server send the certificates in between",
                    self.issuer
                );
            }
            Why::NoAlternativeName => {
                "has its host's name in the common name alone, which Java takes and nobody else: \
                 have it issued anew with a subjectAltName"
            }
            Why::OldVersion => {
                "is X.509 version 1, which Java takes and webpki doesn't: have it issued anew as \
                 version 3, with a subjectAltName"
            }
            Why::Sha1 => {
                "is signed with SHA-1, which can be forged: have it issued anew with SHA-256"
            }
            Why::UnknownSelfSigned => {
                "is self-signed, and isn't among the trusted ones: add this very certificate"
            }
            Why::NoAuthority => {
                "is trusted for itself alone, as it doesn't say that it is an authority \
                 (basicConstraints CA:TRUE), and has issued another one: trust that one, or an \
                 authority"
            }
        })
    }
}

/// rustls shows this form.
impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::pem::PemObject;

    use super::{super::TrustAnchors, *};

    macro_rules! server {
        ($name:literal) => {
            include_bytes!(concat!("../../tests/stores/server-", $name, ".pem"))
        };
    }

    const IN_2030: Duration = Duration::from_secs(1_900_000_000);

    fn verify_at(trust: &[u8], server: &[u8], host: &str, now: Duration) -> Result<(), String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let trust = TrustAnchors::from_pem(trust).unwrap();
        let verifier = trust.verifier(provider).unwrap();
        let certificate = CertificateDer::from_pem_slice(server).unwrap();
        let host = host.to_owned().try_into().unwrap();
        verifier
            .verify_server_cert(
                &certificate,
                &[],
                &host,
                &[],
                UnixTime::since_unix_epoch(now),
            )
            .map(drop)
            .map_err(|error| error.to_string())
    }

    fn verify(trust: &[u8], server: &[u8], host: &str) -> Result<(), String> {
        verify_at(trust, server, host, IN_2030)
    }

    #[test]
    fn what_java_takes_and_webpki_refuses_has_its_own_words() {
        let authority = server!("authority");
        verify(authority, server!("good"), "localhost").unwrap();
        for (server, says) in [
            (
                &server!("no-alternative-name")[..],
                "in the common name alone",
            ),
            (server!("version-1"), "version 1"),
            (server!("sha1"), "signed with SHA-1"),
            (server!("self-signed"), "add this very certificate"),
        ] {
            let error = verify(authority, server, "localhost").unwrap_err();
            assert!(error.contains(says), "{error}");
            assert!(error.contains("CN=localhost"), "{error}");
        }
    }

    #[test]
    fn an_issuer_whom_nobody_vouches_for_is_named() {
        let stranger = include_bytes!("../../tests/keys/ca.pem");
        let error = verify(stranger, server!("good"), "localhost").unwrap_err();
        assert!(error.contains("CN=localhost is issued by"), "{error}");
        assert!(error.contains("CN=Server CA, for whom"), "{error}");
        assert!(error.contains("the top of its chain"), "{error}");
    }

    #[test]
    fn a_wrong_name_is_not_blamed_on_the_common_name() {
        let error = verify(server!("authority"), server!("good"), "api.example").unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
    }

    #[test]
    fn a_certificate_that_was_given_is_known_by_heart() {
        for known in [
            &server!("good")[..],
            server!("self-signed"),
            server!("self-signed-authority"),
        ] {
            verify(known, known, "localhost").unwrap();
            let error = verify(known, known, "api.example").unwrap_err();
            assert!(error.contains("not valid for name"), "{error}");
            let late = Duration::from_secs(10_000_000_000);
            let error = verify_at(known, known, "localhost", late).unwrap_err();
            assert!(error.contains("Expired"), "{error}");
            let error = verify_at(known, known, "localhost", Duration::ZERO).unwrap_err();
            assert!(error.contains("NotValidYet"), "{error}");
        }
    }

    #[test]
    fn a_leaf_vouches_for_nobody_else() {
        let leaf = server!("self-signed");
        let error = verify(leaf, server!("issued-by-leaf"), "localhost").unwrap_err();
        assert!(error.contains("trusted for itself alone"), "{error}");
        // Nor does it beside an authority.
        let both = [&server!("authority")[..], leaf].concat();
        let error = verify(&both, server!("issued-by-leaf"), "localhost").unwrap_err();
        assert!(error.contains("trusted for itself alone"), "{error}");
        verify(&both, leaf, "localhost").unwrap();
        verify(&both, server!("good"), "localhost").unwrap();
    }
}
