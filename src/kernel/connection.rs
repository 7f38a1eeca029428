//! The connection file: where a kernel listens and the key that signs its messages.
//!
//! Its fields are those of "Connection files" in Jupyter's messaging protocol.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How a port's address is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// `tcp://IP:PORT`.
    Tcp,
    /// `ipc://IP-PORT`, where the ip is the beginning of a path.
    Ipc,
}

/// What a connection file says. `Debug` leaves the key out: no log of ours may hold it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// How the addresses below are written.
    pub transport: Transport,
    /// The interface, or the beginning of a path.
    pub ip: String,
    /// Requests that change the notebook's state.
    pub shell_port: u16,
    /// Outputs.
    pub iopub_port: u16,
    /// What the kernel asks the user.
    pub stdin_port: u16,
    /// Requests that must not wait behind a cell.
    pub control_port: u16,
    /// The heartbeat.
    pub hb_port: u16,
    /// Signs messages; empty: they are not signed.
    pub key: String,
    /// Always HMAC over SHA-256.
    #[serde(default = "sha256")]
    pub signature_scheme: String,
    /// Keys of an encryption that this kernel does not speak.
    #[serde(default, skip_serializing)]
    curve_publickey: Option<serde_json::Value>,
    #[serde(default, skip_serializing)]
    curve_secretkey: Option<serde_json::Value>,
    /// What a stock kernel is told as well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kernel_name: String,
}

fn sha256() -> String {
    "hmac-sha256".to_owned()
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("shell", &self.endpoint(self.shell_port))
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads the file that Jupyter wrote for this kernel.
    pub fn read(path: &Path) -> Result<Connection> {
        let wrong =
            |reason: String| Error::ConnectionFile { path: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Connection::parse(&text).map_err(wrong)
    }

    /// The same from its text; the error is a reason that holds no part of the text.
    pub fn parse(text: &str) -> std::result::Result<Connection, String> {
        // serde's own message would quote the value that it stumbled over, which may be the key.
        let found: Connection = serde_json::from_str(text).map_err(|e| {
            format!("not a connection file, line {} column {}", e.line(), e.column())
        })?;
        if found.curve_publickey.is_some() || found.curve_secretkey.is_some() {
            return Err("it asks for CURVE encryption, which this kernel does not speak; take \
                        supported_encryption out of the kernel's kernel.json"
                .to_owned());
        }
        if found.signature_scheme != sha256() {
            return Err(
                "its signature_scheme is not hmac-sha256; set Session.signature_scheme to that"
                    .to_owned(),
            );
        }
        Ok(found)
    }

    /// The address of one of the ports, as ZeroMQ writes it.
    pub fn endpoint(&self, port: u16) -> String {
        match self.transport {
            Transport::Tcp => format!("tcp://{}:{port}", self.ip),
            Transport::Ipc => format!("ipc://{}", self.path(port).display()),
        }
    }

    /// Where the socket of a port of [`Transport::Ipc`] lies.
    pub fn path(&self, port: u16) -> PathBuf {
        format!("{}-{port}", self.ip).into()
    }

    /// The same key on sockets below `folder`, so that signatures stay valid on the way.
    pub fn private(&self, folder: &Path) -> Connection {
        Connection {
            transport: Transport::Ipc,
            ip: folder.join("socket").display().to_string(),
            shell_port: 1,
            iopub_port: 2,
            stdin_port: 3,
            control_port: 4,
            hb_port: 5,
            ..self.clone()
        }
    }

    /// Writes a file that nobody else can read; it must not be there yet.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&serde_json::to_vec(self).map_err(std::io::Error::other)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"shell_port": 50001, "iopub_port": 50002, "stdin_port": 50003,
        "control_port": 50004, "hb_port": 50005, "ip": "127.0.0.1", "key": "4f6c-secret",
        "transport": "tcp", "signature_scheme": "hmac-sha256", "kernel_name": "memprofile", "jupyter_session": "x.ipynb"}"#;

    #[test]
    fn a_port_is_an_address_of_the_given_interface() {
        let connection = Connection::parse(TEXT).expect("as Jupyter writes it");
        assert_eq!(connection.endpoint(connection.shell_port), "tcp://127.0.0.1:50001");
        let private = connection.private(Path::new("/tmp/p"));
        assert_eq!(private.endpoint(private.iopub_port), "ipc:///tmp/p/socket-2");
        assert_eq!(private.key, connection.key);
    }

    #[test]
    fn no_message_shows_the_key() {
        let connection = Connection::parse(TEXT).expect("as Jupyter writes it");
        assert!(!format!("{connection:?}").contains("secret"));
        let broken = TEXT.replace(r#""transport": "tcp""#, r#""transport": "4f6c-secret""#);
        assert!(!Connection::parse(&broken).expect_err("no such transport").contains("secret"));
    }

    #[test]
    fn what_is_not_spoken_is_refused_with_a_next_step() {
        let curve = TEXT.replace(r#""ip""#, r#""curve_publickey": "x", "ip""#);
        assert!(Connection::parse(&curve).expect_err("CURVE").contains("supported_encryption"));
        let md5 = TEXT.replace("hmac-sha256", "hmac-md5");
        assert!(Connection::parse(&md5).expect_err("MD5").contains("signature_scheme"));
    }

    #[test]
    fn a_null_for_curve_keys_is_none() {
        let none = TEXT.replace(r#""ip""#, r#""curve_publickey": null, "ip""#);
        assert!(Connection::parse(&none).is_ok());
    }
}
