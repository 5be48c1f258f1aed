//! Gives the shared library its soname: `libsecurechat.so.` and the number that changes when a program has to be built anew.

/// Grows when something that programs were built with is not there any more.
const ABI: u32 = 0;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_elf = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux" || os.ends_with("bsd"));
    if is_elf {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libsecurechat.so.{ABI}");
    }
}
