// SPDX-License-Identifier: GPL-2.0-only
/*
 * VMIDs tag the TLB entries of a stage 2.
 *
 * An SMMU has 255 or 65,535 of them. A VMID must not be reused while the TLB
 * has translations of its former owner: it is flushed first, and lost if that
 * fails. Section numbers refer to Arm IHI 0070.
 */
#include <kunit/visibility.h>
#include <linux/idr.h>

#include "arm-smmu-v3-user.h"

/**
 * arm_smmu_vmid_alloc() - Take a VMID of an SMMU
 * @smmu: The SMMU
 *
 * VMID 0 is for STEs without stage 2.
 *
 * Context: The caller may hold arm_smmu_asid_lock. The resume of a disk takes
 * that lock, so the allocation must not wait for a disk.
 *
 * Return: the VMID, 1 to 255 or 65,535, -ENOSPC if there is none left, or
 * -ENOMEM
 */
int arm_smmu_vmid_alloc(struct arm_smmu_device *smmu)
{
	return ida_alloc_range(&smmu->vmid_map, 1, (1 << smmu->vmid_bits) - 1,
			       GFP_NOIO);
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_vmid_alloc);

/**
 * arm_smmu_vmid_free() - Flush a VMID, and give it back
 * @smmu: The SMMU
 * @vmid: VMID that is in no STE any more
 *
 * CMD_TLBI_S12_VMALL invalidates all stage 1 and stage 2 entries of a VMID,
 * 4.4. If the CMD_SYNC behind it fails, entries may remain. The next owner
 * could then reach memory of the former one, so the VMID is not given out
 * again.
 */
void arm_smmu_vmid_free(struct arm_smmu_device *smmu, u16 vmid)
{
	struct arm_smmu_cmdq_ent cmd = {
		.opcode = CMDQ_OP_TLBI_S12_VMALL,
		.tlbi.vmid = vmid,
	};

	if (!arm_smmu_cmdq_issue_cmd_with_sync(smmu, &cmd)) {
		ida_free(&smmu->vmid_map, vmid);
		return;
	}
	if (atomic_inc_return(&smmu->vmids_lost) == 1)
		dev_warn(smmu->dev,
			 "VMID %u could not be flushed, it is not used again; nor are others later\n",
			 vmid);
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_vmid_free);

/*
 * Domains of user space have a VMID only while a device is attached.
 *
 * Return: the VMID and its user count, or NULL for any other domain
 */
static struct arm_smmu_s2_cfg *attached_by_vmid(struct iommu_domain *domain,
						struct arm_smmu_device **smmu)
{
	struct arm_smmu_domain *smmu_domain;
	struct arm_smmu_vsmmu *vsmmu;

	if (!domain)
		return NULL;
	if (domain->type == IOMMU_DOMAIN_NESTED) {
		vsmmu = to_smmu_nested_domain(domain)->vsmmu;
		*smmu = vsmmu->smmu;
		return &vsmmu->tag.s2_cfg;
	}
	if (!(domain->type & __IOMMU_DOMAIN_PAGING))
		return NULL;
	smmu_domain = to_smmu_domain(domain);
	if (!smmu_domain->from_user ||
	    smmu_domain->stage != ARM_SMMU_DOMAIN_S2)
		return NULL;
	*smmu = smmu_domain->smmu;
	return &smmu_domain->s2_cfg;
}

/**
 * arm_smmu_attach_vmid() - Take a VMID before a device is attached
 * @domain: Domain of any kind
 *
 * User space can have any number of stage 2 domains and vSMMUs. Each has a VMID
 * only while a device is attached to the domain, or to a nested domain of the
 * vSMMU. A device is attached to one domain at a time. So there is at most one
 * VMID per device, and one more during a replace.
 *
 * Return: 0, -ENOSPC if the SMMU has no VMID left, or -ENOMEM
 */
int arm_smmu_attach_vmid(struct iommu_domain *domain)
{
	struct arm_smmu_device *smmu;
	struct arm_smmu_s2_cfg *cfg = attached_by_vmid(domain, &smmu);
	int vmid;

	lockdep_assert_held(&arm_smmu_asid_lock);

	if (!cfg || cfg->users++)
		return 0;
	vmid = arm_smmu_vmid_alloc(smmu);
	if (vmid < 0) {
		cfg->users = 0;
		return vmid;
	}
	WRITE_ONCE(cfg->vmid, vmid);
	/*
	 * A later change of the page table finds the VMID and invalidates it.
	 * The SMMU sees an earlier change. Pairs with the smp_mb() before the
	 * lookup of VMIDs for an invalidation.
	 */
	smp_mb();
	return 0;
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_attach_vmid);

/**
 * arm_smmu_detach_vmid() - Give the VMID back when the last device has left
 * @domain: Domain that no STE of the device refers to any more, or NULL
 */
void arm_smmu_detach_vmid(struct iommu_domain *domain)
{
	struct arm_smmu_device *smmu;
	struct arm_smmu_s2_cfg *cfg = attached_by_vmid(domain, &smmu);
	u16 vmid;

	lockdep_assert_held(&arm_smmu_asid_lock);

	if (!cfg || --cfg->users)
		return;
	vmid = cfg->vmid;
	WRITE_ONCE(cfg->vmid, 0);
	arm_smmu_vmid_free(smmu, vmid);
}
EXPORT_SYMBOL_IF_KUNIT(arm_smmu_detach_vmid);
