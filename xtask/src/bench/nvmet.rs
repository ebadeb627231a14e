//! `bench nvmet`: a thousand subsystems, `nvmet apply` against `nvmetcli restore`.

use anyhow::{Result, bail};

use super::Figure;
use crate::vm::machine::Lab;

/// Measures.
pub(super) fn run(lab: &Lab) -> Result<Vec<Figure>> {
    bail!("{}: this bench waits for `nvmet apply`", lab.kernel)
}
