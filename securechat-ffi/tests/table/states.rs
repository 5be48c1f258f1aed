//! Handles in every state that a program can bring them to.

use crate::driver::*;
use std::sync::OnceLock;

/// What a handle is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Identity,
    Link,
    Client,
    Sender,
    Receiver,
    Relay,
}

pub const KINDS: [Kind; 6] = [Kind::Identity, Kind::Link, Kind::Client, Kind::Sender, Kind::Receiver, Kind::Relay];
pub const CONTENTS: [u8; 100] = [3; 100];
/// The number of the job that a fresh relay has open: a hash.
pub const JOB: u64 = 1;

/// Bytes that many tests begin from, made once.
pub struct Known {
    pub identity: Vec<u8>,
    pub bundle: Vec<u8>,
    /// Alice, who knows bob.
    pub alice: Store,
    /// Carol, who has no account.
    pub carol: Store,
    /// The relay of alice and bob.
    pub relay: Store,
    pub sealed: Vec<u8>,
    pub offer: Vec<u8>,
    pub chunk: Vec<u8>,
    pub page: Vec<u8>,
    /// What the group of alice and bob is called.
    pub group: String,
    /// The file that alice sends to it.
    pub file: [u8; 16],
}

pub fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut net = Net::with(&["alice", "bob"]);
        net.hosts[0].send("bob", SECURECHAT_MESSAGE_TEXT, None, b"hello", NOW);
        net.settle();
        net.hosts[1].send("alice", SECURECHAT_MESSAGE_TEXT, None, b"hello", NOW);
        net.settle();
        let group = net.hosts[0].create_group("a walk", false, NOW);
        assert_eq!(net.hosts[0].change_group(&group, SECURECHAT_CHANGE_ADD, "bob", NOW), SECURECHAT_OK);
        net.settle();
        net.cut(0);
        let file = net.hosts[0].send_file(&group, "map.png", 1_000, NOW);
        let (data, count) = (CONTENTS.as_ptr(), CONTENTS.len());
        let client = net.hosts[0].client;
        let sealed = copy_out(|buffer, size, length| unsafe {
            securechat_client_seal(client, c"note".as_ptr(), 4, data, count, buffer, size, length)
        });
        net.hosts[0].save();
        let sender = new_file(CONTENTS.len() as u64);
        let offer = copy_out(|buffer, size, length| unsafe { securechat_file_offer(sender, buffer, size, length) });
        let chunk = copy_out(|buffer, size, length| unsafe {
            securechat_file_seal_chunk(sender, 0, data, count, buffer, size, length)
        });
        let page = copy_out(|buffer, size, length| unsafe { securechat_file_save(sender, 0, buffer, size, length) });
        unsafe { securechat_file_free(sender) };
        Known {
            identity: export(net.server.identity),
            bundle: bundle_of(net.server.identity),
            alice: net.hosts[0].store.clone(),
            carol: Host::new("carol", NOW).store.clone(),
            relay: net.server.store.clone(),
            sealed,
            offer,
            chunk,
            page,
            group,
            file,
        }
    })
}

pub fn config_bytes() -> Vec<u8> {
    let config = defaults();
    copied::<1>((&raw const config).cast(), size_of_val(&config)).concat()
}

pub fn new_file(size: u64) -> *mut securechat_file {
    let (mut file, name) = (null_mut(), c"a.txt".as_ptr());
    let (cipher, proof) = (SECURECHAT_CIPHER_AES_GCM, SECURECHAT_PROOF_TAGS);
    let status = unsafe { securechat_file_new(null(), cipher, proof, size, name, 5, null(), 0, &raw mut file) };
    assert_eq!(status, SECURECHAT_OK);
    file
}

fn sealed_file() -> *mut securechat_file {
    let file = new_file(CONTENTS.len() as u64);
    let (data, count) = (CONTENTS.as_ptr(), CONTENTS.len());
    copy_out(|buffer, size, length| unsafe { securechat_file_seal_chunk(file, 0, data, count, buffer, size, length) });
    file
}

