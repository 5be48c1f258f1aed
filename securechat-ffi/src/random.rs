//! Where handles take their randomness from: the operating system, directly. Nothing of it is kept in the process, so
//! a process that forks gives nothing twice.

use crate::boundary::Result;
use securechat_core::crypto::Random;

/// Randomness for a new handle. Fails with `ERR_RANDOMNESS` when the system gives none; a system that stops giving later
/// is a panic at the boundary, since there is no going on without.
#[cfg(not(securechat_seeded))]
pub(crate) fn random() -> Result<Random> {
    use crate::boundary::Failure;
    use crate::status::securechat_status::SECURECHAT_ERR_RANDOMNESS;
    use rand::TryRng;
    use rand::rngs::SysRng;

    SysRng.try_next_u32().map_err(|error| Failure::new(SECURECHAT_ERR_RANDOMNESS, error))?;
    Ok(Box::new(rand::rand_core::UnwrapErr(SysRng)))
}

#[cfg(securechat_seeded)]
std::thread_local! {
    static NEXT: core::cell::Cell<u64> = const { core::cell::Cell::new(0) };
}

/// What is random from now on, on this thread, is what it was after the last call with this number.
#[cfg(securechat_seeded)]
pub fn reseed(seed: u64) {
    NEXT.set(seed);
}

/// In builds for tests: randomness that repeats, other for each handle.
#[cfg(securechat_seeded)]
pub(crate) fn random() -> Result<Random> {
    use securechat_core::crypto::secret::Secret;

    let mut seed = Secret::zero();
    let number = NEXT.replace(NEXT.get().wrapping_add(1)).to_be_bytes();
    seed.as_mut_bytes().iter_mut().zip(number).for_each(|(byte, number)| *byte = number);
    Ok(securechat_core::crypto::from_seed(&seed))
}
