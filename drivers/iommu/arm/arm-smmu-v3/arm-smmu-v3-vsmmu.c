// SPDX-License-Identifier: GPL-2.0-only
/*
 * vSMMU: a guest's share of an SMMUv3, and the domains on it. Forwards commands
 * and events, and keeps the TLB right when stage 2 changes.
 */
#include <kunit/visibility.h>
#include <linux/iommu-user-domain.h>
#include <linux/pci.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>

#include "arm-smmu-v3-user.h"

#define CREATE_TRACE_POINTS
#include "arm_smmu_v3_trace.h"

/* A change of stage 2 goes to all its vSMMUs; one per guest SMMU is usual */
#define S2_MAX_VSMMUS		32

/* VMID that TLB entries of a nest parent may carry */
struct s2_vmid {
	struct arm_smmu_device *smmu;
	u16 vmid;
};

/*
 * Collect the VMIDs, the nest parent's own one first. If a VMID is freed before
 * the invalidation, that merely flushes entries of its next owner.
 */
static unsigned int s2_get_vmids(struct arm_smmu_domain *s2_parent,
				 struct s2_vmid vmids[S2_MAX_VSMMUS + 1],
				 unsigned int *num_own)
{
	const u16 own = READ_ONCE(s2_parent->s2_cfg.vmid);
	struct arm_smmu_s2_tag *tag;
	unsigned int num = 0;
	u16 vmid;

	if (own)
		vmids[num++] = (struct s2_vmid){ s2_parent->smmu, own };
	*num_own = num;

	rcu_read_lock();
	list_for_each_entry_rcu(tag, &s2_parent->s2_tags, elm) {
		if (num == S2_MAX_VSMMUS + 1)
			break;
		vmid = READ_ONCE(tag->s2_cfg.vmid);
		if (vmid)
			vmids[num++] = (struct s2_vmid){ tag->smmu, vmid };
	}
	rcu_read_unlock();
	return num;
}

/*
 * Issue @what for each VMID, of the range unless @size is 0, and wait for
 * completion. Each SMMU has its own queue: a change of SMMU ends a batch.
 */
static noinline_for_stack
void s2_inv(const struct s2_vmid *vmids, unsigned int num,
	    const struct arm_smmu_cmdq_ent *what, unsigned long iova,
	    size_t size, size_t granule, unsigned long pgsize_bitmap)
{
	struct arm_smmu_cmdq_batch cmds __uninitialized;
	unsigned int i;

	for (i = 0; i != num; i++) {
		struct arm_smmu_device *smmu = vmids[i].smmu;
		struct arm_smmu_cmdq_ent cmd = *what;

		if (!i || vmids[i - 1].smmu != smmu)
			arm_smmu_cmdq_batch_init(smmu, &cmds, &cmd);
		cmd.tlbi.vmid = vmids[i].vmid;
		if (size)
			arm_smmu_cmdq_batch_add_range(smmu, &cmds, &cmd, iova,
						      size, granule,
						      pgsize_bitmap);
		else
			arm_smmu_cmdq_batch_add(smmu, &cmds, &cmd);
		if (i + 1 == num || vmids[i + 1].smmu != smmu)
			arm_smmu_cmdq_batch_submit(smmu, &cmds);
	}
}

/**
 * arm_smmu_s2_parent_inv() - Invalidate after a change of a nest parent
 * @s2_parent: The nest parent
 * @iova: First IPA whose translation changed
 * @size: Length of the range in bytes, 0 for all
 * @granule: Size in bytes of the entries that changed
 * @leaf: Only the last level changed, no table was freed
 *
 * TLB entries from a guest's stage 1 carry the VMID of its vSMMU, and may
 * combine both stages. Combined entries can't be found by IPA, 4.4.1 and 16.2.
 * Hence this order:
 *
 * 1. Invalidate stage 2 entries by IPA for each VMID, and wait. Later walks of
 *    stage 1 no longer use the old stage 2.
 * 2. Invalidate all of stage 1 for the VMID of each vSMMU, and wait.
 * 3. Invalidate the ATCs of all devices, which hold guest addresses.
 *
 * If the first step invalidates whole VMIDs, the second is not needed. There
 * are at most two CMD_SYNCs, and one for the ATCs, for any number of vSMMUs.
 *
 * An unmap can't fail in this kernel. If a CMD_SYNC fails, the driver logs it
 * and the caller goes on, as with every other domain.
 */
