//! What an operator does once: makes keys on the token, and exports their public halves as PEM.

use cryptoki::{
    mechanism::{Mechanism, MechanismType},
    object::{Attribute, AttributeType, ObjectHandle},
    session::Session,
};
use pkcs1::{RsaPublicKey, UintRef};
use spki::{
    AlgorithmIdentifier, ObjectIdentifier, SubjectPublicKeyInfo,
    der::{
        Decode, Encode, EncodePem,
        asn1::{AnyRef, BitStringRef, OctetStringRef},
        pem::LineEnding,
    },
};
use tower_oauth::BoxError;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// Makes an EC P-256 key, for ES256.
pub(crate) fn make_p256(session: &Session, label: &str) -> Result<String, BoxError> {
    let curve = Attribute::EcParams(P256.to_der()?);
    let public = make_pair(
        session,
        &Mechanism::EccKeyPairGen,
        label,
        &[curve],
        MechanismType::ECDSA,
    )?;
    let [Attribute::EcPoint(point)] =
        &session.get_attributes(public, &[AttributeType::EcPoint])?[..]
    else {
        return Err("the token doesn't tell the public key".into());
    };
    let point = <&OctetStringRef>::from_der(point)?;
    pem(EC_PUBLIC_KEY, AnyRef::from(&P256), point.as_bytes())
}

/// Makes an RSA key of 2048 bits, for PS256 and nothing else: RS256 is refused.
pub(crate) fn make_rsa_2048(session: &Session, label: &str) -> Result<String, BoxError> {
    let size = [
        Attribute::ModulusBits(2048.into()),
        Attribute::PublicExponent(vec![1, 0, 1]),
    ];
    let public = make_pair(
        session,
        &Mechanism::RsaPkcsKeyPairGen,
        label,
        &size,
        MechanismType::SHA256_RSA_PKCS_PSS,
    )?;
    let wanted = [AttributeType::Modulus, AttributeType::PublicExponent];
    let [
        Attribute::Modulus(modulus),
        Attribute::PublicExponent(exponent),
    ] = &session.get_attributes(public, &wanted)?[..]
    else {
        return Err("the token doesn't tell the public key".into());
    };
    let key = RsaPublicKey {
        modulus: UintRef::new(modulus)?,
        public_exponent: UintRef::new(exponent)?,
    };
    pem(pkcs1::ALGORITHM_OID, AnyRef::NULL, &key.to_der()?)
}

/// Makes a pair whose private half can't leave the token; answers with the public one.
fn make_pair(
    session: &Session,
    mechanism: &Mechanism<'_>,
    label: &str,
    kind: &[Attribute],
    signs_by: MechanismType,
) -> Result<ObjectHandle, BoxError> {
    let label = Attribute::Label(label.as_bytes().to_vec());
    let mut public = vec![
        Attribute::Token(true),
        Attribute::Verify(true),
        label.clone(),
    ];
    public.extend_from_slice(kind);
    let private = [
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::AllowedMechanisms(vec![signs_by]),
        label,
    ];
    let (public, private) = session.generate_key_pair(mechanism, &public, &private)?;

    let stays = [
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
    ];
    match session.get_attributes(private, &stays)?[..] {
        [
            Attribute::AlwaysSensitive(true),
            Attribute::NeverExtractable(true),
        ] => Ok(public),
        _ => Err("the token doesn't keep the private key to itself".into()),
    }
}

fn pem(
    algorithm: ObjectIdentifier,
    parameters: AnyRef<'_>,
    key: &[u8],
) -> Result<String, BoxError> {
    let info = SubjectPublicKeyInfo {
        algorithm: AlgorithmIdentifier {
            oid: algorithm,
            parameters: Some(parameters),
        },
        subject_public_key: BitStringRef::from_bytes(key)?,
    };
    Ok(info.to_pem(LineEnding::LF)?)
}
