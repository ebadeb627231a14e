//! Which kernel the one in memory is like.

/// Debian's cloud kernels, as `tests/vm_target.rs` found them to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Debian 12's: no DH-HMAC-CHAP, no loop transport, none of the attributes that came later.
    Linux6_1,
    /// Debian 13's.
    Linux6_12,
    /// Debian 13 backports': every attribute there is.
    #[default]
    Linux7_3,
}

impl Release {
    /// Every one of them.
    pub const ALL: [Release; 3] = [Release::Linux6_1, Release::Linux6_12, Release::Linux7_3];

    /// Whether it has an attribute, by the name of its file.
    #[must_use]
    pub fn has(self, attribute: &str) -> bool {
        let since = match attribute {
            "discovery_nqn"
            | "dhchap_key"
            | "dhchap_ctrl_key"
            | "dhchap_hash"
            | "dhchap_dhgroup"
            | "attr_firmware"
            | "attr_ieee_oui"
            | "addr_tsas"
            | "param_max_queue_size" => Release::Linux6_12,
            "attr_vendor_id"
            | "attr_subsys_vendor_id"
            | "resv_enable"
            | "p2pmem"
            | "param_mdts" => Release::Linux7_3,
            _ => Release::Linux6_1,
        };
        self >= since
    }

    pub(super) fn version(self) -> &'static str {
        match self {
            Release::Linux6_1 | Release::Linux6_12 => "1.3",
            Release::Linux7_3 => "2.1",
        }
    }

    /// What a referral's family shows before one is set: `NVMF_ADDR_FAMILY_PCI` is 0.
    pub(super) fn fresh_family(self) -> &'static str {
        match self {
            Release::Linux6_1 | Release::Linux6_12 => "",
            Release::Linux7_3 => "pci",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Release::Linux6_1 => "Linux 6.1 (in memory)",
            Release::Linux6_12 => "Linux 6.12 (in memory)",
            Release::Linux7_3 => "Linux 7.3 (in memory)",
        }
    }
}
