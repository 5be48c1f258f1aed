//! Blobs: who may put, get and delete, and what waits for a chunk (L8).

use crate::support::*;
use securechat_core::limits::{CHUNK_HEADER, CHUNK_SIZE, Limits};
use securechat_core::relay::ConnId;
use securechat_core::wire::{
    BlobId, Bytes, ChunkRange, CreateBlob, DeleteBlob, GetChunk, MissingChunks, PutChunk, RefusalCode, Reply, Request,
};

const ID: BlobId = BlobId([7; 16]);

fn create(id: BlobId, size: u64) -> Request {
    Request::CreateBlob(CreateBlob { id, size })
}

fn put(id: BlobId, index: u32, length: usize) -> Request {
    Request::PutChunk(PutChunk { id, index, chunk: vec![index as u8; length].into() })
}

fn get(id: BlobId, index: u32) -> Request {
    Request::GetChunk(GetChunk { id, index })
}

fn delete(id: BlobId) -> Request {
    Request::DeleteBlob(DeleteBlob { id })
}

fn chunk(answer: Option<Result<Reply, securechat_core::wire::Refusal>>) -> Bytes {
    match answer {
        Some(Ok(Reply::GetChunk(reply))) => reply.chunk,
        other => panic!("{other:?}"),
    }
}

fn missing(net: &mut Net, conn: ConnId) -> Vec<ChunkRange> {
    match net.request(conn, &Request::MissingChunks(MissingChunks { id: ID, from: 0 })) {
        Ok(Reply::MissingChunks(missing)) => missing.ranges,
        other => panic!("{other:?}"),
    }
}

/// What the cipher that adds the least adds to a chunk.
const LEAST: usize = CHUNK_HEADER + 16;
/// A sealed chunk of a full one in it.
const FULL: usize = CHUNK_SIZE + LEAST;

#[test]
fn chunks_go_up_and_come_down() {
    let mut net = Net::new();
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let size = 2 * CHUNK_SIZE as u64 + 5;
    assert!(net.request(alice.conn(), &create(ID, size)).is_ok());
    assert!(net.request(alice.conn(), &create(ID, size)).is_ok(), "once more is harmless");
    assert_eq!(missing(&mut net, alice.conn()), [ChunkRange { start: 0, count: 3 }]);
    assert!(net.request(alice.conn(), &put(ID, 1, FULL)).is_ok());
    assert!(net.request(alice.conn(), &put(ID, 2, 5 + LEAST)).is_ok());
    assert_eq!(missing(&mut net, bob.conn()), [ChunkRange { start: 0, count: 1 }]);
    // A chunk that is there stays as it is.
    let other = Request::PutChunk(PutChunk { id: ID, index: 2, chunk: vec![9; 5 + LEAST].into() });
    assert!(net.request(alice.conn(), &other).is_ok());
    let id = net.ask(bob.conn(), &get(ID, 2));
    net.run();
    assert_eq!(*chunk(net.answer(bob.conn(), id)), [2; 5 + LEAST]);
    assert!(net.request(alice.conn(), &delete(ID)).is_ok());
    assert_eq!(net.refused(bob.conn(), &get(ID, 2)), RefusalCode::NotFound);
    assert_eq!(net.refused(alice.conn(), &put(ID, 0, FULL)), RefusalCode::NotFound);
    assert_eq!(net.refused(alice.conn(), &delete(ID)), RefusalCode::NotFound);
}

#[test]
fn only_its_creator_puts_and_deletes() {
    let mut net = Net::new();
    let (alice, mallory) = (net.registered("alice", 1), net.registered("mallory", 2));
    assert!(net.request(alice.conn(), &create(ID, 10)).is_ok());
    assert_eq!(net.refused(mallory.conn(), &put(ID, 0, 10 + LEAST)), RefusalCode::NotAllowed);
    assert_eq!(net.refused(mallory.conn(), &delete(ID)), RefusalCode::NotAllowed);
    assert_eq!(net.refused(mallory.conn(), &create(ID, 10)), RefusalCode::Taken);
    assert_eq!(net.refused(alice.conn(), &create(ID, 11)), RefusalCode::Taken);
    // Once refused, still refused: the relay does not take it for the owner of what it last named.
    assert_eq!(net.refused(mallory.conn(), &put(ID, 0, 10 + LEAST)), RefusalCode::NotAllowed);
    assert!(net.request(alice.conn(), &put(ID, 0, 10 + LEAST)).is_ok());
}

