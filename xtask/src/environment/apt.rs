//! Debian's packages, where there is an apt-get and the right to use it.

use std::process::Command;

use anyhow::Result;

use super::{Missing, Place, find_program};
use crate::{
    parts::Part,
    process::{output, run_logged},
};

/// Another apt-get may be at work on a fresh machine; wait for it rather than fail.
const LOCK_WAIT: &str = "DPkg::Lock::Timeout=300";

#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub part: Part,
    pub what: &'static str,
    pub package: &'static str,
}

/// Installs what it may; what it may not is added to `missing`, never an error of its own.
pub fn install(place: &Place<'_>, needs: &[Need], missing: &mut Vec<Missing>) -> Result<()> {
    let mut packages: Vec<&str> = needs.iter().map(|need| need.package).collect();
    packages.sort_unstable();
    packages.dedup();
    let mut give_up = |why: &str| {
        for need in needs {
            missing.push(Missing {
                part: need.part,
                what: format!("{} ({why})", need.what),
                cure: format!("sudo apt-get install {}, or your system's own way to have it", need.package),
            });
        }
        Ok(())
    };
    if find_program("apt-get").is_none() {
        return give_up("this machine has no apt-get");
    }
    let Some(prefix) = privilege() else {
        return give_up("installing needs root, and `sudo -n` does not work here");
    };
    let apt = |words: &[&str]| {
        let mut words: Vec<&str> =
            prefix.iter().copied().chain(["apt-get", "-o", LOCK_WAIT]).chain(words.to_vec()).collect();
        let mut command = Command::new(words.remove(0));
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    println!("    installing Debian packages: {}", packages.join(" "));
    // A stale list is often good enough: what counts is whether the install below works.
    if let Err(error) = run_logged(&mut apt(&["update"]), &place.log("apt-update")) {
        println!("    apt-get update failed, going on with the lists as they are: {error:#}");
    }
    let install = [&["install", "--yes", "--no-install-recommends"], packages.as_slice()].concat();
    match run_logged(&mut apt(&install), &place.log("apt-install")) {
        Ok(()) => Ok(()),
        Err(error) => {
            println!("    {error:#}");
            give_up("apt-get could not install it, see above")
        }
    }
}

/// What to put before apt-get; none if we may not.
fn privilege() -> Option<&'static [&'static str]> {
    if output("id", &["-u"]).as_deref() == Some("0") {
        return Some(&[]);
    }
    output("sudo", &["-n", "true"]).map(|_| ["sudo", "-n"].as_slice())
}