void arm_smmu_s2_parent_inv(struct arm_smmu_domain *s2_parent,
			    unsigned long iova, size_t size, size_t granule,
			    bool leaf)
{
	struct arm_smmu_cmdq_ent cmd = { .tlbi.leaf = leaf };
	struct s2_vmid vmids[S2_MAX_VSMMUS + 1] __uninitialized;
	unsigned int num, num_own;

	/*
	 * The page table was changed before the lookup of the VMIDs. A VMID
	 * that is added later has no entry from before the change, as its first
	 * STE is written later. See arm_smmu_attach_vmid().
	 */
	smp_mb();
	num = s2_get_vmids(s2_parent, vmids, &num_own);
	if (!num)
		return;

	if (!size || arm_smmu_too_many_tlbi_ops(s2_parent->smmu, size * num,
						granule)) {
		cmd.opcode = CMDQ_OP_TLBI_S12_VMALL;
		s2_inv(vmids, num, &cmd, 0, 0, 0, 0);
	} else {
		cmd.opcode = CMDQ_OP_TLBI_S2_IPA;
		s2_inv(vmids, num, &cmd, iova, size, granule,
		       s2_parent->domain.pgsize_bitmap);
		cmd = (struct arm_smmu_cmdq_ent){
			.opcode = CMDQ_OP_TLBI_NH_ALL,
		};
		s2_inv(vmids + num_own, num - num_own, &cmd, 0, 0, 0, 0);
	}

	/* ATCs hold guest addresses: the IPA range is of no use */
	arm_smmu_atc_inv_domain(s2_parent, 0, 0);
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_s2_parent_inv);

/* vDEVICEs */

/* Wait until the SMMU has taken all commands with a looked-up StreamID */
static void arm_vsmmu_wait_for_sids(struct arm_smmu_vsmmu *vsmmu)
{
	down_write(&vsmmu->sids);
	up_write(&vsmmu->sids);
}

/**
 * arm_smmu_stop_user_atc_inv() - Stop a guest's ATC invalidations for a device
 * @master: Master with ATS on, which the caller is about to turn off
 *
 * A function with ATS off need not answer an invalidation. From here on the
 * guest's invalidations are ignored. Those in flight have completed on return,
 * which takes no longer than one chunk of commands.
 */
void arm_smmu_stop_user_atc_inv(struct arm_smmu_master *master)
{
	struct iommu_vdevice *vdev;

	/* This lock keeps the vDEVICE */
	lockdep_assert_held(&arm_smmu_asid_lock);

	/* Do not block events of other streams during the wait */
	mutex_lock(&master->smmu->streams_mutex);
	WRITE_ONCE(master->ats_settled, false);
	vdev = master->vdev;
	mutex_unlock(&master->smmu->streams_mutex);
	if (vdev)
		arm_vsmmu_wait_for_sids(to_vsmmu(vdev->viommu));
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_stop_user_atc_inv);

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

	/* Keeps the vDEVICE for arm_smmu_stop_user_atc_inv() */
	mutex_lock(&arm_smmu_asid_lock);
	mutex_lock(&master->smmu->streams_mutex);
	master->vdev = NULL;
	mutex_unlock(&master->smmu->streams_mutex);
	mutex_unlock(&arm_smmu_asid_lock);
	arm_vsmmu_wait_for_sids(to_vsmmu(vdev->viommu));
}

static bool arm_vsmmu_is_of(const struct iommu_vdevice *vdev,
			    const struct arm_smmu_vsmmu *vsmmu)
{
	return vdev && vdev->viommu == &vsmmu->core;
}

/* Report if a master has a vDEVICE on a vSMMU at the time of the call */
static bool arm_vsmmu_has_master(struct arm_smmu_vsmmu *vsmmu,
				 struct arm_smmu_master *master)
{
	guard(mutex)(&master->smmu->streams_mutex);
	return arm_vsmmu_is_of(master->vdev, vsmmu);
}

/* Events */

/**
 * arm_smmu_switch_vsmmu() - Redirect a master's events before its STE changes
 * @master: The master
 * @next: Domain to be attached
 *
 * From now on the master's events go to the guest that @next belongs to, if
 * any. Unread events of the old STE are indistinguishable from new ones. On
 * detach they go to the host instead of the old guest, on attach to the new
 * guest.
 */
