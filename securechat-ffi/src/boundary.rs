//! The boundary itself: what every exported function does before and after its work.
//!
//! A panic is caught, the handle is poisoned and `SECURECHAT_ERR_INTERNAL` returned. Arguments become references here and
//! nowhere else; what is written to out-parameters goes through [`Out`].

use crate::status::securechat_status;
use core::ffi::c_char;
use securechat_core::error::Error;
use std::ffi::CString;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use securechat_status::*;

/// Why a call failed: its status, and what is more to say for `_error`.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: securechat_status,
    pub(crate) detail: Option<String>,
}

pub(crate) type Result<T = ()> = core::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: securechat_status, detail: impl Display) -> Self {
        Self { status, detail: Some(detail.to_string()) }
    }
}

impl From<securechat_status> for Failure {
    fn from(status: securechat_status) -> Self {
        Self { status, detail: None }
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        securechat_status::from(error.into()).into()
    }
}

/// What stands behind a handle: its state, whether a panic ended it, and the text of its last failure.
pub(crate) struct Guarded<T> {
    state: T,
    poisoned: bool,
    error: CString,
}

impl<T> Guarded<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { state, poisoned: false, error: CString::default() }
    }

    fn note(&mut self, failure: &Failure) {
        let text = match &failure.detail {
            Some(detail) => detail.clone(),
            None => failure.status.texts().1.to_string_lossy().into_owned(),
        };
        // Details are made of this library's own words and never have a zero byte in them.
        self.error = CString::new(text).unwrap_or_default();
    }
}

/// A type that C knows by pointer only.
pub(crate) trait Handle: Sized {
    /// What is behind it.
    type State;

    fn guarded(&mut self) -> &mut Guarded<Self::State>;
    fn shared(&self) -> &Guarded<Self::State>;
    fn wrap(state: Guarded<Self::State>) -> Self;
}

/// Declares the opaque type of a handle with its state. The documentation is the header's.
macro_rules! handle {
    ($name:ident, $state:ty) => {
        impl $crate::boundary::Handle for $name {
            type State = $state;

            fn guarded(&mut self) -> &mut $crate::boundary::Guarded<$state> {
                &mut self.0
            }

            fn shared(&self) -> &$crate::boundary::Guarded<$state> {
                &self.0
            }

            fn wrap(state: $crate::boundary::Guarded<$state>) -> Self {
                Self(state)
            }
        }
    };
}
pub(crate) use handle;

/// Runs the work of a function that has no handle, or makes one.
pub(crate) fn call(name: &'static str, work: impl FnOnce() -> Result) -> securechat_status {
    match caught(name, work) {
        Some(Ok(())) => SECURECHAT_OK,
        Some(Err(failure)) => failure.status,
        None => SECURECHAT_ERR_INTERNAL,
    }
}

/// Runs the work of a function on a handle. What it fails with is kept for `_error`; a panic poisons the handle.
///
/// # Safety
///
/// `handle` is NULL or came from this library, was not freed, and nobody else uses it meanwhile.
pub(crate) unsafe fn with<H: Handle>(
    name: &'static str,
    handle: *mut H,
    work: impl FnOnce(&mut H::State) -> Result,
) -> securechat_status {
    // SAFETY: the caller's promise.
    let Some(handle) = (unsafe { handle.as_mut() }) else { return SECURECHAT_ERR_NULL };
    let guarded = handle.guarded();
    if guarded.poisoned {
        return SECURECHAT_ERR_INTERNAL;
    }
    let state = &mut guarded.state;
    match caught(name, || work(state)) {
        Some(Ok(())) => SECURECHAT_OK,
        Some(Err(failure)) => {
            guarded.note(&failure);
            failure.status
        }
        None => {
            guarded.poisoned = true;
            guarded.note(&SECURECHAT_ERR_INTERNAL.into());
            SECURECHAT_ERR_INTERNAL
        }
    }
}

/// Makes a handle of a state, for an out-parameter.
pub(crate) fn new_handle<H: Handle>(state: H::State) -> *mut H {
    Box::into_raw(Box::new(H::wrap(Guarded::new(state))))
}

/// Frees a handle; NULL is none.
///
/// # Safety
///
/// As for [`with`]; the handle is over afterwards.
pub(crate) unsafe fn free<H: Handle>(handle: *mut H) {
    if !handle.is_null() {
        // SAFETY: the caller's promise; it came from `new_handle`.
        let owned = unsafe { Box::from_raw(handle) };
        // A panic while a poisoned state is taken apart must not cross either.
        let _: Option<()> = caught("free", || drop(owned));
    }
}

/// The text of a handle's last failure.
///
/// # Safety
///
/// As for [`with`].
pub(crate) unsafe fn error_text<H: Handle>(handle: *const H) -> *const c_char {
    // SAFETY: the caller's promise. Nothing is changed, so that what is lent stays valid.
    match unsafe { handle.as_ref() } {
        Some(handle) => handle.shared().error.as_ptr(),
        None => SECURECHAT_ERR_NULL.texts().1.as_ptr(),
    }
}

