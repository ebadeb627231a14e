//! nvmetcli and `nvmet` on each other's files: what one saves, the other restores.

use anyhow::{Result, ensure};

use super::pair::Pair;
use crate::vm::guest::PATIENCE;

/// Everything in the tree that can be read, by path; links by what they point to.
const SNAPSHOT: &str = r#"set -e
snapshot() {
    (cd /sys/kernel/config/nvmet && find . -type f ! -name revalidate_size | sort | while read -r f; do
        echo "$f = $(cat "$f")"
    done && find . -type l | sort | while read -r f; do echo "$f -> $(readlink "$f")"; done) > "$1"
}
same() { diff "$1" "$2" >&2 || { echo "$3" >&2; exit 1; }; }
modprobe -a nvmet-tcp
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
"#;

/// A target that uses what this kernel has: keys, identities, ids, two namespaces of which one is
/// disabled, TCP ports with ANA groups and referrals, loop.
const TARGET: &str = r#"
modprobe brd rd_nr=12 rd_size=16384
modprobe -q nvme-loop || true
nvmet clear --yes
cd /sys/kernel/config/nvmet
host=hosts/nqn.2026-11.com.example:host
disk=subsystems/nqn.2026-11.com.example:disk
open=subsystems/nqn.2026-11.com.example:open
mkdir $host hosts/nqn.2026-11.com.example:idle $disk $open
maybe() { [ ! -e "$1" ] || echo -n "$2" > "$1"; }
maybe $host/dhchap_key DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:
maybe $host/dhchap_hash 'hmac(sha512)'
maybe $host/dhchap_dhgroup ffdhe2048
echo -n 00000000000000000001 > $disk/attr_serial
echo -n Weir > $disk/attr_model
maybe $disk/attr_firmware 1.0
maybe $disk/attr_ieee_oui 0x00abcd
maybe $disk/attr_vendor_id 0x1b36
echo -n 10 > $disk/attr_cntlid_min
echo -n 99 > $disk/attr_cntlid_max
echo -n 4 > $disk/attr_qid_max
echo -n 1.4 > $disk/attr_version
echo -n 1 > $open/attr_allow_any_host
ln -s $PWD/$host $disk/allowed_hosts/nqn.2026-11.com.example:host
for nsid in 1 2; do
    ns=$disk/namespaces/$nsid
    mkdir $ns
    echo -n /dev/ram$nsid > $ns/device_path
    echo -n 5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d000$nsid > $ns/device_uuid
    echo -n 5d0a4e52-52a8-4a6c-9f3e-0a1f4b1d000$nsid > $ns/device_nguid
    echo -n $nsid > $ns/ana_grpid
    maybe $ns/resv_enable 1
done
echo -n 1 > $disk/namespaces/1/enable
port() {
    mkdir ports/$1
    echo -n "$2" > ports/$1/addr_adrfam
    echo -n "$3" > ports/$1/addr_traddr
    echo -n "$4" > ports/$1/addr_trsvcid
    echo -n tcp > ports/$1/addr_trtype
    mkdir ports/$1/ana_groups/2
}
port 1 ipv4 127.0.0.1 4420
port 2 ipv6 ::1 4420
echo -n non-optimized > ports/1/ana_groups/2/ana_state
echo -n 65536 > ports/1/param_inline_data_size
maybe ports/1/param_max_queue_size 64
maybe ports/1/param_mdts 5
referral=ports/1/referrals/other
mkdir $referral
echo -n ipv4 > $referral/addr_adrfam
echo -n 127.0.0.2 > $referral/addr_traddr
echo -n 8009 > $referral/addr_trsvcid
echo -n required > $referral/addr_treq
echo -n tcp > $referral/addr_trtype
echo -n 7 > $referral/addr_portid
echo -n 1 > $referral/enable
ln -s $PWD/$disk ports/1/subsystems/nqn.2026-11.com.example:disk
ln -s $PWD/$disk ports/2/subsystems/nqn.2026-11.com.example:disk
ln -s $PWD/$open ports/1/subsystems/nqn.2026-11.com.example:open
if modprobe -q nvme-loop; then
    mkdir ports/3
    echo -n loop > ports/3/addr_trtype
    ln -s $PWD/$open ports/3/subsystems/nqn.2026-11.com.example:open
fi
cd /
snapshot /tmp/made
"#;

/// What nvmetcli saved, `nvmet` restores, and the other way round; then what `nvmet` refuses.
const EXCHANGE: &str = r#"
nvmetcli save /tmp/saved.json
cat /tmp/saved.json
nvmetcli clear
snapshot /tmp/empty
if grep -q subsystems /tmp/empty; then cat /tmp/empty >&2; exit 1; fi
nvmet apply /tmp/saved.json
snapshot /tmp/applied
same /tmp/made /tmp/applied 'nvmet apply of what nvmetcli saved'
nvmet apply /tmp/saved.json | grep -q 'nothing to do'

nvmet export /tmp/exported.json
[ "$(stat -c %a /tmp/exported.json)" = 600 ]
nvmet clear
snapshot /tmp/cleared
same /tmp/empty /tmp/cleared 'nvmet clear'
nvmetcli restore /tmp/exported.json
snapshot /tmp/restored
same /tmp/made /tmp/restored 'nvmetcli restore of what nvmet exported'

# What nvmetcli made is not removed unless that is said.
if nvmet clear < /dev/null 2> /tmp/said; then echo 'nvmet clear did not ask' >&2; exit 1; fi
grep -q 'give --yes' /tmp/said
snapshot /tmp/kept
same /tmp/made /tmp/kept 'a refused nvmet clear'

# A port in use changes only if that is asked for; nothing is written until then.
sed 's/"127.0.0.1"/"127.0.0.3"/' /tmp/exported.json > /tmp/moved.json
if nvmet apply /tmp/moved.json 2> /tmp/said; then echo 'nvmet apply did not wait' >&2; exit 1; fi
grep -q 'interrupts nqn.2026-11.com.example:disk, nqn.2026-11.com.example:open' /tmp/said
snapshot /tmp/kept
same /tmp/made /tmp/kept 'a refused nvmet apply'
nvmet apply --interrupt /tmp/moved.json
sed 's/= 127.0.0.1$/= 127.0.0.3/' /tmp/made > /tmp/wanted
snapshot /tmp/moved
same /tmp/wanted /tmp/moved 'nvmet apply --interrupt'

# No key is shown.
nvmet ls > /tmp/shown
nvmet -o json ls >> /tmp/shown
nvmet clear --yes
nvmet plan /tmp/saved.json >> /tmp/shown
nvmet -o json plan /tmp/saved.json >> /tmp/shown
if grep DHHC-1 /tmp/shown >&2; then exit 1; fi
"#;

/// Runs both ways.
pub(super) fn run(pair: &Pair) -> Result<()> {
    let script = format!("{SNAPSHOT}{TARGET}{EXCHANGE}");
    let output = pair.storage.guest.run_for(&script, PATIENCE * 2)?;
    eprint!("{}", output.stdout);
    ensure!(output.code == 0, "{}", output.stderr);
    Ok(())
}
