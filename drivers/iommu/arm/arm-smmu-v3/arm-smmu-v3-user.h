/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SMMUv3 translation under the control of user space: domains by parameters,
 * vSMMUs, and guest-owned page tables.
 *
 *   arm-smmu-v3-guest.c        words of a guest to words of the SMMU: pure
 *                              functions
 *   arm-smmu-v3-user-domain.c  parameters to domains, ID registers
 *   arm-smmu-v3-vsmmu.c        vIOMMU: nested domains, invalidations, events,
 *                              changes of stage 2
 */
#ifndef _ARM_SMMU_V3_USER_H
#define _ARM_SMMU_V3_USER_H

#include <linux/iommu-viommu.h>
#include <linux/rwsem.h>
#include <uapi/linux/iommufd.h>

#include "arm-smmu-v3.h"

/*
 * Commands that a guest may send. Those that may have a range come first, those
 * with a StreamID last.
 */
enum arm_smmu_user_cmd {
	USER_CMD_NONE,
	USER_CMD_TLBI_NH_VA,
	USER_CMD_TLBI_NH_VAA,
	USER_CMD_TLBI_NH_ASID,
	USER_CMD_TLBI_NH_ALL,
	USER_CMD_TLBI_NSNH_ALL,
	USER_CMD_CFGI_CD,
	USER_CMD_CFGI_CD_ALL,
	USER_CMD_ATC_INV,
	NUM_USER_CMDS,
};

/**
 * struct arm_smmu_user_cmds - Guest commands that are legal for an SMMU
 * @fields: Fields that each command may have, with any value
 * @range: Further fields of an invalidation by address
 * @tg_ttl: Bit (TG << 2 | TTL) is set for each legal combination. Index 0 is
 *          for NUM and SCALE of 0, index 1 for all others.
 */
struct arm_smmu_user_cmds {
	u64 fields[NUM_USER_CMDS][CMDQ_ENT_DWORDS];
	u64 range[CMDQ_ENT_DWORDS];
	u16 tg_ttl[2];
};

/**
 * struct arm_smmu_s2_tag - A VMID that TLB entries of a nest parent may carry
 * @elm: Entry of arm_smmu_domain::s2_tags, read under RCU
 * @smmu: SMMU that has such entries
 * @s2_cfg: VMID on @smmu, 0 while no device is attached by it
 */
struct arm_smmu_s2_tag {
	struct list_head elm;
	struct arm_smmu_device *smmu;
	struct arm_smmu_s2_cfg s2_cfg;
};

/**
 * struct arm_smmu_vsmmu - A guest's share of an SMMUv3
 * @core: Part shared with iommufd
 * @smmu: Physical SMMU
 * @s2_parent: Nest parent of every stage 1 of the guest
 * @tag: VMID while a device is attached. No other vSMMU has that VMID, so
 *       neither cached translations nor invalidations by VMID affect other
 *       guests.
 * @legal: Commands that the SMMU accepts from the guest
 * @sids: Held for reading from the lookup of a physical StreamID until the SMMU
 *        has taken the command
 * @rcu: Defers the kfree()
 */
struct arm_smmu_vsmmu {
	struct iommu_viommu core;
	struct arm_smmu_device *smmu;
	struct arm_smmu_domain *s2_parent;
	struct arm_smmu_s2_tag tag;
	struct arm_smmu_user_cmds legal;
	struct rw_semaphore sids;
	struct rcu_head rcu;
};

/**
 * struct arm_smmu_nested_domain - A vSTE on the stage 2 of a vSMMU
 * @domain: Domain of type IOMMU_DOMAIN_NESTED
 * @vsmmu: vSMMU, held by iommufd for as long as the domain lives
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
 * A guest that owns stage 1 must not choose attributes that bypass the CPU
 * caches. Either stage 2 overrides them, or the machine does not allow them.
 */
static inline bool
arm_smmu_master_forces_coherency(struct arm_smmu_master *master)
{
	return (master->smmu->features & ARM_SMMU_FEAT_S2FWB) ||
	       arm_smmu_master_canwbs(master);
}

/**
 * enum arm_smmu_evt_owner - Recipient of an event of a guest's stream
 * @ARM_SMMU_EVT_HOST: The host alone
 * @ARM_SMMU_EVT_STAGE2: The host: stage 1 points outside of the guest's memory
 * @ARM_SMMU_EVT_GUEST: The guest: its STE, CD or stage 1 is at fault
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
void arm_smmu_mask_hw_info(const struct arm_smmu_device *smmu,
			   struct iommu_hw_info_arm_smmuv3 *info);
void *arm_smmu_hw_info(struct device *dev, u32 *length, u32 *type);

/* arm-smmu-v3-guest.c */
int arm_smmu_check_vste(const __le64 *vste, __le64 *checked);
unsigned int arm_smmu_vste_config(const __le64 *vste);
bool arm_smmu_vste_wants_ats(const __le64 *vste);
void arm_smmu_make_user_ste(struct arm_smmu_ste *target,
			    const struct arm_smmu_ste *s2, const __le64 *vste,
			    u16 vmid, bool force_stalld);
void arm_smmu_init_user_cmds(const struct arm_smmu_device *smmu,
			     struct arm_smmu_user_cmds *legal);
int arm_smmu_convert_user_cmds(const struct arm_smmu_user_cmds *legal, u16 vmid,
			       u64 *cmds, u32 *num, bool *have_sids);
bool arm_smmu_user_cmd_has_sid(const u64 *cmd);
int arm_smmu_set_user_cmd_sid(u64 *cmd, u32 sid, unsigned int ssid_bits);
unsigned int arm_smmu_user_cmds_per_sync(const struct arm_smmu_device *smmu);
enum arm_smmu_evt_owner arm_smmu_evt_owner(const u64 *evt);
void arm_smmu_make_vevent(struct iommu_vevent_arm_smmuv3 *vevent,
			  const u64 *evt, u32 vsid);

#ifdef CONFIG_ARM_SMMU_V3_IOMMUFD
/* arm-smmu-v3-vsmmu.c */
const struct iommu_viommu_ops *arm_smmu_viommu_ops(struct device *dev,
						   u32 type);
void arm_smmu_s2_parent_inv(struct arm_smmu_domain *s2_parent,
			    unsigned long iova, size_t size, size_t granule,
			    bool leaf);
void arm_smmu_switch_vsmmu(struct arm_smmu_master *master,
			   struct iommu_domain *next);
void arm_smmu_stop_user_atc_inv(struct arm_smmu_master *master);
struct iommu_domain *
arm_smmu_alloc_nested(struct arm_smmu_master *master,
		      const struct iommu_user_domain_params *params);
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

static inline void arm_smmu_stop_user_atc_inv(struct arm_smmu_master *master)
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

static inline struct iommu_domain *
arm_smmu_alloc_nested(struct arm_smmu_master *master,
		      const struct iommu_user_domain_params *params)
{
	return ERR_PTR(-EOPNOTSUPP);
}

#define arm_smmu_viommu_ops NULL
#endif /* CONFIG_ARM_SMMU_V3_IOMMUFD */

#endif /* _ARM_SMMU_V3_USER_H */
