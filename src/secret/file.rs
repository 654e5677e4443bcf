//! A secret that stands in a file of its own, as platforms mount them.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use zeroize::Zeroizing;

use super::SecretString;

/// More than any client secret has.
const LIMIT: usize = 16 * 1024;

/// Reads it, or says in words why it can't be had. Blocks. A line break at the end doesn't count.
pub(crate) fn read_file(path: &Path) -> Result<SecretString, String> {
    let text = read(path).map_err(|error| format!("{} can't be read: {error}", path.display()))?;
    let text = str::from_utf8(&text).map_err(|_| format!("{} isn't UTF-8", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(text.into())
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Of its full size from the start: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LIMIT + 2));
    File::open(path)?
        .take(LIMIT as u64 + 1)
        .read_to_end(&mut text)?;
    if text.len() > LIMIT {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 16 KiB",
        ));
    }
    Ok(text)
}
