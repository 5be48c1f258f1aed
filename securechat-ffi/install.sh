#!/bin/sh
# Installs libsecurechat: headers, shared and static library, pkg-config file. First, in the repository:
#
#     cargo rustc --profile library -p securechat-ffi --lib --crate-type cdylib
#     cargo rustc --profile library -p securechat-ffi --lib --crate-type staticlib
#
# PREFIX (/usr/local), LIBDIR (PREFIX/lib) and INCLUDEDIR (PREFIX/include) say where it will be, DESTDIR what stands before them
# while a package is made, BUILD (target/library) where cargo left the libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
BUILD=${BUILD:-${CARGO_TARGET_DIR:-$here/../target}/library}
PREFIX=${PREFIX:-/usr/local}
LIBDIR=${LIBDIR:-$PREFIX/lib}
INCLUDEDIR=${INCLUDEDIR:-$PREFIX/include}
lib=${DESTDIR:-}$LIBDIR include=${DESTDIR:-}$INCLUDEDIR

for file in libsecurechat.so libsecurechat.a; do
    [ -e "$BUILD/$file" ] || { echo "$BUILD has no $file: run the two cargo commands that this script begins with" >&2; exit 1; }
done
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml")
soname=$(objdump -p "$BUILD/libsecurechat.so" | awk '$1 == "SONAME" { print $2 }')
symbols=$(nm -D --defined-only "$BUILD/libsecurechat.so" | awk '$3 ~ /^securechat_/ { print $3 }')
[ -n "$version" ] && [ -n "$soname" ] && [ -n "$symbols" ] || { echo "$BUILD/libsecurechat.so is not the library" >&2; exit 1; }

mkdir -p "$lib/pkgconfig" "$include"
install -m 644 "$here/../include/securechat.h" "$here/../include/securechat.hpp" "$include"

# The shared library, by its version; programs look for the soname, linkers for the bare name.
install -m 755 "$BUILD/libsecurechat.so" "$lib/libsecurechat.so.$version"
strip --strip-unneeded "$lib/libsecurechat.so.$version"
ln -sf "libsecurechat.so.$version" "$lib/$soname"
ln -sf "$soname" "$lib/libsecurechat.so"

# The static library: one object of what the functions need, in which nothing else is to be seen. Another Rust library, with its
# own copy of what every Rust library has, links beside it.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for symbol in $symbols; do echo "--undefined=$symbol"; done >"$work/roots"
ld -r --gc-sections --force-group-allocation "@$work/roots" -o "$work/all.o" "$BUILD/libsecurechat.a"
# What the C library may lack is looked for at run time by a weak name, which ld makes a local one: it is weak again.
readelf -sW "$work/all.o" | awk '$5 == "LOCAL" && $7 == "UND" && $8 != "" { print $8 }' >"$work/weak"
# .llvmbc: what the standard library carries for its own optimisation at link time; tools of other versions of LLVM stumble over it.
objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd \
    --wildcard --keep-global-symbol='securechat_*' "$work/all.o" "$work/securechat.o"
# An optimised library may have none, and objcopy takes no empty list.
[ ! -s "$work/weak" ] || objcopy --weaken-symbols="$work/weak" "$work/securechat.o"
rm -f "$lib/libsecurechat.a"
ar rcs "$lib/libsecurechat.a" "$work/securechat.o"
chmod 644 "$lib/libsecurechat.a"

cat >"$lib/pkgconfig/securechat.pc" <<END
prefix=$PREFIX
libdir=$LIBDIR
includedir=$INCLUDEDIR

Name: securechat
Description: Secure chat: links, end-to-end sessions, files, a client engine and a relay engine
Version: $version
Cflags: -I\${includedir}
Libs: -L\${libdir} -lsecurechat
Libs.private: -lgcc_s -lpthread -lm -ldl -lc
END
chmod 644 "$lib/pkgconfig/securechat.pc"
