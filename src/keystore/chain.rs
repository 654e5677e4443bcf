//! The order of a chain: the own certificate first, then each one's issuer.

use rustls_pki_types::CertificateDer;

use super::certificate::Certificate;

/// Longer chains are none that any server would follow.
const MAX_LENGTH: usize = 10;

/// The chain that begins with this certificate, each issuer found by its name.
pub(super) fn from(
    leaf: usize,
    certificates: &[&CertificateDer<'static>],
) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![certificates[leaf].clone()];
    let mut last = leaf;
    while chain.len() < MAX_LENGTH {
        let Some(certificate) = Certificate::parse(certificates[last]) else {
            break;
        };
        let issuer = certificates.iter().position(|other| {
            !chain.contains(other)
                && Certificate::parse(other).is_some_and(|it| certificate.may_be_issued_by(&it))
        });
        let Some(issuer) = issuer.filter(|_| !certificate.is_self_issued()) else {
            break;
        };
        chain.push(certificates[issuer].clone());
        last = issuer;
    }
    chain
}

/// Puts the certificate with this public key first, and its issuers behind it. What is in order
/// stays as it is; `None`: there is no such certificate.
pub(super) fn of_key(
    public_key: &[u8],
    certificates: Vec<CertificateDer<'static>>,
) -> Option<Vec<CertificateDer<'static>>> {
    let leaf = certificates.iter().position(|certificate| {
        Certificate::parse(certificate).is_some_and(|it| it.public_key == public_key)
    })?;
    if leaf == 0 {
        return Some(certificates);
    }
    Some(from(leaf, &certificates.iter().collect::<Vec<_>>()))
}
