//! Links between peers: the same sessions without a relay (L6).

use super::Client;
use super::contacts::OfferedLists;
use super::links::{Asked, Side};
use crate::error::{ApiMisuse, Error, PeerMisbehaved};
use crate::event::LinkId;
use crate::identity::{Identity, SignedBundle, SignedDeviceList, UserName};
use crate::wire::{self, Bytes, Refusal, RefusalCode, Reply, Request};

impl Client {
    /// Whether a bundle is that of a known contact's listed device, which needs no question.
    pub(super) fn is_contact(&self, bundle: &SignedBundle) -> bool {
        let pin = bundle.user().and_then(|user| self.contacts.pin(user));
        pin.is_some_and(|pin| pin.check_send().is_ok() && pin.contains(&bundle.identity()))
    }

    /// A link to a peer is open: its device lists are asked for, so that sessions can be checked against them.
    pub(super) fn peer_open(&mut self, link: LinkId, bundle: &SignedBundle) -> Result<(), Error> {
        let user =
            bundle.user().filter(|_| bundle.is_session_peer()).ok_or(PeerMisbehaved::BundleInconsistent)?.clone();
        let connection = self.links.get_mut(&link).ok_or(ApiMisuse::NotConnected)?;
        connection.side = Side::Peer { device: Some((user.clone(), bundle.identity())), listed: false };
        let lists = OfferedLists::new(user == self.config.user);
        let request = Request::FetchLists(wire::FetchLists { user, from: 0 });
        self.ask(link, request, Asked::PeerLists(lists));
        Ok(())
    }

    /// The user and device at the other end of a peer's link.
    pub(super) fn peer_device(&self, link: LinkId) -> Option<(UserName, Identity)> {
        match &self.links.get(&link)?.side {
            Side::Peer { device, .. } => device.clone(),
            Side::Relay { .. } => None,
        }
    }

    /// A page of a peer's own device lists. With the last, the session that messages go through is opened.
    pub(super) fn peer_lists_came(
        &mut self,
        link: LinkId,
        mut lists: OfferedLists,
        page: &wire::Lists,
    ) -> Result<(), Error> {
        let (user, device) = self.peer_device(link).ok_or(PeerMisbehaved::UnexpectedReply)?;
        for bytes in &page.lists {
            lists.push(SignedDeviceList::decode(bytes)?)?;
        }
        if page.next != 0 {
            // Each page has to bring the chain further, which is bounded.
            if page.next != lists.next() || page.lists.is_empty() {
                return Err(PeerMisbehaved::DeviceList.into());
            }
            let request = Request::FetchLists(wire::FetchLists { user, from: page.next });
            self.ask(link, request, Asked::PeerLists(lists));
            return Ok(());
        }
        self.lists_offered(&user, lists)?;
        let connection = self.links.get_mut(&link).ok_or(ApiMisuse::NotConnected)?;
        let bundle = connection.remote.as_ref().ok_or(PeerMisbehaved::BundleInconsistent)?.clone();
        let known = self.contacts.pin(&user);
        if !known.is_some_and(|pin| pin.contains(&device)) {
            // The list that the host pinned is another: `KeysChanged` was told, and nothing is sent here.
            return Ok(());
        }
        self.bundle_came(&user, &bundle, None)?;
        if let Some(connection) = self.links.get_mut(&link) {
            connection.side = Side::Peer { device: Some((user.clone(), device)), listed: true };
        }
        if !self.sessions.can_send(&device) {
            self.open_session(&bundle, None, false)?;
        }
        self.outbox.wake(&user);
        self.retry_waiting(&user);
        self.tell_whole(link, &device);
        Ok(())
    }

    /// What a peer may ask (L6).
    pub(super) fn peer_asked(&mut self, link: LinkId, id: u32, request: Request) -> Result<(), Error> {
        let reply = match request {
            Request::Ping(_) => Reply::Ping(wire::Done),
            Request::FetchLists(fetch) if fetch.user == self.config.user => {
                Reply::FetchLists(self.own_lists_from(fetch.from))
            }
            Request::Send(send) => Reply::Send(self.peer_sent(link, &send)?),
            Request::Acknowledge(_) => Reply::Acknowledge(wire::Done),
            Request::GetChunk(get) => return self.serve_chunk(link, id, get),
            Request::DeleteBlob(whole) => return self.peer_has_file(link, id, &whole.id.0),
            _ => return self.refuse(link, id, RefusalCode::UnknownRequest),
        };
        self.answer(link, id, &reply)
    }

    pub(super) fn answer(&mut self, link: LinkId, id: u32, reply: &Reply) -> Result<(), Error> {
        let connection = self.links.get_mut(&link).ok_or(ApiMisuse::NotConnected)?;
        connection.link.send(&reply.encode(id)?)
    }

    pub(super) fn refuse(&mut self, link: LinkId, id: u32, code: RefusalCode) -> Result<(), Error> {
        let connection = self.links.get_mut(&link).ok_or(ApiMisuse::NotConnected)?;
        connection.link.send(&Refusal::new(code).encode(id)?)
    }

    fn own_lists_from(&self, from: u64) -> wire::Lists {
        let lists = &self.account.lists;
        let first = usize::try_from(from).unwrap_or(usize::MAX).min(lists.len());
        let page = lists.iter().skip(first).take(wire::LISTS_PER_PAGE);
        let end = first + page.len();
        wire::Lists {
            epoch: self.account.list().map_or(0, SignedDeviceList::epoch),
            lists: page.map(|list| Bytes::from(list.bytes())).collect(),
            next: if end < lists.len() { end as u64 } else { 0 },
        }
    }
}
