//! Programs beside us: started, watched through /proc, and ended.

use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// The program that is measured: as it is shipped where `hack/bench.sh` says where that lies.
pub(crate) fn program() -> OsString {
    std::env::var_os("PORTCULLIS_PROGRAM").unwrap_or_else(|| env!("CARGO_BIN_EXE_portcullis").into())
}

/// CPU seconds, user and system, that the living threads of a process have used, to the nanosecond; the ticks of
/// `/proc/PID/stat` are too coarse for a few hundred requests. The threads of what is measured here live as long as it.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let mut nanos = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end between the two looks.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanos += text.split_whitespace().next().context("schedstat")?.parse::<u64>()?;
    }
    ensure!(nanos > 0, "the kernel keeps no /proc/PID/task/*/schedstat");
    Ok(Duration::from_nanos(nanos).as_secs_f64())
}

/// Memory of a process, in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) resident: f64,
    pub(crate) anonymous: f64,
    pub(crate) peak: f64,
}

pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64> {
        let line = status.lines().find(|line| line.starts_with(name)).context("status")?;
        Ok(line.split_whitespace().nth(1).context("status")?.parse::<f64>()? / 1024.0)
    };
    Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")?, peak: field("VmHWM:")? })
}

/// A program of ours that runs until this is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) begun: Instant,
}

impl Running {
    pub(crate) fn start(command: &mut Command, log: &std::path::Path) -> Result<Self> {
        let log = std::fs::File::create(log)?;
        let errors = log.try_clone()?;
        let begun = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn()?;
        Ok(Self { child, begun })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        memory(self.pid())
    }

    /// Lets the peak of memory begin anew; where the kernel does not, the peak is that of the whole life.
    pub(crate) fn forget_peak(&self) {
        let _ = std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5");
    }

    /// Fails when it has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended: {status}"),
        }
    }

    pub(crate) fn stop(mut self) -> Result<()> {
        self.end()
    }

    /// Asks it to end and waits until it has: what it writes at its end is there then.
    fn end(&mut self) -> Result<()> {
        let status = Command::new("kill").arg(self.pid().to_string()).status()?;
        ensure!(status.success(), "kill");
        let end = Instant::now() + Duration::from_secs(15);
        while Instant::now() < end {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("it does not stop")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) && self.end().is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
