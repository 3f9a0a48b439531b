// SPDX-License-Identifier: GPL-2.0-only
/*
 * vSMMU: what one guest has of a physical SMMUv3. Its VMID, its invalidations,
 * and what a change of stage 2 means to the stage 1 that sits on it.
 */
#include <linux/rculist.h>
#include <linux/sched/signal.h>

#include "arm-smmu-v3-user.h"

#define CREATE_TRACE_POINTS
#include "arm_smmu_v3_trace.h"

/* A change of stage 2 goes to all of its vSMMUs. One per guest SMMU is usual. */
#define S2_MAX_VSMMUS		32

/* Beyond this many, single page invalidations cost more than a refill */
#define S2_MAX_TLBI_OPS		(1UL << (PAGE_SHIFT - 3))

static void s2_batch_add(struct arm_smmu_cmdq_batch *cmds, u8 opcode,
			 const struct arm_smmu_s2_tag *tag)
{
	struct arm_smmu_cmdq_ent cmd = {
		.opcode = opcode,
		.tlbi.vmid = tag->vmid,
	};

	arm_smmu_cmdq_batch_add(tag->smmu, cmds, &cmd);
}

/*
 * Issue one command for every VMID of the nest parent, and wait for them. An
 * SMMU has its own queue, so each change of SMMU ends a batch.
 */
static void s2_inv_tags(struct arm_smmu_domain *s2_parent, u8 opcode)
{
	struct arm_smmu_cmdq_ent first = { .opcode = opcode };
	struct arm_smmu_device *smmu = NULL;
	struct arm_smmu_cmdq_batch cmds;
	struct arm_smmu_s2_tag *tag;

	list_for_each_entry_rcu(tag, &s2_parent->s2_tags, elm) {
		if (tag->smmu != smmu) {
			if (smmu)
				arm_smmu_cmdq_batch_submit(smmu, &cmds);
			smmu = tag->smmu;
			arm_smmu_cmdq_batch_init(smmu, &cmds, &first);
		}
		s2_batch_add(&cmds, opcode, tag);
	}
	if (smmu)
		arm_smmu_cmdq_batch_submit(smmu, &cmds);
}

/**
 * arm_smmu_s2_parent_inv() - Invalidate after a change of a nest parent
 * @s2_parent: The nest parent
 * @iova: First IPA whose translation changed
 * @size: Length of the range in bytes, 0 for all
 * @granule: Size in bytes of the entries that changed
 * @leaf: No table was freed, only its last level changed
 *
 * TLB entries that a guest's stage 1 led to are tagged with the VMID of its
 * vSMMU, and may combine both stages; those can't be found by IPA, 4.4.1 and
 * 16.2. Thus, in this order:
 *
 * 1. stage 2 entries by IPA under each VMID, completed. Later walks of stage 1
 *    can't pick up the old stage 2 any more.
 * 2. everything of stage 1 under the VMID of each vSMMU, completed.
 * 3. the ATCs of all devices: they hold translations of guest addresses.
 *
 * Where the whole VMID goes in the first step there is nothing left for the
 * second.
 */
