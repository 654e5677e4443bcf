use aws_lc_rs::digest::{SHA256, digest};
use cryptoki::{
    error::{Error as Pkcs11Error, RvError},
    mechanism::{
        Mechanism, MechanismType,
        rsa::{PkcsMgfType, PkcsPssParams},
    },
    object::ObjectClass,
    session::Session,
};
use tower_oauth::{
    BoxError,
    jose::{Algorithm, Signer, SigningKeyInfo},
};

use crate::{
    error::HsmError,
    token::{Token, find},
};

/// Signs with a private key that stays on the token.
pub(crate) struct HsmSigner {
    token: Token,
    label: String,
    algorithm: Algorithm,
    key: SigningKeyInfo,
}

impl HsmSigner {
    /// The key is looked up by its label at each signature; the label is the `kid`, too.
    pub(crate) fn new(token: Token, label: impl Into<String>, algorithm: Algorithm) -> Self {
        let label = label.into();
        Self {
            token,
            algorithm,
            key: SigningKeyInfo::new().key_id(&label),
            label,
        }
    }
}

impl Signer for HsmSigner {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn key(&self) -> &SigningKeyInfo {
        &self.key
    }

    async fn sign(&self, input: &[u8]) -> Result<Vec<u8>, BoxError> {
        let (label, algorithm) = (self.label.clone(), self.algorithm);
        let input = input.to_vec();
        let signature = self
            .token
            .with_session(move |session| sign(session, &label, algorithm, &input));
        Ok(signature.await?)
    }
}

fn sign(
    session: &Session,
    label: &str,
    algorithm: Algorithm,
    input: &[u8],
) -> Result<Vec<u8>, HsmError> {
    let key = find(session, ObjectClass::PRIVATE_KEY, label)?;
    let signature = match algorithm {
        // Many tokens have only the mechanism that takes a digest. It answers with r and s side by
        // side, which is what JWS wants.
        Algorithm::ES256 => session.sign(&Mechanism::Ecdsa, key, digest(&SHA256, input).as_ref()),
        // The token hashes. The salt is as long as the digest (RFC 7518 section 3.5).
        Algorithm::PS256 => {
            let parameters = PkcsPssParams {
                hash_alg: MechanismType::SHA256,
                mgf: PkcsMgfType::MGF1_SHA256,
                s_len: 32.into(),
            };
            session.sign(&Mechanism::Sha256RsaPkcsPss(parameters), key, input)
        }
        Algorithm::RS256 => session.sign(&Mechanism::Sha256RsaPkcs, key, input),
        other => return Err(HsmError::Unsupported(other)),
    };
    signature.map_err(|error| match error {
        Pkcs11Error::Pkcs11(RvError::MechanismInvalid, _) => HsmError::Unsupported(algorithm),
        other => other.into(),
    })
}
