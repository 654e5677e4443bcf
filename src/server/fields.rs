use std::sync::Arc;

use http::{HeaderMap, HeaderName};

/// Names of fields that don't pass, in the head or in trailers.
#[derive(Clone, Debug)]
pub(super) struct Fields(Arc<[HeaderName]>);

impl Fields {
    pub(super) fn new(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// The same, and this one.
    pub(super) fn and(&self, name: HeaderName) -> Self {
        Self::new(self.0.iter().cloned().chain([name]))
    }

    /// Removes every field of these names, however often it is there.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        for name in &*self.0 {
            headers.remove(name);
        }
        // Servers behind CGI and its heirs take `Client_Cert` for `Client-Cert`.
        while let Some(odd) = headers.keys().find(|name| self.has_like(name)).cloned() {
            headers.remove(odd);
        }
    }

    fn has_like(&self, odd: &HeaderName) -> bool {
        let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
        odd.as_str().contains('_')
            && self.0.iter().any(|name| {
                let (name, odd) = (name.as_str().bytes(), odd.as_str().bytes());
                name.map(dashed).eq(odd.map(dashed))
            })
    }
}
