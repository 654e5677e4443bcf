use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::ClientIdentity;

impl ClientIdentity {
    /// The `x5t#S256` of the client's own certificate: base64url of the SHA-256 of its DER (RFC
    /// 8705 section 3.1). Tokens are bound to it, and it is what a server's log names it by.
    #[cfg_attr(docsrs, doc(cfg(any(feature = "hyper", feature = "jwt"))))]
    pub fn thumbprint(&self) -> String {
        let leaf = self.chain().first().expect("a chain has a certificate");
        URL_SAFE_NO_PAD.encode(digest(&SHA256, leaf))
    }
}
