//! The attacks, by what they are made on.

mod envelopes;
mod files;
mod groups;
mod keys;
mod links;
mod lists;

use crate::fault::Fault;
use crate::stage::Stage;
use securechat_core::identity::UserName;

/// One thing that a relay can do to its users.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What the relay does.
    pub(crate) does: &'static str,
    /// What the user sees: `run` fails when it is not so.
    pub(crate) sees: &'static str,
    /// The rule of PROTOCOL.md, and the line of ATTACKS.md where there is one.
    pub(crate) rule: &'static str,
    /// Whether somebody logs in, so that the relay knows a password and has whom to lie to.
    pub(crate) logs_in: bool,
    pub(crate) run: fn(&Stage) -> Result<(), Fault>,
}

/// All of them, in the order of the table.
pub(crate) fn all() -> impl Iterator<Item = &'static Attack> {
    [links::ALL, keys::ALL, lists::ALL, envelopes::ALL, files::ALL, groups::ALL].into_iter().flatten()
}

fn name(user: &str) -> Result<UserName, Fault> {
    Ok(UserName::new(user)?)
}
