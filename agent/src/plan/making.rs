//! Making a pool's volume group from devices, or taking over one that is there.

use weir_api::condition::reason;
use weir_api::pool::StoragePool;

use super::pools::Verdict;
use super::{Planner, Problem};
use crate::lvm::{Group, pool_in, pool_tag};
use crate::observed::GroupView;
use crate::record::{PoolRecord, PoolState, VERSION};
use crate::step::Step;

impl Planner<'_> {
    pub(super) fn pool_new(&mut self, request: &StoragePool) -> Result<Verdict, Problem> {
        let name = &request.metadata.name;
        let kernel = &request.spec.engine.kernel;
        let vg = kernel.volume_group.as_str();
        let taken = |message: String| Problem::new(reason::VOLUME_GROUP_TAKEN, message);
        let same = |pool: &&PoolRecord| pool.volume_group == kernel.volume_group;
        if let Some(other) = self.records.pools.values().find(same) {
            return Err(taken(format!(
                "volume group `{vg}` is pool `{}`'s",
                other.name
            )));
        }
        if !self.taken_groups.insert(vg.to_owned()) {
            return Err(taken(format!(
                "another pool asks for volume group `{vg}` too"
            )));
        }
        let mut record = PoolRecord {
            version: VERSION,
            name: name.clone(),
            state: PoolState::Ready,
            volume_group: kernel.volume_group.clone(),
            vg_uuid: None,
            devices: kernel.devices.clone(),
            overwrite_signatures: kernel.overwrite_signatures,
            thin_pool: None,
            portals: Vec::new(),
            accept_volatile_write_cache: request.spec.accept_volatile_write_cache,
            boot: Some(self.this_boot()),
            cluster: self.requests.cluster,
        };
        let Some(found) = self.find_group(vg)? else {
            if kernel.devices.is_empty() {
                return Err(Problem::new(
                    reason::VOLUME_GROUP_MISSING,
                    format!(
                        "there is no volume group `{vg}`, and no device is named to make it from"
                    ),
                ));
            }
            self.wipes(&record)?;
            record.state = PoolState::Making;
            return Ok(Verdict::to_do(vec![Step::WritePool(record)]));
        };
        match pool_in(&found.vg.tags) {
            Some(owner) if owner == name.as_str() => {}
            Some(owner) => {
                return Err(taken(format!(
                    "volume group `{vg}` is marked as pool `{owner}`'s"
                )));
            }
            None if kernel.devices.is_empty() => {}
            None => {
                return Err(taken(format!(
                    "volume group `{vg}` is there and not Weir's; to use it as it is, name no devices"
                )));
            }
        }
        if found.missing > 0 {
            return Err(Problem::new(
                reason::DEVICE_MISSING,
                format!(
                    "{} of volume group `{vg}`'s disks are missing",
                    found.missing
                ),
            ));
        }
        record.vg_uuid = Some(found.vg.uuid);
        record.devices = found.devices;
        Ok(Verdict::to_do(vec![Step::WritePool(record)]))
    }

    pub(super) fn pool_making(
        &mut self,
        pool: &PoolRecord,
        request: Option<&StoragePool>,
    ) -> Verdict {
        if request.is_some_and(StoragePool::is_deleted) {
            let record = PoolRecord {
                state: PoolState::Deleting,
                ..pool.clone()
            };
            return Verdict::to_do(vec![Step::WritePool(record)]);
        }
        self.make_group(pool)
            .map_or_else(Verdict::of, Verdict::to_do)
    }

    fn make_group(&mut self, pool: &PoolRecord) -> Result<Vec<Step>, Problem> {
        let vg = pool.volume_group.as_str();
        let group = Group {
            name: pool.volume_group.clone(),
            devices: pool.devices.clone(),
        };
        self.taken_groups.insert(vg.to_owned());
        let Some(found) = self.find_group(vg)? else {
            let mut steps = self.wipes(pool)?;
            steps.push(Step::CreateGroup(group.clone(), pool_tag(&pool.name)));
            steps.push(Step::FlushDisks(group.devices));
            return Ok(steps);
        };
        if pool_in(&found.vg.tags) != Some(pool.name.as_str()) {
            let message = format!("volume group `{vg}` was made by somebody else meanwhile");
            return Err(Problem::new(reason::VOLUME_GROUP_TAKEN, message));
        }
        let record = PoolRecord {
            state: PoolState::Ready,
            vg_uuid: Some(found.vg.uuid),
            devices: found.devices.clone(),
            ..pool.clone()
        };
        Ok(vec![
            Step::FlushDisks(found.devices),
            Step::WritePool(record),
        ])
    }

    /// Checks the devices that a volume group is to be made from, and returns the steps that erase
    /// what may be erased.
    fn wipes(&self, pool: &PoolRecord) -> Result<Vec<Step>, Problem> {
        let mut steps = Vec::new();
        let mut refusals = Vec::new();
        for device in &pool.devices {
            match self.wipe(pool, device) {
                Ok(step) => steps.extend(step),
                Err(refusal) => refusals.push(format!("`{device}`: {refusal}")),
            }
        }
        if refusals.is_empty() {
            return Ok(steps);
        }
        Err(Problem::new(reason::DEVICE_REFUSED, refusals.join("; ")))
    }

    fn wipe(&self, pool: &PoolRecord, device: &str) -> Result<Option<Step>, String> {
        let number = self.observed.numbers.get(device);
        let is_it = |path: &str| path == device || self.observed.numbers.get(path) == number;
        let view = self.observed.devices.get(device);
        let view = view.ok_or("it was not looked at")?;
        if let Some(refusal) = &view.refusal {
            return Err(refusal.clone());
        }
        let others = self
            .records
            .pools
            .values()
            .filter(|other| other.name != pool.name);
        if let Some(other) = others
            .filter(|other| other.devices.iter().any(|path| is_it(path)))
            .map(|other| &other.name)
            .next()
        {
            return Err(format!("it is pool `{other}`'s"));
        }
        let scan = self.observed.scan.as_ref().map_err(Clone::clone)?;
        let own_row = scan.iter().find(|pv| pv.path.as_deref().is_some_and(is_it));
        let vg = own_row.and_then(|pv| pv.vg.as_ref());
        if let Some(owner) = vg.and_then(|vg| pool_in(&vg.tags)) {
            // Volumes of Weir's are destroyed one by one, each by its id; never by this.
            return Err(format!("it holds Weir's pool `{owner}`"));
        }
        // A physical volume without a group is what a vgcreate that was stopped leaves behind, if
        // it stands in our own record that one was begun.
        let half_made = pool.state == PoolState::Making && own_row.is_some() && vg.is_none();
        let is_ours = |signature: &&String| half_made && signature.as_str() == "LVM2_member";
        let mut foreign = view
            .signatures
            .iter()
            .filter(|signature| !is_ours(signature))
            .peekable();
        if foreign.peek().is_none() {
            return Ok(None);
        }
        if pool.overwrite_signatures {
            return Ok(Some(Step::WipeSignatures(device.to_owned())));
        }
        let names: Vec<&str> = foreign.map(String::as_str).collect();
        Err(format!(
            "it holds data ({}); set overwriteSignatures to lose it",
            names.join(", ")
        ))
    }

    fn find_group(&self, vg: &str) -> Result<Option<GroupView>, Problem> {
        let unknown = |message| Problem::new(reason::POOL_UNAVAILABLE, message);
        let scan = self
            .observed
            .scan
            .as_ref()
            .map_err(|error| unknown(error.clone()))?;
        GroupView::find(scan, |row| row.name == vg)
            .map_err(|message| Problem::new(reason::VOLUME_GROUP_TAKEN, message))
    }
}