fn receiver() -> *mut securechat_file {
    let (mut file, offer) = (null_mut(), &known().offer);
    let (data, count) = (offer.as_ptr(), offer.len());
    let role = SECURECHAT_FILE_RECEIVER;
    let status = unsafe { securechat_file_open(null(), role, data, count, null(), 0, &raw mut file) };
    assert_eq!(status, SECURECHAT_OK);
    file
}

/// A handle that works.
pub fn fresh(kind: Kind) -> usize {
    match kind {
        Kind::Identity => import(&known().identity, NOW) as usize,
        Kind::Link => {
            let identity = import(&known().identity, NOW);
            let [link, other] = open_pair(identity, NOW);
            unsafe {
                securechat_link_free(other);
                securechat_identity_free(identity);
            }
            link as usize
        }
        Kind::Client => new_client("alice", &known().alice, NOW) as usize,
        Kind::Sender => sealed_file() as usize,
        Kind::Receiver => receiver() as usize,
        Kind::Relay => relay_with_a_job() as usize,
    }
}

/// A relay with a connection, number 1, on which somebody registers: the password waits for its hash.
pub fn relay_with_a_job() -> *mut securechat_relay {
    let (relay, connection, _client) = relay_and_client();
    assert_eq!(connection, 1);
    let mut job: securechat_job = unsafe { std::mem::zeroed() };
    assert_eq!(unsafe { securechat_relay_next_job(relay, &raw mut job, size_of_val(&job)) }, SECURECHAT_OK);
    assert_eq!((job.kind, job.id), (SECURECHAT_JOB_HASH, JOB));
    relay
}

/// The same, before the job is asked for; and the client.
pub fn relay_and_client() -> (*mut securechat_relay, u64, Host) {
    let identity = import(&known().identity, NOW);
    let relay = new_relay(identity, &Store::new(), NOW);
    let mut carol = Host::over("carol", known().carol.clone(), NOW);
    let pin: String = fingerprint(identity).iter().map(|byte| format!("{byte:02x}")).collect();
    let address = format!("relay.example:1#{pin}");
    let mut connection = 0;
    unsafe {
        securechat_identity_free(identity);
        let (text, length) = (address.as_ptr().cast(), address.len());
        let status = securechat_client_connect_relay(carol.client, text, length, NOW, &raw mut carol.link);
        assert_eq!(status, SECURECHAT_OK);
        assert_eq!(securechat_relay_connect(relay, [9; 16].as_ptr(), NOW, &raw mut connection), SECURECHAT_OK);
    }
    exchange(&mut carol, relay, connection);
    let password = "a long password";
    let status = unsafe { securechat_client_register(carol.client, password.as_ptr().cast(), password.len(), NOW) };
    assert_eq!(status, SECURECHAT_OK);
    exchange(&mut carol, relay, connection);
    (relay, connection, carol)
}

/// Moves bytes between a client and a relay until nothing moves; no job is done.
pub fn exchange(host: &mut Host, relay: *mut securechat_relay, connection: u64) {
    loop {
        let bytes = host.output(host.link);
        let (data, length) = (bytes.as_ptr(), bytes.len());
        assert_eq!(unsafe { securechat_relay_input(relay, connection, data, length, NOW) }, SECURECHAT_OK);
        let (mut data, mut back) = (null(), 0);
        unsafe {
            let status = securechat_relay_output(relay, connection, &raw mut data, &raw mut back);
            assert_eq!(status, SECURECHAT_OK);
            assert_eq!(securechat_client_input(host.client, host.link, data, back, NOW), SECURECHAT_OK);
            assert_eq!(securechat_relay_output_consume(relay, connection, back), SECURECHAT_OK);
        }
        while let Some(told) = host.next_event() {
            host.told.push(told);
        }
        if length == 0 && back == 0 {
            return;
        }
    }
}