void arm_smmu_switch_vsmmu(struct arm_smmu_master *master,
			   struct iommu_domain *next)
{
	mutex_lock(&master->smmu->streams_mutex);
	master->vsmmu = next->type == IOMMU_DOMAIN_NESTED ?
				to_smmu_nested_domain(next)->vsmmu : NULL;
	mutex_unlock(&master->smmu->streams_mutex);
}

static int arm_vsmmu_report(struct arm_smmu_vsmmu *vsmmu,
			    const struct iommu_vdevice *vdev, const u64 *evt)
{
	struct iommu_vevent_arm_smmuv3 vevent;

	if (!arm_vsmmu_is_of(vdev, vsmmu))
		return -ENOENT;
	arm_smmu_make_vevent(&vevent, evt, vdev->virt_id);
	return iommu_viommu_report_event(&vsmmu->core,
					 IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, &vevent,
					 sizeof(vevent));
}

/**
 * arm_smmu_handle_user_evt() - Handle an event that may be a guest's
 * @smmu: The SMMU
 * @evt: Event record. A stalled transaction is terminated by now.
 *
 * Events that no guest receives go to the log, and faults of stage 2 also to a
 * tracepoint. Each stream has its own rate limit. A guest can cause any number
 * of events, and must not suppress the messages of other streams.
 *
 * Return: 0, or -EOPNOTSUPP if no domain of a vSMMU is attached to the stream
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
 * arm_smmu_user_evts_lost() - Handle an overflow of the event queue, 7.4
 * @smmu: The SMMU
 *
 * The streams of the lost events are unknown. Each guest gets a report of one
 * lost event for each of its streams.
 */
void arm_smmu_user_evts_lost(struct arm_smmu_device *smmu)
{
	struct arm_smmu_master *master;
	struct rb_node *node;

	guard(mutex)(&smmu->streams_mutex);
	for (node = rb_first(&smmu->streams); node; node = rb_next(node)) {
		master = rb_entry(node, struct arm_smmu_stream, node)->master;
		if (!master->vsmmu ||
		    !arm_vsmmu_is_of(master->vdev, master->vsmmu))
			continue;
		iommu_viommu_report_event(&master->vsmmu->core,
					  IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, NULL,
					  0);
	}
}

/* Nested domains */

static void arm_smmu_nested_ste(struct arm_smmu_ste *target,
				struct arm_smmu_master *master,
				struct arm_smmu_nested_domain *nested,
				bool ats_enabled)
{
	struct arm_smmu_vsmmu *vsmmu = nested->vsmmu;
	const u32 features = master->smmu->features;
	const bool answered = master->iopf_enabled &&
			      nested->domain.iopf_handler;
	bool force_stalld = (features & ARM_SMMU_FEAT_STALLS) &&
			    !(features & ARM_SMMU_FEAT_STALL_FORCE) &&
			    !answered;
	struct arm_smmu_ste s2;

	arm_smmu_make_s2_domain_ste(&s2, master, vsmmu->s2_parent, ats_enabled);
	arm_smmu_make_user_ste(target, &s2, nested->vste,
			       vsmmu->tag.s2_cfg.vmid, force_stalld);
}

static int arm_smmu_attach_dev_nested(struct iommu_domain *domain,
				      struct device *dev)
{
	struct arm_smmu_nested_domain *nested = to_smmu_nested_domain(domain);
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_attach_state state = {
		.master = master,
		.old_domain = master->attached,
		.ssid = IOMMU_NO_PASID,
		.disable_ats = !arm_smmu_vste_wants_ats(nested->vste),
	};
	struct arm_smmu_ste ste;
	int ret;

	if (nested->vsmmu->smmu != master->smmu)
		return -EINVAL;
	/* The vSMMU's first device may have had CANWBS, unlike this one */
	if (!arm_smmu_master_forces_coherency(master))
		return -EINVAL;
	/* Kernel PASIDs need a kernel-owned CD table */
	if (arm_smmu_ssids_in_use(&master->cd_table))
		return -EBUSY;
	/*
	 * Without a virtual StreamID the guest could not invalidate its CDs.
	 * The group's current domain is exempt. It may outlive the vDEVICE, and
	 * the core returns to it if attaching another domain fails. A device
	 * that joins the group later is exempt as well: an error would leave it
	 * without a group and free for any other user.
	 */
	if (arm_smmu_vste_config(nested->vste) == STRTAB_STE_0_CFG_S1_TRANS &&
	    iommu_get_domain_for_dev(dev) != domain &&
	    !arm_vsmmu_has_master(nested->vsmmu, master))
		return -ENOENT;

