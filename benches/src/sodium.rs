//! libsodium's secretstream (XChaCha20-Poly1305).
#![allow(unsafe_code)] // a C library

use libsodium_sys::*;
use std::mem::MaybeUninit;
use std::ptr;

/// Both directions of one stream.
pub struct Stream {
    sealing: crypto_secretstream_xchacha20poly1305_state,
    opening: crypto_secretstream_xchacha20poly1305_state,
}

impl Stream {
    /// A stream under a key.
    pub fn new(key: &[u8; 32]) -> Self {
        let mut header = [0; 24];
        let (mut sealing, mut opening) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: states, header and key have the sizes that the functions ask for, and both initialise their state.
        unsafe {
            assert!(sodium_init() >= 0);
            crypto_secretstream_xchacha20poly1305_init_push(sealing.as_mut_ptr(), header.as_mut_ptr(), key.as_ptr());
            let result =
                crypto_secretstream_xchacha20poly1305_init_pull(opening.as_mut_ptr(), header.as_ptr(), key.as_ptr());
            assert_eq!(result, 0);
            Self { sealing: sealing.assume_init(), opening: opening.assume_init() }
        }
    }

    /// Seals a chunk into `sealed`.
    pub fn seal(&mut self, chunk: &[u8], sealed: &mut Vec<u8>) {
        sealed.resize(chunk.len() + crypto_secretstream_xchacha20poly1305_ABYTES as usize, 0);
        // SAFETY: `sealed` has room for the chunk and what is added to it.
        let result = unsafe {
            crypto_secretstream_xchacha20poly1305_push(
                &raw mut self.sealing,
                sealed.as_mut_ptr(),
                ptr::null_mut(),
                chunk.as_ptr(),
                chunk.len() as u64,
                ptr::null(),
                0,
                0,
            )
        };
        assert_eq!(result, 0);
    }

    /// Opens a chunk into `opened`.
    pub fn open(&mut self, sealed: &[u8], opened: &mut Vec<u8>) {
        opened.resize(sealed.len() - crypto_secretstream_xchacha20poly1305_ABYTES as usize, 0);
        let mut tag = 0;
        // SAFETY: `opened` has room for what is in `sealed`.
        let result = unsafe {
            crypto_secretstream_xchacha20poly1305_pull(
                &raw mut self.opening,
                opened.as_mut_ptr(),
                ptr::null_mut(),
                &raw mut tag,
                sealed.as_ptr(),
                sealed.len() as u64,
                ptr::null(),
                0,
            )
        };
        assert_eq!(result, 0);
    }
}
