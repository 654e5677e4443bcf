use std::{fmt, io, sync::Arc, time::SystemTime};

use aws_lc_rs::digest;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData,
};
use rustls::{
    RootCertStore, ServerConfig,
    server::{ServerSessionMemoryCache, WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};

use super::self_signed::AlsoSelfSigned;
use crate::{
    keystore::{ClientIdentity, KeystoreError},
    secret::SecretString,
};

/// A throw-away certificate authority.
///
/// It has a root, which is what clients trust, and an intermediate, which issues: a peer that
/// sends its leaf alone is refused, as it would be in production. Nothing of it is ever written
/// to a file, and every certificate is valid at any time a test may set its clock to.
pub struct Pki {
    root: CertificateDer<'static>,
    intermediate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    /// Makes new keys and certificates.
    ///
    /// # Errors
    ///
    /// When the cryptographic library fails, which it doesn't on a sane machine.
    pub fn new() -> io::Result<Self> {
        Self::named("throw-away")
    }

    /// One whose certificates can be told from those of others by their names.
    pub(super) fn named(name: &str) -> io::Result<Self> {
        let root_params = authority(&format!("{name} root"), BasicConstraints::Unconstrained);
        let root_key = KeyPair::generate().map_err(io::Error::other)?;
        let root = root_params
            .self_signed(&root_key)
            .map_err(io::Error::other)?;
        let root_issuer = Issuer::new(root_params, root_key);

        let params = authority(
            &format!("{name} intermediate"),
            BasicConstraints::Constrained(0),
        );
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let intermediate = params
            .signed_by(&key, &root_issuer)
            .map_err(io::Error::other)?;

        Ok(Self {
            root: root.der().clone(),
            intermediate: intermediate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    /// The root certificate as PEM: what a client of the servers has to trust.
    pub fn ca_pem(&self) -> String {
        pem("CERTIFICATE", &self.root)
    }

    /// A client's certificate and key (EC P-256), with `name` as its common name.
    ///
    /// # Errors
    ///
    /// When the name is unfit for a certificate.
    pub fn client(&self, name: &str) -> io::Result<ClientPem> {
        self.client_with_key(name, KeyKind::EcP256)
    }

    /// A client's certificate with a key of this kind.
    ///
    /// # Errors
    ///
    /// When the name is unfit for a certificate.
    pub fn client_with_key(&self, name: &str, kind: KeyKind) -> io::Result<ClientPem> {
        let key = KeyPair::generate_for(kind.algorithm()).map_err(io::Error::other)?;
        self.client_of(name, &key, None)
    }

    /// Another certificate for the key of this client, with `name` as its common name: a renewed
    /// one.
    ///
    /// # Errors
    ///
    /// When the name is unfit for a certificate.
    pub fn renewed(&self, client: &ClientPem, name: &str) -> io::Result<ClientPem> {
        let key = PrivateKeyDer::from_pem_slice(client.key_pem().as_bytes());
        let key = KeyPair::try_from(&key.map_err(io::Error::other)?).map_err(io::Error::other)?;
        self.client_of(name, &key, None)
    }

    /// A client's certificate that is valid between these moments only.
    ///
    /// # Errors
    ///
    /// When the name is unfit for a certificate.
    pub fn client_valid(
        &self,
        name: &str,
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> io::Result<ClientPem> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        self.client_of(name, &key, Some((not_before, not_after)))
    }

    /// A client's certificate that nobody but itself has issued.
    ///
    /// # Errors
    ///
    /// When the name is unfit for a certificate.
    pub fn self_signed_client(&self, name: &str) -> io::Result<ClientPem> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let params = leaf_params(name, &[], ExtendedKeyUsagePurpose::ClientAuth)?;
        let leaf = params.self_signed(&key).map_err(io::Error::other)?;
        Ok(ClientPem::new(&[leaf.der()], &key))
    }

    /// A certificate and key for a server of the test's own, at the names of loopback: `127.0.0.1` and
    /// `localhost`.
    ///
    /// # Errors
    ///
    /// When the cryptographic library fails, which it doesn't on a sane machine.
    pub fn loopback_server(&self) -> io::Result<ClientPem> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let usage = ExtendedKeyUsagePurpose::ServerAuth;
        let leaf = self.leaf("loopback", &loopback_names(), usage, &key, None)?;
        Ok(ClientPem::new(&[&leaf, &self.intermediate], &key))
    }

    fn client_of(
        &self,
        name: &str,
        key: &KeyPair,
        validity: Option<(SystemTime, SystemTime)>,
    ) -> io::Result<ClientPem> {
        let usage = ExtendedKeyUsagePurpose::ClientAuth;
        let leaf = self.leaf(name, &[], usage, key, validity)?;
        Ok(ClientPem::new(&[&leaf, &self.intermediate], key))
    }

    /// The settings of a server for loopback names, which asks its clients for a certificate.
    pub(super) fn server(&self, terms: Terms) -> io::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).map_err(io::Error::other)?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = if terms.certificate_required {
            verifier
        } else {
            verifier.allow_unauthenticated()
        };

        let verifier = verifier.build().map_err(io::Error::other)?;
        let verifier: Arc<dyn ClientCertVerifier> = if terms.certificate_unasked {
            WebPkiClientVerifier::no_client_auth()
        } else if terms.self_signed {
            Arc::new(AlsoSelfSigned(verifier))
        } else {
            verifier
        };

        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names = if terms.misnamed {
            vec!["elsewhere.example".to_owned()]
        } else {
            loopback_names()
        };
        let leaf = self.leaf(
            "loopback",
            &names,
            ExtendedKeyUsagePurpose::ServerAuth,
            &key,
            None,
        )?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));

        let versions: &[_] = &[&TLS12, &TLS13];
        let versions = &versions[..if terms.tls12_only { 1 } else { 2 }];
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![leaf, self.intermediate.clone()], key)
            .map_err(io::Error::other)?;
        // Few clients come here, and each session holds its client's certificates.
        config.session_storage = ServerSessionMemoryCache::new(32);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if terms.http1_only {
            config.alpn_protocols.remove(0);
        }
        Ok(Arc::new(config))
    }

    fn leaf(
        &self,
        common_name: &str,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        key: &KeyPair,
        validity: Option<(SystemTime, SystemTime)>,
    ) -> io::Result<CertificateDer<'static>> {
        let mut params = leaf_params(common_name, names, usage)?;
        if let Some((not_before, not_after)) = validity {
            params.not_before = not_before.into();
            params.not_after = not_after.into();
        }
        params.use_authority_key_identifier_extension = true;
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(io::Error::other)?;
        Ok(certificate.der().clone())
    }
}

