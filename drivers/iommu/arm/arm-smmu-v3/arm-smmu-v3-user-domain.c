// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMMUv3 side of iommu_ops::alloc_user_domain: domains described by parameters
 */
#include <linux/iommu-user-domain.h>

#include "arm-smmu-v3-user.h"

#ifdef CONFIG_ARM_SMMU_V3_IOMMUFD
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

static struct iommu_domain *
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
#else
static struct iommu_domain *
arm_smmu_alloc_nested(struct arm_smmu_master *master,
		      const struct iommu_user_domain_params *params)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#endif /* CONFIG_ARM_SMMU_V3_IOMMUFD */

/**
 * arm_smmu_alloc_user_domain() - iommu_ops::alloc_user_domain of SMMUv3
 * @dev: Device whose SMMU is to use the domain
 * @params: Description of the domain
 *
 * Return: the domain, or
 * * -EOPNOTSUPP if the SMMU or the driver does not support the request. A nest
 *   parent is stage 2, and needs an SMMU that nests. A nested domain needs a
 *   vIOMMU, and for a fault queue a device that can stall. Dirty tracking needs
 *   stage 1. An output size in the request must cover all memory. See
 *   arm_smmu_choose_pgtable() for the page table.
 * * -EINVAL or -E2BIG for malformed data, see iommu_user_domain_data() and
 *   arm_smmu_choose_pgtable()
 * * -EIO if the vSTE is not acceptable, see arm_smmu_check_vste()
 * * -EBUSY if no ASID is left for stage 1
 * * -ENOMEM
 */
struct iommu_domain *
arm_smmu_alloc_user_domain(struct device *dev,
			   const struct iommu_user_domain_params *params)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_device *smmu = master->smmu;
	struct iommu_hwpt_arm_smmuv3_pgtable want = {};
	struct arm_smmu_domain *smmu_domain;
	int ret;

	if (params->viommu)
		return arm_smmu_alloc_nested(master, params);
	if (params->parent)
		return ERR_PTR(-EOPNOTSUPP);

	switch (params->flags) {
	case 0:
	case IOMMU_HWPT_ALLOC_DIRTY_TRACKING:
		break;
	case IOMMU_HWPT_ALLOC_NEST_PARENT:
		if (!IS_ENABLED(CONFIG_ARM_SMMU_V3_IOMMUFD))
			return ERR_PTR(-EOPNOTSUPP);
		break;
	default:
		return ERR_PTR(-EOPNOTSUPP);
	}

	switch (params->data_type) {
	case IOMMU_HWPT_DATA_NONE:
		break;
	case IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE:
		ret = iommu_user_domain_data(&want, params,
					     IOMMU_HWPT_DATA_ARM_SMMUV3_PGTABLE,
					     reserved);
		if (ret)
			return ERR_PTR(ret);
		break;
	default:
		return ERR_PTR(-EOPNOTSUPP);
	}

	smmu_domain = arm_smmu_domain_alloc(true);
	if (IS_ERR(smmu_domain))
		return ERR_CAST(smmu_domain);
	smmu_domain->domain.type = IOMMU_DOMAIN_UNMANAGED;
	smmu_domain->domain.ops =
		smmu->iommu.ops->default_domain_ops;
	smmu_domain->nest_parent = params->flags & IOMMU_HWPT_ALLOC_NEST_PARENT;

	ret = arm_smmu_domain_finalise(smmu_domain, smmu, params->flags, &want);
	if (ret) {
		kfree(smmu_domain);
		return ERR_PTR(ret);
	}
	return &smmu_domain->domain;
}

/**
 * arm_smmu_hw_info() - iommu_ops::hw_info of SMMUv3
 * @dev: Device behind the SMMU
 * @length: Set to the length of the information in bytes
 * @type: Type that user space asks for: IOMMU_HW_INFO_TYPE_DEFAULT or
 *        _ARM_SMMUV3. Set to IOMMU_HW_INFO_TYPE_ARM_SMMUV3.
 *
 * Return: struct iommu_hw_info_arm_smmuv3 for the caller to kfree(),
 * -EOPNOTSUPP for another type, or -ENOMEM
 */
void *arm_smmu_hw_info(struct device *dev, u32 *length, u32 *type)
{
	struct arm_smmu_master *master = dev_iommu_priv_get(dev);
	struct arm_smmu_device *smmu = master->smmu;
	struct iommu_hw_info_arm_smmuv3 *info;
	unsigned int i;

	if (*type != IOMMU_HW_INFO_TYPE_DEFAULT &&
	    *type != IOMMU_HW_INFO_TYPE_ARM_SMMUV3)
		return ERR_PTR(-EOPNOTSUPP);

	info = kzalloc(sizeof(*info), GFP_KERNEL);
	if (!info)
		return ERR_PTR(-ENOMEM);

	for (i = 0; i != ARRAY_SIZE(info->idr); i++)
		info->idr[i] = readl_relaxed(smmu->base + ARM_SMMU_IDR0 +
					     i * sizeof(u32));
	info->iidr = readl_relaxed(smmu->base + ARM_SMMU_IIDR);
	info->aidr = readl_relaxed(smmu->base + ARM_SMMU_AIDR);
	arm_smmu_mask_hw_info(smmu, info);

	*length = sizeof(*info);
	*type = IOMMU_HW_INFO_TYPE_ARM_SMMUV3;
	return info;
}
