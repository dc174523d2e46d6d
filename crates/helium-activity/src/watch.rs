//! The side that looks: which volumes are open, and their figures.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    deadline::Until,
    folder,
    report::{self, Report},
    through,
};

/// How long an answer may take, all of it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of an answer that are read at most.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// The volumes that processes of this user tell of, each with its socket: all, or those that the
/// URL names.
pub fn find(url: Option<&str>) -> io::Result<Vec<(PathBuf, Report)>> {
    let folder = folder::path();
    match folder::check(&folder) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        checked => checked?,
    }
    let wanted = url.map(report::files);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let socket = entry?.path();
        if socket
            .extension()
            .is_none_or(|ending| ending != folder::ENDING)
        {
            continue;
        }
        match ask(&socket) {
            Ok(report) => found.push((socket, report)),
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
                // Its process was killed. Whether it can be removed or not: it is no volume.
                let _ = fs::remove_file(&socket);
                let _ = fs::remove_file(socket.with_extension(through::ENDING));
            }
            Err(_) => {}
        }
    }
    if let Some(wanted) = wanted {
        found.retain(|(_, report)| report.files.iter().any(|file| wanted.contains(file)));
    }
    found.sort_by(|a, b| a.1.url.cmp(&b.1.url));
    Ok(found)
}

/// The figures of now from one socket.
pub fn ask(socket: &Path) -> io::Result<Report> {
    let stream = Until::connect(socket, PATIENCE)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let value = serde_json::from_slice(&answer).map_err(io::Error::other)?;
    Ok(Report::from_json(&value))
}
