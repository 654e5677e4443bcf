use std::{path::PathBuf, sync::Arc};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as Pkcs11Error, RvError},
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
    types::AuthPin,
};
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::error::HsmError;

/// Loads the vendor's library. Once in a process: PKCS#11 has no more than one state of it.
pub(crate) fn load(path: impl Into<PathBuf>) -> Result<Pkcs11, HsmError> {
    let path = path.into();
    let initialize = |module: Pkcs11| {
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        Ok(module)
    };
    Pkcs11::new(&path)
        .and_then(initialize)
        .map_err(|cause| HsmError::Module { path, cause })
}

/// A token with one session, shared by all clones.
///
/// The session is opened when it is first needed, and anew after any error: a card that was pulled
/// out or an HSM that was restarted comes back without a restart here.
#[derive(Clone)]
pub(crate) struct Token {
    module: Pkcs11,
    label: String,
    state: Arc<Mutex<State>>,
}

struct State {
    /// `None` after it was refused.
    pin: Option<AuthPin>,
    session: Option<Session>,
}

impl Token {
    /// Nothing is opened yet.
    pub(crate) fn new(module: Pkcs11, label: impl Into<String>, pin: AuthPin) -> Self {
        let state = State {
            pin: Some(pin),
            session: None,
        };
        Self {
            module,
            label: label.into(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Does `work` in the session, one at a time, on a thread that may block: PKCS#11 does.
    ///
    /// Dropped while it waits for its turn, it does nothing; later, `work` is still finished, so that
    /// the session is never left in the middle of an operation.
    pub(crate) async fn with_session<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Session) -> Result<T, HsmError> + Send + 'static,
    ) -> Result<T, HsmError> {
        let token = self.clone();
        let mut state = Arc::clone(&self.state).lock_owned().await;
        spawn_blocking(move || {
            let session = match state.session.take() {
                Some(session) => session,
                None => token.log_in(&mut state.pin)?,
            };
            let done = work(&session)?;
            state.session = Some(session);
            Ok(done)
        })
        .await?
    }

    fn log_in(&self, pin: &mut Option<AuthPin>) -> Result<Session, HsmError> {
        let known = pin.as_ref().ok_or(HsmError::PinRefused)?;
        let session = self.module.open_ro_session(self.slot()?)?;
        match session.login(UserType::User, Some(known)) {
            // Login is the application's, not the session's: another session of ours did it.
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(Pkcs11Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange, _)) => {
                *pin = None;
                Err(HsmError::PinRefused)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Slots are numbered anew as tokens come and go: the label is what stays.
    pub(crate) fn slot(&self) -> Result<Slot, HsmError> {
        let mut present = Vec::new();
        for slot in self.module.get_slots_with_token()? {
            let token = self.module.get_token_info(slot)?;
            if token.label() == self.label {
                return Ok(slot);
            }
            if token.token_initialized() {
                present.push(token.label().to_owned());
            }
        }
        Err(HsmError::TokenNotPresent {
            label: self.label.clone(),
            present,
        })
    }
}

/// The one object of this class and label.
pub(crate) fn find(
    session: &Session,
    class: ObjectClass,
    label: &str,
) -> Result<ObjectHandle, HsmError> {
    let named = [
        Attribute::Class(class),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    match session.find_objects(&named)?[..] {
        [key] => Ok(key),
        [] => Err(HsmError::KeyNotFound {
            label: label.to_owned(),
        }),
        ref several => Err(HsmError::KeyAmbiguous {
            label: label.to_owned(),
            found: several.len(),
        }),
    }
}