/// The result of the work; none when it panicked.
fn caught<T>(name: &'static str, work: impl FnOnce() -> T) -> Option<T> {
    let work = || {
        trip(name);
        work()
    };
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // Dropping what was thrown may panic again; what that throws is let go of.
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                core::mem::forget(second);
            }
            None
        }
    }
}

#[cfg(not(securechat_test_panic))]
fn trip(_name: &'static str) {}

#[cfg(securechat_test_panic)]
pub(crate) use on_demand::trip;

/// Panics on demand, in builds that ask for it.
#[cfg(securechat_test_panic)]
pub(crate) mod on_demand {
    use std::cell::RefCell;

    thread_local! {
        static NEXT: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// The next call of the function of this name panics, on this thread.
    pub fn arm(name: &str) {
        NEXT.with(|next| *next.borrow_mut() = Some(name.to_owned()));
    }

    #[allow(clippy::panic)]
    pub(crate) fn trip(name: &'static str) {
        let armed = NEXT.with(|next| next.borrow_mut().take_if(|armed| armed == name).is_some());
        if armed {
            std::panic::panic_any(format!("{name} was told to"));
        }
    }
}

/// An out-parameter. It is made before the guard and set to nothing at once, so that it is set on every path: on a handle
/// that is NULL or poisoned, and after a panic.
///
/// No reference, since C may name one place twice.
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// Takes the place that `pointer` names and sets it to `nothing`. Fails with `ERR_NULL` for NULL.
    ///
    /// # Safety
    ///
    /// `pointer` is NULL or names a place to write a `T` to, which may be uninitialised, for as long as this lives.
    pub(crate) unsafe fn new(pointer: *mut T, nothing: T) -> Result<Self> {
        if pointer.is_null() {
            return Err(SECURECHAT_ERR_NULL.into());
        }
        // SAFETY: not NULL, and the caller's promise.
        unsafe { pointer.write(nothing) };
        Ok(Self(pointer))
    }

    pub(crate) fn set(self, value: T) {
        // SAFETY: as in `new`.
        unsafe { self.0.write(value) };
    }
}

/// A struct that only grows at its end, to be written to as much of it as the host knows. As [`Out`], it is made before the
/// guard and set to zero at once.
pub(crate) struct OutStruct<T> {
    pointer: *mut T,
    size: usize,
}

impl<T: Copy> OutStruct<T> {
    /// Takes `size` bytes at `pointer` and sets them to zero. Fails with `ERR_ARGUMENT` when there are fewer than `least`.
    ///
    /// # Safety
    ///
    /// `T` is `repr(C)`, everything in it may be seen as bytes, and zeros make one; `pointer` is NULL or names `size` bytes to write to, for as
    /// long as this lives.
    pub(crate) unsafe fn new(pointer: *mut T, size: usize, least: usize) -> Result<Self> {
        if pointer.is_null() {
            return Err(SECURECHAT_ERR_NULL.into());
        }
        if isize::try_from(size).is_err() {
            return Err(SECURECHAT_ERR_ARGUMENT.into());
        }
        // SAFETY: `size` bytes can be written there.
        unsafe { pointer.cast::<u8>().write_bytes(0, size) };
        if size < least {
            return Err(SECURECHAT_ERR_ARGUMENT.into());
        }
        Ok(Self { pointer, size })
    }

    /// Lets `write`, which does not panic, set some fields of what is zero; in place where the host knows all of them.
    pub(crate) fn fill(self, write: impl FnOnce(&mut T)) {
        if self.size >= size_of::<T>() && self.pointer.is_aligned() {
            // SAFETY: `size` bytes can be written there, as in `new`, where they were set to zero; zeros make a `T`.
            write(unsafe { &mut *self.pointer });
        } else {
            // SAFETY: zeros make a `T`, as in `new`.
            let mut value = unsafe { core::mem::zeroed() };
            write(&mut value);
            self.set(&value);
        }
    }

    /// Writes as much of `value` as the host knows; what it knows beyond that stays zero.
    pub(crate) fn set(self, value: &T) {
        let known = self.size.min(size_of::<T>());
        // SAFETY: `size` bytes can be written there; no more than a `T` has are read from `value`.
        unsafe {
            core::ptr::copy_nonoverlapping(core::ptr::from_ref(value).cast::<u8>(), self.pointer.cast::<u8>(), known);
        }
    }
}

/// Bytes that C gave by pointer and length.
///
/// # Safety
///
/// `pointer` names `length` bytes that nobody changes while the reference lives, or is NULL.
pub(crate) unsafe fn bytes<'a>(pointer: *const u8, length: usize) -> Result<&'a [u8]> {
    match (pointer.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(SECURECHAT_ERR_NULL.into()),
        (false, _) if isize::try_from(length).is_err() => Err(SECURECHAT_ERR_ARGUMENT.into()),
        // SAFETY: not NULL, a length that an allocation can have, and the caller's promise.
        (false, _) => Ok(unsafe { core::slice::from_raw_parts(pointer, length) }),
    }
}

/// As [`bytes`], for text.
///
/// # Safety
///
/// As for [`bytes`].
pub(crate) unsafe fn text<'a>(pointer: *const c_char, length: usize) -> Result<&'a str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(pointer.cast(), length) }?;
    core::str::from_utf8(bytes).map_err(|_| SECURECHAT_ERR_UTF8.into())
}