impl fmt::Debug for Pki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pki").finish_non_exhaustive()
    }
}

// ===== impl KeyKind =====

/// The kinds of keys that a [`Pki`] makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// An elliptic curve key on P-256, for ES256.
    #[default]
    EcP256,
    /// An elliptic curve key on P-384, for ES384.
    EcP384,
    /// An Edwards curve key, for EdDSA.
    Ed25519,
    /// An RSA key of 2048 bits, for RS256 and PS256. Making it takes a moment.
    Rsa2048,
}

impl KeyKind {
    fn algorithm(self) -> &'static rcgen::SignatureAlgorithm {
        match self {
            Self::EcP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EcP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
            Self::Rsa2048 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

// ===== impl ClientPem =====

/// A certificate chain and its private key, as PEM: a client's, as a rule.
#[derive(Clone)]
pub struct ClientPem {
    certificate_pem: String,
    key_pem: SecretString,
    public_key_pem: String,
    thumbprint: String,
}

impl ClientPem {
    fn new(chain: &[&CertificateDer<'_>], key: &KeyPair) -> Self {
        Self {
            certificate_pem: chain.iter().map(|it| pem("CERTIFICATE", it)).collect(),
            key_pem: pem("PRIVATE KEY", key.serialized_der()).into(),
            public_key_pem: pem("PUBLIC KEY", &key.subject_public_key_info()),
            thumbprint: thumbprint(chain[0]),
        }
    }

    /// The chain: the leaf, then the intermediate that issued it.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key (PKCS#8).
    pub fn key_pem(&self) -> &str {
        self.key_pem.expose()
    }

    /// Both, loaded.
    ///
    /// # Errors
    ///
    /// Only if the identity could not be used, which would be a fault of this kit.
    pub fn identity(&self) -> Result<ClientIdentity, KeystoreError> {
        let (certificate, key) = (self.certificate_pem(), self.key_pem());
        ClientIdentity::from_pem(certificate.as_bytes(), key.as_bytes())
    }

    /// The public key (SubjectPublicKeyInfo).
    pub fn public_key_pem(&self) -> &str {
        &self.public_key_pem
    }

    /// The leaf's `x5t#S256`: its SHA-256 in base64url ([RFC 8705 section 3.1]).
    ///
    /// [RFC 8705 section 3.1]: https://www.rfc-editor.org/rfc/rfc8705#section-3.1
    pub fn thumbprint(&self) -> &str {
        &self.thumbprint
    }
}

impl fmt::Debug for ClientPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientPem")
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

// ===== the vocabulary of this room =====

/// What a server insists on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms {
    pub(super) certificate_required: bool,
    pub(super) certificate_unasked: bool,
    /// Another name than those of loopback.
    pub(super) misnamed: bool,
    pub(super) self_signed: bool,
    pub(super) tls12_only: bool,
    pub(super) http1_only: bool,
}

/// The `x5t#S256` of a certificate.
pub(super) fn thumbprint(certificate: &CertificateDer<'_>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, certificate))
}

fn loopback_names() -> Vec<String> {
    ["127.0.0.1", "localhost"].map(str::to_owned).into()
}

fn leaf_params(
    common_name: &str,
    names: &[String],
    usage: ExtendedKeyUsagePurpose,
) -> io::Result<CertificateParams> {
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    Ok(params)
}

fn authority(common_name: &str, constraints: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for (at, char) in BASE64_STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(char);
    }
    text + &format!("\n-----END {label}-----\n")
}
