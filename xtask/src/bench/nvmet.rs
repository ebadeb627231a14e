//! `bench nvmet`: a thousand subsystems, `nvmet apply` against `nvmetcli restore`.
//!
//! One enabled namespace and one port link each; the file is what `nvmetcli save` wrote of them; the
//! tree is empty before each run; whole processes are timed, by turns, and the medians compared. All
//! in one VM. The time that the file operations of `nvmet apply` themselves take, which a program
//! without any code of its own would have to wait for too, bounds what is possible.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Figure, median};
use crate::progress::say;
use crate::vm::machine::{Lab, Spec};

const SUBSYSTEMS: u32 = 1000;
const ROUNDS: usize = 5;
/// How much faster it is to be.
const AIM: f64 = 20.0;
const LIMIT: Duration = Duration::from_secs(1800);

/// Writes nvmetcli's JSON for a number of subsystems.
const MAKE_TARGET: &str = include_str!("../../guest/make-target.py");

const PREPARE: &str = r#"set -e
modprobe -a nvmet-tcp
modprobe brd rd_nr=1 rd_size=16384
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
python3 /tmp/make-target.py "$COUNT" > /tmp/first.json
nvmet apply --yes /tmp/first.json
nvmetcli save /tmp/saved.json
nvmet clear --yes
"#;

/// Prints seconds, then what the command printed; checks that all is there and enabled, then clears.
const ROUND: &str = r#"set -e
TIMEFORMAT=%R
{ time $COMMAND > /tmp/out; } 2> /tmp/time
[ "$(ls /sys/kernel/config/nvmet/ports/1/subsystems | wc -l)" = "$COUNT" ]
[ "$(cat /sys/kernel/config/nvmet/subsystems/*/namespaces/1/enable | grep -c 1)" = "$COUNT" ]
nvmet clear --yes > /dev/null
cat /tmp/time /tmp/out
"#;

/// Measures.
pub(super) fn run(lab: &Lab) -> Result<Vec<Figure>> {
    let [vm] = lab.boot([Spec {
        name: "bench",
        address: 98,
        memory_mib: 1024,
        disks: &[],
    }])?;
    say(format!(
        "kernel {}, {:?}: {SUBSYSTEMS} subsystems",
        lab.kernel,
        lab.accel()
    ));
    vm.guest.write("/tmp/make-target.py", MAKE_TARGET)?;
    let prepare = format!("COUNT={SUBSYSTEMS}\n{PREPARE}");
    vm.guest.sh_within(&prepare, LIMIT)?;
    let round = |command: &str| -> Result<(f64, String)> {
        let script = format!("COUNT={SUBSYSTEMS} COMMAND='{command}'\n{ROUND}");
        let output = vm.guest.sh_within(&script, LIMIT)?;
        let (seconds, rest) = output.split_once('\n').context("no time was printed")?;
        say(format!("{command}: {seconds} s"));
        let seconds = seconds.parse();
        Ok((
            seconds.context("what was printed is no time")?,
            rest.to_owned(),
        ))
    };
    let (mut ours, mut theirs, mut kernels) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(round("nvmetcli restore /tmp/saved.json")?.0);
        let (seconds, said) = round("nvmet -o json apply --yes /tmp/saved.json")?;
        ours.push(seconds);
        let said: Value = serde_json::from_str(&said).context("nvmet's answer")?;
        let kernel = said["kernel_seconds"].as_f64();
        kernels.push(kernel.context("nvmet says no time of the kernel's")?);
    }
    vm.stop()?;
    let (ours, theirs, kernel) = (median(ours), median(theirs), median(kernels));
    ensure!(
        kernel > 0.0 && kernel <= ours,
        "the kernel's share is {kernel} of {ours} s"
    );
    Ok(vec![
        Figure::new("nvmet_apply_speedup", theirs / ours, "x")
            .against("nvmetcli_restore", 1.0)
            .at_least(AIM),
        Figure::new("nvmet_apply_seconds", ours, "s").against("nvmetcli_restore_seconds", theirs),
        Figure::new("nvmet_apply_kernel_seconds", kernel, "s").against("nvmet_apply_seconds", ours),
        Figure::new("nvmet_apply_speedup_ceiling", theirs / kernel, "x"),
    ])
}
