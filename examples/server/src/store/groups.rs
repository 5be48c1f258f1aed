//! Groups: logs of signed entries, and who is a member.

use super::sql::{all, bytes, execute, first, identity, int};
use super::{Answer, Stop, accounts, lists, require};
use rusqlite::{Connection, Row, Transaction, params};
use securechat_core::identity::{Identity, UserName};
use securechat_core::relay::{GroupPage, GroupState, LogPage, NewEntry, StoreRefusal, StoreResult};
use securechat_core::roster::GroupId;
use securechat_core::wire::GroupHead;

pub(super) fn group(sql: &Transaction<'_>, group: &GroupId, place: u32, user: &UserName) -> Answer {
    let statement = "SELECT roster FROM rosters WHERE id = ?";
    let roster = first(sql, statement, [group.as_bytes()], |row| bytes(row, 0))?;
    let statement = "SELECT entry FROM entries WHERE roster = ? AND place = ?";
    let entry = first(sql, statement, params![group.as_bytes(), place], |row| bytes(row, 0))?;
    Ok(StoreResult::Group(GroupState { epoch: lists::epoch(sql, user)?, roster, entry }))
}

pub(super) fn put(sql: &Transaction<'_>, entry: &NewEntry) -> Answer {
    let (actor, epoch) = &entry.actor;
    require(lists::epoch(sql, actor)? == Some(*epoch), StoreRefusal::Changed)?;
    let statement = "SELECT sequence, hash FROM rosters WHERE id = ?";
    let newest = first(sql, statement, [entry.group.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    require(newest == entry.before, StoreRefusal::Changed)?;
    for user in &entry.added {
        require(accounts::exists(sql, user)?, StoreRefusal::NotFound)?;
    }
    for user in &entry.added {
        require(memberships(sql, user)? < int(entry.room), StoreRefusal::Full)?;
    }
    let statement = "INSERT INTO rosters (id, open, sequence, hash, roster) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash, roster = excluded.roster";
    let values = params![entry.group.as_bytes(), entry.open, entry.sequence, entry.hash, &entry.roster[..]];
    execute(sql, statement, values)?;
    let statement = "INSERT INTO entries (roster, place, entry) VALUES (?, ?, ?)";
    execute(sql, statement, params![entry.group.as_bytes(), entry.sequence, &entry.bytes[..]])?;
    let changed = entry.added.iter().map(|user| (user, true)).chain(entry.removed.iter().map(|user| (user, false)));
    for (user, member) in changed {
        let statement = "INSERT INTO members (roster, user, member) VALUES (?, ?, ?)
             ON CONFLICT DO UPDATE SET member = excluded.member";
        execute(sql, statement, params![entry.group.as_bytes(), user.as_str(), member])?;
    }
    Ok(StoreResult::Done)
}

/// In how many groups a user is.
fn memberships(sql: &Transaction<'_>, user: &UserName) -> Result<i64, Stop> {
    let statement = "SELECT count(*) FROM members WHERE user = ? AND member";
    Ok(first(sql, statement, [user.as_str()], |row| row.get(0))?.unwrap_or_default())
}

pub(super) fn log(sql: &Transaction<'_>, group: &GroupId, user: &UserName, from: u32, count: usize) -> Answer {
    let statement = "SELECT sequence FROM rosters
         WHERE id = ?1 AND (open OR EXISTS (SELECT 1 FROM members WHERE roster = ?1 AND user = ?2))";
    let sequence = first(sql, statement, params![group.as_bytes(), user.as_str()], |row| row.get(0))?;
    let Some(sequence) = sequence else { return Ok(StoreResult::Log(None)) };
    let statement = "SELECT entry FROM entries WHERE roster = ? AND place >= ? ORDER BY place LIMIT ?";
    let entries = all(sql, statement, params![group.as_bytes(), from, int(count)], |row| bytes(row, 0))?;
    Ok(StoreResult::Log(Some(LogPage { sequence, entries })))
}

pub(super) fn page(sql: &Transaction<'_>, user: &UserName, after: &GroupId, count: usize, lobby: bool) -> Answer {
    let statement = "SELECT id, sequence, hash FROM members JOIN rosters ON id = members.roster
         WHERE user = ? AND member AND members.roster > ? ORDER BY members.roster LIMIT ?";
    let values = params![user.as_str(), after.as_bytes(), int(count.saturating_add(1))];
    let mut groups = all(sql, statement, values, head)?;
    let more = groups.len() > count;
    groups.truncate(count);
    let statement = "SELECT id, sequence, hash FROM rosters WHERE open ORDER BY number LIMIT 1";
    let lobby = if lobby { first(sql, statement, [], head)? } else { None };
    Ok(StoreResult::Groups(GroupPage { groups, more, lobby }))
}

fn head(row: &Row<'_>) -> rusqlite::Result<GroupHead> {
    Ok(GroupHead { group: GroupId::from_bytes(row.get(0)?), sequence: row.get(1)?, hash: row.get(2)? })
}

/// The devices that an envelope of this sender for a group goes to, by members and identities, and the number of the group's
/// newest entry; none when there is no such group, or the user is no member.
pub(super) fn recipients(
    sql: &Connection,
    group: &GroupId,
    (sender, user): (&Identity, &UserName),
) -> rusqlite::Result<Option<(u64, Vec<Identity>)>> {
    let statement = "SELECT sequence FROM rosters
         WHERE id = ?1 AND EXISTS (SELECT 1 FROM members WHERE roster = ?1 AND user = ?2 AND member)";
    let sequence: Option<u32> = first(sql, statement, params![group.as_bytes(), user.as_str()], |row| row.get(0))?;
    let Some(sequence) = sequence else { return Ok(None) };
    let statement = "SELECT identity FROM members CROSS JOIN devices ON devices.user = members.user
         WHERE roster = ? AND member AND listed AND identity <> ? ORDER BY members.user, identity";
    let devices = all(sql, statement, params![group.as_bytes(), sender.as_bytes()], |row| identity(row, 0))?;
    Ok(Some((sequence.into(), devices)))
}
