//! On files, which lie at the relay in sealed chunks.

use super::Attack;
use crate::fault::{Fault, claim};
use crate::person::Person;
use crate::stage::Stage;
use securechat_client::Update;
use securechat_core::event::Event;
use securechat_core::relay::{ChunkState, StoreJob, StoreResult};
use securechat_core::wire::{BlobId, Bytes, Request};
use std::sync::{Arc, Mutex, PoisonError};

/// Three chunks and a bit.
const SIZE: usize = 3 * 61_440 + 100;

pub(super) static ALL: &[Attack] = &[
    Attack {
        name: "file-changed",
        does: "changes one bit of a chunk",
        sees: "that the file cannot be taken; nothing of it stays under its name",
        rule: "9, E3",
        logs_in: true,
        run: changed,
    },
    Attack {
        name: "chunks-swapped",
        does: "gives the second chunk for the third and the third for the second",
        sees: "that the file cannot be taken; nothing of it stays under its name",
        rule: "9, E3",
        logs_in: true,
        run: swapped,
    },
    Attack {
        name: "chunk-cut",
        does: "gives a chunk without its last bytes",
        sees: "that the file cannot be taken; nothing of it stays under its name",
        rule: "9, E3",
        logs_in: true,
        run: cut,
    },
    Attack {
        name: "another-files-chunk",
        does: "gives a chunk of another file that Alice sent Bob",
        sees: "that the file cannot be taken; nothing of it stays under its name",
        rule: "9, E3, B8",
        logs_in: true,
        run: of_another,
    },
    Attack {
        name: "file-truncated",
        does: "says that the last chunk never came",
        sees: "denial: the file does not become whole, and nothing is saved under its name",
        rule: "F2, E3",
        logs_in: true,
        run: truncated,
    },
];

fn contents(seed: usize) -> Vec<u8> {
    (0..SIZE / 4 + 1)
        .flat_map(|index| ((index ^ seed).wrapping_mul(0x9E37_79B1) as u32).to_be_bytes())
        .take(SIZE)
        .collect()
}

/// Alice sends Bob a file, through a relay that changes the chunks it hands out.
fn send(
    stage: &Stage,
    mut change: impl FnMut(BlobId, u32, &mut ChunkState) + Send + 'static,
) -> Result<(Person, Person), Fault> {
    let [mut alice, mut bob] = stage.people(["alice", "bob"])?;
    let file = alice.send_file(&bob, stage.file("accounts of the year.ods", &contents(1))?)?;
    alice.event("a file sent", move |event| *event == Event::FileSent { file })?;
    stage.relay.on_result(move |job, result| {
        if let (StoreJob::Chunk { id, index }, StoreResult::Chunk(chunk)) = (job, result) {
            change(*id, *index, chunk);
        }
    });
    bob.take_file(stage.path("bob's files"))?;
    Ok((alice, bob))
}

/// Bob is told that it failed, and nothing lies in his folder.
fn fails(stage: &Stage, bob: &mut Person) -> Result<(), Fault> {
    bob.event("a file that failed", |event| matches!(event, Event::FileFailed { .. }))?;
    stage.relay.settle();
    let left = std::fs::read_dir(stage.path("bob's files"))?.count();
    claim(left == 0, "nothing of the file is left")
}

fn changed(stage: &Stage) -> Result<(), Fault> {
    let (_alice, mut bob) = send(stage, |_, index, chunk| {
        if let (1, ChunkState::There(bytes)) = (index, chunk) {
            let mut flipped = bytes.to_vec();
            flipped.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
            *bytes = flipped.into();
        }
    })?;
    fails(stage, &mut bob)
}

fn swapped(stage: &Stage) -> Result<(), Fault> {
    let chunks = keep_chunks(stage);
    let (_alice, mut bob) = send(stage, move |blob, index, chunk| {
        let other = match index {
            1 => 2,
            2 => 1,
            other => other,
        };
        if let Some(bytes) = find(&chunks, |of, at| of == blob && at == other) {
            *chunk = ChunkState::There(bytes);
        }
    })?;
    fails(stage, &mut bob)
}

fn cut(stage: &Stage) -> Result<(), Fault> {
    let (_alice, mut bob) = send(stage, |_, index, chunk| {
        if let (1, ChunkState::There(bytes)) = (index, chunk) {
            let kept = bytes.len().saturating_sub(100);
            *bytes = bytes.iter().copied().take(kept).collect::<Vec<u8>>().into();
        }
    })?;
    fails(stage, &mut bob)
}

fn of_another(stage: &Stage) -> Result<(), Fault> {
    let chunks = keep_chunks(stage);
    let [mut alice, bob] = stage.people(["carol", "dave"])?;
    let other = alice.send_file(&bob, stage.file("another file.ods", &contents(2))?)?;
    alice.event("a file sent", move |event| *event == Event::FileSent { file: other })?;
    let (_alice, mut bob) = send(stage, move |blob, index, chunk| {
        if let Some(bytes) = find(&chunks, |of, at| of != blob && at == index && index == 1) {
            *chunk = ChunkState::There(bytes);
        }
    })?;
    fails(stage, &mut bob)
}

fn truncated(stage: &Stage) -> Result<(), Fault> {
    let (_alice, mut bob) = send(stage, |_, index, chunk| {
        if index == 3 {
            *chunk = ChunkState::NotYet;
        }
    })?;
    // All but the last chunk is there.
    bob.event("three chunks", |event| matches!(event, Event::FileProgress { done, .. } if *done == 3 * 61_440))?;
    stage.relay.settle();
    let saved = bob.was_told(|update| matches!(update, Update::Saved { .. }));
    claim(!saved, "nothing is saved")?;
    claim(!stage.path("bob's files").join("accounts of the year.ods").exists(), "nothing has the file's name")
}

/// The chunks that users put, as they come.
type Chunks = Arc<Mutex<Vec<(BlobId, u32, Bytes)>>>;

fn keep_chunks(stage: &Stage) -> Chunks {
    let chunks = Chunks::default();
    let keep = Arc::clone(&chunks);
    stage.relay.on_ask(move |_, request| {
        if let Request::PutChunk(put) = request {
            let mut chunks = keep.lock().unwrap_or_else(PoisonError::into_inner);
            chunks.push((put.id, put.index, put.chunk.clone()));
        }
        true
    });
    chunks
}

fn find(chunks: &Chunks, is_it: impl Fn(BlobId, u32) -> bool) -> Option<Bytes> {
    let chunks = chunks.lock().unwrap_or_else(PoisonError::into_inner);
    chunks.iter().find(|(blob, index, _)| is_it(*blob, *index)).map(|(_, _, bytes)| bytes.clone())
}
