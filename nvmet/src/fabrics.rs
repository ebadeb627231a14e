//! What to connect to, and how the kernel is told: the option string of `/dev/nvme-fabrics`
//! (`opt_tokens` in drivers/nvme/host/fabrics.c).

use std::fmt::{self, Write as _};
use std::io::{self, Read, Write};
use std::net::IpAddr;

use serde::Serialize;
use thiserror::Error;
use uuid::Uuid;

use crate::controllers::Controller;
use crate::model::Transport;
use crate::nqn::Nqn;

/// A connection to a subsystem. What is `None` is left to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectOptions {
    /// Transport.
    pub transport: Transport,
    /// The target's address.
    pub address: IpAddr,
    /// The target's service: its TCP port.
    pub service: u16,
    /// The subsystem.
    pub subsystem: Nqn,
    /// Who this host is.
    pub host: Nqn,
    /// The host's id. Newer kernels (seen on 6.12) refuse one host NQN with two ids, and
    /// the other way round; see [`host_id`].
    pub host_id: Uuid,
    /// How long a lost controller is reconnected to. 600 s if unset; until then I/O waits.
    pub ctrl_loss_tmo: Option<LossTimeout>,
    /// Time between two attempts to reconnect. 10 s if unset.
    pub reconnect_delay: Option<Seconds>,
    /// After this long without a connection I/O fails instead of waiting. Never if unset.
    pub fast_io_fail_tmo: Option<Seconds>,
    /// Time between keep-alives; the target drops a host that it doesn't hear from. 5 s if unset.
    pub keep_alive_tmo: Option<Seconds>,
    /// I/O queues, at most. One per CPU if unset.
    pub nr_io_queues: Option<u32>,
    /// Commands in each queue. 128 if unset.
    pub queue_size: Option<u32>,
}

/// Whole seconds, the unit of all these timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

/// How long a host tries to get a lost controller back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossTimeout {
    /// For ever: I/O to it never fails for this reason.
    Forever,
    /// This long; then the controller and, with its last path, the disk are gone.
    After(Seconds),
}

/// The kernel's answer: the controller it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Number in the controller's name, as in `nvme0`.
    pub instance: u32,
    /// Controller id that the target gave it.
    pub cntlid: u16,
}

/// An answer of `/dev/nvme-fabrics` that isn't one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no answer to a connect")]
pub struct NoAnswer(pub String);

/// The host id that belongs to a host NQN: the same on every machine and after every reboot.
/// Name-based (UUIDv5), with the NQN as the name in the namespace for ISO object identifiers.
#[must_use]
pub fn host_id(host: &Nqn) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, host.as_str().as_bytes())
}

impl ConnectOptions {
    /// The usual connection over TCP, with the kernel's timeouts and [`host_id`].
    #[must_use]
    pub fn tcp(address: IpAddr, service: u16, subsystem: Nqn, host: Nqn) -> Self {
        ConnectOptions {
            transport: Transport::Tcp,
            address,
            service,
            subsystem,
            host_id: host_id(&host),
            host,
            ctrl_loss_tmo: None,
            reconnect_delay: None,
            fast_io_fail_tmo: None,
            keep_alive_tmo: None,
            nr_io_queues: None,
            queue_size: None,
        }
    }

    /// The option string. No value can hold a comma, which would begin another option.
    #[must_use]
    pub fn to_option_string(&self) -> String {
        let mut text = format!(
            "nqn={},transport={},traddr={},trsvcid={},hostnqn={},hostid={}",
            self.subsystem,
            self.transport.as_str(),
            self.address,
            self.service,
            self.host,
            self.host_id
        );
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = write!(text, ",{name}={value}");
            }
        };
        add(
            "ctrl_loss_tmo",
            self.ctrl_loss_tmo.map(|tmo| tmo.to_string()),
        );
        add(
            "reconnect_delay",
            self.reconnect_delay.map(|tmo| tmo.to_string()),
        );
        add(
            "fast_io_fail_tmo",
            self.fast_io_fail_tmo.map(|tmo| tmo.to_string()),
        );
        add(
            "keep_alive_tmo",
            self.keep_alive_tmo.map(|tmo| tmo.to_string()),
        );
        add(
            "nr_io_queues",
            self.nr_io_queues.map(|number| number.to_string()),
        );
        add(
            "queue_size",
            self.queue_size.map(|number| number.to_string()),
        );
        text
    }

    /// Whether a controller is this connection. The kernel compares the same things, and then
    /// refuses a second one (nvmf_ip_options_match in drivers/nvme/host/fabrics.c).
    #[must_use]
    pub fn is(&self, controller: &Controller) -> bool {
        controller.state.is_alive()
            && controller.nqn == self.subsystem.as_str()
            && controller.host_nqn.as_deref() == Some(self.host.as_str())
            // Old kernels do not show it.
            && controller.host_id.is_none_or(|id| id == self.host_id)
            && controller.transport == self.transport.as_str()
            && controller.target_address() == Some(self.address)
            && controller.service() == Some(self.service)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// As the kernel takes it: a negative number is for ever.
impl fmt::Display for LossTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossTimeout::Forever => f.write_str("-1"),
            LossTimeout::After(seconds) => seconds.fmt(f),
        }
    }
}

