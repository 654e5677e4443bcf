use std::{path::Path, sync::Arc};

use crate::keystore::KeystoreError;

/// The certificate authorities whose servers are trusted.
#[derive(Clone, Debug)]
pub struct TrustAnchors(Arc<rustls::RootCertStore>);

impl TrustAnchors {
    /// Trusts the certificates in this PEM text.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeystoreError> {
        let _ = pem;
        unimplemented!("to come")
    }

    /// Trusts the certificates in this PEM file.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, KeystoreError> {
        let _ = path.as_ref();
        unimplemented!("to come")
    }

    /// Trusts what the operating system trusts.
    #[cfg(feature = "platform-roots")]
    #[cfg_attr(docsrs, doc(cfg(feature = "platform-roots")))]
    pub fn platform() -> Self {
        unimplemented!("to come")
    }
}
