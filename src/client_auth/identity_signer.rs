use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    jose::{LocalSigner, SigningKeyError},
    keystore::{ClientIdentity, IdentityNumber, RotatingIdentity},
};

type Make = dyn Fn(&ClientIdentity) -> Result<LocalSigner, SigningKeyError> + Send + Sync;

/// Signers of an identity that may change. Parsing a key costs as much as several signatures, so
/// the last signer is kept.
pub(super) struct IdentitySigner {
    identity: RotatingIdentity,
    make: Box<Make>,
    last: Mutex<Option<(IdentityNumber, Arc<LocalSigner>)>>,
}

impl IdentitySigner {
    pub(super) fn new(
        identity: RotatingIdentity,
        make: impl Fn(&ClientIdentity) -> Result<LocalSigner, SigningKeyError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            identity,
            make: Box::new(make),
            last: Mutex::default(),
        }
    }

    pub(super) fn identity(&self) -> &RotatingIdentity {
        &self.identity
    }

    /// The signer of this identity, or of the current one.
    pub(super) fn signer(
        &self,
        identity: Option<&ClientIdentity>,
    ) -> Result<Arc<LocalSigner>, SigningKeyError> {
        let identity = identity.map_or_else(|| self.identity.current(), Clone::clone);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, signer)) = &*last
            && *number == identity.number()
        {
            return Ok(Arc::clone(signer));
        }
        let signer = Arc::new((self.make)(&identity)?);
        *last = Some((identity.number(), Arc::clone(&signer)));
        Ok(signer)
    }
}
