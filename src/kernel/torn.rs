//! What is left when the child was interrupted in the middle of a message.
//!
//! pyzmq hands over the frames of a message one by one, and Python raises KeyboardInterrupt between any two: in
//! a stock kernel when an interrupt comes just while its main thread replies. The next message on that socket
//! goes on where the torn one ended, and both come as one, whose signature is wrong. So a client gets
//! neither reply. Here the second is found again, and the first is given by us. Replies have no buffers, which
//! are not signed: what is torn shows by its signature.

use super::link::Frames;
use super::message::Author;
use super::requests::{Request, Requests};
use super::wire::{DELIMITER, Envelope, Signer};
use serde_json::json;

/// A message of the child's for one client, without what is `torn`, which is counted; `None` where nothing
/// whole is in it.
pub fn whole(
    frames: Frames,
    requests: &Requests,
    signer: &Signer,
    torn: &mut u32,
) -> Option<Frames> {
    let delimiters = || (0..frames.len()).rev().filter(|at| *frames[*at] == *DELIMITER);
    let identities = |message: &[Vec<u8>]| {
        let parent = Envelope::open(message).ok()?.parent()?;
        requests.identities(&parent.msg_id)
    };
    let mut found = delimiters();
    if let (Some(at), None) = (found.next(), found.next())
        && identities(&frames[at..]).is_some_and(|identities| *identities == frames[..at])
    {
        return Some(frames);
    }
    // A delimiter may also be a buffer, or the message one that nobody waits for any more.
    let signed = |at: &usize| signer.verify_frames(&frames[*at..]).is_ok();
    let at = delimiters().find(signed);
    let is_first = at.is_some() && at == delimiters().next_back();
    match at.map(|at| (at, identities(&frames[at..]))) {
        Some((at, Some(identities))) if *identities != frames[..at] => {
            *torn += 1;
            Some([identities, &frames[at..]].concat())
        }
        Some(_) if is_first => Some(frames),
        _ => {
            *torn += 1;
            None
        }
    }
}

/// The frames that reply to a cell whose own reply was torn; `count` is the number of the last cell.
pub fn reply(author: &mut Author, request: &Request, count: u64) -> Vec<Vec<u8>> {
    let content = json!({
        "status": "error",
        "ename": "KeyboardInterrupt",
        "evalue": "the interrupt came at the end of the cell, in the middle of its reply",
        "traceback": [],
        "execution_count": count,
        "user_expressions": {},
        "payload": [],
    });
    author.write(&request.identities, "execute_reply", Some(&request.header), &content)
}

#[cfg(test)]
mod tests {
    use super::super::requests::Channel;
    use super::*;
    use proptest::prelude::*;

    /// The frames of a message as the child's socket is given them, for our own identity first.
    fn message(
        signer: &Signer,
        client: &str,
        kind: &str,
        parent: &str,
        buffers: &[&[u8]],
    ) -> Frames {
        let header = format!(r#"{{"msg_id": "{kind}", "msg_type": "{kind}"}}"#);
        let parent = format!(r#"{{"msg_id": "{parent}", "msg_type": "execute_request"}}"#);
        let parts = [header.as_bytes(), parent.as_bytes(), b"{}", b"{}"];
        let mut frames = vec![b"memprofile".to_vec(), client.as_bytes().to_vec()];
        frames.extend([DELIMITER.to_vec(), signer.sign(parts).into_bytes()]);
        frames.extend(parts.iter().chain(buffers).map(|part| part.to_vec()));
        frames
    }

    fn requests(signer: &Signer, ids: &[(&str, &str)]) -> Requests {
        let mut requests = Requests::default();
        for (client, id) in ids {
            let mut frames = message(signer, client, "execute_request", "", &[]);
            frames[4] = format!(r#"{{"msg_id": "{id}", "msg_type": "execute_request"}}"#).into();
            let envelope = Envelope::open(&frames[1..]).expect("a message");
            requests.forwarded(&envelope, &envelope.header().expect("a header"), Channel::Shell);
        }
        requests
    }

    proptest! {
        #[test]
        fn the_message_after_a_torn_one_is_found_wherever_that_was_torn(
            kept in proptest::collection::vec(0usize..8, 0..3), buffer in any::<bool>()
        ) {
            let signer = Signer::new("key");
            let requests = requests(&signer, &[("one", "a"), ("two", "b")]);
            let buffers: &[&[u8]] = if buffer { &[b"bytes", DELIMITER] } else { &[] };
            let whole_one = message(&signer, "two", "execute_reply", "b", buffers);
            let torn = message(&signer, "one", "execute_reply", "a", &[]);
            let mut sent: Frames = kept.iter().flat_map(|kept| torn[..*kept].to_vec()).collect();
            sent.extend(whole_one.iter().cloned());
            // The child's socket takes the first frame for whom it is for.
            let (sent, expected) = (sent[1..].to_vec(), whole_one[1..].to_vec());
            let (mut torn, is_torn) = (0, sent != expected);
            prop_assert_eq!(whole(sent, &requests, &signer, &mut torn), Some(expected));
            prop_assert_eq!(torn, u32::from(is_torn));
        }
    }

    #[test]
    fn what_the_child_did_not_sign_is_nothing() {
        let signer = Signer::new("key");
        let requests = requests(&signer, &[("one", "a")]);
        let other = message(&Signer::new("other"), "one", "execute_reply", "a", &[]);
        let mut torn = 0;
        for frames in [&other[2..], &other[..4], &[]] {
            assert_eq!(whole(frames.to_vec(), &requests, &signer, &mut torn), None);
        }
        assert_eq!(torn, 3);
        // To a request that nobody waits for any more.
        let late = message(&signer, "one", "execute_reply", "gone", &[])[1..].to_vec();
        assert_eq!(whole(late.clone(), &requests, &signer, &mut torn), Some(late));
        assert_eq!(torn, 3);
    }
}