void arm_smmu_s2_parent_inv(struct arm_smmu_domain *s2_parent,
			    unsigned long iova, size_t size, size_t granule,
			    bool leaf)
{
	struct arm_smmu_device *smmu = s2_parent->smmu;
	struct arm_smmu_cmdq_ent cmd = {
		.tlbi.vmid = s2_parent->s2_cfg.vmid,
		.tlbi.leaf = leaf,
	};
	struct arm_smmu_s2_tag *tag;
	bool all = !size || (!(smmu->features & ARM_SMMU_FEAT_RANGE_INV) &&
			     size / granule > S2_MAX_TLBI_OPS);

	/*
	 * The page table was changed before the VMIDs are looked up. A vSMMU
	 * that is not on the list by then has no entry from before the change:
	 * its first STE is written later than it was added.
	 */
	smp_mb();
	rcu_read_lock();
	if (all) {
		cmd.opcode = CMDQ_OP_TLBI_S12_VMALL;
		arm_smmu_cmdq_issue_cmd_with_sync(smmu, &cmd);
		s2_inv_tags(s2_parent, CMDQ_OP_TLBI_S12_VMALL);
	} else {
		cmd.opcode = CMDQ_OP_TLBI_S2_IPA;
		__arm_smmu_tlb_inv_range(&cmd, iova, size, granule, s2_parent);
		list_for_each_entry_rcu(tag, &s2_parent->s2_tags, elm) {
			cmd = (struct arm_smmu_cmdq_ent){
				.opcode = CMDQ_OP_TLBI_S2_IPA,
				.tlbi.vmid = tag->vmid,
				.tlbi.leaf = leaf,
			};
			__arm_smmu_tlb_inv_range(&cmd, iova, size, granule,
						 s2_parent);
		}
		s2_inv_tags(s2_parent, CMDQ_OP_TLBI_NH_ALL);
	}
	rcu_read_unlock();

	/* By range would be by IPA, which no ATC knows */
	arm_smmu_atc_inv_domain(s2_parent, 0, 0);
}

/* Events */

/**
 * arm_smmu_switch_vsmmu() - The master's STE is about to change
 * @master: The master
 * @next: What is attached next
 *
 * From here on its events are for the guest that @next belongs to, if there is
 * one. Those of the old STE that are still on their way can't be told apart:
 * they go to the host rather than to the guest that loses the device, and to
 * the guest that gets it rather than its first ones to the host.
 */
void arm_smmu_switch_vsmmu(struct arm_smmu_master *master,
			   struct iommu_domain *next)
{
	mutex_lock(&master->smmu->streams_mutex);
	master->vsmmu = next->type == IOMMU_DOMAIN_NESTED ?
				to_smmu_nested_domain(next)->vsmmu : NULL;
	mutex_unlock(&master->smmu->streams_mutex);
}

static void arm_vsmmu_link_vdevice(struct iommu_vdevice *vdev)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(vdev->dev);

	mutex_lock(&master->smmu->streams_mutex);
	master->vdev = vdev;
	mutex_unlock(&master->smmu->streams_mutex);
}

static void arm_vsmmu_unlink_vdevice(struct iommu_vdevice *vdev)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(vdev->dev);

	mutex_lock(&master->smmu->streams_mutex);
	master->vdev = NULL;
	mutex_unlock(&master->smmu->streams_mutex);
}

static int arm_vsmmu_report(struct arm_smmu_vsmmu *vsmmu,
			    const struct iommu_vdevice *vdev, const u64 *evt)
{
	struct iommu_vevent_arm_smmuv3 vevent;

	if (!vdev || vdev->viommu != &vsmmu->core)
		return -ENOENT;
	arm_smmu_make_vevent(&vevent, evt, vdev->virt_id);
	return iommu_viommu_report_event(&vsmmu->core,
					 IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, &vevent,
					 sizeof(vevent));
}

/**
 * arm_smmu_handle_user_evt() - Handle an event that may be a guest's
 * @smmu: The SMMU
 * @evt: The event record. If it has stalled, that is over.
 *
 * What nobody but the host can be told goes to the log, and a fault of stage 2
 * also to a tracepoint. Each stream has a limit of its own there, as a guest can
 * make as many events as it likes, and must not keep others' from being seen.
 *
 * Return: 0, or -EOPNOTSUPP if nothing of a vSMMU is attached to the stream
 */