/// Exactly `N` bytes that C gave by pointer; NULL is none.
///
/// # Safety
///
/// `pointer` is NULL or names `N` bytes.
pub(crate) unsafe fn array<const N: usize>(pointer: *const u8) -> Option<[u8; N]> {
    // SAFETY: the caller's promise. An array of bytes has no alignment.
    unsafe { pointer.cast::<[u8; N]>().as_ref() }.copied()
}

/// As [`array`], for one that must be there.
///
/// # Safety
///
/// As for [`array`].
pub(crate) unsafe fn required<const N: usize>(pointer: *const u8) -> Result<[u8; N]> {
    // SAFETY: the caller's promise.
    unsafe { array(pointer) }.ok_or_else(|| SECURECHAT_ERR_NULL.into())
}

/// A buffer that C gave, to be written to from its start.
pub(crate) struct Buffer {
    pointer: *mut u8,
    size: usize,
}

impl Buffer {
    /// Takes `size` bytes at `pointer`; `(NULL, 0)` asks for the size that is needed.
    ///
    /// # Safety
    ///
    /// `pointer` names `size` bytes to write to, or is NULL, for as long as this lives.
    pub(crate) unsafe fn new(pointer: *mut u8, size: usize) -> Result<Self> {
        if pointer.is_null() && size > 0 {
            return Err(SECURECHAT_ERR_NULL.into());
        }
        Ok(Self { pointer, size })
    }

    /// Fails with `ERR_BUFFER` unless `needed` bytes fit, and writes to `length` how many that are. Before anything is consumed.
    pub(crate) fn check(&self, needed: usize, length: Out<usize>) -> Result<Out<usize>> {
        if needed > self.size {
            length.set(needed);
            return Err(SECURECHAT_ERR_BUFFER.into());
        }
        Ok(length)
    }

    /// Writes `data` to the start, or as much of it as fits, and to `length` how much that was.
    pub(crate) fn fill(&mut self, data: &[u8], length: Out<usize>) {
        let count = data.len().min(self.size);
        if count > 0 {
            // SAFETY: `size` bytes can be written there, and `data` is this library's own.
            unsafe { core::ptr::copy_nonoverlapping(data.as_ptr(), self.pointer, count) };
        }
        length.set(count);
    }

    /// [`check`](Self::check), and all of `data`, which is written with its length.
    pub(crate) fn copy(&mut self, data: &[u8], length: Out<usize>) -> Result {
        let length = self.check(data.len(), length)?;
        self.fill(data, length);
        Ok(())
    }
}

/// Reads the first `size` bytes of a struct that only grows at its end over `defaults`.
/// Fails with `ERR_ARGUMENT` when it is smaller than `least`.
///
/// # Safety
///
/// `T` is `repr(C)` and any bytes make one; `pointer` is NULL or names `size` bytes to read.
pub(crate) unsafe fn read_struct<T: Copy>(pointer: *const T, size: usize, least: usize, defaults: T) -> Result<T> {
    let mut value = defaults;
    if pointer.is_null() {
        return Err(SECURECHAT_ERR_NULL.into());
    }
    if size < least {
        return Err(SECURECHAT_ERR_ARGUMENT.into());
    }
    // SAFETY: `size` bytes can be read there; no more than a `T` has are written, and any bytes make one.
    unsafe {
        core::ptr::copy_nonoverlapping(
            pointer.cast::<u8>(),
            core::ptr::from_mut(&mut value).cast::<u8>(),
            size.min(size_of::<T>()),
        );
    }
    Ok(value)
}

/// What the handle's engine gave to be written, and how far the host has come with it.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    done: usize,
}

/// A queue that grew beyond this gives its room back when it is empty.
const KEPT: usize = 256 * 1024;

impl Outgoing {
    /// What is to be written.
    pub(crate) fn rest(&self) -> &[u8] {
        self.bytes.get(self.done..).unwrap_or_default()
    }

    /// Notes that `count` bytes were written. Fails with `ERR_ARGUMENT` when there are not so many.
    pub(crate) fn consume(&mut self, count: usize) -> Result {
        if count > self.rest().len() {
            return Err(Failure::new(SECURECHAT_ERR_ARGUMENT, "more is consumed than there is"));
        }
        self.done += count;
        if self.done == self.bytes.len() {
            self.done = 0;
            self.bytes.clear();
            self.bytes.shrink_to(KEPT);
        } else if self.done >= self.bytes.len().div_ceil(2) {
            // One that is never quite empty must not grow for ever. Each byte is moved once at the most for one written.
            self.bytes.drain(..self.done);
            self.done = 0;
        }
        Ok(())
    }

    /// Copies as much as fits and notes it as written.
    pub(crate) fn read(&mut self, buffer: &mut Buffer, length: Out<usize>) -> Result {
        let count = self.rest().len().min(buffer.size);
        buffer.fill(self.rest(), length);
        self.consume(count)
    }
}