	mutex_lock(&arm_smmu_asid_lock);
	ret = arm_smmu_attach_prepare(&state, domain);
	if (ret)
		goto out_unlock;
	arm_smmu_nested_ste(&ste, master, nested, state.ats_enabled);
	arm_smmu_install_ste_for_dev(master, &ste);
	arm_smmu_clear_cd(master, IOMMU_NO_PASID);
	arm_smmu_attach_commit(&state);
out_unlock:
	mutex_unlock(&arm_smmu_asid_lock);
	return ret;
}

static void arm_smmu_domain_free_nested(struct iommu_domain *domain)
{
	kfree(to_smmu_nested_domain(domain));
}

static const struct iommu_domain_ops arm_smmu_nested_ops = {
	.attach_dev = arm_smmu_attach_dev_nested,
	.free = arm_smmu_domain_free_nested,
};

/**
 * arm_smmu_alloc_nested() - Allocate a domain for a guest's STE
 * @master: Device that asks for it
 * @params: vSMMU and vSTE
 *
 * Return: the domain, or
 * * -EOPNOTSUPP for an unknown flag, or a fault queue with a device that can't
 *   stall
 * * -EINVAL or -E2BIG for malformed data, see iommu_user_domain_data()
 * * -EIO if the vSTE is not acceptable, see arm_smmu_check_vste()
 * * -ENOMEM
 */
struct iommu_domain *
arm_smmu_alloc_nested(struct arm_smmu_master *master,
		      const struct iommu_user_domain_params *params)
{
	struct arm_smmu_nested_domain *nested;
	struct iommu_hwpt_arm_smmuv3 user;
	__le64 vste[2];
	int ret;

	switch (params->flags) {
	case 0:
		break;
	case IOMMU_HWPT_FAULT_ID_VALID:
		/* Without stall a fault ends before user space can answer */
		if (arm_smmu_master_iopf_supported(master))
			break;
		fallthrough;
	default:
		return ERR_PTR(-EOPNOTSUPP);
	}

	ret = iommu_user_domain_data(&user, params, IOMMU_HWPT_DATA_ARM_SMMUV3,
				     ste);
	if (ret)
		return ERR_PTR(ret);
	ret = arm_smmu_check_vste(user.ste, vste);
	if (ret)
		return ERR_PTR(ret);

	nested = kzalloc(sizeof(*nested), GFP_KERNEL_ACCOUNT);
	if (!nested)
		return ERR_PTR(-ENOMEM);
	nested->domain.type = IOMMU_DOMAIN_NESTED;
	nested->domain.ops = &arm_smmu_nested_ops;
	nested->vsmmu = to_vsmmu(params->viommu);
	memcpy(nested->vste, vste, sizeof(vste));
	return &nested->domain;
}

/* vIOMMU ops */

static struct iommu_viommu *
arm_vsmmu_alloc(struct device *dev, struct iommu_domain *parent, void *data);

static void arm_vsmmu_free(struct iommu_viommu *viommu)
{
	struct arm_smmu_vsmmu *vsmmu = to_vsmmu(viommu);
	struct arm_smmu_domain *s2_parent = vsmmu->s2_parent;

	spin_lock(&s2_parent->s2_tags_lock);
	list_del_rcu(&vsmmu->tag.elm);
	s2_parent->num_s2_tags--;
	spin_unlock(&s2_parent->s2_tags_lock);

	/* Nested domains hold the vSMMU: neither they nor a VMID are left */
	kfree_rcu(vsmmu, rcu);
}

static int arm_vsmmu_check_vdevice(struct iommu_viommu *viommu,
				   struct device *dev, u64 virt_id)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);

	/* A StreamID in a command has 32 bits */
	if (virt_id > U32_MAX)
		return -EINVAL;
	/* A virtual StreamID can't stand for several physical ones */
	if (master->num_streams != 1)
		return -EOPNOTSUPP;
	return 0;
}

/*
 * Part of a request: commands that share one CMD_SYNC and are issued at once.
 *
 * @num: Number of entries of user space
 * @vmid: VMID in the commands. Without one no device is attached and nothing is
 *        cached: the commands are checked but not issued.
 * @sift: Some commands name a stream, or none is to be issued
 * @atc: The first commands are ATC invalidations. None of these follows a
 *       command for the SMMU itself: an ATC must not refill from a TLB before
 *       that is invalidated, 3.9.1.
 */
