//! Messages out.

use super::{Owned, conversation, id_out, securechat_client};
use crate::boundary::{Failure, Result, array, bytes, with};
use crate::client::lent::{
    SECURECHAT_MESSAGE_APPLICATION, SECURECHAT_MESSAGE_DELETE, SECURECHAT_MESSAGE_EDIT, SECURECHAT_MESSAGE_PROFILE,
    SECURECHAT_MESSAGE_REACTION, SECURECHAT_MESSAGE_READ, SECURECHAT_MESSAGE_STOPPED_TYPING, SECURECHAT_MESSAGE_TEXT,
    SECURECHAT_MESSAGE_TYPING, SECURECHAT_MESSAGE_UNREACT,
};
use crate::status::securechat_status;
use core::ffi::c_char;
use securechat_core::content::{Conversation, MessageId};
use securechat_core::identity::UserName;

use securechat_status::*;

/// Sends a message to a user or a group, and sets `id` (16 bytes). It waits where there is no connection, and for keys.
///
/// `message` is SECURECHAT_MESSAGE_..., or 0x8000 to 0xFFFF for the application's own; each says what its `data` is. `target` (16 bytes) is
/// the message that is edited, deleted or reacted to; NULL for the others. SECURECHAT_EVENT_SENT, SECURECHAT_EVENT_DELIVERED and
/// SECURECHAT_EVENT_READ follow; of a group only the first. Typing notices and SECURECHAT_MESSAGE_READ have no id, nothing follows them, and
/// they go to users only.
///
/// Fails with SECURECHAT_ERR_VIOLATION while the user's changed keys wait, SECURECHAT_ERR_TOO_LARGE, SECURECHAT_ERR_BUSY when too many wait,
/// SECURECHAT_ERR_CONTENT_KIND for a kind that cannot be sent; of a group SECURECHAT_ERR_NOT_FOUND where it is not known here,
/// SECURECHAT_ERR_NOT_PERMITTED for who is no member, SECURECHAT_ERR_ROSTER_FORKED.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments)]
pub unsafe extern "C" fn securechat_client_send(
    client: *mut securechat_client,
    to: *const c_char,
    to_len: usize,
    message: u32,
    target: *const u8,
    data: *const u8,
    data_len: usize,
    now: u64,
    id: *mut u8,
) -> securechat_status {
    // SAFETY: a handle, texts, 16 bytes and an out-parameter, by the header.
    unsafe {
        let id = id_out(id);
        with("securechat_client_send", client, |owned| {
            let id = id?;
            let (to, data) = (conversation(to, to_len)?, bytes(data, data_len)?);
            let target = array(target).map(MessageId::from_bytes);
            if let Some(sent) = owned.send(&to, message, target, data, now)? {
                id.set(*sent.as_bytes());
            }
            Ok(())
        })
    }
}

impl Owned {
    fn send(
        &mut self,
        to: &Conversation,
        message: u32,
        target: Option<MessageId>,
        data: &[u8],
        now: u64,
    ) -> Result<Option<MessageId>> {
        let text = || core::str::from_utf8(data).map_err(|_| Failure::from(SECURECHAT_ERR_UTF8));
        let target = || target.ok_or_else(|| Failure::new(SECURECHAT_ERR_NULL, "this kind of message needs a target"));
        let client = &mut self.client;
        Ok(Some(match message {
            SECURECHAT_MESSAGE_TYPING | SECURECHAT_MESSAGE_STOPPED_TYPING => {
                client.send_typing(one(to)?, message == SECURECHAT_MESSAGE_TYPING, now)?;
                return Ok(None);
            }
            SECURECHAT_MESSAGE_READ => {
                client.mark_read(one(to)?, &message_ids(data)?, now)?;
                return Ok(None);
            }
            SECURECHAT_MESSAGE_TEXT => client.send_text(to, text()?, now)?,
            SECURECHAT_MESSAGE_EDIT => client.send_edit(to, target()?, text()?, now)?,
            SECURECHAT_MESSAGE_DELETE => client.send_delete(to, target()?, now)?,
            SECURECHAT_MESSAGE_REACTION => client.send_reaction(to, target()?, text()?, false, now)?,
            SECURECHAT_MESSAGE_UNREACT => client.send_reaction(to, target()?, text()?, true, now)?,
            SECURECHAT_MESSAGE_PROFILE => client.send_profile(to, text()?, now)?,
            SECURECHAT_MESSAGE_APPLICATION.. => {
                let kind = u16::try_from(message).map_err(|_| SECURECHAT_ERR_CONTENT_KIND)?;
                client.send_application(to, kind, data, now)?
            }
            _ => return Err(SECURECHAT_ERR_CONTENT_KIND.into()),
        }))
    }
}

/// The user of a conversation with one: what is not for groups.
fn one(to: &Conversation) -> Result<&UserName> {
    match to {
        Conversation::User(user) => Ok(user),
        _ => Err(Failure::new(SECURECHAT_ERR_CONTENT_KIND, "nothing of this kind goes to a group")),
    }
}

/// Ids of messages that stand one behind the other.
fn message_ids(bytes: &[u8]) -> Result<Vec<MessageId>> {
    let (ids, rest) = bytes.as_chunks::<16>();
    if rest.is_empty() {
        Ok(ids.iter().map(|id| MessageId::from_bytes(*id)).collect())
    } else {
        Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "an id of a message has 16 bytes"))
    }
}