int arm_smmu_handle_user_evt(struct arm_smmu_device *smmu, const u64 *evt)
{
	enum arm_smmu_evt_owner owner = arm_smmu_evt_owner(evt);
	u32 sid = FIELD_GET(EVTQ_0_SID, evt[0]);
	struct arm_smmu_master *master;
	struct arm_smmu_vsmmu *vsmmu;

	guard(mutex)(&smmu->streams_mutex);
	master = arm_smmu_find_master(smmu, sid);
	vsmmu = master ? master->vsmmu : NULL;
	if (!vsmmu)
		return -EOPNOTSUPP;

	if (owner == ARM_SMMU_EVT_GUEST &&
	    !arm_vsmmu_report(vsmmu, master->vdev, evt))
		return 0;

	if (!__ratelimit(&master->evt_rs))
		return 0;
	if (owner == ARM_SMMU_EVT_STAGE2) {
		trace_arm_smmu_stage2_fault(master->dev, sid, vsmmu->core.id,
					    evt);
		dev_info(master->dev,
			 "stream 0x%x of vIOMMU %u: stage 2 fault 0x%02llx at IPA 0x%llx, %s\n",
			 sid, vsmmu->core.id, FIELD_GET(EVTQ_0_ID, evt[0]),
			 evt[3] & EVTQ_3_IPA,
			 evt[1] & EVTQ_1_RnW ? "read" : "write");
	} else {
		dev_info(master->dev,
			 "stream 0x%x of vIOMMU %u: event 0x%016llx 0x%016llx 0x%016llx 0x%016llx\n",
			 sid, vsmmu->core.id, evt[0], evt[1], evt[2], evt[3]);
	}
	return 0;
}

/**
 * arm_smmu_user_evts_lost() - The event queue has overflowed, 7.4
 * @smmu: The SMMU
 *
 * Nobody knows whose events are lost, so each guest is told of one for each of
 * its streams.
 */
void arm_smmu_user_evts_lost(struct arm_smmu_device *smmu)
{
	struct arm_smmu_master *master;
	struct rb_node *node;

	guard(mutex)(&smmu->streams_mutex);
	for (node = rb_first(&smmu->streams); node; node = rb_next(node)) {
		master = rb_entry(node, struct arm_smmu_stream, node)->master;
		if (!master->vsmmu || !master->vdev ||
		    master->vdev->viommu != &master->vsmmu->core)
			continue;
		iommu_viommu_report_event(&master->vsmmu->core,
					  IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, NULL,
					  0);
	}
}

/* vIOMMU ops */

static struct iommu_viommu *arm_vsmmu_alloc(struct device *dev,
					    struct iommu_domain *parent);

static void arm_vsmmu_free(struct iommu_viommu *viommu)
{
	struct arm_smmu_vsmmu *vsmmu = to_vsmmu(viommu);
	struct arm_smmu_domain *s2_parent = vsmmu->s2_parent;
	struct arm_smmu_device *smmu = vsmmu->smmu;
	struct arm_smmu_cmdq_ent cmd = {
		.opcode = CMDQ_OP_TLBI_S12_VMALL,
		.tlbi.vmid = vsmmu->tag.vmid,
	};

	spin_lock(&s2_parent->s2_tags_lock);
	list_del_rcu(&vsmmu->tag.elm);
	s2_parent->num_s2_tags--;
	spin_unlock(&s2_parent->s2_tags_lock);

	/* No STE has the VMID any more. The next owner finds no entry of ours. */
	arm_smmu_cmdq_issue_cmd_with_sync(smmu, &cmd);
	ida_free(&smmu->vmid_map, vsmmu->tag.vmid);
	kfree_rcu(vsmmu, rcu);
}

static int arm_vsmmu_check_vdevice(struct iommu_viommu *viommu,
				   struct device *dev, u64 virt_id)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);

	/* That is how wide a StreamID is in a command */
	if (virt_id > U32_MAX)
		return -EINVAL;
	/* One virtual StreamID can't stand for several physical ones */
	if (master->num_streams != 1)
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Put the physical StreamID in place of the guest's.
 *
 * Return: 1 if the command is to be issued, 0 if there is nothing to do, -EIO
 * if the guest has no such stream.
 */