struct arm_vsmmu_chunk {
	u64 cmds[CMDQ_BATCH_ENTRIES * CMDQ_ENT_DWORDS];
	u32 num;
	u16 vmid;
	bool sift;
	bool atc;
};

/*
 * Convert up to @max entries of user space from index @first on.
 *
 * Return: 0, or the error of the entry after the last of the chunk
 */
static int arm_vsmmu_read_chunk(struct arm_smmu_vsmmu *vsmmu,
				const struct iommu_user_data_array *array,
				u32 first, u32 max,
				struct arm_vsmmu_chunk *chunk)
{
	struct iommu_viommu_arm_smmuv3_invalidate *entries =
		(void *)chunk->cmds;
	int read_ret, ret;

	static_assert(sizeof(*entries) == CMDQ_ENT_DWORDS * sizeof(u64));

	chunk->vmid = READ_ONCE(vsmmu->tag.s2_cfg.vmid);
	chunk->sift = !chunk->vmid;
	read_ret = iommu_user_array_read(entries, array, cmd, first, &max);
	chunk->num = max;
	ret = arm_smmu_convert_user_cmds(&vsmmu->legal, chunk->vmid,
					 chunk->cmds, &chunk->num,
					 &chunk->sift);
	chunk->atc = chunk->num && FIELD_GET(CMDQ_0_OP, chunk->cmds[0]) ==
					   CMDQ_OP_ATC_INV;
	/* A refused entry comes before those that were not read */
	return chunk->num == max ? read_ret : ret;
}

/*
 * Replace the guest's StreamID by the physical one.
 *
 * Return: 1 if the command is to be issued, 0 if there is nothing to do, -EIO
 * if the guest has no such stream, or the stream no such substream
 */
static int arm_vsmmu_translate_sid(struct arm_smmu_vsmmu *vsmmu, u64 *cmd)
{
	u32 vsid = FIELD_GET(CMDQ_CFGI_0_SID, cmd[0]);
	struct arm_smmu_master *master;
	struct device *dev;
	int ret = -EIO;

	xa_lock(&vsmmu->core.vdevs);
	dev = iommu_viommu_find_dev(&vsmmu->core, vsid);
	if (!dev)
		goto out_unlock;
	master = dev_iommu_priv_get(dev);
	ret = arm_smmu_set_user_cmd_sid(cmd, master->streams[0].id,
					master->ssid_bits);
	/*
	 * A function with ATS off need not answer, and one that is gone can't.
	 * All users of the queue would wait for the timeout. In both cases the
	 * ATC is empty.
	 */
	if (!ret)
		ret = FIELD_GET(CMDQ_0_OP, cmd[0]) != CMDQ_OP_ATC_INV ||
		      (READ_ONCE(master->ats_settled) &&
		       !pci_dev_is_disconnected(to_pci_dev(dev)));
out_unlock:
	xa_unlock(&vsmmu->core.vdevs);
	return ret;
}

/*
 * Replace the StreamIDs of all commands in a chunk that have one. @len is set
 * to the number of commands left to issue, 0 without a VMID.
 *
 * Return: 0, or the error of the entry after the last of the chunk
 */
static int arm_vsmmu_translate_sids(struct arm_smmu_vsmmu *vsmmu,
				    struct arm_vsmmu_chunk *chunk, u32 *len)
{
	u64 *to = chunk->cmds;
	u32 i;

	*len = 0;
	for (i = 0; i != chunk->num; i++) {
		u64 *cmd = &chunk->cmds[i * CMDQ_ENT_DWORDS];
		int ret = 1;

		if (arm_smmu_user_cmd_has_sid(cmd))
			ret = arm_vsmmu_translate_sid(vsmmu, cmd);
		if (ret < 0) {
			chunk->num = i;
			return ret;
		}
		if (!ret || !chunk->vmid)
			continue;
		if (to != cmd)
			memcpy(to, cmd, CMDQ_ENT_DWORDS * sizeof(*cmd));
		to += CMDQ_ENT_DWORDS;
		(*len)++;
	}
	return 0;
}

/*
 * At most arm_smmu_user_cmds_per_sync() commands of a request precede a
 * CMD_SYNC, and count as done after it. A request of any length thus takes the
 * same part of the queue.
 *
 * If the last device is detached meanwhile, the VMID may belong to another
 * vSMMU before the chunk is issued. That merely flushes entries of that vSMMU.
 */
