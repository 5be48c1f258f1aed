//! The system's limit of open files, raised as far as it lets us: each connection is one.

/// Files that the server needs besides connections: the database and its log, blobs, the listener, the poller.
const RESERVED: usize = 64;

/// Raises this process's own limit and gives how many connections fit, if the system has a limit at all.
pub(crate) fn raise_for(connections: usize) -> Option<usize> {
    let limit = raised_limit(connections.saturating_add(RESERVED))?;
    Some(limit.saturating_sub(RESERVED).max(1))
}

#[cfg(unix)]
fn raised_limit(wanted: usize) -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current?;
    if current < wanted {
        let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
        // Refused on some systems; then the present limit holds.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

#[cfg(not(unix))]
fn raised_limit(_wanted: usize) -> Option<usize> {
    None
}
