//! A relay that is asked well-formed questions in any order, by a host that is slow, forgetful and out of order.

use super::AUTHENTIC;
use super::devices::{Device, keys, user};
use super::links::NOW;
use super::program::{Program, tamper};
use super::relay::{binding, fresh_relay, relay_identity};
use crate::codec::decode;
use crate::crypto::ed25519::SigningKey;
use crate::identity::{Identity, SignedDeviceList, UserName};
use crate::limits::DAY;
use crate::relay::{
    ConnId, Job, JobId, JobResult, MemoryStore, NewAccount, Output, PasswordHash, Relay, Store, StoreJob, StoreResult,
    StoredList,
};
use crate::roster::{Action, Entry, GroupId, Roster, SignedEntry};
use crate::wire::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Steps on three connections, one for each of three users with an account.
///
/// Every request gets one answer at the most, an envelope arrives at its recipient alone, or at who was a member of its group,
/// as it was sent and under the name of who sent it; every group is what its log says, and when all is done nothing is left.
pub fn relay_ops(data: &[u8]) {
    let mut program = Program::new(data);
    let mut world = World::new();
    while let Some(step) = program.step() {
        world.step(step, &mut program);
    }
    world.end();
}

/// A user with what its device could publish, signed beforehand.
struct Person {
    user: UserName,
    identity: Identity,
    bundle: Bytes,
    prekeys: Vec<Bytes>,
    /// The first list, one with another device proposed, the same countersigned, and one without it again.
    lists: [SignedDeviceList; 4],
    claim: [u8; 64],
    key: SigningKey,
    /// The first entry of a group, open or not.
    group: SignedEntry,
}

impl Person {
    fn new(number: u8) -> Self {
        let device = Device::new(number, 0);
        let (user, identity) = (user(number), device.local.keys.identity());
        let own = &device.local.keys.identity;
        let first = SignedDeviceList::create(user.clone(), own).unwrap();
        let proposed = first.propose_add(&keys(number + 10).identity).unwrap();
        let second = proposed.countersign(&first, own).unwrap();
        let third = second.without(&[keys(number + 10).identity()], own).unwrap();
        let (relay, channel_binding) = (relay_identity(), binding(number));
        let claim =
            LoginClaim { relay: &relay, user: &user, identity: &identity, channel_binding: &channel_binding }.sign(own);
        let key = keys(number).identity;
        let entry = Entry {
            identity,
            group: GroupId::NONE,
            previous: [0; 32],
            sequence: 0,
            time: NOW,
            epoch: 0,
            actor: user.clone(),
            action: Action::Create { name: "group".into(), open: number == 2, nonce: [number; 16] },
        };
        let group = SignedEntry::sign(entry, &key).unwrap();
        Self {
            user,
            identity,
            key,
            group,
            bundle: device.local.bundle.bytes().into(),
            prekeys: device.prekeys.iter().map(|prekey| prekey.bytes().into()).collect(),
            lists: [first, proposed, second, third],
            claim,
        }
    }
}

fn people() -> &'static [Person; 3] {
    static MADE: std::sync::LazyLock<[Person; 3]> = std::sync::LazyLock::new(|| [1, 2, 3].map(Person::new));
    &MADE
}

struct World {
    relay: Relay,
    store: MemoryStore,
    now: u64,
    connections: [Option<ConnId>; 3],
    jobs: VecDeque<(JobId, Job)>,
    /// Jobs are left for later.
    idle: bool,
    /// Requests less answers, by connection.
    open: BTreeMap<ConnId, usize>,
    asked: u32,
    /// Envelopes that somebody sent: to whom, from whom, under which id, and the bytes.
    sent: BTreeSet<(Identity, Identity, EnvelopeId, Vec<u8>)>,
    /// Those for groups: of whose entry the group is, from whom, under which id, and the bytes.
    sent_to_groups: BTreeSet<(usize, Identity, EnvelopeId, Vec<u8>)>,
    paused: BTreeSet<ConnId>,
}

