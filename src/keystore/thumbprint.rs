use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::ClientIdentity;

impl ClientIdentity {
    /// The `x5t#S256` of the client's own certificate: base64url of the SHA-256 of its DER (RFC
    /// 8705 section 3.1). Tokens are bound to it, and it is what a server's log names it by.
    #[cfg_attr(docsrs, doc(cfg(any(feature = "hyper", feature = "jwt"))))]
    pub fn thumbprint(&self) -> String {
        of(self.chain().first().expect("a chain has a certificate"))
    }
}

fn of(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate))
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_thumbprint_is_as_the_vectors_say() {
        let vectors = include_str!("../../tests/vectors/x509-thumbprint.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        for case in cases {
            let pem = case["pem"].as_str().unwrap();
            let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            assert_eq!(of(&certificate), case["expected_x5t_S256"]);
        }
    }
}
