use super::AnswerTooLarge;
use crate::{
    error::{BoxError, ErrorKind, TokenError},
    protocol::Endpoint,
};

/// What kept an answer from coming, told apart by who can mend it.
///
/// The texts are ours alone; whatever the transport says stays in the source chain.
pub(super) fn told_apart(error: BoxError, endpoint: &Endpoint) -> TokenError {
    let error = match error.downcast::<TokenError>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    let origin = endpoint.origin();
    if let Some(too_large) = error.downcast_ref::<AnswerTooLarge>() {
        return TokenError::new(ErrorKind::Malformed, format!("{origin}: {too_large}"))
            .with_hint("is this the token endpoint? `TransportLimits::max_answer` sets the limit");
    }
    #[cfg(feature = "hyper")]
    if let Some(fault) = below::fault(&*error, origin) {
        return fault.with_source(error);
    }
    TokenError::new(ErrorKind::Transport, format!("no answer from {origin}"))
        .with_hint(
            "check name and network; a server that wants a client certificate and gets none may \
             cut the connection, too",
        )
        .with_source(error)
}

#[cfg(feature = "hyper")]
mod below {
    use std::{borrow::Cow, error::Error as StdError};

    use rustls::{AlertDescription as Alert, CertificateError, Error as TlsError};

    use crate::{
        error::{ErrorKind, TokenError},
        tls::{self, ProxyError},
    };

    /// What went wrong at the proxy or in TLS, if that is where it went wrong.
    pub(super) fn fault(error: &(dyn StdError + 'static), origin: &str) -> Option<TokenError> {
        if let Some(error) = tls::find::<ProxyError>(error) {
            return Some(error.into());
        }
        Some(match tls::find(error)? {
            TlsError::InvalidCertificate(why) => TokenError::new(
                ErrorKind::Transport,
                format!("the certificate of {origin} isn't trusted"),
            )
            .with_hint(cure(why))
            .temporary(false),
            TlsError::AlertReceived(alert) if is_about_us(*alert) => TokenError::new(
                ErrorKind::Key,
                format!("{origin} refused the client certificate in the TLS handshake ({alert:?})"),
            )
            .with_hint(
                "give the client an identity whose chain, leaf first, leads to an authority that \
                 the server trusts, and check that it is valid now",
            ),
            TlsError::AlertReceived(alert) => TokenError::new(
                ErrorKind::Transport,
                format!("{origin} broke off the TLS handshake ({alert:?})"),
            )
            .with_hint(
                "the server may want a client certificate, or a version or cipher suite that \
                 isn't offered here",
            ),
            _ => TokenError::new(
                ErrorKind::Transport,
                format!("no TLS connection to {origin}"),
            ),
        })
    }

    fn cure(why: &CertificateError) -> Cow<'static, str> {
        if let Some(refused) = tls::refused(why) {
            return refused.to_string().into();
        }
        "trust the authority that issued it, and check that the address has the name in the \
         certificate and that both clocks agree"
            .into()
    }

    /// In TLS 1.3 such an alert comes with the first read after the handshake.
    fn is_about_us(alert: Alert) -> bool {
        matches!(
            alert,
            Alert::NoCertificate
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::CertificateRequired
                | Alert::UnknownCA
                | Alert::AccessDenied
                // Of another authority with the same name: the chain's signature is wrong.
                | Alert::DecryptError
        )
    }

    #[cfg(test)]
    mod tests {
        use std::io;

        use super::*;

        fn as_hyper_wraps_it(error: TlsError) -> io::Error {
            io::Error::other(io::Error::new(io::ErrorKind::InvalidData, error))
        }

        #[test]
        fn tls_faults_are_told_apart_by_who_can_mend_them() {
            for (error, kind, temporary, says) in [
                (
                    TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
                    ErrorKind::Transport,
                    false,
                    "isn't trusted",
                ),
                (
                    TlsError::AlertReceived(Alert::CertificateRequired),
                    ErrorKind::Key,
                    false,
                    "refused the client certificate",
                ),
                (
                    TlsError::AlertReceived(Alert::UnknownCA),
                    ErrorKind::Key,
                    false,
                    "UnknownCA",
                ),
                (
                    TlsError::AlertReceived(Alert::HandshakeFailure),
                    ErrorKind::Transport,
                    true,
                    "broke off",
                ),
                (
                    TlsError::DecryptError,
                    ErrorKind::Transport,
                    true,
                    "no TLS connection",
                ),
            ] {
                let fault = fault(&as_hyper_wraps_it(error), "https://as.example").unwrap();
                assert_eq!(fault.kind(), kind, "{fault}");
                assert_eq!(fault.is_temporary(), temporary, "{fault}");
                assert!(fault.to_string().contains(says), "{fault}");
            }
        }

        #[test]
        fn other_faults_are_none_of_tls() {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            assert!(fault(&io::Error::other(refused), "https://as.example").is_none());
        }
    }
}
