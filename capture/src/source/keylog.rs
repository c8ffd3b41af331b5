//! Key logs from files: read whole once, or followed as they grow.
//!
//! Owns the file: where it was read to, and whether the one at the path is still the one that is
//! open. Refuses to know what is in it: the text goes to [`crate::Tap::push_keys`].

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A key log that another program writes.
///
/// It may not be there yet, grow, be truncated, or be replaced by another (log rotation): each
/// [`KeyLogFile::read`] goes on where the last one ended, with what is there now.
#[derive(Debug)]
pub struct KeyLogFile {
    path: PathBuf,
    open: Option<Open>,
    /// The line read last has no end yet: another file, or another beginning, is no part of it.
    mid_line: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode: what tells files apart that have one name after the other.
    id: (u64, u64),
    read_to: u64,
}

/// What a look at a key log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLogRead {
    /// So many bytes of text; there may be more at once.
    Text(usize),
    /// Nothing new.
    Nothing,
}

/// A key log that cannot be read.
#[derive(Debug)]
pub struct KeyLogError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl fmt::Display for KeyLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key log {} cannot be read: {}", self.path.display(), self.error)
    }
}

impl std::error::Error for KeyLogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl KeyLogFile {
    /// Will read the file at `path`, once there is one.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), open: None, mid_line: false }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the next text into `buffer`, which must not be empty. Fails where there is no file, or
    /// it cannot be read; the next call tries again.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<KeyLogRead, KeyLogError> {
        self.try_read(buffer).map_err(|error| KeyLogError { path: self.path.clone(), error })
    }

    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<KeyLogRead> {
        loop {
            let Some(open) = &mut self.open else {
                self.open = Some(Open::at(&self.path)?);
                if std::mem::take(&mut self.mid_line) {
                    buffer[0] = b'\n';
                    return Ok(KeyLogRead::Text(1));
                }
                continue;
            };
            if open.file.metadata()?.len() < open.read_to {
                open.file.rewind()?;
                open.read_to = 0;
                if std::mem::take(&mut self.mid_line) {
                    buffer[0] = b'\n';
                    return Ok(KeyLogRead::Text(1));
                }
            }
            let read = match open.file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read > 0 {
                open.read_to += read as u64;
                self.mid_line = buffer[read - 1] != b'\n';
                return Ok(KeyLogRead::Text(read));
            }
            // The old file was read to its end: only then is a new one at the path looked at.
            let now = std::fs::metadata(&self.path)?;
            if (now.dev(), now.ino()) == open.id {
                return Ok(KeyLogRead::Nothing);
            }
            self.open = None;
        }
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        #[expect(clippy::disallowed_methods, reason = "a source is what opens files")]
        let file = File::open(path)?;
        let meta = file.metadata()?;
        if meta.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self { file, id: (meta.dev(), meta.ino()), read_to: 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    /// A folder of its own that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    /// All there is now.
    fn text(log: &mut KeyLogFile) -> String {
        let (mut all, mut buffer) = (Vec::new(), [0; 7]);
        while let KeyLogRead::Text(len) = log.read(&mut buffer).unwrap() {
            all.extend_from_slice(&buffer[..len]);
        }
        String::from_utf8(all).unwrap()
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_is_read_as_it_comes_and_grows() {
        let folder = Folder::new("keylog-grows");
        let path = folder.0.join("keys.log");
        let mut log = KeyLogFile::new(&path);
        let why = log.read(&mut [0; 8]).unwrap_err().to_string();
        assert!(why.contains("keys.log cannot be read"), "{why}");
        append(&path, "one\ntw");
        assert_eq!(text(&mut log), "one\ntw");
        assert_eq!(text(&mut log), "");
        append(&path, "o\n");
        assert_eq!(text(&mut log), "o\n");
    }

    #[test]
    fn a_truncated_file_is_read_from_its_beginning() {
        let folder = Folder::new("keylog-truncated");
        let path = folder.0.join("keys.log");
        append(&path, "a long first line\nand a cut one");
        let mut log = KeyLogFile::new(&path);
        assert_eq!(text(&mut log), "a long first line\nand a cut one");
        fs::write(&path, "short\n").unwrap();
        assert_eq!(text(&mut log), "\nshort\n");
    }

    #[test]
    fn a_replaced_file_is_read_after_the_rest_of_the_old_one() {
        let folder = Folder::new("keylog-replaced");
        let path = folder.0.join("keys.log");
        append(&path, "old\n");
        let mut log = KeyLogFile::new(&path);
        assert_eq!(text(&mut log), "old\n");
        append(&path, "the last of it\ncut li");
        fs::rename(&path, folder.0.join("keys.log.1")).unwrap();
        fs::write(&path, "new\n").unwrap();
        assert_eq!(text(&mut log), "the last of it\ncut li\nnew\n");
    }
}