pub fn free(handle: usize, kind: Kind) {
    unsafe {
        match kind {
            Kind::Identity => securechat_identity_free(handle as _),
            Kind::Link => securechat_link_free(handle as _),
            Kind::Client => securechat_client_free(handle as _),
            Kind::Sender | Kind::Receiver => securechat_file_free(handle as _),
            Kind::Relay => securechat_relay_free(handle as _),
        }
    }
}

/// A state's name, and what makes a handle in it.
pub type State = (&'static str, fn() -> usize);

/// Every state of a kind.
pub fn all(kind: Kind) -> Vec<State> {
    match kind {
        Kind::Identity => vec![
            ("made", || identity(NOW) as usize),
            ("read", || import(&known().identity, NOW) as usize),
            ("after an error", || {
                let identity = import(&known().identity, NOW);
                let status = unsafe { securechat_identity_export(identity, null_mut(), 1, null_mut()) };
                assert_eq!(status, SECURECHAT_ERR_NULL);
                identity as usize
            }),
        ],
        Kind::Link => vec![
            ("initiator, fresh", || link_of(0, |_| ())),
            ("responder, fresh", || link_of(1, |_| ())),
            ("open", || fresh(Kind::Link)),
            ("undecided", || {
                let identity = import(&known().identity, NOW);
                let [mut link, other] = link_pair(identity, NOW);
                unsafe {
                    securechat_link_free(link);
                    let (role, purpose) = (SECURECHAT_ROLE_INITIATOR, SECURECHAT_PURPOSE_RELAY);
                    securechat_link_new(null(), role, purpose, null_mut(), null(), NOW, &raw mut link);
                    let told = pump([link, other], 7, NOW);
                    assert!(told[0].len() == 1 && told[0][0].is(SECURECHAT_EVENT_VERIFY));
                    securechat_link_free(other);
                    securechat_identity_free(identity);
                }
                link as usize
            }),
            ("closed", || {
                let link = fresh(Kind::Link);
                assert_eq!(unsafe { securechat_link_close(link as _, SECURECHAT_CLOSE_DONE) }, SECURECHAT_OK);
                link
            }),
            ("ended", || {
                link_of(0, |link| assert_eq!(unsafe { securechat_link_end(link) }, SECURECHAT_ERR_TRUNCATION))
            }),
            ("failed", || {
                link_of(1, |link| {
                    let status = unsafe { securechat_link_input(link, [0xFF; 99].as_ptr(), 99, NOW) };
                    assert!((100..300).contains(&(status as i32)), "{status:?}");
                })
            }),
            ("late", || {
                link_of(0, |link| {
                    let mut next = 0;
                    let status = unsafe { securechat_link_tick(link, NOW + 3_600_000, &raw mut next) };
                    assert_eq!(status, SECURECHAT_ERR_HANDSHAKE_TIMEOUT);
                })
            }),
        ],
        Kind::Client => vec![
            ("new, not saved", || new_client("dora", &Store::new(), NOW) as usize),
            ("restored", || fresh(Kind::Client)),
            ("amid a save", || {
                let client = new_client("dora", &Store::new(), NOW);
                let mut record: securechat_record = unsafe { std::mem::zeroed() };
                assert_eq!(unsafe { securechat_client_next_save(client, &raw mut record) }, SECURECHAT_OK);
                client as usize
            }),
            ("connected", || {
                let (relay, _, mut host) = relay_and_client();
                unsafe { securechat_relay_free(relay) };
                std::mem::replace(&mut host.client, null_mut()) as usize
            }),
            ("cut off", || {
                let (relay, _, mut host) = relay_and_client();
                unsafe {
                    securechat_relay_free(relay);
                    assert_eq!(securechat_client_end(host.client, host.link, NOW), SECURECHAT_OK);
                }
                std::mem::replace(&mut host.client, null_mut()) as usize
            }),
            ("failed by what came", || {
                let (relay, _, mut host) = relay_and_client();
                unsafe {
                    securechat_relay_free(relay);
                    let status = securechat_client_input(host.client, host.link, [0xFF; 99].as_ptr(), 99, NOW);
                    assert_eq!(status, SECURECHAT_OK);
                }
                std::mem::replace(&mut host.client, null_mut()) as usize
            }),
            ("after an error", || {
                let client = fresh(Kind::Client);
                let status = unsafe { securechat_client_list_users(client as _, NOW) };
                assert_eq!(status, SECURECHAT_ERR_NOT_LOGGED_IN);
                client
            }),
        ],
        Kind::Sender => vec![
            ("fresh", || new_file(CONTENTS.len() as u64) as usize),
            ("whole", || fresh(Kind::Sender)),
            ("changed", || {
                let file = fresh(Kind::Sender);
                let (mut room, mut length) = ([0; 1_000], 0);
                let status = unsafe {
                    let (buffer, size) = (room.as_mut_ptr(), room.len());
                    securechat_file_seal_chunk(file as _, 0, [4; 100].as_ptr(), 100, buffer, size, &raw mut length)
                };
                assert_eq!((status, length, room), (SECURECHAT_ERR_FILE_CHANGED, 0, [0; 1_000]));
                file
            }),
        ],
        Kind::Receiver => vec![
            ("fresh", || fresh(Kind::Receiver)),
            ("whole", || {
                let (file, chunk) = (fresh(Kind::Receiver), &known().chunk);
                let (data, count) = (chunk.as_ptr(), chunk.len());
                let opened = copy_out(|buffer, size, length| unsafe {
                    securechat_file_open_chunk(file as _, 0, data, count, buffer, size, length)
                });
                assert_eq!(opened, CONTENTS);
                file
            }),
            ("a sender", || fresh(Kind::Sender)),
        ],
        Kind::Relay => vec![
            ("empty", || {
                let identity = import(&known().identity, NOW);
                let relay = new_relay(identity, &Store::new(), NOW);
                unsafe { securechat_identity_free(identity) };
                relay as usize
            }),
            ("restored", || {
                let identity = import(&known().identity, NOW);
                let relay = new_relay(identity, &known().relay, NOW);
                unsafe { securechat_identity_free(identity) };
                relay as usize
            }),
            ("with a connection and a job", || fresh(Kind::Relay)),
            ("shut down", || {
                let relay = fresh(Kind::Relay);
                assert_eq!(unsafe { securechat_relay_shutdown(relay as _, NOW) }, SECURECHAT_OK);
                relay
            }),
            ("store failed", || store_failed() as usize),
        ],
    }
}

/// A relay whose transaction failed.
pub fn store_failed() -> *mut securechat_relay {
    let (relay, connection, mut carol) = relay_and_client();
    let mut jobs = 0;
    loop {
        let mut job: securechat_job = unsafe { std::mem::zeroed() };
        assert_eq!(unsafe { securechat_relay_next_job(relay, &raw mut job, size_of_val(&job)) }, SECURECHAT_OK);
        let outcome = match job.kind {
            SECURECHAT_JOB_HASH => SECURECHAT_OUTCOME_OK,
            SECURECHAT_JOB_COMMIT => SECURECHAT_OUTCOME_FAILED,
            other => panic!("job {other} after {jobs}"),
        };
        let hash = c"hash".as_ptr().cast();
        assert_eq!(unsafe { securechat_relay_complete_job(relay, job.id, outcome, hash, 4, NOW) }, SECURECHAT_OK);
        if outcome == SECURECHAT_OUTCOME_FAILED {
            return relay;
        }
        jobs += 1;
        exchange(&mut carol, relay, connection);
    }
}

fn link_of(side: usize, then: impl Fn(*mut securechat_link)) -> usize {
    let identity = import(&known().identity, NOW);
    let ends = link_pair(identity, NOW);
    unsafe {
        securechat_link_free(ends[1 - side]);
        securechat_identity_free(identity);
    }
    then(ends[side]);
    ends[side] as usize
}
