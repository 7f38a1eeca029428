//! The one error type. Every message says what to do next.

/// What can go wrong, in the user's words.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text is no profile.
    NotAProfile {
        /// What is wrong with it.
        reason: String,
    },
    /// The profile was written by a later version.
    NewerProfile {
        /// The version of the file.
        found: u32,
        /// The newest version that we read.
        newest: u32,
    },
    /// A second recording was asked for while one runs.
    AlreadyRecording,
    /// A recording was asked to stop twice.
    NotRecording,
    /// A forked child asked to stop its parent's recording.
    OtherProcess,
    /// This interpreter cannot be measured.
    UnsupportedInterpreter {
        /// Which one it is, and why not.
        reason: String,
    },
    /// A graph of the objects would take more memory than is left.
    NoRoom {
        /// What it would take at least, as `1.5 GiB`.
        needed: String,
        /// What it may take.
        left: String,
    },
    /// A picture could not be drawn.
    Drawing {
        /// What the drawing library said.
        reason: String,
    },
    /// A kernel was given a connection file that it cannot use.
    ConnectionFile {
        /// Where it is.
        path: String,
        /// What is wrong with it, with the next step where there is one.
        reason: String,
    },
    /// The memprofile kernel could not do its part.
    Kernel {
        /// What it could not do, as "start Python".
        what: String,
        /// What the system said.
        reason: String,
    },
}

/// A result with our [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::NotAProfile { reason } => write!(
                f,
                "this is not a memprofile profile ({reason}); load a file that Profile.save(\"name.json\") wrote"
            ),
            Error::NewerProfile { found, newest } => write!(
                f,
                "this profile has version {found} and this memprofile reads up to {newest}; upgrade with: pip install --upgrade memprofile"
            ),
            Error::AlreadyRecording => write!(
                f,
                "a memory recording is already running in this process; let it end first, and profile the outer cell or the inner block, not both"
            ),
            Error::NotRecording => {
                write!(
                    f,
                    "this recording has already ended; start a new one with memprofile.profile()"
                )
            }
            Error::OtherProcess => write!(
                f,
                "this recording belongs to the process that started it, and this is a fork of it; end the child with os._exit() inside of the block"
            ),
            Error::UnsupportedInterpreter { reason } => write!(
                f,
                "{reason}; memprofile measures CPython 3.11 to 3.15 with the GIL: start the notebook on one of these"
            ),
            Error::NoRoom { needed, left } => write!(
                f,
                "looking at the objects would take more than {needed}, and {left}, half of the memory that is left, is the most; free something first, or ask for a smaller object"
            ),
            Error::Drawing { reason } => write!(
                f,
                "the picture could not be drawn ({reason}); print(profile) shows the same figures as text"
            ),
            Error::ConnectionFile { path, reason } => write!(
                f,
                "the connection file {path} cannot be used: {reason}. Jupyter writes one when it starts a kernel: choose \"Python 3 (memprofile)\", or jupyter console --kernel memprofile"
            ),
            Error::Kernel { what, reason } => write!(
                f,
                "the memprofile kernel could not {what} ({reason}); start the kernel again, or choose the kernel \"Python 3 (ipykernel)\", in which %load_ext memprofile works too"
            ),
        }
    }
}

impl std::error::Error for Error {}
