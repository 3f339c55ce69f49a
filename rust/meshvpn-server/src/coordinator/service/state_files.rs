//! Secrets in files of the state directory: made at the first start, kept where only the owner reads.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use super::running::StartError;

/// The text in the file `path`; when there is no such file, what `make` makes of 32 random bytes is
/// written to it.
pub(super) fn secret(
    path: &Path,
    make: impl FnOnce(&[u8; 32]) -> Zeroizing<String>,
) -> Result<Zeroizing<String>, StartError> {
    let fail = |source| StartError::File {
        path: path.display().to_string(),
        source,
    };
    let mut file = OpenOptions::new();
    match file.write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let mut random = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *random).map_err(|error| fail(io::Error::other(error)))?;
            let text = make(&random);
            let line = Zeroizing::new(format!("{}\n", *text));
            file.write_all(line.as_bytes()).map_err(fail)?;
            file.sync_all().map_err(fail)?;
            Ok(text)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let text = Zeroizing::new(fs::read_to_string(path).map_err(fail)?);
            let text = text.trim();
            if text.is_empty() {
                let source = io::Error::other("it is empty: remove it, and another is made");
                return Err(fail(source));
            }
            Ok(Zeroizing::new(text.to_owned()))
        }
        Err(error) => Err(fail(error)),
    }
}
