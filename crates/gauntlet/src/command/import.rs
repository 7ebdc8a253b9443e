//! `gauntlet import`: another gateway's configuration as a folder of ours, and what has no like here.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};

use crate::{
    cli::{EvalImport, Import, ImportFrom, Place},
    import::{self, Gateway, Imported, NOTHING, Unmapped},
    show::{self, Column},
};

/// A larger file is not a configuration.
const FILE_MAX: u64 = 4 << 20;
/// As long as a prompt may be.
const NAMED_FILE_MAX: u64 = 1 << 20;

pub fn run(place: &Place, asked: &Import) -> Result<ExitCode> {
    let gateway = match asked.from {
        ImportFrom::Litellm => Gateway::Litellm,
        ImportFrom::Tensorzero => Gateway::Tensorzero,
        ImportFrom::Portkey => Gateway::Portkey,
    };
    let of = format!("a configuration of {}", gateway.title());
    let convert = |name: &str, text: &str, read: Named<'_>| import::convert(gateway, name, text, read);
    bring(place, &asked.file, &Target { out: &asked.out, force: asked.force }, &of, &convert)
}

/// `gauntlet eval import`: a configuration of promptfoo.
pub fn suite(place: &Place, asked: &EvalImport) -> Result<ExitCode> {
    let target = Target { out: &asked.out, force: asked.force };
    let convert = |name: &str, text: &str, read: Named<'_>| import::convert_suite(name, text, read);
    bring(place, &asked.file, &target, "a configuration of promptfoo", &convert)
}

/// Reads a file that the source names.
type Named<'a> = &'a dyn Fn(&str) -> Result<String, String>;
type Convert<'a> = &'a dyn Fn(&str, &str, Named<'_>) -> Result<Imported, import::Unreadable>;

/// Where it is written to.
struct Target<'a> {
    out: &'a Path,
    force: bool,
}

fn bring(
    place: &Place,
    file: &Path,
    target: &Target<'_>,
    of: &str,
    convert: Convert<'_>,
) -> Result<ExitCode> {
    let shown = file.display();
    let text = read(file, FILE_MAX).map_err(|why| anyhow!("cannot read {shown}: {why}"))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let named = |path: &str| beside(folder, path);
    let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let imported = convert(&name, &text, &named).with_context(|| format!("cannot import {shown} as {of}"))?;
    let written = write(target, &imported)?;
    if place.json {
        show::json(&as_json(target, &written, &imported));
    } else {
        report(target, &written, &imported);
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path, most: u64) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > most {
        return Err(format!("it is {length} bytes long, and the most is {most}"));
    }
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())?;
    Ok(text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned))
}

/// A file that the source names: only one beneath the source's own folder, since its text is copied.
fn beside(folder: &Path, path: &str) -> Result<String, String> {
    let outside = || "the file is outside of the configuration's folder, and is not copied".to_owned();
    if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(outside());
    }
    let cannot = |error: io::Error| format!("the file cannot be read: {error}");
    let (folder, file) =
        (folder.canonicalize().map_err(cannot)?, folder.join(path).canonicalize().map_err(cannot)?);
    if !file.starts_with(&folder) {
        return Err(outside());
    }
    read(&file, NAMED_FILE_MAX).map_err(|why| format!("the file cannot be read: {why}"))
}

fn write(asked: &Target<'_>, imported: &Imported) -> Result<Vec<PathBuf>> {
    let out = asked.out;
    let shown = out.display();
    match fs::read_dir(out) {
        Ok(mut entries) => ensure!(
            asked.force || entries.next().is_none(),
            "the folder {shown} has files in it; name another by --out, or replace those of the same name by --force"
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => bail!("cannot write into {shown}: {error}"),
    }
    let mut written = Vec::new();
    for (path, text) in &imported.files {
        let path = out.join(path);
        let parent = path.parent().expect("it is in the folder");
        fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
        // In one step, so that a gateway that reloads on change never reads half a file.
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        fs::write(&new, text).with_context(|| format!("cannot write {}", Path::new(&new).display()))?;
        fs::rename(&new, &path).with_context(|| format!("cannot replace {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

fn as_json(asked: &Target<'_>, written: &[PathBuf], imported: &Imported) -> Value {
    let mapped: Vec<Value> = (imported.mapped.iter())
        .map(|one| json!({"from": one.from.path, "line": one.from.line, "to": one.to, "note": one.note}))
        .collect();
    let unmapped: Vec<Value> = (imported.unmapped.iter())
        .map(|one| json!({"from": one.from.path, "line": one.from.line, "why": one.why, "cure": one.cure}))
        .collect();
    let variables: Vec<Value> = (imported.variables.iter())
        .map(|one| json!({"name": one.name, "why": one.reason.words(), "from": one.from.path, "line": one.from.line}))
        .collect();
    json!({
        "out": asked.out.display().to_string(),
        "written": written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
        "mapped": mapped, "unmapped": unmapped, "variables": variables, "warnings": imported.warnings,
    })
}

fn report(asked: &Target<'_>, written: &[PathBuf], imported: &Imported) {
    let files: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
    println!("written: {}\n", show::printable(&files.join(", ")));
    let rows = imported.mapped.iter();
    let rows = rows
        .map(|one| vec![one.from.line.to_string(), one.from.path.clone(), one.to.clone(), one.note.clone()]);
    let columns = [Column::Right("line"), Column::Left("source"), Column::Left("here"), Column::Left("note")];
    show::table(&columns, rows.collect(), "nothing was taken over");
    let (settled, open): (Vec<&Unmapped>, Vec<&Unmapped>) =
        imported.unmapped.iter().partition(|one| one.cure == NOTHING);
    let columns =
        || [Column::Right("line"), Column::Left("source"), Column::Left("why"), Column::Left("what to do")];
    let row = |one: &&Unmapped| {
        vec![one.from.line.to_string(), one.from.path.clone(), one.why.clone(), one.cure.clone()]
    };
    println!("\nNOT MAPPED, TO BE LOOKED AT");
    show::table(&columns(), open.iter().map(row).collect(), "nothing");
    if !settled.is_empty() {
        println!("\nNOT MAPPED, NOTHING TO DO");
        show::table(&columns()[..3], settled.iter().map(row).collect(), "");
    }
    if !imported.variables.is_empty() {
        println!("\nSET BEFORE THE START");
        let rows = imported.variables.iter();
        let rows = rows.map(|one| vec![one.name.clone(), one.reason.words().to_owned()]);
        show::table(&[Column::Whole("variable"), Column::Left("why")], rows.collect(), "");
    }
    for warning in &imported.warnings {
        println!("\nwarning: {}", show::printable(warning));
    }
    println!(
        "\n{} mapped, {} not. Look it over, then: gauntlet check {}",
        imported.mapped.len(),
        imported.unmapped.len(),
        show::printable(&asked.out.display().to_string())
    );
}
