//! The works of `quick` under criterion: with confidence intervals, and compared with the run before.
//!
//! `cargo bench -p securechat-benches --bench library -- 'record, GCM, 16 KiB'` measures what has these words in its name.
#![allow(missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use securechat_benches::BACKEND;
use securechat_benches::works::GROUPS;

fn library(criterion: &mut Criterion) {
    for (_, works) in GROUPS {
        for work in works() {
            let mut group = criterion.benchmark_group(work.name);
            if work.bytes > 0 {
                group.throughput(Throughput::Bytes(work.bytes));
            }
            for mut contender in work.contenders {
                let name = match contender.name {
                    "securechat" => format!("securechat, {BACKEND}"),
                    other => other.to_owned(),
                };
                group.bench_function(name, |bencher| bencher.iter_custom(&mut contender.run));
            }
        }
    }
}

criterion_group!(benches, library);
criterion_main!(benches);
