//! Envelopes that wait for a device, and the ids of those that did.

use super::sql::{bytes, execute, first, identity, int, uint, user};
use super::{Answer, Stop, groups, lists};
use rusqlite::{Connection, Transaction, params};
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{SentItem, StoreOutcome, StoreResult, StoredItem, Waiting, WaitingEnvelope};
use securechat_core::wire::{Bytes, EnvelopeId, EnvelopeRef, Recipient};
use std::collections::HashMap;

/// Devices that are remembered.
const RECIPIENTS: usize = 100_000;

/// What is known of devices that envelopes are for, until any device or list changes.
#[derive(Debug, Default)]
pub(super) struct Recipients(HashMap<Identity, Device>);

/// The epoch of the owner's list, and whether the device is in it; none where nobody knows the device.
type Device = Option<(u64, bool)>;

impl Recipients {
    pub(super) fn find(&mut self, sql: &Connection, identity: &Identity) -> rusqlite::Result<Device> {
        if let Some(known) = self.0.get(identity) {
            return Ok(*known);
        }
        let statement = "SELECT user, listed FROM devices WHERE identity = ?";
        let device = first(sql, statement, [identity.as_bytes()], |row| Ok((user(row, 0)?, row.get::<_, bool>(1)?)))?;
        let recipient = match device {
            Some((owner, listed)) => Some((lists::epoch(sql, &owner)?.unwrap_or_default(), listed)),
            None => None,
        };
        if self.0.len() >= RECIPIENTS {
            self.0.clear();
        }
        self.0.insert(*identity, recipient);
        Ok(recipient)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

pub(super) fn send(
    sql: &Transaction<'_>,
    recipients: &mut Recipients,
    sender: (&Identity, &UserName),
    items: &[StoredItem],
    room: (usize, u64),
    now: u64,
) -> Answer {
    let results =
        items.iter().map(|item| send_one(sql, recipients, sender, item, room, now)).collect::<Result<_, Stop>>()?;
    Ok(StoreResult::Sent(results))
}

fn send_one(
    sql: &Transaction<'_>,
    recipients: &mut Recipients,
    sender: (&Identity, &UserName),
    item: &StoredItem,
    room: (usize, u64),
    now: u64,
) -> Result<SentItem, Stop> {
    let put = |device: Identity| put(sql, sender, &device, item, room, now);
    Ok(match &item.recipient {
        Recipient::Device(device) => match recipients.find(sql, device)? {
            Some((epoch, true)) => SentItem::new(epoch, put(*device)?),
            recipient => SentItem::new(recipient.map_or(0, |(epoch, _)| epoch), StoreOutcome::Unknown),
        },
        Recipient::Group(group) => sent_to_group(groups::recipients(sql, group, sender)?, put)?,
        _ => SentItem::new(0, StoreOutcome::Unknown),
    })
}

/// What became of an envelope for a group, with the number of its newest entry and its devices, if it is for anyone.
pub(super) fn sent_to_group<E>(
    recipients: Option<(u64, Vec<Identity>)>,
    mut put: impl FnMut(Identity) -> Result<StoreOutcome, E>,
) -> Result<SentItem, E> {
    let Some((epoch, devices)) = recipients else { return Ok(SentItem::new(0, StoreOutcome::Unknown)) };
    let devices = devices.into_iter().map(|device| Ok((device, put(device)?))).collect::<Result<_, E>>()?;
    Ok(SentItem { epoch, outcome: StoreOutcome::Passed, devices })
}

/// Puts an envelope into the mailbox of a listed device.
fn put(
    sql: &Transaction<'_>,
    (sender, name): (&Identity, &UserName),
    recipient: &Identity,
    item: &StoredItem,
    room: (usize, u64),
    now: u64,
) -> Result<StoreOutcome, Stop> {
    Ok(match &item.envelope {
        None => StoreOutcome::Passed,
        Some(_) if was_sent(sql, sender, recipient, item)? => StoreOutcome::Passed,
        Some(envelope) if !has_room(sql, recipient, envelope, room)? => StoreOutcome::Full,
        Some(envelope) => {
            execute(
                sql,
                "INSERT INTO envelopes (recipient, sender, id, user, sent_at, envelope) VALUES (?, ?, ?, ?, ?, ?)",
                params![recipient.as_bytes(), sender.as_bytes(), item.id.0, name.as_str(), int(now), &envelope[..],],
            )?;
            StoreOutcome::Stored(u64::try_from(sql.last_insert_rowid()).unwrap_or_default())
        }
    })
}

fn was_sent(
    sql: &Transaction<'_>,
    sender: &Identity,
    recipient: &Identity,
    item: &StoredItem,
) -> rusqlite::Result<bool> {
    let statement = "SELECT 1 FROM envelopes WHERE recipient = ? AND sender = ? AND id = ?";
    let values = params![recipient.as_bytes(), sender.as_bytes(), item.id.0];
    Ok(first(sql, statement, values, |_| Ok(()))?.is_some())
}

fn has_room(
    sql: &Transaction<'_>,
    recipient: &Identity,
    envelope: &Bytes,
    (room, room_bytes): (usize, u64),
) -> rusqlite::Result<bool> {
    let statement = "SELECT envelopes, bytes FROM mailboxes WHERE recipient = ?";
    let waiting = first(sql, statement, [recipient.as_bytes()], |row| Ok((uint(row, 0)?, uint(row, 1)?)))?;
    let (count, bytes) = waiting.unwrap_or_default();
    Ok(count < room as u64 && bytes.saturating_add(envelope.len() as u64) <= room_bytes)
}

pub(super) fn waiting(
    sql: &Transaction<'_>,
    recipient: &Identity,
    after: u64,
    count: usize,
    most_bytes: usize,
) -> Answer {
    let mut statement = sql.prepare_cached(
        "SELECT number, id, sender, user, sent_at, envelope FROM envelopes
         WHERE recipient = ? AND number > ? AND envelope IS NOT NULL ORDER BY number",
    )?;
    let mut rows = statement.query(params![recipient.as_bytes(), int(after)])?;
    let mut page = Waiting::default();
    let mut total = 0_usize;
    while let Some(row) = rows.next()? {
        let envelope = bytes(row, 5)?;
        total = total.saturating_add(envelope.len());
        if page.envelopes.len() >= count || (total > most_bytes && !page.envelopes.is_empty()) {
            page.more = true;
            break;
        }
        page.envelopes.push(WaitingEnvelope {
            number: uint(row, 0)?,
            id: EnvelopeId(row.get(1)?),
            sender: identity(row, 2)?,
            user: user(row, 3)?,
            sent_at: uint(row, 4)?,
            envelope,
        });
    }
    Ok(StoreResult::Waiting(page))
}

pub(super) fn acknowledge(sql: &Transaction<'_>, recipient: &Identity, envelopes: &[EnvelopeRef]) -> Answer {
    for envelope in envelopes {
        let statement = "UPDATE envelopes SET envelope = NULL WHERE recipient = ? AND sender = ? AND id = ?";
        execute(sql, statement, params![recipient.as_bytes(), envelope.sender.as_bytes(), envelope.id.0])?;
    }
    Ok(StoreResult::Done)
}

pub(super) fn expire(sql: &Transaction<'_>, before: u64) -> Result<(), Stop> {
    execute(sql, "DELETE FROM envelopes WHERE sent_at < ?", [int(before)])?;
    execute(sql, "DELETE FROM mailboxes WHERE envelopes = 0", [])?;
    Ok(())
}
