/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SMMUv3 translation that user space has a say in: domains by parameters,
 * vSMMUs, and page tables that a guest owns.
 *
 *   arm-smmu-v3-user-hw.c      requests to hardware words: pure functions
 *   arm-smmu-v3-user-domain.c  parameters to domains
 *   arm-smmu-v3-vsmmu.c        vIOMMU: VMID, invalidation, changes of stage 2,
 *                              events
 */
#ifndef _ARM_SMMU_V3_USER_H
#define _ARM_SMMU_V3_USER_H

#include <linux/iommu-viommu.h>
#include <uapi/linux/iommufd.h>

#include "arm-smmu-v3.h"

/**
 * struct arm_smmu_s2_tag - A VMID that TLB entries of a nest parent may carry
 * @elm: Entry of arm_smmu_domain::s2_tags, read under RCU
 * @smmu: The SMMU that has such entries
 * @vmid: The VMID there
 */
struct arm_smmu_s2_tag {
	struct list_head elm;
	struct arm_smmu_device *smmu;
	u16 vmid;
};

/**
 * struct arm_smmu_vsmmu - One guest's SMMUv3
 * @core: What iommufd knows of it
 * @smmu: The physical SMMU
 * @s2_parent: The nest parent that all stage 1 of the guest sits on
 * @tag: The VMID of this vSMMU. No other vSMMU has it, so neither cached
 *       translations nor invalidations by VMID cross over between guests.
 * @rcu: To free it
 */
struct arm_smmu_vsmmu {
	struct iommu_viommu core;
	struct arm_smmu_device *smmu;
	struct arm_smmu_domain *s2_parent;
	struct arm_smmu_s2_tag tag;
	struct rcu_head rcu;
};

/**
 * struct arm_smmu_nested_domain - A vSTE, and what it stands on
 * @domain: Of type IOMMU_DOMAIN_NESTED
 * @vsmmu: Held by iommufd for as long as the domain lives
 * @vste: As checked by arm_smmu_check_vste()
 */
struct arm_smmu_nested_domain {
	struct iommu_domain domain;
	struct arm_smmu_vsmmu *vsmmu;
	__le64 vste[2];
};

static inline struct arm_smmu_vsmmu *to_vsmmu(struct iommu_viommu *viommu)
{
	return container_of(viommu, struct arm_smmu_vsmmu, core);
}

static inline struct arm_smmu_nested_domain *
to_smmu_nested_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct arm_smmu_nested_domain, domain);
}

/*
 * A guest that owns stage 1 must not choose attributes by which its device goes
 * around the CPU caches: stage 2 forces them, or the machine does not allow it.
 */
static inline bool
arm_smmu_master_forces_coherency(struct arm_smmu_master *master)
{
	return (master->smmu->features & ARM_SMMU_FEAT_S2FWB) ||
	       arm_smmu_master_canwbs(master);
}

/**
 * enum arm_smmu_evt_owner - Who is to hear of an event of a guest's stream
 * @ARM_SMMU_EVT_HOST: The host alone
 * @ARM_SMMU_EVT_STAGE2: The host: stage 1 led outside of the guest's memory
 * @ARM_SMMU_EVT_GUEST: The guest: its STE, its CD or its stage 1 is at fault
 */
enum arm_smmu_evt_owner {
	ARM_SMMU_EVT_HOST,
	ARM_SMMU_EVT_STAGE2,
	ARM_SMMU_EVT_GUEST,
};

/* arm-smmu-v3-user-domain.c */
struct iommu_domain *
arm_smmu_alloc_user_domain(struct device *dev,
			   const struct iommu_user_domain_params *params);
void *arm_smmu_hw_info(struct device *dev, u32 *length, u32 *type);

/* arm-smmu-v3-user-hw.c */
int arm_smmu_check_vste(const __le64 *vste, __le64 *checked);
unsigned int arm_smmu_vste_config(const __le64 *vste);
bool arm_smmu_vste_wants_ats(const __le64 *vste);
void arm_smmu_make_user_ste(struct arm_smmu_ste *target,
			    const struct arm_smmu_ste *s2, const __le64 *vste,
			    u16 vmid, bool force_stalld);
bool arm_smmu_ste_step(const struct arm_smmu_ste *cur,
		       const struct arm_smmu_ste *target,
		       struct arm_smmu_ste *step);
int arm_smmu_convert_user_cmd(const struct arm_smmu_device *smmu, u16 vmid,
			      u64 *cmd, bool *has_sid);
enum arm_smmu_evt_owner arm_smmu_evt_owner(const u64 *evt);
void arm_smmu_make_vevent(struct iommu_vevent_arm_smmuv3 *vevent,
			  const u64 *evt, u32 vsid);
void arm_smmu_mask_hw_info(const struct arm_smmu_device *smmu,
			   struct iommu_hw_info_arm_smmuv3 *info);

#ifdef CONFIG_ARM_SMMU_V3_IOMMUFD
/* arm-smmu-v3-vsmmu.c */
const struct iommu_viommu_ops *arm_smmu_viommu_ops(struct device *dev,
						   u32 type);
void arm_smmu_s2_parent_inv(struct arm_smmu_domain *s2_parent,
			    unsigned long iova, size_t size, size_t granule,
			    bool leaf);
void arm_smmu_switch_vsmmu(struct arm_smmu_master *master,
			   struct iommu_domain *next);
int arm_smmu_handle_user_evt(struct arm_smmu_device *smmu, const u64 *evt);
void arm_smmu_user_evts_lost(struct arm_smmu_device *smmu);
#else
static inline void arm_smmu_s2_parent_inv(struct arm_smmu_domain *s2_parent,
					  unsigned long iova, size_t size,
					  size_t granule, bool leaf)
{
}

static inline void arm_smmu_switch_vsmmu(struct arm_smmu_master *master,
					 struct iommu_domain *next)
{
}

static inline int arm_smmu_handle_user_evt(struct arm_smmu_device *smmu,
					   const u64 *evt)
{
	return -EOPNOTSUPP;
}

static inline void arm_smmu_user_evts_lost(struct arm_smmu_device *smmu)
{
}

#define arm_smmu_viommu_ops NULL
#endif /* CONFIG_ARM_SMMU_V3_IOMMUFD */

#endif /* _ARM_SMMU_V3_USER_H */
