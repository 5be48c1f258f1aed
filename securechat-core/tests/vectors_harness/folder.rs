//! A folder of vector files, of which each is run or named as skipped.

use super::{Report, cavp, noise, wycheproof};
use std::fs;
use std::path::Path;

/// Runs `noise/*.txt`, `wycheproof/*_test.json` and `cavp/gcm*.rsp`, in the order of their names.
pub fn run(folder: &Path) -> std::io::Result<Vec<Report>> {
    let mut reports = Vec::new();
    for (name, is_folder) in entries(folder)? {
        let run: fn(&str, &str, &Path) -> Option<Report> = match name.as_str() {
            "noise" => |file, name, path| name.ends_with(".txt").then(|| noise::run(file, &text(path))),
            "wycheproof" => |file, name, path| {
                let groups = wycheproof::groups(name)?;
                Some(wycheproof::run(file, groups, &text(path)))
            },
            "cavp" => |file, name, path| {
                (name.starts_with("gcm") && name.ends_with(".rsp")).then(|| cavp::run(file, &text(path)))
            },
            _ => |_, _, _| None,
        };
        if !is_folder {
            reports.push(Report::unknown(&name).settle());
            continue;
        }
        for (inner, is_folder) in entries(&folder.join(&name))? {
            let file = format!("{name}/{inner}");
            let path = folder.join(&file);
            let report = if is_folder { None } else { run(&file, &inner, &path) };
            reports.push(report.unwrap_or_else(|| Report::unknown(&file)).settle());
        }
    }
    Ok(reports)
}

/// What is in a folder: names, and which of them are folders.
fn entries(folder: &Path) -> std::io::Result<Vec<(String, bool)>> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        entries.push((name, path.is_dir()));
    }
    entries.sort();
    Ok(entries)
}

/// A file's text. One that cannot be read, or is none, fails as what it should be.
fn text(path: &Path) -> String {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