#[test]
fn chunks_have_the_sizes_that_the_announced_size_gives() {
    let mut net = Net::new();
    let alice = net.registered("alice", 1);
    assert!(net.request(alice.conn(), &create(ID, CHUNK_SIZE as u64 + 5)).is_ok());
    let last = 5 + LEAST;
    for (index, length) in
        [(0, FULL - 1), (0, FULL + 1), (0, FULL + 33), (0, last), (1, FULL), (1, last - 1), (1, 0), (1, last + 44)]
    {
        assert_eq!(net.refused(alice.conn(), &put(ID, index, length)), RefusalCode::Malformed, "{index} {length}");
    }
    assert_eq!(net.refused(alice.conn(), &put(ID, 2, last)), RefusalCode::NotFound);
    // In the cipher with the larger overhead: 16 for the padding, 32 for the tag.
    assert!(net.request(alice.conn(), &put(ID, 0, CHUNK_SIZE + CHUNK_HEADER + 16 + 32)).is_ok());
    assert!(net.request(alice.conn(), &put(ID, 1, CHUNK_HEADER + 16 + 32)).is_ok());
    assert!(missing(&mut net, alice.conn()).is_empty());
    // An empty file has one chunk.
    let empty = BlobId([8; 16]);
    assert!(net.request(alice.conn(), &create(empty, 0)).is_ok());
    assert!(net.request(alice.conn(), &put(empty, 0, LEAST)).is_ok());
    assert_eq!(net.refused(alice.conn(), &put(empty, 1, LEAST)), RefusalCode::NotFound);
}

#[test]
fn what_is_announced_is_bounded() {
    let mut limits = Limits::default();
    (limits.file_size, limits.blobs_per_account, limits.blob_bytes_per_account) = (1_000, 3, 2_000);
    let mut net = Net::with(limits, |_| {});
    let (alice, bob) = (net.registered("alice", 1), net.registered("bob", 2));
    let blob = |number| BlobId([number; 16]);
    assert_eq!(net.refused(alice.conn(), &create(blob(1), 1_001)), RefusalCode::TooLarge);
    assert_eq!(net.refused(alice.conn(), &create(blob(1), u64::MAX)), RefusalCode::TooLarge);
    assert!(net.request(alice.conn(), &create(blob(1), 1_000)).is_ok());
    assert!(net.request(alice.conn(), &create(blob(2), 900)).is_ok());
    assert_eq!(net.refused(alice.conn(), &create(blob(3), 101)), RefusalCode::Full);
    assert!(net.request(alice.conn(), &create(blob(3), 100)).is_ok());
    assert_eq!(net.refused(alice.conn(), &create(blob(4), 0)), RefusalCode::Full);
    assert!(net.request(bob.conn(), &create(blob(4), 1_000)).is_ok());
}

#[test]
fn a_request_waits_for_its_chunk() {
    let mut net = Net::new();
    let (alice, bob, carol) = (net.registered("alice", 1), net.registered("bob", 2), net.registered("carol", 3));
    assert!(net.request(alice.conn(), &create(ID, 10)).is_ok());
    let first = net.ask(bob.conn(), &get(ID, 0));
    let second = net.ask(carol.conn(), &get(ID, 0));
    net.pass(29_000);
    assert!(net.answer(bob.conn(), first).is_none());
    assert!(net.request(alice.conn(), &put(ID, 0, 10 + LEAST)).is_ok());
    assert_eq!(*chunk(net.answer(bob.conn(), first)), [0; 10 + LEAST]);
    assert_eq!(*chunk(net.answer(carol.conn(), second)), [0; 10 + LEAST]);
    assert_eq!(net.refused(bob.conn(), &get(ID, 1)), RefusalCode::NotFound);
    assert_eq!(net.refused(bob.conn(), &get(BlobId([1; 16]), 0)), RefusalCode::NotFound);
}

#[test]
fn a_chunk_that_does_not_come_is_not_yet_there() {
    let mut net = Net::new();
    let (alice, mut bob) = (net.registered("alice", 1), net.registered("bob", 2));
    assert!(net.request(alice.conn(), &create(ID, 10)).is_ok());
    let id = net.ask(bob.conn(), &get(ID, 0));
    net.run();
    net.pass(29_999);
    assert!(net.answer(bob.conn(), id).is_none());
    net.pass(1);
    assert_eq!(net.answer(bob.conn(), id).unwrap().unwrap_err().code, RefusalCode::NotYet);
    // Deleted while somebody waits; and somebody who waited and left.
    let id = net.ask(bob.conn(), &get(ID, 0));
    net.run();
    assert!(net.request(alice.conn(), &delete(ID)).is_ok());
    assert_eq!(net.answer(bob.conn(), id).unwrap().unwrap_err().code, RefusalCode::NotFound);
    assert!(net.request(alice.conn(), &create(ID, 10)).is_ok());
    net.ask(bob.conn(), &get(ID, 0));
    net.run();
    net.disconnect(&mut bob);
    assert!(net.request(alice.conn(), &put(ID, 0, 10 + LEAST)).is_ok());
    net.pass(60_000);
}
