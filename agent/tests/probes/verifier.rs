//! This kernel's verifier accepts every program, whether or not its tracepoint and its types exist
//! here.

use crate::bench::{Pins, chain, only, volume};
use aya::EbpfLoader;
use aya::programs::RawTracePoint;
use weir_agent::probe::{DevT, EMBEDDED, Wanted};
use weir_agent_ebpf::kernel;

#[test]
fn every_program_is_accepted() {
    let _needs = Pins::new();
    let offset = 64_u32;
    let mut loader = EbpfLoader::new();
    let groups = [
        kernel::OPERATION,
        kernel::BIO,
        kernel::REQUEST,
        kernel::TARGET,
        kernel::INITIATOR,
        kernel::HOST,
    ];
    for fact in groups.iter().copied().flatten() {
        loader.override_global(fact.global, &offset, true);
    }
    let mut ebpf = loader.load(EMBEDDED).unwrap();
    for (name, program) in ebpf.programs_mut() {
        let program: &mut RawTracePoint = program.try_into().unwrap();
        program
            .load()
            .unwrap_or_else(|error| panic!("{name}: {}", chain(&error)));
        let info = program.info().unwrap();
        println!(
            "{name}: {} instructions verified, {} bytes",
            info.verified_instruction_count().unwrap_or_default(),
            info.size_jitted(),
        );
    }
}

/// The stages that this kernel can measure are on; those of NVMe's target and host are if its module is there.
#[test]
fn what_is_off_says_why() {
    let pins = Pins::new();
    let mut probes = pins.start();
    probes.sync(&Wanted::default()).unwrap();
    for off in probes.read().unwrap().off {
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
