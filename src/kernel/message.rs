//! Messages that the supervisor writes itself, as a kernel would.

use super::wire::{DELIMITER, Signer};
use crate::error::Result;
use serde_json::{Value, json};
use std::time::SystemTime;

/// The version of the messaging protocol that our own messages keep to.
const VERSION: &str = "5.4";

/// Writes messages in one session's name. Each gets an id of its own: none is ever sent twice.
#[derive(Debug)]
pub struct Author {
    session: String,
    signer: Signer,
    written: u64,
}

/// The content of a message that shows something, in the display `id` if it has a name. Where the HTML
/// could not be made the text says the same.
pub fn shown(html: Result<String>, text: String, id: Option<&str>) -> Value {
    let data = match html {
        Ok(html) => json!({ "text/html": html, "text/plain": text }),
        Err(_) => json!({ "text/plain": text }),
    };
    let transient = id.map_or_else(|| json!({}), |id| json!({ "display_id": id }));
    json!({ "data": data, "metadata": {}, "transient": transient })
}

/// What a message answers: a request's header as it came, or nothing.
pub type Parent<'a> = Option<&'a [u8]>;

impl Author {
    /// A new session, with a name that nobody has had.
    pub fn new(signer: Signer) -> std::io::Result<Author> {
        let session = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        Ok(Author { session: session.trim().to_owned(), signer, written: 0 })
    }

    /// The name of the session.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The frames of a message for IOPub. Topics are as a stock kernel's.
    pub fn publish(&mut self, kind: &str, parent: Parent<'_>, content: &Value) -> Vec<Vec<u8>> {
        let topic = format!("kernel.{}.{kind}", self.session);
        self.write(&[topic.as_bytes()], kind, parent, content)
    }

    /// The frames of a message that is for `identities`.
    pub fn write(
        &mut self,
        identities: &[impl AsRef<[u8]>],
        kind: &str,
        parent: Parent<'_>,
        content: &Value,
    ) -> Vec<Vec<u8>> {
        self.written += 1;
        let header = json!({
            "msg_id": format!("{}_{}_{}", self.session, std::process::id(), self.written),
            "msg_type": kind,
            "session": self.session,
            "username": "memprofile",
            "date": humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
            "version": VERSION,
        });
        let [header, content] =
            [header, content.clone()].map(|value| value.to_string().into_bytes());
        let parent = parent.unwrap_or(b"{}");
        let signature = self.signer.sign([&header, parent, b"{}", &content]);
        let mut frames: Vec<Vec<u8>> = identities.iter().map(|i| i.as_ref().to_vec()).collect();
        frames.extend([
            DELIMITER.to_vec(),
            signature.into_bytes(),
            header,
            parent.to_vec(),
            b"{}".to_vec(),
            content,
        ]);
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Envelope;
    use super::*;

    #[test]
    fn a_message_is_signed_and_names_its_parent() {
        let signer = Signer::new("key");
        let mut author = Author::new(signer.clone()).expect("a session");
        let parent = br#"{"msg_id":"a","msg_type":"execute_request","session":"s"}"#;
        let frames = author.publish("status", Some(parent), &json!({"execution_state": "busy"}));
        let envelope = Envelope::open(&frames).expect("a message");
        assert_eq!(signer.verify(&envelope), Ok(()));
        assert_eq!(envelope.parent().expect("a parent").msg_id, "a");
        assert_eq!(envelope.header().expect("a header").session, author.session());
    }

    #[test]
    fn two_messages_are_never_the_same() {
        let mut author = Author::new(Signer::new("key")).expect("a session");
        let mut id = || {
            let frames = author.publish("status", None, &json!({}));
            Envelope::open(&frames)
                .expect("a message")
                .header()
                .expect("a header")
                .msg_id
                .into_owned()
        };
        assert_ne!(id(), id());
    }
}
