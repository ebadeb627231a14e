//! The scenarios.

use std::time::Duration;

use super::{Arrivals, Collects, Disk, Kind, Limp, Scenario, Telemetry, Tenants};

const GIB: u64 = 1 << 30;
const HOUR: Duration = Duration::from_secs(3600);

/// A good NVMe disk: some 190,000 I/Os a second, of which 7 in 10 are reads.
const NVME: Disk = Disk {
    capacity: 2048 * GIB,
    channels: 16,
    read: Duration::from_micros(80),
    write: Duration::from_micros(20),
    read_busy: Duration::from_micros(80),
    write_busy: Duration::from_micros(100),
    spread: 0.35,
    collects: Collects {
        every_writes: 700_000.0,
        lasts: Duration::from_millis(500),
        times: 3.0,
    },
};

/// A SATA disk without moving parts: some 55,000 I/Os a second, of which 7 in 10 are reads.
const SATA: Disk = Disk {
    capacity: 2048 * GIB,
    channels: 8,
    read: Duration::from_micros(180),
    write: Duration::from_micros(60),
    read_busy: Duration::from_micros(100),
    write_busy: Duration::from_micros(250),
    spread: 0.45,
    collects: Collects {
        every_writes: 700_000.0,
        lasts: Duration::from_millis(1500),
        times: 4.0,
    },
};

const FOR_GOOD: Limp = Limp {
    times: 5.0,
    lasts: None,
};

const fn well(disk: Disk) -> Kind {
    Kind { disk, limps: None }
}

const fn limping(disk: Disk, limp: Limp) -> Kind {
    Kind {
        disk,
        limps: Some(limp),
    }
}

/// 60 % NVMe, 30 % SATA, 10 % that begin to limp, two of three of which are NVMe disks.
const MIXED: &[(f64, Kind)] = &[
    (0.60, well(NVME)),
    (0.30, well(SATA)),
    (0.10 * 2.0 / 3.0, limping(NVME, FOR_GOOD)),
    (0.10 / 3.0, limping(SATA, FOR_GOOD)),
];

const TENANTS: Tenants = Tenants {
    rate: 2_000.0,
    spread: 1.0,
    reads: (0.4, 1.0),
    depth: 32.0,
    bursty: 0.10,
    burst_times: 8.0,
    burst: Duration::from_secs(600),
    calm: Duration::from_secs(6_600),
    start: Duration::from_secs(30),
    sizes: &[32, 64, 128, 256],
    with_objective: 0.5,
    objectives: &[
        Duration::from_millis(1),
        Duration::from_millis(2),
        Duration::from_millis(5),
    ],
};

const TELEMETRY: Telemetry = Telemetry {
    every: Duration::from_secs(1),
    late: Duration::from_secs(1),
    lost: 0.01,
    dark: None,
};

const DEFAULT: Scenario = Scenario {
    name: "default",
    about: "50 pools, of which 60 % are NVMe, 30 % SATA, and 10 % begin to limp; a day, at the end of which they are 70 % full",
    pools: 50,
    length: Duration::from_secs(24 * 3600),
    kinds: MIXED,
    existing: 0.0,
    arrivals: Arrivals::Poisson {
        fill: 0.7,
        during: 1.0,
    },
    tenants: TENANTS,
    lifetime: None,
    telemetry: TELEMETRY,
    wander: None,
};

/// All scenarios.
pub const ALL: &[Scenario] = &[
    DEFAULT,
    Scenario {
        name: "equal",
        about: "the default with 50 NVMe pools that are all alike and well",
        kinds: &[(1.0, well(NVME))],
        ..DEFAULT
    },
    Scenario {
        name: "noinfo",
        about: "50 pools that are alike, of which each has another speed every few minutes: what was measured says nothing of what will be",
        kinds: &[(1.0, well(NVME))],
        wander: Some((Duration::from_secs(300), 0.5)),
        ..DEFAULT
    },
    Scenario {
        name: "burst",
        about: "500 volumes are created at once, on 50 pools that are alike",
        kinds: &[(1.0, well(NVME))],
        length: HOUR,
        arrivals: Arrivals::Burst {
            at: Duration::from_secs(60),
            count: 500,
        },
        ..DEFAULT
    },
    Scenario {
        name: "large",
        about: "10,000 pools that hold volumes already, mixed as in the default; 2,000 more within ten minutes",
        pools: 10_000,
        length: Duration::from_secs(600),
        existing: 4.0,
        arrivals: Arrivals::Number(2_000),
        telemetry: Telemetry {
            every: Duration::from_secs(5),
            ..TELEMETRY
        },
        ..DEFAULT
    },
    Scenario {
        name: "churn",
        about: "the default with volumes that live for eight hours, and limping that ends after three",
        kinds: &[
            (0.60, well(NVME)),
            (0.30, well(SATA)),
            (0.10, limping(NVME, FOR_A_WHILE)),
        ],
        arrivals: Arrivals::Poisson {
            fill: 0.7 * 3.0,
            during: 1.0,
        },
        lifetime: Some(Duration::from_secs(8 * 3600)),
        ..DEFAULT
    },
    Scenario {
        name: "dark",
        about: "the default, in which nothing is heard of any pool for the middle third of the day",
        telemetry: Telemetry {
            dark: Some((1.0 / 3.0, 2.0 / 3.0)),
            ..TELEMETRY
        },
        ..DEFAULT
    },
];

const FOR_A_WHILE: Limp = Limp {
    times: 5.0,
    lasts: Some(Duration::from_secs(3 * 3600)),
};

/// The scenario of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}
