//! Stores that take no writes for a while: no room, or no right.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory. It is gone when it is dropped.
pub(crate) struct SmallDisk(PathBuf);

fn call(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

impl SmallDisk {
    /// Mounts one of that many KiB in a new folder; an error where we have no right to.
    pub(crate) fn mount(dir: &Path, kib: u32) -> Result<Self, String> {
        fs::create_dir_all(dir).map_err(|error| error.to_string())?;
        let size = format!("size={kib}k,mode=755");
        call("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &dir.display().to_string()])?;
        Ok(Self(dir.to_owned()))
    }

    /// Makes it larger.
    pub(crate) fn grow(&self, kib: u32) -> Result<(), String> {
        let size = format!("remount,size={kib}k");
        call("mount", &["-o", &size, &self.0.display().to_string()])
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that has just been ended may still hold a file.
        let _ = call("umount", &["-l", &self.0.display().to_string()]);
    }
}

/// Lets nobody write to the files of a folder, or everybody again. The folder itself follows.
pub(crate) fn writable(dir: &Path, yes: bool) -> Result<(), String> {
    let named = |error: std::io::Error| format!("{}: {error}", dir.display());
    let (of_dir, of_file) = if yes { (0o777, 0o666) } else { (0o555, 0o444) };
    for entry in fs::read_dir(dir).map_err(named)?.flatten() {
        fs::set_permissions(entry.path(), fs::Permissions::from_mode(of_file)).map_err(named)?;
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(of_dir)).map_err(named)
}

/// The content of the files of a folder, by name; but for the index of a write-ahead log, in which
/// readers make their marks.
pub(crate) fn content(dir: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, String> {
    let named = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(named)? {
        let path = entry.map_err(named)?.path();
        if !path.to_string_lossy().ends_with("-shm") {
            files.push((path.clone(), fs::read(path).map_err(named)?));
        }
    }
    files.sort();
    Ok(files)
}
