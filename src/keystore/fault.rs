use super::KeystoreError;

/// What is wrong inside a store. The decoders don't know what they read from; `at` adds that.
#[derive(Debug)]
pub(super) enum Fault {
    Damaged(&'static str),
    /// Wrong, or the store is damaged: a digest tells no more.
    WrongPassword,
    MissingPassword,
    /// Nothing says that the content is as it was written.
    Unverified,
    /// An algorithm by its name or number, and how to do without it.
    Unsupported {
        algorithm: String,
        cure: &'static str,
    },
    /// So many rounds of key derivation are wanted.
    TooMuchWork(u64),
}

impl Fault {
    pub(super) fn at(self, input: impl Into<String>) -> KeystoreError {
        let input = input.into();
        match self {
            Self::Damaged(reason) => KeystoreError::Malformed { input, reason },
            Self::WrongPassword => KeystoreError::WrongPassword { input },
            Self::MissingPassword => KeystoreError::MissingPassword { input },
            Self::Unverified => KeystoreError::Unverified { input },
            Self::Unsupported { algorithm, cure } => KeystoreError::UnsupportedAlgorithm {
                input,
                algorithm,
                cure,
            },
            Self::TooMuchWork(rounds) => KeystoreError::TooMuchWork { input, rounds },
        }
    }
}
