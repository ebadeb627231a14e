//! This kernel's verifier accepts every program, whether or not its tracepoint and its types exist
//! here. (Those with typed arguments have theirs everywhere.)

use crate::bench::{Pins, only, volume};
use aya::EbpfLoader;
use aya::programs::Program;
use weir_agent::chain;
use weir_agent::probe::{DevT, EMBEDDED, Wanted};
use weir_agent_ebpf::kernel::{self, placeholder};

#[test]
fn every_program_is_accepted() {
    let _needs = Pins::new();
    let offset = 64_u32;
    let mut loader = EbpfLoader::new();
    let groups = [
        kernel::OPERATION,
        kernel::BIO,
        kernel::CARRIED,
        kernel::REQUEST,
        kernel::TARGET,
        kernel::INITIATOR,
        kernel::HOST,
    ];
    for fact in groups.iter().copied().flatten() {
        loader.override_global(fact.global, &offset, placeholder(fact.global).is_none());
    }
    let mut ebpf = loader.load(EMBEDDED).unwrap();
    for (name, program) in ebpf.programs_mut() {
        let loaded = match program {
            Program::KProbe(program) => program.load(),
            Program::RawTracePoint(program) => program.load(),
            // Attached, or off with a reason, in the next test.
            Program::BtfTracePoint(_) => continue,
            other => panic!("{name}: {other:?}"),
        };
        loaded.unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
        let info = program.info().unwrap();
        println!(
            "{name}: {} instructions verified, {} bytes",
            info.verified_instruction_count().unwrap_or_default(),
            info.size_jitted(),
        );
    }
}

/// The stages that this kernel can measure are on; those of NVMe's target and host are if its module is there, and what
/// cgroups' limits take is if the kernel can probe its own functions.
#[test]
fn what_is_off_says_why() {
    let pins = Pins::new();
    let mut probes = pins.start();
    probes.sync(&Wanted::default()).unwrap();
    let kprobes = std::path::Path::new("/sys/bus/event_source/devices/kprobe");
    for off in probes.read().unwrap().off {
        if off.stage == "throttle" && !kprobes.exists() {
            assert!(off.reason.contains("kprobe"), "{off:?}");
            continue;
        }
        let mut modules = ["nvmet", "nvme_core"].into_iter();
        let missing = modules.find(|module| off.reason.contains(module));
        let missing = missing.map(|module| std::path::Path::new("/sys/module").join(module));
        assert!(missing.is_some_and(|module| !module.exists()), "{off:?}");
    }
    let nowhere = DevT {
        major: 4095,
        minor: 1,
    };
    probes.sync(&only(volume(1, nowhere))).unwrap();
    let off = probes.read().unwrap().off;
    assert!(off.iter().any(|off| off.reason.contains("4095:1")));
}