static int arm_vsmmu_translate_sid(struct arm_smmu_vsmmu *vsmmu, u64 *cmd)
{
	u32 vsid = FIELD_GET(CMDQ_CFGI_0_SID, cmd[0]);
	struct arm_smmu_master *master;
	struct device *dev;
	int ret = 1;

	xa_lock(&vsmmu->core.vdevs);
	dev = iommu_viommu_find_dev(&vsmmu->core, vsid);
	if (!dev) {
		ret = -EIO;
		goto out_unlock;
	}
	master = dev_iommu_priv_get(dev);
	/*
	 * A function whose ATS is off need not answer, and the queue of all
	 * would wait for it until the timeout. Its ATC is empty. This may race
	 * with a change of ATS, as the command itself does.
	 */
	if (FIELD_GET(CMDQ_0_OP, cmd[0]) == CMDQ_OP_ATC_INV &&
	    !READ_ONCE(master->ats_enabled)) {
		ret = 0;
		goto out_unlock;
	}
	cmd[0] &= ~CMDQ_CFGI_0_SID;
	cmd[0] |= FIELD_PREP(CMDQ_CFGI_0_SID, master->streams[0].id);
out_unlock:
	xa_unlock(&vsmmu->core.vdevs);
	return ret;
}

/*
 * Convert up to @num entries of the user's from index @first on.
 *
 * Return: 0 or why the entry after the last of *@taken was refused. *@len is
 * the number of commands in @cmds, some entries need none.
 */
static int arm_vsmmu_read_cmds(struct arm_smmu_vsmmu *vsmmu,
			       const struct iommu_user_data_array *array,
			       u32 first, u32 num, u64 *cmds, u32 *taken,
			       u32 *len)
{
	bool has_sid;
	int read_ret;
	int ret;
	u32 i;

	*taken = 0;
	*len = 0;
	read_ret = iommu_user_array_read(cmds, CMDQ_ENT_DWORDS * sizeof(*cmds),
					 array, first, &num);
	for (i = 0; i != num; i++) {
		u64 *cmd = &cmds[i * CMDQ_ENT_DWORDS];

		cmd[0] = le64_to_cpu((__force __le64)cmd[0]);
		cmd[1] = le64_to_cpu((__force __le64)cmd[1]);
		ret = arm_smmu_convert_user_cmd(vsmmu->smmu, vsmmu->tag.vmid,
						cmd, &has_sid);
		if (ret)
			return ret;
		ret = has_sid ? arm_vsmmu_translate_sid(vsmmu, cmd) : 1;
		if (ret < 0)
			return ret;
		(*taken)++;
		if (!ret)
			continue;
		/* Close the gap that a command with nothing to do has left */
		if (*len != i)
			memcpy(&cmds[*len * CMDQ_ENT_DWORDS], cmd,
			       CMDQ_ENT_DWORDS * sizeof(*cmd));
		(*len)++;
	}
	return read_ret;
}

/*
 * The whole request is followed by one CMD_SYNC. Chunks are as large as what
 * the queue is guaranteed to take at once; a guest that sends more than it
 * holds waits for room, as everybody else does.
 */
static int arm_vsmmu_cache_invalidate(struct iommu_viommu *viommu,
				      struct iommu_user_data_array *array)
{
	struct arm_smmu_vsmmu *vsmmu = to_vsmmu(viommu);
	struct arm_smmu_device *smmu = vsmmu->smmu;
	u64 cmds[CMDQ_BATCH_ENTRIES * CMDQ_ENT_DWORDS];
	const u32 total = array->entry_num;
	bool sync_pending = false;
	u32 taken, len;
	u32 done = 0;
	int sync_ret;
	int ret = 0;

	array->entry_num = 0;
	if (array->type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3)
		return -EINVAL;

