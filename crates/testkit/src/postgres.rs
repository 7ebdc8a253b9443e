//! A private Postgres cluster, to be stopped at the worst moment.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{binary::Running, parts, port::free_port, process};

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const USER: &str = "gauntlet";
/// In the address, so that tests can look for it where it must not be.
const PASSWORD: &str = "postgres-secret-4711";

/// Listens on 127.0.0.1 with a password, keeps its files in a folder of its own, and ends with this value.
pub struct PostgresServer {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
    owner: Option<Owner>,
    settings: Vec<String>,
    running: Option<Running>,
}

/// Postgres refuses to run as root.
struct Owner {
    uid: u32,
    gid: u32,
}

impl PostgresServer {
    /// None if the part was left out on request (said on standard error).
    ///
    /// Nothing waits for the disk: what the operating system has outlives any end of the process.
    pub fn start() -> Option<PostgresServer> {
        PostgresServer::start_with(&["fsync=off"])
    }

    /// With settings as they stand in `postgresql.conf`.
    pub fn start_with(settings: &[&str]) -> Option<PostgresServer> {
        let programs = parts::postgres_programs()?;
        let folder = TempDir::new().expect("a folder for Postgres");
        let owner = owner(folder.path());
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server =
            PostgresServer { programs, folder, port: free_port(), owner, settings, running: None };
        server.init();
        server.start_again();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    fn init(&self) {
        let word = self.folder.path().join("password");
        fs::write(&word, PASSWORD).expect("a file for the password");
        if let Some(owner) = &self.owner {
            chown(&word, Some(owner.uid), Some(owner.gid)).expect("root may give a file away");
        }
        let mut command = self.program("initdb");
        command.args(["--no-sync", "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
        command.args(["--username", USER, "--pwfile"]).arg(&word);
        let output = command.arg("--pgdata").arg(self.data()).output().expect("initdb can be started");
        assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = match &self.owner {
            Some(owner) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", &owner.uid.to_string(), "--regid", &owner.gid.to_string()]);
                command.arg("--clear-groups").arg(path);
                command
            }
            None => Command::new(path),
        };
        // Where it was started from, another user may not even look.
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        command
    }

    /// After `kill_9` or `stop`: at the same address, with what it had.
    pub fn start_again(&mut self) {
        let until = Instant::now() + READY_LIMIT;
        loop {
            let mut command = self.program("postgres");
            command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
            command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
            for setting in &self.settings {
                command.args(["-c", setting]);
            }
            let mut running = Running::spawn(&mut command);
            while process::wait(&mut running.child, Duration::from_millis(10)).is_none() {
                if self.is_ready() {
                    self.running = Some(running);
                    return;
                }
                assert!(Instant::now() < until, "Postgres does not get ready: {}", running.stderr.text());
            }
            // After a `kill_9` its children may still be going.
            let ended = running.ended();
            let is_passing = ended.stderr.contains("still in use");
            assert!(is_passing && Instant::now() < until, "Postgres does not serve: {ended}");
        }
    }

    fn is_ready(&self) -> bool {
        let mut command = self.program("pg_isready");
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-d", "postgres"]);
        command.status().is_ok_and(|status| status.success())
    }

    fn pid(&self) -> u32 {
        self.running.as_ref().expect("Postgres runs").child.id()
    }

    pub fn kill_9(&mut self) {
        let children = children(self.pid());
        // Dropped, it is killed and waited for. Its children would answer on for a while.
        drop(self.running.take());
        children.iter().for_each(|child| process::signal_if_there(*child, "KILL"));
        let until = Instant::now() + STOP_LIMIT;
        while children.iter().any(|child| is_there(*child)) {
            assert!(Instant::now() < until, "Postgres's children do not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// In good order, without waiting for its clients.
    pub fn stop(&mut self) {
        process::signal(self.pid(), "INT");
        let mut running = self.running.take().expect("Postgres runs");
        assert!(process::wait(&mut running.child, STOP_LIMIT).is_some(), "SIGINT did not end Postgres");
    }

    /// All of its processes stand still, with their connections open.
    pub fn pause(&self) {
        let pid = self.pid();
        // The parent first, or it would make new ones.
        process::signal(pid, "STOP");
        children(pid).into_iter().for_each(|child| process::signal_if_there(child, "STOP"));
    }

    pub fn resume(&self) {
        let pid = self.pid();
        children(pid).into_iter().for_each(|child| process::signal_if_there(child, "CONT"));
        process::signal(pid, "CONT");
    }

    /// A statement through psql; what it printed.
    pub fn query(&self, statement: &str) -> String {
        let mut command = self.program("psql");
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-c", statement]);
        let output = command.output().expect("psql can be started");
        assert!(output.status.success(), "psql failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for PostgresServer {
    /// At once, but by itself: killed, it would leave its shared memory, and children that stand still would stay.
    fn drop(&mut self) {
        if self.running.is_some() {
            self.resume();
            process::signal(self.pid(), "QUIT");
        }
        if let Some(running) = &mut self.running {
            let _ = process::wait(&mut running.child, STOP_LIMIT);
        }
    }
}

/// Who shall own `folder`, if that is not us: Postgres's own user, or nobody.
fn owner(folder: &Path) -> Option<Owner> {
    if fs::metadata(folder).expect("the folder is there").uid() != 0 {
        return None;
    }
    let number = |flag: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse().ok()
    };
    let of = |user: &str| Some(Owner { uid: number("-u", user)?, gid: number("-g", user)? });
    let owner = of("postgres").or_else(|| of("nobody")).expect("there is a user that is not root");
    chown(folder, Some(owner.uid), Some(owner.gid)).expect("root may give a folder away");
    Some(owner)
}

/// Dead ones that nobody has waited for do not count.
fn is_there(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let rest = status.rsplit(')').next().unwrap_or_default();
    rest.split_whitespace().next().is_some_and(|state| state != "Z")
}

/// By `/proc`: every one of them leads a group of its own, so the group does not find them.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        let status = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // `pid (name) state ppid …`, where the name may hold anything.
        let rest = status.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok()) == Some(parent)
    };
    ids.filter(is_child).collect()
}
