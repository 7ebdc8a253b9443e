//! Suites on disk: where they are, what they say, and how their files are written.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use gauntlet_evals::{
    Mistake, Suite, dataset, metrics,
    suite::{self, Reading},
};
use serde::Deserialize;

use crate::{cli::Place, config_dir};

/// The folder of suites within a configuration folder.
pub const FOLDER: &str = "evals";
/// Of one folder; beyond it the folder is probably not what was meant.
const SUITES_MAX: usize = 1_000;

/// The file of a suite: a path to it, or its name in the folder `evals` of the configuration or here, which is that of its
/// file or what the file says as `suite:`.
pub fn find(place: &Place, wanted: &str) -> Result<PathBuf> {
    let path = Path::new(wanted);
    let is_path = wanted.ends_with(".yaml") || wanted.ends_with(".yml");
    if is_path {
        anyhow::ensure!(path.is_file(), "there is no file {}; name a suite or its file", path.display());
        return Ok(path.to_owned());
    }
    let config = config_dir::find(place.config.as_deref())?;
    let folders: Vec<PathBuf> =
        config.into_iter().map(|config| config.join(FOLDER)).chain([PathBuf::from(FOLDER)]).collect();
    let mut known = Vec::new();
    for folder in &folders {
        let mut found: Vec<PathBuf> = Vec::new();
        for file in files(folder)? {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            let said = said_name(&file);
            if stem == wanted || said.as_deref() == Some(wanted) {
                found.push(file);
            }
            known.extend([stem].into_iter().chain(said));
        }
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one.clone()),
            [one, other, ..] => bail!(
                "both {} and {} are a suite `{}`; name the file, or give one of them another name",
                one.display(),
                other.display(),
                wanted.escape_debug()
            ),
        }
    }
    known.sort_unstable();
    known.dedup();
    let listed = if known.is_empty() {
        "there are none in the folder `evals` here or of --config".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    let cure = gauntlet_places::near::cure(wanted, known.iter().map(String::as_str), &listed);
    bail!("there is no suite `{}`; {cure}", wanted.escape_debug())
}

/// What a file says as `suite:`; none where it cannot be read, which whoever asks for it is told.
fn said_name(file: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Head {
        suite: String,
    }
    let text = text(file, suite::SUITE_BYTES_MAX).ok()?;
    serde_saphyr::from_str::<Head>(&text).ok().map(|head| head.suite)
}

/// The suites' files of a folder, by name; none if there is no such folder.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read the folder {}", folder.display()));
        }
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if matches!(ending, "yaml" | "yml") && path.is_file() {
            anyhow::ensure!(
                found.len() < SUITES_MAX,
                "there are more than {SUITES_MAX} suites in {}",
                folder.display()
            );
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a suite with its datasets. Mistakes in them are in what comes back; that the file cannot be read at all is an error.
pub fn read(path: &Path) -> Result<Reading> {
    let text =
        text(path, suite::SUITE_BYTES_MAX).map_err(|why| anyhow::anyhow!("{}: {why}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let shown = path.display().to_string();
    let shown = shown.strip_prefix("./").unwrap_or(&shown);
    Ok(suite::read(shown, &text, &mut |beside| self::text(&folder.join(beside), dataset::DATASET_BYTES_MAX)))
}

/// A text of bounded length.
pub fn text(path: &Path, bytes_max: usize) -> Result<String, String> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("it is not there".to_owned()),
        Err(error) => return Err(error.to_string()),
        Ok(meta) if meta.len() > bytes_max as u64 => {
            return Err(format!("it has {} bytes, and at most {bytes_max} are read", meta.len()));
        }
        Ok(_) => {}
    }
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err("it is not UTF-8".to_owned()),
        read => read.map_err(|error| error.to_string()),
    }
}

/// The suite, its warnings told on standard error. Errors: all mistakes.
pub fn good(path: &Path) -> Result<Suite> {
    let reading = read(path)?;
    let unmade = metrics::make(&reading.suite).err().unwrap_or_default();
    let (suite, warnings) = reading.good().map_err(|mut mistakes| {
        // All at once: an unknown field hides no option of a metric that cannot be.
        mistakes.extend(unmade);
        told(&mistakes)
    })?;
    warn(&warnings);
    Ok(suite)
}

pub fn warn(mistakes: &[Mistake]) {
    for mistake in mistakes {
        eprintln!("{mistake}");
    }
}

/// All mistakes as one error, a line each.
pub fn told(mistakes: &[Mistake]) -> anyhow::Error {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let count = mistakes.iter().filter(|mistake| !mistake.is_warning).count();
    let what = if count == 1 { "1 mistake".to_owned() } else { format!("{count} mistakes") };
    anyhow::anyhow!("{what} in the suite\n{}", lines.join("\n"))
}

/// Writes a file whole or not at all: whoever reads it meanwhile sees the old or the new one.
pub fn write(path: &Path, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let beside = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = (|| {
        let mut file = fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        if let Ok(meta) = fs::metadata(path) {
            file.set_permissions(meta.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // The name says what it is; it is in nobody's way.
        let _ = fs::remove_file(&beside);
    }
    written.with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path) -> Place {
        Place { config: Some(folder.to_owned()), data: folder.join("data"), json: false }
    }

    #[test]
    fn a_suite_is_found_by_its_file_and_by_the_name_that_it_says() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("gauntlet.yml"), "").unwrap();
        let evals = folder.path().join(FOLDER);
        fs::create_dir(&evals).unwrap();
        for (file, said) in [("a", "first"), ("b", "second"), ("c", "a")] {
            fs::write(evals.join(format!("{file}.yaml")), format!("suite: {said}\nmetrics: [exact]\n"))
                .unwrap();
        }
        let check =
            |wanted: &str, found: Result<&str, &[&str]>| match (find(&place(folder.path()), wanted), found) {
                (Ok(path), Ok(file)) => assert!(path.ends_with(file), "{wanted}: {}", path.display()),
                (Err(error), Err(words)) => {
                    let error = error.to_string();
                    assert!(words.iter().all(|word| error.contains(word)), "{wanted}: {error}");
                }
                (found, _) => panic!("{wanted}: {found:?}"),
            };
        check("second", Ok("b.yaml"));
        check("b", Ok("b.yaml"));
        check("first", Ok("a.yaml"));
        check("a", Err(&["a.yaml", "c.yaml", "name the file"]));
        check("secund", Err(&["did you mean `second`"]));
    }

    #[test]
    fn an_unknown_field_hides_no_mistake_in_the_options_of_a_metric() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.yaml");
        let text =
            "suite: s\ndataset: s.jsonl\nconcurency: 3\nmetrics: [exat, {exact: {ignore: [letters]}}]\n";
        fs::write(&path, text).unwrap();
        fs::write(folder.path().join("s.jsonl"), "{\"input\": \"a\", \"expected\": \"b\"}\n").unwrap();
        let error = good(&path).unwrap_err().to_string();
        for wanted in ["3 mistakes", "`concurency`", "unknown metric `exat`", "`ignore` cannot be `letters`"]
        {
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }
}
