#!/bin/sh
# The C and C++ programs under AddressSanitizer and UndefinedBehaviorSanitizer with the Rust side instrumented too. It needs a
# nightly toolchain and clang; where the toolchain has rust-src, the standard library is instrumented as well.
set -eu
cd "$(dirname "$0")/../.."
if ! rustc +nightly --version >/dev/null 2>&1; then
    echo 'SKIPPED the sanitizers over the Rust side: there is no nightly toolchain (rustup toolchain install nightly)'
    exit 0
fi
if ! clang --version >/dev/null 2>&1; then
    echo 'SKIPPED the sanitizers over the Rust side: there is no clang'
    exit 0
fi
host=$(rustc +nightly -vV | sed -n 's/^host: //p')
std=
if [ -d "$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library/std" ]; then
    std=-Zbuild-std
else
    echo 'the standard library is not instrumented: the nightly toolchain has no rust-src'
fi
# The folder is its own: what is built this way is of no use to other builds.
export RUSTFLAGS='-Zsanitizer=address' SECURECHAT_SANITIZED=1 ASAN_OPTIONS=detect_leaks=1
exec cargo +nightly test $std --target "$host" --target-dir "${CARGO_TARGET_DIR:-target}/sanitized" \
    -p securechat-ffi --test c_programs the_sanitizers_report_nothing
