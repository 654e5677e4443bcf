use std::{error::Error as StdError, fmt, path::PathBuf};

use cryptoki::error::Error as Pkcs11Error;
use tokio::task::JoinError;
use tower_oauth::jose::Algorithm;

/// Why the token didn't sign, and what to change. No PIN is ever part of it.
#[derive(Debug)]
pub(crate) enum HsmError {
    Module { path: PathBuf, cause: Pkcs11Error },
    TokenNotPresent { label: String, present: Vec<String> },
    PinRefused,
    KeyNotFound { label: String },
    KeyAmbiguous { label: String, found: usize },
    Unsupported(Algorithm),
    Pkcs11(Pkcs11Error),
    Interrupted(JoinError),
}

impl fmt::Display for HsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module { path, .. } => {
                write!(f, "the PKCS#11 module {} can't be used", path.display())
            }
            Self::TokenNotPresent { label, present } => write!(
                f,
                "no token labelled {label:?} is present; there are: {present:?}"
            ),
            Self::PinRefused => f.write_str(
                "the token refused the PIN; it isn't tried again, because a few wrong ones lock \
                 the token: correct the PIN and start anew",
            ),
            Self::KeyNotFound { label } => write!(
                f,
                "no key labelled {label:?} is on the token, or this user may not see it"
            ),
            Self::KeyAmbiguous { label, found } => {
                write!(f, "{found} keys on the token are labelled {label:?}")
            }
            Self::Unsupported(algorithm) => write!(
                f,
                "the token has no mechanism for {algorithm}, or this key may not be used with it"
            ),
            Self::Pkcs11(_) => f.write_str("the token failed"),
            Self::Interrupted(_) => f.write_str("the call to the token was interrupted"),
        }
    }
}

impl StdError for HsmError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Module { cause, .. } | Self::Pkcs11(cause) => Some(cause),
            Self::Interrupted(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<Pkcs11Error> for HsmError {
    fn from(cause: Pkcs11Error) -> Self {
        Self::Pkcs11(cause)
    }
}

impl From<JoinError> for HsmError {
    fn from(cause: JoinError) -> Self {
        Self::Interrupted(cause)
    }
}