impl World {
    fn new() -> Self {
        let mut store = MemoryStore::new();
        // Two have an account, the third may make one.
        for person in people().iter().take(2) {
            let [first, ..] = &person.lists;
            let list = StoredList { epoch: 0, hash: first.hash(), bytes: first.bytes().into() };
            let (user, identity, bundle) = (person.user.clone(), person.identity, person.bundle.clone());
            let password = PasswordHash::new("password");
            let account = NewAccount { user, password, identity, serial: 1, bundle, list, now: NOW };
            store.run(&[StoreJob::CreateAccount(account)]);
        }
        Self {
            relay: fresh_relay(),
            store,
            now: NOW,
            connections: [None; 3],
            jobs: VecDeque::new(),
            idle: false,
            open: BTreeMap::new(),
            asked: 0,
            sent: BTreeSet::new(),
            sent_to_groups: BTreeSet::new(),
            paused: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: u8, program: &mut Program<'_>) {
        let at = usize::from(step & 3) % 3;
        match step >> 2 & 15 {
            0..=9 => {
                let request = self.request(at, program);
                self.asked += 1;
                let encoded = request.encode(self.asked).unwrap();
                self.ask(at, &encoded);
            }
            10 => {
                let request = self.request(at, program);
                let mut encoded = request.encode(self.asked).unwrap().to_vec();
                tamper(&mut encoded, program);
                self.ask(at, &encoded);
            }
            11 => {
                if let Some(conn) = self.connections[at].take() {
                    self.open.remove(&conn);
                    self.relay.disconnect(conn, self.now);
                }
            }
            12 => self.idle = !self.idle,
            13 => self.work(program.byte()),
            14 => {
                self.now += [300, 5_000, 70_000, 31 * DAY][program.below(4)];
                self.relay.handle_timeout(self.now);
            }
            _ => {
                if let Some(conn) = self.connections[at] {
                    if self.paused.remove(&conn) {
                        self.relay.resume_output(conn);
                    } else {
                        self.relay.pause_output(conn, self.now);
                        self.paused.insert(conn);
                    }
                }
            }
        }
        self.drain();
    }

    fn ask(&mut self, at: usize, request: &[u8]) {
        if let Ok(Received::Request(_, Request::Send(send))) = Received::decode(request) {
            for SendItem { id, recipient, envelope, .. } in send.items {
                let (from, envelope) = (people()[at].identity, envelope.to_vec());
                match recipient {
                    Recipient::Device(to) => _ = self.sent.insert((to, from, id, envelope)),
                    Recipient::Group(group) => {
                        let group = people().iter().position(|person| person.group.created_group() == group);
                        _ = group.map(|group| self.sent_to_groups.insert((group, from, id, envelope)));
                    }
                }
            }
        }
        let (relay, now) = (&mut self.relay, self.now);
        let number = at as u8 + 1;
        let connect = || relay.connect(now, [number; 16], binding(number)).unwrap();
        let conn = *self.connections[at].get_or_insert_with(connect);
        *self.open.entry(conn).or_default() += 1;
        self.relay.handle_data(conn, request, self.now);
    }

    /// A question that makes sense, of everything that there is to ask.
    fn request(&mut self, at: usize, program: &mut Program<'_>) -> Request {
        let (own, all) = (&people()[at], people());
        let other = &all[program.below(3)];
        let password = || Password::new(["password", "other"][self.asked as usize % 2].into()).unwrap();
        let id = program.byte();
        let (blob, envelope_id) = (BlobId([id & 3; 16]), EnvelopeId([id & 15; 16]));
        let list = || Bytes::from(own.lists[usize::from(id) % 4].bytes());
        match program.byte() % 26 {
            0 => Request::Ping(Ping),
            1 => Request::Register(Register {
                user: own.user.clone(),
                password: password(),
                bundle: own.bundle.clone(),
                list: list(),
                signature: own.claim,
            }),
            2 => Request::LogIn(LogIn {
                user: own.user.clone(),
                password: password(),
                code: None,
                identity: own.identity,
                signature: own.claim,
            }),
            3..=6 => Request::LogInDevice(LogInDevice {
                user: other.user.clone(),
                identity: own.identity,
                signature: own.claim,
            }),
            7 => Request::ChangePassword(ChangePassword { old: password(), new: password() }),
            8 => Request::SetUpCode(SetUpCode { password: password(), code: None }),
            9 => Request::PublishBundle(PublishBundle { bundle: other.bundle.clone() }),
            10 => Request::PublishPrekeys(PublishPrekeys { replace: id & 1 != 0, prekeys: other.prekeys.clone() }),
            11 => Request::PublishList(PublishList { list: list() }),
            12 => Request::ProposeList(ProposeList { list: list() }),
            13 => Request::FetchLists(FetchLists { user: other.user.clone(), from: u64::from(id & 3) }),
            14 => Request::FetchKeys(FetchKeys {
                user: other.user.clone(),
                devices: vec![other.identity, own.identity],
                prekey_kind: id & 3,
            }),
            15 => Request::Users(FetchUsers { from: String::new() }),
            16 => Request::SetPresence(SetPresence { presence: Presence::Away, watch: id & 1 != 0 }),
            17 | 18 => {
                let item = |number: u8| SendItem {
                    id: EnvelopeId([envelope_id.0[0].wrapping_add(number); 16]),
                    recipient: match id & 128 {
                        0 => Recipient::Device(other.identity),
                        _ => Recipient::Group(other.group.created_group()),
                    },
                    transient: id & 64 != 0,
                    envelope: vec![number; 300].into(),
                };
                Request::Send(Send { items: (0..id & 3).map(item).collect() })
            }
            19 => Request::Acknowledge(Acknowledge {
                envelopes: vec![EnvelopeRef { sender: other.identity, id: envelope_id }],
            }),
            20 => Request::CreateBlob(CreateBlob { id: blob, size: u64::from(program.byte()) << (id & 31) }),
            21 => {
                let index = u32::from(id >> 6);
                if id & 4 != 0 {
                    Request::GetChunk(GetChunk { id: blob, index })
                } else {
                    Request::PutChunk(PutChunk { id: blob, index, chunk: program.filling().into() })
                }
            }
            23 => Request::GroupEntry(GroupEntry { entry: self.entry(at, &other.group, id).bytes().into() }),
            24 => Request::GroupLog(FetchLog { group: other.group.created_group(), from: u32::from(id & 3) }),
            25 => Request::Groups(FetchGroups { from: GroupId::NONE }),
            _ => {
                if id & 4 != 0 {
                    Request::MissingChunks(MissingChunks { id: blob, from: 0 })
                } else {
                    Request::DeleteBlob(DeleteBlob { id: blob })
                }
            }
        }
    }

    /// An entry for the group that this one creates; it may follow there, if nothing comes before it.
    fn entry(&mut self, at: usize, first: &SignedEntry, choice: u8) -> SignedEntry {
        let person = &people()[at];
        let other = || people()[usize::from(choice >> 4) % 3].user.clone();
        let Some((roster, epoch)) = self.roster(first.created_group(), &person.user) else { return first.clone() };
        let action = match choice & 7 {
            0 => return first.clone(),
            1 | 2 => Action::Add { users: vec![other()] },
            3 => Action::Add { users: people().iter().map(|person| person.user.clone()).collect() },
            4 => Action::Remove { users: vec![other()] },
            5 => Action::Admin { user: other(), admin: choice & 64 == 0 },
            6 => Action::Rename { name: format!("name {choice}") },
            _ => Action::Epoch,
        };
        let entry = Entry {
            identity: person.identity,
            group: roster.id(),
            previous: roster.hash(),
            sequence: roster.sequence() + 1 + u32::from(choice & 128 != 0),
            time: NOW,
            epoch: epoch + u64::from(choice & 8 != 0),
            actor: person.user.clone(),
            action,
        };
        SignedEntry::sign(entry, &person.key).unwrap()
    }

    /// What the store has of a group, and the epoch of a user's list.
    fn roster(&mut self, group: GroupId, user: &UserName) -> Option<(Roster, u64)> {
        let job = StoreJob::Group { group, place: 0, user: user.clone() };
        let StoreResult::Group(state) = self.store.run(&[job]).remove(0) else { panic!("another answer") };
        Some((decode(&state.roster?).unwrap(), state.epoch.unwrap_or_default()))
    }

    /// Every group is what its log comes to, and its members are those who have it in their lists.
    fn check_groups(&mut self) {
        for person in people() {
            let group = person.group.created_group();
            let Some((roster, _)) = self.roster(group, &person.user) else { continue };
            let log = StoreJob::Log { group, user: person.user.clone(), from: 0, count: usize::MAX };
            let StoreResult::Log(Some(log)) = self.store.run(&[log]).remove(0) else { panic!("no log") };
            let mut again = Roster::create(&person.group).unwrap();
            for entry in log.entries.iter().skip(1) {
                again.apply(&SignedEntry::decode(entry).unwrap()).unwrap();
            }
            assert_eq!(again, roster);
            for user in people().iter().map(|person| person.user.clone()) {
                let is_member = roster.is_member(&user);
                let page = StoreJob::Groups { user, after: GroupId::NONE, count: 9, lobby: true };
                let StoreResult::Groups(page) = self.store.run(&[page]).remove(0) else { panic!("no groups") };
                assert_eq!(page.groups.iter().any(|head| head.group == group), is_member);
                assert_eq!(page.lobby.is_some_and(|head| head.group == group), roster.is_open());
            }
        }
    }

    /// Whether somebody sent this to a group, and its recipient was ever a member.
    fn came_by_a_group(&mut self, to: &UserName, deliver: &Deliver) -> bool {
        (0..3).any(|group| {
            let sent = (group, deliver.sender, deliver.id, deliver.envelope.to_vec());
            let roster = self.roster(people()[group].group.created_group(), to);
            self.sent_to_groups.contains(&sent) && roster.is_some_and(|(roster, _)| roster.was_member(to))
        })
    }

    fn drain(&mut self) {
        loop {
            while let Some(job) = self.relay.poll_job() {
                self.jobs.push_back(job);
            }
            if !self.idle && !self.jobs.is_empty() {
                self.work(1);
                continue;
            }
            let Some((conn, output)) = self.relay.poll_output() else { break };
            match output {
                Output::Data(bytes) => self.said(conn, &bytes),
                Output::Admitted => {}
                Output::Close(_) => {
                    self.connections.iter_mut().for_each(|open| _ = open.take_if(|open| *open == conn));
                    self.open.remove(&conn);
                }
            }
        }
        while self.relay.poll_event().is_some() {}
    }

    /// Does some of what there is to do: those of the store in their order, of the others some first; or fails one.
    fn work(&mut self, choice: u8) {
        for _ in 0..(choice & 7).max(1) {
            let is_store = |job: &(JobId, Job)| matches!(job.1, Job::Store(_));
            let first = self.jobs.iter().position(|job| is_store(job) == (choice & 8 == 0));
            let Some((id, job)) = self.jobs.remove(first.unwrap_or_default()) else { return };
            let result = match job {
                Job::Store(_) if choice & 16 != 0 => JobResult::Store(StoreResult::Failed),
                _ if choice & 32 != 0 => JobResult::Failed,
                Job::Hash { password } => JobResult::Hash(PasswordHash::new(password.as_str())),
                Job::Verify { password, hash } => {
                    JobResult::Verify { ok: password.as_str() == hash.as_str(), rehash: choice & 64 != 0 }
                }
                Job::Store(job) => JobResult::Store(self.store.run(&[job]).remove(0)),
            };
            self.relay.complete(id, result, self.now);
        }
    }

    fn said(&mut self, conn: ConnId, bytes: &[u8]) {
        assert!(bytes.len() <= HEADER_LEN + BODY_MAX);
        match Received::decode(bytes).unwrap() {
            Received::Reply(..) | Received::Refused(..) => {
                let open = self.open.entry(conn).or_default();
                assert!(*open > 0, "an answer to nothing");
                *open -= 1;
            }
            Received::Push(Push::Deliver(deliver)) => {
                let at = self.connections.iter().position(|open| *open == Some(conn)).unwrap();
                let person = people().iter().find(|person| person.identity == deliver.sender);
                assert!(
                    person.is_some_and(|person| person.user == deliver.user) || !AUTHENTIC,
                    "a sender of that name is nobody"
                );
                let (to, from, id) = (people()[at].identity, deliver.sender, deliver.id);
                let known = self.sent.contains(&(to, from, id, deliver.envelope.to_vec()));
                let known = known || self.came_by_a_group(&people()[at].user, &deliver);
                assert!(known || !AUTHENTIC, "nobody sent that here");
            }
            Received::Push(_) => {}
            other => panic!("neither answer nor push: {other:?}"),
        }
    }

    /// All jobs are done and everybody goes: nothing is left.
    fn end(mut self) {
        self.idle = false;
        for conn in core::mem::take(&mut self.paused) {
            self.relay.resume_output(conn);
        }
        self.drain();
        assert!(self.open.values().all(|open| *open <= crate::limits::OPEN_REQUESTS));
        self.relay.shutdown(self.now);
        self.drain();
        assert_eq!(self.relay.connections(), 0);
        assert!(self.relay.has_room() && self.jobs.is_empty());
        if AUTHENTIC {
            self.check_groups();
        }
    }
}
