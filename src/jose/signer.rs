use std::{future::Future, pin::Pin, sync::Arc};

use super::Algorithm;
use crate::error::BoxError;

/// Signs with a key that may be anywhere: in memory, in an HSM, behind a KMS.
///
/// # Example
///
/// ```
/// use tower_oauth::{BoxError, jose::{Algorithm, Signer, SigningKeyInfo}};
///
/// struct Kms { key: SigningKeyInfo }
///
/// impl Signer for Kms {
///     fn algorithm(&self) -> Algorithm {
///         Algorithm::ES256
///     }
///
///     fn key(&self) -> &SigningKeyInfo {
///         &self.key
///     }
///
///     async fn sign(&self, input: &[u8]) -> Result<Vec<u8>, BoxError> {
/// #       async fn ask_the_kms(_: &[u8]) -> Result<Vec<u8>, BoxError> { Ok(vec![0; 64]) }
///         ask_the_kms(input).await
///     }
/// }
/// ```
pub trait Signer: Send + Sync + 'static {
    /// The algorithm of every signature, named in the `alg` header.
    fn algorithm(&self) -> Algorithm;

    /// How the server finds the key.
    fn key(&self) -> &SigningKeyInfo;

    /// Signs `input`, the JWS signing input: hash it as the [`algorithm`](Self::algorithm) says.
    ///
    /// The answer is the raw JWS signature. For ECDSA that is r and s side by side, each as long
    /// as the curve's order (64 octets in all for ES256; RFC 7518 section 3.4). Many services
    /// answer with a DER sequence instead: convert it.
    ///
    /// # Errors
    ///
    /// The error's chain becomes part of logs: it must hold no secret. A
    /// [`TokenError`](crate::TokenError) is passed on as it is, any other error becomes the source
    /// of one of kind [`Key`](crate::ErrorKind::Key).
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the token call takes longer than its deadline.
    fn sign(&self, input: &[u8]) -> impl Future<Output = Result<Vec<u8>, BoxError>> + Send;
}

/// One signer for several clients.
impl<T: Signer> Signer for Arc<T> {
    fn algorithm(&self) -> Algorithm {
        T::algorithm(self)
    }

    fn key(&self) -> &SigningKeyInfo {
        T::key(self)
    }

    fn sign(&self, input: &[u8]) -> impl Future<Output = Result<Vec<u8>, BoxError>> + Send {
        T::sign(self, input)
    }
}

// ===== SigningKeyInfo =====

/// How a server finds the public key of a [`Signer`]: members of the JWS header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SigningKeyInfo {
    /// `kid` (RFC 7515 section 4.1.4). Default: left out.
    pub key_id: Option<String>,
    /// `x5t#S256`, the certificate's thumbprint (RFC 7515 section 4.1.8). Default: left out.
    pub x5t_s256: Option<String>,
    /// `x5c`, the certificate chain, each in base64 of DER, the signer's own first (RFC 7515
    /// section 4.1.6). Default: empty, left out.
    pub x5c: Vec<String>,
}

impl SigningKeyInfo {
    /// Names no key: for a client that has registered only one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends this `kid`.
    #[must_use]
    pub fn key_id(mut self, key_id: impl Into<String>) -> Self {
        self.key_id = Some(key_id.into());
        self
    }

    /// Sends this `x5t#S256`: base64url without padding of the SHA-256 of the certificate's DER.
    #[must_use]
    pub fn x5t_s256(mut self, thumbprint: impl Into<String>) -> Self {
        self.x5t_s256 = Some(thumbprint.into());
        self
    }

    /// Sends this `x5c`.
    #[must_use]
    pub fn x5c(mut self, chain: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.x5c = chain.into_iter().map(Into::into).collect();
        self
    }
}

// ===== DynSigner =====

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The object-safe twin of [`Signer`].
pub(crate) trait DynSigner: Send + Sync + 'static {
    fn algorithm(&self) -> Algorithm;
    fn key(&self) -> &SigningKeyInfo;
    fn sign<'a>(&'a self, input: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, BoxError>>;
}

impl<T: Signer> DynSigner for T {
    fn algorithm(&self) -> Algorithm {
        Signer::algorithm(self)
    }

    fn key(&self) -> &SigningKeyInfo {
        Signer::key(self)
    }

    fn sign<'a>(&'a self, input: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, BoxError>> {
        Box::pin(Signer::sign(self, input))
    }
}
