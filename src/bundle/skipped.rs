//! What a folder holds and its bundle does not serve, or not as it is named, for the log at start.

use std::fmt;
use std::path::PathBuf;

/// Something that the folder holds and the bundle does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is. A skipped folder stands for everything inside.
    pub path: PathBuf,
    /// Why it is not served.
    pub reason: SkipReason,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.reason {
            SkipReason::OtherContent => "is served under its own name only",
            _ => "is not served",
        };
        write!(f, "{} {what}: {}", self.path.display(), self.reason)
    }
}

/// Why something in the folder is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// The name begins with a dot: `.git`, `.DS_Store`, `.env`.
    DotFile,
    /// The name is not UTF-8, so no two browsers would agree on its URL.
    NotUtf8,
    /// The name holds a backslash, which browsers turn into a slash, or a NUL, which no file's can.
    Backslash,
    /// An object's key with nothing between two slashes, which is no path of a file.
    Empty,
    /// A socket, pipe or device.
    SpecialFile,
    /// A symbolic link to a folder, which could lead in a circle. Links to files are followed.
    LinkToFolder,
    /// Named as if it were another file, compressed, and it is not.
    OtherContent,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DotFile => "its name begins with a dot",
            Self::NotUtf8 => "its name is not UTF-8",
            Self::Backslash => "its name holds a backslash or a NUL",
            Self::Empty => "its key has nothing between two slashes",
            Self::SpecialFile => "it is neither a file nor a folder",
            Self::LinkToFolder => "it is a link to a folder, and only links to files are followed",
            Self::OtherContent => {
                "it does not unpack to the file beside it, so compress that anew, or remove this"
            }
        })
    }
}
