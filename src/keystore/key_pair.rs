use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;

/// A private key, parsed and found usable.
#[derive(Debug)]
pub(crate) enum KeyPair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    P521(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl KeyPair {
    /// Finds out what the key is. `None`: it is damaged, too short, or of another kind.
    pub(crate) fn parse(der: &PrivateKeyDer<'_>) -> Option<Self> {
        if let PrivateKeyDer::Pkcs1(key) = der {
            return RsaKeyPair::from_der(key.secret_pkcs1_der())
                .ok()
                .map(Self::Rsa);
        }
        let der = der.secret_der();
        // The parsers check the kind of key and the curve, and read PKCS#8 as well as SEC1.
        RsaKeyPair::from_pkcs8(der)
            .map(Self::Rsa)
            .or_else(|_| {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der)
                    .map(Self::P256)
            })
            .or_else(|_| {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P384_SHA384_FIXED_SIGNING, der)
                    .map(Self::P384)
            })
            .or_else(|_| {
                EcdsaKeyPair::from_private_key_der(&ECDSA_P521_SHA512_FIXED_SIGNING, der)
                    .map(Self::P521)
            })
            .or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Self::Ed25519))
            .ok()
    }

    /// The public half, as the bits of a certificate's `subjectPublicKey`: an RSA key's modulus
    /// and exponent in DER, an EC key's uncompressed point, or Ed25519's 32 octets.
    pub(crate) fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.public_key().as_ref(),
            Self::P256(key) | Self::P384(key) | Self::P521(key) => key.public_key().as_ref(),
            Self::Ed25519(key) => key.public_key().as_ref(),
        }
    }

    /// What it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "an RSA key",
            Self::P256(_) => "an EC key on P-256",
            Self::P384(_) => "an EC key on P-384",
            Self::P521(_) => "an EC key on P-521",
            Self::Ed25519(_) => "an Ed25519 key",
        }
    }
}
