//! Reading a file that may hold a key.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use super::KeystoreError;

/// A store of a thousand certificates has a megabyte or two.
const LIMIT: u64 = 4 * 1024 * 1024;

/// Reads a file of at most 4 MiB. Blocks.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
    let input = || path.display().to_string();
    let octets = read_some(path).map_err(|source| KeystoreError::Unreadable {
        input: input(),
        source,
    })?;
    if octets.len() as u64 > LIMIT {
        return Err(KeystoreError::Malformed {
            input: input(),
            reason: "it is larger than 4 MiB",
        });
    }
    Ok(octets)
}

fn read_some(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let file = File::open(path)?;
    // Of its full size from the start: a buffer that grows leaves copies of a key behind. One
    // octet more lets the end be seen without growing.
    let expected = file.metadata()?.len().min(LIMIT) + 1;
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(expected).unwrap_or(0)));
    file.take(LIMIT + 1).read_to_end(&mut octets)?;
    Ok(octets)
}