/// Writes the options with one `write(2)`, which returns when the controller is there or refused,
/// and reads the answer from the same open file.
pub(crate) fn converse(device: &mut (impl Read + Write), options: &str) -> io::Result<Answer> {
    let written = device.write(options.as_bytes())?;
    if written != options.len() {
        let what = format!("the kernel took {written} of {} bytes", options.len());
        return Err(io::Error::new(io::ErrorKind::WriteZero, what));
    }
    let mut answer = [0; 4096];
    let length = device.read(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    parse(&answer).map_err(io::Error::other)
}

/// `instance=0,cntlid=1`. Before a connect the kernel answers with -1 and the options it knows.
fn parse(answer: &str) -> Result<Answer, NoAnswer> {
    let part = |key: &str| {
        let mut parts = answer.trim().split(',');
        parts.find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
    };
    let instance = part("instance").and_then(|number| number.parse().ok());
    let cntlid = part("cntlid").and_then(|number| number.parse().ok());
    match (instance, cntlid) {
        (Some(instance), Some(cntlid)) => Ok(Answer { instance, cntlid }),
        _ => Err(NoAnswer(answer.trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ConnectOptions {
        ConnectOptions::tcp(
            "10.0.0.1".parse().unwrap(),
            4420,
            "nqn.volume".parse().unwrap(),
            "nqn.host".parse().unwrap(),
        )
    }

    #[test]
    fn options_left_open_are_not_named() {
        assert_eq!(
            options().to_option_string(),
            format!(
                "nqn=nqn.volume,transport=tcp,traddr=10.0.0.1,trsvcid=4420,hostnqn=nqn.host,\
                 hostid={}",
                host_id(&"nqn.host".parse().unwrap())
            )
        );
    }

    #[test]
    fn every_option_has_the_kernels_name() {
        let options = ConnectOptions {
            address: "fd00::1".parse().unwrap(),
            host_id: Uuid::nil(),
            ctrl_loss_tmo: Some(LossTimeout::Forever),
            reconnect_delay: Some(Seconds(2)),
            fast_io_fail_tmo: Some(Seconds(30)),
            keep_alive_tmo: Some(Seconds(5)),
            nr_io_queues: Some(4),
            queue_size: Some(64),
            ..options()
        };
        assert_eq!(
            options.to_option_string(),
            "nqn=nqn.volume,transport=tcp,traddr=fd00::1,trsvcid=4420,hostnqn=nqn.host,\
             hostid=00000000-0000-0000-0000-000000000000,ctrl_loss_tmo=-1,reconnect_delay=2,\
             fast_io_fail_tmo=30,keep_alive_tmo=5,nr_io_queues=4,queue_size=64"
        );
        assert_eq!(LossTimeout::After(Seconds(60)).to_string(), "60");
    }

    #[test]
    fn host_ids_differ_by_host_and_stay_the_same() {
        let id = |host: &str| host_id(&host.parse().unwrap()).to_string();
        assert_eq!(id("nqn.host"), "a004813f-688c-5dbb-a090-e9a5bd215199");
        assert_ne!(id("nqn.host"), id("nqn.other"));
    }

    #[test]
    fn answers_are_parsed_and_anything_else_is_an_error() {
        let answer = Answer {
            instance: 3,
            cntlid: 1,
        };
        assert_eq!(parse("instance=3,cntlid=1\n"), Ok(answer));
        for bad in [
            "",
            "instance=-1,cntlid=-1,transport=%s,traddr=%s\n",
            "instance=3",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
