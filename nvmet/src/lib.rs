//! Drive the Linux kernel's NVMe-oF target (`nvmet`) through configfs, and its host side through
//! `/dev/nvme-fabrics` and sysfs. Nothing else has to be installed: neither nvmetcli nor nvme-cli.
//!
//! # The target
//!
//! A [`Target`] is plain data. [`Configfs::read`] says what is there, the caller edits its own
//! things in a copy, [`check()`] refuses what must not be written, [`plan()`] says which steps lead
//! from the one to the other, [`Configfs::apply`] makes them and stops at the first that fails:
//!
//! ```
//! use nvmet::{
//!     Authentication, Configfs, Namespace, Nqn, Nsid, Port, PortId, Portal, Subsystem, check, fake,
//!     plan,
//! };
//! use uuid::Uuid;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // On a real machine: `Configfs::new()`. This is the kernel in memory, for tests.
//! let kernel = fake::Kernel::new();
//! kernel.add_block_device("/dev/vg/disk");
//! let configfs = Configfs::over(&kernel);
//!
//! let have = configfs.read()?;
//! let mut want = have.clone();
//! let (host, disk): (Nqn, Nqn) = ("nqn.2026-11.com.example:host:a".parse()?,
//!                                 "nqn.2026-11.com.example:disk".parse()?);
//! let id: Uuid = "6fa459ea-ee8a-3ca4-894e-db77e160355e".parse()?;
//! want.hosts.insert(host.clone(), Authentication::default());
//! want.subsystems.insert(disk.clone(), Subsystem {
//!     allowed_hosts: [host].into(),
//!     serial: Some("00000000000000000001".into()),
//!     namespaces: [(Nsid::FIRST, Namespace::new("/dev/vg/disk", id))].into(),
//!     // Everything else is left to the kernel.
//!     ..Subsystem::default()
//! });
//! want.ports.insert(PortId(1), Port {
//!     subsystems: [disk].into(),
//!     ..Port::new(Portal::tcp("10.0.0.1".parse()?, 4420))
//! });
//!
//! check(&want)?;
//! let changes = plan(&have, &want);
//! assert_eq!(changes[0].to_string(), "mkdir hosts/nqn.2026-11.com.example:host:a");
//! configfs.apply(&changes)?;
//!
//! let have = configfs.read()?;
//! assert_eq!(plan(&have, &want), []);
//! # Ok(())
//! # }
//! ```
//!
//! # What configfs asks for
//!
//! Every rule here is the kernel's (drivers/nvme/target/configfs.c, core.c; Linux 6.1 to 7.3), is
//! kept by [`plan()`] and is enforced by [`fake::Kernel`]:
//!
//! | step | rule | else |
//! |---|---|---|
//! | any write | one `write(2)` is one store: whole, unbuffered, without a newline | EINVAL |
//! | a port's address and parameters | only while nothing is linked to the port | EACCES |
//! | a referral's address | only while it is disabled | EACCES |
//! | an address that was set | can't be made empty again | EINVAL |
//! | a port's transport | forgets its TSAS; a TSAS sets the TREQ | |
//! | a namespace's device, UUID, NGUID, P2P memory | only while it is disabled | EBUSY |
//! | a namespace's buffered I/O, reservations | only while it is disabled | EINVAL |
//! | enabling a namespace | its device is set and can be opened for writing; a file is taken too | errno of open |
//! | enabling in a passthru subsystem | succeeds, and it stays disabled: read it back | |
//! | the lowest controller id | never above the highest, in between too | EINVAL |
//! | the number of queues | drops the subsystem's controllers (not on 6.1) | |
//! | the discovery NQN | no subsystem's name begins with it | EINVAL |
//! | a DH-CHAP key | is taken away by a NUL byte (from 6.12 on) | EINVAL |
//! | serial, model, firmware, IEEE OUI, version | until the first host connects, then never again for this directory | EINVAL |
//! | linking an allowed host | not while any host is allowed | EINVAL |
//! | allowing any host | not while hosts are listed | EINVAL |
//! | linking a subsystem to a port | the port has transport, family and address; the first link binds and listens | EINVAL, EADDRINUSE, EADDRNOTAVAIL |
//! | removing what is linked to | not before the links | EBUSY |
//! | removing what has children or links | not before them | ENOTEMPTY |
//! | a link's target | absolute: it is resolved from the caller's working directory | ENOENT |
//!
//! So things are made in the order hosts, ports, subsystem, its attributes and hosts, namespace
//! (UUID, device, NGUID, ANA group, enable), link; and removed the other way round, links first.
//! Unlinking drops a subsystem's controllers on that port; removing or disabling a namespace waits
//! for its I/O. Taking a host off the list does **not** stop a host that is connected.
//!
//! Serial number and UUID are made up anew by the kernel for every directory. Hosts know the disk by
//! them: set them, and set the same ones after every reboot.
//!
//! # What is proven
//!
//! Every attribute is modelled; on a kernel that lacks one it is `None`, and asking for it there is
//! [`ApplyError::Lacks`] before anything is written. TCP is proven on Linux 6.1, 6.12 and 7.3, loop
//! on 6.12 and 7.3 (Debian's cloud kernels, in VMs). **RDMA, Fibre Channel, peer-to-peer memory and
//! protection information were never tried**: they follow the kernel's source.
//!
//! # The host
//!
//! [`Host::connect`] is idempotent, [`Host::wait_for_namespace`] finds the block device by the
//! namespace's UUID, [`Host::disconnect`] says whether there was anything to disconnect.
#![forbid(unsafe_code)]

pub mod change;
pub mod check;
pub mod configfs;
pub mod controllers;
pub mod fabrics;
pub mod fake;
pub mod host;
mod layout;
pub mod model;
pub mod nqn;
#[cfg(feature = "nvmetcli")]
pub mod nvmetcli;
pub mod outcome;
pub mod plan;
mod sysfs;
pub mod tree;
mod unique;
mod words;

/// The README's example must compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use change::Change;
pub use check::{Check, CheckError, Violation, check};
pub use configfs::{ApplyError, Configfs, ReadError, read};
pub use controllers::{Controller, Disk, ListError, State};
pub use fabrics::{ConnectOptions, LossTimeout, Seconds, host_id};
pub use host::{ConnectError, Connected, DisconnectError, Host, WaitError};
pub use model::{
    AnaGroupId, AnaState, Authentication, DhGroup, DhHash, Family, Namespace, Nsid, Oui, P2pMem,
    Port, PortId, Portal, Referral, ReferralName, Secret, Subsystem, Target, Transport, Treq, Tsas,
    UnfinishedPort, Version,
};
pub use nqn::{Nqn, NqnError};
pub use outcome::Outcome;
pub use plan::plan;
pub use tree::Tree;