static int arm_vsmmu_cache_invalidate(struct iommu_viommu *viommu,
				      struct iommu_user_data_array *array)
{
	struct arm_smmu_vsmmu *vsmmu = to_vsmmu(viommu);
	struct arm_smmu_device *smmu = vsmmu->smmu;
	const u32 per_sync = arm_smmu_user_cmds_per_sync(smmu);
	const u32 total = array->entry_num;
	/* Clearing it costs more than a command; only read entries count */
	struct arm_vsmmu_chunk chunk __uninitialized;
	u32 unsynced = 0;
	u32 done = 0;
	int ret = 0;

	array->entry_num = 0;
	if (array->type != IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3)
		return -EINVAL;

	/*
	 * If there is no VMID here, a device attached later sees the guest's
	 * earlier writes. Pairs with the smp_mb() in arm_smmu_attach_vmid().
	 */
	smp_mb();
	while (done != total && !ret) {
		u32 max = min3(total - done, per_sync - unsynced,
			       (u32)CMDQ_BATCH_ENTRIES);
		int sync_ret = 0;
		u32 len;
		bool sync;

		ret = arm_vsmmu_read_chunk(vsmmu, array, done, max, &chunk);
		if (chunk.atc && unsynced) {
			sync_ret = arm_smmu_cmdq_issue_cmdlist(smmu,
							       &smmu->cmdq,
							       NULL, 0, true);
			if (sync_ret)
				return sync_ret;
			array->entry_num = done;
			unsynced = 0;
		}

		len = chunk.num;
		if (chunk.sift) {
			int sid_ret;

			down_read(&vsmmu->sids);
			sid_ret = arm_vsmmu_translate_sids(vsmmu, &chunk, &len);
			if (sid_ret)
				ret = sid_ret;
		}
		done += chunk.num;
		unsynced += len;
		if (!ret && done != total && fatal_signal_pending(current))
			ret = -EINTR;
		/* A function must have answered before its ATS is turned off */
		sync = ret || done == total || chunk.atc ||
		       unsynced == per_sync;
		if (unsynced && (len || sync))
			sync_ret = arm_smmu_cmdq_issue_cmdlist(smmu,
							       &smmu->cmdq,
							       chunk.cmds, len,
							       sync);
		if (chunk.sift)
			up_read(&vsmmu->sids);
		if (sync_ret)
			return sync_ret;
		if (sync || !unsynced) {
			array->entry_num = done;
			unsynced = 0;
		}
		cond_resched();
	}
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

static struct iommu_viommu *
arm_vsmmu_alloc(struct device *dev, struct iommu_domain *parent, void *data)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_domain *s2_parent = to_smmu_domain(parent);
	struct arm_smmu_device *smmu = master->smmu;
	struct arm_smmu_vsmmu *vsmmu;
	bool full;

	if (s2_parent->smmu != smmu)
		return ERR_PTR(-EINVAL);

	vsmmu = kzalloc(sizeof(*vsmmu), GFP_KERNEL_ACCOUNT);
	if (!vsmmu)
		return ERR_PTR(-ENOMEM);

	iommu_viommu_init(&vsmmu->core, &arm_vsmmu_ops, parent);
	init_rwsem(&vsmmu->sids);
	vsmmu->smmu = smmu;
	vsmmu->s2_parent = s2_parent;
	vsmmu->tag.smmu = smmu;
	arm_smmu_init_user_cmds(smmu, &vsmmu->legal);

	spin_lock(&s2_parent->s2_tags_lock);
	full = s2_parent->num_s2_tags == S2_MAX_VSMMUS;
	if (!full) {
		list_add_tail_rcu(&vsmmu->tag.elm, &s2_parent->s2_tags);
		s2_parent->num_s2_tags++;
	}
	spin_unlock(&s2_parent->s2_tags_lock);
	if (full) {
		kfree(vsmmu);
		return ERR_PTR(-ENOSPC);
	}
	return &vsmmu->core;
}

/**
 * arm_smmu_viommu_ops() - Get the vIOMMU ops for a device
 * @dev: The device
 * @type: One of enum iommu_viommu_type
 *
 * Return: the ops of a vSMMU, or -EOPNOTSUPP if
 * * @type is another one
 * * the SMMU can't nest, or needs more CMD_SYNCs than guest commands get
 * * a guest could make the device bypass the CPU caches (neither S2FWB nor
 *   CANWBS)
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
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_viommu_ops);
