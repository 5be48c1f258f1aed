//! The same programs where every wrong access and every leak is reported: under AddressSanitizer with UndefinedBehaviorSanitizer, and
//! under valgrind. `tests/sanitize.sh` runs the former with the Rust side instrumented as well.

use crate::build::{Kit, is_there, place, run, skipped, with_library};
use crate::chat::{Language, conversation};
use crate::{header, history, small};
use std::process::Command;

const SANITIZERS: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

#[test]
fn the_sanitizers_report_nothing() {
    // Which compiler: a Rust side that is instrumented has the runtime of LLVM, and needs clang.
    let pair = if std::env::var_os("SECURECHAT_SANITIZED").is_some() { ["clang", "clang++"] } else { ["gcc", "g++"] };
    if let Some(missing) = pair.into_iter().find(|program| !is_there(program)) {
        return skipped("the sanitizers", &format!("there is no {missing}"));
    }
    let kit = Kit::new("sanitizers", pair, &SANITIZERS);
    for source in header::examples(&place("examples-sanitizers")) {
        let program = source.with_extension("");
        run(with_library(Command::new(pair[0]).args(SANITIZERS), &source, &program));
        run(&mut Command::new(program));
    }
    history::marks(pair[0], &SANITIZERS);
    small::channel(&kit);
    small::sealfile(&kit);
    conversation(&kit, Language::C, Language::C, Language::C);
    conversation(&kit, Language::C, Language::Cpp, Language::C);
}

#[test]
fn valgrind_reports_nothing() {
    if !is_there("valgrind") {
        return skipped("valgrind", "it is not there");
    }
    if std::env::var_os("SECURECHAT_SANITIZED").is_some() {
        return skipped("valgrind", "it cannot run what is instrumented");
    }
    // A program that ends with an error may have left what it held to the system; what nothing points to is a leak.
    let mut kit = Kit::new("valgrind", ["cc", "c++"], &[]);
    kit.under = [
        "valgrind",
        "--quiet",
        "--error-exitcode=99",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect,possible",
        "--errors-for-leak-kinds=definite,indirect,possible",
    ]
    .map(str::to_owned)
    .to_vec();
    for source in header::examples(&place("examples-valgrind")) {
        let program = source.with_extension("");
        run(with_library(&mut Command::new("cc"), &source, &program));
        run(Command::new(&kit.under[0]).args(&kit.under[1..]).arg(program));
    }
    small::channel(&kit);
    small::sealfile(&kit);
    conversation(&kit, Language::C, Language::C, Language::Cpp);
}