	while (done != total) {
		u32 num = min_t(u32, total - done, CMDQ_BATCH_ENTRIES);
		bool last;

		ret = arm_vsmmu_read_cmds(vsmmu, array, done, num, cmds, &taken,
					  &len);
		done += taken;
		last = ret || done == total;
		if (!last && fatal_signal_pending(current)) {
			ret = -EINTR;
			last = true;
		}
		if (len || (last && sync_pending)) {
			sync_ret = arm_smmu_cmdq_issue_cmdlist(smmu,
							       &smmu->cmdq,
							       cmds, len, last);
			sync_pending = !last;
			if (sync_ret) {
				/* None is known to have completed */
				array->entry_num = 0;
				return sync_ret;
			}
		}
		if (last)
			break;
		cond_resched();
	}
	array->entry_num = done;
	return ret;
}

static const struct iommu_vevent_type arm_vsmmu_vevent_types[] = {
	{
		.type = IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
		.len = sizeof(struct iommu_vevent_arm_smmuv3),
	},
	{}
};

static const struct iommu_viommu_ops arm_vsmmu_ops = {
	.alloc = arm_vsmmu_alloc,
	.free = arm_vsmmu_free,
	.check_vdevice = arm_vsmmu_check_vdevice,
	.link_vdevice = arm_vsmmu_link_vdevice,
	.unlink_vdevice = arm_vsmmu_unlink_vdevice,
	.cache_invalidate = arm_vsmmu_cache_invalidate,
	.vevent_types = arm_vsmmu_vevent_types,
};

static struct iommu_viommu *arm_vsmmu_alloc(struct device *dev,
					    struct iommu_domain *parent)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_domain *s2_parent = to_smmu_domain(parent);
	struct arm_smmu_device *smmu = master->smmu;
	struct arm_smmu_vsmmu *vsmmu;
	bool full;
	int vmid;

	if (s2_parent->smmu != smmu)
		return ERR_PTR(-EINVAL);

	vsmmu = kzalloc(sizeof(*vsmmu), GFP_KERNEL_ACCOUNT);
	if (!vsmmu)
		return ERR_PTR(-ENOMEM);

	vmid = ida_alloc_range(&smmu->vmid_map, 1, (1 << smmu->vmid_bits) - 1,
			       GFP_KERNEL_ACCOUNT);
	if (vmid < 0) {
		kfree(vsmmu);
		return ERR_PTR(vmid);
	}

	iommu_viommu_init(&vsmmu->core, &arm_vsmmu_ops, parent);
	vsmmu->smmu = smmu;
	vsmmu->s2_parent = s2_parent;
	vsmmu->tag.smmu = smmu;
	vsmmu->tag.vmid = vmid;

	spin_lock(&s2_parent->s2_tags_lock);
	full = s2_parent->num_s2_tags == S2_MAX_VSMMUS;
	if (!full) {
		list_add_tail_rcu(&vsmmu->tag.elm, &s2_parent->s2_tags);
		s2_parent->num_s2_tags++;
	}
	spin_unlock(&s2_parent->s2_tags_lock);
	if (full) {
		ida_free(&smmu->vmid_map, vmid);
		kfree(vsmmu);
		return ERR_PTR(-ENOSPC);
	}
	return &vsmmu->core;
}

/**
 * arm_smmu_viommu_ops() - Can the device be nested?
 * @dev: The device
 * @type: One of enum iommu_viommu_type
 *
 * Return: the ops of a vSMMU, or -EOPNOTSUPP if @type is another one, the SMMU
 * can't nest, needs a CMD_SYNC more often than a guest's commands get one, or
 * a guest could make the device bypass the CPU caches (neither S2FWB nor
 * CANWBS)
 */
const struct iommu_viommu_ops *arm_smmu_viommu_ops(struct device *dev,
						   u32 type)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_device *smmu = master->smmu;

	if (type != IOMMU_VIOMMU_TYPE_ARM_SMMUV3 ||
	    !(smmu->features & ARM_SMMU_FEAT_NESTING) ||
	    (smmu->options & ARM_SMMU_OPT_CMDQ_FORCE_SYNC) ||
	    !arm_smmu_master_forces_coherency(master))
		return ERR_PTR(-EOPNOTSUPP);
	return &arm_vsmmu_ops;
}
