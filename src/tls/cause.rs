//! What is inside an error that came up through hyper.

use std::{error::Error as StdError, io};

use rustls::{CertificateError, Error as TlsError};

use super::verify::Refused;

/// The first error of this type in the chain.
pub(crate) fn find<'a, T: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An `io::Error` names the source of what it holds, not what it holds.
        let held = error.downcast_ref().and_then(io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// What this house has to say about a server's certificate.
pub(crate) fn refused(error: &CertificateError) -> Option<&Refused> {
    match error {
        CertificateError::Other(other) => other.0.downcast_ref(),
        _ => None,
    }
}

/// Whether a server is vouched for by nobody who is trusted: not whether it is late, or has another
/// name.
pub(super) fn is_of_unknown_issuer(error: &(dyn StdError + 'static)) -> bool {
    let Some(TlsError::InvalidCertificate(error)) = find(error) else {
        return false;
    };
    matches!(
        error,
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    ) || refused(error).is_some_and(Refused::is_of_unknown_issuer)
}

/// Who has issued the certificate that was refused for that.
pub(super) fn unknown_issuer<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a str> {
    match find(error)? {
        TlsError::InvalidCertificate(error) => refused(error)?.issuer(),
        _ => None,
    }
}
